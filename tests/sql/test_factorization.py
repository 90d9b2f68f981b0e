"""The algorithms of mf_train beside ALS: their options, what a model of theirs is, and published numbers."""
import csv
import json
import math
import unittest

import numpy as np

from support import Numpy, TestCase, connect, data_file, made_up_ratings, rated, shadow_bytes, train, trained

DESCENTS = ("sgd", "adam", "gradient")


def table(db, name, rows):
    db.execute(f"CREATE TABLE {name}(user INTEGER, item INTEGER, rating REAL)")
    db.execute("BEGIN")
    db.executemany(f"INSERT INTO {name} VALUES(?, ?, ?)", rows.tolist())
    db.execute("COMMIT")


def errors(db, rows, model, mean):
    """RMSE and MAE of clipped predictions. What is not known of a user or an item counts 0, as in the program that the
    published numbers are of, so that the mean and the other's bias are left."""
    table(db, "asked", rows)
    bias = {side: dict(db.execute("SELECT id, bias FROM recommend_factors(?, ?)", (model, side))) for side in ("user", "item")}
    got = [(mean + bias["user"].get(user, 0) + bias["item"].get(item, 0) if guess is None else guess) - rating
           for user, item, rating, guess in db.execute("SELECT user, item, rating, predict(user, item, ?) FROM asked", (model,))]
    db.execute("DROP TABLE asked")
    return math.sqrt(np.mean(np.square(got))), np.mean(np.abs(got))


def folds(rows, k=5):
    order = np.arange(len(rows))
    np.random.RandomState(0).shuffle(order)
    for fold in np.array_split(order, k):
        inside = np.zeros(len(rows), bool)
        inside[fold] = True
        yield rows[~inside], rows[inside]


class Dispatch(TestCase):
    def refused(self, options, *fragments):
        return self.assert_error(self.db, "SELECT mf_train('ratings', 2, ?)", "mf_train", *fragments, parameters=(json.dumps(options),))

    def setUp(self):
        self.db = rated()

    def test_options_that_an_algorithm_does_not_read(self):
        self.refused({"algorithm": "sgd", "solver": "cg"}, '"solver" is not for "sgd"', '"als" and "ials" read it')
        self.refused({"learning_rate": 0.1}, '"learning_rate" is not for "als"', '"sgd"', '"adam", "gradient"', '"bpr" and "logistic"')
        self.refused({"algorithm": "adam", "schedule": "constant"}, '"schedule"', '"adam"', 'only "sgd" reads it')
        self.refused({"algorithm": "gradient", "batch_size": 3}, '"batch_size"', 'only "adam" reads it')
        self.refused({"algorithm": "sgd", "momentum": 0.5}, '"momentum"', 'only "gradient" reads it')
        self.refused({"alpha": 2}, '"alpha"', '"ials" and "logistic" read it')
        self.refused({"algorithm": "ials", "biases": False}, '"biases"', '"als", "sgd", "adam", "gradient"')
        for algorithm in DESCENTS:
            for option in ({"nu": 1}, {"nonnegative": True}, {"unobserved_weight": 1}, {"unobserved": "all"}, {"item_init": "x"}, {"user_init": "x"}):
                self.refused({"algorithm": algorithm, **option}, f'"{list(option)[0]}" is not for "{algorithm}"')

    def test_what_an_algorithm_can_not_do(self):
        for algorithm in DESCENTS:
            for objective in ("both", "ranking"):
                self.refused({"algorithm": algorithm, "objective": objective}, f'"{algorithm}" predicts ratings', f'"{objective}"', '"als"')
            self.refused({"algorithm": algorithm, "rating": None}, f'"{algorithm}" needs ratings')
        self.refused({"algorithm": "svm"}, '"algorithm" must be one of', "sgd", "adam", "gradient")
        self.assertEqual(self.db.execute("SELECT count(*) FROM recommend_models").fetchone(), (0,))

    def test_errors_come_before_reading(self):
        self.assert_error(self.db, "SELECT mf_train('nowhere', 2, '{\"algorithm\": \"sgd\", \"solver\": \"cg\"}')", '"solver"')

    def test_regularization_may_be_0_where_nothing_is_solved(self):
        for algorithm in DESCENTS:
            self.assertEqual(train(self.db, algorithm=algorithm, regularization=0)["algorithm"], algorithm)
        self.refused({"algorithm": "als", "regularization": 0}, '"regularization" must be at least 1e-06')

    def test_options_are_taken(self):
        given = {"regularization": 0.5, "bias_regularization": 0.25, "learning_rate": 0.125, "decay": 0.75, "init": "uniform", "biases": True}
        own = {"sgd": {"schedule": "constant"}, "adam": {"batch_size": 7}, "gradient": {"momentum": 0.5}}
        for algorithm in DESCENTS:
            train(self.db, algorithm=algorithm, epochs=1, init_scale=0.5, **given, **own[algorithm])
            resolved = json.loads(self.db.execute("SELECT options FROM recommend_models").fetchone()[0])
            self.assertEqual(resolved["rating"], {**given, **own[algorithm]})
            self.assertEqual((resolved["algorithm"], resolved["objective"], resolved["epochs"], resolved["init_scale"]), (algorithm, "rating", 1, 0.5))
            train(self.db, algorithm=algorithm, epochs=1, biases=False)
            self.assertEqual(json.loads(self.db.execute("SELECT options FROM recommend_models").fetchone()[0])["rating"]["biases"], False)

    def test_every_option_changes_the_model(self):
        options = {"all": ({"regularization": 0.3}, {"bias_regularization": 0.9}, {"learning_rate": 0.004}, {"decay": 0.7}, {"init": "uniform"},
                           {"init_scale": 0.9}, {"biases": False}, {"seed": 1}, {"epochs": 2}),
                   "sgd": ({"schedule": "constant"},), "adam": ({"batch_size": 50},), "gradient": ({"momentum": 0.2},)}
        for algorithm in DESCENTS:
            seen = set()
            for option in ({},) + options["all"] + options[algorithm]:
                train(self.db, **{"algorithm": algorithm, "epochs": 3, **option})
                seen.add(str(shadow_bytes(self.db)["itemfactor"]))
            self.assertEqual(len(seen), 1 + len(options["all"]) + len(options[algorithm]), algorithm)

    def test_too_fast(self):
        for algorithm in ("sgd", "gradient"):
            self.refused({"algorithm": algorithm, "learning_rate": 1000, **({"schedule": "constant"} if algorithm == "sgd" else {})},
                         "after epoch 1", 'lower "learning_rate" (it is 1000)')

    def test_retrain_and_create(self):
        for algorithm in DESCENTS:
            train(self.db, algorithm=algorithm, epochs=3)
            before = shadow_bytes(self.db)
            self.db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')")
            self.assertEqual(shadow_bytes(self.db), before)
            self.db.execute("CREATE VIRTUAL TABLE taste USING recommender(train=mf, source=ratings, size=4, "
                            f"options='{{\"epochs\": 3, \"algorithm\": \"{algorithm}\"}}')")
            self.assertEqual(shadow_bytes(self.db, "taste")["userfactor"], before["userfactor"])
            self.db.execute("DROP TABLE taste")


