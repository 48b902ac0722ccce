internal import FraudCore

/// Memory that reading takes, kept from row group to row group and from file to file.
struct ParquetMemory: ~Copyable {
  let zstd = ZstdDecompressor()
  fileprivate(set) var chunks: [ChunkMemory] = []
}

/// Some columns of one row group, read side by side.
///
/// Texts lie in an arena that the caller owns: dictionaries first, up to ``arenaBase``, which stay for the whole row
/// group, then the texts of the rows being read, which the caller drops when it goes on.
struct RowGroupCursor {
  private let file: ParquetFile
  private let columns: [Int]
  private let rowGroup: Int
  private var readers: [ColumnChunkReader] = []
  private(set) var rowsLeft: Int
  private(set) var arenaBase = 0

  /// Opens a row group. What the arena held is dropped.
  init(
    _ file: ParquetFile, columns: [Int], rowGroup: Int, verifiesChecksums: Bool, _ memory: inout ParquetMemory,
    arena: inout [UInt8]
  ) throws(StoreError) {
    self.file = file
    self.columns = columns
    self.rowGroup = rowGroup
    rowsLeft = Int(file.metadata.rowGroups[rowGroup].rowCount)
    arena.removeAll(keepingCapacity: true)
    for column in columns {
      do throws(StoreError) {
        var reader = try ColumnChunkReader(
          file, column: column, rowGroup: rowGroup, verifiesChecksums: verifiesChecksums,
          memory: memory.chunks.popLast() ?? ChunkMemory())
        try reader.start(memory.zstd, arena: &arena)
        readers.append(reader)
      } catch {
        throw error.at(place(column))
      }
    }
    arenaBase = arena.count
  }

  /// Reads the next rows of one of the columns, by its number among them; see ``ColumnChunkReader``.
  mutating func read(
    _ number: Int, rows: Int, _ zstd: borrowing ZstdDecompressor, words: inout [UInt64], at base: Int,
    validity: inout [UInt64], bitBase: Int, arena: inout [UInt8]
  ) throws(StoreError) {
    do throws(StoreError) {
      try readers[number].read(
        rows, zstd, words: &words, at: base, validity: &validity, bitBase: bitBase, arena: &arena)
    } catch {
      throw error.at(place(columns[number]))
    }
  }

  /// Ends reading and gives back what it was done with.
  mutating func release(to memory: inout ParquetMemory) {
    // The last one first, so that the next row group's columns find what the same ones left.
    while let reader = readers.popLast() { memory.chunks.append(reader.release()) }
  }

  /// Takes note that so many rows of every column have been read.
  mutating func advance(_ rows: Int) {
    rowsLeft -= rows
  }

  func place(_ column: Int) -> String {
    "\(file.source.name): row group \(rowGroup), column '\(file.columns[column].name)'"
  }
}
