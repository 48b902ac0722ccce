import FraudCore
import Synchronization
import TestRandom

/// What went wrong with a simulated commit.
struct SimulatedFailure: CommitFailure {
  var isRetryable = false
  var isFenced = false
  var isUndone = false
}

/// The end of a process, wherever it was.
struct Death: Error {}

/// Whether a process still lives, and which record killed it.
final class Life: Sendable {
  struct Place: Sendable, Hashable {
    var topic: String
    var partition: Int32
    var offset: Int64
  }

  private let state = Mutex((isOver: false, cause: Place?.none))

  var isOver: Bool { state.withLock { $0.isOver } }
  var cause: Place? { state.withLock { $0.cause } }

  /// Nothing that it does from now on reaches anybody.
  func end(_ cause: Place? = nil) {
    state.withLock { if !$0.isOver { $0 = (true, cause) } }
  }
}

/// The database that all simulated processors share: partitions' rows, alerts and rejected events by their natural keys.
final class SimulatedDatabase {
  struct Row {
    var owner: Int
    var progress: PartitionProgress
    var isReleased = false
  }

  /// What a commit evaluated.
  struct Commit {
    var version: Int
    /// The offsets of each topic, the scored one first.
    var ranges: [Range<Int64>]
  }

  /// Bugs that the simulation must notice.
  enum Bug: CaseIterable {
    /// A commit does not ask whether its sender still owns the partition and starts where the row stands.
    case noFence
    /// A commit whose fence does not hold counts as one that was applied before.
    case alwaysCommitted
    /// A commit's rows become visible although its offsets do not.
    case notAtomic
    /// A commit's offsets become visible although its rows do not.
    case rowsLost
    /// Some deltas of the features are not kept.
    case deltaLost
    /// Deltas come back in another order than that of their commits.
    case deltasReversed
    /// The first delta comes back once more after the last.
    case deltaTwice
    /// Rewritten buckets are not kept, while the deltas that they stand for go.
    case bucketLost
    /// All deltas go as soon as the first buckets are rewritten.
    case deltasGoEarly
    /// Deltas stay although buckets stand for them.
    case deltasStay
    /// A version is said to hold from where its first commit ends.
    case activationLate
    /// The state goes on from a former owner's last commit although the offsets do not.
    case stateAhead
    /// The record that a dead owner had in hand is taken for the one that killed it.
    case everyNoteIsATrial
    /// A trial that was survived stays on record.
    case trialStays
    /// The record that an owner has in hand is not noted.
    case notesLost
    /// An owner that leaves in the midst of its care leaves as if it had been through.
    case releaseEndsCare
    /// A process that starts takes a version that is in force for a share of the keys for one that decides all.
    case controlForgotten
    /// What the arms of a version count becomes visible apart from the offsets.
    case armsApart
    /// Some commits do not move the offset of the last stream that they read.
    case streamStays
    /// A commit whose fence does not hold moves the streams all the same.
    case streamAhead
    /// Some commits' ranges are not on record.
    case rangesLost
    /// A note does not say which topic its record is of.
    case notesWithoutTopic
    /// A commit forgets those that are still under suspicion.
    case suspectsForgotten
    /// A commit's record says that it read one event more of a stream, and the next one less.
    case rangesShifted
    /// The scored event comes before the streams' events of its instant: planted in what is expected, since the order is the
    /// processor's own.
    case scoredFirst
    /// Commits that a crash of the database took back are not noticed before the next commit.
    case neverSettled
  }

  /// What is stored of a partition's features.
  struct Stored {
    var buckets: [Int: (asOf: Int64, bytes: [UInt8])] = [:]
    var deltas: [Int64: [UInt8]] = [:]
  }

  /// Everything that transactions change.
  struct Content {
    var rows: [EventSource: Row] = [:]
    var states: [EventSource: Stored] = [:]
    var alerts: [UniqueID: Alert] = [:]
    var shadowAlerts: [UniqueID: Alert] = [:]
    var rejected: [String: RejectedRecord] = [:]
    var arms: [ArmPlace: RunSummary.Arm] = [:]
    /// From which offset of a partition which version decided.
    var activations: [EventSource: [(from: Int64, version: Int)]] = [:]
    /// What each commit evaluated.
    var commits: [EventSource: [Commit]] = [:]
  }

