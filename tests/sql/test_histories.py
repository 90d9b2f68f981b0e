"""Histories that keep order and time ("history": "timed"), against what SQLite's own ORDER BY makes of the source: as they
are trained, and after any series of INSERT, UPDATE, DELETE and forgetting, when they are what training anew would hold."""
import json
import random
import unittest

import numpy as np

from support import TestCase, connect, made_up_ratings, train
from test_trainers import call

LATEST = 2 ** 63 - 2


def timed_rows(seed=3, users=30, items=20, count=900, times=12):
    """Pairs that occur several times, times with ties, some of them missing."""
    chance = random.Random(seed)
    return [(chance.randrange(users), f"i{chance.randrange(items)}", chance.randint(1, 9) / 2,
             chance.choice((None, "")) if chance.random() < 0.15 else chance.randrange(times) - 4) for _ in range(count)]


def source(rows, columns="user INTEGER, item TEXT, rating REAL, timestamp"):
    db = connect()
    db.execute(f"CREATE TABLE log({columns})")
    db.executemany(f"INSERT INTO log VALUES({', '.join('?' * len(rows[0]))})", rows)
    return db


def histories(db, model="m"):
    """user → [(item, rating, timestamp)], oldest first."""
    found = {}
    for (user,) in db.execute(f'SELECT DISTINCT user FROM "{model}"').fetchall():
        rows = db.execute("SELECT position, item, rating, timestamp FROM recommend_history(?, ?) ORDER BY position", (user, model)).fetchall()
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        found[user] = [row[1:] for row in rows]
    return found


def expected(db, merged="(SELECT rating FROM log WHERE rowid = latest)", time="nullif(timestamp, '')"):
    """The same by SQL: of a pair the latest row counts, where a row without a time is older than any; then rows without a
    time come last."""
    found = {}
    for user, item, rating, at in db.execute(f"""
        WITH ranked AS (SELECT user, item, {time} AS at, rowid AS row, row_number() OVER
                               (PARTITION BY user, item ORDER BY {time} DESC NULLS LAST, rowid DESC) AS n FROM log),
             latest AS (SELECT user, item, at, row AS latest FROM ranked WHERE n = 1)
        SELECT user, item, {merged}, at FROM latest ORDER BY user, at NULLS LAST, latest"""):
        found.setdefault(user, []).append((item, rating, at))
    return found


