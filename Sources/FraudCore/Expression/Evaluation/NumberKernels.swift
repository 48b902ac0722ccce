// Comparisons and arithmetic on columns of numbers. Rows without a value hold some word, so all rows may be calculated with;
// comparisons answer for the rows of a set.

/// Rows where a column of integers compares with a constant as asked.
func compareIntegers<Rows: RowSet>(
  _ comparison: Comparison, _ words: Span<UInt64>, from start: Int, _ constant: Int64, _ rows: Rows,
  _ count: Int
) -> Rows {
  precondition(start + count <= words.count, "\(count) rows from \(start) in \(words.count) words")
  switch comparison {
  case .equal, .nullSafeEqual:
    return testRows(in: rows, count, everyRow: true) { Int64(bitPattern: words[start &+ $0]) == constant }
  case .notEqual: return testRows(in: rows, count, everyRow: true) { Int64(bitPattern: words[start &+ $0]) != constant }
  case .less: return testRows(in: rows, count, everyRow: true) { Int64(bitPattern: words[start &+ $0]) < constant }
  case .lessOrEqual:
    return testRows(in: rows, count, everyRow: true) { Int64(bitPattern: words[start &+ $0]) <= constant }
  case .greater: return testRows(in: rows, count, everyRow: true) { Int64(bitPattern: words[start &+ $0]) > constant }
  case .greaterOrEqual:
    return testRows(in: rows, count, everyRow: true) { Int64(bitPattern: words[start &+ $0]) >= constant }
  }
}

/// Rows where two columns of integers compare as asked.
func compareIntegers<Rows: RowSet>(
  _ comparison: Comparison, _ a: Span<UInt64>, from aStart: Int, _ b: Span<UInt64>, from bStart: Int,
  _ rows: Rows, _ count: Int
) -> Rows {
  precondition(aStart + count <= a.count && bStart + count <= b.count, "\(count) rows in \(a.count), \(b.count) words")
  switch comparison {
  case .equal, .nullSafeEqual: return testRows(in: rows, count, everyRow: true) { a[aStart &+ $0] == b[bStart &+ $0] }
  case .notEqual: return testRows(in: rows, count, everyRow: true) { a[aStart &+ $0] != b[bStart &+ $0] }
  case .less:
    return testRows(in: rows, count, everyRow: true) {
      Int64(bitPattern: a[aStart &+ $0]) < Int64(bitPattern: b[bStart &+ $0])
    }
  case .lessOrEqual:
    return testRows(in: rows, count, everyRow: true) {
      Int64(bitPattern: a[aStart &+ $0]) <= Int64(bitPattern: b[bStart &+ $0])
    }
  case .greater:
    return testRows(in: rows, count, everyRow: true) {
      Int64(bitPattern: a[aStart &+ $0]) > Int64(bitPattern: b[bStart &+ $0])
    }
  case .greaterOrEqual:
    return testRows(in: rows, count, everyRow: true) {
      Int64(bitPattern: a[aStart &+ $0]) >= Int64(bitPattern: b[bStart &+ $0])
    }
  }
}

/// Rows where a column of doubles compares with a constant as asked; NaN is greater than every number.
func compareDoubles<Rows: RowSet>(
  _ comparison: Comparison, _ words: Span<UInt64>, from start: Int, _ constant: Double, _ rows: Rows,
  _ count: Int
) -> Rows {
  precondition(start + count <= words.count, "\(count) rows from \(start) in \(words.count) words")
  if constant.isNaN {
    return testRows(in: rows, count, everyRow: true) {
      comparison.holds(compare(Double(bitPattern: words[start &+ $0]), constant))
    }
  }
  // With a constant that is a number a NaN row fails < and <=, so > and >= are their opposites.
  switch comparison {
  case .equal, .nullSafeEqual:
    return testRows(in: rows, count, everyRow: true) { Double(bitPattern: words[start &+ $0]) == constant }
  case .notEqual:
    return testRows(in: rows, count, everyRow: true) { Double(bitPattern: words[start &+ $0]) != constant }
  case .less: return testRows(in: rows, count, everyRow: true) { Double(bitPattern: words[start &+ $0]) < constant }
  case .lessOrEqual:
    return testRows(in: rows, count, everyRow: true) { Double(bitPattern: words[start &+ $0]) <= constant }
  case .greater:
    return testRows(in: rows, count, everyRow: true) { !(Double(bitPattern: words[start &+ $0]) <= constant) }
  case .greaterOrEqual:
    return testRows(in: rows, count, everyRow: true) { !(Double(bitPattern: words[start &+ $0]) < constant) }
  }
}

