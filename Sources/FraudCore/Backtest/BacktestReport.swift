/// What a backtest found.
package struct BacktestReport: Sendable {
  /// Changes of each kind that are kept for reports; all of them are counted.
  package static let changesKept = 200

  /// Whose archived events were read, and of which times; both ends are inclusive.
  package var archivedPipeline: String
  package var times: ClosedRange<Int64>?
  package var partitionCount = 0
  /// What each version is called: its file, or its name and version.
  package var triedName: String
  package var againstName: String?
  /// What the version that is tried found, and the one that it is compared with.
  package var tried: BacktestTally
  package var against: BacktestTally?
  /// How often the two differ, and the first events of each kind.
  package var changeCounts: [BacktestChange.Kind: Int] = [:]
  package var changes: [BacktestChange] = []
  /// Whether it was stopped before the last event.
  package var isCutShort = false

  /// Nothing found yet.
  package init(archivedPipeline: String, triedName: String, tried: BacktestTally) {
    self.archivedPipeline = archivedPipeline
    self.triedName = triedName
    self.tried = tried
  }

  /// Counts a change, and keeps it where there is room for its kind.
  package mutating func observe(_ change: BacktestChange) {
    changeCounts[change.kind, default: 0] += 1
    if changeCounts[change.kind, default: 0] <= Self.changesKept { changes.append(change) }
  }

  /// Puts the changes that are kept in the order of kind and time, in which people look for them.
  package mutating func sortChanges() {
    let kinds = BacktestChange.Kind.allCases
    changes.sort { a, b in
      if a.kind != b.kind { return kinds.firstIndex(of: a.kind) ?? 0 < kinds.firstIndex(of: b.kind) ?? 0 }
      if a.eventTime != b.eventTime { return a.eventTime ?? .min < b.eventTime ?? .min }
      return (a.source.topic, a.source.partition, a.offset) < (b.source.topic, b.source.partition, b.offset)
    }
  }

  /// The whole report as one JSON object.
  ///
  /// - Parameter seconds: how long it took.
  package func json(seconds: Double) -> [UInt8] {
    var text: [UInt8] = []
    var object = JSONObjectText()
    object.key("archived_pipeline", &text)
    JSONText.append(string: archivedPipeline, to: &text)
    object.key("from", &text)
    JSONText.append(times.flatMap { $0.lowerBound == .min ? nil : .timestamp($0.lowerBound) }, to: &text)
    object.key("to", &text)
    JSONText.append(times.flatMap { $0.upperBound == .max ? nil : .timestamp($0.upperBound + 1) }, to: &text)
    object.count("partitions", partitionCount, &text)
    object.key("complete", &text)
    JSONText.append(!isCutShort, to: &text)
    object.key("pipeline", &text)
    append(tried, name: triedName, seconds: seconds, to: &text)
    object.key("against", &text)
    if let against, let againstName {
      append(against, name: againstName, seconds: seconds, to: &text)
    } else {
      JSONText.appendNull(to: &text)
    }
    object.key("changes", &text)
    if against == nil {
      JSONText.appendNull(to: &text)
    } else {
      var counts = JSONObjectText()
      for kind in BacktestChange.Kind.allCases { counts.count(kind.rawValue, changeCounts[kind] ?? 0, &text) }
      counts.key("events", &text)
      append(list: changes, to: &text) { $0.append(to: &$1) }
      counts.end(&text)
    }
    object.end(&text)
    return text
  }

  private func append<Element>(
    list: [Element], to text: inout [UInt8], _ body: (Element, inout [UInt8]) -> Void
  ) {
    text.append(UInt8(ascii: "["))
    for (index, element) in list.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      body(element, &text)
    }
    text.append(UInt8(ascii: "]"))
  }

  private func append(_ tally: BacktestTally, name: String, seconds: Double, to text: inout [UInt8]) {
    var object = JSONObjectText()
    object.key("definition", &text)
    JSONText.append(string: name, to: &text)
    object.key("summary", &text)
    text += tally.summary.json(seconds: seconds)
    object.count("warm_up_events", tally.warmUpEvents, &text)
    object.count("labelled", tally.labelled, &text)
    object.key("money", &text)
    if let money = tally.money {
      var sums = JSONObjectText()
      for (name, sum) in [
        ("caught", money.caught), ("missed", money.missed), ("false_alarms", money.falseAlarms),
      ] {
        sums.key(name, &text)
        JSONText.append(sum, to: &text)
      }
      sums.end(&text)
    } else {
      JSONText.appendNull(to: &text)
    }
    object.key("days", &text)
    append(list: tally.sortedDays, to: &text) { day, text in
      var counts = JSONObjectText()
      counts.key("date", &text)
      text += Array("\"\(TimestampText.dateText(days: Int(day.day)))\"".utf8)
      counts.count("events", day.counts.events, &text)
      counts.count("alerted", day.counts.alerted, &text)
      counts.count("alerts", day.counts.alerts, &text)
      if tally.summary.positives != nil {
        counts.count("frauds", day.counts.frauds, &text)
        counts.count("caught", day.counts.caught, &text)
      }
      counts.end(&text)
    }
    object.end(&text)
  }
}

extension TimestampText {
  /// `2025-03-01`, from days since 1970.
  package static func dateText(days: Int) -> String {
    let date = date(days: days)
    func padded(_ number: Int, _ digits: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
    return "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))"
  }
}
