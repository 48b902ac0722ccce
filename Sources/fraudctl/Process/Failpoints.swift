import Foundation
import FraudCore
import FraudStore
import Synchronization

/// Lets a process die or freeze at a named step, for tests that show what becomes of it: `FRAUD_FAILPOINT=NAME:COUNT` kills
/// it at the COUNTth time, `NAME:COUNT:stop` stops it there, and `poison:TEXT` makes every event that holds the text kill
/// the process which takes it in hand, `poison-evaluated:TEXT`, in pipelines of several topics, the one that evaluates it.
///
/// The steps: `owned` and `restoring` when partitions are taken, `take` for each record, `evaluate` for each that is evaluated
/// in a pipeline of several topics, `commit`, `fenced` (inside the transaction) and `committed` for each commit, `switch` for
/// each version, those of ``ArchiveFailpoint``, and of the relay of alerts `relay-owned`, `relay-switched` (what became of the
/// former topic's last batch is known), `relay-begun` (the database knows the topic) and `relay-delivered` (a batch has arrived,
/// and the outbox still has it).
final class Failpoints: Sendable {
  static let shared = ProcessInfo.processInfo.environment["FRAUD_FAILPOINT"].flatMap { Failpoints($0) }

  /// What the archive is told to call.
  static let archive: ArchiveFailpoint? = shared.map { failpoints in
    let hit: ArchiveFailpoint = { failpoints.hit($0) }
    return hit
  }

  private let name: String
  private let count: Int
  private let signal: Int32
  private let poison: [UInt8]?
  private let hits = Mutex(0)
  private let poisonous = Mutex<Set<Place>>([])

  private struct Place: Hashable {
    var partition: TopicPartition
    var offset: Int64
  }

  private init?(_ text: String) {
    let parts = text.split(separator: ":", maxSplits: 2).map(String.init)
    guard parts.count >= 2 else { return nil }
    name = parts[0]
    poison = ["poison", "poison-evaluated"].contains(name) ? Array(text.dropFirst(name.count + 1).utf8) : nil
    count = Int(parts[1]) ?? 1
    signal = parts.count == 3 && parts[2] == "stop" ? SIGSTOP : SIGKILL
  }

  /// Looks for poison among records that were read.
  func observe(_ batch: MessageBatch) {
    guard let poison else { return }
    for run in batch.runs {
      for message in batch.messages[run.messages] {
        guard let value = message.value, batch.bytes[value].firstRange(of: poison) != nil else { continue }
        poisonous.withLock { _ = $0.insert(Place(partition: run.partition, offset: message.offset)) }
      }
    }
  }

  func hit(_ step: StaticString, offset: Int64 = 0, partition: TopicPartition? = nil) {
    if poison != nil {
      guard let partition, "\(step)" == (name == "poison" ? "take" : "evaluate") else { return }
      if poisonous.withLock({ $0.contains(Place(partition: partition, offset: offset)) }) { kill(getpid(), SIGKILL) }
      return
    }
    guard "\(step)" == name else { return }
    let isDue = hits.withLock { hits in
      hits += 1
      return hits == count
    }
    if isDue { kill(getpid(), signal) }
  }
}
