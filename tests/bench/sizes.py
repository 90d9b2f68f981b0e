#!/usr/bin/env python3
"""How many neighbours, what λ, how many clusters: what the trainers' default sizes come to beside others.

    python3 tests/bench/sizes.py --extension build/recommend --data DIRECTORY [--sets ml-100k]

Of each set's training part (u1.base of MovieLens 100K, of the others 80 %; the rest is left for tests) a fifth is held
out and asked for: RMSE, and NDCG@10 over all that was held out. One thread, so that it can run beside other work."""
import argparse
import csv
import itertools
import json
import pathlib
import sqlite3

SETS = {  # file, delimiter, lines to skip; user, item and rating, if there is one, are the first columns
    "ml-100k": ("u1.base", "\t", 0),
    "ml-latest-small": ("ratings.csv", ",", 1),
    "ml-1m": ("ratings_nots.csv", ",", 1),
    "amazon-musical-instruments": ("reviews.csv", ",", 1),
    "citeulike-a": ("likes.csv", ",", 1),
}
GRIDS = (
    ("knn_train", {"size": [10, 20, 30, 40, 50, 80, 120, 200]}, {}),
    ("knn_train", {"size": [10, 20, 30, 40, 50, 80, 120, 200]}, {"similarity": "pearson", "shrinkage": 50}),
    ("knn_train", {"size": [10, 20, 30, 40, 50, 80, 120, 200]}, {"by": "user"}),
    ("ease_train", {"lambda": [10, 25, 50, 100, 200, 400, 800, 1600]}, {}),
    ("slim_train", {"l1": [0.5, 1, 2, 3, 5], "l2": [50, 100, 150, 200, 400]}, {}),
    ("kmeans_train", {"clusters": [2, 4, 8, 12, 16, 24, 32, 64]}, {"starts": 1}),
)
MOST_ITEMS = 5000  # of EASE, which takes their third power of time


def load(arguments, name):
    file, delimiter, skip = SETS[name]
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(arguments.extension)
    db.execute("CREATE TABLE everything(user, item, rating REAL)")
    with open(arguments.data / name / file, newline="", encoding="utf-8") as text:
        rows = (row[:3] if len(row) > 2 else row[:2] + [None] for row in csv.reader(text, delimiter=delimiter))
        db.executemany("INSERT INTO everything VALUES(?, ?, ?)", itertools.islice(rows, skip, None))
    rated = db.execute("SELECT count(rating) FROM everything").fetchone()[0] > 0
    part = "" if file == "u1.base" else " WHERE recommend_split(1, user, item) < 0.8"
    db.execute(f"CREATE VIEW entries AS SELECT user, item{', rating' if rated else ''} FROM everything{part}")
    return db


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--extension", default="build/recommend")
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    arguments = parser.parse_args()
    for name in arguments.sets.split(","):
        db = load(arguments, name)
        items = db.execute("SELECT count(DISTINCT item) FROM entries").fetchone()[0]
        for trainer, grid, options in GRIDS:
            if trainer == "ease_train" and items > MOST_ITEMS:
                continue
            rows = db.execute("SELECT combination, rmse, ndcg, seconds FROM recommend_grid_search(?, 'entries', ?, ?)",
                              (trainer, json.dumps(grid), json.dumps({"threads": 1, **options}))).fetchall()
            sizes = [next(iter(json.loads(row[0]).values()), "") for row in rows]
            print(f"{name}, {trainer} {json.dumps(options)}")
            for label, values in (("size", sizes), ("RMSE", [row[1] for row in rows]), ("NDCG@10", [row[2] for row in rows]), ("seconds", [row[3] for row in rows])):
                print(f"  {label:8}" + "".join(f"{value:8.4f}" if isinstance(value, float) else f"{value or '':>8}" for value in values), flush=True)


if __name__ == "__main__":
    main()
