/// The functions, each as ``Function`` states it.
enum ScalarFunctions {
  static func evaluate(
    _ function: Function, _ arguments: [Value], _ types: [DataType], _ result: DataType, _ zones: TimeZones
  ) throws(EvaluationError) -> Value {
    switch function {
    case .abs, .round, .bround, .floor, .ceil, .sign, .log, .pow, .atan2, .hypot, .isNaN, .greatest, .least, .factorial,
      .bitCount, .widthBucket:
      return try number(function, arguments, types, result)
    case .sqrt, .cbrt, .exp, .expm1, .ln, .log10, .log2, .log1p, .sin, .cos, .tan, .cot, .sec, .csc, .asin, .acos,
      .atan, .sinh, .cosh, .tanh, .asinh, .acosh, .atanh, .degrees, .radians, .rint:
      return real(function, arguments[0].double)
    case .lower, .upper, .initcap, .reverse, .soundex, .trim, .trimLeading, .trimTrailing, .chr, .substring, .left,
      .right, .concat, .concatWithSeparator, .replace, .translate, .splitPart, .substringIndex, .repeat, .lpad, .rpad,
      .elt, .md5, .sha1, .sha2, .hex, .bin, .base64:
      return try text(function, arguments)
    case .length, .octetLength, .bitLength, .ascii, .startsWith, .endsWith, .contains, .locate, .levenshtein,
      .findInSet,
      .crc32, .hash, .xxhash64:
      return try textMeasure(function, arguments, types)
    case .regexpExtract, .regexpReplace, .regexpCount, .regexpInstr, .regexpSubstr:
      return try regex(function, arguments)
    case .year, .quarter, .month, .day, .dayOfYear, .dayOfWeek, .dayOfWeekISO, .weekday, .weekOfYear, .yearOfWeek,
      .hour, .minute, .second, .secondWithFraction, .intervalDays, .intervalHours, .intervalMinutes, .intervalSeconds,
      .intervalYears, .intervalMonths:
      return timeField(function, arguments[0].integer)
    case .dayName, .monthName, .dateTrunc, .truncDate, .parseTimestamp, .formatTimestamp, .unixTimestamp, .unixSeconds,
      .unixMillis, .unixMicros, .unixDate, .dateFromUnixDate, .timestampMillis, .timestampMicros, .dateDiff,
      .timestampDiff, .timestampAdd, .addMonths, .monthsBetween, .lastDay, .nextDay, .makeDate:
      return try time(function, arguments, zones)
    }
  }

  // MARK: Mathematics

  private static func number(
    _ function: Function, _ arguments: [Value], _ types: [DataType], _ result: DataType
  ) throws(EvaluationError) -> Value {
    switch function {
    case .abs:
      switch arguments[0] {
      case .integer(let value):
        let magnitude = value.magnitude
        guard magnitude <= UInt64(types[0].integerRange.upperBound) else { throw .arithmeticOverflow }
        return .integer(Int64(magnitude))
      case .double(let value): return .double(value.magnitude)
      default: return .decimal(Int128(arguments[0].decimal.magnitude))
      }
    case .round, .bround:
      return try round(arguments[0], types[0], arguments[1].integer, halfEven: function == .bround, result)
    case .floor, .ceil:
      return try floor(arguments, types[0], result, up: function == .ceil)
    case .sign:
      switch arguments[0] {
      case .integer(let value): return .double(Double(value.signum()))
      default:
        let value = arguments[0].double
        return .double(value.isNaN || value == 0 ? value : value < 0 ? -1 : 1)
      }
    case .log:
      let base = arguments[0].double
      let value = arguments[1].double
      return base <= 0 || value <= 0 ? .null : .double(Mathematics.ln(value) / Mathematics.ln(base))
    case .pow: return .double(Mathematics.pow(arguments[0].double, arguments[1].double))
    case .atan2:
      // Adding 0.0 turns −0.0 into 0.0, as Spark does.
      return .double(Mathematics.atan2(arguments[0].double + 0.0, arguments[1].double + 0.0))
    case .hypot: return .double(Mathematics.hypot(arguments[0].double, arguments[1].double))
    case .isNaN:
      if case .double(let value) = arguments[0] { return .boolean(value.isNaN) }
      return .boolean(false)
    case .greatest, .least:
      var best = Value.null
      for argument in arguments where argument != .null {
        if best == .null || (function == .greatest ? compare(argument, best) > 0 : compare(argument, best) < 0) {
          best = argument
        }
      }
      return best
    case .factorial:
      let value = arguments[0].integer
      guard (0...20).contains(value) else { return .null }
      return .integer((0..<value).reduce(1) { $0 * ($1 + 1) })
    case .bitCount: return .integer(Int64(arguments[0].integer.nonzeroBitCount))
    case .widthBucket:
      let value = arguments[0].double
      let low = arguments[1].double
      let high = arguments[2].double
      let buckets = arguments[3].integer
      guard buckets > 0, buckets < .max, !value.isNaN, low.isFinite, high.isFinite, low != high else { return .null }
      let (from, to, at) = low < high ? (low, high, value) : (-low, -high, -value)
      if at < from { return .integer(0) }
      if at >= to { return .integer(buckets + 1) }
      return .integer(
        (Int64(exactly: Mathematics.truncate(Double(buckets) * (at - from) / (to - from))) ?? buckets - 1) + 1)
    default: preconditionFailure("\(function)")
    }
  }

