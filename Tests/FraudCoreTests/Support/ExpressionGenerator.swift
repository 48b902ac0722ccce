import TestRandom

@testable import FraudCore

/// Random well-typed expressions of the rule language, and random rows to evaluate them on.
///
/// Grown from templates: `#` and a letter stand for a random expression of that kind, a literal or a pattern. Constants and
/// values come from pools of edges, so that errors, NULLs, overflows and equal values are frequent.
struct ExpressionGenerator {
  /// Columns of every type, some of which are never NULL.
  static let schema = Schema(fields: [
    Field(name: "n1", type: .integer, nullable: false), Field(name: "n2", type: .integer),
    Field(name: "n3", type: .integer), Field(name: "d1", type: .float, nullable: false),
    Field(name: "d2", type: .float), Field(name: "s1", type: .string, nullable: false),
    Field(name: "s2", type: .string), Field(name: "s3", type: .string),
    Field(name: "b1", type: .boolean, nullable: false), Field(name: "b2", type: .boolean),
    Field(name: "t1", type: .timestamp, nullable: false), Field(name: "t2", type: .timestamp),
  ])
  static let lists = [DeclaredList(name: "numbers", type: .integer), DeclaredList(name: "texts", type: .string)]
  static let listedNumbers: [Int64] = [0, 1, 7, 42, -5, .max]
  static let listedTexts = ["", "abc", "USD", "Straße", "12", "a_longer_text_of_more_than_sixteen_bytes"]

  var random: SeededGenerator

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
  }

  /// A condition, nested to a random depth.
  mutating func rule() -> String {
    expression("b", Int.random(in: 1...4, using: &random))
  }

  mutating func row() -> [Value] {
    Self.schema.fields.map { field in
      if field.nullable, Int.random(in: 0..<5, using: &random) == 0 { return .null }
      switch field.type {
      case .integer: return .integer(integer())
      case .float: return .double(double())
      case .boolean: return .boolean(Bool.random(using: &random))
      case .string: return .string(Array(pick(Self.texts).utf8))
      case .timestamp: return .integer(instant())
      }
    }
  }

  // MARK: Expressions

  private mutating func pick<Element>(_ all: [Element]) -> Element {
    all[Int.random(in: 0..<all.count, using: &random)]
  }

  private mutating func expression(_ kind: Character, _ depth: Int) -> String {
    if depth <= 0 || Int.random(in: 0..<8, using: &random) == 0 { return leaf(kind) }
    let own = Self.templates[kind] ?? []
    let any = Int.random(in: 0..<6, using: &random) == 0 ? Self.templatesOfAnyKind : own
    return "(\(filled(pick(any), kind, depth - 1)))"
  }

  /// A template with every placeholder replaced. `#k` is the template's own kind.
  private mutating func filled(_ template: String, _ kind: Character, _ depth: Int) -> String {
    var text = ""
    var isPlaceholder = false
    for character in template {
      if isPlaceholder {
        isPlaceholder = false
        switch character {
        case "k": text += expression(kind, depth)
        case "l", "r", "f", "u", "c": text += pick(Self.constants[character] ?? [])
        default: text += expression(character, depth)
        }
      } else if character == "#" {
        isPlaceholder = true
      } else {
        text.append(character)
      }
    }
    return text
  }

  private mutating func leaf(_ kind: Character) -> String {
    if Int.random(in: 0..<25, using: &random) == 0 { return Self.nulls[kind] ?? "NULL" }
    let isColumn = Int.random(in: 0..<3, using: &random) > 0
    switch kind {
    case "b": return isColumn ? pick(["b1", "b2"]) : pick(["TRUE", "FALSE", "n1 = n2", "s2 IS NULL"])
    case "i":
      return isColumn ? pick(["n1", "n2", "n3"]) : pick(["0", "1", "-1", "7", "42", "9007199254740993", "3S", "-2Y"])
    case "d": return isColumn ? pick(["d1", "d2"]) : pick(["0D", "-0.0D", "1.5D", "1e300", "-2.5D", "0.1D", "3.5F"])
    case "m":
      return pick(["0.00", "1.50", "-2.25", "0.1", "99999.999", "12345678901234567890.5", "CAST(n2 AS DECIMAL(20,2))"])
    case "s":
      return isColumn
        ? pick(["s1", "s2", "s3"]) : "'\(pick(Self.texts.filter { !$0.contains("'") && !$0.contains("\\") }))'"
    case "t": return isColumn ? pick(["t1", "t2"]) : "TIMESTAMP '\(pick(Self.instants))'"
    case "D": return isColumn ? pick(["CAST(t1 AS DATE)", "CAST(t2 AS DATE)"]) : "DATE '\(pick(Self.days))'"
    case "I": return pick(["INTERVAL 1 DAY", "INTERVAL '1:30' HOUR TO MINUTE", "INTERVAL -2 SECONDS", "(t1 - t2)"])
    default: return pick(["INTERVAL 1 MONTH", "INTERVAL '1-2' YEAR TO MONTH", "INTERVAL -3 YEARS"])
    }
  }

  // MARK: Values

  private mutating func integer() -> Int64 {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: pick([0, 1, -1, .max, .min, 2_147_483_647, -2_147_483_648, 9_007_199_254_740_993])
    case 1: Int64.random(in: .min ... .max, using: &random)
    default: Int64.random(in: -10...60, using: &random)
    }
  }

  private mutating func double() -> Double {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: pick([0, -0.0, 1.5, -2.5, 1e300, -1e-300, 0.1, 9_007_199_254_740_992, 1e18])
    case 1: Double(bitPattern: UInt64.random(in: 0..<0x7FF0_0000_0000_0000, using: &random))
    default: Double(Int.random(in: -1_000...100_000, using: &random)) / 100
    }
  }

  private mutating func instant() -> Int64 {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: pick([0, -1, 1_709_164_800_000_000, 253_402_300_799_999_999, -62_135_596_800_000_000])
    default: Int64.random(in: 1_600_000_000_000_000...1_800_000_000_000_000, using: &random)
    }
  }
}

