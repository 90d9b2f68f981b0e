"""Forgetting an item, INSERT INTO m(m, item) VALUES('forget', 7), beside NumPy and models trained without it; and
recommend_forget(), which asks all models. Forgetting a user: see test_fold.py; what is left in the file: test_writing.py."""
import json
import os
import pathlib
import random
import struct
import unittest

import numpy as np
from support import TestCase, add_ratings, connect, made_up_ratings, shadow_bytes, train
from test_fold import Model, config

ROWS = made_up_ratings(users=90)
ITEM = 62
FORGET = "INSERT INTO m(m, item) VALUES('forget', ?)"
TEXTS = [(item, " ".join(f"word{(item * k) % 11}" for k in range(1, 6)) + f" only{item}") for item in range(50, 170, 3)]

# What is trained, with which options; where a half-step of training is an exact fold: which heads.
KINDS = {
    "both": ("mf_train", 5, {}),
    "ratings": ("mf_train", 5, {"objective": "rating", "biases": False}),
    "ials": ("mf_train", 5, {"algorithm": "ials"}),
    "implicit": ("mf_train", 5, {"rating": None, "unobserved": "all"}),
    "nmf": ("mf_train", 5, {"nonnegative": True}),
    "sgd": ("mf_train", 5, {"algorithm": "sgd"}),
    "svdpp": ("mf_train", 5, {"algorithm": "svdpp"}),
    "svd": ("mf_train", 5, {"algorithm": "svd", "center": "user", "missing": "zero"}),
    "svd items": ("mf_train", 5, {"algorithm": "svd", "center": "item", "missing": "mean"}),
    "bpr": ("mf_train", 5, {"algorithm": "bpr"}),
    "items": ("knn_train", 7, {}),
    "raters": ("knn_train", 7, {"neighbors": "raters", "similarity": "msd"}),
    "users": ("knn_train", 7, {"by": "user", "similarity": "pearson", "shrinkage": 3}),
    "ease": ("ease_train", 5, {}),
    "ease values": ("ease_train", 5, {"values": "ratings"}),
    "bias": ("baseline_train", None, {}),
    "popular": ("baseline_train", None, {"method": "popularity"}),
    "words": ("tfidf_train", None, {"ratings": "ratings", "profile": "weighted"}),
    "latent": ("tfidf_train", None, {"ratings": "ratings", "lsa": 4}),
    "vectors": ("tfidf_train", None, {"ratings": "ratings", "embedding": "vector"}),
}


def make(kind, model="m", path=":memory:", without=(), **more):
    """A database with the model of that kind, `without` some items."""
    function, size, options = KINDS[kind]
    db = connect(path)
    add_ratings(db, [row for row in ROWS if row[1] not in without])
    db.execute("CREATE TABLE texts(id INTEGER PRIMARY KEY, text)")
    db.executemany("INSERT INTO texts VALUES(?, ?)", [row for row in TEXTS if row[0] not in without])
    db.execute("CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector)")
    db.executemany("INSERT INTO vectors VALUES(?, ?)", [(i, struct.pack("<3f", i % 7 - 3, i % 5 + 1, i % 4)) for i, _ in TEXTS if i not in without])
    learn(db, kind, model, **more)
    return db


def learn(db, kind, model="m", **more):
    function, size, options = KINDS[kind]
    source = "ratings" if function != "tfidf_train" else "vectors" if "embedding" in options else "texts"
    given = [source] + ([size] if size else []) + [json.dumps(dict(options, **more, model=model))]
    db.execute(f"SELECT {function}({', '.join('?' * len(given))})", given).fetchall()


def stamps(db):
    known = config(db, "m")
    return known["item_stamp"], known["user_stamp"]


def rows_of(db):
    """The stored row of every user, and of every place of an item."""
    found = []
    if config(db, "m")["sparse"]:
        return np.zeros((0, 0)), np.zeros((0, 0))
    for side in ("user", "item"):
        rows = []
        for n, data in db.execute(f"SELECT n, data FROM m_{side}factor ORDER BY chunk"):
            rows += list(np.frombuffer(data[:-8], "<f4").reshape(n, -1)) if n and len(data) > 8 else []
        found.append(np.array(rows))
    return found


def lists_of(db):
    return {index: [entry for entry in zip(np.frombuffer(data[:4 * n], "<u4"), np.frombuffer(data[4 * n:8 * n], "<f4"))]
            for index, n, data in db.execute("SELECT idx, n, data FROM m_neighbor")}


def everything(db):
    """(user, item, score, prediction, rating) of all cells."""
    return db.execute("SELECT user, item, score, prediction, rating FROM m ORDER BY 1, 2").fetchall()


class Forgetting(TestCase):
    def check(self, db, model="m"):
        db.execute(f"INSERT INTO {model}({model}) VALUES('integrity-check')")
        self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])

    def had(self, item=ITEM):
        return sorted({row[0] for row in ROWS if row[1] == item})

    def made(self, kind, **more):
        return self.closing(make(kind, **more))


