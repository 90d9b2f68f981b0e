"""recommend_retrain(): a model trained again from its source, beside one trained anew, while others write."""
import itertools
import json
import os
import sqlite3
import unittest

from support import ROOT, TestCase, add_ratings, connect, made_up_ratings, shadow_bytes, train

ROWS = made_up_ratings()
RETRAIN = "SELECT recommend_retrain(?)"
COMMAND = "INSERT INTO {0}({0}) VALUES('retrain')"


def tables(db, schema=""):
    """What models are trained from: ratings, plays without ratings, texts, and a table of numbers."""
    db.execute(f"CREATE TABLE {schema}ratings(user INTEGER, item INTEGER, rating REAL)")
    db.executemany(f"INSERT INTO {schema}ratings VALUES(?, ?, ?)", ROWS)
    db.execute(f"CREATE TABLE {schema}plays AS SELECT user, item FROM {schema}ratings WHERE rating > 2")
    db.execute(f"CREATE TABLE {schema}texts(item INTEGER PRIMARY KEY, text)")
    db.execute(f"INSERT INTO {schema}texts SELECT DISTINCT item, 'word' || (item % 7) || ' word' || (item % 5) FROM {schema}ratings")
    db.execute(f"CREATE TABLE {schema}numbers(id INTEGER PRIMARY KEY, x, y)")
    db.execute(f"INSERT INTO {schema}numbers SELECT DISTINCT user, user % 11, user % 7 FROM {schema}ratings")


def change(db, schema=""):
    """Somebody new, a new item, and less of somebody else."""
    db.execute(f"INSERT INTO {schema}ratings VALUES(5, 50, 5), (5, 9001, 1)")
    db.execute(f"DELETE FROM {schema}ratings WHERE user = 1007 AND item < 80")
    db.execute(f"INSERT INTO {schema}plays VALUES('5', 50), (5, 9001)")
    db.execute(f"INSERT INTO {schema}texts VALUES(9001, 'word1 word9')")
    db.execute(f"INSERT INTO {schema}numbers VALUES(5, 1, 2)")


# function, source, size, options of every family and of every way to be trained
WAYS = (
    [("mf_train", "ratings", 3, {"algorithm": algorithm, "epochs": 2})
     for algorithm in ("als", "ials", "sgd", "adam", "gradient", "svd", "svdpp", "nmf", "bpr", "logistic")] +
    [("mf_train", "plays", 4, {}), ("mf_train", "ratings", 3, {"test": 0.2, "seed": 9007199254740992, "objective": "rating"}),
     ("mf_train", "ratings", 2, {"history": False, "user": "item", "item": "user"}),
     ("knn_train", "ratings", 5, {}), ("knn_train", "ratings", 5, {"by": "user", "similarity": "pearson"}),
     ("knn_train", "plays", 5, {"weighting": "bm25"}), ("ease_train", "plays", 2.5, {}), ("baseline_train", "ratings", None, {}),
     ("kmeans_train", "ratings", 3, {"starts": 1}), ("kmeans_train", "plays", 3, {"starts": 1, "by": "item"}),
     ("kmeans_train", "numbers", 3, {"id": "id", "columns": ["x", "y"]}),
     ("tfidf_train", "texts", None, {}), ("tfidf_train", "texts", None, {"ratings": "ratings", "profile": "weighted"}),
     ("tfidf_train", "texts", None, {"ratings": "ratings", "lsa": 3})])


def do_train(db, function, source, size, options):
    arguments = [source, json.dumps(options)] if size is None else [source, size, json.dumps(options)]
    return json.loads(db.execute(f"SELECT {function}({', '.join('?' * len(arguments))})", arguments).fetchone()[0])


