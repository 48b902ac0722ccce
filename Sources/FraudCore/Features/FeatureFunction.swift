/// What a feature computes from the events of a key.
public enum FeatureFunction: String, Sendable, Hashable, CaseIterable {
  /// How many events; with `of`, how many that have a value there. 0 over nothing.
  case count
  case sum
  case mean
  /// Of the sample (n − 1); NULL for fewer than two.
  case stddev
  /// Of the sample (n − 1); NULL for fewer than two.
  case variance
  case min
  case max
  /// How many different values. 0 over nothing.
  case distinct
  /// The value of the earliest event.
  case first
  /// The value of the latest event.
  case last
  /// The value of the latest event before the current one.
  case previous
  case quantile
  /// The exponentially weighted mean, by event (`alpha`) or by time (`half_life`).
  case ewma
  /// Events per second, or per `per`. 0 over nothing.
  case rate
  /// Whole seconds since the latest event before this one.
  case secondsSinceLast = "seconds_since_last"
  /// Great-circle distance from the last location; `of` is latitude and longitude in degrees.
  case distanceKm = "distance_km"
  /// The speed that the move from the last location implies, at least one second assumed.
  case speedKmh = "speed_kmh"
  /// How many standard deviations the hour of day is from the key's mean hour, counted linearly from 0 to 23; of the
  /// event time in UTC, or of another timestamp named in `of`.
  case hourZscore = "hour_zscore"
  /// How surprising the hour of day is for the key in bits, on the circle of 24 hours; `of` as for `hour_zscore`.
  case hourSurprise = "hour_surprise"
  /// The current value over the key's mean.
  case ratio
  /// How many other entities share a link with this one; `of` is the entity and what links it: customer, device, card.
  case shared
  /// How many entities are connected with this one, itself counted; `of` as for `shared`.
  case groupSize = "group_size"

  /// How many fields `of` must name.
  var ofCounts: ClosedRange<Int> {
    switch self {
    case .count, .hourZscore, .hourSurprise: 0...1
    case .sum, .mean, .stddev, .variance, .min, .max, .distinct, .first, .last, .previous, .quantile, .ewma, .ratio:
      1...1
    case .rate, .secondsSinceLast: 0...0
    case .distanceKm, .speedKmh: 2...2
    case .shared, .groupSize: 2...8
    }
  }

  /// Whether `of` must be an integer or a float.
  var needsNumbers: Bool {
    switch self {
    case .sum, .mean, .stddev, .variance, .quantile, .ewma, .ratio, .distanceKm, .speedKmh: true
    default: false
    }
  }

  /// Whether the value compares the current event with earlier ones, so that `include_current` has no meaning.
  var comparesCurrent: Bool {
    switch self {
    case .previous, .secondsSinceLast, .distanceKm, .speedKmh, .hourZscore, .hourSurprise: true
    default: false
    }
  }

  /// Whether it is of a graph, which has no keys of its own.
  var isOfGraph: Bool { self == .shared || self == .groupSize }

  /// Whether `of` must be a timestamp.
  var needsTimestamps: Bool { self == .hourZscore || self == .hourSurprise }

  /// The type of the value, given the type of `of`.
  func resultType(of input: FieldType?) -> FieldType {
    switch self {
    case .count, .distinct, .secondsSinceLast, .shared, .groupSize: .integer
    case .min, .max, .first, .last, .previous: input ?? .float
    default: .float
    }
  }
}