class Models(TestCase):
    def test_predictions_are_those_of_the_factors(self):
        rows = made_up_ratings()
        for algorithm in DESCENTS:
            for biases in (True, False):
                db = self.closing(trained(rank=5, rows=rows, algorithm=algorithm, biases=biases, epochs=4))
                model = Numpy(db)
                self.assertEqual((model.config["score_head"], model.config["prediction_head"]), ("rating", "rating"))
                self.assertAlmostEqual(model.config["rating_mean"], np.mean([row[2] for row in rows]) if biases else 0, places=9)
                got = db.execute("SELECT user, item, prediction, score FROM ratings_mf").fetchall()
                for user, item, prediction, score in got[::17]:
                    u, i = model.users.index[user], model.items.index[item]
                    self.assertAlmostEqual(score, model.score[u, i], delta=1e-5)
                    self.assertAlmostEqual(prediction, model.clipped()[u, i], delta=1e-5)
                user = rows[0][0]
                seen = model.seen(rows)[model.users.index[user]]
                best = [model.items.ids[i] for i in model.best(model.users.index[user], ~seen)][:5]
                self.assertEqual([row[0] for row in db.execute("SELECT item FROM recommend(?, 5) ORDER BY rank", (user,))], best)

    def test_reported_loss_is_the_loss(self):
        rows = made_up_ratings()
        for algorithm in DESCENTS:
            db = self.closing(rated(rows))
            got = db.execute("SELECT epoch, head, loss, train, test FROM mf_train('ratings', 5, ?)", (json.dumps(
                {"algorithm": algorithm, "epochs": 6, "regularization": 0.03, "bias_regularization": 0.07}),)).fetchall()
            model, loss, squared = Numpy(db), 0, 0
            for user, item, rating in rows:
                u, i = model.users.index[user], model.items.index[item]
                wrong = rating - model.score[u, i]
                squared += wrong ** 2
                loss += wrong ** 2 + 0.03 * (sum(model.users.vector[u] ** 2) + sum(model.items.vector[i] ** 2))
                loss += 0.07 * (model.users.bias[u] ** 2 + model.items.bias[i] ** 2)
            self.assertEqual([row[:2] for row in got], [(n, "rating") for n in range(1, 7)])
            self.assertAlmostEqual(got[-1][2] / loss, 1, places=5)
            self.assertAlmostEqual(got[-1][3], math.sqrt(squared / len(rows)), places=5)
            self.assertLess(got[-1][2], got[0][2])
            self.assertIsNone(got[-1][4])

    def test_a_step_of_gradient_descent(self):
        """From the model after one epoch to that after two, in numpy."""
        rows = made_up_ratings(users=25, items=15)
        rate, shrink, momentum = 1e-3, 0.04, 0.6
        at = {}
        for epochs in (1, 2, 3):
            db = self.closing(trained(rank=4, rows=rows, algorithm="gradient", epochs=epochs, learning_rate=rate, regularization=shrink,
                                      momentum=momentum))
            at[epochs] = Numpy(db)
        old, now, new = (at[epochs].users.vector for epochs in (1, 2, 3))
        expected = now + momentum * (now - old)
        for user, item, rating in rows:
            u, i = at[2].users.index[user], at[2].items.index[item]
            wrong = rating - at[2].score[u, i]
            expected[u] += rate * (wrong * at[2].items.vector[i] - shrink * now[u])
        np.testing.assert_allclose(new, expected, atol=2e-6)

    def test_other_scales(self):
        """Ratings of 2 to 10 instead of 1 to 5: twice the predictions, without other options."""
        rows = made_up_ratings(users=200, items=100)
        one = Numpy(self.closing(trained(rank=5, rows=rows, algorithm="sgd")))
        two = Numpy(self.closing(trained(rank=5, rows=[(u, i, 2 * r) for u, i, r in rows], algorithm="sgd")))
        np.testing.assert_allclose(two.score, 2 * one.score, atol=5e-3)

    def test_the_test_column(self):
        db = self.closing(rated())
        for algorithm in DESCENTS:
            tests = [row[0] for row in db.execute("SELECT test FROM mf_train('ratings', 3, ?)", (json.dumps({"algorithm": algorithm, "test": 0.3, "epochs": 4}),))]
            told = db.execute("SELECT value FROM recommend_evaluate('ratings_mf', 'SELECT user, item, rating FROM ratings WHERE recommend_split(42, user, item) "
                              "< 0.3') WHERE metric = 'rmse'").fetchone()[0]
            self.assertAlmostEqual(tests[-1], told, places=5)


