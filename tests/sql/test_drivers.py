"""What drivers bind: JavaScript (better-sqlite3, node:sqlite, Deno) and R hand every number over as a REAL. A whole number is
one however it comes, and an id finds what the same comparison in SQL finds."""
import json
import unittest

from support import TestCase, add_ratings, connect, documents, made_up_ratings, rated, train, train_text

ROWS = made_up_ratings()

# Each with a place for a whole number, at the end of the arguments that it needs.
COUNTS = (
    "SELECT * FROM recommend(1007, ?, 'ratings_mf')",
    "SELECT * FROM recommend(1, ?, 'ratings_mf')",
    "SELECT * FROM recommend_all(?, 'ratings_mf')",
    "SELECT * FROM recommend_for('[50, 53]', ?, 'ratings_mf')",
    "SELECT * FROM recommend_users(50, ?, 'ratings_mf')",
    "SELECT * FROM recommend_explain(1007, 50, ?, 'ratings_mf')",
    "SELECT * FROM item_similar(50, ?, 'ratings_mf')",
    "SELECT * FROM item_similar(50, 5, 'ratings_mf', ?)",
    "SELECT * FROM item_similar_all(?, 'ratings_mf')",
    "SELECT * FROM user_similar(1007, ?, 'ratings_mf')",
    "SELECT * FROM tfidf_search('the fox', ?, 'documents_tfidf')",
    "SELECT fold, users, items, trained, tested, cold, rmse FROM recommend_cross_validate('baseline_train', 'ratings', ?)",
    "SELECT recommend_split(?, 1, 'a')",
)
# Each with a place for an id.
IDS = (
    "SELECT * FROM recommend(?, 3, 'm')",
    "SELECT * FROM recommend_explain(?, 50, 3, 'm')",
    "SELECT * FROM user_similar(?, 3, 'm')",
    "SELECT predict(?, 50, 'm')",
    "SELECT user, score FROM m WHERE user = ? AND item = 50",
    "SELECT user, item, score FROM m WHERE user IN (?, 1014) AND seen = 0 ORDER BY user, score DESC LIMIT 9",
)
ITEMS = (
    "SELECT * FROM item_similar(?, 3, 'm')",
    "SELECT * FROM recommend_users(?, 3, 'm')",
    "SELECT * FROM recommend_explain(1007, ?, 3, 'm')",
    "SELECT predict(1007, ?, 'm')",
    "SELECT item, score FROM m WHERE user = 1007 AND item IN (?, 53)",
    "SELECT rank, item FROM recommend(1007) WHERE item IN (?, 53)",
    "SELECT * FROM recommend_for(json_array(?), 3, 'm')",
)


