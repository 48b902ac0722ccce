public import FraudCore

extension UniqueID {
  /// A new id that nobody else has, from the system's random source.
  public static func random() -> UniqueID {
    UniqueID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
  }
}
