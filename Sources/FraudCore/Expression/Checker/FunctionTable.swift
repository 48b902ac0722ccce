/// A function that is one operation: its parameters, and what stands for those left out.
struct FunctionSignature {
  var function: Function
  var parameters: [DataType]
  /// Values for the last parameters, which may be left out.
  var defaults: [Value] = []
  /// Whether the last parameter may be repeated, and so be left out as well.
  var isVariadic = false
  var result: DataType
  /// Whether bytes are asked for, which only a string gives.
  var takesBytes = false
}

/// Functions by name, one line each. What overloads or is more than one operation stands in `Checker.call`.
let functionTable: [String: FunctionSignature] = {
  var table: [String: FunctionSignature] = [:]
  func add(
    _ names: String, _ function: Function, _ parameters: [DataType], _ result: DataType, defaults: [Value] = [],
    variadic: Bool = false, bytes: Bool = false
  ) {
    for name in names.split(separator: " ") {
      table[String(name)] = FunctionSignature(
        function: function, parameters: parameters, defaults: defaults, isVariadic: variadic, result: result,
        takesBytes: bytes)
    }
  }
  let text = [DataType.string]

  // Mathematics.
  add("sqrt", .sqrt, [.double], .double)
  add("cbrt", .cbrt, [.double], .double)
  add("exp", .exp, [.double], .double)
  add("expm1", .expm1, [.double], .double)
  add("ln", .ln, [.double], .double)
  add("log10", .log10, [.double], .double)
  add("log2", .log2, [.double], .double)
  add("log1p", .log1p, [.double], .double)
  add("sin", .sin, [.double], .double)
  add("cos", .cos, [.double], .double)
  add("tan", .tan, [.double], .double)
  add("cot", .cot, [.double], .double)
  add("sec", .sec, [.double], .double)
  add("csc", .csc, [.double], .double)
  add("asin", .asin, [.double], .double)
  add("acos", .acos, [.double], .double)
  add("atan", .atan, [.double], .double)
  add("sinh", .sinh, [.double], .double)
  add("cosh", .cosh, [.double], .double)
  add("tanh", .tanh, [.double], .double)
  add("asinh", .asinh, [.double], .double)
  add("acosh", .acosh, [.double], .double)
  add("atanh", .atanh, [.double], .double)
  add("degrees", .degrees, [.double], .double)
  add("radians", .radians, [.double], .double)
  add("rint", .rint, [.double], .double)
  add("pow power", .pow, [.double, .double], .double)
  add("atan2", .atan2, [.double, .double], .double)
  add("hypot", .hypot, [.double, .double], .double)
  add("isnan", .isNaN, [.double], .boolean)
  add("factorial", .factorial, [.int], .bigint)
  add("width_bucket", .widthBucket, [.double, .double, .double, .bigint], .bigint)

  // Strings.
  add("lower lcase", .lower, text, .string)
  add("upper ucase", .upper, text, .string)
  add("initcap", .initcap, text, .string)
  add("reverse", .reverse, text, .string)
  add("soundex", .soundex, text, .string)
  add("length char_length character_length len", .length, text, .int)
  add("octet_length", .octetLength, text, .int)
  add("bit_length", .bitLength, text, .int)
  add("ascii", .ascii, text, .int)
  add("chr char", .chr, [.bigint], .string)
  add("substring substr", .substring, [.string, .int, .int], .string, defaults: [.integer(Int64(Int32.max))])
  add("left", .left, [.string, .int], .string)
  add("right", .right, [.string, .int], .string)
  add("concat", .concat, text, .string, variadic: true)
  add("concat_ws", .concatWithSeparator, [.string, .string], .string, variadic: true)
  add("startswith", .startsWith, [.string, .string], .boolean)
  add("endswith", .endsWith, [.string, .string], .boolean)
  add("contains", .contains, [.string, .string], .boolean)
  add("locate", .locate, [.string, .string, .int], .int, defaults: [.integer(1)])
  add("replace", .replace, [.string, .string, .string], .string, defaults: [.string([])])
  add("translate", .translate, [.string, .string, .string], .string)
  add("split_part", .splitPart, [.string, .string, .int], .string)
  add("substring_index", .substringIndex, [.string, .string, .int], .string)
  add("repeat", .repeat, [.string, .int], .string)
  add("lpad", .lpad, [.string, .int, .string], .string, defaults: [.string([0x20])])
  add("rpad", .rpad, [.string, .int, .string], .string, defaults: [.string([0x20])])
  add("levenshtein", .levenshtein, [.string, .string], .int)
  add("find_in_set", .findInSet, [.string, .string], .int)
  add("md5", .md5, text, .string, bytes: true)
  add("sha sha1", .sha1, text, .string, bytes: true)
  add("sha2", .sha2, [.string, .int], .string, bytes: true)
  add("crc32", .crc32, text, .bigint, bytes: true)
  add("base64", .base64, text, .string, bytes: true)
  add("bin", .bin, [.bigint], .string)

  // Regular expressions.
  add("regexp_extract", .regexpExtract, [.string, .string, .int], .string, defaults: [.integer(1)])
  add("regexp_replace", .regexpReplace, [.string, .string, .string, .int], .string, defaults: [.integer(1)])
  add("regexp_count", .regexpCount, [.string, .string], .int)
  add("regexp_instr", .regexpInstr, [.string, .string], .int)
  add("regexp_substr", .regexpSubstr, [.string, .string], .string)

  // Dates and times.
  add("year", .year, [.date], .int)
  add("quarter", .quarter, [.date], .int)
  add("month", .month, [.date], .int)
  add("day dayofmonth", .day, [.date], .int)
  add("dayofyear", .dayOfYear, [.date], .int)
  add("dayofweek", .dayOfWeek, [.date], .int)
  add("weekday", .weekday, [.date], .int)
  add("weekofyear", .weekOfYear, [.date], .int)
  add("hour", .hour, [.timestamp], .int)
  add("minute", .minute, [.timestamp], .int)
  add("second", .second, [.timestamp], .int)
  add("dayname", .dayName, [.date], .string)
  add("monthname", .monthName, [.date], .string)
  add("date_trunc", .dateTrunc, [.string, .timestamp], .timestamp)
  add("trunc", .truncDate, [.date, .string], .date)
  add("date_format", .formatTimestamp, [.timestamp, .string], .string)
  add("unix_seconds", .unixSeconds, [.timestamp], .bigint)
  add("unix_millis", .unixMillis, [.timestamp], .bigint)
  add("unix_micros", .unixMicros, [.timestamp], .bigint)
  add("unix_date", .unixDate, [.date], .int)
  add("date_from_unix_date", .dateFromUnixDate, [.int], .date)
  add("timestamp_millis", .timestampMillis, [.bigint], .timestamp)
  add("timestamp_micros", .timestampMicros, [.bigint], .timestamp)
  add("datediff date_diff", .dateDiff, [.date, .date], .int)
  add("timestampdiff", .timestampDiff, [.string, .timestamp, .timestamp], .bigint)
  add("timestampadd", .timestampAdd, [.string, .bigint, .timestamp], .timestamp)
  add("add_months", .addMonths, [.date, .int], .date)
  add(
    "months_between", .monthsBetween, [.timestamp, .timestamp, .boolean], .double, defaults: [.boolean(true)])
  add("last_day", .lastDay, [.date], .date)
  add("next_day", .nextDay, [.date, .string], .date)
  add("make_date", .makeDate, [.int, .int, .int], .date)
  return table
}()

