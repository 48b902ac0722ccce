import Foundation
import Synchronization

/// Ctrl-C and SIGTERM as a flag that loops look at, so that a command can finish its unit of work and clean up.
enum Interruption {
  private static let signalNumber = Atomic<Int32>(0)

  /// From now on SIGINT and SIGTERM set the flag instead of ending the process; a second SIGINT ends it.
  static func watch() {
    // Whoever started this program may have blocked them; blocked signals are inherited.
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGINT)
    unsafe sigaddset(&signals, SIGTERM)
    unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    for number in [SIGINT, SIGTERM] {
      handle(number) { number in
        // Runs in a signal handler: only a lock-free store and async-signal-safe calls.
        if Interruption.signalNumber.exchange(number, ordering: .relaxed) == SIGINT, number == SIGINT { _exit(130) }
      }
    }
  }

  /// The signal that asked the command to end, if one did.
  static var signal: Int32? {
    let number = signalNumber.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }

  /// Whether the command was asked to end.
  static var isRequested: Bool { signal != nil }

  private static func handle(_ number: Int32, with handler: @convention(c) (Int32) -> Void) {
    var action = sigaction()
    #if canImport(Darwin)
      unsafe action.__sigaction_u.__sa_handler = handler
    #else
      unsafe action.__sigaction_handler.sa_handler = handler
    #endif
    unsafe sigaction(number, &action, nil)
  }
}
