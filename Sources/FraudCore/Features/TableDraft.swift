/// The operations of one grouping while features are added to it.
struct TableDraft {
  let keyInputs: [FeatureInput]
  let stage: Int
  /// The names of the key's columns and of all columns, for telling state apart.
  private let names: [String]
  private var conditions: [String] = []
  private var foldSets: [Int] = []
  private var operations: [FeatureOperation] = []
  private var lists: [ListDraft] = []
  /// The topics whose rows are looked at, the scored one always; empty where there is no other.
  private var sources: [Int]

  /// A list of events while windows are added to it.
  struct ListDraft {
    var foldSet: Int
    var maxEvents: Int
    var inputs: [FeatureInput] = []
    var payloads: [EventListLayout.Payload] = []
    var hasValidity = false
    var windows: [Window] = []

    struct Window {
      var span: FeatureWindow
      var delay: Int64
      var accumulators: [EventListLayout.Accumulator] = []
      var outputs: [(output: FeatureOutput, payload: Int, accumulator: Int)] = []
    }
  }

  init(keyInputs: [FeatureInput], stage: Int, names: [String], hasStreams: Bool) {
    self.keyInputs = keyInputs
    self.stage = stage
    self.names = names
    sources = hasStreams ? [0] : []
  }

  mutating func add(
    _ feature: FeatureDefinition, output: FeatureOutput, inputs: [FeatureInput], condition: Int, isNullable: [Bool],
    source: Int = 0
  ) {
    if source > 0, !sources.contains(source) { sources.append(source) }
    let foldSet = foldSets.firstIndex(of: condition) ?? foldSets.count
    if foldSet == foldSets.count {
      foldSets.append(condition)
      conditions.append((feature.from.map { "of \($0) " } ?? "") + (feature.condition ?? ""))
    }
    if let panes = feature.panes, case .sliding(let length) = feature.window {
      let layout = PaneLayout(output.function, length: length, delay: feature.delay, count: panes)
      add(.panes(layout), output, inputs: inputs, foldSet: foldSet)
      return
    }
    guard feature.window != .life else {
      addLife(output, inputs: inputs, foldSet: foldSet)
      return
    }
    let index =
      lists.firstIndex {
        // An entry has one word of validity bits.
        $0.foldSet == foldSet && $0.maxEvents == feature.maxEventsPerKey && $0.inputs.count <= 60
      }
      ?? {
        lists.append(ListDraft(foldSet: foldSet, maxEvents: feature.maxEventsPerKey))
        return lists.count - 1
      }()
    // A count needs no value of a field that always has one.
    let kept = output.function == .count && !isNullable.contains(true) ? [] : inputs
    lists[index].add(output, inputs: kept, isNullable: isNullable, window: feature.window, delay: feature.delay)
  }

  private mutating func addLife(_ output: FeatureOutput, inputs: [FeatureInput], foldSet: Int) {
    let kind: FeatureOperation.Kind =
      switch output.function {
      case .count: .count
      case .sum, .mean, .ratio: .sum
      case .stddev, .variance: .moments
      case .min: .least
      case .max: .greatest
      case .first: .first
      case .last, .previous: .last
      case .distinct: .distinct
      case .quantile: .quantile
      case .ewma: FeatureOperation.Kind(ewmaParameter: output.parameter)
      case .rate, .secondsSinceLast: .lastTime
      case .distanceKm, .speedKmh: .place
      case .hourZscore: .hourMoments
      case .hourSurprise: .hours
      case .shared, .groupSize: .neighbours
      }
    add(kind, output, inputs: inputs, foldSet: foldSet)
  }

  private mutating func add(
    _ kind: FeatureOperation.Kind, _ output: FeatureOutput, inputs: [FeatureInput], foldSet: Int
  ) {
    if let known = operations.firstIndex(where: { $0.kind == kind && $0.inputs == inputs && $0.foldSet == foldSet }) {
      operations[known].outputs.append(output)
    } else {
      operations.append(
        FeatureOperation(
          kind: kind, foldSet: foldSet, inputs: inputs, offset: 0, width: FeatureOperation.width(of: kind),
          outputs: [output], identity: ""))
    }
  }

  /// - Parameter names: of all columns, by which state is recognised in another version of the pipeline.
  func finish(columnNames: [String]) -> FeatureTableLayout {
    var offset = 2
    var finished: [FeatureOperation] = []
    for var operation in lists.map({ $0.finish() }) + operations {
      operation.offset = offset
      operation.identity = operation.describe(columnNames: columnNames, condition: conditions[operation.foldSet])
      offset += operation.width
      finished.append(operation)
    }
    return FeatureTableLayout(
      keyInputs: keyInputs, foldSets: foldSets, operations: finished, width: offset,
      identity: "by \(names.joined(separator: ", ")) as \(keyInputs.map(\.type.rawValue).joined(separator: ", "))",
      sources: sources)
  }
}

