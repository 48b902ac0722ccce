// Parquet's metadata as far as flat files need it. What is not listed here is skipped when read and never written.
//
// Source: src/main/thrift/parquet.thrift of apache/parquet-format, whose names and numbers these types keep.

/// A footer: what a file holds and where.
package struct ParquetMetadata: Sendable {
  package var version: Int32 = 2
  /// The schema tree, depth first, the root first.
  package var schema: [SchemaElement] = []
  package var rowCount: Int64 = 0
  package var rowGroups: [RowGroupMetadata] = []
  package var keyValues: [KeyValue] = []
  package var createdBy: String?
  /// Per column, whether its statistics follow the order of its type.
  var columnOrders: [Bool] = []

  package struct KeyValue: Sendable, Hashable {
    package var key: String
    package var value: String?
  }
}

enum PhysicalType: Int32, Sendable {
  case boolean
  case int32
  case int64
  case int96
  case float
  case double
  case byteArray
  case fixedLengthByteArray
}

enum Repetition: Int32, Sendable {
  case required
  case optional
  case repeated
}

/// The older annotations of a column's meaning.
enum ConvertedType: Int32, Sendable {
  case utf8
  case map
  case mapKeyValue
  case list
  case `enum`
  case decimal
  case date
  case timeMilliseconds
  case timeMicroseconds
  case timestampMilliseconds
  case timestampMicroseconds
  case uint8
  case uint16
  case uint32
  case uint64
  case int8
  case int16
  case int32
  case int64
  case json
  case bson
  case interval
}

enum TimeUnit: Int32, Sendable {
  case milliseconds = 1
  case microseconds
  case nanoseconds
}

/// The newer annotations of a column's meaning.
enum LogicalType: Sendable, Hashable {
  case string
  case `enum`
  case json
  case decimal(scale: Int32, precision: Int32)
  case date
  case time(TimeUnit)
  case timestamp(TimeUnit, isUTC: Bool)
  case integer(bits: Int8, isSigned: Bool)
  case uuid
  case float16
  /// Any other, by its number in the union: nothing to us but bytes.
  case other(Int32)
}

package struct SchemaElement: Sendable {
  var type: PhysicalType?
  var typeLength: Int32 = 0
  var repetition: Repetition?
  var name = ""
  var childCount: Int32 = 0
  var convertedType: ConvertedType?
  var scale: Int32 = 0
  var precision: Int32 = 0
  var logicalType: LogicalType?
}

package struct RowGroupMetadata: Sendable {
  package var columns: [ColumnChunkMetadata] = []
  package var totalByteCount: Int64 = 0
  package var rowCount: Int64 = 0
  package var sortingColumns: [SortingColumn] = []
  package var fileOffset: Int64?
  package var totalCompressedByteCount: Int64?
  var ordinal: Int16?

  package struct SortingColumn: Sendable, Hashable {
    package var column: Int32
    package var descending: Bool
    package var nullsFirst: Bool
  }
}

enum Encoding: Int32, Sendable, Comparable {
  case plain = 0
  case plainDictionary = 2
  case rle
  case bitPacked
  case deltaBinaryPacked
  case deltaLengthByteArray
  case deltaByteArray
  case rleDictionary
  case byteStreamSplit

  static func < (a: Encoding, b: Encoding) -> Bool { a.rawValue < b.rawValue }
}

/// How pages are compressed.
enum Codec: Int32, Sendable {
  case uncompressed
  case snappy
  case gzip
  case lzo
  case brotli
  case lz4
  case zstd
  case lz4Raw
}

enum PageType: Int32, Sendable {
  case data
  case index
  case dictionary
  case dataV2
}

package struct ColumnChunkMetadata: Sendable {
  var filePath: String?
  var fileOffset: Int64 = 0
  var type: PhysicalType = .boolean
  /// As numbers, since a file may name encodings that we do not know and never use them.
  var encodings: [Int32] = []
  var path: [String] = []
  var codec: Int32 = 0
  var valueCount: Int64 = 0
  package var uncompressedByteCount: Int64 = 0
  package var compressedByteCount: Int64 = 0
  var dataPageOffset: Int64 = 0
  var dictionaryPageOffset: Int64?
  var statistics: ChunkStatistics?
  var encodingStatistics: [PageEncodingCount] = []
  var bloomFilterOffset: Int64?
  var bloomFilterByteCount: Int32?
  var offsetIndexOffset: Int64?
  var offsetIndexByteCount: Int32?
  var columnIndexOffset: Int64?
  var columnIndexByteCount: Int32?
  var isEncrypted = false
  var hasMetadata = false

  struct PageEncodingCount: Sendable, Hashable {
    var page: PageType
    var encoding: Encoding
    var count: Int32
  }
}

/// The least and greatest value as plain encoding writes them (byte arrays without their length), and counts.
struct ChunkStatistics: Sendable, Hashable {
  var nullCount: Int64?
  var distinctCount: Int64?
  var maximum: [UInt8]?
  var minimum: [UInt8]?
  var isMaximumExact: Bool?
  var isMinimumExact: Bool?
}

struct PageHeader: Sendable {
  var type: PageType = .data
  var uncompressedByteCount: Int32 = 0
  var compressedByteCount: Int32 = 0
  var checksum: Int32?
  var valueCount: Int32 = 0
  var encoding: Int32 = 0
  /// The encoding of the definition levels of a v1 page; v2 pages always use ``Encoding/rle``.
  var levelEncoding: Int32 = Encoding.rle.rawValue
  /// Of v2 pages only.
  var nullCount: Int32 = 0
  var rowCount: Int32 = 0
  var definitionByteCount: Int32 = 0
  var repetitionByteCount: Int32 = 0
  var isCompressed = true
  /// Whether the part that fits the type was there.
  var hasDetails = false
}

/// Where a column chunk's data pages lie.
struct OffsetIndex: Sendable {
  var pages: [PageLocation] = []

  struct PageLocation: Sendable, Hashable {
    var offset: Int64
    var byteCount: Int32
    var firstRow: Int64
  }
}

/// What the data pages of a column chunk hold, for skipping.
struct ColumnIndex: Sendable {
  var nullPages: [Bool] = []
  var minimums: [[UInt8]] = []
  var maximums: [[UInt8]] = []
  var boundaryOrder: BoundaryOrder = .unordered
  var nullCounts: [Int64] = []

  enum BoundaryOrder: Int32, Sendable {
    case unordered
    case ascending
    case descending
  }
}
