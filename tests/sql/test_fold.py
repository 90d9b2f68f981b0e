"""Ratings that come and go: INSERT, UPDATE, DELETE and 'forget' on a model, and recommend_for(), beside NumPy solving the
same systems."""
import json
import os
import pathlib
import sqlite3
import unittest

import numpy as np
import support
from support import Side, TestCase, add_ratings, connect, made_up_ratings, shadow_bytes, train, trained

ROWS = made_up_ratings()
HEADS = ("rating", "ranking")
INSERT = "INSERT INTO ratings_mf(user, item, rating) VALUES(?, ?, ?)"
DELETE = "DELETE FROM ratings_mf WHERE user = ? AND item = ?"
FORGET = "INSERT INTO ratings_mf(ratings_mf, user) VALUES('forget', ?)"


def config(db, model="ratings_mf"):
    return dict(db.execute(f'SELECT key, value FROM "{model}_config"'))


def stamps(db):
    known = config(db)
    return known["item_stamp"], known["user_stamp"]


def row_of(settings, head, others, other_bias, ratings, gram, size):
    """The minimiser in double: `others` are the factors of a row's entries, `gram` is over the whole other side, of
    which there are `size`. (factors, bias)."""
    get = lambda key: settings[head + "_" + key]
    n, rank = others.shape
    if settings[head + "_fold"] == "rating":
        biases = settings[head + "_biases"]
        penalty = get("regularization") * n ** get("nu")
        design = np.hstack([others, np.ones((n, 1))]) if biases else others
        target = ratings - settings[head + "_mean"] - (other_bias if biases else 0)
        ridge = np.full(design.shape[1], penalty)
        if biases:
            ridge[-1] = get("bias_regularization") * n ** get("nu")
        x = np.linalg.solve(design.T @ design + np.diag(ridge), design.T @ target)
        return (x[:rank], x[rank]) if biases else (x, 0.0)
    c = get("confidence") + get("confidence_slope") * np.abs(ratings)
    t = get("target") + get("target_slope") * ratings if get("target_slope") else get("target") * (ratings > 0)
    missing = get("missing_weight")
    penalty = get("regularization") * (n + missing * size) ** get("nu")
    weight = c if get("weigh_all_cells") else c - missing
    a = (others * weight[:, None]).T @ others + missing * gram + penalty * np.eye(rank)
    return np.linalg.solve(a, others.T @ (c * t)), 0.0


class Model:
    """The factors of both sides as the model has them now."""

    def __init__(self, db, model="ratings_mf"):
        self.config = config(db, model)
        self.heads = [head for head in HEADS if self.config[head + "_rank"]]
        self.users = {head: Side(db, model, "user", head) for head in self.heads}
        self.items = {head: Side(db, model, "item", head) for head in self.heads}

    def fold(self, head, ratings):
        """The user that {item: rating} makes."""
        items = self.items[head]
        places = [items.index[item] for item in ratings]
        return row_of(self.config, head, items.vector[places], items.bias[places], np.array(list(ratings.values()), float),
                      items.vector.T @ items.vector, len(items.ids))

    def scores(self, ratings):
        head = self.config["score_head"]
        vector, bias = self.fold(head, ratings)
        return self.config[head + "_mean"] + bias + self.items[head].bias + self.items[head].vector @ vector


class Live(TestCase):
    def setUp(self):
        self.db = self.closing(trained(rank=6, rows=ROWS))

    def check(self, db=None):
        (db or self.db).execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")
        self.assertEqual((db or self.db).execute("PRAGMA integrity_check").fetchall(), [("ok",)])

    def histories(self, rows=ROWS):
        histories = {}
        for user, item, rating in rows:
            histories.setdefault(user, {})[item] = rating
        return histories

    def assert_user(self, user, ratings, db=None, tolerance=1e-5):
        """The user is what NumPy makes of these ratings, and the table says which they are."""
        db = db or self.db
        model = Model(db)
        for head in model.heads:
            at = model.users[head].index[user]
            vector, bias = model.fold(head, ratings) if ratings else (0, 0)
            scale = max(1, np.abs(vector).max())
            np.testing.assert_allclose(model.users[head].vector[at], vector, atol=tolerance * scale)
            self.assertAlmostEqual(model.users[head].bias[at], bias, delta=tolerance)
        self.assertEqual(dict(db.execute("SELECT item, rating FROM ratings_mf WHERE user = ? AND seen = 1", (user,))), ratings)
        self.assertEqual(model.users[model.heads[0]].count[at], len(ratings))


