"""Files that lie: no number that is read from a database sizes memory before it has been held against what is there.

Each model is a few kilobytes, and SQLite may have 64 MB in this process: where a count of millions were believed, the answer would be "out
of memory". The lie comes with a row at the end of the table that it speaks of, so that the last row bears it out."""
import sqlite3
import unittest

from support import add_ratings, connect, made_up_ratings

MILLIONS = 50_000_000

TRAININGS = {
    "mf": "SELECT mf_train('ratings', 3, '{\"epochs\": 1, \"model\": \"m\"}')",
    "bpr": "SELECT mf_train('ratings', 3, '{\"epochs\": 1, \"algorithm\": \"bpr\", \"model\": \"m\"}')",
    "item_knn": "SELECT knn_train('ratings', 4, '{\"model\": \"m\"}')",
    "user_knn": "SELECT knn_train('ratings', 4, '{\"by\": \"user\", \"model\": \"m\"}')",
    "raters": "SELECT knn_train('ratings', 4, '{\"neighbors\": \"raters\", \"model\": \"m\"}')",
    "ease": "SELECT ease_train('ratings', 9, '{\"model\": \"m\"}')",
    "baseline": "SELECT baseline_train('ratings', '{\"model\": \"m\"}')",
    "clusters": "SELECT kmeans_train('ratings', 3, '{\"model\": \"m\"}')",
    "words": "SELECT tfidf_train('SELECT DISTINCT item, ''a word '' || item || '' and '' || (item % 5) FROM ratings', "
             "'{\"ratings\": \"ratings\", \"model\": \"m\"}')",
    "latent": "SELECT tfidf_train('SELECT DISTINCT item, ''a word '' || item || '' and '' || (item % 5) FROM ratings', "
              "'{\"ratings\": \"ratings\", \"lsa\": 3, \"model\": \"m\"}')",
}

QUESTIONS = [
    "SELECT * FROM recommend({user}, 5, 'm')",
    "SELECT * FROM recommend_all(5, 'm')",
    "SELECT * FROM recommend_users({item}, 50000000, 'm')",
    "SELECT * FROM user_similar({user}, 50000000, 'm')",
    "SELECT * FROM item_similar({item}, 50000000, 'm')",
    "SELECT * FROM item_similar_all(5, 'm')",
    "SELECT * FROM recommend_neighbors('m')",
    "SELECT * FROM recommend_clusters('m')",
    "SELECT * FROM recommend_for('[{item}]', 5, 'm')",
    "SELECT * FROM recommend_explain({user}, {item}, 5, 'm')",
    "SELECT * FROM recommend_evaluate('m', 'ratings', '{{\"exclude_seen\": false}}')",
    "SELECT predict({user}, {item}, 'm')",
    "SELECT * FROM tfidf_search('a word', 5, 'm')",
    "SELECT * FROM m",
    "INSERT INTO m(user, item, rating) VALUES({user}, {item}, 3)",
    "INSERT INTO m(m) VALUES('integrity-check')",
]

# The rows that bear a lie out: the last of a dictionary.
LAST_ROW = {
    "users": "INSERT INTO m_user(idx, id, n) VALUES({last}, 'last', 0)",
    "items": "INSERT INTO m_item(idx, id, n, liked) VALUES({last}, 'last', 0, 0)",
    "terms": "INSERT INTO m_term(idx, term, df, idf) VALUES({last}, 'zzz', 1, 1.5)",
}


def hostile(sound):
    """A connection to a copy of the database. The limit, once set, holds for the process."""
    db = connect()
    sound.backup(db)
    limit = 64 << 20
    if db.execute(f"PRAGMA hard_heap_limit = {limit}").fetchone()[0] != limit:
        raise AssertionError("SQLite takes no limit of memory")
    return db


class Counts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = made_up_ratings(30, 20)
        cls.user, cls.item = cls.rows[0][:2]
        cls.sound = {}
        for name, training in TRAININGS.items():
            db = connect()
            add_ratings(db, cls.rows)
            db.execute(training)
            cls.sound[name] = db

    @classmethod
    def tearDownClass(cls):
        for db in cls.sound.values():
            db.close()

    def ask(self, db, lie):
        """Every question gets rows or an error that names the damage (or what the model can't do), never a lack of
        memory."""
        found = 0
        for question in QUESTIONS:
            sql = question.format(user=self.user, item=self.item)
            with self.subTest(lie=lie, sql=sql):
                try:
                    db.execute(sql).fetchall()
                except (sqlite3.DatabaseError, MemoryError) as error:
                    self.assertNotIsInstance(error, MemoryError)
                    self.assertNotIn("memory", str(error))
                    found += "damaged" in str(error)
        return found

    def test_no_count_is_believed(self):
        for name, sound in self.sound.items():
            keys = [key for key, value in hostile(sound).execute("SELECT key, value FROM m_config")
                    if isinstance(value, int) and not key.endswith("_stamp") and key != "format"]
            self.assertIn("users", keys)
            for key in keys:
                for value in (MILLIONS, 4096, 1):
                    db = hostile(sound)
                    db.execute("UPDATE m_config SET value = ? WHERE key = ?", (value, key))
                    if key in LAST_ROW and value == MILLIONS:
                        db.execute(LAST_ROW[key].format(last=value - 1))
                    found = self.ask(db, (name, key, value))
                    if key in ("users", "items") or (key == "terms" and name == "words"):
                        self.assertGreater(found, 0, (name, key, value))
                    db.close()

    def test_no_number_to_fold_with_is_beyond_floats(self):
        for name in ("mf", "baseline"):
            keys = [key for key, value in self.sound[name].execute(
                        "SELECT key, value FROM m_config WHERE key LIKE 'rating\\_%' ESCAPE '\\' OR key LIKE 'ranking\\_%' ESCAPE '\\'")
                    if isinstance(value, float) and not key.endswith("_mean")]
            self.assertGreater(len(keys), 7)
            found = 0
            for key in keys:
                db = hostile(self.sound[name])
                db.execute("UPDATE m_config SET value = 1e300 WHERE key = ?", (key,))
                found += self.ask(db, (name, key)) > 0
                db.close()
            self.assertGreater(found, 7 if name == "mf" else 3)

    def test_links_of_items_that_came_later(self):
        """The weights of EASE are between the items that were trained on; a hundred thousand that come later (as rows of
        a hostile file) take no room for weights of their own, and have none."""
        db = hostile(self.sound["ease"])
        items = db.execute("SELECT count(*) FROM m_item").fetchone()[0]
        db.execute("WITH RECURSIVE n(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM n WHERE n < 99999) "
                   "INSERT INTO m_item SELECT n, 'new ' || n, 0, 0 FROM n", (items,))
        db.execute("UPDATE m_config SET value = 100000 WHERE key = 'items'")
        expected = hostile(self.sound["ease"]).execute(
            "SELECT item, round(score, 6) FROM recommend(?, 3, 'm')", (self.user,)).fetchall()
        self.assertEqual(db.execute("SELECT item, round(score, 6) FROM recommend(?, 3, 'm')", (self.user,)).fetchall(),
                         expected)
        self.assertEqual(db.execute("SELECT score FROM m WHERE user = ? AND item = 'new 99999'", (self.user,)).fetchall(),
                         [(0.0,)])
        self.assertEqual(db.execute("SELECT DISTINCT similarity FROM item_similar('new 500', 4, 'm')").fetchall(), [(0.0,)])


if __name__ == "__main__":
    unittest.main()