class Item(Forgetting):
    def test_its_place(self):
        """No id, no count, zeros; both stamps change; nobody has it; the counts of the others are what they were."""
        for kind in KINDS:
            with self.subTest(kind):
                db = self.made(kind)
                before, ratings = stamps(db), config(db, "m")["ratings"]
                place = db.execute("SELECT idx FROM m_item WHERE id = ?", (ITEM,)).fetchone()[0]
                counts = dict(db.execute("SELECT id, n FROM m_item"))
                self.assertGreater(counts[ITEM], 5)
                db.execute(FORGET, (ITEM,))
                self.check(db)
                after = stamps(db)
                self.assertNotEqual(before[0], after[0])
                self.assertNotEqual(before[1], after[1])
                self.assertEqual(db.execute("SELECT id, n FROM m_item WHERE idx = ?", (place,)).fetchone(), (None, 0))
                del counts[ITEM]
                self.assertEqual(dict(db.execute("SELECT id, n FROM m_item WHERE id IS NOT NULL")), counts)
                self.assertEqual(config(db, "m")["ratings"], ratings - len(self.had()))
                users, items = rows_of(db)
                if len(items) and KINDS[kind][0] != "tfidf_train":
                    self.assertTrue((items[place] == 0).all())
                entries = sorted(row[:2] for row in ROWS if row[1] != ITEM)
                self.assertEqual(db.execute("SELECT user, item FROM m WHERE seen = 1 ORDER BY 1, 2").fetchall(), entries)
                self.assertEqual(db.execute("SELECT items FROM recommend_models").fetchone(), (39,))

    def test_its_users_are_folded_in_again(self):
        """Beside NumPy, and beside what a rating that is written anew makes of them; nobody else changes."""
        for kind in KINDS:
            with self.subTest(kind):
                db = self.made(kind)
                (users, items), ids = rows_of(db), [row[0] for row in db.execute("SELECT id FROM m_user ORDER BY idx")]
                place = db.execute("SELECT idx FROM m_item WHERE id = ?", (ITEM,)).fetchone()[0]
                db.execute(FORGET, (ITEM,))
                now, others = rows_of(db)
                if len(users) == 0:
                    continue
                had = [ids.index(user) for user in self.had()]
                unchanged = np.setdiff1d(range(len(ids)), had)
                np.testing.assert_array_equal(now[unchanged], users[unchanged])
                if others.shape == items.shape:
                    np.testing.assert_array_equal(np.delete(others, place, 0), np.delete(items, place, 0))
                if kind == "bpr":
                    np.testing.assert_array_equal(now, users)
                    continue
                if kind not in ("popular", "raters", "users", "items"):
                    self.assertTrue((now[had] != users[had]).any(1).all())
                if kind in ("both", "ratings", "ials", "implicit", "sgd"):
                    model = Model(db, "m")
                    for user in self.had():
                        ratings = {item: 1 if kind == "implicit" else rating for u, item, rating in ROWS if u == user and item != ITEM}
                        for head in model.heads:
                            vector, bias = model.fold(head, ratings)
                            np.testing.assert_allclose(model.users[head].vector[ids.index(user)], vector, atol=1e-5 * max(1, np.abs(vector).max()))
                            self.assertAlmostEqual(model.users[head].bias[ids.index(user)], bias, delta=1e-5)
                for user in self.had():
                    item, rating = db.execute("SELECT item, rating FROM m WHERE user = ? AND seen = 1", (user,)).fetchone()
                    db.execute("INSERT INTO m(user, item, rating) VALUES(?, ?, ?)", (user, item, None if kind == "implicit" else rating))
                np.testing.assert_allclose(rows_of(db)[0], now, atol=2e-6 * max(1, np.abs(now).max()))

    def test_bias(self):
        db = self.made("bias")
        settings, item_bias = config(db, "m"), dict(db.execute("SELECT id, bias FROM recommend_factors('m', 'item', 'rating')"))
        db.execute(FORGET, (ITEM,))
        user_bias = dict(db.execute("SELECT id, bias FROM recommend_factors('m', 'user', 'rating')"))
        for user in self.had():
            rest = [rating - settings["rating_mean"] - item_bias[item] for u, item, rating in ROWS if u == user and item != ITEM]
            penalty = settings["rating_bias_regularization"] * len(rest) ** settings["rating_nu"]
            self.assertAlmostEqual(user_bias[user], sum(rest) / (len(rest) + penalty), delta=1e-5)

    def test_neighbors(self):
        """Of items: the lists are what they were, without it. Of users: its users' lists are those of a training without it."""
        for kind in ("items", "raters"):
            db = self.made(kind)
            place = db.execute("SELECT idx FROM m_item WHERE id = ?", (ITEM,)).fetchone()[0]
            before = lists_of(db)
            self.assertTrue(any(place == neighbor for entries in before.values() for neighbor, _ in entries))
            db.execute(FORGET, (ITEM,))
            self.assertEqual(lists_of(db), {index: [] if index == place else [entry for entry in entries if entry[0] != place]
                                            for index, entries in before.items()})
        db, again = self.made("users"), self.made("users", without=(ITEM,))
        index = dict(db.execute("SELECT id, idx FROM m_user"))
        before = lists_of(db)
        db.execute(FORGET, (ITEM,))
        now, expected = lists_of(db), lists_of(again)
        changed = 0
        for user, at in index.items():
            got = now[at] if user in self.had() else before[at]
            self.assertEqual(now[at], got)
            if user in self.had():
                self.assertEqual([neighbor for neighbor, _ in now[at]], [neighbor for neighbor, _ in expected[at]])
                np.testing.assert_allclose([s for _, s in now[at]], [s for _, s in expected[at]], rtol=1e-5)
                changed += before[at] != now[at]
        self.assertGreater(changed, 5)

    def test_weights(self):
        """EASE: the matrix without its row and column; scores are sums over what is left."""
        for kind in ("ease", "ease values"):
            db = self.made(kind)
            ids = [row[0] for row in db.execute("SELECT id FROM m_item ORDER BY idx")]
            read = lambda: np.concatenate([np.frombuffer(row[0][:-8], "<f4").reshape(-1, 40) for row in
                                           db.execute("SELECT data FROM m_weight WHERE name LIKE 'link/%' ORDER BY name")])
            weights, place = read().copy(), ids.index(ITEM)
            db.execute(FORGET, (ITEM,))
            weights[place], weights[:, place] = 0, 0
            np.testing.assert_array_equal(read(), weights)
            for user in (self.had()[0], 1000, 1007):
                own = {ids.index(item): rating if kind == "ease values" else 1 for u, item, rating in ROWS if u == user and item != ITEM}
                scores = sum(weight * weights[at] for at, weight in own.items())
                for item, score in db.execute("SELECT item, score FROM m WHERE user = ?", (user,)):
                    self.assertAlmostEqual(score, scores[ids.index(item)], delta=1e-4)

    def test_content(self):
        """Of vectors: all scores are those of a training without it. Of words: its own words are gone."""
        db, again = self.made("vectors"), self.made("vectors", without=(ITEM,))
        db.execute(FORGET, (ITEM,))
        self.assert_same_rows(everything(db), everything(again))
        db = self.made("words")
        known = dict(db.execute("SELECT term, df FROM m_term"))
        similar = db.execute("SELECT item, similarity FROM item_similar(65, 100, 'm') WHERE item <> ?", (ITEM,)).fetchall()
        self.assertIsNotNone(db.execute("SELECT tfidf_vector(?, 'm') ->> ?", (f"only{ITEM}", f"$.only{ITEM}")).fetchone()[0])
        db.execute(FORGET, (ITEM,))
        words = dict(TEXTS)[ITEM].split()
        self.assertEqual({term: df for term, df in db.execute("SELECT term, df FROM m_term WHERE term IS NOT NULL")},
                         {term: df - (term in words) for term, df in known.items() if term != f"only{ITEM}"})
        self.assertEqual(db.execute("SELECT tfidf_vector(?, 'm') -> '$'", (f"only{ITEM}",)).fetchone(), ("{}",))
        self.assertEqual(db.execute("SELECT * FROM tfidf_search(?, 5, 'm')", (f"only{ITEM}",)).fetchall(), [])
        self.assertEqual(db.execute("SELECT item, similarity FROM item_similar(65, 100, 'm')").fetchall(), similar)
        for item, text in TEXTS:
            self.assertEqual(db.execute("SELECT count(*) FROM tfidf_search(?, 1, 'm') WHERE item = ?", (f"only{item}", item)).fetchone(), (int(item != ITEM),))
        self.check(db)
        db.execute("SELECT tfidf_train('texts', '{\"model\": \"alone\"}')")  # without users
        db.execute("INSERT INTO alone(alone, item) VALUES('forget', 65)")
        self.check(db, "alone")
        self.assertNotIn((65,), db.execute("SELECT item FROM item_similar(68, 100, 'alone')").fetchall())

    def test_held_out(self):
        """Who had it only held out keeps the row, and the count of what was trained on is right."""
        for kind in ("both", "sgd", "users", "words"):
            db = self.made(kind, test=0.5)
            place = db.execute("SELECT idx FROM m_item WHERE id = ?", (ITEM,)).fetchone()[0]
            trained = {}
            for index, n, history in db.execute("SELECT idx, n, history FROM m_user"):
                entries = np.frombuffer(history[:4 * n], "<u4")
                if place in entries & 0x7fffffff:
                    trained[index] = place in entries
            self.assertEqual(set(trained.values()), {False, True})
            before, (users, _), lists = config(db, "m")["ratings"], rows_of(db), lists_of(db)
            db.execute(FORGET, (ITEM,))
            self.check(db)
            self.assertEqual(config(db, "m")["ratings"], before - sum(trained.values()))
            for index, was_trained in trained.items():
                if len(users) and not was_trained:
                    np.testing.assert_array_equal(rows_of(db)[0][index], users[index])
                if kind == "users" and not was_trained:
                    self.assertEqual(lists_of(db)[index], lists[index])


