import Foundation

/// Runs blocking work on a new thread and waits for it without blocking Swift's cooperative pool.
///
/// Starting a thread costs about 20 µs, so this is for commands and long-lived loops, not for single small calls. The
/// work is not cancelled with the task; it ends when its own timeouts do.
public func onOwnThread<Result: Sendable>(
  _ work: sending @escaping () throws(StoreError) -> Result
) async throws(StoreError) -> Result {
  let outcome: Swift.Result<Result, StoreError> = await withCheckedContinuation { continuation in
    let body = { () in
      do throws(StoreError) {
        continuation.resume(returning: .success(try work()))
      } catch {
        continuation.resume(returning: .failure(error))
      }
    }
    let thread = ThreadBody(nil, body)
    // Where the system has no thread left, the work is done here: late is better than never.
    if thread.start(stackBytes: nil) != 0 { thread.body() }
  }
  return try outcome.get()
}

/// Starts a thread that runs `body` and ends with it.
///
/// - Parameters:
///   - name: what debuggers show, the first 15 bytes of it on Linux.
///   - stackBytes: the system's default where it is `nil`.
/// - Throws: where the system has no thread or no memory left for one, which `Foundation.Thread` does not say.
package func startThread(
  named name: String, stackBytes: Int? = nil, _ body: sending @escaping () -> Void
) throws(StoreError) {
  let status = ThreadBody(name, body).start(stackBytes: stackBytes)
  if status != 0 {
    throw StoreError(code: .thread, message: "cannot start thread \(name): \(systemMessage(status))")
  }
}

/// What a new thread runs.
private final class ThreadBody {
  let body: () -> Void
  private let name: String?

  init(_ name: String?, _ body: @escaping () -> Void) {
    self.name = name
    self.body = body
  }

  /// Starts the thread.
  ///
  /// - Returns: 0, or the system's error number where there is no thread, and then `body` was not called.
  func start(stackBytes: Int?) -> Int32 {
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    if let stackBytes { unsafe pthread_attr_setstacksize(&attributes, stackBytes) }
    // Retained here, released by the thread that takes it, or below where there is none.
    let context = unsafe Unmanaged.passRetained(self)
    #if os(Linux)
      var thread: pthread_t = 0
    #else
      var thread: pthread_t? = nil
    #endif
    let status = unsafe pthread_create(
      &thread, &attributes,
      { context in
        #if os(Linux)
          if let context = unsafe context { unsafe ThreadBody.run(context) }
        #else
          unsafe ThreadBody.run(context)
        #endif
        return nil
      }, context.toOpaque())
    if status != 0 { unsafe context.release() }
    return status
  }

  private static func run(_ context: UnsafeMutableRawPointer) {
    let this = unsafe Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue()
    if let name = this.name { Thread.current.name = name }
    this.body()
  }
}
