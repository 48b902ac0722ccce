#!/usr/bin/env python3
"""Reads our Parquet files with pyarrow and DuckDB, and writes files with them for us to read.

    parquet-peers.py check DIR    every DIR/*.parquet must hold what DIR/*.ndjson beside it says
    parquet-peers.py make DIR     writes such pairs

A line of the .ndjson is a row: a list of null or text, floats as the hexadecimal digits of their bits.
"""

import datetime
import glob
import json
import os
import random
import struct
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def text_of_float(value):
    return "nan" if value != value else struct.pack(">d", value).hex()


def texts(column):
    """A pyarrow column as the .ndjson writes it."""
    type_ = column.type
    if pa.types.is_timestamp(type_):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    result = []
    for value in column.to_pylist():
        if value is None or isinstance(value, str):
            result.append(value)
        elif isinstance(value, bool):
            result.append("true" if value else "false")
        elif isinstance(value, float):
            result.append(text_of_float(value))
        else:
            result.append(str(value))
    return result


def key_of(type_, text):
    """A text as a value that compares as its column does."""
    if pa.types.is_floating(type_):
        return struct.unpack(">d", bytes.fromhex(text))[0]
    if pa.types.is_string(type_):
        return text.encode()
    if pa.types.is_boolean(type_):
        return text == "true"
    return int(text)


def check_statistics(path, table, expected):
    metadata = pq.ParquetFile(path).metadata
    first = 0
    for group_number in range(metadata.num_row_groups):
        group = metadata.row_group(group_number)
        rows = expected[first : first + group.num_rows]
        first += group.num_rows
        for index in range(metadata.num_columns):
            column = group.column(index)
            type_ = table.schema.field(index).type
            values = [row[index] for row in rows]
            present = [v for v in values if v is not None and v != "nan"]
            statistics = column.statistics
            assert statistics.null_count == values.count(None), (path, column.path_in_schema, "null count")
            if not present:
                assert not statistics.has_min_max, (path, column.path_in_schema, "bounds of nothing")
                continue
            assert statistics.has_min_max, (path, column.path_in_schema, "no bounds")
            keys = [key_of(type_, v) for v in present]
            low, high = statistics.min_raw, statistics.max_raw
            if isinstance(low, bytes):
                exact = all(len(k) <= 64 for k in (min(keys), max(keys)))
                assert low <= min(keys) and high >= max(keys), (path, column.path_in_schema, low, high)
                assert not exact or (low, high) == (min(keys), max(keys)), (path, column.path_in_schema, low, high)
            else:
                assert (low, high) == (min(keys), max(keys)), (path, column.path_in_schema, low, high)


def check_duckdb(path, table, expected):
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    names = [f'"{name}"' for name in table.column_names]
    for index, name in enumerate(names):
        type_ = table.schema.field(index).type
        values = [row[index] for row in expected]
        if pa.types.is_timestamp(type_):
            # DuckDB's own range is smaller than 64 bits of microseconds.
            continue
        got = [row[0] for row in connection.execute(f"select {name} from '{path}'").fetchall()]
        for value, text in zip(got, values):
            if value is None or text is None:
                same = value is None and text is None
            elif pa.types.is_floating(type_):
                same = text_of_float(value) == text
            elif pa.types.is_boolean(type_):
                same = value == (text == "true")
            else:
                same = str(value) == text
            assert same, (path, name, value, text)
        # Looked for by value, through statistics, page index and bloom filter.
        present = sorted({v for v in values if v is not None and v != "nan"})
        for text in present[:3] + present[-3:]:
            key = key_of(type_, text)
            key = key.decode() if isinstance(key, bytes) else key
            count = connection.execute(f"select count(*) from '{path}' where {name} = ?", [key]).fetchone()[0]
            # The two zeros are equal.
            equal = [v for v in values if v is not None and v != "nan" and key_of(type_, v) == key_of(type_, text)]
            assert count == len(equal), (path, name, key, count, len(equal))


def check(folder):
    paths = sorted(glob.glob(os.path.join(folder, "*.parquet")))
    assert paths, f"no files in {folder}"
    for path in paths:
        with open(path[: -len("parquet")] + "ndjson", encoding="utf-8") as lines:
            expected = [json.loads(line) for line in lines]
        file = pq.ParquetFile(path, page_checksum_verification=True)
        table = file.read()
        assert table.num_rows == len(expected), (path, table.num_rows, len(expected))
        for index in range(table.num_columns):
            got = texts(table.column(index).combine_chunks() if table.num_rows else table.column(index))
            for row, (value, text) in enumerate(zip(got, (r[index] for r in expected))):
                assert value == text, (path, table.column_names[index], row, value, text)
        check_statistics(path, table, expected)
        check_duckdb(path, table, expected)
    print(f"{len(paths)} files agree")


