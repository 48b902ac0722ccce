package import FraudCore

/// Runs a pipeline over archived events, as if it had been in force then, and compares it with another version.
///
/// Each partition has an engine of its own that sees its events in the order of their offsets, as in `process`; state and
/// windows are the engine's own. Events before the time asked for fill the windows and are not counted: all that the
/// archive has, unless ``Settings/warmUp`` says less. Events after it are left alone.
package struct Backtest: Sendable {
  /// One version of a pipeline.
  package struct Version: Sendable {
    package var name: String
    package var pipeline: Pipeline
    package var lists: [String: ListValues]

    /// - Parameter name: what reports call it.
    package init(name: String, pipeline: Pipeline, lists: [String: ListValues] = [:]) {
      self.name = name
      self.pipeline = pipeline
      self.lists = lists
    }

    fileprivate var eventTime: String? { pipeline.definition.eventTime?.field }
  }

  /// What is read, and what it is held against.
  package struct Settings: Sendable {
    /// Whose events: the name of a pipeline in the archive.
    package var archivedPipeline: String
    /// Events of these times count, in microseconds since 1970; all where it is `nil`.
    package var times: ClosedRange<Int64>?
    /// How far before them events are read to fill windows, in microseconds; without it as far as the archive reaches.
    package var warmUp: Int64?
    /// Labels by event id, which win over the pipeline's field.
    package var labels: [String: Bool]?
    /// The field that says what an event is worth.
    package var amountField: String?

    package init(archivedPipeline: String) { self.archivedPipeline = archivedPipeline }
  }

  /// Where results are written while they are found: paths, or `-` for stdout.
  package struct Outputs: Sendable {
    /// The alerts of the version that is tried, as `score` writes them.
    package var alerts: String?
    /// Every event that the versions decide otherwise, as NDJSON.
    package var changes: String?

    package init(alerts: String? = nil, changes: String? = nil) {
      self.alerts = alerts
      self.changes = changes
    }
  }

  private let directory: ArchiveDirectory
  private let tried: Version
  private let against: Version?
  private let settings: Settings

  /// - Parameters:
  ///   - tried: the version that is tried.
  ///   - against: the one that it is compared with.
  package init(_ directory: ArchiveDirectory, tried: Version, against: Version? = nil, settings: Settings) {
    self.directory = directory
    self.tried = tried
    self.against = against
    self.settings = settings
  }

  /// Reads the archive.
  ///
  /// - Parameter observe: told now and then how many events were read; where it says `false`, the run ends there.
  /// - Throws: ``StoreError`` where the archive cannot be read as events of these pipelines, or an output not written.
  /// - Complexity: memory of one partition's state in each version, and of a page a column.
  package func run(
    _ outputs: Outputs = Outputs(), observe: (Int) -> Bool = { _ in true }
  ) throws(StoreError) -> BacktestReport {
    var alerts = try outputs.alerts.map { path throws(StoreError) in try BacktestOutput(path) }
    var changes = try outputs.changes.map { path throws(StoreError) in try BacktestOutput(path) }
    var mine = BacktestSide(tried, settings, directory)
    var theirs = against.map { BacktestSide($0, settings, directory) }
    var report = BacktestReport(
      archivedPipeline: settings.archivedPipeline, triedName: tried.name, tried: mine.tally)
    report.times = settings.times
    report.againstName = against?.name
    var eventCount = 0
    partitions: for files in try directory.partitions(ofPipeline: settings.archivedPipeline) {
      let files = try wanted(files)
      if files.isEmpty { continue }
      report.partitionCount += 1
      mine.begin(files)
      theirs?.begin(files)
      while try mine.next() {
        _ = try theirs?.next()
        eventCount += mine.rowCount
        if alerts != nil { try alerts?.write { mine.appendAlerts(to: &$0) } }
        if let view = theirs?.view {
          for change in mine.view.changes(from: view) {
            report.observe(change)
            try changes?.write {
              change.append(to: &$0)
              $0.append(UInt8(ascii: "\n"))
            }
          }
        }
        if !observe(eventCount) {
          report.isCutShort = true
          break partitions
        }
      }
    }
    try alerts?.finish()
    try changes?.finish()
    report.tried = mine.tally
    report.against = theirs?.tally
    report.sortChanges()
    return report
  }

  /// The files of a partition that are read.
  private func wanted(_ files: [ArchiveFile]) throws(StoreError) -> [ArchiveFile] {
    guard let times = settings.times else { return files }
    let versions = [tried] + (against.map { [$0] } ?? [])
    func holds(_ times: ClosedRange<Int64>, _ file: ArchiveFile) throws(StoreError) -> Bool {
      for version in versions
      where try directory.mayHold(times, eventTime: version.eventTime, in: file) { return true }
      return false
    }
    var first = 0
    var end = files.count
    while end > 0, try !holds(times, files[end - 1]) { end -= 1 }
    if versions.allSatisfy(\.pipeline.features.isEmpty) {
      while first < end, try !holds(times, files[first]) { first += 1 }
    } else if let warmUp = settings.warmUp {
      let (start, isBeyond) = times.lowerBound.subtractingReportingOverflow(warmUp)
      while first < end, try !holds((isBeyond ? .min : start)...times.upperBound, files[first]) { first += 1 }
    }
    return Array(files[first..<end])
  }
}

