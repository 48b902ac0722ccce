import Foundation

/// The files that a list of inputs names.
package enum InputFiles {
  /// Files of folders in the order of their paths, everything else as it stands.
  ///
  /// In a folder, hidden files and those with other endings than `.ndjson`, `.jsonl`, `.json`, `.csv` and `.parquet`, each
  /// also with `.zst`, are left alone.
  ///
  /// - Throws: ``StoreError`` with code `file` where an input does not exist, or a folder holds nothing to read.
  package static func expand(_ inputs: [String]) throws(StoreError) -> [String] {
    var files: [String] = []
    for input in inputs {
      var isFolder: ObjCBool = false
      guard input != "-" else {
        files.append(input)
        continue
      }
      guard unsafe FileManager.default.fileExists(atPath: input, isDirectory: &isFolder) else {
        throw StoreError(code: .file, message: "there is no file \(input)")
      }
      guard isFolder.boolValue else {
        files.append(input)
        continue
      }
      let paths = FileManager.default.enumerator(atPath: input)?.compactMap { $0 as? String } ?? []
      let found = paths.filter(isReadable).sorted()
      guard !found.isEmpty else {
        throw StoreError(code: .file, message: "the folder \(input) holds no .ndjson, .csv or .parquet file")
      }
      files += found.map { input.hasSuffix("/") ? input + $0 : "\(input)/\($0)" }
    }
    return files
  }

  private static let endings = [".ndjson", ".jsonl", ".json", ".csv"].flatMap { [$0, $0 + ".zst"] } + [".parquet"]

  private static func isReadable(_ path: String) -> Bool {
    let parts = path.split(separator: "/")
    guard !parts.contains(where: { $0.hasPrefix(".") || $0.hasPrefix("_") }) else { return false }
    return endings.contains { path.hasSuffix($0) }
  }
}
