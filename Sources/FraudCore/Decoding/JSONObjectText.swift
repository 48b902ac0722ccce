/// Writes the members of one JSON object, with the commas between them.
package struct JSONObjectText: Sendable {
  private var isEmpty = true

  package init() {}

  /// Writes what stands before a value.
  package mutating func key(_ name: String, _ text: inout [UInt8]) {
    text.append(isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
    isEmpty = false
    JSONText.append(string: name, to: &text)
    text.append(UInt8(ascii: ":"))
  }

  /// Writes a whole number.
  package mutating func count(_ name: String, _ count: Int, _ text: inout [UInt8]) {
    key(name, &text)
    JSONText.append(Int64(count), to: &text)
  }

  /// Writes an object of whole numbers.
  package mutating func counts(_ name: String, _ counts: [(String, Int)], _ text: inout [UInt8]) {
    key(name, &text)
    var object = JSONObjectText()
    for (name, count) in counts { object.count(name, count, &text) }
    object.end(&text)
  }

  /// Ends the object.
  package func end(_ text: inout [UInt8]) {
    if isEmpty { text.append(UInt8(ascii: "{")) }
    text.append(UInt8(ascii: "}"))
  }
}
