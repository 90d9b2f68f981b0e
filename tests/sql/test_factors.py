"""svdpp, nmf, svd, bpr and logistic through SQL: published numbers, what they predict and rank by, their options; and the
range that predictions are mapped to."""
import json
import math
import unittest

import numpy as np

from support import Numpy, TestCase, add_ratings, connect, data_file, made_up_ratings, rated, shadow_bytes, train, trained
from test_factorization import folds, table

RATING = ("svdpp", "nmf", "svd")
RANKING = ("bpr", "logistic")
TOY = [(1, 1), (1, 2), (1, 3), (2, 2), (2, 4), (3, 1), (3, 2), (4, 3), (4, 4), (5, 5)]


def resolved(db):
    return json.loads(db.execute("SELECT options FROM recommend_models").fetchone()[0])


def matrix(db, column, model="ratings_mf"):
    """users × items, in order of id."""
    users = db.execute(f"SELECT count(DISTINCT user) FROM {model}").fetchone()[0]
    values = db.execute(f"SELECT {column} FROM {model} ORDER BY user, item").fetchall()
    return np.array(values, float).reshape(users, -1)


class Ratings(TestCase):
    """What svd is of: the matrix, its cells that are there, and its means."""

    def setUp(self):
        self.rows = made_up_ratings(users=50, items=30)
        users, items = sorted({row[0] for row in self.rows}), sorted({row[1] for row in self.rows})
        self.values, self.there = np.zeros((len(users), len(items))), np.zeros((len(users), len(items)), bool)
        for user, item, rating in self.rows:
            self.values[users.index(user), items.index(item)] = rating
            self.there[users.index(user), items.index(item)] = True

    def test_svd_is_numpy_s(self):
        for missing in ("zero", "mean"):
            weight = np.ones(self.values.shape) if missing == "zero" else self.there
            for center, axis in (("user", 1), ("item", 0), ("global", None), ("none", None)):
                mean = (self.values * weight).sum(axis=axis, keepdims=True) / weight.sum(axis=axis, keepdims=True)
                mean = mean * (center != "none") * np.ones(self.values.shape)
                u, s, v = np.linalg.svd((self.values - mean) * weight, full_matrices=False)
                expected = mean + (u[:, :4] * s[:4]) @ v[:4]
                db = self.closing(trained(rank=4, rows=self.rows, algorithm="svd", center=center, missing=missing, epochs=200, range="none"))
                np.testing.assert_allclose(matrix(db, "prediction"), expected, atol=2e-3, err_msg=center + missing)
                np.testing.assert_allclose(matrix(db, "score"), expected, atol=2e-3)
                loss = db.execute("SELECT metrics ->> '$.rating.loss[#-1]' FROM recommend_models").fetchone()[0]
                self.assertAlmostEqual(loss / (s[4:] ** 2).sum(), 1, places=4)
                self.assertEqual((resolved(db)["rating"]["center"], resolved(db)["rating"]["missing"]), (center, missing))

    def test_a_head_for_what_there_is(self):
        db = self.closing(rated(self.rows))
        train(db, algorithm="svd")
        config = dict(db.execute("SELECT key, value FROM ratings_mf_config"))
        self.assertEqual((config["score_head"], config["prediction_head"]), ("rating", "rating"))
        train(db, algorithm="svd", rating=None)
        config = dict(db.execute("SELECT key, value FROM ratings_mf_config"))
        self.assertEqual((config["score_head"], config["prediction_head"]), ("ranking", ""))
        self.assertEqual(db.execute("SELECT count(prediction), count(score) FROM ratings_mf").fetchone(), (0, 50 * 30))
        self.assert_error(db, "SELECT mf_train('ratings', 2, '{\"algorithm\": \"svd\", \"objective\": \"ranking\"}')", '"svd" fits one head')
        self.assert_error(db, "SELECT mf_train('ratings', 2, '{\"algorithm\": \"svd\", \"objective\": \"rating\", \"rating\": null}')", "needs ratings")

    def test_svd_folds_in_by_its_items(self):
        """Without a centre, by row times V; with one: test_fold.py."""
        for rating in ("rating", None):
            range_of = {"range": "none"} if rating else {}
            db = self.closing(trained(rank=4, rows=self.rows, algorithm="svd", center="none", rating=rating, epochs=100, **range_of))
            model = Numpy(db)
            user = model.users.ids[8]
            history = {item: value if rating else 1 for who, item, value in self.rows if who == user}
            row = np.array([history.get(item, 0) for item in model.items.ids])
            expected = row @ model.items.vector @ model.items.vector.T
            np.testing.assert_allclose(expected, model.score[8], atol=1e-3)
            got = dict(db.execute("SELECT item, score FROM recommend_for(?, 100)", (json.dumps(history),)))
            np.testing.assert_allclose([got[item] for item in model.items.ids if item not in history],
                                       [score for item, score in zip(model.items.ids, expected) if item not in history], atol=1e-4)
            db.execute("INSERT INTO ratings_mf(user, item, rating) VALUES(77, ?, 5)", (model.items.ids[0],))

    def test_predictions_are_those_of_the_factors(self):
        for algorithm in RATING:
            db = self.closing(trained(rank=5, rows=self.rows, algorithm=algorithm))
            model = Numpy(db)
            np.testing.assert_allclose(matrix(db, "score"), model.score, atol=1e-5)
            np.testing.assert_allclose(matrix(db, "prediction"), model.clipped(), atol=1e-5)

    def test_scores_are_those_of_the_factors(self):
        for algorithm in RANKING:
            for biases in (True, False):
                db = self.closing(trained(rank=5, rows=self.rows, algorithm=algorithm, biases=biases))
                model = Numpy(db)
                np.testing.assert_allclose(matrix(db, "score"), model.score, atol=1e-5)
                self.assertEqual(db.execute("SELECT count(prediction), predict(1000, 50) FROM ratings_mf").fetchone(), (0, None))
                self.assertEqual(np.any(model.items.bias != 0), biases)
                self.assertEqual(np.any(model.users.bias != 0), biases and algorithm == "logistic")
                seen = model.seen(self.rows)
                for user in (0, 7, 49):
                    best = [model.items.ids[i] for i in model.best(user, ~seen[user])][:5]
                    got = db.execute("SELECT item FROM recommend(?, 5) ORDER BY rank", (model.users.ids[user],)).fetchall()
                    self.assertEqual([row[0] for row in got], best)

    def test_nmf_is_not_negative(self):
        db = self.closing(trained(rank=5, rows=self.rows, algorithm="nmf"))
        model = Numpy(db)
        self.assertGreaterEqual(min(model.users.vector.min(), model.items.vector.min()), 0)
        add_ratings(db, [(1, 1, 2.0), (2, 1, -1.0)], "signed")
        self.assert_error(db, "SELECT mf_train('signed', 2, '{\"algorithm\": \"nmf\"}')", "not negative", "-1")

    def test_other_scales(self):
        doubled = [(user, item, 2 * rating) for user, item, rating in self.rows]
        for algorithm in RATING:
            one, two = (self.closing(trained(rank=3, rows=rows, algorithm=algorithm)) for rows in (self.rows, doubled))
            np.testing.assert_allclose(matrix(two, "score"), 2 * matrix(one, "score"), atol=0.02)

    def test_the_test_column(self):
        sql = "SELECT user, item, rating FROM ratings WHERE recommend_split(42, user, item) < 0.3"
        for algorithm in RATING + RANKING:
            db = self.closing(rated(self.rows))
            options = json.dumps({"algorithm": algorithm, "test": 0.3, "epochs": 4})
            tests = [row[0] for row in db.execute("SELECT test FROM mf_train('ratings', 3, ?)", (options,))]
            expected = db.execute("SELECT value FROM recommend_evaluate('ratings_mf', ?) WHERE metric = 'rmse'", (sql,)).fetchone()
            if algorithm in RANKING:
                expected = [self.ndcg(Numpy(db), db.execute(sql).fetchall())]
            self.assertAlmostEqual(tests[-1], expected[0], places=5)
            self.assertEqual(tests[0] is None, algorithm == "svd")

    def ndcg(self, model, held_out):
        """Of the ten best that were not trained on."""
        tested, values = model.seen(held_out), []
        trained = model.seen(self.rows) & ~tested
        for user in np.nonzero(tested.any(axis=1))[0]:
            best = model.best(user, ~trained[user])[:10]
            gain = sum(1 / math.log2(place + 2) for place, item in enumerate(best) if tested[user, item])
            values.append(gain / sum(1 / math.log2(place + 2) for place in range(min(10, tested[user].sum()))))
        return np.mean(values)


