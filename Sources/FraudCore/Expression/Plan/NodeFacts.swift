/// What can be said of a node before any row is seen.
///
/// Saying "may be NULL" or "may raise" too often costs time, too seldom would be wrong.
enum NodeFacts {
  static func settle(_ node: inout ProgramBuilder.Node, nodes: [ProgramBuilder.Node], layout: ColumnLayout) {
    let children = node.children
    let anyNullable = children.contains { nodes[$0].nullable }
    let anyRaises = children.contains { nodes[$0].raises }
    node.nullable = anyNullable
    node.raises = anyRaises
    var own = 1
    switch node.operation {
    case .literal(let value):
      node.nullable = value == .null
      own = 0
    case .column(let index):
      node.nullable = layout.columns[index].nullable
      own = 0
    case .cast:
      let from = nodes[children[0]].type
      if castRaises(from: from, to: node.type) { node.raises = true }
      own = hasCastKernel(from: from, to: node.type) ? 1 : 25
    case .tryCast:
      node.nullable = true
      own = 25
    case .comparison(let comparison):
      if comparison == .nullSafeEqual { node.nullable = false }
      switch nodes[children[0]].type.representation {
      case .text: own = 4
      case .decimals: own = 20
      default: own = 1
      }
    case .isNull, .isNotNull, .isTrue, .isFalse: node.nullable = false
    case .inList: own = 6
    case .inValues: own = nodes[children[0]].type == .string ? 6 : 3
    case .like, .ilike:
      let isConstant = constantText(children[1], nodes) != nil
      if !isConstant || like(node, nodes) == nil { node.raises = true }
      if case .like = node.operation, isConstant { own = 10 } else { own = 60 }
    case .rlike:
      if regularExpression(children[1], nodes) == nil {
        node.raises = true
        own = 2_000
      } else {
        own = 40
      }
    case .arithmetic(let arithmetic):
      if raises(arithmetic, children, nodes, result: node.type) { node.raises = true }
      own = [.integers, .doubles].contains(node.type.representation) ? 1 : 20
    case .tryArithmetic:
      node.nullable = true
      own = 20
    case .call(let function):
      if !neverRaises.contains(function) { node.raises = true }
      if !keepsNulls.contains(function) { node.nullable = function != .isNaN }
      own = 30
    case .not: own = 1
    case .and, .or: own = 1
    case .caseWhen:
      let values = children.indices.filter { $0 % 2 == 1 || $0 == children.count - 1 }
      node.nullable = values.contains { nodes[children[$0]].nullable }
      own = 3
    case .coalesce:
      node.nullable = children.allSatisfy { nodes[$0].nullable }
      own = 3
    }
    node.ownCost = own
  }

  static func constantText(_ index: Int, _ nodes: [ProgramBuilder.Node]) -> [UInt8]? {
    if case .literal(.string(let text)) = nodes[index].operation { return text }
    return nil
  }

  static func like(_ node: ProgramBuilder.Node, _ nodes: [ProgramBuilder.Node]) -> LikePattern? {
    guard let pattern = constantText(node.children[1], nodes) else { return nil }
    switch node.operation {
    case .like(let escape): return try? LikePattern(pattern, escape: escape)
    case .ilike(let escape): return try? LikePattern(TextFunctions.lowercase(pattern), escape: escape)
    default: return nil
    }
  }

  static func regularExpression(_ index: Int, _ nodes: [ProgramBuilder.Node]) -> RegularExpression? {
    constantText(index, nodes).flatMap { try? RegularExpression($0) }
  }