  private var content = Content()
  /// What it was before each transaction that did not wait for the disk, since the last one that did.
  private var former: [Content] = []
  /// Whether commits wait for the disk.
  let isDurable: Bool
  /// The version in force.
  var version = 1
  /// Rows that were there already: the fence let something through that it should not have.
  var conflicts = 0
  /// How many owners in a row each record has killed, and the most.
  private var crashes: [Life.Place: Int] = [:]
  private(set) var mostCrashes = 0
  private var applied = 0
  var isAway = false
  /// Commits under way whose connection is gone; they may still come to their end.
  var inFlight: [(unit: CommitUnit, owner: Int)] = []
  let bug: Bug?

  init(bug: Bug? = nil, isDurable: Bool = true) {
    self.bug = bug
    self.isDurable = isDurable
  }

  var rows: [EventSource: Row] {
    get { content.rows }
    _modify { yield &content.rows }
  }
  var states: [EventSource: Stored] {
    get { content.states }
    _modify { yield &content.states }
  }
  var alerts: [UniqueID: Alert] {
    get { content.alerts }
    _modify { yield &content.alerts }
  }
  var shadowAlerts: [UniqueID: Alert] {
    get { content.shadowAlerts }
    _modify { yield &content.shadowAlerts }
  }
  var rejected: [String: RejectedRecord] {
    get { content.rejected }
    _modify { yield &content.rejected }
  }
  var arms: [ArmPlace: RunSummary.Arm] {
    get { content.arms }
    _modify { yield &content.arms }
  }
  var commits: [EventSource: [Commit]] {
    get { content.commits }
    _modify { yield &content.commits }
  }
  var activations: [EventSource: [(from: Int64, version: Int)]] {
    get { content.activations }
    _modify { yield &content.activations }
  }

  /// A transaction is about to change something.
  func begin(waitingForDisk: Bool) { if !waitingForDisk { former.append(content) } }

  /// A transaction has waited for the disk, and so for all before it.
  func settle() { former = [] }

  /// The server ends without a word and starts again: what was not on its disk is gone, from some transaction on.
  func fallOver(_ random: inout SeededGenerator) {
    inFlight = []
    let kept = Int.random(in: 0...former.count, using: &random)
    if kept < former.count {
      content = former[kept]
      // Of notes, too.
      crashes = [:]
    }
    former = []
  }

  /// - Parameter blamed: the trials that this owner found when it took the partition from another.
  func take(
    _ source: EventSource, owner: Int, startOffset: Int64, blamed: [PartitionProgress.NotedRecord]
  ) -> PartitionProgress {
    defer { settle() }
    if var row = rows[source] {
      if !row.isReleased {
        row.progress.crashCount = row.owner == owner ? max(1, row.progress.crashCount) : row.progress.crashCount + 1
        if row.owner == owner, row.progress.noted.contains(where: { $0.isTrial && !blamed.contains($0) }) {
          for index in row.progress.noted.indices where !blamed.contains(row.progress.noted[index]) {
            row.progress.noted[index].isTrial = false
          }
          crashes = crashes.filter { $0.key.partition != source.partition }
        }
      }
      row.owner = owner
      row.progress.epoch += 1
      row.isReleased = false
      if row.progress.crashCount >= 2 * Limits.crashesBeforeCommitCare {
        // After so many crashes one record's note gives way to another's.
        crashes = crashes.filter { $0.key.partition != source.partition }
      }
      if bug == .everyNoteIsATrial {
        for index in row.progress.noted.indices { row.progress.noted[index].isTrial = true }
      }
      if bug == .notesWithoutTopic {
        for index in row.progress.noted.indices { row.progress.noted[index].topic = source.topic }
      }
      rows[source] = row
      return row.progress
    }
    let progress = PartitionProgress(
      pipelineID: 1, source: source, epoch: 1, startOffset: startOffset, nextOffset: startOffset, sequence: 0,
      batchID: nil, pipelineVersion: nil, watermark: nil, maxEventTime: nil, counts: EventCounts())
    rows[source] = Row(owner: owner, progress: progress)
    return progress
  }