class Insert(Live):
    def test_a_half_step(self):
        """What training ended with is what folding the same ratings in gives: 20 users."""
        histories = self.histories()
        before = Model(self.db)
        for user in np.random.RandomState(3).choice(sorted(histories), 20, False):
            item, rating = list(histories[int(user)].items())[0]
            self.db.execute(INSERT, (int(user), item, rating))
        after = Model(self.db)
        for head in HEADS:
            np.testing.assert_allclose(after.users[head].vector, before.users[head].vector, atol=1e-5)
            np.testing.assert_allclose(after.users[head].bias, before.users[head].bias, atol=1e-5)
        self.check()

    def test_every_kind(self):
        for options in ({}, {"objective": "rating", "biases": False}, {"rating": None}, {"algorithm": "ials"},
                        {"algorithm": "ials", "unobserved": "all"}, {"rating": None, "unobserved": "all"}, {"nu": 1}):
            with self.subTest(options):
                self.db = self.closing(trained(rank=5, rows=ROWS, **options))
                implicit = "rating" in options
                ratings = self.histories()[1000]
                ratings = dict.fromkeys(ratings, 1) if implicit else dict(ratings)
                new = next(item for item in range(50, 170, 3) if item not in ratings)
                self.db.execute(INSERT, (1000, new, None if implicit else 4.5))
                self.assert_user(1000, dict(ratings, **{}) | {new: 1 if implicit else 4.5})
                self.check()

    def test_projections(self):
        """Of a singular value decomposition: what training ended with, however it was centred."""
        cases = [dict(center=center, missing=missing) for center in ("user", "item", "global", "none") for missing in ("zero", "mean")]
        for options in cases + [{"rating": None}, {"rating": None, "center": "user"}]:
            with self.subTest(options):
                self.db = self.closing(trained(rank=5, rows=ROWS, algorithm="svd", **options))
                before, histories = Model(self.db), self.histories()
                head = before.heads[0]
                for user in sorted(histories)[::4]:
                    item, rating = list(histories[user].items())[0]
                    self.db.execute(INSERT, (user, item, None if "rating" in options else rating))
                after = Model(self.db)
                np.testing.assert_allclose(after.users[head].vector, before.users[head].vector, atol=1e-5)
                np.testing.assert_allclose(after.users[head].bias, before.users[head].bias, atol=1e-5)
                self.db.execute(INSERT, (1, 9999, 2))
                self.db.execute("DELETE FROM ratings_mf WHERE user = 1007 AND seen = 1")
                self.check()

    def test_the_other_algorithms(self):
        """Least squares with their own penalty; or a clear word."""
        for algorithm in ("sgd", "adam", "gradient", "svdpp"):
            with self.subTest(algorithm):
                self.db = self.closing(trained(rank=5, rows=ROWS, algorithm=algorithm))
                item = self.unseen(1007)
                self.db.execute(INSERT, (1007, item, 5))
                self.assert_user(1007, self.histories()[1007] | {item: 5})
                self.check()
        for algorithm in ("bpr", "logistic"):
            db = self.closing(trained(rank=5, rows=ROWS, algorithm=algorithm))
            for sql in ("INSERT INTO ratings_mf(user, item, rating) VALUES(1007, 50, 5)", "SELECT * FROM recommend_for('[50]', 3, 'ratings_mf')",
                        "SELECT * FROM recommend_explain(1007, 50, 3, 'ratings_mf')"):
                self.assert_error(db, sql, "ratings_mf", "not sums over" if "explain" in sql else "fold")

    def test_nonnegative(self):
        db = self.db = self.closing(trained(rank=5, rows=ROWS, nonnegative=True))
        db.execute(INSERT, (1000, self.unseen(1000), 5))
        model = Model(db)
        for head in HEADS:
            self.assertGreaterEqual(model.users[head].vector.min(), 0)
        # KKT conditions of the ranking head.
        ratings = dict(db.execute("SELECT item, rating FROM ratings_mf WHERE user = 1000 AND seen = 1"))
        items, settings = model.items["ranking"], model.config
        q = items.vector[[items.index[item] for item in ratings]]
        y, w = np.array(list(ratings.values())), settings["ranking_missing_weight"]
        t = settings["ranking_target"] + settings["ranking_target_slope"] * y
        a = (1 - w) * q.T @ q + w * items.vector.T @ items.vector
        a += settings["ranking_regularization"] * (len(y) + w * len(items.ids)) ** settings["ranking_nu"] * np.eye(5)
        x = model.users["ranking"].vector[model.users["ranking"].index[1000]]
        slope = a @ x - q.T @ t
        self.assertLess(np.abs(slope[x > 0]).max(initial=0), 1e-3)
        self.assertGreater(slope[x == 0].min(initial=0), -1e-3)

    def unseen(self, user):
        return self.db.execute("SELECT item FROM ratings_mf WHERE user = ? AND seen = 0", (user,)).fetchone()[0]

    def test_a_new_rating(self):
        item, before = self.unseen(1007), stamps(self.db)
        others = self.db.execute("SELECT user, item, score FROM ratings_mf WHERE user <> 1007").fetchall()
        self.assertIn((item,), self.db.execute("SELECT item FROM recommend(1007)").fetchall())
        count = dict(self.db.execute("SELECT id, count FROM recommend_factors('ratings_mf', 'item')"))[item]
        self.db.execute(INSERT, (1007, item, 5))
        self.assert_user(1007, self.histories()[1007] | {item: 5})
        self.assertNotIn((item,), self.db.execute("SELECT item FROM recommend(1007)").fetchall())
        after = stamps(self.db)
        self.assertEqual(before[0], after[0])
        self.assertNotEqual(before[1], after[1])
        self.assertEqual(dict(self.db.execute("SELECT id, count FROM recommend_factors('ratings_mf', 'item')"))[item], count + 1)
        self.assertEqual(config(self.db)["ratings"], len(ROWS) + 1)
        self.assertEqual(self.db.execute("SELECT user, item, score FROM ratings_mf WHERE user <> 1007").fetchall(), others)
        self.check()

    def test_another_rating(self):
        item = next(iter(self.histories()[1007]))
        for sql, parameters in ((INSERT, (1007, item, 1.5)), ("INSERT OR REPLACE" + INSERT[6:], (1007, str(item), "2")),
                                ("UPDATE ratings_mf SET rating = 4 WHERE user = ? AND item = ?", (1007, item))):
            self.db.execute(sql, parameters)
            rating = {0: 1.5, 1: 2.0}.get((INSERT, "INSERT OR REPLACE" + INSERT[6:]).index(sql) if sql[0] == "I" else 2, 4.0)
            self.assert_user(1007, self.histories()[1007] | {item: rating})
            self.assertEqual(config(self.db)["ratings"], len(ROWS))
            self.check()

    def test_a_new_user(self):
        self.assertEqual(self.db.execute("SELECT reason FROM recommend(1, 1)").fetchone(), ("popular",))
        ratings = {}
        for item, rating in ((50, 5), (62, 1), (98, 4.5)):
            ratings[item] = rating
            self.db.execute(INSERT, (1, item, rating))
            self.assert_user(1, ratings)
            self.check()
        got = self.db.execute("SELECT item, score, reason FROM recommend(1, 5)").fetchall()
        profile = json.dumps({str(item): rating for item, rating in ratings.items()})
        self.assert_same_rows(got, self.db.execute("SELECT item, score, reason FROM recommend_for(?, 5)", (profile,)).fetchall())
        self.assertEqual(got[0][2], "model")
        self.assertEqual(config(self.db)["users"], 61)
        self.assertEqual(self.db.execute("SELECT count(DISTINCT user) FROM recommend_all(1)").fetchone(), (61,))

    def test_many_new_users(self):
        """Over the edge of a chunk."""
        for user in range(1, 11):
            self.db.execute(INSERT, (user, 50 + 3 * user, 4))
            self.check()
        self.assert_user(10, {80: 4.0})
        self.assertEqual(self.db.execute("SELECT count(*) FROM ratings_mf_userfactor").fetchone(), (2,))

    def test_a_new_item(self):
        before = Model(self.db)
        self.db.execute(INSERT, (1007, 9999, 5))
        self.check()
        after = Model(self.db)
        self.assertNotEqual(before.config["item_stamp"], after.config["item_stamp"])
        for head in HEADS:
            users, items = before.users[head], after.items[head]
            self.assertEqual(items.ids[-1], 9999)
            at = users.index[1007]
            vector, bias = row_of(before.config, head, users.vector[[at]], users.bias[[at]], np.array([5.0]),
                                  users.vector.T @ users.vector, len(users.ids))
            np.testing.assert_allclose(items.vector[-1], vector, atol=1e-5)
            self.assertAlmostEqual(items.bias[-1], bias, delta=1e-5)
            np.testing.assert_array_equal(items.vector[:-1], before.items[head].vector)
        self.assert_user(1007, self.histories()[1007] | {9999: 5.0})
        self.assertEqual(len(self.db.execute("SELECT * FROM item_similar(9999, 3)").fetchall()), 3)
        self.assertIn((9999,), self.db.execute("SELECT item FROM recommend(1000)").fetchall())
        self.db.execute(INSERT, (1, 10000, 2))  # nothing is known of either
        self.check()
        for item in range(20000, 20030):  # over the edge of a chunk
            self.db.execute(INSERT, (1014, item, 3))
        self.check()
        self.assertEqual(self.db.execute("SELECT count(*) FROM ratings_mf_itemfactor").fetchone(), (2,))

    def test_held_out(self):
        db = self.db = self.closing(trained(rank=5, rows=ROWS, test=0.3))
        folded = dict(db.execute("""SELECT idx, rating FROM (SELECT i.item AS idx, r.rating FROM ratings r JOIN
            (SELECT DISTINCT item FROM ratings) i ON i.item = r.item WHERE r.user = 1007)"""))
        ratings = config(db)["ratings"]
        model = Model(db)
        at = model.users["rating"].index[1007]
        before = model.users["rating"].vector[at]
        for item, rating in folded.items():
            db.execute(INSERT, (1007, item, rating))
        np.testing.assert_allclose(Model(db).users["rating"].vector[at], before, atol=1e-5)
        self.assertEqual(config(db)["ratings"], ratings)
        history = db.execute("SELECT n, history FROM ratings_mf_user WHERE id = 1007").fetchone()
        marks = np.frombuffer(history[1][:4 * history[0]], "<u4") >> 31
        self.assertGreater(marks.sum(), 0)
        db.execute("DELETE FROM ratings_mf WHERE user = 1007 AND seen = 1")
        self.assertEqual(config(db)["ratings"], ratings - (marks == 0).sum())
        self.check()

    def test_the_same_bytes(self):
        other = self.closing(trained(rank=6, rows=ROWS))
        for db in (self.db, other):
            db.execute(INSERT, (1007, 9999, 5))
            db.execute(INSERT, (5, 50, 2))
            db.execute(DELETE, (1014, self.db.execute("SELECT max(item) FROM ratings WHERE user = 1014").fetchone()[0]))
            db.execute(FORGET, (1021,))
        self.assertEqual(shadow_bytes(self.db), shadow_bytes(other))

    def test_what_SQLite_says(self):
        self.db.execute("CREATE TABLE mine(x)")
        self.db.execute("INSERT INTO mine(rowid, x) VALUES(77, 1)")
        self.db.execute(INSERT, (1007, 50, 5))
        self.assertEqual(self.db.execute("SELECT last_insert_rowid(), changes()").fetchone(), (77, 1))

    def test_many_at_once(self):
        self.db.execute("INSERT INTO ratings_mf(user, item, rating) SELECT user + 1, item, rating FROM ratings WHERE user < 1050")
        self.check()
        self.assert_user(1008, self.histories()[1007])

    def test_ratings_that_a_float_can_not_hold(self):
        too_large = 0
        for function, options in (("mf_train", {}), ("mf_train", {"algorithm": "nmf"}), ("mf_train", {"algorithm": "svd"}),
                                  ("knn_train", {}), ("knn_train", {"neighbors": "raters"}), ("knn_train", {"by": "user"}),
                                  ("ease_train", {"values": "ratings"})):
            db = self.closing(connect())
            add_ratings(db, ROWS)
            train(db, "ratings", 4, function=function, model="ratings_mf", **options)
            for rating in (1e12, 1e20, 9e29):
                for user, item in ((ROWS[0][0], ROWS[0][1]), (77777, ROWS[0][1]), (ROWS[0][0], 88888), (77778, 88889)):
                    try:
                        db.execute(INSERT, (user, item, rating))
                    except sqlite3.Error as error:
                        self.assertIn("large", str(error))
                        too_large += 1
                    db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")
            db.execute("SELECT count(predict(user, item, 'ratings_mf')) FROM ratings").fetchone()
        self.assertGreater(too_large, 0)

    def test_errors(self):
        before = shadow_bytes(self.db)
        for sql, *fragments in (
                ("INSERT INTO ratings_mf(user, item) VALUES(1000, 50)", "rating", "NULL"),
                ("INSERT INTO ratings_mf(user, item, rating) VALUES(NULL, 50, 1)", "user", "NULL"),
                ("INSERT INTO ratings_mf(user, item, rating) VALUES(1000, NULL, 1)", "item", "NULL"),
                ("INSERT INTO ratings_mf(user, item, rating) VALUES(1000, 50, 'good')", "number", "'good'"),
                ("INSERT INTO ratings_mf(user, item, rating) VALUES(1000, 50, 9e999)", "number"),
                ("INSERT INTO ratings_mf(user, item, score) VALUES(1000, 50, 1)", "user, item and rating"),
                ("UPDATE ratings_mf SET score = 1 WHERE user = 1000 AND item = 50", "only the rating"),
                ("UPDATE ratings_mf SET user = 2 WHERE user = 1000 AND item = 50", "only the rating"),
                ("UPDATE ratings_mf SET rating = NULL WHERE user = 1000 AND item = 50", "NULL"),
                ("INSERT INTO ratings_mf(ratings_mf) VALUES('forget')", "user", "NULL"),
                ("INSERT INTO ratings_mf(ratings_mf) VALUES('fold')", "'fold'", "'forget'"),
                ("INSERT INTO ratings_mf(ratings_mf, _payload) SELECT 'fold', x'00'", "'fold'")):
            self.assert_error(self.db, sql, *fragments)
        self.assertEqual(shadow_bytes(self.db), before)
        db = self.closing(trained(rank=3, rows=ROWS, history=False))
        for sql in ("INSERT INTO ratings_mf(user, item, rating) VALUES(1000, 50, 1)", "DELETE FROM ratings_mf WHERE user = 1000 AND item = 50",
                    "INSERT INTO ratings_mf(ratings_mf, user) VALUES('forget', 1000)"):
            self.assert_error(db, sql, "ratings_mf", "history")
        self.assertEqual(len(db.execute("SELECT * FROM recommend_for('[50, 53]', 3)").fetchall()), 3)


