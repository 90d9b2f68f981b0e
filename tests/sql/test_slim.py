"""slim_train(): the weights against scikit-learn and the conditions of an optimum, what is made of them, and MovieLens 100K."""
import json
import unittest

import numpy as np

import reference
from reference import Matrix, evaluate
from support import TestCase, made_up_ratings, rated, shadow_bytes, train

try:
    from sklearn.linear_model import ElasticNet
except ImportError:
    ElasticNet = None

ROWS = made_up_ratings(users=80, items=30, density=0.5)


def weights(x, l1, l2, nonnegative):
    """By scikit-learn, whose loss is that of the mean: column i from all columns but i."""
    users, items = x.shape
    w, alpha = np.zeros((items, items)), (l1 + l2) / users
    for item in range(items):
        others = np.delete(np.arange(items), item)
        model = ElasticNet(alpha=alpha, l1_ratio=l1 / (l1 + l2), positive=nonnegative, fit_intercept=False, precompute=True, tol=1e-10, max_iter=100000)
        w[others, item] = model.fit(x[:, others], x[:, item]).coef_
    return w


class Slim(TestCase):
    def train(self, db, l1=2, **options):
        return train(db, rank=l1, function="slim_train", model="m", **{"tolerance": 1e-7, "iterations": 10000, **options})

    def stored(self, db, matrix):
        w = np.zeros((len(matrix.items), len(matrix.items)))
        for item, _, similar, weight in db.execute("SELECT * FROM item_similar_all(NULL, 'm')"):
            w[matrix.item[item], matrix.item[similar]] = weight
        return w

    @unittest.skipIf(ElasticNet is None, "no scikit-learn")
    def test_weights(self):
        for l1, options in ((2, {"l2": 3}), (0.5, {"l2": 30}), (6, {"l2": 0.5, "nonnegative": False}), (20, {"l2": 20, "values": "ratings"}),
                            (5, {"l2": 10, "values": "ratings", "nonnegative": False}), (1, {"l2": 5, "rating": None})):
            with self.subTest(l1=l1, **options):
                db = self.closing(rated(ROWS))
                self.train(db, l1, **options)
                matrix = Matrix(ROWS)
                x = matrix.values if "values" in options else matrix.there.astype(float)
                self.assertTrue(((x.T @ x) > 0).all(), "every two items have a user in common")
                w = weights(x, l1, options["l2"], options.get("nonnegative", True))
                self.assertGreater((w != 0).sum(), 100)
                np.testing.assert_allclose(self.stored(db, matrix), w, atol=2e-5)
                np.testing.assert_allclose(matrix.of_model(db, "m", "score"), x @ w, atol=5e-4)

    def test_loss(self):
        """What is reported is what is minimised."""
        db = self.closing(rated(ROWS))
        self.train(db, 3, l2=7)
        matrix = Matrix(ROWS)
        x, w = matrix.there.astype(float), self.stored(db, matrix)
        loss = 0.5 * ((x - x @ w) ** 2).sum() + 3 * np.abs(w).sum() + 3.5 * (w ** 2).sum()
        rows = db.execute("SELECT epoch, head, loss FROM slim_train('ratings', 3, '{\"l2\": 7, \"tolerance\": 1e-7, \"iterations\": 10000, \"model\": \"m\"}')").fetchall()
        self.assertEqual([row[:2] for row in rows], [(1, "ranking")])
        self.assertAlmostEqual(rows[0][2] / loss, 1, delta=1e-5)

    def test_sparse(self):
        """Where pairs of items have no user in common: no weight, and the higher l1 the fewer."""
        rows = made_up_ratings(users=60, items=40, density=0.08)
        matrix, counts = Matrix(rows), []
        common = matrix.there.T.astype(int) @ matrix.there.astype(int)
        for l1 in (0, 0.5, 1, 3):
            db = self.closing(rated(rows))
            self.train(db, l1, l2=4)
            w = self.stored(db, matrix)
            self.assertTrue((w >= 0).all() and (w[common == 0] == 0).all() and (np.diag(w) == 0).all())
            counts.append((w != 0).sum())
            slope = common @ (np.eye(len(w)) - w) - 4 * w
            off = ~np.eye(len(w), dtype=bool)
            np.testing.assert_allclose(slope[w > 0], l1, atol=1e-3)
            self.assertLess(slope[off & (w == 0)].max(), l1 + 1e-3)
            supports = {(matrix.item[a], matrix.item[b]): n for a, b, n in db.execute("SELECT id, neighbor, support FROM recommend_neighbors('m')")}
            self.assertEqual(supports, {(a, b): common[a, b] for a, b in zip(*np.nonzero(w))})
        self.assertEqual(counts, sorted(counts, reverse=True))
        self.assertGreater(counts[0], counts[-1])

    def test_serving(self):
        db = self.closing(rated(ROWS))
        self.train(db)
        matrix = Matrix(ROWS)
        w, seen = self.stored(db, matrix), {row[:2] for row in ROWS}
        cells = db.execute("SELECT user, item, score FROM m").fetchall()
        for user in (1000, 1140):
            expected = sorted(((score, -item) for who, item, score in cells if who == user and (user, item) not in seen), reverse=True)
            self.assertEqual(db.execute("SELECT score, -item FROM recommend(?, 99, 'm') ORDER BY rank", (user,)).fetchall(), expected)
            profile = json.dumps([row[1] for row in ROWS if row[0] == user])
            self.assertEqual(db.execute("SELECT score, -item FROM recommend_for(?, 99, 'm')", (profile,)).fetchall(), expected)
            for item, score in [(row[1], row[2]) for row in cells if row[0] == user][:9]:
                rows = db.execute("SELECT item, contribution FROM recommend_explain(?, ?, 99, 'm')", (user, item)).fetchall()
                for other, contribution in rows[:-1]:
                    self.assertAlmostEqual(contribution, w[matrix.item[other], matrix.item[item]], delta=1e-5)
                self.assertAlmostEqual(sum(row[1] for row in rows), score, delta=1e-6)
        self.assertEqual(db.execute("SELECT DISTINCT prediction FROM m").fetchall(), [(None,)])
        db.execute("INSERT INTO m(m) VALUES('integrity-check')")

    def test_ratings_come_and_go(self):
        db = self.closing(rated(ROWS))
        self.train(db)
        stored, matrix = shadow_bytes(db, "m")["neighbor"], Matrix(ROWS)
        w = self.stored(db, matrix)
        db.execute("INSERT INTO m(user, item, rating) VALUES(1, 53, 5), (1, 56, NULL), (1, 999, 3)")
        db.execute("DELETE FROM m WHERE user = 1 AND item = 56")
        scores = dict(db.execute("SELECT item, score FROM m WHERE user = 1"))
        self.assertEqual(scores[999], 0)
        np.testing.assert_allclose([scores[item] for item in matrix.items], w[matrix.item[53]], atol=1e-6)
        self.assertEqual(shadow_bytes(db, "m")["neighbor"][:len(stored)], stored)
        db.execute("INSERT INTO m(m, user) VALUES('forget', 1)")
        db.execute("INSERT INTO m(m) VALUES('integrity-check')")
        db.execute("INSERT INTO m(m) VALUES('retrain')")
        self.assertEqual(shadow_bytes(db, "m")["neighbor"], stored)

    def test_once_is_enough(self):
        """Of a pair that a profile has twice the last counts, as in the training: 2 and then -1 is a dislike, and no like."""
        twice = "SELECT item, 2 FROM ratings WHERE user = 3 UNION ALL SELECT item, -1 FROM ratings WHERE user = 3"
        db = rated(ROWS)
        self.train(db, values="binary")
        reasons = db.execute("SELECT DISTINCT reason FROM recommend_for(?, 5, 'm')", (twice,)).fetchall()
        self.assertEqual(reasons, [("popular",)])

    def test_options(self):
        db = self.closing(rated(ROWS))
        self.assert_error(db, "SELECT slim_train('ratings', -1)", "slim_train", "penalty l1")
        self.assert_error(db, "SELECT slim_train('ratings', 10, '{\"history\": false}')", "history")
        self.assert_error(db, "SELECT slim_train('ratings', 10, '{\"nonnegativ\": false}')", "nonnegative")
        db.execute("CREATE TABLE many(user, item)")
        db.execute("WITH n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 2999) INSERT INTO many SELECT n % 7, n FROM n")
        message = self.assert_error(db, "SELECT slim_train('many', 10, '{\"max_memory\": 5}')", "3000 items", "(5 MB)", "max_memory")
        needed = int(message.split(" MB")[0].split()[-1])
        db.execute("SELECT slim_train('many', 10, ?)", (json.dumps({"max_memory": needed}),)).fetchall()
        self.assert_error(db, "SELECT slim_train('many', 10, ?)", f"{needed} MB", parameters=(json.dumps({"max_memory": needed - 1}),))

    def test_ratings_that_are_too_far_apart(self):
        """A weight that no float holds is an error of the training, not a model that can't be read."""
        rows = [(user, item, rating) for user in range(5) for item, rating in ((1, 1e15), (2, 1e-30))]
        db = self.closing(rated(rows))
        for more in ({}, {"iterations": 1}, {"iterations": 1, "nonnegative": False}):
            options = json.dumps({"l2": 0, "values": "ratings", "model": "m", **more})
            self.assert_error(db, "SELECT slim_train('ratings', 0, ?)", "too far apart", "l2", parameters=(options,))
        self.train(db, 0, l2=1, values="ratings")
        db.execute("INSERT INTO m(m) VALUES('integrity-check')")

    def test_u1(self):
        """Beside EASE's .4277 by default options, chosen on validation splits of training parts."""
        db = self.closing(reference.u1_positives())
        db.execute("SELECT slim_train('SELECT user, item FROM likes', '{\"model\": \"m\"}')")
        got = evaluate(db, "m", "SELECT user, item FROM wanted", '{"cold_start": "estimate"}')
        values = [got[name, 10][0] for name in ("precision", "recall", "ndcg")]
        print("MovieLens 100K, u1, SLIM: P@10 %.6f R@10 %.6f NDCG@10 %.6f" % tuple(values))
        self.assertGreater(values[2], .4177)


if __name__ == "__main__":
    unittest.main()