class Afterwards(Forgetting):
    """Every function does as if the item had never been there."""

    def assert_gone(self, db, sql, *parameters):
        rows = db.execute(sql, parameters).fetchall()
        self.assertFalse(any(value is None and name in ("item", "similar", "id", "neighbor") or value == ITEM and name in ("item", "similar", "id", "neighbor")
                             for row in rows for value, name in zip(row, [column[0] for column in db.execute(sql, parameters).description])), sql)
        return rows

    def test_every_function(self):
        for kind, (function, _, options) in KINDS.items():
            with self.subTest(kind):
                db = self.made(kind)
                for item in (ITEM, 50, 167):  # amid, the first, the last
                    db.execute(FORGET, (item,))
                self.check(db)
                gone = {ITEM, 50, 167}
                items = sorted({row[1] for row in ROWS} - gone)
                table = self.assert_gone(db, "SELECT user, item, score, seen FROM m")
                self.assertEqual(sorted(row[:2] for row in table), [(u, i) for u in sorted({row[0] for row in ROWS}) for i in items])
                scores = {}
                for user, item, score, seen in table:
                    if not seen:
                        scores.setdefault(user, []).append((-score, item))
                every = {}
                for user, rank, item, score in self.assert_gone(db, "SELECT user, rank, item, score FROM recommend_all(6, 'm')"):
                    every.setdefault(user, []).append((item, score))
                for user in list(scores)[::9] + [self.had()[0]]:
                    best = [item for _, item in sorted(scores[user])]
                    for k in (3, 6, 1000, None):
                        got = self.assert_gone(db, "SELECT item, score, reason FROM recommend(?, ?, 'm') ORDER BY rank", user, k)
                        if got[0][2] == "model":
                            self.assertEqual([row[0] for row in got], best[:k])
                    self.assert_same_rows([row[:2] for row in got][:6], every[user])
                    limited = db.execute("SELECT item FROM m WHERE user = ? AND seen = 0 ORDER BY score DESC LIMIT 4", (user,)).fetchall()
                    self.assertEqual([row[0] for row in limited], best[:4])
                self.assertEqual(db.execute("SELECT * FROM m WHERE item IN (50, ?, 167)", (ITEM,)).fetchall(), [])
                place = db.execute("SELECT idx FROM m_item WHERE id IS NULL ORDER BY 1").fetchall()
                self.assertEqual(len(place), 3)
                for (index,) in place:
                    self.assertEqual(db.execute("SELECT * FROM m WHERE rowid = ?", (3 << 32 | index,)).fetchall(), [])
                stranger = self.assert_gone(db, "SELECT item FROM recommend('nobody', 1000, 'm')")
                self.assertEqual(len(stranger), len(items))
                self.assertEqual(db.execute("SELECT predict(1007, ?, 'm'), predict(1007, 50, 'm')", (ITEM,)).fetchone(), (None, None))
                self.assertEqual(db.execute("SELECT * FROM recommend_users(?, 5, 'm')", (ITEM,)).fetchall(), [])
                self.assert_gone(db, "SELECT user, score FROM recommend_users(65, 5, 'm')")
                if kind != "bpr":
                    self.assert_gone(db, "SELECT item FROM recommend_for(?, 1000, 'm')", json.dumps([ITEM, 65, 68]))
                if kind not in ("bpr", "users"):
                    for user in self.had()[:3]:
                        explained = db.execute("SELECT item, contribution FROM recommend_explain(?, 65, NULL, 'm')", (user,)).fetchall()
                        self.assertFalse(gone & {row[0] for row in explained})
                        self.assertAlmostEqual(sum(row[1] for row in explained),
                                               db.execute("SELECT score FROM m WHERE user = ? AND item = 65", (user,)).fetchone()[0], delta=1e-4)
                    self.assertEqual(db.execute("SELECT * FROM recommend_explain(1007, ?, 5, 'm')", (ITEM,)).fetchall(), [])
                if kind not in ("users", "bias", "popular"):
                    self.assertEqual(db.execute("SELECT * FROM item_similar(?, 5, 'm')", (ITEM,)).fetchall(), [])
                    one = self.assert_gone(db, "SELECT rank, item, similarity FROM item_similar(65, 1000, 'm')")
                    pairs = self.assert_gone(db, "SELECT item, rank, similar, similarity FROM item_similar_all(1000, 'm')")
                    self.assertEqual([row[1:] for row in pairs if row[0] == 65], one)
                if kind not in ("bias", "popular"):
                    self.assert_gone(db, "SELECT user, similarity FROM user_similar(1007, 5, 'm')")
                if kind in ("items", "users"):
                    self.assert_gone(db, "SELECT id, neighbor FROM recommend_neighbors('m')")
                if kind not in ("items", "raters", "users", "ease", "ease values", "words"):
                    factors = self.assert_gone(db, "SELECT id, count, bias, vector FROM recommend_factors('m', 'item')")
                    self.assertEqual([row[0] for row in factors], items)
                    counts = dict(db.execute("SELECT id, n FROM m_item"))
                    self.assertEqual([row[1] for row in factors], [counts[item] for item in items])
                if function == "tfidf_train" and kind != "vectors":
                    self.assert_gone(db, "SELECT item FROM tfidf_search('word1 word2 word3', 1000, 'm')")

    def test_evaluate(self):
        """Measured over the items that are left: beside Python, from the model table."""
        for kind in ("both", "items", "ease", "words", "users"):
            with self.subTest(kind):
                db = self.made(kind)
                for item in (ITEM, 50, 167):
                    db.execute(FORGET, (item,))
                random.seed(5)
                users, items = sorted({row[0] for row in ROWS}), sorted({row[1] for row in ROWS})
                seen = {row[:2] for row in ROWS}
                test = [(user, item, 4) for user in users for item in items if (user, item) not in seen and random.random() < 0.15]
                add_ratings(db, test, "test")
                table = {}
                for user, item, score in db.execute("SELECT user, item, score FROM m WHERE seen = 0"):
                    table.setdefault(user, []).append((-score, item))
                blank = {user for user in users if db.execute("SELECT reason FROM recommend(?, 1, 'm')", (user,)).fetchone() == ("popular",)}
                self.assertEqual(blank, set())
                precision, aucs, covered = [], [], set()
                for user in users:
                    relevant = {item for u, item, _ in test if u == user} - {ITEM, 50, 167}
                    if not relevant:
                        continue
                    best = [item for _, item in sorted(table[user])]
                    covered |= set(best[:5])
                    precision.append(len(relevant & set(best[:5])) / 5)
                    good = [s for s, item in table[user] if item in relevant]
                    bad = [s for s, item in table[user] if item not in relevant]
                    aucs.append(sum((g < b) + (g == b) / 2 for g in good for b in bad) / (len(good) * len(bad)))
                got = {row[0]: row[1:] for row in db.execute("SELECT metric, value, n FROM recommend_evaluate('m', 'test', '{\"k\": 5}')")}
                self.assertAlmostEqual(got["precision"][0], sum(precision) / len(precision), delta=1e-9)
                self.assertAlmostEqual(got["auc"][0], sum(aucs) / len(aucs), delta=1e-6)
                self.assertEqual(got["coverage"], (len(covered) / 37, 37))
                self.assertEqual(got["unknown"][0], len([1 for row in test if row[1] in (ITEM, 50, 167)]))

    def test_what_comes_back(self):
        """The same id is a new item, behind all others; retraining learns it from the source."""
        for kind in KINDS:
            with self.subTest(kind):
                db = self.made(kind)
                before = shadow_bytes(db, "m")
                db.execute(FORGET, (ITEM,))
                if kind != "bpr" and KINDS[kind][0] != "tfidf_train":
                    user = self.had()[0]
                    db.execute("INSERT INTO m(user, item, rating) VALUES(?, ?, ?)", (user, ITEM, 4 if kind != "implicit" else None))
                    self.check(db)
                    self.assertEqual(db.execute("SELECT idx, n FROM m_item WHERE id = ?", (ITEM,)).fetchone(), (40, 1))
                    self.assertEqual(db.execute("SELECT user FROM m WHERE item = ? AND seen = 1", (ITEM,)).fetchall(), [(user,)])
                    self.assertEqual(db.execute("SELECT count(*) FROM m_item WHERE id IS NULL").fetchone(), (1,))
                    db.execute(FORGET, (ITEM,))
                    self.check(db)
                    self.assertEqual(db.execute("SELECT count(*) FROM m_item WHERE id IS NULL").fetchone(), (2,))
                elif kind != "bpr":
                    self.assert_error(db, f"INSERT INTO m(user, item, rating) VALUES(1007, {ITEM}, 4)", "does not know the content")
                db.execute("INSERT INTO m(m) VALUES('retrain')")
                self.assertEqual(shadow_bytes(db, "m"), before)

    def test_a_long_life(self):
        """Users and items come, go and come back, in any order: the histories are right, and each step has the same bytes."""
        for kind in ("both", "items", "users", "ease", "bias", "svd"):
            with self.subTest(kind):
                one, two = self.made(kind), self.made(kind)
                chance = random.Random(7)
                cells = {row[:2]: row[2] for row in ROWS}
                for step in range(60):
                    user, item = chance.choice(ROWS)[:2] if chance.random() < .8 else (chance.randrange(40), 500 + chance.randrange(40))
                    what = chance.random()
                    for db in (one, two):
                        if what < .2 and any(i == item for _, i in cells):
                            db.execute(FORGET, (item,))
                        elif .2 <= what < .35 and any(u == user for u, _ in cells):
                            db.execute("INSERT INTO m(m, user) VALUES('forget', ?)", (user,))
                        elif what >= .35:
                            db.execute("INSERT INTO m(user, item, rating) VALUES(?, ?, 3)", (user, item))
                    if what < .2:
                        cells = {cell: rating for cell, rating in cells.items() if cell[1] != item}
                    elif what < .35:
                        cells = {cell: rating for cell, rating in cells.items() if cell[0] != user}
                    else:
                        cells[user, item] = 3.0
                    if step % 10 == 9:
                        self.check(one)
                        self.assertEqual(dict((row[:2], row[2]) for row in one.execute("SELECT user, item, rating FROM m WHERE seen = 1")), cells)
                self.assertEqual(shadow_bytes(one, "m"), shadow_bytes(two, "m"))

    def test_all_items(self):
        for kind in ("both", "items", "users", "ease", "words", "bias"):
            db = self.made(kind)
            for (item,) in db.execute("SELECT id FROM m_item").fetchall():
                db.execute(FORGET, (item,))
            self.check(db)
            for sql in ("SELECT * FROM m", "SELECT * FROM recommend(1007, 5, 'm')", "SELECT * FROM recommend_all(5, 'm')", "SELECT * FROM recommend('x', 5, 'm')"):
                self.assertEqual(db.execute(sql).fetchall(), [])
            self.assertEqual(config(db, "m")["ratings"], 0)


