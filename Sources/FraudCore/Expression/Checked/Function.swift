/// The functions that are operations of their own; the checker turns all other names into these, casts and lazy nodes
/// (`nvl` is `coalesce`, `mod` is a remainder, `to_date(x)` a cast, `instr` a `locate`).
///
/// Each case states its arguments' types after coercion and its result's. A NULL argument makes the result NULL, unless
/// ``isStrict`` is false, where the comment tells. `n` is any of BIGINT, INT, SMALLINT, TINYINT, FLOAT, DOUBLE, DECIMAL.
package enum Function: String, Sendable, Hashable, CaseIterable {
  // Mathematics.

  /// (n or interval) → same type; the least integer raises.
  case abs
  /// (n, INT constant) → HALF_UP. Integers and doubles keep their type, a decimal has the node's.
  case round
  /// As `round`, to the even neighbour.
  case bround
  /// (DOUBLE) → BIGINT, raises out of range; (BIGINT) → BIGINT; (DECIMAL) → the node's DECIMAL;
  /// (DECIMAL, INT constant) → the node's DECIMAL.
  case floor
  /// As `floor`, upwards.
  case ceil
  /// (DOUBLE) → DOUBLE, all of these. `ln`, `log10`, `log2`, `log1p` are NULL where the argument is out of their domain.
  case sqrt, cbrt, exp, expm1, ln, log10, log2, log1p, sin, cos, tan, cot, sec, csc, asin, acos, atan
  case sinh, cosh, tanh, asinh, acosh, atanh, degrees, radians, rint
  /// (DOUBLE or interval) → DOUBLE: −1.0, 0.0, 1.0; NaN for NaN.
  case sign
  /// (base DOUBLE, x DOUBLE) → DOUBLE; NULL where either is ≤ 0.
  case log
  /// (DOUBLE, DOUBLE) → DOUBLE.
  case pow, atan2, hypot
  /// (DOUBLE) → BOOLEAN; FALSE for NULL.
  case isNaN
  /// Two or more of one type → the same; NULLs are skipped.
  case greatest, least
  /// (INT) → BIGINT; NULL outside 0…20.
  case factorial
  /// (BIGINT) → INT, the count of one bits.
  case bitCount
  /// (DOUBLE v, DOUBLE low, DOUBLE high, BIGINT buckets) → BIGINT.
  case widthBucket

  // Strings. All count code points unless said.

  /// (STRING) → STRING.
  case lower, upper, initcap, reverse, soundex
  /// (STRING, characters STRING) → STRING: removes leading and trailing code points that occur in the second argument.
  case trim, trimLeading, trimTrailing
  /// (STRING) → INT.
  case length, octetLength, bitLength, ascii
  /// (BIGINT) → STRING: the character of the value modulo 256; '' for negative values.
  case chr
  /// (STRING, start INT, count INT) → STRING; 1-based, see the specification.
  case substring
  /// (STRING, INT) → STRING.
  case left, right
  /// Zero or more STRING → STRING; NULL if one is NULL, but looks at all of them.
  case concat
  /// (separator STRING, zero or more STRING) → STRING; NULL arguments are skipped, a NULL separator gives NULL.
  case concatWithSeparator
  /// (STRING, needle STRING) → BOOLEAN.
  case startsWith, endsWith, contains
  /// (needle STRING, text STRING, from INT) → INT, 1-based, 0 if absent or `from` < 1; 0 where `from` is NULL, checked
  /// first; else NULL where needle or text is.
  case locate
  /// (STRING, from STRING, to STRING) → STRING.
  case replace
  /// (STRING, from STRING, to STRING) → STRING, character by character.
  case translate
  /// (STRING, delimiter STRING, INT) → STRING; raises for 0.
  case splitPart
  /// (STRING, delimiter STRING, count INT) → STRING.
  case substringIndex
  /// (STRING, INT) → STRING.
  case `repeat`
  /// (STRING, length INT, pad STRING) → STRING.
  case lpad, rpad
  /// (STRING, STRING) → INT.
  case levenshtein
  /// (index INT, one or more STRING) → STRING; 1-based, raises out of range. Only index and the chosen one may be NULL.
  case elt
  /// (needle STRING, comma separated STRING) → INT.
  case findInSet
  /// (STRING) → STRING, lower-case hexadecimal digits.
  case md5, sha1
  /// (STRING, bits INT: 0 or 256, 224, 384, 512) → STRING, NULL for other counts.
  case sha2
  /// (STRING) → BIGINT.
  case crc32
  /// (BIGINT or STRING) → STRING, upper-case hexadecimal digits.
  case hex
  /// (BIGINT) → STRING, binary digits.
  case bin
  /// (STRING) → STRING.
  case base64
  /// Any number of any types → INT / BIGINT; NULLs leave the seed unchanged.
  case hash, xxhash64

  // Regular expressions.

  /// (STRING, regex STRING, group INT) → STRING.
  case regexpExtract
  /// (STRING, regex STRING, replacement STRING, from INT) → STRING.
  case regexpReplace
  /// (STRING, regex STRING) → INT.
  case regexpCount, regexpInstr
  /// (STRING, regex STRING) → STRING, NULL if no match.
  case regexpSubstr

  // Dates and times; a DATE is days, a TIMESTAMP microseconds since 1970, both in UTC.

  /// (DATE) → INT.
  case year, quarter, month, day, dayOfYear, dayOfWeek, dayOfWeekISO, weekday, weekOfYear, yearOfWeek
  /// (TIMESTAMP) → INT.
  case hour, minute, second
  /// (TIMESTAMP) → DECIMAL(8,6).
  case secondWithFraction
  /// (DATE) → STRING: `Sun`, `Dec`.
  case dayName, monthName
  /// (unit STRING, TIMESTAMP) → TIMESTAMP, NULL for an unknown unit.
  case dateTrunc
  /// (DATE, unit STRING) → DATE, NULL for an unknown unit.
  case truncDate
  /// (STRING, format STRING) → TIMESTAMP.
  case parseTimestamp
  /// (TIMESTAMP, format STRING) → STRING.
  case formatTimestamp
  /// (TIMESTAMP) → BIGINT, truncated toward zero.
  case unixTimestamp
  /// (TIMESTAMP) → BIGINT, floored.
  case unixSeconds, unixMillis, unixMicros
  /// (DATE) → INT.
  case unixDate
  /// (INT) → DATE.
  case dateFromUnixDate
  /// (BIGINT) → TIMESTAMP.
  case timestampMillis, timestampMicros
  /// (end DATE, start DATE) → INT, days.
  case dateDiff
  /// (unit STRING constant, upper case; start TIMESTAMP, end TIMESTAMP) → BIGINT, complete units.
  case timestampDiff
  /// (unit STRING constant, upper case; BIGINT, TIMESTAMP) → TIMESTAMP.
  case timestampAdd
  /// (DATE, INT) → DATE.
  case addMonths
  /// (TIMESTAMP end, TIMESTAMP start, roundOff BOOLEAN) → DOUBLE.
  case monthsBetween
  /// (DATE) → DATE.
  case lastDay
  /// (DATE, day of week STRING) → DATE; raises for an unknown day.
  case nextDay
  /// (year INT, month INT, day INT) → DATE; raises for an invalid one.
  case makeDate
  /// (dayTimeInterval) → BIGINT: whole days; hours, minutes of the rest.
  case intervalDays, intervalHours, intervalMinutes
  /// (dayTimeInterval) → DECIMAL(8,6).
  case intervalSeconds
  /// (yearMonthInterval) → INT; months of the rest.
  case intervalYears, intervalMonths

  /// Whether the first NULL argument makes the result NULL before the rest is looked at.
  package var isStrict: Bool {
    switch self {
    case .isNaN, .greatest, .least, .concat, .concatWithSeparator, .locate, .elt, .hash, .xxhash64: false
    default: true
    }
  }
}
