import Foundation
import Testing

/// A version that names another topic of alerts, and a process that dies at the steps of the relay there: each alert is once in
/// the topic of the version that decided it.
///
/// The dev broker has no transactions, so it dies between them; in a cluster it dies within.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(10)))
struct RelayTests {
  static let steps = [
    "relay-owned:2", "relay-switched:1", "relay-begun:2", "relay-delivered:1", "relay-delivered:2", "switch:1",
  ]

  @Test func aCrashAtTheSwitchOfTheAlertsTopicDoublesNothing() async throws {
    try await onThread {
      let found = problems(of: Self.steps, width: 3) { step in try Self.problem(killedAt: step) }
      #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }
  }

  private static func problem(killedAt step: String) throws -> String? {
    let site = try AlertsSite(topics: ["first", "second"])
    defer { site.remove() }
    try site.apply(alertsTopic: "first")
    try site.send(0..<10)
    let killed = try site.process("killed", failpoint: step)
    _ = try site.isSettled(10, or: killed)
    guard try site.alertCount == 10 else { return "nothing came: \(killed.errors)" }
    try site.apply(alertsTopic: "second")
    try site.send(10..<20)
    let outcome = killed.wait(120)
    guard outcome.code == -SIGKILL, outcome.errors.contains("partitions 0") else { return "not killed: \(outcome)" }
    let next = try site.process("next")
    guard until(120, { !next.isRunning || next.errors.contains("partitions 0") }) else { return "\(next.errors)" }
    try site.send(20..<30)
    guard try site.isSettled(30, or: next) else { return "not all: \(next.errors)" }
    next.send(SIGTERM)
    let ended = next.wait(60)
    guard ended.code == 0 else { return "\(ended)" }
    for (topic, version) in [("first", 1), ("second", 2)] {
      let kept = try site.kept(version: version)
      let published = try site.published(topic, kept.count)
      guard kept.count >= 10, published == kept else {
        return "\(topic) has \(published.count) alerts, \(kept.count) are of version \(version)"
      }
    }
    return nil
  }
}
