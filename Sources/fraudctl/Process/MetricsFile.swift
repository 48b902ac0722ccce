import Foundation
import FraudCore

/// The state of runs as Prometheus text, for node_exporter's textfile collector. A reader sees either the file before or
/// the file after, never a part.
struct MetricsFile {
  let path: String

  func write(_ statuses: [PipelineRun.Status]) throws {
    try writeWhole(Self.text(statuses), to: path)
  }

  static func text(_ statuses: [PipelineRun.Status]) -> String {
    var text = MetricsText()
    func each(_ name: String, _ kind: String, _ help: String, _ value: (PipelineRun.Status) -> Double?) {
      text.describe(name, kind, help)
      for status in statuses {
        if let value = value(status) { text.sample(name, [("pipeline", status.summary.pipeline)], value) }
      }
    }
    each("fraud_events_total", "counter", "Events committed since the start.") { Double($0.summary.events) }
    each("fraud_events_accepted_total", "counter", "Events decoded and decided.") { Double($0.summary.accepted) }
    text.describe("fraud_events_rejected_total", "counter", "Events rejected, by reason.")
    for status in statuses {
      for reason in RejectionReason.allCases {
        guard let count = status.summary.rejected[reason] else { continue }
        text.sample(
          "fraud_events_rejected_total", [("pipeline", status.summary.pipeline), ("reason", reason.rawValue)],
          Double(count))
      }
    }
    each("fraud_events_late_total", "counter", "Events behind the allowed lateness.") { Double($0.summary.late) }
    each("fraud_decisions_total", "counter", "Events that the policy decided against.") { Double($0.summary.decisions) }
    text.describe("fraud_alerts_total", "counter", "Deciding events that a rule triggered on, by rule.")
    for status in statuses {
      for rule in status.summary.rules where rule.mode == .live {
        text.sample(
          "fraud_alerts_total", [("pipeline", status.summary.pipeline), ("rule", rule.id)], Double(rule.matches))
      }
    }
    text.describe("fraud_rule_errors_total", "counter", "Events on which a rule could not be evaluated, by rule.")
    for status in statuses {
      for rule in status.summary.rules where rule.errors > 0 {
        text.sample(
          "fraud_rule_errors_total", [("pipeline", status.summary.pipeline), ("rule", rule.id)], Double(rule.errors))
      }
    }
    each("fraud_commits_total", "counter", "Commits since the start.") { Double($0.commits) }
    each("fraud_commit_seconds_total", "counter", "Time spent in commits.") { $0.reading.commitSeconds }
    each("fraud_commit_seconds_p99", "gauge", "99 % of commits took at most this long.") { $0.reading.commit99 }
    each("fraud_latency_seconds_p50", "gauge", "Half of the events: from the record's timestamp to the commit.") {
      $0.reading.latency50
    }
    each("fraud_latency_seconds_p99", "gauge", "99 % of the events: from the record's timestamp to the commit.") {
      $0.reading.latency99
    }
    each("fraud_lag_records", "gauge", "Records behind the topic's end.") { $0.lagRecords.map(Double.init) }
    each("fraud_holding", "gauge", "1 while results wait for the database.") { $0.isHolding == nil ? 0 : 1 }
    let now = Int64(Date().timeIntervalSince1970 * 1_000_000)
    each(
      "fraud_watermark_delay_seconds", "gauge", "From the event time that the slowest partition has reached until now."
    ) {
      $0.progress.compactMap { $0.watermark ?? $0.maxEventTime }.min().map { Double(now - $0) / 1_000_000 }
    }
    each("fraud_last_commit_age_seconds", "gauge", "Since the last commit of records.") {
      $0.reading.lastCommit.map { max(0, Date().timeIntervalSince1970 - $0) }
    }
    each("fraud_recovery_seconds", "gauge", "From when its partitions were given until their state was back.") {
      $0.reading.recovery?.restored
    }
    each("fraud_buffered_bytes", "gauge", "Records read and not committed.") { Double($0.memory.bufferedBytes) }
    each("fraud_buffered_bytes_max", "gauge", "What fraud_buffered_bytes stays below.") {
      Double($0.memory.bufferedBytesMax)
    }
    each("fraud_state_bytes", "gauge", "What features remember, in memory.") { Double($0.memory.stateBytes) }
    each("fraud_state_keys", "gauge", "Keys that features remember something of.") { Double($0.memory.stateKeys) }
    each("fraud_state_delta_bytes", "gauge", "Stored changes that a restart reads behind the snapshots.") {
      Double($0.memory.deltaBytes)
    }
    each("fraud_memory_bytes", "gauge", "The memory that the process holds.") { _ in residentBytes().map(Double.init) }
    each("fraud_partitions", "gauge", "Partitions owned.") { Double($0.progress.count) }
    each("fraud_pipeline_version", "gauge", "The version in force here.") {
      $0.summary.pipelineVersion.map(Double.init)
    }
    each("fraud_pipeline_version_share", "gauge", "The share of the keys that it is in force for.") {
      $0.inForce.control == nil ? 1 : $0.inForce.pipeline.definition.share.map { Double($0) / 10_000 }
    }
    each("fraud_pipeline_control_version", "gauge", "The version in force for the other keys.") {
      $0.inForce.control.map { Double($0.number) }
    }
    return text.text
  }
}

/// Prometheus' text format, version 0.0.4.
private struct MetricsText {
  private(set) var text = ""

  mutating func describe(_ name: String, _ kind: String, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
  }

  mutating func sample(_ name: String, _ labels: [(name: String, value: String)], _ value: Double) {
    let labels = labels.map { label in
      let value = label.value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
      return "\(label.name)=\"\(value)\""
    }
    let number = Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    text += "\(name){\(labels.joined(separator: ","))} \(number)\n"
  }
}