class WholeNumbers(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = documents(["the red fox", "a blue fox", "the house"])
        train_text(cls.db)
        add_ratings(cls.db, ROWS)
        train(cls.db)

    def test_as_real_and_as_text(self):
        for sql in COUNTS:
            expected = self.db.execute(sql, (2,)).fetchall()
            self.assertTrue(expected, sql)
            self.assertEqual(self.db.execute(sql, (2.0,)).fetchall(), expected, sql)
            if "cross_validate" not in sql:  # where a text names a column
                self.assertEqual(self.db.execute(sql, ("2",)).fetchall(), expected, sql)

    def test_what_is_none(self):
        for sql in COUNTS:
            for value in (2.5, 1e300, float("inf"), "x", b"2", -1.5):
                self.assert_error(self.db, sql, parameters=(value,))
        for sql in COUNTS[:11]:
            if "item_similar(50, 5" in sql:
                continue
            self.assert_error(self.db, sql, "k must be a whole number from 0, not 3.5", parameters=(3.5,))
            self.assert_error(self.db, sql, "k must be a whole number from 0", parameters=(-3.0,))
            # NumPy's integers come as their bytes.
            self.assert_error(self.db, sql, "k must be a whole number from 0, not x'03000000'", parameters=(b"\3\0\0\0",))
        self.assert_error(self.db, "SELECT recommend_split(0.5, 1)", "the seed must be a whole number")

    def test_seeds_are_the_same(self):
        for seed in (0, 42, -7, 2 ** 53, -(2 ** 63)):
            self.assertEqual(*self.db.execute("SELECT recommend_split(?, 3), recommend_split(?, 3)", (seed, float(seed))).fetchone())

    def test_limit_seen_and_rowid(self):
        sql = "SELECT rowid, item, score FROM ratings_mf WHERE user = ? AND seen = ? ORDER BY score DESC LIMIT ? OFFSET ?"
        expected = self.db.execute(sql, (1007, 0, 3, 1)).fetchall()
        self.assertEqual(self.db.execute(sql, (1007.0, 0.0, 3.0, 1.0)).fetchall(), expected)
        rowid = expected[0][0]
        for value in (rowid, float(rowid), str(rowid)):
            self.assertEqual(self.db.execute("SELECT item FROM ratings_mf WHERE rowid = ?", (value,)).fetchall(), [expected[0][1:2]])
        self.assertEqual(self.db.execute("SELECT item FROM ratings_mf WHERE rowid = ?", (rowid + 0.5,)).fetchall(), [])

    def test_in_options(self):
        sql = "SELECT metric, k, value FROM recommend_evaluate('ratings_mf', 'ratings', ?)"
        whole, real = ('{"exclude_seen": false, "k": [3, 10], "threads": 1}', '{"exclude_seen": false, "k": [3.0, 1e1], "threads": 1.0}')
        self.assertEqual(self.db.execute(sql, (real,)).fetchall(), self.db.execute(sql, (whole,)).fetchall())
        self.assert_error(self.db, sql, '"k" must be an integer', parameters=('{"k": [3.5]}',))
        for function, size in (("mf_train", 3), ("knn_train", 3), ("kmeans_train", 3)):
            for arguments in (("ratings", float(size), '{"model": "m", "seed": 7.0}'), ("ratings", size, '{"model": "m", "seed": 7}')):
                summary = json.loads(self.db.execute(f"SELECT {function}(?, ?, ?)", arguments).fetchone()[0])
                summary.pop("seconds")
                factors = self.db.execute("SELECT value FROM m_config WHERE key = 'item_stamp'").fetchall()
                self.db.execute("DROP TABLE m")
                if arguments[1] is not size:
                    expected = summary, factors
            self.assertEqual((summary, factors), expected)
            self.assert_error(self.db, f"SELECT {function}('ratings', 3.5)", "whole number")
        one = train_text(self.db, ngram_range=[1.0, 2.0], min_df=1.0, max_features=5.0, model="m")
        two = train_text(self.db, ngram_range=[1, 2], min_df=1, max_features=5, model="m")
        one.pop("seconds"), two.pop("seconds")
        self.assertEqual(one, two)


class Ids(TestCase):
    def model(self, user, item, convert=lambda id: id):
        db = connect()
        add_ratings(db, [(convert(u), convert(i), r) for u, i, r in ROWS], user=user, item=item)
        train(db, model="m")
        return db

    def test_a_real_finds_the_integer(self):
        for affinity in ("INTEGER", "BLOB", "", "NUMERIC", "REAL", "ANY"):
            for convert in (int, float):
                db = self.model(affinity, affinity, convert)
                for queries, id in ((IDS, 1007), (ITEMS, 50)):
                    for sql in queries:
                        expected = db.execute(sql, (id,)).fetchall()
                        self.assertTrue(expected and expected[0][0] is not None, (affinity, sql))
                        self.assertEqual(db.execute(sql, (float(id),)).fetchall(), expected, (affinity, sql))

    def test_text_columns_compare_as_sqlite_does(self):
        """In a column of TEXT 1007.0 is '1007.0', for SQLite as for us: there ids are bound as texts."""
        db = self.model("TEXT", "TEXT", str)
        for id in (1007, 1007.0, "1007"):
            there = db.execute("SELECT count(*) > 0 FROM ratings WHERE user = ?", (id,)).fetchone()[0]
            self.assertEqual(db.execute("SELECT predict(?, '50') IS NOT NULL", (id,)).fetchone()[0], there)
            self.assertEqual(db.execute("SELECT count(*) > 0 FROM m WHERE user = ?", (id,)).fetchone()[0], there)
            self.assertEqual(db.execute("SELECT reason FROM recommend(?, 1)", (id,)).fetchone()[0] == "model", there)

    def test_ratings_that_are_written(self):
        for affinity in ("INTEGER", "", "BLOB"):
            one, other = self.model(affinity, affinity), self.model(affinity, affinity)
            one.execute("INSERT INTO m(user, item, rating) VALUES(?, ?, ?)", (1007.0, 80.0, 4))
            one.execute("INSERT INTO m(user, item, rating) VALUES(?, ?, ?)", (99.0, 50.0, 4))
            one.execute("INSERT INTO m(m, user) VALUES('forget', ?)", (1014.0,))
            other.execute("INSERT INTO m(user, item, rating) VALUES(1007, 80, 4), (99, 50, 4)")
            other.execute("INSERT INTO m(m, user) VALUES('forget', 1014)")
            cells = "SELECT user, typeof(user), item, score, rating FROM m WHERE user IN (99, 1007, 1014) ORDER BY user, item"
            got = one.execute(cells).fetchall()
            self.assertEqual(len({row[0] for row in got}), 2)
            self.assertEqual(got, other.execute(cells).fetchall())

    def test_folds_of_a_column(self):
        db = rated()
        columns = "SELECT fold, tested, rmse FROM recommend_cross_validate('baseline', ?, 'fold')"
        sources = [f"SELECT user, item, rating, {fold} AS fold FROM ratings" for fold in ("user % 3", "(user % 3) * 1.0")]
        self.assertEqual(*(db.execute(columns, (source,)).fetchall() for source in sources))


if __name__ == "__main__":
    unittest.main()