class Trained(TestCase):
    def test_every_trainer(self):
        db = source(timed_rows())
        db.execute("CREATE VIEW ratings AS SELECT * FROM log")
        db.execute("CREATE TABLE items AS SELECT DISTINCT item, 'word' || (length(item) + unicode(substr(item, 2)) % 3) || ' all' AS text FROM log")
        db.execute("CREATE TABLE vectors AS SELECT item, json_array(length(item), unicode(substr(item, 2)), 1) AS vector FROM items")
        for trainer, algorithm in db.execute("SELECT trainer, algorithm FROM recommend_trainers").fetchall():
            with self.subTest(trainer=trainer, algorithm=algorithm):
                summary = json.loads(call(db, trainer, algorithm, {"history": "timed", "duplicates": "last", "threads": 1}))
                self.assertEqual(histories(db), expected(db))
                self.assertFalse([hint for hint in summary["hints"] if "timestamp" in hint])
                db.execute("INSERT INTO m(m) VALUES('integrity-check')")
                db.execute("DROP TABLE m")

    def test_rules_for_duplicates(self):
        """The entry has the time of the latest row, whatever its value is made of."""
        db = source(timed_rows())
        for rule, merged in (("sum", "(SELECT sum(rating) FROM log l WHERE l.user = latest.user AND l.item = latest.item)"),
                             ("mean", "(SELECT avg(rating) FROM log l WHERE l.user = latest.user AND l.item = latest.item)")):
            train(db, "log", 1, model="m", history="timed", duplicates=rule)
            for user, rows in expected(db, merged).items():
                got = histories(db)[user]
                self.assertEqual([(row[0], row[2]) for row in got], [(row[0], row[2]) for row in rows])
                np.testing.assert_allclose([row[1] for row in got], [row[1] for row in rows], rtol=1e-6)
        self.assert_error(db, """SELECT mf_train('log', 1, '{"model": "m", "history": "timed", "duplicates": "error"}')""", "more than once")

    def test_feedback(self):
        """Without ratings there are times too, and 0 says nothing."""
        db = source(timed_rows())
        train(db, "SELECT user AS user_id, item AS item_id, timestamp FROM log", 1, model="m", history="timed")
        counts = "(SELECT count(*) * 1.0 FROM log l WHERE l.user = latest.user AND l.item = latest.item)"
        self.assertEqual(histories(db), expected(db, counts))
        db.execute("UPDATE log SET rating = 0 WHERE item IN ('i3', 'i4') OR user = 5")
        train(db, "log", 1, model="m", history="timed", algorithm="ials", duplicates="last")
        want = {user: [row for row in rows if row[1]] for user, rows in expected(db).items()}
        self.assertEqual(histories(db), {user: rows for user, rows in want.items() if rows})

    def test_what_is_held_out_keeps_its_time(self):
        db = source(timed_rows())
        for threads in (1, 2):
            train(db, "log", 1, model="m", history="timed", test=0.3, threads=threads)
            self.assertEqual(histories(db), expected(db))
            held_out = {(user, row[0]) for user in histories(db)
                        for row in db.execute("SELECT item FROM recommend_history(?, 'm') WHERE held_out = 1", (user,))}
            self.assertEqual(held_out, set(db.execute("SELECT DISTINCT user, item FROM log WHERE recommend_split(42, user, item) < 0.3")))

    def test_ratings_of_unknown_items_go_with_their_times(self):
        """A model of words leaves out what it has no text of, trained on or held out."""
        db = source(timed_rows())
        db.execute("CREATE TABLE items AS SELECT DISTINCT item, 'word ' || item AS text FROM log WHERE item NOT IN ('i0', 'i7', 'i12')")
        for test in (0, 0.3):
            db.execute("SELECT tfidf_train('items', ?)", (json.dumps({"model": "m", "ratings": "log", "history": "timed", "test": test}),))
            want = {user: [row for row in rows if row[0] not in ("i0", "i7", "i12")] for user, rows in expected(db).items()}
            self.assertEqual(histories(db), {user: rows for user, rows in want.items() if rows})

    def test_without_timestamps_the_order_of_rows_counts(self):
        rows = [(user, item, rating, None) for user, item, rating, _ in timed_rows()]
        db = source(rows)
        for text, more, hinted in (("SELECT user, item, rating FROM log", {}, 1), ("log", {}, 0), ("log", {"timestamp": None}, 0),
                                   ("SELECT user, item, rating, 'note' AS at FROM log", {"timestamp": None}, 0)):
            summary = train(db, text, 1, model="m", history="timed", duplicates="last", **more)
            self.assertEqual(len([hint for hint in summary["hints"] if "in the order of the source's rows" in hint]), hinted)
            self.assertEqual(histories(db), expected(db, time="NULL"))

    def test_all_bits_of_a_time(self):
        times = (LATEST, -2 ** 63, 2 ** 53 + 1, 2 ** 53, -2 ** 53 - 1, 0, -1, str(2 ** 62 + 1), "7", 7.0, None)
        db = source([(1, f"i{i}", 3.0, time) for i, time in enumerate(times)])
        train(db, "log", 1, model="m", history="timed")
        got = [row[2] for row in histories(db)[1]]
        self.assertEqual(got, sorted(int(time) for time in times if time is not None) + [None])

    def test_times_that_are_none(self):
        for time, said in (("2024-01-02", "unixepoch"), (1.5, "whole number"), (2 ** 63 - 1, "whole number"), (1e300, "whole number"),
                           (b"7", "not a number")):
            db = source([(1, "a", 3.0, 5), (2, "b", 4.0, time)])
            self.assert_error(db, """SELECT mf_train('log', 1, '{"history": "timed"}')""", "row 2", "timestamp", said)
            train(db, "log", 1)                            # they matter to nobody who keeps none
            self.assertEqual(db.execute("SELECT timestamp FROM log_mf WHERE seen = 1").fetchall(), [(None,)] * 2)

    def test_the_option(self):
        db = source(timed_rows())
        for value in ("yes", 1, 0, None, [], "Timed"):
            self.assert_error(db, f"SELECT mf_train('log', 1, '{json.dumps({'history': value})}')", '"history" must be one of false, true, "timed"')
        for value, kept in ((False, 0), (True, 1), ("timed", 2)):
            train(db, "log", 1, model="m", history=value)
            self.assertEqual(db.execute("SELECT value FROM m_config WHERE key = 'history'").fetchone()[0], kept)

    def test_others_keep_their_size(self):
        """Without times an entry takes 8 bytes, or 4 without a rating, and nothing of the model is different."""
        db = source(timed_rows())
        train(db, "log", 3, model="m")
        train(db, "log", 3, model="timed", history="timed")
        self.assertEqual(db.execute("SELECT DISTINCT length(history) - 8 * n FROM m_user").fetchall(), [(8,)])
        self.assertEqual(db.execute("SELECT DISTINCT length(history) - 20 * n FROM timed_user").fetchall(), [(8,)])
        for table in ("item", "userfactor", "itemfactor"):
            self.assertEqual(db.execute(f"SELECT * FROM m_{table}").fetchall(), db.execute(f"SELECT * FROM timed_{table}").fetchall())
        self.assertEqual(len(db.execute("SELECT * FROM m LIMIT 1").fetchone()), 6)

    def test_the_table_of_an_untimed_model(self):
        db = source(timed_rows())
        train(db, "log", 1, model="m")
        self.assertEqual(db.execute("SELECT count(*) FROM m WHERE timestamp IS NOT NULL").fetchone(), (0,))
        self.assert_error(db, "INSERT INTO m(user, item, rating, timestamp) VALUES(1, 'i1', 3, 5)", '"history": "timed"')
        self.assert_error(db, "UPDATE m SET timestamp = 5 WHERE user = 1 AND seen = 1", '"history": "timed"')
        db.execute("INSERT INTO m(user, item, rating, timestamp) VALUES(1, 'i1', 3, NULL)")
        rows = db.execute("SELECT item, rating, timestamp FROM recommend_history(1, 'm') ORDER BY position").fetchall()
        self.assertEqual(rows, db.execute("SELECT item, rating, NULL FROM m WHERE user = 1 AND seen = 1 ORDER BY item").fetchall())

    def test_names(self):
        db = source(timed_rows())
        self.assert_error(db, """SELECT mf_train('log', 1, '{"model": "timestamp"}')""", "a column of every model")


