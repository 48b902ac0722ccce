extension Experiment {
  /// Whether a version that is in force for a share of the keys decides a key's events; its control decides the others'.
  ///
  /// Any program can tell: XXH64 with seed 0 of the word `version`, a zero byte, the pipeline's name, a zero byte and the
  /// key's text, modulo 10,000, is below the share times 10,000. It does not depend on the version, so that the keys of a
  /// smaller share are among those of a larger one.
  ///
  /// - Parameters:
  ///   - key: The key's text; an integer in decimal digits.
  ///   - share: Of all keys, in basis points.
  public static func isTreated(pipeline: String, key: String, share: Int) -> Bool {
    isTreated(prefix(ofPipeline: pipeline) + Array(key.utf8), share: share)
  }

  static func prefix(ofPipeline name: String) -> [UInt8] { Array("version\0\(name)\0".utf8) }
}

/// Which rows of a batch a version decides that is in force for a share of the keys, and which its control.
struct VersionArms: Sendable {
  /// In basis points.
  let share: Int
  private let key: Int
  /// What the keys' texts are hashed behind.
  private let prefix: [UInt8]
  /// The rows that the version decides, and all others.
  private(set) var treated: [UInt64] = []
  private(set) var control: [UInt64] = []
  /// Of the others, those without a key, which are in neither arm.
  private var keyless: [UInt64] = []
  private var text: [UInt8] = []

  /// - Returns: nil where the pipeline is in force for every key.
  init?(_ pipeline: Pipeline) {
    guard let share = pipeline.definition.share,
      let key = pipeline.definition.key.flatMap({ pipeline.layout.index(of: $0) })
    else { return nil }
    self.share = share
    self.key = key
    prefix = Experiment.prefix(ofPipeline: pipeline.definition.name)
  }

  /// Finds the arms of a batch's rows.
  mutating func divide(_ batch: EventBatch) {
    let words = (batch.rowCount + 63) / 64
    treated = [UInt64](repeating: 0, count: words)
    (control, keyless) = (treated, treated)
    for row in 0..<batch.rowCount {
      let bit = 1 << UInt64(row & 63) as UInt64
      guard batch.isValid(column: key, row: row) else {
        control[row >> 6] |= bit
        keyless[row >> 6] |= bit
        continue
      }
      text.removeAll(keepingCapacity: true)
      text.append(contentsOf: prefix)
      batch.appendKey(column: key, row: row, to: &text)
      if Experiment.isTreated(text, share: share) { treated[row >> 6] |= bit } else { control[row >> 6] |= bit }
    }
  }

  func isTreated(row: Int) -> Bool { treated[row >> 6] >> UInt64(row & 63) & 1 == 1 }

  /// Adds a batch's events and both versions' decisions to the counts of the arms.
  func count(
    _ decisions: Decisions, _ controlDecisions: Decisions, of batch: EventBatch, label: Int?,
    into counts: inout RunSummary.ExperimentCounts
  ) {
    counts.treated.add(decisions, of: batch, rows: treated, label: label)
    let rows = zip(control, keyless).map { $0 & ~$1 }
    counts.control.add(controlDecisions, of: batch, rows: rows, label: label)
  }
}
