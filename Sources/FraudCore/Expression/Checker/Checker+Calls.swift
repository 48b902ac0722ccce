extension Checker {
  /// Says that there is no such function, for a call whose arguments are wrong as well.
  mutating func reportUnknown(function name: String, _ node: SyntaxNode) {
    guard functionTable[name] == nil, !overloadedFunctions.contains(name) else { return }
    if let reason = reasonAgainst(function: name) {
      report(reason, at: node.focus)
    } else {
      let near = nearest(to: name, among: functionTable.keys.sorted() + overloadedFunctions)
      report("unknown function '\(name)'" + (near.map { ", did you mean '\($0)'?" } ?? ""), at: node.focus)
    }
  }

  /// An argument as a parameter's type.
  mutating func argument(
    _ operand: Operand, as target: DataType, _ child: Int, of name: String, _ node: SyntaxNode
  ) -> Operand? {
    guard Coercion.canPass(type(operand), as: target) else {
      report("\(name) takes a \(target) here, not \(describe(node, child))", at: childRange(node, child))
      return nil
    }
    return coerce(operand, to: target)
  }

  mutating func arguments(
    _ operands: [Operand], as targets: [DataType], of name: String, _ node: SyntaxNode
  ) -> [Operand]? {
    let converted = zip(operands, targets).enumerated().map {
      argument($0.element.0, as: $0.element.1, $0.offset, of: name, node)
    }
    let arguments = converted.compactMap { $0 }
    return arguments.count == operands.count ? arguments : nil
  }

  /// Whether a call has the right number of arguments; says so if not.
  mutating func hasCount(_ counts: ClosedRange<Int>, _ name: String, _ node: SyntaxNode) -> Bool {
    let given = node.children.count
    if counts.contains(given) { return true }
    let wanted =
      counts.upperBound == .max
      ? "at least \(counts.lowerBound)"
      : counts.count == 1
        ? "\(counts.lowerBound)"
        : counts.count == 2
          ? "\(counts.lowerBound) or \(counts.upperBound)" : "\(counts.lowerBound) to \(counts.upperBound)"
    let isOne = counts.upperBound == 1 || counts == 1...Int.max
    report("\(name) takes \(wanted) argument\(isOne ? "" : "s"), not \(given)", at: node.focus)
    return false
  }

  mutating func call(_ name: String, _ operands: [Operand], _ node: SyntaxNode) -> Operand? {
    if let signature = functionTable[name] { return plainCall(name, signature, operands, node) }
    guard overloadedFunctions.contains(name) else {
      reportUnknown(function: name, node)
      return nil
    }
    return mathematics(name, operands, node) ?? conditional(name, operands, node) ?? text(name, operands, node)
      ?? time(name, operands, node) ?? conversion(name, operands, node)
  }

  /// A call of the table.
  private mutating func plainCall(
    _ name: String, _ signature: FunctionSignature, _ operands: [Operand], _ node: SyntaxNode
  ) -> Operand? {
    var targets = signature.parameters
    let least = targets.count - signature.defaults.count - (signature.isVariadic ? 1 : 0)
    guard hasCount(least...(signature.isVariadic ? Int.max : targets.count), name, node) else { return nil }
    if signature.isVariadic, let last = targets.last {
      while targets.count < operands.count { targets.append(last) }
    }
    if signature.takesBytes, ![.string, .null].contains(type(operands[0])) {
      report("\(name) takes a STRING, not \(describe(node, 0))", at: childRange(node, 0))
      return nil
    }
    guard var arguments = arguments(operands, as: targets, of: name, node) else { return nil }
    while !signature.isVariadic, arguments.count < signature.parameters.count {
      let missing = signature.parameters.count - arguments.count
      let value = signature.defaults[signature.defaults.count - missing]
      arguments.append(literal(value, type: signature.parameters[arguments.count], node))
    }
    switch signature.function {
    case .regexpExtract, .regexpReplace, .regexpCount, .regexpInstr, .regexpSubstr:
      guard checkPattern(arguments[1], isRegex: true, child: 1, node) else { return nil }
    case .timestampDiff, .timestampAdd:
      // Only the form with a unit word has become this call with a constant.
      guard case .string(let unit)? = builder.constant(arguments[0].node), node.hasUnitWord(unit, source) else {
        report("\(name) begins with a unit such as HOUR", at: childRange(node, 0))
        return nil
      }
    default: break
    }
    return add(.call(signature.function), arguments, type: signature.result, node)
  }

  // MARK: Mathematics

  private mutating func mathematics(_ name: String, _ operands: [Operand], _ node: SyntaxNode) -> Operand?? {
    switch name {
    case "abs":
      guard hasCount(1...1, name, node), let value = number(operands[0], of: name, node, orInterval: true) else {
        return .some(nil)
      }
      var result = add(.call(.abs), [value], type: type(value), node)
      result.fields = value.fields
      return result
    case "round", "bround":
      guard hasCount(1...2, name, node), let value = number(operands[0], of: name, node) else { return .some(nil) }
      return rounded(name == "round" ? .round : .bround, value, operands, name, node)
    case "floor", "ceil", "ceiling":
      return floorOrCeil(name == "floor" ? .floor : .ceil, operands, name, node)
    case "sign", "signum":
      guard hasCount(1...1, name, node) else { return .some(nil) }
      if type(operands[0]).isInterval { return add(.call(.sign), operands, type: .double, node) }
      guard let value = argument(operands[0], as: .double, 0, of: name, node) else { return .some(nil) }
      return add(.call(.sign), [value], type: .double, node)
    case "log":
      guard hasCount(1...2, name, node),
        let values = arguments(operands, as: [.double, .double], of: name, node)
      else { return .some(nil) }
      return add(.call(values.count == 1 ? .ln : .log), values, type: .double, node)
    case "mod", "pmod", "div":
      guard hasCount(2...2, name, node) else { return .some(nil) }
      let operation: Arithmetic = name == "mod" ? .remainder : name == "pmod" ? .pmod : .integralDivide
      return .some(arithmetic(operation, operands[0], operands[1], node))
    case "negative", "positive":
      guard hasCount(1...1, name, node) else { return .some(nil) }
      return .some(unary(name == "negative" ? .minus : .plus, operands[0], node))
    case "try_add", "try_subtract", "try_multiply", "try_divide", "try_mod":
      guard hasCount(2...2, name, node) else { return .some(nil) }
      switch name {
      case "try_add": return .some(sum(.add, tries: true, operands[0], operands[1], node))
      case "try_subtract": return .some(sum(.subtract, tries: true, operands[0], operands[1], node))
      case "try_multiply": return .some(arithmetic(.multiply, tries: true, operands[0], operands[1], node))
      case "try_divide": return .some(arithmetic(.divide, tries: true, operands[0], operands[1], node))
      default: return .some(arithmetic(.remainder, tries: true, operands[0], operands[1], node))
      }
    case "shiftleft", "shiftright", "shiftrightunsigned":
      guard hasCount(2...2, name, node) else { return .some(nil) }
      return .some(
        shift(
          name == "shiftleft" ? .shiftLeft : name == "shiftright" ? .shiftRight : .shiftRightUnsigned, operands[0],
          operands[1], node))
    case "bit_count":
      guard hasCount(1...1, name, node) else { return .some(nil) }
      guard type(operands[0]).isInteger || type(operands[0]) == .boolean || type(operands[0]) == .null else {
        report("bit_count needs an integer, and \(describe(node, 0)) is none", at: childRange(node, 0))
        return .some(nil)
      }
      return add(.call(.bitCount), [coerce(operands[0], to: .bigint)], type: .int, node)
    case "e", "pi":
      guard hasCount(0...0, name, node) else { return .some(nil) }
      return Operand(
        node: builder.literal(
          .double(name == "e" ? 2.718281828459045 : Double.pi), type: .double, range: node.range))
    case "greatest", "least":
      guard hasCount(2...Int.max, name, node) else { return .some(nil) }
      var common = DataType.null
      for (index, operand) in operands.enumerated() {
        guard let next = Coercion.tightest(common, type(operand)) else {
          report(
            "\(name) compares values of one family: \(describe(node, index)) does not go with \(common) before it",
            at: childRange(node, index))
          return .some(nil)
        }
        common = next
      }
      let values = operands.map { coerce($0, to: common) }
      var result = add(.call(name == "greatest" ? .greatest : .least), values, type: common, node)
      result.fields = fields(of: values)
      return result
    case "nanvl":
      guard hasCount(2...2, name, node),
        let values = arguments(operands, as: [.double, .double], of: name, node)
      else { return .some(nil) }
      let isNaN = add(.call(.isNaN), [values[0]], type: .boolean, node)
      return branches([isNaN], [values[1], values[0]], node)
    default: return nil
    }
  }

  /// A numeric argument that keeps its type; a string is read as DOUBLE.
  private mutating func number(
    _ operand: Operand, of name: String, _ node: SyntaxNode, orInterval: Bool = false
  ) -> Operand? {
    let type = type(operand)
    if type.isNumeric || orInterval && type.isInterval { return operand }
    if type == .string || type == .null { return coerce(operand, to: .double) }
    report("\(name) needs a number, and \(describe(node, 0)) is none", at: childRange(node, 0))
    return nil
  }

  /// The constant second argument of `round` and its kin; `.some(nil)` where it is NULL.
  private mutating func digits(_ operands: [Operand], _ name: String, _ node: SyntaxNode) -> Int?? {
    guard operands.count > 1 else { return 0 }
    guard let digits = argument(operands[1], as: .int, 1, of: name, node) else { return nil }
    switch builder.constant(digits.node) {
    case .integer(let value)?: return Int(value)
    case .null?: return .some(nil)
    default:
      report("the digits of \(name) must be a constant", at: childRange(node, 1))
      return nil
    }
  }

  private mutating func rounded(
    _ function: Function, _ value: Operand, _ operands: [Operand], _ name: String, _ node: SyntaxNode
  ) -> Operand? {
    guard let digits = digits(operands, name, node) else { return nil }
    var result = type(value)
    if case .decimal(let precision, let scale) = result {
      result = DecimalType(precision: precision, scale: scale).rounded(to: digits ?? 0).dataType
    }
    let count = literal(digits.map { .integer(Int64($0)) } ?? .null, type: .int, node)
    return add(.call(function), [value, count], type: result, node)
  }

  private mutating func floorOrCeil(
    _ function: Function, _ operands: [Operand], _ name: String, _ node: SyntaxNode
  ) -> Operand? {
    guard hasCount(1...2, name, node), var value = number(operands[0], of: name, node) else { return nil }
    if operands.count == 1 {
      if case .decimal(let precision, let scale) = type(value) {
        let result = DecimalType(precision: min(precision - scale + 1, DecimalType.maxPrecision), scale: 0)
        return add(.call(function), [value], type: result.dataType, node)
      }
      if type(value) != .bigint { value = coerce(value, to: .double) }
      return add(.call(function), [value], type: .bigint, node)
    }
    // With digits the value is a decimal.
    switch type(operands[0]) {
    case .double: value = coerce(value, to: .decimal(precision: 30, scale: 15))
    case .float: value = coerce(value, to: .decimal(precision: 14, scale: 7))
    case .string, .null: value = coerce(operands[0], to: .decimal(precision: 38, scale: 18))
    case let other: if let decimal = other.asDecimal { value = coerce(value, to: decimal.dataType) }
    }
    return rounded(function, value, operands, name, node)
  }

  // MARK: Conditions

  private mutating func conditional(_ name: String, _ operands: [Operand], _ node: SyntaxNode) -> Operand?? {
    switch name {
    case "coalesce", "nvl", "ifnull":
      guard hasCount(name == "coalesce" ? 1...Int.max : 2...2, name, node),
        let values = unify(operands.enumerated().map { ($0.element, $0.offset) }, of: name, node)
      else { return .some(nil) }
      var result = add(.coalesce, values, type: type(values[0]), node)
      result.fields = fields(of: values)
      return result
    case "nvl2", "if":
      guard hasCount(3...3, name, node) else { return .some(nil) }
      let condition =
        name == "if"
        ? branchCondition(operands[0], 0, of: "if", allowsNull: true, node)
        : add(.isNotNull, [operands[0]], type: .boolean, node)
      guard let values = unify([(operands[1], 1), (operands[2], 2)], of: name, node), let condition else {
        return .some(nil)
      }
      return branches([condition], values, node)
    case "nullif":
      guard hasCount(2...2, name, node), let equal = comparison(.equal, operands[0], operands[1], node) else {
        return .some(nil)
      }
      let null = literal(.null, type: type(operands[0]), node)
      return branches([equal], [null, operands[0]], node)
    case "nullifzero", "zeroifnull":
      guard hasCount(1...1, name, node) else { return .some(nil) }
      let zero = literal(.integer(0), type: .int, node)
      if name == "zeroifnull" {
        guard let values = unify([(operands[0], 0), (zero, nil)], of: name, node) else { return .some(nil) }
        return add(.coalesce, values, type: type(values[0]), node)
      }
      guard let equal = comparison(.equal, operands[0], zero, node, right: 0) else { return .some(nil) }
      return branches([equal], [literal(.null, type: type(operands[0]), node), operands[0]], node)
    case "isnull", "isnotnull":
      guard hasCount(1...1, name, node) else { return .some(nil) }
      return add(name == "isnull" ? .isNull : .isNotNull, operands, type: .boolean, node)
    case "equal_null":
      guard hasCount(2...2, name, node) else { return .some(nil) }
      return .some(comparison(.nullSafeEqual, operands[0], operands[1], node))
    case "not":
      guard hasCount(1...1, name, node), let condition = condition(operands[0], 0, of: "NOT", node) else {
        return .some(nil)
      }
      return add(.not, [condition], type: .boolean, node)
    default: return nil
    }
  }
}

extension SyntaxNode {
  /// Whether the first argument was the unit word itself rather than a string.
  func hasUnitWord(_ unit: [UInt8], _ source: [UInt8]) -> Bool {
    let start = focus.upperBound
    return source[start..<min(range.upperBound, source.count)].drop { $0 != UInt8(ascii: "(") }.dropFirst()
      .drop { $0 <= 0x20 }.prefix(unit.count)
      .elementsEqual(unit) { $0 == $1 || $0 &- 32 == $1 }
  }
}
