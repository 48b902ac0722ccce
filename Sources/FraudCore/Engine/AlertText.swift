/// Writes alerts and decisions as NDJSON, straight from a batch: `CONTRACTS.md`, Alert.
///
/// What does not depend on the event is rendered once a pipeline and lies in one array; an alert puts its pieces side by
/// side in room that was made for all of it.
package struct AlertText: Sendable {
  private let pipeline: Pipeline
  private var identity: AlertIdentity
  private let redaction: Redaction
  /// All pieces, and readable bytes behind the last one.
  private let pieces: [UInt8]
  private let words: Words
  /// From behind the id to before the event's, and whether that is in quotes that its value lacks.
  private let head: Range<Int>
  private let quotesEventID: Bool
  /// `],"topic":` up to the offset.
  private let tail: Range<Int>
  /// For each rule, and last for the three severities of one alert a decision, from `,"rule_id":` to `,"score":`.
  private let ruleParts: [Range<Int>]
  /// For each band, and last for a policy without any, from `,"risk_level":` to behind it.
  private let bandParts: [Range<Int>]
  private let reasonParts: [ReasonPart]
  /// Before each field's value in an event that did not come as JSON.
  private let fieldParts: [Range<Int>]
  private let textFields: [Int]
  /// Room for everything but reasons, the event and its id.
  private let fixedRoom: Int
  private let fieldRoom: Int

  /// What stands in every text.
  private struct Words {
    var alert, time, reasons, line, data, end, decision, rules, rulesEnd: Range<Int>
    /// The end of a decision's reasons, and whether the event was late.
    var inTime, late: Range<Int>
    /// `,"decision":` up to the score, for each verdict.
    var verdicts: [Range<Int>]
  }

  /// The constant parts of one rule's reason.
  private struct ReasonPart {
    /// `{"rule_id":…,"contribution":`, without and with the rule's weight behind it.
    var head: Range<Int>
    var weighted: Range<Int>
    /// For each computed column that the rule reads, what stands before its value.
    var values: [(column: Int, name: Range<Int>)]
    var room: Int
    var hasText: Bool
  }

  /// What is made apart because it is rare: parts that must be masked, and reasons with more to say than their values.
  private struct RareParts {
    var eventID: [UInt8]?
    var event: [UInt8]?
    var reasons: [UInt8]?

    var count: Int { (eventID?.count ?? 0) + (event?.count ?? 0) + (reasons?.count ?? 0) }
  }

  package init(pipeline: Pipeline, version: Int?, source: EventSource) {
    self.pipeline = pipeline
    identity = AlertIdentity(pipeline: pipeline.definition.name, source: source)
    redaction = Redaction(schema: pipeline.definition.schema)
    var pieces: [UInt8] = []
    func piece(_ parts: Substring...) -> Range<Int> {
      let start = pieces.count
      for part in parts { pieces.append(contentsOf: part.utf8) }
      return start..<pieces.count
    }
    func quoted(_ text: String) -> Substring {
      var bytes: [UInt8] = []
      JSONText.append(string: text, to: &bytes)
      return Substring(decoding: bytes, as: UTF8.self)
    }
    let columns = pipeline.layout.columns
    let idType = pipeline.known.eventID.map { columns[$0].type }
    quotesEventID = idType != nil && idType != .string && idType != .timestamp
    head = piece(
      "\",\"pipeline\":", quoted(pipeline.definition.name), ",\"pipeline_version\":",
      version.map { "\($0)" } ?? "null", ",\"event_id\":")
    words = Words(
      alert: piece("{\"alert_id\":\""), time: piece(",\"event_time\":"), reasons: piece(",\"reasons\":["),
      line: piece(",\"line\":"), data: piece(",\"transaction_data\":"), end: piece("}\n"),
      decision: piece("{\"event_id\":"), rules: piece(",\"rules\":["), rulesEnd: piece("]"),
      inTime: piece("],\"late\":false"), late: piece("],\"late\":true"),
      verdicts: Decision.Verdict.allCases.map { piece(",\"decision\":\"", $0.rawValue[...], "\",\"score\":") })
    tail = piece("],\"topic\":", quoted(source.topic), ",\"partition\":\(source.partition),\"offset\":")
    ruleParts =
      pipeline.rules.map { rule in
        piece(
          ",\"rule_id\":", quoted(rule.id), ",\"rule_description\":", quoted(rule.description), ",\"severity\":\"",
          rule.severity.rawValue[...], "\",\"score\":")
      }
      + Severity.allCases.map {
        piece(",\"rule_id\":null,\"rule_description\":null,\"severity\":\"", $0.rawValue[...], "\",\"score\":")
      }
    let bands = pipeline.definition.scoring.bands
    bandParts = (bands.bands.map(\.name) + [RiskBands.unnamed]).map { piece(",\"risk_level\":", quoted($0)) }
    reasonParts = pipeline.rules.indices.map { index in
      let rule = pipeline.rules[index]
      let head = piece("{\"rule_id\":", quoted(rule.id), ",\"contribution\":")
      let weighted = piece(
        "{\"rule_id\":", quoted(rule.id), ",\"contribution\":",
        Score.basisPoints(pipeline.scoring.rules[index].weight).description[...])
      let values = rule.computedColumns.enumerated().map { number, column in
        (column, piece(number == 0 ? ",\"values\":{" : ",", quoted(columns[column].name), ":"))
      }
      return ReasonPart(
        head: head, weighted: weighted, values: values,
        room: weighted.count + 32 + values.reduce(0) { $0 + $1.1.count + 32 },
        hasText: rule.computedColumns.contains { columns[$0].type == .string })
    }
    fieldParts = (0..<pipeline.layout.fieldCount).map { piece(",", quoted(columns[$0].name), ":") }
    textFields = (0..<pipeline.layout.fieldCount).filter { columns[$0].type == .string }
    // Numbers, instants and the keys that are put in as they are have at most 32 bytes each.
    fixedRoom =
      16 * 32 + head.count + tail.count + (ruleParts.map(\.count).max() ?? 0) + (bandParts.map(\.count).max() ?? 0)
    fieldRoom = fieldParts.reduce(0) { $0 + $1.count + 32 }
    self.pieces = pieces + [UInt8](repeating: 0, count: 16)
  }

  /// Appends a batch's alerts, a line each.
  package func append(alertsOf engine: borrowing Engine, batch: EventBatch, to text: inout [UInt8]) {
    let drafts = engine.alerts
    let ids = identity.ids(count: drafts.count) { index in
      (batch.positions[Int(drafts[index].row)].offset, drafts[index].rule.map { pipeline.rules[$0].id } ?? "")
    }
    for index in drafts.indices { append(drafts[index], id: ids[index], of: engine, batch: batch, to: &text) }
  }

  /// Appends one alert and a line's end.
  package func append(_ draft: AlertDraft, of engine: borrowing Engine, batch: EventBatch, to text: inout [UInt8]) {
    let id = identity.id(
      offset: batch.positions[Int(draft.row)].offset, rule: draft.rule.map { pipeline.rules[$0].id } ?? "")
    append(draft, id: id, of: engine, batch: batch, to: &text)
  }

  private func append(
    _ draft: AlertDraft, id: UniqueID, of engine: borrowing Engine, batch: EventBatch, to text: inout [UInt8]
  ) {
    let row = Int(draft.row)
    let rare = rareParts(row, at: draft.decision, of: engine, batch, showsEvent: true)
    let room = room(row, at: draft.decision, of: engine, batch) + eventRoom(row, batch) + rare.count
    var at = text.count
    text.append(addingCapacity: room) { $0.append(repeating: 0, count: room) }
    let pieces = pieces.span
    var out = text.mutableSpan
    out.put(pieces, words.alert, at: &at)
    out.put(id, at: &at)
    out.put(pieces, head, at: &at)
    putEvent(row, rare, batch, to: &out, &at)
    let part = draft.rule ?? pipeline.rules.count + engine.severity(of: draft).rank
    out.put(pieces, ruleParts[part], at: &at)
    putScore(at: draft.decision, of: engine, to: &out, &at)
    putReasons(row, at: draft.decision, rare, of: engine, batch, to: &out, &at)
    putPosition(batch.positions[row], tail, to: &out, &at)
    out.put(pieces, words.data, at: &at)
    putEventData(row, rare, batch, to: &out, &at)
    out.put(pieces, words.end, at: &at)
    text.removeLast(text.count - at)
  }

  /// Appends the decision of a row, whatever it is, and a line's end.
  ///
  /// - Parameter index: the row's place among the engine's decisions; `nil` where no rule triggered.
  package func append(
    decisionOf row: Int, at index: Int?, of engine: borrowing Engine, batch: EventBatch, to text: inout [UInt8]
  ) {
    let place = index ?? -1
    let triggered = place < 0 ? 0..<0 : engine.decisions.triggered(at: place)
    let rare = rareParts(row, at: place, of: engine, batch, showsEvent: false)
    var at = text.count
    let room = 2 * room(row, at: place, of: engine, batch) + rare.count
    text.append(addingCapacity: room) { $0.append(repeating: 0, count: room) }
    let pieces = pieces.span
    var out = text.mutableSpan
    out.put(pieces, words.decision, at: &at)
    putEvent(row, rare, batch, to: &out, &at)
    let verdict = place < 0 ? Decision.Verdict.noAlert : engine.decisions.verdicts[place]
    out.put(pieces, words.verdicts[Decision.Verdict.allCases.firstIndex(of: verdict) ?? 0], at: &at)
    putScore(at: place, of: engine, to: &out, &at)
    out.put(pieces, words.rules, at: &at)
    for index in triggered {
      if index > triggered.lowerBound { out.put(UInt8(ascii: ","), at: &at) }
      // The id stands in the reason, between `{"rule_id":` and `,"contribution":`.
      let head = reasonParts[Int(engine.decisions.triggeredRules[index])].head
      out.put(pieces, head.lowerBound + 11..<head.upperBound - 16, at: &at)
    }
    out.put(pieces, words.rulesEnd, at: &at)
    putReasons(row, at: place, rare, of: engine, batch, to: &out, &at)
    out.put(pieces, engine.isLate(row: row) ? words.late : words.inTime, at: &at)
    putPosition(batch.positions[row], tail.dropFirst(), to: &out, &at)
    out.put(pieces, words.end, at: &at)
    text.removeLast(text.count - at)
  }

  // MARK: Room

  private func rareParts(
    _ row: Int, at index: Int, of engine: borrowing Engine, _ batch: EventBatch, showsEvent: Bool
  ) -> RareParts {
    var parts = RareParts()
    if redaction.isNeeded {
      var eventID: [UInt8] = []
      if let column = pipeline.known.eventID {
        redaction.append(column: column, row: row, of: batch, to: &eventID)
        parts.eventID = eventID
      }
      if showsEvent {
        var event: [UInt8] = []
        redaction.append(eventOf: row, of: batch, to: &event)
        parts.event = event
      }
    }
    if index >= 0, engine.hasFlags(row: row) {
      var reasons: [UInt8] = []
      Reason.append(engine.reasons(at: index, batch: batch), to: &reasons)
      parts.reasons = reasons
    }
    return parts
  }

  /// Room for what is not the event's own text, its id and reasons included.
  private func room(_ row: Int, at index: Int, of engine: borrowing Engine, _ batch: EventBatch) -> Int {
    var room = fixedRoom
    if let column = pipeline.known.eventID { room += textRoom(column, row, batch) }
    guard index >= 0 else { return room }
    for place in engine.decisions.triggered(at: index) {
      let rule = Int(engine.decisions.triggeredRules[place])
      room += reasonParts[rule].room
      guard reasonParts[rule].hasText else { continue }
      for value in reasonParts[rule].values.indices {
        room += textRoom(reasonParts[rule].values[value].column, row, batch)
      }
    }
    return room
  }

  private func eventRoom(_ row: Int, _ batch: EventBatch) -> Int {
    if batch.holdsJSON { return batch.positions[row].count }
    var room = fieldRoom
    for column in textFields { room += textRoom(column, row, batch) }
    return room
  }

  private func textRoom(_ column: Int, _ row: Int, _ batch: EventBatch) -> Int {
    guard batch.layout.columns[column].type == .string else { return 32 }
    return TextSlice(word: batch.word(column: column, row: row)).count * 6 + 2
  }

  // MARK: Pieces

  /// `"id","event_time":"…"`.
  private func putEvent(
    _ row: Int, _ rare: RareParts, _ batch: EventBatch, to out: inout MutableSpan<UInt8>, _ at: inout Int
  ) {
    if let column = pipeline.known.eventID, batch.isValid(column: column, row: row) {
      if quotesEventID { out.put(UInt8(ascii: "\""), at: &at) }
      if let masked = rare.eventID {
        out.put(masked.span, masked.indices, at: &at)
      } else {
        out.put(column: column, row: row, of: batch, at: &at)
      }
      if quotesEventID { out.put(UInt8(ascii: "\""), at: &at) }
    } else {
      out.putNull(at: &at)
    }
    out.put(pieces.span, words.time, at: &at)
    if let time = pipeline.eventTime(row: row, batch: batch) {
      out.put(timestamp: time, at: &at)
    } else {
      out.putNull(at: &at)
    }
  }

  /// The score, and `,"risk_level":"…"`.
  private func putScore(
    at index: Int, of engine: borrowing Engine, to out: inout MutableSpan<UInt8>, _ at: inout Int
  ) {
    let score = index < 0 ? pipeline.scoring.quiet.score : engine.decisions.scores[index]
    put(score, to: &out, &at)
    let band = pipeline.definition.scoring.bands.index(of: score) ?? bandParts.count - 1
    out.put(pieces.span, bandParts[band], at: &at)
  }

  private func put(_ score: Score, to out: inout MutableSpan<UInt8>, _ at: inout Int) {
    if case .basisPoints(let count) = score, count >= 0 { return out.put(basisPoints: count, at: &at) }
    let text = score.description
    out.put(text.utf8.span, 0..<text.utf8.count, at: &at)
  }

  /// `,"reasons":[…`, whose end the position begins with.
  private func putReasons(
    _ row: Int, at index: Int, _ rare: RareParts, of engine: borrowing Engine, _ batch: EventBatch,
    to out: inout MutableSpan<UInt8>, _ at: inout Int
  ) {
    let pieces = pieces.span
    out.put(pieces, words.reasons, at: &at)
    guard index >= 0 else { return }
    if let reasons = rare.reasons { return out.put(reasons.span, 1..<reasons.count - 1, at: &at) }
    let triggered = engine.decisions.triggered(at: index)
    // Mostly each weight is its own part of the score, and stands ready.
    let parts =
      pipeline.scoring.addsUp(at: index, of: engine.decisions)
      ? [] : pipeline.scoring.contributions(at: index, of: engine.decisions)
    for place in triggered {
      let rule = Int(engine.decisions.triggeredRules[place])
      if place > triggered.lowerBound { out.put(UInt8(ascii: ","), at: &at) }
      if parts.isEmpty {
        out.put(pieces, reasonParts[rule].weighted, at: &at)
      } else {
        out.put(pieces, reasonParts[rule].head, at: &at)
        put(parts[place - triggered.lowerBound].amount, to: &out, &at)
      }
      for value in reasonParts[rule].values.indices {
        out.put(pieces, reasonParts[rule].values[value].name, at: &at)
        out.put(column: reasonParts[rule].values[value].column, row: row, of: batch, at: &at)
      }
      if !reasonParts[rule].values.isEmpty { out.put(UInt8(ascii: "}"), at: &at) }
      out.put(UInt8(ascii: "}"), at: &at)
    }
  }

  /// `],"topic":…,"partition":0,"offset":17,"line":18`.
  private func putPosition(
    _ position: EventPosition, _ tail: Range<Int>, to out: inout MutableSpan<UInt8>, _ at: inout Int
  ) {
    out.put(pieces.span, tail, at: &at)
    out.put(position.offset, at: &at)
    out.put(pieces.span, words.line, at: &at)
    if position.line > 0 { out.put(position.line, at: &at) } else { out.putNull(at: &at) }
  }

  /// The event as it came, or an object of the schema's fields in order, NULLs left out.
  private func putEventData(
    _ row: Int, _ rare: RareParts, _ batch: EventBatch, to out: inout MutableSpan<UInt8>, _ at: inout Int
  ) {
    if let masked = rare.event { return out.put(masked.span, masked.indices, at: &at) }
    if batch.holdsJSON {
      let start = batch.positions[row].start
      return out.put(batch.bytes.span, start..<start + batch.positions[row].count, at: &at)
    }
    out.put(UInt8(ascii: "{"), at: &at)
    var isFirst = true
    for column in fieldParts.indices where batch.isValid(column: column, row: row) {
      let part = fieldParts[column]
      // A part begins with the comma that the first one does without.
      out.put(pieces.span, isFirst ? part.lowerBound + 1..<part.upperBound : part, at: &at)
      isFirst = false
      out.put(column: column, row: row, of: batch, at: &at)
    }
    out.put(UInt8(ascii: "}"), at: &at)
  }
}

