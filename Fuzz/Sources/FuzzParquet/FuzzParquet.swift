import FraudCore
import FraudStore

/// Reads any bytes as a Parquet file in every way there is. Whatever they are, the reader answers with rows or an error:
/// a trap, a hang or memory without bounds is a fault.
private func fuzzParquet(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
  guard let file = try? ParquetFile(ByteSource(bytes)) else { return 0 }
  // A few bytes may promise rows without end, which streaming readers take one block at a time.
  guard file.metadata.rowGroups.count < 100, file.metadata.rowGroups.allSatisfy({ $0.rowCount < 100_000 }) else {
    return 0
  }
  for column in file.columns.indices where file.columns[column].isFlat {
    guard var rows = try? ParquetRowReader(file, columns: [column], verifiesChecksums: false) else { continue }
    var text: [UInt8] = []
    do {
      while let values = try rows.next() {
        text.removeAll(keepingCapacity: true)
        values[0].appendJSON(to: &text)
      }
    } catch {}
    _ = try? file.rowGroups(holding: .text("EUR"), in: file.columns[column].name)
    _ = try? file.rowGroups(holding: .integers(0...9), in: file.columns[column].name)
  }
  for type in FieldType.allCases { readBatches(file, type) }
  return 0
}

/// Reads the columns that can be of a type into batches.
private func readBatches(_ file: ParquetFile, _ type: FieldType) {
  for leaf in file.columns where leaf.isFlat {
    let schema = Schema(fields: [Field(name: leaf.name, type: type, unit: .seconds)])
    guard
      var reader = try? ParquetBatchReader(
        file, schema: schema, layout: ColumnLayout(schema: schema), verifiesChecksums: false)
    else { continue }
    do { while try reader.next() {} } catch {}
  }
}

/// libFuzzer's own main, which SwiftPM's executables have no place for.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
  _ argumentCount: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The executable's entry, by the name that SwiftPM gives it.
@_cdecl("FuzzParquet_main")
public func main(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
  var (count, arguments) = unsafe (count, arguments)
  return unsafe runFuzzer(&count, &arguments) { unsafe fuzzParquet($0, $1) }
}
