"""A training that diverges stores nothing, and says which option to change; and where rounding once made it diverge, it
does not: least squares with next to no regularization, beside NumPy in double."""
import json
import unittest

import numpy as np
from support import Side, TestCase, documents, made_up_ratings, rated, shadow_bytes, train, train_text
from test_fold import Model


def cells():
    """30 users, 20 items, of few kinds: vectors of any rank depend on each other."""
    return [(a, b, 1.0 + (a * b + a) % 5) for a in range(1, 31) for b in range(1, 21) if (a * 7 + b * 3) % 4]


class LeastSquares(TestCase):
    def losses(self, db, rank, **options):
        return [row[0] for row in db.execute("SELECT loss FROM mf_train('ratings', ?, ?)", (rank, json.dumps({"model": "m", **options})))]

    def objective(self, known, q, values, x):
        """What a user's vector costs, in double."""
        observed = values > 0
        penalty = known["ranking_regularization"] * (observed.sum() + known["ranking_missing_weight"] * len(q)) ** known["ranking_nu"]
        confidence = np.where(observed, 1 + known["ranking_confidence_slope"] * values, known["ranking_missing_weight"])
        a = (q * confidence[:, None]).T @ q + penalty * np.eye(q.shape[1])
        best = np.linalg.solve(a, q.T @ (confidence * observed))
        cost = lambda x: np.sum(confidence * (observed - q @ x) ** 2) + penalty * (x @ x)
        return cost(x), cost(best)

    def test_next_to_no_regularization(self):
        """The loss of an exact solver never rises but for what floats can't tell, never falls below 0, and scores stay near
        0 and 1, whether the rank is above the number of items or not."""
        for rows in (cells(), made_up_ratings()):
            db = self.closing(rated(rows))
            for options in ({"algorithm": "ials"}, {"algorithm": "ials", "rating": None}, {"algorithm": "ials", "alpha": 100}):
                for rank in (3, 8, 32, 70):
                    for solver in ("cholesky", "cg"):
                        losses = self.losses(db, rank, regularization=1e-6, solver=solver, **options)
                        least = 1e-5 * len(rows) * (101 if "alpha" in options else 1)
                        self.assertGreaterEqual(min(losses), 0)
                        for before, after in zip(losses, losses[1:]):
                            self.assertLessEqual(after, before * 1.01 + least)
                        self.assertLess(db.execute("SELECT max(abs(score)) FROM m").fetchone()[0], 10)

    def test_users_are_minimisers(self):
        """Each costs what NumPy's solution in double does, but for rounding the vectors to floats; so does one folded in."""
        for rank in (8, 32, 70):
            db = self.closing(rated(cells()))
            train(db, rank=rank, algorithm="ials", regularization=1e-6, solver="cholesky")
            model = Model(db)
            q, users = model.items["ranking"].vector, model.users["ranking"]
            values = np.zeros((len(users.ids), len(q)))
            for user, item, rating in cells():
                values[users.index[user], model.items["ranking"].index[item]] = rating
            for u in range(len(users.ids)):
                cost, best = self.objective(model.config, q, values[u], users.vector[u])
                self.assertLess(cost, best * 1.01 + 1e-6)
            db.executemany("INSERT INTO ratings_mf(user, item, rating) VALUES(99, ?, ?)", [(item, float(values[3, i])) for i, item in enumerate(model.items["ranking"].ids) if values[3, i]])
            added = Side(db, "ratings_mf", "user", "ranking")
            cost, best = self.objective(model.config, q, values[3], added.vector[added.index[99]])
            self.assertLess(cost, best * 1.01 + 1e-6)
            score = db.execute("SELECT score FROM ratings_mf WHERE user = 99 AND item = 5").fetchone()[0]
            parts = [row[0] for row in db.execute("SELECT contribution FROM recommend_explain(99, 5, 100) WHERE item IS NOT NULL")]
            self.assertAlmostEqual(sum(parts), score, delta=1e-3)

    def test_any_number_of_threads(self):
        stored = []
        for threads in (1, 2, 3):
            db = self.closing(rated(made_up_ratings(120, 50)))
            train(db, rank=64, algorithm="ials", regularization=1e-6, solver="cholesky", epochs=3, threads=threads)
            stored.append(shadow_bytes(db))
        self.assertEqual(stored[0], stored[1])
        self.assertEqual(stored[0], stored[2])

    def test_ratings(self):
        """Of both heads, with biases."""
        for rank in (8, 32, 70):
            db = self.closing(rated(cells()))
            for row in db.execute("SELECT head, loss FROM mf_train('ratings', ?, '{\"regularization\": 1e-6, \"solver\": \"cholesky\"}')", (rank,)):
                self.assertGreaterEqual(row[1], 0)
                self.assertLess(row[1], 200)
            self.assertLess(db.execute("SELECT max(abs(score)) FROM ratings_mf").fetchone()[0], 10)