/// Rows where two columns of doubles compare as asked.
func compareDoubles<Rows: RowSet>(
  _ comparison: Comparison, _ a: Span<UInt64>, from aStart: Int, _ b: Span<UInt64>, from bStart: Int,
  _ rows: Rows, _ count: Int
) -> Rows {
  precondition(aStart + count <= a.count && bStart + count <= b.count, "\(count) rows in \(a.count), \(b.count) words")
  /// a < b with NaN last.
  @inline(__always)
  func less(_ a: UInt64, _ b: UInt64) -> Bool {
    let x = Double(bitPattern: a)
    let y = Double(bitPattern: b)
    return x < y || (y.isNaN && !x.isNaN)
  }
  @inline(__always)
  func equal(_ a: UInt64, _ b: UInt64) -> Bool {
    let x = Double(bitPattern: a)
    let y = Double(bitPattern: b)
    return x == y || (x.isNaN && y.isNaN)
  }
  switch comparison {
  case .equal, .nullSafeEqual:
    return testRows(in: rows, count, everyRow: true) { equal(a[aStart &+ $0], b[bStart &+ $0]) }
  case .notEqual: return testRows(in: rows, count, everyRow: true) { !equal(a[aStart &+ $0], b[bStart &+ $0]) }
  case .less: return testRows(in: rows, count, everyRow: true) { less(a[aStart &+ $0], b[bStart &+ $0]) }
  case .lessOrEqual: return testRows(in: rows, count, everyRow: true) { !less(b[bStart &+ $0], a[aStart &+ $0]) }
  case .greater: return testRows(in: rows, count, everyRow: true) { less(b[bStart &+ $0], a[aStart &+ $0]) }
  case .greaterOrEqual: return testRows(in: rows, count, everyRow: true) { !less(a[aStart &+ $0], b[bStart &+ $0]) }
  }
}

/// Rows where a column of integers lies between two constants, both included.
func integersBetween<Rows: RowSet>(
  _ words: Span<UInt64>, from start: Int, _ low: Int64, _ high: Int64, _ rows: Rows, _ count: Int
) -> Rows {
  precondition(start + count <= words.count, "\(count) rows from \(start) in \(words.count) words")
  guard low <= high else { return .none }
  // One unsigned comparison of the distance from the lower bound.
  let width = UInt64(bitPattern: high &- low)
  let from = UInt64(bitPattern: low)
  return testRows(in: rows, count, everyRow: true) { words[start &+ $0] &- from <= width }
}

/// Rows where a column of doubles lies between two constants, both included.
func doublesBetween<Rows: RowSet>(
  _ words: Span<UInt64>, from start: Int, _ low: Double, _ high: Double, _ rows: Rows, _ count: Int
) -> Rows {
  precondition(start + count <= words.count, "\(count) rows from \(start) in \(words.count) words")
  return testRows(in: rows, count, everyRow: true) { row in
    let value = Double(bitPattern: words[start &+ row])
    return value >= low && value <= high
  }
}

/// Doubles from two columns of doubles. A division by zero gives some double; its row is no value.
func calculateDoubles(
  _ operation: Arithmetic, _ a: Span<UInt64>, from aStart: Int, _ b: Span<UInt64>, from bStart: Int, _ count: Int,
  into result: inout MutableSpan<UInt64>
) {
  precondition(
    aStart + count <= a.count && bStart + count <= b.count && count <= result.count, "\(count) rows do not fit")
  @inline(__always)
  func each(_ body: (Double, Double) -> Double) {
    for row in 0..<count {
      result[row] = body(Double(bitPattern: a[aStart &+ row]), Double(bitPattern: b[bStart &+ row])).bitPattern
    }
  }
  switch operation {
  case .add: each { $0 + $1 }
  case .subtract: each { $0 - $1 }
  case .multiply: each { $0 * $1 }
  case .divide: each { $0 / $1 }
  case .remainder: each { Mathematics.remainder($0, $1) }
  case .negate: each { a, _ in -a }
  default: preconditionFailure("\(operation) has no kernel for doubles")
  }
}

/// Integers from two columns of integers, and the rows where the result leaves the range.
func calculateIntegers<Rows: RowSet>(
  _ operation: Arithmetic, _ a: Span<UInt64>, from aStart: Int, _ b: Span<UInt64>, from bStart: Int, _ count: Int,
  _ rows: Rows, range: ClosedRange<Int64>, into result: inout MutableSpan<UInt64>
) -> Rows {
  precondition(
    aStart + count <= a.count && bStart + count <= b.count && count <= result.count, "\(count) rows do not fit")
  let low = range.lowerBound
  let high = range.upperBound
  @inline(__always)
  func each(_ body: (Int64, Int64) -> (partialValue: Int64, overflow: Bool)) -> Rows {
    testRows(in: rows, count, everyRow: true) { row in
      let (value, overflow) = body(Int64(bitPattern: a[aStart &+ row]), Int64(bitPattern: b[bStart &+ row]))
      result[row] = UInt64(bitPattern: value)
      return overflow || value < low || value > high
    }
  }
  switch operation {
  case .add: return each { $0.addingReportingOverflow($1) }
  case .subtract: return each { $0.subtractingReportingOverflow($1) }
  case .multiply: return each { $0.multipliedReportingOverflow(by: $1) }
  case .negate: return each { a, _ in Int64(0).subtractingReportingOverflow(a) }
  default: preconditionFailure("\(operation) has no kernel for integers")
  }
}

/// A column of integers as doubles.
func convertIntegers(_ words: Span<UInt64>, from start: Int, _ count: Int, into result: inout MutableSpan<UInt64>) {
  precondition(start + count <= words.count && count <= result.count, "\(count) rows do not fit")
  for row in 0..<count { result[row] = Double(Int64(bitPattern: words[start &+ row])).bitPattern }
}

/// The rows of a set where a column's integer is in a set of constants.
func integersIn<Rows: RowSet>(
  _ set: borrowing IntegerSet, _ words: Span<UInt64>, from start: Int, _ rows: Rows, _ count: Int
) -> Rows {
  testRows(in: rows, count) { set.contains(Int64(bitPattern: words[start &+ $0])) }
}