/// One version at work.
private struct BacktestSide: ~Copyable {
  private let version: Backtest.Version
  private let settings: Backtest.Settings
  private let directory: ArchiveDirectory
  private let amount: Int?
  private(set) var tally: BacktestTally
  private var engine: Engine
  private var reader: ArchivePartitionReader
  private var rows = BacktestRows()
  private var labels = BacktestLabels()
  private var alertText: AlertText

  init(_ version: Backtest.Version, _ settings: Backtest.Settings, _ directory: ArchiveDirectory) {
    self.version = version
    self.settings = settings
    self.directory = directory
    let pipeline = version.pipeline
    amount = settings.amountField.flatMap { pipeline.layout.index(of: $0) }
    tally = BacktestTally(
      pipeline: pipeline, hasLabels: settings.labels != nil || pipeline.definition.label != nil, amount: amount)
    engine = Engine(pipeline, lists: version.lists)
    reader = ArchivePartitionReader(
      directory, files: [], schema: pipeline.definition.schema, layout: pipeline.layout)
    alertText = AlertText(pipeline: pipeline, version: nil, source: EventSource(topic: ""))
  }

  /// Starts a partition, of which nothing is remembered yet.
  mutating func begin(_ files: [ArchiveFile]) {
    let pipeline = version.pipeline
    engine = Engine(pipeline, lists: version.lists)
    reader = ArchivePartitionReader(
      directory, files: files, schema: pipeline.definition.schema, layout: pipeline.layout)
  }

  /// Reads and decides the next events of the partition; whether there were any.
  mutating func next() throws(StoreError) -> Bool {
    let before = reader.batch.source
    guard try reader.next() else { return false }
    let pipeline = version.pipeline
    if reader.batch.source != before {
      alertText = AlertText(pipeline: pipeline, version: nil, source: reader.batch.source)
    }
    if let times = settings.times, let warmUp = settings.warmUp {
      let (start, isBeyond) = times.lowerBound.subtractingReportingOverflow(warmUp)
      rows.select((isBeyond ? .min : start)...Int64.max, in: reader.batch, of: pipeline)
      let kept = (0..<reader.batch.rowCount).filter { rows.contains($0) }
      if kept.count < reader.batch.rowCount { reader.batch.keep(rows: kept) }
    }
    rows.select(settings.times, in: reader.batch, of: pipeline)
    labels.take(reader.batch, of: pipeline, given: settings.labels)
    if rows.isEmpty { engine.remember(&reader.batch) } else { engine.evaluate(&reader.batch) }
    tally.count(reader.batch, of: engine, rows: rows, labels: labels)
    tally.count(rejected: reader.rejected, times: settings.times)
    return true
  }

  var rowCount: Int { reader.batch.rowCount }

  var view: BacktestView {
    BacktestView(reader.batch, of: engine, rows: rows, labels: labels, amount: amount)
  }

  func appendAlerts(to text: inout [UInt8]) {
    for draft in engine.alerts where rows.contains(Int(draft.row)) {
      alertText.append(draft, of: engine, batch: reader.batch, to: &text)
    }
  }
}

/// A file that lines are gathered for.
private struct BacktestOutput: ~Copyable {
  private var file: OutputFile
  private var text: [UInt8] = []

  init(_ path: String) throws(StoreError) {
    file = try OutputFile(path: path)
  }

  mutating func write(_ body: (inout [UInt8]) -> Void) throws(StoreError) {
    body(&text)
    if text.count > 1 << 18 { try drain() }
  }

  /// Writes what is gathered and gives the file its name.
  mutating func finish() throws(StoreError) {
    try drain()
    try file.finish()
  }

  private mutating func drain() throws(StoreError) {
    _ = try file.write(text)
    text.removeAll(keepingCapacity: true)
  }
}
