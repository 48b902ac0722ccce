#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Runs blocking work on a new thread and waits for it without blocking Swift's cooperative pool.
///
/// Starting a thread costs about 20 µs, so this is for commands and long-lived loops, not for single small calls. The
/// work is not cancelled with the task; it ends when its own timeouts do.
public func onOwnThread<Result: Sendable>(
  _ work: sending @escaping () throws(StoreError) -> Result
) async throws(StoreError) -> Result {
  let outcome: Swift.Result<Result, StoreError> = await withCheckedContinuation { continuation in
    let box = ThreadBody { () in
      do throws(StoreError) {
        continuation.resume(returning: .success(try work()))
      } catch {
        continuation.resume(returning: .failure(error))
      }
    }
    box.start()
  }
  return try outcome.get()
}

/// What a new thread runs.
private final class ThreadBody {
  private let body: () -> Void

  init(_ body: @escaping () -> Void) {
    self.body = body
  }

  /// Starts the thread. Where the system has none left, the work is done here: late is better than never.
  func start() {
    // Retained here, released by the thread that takes it, or below where there is none.
    let context = unsafe Unmanaged.passRetained(self)
    #if os(Linux)
      var thread: pthread_t = 0
    #else
      var thread: pthread_t? = nil
    #endif
    let status = unsafe pthread_create(
      &thread, nil,
      { context in
        #if os(Linux)
          if let context = unsafe context {
            unsafe Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body()
          }
        #else
          unsafe Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body()
        #endif
        return nil
      }, context.toOpaque())
    if status == 0 {
      #if os(Linux)
        pthread_detach(thread)
      #else
        if let thread { unsafe pthread_detach(thread) }
      #endif
    } else {
      unsafe context.takeRetainedValue().body()
    }
  }
}
