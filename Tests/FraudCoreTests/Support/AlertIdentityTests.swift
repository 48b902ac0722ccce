import Testing

@testable import FraudCore

/// The expected text is Python's: `uuid.UUID(bytes=hashlib.sha256(b"".join(len(t).to_bytes(8, "big") + t …)).digest()[:16])`.
@Test func identifiesAnAlertAsTheContractSays() {
  let source = EventSource(topic: "payments", generation: "dev", partition: 3)
  let id = AlertIdentity(pipeline: "card-payments", source: source).id(offset: 42, rule: "FR-001")
  #expect(id.description == "6527ecf1-c81d-4d2a-7a40-9430985a6d90")
  #expect(UniqueID(id.description) == id)
}
