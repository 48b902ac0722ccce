/// The keys of one grouping and a record of `width` words for each, found by open addressing.
///
/// Records lie one after the other in one flat array. A record's word 0 is its key (the value itself, or a block of the
/// heap that holds its bytes), word 1 the latest event time seen; the rest belongs to the operations. Record 0 is the
/// empty record that stands in for a key that is not there: all zero, read but never changed.
///
/// A slot holds a record's index in the low and the upper half of its hash in the high 32 bits, 0 where there is none.
/// Linear probing at a load of at most 3/4; removal shifts back, so there are no tombstones and the table never decays.
struct RecordTable: Sendable {
  let width: Int
  var records: [UInt64]
  /// Keys that are there.
  private(set) var count = 0
  private var slots: [UInt64]
  private var shift: UInt64
  private var freeRecords: [UInt32] = []
  /// Whether records that change are remembered, and a bit for each that has.
  private(set) var tracksChanges = false
  private var changed: [UInt64] = []
  private var changedList: [UInt32] = []

  init(width: Int) {
    self.width = width
    records = [UInt64](repeating: 0, count: width)
    slots = [UInt64](repeating: 0, count: 16)
    shift = 32 - 4
  }

  /// Indexes of records run below this; some may be free.
  var recordLimit: Int { records.count / width }

  /// Bytes of the records in use and of the slots that find them.
  var byteCount: Int { (count * width + slots.count) * 8 }

  /// Loads the slots where these hashes would be, so that finding them one after the other does not wait for memory each
  /// time: without a branch that depends on what is loaded, the loads overlap.
  ///
  /// - Returns: a word that depends on all that was loaded.
  func touchSlots(of hashes: Span<UInt64>) -> UInt64 {
    let slots = slots.span
    var touched: UInt64 = 0
    for index in hashes.indices { touched ^= slots[Int(truncatingIfNeeded: (hashes[index] >> 32) >> shift)] }
    return touched
  }

  /// The same, and gives the records that stand there, which mostly are those that are looked for.
  func guess(_ hashes: Span<UInt64>, into records: inout MutableSpan<Int32>) {
    let slots = slots.span
    for index in hashes.indices {
      records[index] = Int32(truncatingIfNeeded: slots[Int(truncatingIfNeeded: (hashes[index] >> 32) >> shift)])
    }
  }

  /// Loads every cache line of these records, for the same reason.
  func touchRecords(_ found: Span<Int32>) -> UInt64 {
    let records = records.span
    var touched: UInt64 = 0
    for index in found.indices {
      let base = Int(found[index]) &* width
      var word = 0
      while word < width {
        touched ^= records[base &+ word]
        word &+= 8
      }
      touched ^= records[base &+ width &- 1]
    }
    return touched
  }

  /// Loads the blocks that a word of these records names.
  func touchBlocks(_ found: Span<Int32>, word: Int, heap: Span<UInt64>) -> UInt64 {
    let records = records.span
    var touched: UInt64 = 0
    for index in found.indices {
      touched ^= heap[Int(truncatingIfNeeded: records[Int(found[index]) &* width &+ word] & 0xFFFF_FFFF)]
    }
    return touched
  }

  /// The records of many keys that are words, 0 where there is none.
  func find(_ wanted: Span<UInt64>, hashes: Span<UInt64>, into found: inout MutableSpan<Int32>) {
    let (slots, records) = (slots.span, records.span)
    let mask = slots.count &- 1
    for index in wanted.indices {
      let tag = hashes[index] >> 32
      var slot = Int(truncatingIfNeeded: tag >> shift)
      var record = 0
      while true {
        let entry = slots[slot]
        if entry == 0 { break }
        if entry >> 32 == tag {
          record = Int(truncatingIfNeeded: entry & 0xFFFF_FFFF)
          if records[record &* width] == wanted[index] { break }
          record = 0
        }
        slot = (slot &+ 1) & mask
      }
      found[index] = Int32(truncatingIfNeeded: record)
    }
  }

  /// The record of a key that is a word, or 0.
  func find(_ key: UInt64, hash: UInt64) -> Int {
    let tag = hash >> 32
    var slot = Int(truncatingIfNeeded: tag >> shift)
    while true {
      let entry = slots[slot]
      if entry == 0 { return 0 }
      if entry >> 32 == tag {
        let record = Int(truncatingIfNeeded: entry & 0xFFFF_FFFF)
        if records[record &* width] == key { return record }
      }
      slot = (slot &+ 1) & (slots.count &- 1)
    }
  }

