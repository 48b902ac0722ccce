/// The order in which the last events had their keys, and every byte between their values.
///
/// Producers write the same keys in the same order with the same spaces. So the bytes from the end of one value to the
/// start of the next (`,"amount":`) are compared as one literal, and only where they differ is a key looked up. An order
/// is learned from an event that came by the general path and was accepted, hence it names no field twice.
struct KeyOrder {
  /// What is expected behind a value, and the value that follows it.
  struct Step {
    var literal: ByteLiteral
    /// The field, or -1 for a key that the schema does not know.
    var field: Int32
    var kind: FieldPlan.Kind
    var isConstrained: Bool
  }

  /// The last step is of kind `end`. Empty before anything was learned.
  private(set) var steps: [Step] = []
  private(set) var overflow: [UInt8] = []
  /// Declared fields that these events do not have.
  private(set) var absent: [Int] = []
  /// Whether a literal holds a newline, as those of indented messages do.
  private(set) var hasNewline = false
  /// Events in a row that had another order; after ``patience`` of them the next one is learned.
  private var misses = 0

  /// Few, since an order that fits nothing costs little, while learning one costs about as much as decoding an event.
  private static let patience = 4
  /// Events with more members are not worth remembering.
  private static let stepsMax = 2_048

  /// What was seen of the event that is being learned: where each literal stood, and its field.
  private var seen: [(start: Int, end: Int, field: Int)] = []

  var isStale: Bool { steps.isEmpty || misses >= Self.patience }

  mutating func hit() { misses = 0 }
  mutating func miss() { misses &+= 1 }

  mutating func beginLearning() { seen.removeAll(keepingCapacity: true) }

  mutating func observe(_ start: Int, _ end: Int, field: Int) {
    if seen.count <= Self.stepsMax { seen.append((start, end, field)) }
  }

  /// Takes over what was observed, ending with the literal that closed the object.
  mutating func learn(_ bytes: Span<UInt8>, closing: Range<Int>, plans: [FieldPlan]) {
    misses = 0
    guard seen.count <= Self.stepsMax else { return }
    steps.removeAll(keepingCapacity: true)
    overflow.removeAll(keepingCapacity: true)
    absent.removeAll(keepingCapacity: true)
    hasNewline = false
    var isAbsent = [Bool](repeating: true, count: plans.count)
    for (start, end, field) in seen {
      let literal = ByteLiteral(bytes, start..<end, overflow: &overflow)
      for index in start..<end where bytes[index] == UInt8(ascii: "\n") { hasNewline = true }
      if field < 0 {
        steps.append(Step(literal: literal, field: -1, kind: .unknown, isConstrained: false))
      } else {
        isAbsent[field] = false
        let plan = plans[field]
        steps.append(
          Step(literal: literal, field: Int32(field), kind: plan.kind, isConstrained: plan.isConstrained))
      }
    }
    let literal = ByteLiteral(bytes, closing, overflow: &overflow)
    steps.append(Step(literal: literal, field: -1, kind: .end, isConstrained: false))
    for field in plans.indices where isAbsent[field] { absent.append(field) }
  }
}
