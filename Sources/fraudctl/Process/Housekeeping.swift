import Foundation
import FraudCore
import FraudStore
import Synchronization

/// What a process does beside its pipelines, on a thread of its own, about every half second: it takes values out of lists
/// when their time is over, removes old ranges of commits once an hour, and writes how it is into `fraud.processes`. While the
/// database is away it does nothing.
final class Housekeeping: Sendable {
  private let address: PostgresAddress
  private let runs: [PipelineRun]
  private let startedAt = Int64(Date().timeIntervalSince1970 * 1_000_000)
  private let rangeSeconds: Int64
  private let isStopping = Atomic<Bool>(false)
  private let isFinished = Atomic<Bool>(false)

  /// - Parameter rangeSeconds: for how long the ranges of commits of pipelines with streams are kept at least.
  init(_ address: PostgresAddress, for runs: [PipelineRun], rangeSeconds: Int64) {
    self.address = address
    self.rangeSeconds = rangeSeconds
    self.runs = runs
  }

  /// Removes the process's rows and ends; waits for that a moment only.
  func stop() {
    isStopping.store(true, ordering: .relaxed)
    let deadline = ContinuousClock.now + .seconds(1)
    while !isFinished.load(ordering: .relaxed), ContinuousClock.now < deadline { Thread.sleep(forTimeInterval: 0.01) }
  }

  /// Starts the thread.
  func start() throws(StoreError) {
    try startThread(named: "fraud.housekeeping") { [self] in
      var connection: PostgresConnection?
      var isLast = false
      var nextPruning = ContinuousClock.now
      while !isLast {
        isLast = isStopping.load(ordering: .relaxed)
        do {
          var open = if let current = connection.take() { current } else { try PostgresConnection(address) }
          if !isLast {
            for name in try ListStore.expire(on: &open) {
              Terminal.standardError.message("\(name): values of lists have expired; a new version is in force")
            }
          }
          if !isLast, nextPruning <= .now {
            try CommitRanges.prune(olderThan: rangeSeconds, on: &open)
            nextPruning = .now + .seconds(3_600)
          }
          for run in runs {
            let status = status(of: run)
            if isLast { try status.remove(on: &open) } else { try status.write(on: &open) }
          }
          connection = consume open
        } catch {
          // What is the matter with the database is said by the runs, which need it more.
          connection = nil
        }
        var naps = 0
        while naps < 10, !isStopping.load(ordering: .relaxed) {
          Thread.sleep(forTimeInterval: 0.05)
          naps += 1
        }
      }
      isFinished.store(true, ordering: .relaxed)
    }
  }

  private func status(of run: PipelineRun) -> ProcessStatus {
    let status = run.status
    let reading = status.reading
    func milliseconds(_ seconds: Double?) -> Double? { seconds.map { $0 * 1_000 } }
    var row = ProcessStatus(pipelineID: run.id, ownerName: PipelineRun.ownerName, startedAt: startedAt)
    row.version = status.summary.pipelineVersion
    row.events = status.summary.events
    row.eventsPerSecond = reading.busySeconds > 0 ? Double(status.summary.events) / reading.busySeconds : nil
    row.alerts = status.summary.alerts
    row.commits = status.commits
    row.commit50 = milliseconds(reading.commit50)
    row.commit99 = milliseconds(reading.commit99)
    row.latency50 = milliseconds(reading.latency50)
    row.latency99 = milliseconds(reading.latency99)
    row.lagRecords = status.lagRecords
    row.memoryBytes = residentBytes()
    row.holding = status.isHolding
    row.held = status.memory
    return row
  }
}

/// The memory that this process holds; nil where the system does not say it in `/proc`.
func residentBytes() -> Int64? {
  guard let data = FileManager.default.contents(atPath: "/proc/self/statm") else { return nil }
  let numbers = String(decoding: data, as: UTF8.self).split(separator: " ")
  return numbers.count > 1 ? Int64(numbers[1]).map { $0 * Int64(sysconf(Int32(_SC_PAGESIZE))) } : nil
}
