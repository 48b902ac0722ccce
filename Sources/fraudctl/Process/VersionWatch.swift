import FraudCore
import FraudStore

/// Looks five times a second which version of a pipeline is in force, and hands a new one to the processor.
///
/// It asks on the connection that commits, between two commits: one round trip by the key. A version that does not compile
/// here, as one that a newer program has applied may, or that reads another topic, is refused: the one before goes on.
struct VersionWatch {
  private let pipelineID: Int
  private var known: Int
  private var nextLook = Duration.zero
  /// Why the version in force does not run here.
  private(set) var refusal: String?

  private static let interval = Duration.milliseconds(200)

  init(pipelineID: Int, known: Int) {
    self.pipelineID = pipelineID
    self.known = known
  }

  mutating func look(_ processor: inout Processor<MeteredConsumer, MeteredCommitter>, now: Duration) {
    // While the database is away the held commit asks often enough.
    guard now >= nextLook, processor.phase == .running else { return }
    nextLook = now + Self.interval
    guard let stored = try? processor.store.versionInForce(of: pipelineID, unless: known) else { return }
    known = stored.version
    do {
      let version = try PipelineVersion(stored)
      let topic = version.pipeline.definition.kafkaTopic
      guard topic == processor.pipeline.definition.kafkaTopic else {
        throw Failure.failed("it reads topic \(topic ?? "-"); start it again for that")
      }
      let streams = version.pipeline.definition.streams.map(\.kafkaTopic)
      guard streams == processor.pipeline.definition.streams.map(\.kafkaTopic) else {
        throw Failure.failed("it reads other streams; start it again for that")
      }
      processor.adopt(version)
      refusal = nil
    } catch {
      refusal = "version \(stored.version) of \(stored.name) is not taken over: \(explain(error))"
    }
  }
}