class MovieLens(TestCase):
    """SGD as published: 100 factors of standard deviation 0.1, 20 epochs, one rate of 0.005, λ 0.02."""

    REFERENCE = {"algorithm": "sgd", "schedule": "constant", "learning_rate": 0.005, "regularization": 0.02, "init_scale": 1.0, "init": "normal",
                 "epochs": 20, "model": "m"}

    def fit(self, rest, held_out, rank, options):
        db = self.closing(connect())
        table(db, "ratings", rest)
        train(db, rank=rank, **options)
        return errors(db, held_out, "m", rest[:, 2].mean())

    def test_sgd_100k(self):
        rows = np.loadtxt(data_file("ml-100k", "u.data"), dtype=np.int64)[:, :3]
        rmse, mae = np.mean([self.fit(*fold, 100, self.REFERENCE) for fold in folds(rows)], axis=0)
        print("MovieLens 100K, 5 folds, sgd: RMSE %.4f, MAE %.4f (published .934, .737)" % (rmse, mae))
        self.assertAlmostEqual(rmse, 0.934, delta=0.004)
        self.assertAlmostEqual(mae, 0.737, delta=0.004)

    def test_sgd_1m(self):
        with open(data_file("ml-1m", "ratings_nots.csv"), newline="") as lines:
            rows = np.array(list(csv.reader(lines))[1:], float)
        rmse, _ = self.fit(*next(folds(rows)), 100, self.REFERENCE)
        print("MovieLens 1M, the first of 5 folds, sgd: RMSE %.4f (published, mean of 5: .873)" % rmse)
        self.assertAlmostEqual(rmse, 0.873, delta=0.004)

    def test_defaults_on_u1(self):
        base, test = (np.loadtxt(data_file("ml-100k", name), dtype=np.int64)[:, :3] for name in ("u1.base", "u1.test"))
        for algorithm, most in (("sgd", 0.930), ("adam", 0.945), ("gradient", 0.955)):
            rmse, _ = self.fit(base, test, 32, {"algorithm": algorithm, "model": "m"})
            print("MovieLens 100K, u1, mf_train('ratings', 32), %s: RMSE %.4f" % (algorithm, rmse))
            self.assertLessEqual(rmse, most)


if __name__ == "__main__":
    unittest.main()