class Diverged(TestCase):
    TOO_FAST = (("adam", 5), ("adam", 50), ("adam", 500), ("gradient", 0.5), ("gradient", 50), ("sgd", 50), ("svdpp", 50), ("bpr", 5), ("bpr", 50), ("bpr", 500),
                ("logistic", 5), ("logistic", 50), ("logistic", 500))

    def test_absurd_rates(self):
        """An error that names the rate; no model, and where there was one, that one still."""
        for before in (False, True):
            db = self.closing(rated())
            if before:
                train(db, model="m", rank=3)
                bytes_before = shadow_bytes(db, "m")
            for algorithm, rate in self.TOO_FAST:
                options = json.dumps({"model": "m", "algorithm": algorithm, "learning_rate": rate})
                for sql in ("SELECT mf_train('ratings', 8, ?)", "SELECT * FROM mf_train('ratings', 8, ?)"):
                    self.assert_error(db, sql, "mf_train", "learning_rate", f"(it is {rate:g})", parameters=(options,))
                if before:
                    self.assertEqual(shadow_bytes(db, "m"), bytes_before)
                else:
                    self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (0,))

    def test_a_far_loss_says_so(self):
        db = self.closing(rated())
        for algorithm, rate in (("bpr", 50), ("adam", 50), ("logistic", 50)):
            self.assert_error(db, "SELECT mf_train('ratings', 8, ?)", "diverged", "nothing is stored", "the loss is", "lower",
                              parameters=(json.dumps({"algorithm": algorithm, "learning_rate": rate}),))

    def test_a_trial_says_so(self):
        db = self.closing(rated())
        self.assert_error(db, "SELECT * FROM recommend_cross_validate('mf', 'ratings', 2, '{\"rank\": 4, \"algorithm\": \"bpr\", \"learning_rate\": 50}')", "diverged", "learning_rate")

    def test_word2vec(self):
        db = self.closing(documents(["the quick brown fox jumps over the lazy dog " * 4, "a lazy fox and a quick dog " * 6, "brown dogs jump over quick foxes " * 5] * 20))
        train_text(db, word2vec=8, model="m")
        self.assert_error(db, "SELECT tfidf_train('documents', '{\"word2vec\": 8, \"model\": \"w\", \"learning_rate\": 1000}')", "learning_rate")
        self.assertEqual(db.execute("SELECT name FROM recommend_models").fetchall(), [("m",)])

    def test_what_has_not_diverged(self):
        """Hasty, heavily damped or far from where it should begin, but learning: these are stored."""
        db = self.closing(rated(made_up_ratings(200, 80)))
        for options in ({"algorithm": "adam", "learning_rate": 1}, {"algorithm": "sgd", "learning_rate": 0.5}, {"algorithm": "bpr", "learning_rate": 1},
                        {"algorithm": "logistic", "learning_rate": 0.5}, {"algorithm": "nmf", "init_scale": 1000}, {"init_scale": 1000}, {"algorithm": "nmf", "regularization": 1e9},
                        {"algorithm": "ials", "alpha": 1e9}, {"algorithm": "ials", "unobserved_weight": 1e6}, {"algorithm": "adam", "regularization": 10}, {"algorithm": "bpr", "regularization": 10}):
            train(db, rank=8, **options)

    def test_ratings_that_are_all_the_same(self):
        """There is nothing to learn, and no loss to begin with."""
        for rating in (3.0, 0.0):
            db = self.closing(rated([(u, i, rating) for u, i, _ in made_up_ratings()]))
            for algorithm in ("als", "sgd", "adam", "gradient", "svdpp", "nmf", "svd"):
                train(db, algorithm=algorithm)
                self.assertAlmostEqual(db.execute("SELECT avg(prediction) FROM ratings_mf").fetchone()[0], rating, delta=0.05)


if __name__ == "__main__":
    unittest.main()
