extension Migration {
  /// Notes of careful owners that name a record's topic, several at once, since a pipeline of several topics has no one order
  /// in which records come.
  static let notedRecords = Migration(
    number: 32, name: "noted_records",
    sql: """
      ALTER TABLE fraud.partitions ADD COLUMN inflight_records text[] NOT NULL DEFAULT '{}';
      UPDATE fraud.partitions
      SET inflight_records = ARRAY[topic || '/' || inflight_offset || CASE WHEN inflight_trial THEN '/trial' ELSE '' END]
      WHERE inflight_offset IS NOT NULL;
      ALTER TABLE fraud.partitions DROP COLUMN inflight_offset, DROP COLUMN inflight_trial;
      COMMENT ON COLUMN fraud.partitions.inflight_records IS
        'The record that a careful owner has in hand, behind those that earlier ones died with, as TOPIC/OFFSET. Found by the
        next owner they are put to the trial: evaluated alone, noted as TOPIC/OFFSET/trial; found so, they are rejected unseen.';
      """)
}
