/// Builds a ``CheckedExpression``: equal nodes become one, constants are folded where that neither raises nor makes texts
/// without end.
struct NodeBuilder {
  let zones: TimeZones
  private(set) var nodes: [CheckedNode] = []
  private(set) var ranges: [Range<Int>] = []
  private var indices: [CheckedNode: Int] = [:]
  /// Bytes of the texts that folding has made.
  private var madeTextBytes = 0

  init(zones: TimeZones) {
    self.zones = zones
  }

  /// The index of a node that does this, which may be older than the call.
  mutating func add(_ operation: Operation, _ children: [Int] = [], type: DataType, range: Range<Int>) -> Int {
    if let folded = fold(operation, children, type: type, range: range) { return folded }
    let node = CheckedNode(operation, children, type: type)
    if let index = indices[node] { return index }
    nodes.append(node)
    ranges.append(range)
    indices[node] = nodes.count - 1
    return nodes.count - 1
  }

  mutating func literal(_ value: Value, type: DataType, range: Range<Int>) -> Int {
    add(.literal(value), type: type, range: range)
  }

  func type(of node: Int) -> DataType {
    nodes[node].type
  }

  /// The value of a node that is a constant.
  func constant(_ node: Int) -> Value? {
    guard case .literal(let value) = nodes[node].operation else { return nil }
    return value
  }

  /// The nodes that the root needs, in post-order from it: the numbering depends on nothing but what they are.
  func expression(root: Int) -> CheckedExpression {
    var numbers = [Int?](repeating: nil, count: root + 1)
    var kept: [CheckedNode] = []
    var keptRanges: [Range<Int>] = []
    // Nodes being visited, each with how many of its children have been.
    var pending: [(node: Int, visited: Int)] = [(root, 0)]
    while let (index, visited) = pending.last {
      var node = nodes[index]
      if visited < node.children.count {
        pending[pending.count - 1].visited += 1
        if numbers[node.children[visited]] == nil { pending.append((node.children[visited], 0)) }
        continue
      }
      pending.removeLast()
      guard numbers[index] == nil else { continue }
      node.children = node.children.compactMap { numbers[$0] }
      numbers[index] = kept.count
      kept.append(node)
      keptRanges.append(ranges[index])
    }
    return CheckedExpression(nodes: kept, ranges: keptRanges)
  }

  // MARK: Folding

  private mutating func fold(_ operation: Operation, _ children: [Int], type: DataType, range: Range<Int>) -> Int? {
    switch operation {
    case .literal, .column, .inList: return nil
    case .and: return foldLogic(.and, children, deciding: false, range: range)
    case .or: return foldLogic(.or, children, deciding: true, range: range)
    case .caseWhen: return foldCase(children, type: type, range: range)
    case .coalesce: return foldCoalesce(children, type: type, range: range)
    case .inValues: return nil
    default: break
    }
    var values: [Value] = []
    for child in children {
      guard let value = constant(child) else { return nil }
      values.append(value)
    }
    let types = children.map { self.type(of: $0) }
    guard type != .string || madeTextBytes < Limits.constantTextBytes,
      let value = try? evaluate(operation, values, types: types, result: type, zones: zones)
    else { return nil }
    if case .string(let text) = value {
      madeTextBytes += text.count
      guard madeTextBytes <= Limits.constantTextBytes else { return nil }
    }
    return literal(value, type: type, range: range)
  }

  /// Drops constants that do not matter and what stands behind the one that decides.
  private mutating func foldLogic(
    _ operation: Operation, _ children: [Int], deciding: Bool, range: Range<Int>
  ) -> Int? {
    var kept: [Int] = []
    var changed = false
    for child in children {
      if case .boolean(let value)? = constant(child) {
        changed = true
        if value == deciding {
          kept.append(child)
          break
        }
      } else {
        kept.append(child)
      }
    }
    guard changed, kept.count < children.count || kept.count < 2 else { return nil }
    if kept.isEmpty { return literal(.boolean(!deciding), type: .boolean, range: range) }
    return kept.count == 1 ? kept[0] : add(operation, kept, type: .boolean, range: range)
  }

  /// Drops branches that are never taken and ends at one that always is.
  private mutating func foldCase(_ children: [Int], type: DataType, range: Range<Int>) -> Int? {
    var kept: [Int] = []
    var index = 0
    while index + 1 < children.count {
      switch constant(children[index]) {
      case .boolean(true)?:
        kept.append(children[index + 1])
        return kept.count == 1 ? kept[0] : add(.caseWhen, kept, type: type, range: range)
      case .boolean(false)?, .null?: break
      default: kept += children[index...(index + 1)]
      }
      index += 2
    }
    guard kept.count + 1 < children.count else { return nil }
    kept.append(children[children.count - 1])
    return kept.count == 1 ? kept[0] : add(.caseWhen, kept, type: type, range: range)
  }

  /// Drops NULLs and what stands behind a constant that is not NULL.
  private mutating func foldCoalesce(_ children: [Int], type: DataType, range: Range<Int>) -> Int? {
    var kept: [Int] = []
    for child in children {
      let value = constant(child)
      if value != .null { kept.append(child) }
      if let value, value != .null { break }
    }
    if kept.isEmpty { return literal(.null, type: type, range: range) }
    if kept.count == 1 { return kept[0] }
    return kept.count < children.count ? add(.coalesce, kept, type: type, range: range) : nil
  }
}