extension ExpressionGenerator {
  /// Templates of each kind: b boolean, i integer, d double, m decimal, s string, t timestamp, D date, I and M intervals.
  fileprivate static let templates: [Character: [String]] = [
    "b": [
      "#b AND #b", "#b OR #b", "NOT (#b)", "(#b) AND (#b) AND (#b)", "(#b) OR (#b) OR (#b)", "(#b) = (#b)",
      "(#b) <> (#b)", "(#b) < (#b)", "(#b) IS TRUE", "(#b) IS NOT TRUE", "(#b) IS FALSE", "(#b) IS NOT FALSE",
      "(#b) IS UNKNOWN", "(#b) IS NOT UNKNOWN", "(#b) <=> (#b)", "(#b) IS NULL", "(#b) IS DISTINCT FROM (#b)",
      "#i = #i", "#i <> #i", "#i < #i", "#i <= #i", "#i > #i", "#i >= #i", "#i !< #i", "#i !> #i", "#i <=> #i",
      "#i IS NULL", "#i IS NOT NULL", "#i BETWEEN #i AND #i", "#i NOT BETWEEN #i AND #i", "#i IN (#i, #i)",
      "#i NOT IN (1, 7, NULL)", "n2 IN (1, 2, 3, 5, 8, 13, 21, 34, 55, 42)", "#i IN (#i, #m, #d)",
      "#i IN LIST(numbers)", "#i NOT IN LIST(numbers)", "#s IN LIST(texts)", "#d = #d", "#d <> #d", "#d < #d",
      "#d <= #d", "#d > #d", "#d >= #d", "#d <=> #d", "#d BETWEEN #d AND #d", "#d IN (#d, 1.5D, 0D)", "isnan(#d)",
      "#i < #d", "#d >= #i", "#m = #m", "#m < #m", "#m >= #i", "#m <> #d", "#m BETWEEN #i AND #m",
      "#m IN (#m, #i)", "#s = #s", "#s <> #s", "#s < #s", "#s <= #s", "#s > #s", "#s >= #s", "#s <=> #s",
      "#s BETWEEN #s AND #s", "#s IN (#s, 'abc', 'USD')",
      "s1 NOT IN ('USD', 'EUR', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')", "#s IS DISTINCT FROM #s", "#s LIKE #l",
      "#s NOT LIKE #l", "#s ILIKE #l", "#s LIKE #s", "#s LIKE 'a!%%' ESCAPE '!'", "#s RLIKE #r", "#s NOT RLIKE #r",
      "regexp_like(#s, #r)", "startswith(#s, #s)", "endswith(#s, #s)", "contains(#s, #s)", "#s IS NULL",
      "#s IS NOT NULL", "#s = #i", "#d > #s", "#t = #t", "#t < #t", "#t >= #t", "#t BETWEEN #t AND #t",
      "#t <=> #t", "#t IS NULL", "#t > #s", "#D = #D", "#D < #t", "#D IN (#D, #D)", "#D IS NOT NULL", "#I < #I",
      "#I = #I", "#I IS NULL", "#M < #M", "#M <=> #M", "CAST(#i AS BOOLEAN)", "CAST(#s AS BOOLEAN)",
      "TRY_CAST(#s AS BOOLEAN)", "CAST(#d AS BOOLEAN)", "equal_null(#s, #s)", "isnull(#d)", "isnotnull(#m)",
    ],
    "i": [
      "#i + #i", "#i - #i", "#i * #i", "-(#i)", "+(#i)", "~(#i)", "#i DIV #i", "#m DIV #i", "#i % #i",
      "mod(#i, #i)", "pmod(#i, #i)", "(#i) & (#i)", "(#i) ^ (#i)", "(#i) + (#i)", "shiftleft(#i, #c)",
      "(#i) >> #c", "(#i) >>> #c", "abs(#i)", "round(#i, -1)", "floor(#d)", "ceil(#d)", "ceil(#i)",
      "CAST(#d AS BIGINT)", "CAST(#s AS BIGINT)", "CAST(#b AS INT)", "CAST(#i AS INT)", "CAST(#i AS SMALLINT)",
      "CAST(#m AS TINYINT)", "CAST(#t AS BIGINT)", "TRY_CAST(#s AS INT)", "TRY_CAST(#d AS INT)", "length(#s)",
      "octet_length(#s)", "ascii(#s)", "instr(#s, #s)", "locate(#s, #s, #c)", "position(#s IN #s)",
      "levenshtein(#s, #s)", "find_in_set(#s, #s)", "crc32(#s)", "hash(#s, #i)", "xxhash64(#i, #d)",
      "bit_count(#i)", "factorial(CAST(#i AS TINYINT))", "width_bucket(#d, 0D, 100D, 7)", "regexp_count(#s, #r)",
      "regexp_instr(#s, #r)", "year(#t)", "quarter(#D)", "month(#t)", "day(#D)", "dayofyear(#t)", "dayofweek(#D)",
      "weekday(#t)", "weekofyear(#D)", "hour(#t)", "minute(#t)", "second(#t)", "extract(YEAROFWEEK FROM #t)",
      "extract(DOW FROM #t)", "unix_timestamp(#t)", "unix_seconds(#t)", "unix_millis(#t)", "unix_micros(#t)",
      "unix_date(#D)", "datediff(#D, #t)", "timestampdiff(HOUR, #t, #t)", "timestampdiff(MONTH, #t, #t)",
      "datediff(DAY, #t, #t)", "try_add(#i, #i)", "try_multiply(#i, #i)", "try_subtract(#i, #i)", "nullifzero(#i)",
      "zeroifnull(#i)", "nvl2(#s, #i, #i)", "extract(DAY FROM #t - #t)", "extract(HOUR FROM #t - #t)",
      "extract(MONTH FROM #M + INTERVAL '1-1' YEAR TO MONTH)", "nullif(#i, #d)",
      "CASE #i WHEN #i THEN #i WHEN #i THEN #i END",
    ],
    "d": [
      "#d + #d", "#d - #d", "#d * #d", "#d / #d", "#d % #d", "-(#d)", "#i / #i", "#i + #d", "#d * #i", "#m / #d",
      "pmod(#d, #d)", "mod(#d, #i)", "abs(#d)", "round(#d, 2)", "round(#d)", "bround(#d, 1)", "sqrt(#d)",
      "cbrt(#d)", "exp(#d)", "expm1(#d)", "ln(#d)", "log10(#d)", "log2(#d)", "log1p(#d)", "log(#d, #d)",
      "pow(#d, #d)", "sin(#d)", "cos(#d)", "tan(#d)", "asin(#d)", "acos(#d)", "atan(#d)", "atan2(#d, #d)",
      "hypot(#d, #d)", "sinh(#d)", "tanh(#d)", "degrees(#d)", "radians(#d)", "rint(#d)", "sign(#d)", "sign(#i)",
      "nanvl(#d, #d)", "CAST(#i AS DOUBLE)", "CAST(#s AS DOUBLE)", "TRY_CAST(#s AS DOUBLE)", "CAST(#m AS DOUBLE)",
      "CAST(#d AS FLOAT)", "CAST(#t AS DOUBLE)", "CAST(#b AS DOUBLE)", "try_divide(#d, #i)", "try_divide(#i, #i)",
      "months_between(#t, #t)", "e() * #d", "pi()", "#s + #d", "zeroifnull(#d)",
    ],
    "m": [
      "#m + #m", "#m - #m", "#m * #m", "#m / #m", "#m % #m", "-(#m)", "#m + #i", "#i * #m", "pmod(#m, #m)",
      "abs(#m)", "round(#m, 1)", "round(#m)", "bround(#m, 1)", "floor(#m)", "ceil(#m)",
      "CAST(#i AS DECIMAL(12,2))", "CAST(#d AS DECIMAL(10,3))", "CAST(#s AS DECIMAL(8,2))",
      "TRY_CAST(#s AS DECIMAL(6,1))", "CAST(#b AS DECIMAL)", "extract(SECOND FROM #t)", "try_divide(#m, #m)",
      "try_add(#m, #m)",
    ],
    "s": [
      "concat(#s, #s)", "#s || #s", "#s || #i", "concat(#s, #d, #b)", "concat_ws(#s, #s, #s)", "lower(#s)",
      "upper(#s)", "initcap(#s)", "reverse(#s)", "trim(#s)", "ltrim(#s)", "rtrim(#s)", "trim(#s, #s)",
      "trim(BOTH #s FROM #s)", "substring(#s, #c)", "substring(#s, #c, #c)", "substr(#s FROM #c FOR #c)",
      "left(#s, #c)", "right(#s, #c)", "replace(#s, #s, #s)", "replace(#s, #s)", "translate(#s, #s, #s)",
      "split_part(#s, #s, #c)", "substring_index(#s, #s, #c)", "repeat(#s, #c)", "lpad(#s, #c, #s)",
      "rpad(#s, #c, #s)", "chr(#i)", "hex(#i)", "bin(#i)", "md5(#s)", "sha1(#s)", "sha2(#s, 256)", "base64(#s)",
      "soundex(#s)", "regexp_extract(#s, #r, 0)", "regexp_replace(#s, #r, #s)", "regexp_substr(#s, #r)",
      "CAST(#i AS STRING)", "CAST(#d AS STRING)", "CAST(#m AS STRING)", "CAST(#b AS STRING)", "CAST(#t AS STRING)",
      "CAST(#D AS STRING)", "date_format(#t, #f)", "dayname(#D)", "monthname(#D)", "elt(#c, #s, #s, #s)",
      "typeof(#i)", "#s::STRING", "CASE #s WHEN #s THEN #s ELSE #s END",
    ],
    "t": [
      "#t + #I", "#t - #I", "#t + #M", "#t - #M", "date_trunc(#u, #t)", "CAST(#D AS TIMESTAMP)",
      "CAST(#s AS TIMESTAMP)", "TRY_CAST(#s AS TIMESTAMP)", "CAST(#i AS TIMESTAMP)", "CAST(#d AS TIMESTAMP)",
      "to_timestamp(#s, #f)", "timestampadd(HOUR, #i, #t)", "timestampadd(MONTH, #c, #t)", "timestamp_millis(#i)",
      "timestamp_micros(#i)", "CAST(#D + #I AS TIMESTAMP)", "to_timestamp(#s)",
    ],
    "D": [
      "#D + #c", "#D - #c", "date_add(#D, #c)", "date_sub(#D, #c)", "#D + #M", "to_date(#s)",
      "TRY_CAST(#s AS DATE)", "CAST(#t AS DATE)", "CAST(#s AS DATE)", "to_date(#s, #f)", "add_months(#D, #c)",
      "last_day(#D)", "next_day(#D, 'MO')", "make_date(2024, CAST(#c AS INT), 29)", "trunc(#D, #u)",
      "date_from_unix_date(#c)",
    ],
    "I": [
      "#I + #I", "#I - #I", "-(#I)", "#I * #c", "#I / #c", "#c * #I", "#t - #t", "#D - #D", "abs(#I)",
    ],
    "M": [
      "#M + #M", "#M - #M", "-(#M)", "#M * #c", "abs(#M)",
    ],
  ]