class Options(TestCase):
    def refused(self, options, *fragments):
        return self.assert_error(self.db, "SELECT mf_train('ratings', 2, ?)", *fragments, parameters=(json.dumps(options),))

    def setUp(self):
        self.db = rated()

    def test_what_is_not_read(self):
        self.refused({"algorithm": "svd", "regularization": 1}, '"regularization" is not for "svd"')
        self.refused({"algorithm": "svd", "init_scale": 1}, '"init_scale"')
        self.refused({"algorithm": "nmf", "biases": False}, '"biases" is not for "nmf"')
        self.refused({"algorithm": "nmf", "learning_rate": 1}, '"learning_rate"')
        self.refused({"algorithm": "svdpp", "negatives": 1}, '"negatives"', '"bpr" and "logistic" read it')
        self.refused({"algorithm": "bpr", "alpha": 1}, '"alpha"', '"ials" and "logistic" read it')
        self.refused({"center": "user"}, '"center" is not for "als"', 'only "svd" reads it')
        self.refused({"algorithm": "sgd", "missing": "zero"}, '"missing"', 'only "svd" reads it')
        self.refused({"algorithm": "bpr", "negatives": 0}, '"negatives" must be')
        self.refused({"algorithm": "svd", "center": "both"}, '"center" must be one of')

    def test_what_they_can_not_do(self):
        for algorithm in ("svdpp", "nmf"):
            self.refused({"algorithm": algorithm, "objective": "ranking"}, f'"{algorithm}" predicts ratings')
            self.refused({"algorithm": algorithm, "rating": None}, f'"{algorithm}" needs ratings')
        for algorithm in RANKING:
            self.refused({"algorithm": algorithm, "objective": "rating"}, f'"{algorithm}" ranks')

    def test_every_option_changes_the_model(self):
        drawn = ({"init_scale": 0.9}, {"seed": 1}, {"regularization": 0.5})
        steps = ({"learning_rate": 0.02}, {"decay": 0.7}, {"bias_regularization": 0.9}, {"init": "uniform"}, {"biases": False})
        options = {"svdpp": drawn + steps, "nmf": drawn, "bpr": drawn + steps + ({"negatives": 7},),
                   "logistic": drawn + steps + ({"negatives": 7}, {"alpha": 9}),
                   "svd": ({"center": "none"}, {"center": "item"}, {"missing": "zero"}, {"center": "global"})}
        for algorithm, each in options.items():
            seen = set()
            for option in ({},) + each:
                train(self.db, **{"algorithm": algorithm, "epochs": 3, **option})
                seen.add(str(shadow_bytes(self.db)["itemfactor"]))
            self.assertEqual(len(seen), 1 + len(each), algorithm)

    def test_values_of_implicit_feedback(self):
        """bpr counts whatever is there, logistic by how much."""
        for algorithm in RANKING:
            train(self.db, algorithm=algorithm, epochs=3)
            rated = shadow_bytes(self.db)["itemfactor"]
            train(self.db, algorithm=algorithm, epochs=3, rating=None)
            self.assertEqual(shadow_bytes(self.db)["itemfactor"] == rated, algorithm == "bpr")


