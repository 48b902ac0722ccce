extension Migration {
  /// The rows of aggregations: each partition's part of a window, and a view that adds the parts up.
  static let aggregates = Migration(
    number: 20, name: "aggregates",
    sql: #"""
      CREATE TABLE fraud.aggregates (
        pipeline_id      int NOT NULL,
        topic            text NOT NULL,
        generation       text NOT NULL,
        aggregation      text NOT NULL,
        window_end       timestamptz NOT NULL,
        key_id           uuid NOT NULL,
        partition        int NOT NULL,
        revision         bigint NOT NULL,
        window_start     timestamptz NOT NULL,
        key              jsonb NOT NULL,
        events           bigint NOT NULL,
        measures         jsonb NOT NULL,
        pipeline         text NOT NULL,
        pipeline_version int NOT NULL,
        created_at       timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (pipeline_id, topic, generation, aggregation, window_end, key_id, partition, revision)
      );
      COMMENT ON TABLE fraud.aggregates IS
        'What one partition gathered for a key and a window, when its watermark passed it and at each correction.';
      COMMENT ON COLUMN fraud.aggregates.key_id IS 'The first half of the SHA-256 of the key''s JSON text.';
      COMMENT ON COLUMN fraud.aggregates.measures IS 'For each measure what is needed to add it to other partitions''.';
      CREATE INDEX aggregates_created_at ON fraud.aggregates USING brin (created_at);

      -- A count, or a sum held as two numbers.
      CREATE FUNCTION fraud.measure_number(part jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE
      RETURN coalesce((part->>'high')::numeric + (part->>'low')::numeric, (part->>'count')::numeric);

      -- How many different values the sets and HyperLogLog sketches of 4096 registers hold together.
      CREATE FUNCTION fraud.measure_distinct(parts jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE
      BEGIN ATOMIC
        WITH hashes AS (
          SELECT DISTINCT ('x' || h.value)::bit(64) AS bits
          FROM jsonb_array_elements(parts) AS p, jsonb_array_elements_text(p.value->'hashes') AS h(value)
        ), ranks AS (
          SELECT substring(bits FROM 1 FOR 12)::bit(12)::int AS register,
            coalesce(nullif(position(B'1' IN substring(bits FROM 13)), 0), 53) AS rank
          FROM hashes
          UNION ALL
          SELECT i, get_byte(r.bytes, i)
          FROM (
            SELECT decode(p.value->>'registers', 'hex') AS bytes FROM jsonb_array_elements(parts) AS p
            WHERE p.value ? 'registers') AS r,
            generate_series(0, length(r.bytes) - 1) AS i
        ), registers AS (
          SELECT max(rank) AS rank FROM ranks GROUP BY register HAVING max(rank) > 0
        ), sums AS (
          SELECT 4096 - count(*) AS zeros, 4096 - count(*) + coalesce(sum(power(2::float8, -rank)), 0) AS sum FROM registers
        ), estimates AS (
          SELECT zeros, 0.7213::float8 / (1 + 1.079::float8 / 4096) * 4096 * 4096 / sum AS raw FROM sums
        )
        SELECT CASE
          WHEN NOT EXISTS (SELECT FROM jsonb_array_elements(parts) AS p WHERE p.value ? 'registers')
            AND (SELECT count(*) FROM hashes) <= 256 THEN (SELECT count(*) FROM hashes)
          WHEN raw <= 2.5 * 4096 AND zeros > 0 THEN round(4096 * ln(4096::float8 / zeros))::bigint
          ELSE round(raw)::bigint END
        FROM estimates;
      END;

      -- The quantile of DDSketches with a relative error of 1 %, added up.
      CREATE FUNCTION fraud.measure_quantile(parts jsonb) RETURNS float8 LANGUAGE sql IMMUTABLE
      BEGIN ATOMIC
        WITH bins AS (
          SELECT (b.value->>0)::int AS key, sum((b.value->>1)::bigint) AS count
          FROM jsonb_array_elements(parts) AS p, jsonb_array_elements(p.value->'bins') AS b
          GROUP BY 1
        ), running AS (
          SELECT key, sum(count) OVER (ORDER BY key) AS upto, sum(count) OVER () AS total FROM bins
        )
        SELECT sign(key) * CASE key WHEN 0 THEN 0 ELSE
            exp((abs(key) - 40000) * ln(1.01::float8 / 0.99::float8)) * 2 / (1 + 1.01::float8 / 0.99::float8) END
        FROM running
        WHERE upto > floor((parts->0->>'parameter')::float8 * (total - 1)::float8)
        ORDER BY key LIMIT 1;
      END;

      -- A measure's value from the parts of all partitions.
      CREATE FUNCTION fraud.measure_value(parts jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
      BEGIN ATOMIC
        SELECT CASE parts->0->>'function'
          WHEN 'count' THEN to_jsonb(sum((p.value->>'count')::bigint)::bigint)
          WHEN 'sum' THEN CASE WHEN sum((p.value->>'count')::bigint) > 0
            THEN to_jsonb(sum(fraud.measure_number(p.value))::float8) END
          WHEN 'mean' THEN to_jsonb(
            sum(fraud.measure_number(p.value))::float8 / nullif(sum((p.value->>'count')::bigint), 0)::float8)
          WHEN 'share' THEN to_jsonb(
            sum(fraud.measure_number(p.value))::float8 / nullif(sum(fraud.measure_number(p.value->'whole')), 0)::float8)
          WHEN 'rate' THEN to_jsonb(sum((p.value->>'count')::bigint)::float8 * (parts->0->>'parameter')::float8)
          WHEN 'min' THEN (
            SELECT m.value->'value' FROM jsonb_array_elements(parts) AS m
            WHERE m.value->'value' <> 'null'::jsonb ORDER BY m.value->'value' LIMIT 1)
          WHEN 'max' THEN (
            SELECT m.value->'value' FROM jsonb_array_elements(parts) AS m
            WHERE m.value->'value' <> 'null'::jsonb ORDER BY m.value->'value' DESC LIMIT 1)
          WHEN 'distinct' THEN to_jsonb(fraud.measure_distinct(parts))
          WHEN 'quantile' THEN to_jsonb(fraud.measure_quantile(parts))
          END
        FROM jsonb_array_elements(parts) AS p;
      END;

      CREATE VIEW fraud.aggregate_values AS
        WITH latest AS (
          SELECT DISTINCT ON (pipeline_id, topic, generation, aggregation, window_end, key_id, partition) *
          FROM fraud.aggregates
          ORDER BY pipeline_id, topic, generation, aggregation, window_end, key_id, partition, revision DESC
        ), windows AS (
          SELECT pipeline_id, topic, generation, aggregation, window_end, key_id, min(pipeline) AS pipeline,
            min(window_start) AS window_start, (array_agg(key))[1] AS key, count(*) AS partitions,
            max(revision) AS revision, sum(events)::bigint AS events, array_agg(measures ORDER BY partition) AS parts
          FROM latest
          GROUP BY pipeline_id, topic, generation, aggregation, window_end, key_id
        )
        SELECT w.pipeline_id, w.pipeline, w.topic, w.generation, w.aggregation, w.window_start, w.window_end, w.key,
          w.events, m.measures, w.revision, w.partitions,
          NOT EXISTS (
            SELECT FROM fraud.partitions AS p
            WHERE p.pipeline_id = w.pipeline_id AND p.topic = w.topic AND p.generation = w.generation
              AND coalesce(p.watermark, '-infinity') < w.window_end) AS complete
        FROM windows AS w, LATERAL (
          SELECT jsonb_object_agg(name, fraud.measure_value(parts)) AS measures
          FROM (
            SELECT e.key AS name, jsonb_agg(e.value) AS parts
            FROM unnest(w.parts) AS u(part), jsonb_each(u.part) AS e
            GROUP BY e.key) AS named) AS m;
      COMMENT ON VIEW fraud.aggregate_values IS
        'Windows with the parts of all partitions added up; complete when the watermark of each has passed the window.';
      """#)
}
