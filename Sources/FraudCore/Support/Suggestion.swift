/// The candidate nearest to a misspelt name, for "did you mean".
///
/// - Returns: the candidate of the least edit distance (insert, delete, replace, swap of neighbours; letters compared in
///   lower case), if that is at most a third of the name's length and at most three; the earliest of equals.
/// - Source: Damerau–Levenshtein distance, optimal string alignment.
package func nearest(to name: String, among candidates: [String]) -> String? {
  let wanted = Array(name.lowercased().unicodeScalars.prefix(64))
  let bound = min(3, max(1, wanted.count / 3))
  var best: (distance: Int, candidate: String)?
  for candidate in candidates {
    let given = Array(candidate.lowercased().unicodeScalars.prefix(64))
    guard abs(given.count - wanted.count) <= bound else { continue }
    let distance = editDistance(wanted, given)
    if distance <= bound, distance < best?.distance ?? .max { best = (distance, candidate) }
  }
  return best?.candidate
}

private func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
  var beforeLast = [Int](repeating: 0, count: b.count + 1)
  var last = Array(0...b.count)
  var row = last
  for i in a.indices {
    row[0] = i + 1
    for j in b.indices {
      row[j + 1] = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
        row[j + 1] = min(row[j + 1], beforeLast[j - 1] + 1)
      }
    }
    (beforeLast, last, row) = (last, row, beforeLast)
  }
  return last[b.count]
}
