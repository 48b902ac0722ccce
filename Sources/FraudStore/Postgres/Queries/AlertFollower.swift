/// Follows the alerts that are written, missing none.
///
/// Numbers are given when a row is written and rows appear when their transaction commits, so a smaller number may
/// appear after a larger one. What lies above `floor` is therefore asked for again, less what has been seen; the floor
/// rises over a number once it is seen, or so late that whoever took it has rolled back.
public struct AlertFollower: Sendable {
  private let filter: AlertFilter
  private var floor: Int64
  private var seen: Set<Int64> = []
  /// Questions since a number that is missing just above the floor was passed.
  private var waited = 0

  /// Questions after which a missing number is given up. At two a second that is half a minute, the time that a
  /// transaction may lie idle.
  private static let patience = 60
  /// Numbers above the floor at which it rises whatever is missing, to bound the memory.
  private static let seenMax = 100_000

  /// Begins after the newest alert that there is.
  public init(_ filter: AlertFilter, on connection: inout PostgresConnection) throws(StoreError) {
    self.filter = filter
    let newest = try connection.query("SELECT coalesce(max(id), 0) FROM fraud.alerts")
    floor = try newest.required(newest.integer(0, 0))
  }

  /// The alerts that have appeared since the last question, in the order of their numbers.
  public mutating func next(on connection: inout PostgresConnection) throws(StoreError) -> [StoredAlert] {
    let above = try connection.query(
      "SELECT id FROM fraud.alerts WHERE id > $1 AND NOT id = ANY ($2) ORDER BY id LIMIT 10000",
      [.integer(floor), .array(PostgresArray(integers: seen))])
    var fresh: [Int64] = []
    for row in 0..<above.rowCount { fresh.append(try above.required(above.integer(row, 0))) }
    seen.formUnion(fresh)
    raiseFloor()
    if fresh.isEmpty { return [] }
    return try AlertStore.read(
      "SELECT \(AlertStore.columns) FROM fraud.alerts a WHERE \(AlertStore.condition) AND a.id = ANY ($8) ORDER BY a.id",
      AlertStore.parameters(filter) + [.array(PostgresArray(integers: fresh))], &connection)
  }

  private mutating func raiseFloor() {
    let before = floor
    while seen.remove(floor + 1) != nil { floor += 1 }
    waited = floor == before && !seen.isEmpty ? waited + 1 : 0
    if waited >= Self.patience || seen.count > Self.seenMax, let next = seen.min() {
      floor = next - 1
      waited = 0
      while seen.remove(floor + 1) != nil { floor += 1 }
    }
  }
}