  private static func round(
    _ value: Value, _ type: DataType, _ digits: Int64, halfEven: Bool, _ result: DataType
  ) throws(EvaluationError) -> Value {
    let digits = Int(clamping: max(-400, min(400, digits)))
    switch value {
    case .integer(let integer):
      guard digits < 0 else { return value }
      let rounded = try DecimalArithmetic.round(
        Int128(integer), scale: 0, to: digits, halfEven: halfEven, resultPrecision: 38, resultScale: 0)
      guard let fitted = Int64(exactly: rounded), type.integerRange.contains(fitted) else { throw .arithmeticOverflow }
      return .integer(fitted)
    case .double(let double):
      let rounded = round(double, digits, halfEven: halfEven)
      return .double(type == .float ? Double(Float(rounded)) : rounded)
    default:
      let (precision, scale) = result.decimalShape
      return .decimal(
        try DecimalArithmetic.round(
          value.decimal, scale: type.decimalShape.scale, to: digits, halfEven: halfEven, resultPrecision: precision,
          resultScale: scale))
    }
  }

  /// Rounds the shortest decimal text of a double: 2.675 to two digits is 2.68.
  private static func round(_ value: Double, _ places: Int, halfEven: Bool) -> Double {
    guard value.isFinite, value != 0 else { return value }
    let (digits, exponent) = NumberConversion.shortestDigits(value)
    let drop = -exponent - places
    guard drop > 0 else { return value }
    guard drop <= 18 else { return value < 0 ? -0.0 : 0.0 }
    let unit = UInt64(DecimalArithmetic.powersOfTen[drop])
    let (quotient, rest) = digits.quotientAndRemainder(dividingBy: unit)
    let up = rest > unit / 2 || (rest == unit / 2 && (!halfEven || quotient & 1 == 1))
    let rounded = quotient + (up ? 1 : 0)
    let magnitude = Double("\(rounded)e\(exponent + drop)") ?? 0
    return value < 0 ? -magnitude : magnitude
  }

  private static func floor(
    _ arguments: [Value], _ type: DataType, _ result: DataType, up: Bool
  ) throws(EvaluationError) -> Value {
    switch arguments[0] {
    case .integer: return arguments[0]
    case .double(let value):
      guard let integer = Int64(exactly: up ? Mathematics.ceiling(value) : Mathematics.floor(value)) else {
        throw .arithmeticOverflow
      }
      return .integer(integer)
    default:
      let value = arguments[0].decimal
      let scale = type.decimalShape.scale
      let (precision, newScale) = result.decimalShape
      let places = arguments.count > 1 ? Int(clamping: max(-400, min(400, arguments[1].integer))) : 0
      guard places < scale else {
        return .decimal(try DecimalArithmetic.rescale(value, from: scale, to: newScale, precision: precision))
      }
      // Shift the digit to keep to the units' place, take the whole part there, shift back.
      guard scale - places <= 38 else {
        let moves = up ? value > 0 : value < 0
        if moves { throw .decimalOverflow }
        return .decimal(0)
      }
      let whole =
        up
        ? DecimalArithmetic.ceiling(value, scale: scale - places)
        : DecimalArithmetic.floor(value, scale: scale - places)
      if places >= 0 {
        return .decimal(try DecimalArithmetic.rescale(whole, from: places, to: newScale, precision: precision))
      }
      return .decimal(
        try DecimalArithmetic.multiply(
          whole, scale: 0, Int128(DecimalArithmetic.powersOfTen[-places]), scale: 0, resultPrecision: precision,
          resultScale: newScale))
    }
  }

