public import FraudCore

/// A parameter of a statement.
///
/// Parameters travel in PostgreSQL's binary form beside the statement's text and never inside it, so that no value can
/// change what a statement does.
public enum PostgresValue: Sendable {
  /// SQL's NULL, of the type that the statement expects.
  case null
  case boolean(Bool)
  case integer(Int64)
  case double(Double)
  /// Text. PostgreSQL cannot hold U+0000 and refuses it with SQLSTATE 22021.
  case text(String)
  case bytes([UInt8])
  case id(UniqueID)
  /// Microseconds since 1970-01-01T00:00:00Z.
  case timestamp(Int64)
  /// A JSON text, for a `jsonb` column.
  case json([UInt8])
  case array(PostgresArray)

  /// Text or, without a value, NULL.
  public static func text(orNull value: String?) -> PostgresValue { value.map(PostgresValue.text) ?? .null }
  /// An integer or, without a value, NULL.
  public static func integer(orNull value: Int64?) -> PostgresValue { value.map(PostgresValue.integer) ?? .null }
  /// A timestamp or, without a value, NULL.
  public static func timestamp(orNull value: Int64?) -> PostgresValue { value.map(PostgresValue.timestamp) ?? .null }
}

/// PostgreSQL's numbers for the types that are read and written here (`pg_type.dat`; they never change).
enum PostgresType {
  static let bool: UInt32 = 16
  static let bytea: UInt32 = 17
  static let name: UInt32 = 19
  static let int8: UInt32 = 20
  static let int2: UInt32 = 21
  static let int4: UInt32 = 23
  static let text: UInt32 = 25
  static let json: UInt32 = 114
  static let float4: UInt32 = 700
  static let float8: UInt32 = 701
  static let varchar: UInt32 = 1043
  static let timestamptz: UInt32 = 1184
  static let uuid: UInt32 = 2950
  static let jsonb: UInt32 = 3802

  /// From 1970-01-01 to 2000-01-01, PostgreSQL's epoch, in microseconds.
  static let epochMicroseconds: Int64 = 946_684_800_000_000
}

/// A column of values for `unnest($1)`, the way to send many rows with one statement.
public struct PostgresArray: Sendable {
  /// What the elements are.
  public struct Element: Sendable {
    let type: UInt32
    let arrayType: UInt32
    /// `boolean[]`.
    public static let boolean = Element(type: PostgresType.bool, arrayType: 1000)
    /// `bigint[]`.
    public static let integer = Element(type: PostgresType.int8, arrayType: 1016)
    /// `double precision[]`.
    public static let double = Element(type: PostgresType.float8, arrayType: 1022)
    /// `text[]`.
    public static let text = Element(type: PostgresType.text, arrayType: 1009)
    /// `bytea[]`.
    public static let bytes = Element(type: PostgresType.bytea, arrayType: 1001)
    /// `uuid[]`.
    public static let id = Element(type: PostgresType.uuid, arrayType: 2951)
    /// `timestamptz[]`.
    public static let timestamp = Element(type: PostgresType.timestamptz, arrayType: 1185)
    /// `jsonb[]`.
    public static let json = Element(type: PostgresType.jsonb, arrayType: 3807)
  }

  let element: Element
  /// How many elements there are.
  public private(set) var count = 0
  /// Each element as its length, 32 bits, big-endian, and its bytes; −1 and nothing for NULL.
  private(set) var body: [UInt8] = []

  /// Makes an empty column.
  public init(_ element: Element) {
    self.element = element
  }

  /// Makes a column of texts.
  public init(texts: [String]) {
    self.init(.text)
    for text in texts { append(.text(text)) }
  }

  /// Makes a column of integers.
  public init(integers: some Sequence<Int64>) {
    self.init(.integer)
    for integer in integers { append(.integer(integer)) }
  }

  /// Adds an element.
  ///
  /// Precondition: the value is NULL or of the column's type.
  public mutating func append(_ value: PostgresValue) {
    precondition(value.type == 0 || value.type == element.type, "a value of another type in an array of \(element)")
    count += 1
    value.encode(into: &body)
  }
}

extension PostgresValue {
  /// The type's number, 0 where PostgreSQL is to find out.
  var type: UInt32 {
    switch self {
    case .null: 0
    case .boolean: PostgresType.bool
    case .integer: PostgresType.int8
    case .double: PostgresType.float8
    case .text: PostgresType.text
    case .bytes: PostgresType.bytea
    case .id: PostgresType.uuid
    case .timestamp: PostgresType.timestamptz
    case .json: PostgresType.jsonb
    case .array(let array): array.element.arrayType
    }
  }

  /// Appends the value's length and bytes, as they stand in arrays and in binary COPY.
  func encode(into bytes: inout [UInt8]) {
    if case .null = self {
      bytes.append(bigEndian: UInt32.max)
      return
    }
    let start = bytes.count
    bytes.append(bigEndian: UInt32(0))
    switch self {
    case .null: break
    case .boolean(let value): bytes.append(value ? 1 : 0)
    case .integer(let value): bytes.append(bigEndian: UInt64(bitPattern: value))
    case .double(let value): bytes.append(bigEndian: value.bitPattern)
    case .text(let value): bytes.append(contentsOf: value.utf8)
    case .bytes(let value): bytes.append(contentsOf: value)
    case .id(let value):
      bytes.append(bigEndian: value.high)
      bytes.append(bigEndian: value.low)
    case .timestamp(let value):
      let (shifted, overflow) = value.subtractingReportingOverflow(PostgresType.epochMicroseconds)
      bytes.append(bigEndian: UInt64(bitPattern: overflow ? .min : shifted))
    case .json(let value):
      bytes.append(1)
      bytes.append(contentsOf: value)
    case .array(let array):
      bytes.append(bigEndian: UInt32(1))  // dimensions
      bytes.append(bigEndian: UInt32(1))  // may hold NULL
      bytes.append(bigEndian: array.element.type)
      bytes.append(bigEndian: UInt32(truncatingIfNeeded: array.count))
      bytes.append(bigEndian: UInt32(1))  // lower bound
      bytes.append(contentsOf: array.body)
    }
    let length = UInt32(truncatingIfNeeded: bytes.count - start - 4)
    for place in 0..<4 { bytes[start + place] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * place)) }
  }
}

extension [UInt8] {
  mutating func append(bigEndian value: some FixedWidthInteger & UnsignedInteger) {
    var shift = value.bitWidth - 8
    while shift >= 0 {
      append(UInt8(truncatingIfNeeded: value >> shift))
      shift -= 8
    }
  }
}
