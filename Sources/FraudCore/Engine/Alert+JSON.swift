extension Alert {
  /// The alert as one JSON object with the contract's keys, as `score` writes it, without a line's end.
  public var json: [UInt8] {
    var text: [UInt8] = []
    var object = JSONObjectText()
    func append(_ name: String, _ value: String?) {
      object.key(name, &text)
      if let value { JSONText.append(string: value, to: &text) } else { JSONText.appendNull(to: &text) }
    }
    append("alert_id", id.description)
    append("pipeline", pipeline)
    object.key("pipeline_version", &text)
    if let pipelineVersion {
      JSONText.append(Int64(pipelineVersion), to: &text)
    } else {
      JSONText.appendNull(to: &text)
    }
    append("event_id", eventID)
    object.key("event_time", &text)
    if let eventTime { JSONText.append(timestamp: eventTime, to: &text) } else { JSONText.appendNull(to: &text) }
    append("rule_id", ruleID)
    append("rule_description", ruleDescription)
    append("severity", severity.rawValue)
    object.key("score", &text)
    text.append(contentsOf: score.description.utf8)
    append("risk_level", riskLevel)
    object.key("reasons", &text)
    Reason.append(reasons, to: &text)
    append("topic", source.topic)
    object.key("partition", &text)
    JSONText.append(Int64(source.partition), to: &text)
    object.key("offset", &text)
    JSONText.append(offset, to: &text)
    object.key("line", &text)
    if let line { JSONText.append(line, to: &text) } else { JSONText.appendNull(to: &text) }
    object.key("transaction_data", &text)
    text.append(contentsOf: transactionData)
    object.end(&text)
    return text
  }
}
