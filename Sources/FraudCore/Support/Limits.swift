/// Every numeric bound of the engine, with its reason.
///
/// Input from outside (events, definitions, expressions, archive files) is never trusted to be small: each bound here is
/// checked where the input enters, and crossing it is an error with a name, never a trap.
public enum Limits {
  /// Rows a batch holds at most. 1,024 rows of twelve 8-byte columns are 96 KiB, which stays in a core's second-level
  /// cache, and one bitmap of them is 16 words.
  public static let batchRows = 1_024

  /// Bytes of one event that decoding accepts; a longer one is rejected as `too_large`.
  public static let eventBytes = 1 << 20

  /// Nesting of JSON objects and arrays in an event; deeper is `too_deep`.
  public static let jsonDepth = 64

  /// Bytes of a rejected event that are kept; beyond that its head, length and SHA-256 are.
  public static let rejectedEventBytes = 32 << 20

  /// Bytes of text a batch may hold, messages and unescaped strings together. Slices hold 32-bit offsets.
  public static let batchTextBytes = 1 << 31

  /// Fields a schema may declare.
  public static let schemaFields = 1_024

  /// Bytes of one pipeline definition.
  public static let definitionBytes = 16 << 20

  /// Nesting of a definition.
  public static let definitionDepth = 64

  /// Events that a windowed feature may remember for one key (`max_events_per_key`). A list of 2^20 entries is 8 MiB a word.
  public static let eventsPerKey = 1 << 20

  /// Panes a window may be divided into.
  public static let windowPanes = 1_024

  /// Streams a pipeline may read beside its own topic. Each costs a batch of memory a partition.
  public static let streams = 32

  /// Features a pipeline may declare.
  public static let features = 1_024

  /// Bytes of a text that a feature remembers; a longer one is cut. Read back for every row of a batch, such texts are at
  /// most 1 MiB a feature.
  public static let rememberedTextBytes = 1_024

  /// Bytes of a key that are kept as they are; a longer one is kept as its SHA-256.
  public static let keyBytes = 256

  /// The largest `bound` of a graph's feature.
  public static let graphBound: Int64 = 10_000

  /// Links that a graph's feature follows for one event; beyond it the value is flagged.
  public static let graphVisits = 100_000

  /// Aggregations a pipeline may declare.
  public static let aggregations = 64

  /// Measures of one aggregation.
  public static let aggregationMeasures = 64

  /// Parts of an aggregation's key. Each is cut at ``rememberedTextBytes``, so a key stays below ``aggregationKeyBytes``.
  public static let aggregationKeys = 7

  /// Bytes of an aggregation's key with its pane.
  public static let aggregationKeyBytes = 8 << 10

  /// Panes that a window of an aggregation has at most.
  public static let aggregationPanes: Int64 = 1_024

  /// The least distance of an aggregation's windows, a second in microseconds.
  public static let aggregationStep: Int64 = 1_000_000

  /// Bytes of one expression's text. Spark has no limit; the longest known rules (thousands of literals in an IN list) stay
  /// below a tenth of it.
  public static let expressionBytes = 256 << 10

  /// Parentheses, function calls and CASEs within each other. The parser needs some 2 KiB of stack a level, so this stays
  /// below half of the smallest stack a thread is given (512 KiB). AND, OR, NOT and chains of operators need no depth.
  public static let expressionDepth = 250

  /// Nodes of one checked expression.
  public static let expressionNodes = 65_536

  /// Bytes of the texts that calculations with constants make while one expression is checked. What they come to then is left
  /// to the rows, so that `repeat('x', 16000000) || 'a' || 'b' …` is not sixteen million bytes a step.
  public static let constantTextBytes = 1 << 20

  /// Elements of one IN list; a longer one is a declared list.
  public static let inListElements = 10_000

  /// Bytes of one LIKE or regular-expression pattern.
  public static let patternBytes = 64 << 10

  /// Mistakes reported for one expression; the rest is left out.
  public static let expressionDiagnostics = 20

  /// Bytes a text may have that a function makes (`repeat`, `replace`, `concat`); more is the row error `TEXT_TOO_LONG`.
  public static let resultTextBytes = 16 << 20

  /// Bytes of all texts that rules make for one batch; beyond them a row raises `TEXT_TOO_LONG`.
  public static let batchMadeTextBytes = 256 << 20

  /// Errors of one rule that are kept whole, by partition and version; all are counted.
  public static let ruleErrorsKept = 100

  /// Deltas of a partition's features after which their buckets are rewritten, in rows and, unless half of the state is
  /// more, in bytes: reading them back takes less than a second.
  public static let stateDeltaRows = 2_000

  /// See ``stateDeltaRows``.
  public static let stateDeltaBytes = 8 << 20

  /// Bytes of records after which a commit is due, so that memory is bounded whatever the size of events. A commit holds at
  /// least one full poll (4 MiB), and with what came of it stays far below what one message of PostgreSQL can hold (1 GiB).
  public static let commitRecordBytes = 16 << 20

  /// Bytes of buckets that one commit rewrites, so that it takes some tenths of a second at most.
  public static let stateCommitBytes = 8 << 20

  /// Crashes in a row, without a commit in between, after which a record is suspected until its commit is done, and not
  /// only until it was evaluated.
  public static let crashesBeforeCommitCare = 4

  /// Records of a partition of several topics that are under suspicion at once; each death adds one at most.
  public static let notedRecords = 16

  /// Records that are taken with care before the source is polled again.
  public static let carefulRecordsPerStep = 64

  /// Bytes of one stored delta or bucket, which is what PostgreSQL takes as one value.
  public static let stateBlobBytes = 1 << 30
}
