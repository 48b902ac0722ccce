/// A boolean or other expression whose names, types and overloads are settled: what ``ExpressionCompiler`` makes of a text.
///
/// A flat array of nodes in post-order: a node's children stand before it and are given by their indexes, the last node is
/// the whole expression. So every pass and every evaluation is a loop, and no depth can exhaust the stack. Equal
/// sub-expressions within one expression are one node with several parents (`x BETWEEN a AND b` has one `x`), which makes it
/// a directed acyclic graph; evaluating is free of effects, so a node's value may be computed once and used by all.
///
/// Every implicit cast is a node, every node has its type, constants are folded where folding does not raise.
public struct CheckedExpression: Sendable, Hashable {
  /// The nodes in post-order. Never empty.
  package var nodes: [CheckedNode]
  /// For each node, the UTF-8 range of the text that it was first made from. Takes no part in comparing nodes.
  package var ranges: [Range<Int>]

  package init(nodes: [CheckedNode], ranges: [Range<Int>]) {
    precondition(!nodes.isEmpty && nodes.count == ranges.count, "a checked expression has a root and a range a node")
    self.nodes = nodes
    self.ranges = ranges
  }

  /// The index of the node that is the whole expression.
  package var root: Int { nodes.count - 1 }

  /// The type of the whole expression; BOOLEAN for a rule.
  public var type: DataType { nodes[root].type }

  /// Expressions are equal when their nodes are, wherever in their texts they stood.
  public static func == (a: Self, b: Self) -> Bool {
    a.nodes == b.nodes
  }

  /// Hashes the nodes.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(nodes)
  }
}

/// One operation of a ``CheckedExpression`` on the values of its children.
package struct CheckedNode: Sendable, Hashable {
  package var operation: Operation
  /// Indexes of the operands in the same array, all less than the node's own.
  package var children: [Int]
  package var type: DataType

  package init(_ operation: Operation, _ children: [Int] = [], type: DataType) {
    self.operation = operation
    self.children = children
    self.type = type
  }
}