class Range(TestCase):
    def setUp(self):
        self.rows = made_up_ratings(users=70, items=40)

    def expected(self, model):
        low, high = model.prediction.min(), model.prediction.max()
        return model.low + (model.prediction - low) / (high - low) * (model.high - model.low)

    def test_minmax(self):
        for options in ({"algorithm": "als"}, {"algorithm": "als", "objective": "ranking"}, {"algorithm": "svd"}, {"algorithm": "svdpp"},
                        {"algorithm": "als", "biases": False, "test": 0.3}):
            db = self.closing(trained(rank=6, rows=self.rows, range="minmax", **options))
            model = Numpy(db)
            got = matrix(db, "prediction")
            self.assertEqual(resolved(db)["range"], "minmax")
            np.testing.assert_allclose(got, self.expected(model), atol=2e-5)
            np.testing.assert_allclose([got.min(), got.max()], [model.low, model.high], atol=1e-5)
            np.testing.assert_allclose(matrix(db, "score"), model.score, atol=1e-5)
            user, item = model.users.ids[3], model.items.ids[5]
            self.assertAlmostEqual(db.execute("SELECT predict(?, ?)", (user, item)).fetchone()[0], got[3, 5], places=6)
            told = dict(db.execute("SELECT metric, value FROM recommend_evaluate('ratings_mf', 'ratings', '{\"exclude_seen\": false}')"))
            wrong = [got[model.users.index[u], model.items.index[i]] - r for u, i, r in self.rows]
            self.assertAlmostEqual(told["rmse"], math.sqrt(np.mean(np.square(wrong))), places=5)

    def test_none_and_clip(self):
        db = self.closing(trained(rank=6, rows=self.rows, range="none"))
        np.testing.assert_allclose(matrix(db, "prediction"), Numpy(db).prediction, atol=1e-5)
        train(db, rank=6, range="clip")
        clipped = matrix(db, "prediction")
        np.testing.assert_allclose(clipped, Numpy(db).clipped(), atol=1e-5)
        train(db, rank=6)
        np.testing.assert_array_equal(matrix(db, "prediction"), clipped)
        self.assert_error(db, "SELECT mf_train('ratings', 2, '{\"range\": \"sigmoid\"}')", '"range" must be one of', '"none", "clip", "minmax"')

    def test_all_predictions_equal(self):
        rows = [(user, item, 3.0) for user in range(6) for item in range(5) if (user + item) % 3]
        db = self.closing(trained(rank=2, rows=rows, range="minmax", algorithm="svd", center="global", missing="mean"))
        np.testing.assert_allclose(matrix(db, "prediction"), 3)

    def test_threads_and_retrain(self):
        expected = shadow_bytes(self.closing(trained(rank=6, rows=self.rows, range="minmax", threads=1)))
        db = self.closing(trained(rank=6, rows=self.rows, range="minmax", threads=3))
        self.assertEqual(shadow_bytes(db)["config"][:20], expected["config"][:20])
        before = dict(db.execute("SELECT key, value FROM ratings_mf_config WHERE key IN ('low', 'high', 'range')"))
        self.assertEqual(before["range"], 2)
        self.assertLess(before["low"], before["high"])
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')")
        self.assertEqual(dict(db.execute("SELECT key, value FROM ratings_mf_config WHERE key IN ('low', 'high', 'range')")), before)