  private static func real(_ function: Function, _ x: Double) -> Value {
    switch function {
    case .sqrt: return .double(Mathematics.sqrt(x))
    case .cbrt: return .double(Mathematics.cbrt(x))
    case .exp: return .double(Mathematics.exp(x))
    case .expm1: return .double(Mathematics.expm1(x))
    case .ln: return x <= 0 ? .null : .double(Mathematics.ln(x))
    case .log10: return x <= 0 ? .null : .double(Mathematics.log10(x))
    case .log2: return x <= 0 ? .null : .double(Mathematics.ln(x) / Mathematics.ln(2))
    case .log1p: return x <= -1 ? .null : .double(Mathematics.log1p(x))
    case .sin: return .double(Mathematics.sin(x))
    case .cos: return .double(Mathematics.cos(x))
    case .tan: return .double(Mathematics.tan(x))
    case .cot: return .double(1 / Mathematics.tan(x))
    case .sec: return .double(1 / Mathematics.cos(x))
    case .csc: return .double(1 / Mathematics.sin(x))
    case .asin: return .double(Mathematics.asin(x))
    case .acos: return .double(Mathematics.acos(x))
    case .atan: return .double(Mathematics.atan(x))
    case .sinh: return .double(Mathematics.sinh(x))
    case .cosh: return .double(Mathematics.cosh(x))
    case .tanh: return .double(Mathematics.tanh(x))
    case .asinh: return .double(x == -.infinity ? x : Mathematics.ln(x + Mathematics.sqrt(x * x + 1)))
    case .acosh: return .double(Mathematics.ln(x + Mathematics.sqrt(x * x - 1)))
    case .atanh: return .double(0.5 * (Mathematics.log1p(x) - Mathematics.log1p(-x)))
    case .degrees: return .double(x * 57.29577951308232)
    case .radians: return .double(x * 0.017453292519943295)
    case .rint: return .double(Mathematics.roundHalfEven(x))
    default: preconditionFailure("\(function)")
    }
  }

  // MARK: Text