class Statements(Forgetting):
    def test_errors(self):
        db = self.made("both")
        db.execute("SELECT kmeans_train('ratings', 3, '{\"model\": \"groups\"}')")
        db.execute("SELECT kmeans_train('ratings', 3, '{\"model\": \"kinds\", \"by\": \"item\"}')")
        db.execute("SELECT mf_train('ratings', 3, '{\"model\": \"short\", \"history\": false}')")
        before = {model: shadow_bytes(db, model) for model in ("m", "groups", "kinds", "short")}
        for sql, *fragments in (
                ("INSERT INTO m(m, item) VALUES('forget', 4444)", "\"m\"", "knows no item 4444"),
                ("INSERT INTO m(m, user) VALUES('forget', 'x')", "knows no user 'x'"),
                ("INSERT INTO m(m, user) VALUES('forget', NULL)", "a user or an item", "NULL"),
                ("INSERT INTO m(m, user, item) VALUES('forget', 1007, 62)", "not both"),
                ("INSERT INTO groups(groups, user) VALUES('forget', 1007)", "\"groups\"", "clusters", "take user 1007 out of its source"),
                ("INSERT INTO groups(groups, item) VALUES('forget', 62)", "clusters", "take item 62 out"),
                ("INSERT INTO kinds(kinds, item) VALUES('forget', 62)", "clusters", "train it again"),
                ("INSERT INTO groups(groups, user) VALUES('forget', 1)", "knows no user 1"),
                ("INSERT INTO short(short, item) VALUES('forget', 62)", "\"history\": false", "take item 62 out", "train it again"),
                ("INSERT INTO short(short, user) VALUES('forget', 1007)", "\"history\": false", "take user 1007 out")):
            self.assertNotIn("rating", self.assert_error(db, sql, *fragments))
        db.execute("INSERT OR IGNORE INTO m(m, item) VALUES('forget', 4444)")
        db.execute("INSERT OR IGNORE INTO m(m, user) VALUES('forget', 4444)")
        self.assertEqual({model: shadow_bytes(db, model) for model in before}, before)
        db.execute("INSERT INTO m(m, item) VALUES('forget', '62')")  # by the affinity of the ids
        self.assertEqual(db.execute("SELECT count(*) FROM m_item WHERE id IS NULL").fetchone(), (1,))

    def test_ratings_too_large_to_fold_in(self):
        """Solving for users overflows where training did not: no factor that is not finite gets into the model."""
        for algorithm in ("sgd", "svdpp"):
            db = self.closing(connect())
            add_ratings(db, [(user, item, 1e30 * (user - item)) for user in range(4) for item in range(4)])
            train(db, epochs=2, algorithm=algorithm, model="m")
            before = shadow_bytes(db, "m")
            self.assert_error(db, "INSERT INTO m(m, item) VALUES('forget', 1)", "\"m\"", "too large", "train again")
            summary = json.loads(db.execute("SELECT recommend_forget('item', 1)").fetchone()[0])
            self.assertEqual((summary["forgotten"], len(summary["refused"])), ([], 1))
            self.assertEqual(shadow_bytes(db, "m"), before)
            db.execute("INSERT INTO m(m, user) VALUES('forget', 1)")
            self.check(db)

    def test_bpr(self):
        """Which has no way to fold anybody in, forgets users and items all the same."""
        for algorithm in ("bpr", "logistic"):
            db = self.made("bpr", algorithm=algorithm)
            users, _ = rows_of(db)
            db.execute("INSERT INTO m(m, user) VALUES('forget', 1007)")
            db.execute(FORGET, (ITEM,))
            self.check(db)
            np.testing.assert_array_equal(rows_of(db)[0], np.delete(np.vstack([users[:1], users[-1:], users[2:]]), -1, 0))
            self.assertEqual(db.execute("SELECT count(*) FROM m WHERE user = 1007 OR item = ?", (ITEM,)).fetchone(), (0,))

    def test_transactions(self):
        path = os.path.join(self.folder(), "m.db")
        db = self.closing(make("both", path=path))
        other = self.closing(connect(path))
        before, ask = shadow_bytes(db, "m"), "SELECT item, score FROM recommend(?, 100, 'm')"
        lists = db.execute(ask, self.had()[:1]).fetchall()
        db.execute("BEGIN")
        db.execute(FORGET, (ITEM,))
        self.assertNotEqual(db.execute(ask, self.had()[:1]).fetchall(), lists)
        self.assertEqual(other.execute(ask, self.had()[:1]).fetchall(), lists)
        db.execute("ROLLBACK")
        self.assertEqual(shadow_bytes(db, "m"), before)
        self.assertEqual(db.execute(ask, self.had()[:1]).fetchall(), lists)
        db.execute(FORGET, (ITEM,))
        self.assertEqual(other.execute(ask, self.had()[:1]).fetchall(), db.execute(ask, self.had()[:1]).fetchall())
        self.check(other)
        db.execute("CREATE TRIGGER g AFTER UPDATE ON m_config BEGIN SELECT raise(ABORT, 'no'); END")
        after = shadow_bytes(db, "m")
        self.assert_error(db, "INSERT INTO m(m, item) VALUES('forget', 65)", "no")
        self.assertEqual(shadow_bytes(db, "m"), after)

    def test_nothing_is_left_in_the_file(self):
        for kind, (function, _, options) in KINDS.items():
            if function == "tfidf_train" or kind == "implicit":
                continue
            path = os.path.join(self.folder(), kind)
            db = self.closing(connect(path))
            db.execute("PRAGMA secure_delete = OFF")
            db.execute("PRAGMA page_size = 1024")
            db.execute("ATTACH ':memory:' AS source")
            name = lambda item: f"item {item} {'y' * (item % 37)}"
            add_ratings(db, [(user, name(item), rating + item / 1000) for user, item, rating in ROWS], "source.ratings", item="TEXT")
            given = ["source.ratings"] + ([KINDS[kind][1]] if KINDS[kind][1] else []) + [json.dumps(dict(options, model="main.m"))]
            db.execute(f"SELECT {function}({', '.join('?' * len(given))})", given).fetchall()
            users, items = rows_of(db)
            place = db.execute("SELECT idx FROM m_item WHERE id = ?", (name(ITEM),)).fetchone()[0]
            traces = {name(ITEM).encode()}
            pairs = lambda row: {row.tobytes()[i:i + 8] for i in range(0, 4 * len(row) - 7, 4) if row[i // 4] and row[i // 4 + 1]}
            if len(items):
                traces |= pairs(items[place])
                for (index,) in db.execute("SELECT idx FROM m_user WHERE id IN (SELECT user FROM source.ratings WHERE item = ?)", (name(ITEM),)):
                    traces |= pairs(users[index]) if kind != "bpr" else set()
            read = pathlib.Path(path).read_bytes
            self.assertGreater(sum(trace in read() for trace in traces), 0.8 * len(traces), kind)  # but for those at the end of a page
            for user in self.had()[:3]:
                if kind != "bpr":
                    db.execute("INSERT INTO m(user, item, rating) VALUES(?, ?, 1.2345)", (user, name(ITEM)))
            db.execute(FORGET, (name(ITEM),))
            self.assertEqual([trace for trace in traces if trace in read()], [], kind)
            self.check(db)
            db.close()


class AllModels(Forgetting):
    def setUp(self):
        self.db = self.made("both")
        self.db.execute("ATTACH ':memory:' AS \"the other\"")
        for kind in ("items", "users", "ease", "bias", "bpr"):
            learn(self.db, kind, kind.replace("items", "the other.items"))
        self.db.execute("SELECT kmeans_train('ratings', 3, '{\"model\": \"groups\"}')")
        self.db.execute("CREATE TABLE plays(user TEXT, item TEXT)")
        self.db.executemany("INSERT INTO plays VALUES(?, ?)", [(str(user), f"song {item}") for user, item, _ in ROWS])
        self.db.execute("SELECT mf_train('plays', 3)")

    def ask(self, side, id):
        return json.loads(self.db.execute("SELECT recommend_forget(?, ?)", (side, id)).fetchone()[0])

    def test_a_user(self):
        said = self.ask("user", 1007)
        self.assertEqual(said["user"], 1007)
        self.assertEqual(said["forgotten"], ["main.bias", "main.bpr", "main.ease", "main.m", "main.plays_mf", "main.users", "the other.items"])
        self.assertEqual(said["unknown"], [])
        self.assertEqual([refused["model"] for refused in said["refused"]], ["main.groups"])
        self.assertIn("take user 1007 out of its source and train it again", said["refused"][0]["reason"])
        for name in said["forgotten"]:
            schema, model = name.split(".")
            self.assertEqual(self.db.execute(f'SELECT count(*) FROM "{schema}"."{model}" WHERE user = 1007').fetchone(), (0,))
            self.db.execute(f'INSERT INTO "{schema}"."{model}"("{model}") VALUES(\'integrity-check\')')
        again = self.ask("user", 1007)
        self.assertEqual((again["forgotten"], again["unknown"]), ([], said["forgotten"]))

    def test_an_item(self):
        said = self.ask("ITEM", f"song {ITEM}")
        self.assertEqual((said["item"], said["forgotten"], len(said["unknown"]), said["refused"]), (f"song {ITEM}", ["main.plays_mf"], 7, []))
        said = self.ask("item", ITEM)
        self.assertEqual((said["item"], said["unknown"]), (ITEM, ["main.plays_mf"]))
        self.assertEqual(len(said["forgotten"]), 6)
        for id in ('a "quoted"\n id', 1.5, b"\x00\xff", "x" * 200):
            said = self.ask("item", id)
            self.assertEqual(said["item"], "x'00ff'" if isinstance(id, bytes) else id)
            self.assertEqual(len(said["unknown"]), 8)

    def test_a_damaged_and_a_read_only_one(self):
        path = os.path.join(self.folder(), "read.db")
        self.closing(make("both", model="m", path=path))
        db = self.closing(connect(":memory:", uri=True))
        db.execute("ATTACH ? AS fixed", (f"file:{path}?mode=ro",))
        add_ratings(db, ROWS)
        for model in ("broken", "sound"):
            train(db, rank=3, epochs=1, model=model)
        db.execute("UPDATE broken_config SET value = 'x' WHERE key = 'items'")
        said = json.loads(db.execute("SELECT recommend_forget('item', ?)", (ITEM,)).fetchone()[0])
        self.assertEqual(said["forgotten"], ["main.sound"])
        reasons = {refused["model"]: refused["reason"] for refused in said["refused"]}
        self.assertIn("damaged", reasons["main.broken"])
        self.assertIn("readonly", reasons["fixed.m"])

    def test_in_a_transaction(self):
        before = self.db.execute("SELECT count(*) FROM m").fetchone()
        self.db.execute("BEGIN")
        self.ask("user", 1007)
        self.db.execute("ROLLBACK")
        self.assertEqual(self.db.execute("SELECT count(*) FROM m").fetchone(), before)

    def test_errors(self):
        self.assert_error(self.db, "SELECT recommend_forget('film', 7)", "'film'", "recommend_forget('item', 7)")
        self.assert_error(self.db, "SELECT recommend_forget(NULL, 7)", "NULL")
        self.assert_error(self.db, "SELECT recommend_forget('item', NULL)", "can't be NULL")
        self.db.execute("CREATE VIEW v AS SELECT recommend_forget('item', 62)")
        self.assert_error(self.db, "SELECT * FROM v", "unsafe")
        self.assertEqual(json.loads(self.closing(connect()).execute("SELECT recommend_forget('user', 1)").fetchone()[0]),
                         {"user": 1, "forgotten": [], "unknown": [], "refused": []})


class Damage(Forgetting):
    """A place without an id is an item that was forgotten only where there is nothing of it."""

    def test_ids_that_are_missing(self):
        for kind in KINDS:
            db = self.made(kind)
            db.execute("UPDATE m_item SET id = NULL WHERE id = ?", (ITEM,))
            self.assert_error(db, "INSERT INTO m(m) VALUES('integrity-check')", "damaged")
        db = self.made("both")
        db.execute("SELECT kmeans_train('ratings', 3, '{\"model\": \"groups\"}')")
        db.execute("UPDATE groups_item SET id = NULL, n = 0 WHERE id = ?", (ITEM,))
        self.assert_error(db, "INSERT INTO groups(groups) VALUES('integrity-check')", "expected an id, found NULL")

    def test_what_is_left_of_it(self):
        for kind, sql, fragment in (("both", "UPDATE m_item SET n = 1 WHERE id IS NULL", "expected 0, since the item has no id"),
                                    ("both", "UPDATE m_item SET n = NULL WHERE id IS NULL", "found NULL"),
                                    ("items", "UPDATE m_neighbor SET (n, data) = (SELECT n, data FROM m_neighbor WHERE idx = 1) "
                                              "WHERE idx = (SELECT idx FROM m_item WHERE id IS NULL)", "damaged"),
                                    ("words", "UPDATE m_term SET df = 1 WHERE term IS NULL", "expected 0, found 1"),
                                    ("words", "UPDATE m_term SET term = NULL WHERE term = 'word1'", "df in row")):
            db = self.made(kind)
            db.execute(FORGET, (ITEM,))
            self.check(db)
            db.execute(sql)
            self.assert_error(db, "INSERT INTO m(m) VALUES('integrity-check')", "damaged", fragment)
        for kind, table, fragment in (("both", "itemfactor", "which was forgotten, found"), ("ease", "weight", "linked"), ("items", "neighbor", "linked"),
                                      ("words", "itemfactor", "expected no words"), ("both", "user", "expected items that there are")):
            db = self.made(kind)
            db.execute(f"CREATE TABLE kept AS SELECT * FROM m_{table}")
            db.execute(FORGET, (ITEM,))
            db.execute(f"DELETE FROM m_{table}")
            db.execute(f"INSERT INTO m_{table} SELECT * FROM kept")
            self.assert_error(db, "INSERT INTO m(m) VALUES('integrity-check')", "damaged", fragment)


if __name__ == "__main__":
    unittest.main()