class Delete(Live):
    def test_a_rating(self):
        ratings = self.histories()[1007]
        item = list(ratings)[2]
        self.db.execute(DELETE, (1007, item))
        left = {i: r for i, r in ratings.items() if i != item}
        self.assert_user(1007, left)
        self.assertEqual(config(self.db)["ratings"], len(ROWS) - 1)
        self.check()
        before = shadow_bytes(self.db)
        self.db.execute(DELETE, (1007, item))  # there is nothing left to delete
        self.db.execute(DELETE, (4, item))
        self.assertEqual(shadow_bytes(self.db), before)
        self.db.execute(INSERT, (1007, item, ratings[item]))
        self.assert_user(1007, ratings)

    def test_all_of_a_user(self):
        self.db.execute("DELETE FROM ratings_mf WHERE user = 1007")
        self.assert_user(1007, {})
        self.check()
        self.assertEqual(self.db.execute("SELECT reason FROM recommend(1007, 1)").fetchone(), ("popular",))

    def test_forget(self):
        for user in (1007, 1000, 1000 + 7 * 59):  # amid, first, last
            left = [row for row in self.db.execute("SELECT user, item, score, prediction, rating FROM ratings_mf") if row[0] != user]
            self.db.execute(FORGET, (user,))
            self.check()
            self.assertEqual(sorted(self.db.execute("SELECT user, item, score, prediction, rating FROM ratings_mf")), sorted(left))
            self.assertEqual(self.db.execute("SELECT reason FROM recommend(?, 1)", (user,)).fetchone(), ("popular",))
        before = shadow_bytes(self.db)
        self.assert_error(self.db, FORGET, "knows no user 12345", parameters=(12345,))
        self.assertEqual(shadow_bytes(self.db), before)
        indexes = [row[0] for row in self.db.execute("SELECT idx FROM ratings_mf_user ORDER BY 1")]
        self.assertEqual(indexes, list(range(57)))

    def test_forget_everybody(self):
        for user in sorted(self.histories()):
            self.db.execute(FORGET, (user,))
        self.check()
        self.assertEqual((config(self.db)["users"], config(self.db)["ratings"]), (0, 0))
        self.db.execute(INSERT, (1, 50, 5))
        self.check()
        self.assert_user(1, {50: 5.0})

    def test_chunks(self):
        rows = [(user, item, 1.0 + (user * item) % 5) for user in range(130) for item in range(7) if (user + item) % 3]
        db = self.db = self.closing(trained(rank=3, rows=rows))
        for user in (5, 129, 128, 127, 70, 3):
            self.db.execute(FORGET, (user,))
            self.check()
        self.assertEqual(db.execute("SELECT chunk, n FROM ratings_mf_userfactor").fetchall(), [(0, 64), (1, 60)])

    def test_nothing_is_left_in_the_file(self):
        path = os.path.join(self.folder(), "people.db")
        db = self.closing(connect(path))
        rows = [(f"person-{user:06}-{'x' * 40}", item, rating) for user, item, rating in ROWS]
        add_ratings(db, rows, user="TEXT")
        train(db, rank=6, epochs=2)
        db.execute("DROP TABLE ratings")
        db.execute("VACUUM")
        db.execute("PRAGMA secure_delete = OFF")
        for user in (rows[0][0], rows[200][0], rows[-1][0]):
            history = db.execute("SELECT history FROM ratings_mf_user WHERE id = ?", (user,)).fetchone()[0]
            vector = db.execute("SELECT vector FROM recommend_factors('ratings_mf', 'user') WHERE id = ?", (user,)).fetchone()[0]
            content = pathlib.Path(path).read_bytes()
            self.assertTrue(all(part in content for part in (user.encode(), history, vector)))
            db.execute(FORGET, (user,))
            content = pathlib.Path(path).read_bytes()
            self.assertFalse(any(part in content for part in (user.encode(), history, vector)))
            self.check(db)
        self.assertEqual(db.execute("PRAGMA secure_delete").fetchone(), (0,))


