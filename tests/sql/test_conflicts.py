"""Conflict clauses on a model: INSERT OR … and UPDATE OR … beside an ordinary table with a UNIQUE pair, which SQLite keeps."""
import random
import sqlite3
import unittest

from support import TestCase, add_ratings, connect, made_up_ratings, shadow_bytes, train, trained

ROWS = made_up_ratings()
SEEN = "SELECT user, item, rating FROM ratings_mf WHERE seen = 1 ORDER BY user, item"
CLAUSES = ("", "OR ABORT", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ROLLBACK")


class Conflicts(TestCase):
    def setUp(self):
        self.db = self.closing(trained(rank=2, rows=ROWS, epochs=1))

    def rating(self, user, item):
        return self.db.execute("SELECT rating FROM ratings_mf WHERE user = ? AND item = ? AND seen = 1", (user, item)).fetchone()

    def test_a_pair_that_is_there(self):
        user, item, rating = ROWS[0]
        for clause, after in (("", 1.5), ("OR ABORT", 2.5), ("OR REPLACE", 3.5), ("OR IGNORE", 3.5)):
            with self.subTest(clause):
                done = self.db.execute(f"INSERT {clause} INTO ratings_mf(user, item, rating) VALUES(?, ?, ?)",
                                       (user, item, after if clause != "OR IGNORE" else 5))
                self.assertEqual(self.rating(user, item), (after,))
                self.assertEqual(done.rowcount, clause != "OR IGNORE")
        before = shadow_bytes(self.db)
        for clause in ("OR FAIL", "OR ROLLBACK"):
            with self.assertRaisesRegex(sqlite3.IntegrityError, f'"ratings_mf" has a rating by user {user} of item {item} already: INSERT OR REPLACE'):
                self.db.execute(f"INSERT {clause} INTO ratings_mf(user, item, rating) VALUES(?, ?, 5)", (user, item))
        self.assertEqual(shadow_bytes(self.db), before)
        self.db.execute("REPLACE INTO ratings_mf(user, item, rating) VALUES(?, ?, 2)", (user, item))
        self.assertEqual(self.rating(user, item), (2.0,))
        self.db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")

    def test_a_pair_that_is_new(self):
        for item, clause in enumerate(CLAUSES):
            self.db.execute(f"INSERT {clause} INTO ratings_mf(user, item, rating) VALUES(7, ?, 4)", (9000 + item,))
            self.assertEqual(self.rating(7, 9000 + item), (4.0,))

    def test_held_out_pairs_are_there(self):
        db = self.db = self.closing(trained(rank=2, rows=ROWS, epochs=1, test=0.4))
        before = shadow_bytes(db)
        db.execute("INSERT OR IGNORE INTO ratings_mf(user, item, rating) SELECT user, item, 1 FROM ratings")
        self.assertEqual(shadow_bytes(db), before)

    def test_values_that_can_not_be_used(self):
        before = shadow_bytes(self.db)
        for values in ("NULL, 50, 1", "1000, NULL, 1", "1000, 9001, NULL", "1000, 9001, 'good'", "1000, 9001, x'05'",
                       "1000, 9001, 9e999", "1000, 9001, 1e300"):
            with self.subTest(values):
                for clause in CLAUSES:
                    sql = f"INSERT {clause} INTO ratings_mf(user, item, rating) VALUES({values})"
                    if clause == "OR IGNORE":
                        self.assertEqual(self.db.execute(sql).rowcount, 0)
                    else:
                        with self.assertRaises(sqlite3.IntegrityError):
                            self.db.execute(sql)
        self.db.execute("INSERT OR IGNORE INTO ratings_mf(ratings_mf, user) VALUES('forget', NULL)")
        self.assertEqual(shadow_bytes(self.db), before)
        # what is wrong with the statement itself is never skipped
        for sql in ("INSERT OR IGNORE INTO ratings_mf(user, item, rating, score) VALUES(1, 50, 1, 1)",
                    "INSERT OR IGNORE INTO ratings_mf(ratings_mf) VALUES('explode')",
                    "UPDATE OR IGNORE ratings_mf SET item = 3 WHERE user = 1000 AND seen = 1"):
            with self.assertRaises(sqlite3.OperationalError):
                self.db.execute(sql)

    def test_every_family(self):
        """What a family can't take in, OR IGNORE skips; what it has, OR IGNORE keeps."""
        self.db.execute("CREATE TABLE texts(item INTEGER PRIMARY KEY, text)")
        self.db.execute("INSERT INTO texts SELECT DISTINCT item, 'word' || (item % 7) || ' word' || (item % 5) FROM ratings")
        for name, sql, bad in (
                ("a", "SELECT knn_train('ratings', 5, '{\"model\": \"a\"}')", (1000, 9001, 1e20)),
                ("b", "SELECT knn_train('ratings', 5, '{\"model\": \"b\", \"by\": \"user\"}')", (1000, 9001, "good")),
                ("c", "SELECT ease_train('SELECT user, item FROM ratings', 5, '{\"model\": \"c\"}')", (1000, 9001, "good")),
                ("d", "SELECT baseline_train('ratings', '{\"model\": \"d\"}')", (None, 9001, 3)),
                ("e", "SELECT tfidf_train('texts', '{\"model\": \"e\", \"ratings\": \"ratings\"}')", (1000, 9001, 3))):
            with self.subTest(name):
                self.db.execute(sql)
                before = shadow_bytes(self.db, name)
                insert = f"INTO {name}(user, item, rating) VALUES(?, ?, ?)"
                for row in (ROWS[0][:2] + (1.5,), bad):
                    self.db.execute("INSERT OR IGNORE " + insert, row)
                    with self.assertRaises(sqlite3.IntegrityError):
                        self.db.execute("INSERT OR FAIL " + insert, row)
                self.assertEqual(shadow_bytes(self.db, name), before)
                self.db.execute("INSERT OR IGNORE " + insert, (4321, ROWS[0][1], 2))
                self.assertEqual(self.db.execute(f"SELECT count(*) FROM {name} WHERE user = 4321 AND seen = 1").fetchone(), (1,))

    def test_update(self):
        user, item, _ = ROWS[0]
        of_user = [row[1:] for row in ROWS if row[0] == user]
        where = "WHERE user = ? AND seen = 1"
        for clause in ("OR FAIL", "OR ROLLBACK", "OR ABORT", ""):
            with self.assertRaises(sqlite3.IntegrityError):
                self.db.execute(f"UPDATE {clause} ratings_mf SET rating = 'good' {where} AND item = ?", (user, item))
        self.db.execute(f"UPDATE OR IGNORE ratings_mf SET rating = CASE item WHEN ? THEN 'good' ELSE 1.5 END {where}", (item, user))
        self.assertEqual(self.db.execute(f"SELECT item, rating FROM ratings_mf {where} ORDER BY item", (user,)).fetchall(),
                         [(i, r if i == item else 1.5) for i, r in of_user])
        for clause in CLAUSES:  # the cell's own rating is not in the way
            self.db.execute(f"UPDATE {clause} ratings_mf SET rating = rating + 0.5 {where} AND item = ?", (user, of_user[1][0]))
        self.assertEqual(self.rating(user, of_user[1][0]), (1.5 + 0.5 * len(CLAUSES),))
        self.assert_error(self.db, "UPDATE ratings_mf SET rowid = 12345 WHERE user = 1000 AND seen = 1", "only the rating")
        self.assert_error(self.db, "UPDATE OR REPLACE ratings_mf SET rowid = rowid + 1, rating = 3 WHERE user = 1000", "only the rating")

    def test_a_model_that_is_damaged_is_no_conflict(self):
        """A row that the model's own tables refuse is an error under every clause."""
        before = shadow_bytes(self.db)
        self.db.execute("CREATE TRIGGER own BEFORE UPDATE ON ratings_mf_user BEGIN SELECT RAISE(ABORT, 'not here'); END")
        for clause in CLAUSES:
            with self.assertRaises(sqlite3.DatabaseError) as caught:
                self.db.execute(f"INSERT {clause} INTO ratings_mf(user, item, rating) VALUES(1000, 9001, 1)")
            self.assertNotIsInstance(caught.exception, sqlite3.IntegrityError)
            self.assertRegex(str(caught.exception), "damaged, or a trigger .* not here")
        self.db.execute("DROP TRIGGER own")
        self.assertEqual(shadow_bytes(self.db), before)


class Beside(TestCase):
    """Many rows at once, beside a table that SQLite keeps itself: the same rows, errors and transactions in the end."""

    INTO = {
        "": "INSERT INTO plain {} ON CONFLICT(user, item) DO UPDATE SET rating = excluded.rating",
        "OR ABORT": "INSERT INTO plain {} ON CONFLICT(user, item) DO UPDATE SET rating = excluded.rating",
    }

    def test_random_statements(self):
        rows = [(user, item, 1.0 + (user * item) % 5) for user in range(1, 9) for item in range(1, 8) if (user + item) % 3]
        db = self.closing(connect())
        add_ratings(db, rows)
        train(db, rank=2, epochs=1)
        db.execute("CREATE TABLE plain(user INTEGER NOT NULL, item INTEGER NOT NULL, rating REAL NOT NULL "
                   "CHECK(typeof(rating) = 'real' AND abs(rating) < 1e30), UNIQUE(user, item))")
        db.execute("INSERT INTO plain SELECT * FROM ratings")
        chance = random.Random(5)
        kinds = set()
        for turn in range(250):
            clause = chance.choice(CLAUSES)
            values = [(chance.choice((chance.randint(1, 9),) * 9 + (None,)), chance.choice((chance.randint(1, 8),) * 9 + (None,)),
                       chance.choice((float(chance.randint(1, 5)),) * 9 + (None, "no", 1e300))) for _ in range(chance.randint(1, 4))]
            text = "SELECT * FROM (VALUES" + ", ".join("(?, ?, ?)" for _ in values) + ") WHERE 1" if len(values) > 1 else "VALUES(?, ?, ?)"
            parameters = [value for row in values for value in row]
            in_transaction = chance.random() < 0.5
            for table in ("plain", "ratings_mf"):  # so that there are pairs that are new
                db.execute(f"DELETE FROM {table} WHERE (user * 3 + item + ?) % 4 = 0 AND rating IS NOT NULL", (turn,))
            outcomes = []
            for table, sql in (("plain", self.INTO.get(clause, f"INSERT {clause} INTO plain {{}}").format(text)),
                               ("ratings_mf", f"INSERT {clause} INTO ratings_mf(user, item, rating) {text}")):
                if in_transaction:
                    db.execute("BEGIN")
                    first = (5, 5, float(turn % 5 + 1))
                    db.execute(f"INSERT OR REPLACE INTO {table}(user, item, rating) VALUES(?, ?, ?)", first)
                try:
                    db.execute(sql, parameters)
                    outcome = db.execute("SELECT changes()").fetchone()[0]
                except sqlite3.IntegrityError:
                    outcome = "constraint"
                outcomes.append((outcome, db.in_transaction))
                if db.in_transaction:
                    db.execute("COMMIT")
            self.assertEqual(*outcomes, (turn, clause, values))
            kinds.add((clause, outcomes[0][0] == "constraint"))
            self.assertEqual(db.execute(SEEN).fetchall(), db.execute("SELECT * FROM plain ORDER BY user, item").fetchall(),
                             (turn, clause, values))
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")
        self.assertEqual(kinds, {(clause, failed) for clause in CLAUSES for failed in (False, True)} - {("OR IGNORE", True)})


if __name__ == "__main__":
    unittest.main()
