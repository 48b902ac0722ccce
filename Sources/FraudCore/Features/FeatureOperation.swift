/// One column that an operation writes.
struct FeatureOutput: Sendable, Hashable {
  /// The column of the batch.
  var column: Int
  var function: FeatureFunction
  var includeCurrent: Bool
  /// NULL below this many events.
  var minEvents: Int
  /// `quantile`'s quantile, `rate`'s factor per event.
  var parameter: Double
  var type: FieldType
}

/// A column that an operation reads.
struct FeatureInput: Sendable, Hashable {
  var column: Int
  var type: FieldType
}

/// Keyed state and the columns read from it: a part of a record, what folds an event into it, and what is read out before
/// or with the current event.
///
/// Every operation over the key's life starts with `n`, the events it has folded:
///
///     count      n
///     sum        n, sum (high and low double)
///     moments    n, mean, sum of squared deviations
///     extreme    n, value
///     boundary   n, time, value
///     distinct   n, block of a set or sketch
///     quantile   n, block of a sketch
///     ewma       n, mean, weight, time
///     lastTime   n, time
///     place      n, time, x, y, z on the unit sphere
///     hours      n, 24 counts of 16 bits
///     neighbours how many were dropped, block of a graph's node
///     panes      block of panes (see `PaneLayout`)
///     list       block of a ring, count and head, then each window's (see `EventList`)
struct FeatureOperation: Sendable {
  enum Kind: Sendable, Hashable {
    case count
    case sum
    case moments
    /// Moments of the hour of day instead of a column.
    case hourMoments
    case least
    case greatest
    case first
    case last
    case distinct
    case quantile
    case ewmaByEvent(alpha: Double)
    case ewmaByTime(halfLife: Double)
    case lastTime
    case place
    case hours
    /// A node of a graph (see ``GraphPlan``).
    case neighbours
    case panes(PaneLayout)
    case list(EventListLayout)
  }

  var kind: Kind
  /// Which condition selects its events; an index into the table's fold sets.
  var foldSet: Int
  var inputs: [FeatureInput]
  /// The first of its words in a record, and how many there are.
  var offset: Int
  var width: Int
  var outputs: [FeatureOutput]
  /// What it is without regard to names and places, so that its state survives a new version of the pipeline.
  var identity: String

  static func width(of kind: Kind) -> Int {
    switch kind {
    case .count, .panes: 1
    case .lastTime, .least, .greatest, .distinct, .quantile, .neighbours: 2
    case .sum, .moments, .hourMoments, .first, .last: 3
    case .ewmaByEvent, .ewmaByTime: 4
    case .place: 5
    case .hours: 7
    case .list(let layout): layout.width
    }
  }

  /// Whether a text itself is kept, in a block of the heap that a word of the record names.
  var keepsText: Bool {
    switch kind {
    case .least, .greatest, .first, .last: inputs.first?.type == .string
    default: false
    }
  }

  /// The words, from the operation's first, that name blocks of the heap.
  var blockWords: [Int] {
    switch kind {
    case .distinct, .quantile, .neighbours: [1]
    case .least, .greatest: keepsText ? [1] : []
    case .first, .last: keepsText ? [2] : []
    case .list, .panes: [0]
    default: []
    }
  }
}

/// How a list's entries and windows are laid out.
struct EventListLayout: Sendable, Hashable {
  /// What an entry keeps of an input.
  enum Payload: Sendable, Hashable {
    /// The word as it is in the batch; a boolean as 0 or 1.
    case word
    /// The hash of a text.
    case hash
    /// A block with the text.
    case text
  }

  /// A value kept up to date as events enter and leave a window, instead of being computed from the entries.
  enum Accumulator: Sendable, Hashable {
    /// Sum as two doubles, count of values.
    case sum(payload: Int)
    /// Sums of values and of squares, each as two doubles, count of values.
    case squares(payload: Int)
    /// How many different values.
    case distinct(payload: Int)
    /// The least or greatest value and 0 none, 1 known, 2 to be looked for.
    case extreme(payload: Int, greatest: Bool)

    var width: Int {
      switch self {
      case .sum: 3
      case .squares: 5
      case .distinct: 1
      case .extreme: 2
      }
    }
  }

  /// An accumulator and its first word from the operation's.
  struct PlacedAccumulator: Sendable, Hashable {
    var kind: Accumulator
    var offset: Int
  }

  struct Window: Sendable, Hashable {
    var span: FeatureWindow
    var delay: Int64
    /// The first of its words from the operation's: start and end, then the accumulators.
    var offset: Int
    /// Its parts of ``EventListLayout/accumulators`` and ``EventListLayout/outputs``.
    var accumulators: Range<Int>
    var outputs: Range<Int>
  }

  struct WindowOutput: Sendable, Hashable {
    var output: FeatureOutput
    /// The first of the payloads it reads, or −1.
    var payload: Int
    /// Where its accumulator is, from the operation's first word, or −1 where the entries are scanned.
    var accumulator: Int
  }

  let payloads: [Payload]
  let types: [FieldType]
  /// Whether an entry has a word with a bit for each payload that has a value.
  let hasValidity: Bool
  let maxEvents: Int
  let windows: [Window]
  let accumulators: [PlacedAccumulator]
  let outputs: [WindowOutput]
  /// How far behind the watermark less the allowed lateness an entry can still matter; `nil` where there are sessions.
  let reach: Int64?
  /// Words of the record.
  let width: Int
  let entryWidth: Int
  /// The output, where a count over one sliding window without a delay is all there is.
  let onlyCount: FeatureOutput?
  /// Entries that a block of each size class holds.
  private let capacities: [Int]

  init(
    payloads: [Payload], types: [FieldType], hasValidity: Bool, maxEvents: Int, windows: [Window],
    accumulators: [PlacedAccumulator], outputs: [WindowOutput], reach: Int64?, width: Int
  ) {
    self.payloads = payloads
    self.types = types
    self.hasValidity = hasValidity
    self.maxEvents = maxEvents
    self.windows = windows
    self.accumulators = accumulators
    self.outputs = outputs
    self.reach = reach
    self.width = width
    let entryWidth = 1 + payloads.count + (hasValidity ? 1 : 0)
    self.entryWidth = entryWidth
    var onlyCount: FeatureOutput?
    if windows.count == 1, outputs.count == 1, payloads.isEmpty, case .sliding = windows[0].span, windows[0].delay == 0,
      outputs[0].output.function == .count
    {
      onlyCount = outputs[0].output
    }
    self.onlyCount = onlyCount
    capacities = (0..<64).map { (HeapBlock.size(ofClass: $0) - 1) / entryWidth }
  }

  /// The ring that two words of a record describe.
  @inline(__always)
  func ring(_ blockWord: UInt64, _ placeWord: UInt64) -> EventRing {
    EventRing(
      blockWord: blockWord, placeWord: placeWord, entryWidth: entryWidth,
      capacity: blockWord == 0 ? 0 : capacities[Int(truncatingIfNeeded: blockWord >> 32) & 63])
  }

  func capacity(of block: HeapBlock) -> Int { (block.count - 1) / entryWidth }
}
