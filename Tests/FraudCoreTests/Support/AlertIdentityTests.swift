import Testing

@testable import FraudCore

/// The expected text is Python's: `uuid.UUID(bytes=hashlib.sha256(b"".join(len(t).to_bytes(8, "big") + t …)).digest()[:16])`.
@Test func identifiesAnAlertAsTheContractSays() {
  let source = EventSource(topic: "payments", generation: "dev", partition: 3)
  let id = AlertIdentity(pipeline: "card-payments", source: source).id(offset: 42, rule: "FR-001")
  #expect(id.description == "6527ecf1-c81d-4d2a-7a40-9430985a6d90")
  #expect(UniqueID(id.description) == id)
}

/// Four at a time or one by one, whatever the texts' lengths: blocks end anywhere in them.
@Test func idsOfManyAlertsAreThoseOfEach() {
  for padding in 0..<70 {
    let identity = AlertIdentity(pipeline: String(repeating: "p", count: padding + 1), source: EventSource(topic: "t"))
    let alerts = (0..<padding % 10).map {
      (offset: Int64($0) << Int64($0 * 5), rule: String(repeating: "r", count: $0 * 9))
    }
    let ids = identity.ids(count: alerts.count) { alerts[$0] }
    #expect(ids == alerts.map { identity.id(offset: $0.offset, rule: $0.rule) })
  }
}