  /// An owner died: of a record, or by chance. What nobody owns any more may die as it likes.
  func countDeath(of member: Int, cause: Life.Place?) {
    let owned = Set(rows.lazy.filter { $0.value.owner == member }.map(\.key.partition))
    if let cause, owned.contains(cause.partition) {
      crashes[cause, default: 0] += 1
      mostCrashes = max(mostCrashes, crashes[cause] ?? 0)
    } else {
      // Several kills from outside may undo what was found out.
      crashes = crashes.filter { !owned.contains($0.key.partition) }
    }
  }

  /// One transaction. `nil` where the fence does not hold.
  func apply(_ unit: CommitUnit, owner: Int) -> CommitOutcome? {
    for advance in unit.advances {
      guard let row = rows[advance.progress.source] else { return nil }
      let same =
        row.owner == owner && !row.isReleased && row.progress.epoch == advance.progress.epoch
        && row.progress.nextOffset == advance.progress.nextOffset && row.progress.sequence == advance.progress.sequence
      if !same, bug != .noFence {
        if bug == .notAtomic { write(unit) }
        if bug == .armsApart { count(unit) }
        if bug == .stateAhead { write(advance) }
        if bug == .streamAhead { rows[advance.progress.source]?.progress.streams = advance.streams.map(\.progress) }
        return nil
      }
    }
    var moved: [PartitionProgress] = []
    let isDurable = self.isDurable || unit.advances.contains { $0.progress.isSuspected }
    begin(waitingForDisk: isDurable)
    defer { if isDurable { settle() } }
    for advance in unit.advances {
      var progress = advance.progress
      progress.nextOffset = advance.nextOffset
      progress.sequence += 1
      progress.batchID = unit.batchID
      progress.counts += advance.counts
      progress.state = advance.stateChange?.state
      progress.pipelineVersion = unit.pipelineVersion
      progress.crashCount = 0
      progress.noted = bug == .suspectsForgotten ? [] : advance.noted
      if advance.progress.pipelineVersion != unit.pipelineVersion {
        let from = bug == .activationLate ? advance.nextOffset : advance.progress.nextOffset
        activations[progress.source, default: []].append((from, unit.pipelineVersion))
      }
      move(&progress.streams, advance, version: unit.pipelineVersion)
      write(advance)
      rows[progress.source]?.progress = progress
      moved.append(progress)
    }
    applied += 1
    count(unit)
    if bug != .rowsLost || applied % 4 != 0 { write(unit) }
    return CommitOutcome(progress: moved, conflicts: 0, wasCommittedBefore: false)
  }

  private func count(_ unit: CommitUnit) {
    for advance in unit.advances {
      for experiment in advance.experiments { arms.add(experiment, of: advance.progress.source) }
    }
  }

  /// Moves the streams, and keeps what the commit evaluated.
  private func move(_ streams: inout [StreamProgress], _ advance: PartitionAdvance, version: Int) {
    let source = advance.progress.source
    var commit = Commit(version: version, ranges: [advance.progress.nextOffset..<advance.nextOffset])
    commit.ranges += advance.streams.map { $0.firstOffset..<$0.progress.nextOffset }
    var known = commits[source] ?? []
    if bug == .rangesShifted, let last = known.indices.last, last % 2 == 0, advance.streams.count > 0 {
      let place = 1
      let (before, next) = (known[last].ranges[place], commit.ranges[place])
      if !next.isEmpty {
        known[last].ranges[place] = before.lowerBound..<next.lowerBound + 1
        commit.ranges[place] = next.lowerBound + 1..<next.upperBound
      }
    }
    if bug != .rangesLost || advance.progress.sequence % 3 != 1 { known.append(commit) }
    commits[source] = known
    let before = streams
    streams = advance.streams.map(\.progress)
    if bug == .streamStays, applied % 4 == 1, let last = before.last, let index = streams.indices.last {
      streams[index].nextOffset = last.nextOffset
    }
  }

  private func write(_ unit: CommitUnit) {
    for alert in unit.alerts where alerts.updateValue(alert, forKey: alert.id) != nil { conflicts += 1 }
    for alert in unit.shadowAlerts where shadowAlerts.updateValue(alert, forKey: alert.id) != nil { conflicts += 1 }
    for event in unit.rejected {
      let key = Self.key(event)
      if rejected.updateValue(event, forKey: key) != nil { conflicts += 1 }
    }
  }

  static func key(_ event: RejectedRecord) -> String {
    "\(event.source.topic)/\(event.source.partition)/\(event.offset)"
  }