class Asked(TestCase):
    """A model answers as one that keeps no times."""

    def test_same_answers(self):
        rows = [(user, item, rating, (7 * user + 5 * item) % 11) for user, item, rating in made_up_ratings()]
        db = source(rows, "user INTEGER, item INTEGER, rating REAL, timestamp INTEGER")
        for function, size, options in (("mf_train", 3, {}), ("knn_train", 5, {"by": "user"}), ("knn_train", 5, {}), ("ease_train", 10, {})):
            for model, history in (("plain", True), ("m", "timed")):
                train(db, "log", size, function, model=model, history=history, test=0.2, **options)
                db.execute(f"INSERT INTO {model}(user, item, rating) VALUES(1007, 77, 2)")
                db.execute(f"INSERT INTO {model}(user, item, rating) VALUES('new', 50, 5)")
                db.execute(f"DELETE FROM {model} WHERE user = 1014 AND item = 53")
                db.execute(f"INSERT INTO {model}({model}, user) VALUES('forget', 1021)")
                db.execute(f"INSERT INTO {model}({model}, item) VALUES('forget', 56)")
                db.execute(f"INSERT INTO {model}({model}) VALUES('integrity-check')")
            for sql in ("SELECT * FROM recommend(1007, 9, '{}')", "SELECT * FROM recommend_all(3, '{}')", "SELECT * FROM {}",
                        "SELECT * FROM recommend_for('[50, 59, 77]', 5, '{}')", "SELECT * FROM recommend_evaluate('{}', 'log')",
                        "SELECT * FROM {}_similar({}, 5, '{{}}')".format(*(("user", 1014) if options.get("by") else ("item", 50))), "SELECT user, item, predict(user, item, '{}') FROM log"):
                self.assertEqual(db.execute(sql.format("plain")).fetchall(), db.execute(sql.format("m")).fetchall(), sql)
            if options.get("by") != "user":
                explain = "SELECT * FROM recommend_explain(1007, 50, 5, '{}')"
                self.assertEqual(db.execute(explain.format("plain")).fetchall(), db.execute(explain.format("m")).fetchall())

    def test_experiments(self):
        """A grid search stores what the options say; folds are judged alike."""
        db = source(timed_rows())
        fold = "SELECT fold, rmse, ndcg FROM recommend_cross_validate('mf', 'log', 3, ?)"
        plain = db.execute(fold, (json.dumps({"rank": 2, "epochs": 2}),)).fetchall()
        self.assertEqual(db.execute(fold, (json.dumps({"rank": 2, "epochs": 2, "history": "timed"}),)).fetchall(), plain)
        db.execute("SELECT * FROM recommend_grid_search('mf', 'log', ?, ?)",
                   (json.dumps({"rank": [1, 2]}), json.dumps({"epochs": 2, "history": "timed", "model": "m"}))).fetchall()
        self.assertEqual(histories(db), expected(db))
        db.execute("SELECT * FROM recommend_grid_search('mf', 'log', ?, ?)",   # of equals the first is stored
                   (json.dumps({"history": [True, "timed"]}), json.dumps({"rank": 2, "epochs": 2, "model": "n"}))).fetchall()
        self.assertEqual({row[2] for rows in histories(db, "n").values() for row in rows}, {None})

    def test_retraining(self):
        db = source(timed_rows())
        train(db, "log", 1, model="m", history="timed")
        db.execute("INSERT INTO log VALUES(3, 'i5', 1, 99), (3, 'i6', 2, NULL), (99, 'i5', 1, 4)")
        for statement in ("INSERT INTO m(m) VALUES('retrain')", "SELECT recommend_retrain('m')"):
            db.execute("INSERT INTO log VALUES(4, 'i5', 1, 99)")
            db.execute(statement).fetchall()
            self.assertEqual(histories(db), expected(db))
        db.execute("""SELECT recommend_retrain('m', '{"history": true}')""")
        self.assertEqual(db.execute("SELECT count(*) FROM m WHERE timestamp IS NOT NULL").fetchone(), (0,))
        db.execute("""SELECT recommend_retrain('m', '{"history": "timed"}')""")
        self.assertEqual(histories(db), expected(db))

    def test_made_by_plain_sql(self):
        db = source(timed_rows())
        db.execute("""CREATE VIRTUAL TABLE m USING recommender(train=knn, source=log, size=5, options='{"history": "timed"}')""")
        self.assertEqual(histories(db), expected(db))

    def test_the_function(self):
        db = source([(1, "a", 2.0, 5), (1, "b", 3.0, 4)])
        train(db, "log", 1, model="m", history="timed")
        self.assertEqual(db.execute("SELECT * FROM recommend_history('1')").fetchall(), [(1, "b", 3.0, 4, 0), (2, "a", 2.0, 5, 0)])
        for user in (7, None, "x"):
            self.assertEqual(db.execute("SELECT * FROM recommend_history(?, 'm')", (user,)).fetchall(), [])
        train(db, "log", 1, model="short", history=False)
        self.assert_error(db, "SELECT * FROM recommend_history(1, 'short')", "recommend_history", "short", '"history": false')
        self.assert_error(db, "SELECT * FROM recommend_history()", "recommend_history(user [, model])")