def random_table(generator, rows):
    def nullable(values, share):
        return [None if generator.random() < share else v for v in values]

    def pick(type_):
        shape = generator.randrange(4)
        if pa.types.is_boolean(type_):
            return [generator.random() < 0.5 for _ in range(rows)]
        if pa.types.is_string(type_):
            choices = ["", "a", "Žluťoučký kůň", "日本語", "EUR", "x" * 200]
            if shape == 0:
                return [generator.choice(choices) for _ in range(rows)]
            return [f"id-{generator.randrange(10 ** 9)}" for _ in range(rows)]
        if pa.types.is_floating(type_):
            awkward = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-30]
            if shape == 0:
                return [generator.choice(awkward) for _ in range(rows)]
            # Halves are exact in 32 bits, too.
            return [generator.randrange(-(10**6), 10**6) / 2 for _ in range(rows)]
        bits = 31 if type_.bit_width == 32 else 50
        if shape == 0:
            return [7] * rows
        if shape == 1:
            return [generator.randrange(100) for _ in range(rows)]
        if shape == 2:
            return list(range(-5, rows - 5))
        return [generator.randrange(-(2**bits), 2**bits) for _ in range(rows)]

    types = [
        pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(),
        pa.timestamp("ms", tz="UTC"), pa.timestamp("us", tz="UTC"), pa.timestamp("ns"), pa.uint32(), pa.int8(),
    ]
    fields, columns = [], []
    for number in range(generator.randrange(1, 7)):
        type_ = generator.choice(types)
        share = generator.choice([0, 0, 0.05, 0.5, 1])
        if pa.types.is_timestamp(type_):
            unit = {"ms": 10**3, "us": 1, "ns": 1}[type_.unit]
            values = [v // unit for v in pick(pa.int64())]
            array = pa.array(nullable(values, share), pa.int64()).cast(pa.timestamp(type_.unit, tz=type_.tz))
            if type_.unit == "ns":
                array = pa.array(nullable([v * 1000 for v in values], share), pa.int64()).cast(type_)
        elif pa.types.is_integer(type_) and type_.bit_width == 8:
            array = pa.array(nullable([generator.randrange(-128, 128) for _ in range(rows)], share), type_)
        elif type_ == pa.uint32():
            array = pa.array(nullable([generator.randrange(2**32) for _ in range(rows)], share), type_)
        else:
            array = pa.array(nullable(pick(type_), share), type_)
        fields.append(pa.field(f"f{number}", type_, nullable=share > 0 or generator.random() < 0.5))
        columns.append(array)
    return pa.table(columns, schema=pa.schema(fields))


def make(folder):
    generator = random.Random(20260101)
    connection = duckdb.connect()
    for number in range(48):
        table = random_table(generator, generator.choice([0, 1, 7, 100, 1024, 5000]))
        path = os.path.join(folder, f"{number:02}.parquet")
        if number % 4 == 3:
            codec = ["uncompressed", "snappy", "zstd"][number // 4 % 3]
            version = "v2" if number % 8 == 7 else "v1"
            connection.register("rows", table)
            connection.execute(
                f"copy rows to '{path}' (format parquet, codec {codec}, parquet_version {version}, row_group_size 2048)")
            connection.unregister("rows")
            # Read back by DuckDB: pyarrow stumbles over a page of packed differences that holds NULLs only.
            table = connection.execute(f"select * from '{path}'").to_arrow_table()
        else:
            options = {}
            if generator.random() < 0.4:
                options["use_dictionary"] = False
                encodings = {}
                for field in table.schema:
                    if pa.types.is_boolean(field.type):
                        choices = ["PLAIN", "RLE"]
                    elif pa.types.is_string(field.type):
                        choices = ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]
                    elif pa.types.is_floating(field.type):
                        choices = ["PLAIN", "BYTE_STREAM_SPLIT"]
                    else:
                        choices = ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"]
                    encodings[field.name] = generator.choice(choices)
                options["column_encoding"] = encodings
            pq.write_table(
                table, path, compression=generator.choice(["none", "snappy", "zstd"]),
                version=generator.choice(["1.0", "2.4", "2.6"]), data_page_version=generator.choice(["1.0", "2.0"]),
                data_page_size=generator.choice([200, 1 << 20]), row_group_size=generator.choice([100, 10000]),
                write_page_checksum=generator.random() < 0.5, allow_truncated_timestamps=True, **options)
            table = pq.read_table(path)
        rows = zip(*(texts(column.combine_chunks()) for column in table.columns)) if table.num_rows else []
        with open(path[: -len("parquet")] + "ndjson", "w", encoding="utf-8") as lines:
            for row in rows:
                lines.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    {"check": check, "make": make}[sys.argv[1]](sys.argv[2])