class Transactions(Live):
    def test_rollback(self):
        before = shadow_bytes(self.db)
        score = self.db.execute("SELECT * FROM recommend(1007, 5)").fetchall()
        self.db.execute("BEGIN")
        self.db.execute("CREATE TABLE mine(x)")
        self.db.execute(INSERT, (1007, 9999, 5))
        self.db.execute(INSERT, (1, 50, 5))
        self.db.execute(FORGET, (1014,))
        self.db.execute("SAVEPOINT inner")
        inside = shadow_bytes(self.db)
        self.db.execute("DELETE FROM ratings_mf WHERE user = 1021 AND seen = 1")
        self.assert_error(self.db, "INSERT INTO ratings_mf(user, item, rating) SELECT 1028, 50, 5 UNION ALL SELECT NULL, 50, 5")
        self.db.execute("ROLLBACK TO inner")
        self.assertEqual(shadow_bytes(self.db), inside)
        self.check()
        self.db.execute("ROLLBACK")
        self.assertEqual(shadow_bytes(self.db), before)
        self.assertEqual(self.db.execute("SELECT * FROM recommend(1007, 5)").fetchall(), score)

    def test_a_failed_statement_leaves_nothing(self):
        before = shadow_bytes(self.db)
        self.assert_error(self.db, "INSERT INTO ratings_mf(user, item, rating) SELECT user, item, CASE user WHEN 1070 THEN 'no' ELSE 1 END FROM ratings")
        self.assertEqual(shadow_bytes(self.db), before)

    def test_two_connections(self):
        path = os.path.join(self.folder(), "two.db")
        one, two = self.closing(connect(path)), self.closing(connect(path))
        add_ratings(one, ROWS)
        train(one, rank=6)
        ask = "SELECT item, score FROM recommend(1007, 40) ORDER BY rank"
        self.assertEqual(one.execute(ask).fetchall(), two.execute(ask).fetchall())
        for sql, parameters in ((INSERT, (1007, 50, 1)), (INSERT, (1, 50, 5)), (INSERT, (1007, 9999, 4)), (FORGET, (1014,))):
            one.execute(sql, parameters)
            for query in (ask, "SELECT item FROM recommend(5, 5)", "SELECT count(*), sum(score) FROM ratings_mf"):
                self.assertEqual(one.execute(query).fetchall(), two.execute(query).fetchall())
            self.check(two)
        one.execute("BEGIN")
        one.execute(INSERT, (2, 50, 5))
        with self.assertRaisesRegex(sqlite3.OperationalError, "locked"):
            two.execute("PRAGMA busy_timeout = 0")
            two.execute(INSERT, (3, 50, 5))
        one.execute("COMMIT")
        two.execute(INSERT, (3, 50, 5))
        self.check(one)
        self.assertEqual(one.execute("SELECT count(*) FROM ratings_mf WHERE user IN (2, 3) AND seen = 1").fetchone(), (2,))

    def test_retrain_afterwards(self):
        """The model is of its source again: as it was before any of this."""
        before = {k: v for k, v in shadow_bytes(self.db).items()}
        self.db.execute(INSERT, (1, 9999, 5))
        self.db.execute(FORGET, (1014,))
        self.db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')")
        self.assertEqual(shadow_bytes(self.db), before)

    def test_elsewhere(self):
        """In an attached database, in temp, and under a name that needs quotes."""
        db = self.db
        db.execute("ATTACH ':memory:' AS \"the \"\" other\"")
        add_ratings(db, ROWS, table='the " other.ratings')
        expected = None
        for schema, model in (('"the "" other"', "it's \"mine\""), ("temp", "ratings_mf"), ("main", "ratings_mf")):
            train(db, source=schema + ".ratings" if schema[0] == '"' else "ratings", rank=6,
                  model=schema.strip('"').replace('""', '"') + "." + model)
            table, column = schema + '."' + model.replace('"', '""') + '"', '"' + model.replace('"', '""') + '"'
            db.execute(f"INSERT INTO {table}(user, item, rating) VALUES(1007, 9999, 5)")
            db.execute(f"DELETE FROM {table} WHERE user = 1014 AND item = (SELECT max(item) FROM ratings WHERE user = 1014)")
            db.execute(f"INSERT INTO {table}({column}, user) VALUES('forget', 1021)")
            db.execute(f"INSERT INTO {table}({column}) VALUES('integrity-check')")
            rows = db.execute(f"SELECT * FROM {table}").fetchall()
            self.assertEqual(rows, expected or rows)
            expected = rows
        db.execute("ALTER TABLE main.ratings_mf RENAME TO other")
        db.execute("INSERT INTO other(user, item, rating) VALUES(1, 50, 5)")
        db.execute("INSERT INTO other(other) VALUES('integrity-check')")

    def test_read_only(self):
        path = os.path.join(self.folder(), "read.db")
        db = self.closing(connect(path))
        add_ratings(db, ROWS)
        train(db, rank=3)
        readonly = self.closing(connect(f"file:{path}?mode=ro", uri=True))
        with self.assertRaisesRegex(sqlite3.OperationalError, "readonly"):
            readonly.execute(INSERT, (1007, 50, 1))
        self.assertEqual(len(readonly.execute("SELECT * FROM recommend(1007, 5)").fetchall()), 5)


