import FraudCore
import FraudStore

/// The events that rules are tried on: all of a file, decoded, with a pipeline's features.
struct RuleEvents {
  private(set) var batches: [EventBatch] = []
  private(set) var rowCount = 0

  /// Reads NDJSON or CSV, packed or not.
  ///
  /// - Throws: ``Failure`` where an event is rejected, naming line, field and reason; ``StoreError`` where the file cannot be
  ///   read.
  init(path: String, vocabulary: RuleVocabulary) throws {
    let decoder = EventDecoder(schema: vocabulary.schema)
    var engine = vocabulary.loaded.map { Engine($0.pipeline, lists: $0.lists) }
    var state = DecoderState(decoder)
    var batch = EventBatch(layout: vocabulary.compiler.layout, source: EventSource(topic: path))
    var reader = BlockReader(try ByteStream(path: path), format: InputFormat(path: path)) { false }
    var columns: CSVLayout?
    var linesBefore: Int64 = 0
    if reader.format == .csv {
      let header = try reader.readHeader()
      do throws(CSVLayout.Problem) {
        columns = try CSVLayout(header: header.span, schema: vocabulary.schema)
      } catch {
        throw Failure.invalid("\(path): \(error)")
      }
      linesBefore = 1
    }
    while true {
      switch try reader.next(into: &batch.bytes) {
      case .end: return
      case .large: throw Failure.invalid("\(path): an event after line \(linesBefore) is too_large")
      case .events: break
      }
      if columns == nil { decoder.beginLines(&batch, &state) } else { decoder.beginRecords(&batch, &state) }
      let total = columns == nil ? decoder.count(batch, state) : decoder.countRecords(batch, state)
      while columns.map({ decoder.decodeRecords(&batch, &state, $0) }) ?? decoder.decodeLines(&batch, &state) {
        if let rejected = state.rejected.first {
          let field = rejected.field.map { ", field '\($0)'" } ?? ""
          throw Failure.invalid(
            "\(path), line \(rejected.position.line + linesBefore)\(field): \(rejected.reason.rawValue): \(rejected.detail)"
          )
        }
        engine?.evaluate(&batch)
        batches.append(batch)
        rowCount += batch.rowCount
      }
      linesBefore += total.lines
    }
  }

  /// What each rule answered for every event, in the events' order.
  func answers(of rules: [CheckedExpression], _ vocabulary: RuleVocabulary) -> [RuleAnswers] {
    var answers = [RuleAnswers](repeating: RuleAnswers(), count: rules.count)
    let lists = vocabulary.lists
    var evaluator = RuleEvaluator(
      RuleProgram(rules, layout: vocabulary.compiler.layout, zones: vocabulary.compiler.zones))
    var first = 0
    for batch in batches {
      var outcomes = RuleOutcomes(ruleCount: rules.count, stride: batch.bitmapStride)
      evaluator.evaluate(batch, lists: lists, into: &outcomes)
      for rule in rules.indices {
        for row in 0..<batch.rowCount {
          let word = rule * outcomes.stride + row >> 6
          let bit = UInt64(1) << UInt64(row & 63)
          if outcomes.triggered[word] & bit != 0 {
            answers[rule].matches.append(first + row)
          } else if outcomes.null[word] & bit != 0 {
            answers[rule].nulls.append(first + row)
          } else if outcomes.error[word] & bit != 0 {
            answers[rule].errors.append(first + row)
            answers[rule].reasons.append(evaluator.error(rule: rule, row: row, in: batch))
          }
        }
      }
      first += batch.rowCount
    }
    return answers
  }

  /// The value of a column in an event, as JSON writes it.
  func text(column: Int, row: Int) -> String {
    var row = row
    for batch in batches {
      if row < batch.rowCount {
        var text: [UInt8] = []
        JSONText.append(column: column, row: row, of: batch, to: &text)
        return String(decoding: text, as: UTF8.self)
      }
      row -= batch.rowCount
    }
    return ""
  }
}

/// The events on which a rule was true, NULL, or raised; it was false on all others.
struct RuleAnswers {
  var matches: [Int] = []
  var nulls: [Int] = []
  var errors: [Int] = []
  /// Why it raised, for each of `errors`.
  var reasons: [EvaluationError?] = []
}