extension MutableSpan<UInt8> {
  /// One value of a batch, `null` where there is none.
  fileprivate mutating func put(column: Int, row: Int, of batch: EventBatch, at position: inout Int) {
    guard batch.isValid(column: column, row: row) else { return putNull(at: &position) }
    switch batch.layout.columns[column].type {
    case .integer: put(Int64(bitPattern: batch.word(column: column, row: row)), at: &position)
    case .float: put(Double(bitPattern: batch.word(column: column, row: row)), at: &position)
    case .timestamp: put(timestamp: Int64(bitPattern: batch.word(column: column, row: row)), at: &position)
    case .boolean:
      if batch.words[column * batch.stride + row >> 6] >> UInt64(row & 63) & 1 == 1 {
        put(word: 0x6575_7274, count: 4, at: &position)
      } else {
        put(word: 0x65_736C_6166, count: 5, at: &position)
      }
    case .string:
      put(UInt8(ascii: "\""), at: &position)
      put(escaping: batch.bytes.span, TextSlice(word: batch.word(column: column, row: row)).range, at: &position)
      put(UInt8(ascii: "\""), at: &position)
    }
  }
}

extension Reason {
  /// Appends reasons as a JSON array: `[{"rule_id":"FR-002","contribution":0.25,"values":{"tx_count_10m":6}}]`.
  package static func append(_ reasons: [Reason], to text: inout [UInt8]) {
    text.append(UInt8(ascii: "["))
    for (number, reason) in reasons.enumerated() {
      if number > 0 { text.append(UInt8(ascii: ",")) }
      text.append(contentsOf: "{\"rule_id\":".utf8)
      JSONText.append(string: reason.ruleID, to: &text)
      text.append(contentsOf: ",\"contribution\":".utf8)
      reason.contribution.append(to: &text)
      if !reason.values.isEmpty {
        text.append(contentsOf: ",\"values\":".utf8)
        var object = JSONObjectText()
        for value in reason.values {
          object.key(value.name, &text)
          JSONText.append(value.value, to: &text)
        }
        object.end(&text)
        reason.appendFlags(to: &text)
      }
      text.append(UInt8(ascii: "}"))
    }
    text.append(UInt8(ascii: "]"))
  }
}

