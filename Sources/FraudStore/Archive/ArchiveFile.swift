internal import FraudCore

/// A file of the archive, as its name tells it.
///
/// `raw_transactions/pipeline=NAME/date=YYYY-MM-DD/TOPIC+PARTITION+FIRST-LAST.parquet`: hive-style folders, so that
/// DuckDB, Spark, pyarrow and Athena take all of it as one set; offsets padded to 20 digits, so that names sort. The
/// name follows from the data alone: whoever writes the same events again writes the same file.
public struct ArchiveFile: Sendable, Hashable {
  /// The folder of events below the archive's root.
  package static let set = "raw_transactions"

  /// The pipeline that read the events.
  public var pipeline: String
  /// The UTC day of the first event's record timestamp, as days since 1970.
  public var day: Int
  /// The topic that the events come from.
  public var topic: String
  /// And the partition.
  public var partition: Int32
  /// The offsets of the first and the last event.
  public var offsets: ClosedRange<Int64>

  /// Names a file.
  public init(pipeline: String, day: Int, topic: String, partition: Int32, offsets: ClosedRange<Int64>) {
    self.pipeline = pipeline
    self.day = day
    self.topic = topic
    self.partition = partition
    self.offsets = offsets
  }

  /// The date as folders have it: `2025-03-01`.
  public var date: String {
    let (year, month, day) = TimestampText.date(days: day)
    return "\(padded(Int64(year), 4))-\(padded(Int64(month), 2))-\(padded(Int64(day), 2))"
  }

  /// The folder below the archive's root.
  public var folder: String { "\(Self.set)/pipeline=\(pipeline)/date=\(date)" }

  /// The name in its folder.
  public var name: String {
    "\(Self.encoded(topic))+\(partition)+\(Self.offsetText(offsets)).parquet"
  }

  static func offsetText(_ offsets: ClosedRange<Int64>) -> String {
    "\(padded(offsets.lowerBound, 20))-\(padded(offsets.upperBound, 20))"
  }

  /// Folder and name.
  public var path: String { "\(folder)/\(name)" }

  /// Reads a path below the archive's root; `nil` where it is not an archive file's.
  public init?(path: String) {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == Self.set, let pipeline = Self.value(parts[1], "pipeline"),
      let date = Self.value(parts[2], "date"), let day = Self.day(date)
    else { return nil }
    let pieces = parts[3].split(separator: "+", omittingEmptySubsequences: false)
    guard pieces.count == 3, pieces[2].hasSuffix(".parquet"), let topic = Self.decoded(pieces[0]),
      let partition = Int32(pieces[1])
    else { return nil }
    let ends = pieces[2].dropLast(".parquet".count).split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, ends.allSatisfy({ $0.utf8.count == 20 }), let first = Int64(ends[0]),
      let last = Int64(ends[1]), first <= last
    else { return nil }
    self.init(pipeline: pipeline, day: day, topic: topic, partition: partition, offsets: first...last)
    // One name a file: what is written otherwise is not ours.
    guard self.path == path else { return nil }
  }

  private static func value(_ part: Substring, _ key: String) -> String? {
    part.hasPrefix(key + "=") ? String(part.dropFirst(key.count + 1)) : nil
  }

  private static func day(_ text: String) -> Int? {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 3, let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]),
      (0...9_999).contains(year), (1...12).contains(month), (1...31).contains(day)
    else { return nil }
    return TimestampText.days(year: year, month: month, day: day)
  }

  /// A topic with everything percent-encoded that could mean something in a path.
  static func encoded(_ topic: String) -> String {
    var text = ""
    for (index, byte) in topic.utf8.enumerated() {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "-"):
        text.unicodeScalars.append(Unicode.Scalar(byte))
      case UInt8(ascii: ".") where index > 0: text += "."
      default: text += "%" + hexadecimal([byte]).uppercased()
      }
    }
    return text
  }

  private static func decoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%") {
        guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
          return nil
        }
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }
}

/// A number with zeros before it.
private func padded(_ number: Int64, _ digits: Int) -> String {
  let text = String(number)
  return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}

extension ArchiveFile: Comparable {
  /// By pipeline, topic, partition, then by first offset, the longer range first.
  public static func < (a: ArchiveFile, b: ArchiveFile) -> Bool {
    if a.pipeline != b.pipeline { return a.pipeline < b.pipeline }
    if a.topic != b.topic { return a.topic < b.topic }
    if a.partition != b.partition { return a.partition < b.partition }
    if a.offsets.lowerBound != b.offsets.lowerBound { return a.offsets.lowerBound < b.offsets.lowerBound }
    if a.offsets.upperBound != b.offsets.upperBound { return a.offsets.upperBound > b.offsets.upperBound }
    return a.day < b.day
  }
}
