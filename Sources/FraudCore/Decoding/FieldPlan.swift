/// How the value of one field is read: its declaration, compiled.
struct FieldPlan: Sendable {
  /// Which quick reader fits a value.
  enum Kind: UInt8, Sendable {
    case string, integer, float, boolean, timestamp
    /// Numbers in quotes, timestamps as numbers: read on the general path alone.
    case special
    /// A key that the schema does not know.
    case unknown
    /// The end of the object.
    case end
  }

  let field: Field
  let kind: Kind
  /// Whether a value must be compared with bounds or a list.
  let isConstrained: Bool
  private let integers: ClosedRange<Int64>
  private let floats: ClosedRange<Double>
  private let texts: [[UInt8]]
  private let numbers: [Int64]

  init(_ field: Field) {
    self.field = field
    switch field.type {
    case _ where field.parseText && field.type != .string || field.unit != nil: kind = .special
    case .string: kind = .string
    case .integer: kind = .integer
    case .float: kind = .float
    case .boolean: kind = .boolean
    case .timestamp: kind = .timestamp
    }
    isConstrained = field.minimum != nil || field.maximum != nil || !field.oneOf.isEmpty
    let least = Self.integer(field.minimum) ?? .min
    let greatest = Self.integer(field.maximum) ?? .max
    // An empty range of a contradictory definition refuses everything.
    integers = least <= greatest ? least...greatest : .max ... .max
    let lower = Self.float(field.minimum) ?? -.infinity
    let upper = Self.float(field.maximum) ?? .infinity
    floats = lower <= upper ? lower...upper : .infinity ... .infinity
    texts = field.oneOf.compactMap { if case .string(let text) = $0 { Array(text.utf8) } else { nil } }
    numbers = field.oneOf.compactMap { Self.integer($0) }
  }

  private static func integer(_ value: FieldValue?) -> Int64? {
    switch value {
    case .integer(let value), .timestamp(let value): value
    default: nil
    }
  }

  private static func float(_ value: FieldValue?) -> Double? {
    switch value {
    case .integer(let value): Double(value)
    case .float(let value): value
    default: nil
    }
  }

  func accepts(integer value: Int64) -> Bool {
    integers.contains(value) && (numbers.isEmpty || numbers.contains(value))
  }

  func accepts(float value: Double) -> Bool { floats.contains(value) }

  func accepts(text: Span<UInt8>, _ range: Range<Int>) -> Bool {
    texts.isEmpty
      || texts.contains { candidate in
        guard candidate.count == range.count else { return false }
        for index in candidate.indices where candidate[index] != text[range.lowerBound + index] { return false }
        return true
      }
  }

  /// The bound that values must keep, for a message.
  var bound: String {
    func text(_ value: FieldValue) -> String {
      switch value {
      case .string(let text): return "'\(text)'"
      case .integer(let value): return String(value)
      case .float(let value): return value.description
      case .boolean(let value): return String(value)
      case .timestamp(let value):
        var bytes: [UInt8] = []
        return TimestampText.append(value, to: &bytes) ? String(decoding: bytes, as: UTF8.self) : String(value)
      }
    }
    if !field.oneOf.isEmpty {
      let shown = field.oneOf.prefix(10).map(text).joined(separator: ", ")
      return "one of \(shown)\(field.oneOf.count > 10 ? ", ..." : "")"
    }
    switch (field.minimum, field.maximum) {
    case (let minimum?, let maximum?): return "between \(text(minimum)) and \(text(maximum))"
    case (let minimum?, nil): return "at least \(text(minimum))"
    case (nil, let maximum?): return "at most \(text(maximum))"
    case (nil, nil): return "anything"
    }
  }
}