class Live(TestCase):
    """A table `log` in which a new time moves a row to the end is what the model is held against."""

    def open(self, function="mf_train", size=2, **options):
        chance = random.Random(5)
        pairs = chance.sample([(user, f"i{item}") for user in range(12) for item in range(15)], 90)
        db = source([(user, item, chance.randint(1, 5), chance.choice((None, 1, 2, 3, 4))) for user, item in pairs])
        train(db, "log", size, function, model="m", history="timed", **options)
        return db

    def turn(self, db, chance):
        """One change of the model, and the same of the table."""
        user, item = chance.randrange(13), f"i{chance.randrange(16)}"
        rating, time = chance.randint(1, 5), chance.choice((None, chance.randrange(-1, 6)))
        seen = db.execute("SELECT rating, timestamp FROM log WHERE user = ? AND item = ?", (user, item)).fetchone()
        kind = chance.choice(("insert", "insert", "append", "rating", "time", "both", "delete", "forget"))
        with_time = "INSERT INTO log VALUES(?, ?, ?, ?)"
        delete = ("DELETE FROM log WHERE user = ? AND item = ?", (user, item))
        if kind == "insert":
            db.execute("INSERT INTO m(user, item, rating, timestamp) VALUES(?, ?, ?, ?)", (user, item, rating, time))
            db.execute(*delete)
            db.execute(with_time, (user, item, rating, time))
        elif kind == "append":
            db.execute("INSERT INTO m(user, item, rating) VALUES(?, ?, ?)", (user, item, rating))
            db.execute(*delete)
            db.execute(with_time, (user, item, rating, None))
        elif kind == "delete":
            db.execute("DELETE FROM m WHERE user = ? AND item = ? AND seen = 1", (user, item))
            db.execute(*delete)
        elif kind == "forget" and chance.random() < 0.3:
            column, value = chance.choice((("user", user), ("item", item)))
            db.execute(f"INSERT OR IGNORE INTO m(m, {column}) VALUES('forget', ?)", (value,))
            db.execute(f"DELETE FROM log WHERE {column} = ?", (value,))
        elif kind == "rating" and seen:
            db.execute("UPDATE m SET rating = ? WHERE user = ? AND item = ? AND seen = 1", (rating, user, item))
            db.execute("UPDATE log SET rating = ? WHERE user = ? AND item = ?", (rating, user, item))
        elif kind in ("time", "both") and seen:
            if kind == "time":
                rating = seen[0]
                db.execute("UPDATE m SET timestamp = ? WHERE user = ? AND item = ? AND seen = 1", (time, user, item))
            else:
                db.execute("UPDATE m SET rating = ?, timestamp = ? WHERE user = ? AND item = ? AND seen = 1", (rating, time, user, item))
            if time == seen[1]:                                                        # it keeps its place
                db.execute("UPDATE log SET rating = ? WHERE user = ? AND item = ?", (rating, user, item))
            else:
                db.execute(*delete)
                db.execute(with_time, (user, item, rating, time))

    def check(self, db, training):
        want, got = expected(db), histories(db)
        self.assertEqual({user: rows for user, rows in got.items() if rows}, want)
        for user, rows in got.items():
            table = db.execute("SELECT item, rating, timestamp FROM m WHERE user = ? AND seen = 1", (user,)).fetchall()
            self.assertEqual(sorted(table), sorted(rows))
        function, size, options = training
        train(db, "log", size, function, model="anew", history="timed", **options)
        self.assertEqual(histories(db, "anew"), want)
        db.execute("INSERT INTO m(m) VALUES('integrity-check')")

    def test_series(self):
        for training in (("mf_train", 2, {}), ("mf_train", 2, {"algorithm": "ials", "duplicates": "last", "test": 0.2}),
                         ("knn_train", 4, {"by": "user"}), ("knn_train", 4, {}), ("ease_train", 5, {})):
            with self.subTest(training):
                function, size, options = training
                db, chance = self.open(function, size, **options), random.Random(str(training))
                for turn in range(300):
                    if chance.random() < 0.1:
                        db.execute("BEGIN")
                        self.turn(db, chance)
                        db.execute(chance.choice(("ROLLBACK", "COMMIT")))
                    self.turn(db, chance)
                    if turn % 60 == 59:
                        self.check(db, training)

    def test_values(self):
        db = self.open()
        before = histories(db)
        for value in (1.5, "noon", b"1", 2 ** 63 - 1, 1e30):
            self.assert_error(db, "INSERT INTO m(user, item, rating, timestamp) VALUES(1, 'i1', 3, ?)", "whole number", parameters=(value,))
            db.execute("INSERT OR IGNORE INTO m(user, item, rating, timestamp) VALUES(1, 'i1', 3, ?)", (value,))
            self.assert_error(db, "UPDATE m SET timestamp = ? WHERE user = 1 AND seen = 1", "whole number", parameters=(value,))
        self.assert_error(db, "UPDATE m SET timestamp = 3 WHERE user = 1", "no rating", "seen = 1")
        self.assert_error(db, "UPDATE m SET timestamp = 3, score = 4 WHERE user = 1 AND seen = 1", "only the rating", "timestamp")
        self.assertEqual(histories(db), before)
        for given, kept in ((5.0, 5), ("7", 7), (LATEST, LATEST), (-2 ** 63, -2 ** 63)):
            db.execute("INSERT INTO m(user, item, rating, timestamp) VALUES(1, 'i1', 3, ?)", (given,))
            self.assertEqual(db.execute("SELECT timestamp FROM m WHERE user = 1 AND item = 'i1'").fetchone(), (kept,))

    def test_new_users_and_items(self):
        db = self.open()
        for user, item, time in (("new", "i1", 5), ("new", "fresh", 3), ("new", "i2", None), ("new", "i3", 5), (2, "fresh", 0)):
            db.execute("INSERT INTO m(user, item, rating, timestamp) VALUES(?, ?, 4, ?)", (user, item, time))
        self.assertEqual([row[0] for row in histories(db)["new"]], ["fresh", "i1", "i3", "i2"])
        self.assertEqual(dict((row[0], row[2]) for row in histories(db)[2])["fresh"], 0)

    def test_triggers(self):
        db = self.open()
        db.execute("CREATE TABLE plays(user, item, at)")
        db.execute("CREATE TEMP TRIGGER played AFTER INSERT ON plays BEGIN "
                   "INSERT INTO m(user, item, rating, timestamp) VALUES(new.user, new.item, 5, new.at); END")
        db.execute("INSERT INTO plays VALUES(3, 'i1', 100), (3, 'i2', 101)")
        self.assertEqual(histories(db)[3][-2 - sum(row[2] is None for row in histories(db)[3]):][:2], [("i1", 5.0, 100), ("i2", 5.0, 101)])


if __name__ == "__main__":
    unittest.main()
