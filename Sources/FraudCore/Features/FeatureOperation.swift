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
    case .count: 1
    case .lastTime, .least, .greatest, .distinct, .quantile: 2
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
    case .distinct, .quantile: [1]
    case .least, .greatest: keepsText ? [1] : []
    case .first, .last: keepsText ? [2] : []
    case .list: [0]
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

  struct Window: Sendable, Hashable {
    var span: FeatureWindow
    var delay: Int64
    /// The first of its words from the operation's: start and end, then the accumulators.
    var offset: Int
    var accumulators: [Accumulator]
    /// Offsets of the accumulators from the operation's first word.
    var accumulatorOffsets: [Int]
    var outputs: [WindowOutput]
  }

  struct WindowOutput: Sendable, Hashable {
    var output: FeatureOutput
    /// The first of the payloads it reads, or −1.
    var payload: Int
    /// Where its accumulator is, from the operation's first word, or −1 where the entries are scanned.
    var accumulator: Int
  }

  var payloads: [Payload]
  var types: [FieldType]
  /// Whether an entry has a word with a bit for each payload that has a value.
  var hasValidity: Bool
  var maxEvents: Int
  var windows: [Window]
  /// How far behind the watermark less the allowed lateness an entry can still matter; `nil` where there are sessions.
  var reach: Int64?
  /// Words of the record.
  var width: Int

  var entryWidth: Int { 1 + payloads.count + (hasValidity ? 1 : 0) }
}
