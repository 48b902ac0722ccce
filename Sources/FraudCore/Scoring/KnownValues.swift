/// What can be said of a rule before any event: whether it can be true at all, given fields' bounds and known columns.
///
/// The answer "yes" promises nothing; "no" is certain.
struct KnownValues {
  private let schema: Schema
  private let zones: TimeZones
  /// Values of columns that are known, by column.
  private var columns: [Int: Value] = [:]

  init(schema: Schema, zones: TimeZones) {
    self.schema = schema
    self.zones = zones
  }

  mutating func set(_ value: Value, of column: Int) { columns[column] = value }

  /// The expression with known columns put in and folded; a strict operation on NULL is NULL.
  func fold(_ expression: CheckedExpression) -> CheckedExpression {
    var builder = NodeBuilder(zones: zones)
    var places: [Int] = []
    for (index, node) in expression.nodes.enumerated() {
      let range = expression.ranges[index]
      let children = node.children.map { places[$0] }
      if case .column(let column) = node.operation, let value = columns[column] {
        places.append(builder.literal(value, type: node.type, range: range))
      } else if node.operation.isStrict, children.contains(where: { builder.constant($0) == .null }) {
        places.append(builder.literal(.null, type: node.type, range: range))
      } else {
        places.append(builder.add(node.operation, children, type: node.type, range: range))
      }
    }
    return builder.expression(root: places[places.count - 1])
  }

  /// The value of an expression that is one whatever the event.
  func constant(_ expression: CheckedExpression) -> Value? {
    let folded = fold(expression)
    guard case .literal(let value) = folded.nodes[folded.root].operation else { return nil }
    return value
  }

  /// Whether a rule can be true.
  func canBeTrue(_ rule: CheckedExpression) -> Bool {
    let folded = fold(rule)
    // Children stand before their parents, so one pass answers for all.
    var answers: [Bool] = []
    for node in folded.nodes {
      switch node.operation {
      case .literal(let value): answers.append(value == .boolean(true))
      case .and: answers.append(node.children.allSatisfy { answers[$0] } && isConsistent(node, in: folded))
      case .or: answers.append(node.children.contains { answers[$0] })
      case .comparison: answers.append(isConsistent(CheckedNode(.and, [answers.count], type: .boolean), in: folded))
      default: answers.append(true)
      }
    }
    return answers.last ?? true
  }

  /// Whether the comparisons of a conjunction with constants leave every column a value within its field's bounds.
  private func isConsistent(_ conjunction: CheckedNode, in expression: CheckedExpression) -> Bool {
    var ranges: [Int: NumberRange] = [:]
    for child in conjunction.children {
      guard case .comparison(let comparison) = expression.nodes[child].operation,
        let (column, bound, isFlipped) = bound(expression.nodes[child], in: expression)
      else { continue }
      var range = ranges[column] ?? declaredRange(column)
      range.narrow(isFlipped ? comparison.flipped : comparison, bound)
      ranges[column] = range
    }
    return ranges.values.allSatisfy { !$0.isEmpty }
  }

  /// A column and the number it is compared with; implicit casts between are looked through where they keep the order.
  private func bound(_ node: CheckedNode, in expression: CheckedExpression) -> (Int, Double, isFlipped: Bool)? {
    if let column = column(node.children[0], in: expression), let number = number(node.children[1], in: expression) {
      return (column, number, false)
    }
    if let column = column(node.children[1], in: expression), let number = number(node.children[0], in: expression) {
      return (column, number, true)
    }
    return nil
  }

  private func column(_ index: Int, in expression: CheckedExpression) -> Int? {
    let node = expression.nodes[index]
    switch node.operation {
    case .column(let column) where column < schema.fields.count && node.type != .string: return column
    case .cast where node.type == .double || node.type == .bigint: return column(node.children[0], in: expression)
    default: return nil
    }
  }

  private func number(_ index: Int, in expression: CheckedExpression) -> Double? {
    let node = expression.nodes[index]
    guard case .literal(let value) = node.operation else { return nil }
    switch (value, node.type) {
    case (.integer(let number), .tinyint), (.integer(let number), .smallint), (.integer(let number), .int),
      (.integer(let number), .bigint):
      return Double(number)
    case (.double(let number), _): return number
    default: return nil
    }
  }

  private func declaredRange(_ column: Int) -> NumberRange {
    let field = schema.fields[column]
    var range = NumberRange()
    if let minimum = number(field.minimum) { range.narrow(.greaterOrEqual, minimum) }
    if let maximum = number(field.maximum) { range.narrow(.lessOrEqual, maximum) }
    return range
  }

  private func number(_ value: FieldValue?) -> Double? {
    switch value {
    case .integer(let number)?: Double(number)
    case .float(let number)?: number
    default: nil
    }
  }
}

/// The numbers between two bounds.
private struct NumberRange {
  private var low = -Double.infinity
  private var high = Double.infinity
  private var excludesLow = false
  private var excludesHigh = false

  var isEmpty: Bool { low > high || low == high && (excludesLow || excludesHigh) }

  mutating func narrow(_ comparison: Comparison, _ bound: Double) {
    switch comparison {
    case .equal, .nullSafeEqual:
      narrow(.lessOrEqual, bound)
      narrow(.greaterOrEqual, bound)
    case .less, .lessOrEqual:
      if bound < high || bound == high && comparison == .less { (high, excludesHigh) = (bound, comparison == .less) }
    case .greater, .greaterOrEqual:
      if bound > low || bound == low && comparison == .greater { (low, excludesLow) = (bound, comparison == .greater) }
    case .notEqual: break
    }
  }
}

extension Comparison {
  /// The comparison with its sides exchanged.
  fileprivate var flipped: Comparison {
    switch self {
    case .less: .greater
    case .lessOrEqual: .greaterOrEqual
    case .greater: .less
    case .greaterOrEqual: .lessOrEqual
    case .equal, .notEqual, .nullSafeEqual: self
    }
  }
}

extension Operation {
  /// Whether a NULL operand makes the result NULL.
  fileprivate var isStrict: Bool {
    switch self {
    case .cast, .tryCast, .not, .inList, .like, .ilike, .rlike, .arithmetic, .tryArithmetic: true
    case .comparison(let comparison): comparison != .nullSafeEqual
    case .call(let function): function.isStrict
    default: false
    }
  }
}
