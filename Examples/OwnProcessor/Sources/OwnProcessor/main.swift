// A processor over a source and a store of one's own, with only FraudCore: no Kafka, no PostgreSQL.
//
//     swift run
//
// The first processor is abandoned in the middle of its work, after a commit whose answer was lost; the second goes on from the
// ledger. Together they give exactly the alerts of one run that nothing disturbed.

import FraudCore

let definition = """
  {
    "name": "velocity",
    "schema": [
      {"name": "id", "type": "string", "nullable": false},
      {"name": "card", "type": "integer", "nullable": false},
      {"name": "amount", "type": "float", "nullable": false},
      {"name": "at", "type": "timestamp", "nullable": false}
    ],
    "event_id": "id", "event_time": "at", "key": "card",
    "features": [{"name": "count_1h", "function": "count", "window": "1h", "by": "card", "include_current": true}],
    "rules": [
      {"id": "velocity", "rule_expression": "count_1h > 40", "severity": "warning", "description": "More than 40 an hour"},
      {"id": "large", "rule_expression": "amount > 990", "severity": "critical", "description": "Large payment"}
    ]
  }
  """

/// Ten thousand payments, one of them broken.
let lines = (0..<10_000).map { number in
  let minute = number / 200
  let time = "2025-03-01T\(minute / 60 + 10):\(minute % 60 < 10 ? "0" : "")\(minute % 60):00Z"
  return number == 5_000
    ? #"{"id": "broken"#
    : #"{"id": "p\#(number)", "card": \#(number * 7 % 211), "amount": \#(number * 31 % 1_000), "at": "\#(time)"}"#
}

/// Processes until everything is read, or until so many commits are made.
func process(_ pipeline: Pipeline, into ledger: Ledger, commitsMax: Int = .max) throws {
  var configuration = ProcessorConfiguration()
  configuration.commitEvents = 700
  configuration.retryDelay = .milliseconds(1)...(.milliseconds(10))
  var processor = Processor(
    pipeline, id: 1, version: 1, generation: "0", source: LineSource(lines), store: LedgerCommitter(ledger),
    configuration: configuration,
    makeBatchID: { UniqueID(high: .random(in: 0...UInt64.max), low: .random(in: 0...UInt64.max)) })
  let start = ContinuousClock.now
  while !processor.isAtEnd {
    try processor.step(now: start.duration(to: .now))
    // Gone without a word, as a process that is killed: what it holds is lost.
    if processor.commitCount >= commitsMax { return }
  }
  try processor.finish(now: start.duration(to: .now))
}

let pipeline = try Pipeline(DefinitionValue(json: Array(definition.utf8)))
let undisturbed = Ledger()
try process(pipeline, into: undisturbed)

let ledger = Ledger()
ledger.lostAnswers = 2
try process(pipeline, into: ledger, commitsMax: 5)
let before = ledger.alerts.count
try process(pipeline, into: ledger)

for alert in ledger.alerts.suffix(2) { print(String(decoding: alert.json, as: UTF8.self)) }
for event in ledger.rejected { print("rejected: \(event.reason) at \(event.source.topic)/\(event.offset)") }
print("\(before) alerts by the first processor, \(ledger.alerts.count) in all, \(undisturbed.alerts.count) undisturbed")
guard ledger.alerts == undisturbed.alerts, ledger.rejected == undisturbed.rejected, before > 0 else {
  fatalError("the two runs differ")
}
print("the same alerts, each once")
