import FraudCore

/// Takes any bytes as a rule. Whatever they are, the lexer, the parser and the checker give a rule or a message; a rule
/// prints as a text that compiles to the same rule, and both evaluators agree on it.
private func fuzzExpressions(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let text = unsafe String(decoding: UnsafeBufferPointer(start: data, count: count), as: UTF8.self)
  guard let rule = try? compiler.rule(text) else { return 0 }
  let printed = rule.canonicalText(layout: layout)
  if !printed.contains("…"), !text.contains("…") {
    let again = try? compiler.rule(printed)
    precondition(again == rule, "printed as another rule: \(printed)")
  }
  var evaluator = RuleEvaluator(RuleProgram([rule], layout: layout))
  var outcomes = RuleOutcomes(ruleCount: 1, stride: 1)
  evaluator.evaluate(batch, into: &outcomes)
  let twin = ExpressionTwin(rule)
  for row in 0..<batch.rowCount {
    let bit: UInt64 = 1 << UInt64(row)
    let agrees =
      switch twin.outcome(of: rows[row]) {
      case .error: outcomes.error[0] & bit != 0
      case .value(.null): outcomes.null[0] & bit != 0
      case .value(.boolean(true)): outcomes.triggered[0] & bit != 0
      default: (outcomes.error[0] | outcomes.null[0] | outcomes.triggered[0]) & bit == 0
      }
    precondition(agrees, "the evaluators differ on row \(row)")
  }
  return 0
}

private let schema = Schema(fields: [
  Field(name: "a", type: .string), Field(name: "b", type: .integer), Field(name: "c", type: .float),
  Field(name: "d", type: .boolean), Field(name: "e", type: .timestamp),
])
private let layout = ColumnLayout(schema: schema)
private let compiler = ExpressionCompiler(layout: layout)

private let batch = {
  let events = [
    #"{"a":"USD","b":1,"c":10.5,"d":true,"e":"2024-02-29T12:00:00Z"}"#, #"{}"#,
    #"{"a":"12","b":0,"c":-0.0,"d":false,"e":"1969-12-31T23:59:59.5Z"}"#,
    #"{"a":"Stra\u00dfe","b":-9223372036854775808,"c":1e300,"e":"9999-12-31T23:59:59Z"}"#,
  ]
  let decoder = EventDecoder(schema: schema)
  var state = DecoderState(decoder)
  var batch = EventBatch(layout: layout, source: EventSource(topic: "f"), capacity: 64)
  for (index, event) in events.enumerated() { batch.append(message: Array(event.utf8).span, offset: Int64(index)) }
  decoder.decode(&batch, &state)
  precondition(batch.rowCount == events.count)
  return batch
}()

private let rows: [[Value]] = (0..<batch.rowCount).map { row in
  layout.columns.indices.map { column in
    switch batch.value(column: column, row: row) {
    case nil: .null
    case .string(let text)?: .string(Array(text.utf8))
    case .integer(let value)?, .timestamp(let value)?: .integer(value)
    case .float(let value)?: .double(value)
    case .boolean(let value)?: .boolean(value)
    }
  }
}

/// libFuzzer's own main, which SwiftPM's executables have no place for.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
  _ argumentCount: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The executable's entry, by the name that SwiftPM gives it.
@_cdecl("FuzzExpressions_main")
public func main(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
  var (count, arguments) = unsafe (count, arguments)
  return unsafe runFuzzer(&count, &arguments) { unsafe fuzzExpressions($0, $1) }
}
