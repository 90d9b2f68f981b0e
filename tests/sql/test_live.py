"""The recipes of live triggers, sql/live.sql and sql/live_events.sql: whatever is done to the source, the model's histories
are what a training anew would hold."""
import json
import os
import random
import sqlite3
import unittest

from support import ROOT, TestCase, connect

CLAUSES = ("", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ABORT", "OR ROLLBACK")


def recipe(name, *replacements):
    with open(os.path.join(ROOT, "sql", name)) as file:
        script = file.read()
    for old, new in replacements:
        assert old in script, old
        script = script.replace(old, new)
    return script


class Recipe(TestCase):
    """A database, a source that statements are made up for, and a model that its triggers keep up to date."""

    def histories(self, model):
        return self.db.execute(f'SELECT typeof(user), user, typeof(item), item, rating, timestamp FROM "{model}" WHERE seen = 1 '
                               "ORDER BY user, item").fetchall()

    def train(self, model):
        """Whether there is something to train on."""
        function, size, options = self.training
        arguments = [self.source, json.dumps(dict(options, model=model))]
        if size is not None:
            arguments.insert(1, size)
        try:
            self.db.execute(f"SELECT {function}({', '.join('?' * len(arguments))})", arguments)
        except sqlite3.OperationalError as error:
            self.assertIn("no ratings to train on", str(error))
            return False
        return True

    def check(self, told):
        """The live model beside one trained now: the histories, and how many have each item."""
        there = self.train("anew")
        self.assertEqual(self.histories(self.model), self.histories("anew") if there else [], told)
        if not there:
            return
        counts = "SELECT id, n FROM {}_item WHERE n > 0 ORDER BY id"
        self.assertEqual(self.db.execute(counts.format(self.model)).fetchall(), self.db.execute(counts.format("anew")).fetchall(), told)

    def play(self, seed, turns=40):
        """Statements, some of them in transactions that are rolled back; only constraints may make one fail."""
        chance, told, outcomes = random.Random(seed), [], set()
        self.check(told)
        for turn in range(turns):
            sql, parameters = self.statement(chance)
            if not self.db.in_transaction and chance.random() < 0.2:
                self.db.execute("BEGIN")
                told.append("BEGIN")
            told.append((sql, parameters))
            try:
                self.db.execute(sql, parameters).fetchall()
                outcomes.add((sql.split()[0], sql.split()[2] if " OR " in sql[:12] else "", True))
            except sqlite3.IntegrityError:
                outcomes.add((sql.split()[0], sql.split()[2] if " OR " in sql[:12] else "", False))
            except sqlite3.Error as error:
                raise AssertionError(f"{error} {told}") from error
            if self.db.in_transaction and chance.random() < 0.3:
                told.append(chance.choice(("COMMIT", "ROLLBACK")))
                self.db.execute(told[-1])
            if turn % 5 == 4 and not self.db.in_transaction:
                self.check(told)
        if self.db.in_transaction:
            self.db.execute("COMMIT")
        self.check(told)
        self.db.execute(f"INSERT INTO {self.model}({self.model}) VALUES('integrity-check')")
        return outcomes


class Ratings(Recipe):
    """live.sql: a user and an item have one row."""

    source, model = "ratings", "ratings_mf"
    PAIR = ("CREATE TABLE ratings(userId INTEGER, movieId INTEGER, rating REAL, timestamp INTEGER, PRIMARY KEY (userId, movieId))")
    TABLES = (
        (PAIR, "OFF"), (PAIR, "ON"),
        ("CREATE TABLE ratings(userId INTEGER NOT NULL, movieId INTEGER NOT NULL, rating, timestamp INTEGER, PRIMARY KEY (movieId, userId)) "
         "WITHOUT ROWID", "ON"),
        ("CREATE TABLE ratings(userId INTEGER, movieId, rating TEXT, timestamp INTEGER UNIQUE, UNIQUE(userId, movieId))", "ON"),
        ("CREATE TABLE ratings(userId TEXT COLLATE NOCASE, movieId TEXT COLLATE NOCASE, rating REAL NOT NULL DEFAULT 3, timestamp INTEGER, "
         "UNIQUE(userId, movieId))", "ON"))
    IDS = ("1", "2", "3", "4", "5", "a", "A", "b")

    def statement(self, chance):
        pick = lambda values, odd: chance.choice(values) if chance.random() < 0.93 else chance.choice(odd)
        user, item = lambda: pick(self.ids, (None, "")), lambda: pick(self.ids, (None, ""))
        rating = lambda: pick(self.ratings, (None, "", 0))
        clause, kind = chance.choice(CLAUSES), chance.random()
        rows = chance.randint(1, 3)
        values = [value for _ in range(rows) for value in (user(), item(), rating(), chance.randint(1, 30))]
        places = ", ".join(["(?, ?, ?, ?)"] * rows)
        some = f"(rowid_of * 7 + {chance.randint(0, 99)}) % {chance.randint(2, 9)} = 0"
        some = some.replace("rowid_of", "timestamp" if chance.random() < 0.5 else "length(coalesce(movieId, '')) + unicode(movieId)")
        if kind < 0.35:
            return f"INSERT {clause} INTO ratings VALUES {places}", values
        if kind < 0.4:
            return f"REPLACE INTO ratings VALUES {places}", values
        if kind < 0.55 and "UNIQUE, UNIQUE" not in self.table:  # there an upsert can meet the other constraint, too
            pair = "movieId, userId" if "movieId, userId" in self.table else "userId, movieId"
            what = chance.choice((f"({pair}) DO UPDATE SET rating = excluded.rating", "DO NOTHING",
                                  f"({pair}) DO UPDATE SET rating = excluded.rating WHERE excluded.rating > 2",
                                  f"({pair}) DO UPDATE SET movieId = excluded.rating, rating = 2"))
            if "OR" in clause and chance.random() < 0.5:
                clause = ""
            return f"INSERT {clause} INTO ratings VALUES {places} ON CONFLICT {what}", values
        if kind < 0.85:
            what = chance.choice((("rating = ?", [rating()]), ("movieId = ?", [item()]), ("userId = ?, rating = ?", [user(), rating()]),
                                  ("rating = rating", []), ("movieId = userId, userId = movieId", []), ("timestamp = ?", [chance.randint(1, 30)]),
                                  ("movieId = movieId + 1", []) if "NOCASE" not in self.table else ("movieId = upper(movieId)", [])))
            return f"UPDATE {clause} ratings SET {what[0]} WHERE {some}", what[1]
        return f"DELETE FROM ratings WHERE {some}", []

    def start(self, table, recursive, training, script):
        self.db, self.table, self.training = self.closing(connect()), table, training
        self.db.execute("PRAGMA recursive_triggers = " + recursive)
        self.db.execute(table)
        self.ids = self.IDS if "NOCASE" in table else tuple(map(int, self.IDS[:5]))
        for place, user in enumerate(self.ids):
            for item in self.ids[place % 2::2]:
                self.db.execute("INSERT OR IGNORE INTO ratings VALUES(?, ?, ?, ?)",
                                (user, item, 1 + (place * 3 + len(str(item))) % 5, self.db.execute("SELECT count(*) + 100 FROM ratings").fetchone()[0]))
        self.assertTrue(self.train(self.model))
        self.db.executescript(script)

    def test_any_series(self):
        outcomes = set()
        als = ("mf_train", 2, {"epochs": 1, "algorithm": "als", "objective": "rating", "user": "userId", "item": "movieId", "rating": "rating"})
        for seed in range(4):
            for table, recursive in self.TABLES:
                with self.subTest((seed, table, recursive)):
                    self.ratings = (1, 2.5, 3, 4.5, 5, -1)
                    self.start(table, recursive, als, recipe("live.sql"))
                    outcomes |= self.play(seed)
        for verb in ("INSERT", "UPDATE"):  # each clause was met, both where it let through and where it raised
            for clause in CLAUSES:
                self.assertIn((verb, clause[3:], True), outcomes)
                if clause not in ("OR REPLACE", "OR IGNORE"):
                    self.assertIn((verb, clause[3:], False), outcomes)

    def test_every_family(self):
        options = {"user": "userId", "item": "movieId", "rating": "rating"}
        for training in (("mf_train", 2, {"epochs": 1, "algorithm": "ials"}), ("mf_train", 2, {"algorithm": "svd"}),
                         ("mf_train", 2, {"epochs": 1, "algorithm": "sgd", "test": 0.3}), ("knn_train", 3, {}),
                         ("knn_train", 3, {"by": "user"}), ("ease_train", 5, {}), ("baseline_train", None, {})):
            with self.subTest(training):
                self.ratings = (1, 2, 3, 0, -1)  # feedback of 0 is no entry
                self.start(self.PAIR, "OFF", (training[0], training[1], {**training[2], **options}), recipe("live.sql"))
                self.play(11)

    def test_without_ratings(self):
        """With 1 where new.rating stands."""
        self.ratings = (1, 0, None, "")
        script = recipe("live.sql", ("new.rating", "1"), ("OF userId, movieId, rating ON", "OF userId, movieId ON"))
        self.start(self.PAIR, "OFF", ("mf_train", 2, {"epochs": 1, "user": "userId", "item": "movieId", "rating": None}), script)
        self.play(12)

    def test_with_times(self):
        """As the recipe says for models that keep them."""
        self.ratings = (1, 2.5, 3, 0)
        script = recipe("live.sql", ("SET rating = new.rating\n", "SET rating = new.rating, timestamp = new.timestamp\n"),
                        ("(user, item, rating) SELECT new.userId, new.movieId, new.rating\n",
                         "(user, item, rating, timestamp) SELECT new.userId, new.movieId, new.rating, new.timestamp\n"),
                        ("OF userId, movieId, rating ON", "OF userId, movieId, rating, timestamp ON"))
        options = {"user": "userId", "item": "movieId", "rating": "rating", "history": "timed"}
        for training in (("mf_train", 2, {"epochs": 1, **options}), ("knn_train", 3, options)):
            for table, recursive in self.TABLES[1:]:
                self.start(table, recursive, training, script)
                self.play(14)

    def test_for_good(self):
        self.ratings = (1, 3, 5)
        self.start(self.PAIR, "ON", ("mf_train", 2, {"epochs": 1}), recipe("live.sql", ("CREATE TEMP", "CREATE")))
        self.db.execute("PRAGMA trusted_schema = OFF")
        self.play(13)

    def test_replace_without_recursive_triggers(self):
        """A row that REPLACE deletes by another key is unknown to triggers, unless the pragma is on, as the recipe says."""
        for recursive in ("OFF", "ON"):
            self.start(self.TABLES[3][0], recursive, ("mf_train", 2, {"epochs": 1}), recipe("live.sql"))
            time = self.db.execute("SELECT timestamp FROM ratings WHERE userId = 1 AND movieId = 3").fetchone()[0]
            self.db.execute("REPLACE INTO ratings VALUES(5, 99, 3, ?)", (time,))
            left = self.db.execute("SELECT count(*) FROM ratings_mf WHERE user = 1 AND item = 3 AND seen = 1").fetchone()[0]
            self.assertEqual(left, recursive == "OFF")


class Events(Recipe):
    """live_events.sql: they meet as often as they like."""

    source, model = "purchases", "purchases_mf"
    TABLE = "CREATE TABLE purchases(id INTEGER PRIMARY KEY, customer INTEGER, product INTEGER, quantity INTEGER)"
    TABLES = (
        TABLE, TABLE.replace("quantity INTEGER", "quantity"),
        "CREATE TABLE purchases(id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers ON DELETE CASCADE ON UPDATE CASCADE, "
        "product TEXT COLLATE NOCASE, quantity TEXT)",
        "CREATE TABLE purchases(id INTEGER PRIMARY KEY, customer TEXT COLLATE NOCASE, product, quantity REAL CHECK(quantity < 50)) WITHOUT ROWID")
    COLUMNS = {"user": "customer", "item": "product", "rating": "quantity"}

    def statement(self, chance):
        pick = lambda values, odd: chance.choice(values) if chance.random() < 0.93 else chance.choice(odd)
        customer, product = lambda: pick(self.customers, (None, "") if "REFERENCES" not in self.table else (None,)), lambda: pick(self.products, (None, ""))
        quantity = lambda: pick((1, 1, 2, 3, 0, -1, "2"), (None, "", 60))
        clause, kind = chance.choice(CLAUSES), chance.random()
        rows = chance.randint(1, 4)
        values = [value for _ in range(rows) for value in (chance.randint(1, 60), customer(), product(), quantity())]
        places = ", ".join(["(?, ?, ?, ?)"] * rows)
        some = f"(id * 7 + {chance.randint(0, 99)}) % {chance.randint(2, 12)} = 0"
        if kind < 0.3:
            return f"INSERT {clause} INTO purchases VALUES {places}", values
        if kind < 0.4:
            return f"REPLACE INTO purchases VALUES {places}", values
        if kind < 0.5:
            what = chance.choice(("(id) DO UPDATE SET quantity = quantity + excluded.quantity", "DO NOTHING",
                                  "(id) DO UPDATE SET product = excluded.product, quantity = 1"))
            return f"INSERT {clause} INTO purchases VALUES {places} ON CONFLICT {what}", values
        if kind < 0.75:
            what = chance.choice((("quantity = ?", [quantity()]), ("product = ?", [product()]), ("customer = ?, quantity = ?", [customer(), quantity()]),
                                  ("id = id + ?", [chance.randint(1, 9)]), ("quantity = quantity - 1", []), ("product = upper(product)", [])))
            return f"UPDATE {clause} purchases SET {what[0]} WHERE {some}", what[1]
        if kind < 0.8 and "REFERENCES" in self.table:
            return chance.choice((("DELETE FROM customers WHERE id = ?", [chance.choice(self.customers)]),
                                  ("INSERT OR IGNORE INTO customers VALUES(1), (2), (3), (4)", []),
                                  (f"UPDATE {clause} customers SET id = 5 - id WHERE id = ?", [chance.choice(self.customers)])))
        return f"DELETE FROM purchases WHERE {some}", []

    def start(self, table, training, script, recursive="ON"):
        self.db, self.table, self.training = self.closing(connect()), table, training
        self.db.execute("PRAGMA recursive_triggers = " + recursive)
        self.db.execute("PRAGMA foreign_keys = ON")
        self.db.execute("CREATE TABLE customers(id INTEGER PRIMARY KEY)")
        self.db.execute("INSERT INTO customers VALUES(1), (2), (3), (4)")
        self.db.execute(table)
        self.customers = ("ann", "Ann", "bob", "carl") if "customer TEXT" in table else (1, 2, 3, 4)
        self.products = ("x", "X", "y", "3") if "TEXT" in table else (1, 2, 3, "3") if "product, " in table else (1, 2, 3, 5)
        for id in range(1, 40):
            self.db.execute("INSERT INTO purchases VALUES(?, ?, ?, ?)",
                            (id, self.customers[id % 7 % 4], self.products[id % 5 % 4], 1 + id % 3))
        self.assertTrue(self.train(self.model))
        self.db.executescript(script)

    def test_any_series(self):
        outcomes = set()
        counts = ("mf_train", 2, {"algorithm": "ials", "epochs": 1, "duplicates": "sum", **self.COLUMNS})
        for seed in range(5):
            for table in self.TABLES:
                with self.subTest((seed, table)):
                    self.start(table, counts, recipe("live_events.sql"))
                    outcomes |= self.play(seed)
        for clause in CLAUSES:
            self.assertLessEqual({("INSERT", clause[3:], True), ("UPDATE", clause[3:], True)}, outcomes)
            if clause not in ("OR REPLACE", "OR IGNORE"):
                self.assertIn(("INSERT", clause[3:], False), outcomes)

    def test_other_ways_to_count(self):
        each = recipe("live_events.sql", ("sum(quantity)", "count(*)"), (" AND quantity <> ''", ""))
        mean = recipe("live_events.sql", ("sum(quantity)", "avg(quantity)"))
        for training, script in ((("mf_train", 2, {"epochs": 1, **self.COLUMNS, "rating": None}), each),
                                 (("ease_train", 5, {**self.COLUMNS, "rating": None}), each),
                                 (("mf_train", 2, {"algorithm": "als", "objective": "rating", "epochs": 1, "duplicates": "mean", **self.COLUMNS}), mean),
                                 (("knn_train", 3, {"duplicates": "sum", **self.COLUMNS}), recipe("live_events.sql"))):
            with self.subTest(training):
                self.start(self.TABLE, training, script)
                self.play(21)

    def test_for_good(self):
        self.start(self.TABLE, ("mf_train", 2, {"algorithm": "ials", "epochs": 1, "duplicates": "sum", **self.COLUMNS}),
                   recipe("live_events.sql", ("CREATE TEMP", "CREATE")))
        self.db.execute("PRAGMA trusted_schema = OFF")
        self.play(22)

    def test_the_index_is_used(self):
        """A pair is counted without a scan of the table."""
        self.start(self.TABLE, ("mf_train", 2, {"algorithm": "ials", "epochs": 1, **self.COLUMNS}), recipe("live_events.sql"))
        plan = self.db.execute("EXPLAIN QUERY PLAN SELECT quantity FROM purchase_counts WHERE customer = ? COLLATE BINARY "
                               "AND product = ? COLLATE BINARY", (1, 2)).fetchall()
        self.assertIn("SEARCH purchases USING INDEX purchases_of_pair (customer=? AND product=?)", str(plan))

    def test_replace_without_recursive_triggers(self):
        for recursive in ("OFF", "ON"):
            self.start(self.TABLE, ("mf_train", 2, {"algorithm": "ials", "epochs": 1, "duplicates": "sum", **self.COLUMNS}),
                       recipe("live_events.sql"), recursive)
            customer, product = self.db.execute("SELECT customer, product FROM purchases WHERE id = 1").fetchone()
            self.db.execute("REPLACE INTO purchases VALUES(1, 4, 99, 1)")
            self.assertEqual(self.db.execute("SELECT rating FROM purchases_mf WHERE user = ? AND item = ?", (customer, product)).fetchone()[0] ==
                             self.db.execute("SELECT sum(quantity) FROM purchases WHERE customer = ? AND product = ?", (customer, product)).fetchone()[0],
                             recursive == "ON")


class Without(TestCase):
    """What a client without the extension meets where the triggers are for good."""

    def test_a_plain_client(self):
        for name, table, source, triggers in (
                ("live.sql", Ratings.PAIR, "ratings", ("TRIGGER rating_added", "TRIGGER rating_changed", "TRIGGER rating_deleted")),
                ("live_events.sql", Events.TABLE, "purchases",
                 ("TRIGGER purchase_added", "TRIGGER purchase_changed", "TRIGGER purchase_deleted", "VIEW purchase_counts"))):
            with self.subTest(name):
                path = os.path.join(self.folder(), "app.db")
                db = self.closing(connect(path))
                db.execute(table)
                db.execute(f"INSERT INTO {source} VALUES(1, 2, 3, 4), (2, 3, 1, 5), (3, 3, 2, 6)")
                db.execute("CREATE TABLE other(a, b)")
                db.execute(f"SELECT mf_train('{source}', 2, '{{\"epochs\": 1, \"model\": \"{source}_mf\"}}')")
                db.executescript(recipe(name, ("CREATE TEMP", "CREATE")))
                plain = self.closing(sqlite3.connect(path, isolation_level=None))
                for sql in (f"INSERT INTO {source} VALUES(5, 5, 5, 5)", f"UPDATE {source} SET {'rating' if name == 'live.sql' else 'quantity'} = 1",
                            f"DELETE FROM {source}", "ALTER TABLE other RENAME TO another", "ALTER TABLE other RENAME COLUMN a TO c",
                            "ALTER TABLE other DROP COLUMN a"):
                    with self.assertRaisesRegex(sqlite3.OperationalError, "no such module: recommender"):
                        plain.execute(sql)
                plain.execute("INSERT INTO other VALUES(1, 2)")
                plain.execute("ALTER TABLE other ADD COLUMN c")
                for dropped in triggers:
                    self.assertIn(f"DROP {dropped};", recipe(name))
                    plain.execute(f"DROP {dropped}")
                plain.execute("ALTER TABLE other RENAME TO another")
                plain.execute(f"INSERT INTO {source} VALUES(5, 5, 5, 5)")

    def test_a_model_that_is_renamed(self):
        """The triggers follow it."""
        db = self.closing(connect())
        db.execute(Ratings.PAIR)
        db.execute("INSERT INTO ratings VALUES(1, 2, 3, 4), (2, 3, 1, 5)")
        db.execute("SELECT mf_train('ratings', 2, '{\"epochs\": 1}')")
        db.executescript(recipe("live.sql", ("CREATE TEMP", "CREATE")))
        db.execute("ALTER TABLE ratings_mf RENAME TO taste")
        db.execute("INSERT INTO ratings VALUES(1, 3, 4, 5)")
        self.assertEqual(db.execute("SELECT rating FROM taste WHERE user = 1 AND item = 3").fetchone(), (4.0,))


if __name__ == "__main__":
    unittest.main()
