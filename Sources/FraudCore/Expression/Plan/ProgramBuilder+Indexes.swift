extension ProgramBuilder {
  /// Emits an index for each column that many predicates compare with constants.
  mutating func emitIndexes() {
    var byColumn: [Int: [(node: Int, predicate: PredicateIndex.Predicate)]] = [:]
    for index in nodes.indices where nodes[index].parents > 0 {
      if let (column, predicate) = predicate(index) { byColumn[column, default: []].append((index, predicate)) }
    }
    for (column, found) in byColumn.sorted(by: { $0.key < $1.key }) {
      let key: PredicateIndex.Key =
        switch layout.columns[column].type {
        case .string: .texts
        case .float: .doubles
        default: .integers
        }
      // Where ranges overlap too much only equalities are worth an index.
      for predicates in [found, found.filter { if case .range = $0.predicate { false } else { true } }] {
        guard predicates.count >= PredicateIndex.predicatesMin else { break }
        let valid: BitSource = layout.columns[column].nullable ? .validity(column) : .all
        let index = PredicateIndex(
          column: column, key: key, valid: valid, predicates: predicates.map(\.predicate), firstBitmap: bitmapCount)
        guard let index else { continue }
        append(.index(add(index)))
        for (node, _) in predicates {
          place(Operand(type: .boolean, value: .bits(.bitmap(newBitmap())), valid: valid), of: node)
        }
        break
      }
    }
  }

  /// A predicate that compares a column with constants.
  private func predicate(_ index: Int) -> (column: Int, predicate: PredicateIndex.Predicate)? {
    let node = nodes[index]
    if let range = node.range {
      guard let column = column(node.children[0]) else { return nil }
      switch range {
      case .integers(let low, let high):
        guard low <= high else { return nil }
        return (column, .range(key(low)...key(high)))
      case .doubles(let low, let high):
        guard low <= high else { return nil }
        return (column, .range(PredicateIndex.key(double: low)...PredicateIndex.key(double: high)))
      }
    }
    switch node.operation {
    case .inValues:
      guard let column = column(node.children[0]) else { return nil }
      let values = node.children.dropFirst().map { constant($0) }
      return keys(values).map { (column, $0) }
    case .comparison(let comparison):
      if let column = column(node.children[0]), let constant = constant(node.children[1]) {
        return predicate(comparison, constant).map { (column, $0) }
      }
      if let column = column(node.children[1]), let constant = constant(node.children[0]) {
        return predicate(comparison.mirrored, constant).map { (column, $0) }
      }
      return nil
    default: return nil
    }
  }

  private func predicate(_ comparison: Comparison, _ constant: Value) -> PredicateIndex.Predicate? {
    if comparison == .equal { return keys([constant]) }
    let key: UInt64
    switch constant {
    case .integer(let value): key = self.key(value)
    case .double(let value) where !value.isNaN: key = PredicateIndex.key(double: value)
    default: return nil
    }
    switch comparison {
    case .greater where key < .max: return .range((key + 1)...UInt64.max)
    case .greaterOrEqual: return .range(key...UInt64.max)
    case .less where key > 0: return .range(0...(key - 1))
    case .lessOrEqual: return .range(0...key)
    default: return nil
    }
  }

  private func keys(_ constants: [Value?]) -> PredicateIndex.Predicate? {
    var keys: [UInt64] = []
    var texts: [[UInt8]] = []
    for constant in constants {
      switch constant {
      case .integer(let value): keys.append(UInt64(bitPattern: value))
      case .double(let value): keys.append(ListValues.key(value))
      case .string(let text): texts.append(text)
      default: return nil
      }
    }
    return texts.isEmpty ? .keys(keys) : .texts(texts)
  }

  private func key(_ value: Int64) -> UInt64 {
    PredicateIndex.key(integer: UInt64(bitPattern: value))
  }

  private func column(_ node: Int) -> Int? {
    if case .column(let column) = nodes[node].operation, layout.columns[column].type != .boolean { return column }
    return nil
  }

  private func constant(_ node: Int) -> Value? {
    if case .literal(let value) = nodes[node].operation, value != .null { return value }
    return nil
  }
}
