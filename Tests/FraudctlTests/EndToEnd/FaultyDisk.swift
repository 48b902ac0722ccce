import Foundation
import FraudCore
import FraudStore
import Synchronization
import TestRandom
import Testing

/// `Tests/FaultyDisk/faulty-disk.c`, which stands between a program and the files below one folder. Linux only: elsewhere
/// nothing can be put before a program's calls in this way.
enum FaultyDisk {
  /// The compiled library; `nil` where there can be none.
  static let library: String? = {
    #if os(Linux)
      let path = "/tmp/faulty-disk-\(getpid()).so"
      let compiler = Process()
      compiler.executableURL = URL(filePath: "/usr/bin/env")
      compiler.arguments = [
        "cc", "-shared", "-fPIC", "-O1", "-o", path, TestSite.checkout + "/Tests/FaultyDisk/faulty-disk.c", "-ldl",
        "-lpthread",
      ]
      do { try compiler.run() } catch { return nil }
      compiler.waitUntilExit()
      atexit { unsafe unlink("/tmp/faulty-disk-\(getpid()).so") }
      return compiler.terminationStatus == 0 ? path : nil
    #else
      return nil
    #endif
  }()

  static var isAvailable: Bool { Program.isBuilt && library != nil }
  static let absence: Comment = "needs LD_PRELOAD (Linux), cc, and fraudctl beside the tests"

  /// What the library fails with: `eio`, `enospc`, `enospc+20`, `eintr` or `short`.
  struct Fault: Sendable, CustomStringConvertible {
    var number: Int
    var kind: String
    /// The call as the list of an undisturbed run has it.
    var call: String
    var description: String { "call \(number) \(call): \(kind)" }
  }

  /// The environment of a program whose files below `root` are on that disk.
  static func environment(
    _ root: String, fault: Fault? = nil, calls: String? = nil, journal: String? = nil, drop: String? = nil
  ) -> [String: String] {
    var environment = ["LD_PRELOAD": library ?? "", "DISK_ROOT": root]
    if let fault { environment["DISK_FAIL"] = "\(fault.number):\(fault.kind)" }
    if let calls { environment["DISK_CALLS"] = calls }
    if let journal { environment["DISK_JOURNAL"] = journal }
    if let drop { environment["DISK_DROP"] = drop }
    return environment
  }

  /// Each call of an undisturbed run with each way in which it may fail.
  static func faults(_ calls: String) throws -> [Fault] {
    var faults: [Fault] = []
    for line in try String(contentsOfFile: calls, encoding: .utf8).split(separator: "\n") {
      let parts = line.split(separator: "\t")
      guard parts.count == 4, let number = Int(parts[0]) else { continue }
      for (letter, kinds) in [("e", ["eio"]), ("s", ["enospc", "enospc+6"]), ("i", ["eintr"]), ("h", ["short"])] {
        guard parts[2].contains(letter) else { continue }
        for kind in kinds { faults.append(Fault(number: number, kind: kind, call: "\(parts[1]) \(parts[3])")) }
      }
    }
    return faults
  }

  /// All of some faults with `FRAUD_FILE_FAULTS=all`, else a few of them: by `FRAUD_FILE_FAULTS`, a seed, or by a new seed.
  static func chosen(_ faults: [Fault], _ count: Int) -> [Fault] {
    let wish = ProcessInfo.processInfo.environment["FRAUD_FILE_FAULTS"]
    if wish == "all" { return faults }
    let seed = wish.flatMap { UInt64($0) } ?? .random(in: 0...UInt64(UInt32.max))
    var random = SeededGenerator(seed: seed)
    let chosen = Array(faults.shuffled(using: &random).prefix(count))
    print("file faults of seed \(seed): \(chosen)")
    return chosen
  }
}

/// Does something with each item, some at a time, and returns what each says is wrong.
func problems<Item: Sendable>(
  of items: [Item], width: Int = 4, _ check: @escaping @Sendable (Item) throws -> String?
) -> [String] {
  let next = Mutex(0)
  let found = Mutex<[String]>([])
  let done = DispatchSemaphore(value: 0)
  for _ in 0..<width {
    Thread {
      while true {
        let index = next.withLock { next in
          next += 1
          return next - 1
        }
        guard index < items.count else { break }
        var problem: String?
        do { problem = try check(items[index]) } catch { problem = "\(error)" }
        if let problem { found.withLock { $0.append("\(items[index]): \(problem)") } }
      }
      done.signal()
    }.start()
  }
  for _ in 0..<width { done.wait() }
  return found.withLock { $0 }
}