  /// The record of a key that is text, or 0.
  func find(_ key: Span<UInt8>, hash: UInt64, heap: borrowing WordHeap) -> Int {
    let tag = hash >> 32
    var slot = Int(truncatingIfNeeded: tag >> shift)
    while true {
      let entry = slots[slot]
      if entry == 0 { return 0 }
      if entry >> 32 == tag {
        let record = Int(truncatingIfNeeded: entry & 0xFFFF_FFFF)
        if heap.text(HeapBlock(word: records[record &* width]), equals: key) { return record }
      }
      slot = (slot &+ 1) & (slots.count &- 1)
    }
  }

  /// Adds a record, zero but for its key, and gives its index.
  mutating func insert(_ key: UInt64, hash: UInt64) -> Int {
    if (count + 1) * 4 > slots.count * 3 { growSlots() }
    let record: Int
    if let free = freeRecords.popLast() {
      record = Int(free)
    } else {
      record = recordLimit
      if records.capacity < records.count + width {
        records.reserveCapacity(records.count + max(64 * width, records.count / 2))
      }
      records.append(contentsOf: repeatElement(0, count: width))
    }
    records[record * width] = key
    place((hash >> 32) << 32 | UInt64(record))
    count += 1
    return record
  }

  /// Makes room for keys that are about to come.
  mutating func expect(_ more: Int) {
    while (count + more) * 4 > slots.count * 3 { growSlots() }
    // Few keys come often, and an exact capacity each time would copy everything each time.
    if more > recordLimit { records.reserveCapacity(records.count + more * width) }
  }

  mutating func trackChanges() { tracksChanges = true }

  /// Remembers that a record changed.
  @inline(__always)
  mutating func markChanged(_ record: Int) {
    let word = record >> 6
    if word >= changed.count {
      changed.append(contentsOf: repeatElement(0, count: max(word + 1 - changed.count, changed.count)))
    }
    let bit: UInt64 = 1 << UInt64(record & 63)
    guard changed[word] & bit == 0 else { return }
    changed[word] |= bit
    changedList.append(UInt32(truncatingIfNeeded: record))
  }

  /// The records that changed and are still there.
  func changedRecords() -> [Int] {
    var records: [Int] = []
    for record in changedList where changed[Int(record) >> 6] >> UInt64(record & 63) & 1 == 1 {
      records.append(Int(record))
    }
    return records
  }

  mutating func forgetChanges() {
    for record in changedList { changed[Int(record) >> 6] = 0 }
    changedList.removeAll(keepingCapacity: true)
  }

  /// Takes a record out. Whatever it owns must have been given back.
  mutating func remove(_ record: Int, hash: UInt64) {
    if record >> 6 < changed.count { changed[record >> 6] &= ~(1 << UInt64(record & 63)) }
    let mask = slots.count - 1
    var slot = home(hash >> 32)
    while slots[slot] & 0xFFFF_FFFF != UInt64(record) { slot = (slot + 1) & mask }
    var next = (slot + 1) & mask
    while slots[next] != 0 {
      let distance = (next - home(slots[next] >> 32)) & mask
      if distance >= (next - slot) & mask {
        slots[slot] = slots[next]
        slot = next
      }
      next = (next + 1) & mask
    }
    slots[slot] = 0
    for word in record * width..<(record + 1) * width { records[word] = 0 }
    freeRecords.append(UInt32(truncatingIfNeeded: record))
    count -= 1
  }

  /// Calls `body` with each record that is there and the upper half of its hash, in no order that may be shown.
  func forEachRecord(_ body: (_ record: Int, _ tag: UInt64) -> Void) {
    for entry in slots where entry != 0 { body(Int(truncatingIfNeeded: entry & 0xFFFF_FFFF), entry >> 32) }
  }

  private func home(_ tag: UInt64) -> Int { Int(truncatingIfNeeded: tag >> shift) }

  private mutating func place(_ entry: UInt64) {
    var slot = home(entry >> 32)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = entry
  }

  private mutating func growSlots() {
    precondition(shift > 0, "more than 3 * 2^30 keys in one partition")
    let old = slots
    slots = [UInt64](repeating: 0, count: old.count * 2)
    shift -= 1
    for entry in old where entry != 0 { place(entry) }
  }

  /// The three things that must hold, for tests: every record is found at its place, counts agree, record 0 is empty.
  func checkInvariants() {
    precondition(slots.count { $0 != 0 } == count, "\(count) keys in \(slots.count { $0 != 0 }) slots")
    precondition(records.prefix(width).allSatisfy { $0 == 0 }, "the empty record is not empty")
    for (slot, entry) in slots.enumerated() where entry != 0 {
      var probe = home(entry >> 32)
      while probe != slot {
        precondition(slots[probe] != 0, "a gap before slot \(slot)")
        probe = (probe + 1) & (slots.count - 1)
      }
    }
  }
}
