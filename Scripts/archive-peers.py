"""What DuckDB and pyarrow find in an archive against the events that it should hold.

archive-peers.py ARCHIVE EXPECTED: EXPECTED has a line for each event, sorted: topic, partition, offset and the event's bytes.
"""

import sys

import duckdb
import pyarrow.dataset as dataset

root, expected = sys.argv[1] + "/raw_transactions", open(sys.argv[2], encoding="utf-8").read().split("\n")[:-1]
columns = ["_kafka_topic", "_kafka_partition", "_kafka_offset", "_raw"]

rows = duckdb.sql(f"SELECT {', '.join(columns)} FROM '{root}/**/*.parquet'").fetchall()
assert sorted(" ".join(map(str, row)) for row in rows) == expected, f"DuckDB: {len(rows)} rows, {len(expected)} expected"
places = duckdb.sql(f"SELECT DISTINCT {', '.join(columns[:3])} FROM '{root}/**/*.parquet'").fetchall()
assert len(places) == len(rows), f"DuckDB: {len(places)} places of {len(rows)} rows"

table = dataset.dataset(root, format="parquet", partitioning="hive").to_table(columns=columns)
rows = zip(*(table[name].to_pylist() for name in columns))
assert sorted(" ".join(map(str, row)) for row in rows) == expected, f"pyarrow: {table.num_rows} rows"
