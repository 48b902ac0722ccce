extension Schema {
  /// Why events that were written for an earlier schema cannot be read with this one (BACKWARD compatibility, as schema
  /// registries call it), one sentence a field; empty where they can.
  ///
  /// Fields may be added where they are nullable or have a default, and an `integer` may become a `float`.
  public func incompatibilities(with earlier: Schema) -> [String] {
    var reasons: [String] = []
    for old in earlier.fields {
      guard let new = fields.first(where: { $0.name == old.name }) else {
        reasons.append("field '\(old.name)' was removed")
        continue
      }
      if new.type != old.type, !(old.type == .integer && new.type == .float) {
        reasons.append("field '\(old.name)' was \(old.type.rawValue) and is now \(new.type.rawValue)")
      }
      if old.nullable || old.defaultValue != nil, new.isRequired {
        reasons.append("field '\(old.name)' has become required")
      }
    }
    for new in fields where new.isRequired && !earlier.fields.contains(where: { $0.name == new.name }) {
      reasons.append("field '\(new.name)' is new and required; make it nullable or give it a default")
    }
    return reasons
  }
}

extension Field {
  /// Whether an event without the field is rejected.
  var isRequired: Bool { !nullable && defaultValue == nil }
}