/// Functions that `Checker.call` takes apart, for suggestions.
let overloadedFunctions = [
  "abs", "round", "bround", "floor", "ceil", "ceiling", "sign", "signum", "log", "mod", "pmod", "negative", "positive",
  "greatest", "least", "nanvl", "coalesce", "nullif", "ifnull", "nvl", "nvl2", "if", "isnull", "isnotnull",
  "equal_null", "nullifzero", "zeroifnull", "trim", "btrim", "ltrim", "rtrim", "instr", "position", "like", "ilike",
  "rlike", "regexp", "regexp_like", "elt", "hex", "hash", "xxhash64", "bit_count", "to_date", "to_timestamp",
  "unix_timestamp", "to_unix_timestamp", "date_part", "datepart", "extract", "date_add", "dateadd", "date_sub",
  "try_add", "try_subtract", "try_multiply", "try_divide", "try_mod", "typeof", "e", "pi", "boolean", "tinyint",
  "smallint", "int", "bigint", "float", "double", "decimal", "string", "date", "timestamp", "timestamp_seconds",
  "shiftleft", "shiftright", "shiftrightunsigned", "not", "space", "div",
]

/// Spark's functions that a rule cannot have, with the reason.
func reasonAgainst(function name: String) -> String? {
  switch name {
  case "sum", "avg", "mean", "count", "min", "max", "stddev", "stddev_samp", "stddev_pop", "variance", "var_samp",
    "var_pop", "first", "first_value", "last", "last_value", "median", "mode", "percentile", "percentile_approx",
    "approx_percentile", "approx_count_distinct", "collect_list", "collect_set", "array_agg", "bool_and", "bool_or",
    "every", "some", "any", "any_value", "count_if", "max_by", "min_by", "corr", "covar_pop", "covar_samp", "kurtosis",
    "skewness", "listagg", "string_agg", "try_sum", "try_avg", "bit_and", "bit_or", "bit_xor", "grouping", "product":
    "\(name) is an aggregate, and a rule sees one event at a time: declare a feature for it"
  case "row_number", "rank", "dense_rank", "ntile", "lag", "lead", "percent_rank", "cume_dist", "nth_value":
    "\(name) is a window function, and a rule sees one event at a time: declare a feature for it"
  case "now", "current_timestamp", "current_date", "curdate", "current_time", "localtimestamp", "current_timezone":
    "\(name) is not supported: a rule's answer depends on the event alone, use its event time"
  case "rand", "random", "randn", "uuid", "monotonically_increasing_id", "spark_partition_id", "shuffle", "randstr",
    "uniform":
    "\(name) is not supported: a rule's answer depends on the event alone"
  case "explode", "explode_outer", "posexplode", "inline", "stack", "array", "map", "struct", "named_struct",
    "array_contains", "size", "cardinality", "element_at", "split", "sequence", "sort_array", "transform", "filter",
    "aggregate", "exists", "forall", "zip_with", "map_keys", "map_values", "get_json_object", "from_json", "to_json",
    "json_tuple", "parse_json", "window", "session_window", "window_time", "regexp_extract_all", "str_to_map",
    "sentences",
    "array_position", "arrays_overlap", "flatten", "collate", "collation", "is_valid_utf8", "make_valid_utf8",
    "validate_utf8", "unhex", "unbase64", "encode", "decode", "to_char", "to_varchar", "to_number", "try_to_number",
    "format_number", "format_string", "printf", "conv", "date_from_unix", "from_unixtime", "from_utc_timestamp",
    "to_utc_timestamp", "convert_timezone", "make_timestamp", "make_interval", "make_dt_interval", "make_ym_interval",
    "try_to_timestamp", "try_to_date", "try_element_at", "nvl3", "assert_true", "raise_error", "parse_url",
    "url_encode",
    "url_decode", "aes_encrypt", "aes_decrypt", "binary", "overlay", "space", "mask", "luhn_check", "version",
    "timestamp_ntz", "to_timestamp_ntz", "to_timestamp_ltz", "getbit", "bit_get", "weekofmonth", "input_file_name":
    "Spark's function \(name) is not supported"
  default: nil
  }
}
