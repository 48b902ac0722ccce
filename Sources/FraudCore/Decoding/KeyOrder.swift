/// The order in which the last events had their keys, and every byte between their values.
///
/// Producers write the same keys in the same order with the same spaces. So the bytes from the end of one value to the
/// start of the next (`,"amount":`) are compared as one literal, and only where they differ is a key looked up. An order
/// is learned from an event that came by the general path and was accepted, hence it names no field twice.
struct KeyOrder {
  /// What is expected behind a value, and the value that follows it: one cache line.
  struct Step {
    /// The literal's first sixteen bytes, a mask of those that there are, and sixteen bytes from `lastStart`, which overlap
    /// with the first ones and end with the literal, or with its 32nd byte.
    var first = SIMD16<UInt8>()
    var mask = SIMD16<UInt8>()
    var last = SIMD16<UInt8>()
    /// Bytes of the literal.
    var count: Int32
    /// Where the second vector of the literal starts in it.
    var lastStart: Int32
    /// The field, or -1 for a key that the schema does not know.
    var field: Int32
    var kind: FieldPlan.Kind
    var isConstrained: Bool
  }

  /// The last step is of kind `end`. Empty before anything was learned.
  private(set) var steps: [Step] = []
  /// What the literals have beyond their 32nd bytes, and where each step's part starts.
  private(set) var overflow: [UInt8] = []
  private(set) var overflowStarts: [Int] = []
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
    overflowStarts.removeAll(keepingCapacity: true)
    absent.removeAll(keepingCapacity: true)
    hasNewline = false
    var isAbsent = [Bool](repeating: true, count: plans.count)
    for (start, end, field) in seen {
      if field < 0 {
        add(bytes, start..<end, field: -1, kind: .unknown, isConstrained: false)
      } else {
        isAbsent[field] = false
        add(bytes, start..<end, field: field, kind: plans[field].kind, isConstrained: plans[field].isConstrained)
      }
    }
    add(bytes, closing, field: -1, kind: .end, isConstrained: false)
    for field in plans.indices where isAbsent[field] { absent.append(field) }
  }

  private mutating func add(
    _ bytes: Span<UInt8>, _ literal: Range<Int>, field: Int, kind: FieldPlan.Kind, isConstrained: Bool
  ) {
    var step = Step(
      count: Int32(truncatingIfNeeded: literal.count), lastStart: Int32(max(0, min(literal.count, 32) - 16)),
      field: Int32(truncatingIfNeeded: field), kind: kind, isConstrained: isConstrained)
    for index in 0..<min(16, literal.count) {
      step.first[index] = bytes[literal.lowerBound + index]
      step.mask[index] = 0xFF
    }
    if literal.count > 16 {
      for index in 0..<16 { step.last[index] = bytes[literal.lowerBound + Int(step.lastStart) + index] }
    }
    overflowStarts.append(overflow.count)
    for index in literal.dropFirst(32) { overflow.append(bytes[index]) }
    for index in literal where bytes[index] == UInt8(ascii: "\n") { hasNewline = true }
    steps.append(step)
  }

  /// Whether what a literal has beyond its 32nd byte stands at `position + 32`.
  func matchesRest(_ step: Int, _ bytes: Span<UInt8>, at position: Int) -> Bool {
    let count = Int(steps[step].count)
    guard count <= bytes.count - position else { return false }
    for index in 32..<count where bytes[position + index] != overflow[overflowStarts[step] + index - 32] {
      return false
    }
    return true
  }
}
