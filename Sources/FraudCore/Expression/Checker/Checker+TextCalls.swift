extension Checker {
  // MARK: Text

  mutating func text(_ name: String, _ operands: [Operand], _ node: SyntaxNode) -> Operand?? {
    switch name {
    case "trim", "btrim", "ltrim", "rtrim":
      guard hasCount(1...2, name, node),
        let texts = arguments(operands, as: [.string, .string], of: name, node)
      else { return .some(nil) }
      let function: Function = name == "ltrim" ? .trimLeading : name == "rtrim" ? .trimTrailing : .trim
      if texts.count == 1 {
        return add(.call(function), [texts[0], literal(.string([0x20]), type: .string, node)], type: .string, node)
      }
      // The characters come first, except in btrim.
      let ordered = name == "btrim" ? texts : [texts[1], texts[0]]
      return add(.call(function), ordered, type: .string, node)
    case "instr":
      guard hasCount(2...2, name, node),
        let texts = arguments(operands, as: [.string, .string], of: name, node)
      else { return .some(nil) }
      return add(
        .call(.locate), [texts[1], texts[0], literal(.integer(1), type: .int, node)], type: .int, node)
    case "position":
      return call("locate", operands, node)
    case "like", "ilike":
      guard hasCount(2...3, name, node) else { return .some(nil) }
      var escape: [UInt8]?
      if operands.count == 3 {
        guard case .string(let text)? = builder.constant(operands[2].node),
          String(decoding: text, as: UTF8.self).unicodeScalars.count == 1
        else {
          report("the escape of \(name) is a string of exactly one character", at: childRange(node, 2))
          return .some(nil)
        }
        escape = text
      }
      return .some(like(name == "like" ? .like : .ilike, operands[0], operands[1], escape: escape, node))
    case "rlike", "regexp", "regexp_like":
      guard hasCount(2...2, name, node) else { return .some(nil) }
      return .some(like(.rlike, operands[0], operands[1], escape: nil, node))
    case "elt":
      guard hasCount(2...Int.max, name, node) else { return .some(nil) }
      let targets = [DataType.int] + [DataType](repeating: .string, count: operands.count - 1)
      guard let values = arguments(operands, as: targets, of: name, node) else { return .some(nil) }
      return add(.call(.elt), values, type: .string, node)
    case "space":
      guard hasCount(1...1, name, node), let count = argument(operands[0], as: .int, 0, of: name, node) else {
        return .some(nil)
      }
      return add(.call(.repeat), [literal(.string([0x20]), type: .string, node), count], type: .string, node)
    case "hex":
      guard hasCount(1...1, name, node) else { return .some(nil) }
      let target: DataType = type(operands[0]) == .string ? .string : .bigint
      guard let value = argument(operands[0], as: target, 0, of: name, node) else { return .some(nil) }
      return add(.call(.hex), [value], type: .string, node)
    case "hash", "xxhash64":
      guard hasCount(1...Int.max, name, node) else { return .some(nil) }
      return add(
        .call(name == "hash" ? .hash : .xxhash64), operands, type: name == "hash" ? .int : .bigint, node)
    default: return nil
    }
  }

  // MARK: Dates and times

  mutating func time(_ name: String, _ operands: [Operand], _ node: SyntaxNode) -> Operand?? {
    switch name {
    case "to_date", "to_timestamp":
      guard hasCount(1...2, name, node) else { return .some(nil) }
      let target: DataType = name == "to_date" ? .date : .timestamp
      var operands = operands
      let given = type(operands[0])
      // What is no time is read as its text: 20241201 by yyyyMMdd.
      if given == .boolean || given.isNumeric && name == "to_date" { operands[0] = coerce(operands[0], to: .string) }
      if operands.count == 1 {
        guard Coercion.canCast(type(operands[0]), to: target) else {
          report("\(name) takes text or a time, not \(describe(node, 0))", at: childRange(node, 0))
          return .some(nil)
        }
        return .some(coerce(operands[0], to: target))
      }
      guard let time = parsed(operands, of: name, node) else { return .some(nil) }
      return .some(coerce(time, to: target))
    case "unix_timestamp", "to_unix_timestamp":
      if operands.isEmpty {
        report("\(name) without an argument is not supported: a rule sees the event only", at: node.focus)
        return .some(nil)
      }
      guard hasCount(1...2, name, node) else { return .some(nil) }
      var operands = operands
      if operands.count == 1 {
        operands.append(literal(.string(Array("yyyy-MM-dd HH:mm:ss".utf8)), type: .string, node))
      }
      guard let time = parsed(operands, of: name, node) else { return .some(nil) }
      return add(.call(.unixTimestamp), [time], type: .bigint, node)
    case "timestamp_seconds":
      guard hasCount(1...1, name, node) else { return .some(nil) }
      guard type(operands[0]).isNumeric || [.string, .null].contains(type(operands[0])) else {
        report("timestamp_seconds needs a number, and \(describe(node, 0)) is none", at: childRange(node, 0))
        return .some(nil)
      }
      let seconds = type(operands[0]).isNumeric ? operands[0] : coerce(operands[0], to: .double)
      return .some(coerce(seconds, to: .timestamp))
    case "date_part", "datepart", "extract":
      guard hasCount(2...2, name, node) else { return .some(nil) }
      guard case .string(let field)? = builder.constant(operands[0].node) else {
        report("the field of \(name) must be a constant", at: childRange(node, 0))
        return .some(nil)
      }
      return .some(part(String(decoding: field, as: UTF8.self), of: operands[1], node))
    case "date_add", "dateadd", "date_sub":
      guard hasCount(2...2, name, node) else { return .some(nil) }
      guard type(operands[1]).isDayCount || type(operands[1]) == .string else {
        report("\(name) takes days as INT, not \(describe(node, 1))", at: childRange(node, 1))
        return .some(nil)
      }
      guard let values = arguments(operands, as: [.date, .int], of: name, node) else { return .some(nil) }
      return add(.arithmetic(name == "date_sub" ? .subtract : .add), values, type: .date, node)
    default: return nil
    }
  }

  /// A text read by a format; a time is taken as it is.
  private mutating func parsed(_ operands: [Operand], of name: String, _ node: SyntaxNode) -> Operand? {
    guard [.string, .date, .timestamp, .null].contains(type(operands[0])) else {
      report("\(name) takes text or a time, not \(describe(node, 0))", at: childRange(node, 0))
      return nil
    }
    guard type(operands[0]) == .string else { return coerce(operands[0], to: .timestamp) }
    let format =
      node.children.count > 1 ? argument(operands[1], as: .string, 1, of: name, node) : operands[1]
    guard let format else { return nil }
    return add(.call(.parseTimestamp), [operands[0], format], type: .timestamp, node)
  }

  /// A field of `extract` and `date_part`.
  private mutating func part(_ field: String, of source: Operand, _ node: SyntaxNode) -> Operand? {
    if type(source).isInterval { return intervalPart(field, of: source, node) }
    let function: Function
    let target: DataType
    var result = DataType.int
    switch field.lowercased() {
    case "year", "y", "years", "yr", "yrs": (function, target) = (.year, .date)
    case "yearofweek": (function, target) = (.yearOfWeek, .date)
    case "quarter", "qtr": (function, target) = (.quarter, .date)
    case "month", "mon", "mons", "months": (function, target) = (.month, .date)
    case "week", "w", "weeks": (function, target) = (.weekOfYear, .date)
    case "day", "d", "days": (function, target) = (.day, .date)
    case "dayofweek", "dow": (function, target) = (.dayOfWeek, .date)
    case "dayofweek_iso", "dow_iso": (function, target) = (.dayOfWeekISO, .date)
    case "doy": (function, target) = (.dayOfYear, .date)
    case "hour", "h", "hours", "hr", "hrs": (function, target) = (.hour, .timestamp)
    case "minute", "m", "min", "mins", "minutes": (function, target) = (.minute, .timestamp)
    case "second", "s", "sec", "seconds", "secs":
      (function, target, result) = (.secondWithFraction, .timestamp, .decimal(precision: 8, scale: 6))
    default:
      let near = nearest(
        to: field,
        among: [
          "year", "quarter", "month", "week", "day", "dayofweek", "dayofweek_iso", "doy", "hour", "minute", "second",
        ])
      report(
        "'\(field)' is no field of a time" + (near.map { ", did you mean '\($0)'?" } ?? ""), at: childRange(node, 0))
      return nil
    }
    guard let time = argument(source, as: target, 1, of: "extract", node) else { return nil }
    return add(.call(function), [time], type: result, node)
  }

  private mutating func intervalPart(_ field: String, of source: Operand, _ node: SyntaxNode) -> Operand? {
    let fields = source.fields ?? IntervalFields(of: type(source))
    let function: Function
    let unit: IntervalUnit
    var result = type(source) == .yearMonthInterval ? DataType.int : .bigint
    switch field.lowercased() {
    case "year", "y", "years", "yr", "yrs": (function, unit) = (.intervalYears, .year)
    case "month", "mon", "mons", "months": (function, unit) = (.intervalMonths, .month)
    case "day", "d", "days": (function, unit) = (.intervalDays, .day)
    case "hour", "h", "hours", "hr", "hrs": (function, unit) = (.intervalHours, .hour)
    case "minute", "m", "min", "mins", "minutes": (function, unit) = (.intervalMinutes, .minute)
    case "second", "s", "sec", "seconds", "secs":
      (function, unit, result) = (.intervalSeconds, .second, .decimal(precision: 8, scale: 6))
    default: (function, unit) = (.intervalSeconds, .microsecond)
    }
    guard fields.has(unit) else {
      report("'\(field)' is no field of an \(fields.typeName.uppercased())", at: childRange(node, 0))
      return nil
    }
    return add(.call(function), [source], type: result, node)
  }

  // MARK: Conversions

  /// `string(x)`, `double(x)` and the like, and `typeof`.
  mutating func conversion(_ name: String, _ operands: [Operand], _ node: SyntaxNode) -> Operand? {
    let target: DataType
    switch name {
    case "boolean": target = .boolean
    case "tinyint": target = .tinyint
    case "smallint": target = .smallint
    case "int": target = .int
    case "bigint": target = .bigint
    case "float": target = .float
    case "double": target = .double
    case "decimal": target = .decimal(precision: 10, scale: 0)
    case "string": target = .string
    case "date": target = .date
    case "timestamp": target = .timestamp
    case "typeof":
      guard hasCount(1...1, name, node) else { return nil }
      return literal(.string(Array(typeName(of: operands[0]).utf8)), type: .string, node)
    default: return nil
    }
    guard hasCount(1...1, name, node) else { return nil }
    guard Coercion.canCast(type(operands[0]), to: target) else {
      report("\(describe(node, 0)) cannot be cast to \(target)", at: node.focus)
      return nil
    }
    return Operand(node: coerce(operands[0], to: target).node)
  }

  private func typeName(of operand: Operand) -> String {
    switch type(operand) {
    case .null: "void"
    case let type where type.isInterval: (operand.fields ?? IntervalFields(of: type)).typeName
    case let type: "\(type)".lowercased()
    }
  }
}