  private static func castRaises(from: DataType, to: DataType) -> Bool {
    switch (from, to) {
    case (.null, _), (_, .string), (.boolean, .tinyint), (.boolean, .smallint), (.boolean, .int), (.boolean, .bigint),
      (.boolean, .float), (.boolean, .double), (.tinyint, .smallint), (.tinyint, .int), (.tinyint, .bigint),
      (.smallint, .int), (.smallint, .bigint), (.int, .bigint), (.double, .float), (.float, .double),
      (.timestamp, .date), (.timestamp, .bigint), (.timestamp, .double), (.double, .boolean), (.float, .boolean):
      return false
    case (.tinyint, .double), (.smallint, .double), (.int, .double), (.bigint, .double), (.tinyint, .float),
      (.smallint, .float), (.int, .float), (.bigint, .float), (.tinyint, .boolean), (.smallint, .boolean),
      (.int, .boolean), (.bigint, .boolean), (.tinyint, .timestamp), (.smallint, .timestamp), (.int, .timestamp),
      (.bigint, .timestamp):
      return false
    case (.decimal, .double), (.decimal, .float), (.decimal, .boolean): return false
    case (.tinyint, .decimal(let precision, let scale)): return precision - scale < 3
    case (.smallint, .decimal(let precision, let scale)): return precision - scale < 5
    case (.int, .decimal(let precision, let scale)): return precision - scale < 10
    case (.bigint, .decimal(let precision, let scale)): return precision - scale < 19
    case (.decimal(let precision, let scale), .decimal(let newPrecision, let newScale)):
      return newScale < scale || newPrecision - newScale < precision - scale
    default: return from != to
    }
  }

  static func hasCastKernel(from: DataType, to: DataType) -> Bool {
    switch (from.representation, to) {
    case (.integers, .bigint), (.integers, .int), (.integers, .smallint):
      return ![.date, .timestamp].contains(from) && !castRaises(from: from, to: to)
    case (.integers, .double): return [.tinyint, .smallint, .int, .bigint].contains(from)
    case (.doubles, .double): return true
    default: return from == to
    }
  }

  /// Whether an arithmetic node itself can raise.
  private static func raises(
    _ arithmetic: Arithmetic, _ children: [Int], _ nodes: [ProgramBuilder.Node], result: DataType
  ) -> Bool {
    guard nodes[children[0]].type.representation == .doubles else {
      switch arithmetic {
      case .bitAnd, .bitOr, .bitXor, .bitNot, .shiftLeft, .shiftRight, .shiftRightUnsigned: return false
      default: return true
      }
    }
    switch arithmetic {
    case .divide, .remainder, .pmod:
      if case .literal(.double(let divisor)) = nodes[children[1]].operation { return divisor == 0 }
      return true
    default: return false
    }
  }

  /// Functions that have a value for all arguments; those that give a text as long as theirs may exceed a limit and raise.
  private static let neverRaises: Set<Function> = [
    .isNaN, .greatest, .least, .sqrt, .cbrt, .exp, .expm1, .ln, .log10, .log2, .log1p, .sin, .cos, .tan, .cot, .sec,
    .csc, .asin, .acos, .atan, .sinh, .cosh, .tanh, .asinh, .acosh, .atanh, .degrees, .radians, .rint, .sign, .log,
    .pow,
    .atan2, .hypot, .length, .octetLength, .bitLength, .ascii, .startsWith, .endsWith,
    .contains, .locate, .md5, .year, .quarter, .month, .day,
    .dayOfYear, .dayOfWeek, .dayOfWeekISO, .weekday, .weekOfYear, .yearOfWeek, .hour, .minute, .second,
    .secondWithFraction, .dayName, .monthName, .unixTimestamp, .unixSeconds, .unixMillis, .unixMicros, .unixDate,
  ]

  /// Functions that are NULL only where an argument is.
  private static let keepsNulls: Set<Function> = [
    .sqrt, .cbrt, .exp, .expm1, .sin, .cos, .tan, .abs, .round, .bround, .floor, .ceil, .sign, .pow, .lower, .upper,
    .length, .octetLength, .substring, .left, .right, .concat, .startsWith, .endsWith, .contains, .trim, .trimLeading,
    .trimTrailing, .replace, .splitPart, .md5, .regexpExtract, .year, .quarter, .month, .day, .dayOfYear, .dayOfWeek,
    .weekday, .hour, .minute, .second, .unixTimestamp, .dateDiff,
  ]
}
