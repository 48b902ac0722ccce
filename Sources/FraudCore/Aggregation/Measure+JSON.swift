extension Measure {
  /// Appends what was gathered as the members of a JSON object, for the database and for other programs.
  ///
  /// `"count":5`, `"high":125e-1,"low":0e-0,"count":3` (every digit of both doubles, so that sums of them are exact), `"value":7`, `"hashes":["00000000000000aa"]`, `"registers":"0003…"`
  /// (two hexadecimal digits a register) or `"bins":[[40001,2]]`.
  func appendMembers(to object: inout JSONObjectText, _ text: inout [UInt8]) {
    switch self {
    case .count(let count): object.count("count", count, &text)
    case .sum(let high, let low, let count):
      object.key("high", &text)
      JSONText.append(exactly: high, to: &text)
      object.key("low", &text)
      JSONText.append(exactly: low, to: &text)
      object.count("count", count, &text)
    case .least(let value), .greatest(let value):
      object.key("value", &text)
      JSONText.append(value, to: &text)
    case .distinct(let hashes):
      object.key("hashes", &text)
      text.append(UInt8(ascii: "["))
      for (index, hash) in hashes.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        text.append(UInt8(ascii: "\""))
        for shift in 0..<8 { Self.append(digits: UInt8(truncatingIfNeeded: hash >> UInt64(56 - 8 * shift)), to: &text) }
        text.append(UInt8(ascii: "\""))
      }
      text.append(UInt8(ascii: "]"))
    case .distinctSketch(let registers):
      object.key("registers", &text)
      text.append(UInt8(ascii: "\""))
      for register in registers { Self.append(digits: register, to: &text) }
      text.append(UInt8(ascii: "\""))
    case .quantile(let bins):
      object.key("bins", &text)
      text.append(UInt8(ascii: "["))
      for (index, bin) in bins.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        text.append(contentsOf: "[\(bin.key),\(bin.count)]".utf8)
      }
      text.append(UInt8(ascii: "]"))
    }
  }

  private static func append(digits byte: UInt8, to text: inout [UInt8]) {
    let digits = Array("0123456789abcdef".utf8)
    text.append(digits[Int(byte >> 4)])
    text.append(digits[Int(byte & 15)])
  }
}

extension JSONText {
  /// Appends a double with all of its digits, as a whole number and a power of ten; `null` where it is not finite.
  fileprivate static func append(exactly value: Double, to text: inout [UInt8]) {
    guard value.isFinite else { return appendNull(to: &text) }
    guard value != 0 else { return text.append(contentsOf: "0e-0".utf8) }
    // value = mantissa · 2^exponent with an odd mantissa; a negative power of two is one of five and one of ten.
    let shift = value.significandWidth
    let mantissa = UInt64(Double(sign: .plus, exponent: shift, significand: value.significand.magnitude))
    let exponent = Int(value.exponent) - shift
    var limbs: [UInt64] = [mantissa % 1_000_000_000, mantissa / 1_000_000_000]
    var (rest, base) = exponent < 0 ? (-exponent, UInt64(5)) : (exponent, 2)
    while rest > 0 {
      let count = min(rest, 12)
      let factor = (0..<count).reduce(UInt64(1)) { product, _ in product * base }
      var carry: UInt64 = 0
      for index in limbs.indices {
        let product = limbs[index] * factor + carry
        limbs[index] = product % 1_000_000_000
        carry = product / 1_000_000_000
      }
      if carry > 0 { limbs.append(carry) }
      rest -= count
    }
    if value < 0 { text.append(UInt8(ascii: "-")) }
    var digits = ""
    for limb in limbs.reversed() {
      let part = "\(limb)"
      digits += digits.isEmpty ? (limb == 0 ? "" : part) : String(repeating: "0", count: 9 - part.utf8.count) + part
    }
    text.append(contentsOf: digits.utf8)
    text.append(contentsOf: "e-\(exponent < 0 ? -exponent : 0)".utf8)
  }
}

extension AggregateRow {
  /// Appends what the measures gathered as a JSON object, so that the rows of partitions can be added up.
  package func appendParts(to text: inout [UInt8]) {
    var object = JSONObjectText()
    for measure in measures {
      object.key(measure.name, &text)
      var members = JSONObjectText()
      members.key("function", &text)
      JSONText.append(string: measure.function.rawValue, to: &text)
      measure.part.appendMembers(to: &members, &text)
      switch measure.function {
      case .quantile, .rate:
        members.key("parameter", &text)
        JSONText.append(measure.parameter, to: &text)
      default: break
      }
      if let whole = measure.whole {
        members.key("whole", &text)
        var inner = JSONObjectText()
        whole.appendMembers(to: &inner, &text)
        inner.end(&text)
      }
      members.end(&text)
    }
    object.end(&text)
  }
}