  private static func text(_ function: Function, _ arguments: [Value]) throws(EvaluationError) -> Value {
    let result: [UInt8]
    switch function {
    case .lower: result = TextFunctions.lowercase(arguments[0].text)
    case .upper: result = TextFunctions.uppercase(arguments[0].text)
    case .initcap: result = TextFunctions.initcap(arguments[0].text)
    case .reverse: result = TextFunctions.reversed(arguments[0].text)
    case .soundex: result = TextFunctions.soundex(arguments[0].text)
    case .trim, .trimLeading, .trimTrailing:
      result = TextFunctions.trim(
        arguments[0].text, arguments[1].text, leading: function != .trimTrailing, trailing: function != .trimLeading)
    case .chr:
      let code = arguments[0].integer
      result = code < 0 ? [] : TextFunctions.utf8([Unicode.Scalar(UInt8(truncatingIfNeeded: code))])
    case .substring:
      result = TextFunctions.substring(
        arguments[0].text, start: arguments[1].integer, count: arguments[2].integer)
    case .left:
      result = TextFunctions.substring(arguments[0].text, start: 1, count: max(0, arguments[1].integer))
    case .right:
      let count = max(0, arguments[1].integer)
      result = count == 0 ? [] : TextFunctions.substring(arguments[0].text, start: -count, count: .max)
    case .concat:
      if arguments.contains(.null) { return .null }
      result = try joined(arguments, separator: [])
    case .concatWithSeparator:
      guard case .string(let separator) = arguments[0] else { return .null }
      result = try joined(arguments.dropFirst().filter { $0 != .null }, separator: separator)
    case .replace:
      result = try TextFunctions.replace(arguments[0].text, arguments[1].text, with: arguments[2].text)
    case .translate: result = TextFunctions.translate(arguments[0].text, arguments[1].text, arguments[2].text)
    case .splitPart:
      let number = arguments[2].integer
      if number == 0 { throw .indexOfZero }
      let parts = TextFunctions.split(arguments[0].text, arguments[1].text)
      let index = number > 0 ? number - 1 : Int64(parts.count) + number
      result = index >= 0 && index < parts.count ? Array(parts[Int(index)]) : []
    case .substringIndex:
      result = TextFunctions.substringIndex(arguments[0].text, arguments[1].text, arguments[2].integer)
    case .repeat: result = try TextFunctions.repeated(arguments[0].text, arguments[1].integer)
    case .lpad, .rpad:
      result = try TextFunctions.pad(
        arguments[0].text, to: arguments[1].integer, with: arguments[2].text, left: function == .lpad)
    case .elt:
      guard case .integer(let index) = arguments[0] else { return .null }
      guard index >= 1, index < arguments.count else { throw .indexOutOfRange }
      return arguments[Int(index)]
    case .md5: result = TextFunctions.hexadecimal(FraudCore.md5(arguments[0].text.span), upper: false)
    case .sha1: result = TextFunctions.hexadecimal(Digests.sha1(arguments[0].text), upper: false)
    case .sha2:
      guard let digest = Digests.sha2(arguments[0].text, bits: arguments[1].integer) else { return .null }
      result = TextFunctions.hexadecimal(digest, upper: false)
    case .hex:
      if case .integer(let value) = arguments[0] {
        result = Array(String(UInt64(bitPattern: value), radix: 16, uppercase: true).utf8)
      } else {
        result = TextFunctions.hexadecimal(arguments[0].text, upper: true)
      }
    case .bin: result = Array(String(UInt64(bitPattern: arguments[0].integer), radix: 2).utf8)
    case .base64: result = TextFunctions.base64(arguments[0].text)
    default: preconditionFailure("\(function)")
    }
    guard result.count <= Limits.resultTextBytes else { throw .textTooLong }
    return .string(result)
  }

  private static func joined(_ parts: [Value], separator: [UInt8]) throws(EvaluationError) -> [UInt8] {
    var result: [UInt8] = []
    for (index, part) in parts.enumerated() {
      if index > 0 { result += separator }
      result += part.text
      guard result.count <= Limits.resultTextBytes else { throw .textTooLong }
    }
    return result
  }

  private static func textMeasure(
    _ function: Function, _ arguments: [Value], _ types: [DataType]
  ) throws(EvaluationError) -> Value {
    switch function {
    case .length: return .integer(Int64(TextFunctions.length(arguments[0].text.span)))
    case .octetLength: return .integer(Int64(arguments[0].text.count))
    case .bitLength: return .integer(Int64(arguments[0].text.count) * 8)
    case .ascii:
      let text = arguments[0].text
      return .integer(text.isEmpty ? 0 : Int64(decodeScalar(text.span, at: 0).scalar))
    case .startsWith: return .boolean(TextFunctions.hasPrefix(arguments[0].text.span, arguments[1].text.span))
    case .endsWith: return .boolean(TextFunctions.hasSuffix(arguments[0].text.span, arguments[1].text.span))
    case .contains:
      return .boolean(
        TextFunctions.firstIndex(of: arguments[1].text.span, in: arguments[0].text.span, from: 0) != nil)
    case .locate:
      guard case .integer(let from) = arguments[2] else { return .integer(0) }
      guard case .string(let needle) = arguments[0], case .string(let text) = arguments[1] else { return .null }
      guard from >= 1 else { return .integer(0) }
      if needle.isEmpty { return .integer(1) }
      let start = TextFunctions.offset(ofScalar: Int(clamping: from - 1), in: text)
      guard let found = TextFunctions.firstIndex(of: needle.span, in: text.span, from: start) else {
        return .integer(0)
      }
      return .integer(Int64(TextFunctions.length(text.span.extracting(0..<found))) + 1)
    case .levenshtein: return .integer(try TextFunctions.levenshtein(arguments[0].text, arguments[1].text))
    case .findInSet:
      let needle = arguments[0].text
      guard !needle.contains(UInt8(ascii: ",")) else { return .integer(0) }
      let parts = TextFunctions.split(arguments[1].text, [UInt8(ascii: ",")])
      return .integer(Int64((parts.firstIndex { $0.elementsEqual(needle) } ?? -1) + 1))
    case .crc32: return .integer(Int64(Digests.crc32(arguments[0].text)))
    case .hash: return .integer(SparkHash.murmur3(arguments, types))
    case .xxhash64: return .integer(SparkHash.xxHash64(arguments, types))
    default: preconditionFailure("\(function)")
    }
  }

