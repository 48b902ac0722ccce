#!/usr/bin/env python3
"""Makes irregular events of W1's regular ones: in one event of five the keys come in another order, with unknown fields
between them (nested ones, too), spaces, escapes, and text that is not ASCII. The values that rules look at stay.

  messy.py W1.ndjson OUT.ndjson [--share 0.2] [--seed 7]
"""
import argparse
import json
import random

parser = argparse.ArgumentParser()
parser.add_argument("source")
parser.add_argument("target")
parser.add_argument("--share", type=float, default=0.2)
parser.add_argument("--seed", type=int, default=7)
options = parser.parse_args()
rng = random.Random(options.seed)

UNKNOWN = [
    ("device", {"os": "iOS 17.1", "rooted": False, "screen": [1170, 2532], "id": "c0ffee-42"}),
    ("tags", ["новый", "vip", "π≈3.14", None, 1e-7]),
    ("note", "pago en línea “rápido”\tlisto\n"),
    ("session", "2f1c\\u00e9/…/end"),
    ("geo", {"lat": -33.4489, "lon": -70.6693, "accuracy": 12}),
]
SUFFIXES = [' "sale"', " é", " naïve", " 日本", " 😀", " a\\b", "\t%"]


def messy(line):
    event = json.loads(line)
    event["description"] += rng.choice(SUFFIXES)
    members = list(event.items()) + rng.sample(UNKNOWN, rng.randint(1, 3))
    rng.shuffle(members)
    spaced = rng.random() < 0.5
    return json.dumps(
        dict(members), ensure_ascii=rng.random() < 0.3, separators=(", ", ": ") if spaced else (",", ":"))


with open(options.source, encoding="utf-8") as source, open(options.target, "w", encoding="utf-8") as target:
    for line in source:
        target.write(messy(line) + "\n" if rng.random() < options.share else line)