  fileprivate static let templatesOfAnyKind = [
    "CASE WHEN #b THEN #k ELSE #k END", "CASE WHEN #b THEN #k WHEN #b THEN #k END", "if(#b, #k, #k)",
    "coalesce(#k, #k)", "coalesce(#k, #k, #k)", "nullif(#k, #k)", "ifnull(#k, #k)", "nvl(#k, #k)",
    "nvl2(#k, #k, #k)", "greatest(#k, #k)", "least(#k, #k, #k)", "(#k)",
  ]

  fileprivate static let nulls: [Character: String] = [
    "b": "CAST(NULL AS BOOLEAN)", "i": "CAST(NULL AS BIGINT)", "d": "CAST(NULL AS DOUBLE)",
    "m": "CAST(NULL AS DECIMAL(5,2))", "s": "CAST(NULL AS STRING)", "t": "CAST(NULL AS TIMESTAMP)",
    "D": "CAST(NULL AS DATE)", "I": "(t2 - t1)", "M": "INTERVAL 5 MONTHS",
  ]

  /// Patterns of LIKE, regular expressions, formats, units and small numbers.
  fileprivate static let constants: [Character: [String]] = [
    "l": [
      "'a%'", "'%a'", "'%a%'", "'abc'", "'%'", "'_'", "'%_b%'", "'a_c'", "'%ab%c%'", "''", "'%\\\\%%'", "'a\\\\'",
      "'%\\\\b%'", "'%ß%'", "'__%'", "'%text_of%'",
    ],
    "r": [
      "'a'", "'^a.*c$'", "'[0-9]+'", "'(a|b)+'", "'(?i)usd'", "'\\\\w+'", "'\\\\d{2,3}'", "'^$'", "'ß'", "'x*'",
      "'('", "'\\\\bab'", "'[^a-z]'", "'.{3}'", "'(\\\\w)(\\\\d)'",
    ],
    "f": [
      "'yyyy-MM-dd'", "'yyyy-MM-dd HH:mm:ss'", "'HH:mm'", "'dd/MM/yy'", "'EEE, d MMM yyyy'", "'yyyyMMdd'",
      "'hh:mm a'", "'D'", "'qqqqqq'",
    ],
    "u": [
      "'year'", "'QUARTER'", "'mon'", "'week'", "'day'", "'HOUR'", "'minute'", "'second'", "'decade'",
    ],
    "c": [
      "0", "1", "2", "3", "-1", "-2", "5", "20", "CAST(n2 % 9 AS INT)",
    ],
  ]

  fileprivate static let texts = [
    "", " ", "a", "A", "ab", "abc", "ABC", "abcabc", "USD", "usd", "EUR", "Straße", "é", "e\u{301}", "😀", "a😀b", "12",
    "-7",
    "1.5", "1e3", " 42 ", "true", "no", "NaN", "9223372036854775808", "2024-02-29", "2024-12-01 10:20:30",
    "2024-12-01T10:20:30.5+02:00", "29/02/24", "a%b", "a_c", "a\\b", "it's", "x,y,,z", "line\nbreak", "İı",
    "a_longer_text_of_more_than_sixteen_bytes", "a_longer_text_of_more_than_sixteen_bytez",
  ]

  fileprivate static let instants = [
    "1970-01-01", "2024-02-29 12:00:00", "2024-12-31 23:59:59.999999", "0001-01-01", "9999-12-31 23:59:59",
    "1969-12-31 23:59:59.5",
  ]

  fileprivate static let days = ["1970-01-01", "2024-02-29", "2023-12-31", "0001-01-01", "9999-12-31"]
}
