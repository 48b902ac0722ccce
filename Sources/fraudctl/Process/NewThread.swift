import FraudStore

/// Runs work of a process on a new thread and says how it ended; that there is no thread for it is such an end, too.
func onNewThread(
  _ name: String, _ work: @escaping @Sendable () throws -> Void, end: @escaping @Sendable ((any Error)?) -> Void
) {
  do {
    // Room for the deepest expressions.
    try startThread(named: name, stackBytes: 8 << 20) {
      do {
        try work()
        end(nil)
      } catch {
        end(error)
      }
    }
  } catch {
    end(error)
  }
}