extension Reason {
  /// `,"truncated":["n"]`, `,"errors":{"devices":0.01625}`, `,"late":true`: what there is to say of the values.
  fileprivate func appendFlags(to text: inout [UInt8]) {
    if !truncated.isEmpty {
      text.append(contentsOf: ",\"truncated\":[".utf8)
      for (index, name) in truncated.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        JSONText.append(string: name, to: &text)
      }
      text.append(UInt8(ascii: "]"))
    }
    if !errors.isEmpty {
      text.append(contentsOf: ",\"errors\":".utf8)
      var object = JSONObjectText()
      for error in errors {
        object.key(error.name, &text)
        JSONText.append(error.value, to: &text)
      }
      object.end(&text)
    }
    if isLate { text.append(contentsOf: ",\"late\":true".utf8) }
  }
}

extension JSONText {
  /// A value, `null` where there is none.
  package static func append(_ value: FieldValue?, to text: inout [UInt8]) {
    switch value {
    case nil: appendNull(to: &text)
    case .string(let string): append(string: string, to: &text)
    case .integer(let number): append(number, to: &text)
    case .float(let number): append(number, to: &text)
    case .boolean(let flag): append(flag, to: &text)
    case .timestamp(let time): append(timestamp: time, to: &text)
    }
  }
}