class Retrain(TestCase):
    def setUp(self):
        self.db = self.closing(connect())
        tables(self.db)

    def test_every_family(self):
        """The bytes are those of a training anew, with the same size and options."""
        for way in WAYS:
            with self.subTest(way):
                db, anew = self.closing(connect()), self.closing(connect())
                for each in (db, anew):
                    tables(each)
                before = do_train(db, *way)
                model = before["model"].split(".")[1]
                change(db)
                change(anew)
                summary = json.loads(db.execute(RETRAIN, (model,)).fetchone()[0])
                expected = do_train(anew, *way)
                self.assertEqual({**summary, "seconds": 0}, {**expected, "seconds": 0})
                self.assertEqual(set(summary["seconds"]), {"read", "fit", "store"})
                self.assertEqual(shadow_bytes(db, model), shadow_bytes(anew, model))
                db.execute(COMMAND.format(model))
                self.assertEqual(shadow_bytes(db, model), shadow_bytes(anew, model))

    def test_models_made_of_models(self):
        """Clusters of factors and factors that begin at words: what they name is read again, too."""
        for db in (self.db, self.closing(connect())):
            if db is not self.db:
                tables(db)
                change(db)
            train(db, rank=3, epochs=2)
            do_train(db, "tfidf_train", "texts", None, {"ratings": "ratings"})
            do_train(db, "kmeans_train", "ratings", 3, {"factors": "ratings_mf", "model": "groups"})
            do_train(db, "mf_train", "ratings", 2, {"item_init": "texts_tfidf", "epochs": 2, "model": "begun"})
            if db is self.db:
                change(db)
                for model in ("ratings_mf", "texts_tfidf", "groups", "begun"):
                    db.execute(RETRAIN, (model,))
        for model in ("groups", "begun"):
            self.assertEqual(shadow_bytes(self.db, model), shadow_bytes(db, model))

    def test_options(self):
        """Those that are given go before those that the model keeps, which stay otherwise."""
        db = self.db
        train(db, rank=3, epochs=2, seed=7, regularization=2, threads=1)
        given = lambda: json.loads(db.execute("SELECT given FROM recommend_models WHERE name = 'ratings_mf'").fetchone()[0])
        kept = {"epochs": 2, "seed": 7, "regularization": 2}
        self.assertEqual(given(), kept)
        for more, size in (({"epochs": 3}, 3), ({"rank": 5}, 5), ({"size": 4, "rating": None}, 4), ({"rating": "rating", "threads": 2}, 4)):
            db.execute("SELECT recommend_retrain('ratings_mf', ?)", (json.dumps(more),))
            kept.update((key, value) for key, value in more.items() if key not in ("rank", "size", "threads"))
            self.assertEqual(given(), kept)
            anew = self.closing(connect())
            tables(anew)
            train(anew, rank=size, **kept)
            self.assertEqual({**shadow_bytes(db), "config": 0}, {**shadow_bytes(anew), "config": 0})
            values = [dict(each.execute("SELECT key, value FROM ratings_mf_config WHERE key NOT IN ('trained_at', 'options', 'item_stamp', 'user_stamp')"))
                      for each in (db, anew)]
            self.assertEqual(*values)
        before = shadow_bytes(db)
        for options, *fragments in (('{"epoch": 3}', '"epoch"', '"epochs"'),
                                    ('{"epochs": "many"}', '"epochs"'), ("[3]", "object"), ("{", "JSON"),
                                    ('{"model": "other"}', '"ratings_mf"', "keeps its name"), ('{"rank": 2, "size": 3}', "the same"),
                                    ('{"rank": 0}', "rank"), ('{"rank": "3"}', "number"), ('{"epochs": 1, "epochs": 2}', "twice")):
            self.assert_error(db, "SELECT recommend_retrain('ratings_mf', ?)", *fragments, parameters=(options,))
        self.assertEqual(shadow_bytes(db), before)
        for options in (None, "", "{}"):
            db.execute("SELECT recommend_retrain('ratings_mf', ?)", (options,))
            self.assertEqual(shadow_bytes(db), before)

    def test_options_of_a_created_table(self):
        self.db.execute("CREATE VIRTUAL TABLE taste USING recommender(train=mf, source=ratings, size=3, options='{\"epochs\": 2}')")
        train(self.db, rank=3, epochs=2)
        self.db.execute(RETRAIN, ("taste",))
        self.assertEqual(shadow_bytes(self.db, "taste"), shadow_bytes(self.db))

    def test_a_select_is_not_run(self):
        db = self.db
        train(db, "SELECT user, item, rating FROM ratings", 3, model="taste", epochs=2)
        before = shadow_bytes(db, "taste")
        for sql in (RETRAIN.replace("?", "'taste'"), COMMAND.format("taste")):
            message = self.assert_error(db, sql, '"taste"', "SELECT, which is not run again", 'CREATE VIEW "taste_source" AS SELECT')
        self.assertEqual(shadow_bytes(db, "taste"), before)
        db.execute("CREATE VIEW taste_source AS SELECT user, item, rating FROM ratings")  # what the message says
        self.assertIn("SELECT mf_train('taste_source', …, '{\"model\": \"taste\"}')", message)
        db.execute("SELECT mf_train('taste_source', 3, '{\"model\": \"taste\"}')")
        db.execute(RETRAIN, ("taste",))
        do_train(db, "tfidf_train", "texts", None, {"model": "words", "ratings": "SELECT * FROM ratings"})
        self.assert_error(db, RETRAIN, '"ratings" is a SELECT', "view", parameters=("words",))
        # One that is given now is the caller's own. It is stored, and not run again either.
        options = json.dumps({"ratings": "SELECT user, item, rating FROM ratings WHERE rating > 2"})
        db.execute("SELECT recommend_retrain('words', ?)", (options,))
        self.assertEqual(db.execute("SELECT count(*) FROM words WHERE seen = 1").fetchone()[0], sum(row[2] > 2 for row in ROWS))
        self.assert_error(db, RETRAIN, '"ratings" is a SELECT', parameters=("words",))
        db.execute("SELECT recommend_retrain('words', '{\"ratings\": \"ratings\"}')")
        db.execute(RETRAIN, ("words",))

    def test_only_the_user_may(self):
        """Neither a view nor a trigger of the file."""
        train(self.db, rank=2, epochs=1)
        for trusted in ("ON", "OFF"):
            self.db.execute(f"PRAGMA trusted_schema = {trusted}")
            self.db.execute("CREATE VIEW again AS SELECT recommend_retrain('ratings_mf')")
            self.assert_error(self.db, "SELECT * FROM again", "unsafe use of recommend_retrain()")
            self.db.execute("DROP VIEW again")
            self.db.execute("CREATE TRIGGER again AFTER INSERT ON plays BEGIN SELECT recommend_retrain('ratings_mf'); END")
            self.assert_error(self.db, "INSERT INTO plays VALUES(1, 2)", "unsafe use of recommend_retrain()")
            self.db.execute("DROP TRIGGER again")

    def test_which_model(self):
        db = self.db
        self.assert_error(db, RETRAIN, "there is no model yet", parameters=("ratings_mf",))
        train(db, rank=2, epochs=1)
        for argument, *fragments in ((None, "name a model", "recommend_retrain('ratings_mf')"), ("rating_mf", "rating_mf", "main.ratings_mf"),
                                     ("ratings", "no model"), ("ratings_mf\0x", "NUL"), ("", "no model")):
            self.assert_error(db, RETRAIN, *fragments, parameters=(argument,))
        self.assert_error(db, "SELECT recommend_retrain('ratings_mf', '{}' || char(0))", "options", "NUL")
        db.execute("DROP TABLE ratings")
        self.assert_error(db, RETRAIN, "ratings", parameters=("ratings_mf",))

    def test_schemas(self):
        """Each model is trained from what lies beside it, or where it was trained from, whatever else is called so."""
        db = self.db
        db.execute("ATTACH ':memory:' AS \"the \"\" other\"")
        other = '"the "" other".'
        tables(db, other)
        db.execute(f"DELETE FROM {other}ratings WHERE rating < 3")
        train(db, rank=2, epochs=1)
        train(db, 'the " other.ratings', rank=2, epochs=1)
        train(db, 'the " other.ratings', rank=2, epochs=1, model='main.far')
        train(db, "ratings", rank=2, epochs=1, model="temp.ratings_mf")
        do_train(db, "kmeans_train", 'the " other.ratings', 2, {"factors": 'the " other.ratings_mf', "starts": 1})
        do_train(db, "kmeans_train", 'the " other.ratings', 2, {"factors": "ratings_mf", "starts": 1, "model": 'the " other.groups'})
        counts = lambda: {(schema, name): ratings for schema, name, ratings in (
            (schema, name, db.execute('SELECT value FROM "{}"."{}_config" WHERE key = \'ratings\''.format(schema.replace('"', '""'), name)).fetchone()[0])
            for schema, name in db.execute("SELECT schema, name FROM recommend_models"))}
        self.assertEqual(db.execute("SELECT schema, name, source FROM recommend_models ORDER BY 1, 2").fetchall(), [
            ("main", "far", 'the " other.ratings'), ("main", "ratings_mf", "ratings"), ("temp", "ratings_mf", "ratings"),
            ('the " other', "groups", 'the " other.ratings'), ('the " other', "ratings_kmeans", 'the " other.ratings'),
            ('the " other', "ratings_mf", 'the " other.ratings')])
        before = counts()
        change(db, other)
        for schema, name in before:
            db.execute(RETRAIN, (schema + "." + name,))
        liked = db.execute(f"SELECT count(*) FROM {other}ratings").fetchone()[0]
        self.assertEqual(counts(), {(schema, name): liked if schema[0] == "t" and schema != "temp" or name == "far" else len(ROWS)
                                    for schema, name in before})
        db.execute(RETRAIN, ('the " other.groups',))  # once more, since its factors are new
        # the factors beside the clusters, not those of the same name in main
        fresh = self.closing(connect())
        tables(fresh)
        fresh.execute("DELETE FROM ratings WHERE rating < 3")
        change(fresh)
        train(fresh, rank=2, epochs=1)
        do_train(fresh, "kmeans_train", "ratings", 2, {"factors": "ratings_mf", "starts": 1, "model": "groups"})
        mine, its = shadow_bytes(db, "groups", 'the "" other'), shadow_bytes(fresh, "groups")
        self.assertEqual({**mine, "config": 0}, {**its, "config": 0})
        db.execute(RETRAIN, ("ratings_mf",))  # a name alone means the first: main's
        self.assertEqual(counts()["main", "ratings_mf"], len(ROWS))

    def test_read_only(self):
        path = os.path.join(self.folder(), "read.db")
        self.db.execute("SELECT mf_train('ratings', 2, '{\"epochs\": 1}')")
        self.db.execute("VACUUM INTO ?", (path,))
        readonly = self.closing(connect(f"file:{path}?mode=ro", uri=True))
        message = self.assert_error(readonly, RETRAIN, "read-only", parameters=("ratings_mf",))
        self.assertNotIn("option", message)  # it is to stay where it is

    def test_rollback(self):
        train(self.db, rank=2, epochs=1)
        before = shadow_bytes(self.db)
        self.db.execute("BEGIN")
        change(self.db)
        self.db.execute(RETRAIN, ("ratings_mf",))
        self.assertNotEqual(shadow_bytes(self.db), before)
        self.db.execute("ROLLBACK")
        self.assertEqual(shadow_bytes(self.db), before)
        self.db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")

    def test_json(self):
        train(self.db, rank=2, epochs=1)
        self.assertEqual(self.db.execute("SELECT json_type(json_array(recommend_retrain('ratings_mf')), '$[0]')").fetchone(), ("object",))


