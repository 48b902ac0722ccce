import FraudCore

/// What `rules explain` shows of a rule.
struct RuleExplanation {
  private struct Step {
    var type: String
    var text: String
  }

  private let canonicalText: String
  private let columns: [ColumnDescription]
  private let steps: [Step]

  init(_ rule: CheckedExpression, _ vocabulary: RuleVocabulary) {
    let layout = vocabulary.compiler.layout
    canonicalText = vocabulary.canonicalText(rule)
    columns = rule.columns.map { layout.columns[$0] }
    steps = rule.nodes.indices.map { index in
      Step(
        type: rule.nodes[index].type.description,
        text: rule.stepText(index, layout: layout, lists: vocabulary.compiler.lists))
    }
  }

  /// One JSON object.
  var json: String {
    var object = JSONObjectText()
    object.append("canonical", canonicalText)
    object.append("type", "BOOLEAN")
    let columns = columns.map { column in
      var object = JSONObjectText()
      object.append("name", column.name)
      object.append("type", column.type.rawValue)
      return object.finished
    }
    let steps = steps.map { step in
      var object = JSONObjectText()
      object.append("type", step.type)
      object.append("step", step.text)
      return object.finished
    }
    object.append("columns", json: "[" + columns.joined(separator: ",") + "]")
    object.append("steps", json: "[" + steps.joined(separator: ",") + "]")
    return object.finished
  }

  func write(to terminal: Terminal) {
    terminal.line(terminal.styled("canonical", .bold))
    terminal.line("  " + printable(canonicalText))
    terminal.line(terminal.styled("columns", .bold))
    for column in columns {
      let origin = column.origin == .field ? "" : ", computed"
      terminal.line(
        "  \(printable(column.name)) (\(column.type.rawValue)\(column.nullable ? "" : ", never NULL")\(origin))")
    }
    terminal.line(terminal.styled("steps", .bold))
    Table(
      columns: [
        Table.Column(title: "#", alignment: .right), Table.Column(title: "type"),
        Table.Column(title: "step", flexible: true),
      ],
      rows: steps.enumerated().map { ["\($0.offset)", $0.element.type, $0.element.text] }
    ).write(to: terminal)
  }
}