extension TableDraft.ListDraft {
  mutating func add(
    _ output: FeatureOutput, inputs: [FeatureInput], isNullable: [Bool], window span: FeatureWindow, delay: Int64
  ) {
    let window =
      windows.firstIndex { $0.span == span && $0.delay == delay }
      ?? {
        windows.append(Window(span: span, delay: delay))
        return windows.count - 1
      }()
    if isNullable.contains(true), !inputs.isEmpty { hasValidity = true }
    let payload = place(of: inputs, for: output.function)
    let accumulator: EventListLayout.Accumulator? =
      switch output.function {
      case .sum, .mean, .ratio: .sum(payload: payload)
      case .stddev, .variance: .squares(payload: payload)
      case .distinct: .distinct(payload: payload)
      case .min where output.type != .string: .extreme(payload: payload, greatest: false)
      case .max where output.type != .string: .extreme(payload: payload, greatest: true)
      default: nil
      }
    var place = -1
    if let accumulator {
      place = windows[window].accumulators.firstIndex(of: accumulator) ?? windows[window].accumulators.count
      if place == windows[window].accumulators.count { windows[window].accumulators.append(accumulator) }
    }
    windows[window].outputs.append((output, payload, place))
  }

  /// Where a field's value stands in an entry, −1 where none is needed. Latitude and longitude stand beside each other.
  private mutating func place(of wanted: [FeatureInput], for function: FeatureFunction) -> Int {
    guard let first = wanted.first else { return -1 }
    let payload: EventListLayout.Payload =
      first.type != .string ? .word : function == .distinct || function == .count ? .hash : .text
    let known = inputs.indices.first { start in
      start + wanted.count <= inputs.count
        && wanted.indices.allSatisfy { inputs[start + $0] == wanted[$0] && payloads[start + $0] == payload }
    }
    if let known { return known }
    inputs += wanted
    payloads += wanted.map { _ in payload }
    return inputs.count - wanted.count
  }

  func finish() -> FeatureOperation {
    var offset = 2
    var finished: [EventListLayout.Window] = []
    var reach: Int64? = 0
    var accumulators: [EventListLayout.PlacedAccumulator] = []
    var outputs: [EventListLayout.WindowOutput] = []
    for window in windows {
      let start = offset
      offset += 1
      let (firstAccumulator, firstOutput) = (accumulators.count, outputs.count)
      for accumulator in window.accumulators {
        accumulators.append(EventListLayout.PlacedAccumulator(kind: accumulator, offset: offset))
        offset += accumulator.width
      }
      for output in window.outputs {
        let place = output.accumulator < 0 ? -1 : accumulators[firstAccumulator + output.accumulator].offset
        outputs.append(
          EventListLayout.WindowOutput(output: output.output, payload: output.payload, accumulator: place))
      }
      finished.append(
        EventListLayout.Window(
          span: window.span, delay: window.delay, offset: start, accumulators: firstAccumulator..<accumulators.count,
          outputs: firstOutput..<outputs.count))
      switch window.span {
      case .sliding(let length), .tumbling(let length): reach = reach.map { max($0, length + window.delay) }
      case .session, .life: break
      }
    }
    if windows.allSatisfy({ if case .session = $0.span { true } else { false } }) { reach = nil }
    let layout = EventListLayout(
      payloads: payloads, types: inputs.map(\.type), hasValidity: hasValidity, maxEvents: maxEvents, windows: finished,
      accumulators: accumulators, outputs: outputs, reach: reach, width: offset)
    return FeatureOperation(
      kind: .list(layout), foldSet: foldSet, inputs: inputs, offset: 0, width: offset, outputs: [], identity: "")
  }
}

extension FeatureOperation {
  /// What the operation remembers, in words that do not change when columns are added or the definition is reordered.
  func describe(columnNames: [String], condition: String) -> String {
    let inputs = self.inputs.map { "\(columnNames[$0.column]) \($0.type.rawValue)" }.joined(separator: ", ")
    let what: String
    if case .list(let list) = kind {
      let windows = list.windows.map { window in
        let sums = list.accumulators[window.accumulators].map { "\($0.kind)" }.joined(separator: " ")
        return "\(window.span) delay \(window.delay) [\(sums)]"
      }
      what = "list \(list.maxEvents) \(list.payloads) \(windows)"
    } else {
      what = "\(kind)"
    }
    return "\(what) of \(inputs) where \(condition)"
  }
}
