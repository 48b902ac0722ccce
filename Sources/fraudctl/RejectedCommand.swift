import ArgumentParser
import Foundation
import FraudCore
import FraudStore

/// `fraudctl rejected …`: the events that could not be accepted.
struct RejectedCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rejected",
    abstract: "List, show and redrive rejected events.",
    discussion: """
      EXAMPLES
        fraudctl rejected list --reason bad_json --since 1h
        fraudctl rejected show transactions/3/1747
        fraudctl rejected show transactions/3/1747 --payload > event.json
        fraudctl rejected redrive --pipeline card-payments --reason missing_field
      """,
    subcommands: [List.self, Show.self, Redrive.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List rejected events, the newest first, and count them by reason.",
      discussion:
        """
        Those that `rejected redrive` has settled are left out, unless --all. With --json one object a line, the event whole
        in `payload`, or in `payload_base64` if it is no text.

        EXAMPLES
          fraudctl rejected list --reason bad_json --since 1h
          fraudctl rejected list --all --json
        """)

    @Option(help: ArgumentHelp("Only this reason. May be repeated.", valueName: "reason")) var reason: [String] = []
    @Option(help: ArgumentHelp("Only this pipeline, by name or number. May be repeated.", valueName: "pipeline"))
    var pipeline: [String] = []
    @Option(
      help: ArgumentHelp(
        "Only events written since then: a duration before now, or an instant (UTC).", valueName: "1h|instant"))
    var since: Since?
    @Flag(help: "Also those that a redrive has settled.") var all = false
    @Option(help: "How many at most.") var limit = 20
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard limit > 0 else { throw ValidationError("--limit must be at least 1") }
    }

    func run() throws {
      try reporting {
        var filter = RejectedFilter()
        filter.reasons = reason
        filter.pipelines = pipeline
        filter.age = since?.ago
        filter.since = since?.instant
        filter.isOpen = !all
        try withDatabase(database) { connection, _ in
          if output.json {
            // One at a time: an event may have 32 MiB.
            let events = try RejectedStore.list(filter, limit: limit, payloadBytes: 0, on: &connection)
            for event in events {
              for whole in try RejectedStore.list(position(of: event), limit: 2, payloadBytes: .max, on: &connection)
              where whole.pipeline == event.pipeline {
                Terminal.standardOutput.line(json(of: whole))
              }
            }
            return
          }
          let events = try RejectedStore.list(filter, limit: limit, payloadBytes: 200, on: &connection)
          if events.isEmpty {
            Terminal.standardError.message("no rejected events")
            return
          }
          var counts = Table(columns: [.init(title: "REASON"), .init(title: "EVENTS", alignment: .right)])
          counts.rows = try RejectedStore.countByReason(filter, on: &connection).map {
            [$0.reason, grouped(Int($0.events))]
          }
          counts.write(to: .standardOutput)
          Terminal.standardOutput.line()
          table(events).write(to: .standardOutput)
        }
      }
    }

    private func table(_ events: [StoredRejection]) -> Table {
      var table = Table(columns: [
        .init(title: "WRITTEN (UTC)"), .init(title: "POSITION"), .init(title: "REASON"), .init(title: "FIELD"),
        .init(title: "DETAIL", flexible: true), .init(title: "EVENT", flexible: true),
      ])
      table.rows = events.map { event in
        [
          shortTime(event.createdAt), "\(event.topic)/\(event.partition)/\(event.offset)", event.reason,
          event.field ?? "", event.detail ?? "", event.payload.map { String(decoding: $0, as: UTF8.self) } ?? "",
        ]
      }
      return table
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Show a rejected event whole.",
      discussion: """
        EXAMPLES
          fraudctl rejected show transactions/3/1747
          fraudctl rejected show transactions/3/1747 --payload > event.json
        """)

    @Argument(help: ArgumentHelp("Where it was, as `list` prints it.", valueName: "topic/partition/offset"))
    var place: EventPlace
    @Option(help: ArgumentHelp("The pipeline, where several read the topic.", valueName: "pipeline"))
    var pipeline: String?
    @Flag(help: "Write the event's bytes and nothing else.") var payload = false
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        var filter = RejectedFilter()
        filter.pipelines = pipeline.map { [$0] } ?? []
        filter.topic = place.topic
        filter.partition = place.partition
        filter.offset = place.offset
        let events = try withDatabase(database) { connection, _ in
          try RejectedStore.list(filter, limit: 10, payloadBytes: .max, on: &connection)
        }
        guard let event = events.first else {
          throw Failure.failed(
            "no event was rejected at \(printable(place.topic))/\(place.partition)/\(place.offset)")
        }
        if events.count > 1 {
          Terminal.standardError.message(
            "\(events.map(\.pipeline).joined(separator: ", ")) rejected it; --pipeline chooses", style: .warning)
        }
        if payload {
          FileHandle.standardOutput.write(Data(event.payload ?? []))
        } else if output.json {
          Terminal.standardOutput.line(json(of: event))
        } else {
          showMembers(of: json(of: event))
        }
      }
    }
  }
}

/// The filter that lets exactly this event pass, in every pipeline.
private func position(of event: StoredRejection) -> RejectedFilter {
  var filter = RejectedFilter()
  filter.topic = event.topic
  filter.partition = event.partition
  filter.offset = event.offset
  return filter
}

/// A rejected event as the contract writes it.
private func json(of event: StoredRejection) -> String {
  var object = JSONObjectText()
  object.append("reason", event.reason)
  object.append("detail", event.detail)
  object.append("field", event.field)
  object.append("topic", event.topic)
  object.append("partition", Int64(event.partition))
  object.append("offset", event.offset)
  object.append("line", event.line)
  if let payload = event.payload {
    if let text = String(validating: payload, as: UTF8.self) {
      object.append("payload", text)
    } else {
      object.append("payload_base64", Data(payload).base64EncodedString())
    }
  } else {
    object.append("payload", nil as String?)
  }
  if let length = event.payloadLength, length != event.payload?.count ?? 0 { object.append("payload_length", length) }
  object.append("pipeline", event.pipeline)
  object.append("created_at", timestamp: event.createdAt)
  if let outcome = event.redrivenAs {
    object.append("redriven_as", outcome)
    object.append("redriven_at", timestamp: event.redrivenAt)
  }
  return object.finished
}
