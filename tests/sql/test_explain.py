"""recommend_explain(): its contributions add up to the score, and are what NumPy finds them to be."""
import unittest

import numpy as np
import support
from support import Side, TestCase, add_ratings, made_up_ratings, train, trained

ROWS = made_up_ratings()
ASK = "SELECT item, rating, contribution, share FROM recommend_explain(?, ?, ?, ?)"


class Explain(TestCase):
    def explain(self, db, user, item, k=None, model=None):
        return db.execute(ASK, (user, item, k, model)).fetchall()

    def assert_sums(self, db, user, item, score, k=None):
        rows = self.explain(db, user, item, k)
        self.assertAlmostEqual(sum(row[2] for row in rows), score, delta=1e-12 * max(1, sum(abs(row[2]) for row in rows)))
        if score != 0:
            self.assertAlmostEqual(sum(row[3] for row in rows), 1, delta=1e-9 * max(1, sum(abs(row[3]) for row in rows)))
        sizes = [abs(row[2]) for row in rows[:-1]]
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        self.assertTrue(all(row[0] is not None for row in rows[:-1]))
        self.assertEqual(rows[-1][:2], (None, None))
        return rows

    def test_sums_in_every_kind(self):
        for options in ({}, {"objective": "rating"}, {"objective": "rating", "biases": False}, {"objective": "ranking"},
                        {"nonnegative": True}, {"test": 0.3}, {"algorithm": "ials"}, {"rating": None},
                        {"rating": None, "unobserved": "all"}):
            with self.subTest(options):
                db = self.closing(trained(rank=6, rows=ROWS, **options))
                head = db.execute("SELECT value FROM ratings_mf_config WHERE key = 'score_head'").fetchone()[0]
                config = dict(db.execute("SELECT key, value FROM ratings_mf_config"))
                users, items = Side(db, "ratings_mf", "user", head), Side(db, "ratings_mf", "item", head)
                cells = db.execute("SELECT user, item, score FROM ratings_mf WHERE user % 3 = 0").fetchall()
                for user, item, score in cells:
                    rows = self.assert_sums(db, user, item, score)
                    # What is due to no item is the mean and the biases: training ends with the users' half-step.
                    rest = config[head + "_mean"] + users.bias[users.index[user]] + items.bias[items.index[item]]
                    self.assertAlmostEqual(rows[-1][2], rest, delta=1e-5)

    def test_sums_of_the_other_algorithms(self):
        for options in [{"algorithm": each} for each in ("sgd", "adam", "gradient", "svdpp", "nmf")] + [
                {"algorithm": "svd", "center": center, "missing": missing} for center in ("user", "none") for missing in ("zero", "mean")]:
            with self.subTest(options):
                db = self.closing(trained(rank=6, rows=ROWS, **options))
                for user, item, score in db.execute("SELECT user, item, score FROM ratings_mf WHERE user % 6 = 0").fetchall():
                    self.assert_sums(db, user, item, score)

    def test_the_history(self):
        db = self.closing(trained(rank=6, rows=ROWS))
        rows = self.explain(db, 1007, 50)
        self.assertEqual({row[:2] for row in rows[:-1]}, {(i, r) for u, i, r in ROWS if u == 1007})

    def test_contributions(self):
        """q_i A⁻¹ q_j c_j t_j, of the ranking head, and with the bias as one unknown more of the rating head."""
        for options in ({}, {"objective": "rating"}):
            db = self.closing(trained(rank=6, rows=ROWS, **options))
            settings = dict(db.execute("SELECT key, value FROM ratings_mf_config"))
            head = settings["score_head"]
            items = Side(db, "ratings_mf", "item", head)
            ratings = {i: r for u, i, r in ROWS if u == 1014}
            places = [items.index[item] for item in ratings]
            q, y, n = items.vector[places], np.array(list(ratings.values())), len(ratings)
            if options:
                design = np.hstack([q, np.ones((n, 1))])
                a = design.T @ design + n ** settings["rating_nu"] * np.diag(
                    [settings["rating_regularization"]] * 6 + [settings["rating_bias_regularization"]])
                base = y - settings["rating_mean"] - items.bias[places]
            else:
                w = settings["ranking_missing_weight"]
                design, base = q, settings["ranking_target"] + settings["ranking_target_slope"] * y
                a = (1 - w) * q.T @ q + w * items.vector.T @ items.vector + np.eye(6) * settings["ranking_regularization"] * (
                    n + w * len(items.ids)) ** settings["ranking_nu"]
            for item in items.ids[::5]:
                target = np.append(items.vector[items.index[item]], [0] * (design.shape[1] - 6))
                expected = dict(zip(ratings, (target @ np.linalg.solve(a, design.T)) * base))
                got = {row[0]: row[2] for row in self.explain(db, 1014, item)[:-1]}
                self.assertEqual(got.keys(), expected.keys())
                for j in got:
                    self.assertAlmostEqual(got[j], expected[j], delta=1e-5)

    def test_k(self):
        db = self.closing(trained(rank=6, rows=ROWS))
        score = db.execute("SELECT score FROM ratings_mf WHERE user = 1007 AND item = 50").fetchone()[0]
        whole = self.explain(db, 1007, 50)
        for k in (0, 1, 3, 1000):
            rows = self.assert_sums(db, 1007, 50, score, k)
            self.assertEqual(len(rows), min(k, len(whole) - 1) + 1)
            self.assertEqual(rows[:-1], whole[:len(rows) - 1])

    def test_changes(self):
        """After ratings have come and gone, and where the items have changed since the user was solved for."""
        db = self.closing(trained(rank=6, rows=ROWS))
        db.execute("INSERT INTO ratings_mf(user, item, rating) VALUES(1007, 50, 5), (1, 53, 1), (1014, 9999, 4)")
        db.execute("DELETE FROM ratings_mf WHERE user = 1021 AND seen = 1")
        for user, item, score in db.execute("SELECT user, item, score FROM ratings_mf WHERE user IN (1, 1007, 1014, 1021)").fetchall():
            self.assert_sums(db, user, item, score)
        self.assertEqual([row[0] for row in self.explain(db, 1, 50)], [53, None])
        self.assertEqual([row[0] for row in self.explain(db, 1021, 50)], [None])

    def test_content(self):
        texts = [(item, " ".join(f"word{(item * k) % 11}" for k in range(1, 6))) for item in range(50, 170, 3)] + [(999, "")]
        for options in ({}, {"profile": "weighted"}, {"lsa": 4}, {"lsa": 4, "profile": "weighted"}, {"test": 0.3}):
            with self.subTest(options):
                db = self.closing(support.documents(texts))
                add_ratings(db, ROWS)
                support.train_text(db, ratings="ratings", model="ratings_mf", **options)
                for user, item, score in db.execute("SELECT user, item, score FROM ratings_mf WHERE user % 3 = 0").fetchall():
                    rows = self.assert_sums(db, user, item, score)
                    self.assertAlmostEqual(rows[-1][2], 0, delta=1e-6)
                if not options:  # a mean of cosines, each weighed alike
                    user, item = 1007, 50
                    rows = self.explain(db, user, item)[:-1]
                    cosines = [db.execute("SELECT tfidf_cosine((SELECT text FROM documents WHERE id = ?), (SELECT text FROM documents "
                                          "WHERE id = ?), 'ratings_mf')", (item, row[0])).fetchone()[0] for row in rows]
                    np.testing.assert_allclose(np.array([row[3] for row in rows]), cosines / np.sum(cosines), atol=1e-6)

    def test_arguments(self):
        db = self.closing(trained(rank=3, rows=ROWS))
        self.assertEqual(self.explain(db, "1007", "50"), self.explain(db, 1007, 50))
        for user, item in ((1, 50), (1007, 1), (None, 50), (1007, None)):
            self.assertEqual(self.explain(db, user, item), [])
        self.assert_error(db, "SELECT * FROM recommend_explain(1007)", "recommend_explain(user, item, k [, model])")
        self.assert_error(db, "SELECT * FROM recommend_explain(1007, 50, 3, 'none')", "none", "ratings_mf")
        joined = db.execute("SELECT r.item, sum(e.contribution) - r.score FROM recommend(1007, 3) r, recommend_explain(1007, r.item) e "
                            "GROUP BY r.item").fetchall()
        self.assertEqual(len(joined), 3)
        self.assertLess(max(abs(row[1]) for row in joined), 1e-9)
        train(db, rank=3, history=False)
        self.assert_error(db, "SELECT * FROM recommend_explain(1007, 50)", "recommend_explain", "histories")
        train(db, rank=2, algorithm="bpr")
        self.assert_error(db, "SELECT * FROM recommend_explain(1007, 50)", "not sums over a user's history")


if __name__ == "__main__":
    unittest.main()
