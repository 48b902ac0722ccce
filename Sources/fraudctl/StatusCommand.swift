import ArgumentParser
import Foundation
import FraudCore
import FraudKafka
import FraudStore

/// `fraudctl status`: how far every pipeline is.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show how far every pipeline is in each of its partitions.",
    discussion: """
      Asks the database; the lag is shown where a broker answers. VERSION says `7 (10 %), 6` where version 7 is in force for a
      tenth of the keys and 6 for the others. DELAY is from the event time reached until now, STATE
      what is stored of the features. The owner of a partition, while it runs, says how long its commits take (p50) and how
      long events take from their record's timestamp to their commit (p99), since its start, and what it holds in memory. Below a partition stand those of the pipeline's streams that are read
      beside it. With --json one object a line.

      EXAMPLES
        fraudctl status
        fraudctl status --pipeline card-payments --brokers kafka:9092 --json
      """)

  @Option(help: ArgumentHelp("Only this pipeline, by name or number.", valueName: "pipeline"))
  var pipeline: String?

  @OptionGroup var brokers: BrokerOptions
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    try reporting {
      let partitions = try withDatabase(database) { connection, _ in
        var id: Int?
        if let pipeline {
          id = try PipelineStore.identify(pipeline, on: &connection)
          if id == nil { throw Failure.failed("there is no pipeline \(printable(pipeline))") }
        }
        return try PartitionStatus.list(of: id, on: &connection)
      }
      let ends = ends(of: partitions.flatMap { [$0.progress.source] + $0.progress.streams.map($0.source(of:)) })
      if output.json {
        for partition in partitions { Terminal.standardOutput.line(json(of: partition, ends)) }
      } else if partitions.isEmpty {
        Terminal.standardError.message("nothing was processed yet; `fraudctl process` does it")
      } else {
        table(partitions, ends).write(to: .standardOutput)
      }
    }
  }

  /// Where the partitions end that the broker in reach has; none where no broker answers.
  private func ends(of sources: [EventSource]) -> [EventSource: Int64] {
    guard !sources.isEmpty, var connection = try? brokers.connection(data: database.place.data) else { return [:] }
    connection.requestTimeout = .seconds(2)
    guard let admin = try? KafkaAdmin(connection), let cluster = admin.clusterID() else { return [:] }
    let generation = DevBroker.isDevBroker(clusterID: cluster) ? "dev" : cluster
    var ends: [EventSource: Int64] = [:]
    for source in sources where source.generation == generation {
      let partition = TopicPartition(topic: source.topic, partition: source.partition)
      if let watermarks = try? admin.watermarks(of: [partition])[partition] { ends[source] = watermarks.high }
    }
    return ends
  }

  private func lag(_ partition: PartitionStatus, _ ends: [EventSource: Int64]) -> Int64? {
    ends[partition.progress.source].map { max(0, $0 - partition.progress.nextOffset) }
  }

  private func table(_ partitions: [PartitionStatus], _ ends: [EventSource: Int64]) -> Table {
    var table = Table(columns: [
      .init(title: "PIPELINE"), .init(title: "VERSION", alignment: .right), .init(title: "PARTITION"),
      .init(title: "NEXT", alignment: .right), .init(title: "LAG", alignment: .right),
      .init(title: "ACCEPTED", alignment: .right), .init(title: "REJECTED", alignment: .right),
      .init(title: "ALERTS", alignment: .right), .init(title: "COMMITTED", alignment: .right),
      .init(title: "EVENT TIME (UTC)"), .init(title: "DELAY", alignment: .right),
      .init(title: "STATE", alignment: .right), .init(title: "COMMIT", alignment: .right),
      .init(title: "LATENCY", alignment: .right), .init(title: "EPOCH", alignment: .right),
      .init(title: "OWNER", flexible: true),
    ])
    for partition in partitions {
      table.rows.append(row(partition, ends))
      for stream in partition.progress.streams { table.rows.append(row(stream, of: partition, ends)) }
    }
    return table
  }

  /// The version that decided last, and where it is for a share of the keys, which one decides the others'.
  private func version(of partition: PartitionStatus) -> String {
    guard let version = partition.progress.pipelineVersion else { return "" }
    guard let share = partition.share, let control = partition.controlVersion else { return "\(version)" }
    return "\(version) (\(shareText(share))), \(control)"
  }

  private func row(_ partition: PartitionStatus, _ ends: [EventSource: Int64]) -> [String] {
    let progress = partition.progress
    return [
      partition.pipeline, version(of: partition),
      "\(progress.source.topic)/\(progress.source.partition)", "\(progress.nextOffset)",
      lag(partition, ends).map { grouped(Int($0)) } ?? "", grouped(Int(progress.counts.accepted)),
      grouped(Int(progress.counts.rejected)), grouped(Int(progress.counts.alerts)),
      partition.age.map { "\(shortAge($0)) ago" } ?? "", shortTime(progress.watermark ?? progress.maxEventTime),
      partition.watermarkDelay.map(shortAge) ?? "", partition.stateBytes > 0 ? byteCount(partition.stateBytes) : "",
      milliseconds(partition.commit50), milliseconds(partition.latency99), "\(progress.epoch)",
      partition.holding.map { "waits: \($0)" } ?? (partition.isReleased ? "" : partition.ownerName),
    ]
  }

  /// A stream of a partition, beside which it is read: only how far it is, and what was counted.
  private func row(_ stream: StreamProgress, of partition: PartitionStatus, _ ends: [EventSource: Int64]) -> [String] {
    let source = partition.source(of: stream)
    let lag = ends[source].map { grouped(Int(max(0, $0 - stream.nextOffset))) } ?? ""
    return [
      "", "", "+ \(source.topic)/\(source.partition)", "\(stream.nextOffset)", lag, grouped(Int(stream.accepted)),
      grouped(Int(stream.rejected)),
    ] + Array(repeating: "", count: 9)
  }

  private func json(_ stream: StreamProgress, of partition: PartitionStatus, _ ends: [EventSource: Int64]) -> String {
    var object = JSONObjectText()
    object.append("topic", stream.topic)
    object.append("start_offset", stream.startOffset)
    object.append("next_offset", stream.nextOffset)
    object.append("lag", ends[partition.source(of: stream)].map { max(0, $0 - stream.nextOffset) })
    object.append("accepted", stream.accepted)
    object.append("rejected", stream.rejected)
    return object.finished
  }

  private func json(of partition: PartitionStatus, _ ends: [EventSource: Int64]) -> String {
    let progress = partition.progress
    let lag = lag(partition, ends)
    var object = JSONObjectText()
    object.append("pipeline", partition.pipeline)
    object.append("pipeline_id", Int64(progress.pipelineID))
    object.append("pipeline_version", progress.pipelineVersion.map(Int64.init))
    object.append("share", json: partition.share.map { "\(Double($0) / 10_000)" } ?? "null")
    object.append("control_version", partition.controlVersion.map(Int64.init))
    object.append("topic", progress.source.topic)
    object.append("generation", progress.source.generation)
    object.append("partition", Int64(progress.source.partition))
    object.append("owner", partition.isReleased ? nil : partition.ownerName)
    object.append("epoch", progress.epoch)
    object.append("start_offset", progress.startOffset)
    object.append("next_offset", progress.nextOffset)
    object.append("lag", lag)
    object.append("commits", progress.sequence)
    object.append("accepted", progress.counts.accepted)
    object.append("rejected", progress.counts.rejected)
    object.append("late", progress.counts.late)
    object.append("decisions", progress.counts.decisions)
    object.append("alerts", progress.counts.alerts)
    object.append("last_commit_age_ms", partition.age.map { $0 / 1_000 })
    object.append("watermark", timestamp: progress.watermark)
    object.append("max_event_time", timestamp: progress.maxEventTime)
    object.append("watermark_delay_ms", partition.watermarkDelay.map { $0 / 1_000 })
    object.append("state_bytes", partition.stateBytes)
    let measured: [(String, Double?)] = [
      ("commit_ms_p50", partition.commit50), ("commit_ms_p99", partition.commit99),
      ("latency_ms_p50", partition.latency50), ("latency_ms_p99", partition.latency99),
      ("events_per_second", partition.eventsPerSecond),
    ]
    for (name, value) in measured { object.append(name, json: value.map { "\($0)" } ?? "null") }
    object.append("memory_bytes", partition.memoryBytes)
    object.append("buffered_bytes", partition.bufferedBytes)
    object.append("buffered_bytes_max", partition.bufferedBytesMax)
    object.append("owner_state_bytes", partition.ownerStateBytes)
    object.append("holding", partition.holding)
    if !progress.streams.isEmpty {
      object.append(
        "streams", json: "[\(progress.streams.map { json($0, of: partition, ends) }.joined(separator: ","))]")
    }
    return object.finished
  }
}

extension PartitionStatus {
  /// The partition of a stream's topic that is read beside this one.
  fileprivate func source(of stream: StreamProgress) -> EventSource {
    EventSource(topic: stream.topic, generation: progress.source.generation, partition: progress.source.partition)
  }
}

/// A measured time for people.
private func milliseconds(_ value: Double?) -> String { value.map { String(format: "%.1f ms", $0) } ?? "" }

/// A span of time for people, in its largest unit: `12s`, `3h`.
private func shortAge(_ microseconds: Int64) -> String {
  let seconds = max(0, microseconds / 1_000_000)
  switch seconds {
  case ..<120: return "\(seconds)s"
  case ..<7_200: return "\(seconds / 60)m"
  case ..<172_800: return "\(seconds / 3_600)h"
  default: return "\(seconds / 86_400)d"
  }
}
