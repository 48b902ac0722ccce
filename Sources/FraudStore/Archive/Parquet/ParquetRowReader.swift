internal import FraudCore

/// One value of a file as its column's annotation means it.
package enum ParquetValue: Sendable, Hashable {
  case null
  case boolean(Bool)
  case integer(Int64)
  case unsigned(UInt64)
  case float(Double)
  /// Microseconds since 1970.
  case timestamp(Int64)
  /// Days since 1970.
  case date(Int64)
  /// Microseconds since midnight.
  case time(Int64)
  /// An exact number: the unscaled value over ten to the power of the scale.
  case decimal(Int128, scale: Int)
  case text(String)
  case bytes([UInt8])
}

/// Reads any flat columns of a file row by row: for showing, exporting and testing, not for scoring.
package struct ParquetRowReader: ~Copyable {
  private let file: ParquetFile
  private let columns: [Int]
  private let verifiesChecksums: Bool
  private var groups: [Int]
  private var memory = ParquetMemory()
  private var cursor: RowGroupCursor?
  private var arena: [UInt8] = []
  private var words: [[UInt64]]
  private var validity: [[UInt64]]
  private var row = 0
  private var rowCount = 0

  /// Prepares to read.
  ///
  /// - Parameters:
  ///   - columns: indices of flat columns; all of them where it is `nil`.
  ///   - rowGroups: the row groups to read, in this order; all where it is `nil`.
  ///   - verifiesChecksums: whether a page whose checksum is wrong is an error.
  /// - Throws: ``StoreError`` with `.corrupt` where a column is not flat.
  package init(
    _ file: ParquetFile, columns: [Int]? = nil, rowGroups: [Int]? = nil, verifiesChecksums: Bool = true
  ) throws(StoreError) {
    self.file = file
    self.columns = columns ?? Array(file.columns.indices)
    self.verifiesChecksums = verifiesChecksums
    groups = (rowGroups ?? Array(file.metadata.rowGroups.indices)).reversed()
    words = [[UInt64]](repeating: [UInt64](repeating: 0, count: Limits.batchRows), count: self.columns.count)
    validity = [[UInt64]](
      repeating: [UInt64](repeating: 0, count: Limits.batchRows / 64), count: self.columns.count)
    for column in self.columns where !file.columns[column].isFlat {
      throw .corrupt("column '\(file.columns[column].name)' is nested or repeated, which is not supported").at(
        file.source.name)
    }
  }

  /// The next row's values, or `nil` after the last one.
  ///
  /// - Throws: ``StoreError`` with `.corrupt`, naming row group and column.
  package mutating func next() throws(StoreError) -> [ParquetValue]? {
    while row == rowCount {
      guard try nextBlock() else { return nil }
    }
    defer { row += 1 }
    var values: [ParquetValue] = []
    values.reserveCapacity(columns.count)
    for number in columns.indices { values.append(value(number, row)) }
    return values
  }

  private mutating func nextBlock() throws(StoreError) -> Bool {
    (row, rowCount) = (0, 0)
    while (cursor?.rowsLeft ?? 0) == 0 {
      guard let group = groups.popLast() else { return false }
      cursor?.release(to: &memory)
      cursor = try RowGroupCursor(
        file, columns: columns, rowGroup: group, verifiesChecksums: verifiesChecksums, &memory, arena: &arena)
    }
    guard var cursor = cursor.take() else { return false }
    arena.removeSubrange(cursor.arenaBase...)
    let rows = min(cursor.rowsLeft, Limits.batchRows)
    for number in columns.indices {
      for word in validity[number].indices { validity[number][word] = 0 }
      try cursor.read(
        number, rows: rows, memory.zstd, words: &words[number], at: 0, validity: &validity[number], bitBase: 0,
        arena: &arena)
    }
    cursor.advance(rows)
    self.cursor = cursor
    rowCount = rows
    return true
  }

  private func value(_ number: Int, _ row: Int) -> ParquetValue {
    guard validity[number][row >> 6] >> UInt64(row & 63) & 1 == 1 else { return .null }
    let leaf = file.columns[columns[number]]
    let word = words[number][row]
    let signed = Int64(bitPattern: word)
    switch leaf.meaning {
    case .boolean: return .boolean(word == 1)
    case .integer(isSigned: true): return .integer(signed)
    case .integer(isSigned: false): return .unsigned(leaf.physicalType == .int32 ? word & 0xFFFF_FFFF : word)
    case .float: return .float(Double(bitPattern: word))
    case .timestamp(let multiplier, let divisor, _): return .timestamp(floored(signed &* multiplier, over: divisor))
    case .date: return .date(signed)
    case .time(let multiplier, let divisor): return .time(floored(signed &* multiplier, over: divisor))
    case .decimal(let scale):
      if leaf.physicalType == .int32 || leaf.physicalType == .int64 { return .decimal(Int128(signed), scale: scale) }
      let bytes = arena[TextSlice(word: word).range]
      return bigEndianInteger(bytes).map { .decimal($0, scale: scale) } ?? .bytes(Array(bytes))
    case .text: return .text(String(decoding: arena[TextSlice(word: word).range], as: UTF8.self))
    case .bytes: return .bytes(Array(arena[TextSlice(word: word).range]))
    case .float16:
      let bytes = arena[TextSlice(word: word).range]
      let bits = bytes.reversed().reduce(UInt16(0)) { $0 << 8 | UInt16($1) }
      return .float(doubleOfHalf(bits))
    }
  }
}

/// A quotient rounded down.
func floored(_ value: Int64, over divisor: Int64) -> Int64 {
  let quotient = value / divisor
  return value % divisor < 0 ? quotient - 1 : quotient
}

/// A number in two's complement, the highest byte first, or `nil` beyond 128 bits.
func bigEndianInteger(_ bytes: ArraySlice<UInt8>) -> Int128? {
  guard let first = bytes.first else { return 0 }
  let negative = first >= 0x80
  let significant = bytes.drop { $0 == (negative ? 0xFF : 0) }
  guard significant.count <= 16 else { return nil }
  var value: UInt128 = negative ? .max : 0
  for byte in significant { value = value << 8 | UInt128(byte) }
  let signed = Int128(truncatingIfNeeded: value)
  return (signed < 0) == negative ? signed : nil
}

/// The value of an IEEE 754 half.
func doubleOfHalf(_ bits: UInt16) -> Double {
  let sign = bits & 0x8000 == 0 ? 1.0 : -1.0
  let exponent = Int(bits >> 10 & 0x1F)
  let fraction = Double(bits & 0x3FF)
  switch exponent {
  case 0: return sign * fraction * 0x1p-24
  case 31: return fraction == 0 ? sign * .infinity : .nan
  default: return sign * (1 + fraction / 1_024) * Double(sign: .plus, exponent: exponent - 15, significand: 1)
  }
}