  private func write(_ advance: PartitionAdvance) {
    guard let change = advance.stateChange else {
      states[advance.progress.source] = nil
      return
    }
    var stored = states[advance.progress.source] ?? Stored()
    let sequence = advance.progress.sequence + 1
    if let delta = change.delta, bug != .deltaLost || sequence % 3 != 0 { stored.deltas[sequence] = delta }
    if bug != .bucketLost || sequence % 3 != 0 {
      for bucket in change.buckets { stored.buckets[bucket.number] = (sequence, bucket.bytes) }
    }
    let isRewriting = bug == .deltasGoEarly && !change.buckets.isEmpty
    let last = isRewriting ? sequence : bug == .deltasStay ? .min : change.state.snapshotSequence
    stored.deltas = stored.deltas.filter { $0.key > last }
    states[advance.progress.source] = stored
  }

  /// What is stored of a partition's features, as a committer reads it back.
  func state(of source: EventSource) -> [StoredBytes] {
    guard let stored = states[source] else { return [] }
    let buckets = stored.buckets.sorted { ($0.value.asOf, -$0.key) < ($1.value.asOf, -$1.key) }
    var deltas = stored.deltas.sorted { $0.key < $1.key }.map(\.value)
    if bug == .deltasReversed { deltas.reverse() }
    if bug == .deltaTwice { deltas += deltas.prefix(1) }
    return buckets.map { .bucket($0.value.bytes) } + deltas.map { .delta($0) }
  }

  func resolve(_ unit: CommitUnit, owner: Int) -> CommitOutcome? {
    var moved: [PartitionProgress] = []
    for advance in unit.advances {
      guard let row = rows[advance.progress.source] else { return nil }
      let isOurs =
        row.owner == owner && row.progress.epoch == advance.progress.epoch && row.progress.batchID == unit.batchID
      if bug == .alwaysCommitted {
        var progress = advance.progress
        progress.nextOffset = advance.nextOffset
        progress.state = advance.stateChange?.state
        progress.pipelineVersion = unit.pipelineVersion
        moved.append(progress)
      } else if isOurs {
        moved.append(row.progress)
      } else {
        return nil
      }
    }
    return CommitOutcome(progress: moved, conflicts: 0, wasCommittedBefore: true)
  }
}

/// One processor's connection to the database, with the faults of a network, and with the process dying before or after
/// any call.
final class SimulatedCommitter: Committer {
  private let database: SimulatedDatabase
  private let owner: Int
  private var random: SeededGenerator
  /// Once in how many calls something goes wrong; 0 for never.
  var faults: Int
  /// Once in how many calls the process dies; 0 for never.
  var deaths: Int
  let life = Life()
  /// The trials that partitions were taken with.
  private var blamed: [EventSource: [PartitionProgress.NotedRecord]] = [:]
  /// A record is being evaluated in its trial: killed from outside in this moment, the process would blame it.
  private(set) var isInTrial = false

  init(_ database: SimulatedDatabase, owner: Int, faults: Int, deaths: Int, seed: UInt64) {
    self.database = database
    self.owner = owner
    self.faults = faults
    self.deaths = deaths
    random = SeededGenerator(seed: seed)
  }

  func takeOwnership(pipelineID: Int, source: EventSource, startOffset: Int64) throws -> PartitionProgress {
    try mortal {
      if database.isAway || fails() { throw SimulatedFailure(isRetryable: true) }
      // A transaction under way holds the row's lock: it comes to its end first.
      settle(source)
      let progress = database.take(source, owner: owner, startOffset: startOffset, blamed: blamed[source] ?? [])
      blamed[source] = progress.noted.filter(\.isTrial)
      return progress
    }
  }

  func readState(of progress: PartitionProgress, _ body: (StoredBytes) throws -> Void) throws {
    try mortal {
      if database.isAway || fails() { throw SimulatedFailure(isRetryable: true) }
      for part in database.state(of: progress.source) { try body(part) }
    }
  }

