import Testing

@testable import FraudCore

@Test(
  arguments: [
    ("amout", "amount"), ("Curency", "currency"), ("amonut", "amount"), ("zzz", nil), ("", nil),
  ] as [(String, String?)])
func suggestsTheNearestName(name: String, expected: String?) {
  #expect(nearest(to: name, among: ["currency", "amount", "country"]) == expected)
}
