/// Where one bit a row comes from.
///
/// A node's outcome for a row is a value, NULL or an error. Bitmaps tell which: `valid` has the rows with a value, `error` the
/// rows that raise; the two share no row, and NULL is what is in neither.
enum BitSource: Sendable, Hashable {
  case none
  case all
  /// The values of a boolean column.
  case column(Int)
  /// The validity of a column.
  case validity(Int)
  /// A bitmap of the evaluator.
  case bitmap(Int)
}

/// Where one word a row comes from: an integer, a double's bits, or a text's slice.
enum WordSource: Sendable, Hashable {
  case column(Int)
  case register(Int)
  case constant(UInt64)
}

/// Where a node's values are, by what they are in memory.
enum ValueSource: Sendable, Hashable {
  /// BOOLEAN. Rows without a value are 0.
  case bits(BitSource)
  /// Integers, dates, timestamps and intervals as `Int64`, FLOAT and DOUBLE as bits of a double.
  case words(WordSource)
  /// A ``TextSlice``: of the batch's bytes for a column, else of the evaluator's own.
  case text(WordSource)
  case decimals(Int)
  case decimal(Int128)
  /// An untyped NULL.
  case nothing
}

/// A node's outcome: type, values, and which rows have one.
struct Operand: Sendable, Hashable {
  var type: DataType
  var value: ValueSource
  var valid: BitSource = .all
  var error: BitSource = .none

  /// The rows where a boolean is TRUE.
  var truth: BitSource {
    switch value {
    case .bits(let source): source
    case .nothing: .none
    default: preconditionFailure("\(type) is no boolean")
    }
  }

  var isAlwaysValid: Bool { valid == .all }
}

extension DataType {
  /// How values of the type are held.
  enum Representation {
    case bits, integers, doubles, text, decimals, nothing
  }

  var representation: Representation {
    switch self {
    case .boolean: .bits
    case .tinyint, .smallint, .int, .bigint, .date, .timestamp, .dayTimeInterval, .yearMonthInterval: .integers
    case .float, .double: .doubles
    case .string: .text
    case .decimal: .decimals
    case .null: .nothing
    }
  }
}
