#!/usr/bin/env python3
"""Adds rules to W1's ten, as large teams have them: each begins with an equality, an IN or a range on one of a few columns and
then asks for something else. They match rarely, so that writing alerts stays what it was.

  many_rules.py W1.json OUT.json [--rules 1000] [--seed 7]
"""
import argparse
import json
import random

parser = argparse.ArgumentParser()
parser.add_argument("source")
parser.add_argument("target")
parser.add_argument("--rules", type=int, default=1000)
parser.add_argument("--seed", type=int, default=7)
options = parser.parse_args()
rng = random.Random(options.seed)


def rule():
    limit = rng.randint(1_300, 4_000)
    match rng.randrange(6):
        case 0:
            return f"merchant_id = {rng.randint(1, 10_000)} AND amount > {limit}"
        case 1:
            country = rng.choice("US GB DE FR BR IN JP CA AU ES KP IR SY CU".split())
            method = rng.choice("card paypal wallet crypto bank".split())
            return f"country = '{country}' AND payment_method = '{method}' AND amount > {limit}"
        case 2:
            merchants = ", ".join(str(rng.randint(1, 10_000)) for _ in range(5))
            return f"merchant_id IN ({merchants}) AND item_count > 20"
        case 3:
            return f"amount BETWEEN {limit} AND {limit + rng.randint(1, 20)} AND is_first_purchase"
        case 4:
            user = rng.randint(1, 499_000)
            return f"user_id BETWEEN {user} AND {user + 500} AND description LIKE '%crowbar%'"
        case _:
            return f"amount > {limit + 1_000} AND currency = '{rng.choice('USD EUR GBP BRL INR JPY'.split())}'"


pipeline = json.load(open(options.source))
texts = set()
while len(pipeline["rules"]) < options.rules:
    text = rule()
    if text not in texts:
        texts.add(text)
        number = len(pipeline["rules"]) + 1
        pipeline["rules"].append(
            {"id": f"R{number}", "rule_expression": text, "severity": "info", "description": f"R{number}"}
        )
json.dump(pipeline, open(options.target, "w"), indent=1)
