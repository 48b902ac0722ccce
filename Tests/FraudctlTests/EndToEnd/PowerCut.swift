import Foundation
import TestRandom

/// What a power cut may leave of a folder, by the journal of `faulty-disk.c`.
///
/// Of the changes of a folder's names since it was synchronised all stay, or none, or the first ones, or those of some names;
/// a file that went from one folder to another leaves the old one only where it has arrived in the new one. Of bytes that were written since a file was
/// synchronised all stay, or none, or a part, or there are zeros. What was synchronised stays as it is.
struct PowerCut {
  private enum Change {
    case appeared(path: String)
    case disappeared(inode: UInt64, path: String)
    case made(path: String)
    case renamed(inode: UInt64, from: String, to: String, replaced: UInt64)
    case arrived(path: String, replaced: UInt64, number: Int)
    case left(inode: UInt64, path: String, number: Int)
  }

  private let root: String
  private let journal: String
  /// By folder, in order: what it has not been synchronised since.
  private var changes: [String: [Change]] = [:]
  /// By inode: from where on bytes may be lost.
  private var unsafeStart: [UInt64: Int] = [:]

  /// - Parameter journal: the folder that `DISK_JOURNAL` named.
  init(root: String, journal: String) throws {
    self.root = root
    self.journal = journal
    let text = try String(contentsOfFile: journal + "/journal", encoding: .utf8)
    for (number, line) in text.split(separator: "\n").enumerated() {
      let parts = line.split(separator: "\t").map(String.init)
      func inode(_ index: Int) -> UInt64 { UInt64(parts[index]) ?? 0 }
      func add(_ change: Change, _ path: String) {
        changes[(path as NSString).deletingLastPathComponent, default: []].append(change)
      }
      switch parts[0] {
      case "create":
        add(.appeared(path: parts[2]), parts[2])
        unsafeStart[inode(1)] = 0
      case "link": add(.appeared(path: parts[2]), parts[2])
      case "unlink": add(.disappeared(inode: inode(1), path: parts[2]), parts[2])
      case "mkdir": add(.made(path: parts[1]), parts[1])
      case "rename":
        let (from, to) = (parts[2], parts[3])
        if (from as NSString).deletingLastPathComponent == (to as NSString).deletingLastPathComponent {
          add(.renamed(inode: inode(1), from: from, to: to, replaced: inode(4)), to)
        } else {
          add(.arrived(path: to, replaced: inode(4), number: number), to)
          add(.left(inode: inode(1), path: from, number: number), from)
        }
      case "write": unsafeStart[inode(1)] = min(unsafeStart[inode(1)] ?? .max, Int(parts[2]) ?? 0)
      case "truncate": unsafeStart[inode(1)] = min(unsafeStart[inode(1)] ?? .max, Int(parts[2]) ?? 0)
      case "data": unsafeStart[inode(1)] = nil
      case "names": changes[parts[1]] = []
      default: preconditionFailure("the journal says '\(line)'")
      }
    }
  }

