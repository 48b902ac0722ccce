internal import FraudCore

/// How a file's column becomes a field of the schema.
enum ColumnConversion: Sendable, Hashable {
  /// The words are right as they are.
  case none
  /// Unsigned numbers of 32 bits, kept with their sign.
  case unsigned32
  /// Unsigned numbers of 64 bits, which must fit a signed one.
  case unsigned64
  /// Times in another unit than microseconds; also integers that the schema gives a unit.
  case scaled(multiplier: Int64, divisor: Int64)
  case integerToFloat
  case unsigned32ToFloat
  case unsigned64ToFloat
  case decimalToFloat(scale: Int)
  case decimalBytesToFloat(scale: Int)
  case float16ToFloat
  /// Byte arrays that nothing calls text must be UTF-8.
  case bytesToText

  /// - Throws: ``StoreError`` where values of the column cannot be the field's.
  init(_ leaf: ParquetLeaf, to field: Field) throws(StoreError) {
    let isInteger = leaf.physicalType == .int32 || leaf.physicalType == .int64
    switch (leaf.meaning, field.type) {
    case (.boolean, .boolean), (.text, .string), (.float, .float), (.integer(isSigned: true), .integer): self = .none
    case (.bytes, .string): self = .bytesToText
    case (.integer(isSigned: false), .integer): self = leaf.physicalType == .int32 ? .unsigned32 : .unsigned64
    case (.integer(isSigned: true), .float): self = .integerToFloat
    case (.integer(isSigned: false), .float):
      self = leaf.physicalType == .int32 ? .unsigned32ToFloat : .unsigned64ToFloat
    case (.decimal(let scale), .float):
      self = isInteger ? .decimalToFloat(scale: scale) : .decimalBytesToFloat(scale: scale)
    case (.decimal(scale: 0), .integer) where isInteger: self = .none
    case (.float16, .float): self = .float16ToFloat
    case (.timestamp(1, 1, _), .timestamp): self = .none
    case (.timestamp(let multiplier, let divisor, _), .timestamp):
      self = .scaled(multiplier: multiplier, divisor: divisor)
    case (.date, .timestamp): self = .scaled(multiplier: 86_400_000_000, divisor: 1)
    case (.integer(isSigned: true), .timestamp) where field.unit != nil:
      switch field.unit {
      case .seconds: self = .scaled(multiplier: 1_000_000, divisor: 1)
      case .milliseconds: self = .scaled(multiplier: 1_000, divisor: 1)
      default: self = .none
      }
    default:
      throw .corrupt("column '\(leaf.name)' holds \(leaf.meaning.name), the schema says \(field.type.rawValue)")
    }
  }

  /// Converts words in place; a NULL's word is 0 and stays so.
  func apply(to words: inout MutableSpan<UInt64>, _ range: Range<Int>, arena: [UInt8]) throws(StoreError) {
    switch self {
    case .none: return
    case .unsigned32:
      for index in range { words[index] &= 0xFFFF_FFFF }
    case .unsigned64:
      for index in range where words[index] > UInt64(Int64.max) { throw beyond }
    case .scaled(let multiplier, let divisor):
      for index in range {
        let value = Int64(bitPattern: words[index])
        let (product, overflow) = value.multipliedReportingOverflow(by: multiplier)
        guard !overflow else { throw beyond }
        words[index] = UInt64(bitPattern: divisor == 1 ? product : floored(product, over: divisor))
      }
    case .integerToFloat:
      for index in range { words[index] = Double(Int64(bitPattern: words[index])).bitPattern }
    case .unsigned32ToFloat:
      for index in range { words[index] = Double(words[index] & 0xFFFF_FFFF).bitPattern }
    case .unsigned64ToFloat:
      for index in range { words[index] = Double(words[index]).bitPattern }
    case .decimalToFloat(let scale):
      let divisor = powerOfTen(scale)
      for index in range { words[index] = (Double(Int64(bitPattern: words[index])) / divisor).bitPattern }
    case .decimalBytesToFloat(let scale):
      let divisor = powerOfTen(scale)
      for index in range {
        guard let unscaled = bigEndianInteger(arena[TextSlice(word: words[index]).range]) else { throw beyond }
        words[index] = (Double(unscaled) / divisor).bitPattern
      }
    case .float16ToFloat:
      for index in range {
        let slice = TextSlice(word: words[index])
        guard slice.count == 2 else {
          words[index] = 0
          continue
        }
        words[index] = doubleOfHalf(UInt16(arena[slice.offset]) | UInt16(arena[slice.offset + 1]) << 8).bitPattern
      }
    case .bytesToText:
      for index in range {
        let slice = TextSlice(word: words[index]).range
        guard firstInvalidUTF8(arena.span, slice) == slice.upperBound else {
          throw .corrupt("a value that is not UTF-8, where the schema says string")
        }
      }
    }
  }

  private var beyond: StoreError { .corrupt("a value beyond what its field can hold") }
}

/// A power of ten; exact up to 22, so that dividing a whole number below 2^53 by it is correctly rounded.
private func powerOfTen(_ exponent: Int) -> Double {
  var power = 1.0
  for _ in 0..<exponent { power *= 10 }
  return power
}

extension ParquetLeaf.Meaning {
  /// What messages call it.
  package var name: String {
    switch self {
    case .boolean: "booleans"
    case .integer(let isSigned): isSigned ? "integers" : "unsigned integers"
    case .float: "floats"
    case .timestamp: "timestamps"
    case .date: "dates"
    case .time: "times of day"
    case .decimal: "decimals"
    case .text: "strings"
    case .bytes: "bytes"
    case .float16: "half-precision floats"
    }
  }
}
