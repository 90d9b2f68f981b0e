"""What the tests of the SQL surface share: connections with the extension, made-up ratings, paths, numpy views of a model.

From the environment: RECOMMEND_EXTENSION, the extension, with or without its suffix (default build/recommend);
RECOMMEND_DATA, the folder of data sets, without which the tests that need them are skipped; RECOMMEND_SQLITE, the shell.
"""
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXTENSION = os.path.abspath(os.environ.get("RECOMMEND_EXTENSION") or os.path.join(ROOT, "build", "recommend"))
SHELL = os.environ.get("RECOMMEND_SQLITE") or "sqlite3"
DATA = os.environ.get("RECOMMEND_DATA")
SHADOWS = ("config", "user", "item", "userfactor", "itemfactor", "neighbor", "term", "weight")


def connect(path=":memory:", **options):
    """A connection in autocommit mode that has the extension loaded."""
    options.setdefault("isolation_level", None)
    options.setdefault("timeout", 20)
    db = sqlite3.connect(path, **options)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    return db


def data_file(*parts):
    """The path of a file of a data set; skips the test where there is none."""
    path = os.path.join(DATA or "", *parts)
    if not DATA or not os.path.exists(path):
        raise unittest.SkipTest("no data: " + os.path.join(*parts))
    return path


def shell(database, script, *arguments, check=True):
    """Runs SQL and dot commands in the sqlite3 shell, the extension loaded; returns what it printed."""
    done = subprocess.run([SHELL, "-batch", *arguments, database], input=".load " + EXTENSION + "\n" + script,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=120)
    if check and done.returncode != 0:
        raise AssertionError("the shell failed:\n" + done.stdout)
    return done.stdout


def made_up_ratings(users=60, items=40, density=0.3, seed=7, rank=3):
    """(user, item, rating) of people with tastes: ids that are no positions, ratings 1 … 5 in half steps. Every user and
    every item occurs, no user has rated everything."""
    random = np.random.RandomState(seed)
    tastes = random.randn(users, rank) @ random.randn(rank, items)
    liking = 3 + tastes / np.sqrt(rank) + random.randn(items) * 0.5 + random.randn(users, 1) * 0.3
    chance = density * np.linspace(1.6, 0.4, items)
    there = random.rand(users, items) < chance
    there[np.arange(users), np.arange(users) % items] = True
    there[np.arange(items) % users, np.arange(items)] = True
    there[np.arange(users), (np.arange(users) + 1 + items // 2) % items] = False
    ratings = np.clip(np.round(2 * (liking + 0.3 * random.randn(users, items))) / 2, 1, 5)
    return [(1000 + 7 * int(u), 50 + 3 * int(i), float(ratings[u, i])) for u, i in zip(*np.nonzero(there))]


def add_ratings(db, rows, table="ratings", user="INTEGER", item="INTEGER", rating="REAL"):
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))
    db.execute(f"CREATE TABLE {quoted}(user {user}, item {item}, rating {rating})")
    db.executemany(f"INSERT INTO {quoted} VALUES(?, ?, ?)", rows)


def rated(rows=None, **options):
    """A database in memory with a table `ratings`."""
    db = connect()
    add_ratings(db, made_up_ratings(**options) if rows is None else rows)
    return db


def train(db, source="ratings", rank=4, function="mf_train", **options):
    """Trains with options given as keywords; returns the summary."""
    text = db.execute(f"SELECT {function}(?, ?, ?)", (source, rank, json.dumps(options))).fetchone()[0]
    return json.loads(text)


def trained(rank=4, rows=None, **options):
    db = rated(rows)
    train(db, rank=rank, **options)
    return db


def liked(rows, items):
    """What is popular: of each item how many ratings are no lower than the mean of all."""
    mean = np.mean([row[2] for row in rows])
    return np.array([sum(1 for row in rows if row[1] == item and row[2] >= mean) for item in items], float)