  /// Makes a folder of what is left after the cut of this seed; the same for the same seed.
  func strike(seed: UInt64, into copy: String) throws {
    var random = SeededGenerator(seed: seed)
    if FileManager.default.fileExists(atPath: root) {
      try FileManager.default.copyItem(atPath: root, toPath: copy)
    } else {
      try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
    }
    var placed: [String: UInt64] = [:]
    func there(_ path: String) -> String { copy + path.dropFirst(root.count) }
    func remove(_ path: String) {
      try? FileManager.default.removeItem(atPath: there(path))
      placed[path] = nil
    }
    func put(_ inode: UInt64, _ path: String) {
      remove(path)
      try? FileManager.default.copyItem(atPath: "\(journal)/\(inode)", toPath: there(path))
      placed[path] = inode
    }
    for (folder, lost) in losses(&random) {
      for place in lost.reversed() {
        switch changes[folder]?[place] {
        case nil: break
        case .appeared(let path), .made(let path): remove(path)
        case .disappeared(let inode, let path), .left(let inode, let path, _): put(inode, path)
        case .renamed(let inode, let from, let to, let replaced):
          remove(to)
          if replaced != 0 { put(replaced, to) }
          put(inode, from)
        case .arrived(let path, let replaced, _):
          remove(path)
          if replaced != 0 { put(replaced, path) }
        }
      }
    }
    let damage = Dictionary(
      uniqueKeysWithValues: unsafeStart.sorted { $0.key < $1.key }.map {
        ($0.key, (Int.random(in: 0..<4, using: &random), Double.random(in: 0...1, using: &random)))
      })
    for name in FileManager.default.enumerator(atPath: copy)?.compactMap({ $0 as? String }) ?? [] {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(copy)/\(name)")
      guard attributes[.type] as? FileAttributeType == .typeRegular else { continue }
      let path = "\(root)/\(name)"
      let original = try? FileManager.default.attributesOfItem(atPath: path)
      guard let inode = placed[path] ?? (original?[.systemFileNumber] as? NSNumber)?.uint64Value,
        let start = unsafeStart[inode], let (kind, share) = damage[inode]
      else { continue }
      var bytes = try Data(contentsOf: URL(filePath: "\(copy)/\(name)"))
      guard start < bytes.count else { continue }
      let some = start + Int(Double(bytes.count - start) * share)
      switch kind {
      case 0: break
      case 1: bytes = bytes.prefix(start)
      case 2: bytes = bytes.prefix(start) + Data(count: bytes.count - start)
      default: bytes = bytes.prefix(some) + Data(count: (bytes.count - some) / 2)
      }
      try bytes.write(to: URL(filePath: "\(copy)/\(name)"))
    }
  }

  /// The changes of each folder that the cut takes back, by their places.
  private func losses(_ random: inout SeededGenerator) -> [(folder: String, lost: [Int])] {
    // Folders first that are nearer to the root: what lay in one that is gone is gone.
    let folders = changes.keys.sorted()
    var lost: [String: Set<Int>] = [:]
    for folder in folders {
      let places = (changes[folder] ?? []).indices
      switch Int.random(in: 0..<4, using: &random) {
      case 0: lost[folder] = Set(places)
      case 1: lost[folder] = []
      case 2: lost[folder] = Set(places.suffix(Int.random(in: 0...places.count, using: &random)))
      default:
        // Each name on its own.
        let names = names(folder)
        var isLost: Set<String> = []
        for place in places {
          if Bool.random(using: &random) { isLost.insert(names[place]) }
          if isLost.contains(names[place]) { lost[folder, default: []].insert(place) }
        }
      }
    }
    var missing: Set<Int> = []
    for folder in folders {
      for place in lost[folder] ?? [] {
        if case .arrived(_, _, let number) = changes[folder]?[place] { missing.insert(number) }
      }
    }
    for folder in folders {
      let names = names(folder)
      var stays: Set<String> = []
      for (place, change) in (changes[folder] ?? []).enumerated() {
        if case .left(_, _, let number) = change, missing.contains(number) { stays.insert(names[place]) }
        if stays.contains(names[place]) { lost[folder, default: []].insert(place) }
      }
    }
    return folders.map { ($0, (lost[$0] ?? []).sorted()) }
  }

  /// For each change of a folder what it is about: a name; those that were renamed are one.
  private func names(_ folder: String) -> [String] {
    let changes = changes[folder] ?? []
    var renamed: Set<String> = []
    for change in changes { if case .renamed(_, let from, let to, _) = change { renamed.formUnion([from, to]) } }
    return changes.map { change in
      switch change {
      case .appeared(let path), .disappeared(_, let path), .made(let path), .arrived(let path, _, _),
        .left(_, let path, _):
        return renamed.contains(path) ? "" : path
      case .renamed: return ""
      }
    }
  }
}