class Toy(TestCase):
    EXPECTED = [[1.026, 1.130, .514, .267, .062], [.260, .568, .569, .773, -.171], [.959, .965, .233, -.136, -.020],
                [-.109, .206, .684, 1.136, .083], [.150, -.171, .083, 0, .938]]

    def test_svd(self):
        db = self.closing(connect())
        db.execute("CREATE TABLE purchases(user INTEGER, product INTEGER)")
        db.executemany("INSERT INTO purchases VALUES(?, ?)", TOY)
        train(db, "purchases", rank=2, algorithm="svd", center="user", missing="zero")
        np.testing.assert_allclose(matrix(db, "score", "purchases_mf"), self.EXPECTED, atol=6e-4)
        self.assertEqual(db.execute("SELECT item FROM recommend(1, 10) ORDER BY rank").fetchall(), [(4,), (5,)])


class MovieLens(TestCase):
    """MovieLens 100K."""

    def five_folds(self, rank, **options):
        rows, values = np.loadtxt(data_file("ml-100k", "u.data"), dtype=np.int64)[:, :3], []
        for rest, held_out in folds(rows):
            db = self.closing(connect())
            table(db, "ratings", rest)
            train(db, rank=rank, model="m", **options)
            table(db, "asked", held_out)
            got = np.array(db.execute("SELECT coalesce(predict(user, item), ?) - rating FROM asked", (rest[:, 2].mean(),)).fetchall())
            values.append((math.sqrt(np.mean(got ** 2)), np.mean(np.abs(got))))
        print("MovieLens 100K, 5 folds, %s: RMSE %.4f, MAE %.4f" % (options["algorithm"], *np.mean(values, axis=0)))
        return np.mean(values, axis=0)

    def test_svdpp(self):
        """20 factors of standard deviation 0.1, 20 epochs, γ .007, λ .02."""
        rmse, mae = self.five_folds(20, algorithm="svdpp", init_scale=math.sqrt(20) * 0.1, learning_rate=0.007, regularization=0.02, epochs=20, seed=1)
        self.assertAlmostEqual(rmse, 0.919, delta=0.004)
        self.assertAlmostEqual(mae, 0.721, delta=0.004)

    def test_nmf(self):
        """15 factors uniform in 0 … 1, 50 epochs, λ .06."""
        rmse, mae = self.five_folds(15, algorithm="nmf", init_scale=math.sqrt(15 / 3), regularization=0.06, epochs=50)
        self.assertAlmostEqual(rmse, 0.963, delta=0.004)
        self.assertAlmostEqual(mae, 0.758, delta=0.004)

    def ndcg(self, rank, **options):
        """NDCG@10 of the protocol "u1, top 10"."""
        base, test = (np.loadtxt(data_file("ml-100k", name), dtype=np.int64)[:, :3] for name in ("u1.base", "u1.test"))
        db = self.closing(connect())
        table(db, "likes", base[base[:, 2] >= 4])
        train(db, "SELECT user, item FROM likes", rank=rank, model="m", **options)
        relevant, lists, values = {}, {}, []
        for user, item, rating in test.tolist():
            if rating >= 4:
                relevant.setdefault(user, set()).add(item)
        for user, item in db.execute("SELECT user, item FROM recommend_all(10) ORDER BY user, rank"):
            lists.setdefault(user, []).append(item)
        for user, items in relevant.items():
            gain = sum(1 / math.log2(place + 2) for place, item in enumerate(lists.get(user, [])) if item in items)
            values.append(gain / sum(1 / math.log2(place + 2) for place in range(min(10, len(items)))))
        self.assertEqual(len(values), 456)
        print("MovieLens 100K, u1 positives, %s rank %d: NDCG@10 %.6f" % (options["algorithm"], rank, np.mean(values)))
        return np.mean(values)

    def test_pure_svd(self):
        self.assertAlmostEqual(self.ndcg(10, algorithm="svd", center="none", missing="zero"), 0.411406, delta=1e-4)
        self.assertAlmostEqual(self.ndcg(10, algorithm="svd"), 0.411406, delta=1e-4)

    def test_bpr(self):
        self.assertGreater(self.ndcg(16, algorithm="bpr"), 0.37)

    def test_logistic(self):
        self.assertGreater(self.ndcg(16, algorithm="logistic"), 0.37)


if __name__ == "__main__":
    unittest.main()
