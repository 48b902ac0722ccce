"""An archive whose files have different fields, as DuckDB and pyarrow read it together.

archive-schemas.py ARCHIVE COLUMN...: prints one JSON array a row, sorted, of the columns; NULL where a file has no such column.
Both must see the same.
"""

import glob
import json
import sys

import duckdb
import pyarrow
import pyarrow.dataset as dataset

root, columns = sys.argv[1] + "/raw_transactions", sys.argv[2:]
rows = duckdb.sql(f"SELECT {', '.join(columns)} FROM read_parquet('{root}/**/*.parquet', union_by_name = true)").fetchall()
rows = sorted(json.dumps(row) for row in rows)

files = sorted(glob.glob(root + "/**/*.parquet", recursive=True))
schema = pyarrow.unify_schemas([dataset.dataset(file).schema for file in files])
table = dataset.dataset(root, schema=schema, format="parquet").to_table(columns=columns)
others = sorted(json.dumps(row) for row in zip(*(table[name].to_pylist() for name in columns)))
assert rows == others, f"DuckDB has {len(rows)} rows, pyarrow {len(others)}, or others"
print("\n".join(rows))