def documents(texts, path=":memory:", encoding=None):
    """A database with a table `documents` of the texts, a list (ids 1, 2, …) or (id, text) pairs."""
    db = connect(path)
    if encoding:
        db.execute(f"PRAGMA encoding = '{encoding}'")
    db.execute("CREATE TABLE documents(id INTEGER PRIMARY KEY, text)")
    rows = texts if texts and isinstance(texts[0], tuple) else list(enumerate(texts, 1))
    db.execute("BEGIN")
    db.executemany("INSERT INTO documents VALUES(?, ?)", rows)
    db.execute("COMMIT")
    return db


def train_text(db, source="documents", **options):
    """Trains tfidf with options given as keywords; returns the summary."""
    text = db.execute("SELECT tfidf_train(?, ?)", (source, json.dumps(options))).fetchone()[0]
    return json.loads(text)


class Side:
    """The ids, biases, counts and vectors of a model's users or items, as recommend_factors gives them."""

    def __init__(self, db, model, side, head=None):
        rows = db.execute("SELECT id, bias, count, vector FROM recommend_factors(?, ?, ?)", (model, side, head)).fetchall()
        self.ids = [row[0] for row in rows]
        self.index = {id: i for i, id in enumerate(self.ids)}
        self.bias = np.array([row[1] or 0.0 for row in rows])
        self.count = np.array([row[2] for row in rows])
        self.vector = np.array([np.frombuffer(row[3], "<f4") for row in rows], float).reshape(len(rows), -1)


class Numpy:
    """A model recomputed from its factors: `score` and `prediction` (unclipped) are users × items."""

    def __init__(self, db, model="ratings_mf", rating_head="rating", ranking_head="ranking"):
        config = dict(db.execute(f'SELECT key, value FROM "{model}_config"'))
        self.config = config
        self.users, self.items = Side(db, model, "user"), Side(db, model, "item")
        self.score = self.matrix(db, model, config["score_head"])
        self.prediction = self.matrix(db, model, config["prediction_head"]) if config["prediction_head"] else None
        self.low, self.high = config["minimum"], config["maximum"]

    def matrix(self, db, model, head):
        users, items = Side(db, model, "user", head), Side(db, model, "item", head)
        return self.config[head + "_mean"] + users.bias[:, None] + items.bias[None, :] + users.vector @ items.vector.T

    def clipped(self):
        return np.clip(self.prediction, self.low, self.high)

    def seen(self, rows):
        there = np.zeros(self.score.shape, bool)
        for row in rows:
            there[self.users.index[row[0]], self.items.index[row[1]]] = True
        return there

    def best(self, user, allowed):
        """Indexes of the allowed items, best first, ties by index."""
        candidates = np.nonzero(allowed)[0]
        return candidates[np.lexsort((candidates, -self.score[user][candidates]))]


def shadow_bytes(db, model="ratings_mf", schema="main"):
    """Everything that a model stores but the time of its training, row by row."""
    return {suffix: [tuple((type(value).__name__, value) for value in row)
                     for row in db.execute(f'SELECT * FROM "{schema}"."{model}_{suffix}" ORDER BY 1, 2')
                     if row[0] != "trained_at"]
            for suffix in SHADOWS}


class TestCase(unittest.TestCase):
    def assert_error(self, db, sql, *fragments, parameters=()):
        """The statement fails with a message that has all the fragments in it."""
        with self.assertRaises(sqlite3.Error) as caught:
            db.execute(sql, parameters).fetchall()
        for fragment in fragments:
            self.assertIn(fragment, str(caught.exception))
        return str(caught.exception)

    def assert_same_rows(self, got, expected, tolerance=1e-5):
        """Equal but for rounding in floats."""
        self.assertEqual(len(got), len(expected))
        for one, other in zip(got, expected):
            self.assertEqual(len(one), len(other))
            for a, b in zip(one, other):
                if isinstance(a, float) and isinstance(b, (float, np.floating)):
                    self.assertAlmostEqual(a, b, delta=tolerance * max(1, abs(b)))
                else:
                    self.assertEqual(a, b)

    def folder(self):
        """A folder for the files of one test; in memory where there is such a place, since every commit waits for the disk."""
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        path = tempfile.mkdtemp(prefix="recommend-", dir=memory)
        self.addCleanup(shutil.rmtree, path, True)
        return path

    def closing(self, db):
        self.addCleanup(db.close)
        return db
