// A service that decides payments in its own process: no server, no database, only FraudCore.
//
//     swift run
//
// Compile the pipeline once, keep an engine per worker, and score each event as it comes.

import FraudCore

let definition = """
  {
    "name": "checkout",
    "schema": [
      {"name": "payment_id", "type": "string", "nullable": false},
      {"name": "customer_id", "type": "integer", "nullable": false},
      {"name": "amount", "type": "float", "nullable": false, "min": 0},
      {"name": "currency", "type": "string", "nullable": false},
      {"name": "country", "type": "string"}
    ],
    "event_id": "payment_id",
    "lists": [{"name": "blocked", "type": "integer", "values": [666]}],
    "rules": [
      {"id": "large", "rule_expression": "amount > 5000 AND currency = 'USD'", "severity": "critical",
       "description": "Large payment", "weight": 0.6},
      {"id": "no-country", "rule_expression": "country IS NULL AND amount > 500", "severity": "warning",
       "description": "Country is missing", "weight": 0.3},
      {"id": "blocked", "rule_expression": "customer_id IN LIST(blocked)", "severity": "critical",
       "description": "Blocked customer", "weight": 0.1}
    ],
    "scoring": {"policy": "any", "overrides": {"blocked": "block"}}
  }
  """

let events = [
  #"{"payment_id": "p-1", "customer_id": 7, "amount": 12.5, "currency": "EUR", "country": "DE"}"#,
  #"{"payment_id": "p-2", "customer_id": 8, "amount": 9100, "currency": "USD"}"#,
  #"{"payment_id": "p-3", "customer_id": 666, "amount": 3, "currency": "EUR", "country": "FR"}"#,
  #"{"payment_id": "p-4", "customer_id": "nine", "amount": 3, "currency": "EUR"}"#,
]

do {
  let pipeline = try Pipeline(DefinitionValue(json: Array(definition.utf8)))
  var engine = Engine(pipeline)
  for event in events {
    do {
      let scored = try engine.score(Array(event.utf8))
      let reasons = scored.reasons.map { "\($0.ruleID) +\($0.contribution)" }.joined(separator: ", ")
      print("\(scored.decision.verdict.rawValue)\tscore \(scored.decision.score)\t\(reasons)")
    } catch {
      print("rejected\t\(error.reason.rawValue)\t\(error.detail)")
    }
  }
} catch {
  print(error)
}
