import Foundation
import FraudStore
import Synchronization

/// Takes values out of lists when their time is over, once a second, on a thread of its own.
///
/// Every process does it for all pipelines of the database; the first one wins. While the database is away it does nothing.
final class ListExpiry: Sendable {
  private let address: PostgresAddress
  private let isStopping = Atomic<Bool>(false)

  init(_ address: PostgresAddress) { self.address = address }

  func stop() { isStopping.store(true, ordering: .relaxed) }

  func start() {
    let thread = Thread { [self] in
      var connection: PostgresConnection?
      while !isStopping.load(ordering: .relaxed) {
        do {
          var open = if let current = connection.take() { current } else { try PostgresConnection(address) }
          for name in try ListStore.expire(on: &open) {
            Terminal.standardError.message("\(name): values of lists have expired; a new version is in force")
          }
          connection = consume open
        } catch {
          // What is the matter with the database is said by the runs, which need it more.
          connection = nil
        }
        Thread.sleep(forTimeInterval: 0.5)
      }
    }
    thread.name = "fraud.lists"
    thread.start()
  }
}