class Writers(TestCase):
    """Two connections: what the second may write while the first trains again. It tries from the first's progress handler."""

    def setUp(self):
        self.path = os.path.join(self.folder(), "two.db")
        self.db = self.closing(connect(self.path))
        add_ratings(self.db, ROWS)
        self.db.execute("CREATE TABLE log(x)")
        train(self.db, rank=8, epochs=600, threads=1)

    def attempts(self, sql, write):
        """Whether each write of the second connection went through. One is tried at least twice in each tick of a training,
        which is worth 200 opcodes: so a fast machine, which has few ticks, still has many of them."""
        outcomes = []
        other = self.closing(connect(self.path, timeout=0))

        def handler():
            try:
                write(other)
                outcomes.append(True)
            except sqlite3.OperationalError as error:
                self.assertIn("locked", str(error))
                outcomes.append(False)

        self.db.set_progress_handler(handler, 100)
        self.db.execute(sql).fetchall()
        self.db.set_progress_handler(None, 0)
        return outcomes

    def test_others_write(self):
        for mode in ("delete", "wal"):
            with self.subTest(mode):
                self.db.execute(f"PRAGMA journal_mode = {mode}")
                log = lambda other: other.execute("INSERT INTO log VALUES(1)")
                trained = self.attempts("SELECT recommend_retrain('ratings_mf', '{\"threads\": 1}')", log)
                runs = [(went, len(list(run))) for went, run in itertools.groupby(trained)]
                if mode == "wal":  # from the first moment until it stores
                    self.assertTrue(runs[0][0])
                    self.assertLess(sum(length for went, length in runs[1:] if went), 3)
                self.assertGreater(max(length for went, length in runs if went), 1)  # else when it has read the source
                commanded = self.attempts("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')", log)
                self.assertGreater(len(commanded), 3)
                self.assertLess(sum(commanded), 3)  # before it has begun
                self.db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")

    def test_models_made_of_others(self):
        """Those read ratings and a model before they learn, and hold neither."""
        self.db.execute("CREATE TABLE texts(item INTEGER PRIMARY KEY, text)")
        self.db.execute("INSERT INTO texts SELECT DISTINCT item, 'word' || (item % 7) || ' word' || (item % 5) FROM ratings")
        do_train(self.db, "kmeans_train", "ratings", 20, {"factors": "ratings_mf", "starts": 100, "threads": 1, "model": "groups"})
        do_train(self.db, "tfidf_train", "texts", None, {"ratings": "ratings", "word2vec": 16, "epochs": 300, "threads": 1, "model": "words"})
        do_train(self.db, "mf_train", "ratings", 8, {"item_init": "words", "epochs": 300, "threads": 1, "model": "begun"})
        for model in ("groups", "words", "begun"):
            with self.subTest(model):
                outcomes = self.attempts(f"SELECT recommend_retrain('{model}', '{{\"threads\": 1}}')",
                                         lambda other: other.execute("INSERT INTO log VALUES(1)"))
                self.assertGreater(max(len(list(run)) for went, run in itertools.groupby(outcomes) if went), 1)

    def test_ratings_that_come_meanwhile(self):
        """They are in the table and not in the model, which the summary says; an UPDATE as they are brings them in."""
        self.db.execute("PRAGMA journal_mode = wal")
        with open(os.path.join(ROOT, "sql", "live.sql")) as file:
            script = file.read().replace("userId", "user").replace("movieId", "item")
        other = self.closing(connect(self.path, timeout=0))
        other.executescript(script)
        read = []  # the rows that the training has read
        self.db.create_function("reading", 1, lambda row: read.append(row) or 1)
        self.db.execute("CREATE TEMP VIEW rows AS SELECT user, item, rating FROM ratings WHERE reading(rowid)")
        train(self.db, "rows", rank=8, epochs=50, model="main.ratings_mf")

        def handler():
            if len(read) == len(ROWS):
                read.append(None)
                other.execute("INSERT INTO ratings VALUES(77, 50, 5), (78, 53, 4)")

        summaries = []
        for calls in (0, 1):
            read.clear()
            self.db.set_progress_handler(handler if calls else None, 20)
            summaries.append(json.loads(self.db.execute("SELECT recommend_retrain('ratings_mf', '{\"threads\": 1}')").fetchone()[0]))
            self.db.set_progress_handler(None, 0)
        self.assertEqual(len(read), len(ROWS) + 1)
        seen = "SELECT user, item, rating FROM ratings_mf WHERE user IN (77, 78) AND seen = 1 ORDER BY user"
        self.assertEqual(summaries[0]["hints"], [])
        self.assertIn("written to while it was trained", summaries[1]["hints"][0])
        self.assertEqual(self.db.execute(seen).fetchall(), [])
        other.execute("UPDATE ratings SET rating = rating WHERE user >= 77")
        self.assertEqual(self.db.execute(seen).fetchall(), [(77, 50, 5.0), (78, 53, 4.0)])

    def test_somebody_is_forgotten_meanwhile(self):
        """They must not come back with what was read before: neither trained again nor replaced by a training."""
        self.db.execute("PRAGMA journal_mode = wal")
        read = []
        self.db.create_function("reading", 1, lambda row: read.append(row) or 1)
        self.db.execute("CREATE TEMP VIEW rows AS SELECT user, item, rating FROM ratings WHERE reading(rowid)")
        train(self.db, "rows", rank=8, epochs=20, model="main.ratings_mf")
        other, forget = self.closing(connect(self.path, timeout=0)), [None]

        def handler():
            if len(read) >= len(ROWS) and forget:
                other.execute(f"INSERT INTO ratings_mf(ratings_mf, {forget[0]}) VALUES('forget', ?)", (forget[1],))
                forget.clear()

        for sql in ("SELECT recommend_retrain('ratings_mf')", "SELECT mf_train('rows', 8, '{\"model\": \"main.ratings_mf\"}')",
                    "SELECT * FROM mf_train('rows', 8, '{\"model\": \"main.ratings_mf\", \"epochs\": 9}')"):
            for side, id in (("user", ROWS[0][0]), ("item", ROWS[0][1])):
                if "*" in sql and side == "item":
                    continue
                with self.subTest((sql, side)):
                    self.db.execute(RETRAIN, ("ratings_mf",))
                    read.clear()
                    forget[:] = side, id
                    self.db.set_progress_handler(handler, 20)
                    with self.assertRaises(sqlite3.Error) as caught:
                        self.db.execute(sql).fetchall()
                    self.db.set_progress_handler(None, 0)
                    self.assertEqual(forget, [])
                    if "*" not in sql:  # whose read transaction is too old then
                        self.assertIn("was forgotten while it was trained", str(caught.exception))
                    self.assertEqual(self.db.execute(f"SELECT count(*) FROM ratings_mf_{side} WHERE id = ?", (id,)).fetchone(), (0,))

    def test_somebody_is_forgotten_between_rows(self):
        """By the connection that trains: a grid search stores what it has read before its first row."""
        train(self.db, "ratings", rank=4, epochs=2)
        for sql in ("SELECT * FROM mf_train('ratings', 4, '{\"epochs\": 3}')",
                    "SELECT * FROM recommend_grid_search('mf_train', 'ratings', '{\"rank\": [2, 3, 4]}', '{\"model\": \"ratings_mf\"}')"):
            for side, id in (("user", ROWS[0][0]), ("item", ROWS[0][1])):
                with self.subTest((sql, side)):
                    self.db.execute(RETRAIN, ("ratings_mf",))
                    rows = self.db.execute(sql)
                    rows.fetchone()
                    self.db.execute("SELECT recommend_forget(?, ?)", (side, id)).fetchall()
                    with self.assertRaises(sqlite3.Error) as caught:
                        rows.fetchall()
                    self.assertIn("was forgotten while it was trained", str(caught.exception))
                    self.assertEqual(self.db.execute(f"SELECT count(*) FROM ratings_mf_{side} WHERE id = ?", (id,)).fetchone(), (0,))

    def test_a_model_that_goes_meanwhile(self):
        self.db.execute("PRAGMA journal_mode = wal")
        other, left = self.closing(connect(self.path, timeout=0)), [3]

        def handler():
            left[0] -= 1
            if left[0] == 0:
                other.execute("DROP TABLE ratings_mf")

        self.db.set_progress_handler(handler, 1000)
        self.assert_error(self.db, "SELECT recommend_retrain('ratings_mf', '{\"threads\": 1}')", "ratings_mf")
        self.db.set_progress_handler(None, 0)
        self.assertEqual(self.db.execute("SELECT name FROM sqlite_schema WHERE name LIKE '%mf%'").fetchall(), [])


if __name__ == "__main__":
    unittest.main()