  func commit(_ unit: CommitUnit) throws -> CommitOutcome {
    // A record that has made many owners crash is in its trial until its commit is done: the process neither dies by chance
    // before that nor is it kept from it, but it may not hear of it.
    let endsTrial = isInTrial
    defer { isInTrial = false }
    return try mortal {
      if database.isAway, !endsTrial { throw SimulatedFailure(isRetryable: true) }
      if fails() {
        switch endsTrial ? 1 : Int.random(in: 0..<3, using: &random) {
        case 0: break
        case 1: _ = database.apply(unit, owner: owner)
        default: database.inFlight.append((unit, owner))
        }
        throw SimulatedFailure(isRetryable: true)
      }
      for advance in unit.advances { settle(advance.progress.source) }
      if let outcome = database.apply(unit, owner: owner) { return outcome }
      if let outcome = database.resolve(unit, owner: owner) { return outcome }
      throw loss(unit.advances.map(\.progress))
    }
  }

  /// Why partitions are not as they were left.
  private func loss(_ progress: [PartitionProgress]) -> SimulatedFailure {
    let areOurs = progress.allSatisfy {
      database.rows[$0.source]?.owner == owner && database.rows[$0.source]?.progress.epoch == $0.epoch
    }
    return SimulatedFailure(isFenced: !areOurs, isUndone: areOurs)
  }

  func settle(_ progress: [PartitionProgress]) throws {
    if database.isDurable || database.bug == .neverSettled { return }
    try mortal {
      if database.isAway || fails() { throw SimulatedFailure(isRetryable: true) }
      let areUnchanged = progress.allSatisfy {
        database.rows[$0.source]?.owner == owner && database.rows[$0.source]?.progress.epoch == $0.epoch
          && database.rows[$0.source]?.progress.sequence == $0.sequence
      }
      guard areUnchanged else { throw loss(progress) }
      database.settle()
    }
  }

  func note(_ records: [PartitionProgress.NotedRecord], of progress: PartitionProgress) throws {
    // From the moment in which a trial is on record until it is off again the process does not die by chance.
    let known = database.rows[progress.source]?.progress.noted ?? []
    let begins = records.contains { $0.isTrial && !known.contains($0) }
    if begins {
      try mortal {}
      isInTrial = true
    }
    defer { if !begins { isInTrial = false } }
    let ends =
      !begins
      && records.allSatisfy { record in known.contains { ($0.topic, $0.offset) == (record.topic, record.offset) } }
    try mortal {
      if !ends, database.isAway || fails() { throw SimulatedFailure(isRetryable: true) }
      guard let row = database.rows[progress.source], row.owner == owner, row.progress.epoch == progress.epoch,
        row.progress.sequence == progress.sequence
      else {
        throw loss([progress])
      }
      // That a trial was survived is not to be forgotten.
      database.begin(waitingForDisk: false)
      defer { if known.contains(where: { $0.isTrial && !records.contains($0) }) { database.settle() } }
      if database.bug != .notesLost, database.bug != .trialStays || !ends {
        database.rows[progress.source]?.progress.noted = records
      }
      if ends, fails() { throw SimulatedFailure(isRetryable: true) }
    }
  }

  func release(_ progress: [PartitionProgress]) throws {
    try mortal {
      if database.isAway || fails() { throw SimulatedFailure(isRetryable: true) }
      for released in progress {
        guard var row = database.rows[released.source], row.owner == owner, row.progress.epoch == released.epoch else {
          continue
        }
        row.isReleased = true
        (row.progress.crashCount, row.progress.noted) = (released.crashCount, released.noted)
        if database.bug == .releaseEndsCare { (row.progress.crashCount, row.progress.noted) = (0, []) }
        database.rows[released.source] = row
      }
      database.settle()
    }
  }

  private func fails() -> Bool { faults > 0 && random.oneIn(faults) }

  /// Makes a call, as long as the process lives: it may die before or after.
  private func mortal<Result>(_ call: () throws -> Result) throws -> Result {
    if life.isOver { throw Death() }
    if deaths > 0, !isInTrial, random.oneIn(deaths) {
      life.end()
      if random.oneIn(2) { _ = try? call() }
      throw Death()
    }
    return try call()
  }

  /// What is under way on a row ends before anybody else gets its lock, as a commit or as a rollback.
  private func settle(_ source: EventSource) {
    for (unit, owner) in database.inFlight
    where unit.advances.contains(where: { $0.progress.source == source }) {
      if random.oneIn(2) { _ = database.apply(unit, owner: owner) }
    }
    database.inFlight.removeAll { $0.unit.advances.contains { $0.progress.source == source } }
  }
}
