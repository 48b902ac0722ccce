extension Migration {
  /// To which topic alerts were relayed last: a new relay asks beside it which batch has arrived.
  static let relayTopics = Migration(
    number: 15, name: "relay_topics",
    sql: """
      ALTER TABLE fraud.alert_relays ADD COLUMN topic text;
      COMMENT ON COLUMN fraud.alert_relays.topic IS
        'The alerts_topic that was relayed to last; beside it stands which batch has arrived.';
      """)
}
