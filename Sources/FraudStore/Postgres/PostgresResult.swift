import CPQ
public import FraudCore

/// The rows that a statement answered, in PostgreSQL's binary form.
///
/// Rows and columns count from 0. A value is read by what the caller needs; a type that does not fit throws
/// ``StoreError`` with `.corrupt`, since what comes over the wire is not trusted.
@safe
public struct PostgresResult: ~Copyable {
  // Owned here alone: made by libpq, freed once, in deinit.
  private let raw: OpaquePointer

  init(taking raw: OpaquePointer) {
    unsafe self.raw = raw
  }

  deinit {
    unsafe PQclear(raw)
  }

  /// How many rows there are.
  public var rowCount: Int { Int(unsafe PQntuples(raw)) }
  /// How many columns each row has.
  public var columnCount: Int { Int(unsafe PQnfields(raw)) }

  /// How many rows an INSERT, UPDATE, DELETE, COPY or SELECT touched.
  public var affectedRows: Int {
    Int(unsafe String(cString: PQcmdTuples(raw))) ?? 0
  }

  /// A column's name.
  public func columnName(_ column: Int) -> String {
    precondition(column >= 0 && column < columnCount, "column \(column) of \(columnCount)")
    return unsafe PQfname(raw, Int32(column)).map { unsafe String(cString: $0) } ?? ""
  }

  /// Whether the value is NULL, for which the others give nil.
  public func isNull(_ row: Int, _ column: Int) -> Bool {
    check(row, column)
    return unsafe PQgetisnull(raw, Int32(row), Int32(column)) != 0
  }

  /// An integer of 2, 4 or 8 bytes.
  public func integer(_ row: Int, _ column: Int) throws(StoreError) -> Int64? {
    guard let bytes = value(row, column) else { return nil }
    switch (type(of: column), bytes.count) {
    case (PostgresType.int8, 8): return Int64(bitPattern: bytes.bigEndianInteger())
    case (PostgresType.int4, 4): return Int64(Int32(truncatingIfNeeded: bytes.bigEndianInteger()))
    case (PostgresType.int2, 2): return Int64(Int16(truncatingIfNeeded: bytes.bigEndianInteger()))
    default: throw mismatch(column, "an integer")
    }
  }

  /// A floating-point number of 4 or 8 bytes.
  public func double(_ row: Int, _ column: Int) throws(StoreError) -> Double? {
    guard let bytes = value(row, column) else { return nil }
    switch (type(of: column), bytes.count) {
    case (PostgresType.float8, 8): return Double(bitPattern: bytes.bigEndianInteger())
    case (PostgresType.float4, 4):
      return Double(Float(bitPattern: UInt32(truncatingIfNeeded: bytes.bigEndianInteger())))
    default: throw mismatch(column, "a number")
    }
  }

  /// A boolean.
  public func boolean(_ row: Int, _ column: Int) throws(StoreError) -> Bool? {
    guard let bytes = value(row, column) else { return nil }
    guard type(of: column) == PostgresType.bool, bytes.count == 1 else { throw mismatch(column, "a boolean") }
    return bytes[0] != 0
  }

  /// Text, or a JSON document's text.
  public func text(_ row: Int, _ column: Int) throws(StoreError) -> String? {
    guard var bytes = value(row, column)?[...] else { return nil }
    switch type(of: column) {
    case PostgresType.text, PostgresType.varchar, PostgresType.name, PostgresType.json: break
    case PostgresType.jsonb: if bytes.popFirst() != 1 { throw mismatch(column, "JSONB of version 1") }
    default: throw mismatch(column, "a text")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw mismatch(column, "UTF-8") }
    return text
  }

  /// A `bytea`.
  public func bytes(_ row: Int, _ column: Int) throws(StoreError) -> [UInt8]? {
    guard let bytes = value(row, column) else { return nil }
    guard type(of: column) == PostgresType.bytea else { throw mismatch(column, "bytes") }
    return bytes
  }

  /// A `uuid`.
  public func id(_ row: Int, _ column: Int) throws(StoreError) -> UniqueID? {
    guard let bytes = value(row, column) else { return nil }
    guard type(of: column) == PostgresType.uuid, bytes.count == 16 else { throw mismatch(column, "a UUID") }
    return UniqueID(bytes: bytes)
  }

  /// Microseconds since 1970-01-01T00:00:00Z.
  public func timestamp(_ row: Int, _ column: Int) throws(StoreError) -> Int64? {
    guard let bytes = value(row, column) else { return nil }
    guard type(of: column) == PostgresType.timestamptz, bytes.count == 8 else { throw mismatch(column, "a timestamp") }
    let (micros, overflow) = Int64(bitPattern: bytes.bigEndianInteger())
      .addingReportingOverflow(PostgresType.epochMicroseconds)
    if overflow { throw mismatch(column, "a timestamp in range") }
    return micros
  }

  /// Unwraps what the table's definition says is never NULL.
  public func required<Value>(_ value: Value?) throws(StoreError) -> Value {
    guard let value else { throw StoreError.unexpectedAnswer("NULL where a value must be") }
    return value
  }

  private func check(_ row: Int, _ column: Int) {
    precondition(
      row >= 0 && row < rowCount && column >= 0 && column < columnCount,
      "value (\(row), \(column)) of \(rowCount) rows of \(columnCount) columns")
  }

  private func type(of column: Int) -> UInt32 {
    unsafe PQftype(raw, Int32(column))
  }

  private func value(_ row: Int, _ column: Int) -> [UInt8]? {
    if isNull(row, column) { return nil }
    guard let start = unsafe PQgetvalue(raw, Int32(row), Int32(column)) else { return nil }
    let count = Int(unsafe PQgetlength(raw, Int32(row), Int32(column)))
    // libpq gives `count` bytes at `start`, alive until PQclear; they are copied here.
    return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
  }

  private func mismatch(_ column: Int, _ expected: String) -> StoreError {
    .unexpectedAnswer("column \(columnName(column)) of type \(type(of: column)) is not \(expected)")
  }
}

extension [UInt8] {
  /// The bytes as one unsigned number. At most 8 of them.
  fileprivate func bigEndianInteger() -> UInt64 {
    reduce(0) { $0 << 8 | UInt64($1) }
  }
}