  private static func regex(_ function: Function, _ arguments: [Value]) throws(EvaluationError) -> Value {
    let expression = try RegularExpression(arguments[1].text)
    return try regex(function, arguments, expression)
  }

  /// A function of a compiled regular expression; its pattern argument is not looked at.
  static func regex(
    _ function: Function, _ arguments: [Value], _ expression: RegularExpression
  ) throws(EvaluationError) -> Value {
    let text = arguments[0].text
    var captures = RegexCaptures(expression)
    switch function {
    case .regexpExtract:
      guard let match = captures.firstMatch(in: text.span, from: 0) else { return .string([]) }
      let group = arguments[2].integer
      guard group >= 0, group <= expression.groupCount else { throw .regexGroupIndex }
      let start = match[Int(group) * 2]
      return .string(start < 0 ? [] : Array(text[start..<match[Int(group) * 2 + 1]]))
    case .regexpCount: return .integer(Int64(captures.matches(in: text.span).count))
    case .regexpInstr:
      guard let match = captures.firstMatch(in: text.span, from: 0) else { return .integer(0) }
      // Java counts UTF-16 units.
      return .integer(Int64(String(decoding: text[..<match[0]], as: UTF8.self).utf16.count) + 1)
    case .regexpSubstr:
      // No match and an empty one are the same to Spark.
      guard let match = captures.firstMatch(in: text.span, from: 0), match[0] < match[1] else { return .null }
      return .string(Array(text[match[0]..<match[1]]))
    case .regexpReplace:
      let from = TextFunctions.offset(ofScalar: Int(clamping: arguments[3].integer - 1), in: text)
      let rest = Array(text[from...])
      var result = Array(text[..<from])
      var offset = 0
      for match in captures.matches(in: rest.span) {
        result += rest[offset..<match[0]]
        result += try replacement(arguments[2].text, rest, match, expression)
        offset = match[1]
        guard result.count <= Limits.resultTextBytes else { throw .textTooLong }
      }
      result += rest[offset...]
      return .string(result)
    default: preconditionFailure("\(function)")
    }
  }

  /// `$1`, `${name}` and `\$` in a replacement, as `Matcher.appendReplacement` reads them.
  private static func replacement(
    _ template: [UInt8], _ text: [UInt8], _ match: [Int], _ expression: RegularExpression
  ) throws(EvaluationError) -> [UInt8] {
    var result: [UInt8] = []
    var index = 0
    while index < template.count {
      switch template[index] {
      case UInt8(ascii: "\\"):
        guard index + 1 < template.count else { throw .regexGroupIndex }
        result.append(template[index + 1])
        index += 2
      case UInt8(ascii: "$"):
        index += 1
        guard index < template.count else { throw .regexGroupIndex }
        var group = 0
        if template[index] == UInt8(ascii: "{") {
          guard let close = template[index...].firstIndex(of: UInt8(ascii: "}")) else { throw .regexGroupIndex }
          let name = String(decoding: template[(index + 1)..<close], as: UTF8.self)
          guard let named = expression.groupNames.first(where: { $0.name == name }) else { throw .regexGroupIndex }
          group = named.index
          index = close + 1
        } else {
          guard template[index] >= 48, template[index] <= 57 else { throw .regexGroupIndex }
          group = Int(template[index] - 48)
          index += 1
          guard group <= expression.groupCount else { throw .regexGroupIndex }
          // Further digits count while there is such a group.
          while index < template.count, template[index] >= 48, template[index] <= 57,
            group * 10 + Int(template[index] - 48) <= expression.groupCount
          {
            group = group * 10 + Int(template[index] - 48)
            index += 1
          }
        }
        if match[group * 2] >= 0 { result += text[match[group * 2]..<match[group * 2 + 1]] }
      default:
        result.append(template[index])
        index += 1
      }
    }
    return result
  }
}
