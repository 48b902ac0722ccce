#!/usr/bin/env python3
"""Reads our Parquet files with Spark, and writes files with it for us to read.

    parquet-spark.py check DIR    every DIR/*.parquet must hold what DIR/*.ndjson beside it says
    parquet-spark.py make DIR     writes such pairs

A line of the .ndjson is a row: a list of null or text, floats as the hexadecimal digits of their bits, timestamps as
microseconds.
"""

import glob
import json
import os
import random
import shutil
import struct
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T


def session():
    return (
        SparkSession.builder.master("local[2]").appName("parquet")
        .config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1").config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.datetimeRebaseModeInRead", "CORRECTED")
        .config("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")
        .config("spark.sql.parquet.int96RebaseModeInRead", "CORRECTED")
        .config("spark.sql.parquet.int96RebaseModeInWrite", "CORRECTED")
        .config("spark.log.level", "ERROR").getOrCreate())


def plain(frame):
    """Timestamps as whole numbers: Python's own have fewer years than Spark's."""
    return frame.select([
        F.unix_micros(F.col(f"`{field.name}`")).alias(field.name)
        if isinstance(field.dataType, T.TimestampType) else F.col(f"`{field.name}`")
        for field in frame.schema.fields])


def text(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "nan" if value != value else struct.pack(">d", value).hex()
    return str(value)


def check(folder):
    spark = session()
    paths = sorted(glob.glob(os.path.join(folder, "*.parquet")))
    assert paths, f"no files in {folder}"
    for path in paths:
        with open(path[: -len("parquet")] + "ndjson", encoding="utf-8") as lines:
            expected = [json.loads(line) for line in lines]
        frame = spark.read.parquet(path)
        rows = plain(frame).collect()
        assert len(rows) == len(expected), (path, len(rows), len(expected))
        for number, (row, texts) in enumerate(zip(rows, expected)):
            assert [text(value) for value in row] == texts, (path, number, row, texts)
        # Looked for by value, through statistics, page index and bloom filter.
        for index, field in enumerate(frame.schema.fields):
            if not isinstance(field.dataType, (T.StringType, T.LongType)):
                continue
            values = [row[index] for row in expected]
            present = sorted({v for v in values if v is not None})
            for sought in present[:2] + present[-2:]:
                key = sought if isinstance(field.dataType, T.StringType) else int(sought)
                count = frame.filter(F.col(field.name) == F.lit(key)).count()
                assert count == values.count(sought), (path, field.name, key, count)
    print(f"{len(paths)} files agree")


def random_rows(generator, kinds, count):
    def value(kind):
        if generator.random() < kind[2]:
            return None
        name = kind[0]
        if name == "string":
            return generator.choice(["", "EUR", "Žluťoučký kůň", "日本語", f"id-{generator.randrange(10 ** 9)}"])
        if name == "boolean":
            return generator.random() < 0.5
        if name in ("double", "float"):
            return generator.choice([0.0, -0.0, float("inf"), float("nan"), generator.randrange(-(10**6), 10**6) / 2])
        if name == "int":
            return generator.randrange(-(2**31), 2**31)
        if name == "timestamp":
            return generator.randrange(-(2**50), 2**50)
        return generator.choice([7, generator.randrange(100), generator.randrange(-(2**63), 2**63)])

    return [[value(kind) for kind in kinds] for _ in range(count)]


def make(folder):
    spark = session()
    generator = random.Random(20260102)
    types = {
        "string": T.StringType(), "boolean": T.BooleanType(), "double": T.DoubleType(), "float": T.FloatType(),
        "int": T.IntegerType(), "bigint": T.LongType(), "timestamp": T.LongType()}
    for number in range(16):
        kinds = [
            (generator.choice(list(types)), f"f{index}", generator.choice([0, 0.05, 0.5, 1]))
            for index in range(generator.randrange(1, 6))]
        rows = random_rows(generator, kinds, generator.choice([1, 100, 1500]))
        schema = T.StructType([T.StructField(name, types[kind], True) for kind, name, _ in kinds])
        frame = spark.createDataFrame(rows, schema)
        for kind, name, _ in kinds:
            if kind == "timestamp":
                frame = frame.withColumn(name, F.timestamp_micros(F.col(name)))
        spark.conf.set(
            "spark.sql.parquet.outputTimestampType", "INT96" if number % 4 == 3 else "TIMESTAMP_MICROS")
        target = os.path.join(folder, f"{number:02}")
        (frame.coalesce(1).write.option("compression", generator.choice(["none", "snappy", "zstd"]))
         .option("parquet.writer.version", ["PARQUET_1_0", "PARQUET_2_0"][number % 2])
         .option("parquet.page.size", generator.choice([512, 1 << 20])).parquet(target))
        (part,) = glob.glob(os.path.join(target, "part-*.parquet"))
        os.rename(part, target + ".parquet")
        shutil.rmtree(target)
        with open(target + ".ndjson", "w", encoding="utf-8") as lines:
            for row in plain(spark.read.parquet(target + ".parquet")).collect():
                lines.write(json.dumps([text(value) for value in row]) + "\n")


if __name__ == "__main__":
    {"check": check, "make": make}[sys.argv[1]](sys.argv[2])
