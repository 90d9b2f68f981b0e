"""predict() where the user or the item is unknown: NULL, or by the option "cold_start" the mean and the bias that is known."""
import json
import unittest

import numpy as np

from reference import evaluate
from support import TestCase, connect, made_up_ratings, rated, train

ROWS = made_up_ratings()
UNKNOWN = [(1007, "new"), (-1, 50), (-1, "new")]
MODELS = [("mf_train", 4, {}), ("mf_train", 4, {"objective": "rating"}), ("mf_train", 4, {"biases": False}), ("mf_train", 4, {"objective": "ranking"}),
          ("mf_train", 3, {"algorithm": "sgd", "epochs": 3}), ("mf_train", 3, {"algorithm": "svdpp", "epochs": 2}),
          ("mf_train", 3, {"algorithm": "nmf", "epochs": 3}), ("mf_train", 3, {"algorithm": "svd"}), ("mf_train", 3, {"algorithm": "svd", "center": "item"}),
          ("knn_train", 5, {}), ("knn_train", 5, {"by": "user", "center": "mean"}), ("knn_train", 5, {"center": "none"}),
          ("knn_train", 5, {"neighbors": "raters", "center": "zscore"}), ("kmeans_train", 3, {}), ("kmeans_train", 3, {"by": "item"})]
MODELS += [("baseline_train", None, {"method": method}) for method in ("bias", "global", "user", "item")]


def fit(db, function, size, options):
    if size is None:
        db.execute(f"SELECT {function}('ratings', ?)", (json.dumps(dict(options, model="m")),))
    else:
        train(db, "ratings", size, function, model="m", **options)


def biases(db, side, head):
    return {row[0]: row[1] for row in db.execute("SELECT id, bias FROM recommend_factors('m', ?, ?)", (side, head)).fetchall()}


class ColdStart(TestCase):
    def expected(self, db, options, user, item):
        config = dict(db.execute("SELECT key, value FROM m_config"))
        head = config["prediction_head"]
        if not config[head + "_biases"]:
            return np.mean([row[2] for row in ROWS])
        if options.get("algorithm") == "svd":  # its biases are the users' means, or the items'
            side, id = ("item", item) if options.get("center") == "item" else ("user", user)
            return biases(db, side, head).get(id, np.mean([row[2] for row in ROWS]))
        value = config[head + "_mean"] + biases(db, "user", head).get(user, 0) + biases(db, "item", head).get(item, 0)
        return min(5, max(1, value))

    def test_every_family_that_predicts(self):
        for function, size, options in MODELS:
            db = self.closing(rated(ROWS))
            fit(db, function, size, options)
            self.assertEqual([db.execute("SELECT predict(?, ?, 'm')", pair).fetchone()[0] for pair in UNKNOWN], [None] * 3)
            known = db.execute("SELECT user, item, prediction, score FROM m ORDER BY 1, 2").fetchall()
            fit(db, function, size, dict(options, cold_start="estimate"))
            # What is known stays as it is, and the table has rows of what is known.
            self.assertEqual(db.execute("SELECT user, item, prediction, score FROM m ORDER BY 1, 2").fetchall(), known)
            self.assertEqual(db.execute("SELECT predict(1007, 50, 'm')").fetchone()[0], {row[:2]: row[2] for row in known}[1007, 50])
            self.assertEqual(db.execute("SELECT count(*) FROM m WHERE user = -1").fetchone(), (0,))
            for user, item in UNKNOWN:
                got = db.execute("SELECT predict(?, ?, 'm')", (user, item)).fetchone()[0]
                self.assertAlmostEqual(got, self.expected(db, options, user, item), delta=2e-5, msg=(function, options, user, item))
                # recommend_evaluate takes the model at its word, unless it is told otherwise.
                db.execute("CREATE TEMP TABLE asked(user, item, rating)")
                db.execute("INSERT INTO asked VALUES(?, ?, 3)", (user, item))
                self.assertAlmostEqual(evaluate(db, "m", "asked")["mae", None][0], abs(got - 3), delta=1e-6)
                self.assertEqual(evaluate(db, "m", "asked", '{"cold_start": "drop"}')["mae", None], (None, 0))
                db.execute("DROP TABLE asked")
            self.assertEqual(db.execute("SELECT predict(NULL, 50, 'm'), predict(1007, NULL, 'm')").fetchone(), (None, None))

    def test_it_stays(self):
        """With live writes, a new name, another connection, retrain."""
        path = self.folder() + "/m.db"
        db = self.closing(connect(path))
        db.execute("CREATE TABLE ratings(user, item, rating)")
        db.executemany("INSERT INTO ratings VALUES(?, ?, ?)", ROWS)
        train(db, "ratings", 4, model="m", cold_start="estimate")
        before = db.execute("SELECT predict(-1, 50)").fetchone()[0]
        db.execute("INSERT INTO m(user, item, rating) VALUES(-1, 53, 5)")
        self.assertNotEqual(db.execute("SELECT predict(-1, 50)").fetchone()[0], before)
        db.execute("INSERT INTO m(m, user) VALUES('forget', -1)")
        db.execute("ALTER TABLE m RENAME TO n")
        other = self.closing(connect(path))
        self.assertEqual(other.execute("SELECT predict(-1, 50)").fetchone()[0], before)
        db.execute("INSERT INTO n(n) VALUES('retrain')")
        self.assertEqual(other.execute("SELECT predict(-1, 50)").fetchone()[0], before)
        for unknown in ("null", '"null"'):  # JSON's, and the text
            db.execute("SELECT recommend_retrain('n', '{\"cold_start\": \"estimate\"}')")
            self.assertEqual(other.execute("SELECT predict(-1, 50)").fetchone()[0], before)
            db.execute("SELECT recommend_retrain('n', ?)", ('{"cold_start": %s}' % unknown,))
            self.assertEqual(other.execute("SELECT predict(-1, 50)").fetchone(), (None,))

    def test_wrong(self):
        db = self.closing(rated(ROWS))
        db.execute("CREATE VIEW plays AS SELECT user, item FROM ratings")
        estimate = '{"cold_start": "estimate"}'
        for call in ("knn_train('plays', 3, ?)", "kmeans_train('plays', 3, ?)", "baseline_train('plays', ?)"):
            self.assert_error(db, "SELECT " + call, "no ratings to be estimated", "cold_start", "rating", parameters=(estimate,))
        self.assert_error(db, "SELECT mf_train('plays', 3, ?)", "cold_start", "ials", parameters=(estimate,))
        for call in ("ease_train('ratings', 3, ?)", "tfidf_train('ratings', ?)"):
            self.assert_error(db, "SELECT " + call, "cold_start", parameters=(estimate,))
        self.assert_error(db, "SELECT mf_train('ratings', 3, '{\"cold_start\": \"drop\"}')", "cold_start", "null", "estimate")
        # A stored model that says what it can't.
        db.execute("SELECT ease_train('ratings', 3, '{\"model\": \"m\"}')")
        db.execute("UPDATE m_config SET value = 1 WHERE key = 'cold_start'")
        self.assert_error(db, "SELECT predict(1, 2, 'm')", "damaged")
        for value in (2, -1, "estimate", None, 0.5):
            db.execute("UPDATE m_config SET value = ? WHERE key = 'cold_start'", (value,))
            self.assert_error(db, "SELECT predict(1, 2, 'm')", "damaged")


if __name__ == "__main__":
    unittest.main()