class Triggers(Live):
    def setUp(self):
        self.db = self.closing(connect())
        self.db.execute("CREATE TABLE ratings(userId INTEGER NOT NULL, movieId INTEGER NOT NULL, rating REAL, "
                        "timestamp INTEGER, PRIMARY KEY (userId, movieId))")
        self.db.executemany("INSERT INTO ratings(userId, movieId, rating) VALUES(?, ?, ?)", ROWS)
        train(self.db, rank=6)
        with open(os.path.join(support.ROOT, "sql", "live.sql")) as file:
            self.script = file.read()

    def assert_same(self, *users):
        """The model knows what the table holds."""
        self.assertEqual(
            sorted(self.db.execute("SELECT user, item, rating FROM ratings_mf WHERE seen = 1").fetchall()),
            self.db.execute("SELECT userId, movieId, rating FROM ratings WHERE rating IS NOT NULL ORDER BY 1, 2").fetchall())
        for user in users:
            self.assert_user(user, dict(self.db.execute("SELECT movieId, rating FROM ratings WHERE userId = ? AND rating IS NOT NULL", (user,))))
        self.check()

    def live(self):
        self.db.execute("INSERT INTO ratings VALUES(1007, 9999, 1, 0), (1, 50, 5, 0), (1014, 9998, NULL, 0)")
        self.assert_same(1, 1007)
        self.db.execute("INSERT OR REPLACE INTO ratings VALUES(1, 50, 2, 0)")
        self.assert_same(1)
        self.db.execute("INSERT INTO ratings VALUES(1, 50, 3, 0) ON CONFLICT DO UPDATE SET rating = excluded.rating")
        self.assert_same(1)
        self.db.execute("UPDATE ratings SET rating = 6 - rating WHERE userId IN (1, 1000)")
        self.assert_same(1, 1000)
        self.db.execute("UPDATE ratings SET movieId = 62 WHERE userId = 1")
        self.assert_same(1)
        self.db.execute("UPDATE ratings SET rating = NULL WHERE userId = 1028")
        self.assert_same(1028)
        self.db.execute("DELETE FROM ratings WHERE userId = 1000 AND movieId < 80")
        self.assert_same(1000)
        before = shadow_bytes(self.db)
        self.db.execute("BEGIN")
        self.db.execute("DELETE FROM ratings WHERE userId < 1030")
        self.db.execute("ROLLBACK")
        self.assertEqual(shadow_bytes(self.db), before)

    def test_left_out(self):
        """What training leaves out, NULL and '', the triggers leave out; nothing stops the application's INSERT."""
        self.db.executescript(self.script)
        before = shadow_bytes(self.db)
        self.db.execute("INSERT INTO ratings VALUES(1, 9997, '', 0), (1, '', 3, 0), ('', 50, 3, 0)")
        self.db.execute("UPDATE ratings SET rating = '' WHERE userId = ''")
        self.assertEqual(shadow_bytes(self.db), before)
        self.db.execute("UPDATE ratings SET rating = 4 WHERE movieId = 9997")
        self.db.execute("UPDATE ratings SET rating = '' WHERE movieId = 9997")
        self.assertEqual(
            self.db.execute("SELECT count(*) FROM ratings_mf WHERE item = 9997 AND seen = 1").fetchone(), (0,))
        self.assert_error(self.db, "INSERT INTO ratings VALUES(1, 9996, 1e300, 0)", "the rating 1.0e+300 is too large")
        self.assert_error(self.db, "INSERT INTO ratings VALUES(1, 9996, 'x', 0)", "a rating must be a number, not 'x'")
        self.assert_error(self.db, "INSERT INTO ratings VALUES(1, 9996, x'0300', 0)", "must be a number, not x'0300'")

    def test_temporary(self):
        self.db.executescript(self.script)
        self.live()
        self.assertEqual(self.db.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'").fetchone(), (0,))

    def test_permanent(self):
        self.db.executescript(self.script.replace("CREATE TEMP TRIGGER", "CREATE TRIGGER"))
        self.db.execute("PRAGMA trusted_schema = OFF")
        self.live()

    def test_an_application_without_the_extension(self):
        path = os.path.join(self.folder(), "movies.db")
        self.db.executescript(self.script.replace("CREATE TEMP TRIGGER", "CREATE TRIGGER"))
        self.db.execute("VACUUM INTO ?", (path,))
        plain = self.closing(sqlite3.connect(path))
        with self.assertRaisesRegex(sqlite3.OperationalError, "no such module: recommender"):
            plain.execute("INSERT INTO ratings VALUES(2, 50, 5, 0)")


class ForSomebody(TestCase):
    def test_profiles(self):
        for options in ({}, {"objective": "rating"}, {"rating": None}, {"algorithm": "ials"}):
            db = self.closing(trained(rank=6, rows=ROWS, **options))
            model, before = Model(db), shadow_bytes(db)
            explicit = model.config["prediction_head"] != ""
            likes = {50: 4.5, 62: 2.0, 98: 5.0}
            for profile, ratings in ((json.dumps({str(i): r for i, r in likes.items()}), likes),
                                     ("[50, 62, 98, 62, 12345, null]", dict.fromkeys(likes, 5.0 if explicit else 1.0)),
                                     ("SELECT item, rating FROM ratings WHERE user = 1007", {i: r for u, i, r in ROWS if u == 1007})):
                scores = model.scores(ratings)
                head = model.config["score_head"]
                ids = model.items[head].ids
                expected = sorted((i for i in range(len(ids)) if ids[i] not in ratings), key=lambda i: -scores[i])[:7]
                got = db.execute("SELECT rank, item, score, reason FROM recommend_for(?, 7) ORDER BY rank", (profile,)).fetchall()
                self.assert_same_rows([row[2:] for row in got], [(scores[i], "model") for i in expected])
                self.assertEqual([row[1] for row in got], [ids[i] for i in expected])
            got = db.execute("SELECT item, reason FROM recommend_for('[]', 3)").fetchall()
            self.assertEqual([row[1] for row in got], ["popular"] * 3)
            self.assertEqual(shadow_bytes(db), before)


class Content(Live):
    """A model of content takes in ratings of what it knows."""

    def test_words_and_vectors(self):
        texts = [(item, " ".join(f"word{(item * k) % 11}" for k in range(1, 6))) for item in range(50, 170, 3)]
        for options in ({}, {"profile": "weighted"}, {"lsa": 4}):
            db = self.closing(support.documents(texts))
            add_ratings(db, ROWS)
            support.train_text(db, ratings="ratings", model="ratings_mf", **options)
            db.execute(INSERT, (1007, 50, 4))
            db.execute(INSERT, (1, 53, 4))
            db.execute(INSERT, (1, 56, 2))
            db.execute("DELETE FROM ratings_mf WHERE user = 1014 AND item = (SELECT min(item) FROM ratings WHERE user = 1014)")
            db.execute(FORGET, (1000,))
            self.check(db)
            live = db.execute("SELECT user, item, score FROM ratings_mf WHERE user IN (1, 1007, 1014) ORDER BY 1, 2").fetchall()
            db.execute("DELETE FROM ratings WHERE user = 1014 AND item = (SELECT min(item) FROM ratings WHERE user = 1014)")
            db.execute("DELETE FROM ratings WHERE user = 1000 OR user = 1007 AND item = 50")
            db.execute("INSERT INTO ratings VALUES(1007, 50, 4), (1, 53, 4), (1, 56, 2)")
            support.train_text(db, ratings="ratings", model="again", **options)
            again = db.execute("SELECT user, item, score FROM again WHERE user IN (1, 1007, 1014) ORDER BY 1, 2").fetchall()
            self.assert_same_rows(live, again)
            self.assert_error(db, "INSERT INTO ratings_mf(user, item, rating) VALUES(1, 4444, 1)", "4444", "content")
        db = self.closing(support.documents(texts))
        support.train_text(db, model="ratings_mf")
        db.execute(INSERT, (1, 50, None))  # the first user
        self.check(db)
        self.assert_same_rows(db.execute("SELECT item, score FROM recommend(1, 3)").fetchall(),
                              db.execute("SELECT item, similarity FROM item_similar(50, 3)").fetchall())


if __name__ == "__main__":
    unittest.main()
