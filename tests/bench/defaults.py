#!/usr/bin/env python3
"""How good mf_train's defaults are, beside the best point of a grid: the table of ext/learn/README.md.

    python3 tests/bench/defaults.py --extension build/recommend --data DIRECTORY [--rank 32] [--sets ml-100k]

Everything is judged on validation splits. Of each set's training part (u1.base of MovieLens 100K; of the others 80 %,
the rest is left for tests) 80 % are trained on and the rest is asked for. Values are means over several splits, more
where a set is small: among two thousand held-out ratings the best of forty points is otherwise the luckiest. The last
rows compare the defaults on rescaled ratings with those on the ratings as they are.
A Python whose sqlite3 can load extensions is needed. Threads: one, so that it can run beside other work."""
import argparse
import csv
import itertools
import json
import pathlib
import sqlite3

SETS = {  # file, delimiter, lines to skip, splits; the first three columns are user, item, rating
    "amazon-musical-instruments": ("reviews.csv", ",", 1, 12),
    "ml-100k": ("u1.base", "\t", 0, 4),
    "ml-latest-small": ("ratings.csv", ",", 1, 4),
    "ml-1m": ("ratings_nots.csv", ",", 1, 1),
}
LIKED = 4  # stars, of five


def grid(**choices):
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


RATING = (
    grid(nu=[0], regularization=[6, 10, 15])
    + grid(nu=[0.3], regularization=[2, 2.5, 3, 3.5, 4, 5, 7])
    + grid(nu=[0.5], regularization=[0.7, 1, 1.4, 2, 3, 5])
    + grid(nu=[1], regularization=[0.06, 0.1, 0.15, 0.25, 0.5])
)
# "place": unobserved_rating, as a share of the ratings' range above the lowest one.
RANKING = (
    grid(place=[-0.25], nu=[0.5], unobserved_weight=[0.02, 0.05, 0.1, 0.2, 0.4], regularization=[1, 1.4, 2, 2.8])
    + grid(place=[0], nu=[0.5], unobserved_weight=[0.05, 0.1, 0.2], regularization=[0.7, 1, 1.4, 2])
    + grid(place=[0.125], nu=[0.5], unobserved_weight=[0.05, 0.1, 0.2], regularization=[0.7, 1, 1.4])
    + grid(place=[0], nu=[1], unobserved_weight=[0.05, 0.1, 0.2], regularization=[0.05, 0.1, 0.2])
)
IMPLICIT = grid(nu=[0.5], alpha=[2, 5, 10, 20], regularization=[0.5, 0.8, 1.1, 1.5, 2]) + grid(
    unobserved=["all"], nu=[0.5], unobserved_weight=[0.05, 0.1, 0.2], regularization=[0.25, 0.35, 0.5]
)


def rows(data, name):
    file, delimiter, skip, _ = SETS[name]
    with open(data / name / file, newline="", encoding="utf-8") as text:
        for row in itertools.islice(csv.reader(text, delimiter=delimiter), skip, None):
            yield row[0], row[1], float(row[2])


class Split:
    """One set's training part, cut in two."""

    def __init__(self, arguments, name, seed, scale=1):
        self.liked = LIKED * scale
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.enable_load_extension(True)
        self.db.load_extension(arguments.extension)
        self.db.execute("CREATE TABLE ratings(user, item, rating, part)")
        self.db.execute("BEGIN")
        whole = SETS[name][0] == "u1.base"
        self.db.executemany(
            "INSERT INTO ratings(user, item, rating) VALUES(?, ?, ?)",
            ((user, item, rating * scale) for user, item, rating in rows(arguments.data, name)),
        )
        if not whole:
            self.db.execute("DELETE FROM ratings WHERE recommend_split(2026, user, item) >= 0.8")
        self.db.execute("UPDATE ratings SET part = recommend_split(?, user, item) < 0.8", (seed,))
        self.db.execute("COMMIT")
        for table, part in (("train", 1), ("valid", 0)):
            select = f"SELECT user, item, rating FROM ratings WHERE part = {part}"
            self.db.execute(f"CREATE VIEW {table} AS {select}")
            liked = f"SELECT user, item FROM ({select}) WHERE rating >= {self.liked}"
            self.db.execute(f"CREATE VIEW {table}_liked AS {liked}")
        self.lowest, self.highest = self.db.execute("SELECT min(rating), max(rating) FROM train").fetchone()

    def train(self, source, rank, **options):
        if "place" in options:
            options["unobserved_rating"] = self.lowest + options.pop("place") * (self.highest - self.lowest)
        options |= {"model": "m", "threads": 1}
        self.db.execute("SELECT mf_train(?, ?, ?)", (source, rank, json.dumps(options))).fetchone()

    def value(self, metric, source, **options):
        found = self.db.execute(
            "SELECT value FROM recommend_evaluate('m', ?, ?) WHERE metric = ? AND coalesce(k, 10) = 10",
            (source, json.dumps(options | {"threads": 1}), metric),
        )
        return found.fetchone()[0]

    def rating(self, rank, options):
        self.train("train", rank, objective="rating", **options)
        return {"RMSE": self.value("rmse", "valid")}

    def ranking(self, rank, options):
        self.train("train", rank, objective="ranking", **options)
        return {
            "NDCG@10, rated ≥ 4": self.value("ndcg", "valid", k=[10], threshold=self.liked),
            "NDCG@10, every row": self.value("ndcg", "valid", k=[10]),
        }

    def implicit(self, rank, options):
        self.train("train_liked", rank, **options)
        return {"NDCG@10, implicit": self.value("ndcg", "valid_liked", k=[10])}


def means(results):
    return {metric: sum(result[metric] for result in results) / len(results) for metric in results[0]}


def line(name, metric, value, other, point):
    print(f"| {name} | {metric} | {value:.4f} | {other:.4f} | {value / other:.3f} | {point} |", flush=True)


def study(arguments, name):
    splits = [Split(arguments, name, seed) for seed in range(1, SETS[name][3] + 1)]
    for judge, points in ((Split.rating, RATING), (Split.ranking, RANKING), (Split.implicit, IMPLICIT)):
        values = [means([judge(split, arguments.rank, point) for split in splits]) for point in [{}] + points]
        for metric, default in values[0].items():
            better = min if metric == "RMSE" else max
            best = better(range(1, len(values)), key=lambda i: values[i][metric])
            point = ", ".join(f"{key} {value}" for key, value in points[best - 1].items())
            line(name, metric, default, values[best][metric], point)


def rescale(arguments, name):
    for scale in (0.2, 2, 20):
        plain, scaled = (Split(arguments, name, 1, factor) for factor in (1, scale))
        rmse = [split.rating(arguments.rank, {})["RMSE"] for split in (plain, scaled)]
        ndcg = [split.ranking(arguments.rank, {})["NDCG@10, rated ≥ 4"] for split in (plain, scaled)]
        line(f"{name} × {scale}", "RMSE, scaled back", rmse[1] / scale, rmse[0], "")
        line(f"{name} × {scale}", "NDCG@10, rated ≥ 4", ndcg[1], ndcg[0], "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extension", default="build/recommend")
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    arguments = parser.parse_args()
    print("| set | measure | default | best of grid | ratio | best point |\n|---|---|---|---|---|---|")
    for name in arguments.sets:
        study(arguments, name)
    for name in arguments.sets:
        if name != "ml-1m":
            rescale(arguments, name)


if __name__ == "__main__":
    main()
