"""baseline_train(): popularity, means and damped biases against NumPy and against published figures."""
import json
import unittest

import numpy as np

import reference
from reference import Matrix, damped_biases, evaluate, row_means
from support import TestCase, connect, data_file, liked, made_up_ratings, rated, train

ROWS = made_up_ratings()
METHODS = ("bias", "global", "user", "item")


class Baseline(TestCase):
    def train(self, db, source="ratings", **options):
        options.setdefault("model", "m")
        return json.loads(db.execute("SELECT baseline_train(?, ?)", (source, json.dumps(options))).fetchone()[0])

    def expected(self, method, matrix, **options):
        values, there = matrix.values, matrix.there
        mean, users, items = damped_biases(values, there, **options)
        return {"global": np.full(values.shape, matrix.mean),
                "user": np.repeat(row_means(values, there)[:, None], values.shape[1], 1),
                "item": np.repeat(row_means(values.T, there.T)[None, :], values.shape[0], 0),
                "bias": mean + users[:, None] + items[None, :]}[method]

    def test_predictions(self):
        matrix = Matrix(ROWS)
        low, high = matrix.values[matrix.there].min(), matrix.values[matrix.there].max()
        for method in METHODS:
            db = self.closing(rated(ROWS))
            self.train(db, method=method)
            np.testing.assert_allclose(matrix.of_model(db, "m", "prediction"), np.clip(self.expected(method, matrix), low, high),
                                       atol=2e-6)
            np.testing.assert_allclose(matrix.of_model(db, "m", "score"), np.repeat(liked(ROWS, matrix.items)[None, :], len(matrix.users), 0))
        db = self.closing(rated(ROWS))
        self.train(db, user_regularization=3, item_regularization=0.5, epochs=2)
        np.testing.assert_allclose(matrix.of_model(db, "m", "prediction"), np.clip(self.expected(
            "bias", matrix, user_regularization=3, item_regularization=0.5, epochs=2), low, high), atol=2e-6)

    def test_popularity(self):
        db = self.closing(rated(ROWS))
        self.train(db, method="popularity")
        matrix = Matrix(ROWS)
        count = dict(zip(matrix.items, matrix.there.sum(0)))
        self.assertEqual(db.execute("SELECT DISTINCT prediction FROM m").fetchall(), [(None,)])
        seen = {row[1] for row in ROWS if row[0] == 1000}
        expected = sorted(((item, float(n)) for item, n in count.items() if item not in seen), key=lambda row: (-row[1], row[0]))
        self.assertEqual(db.execute("SELECT item, score FROM recommend(1000, 99, 'm')").fetchall(), expected)
        self.assertEqual(db.execute("SELECT DISTINCT reason FROM recommend(1000, 99, 'm')").fetchall(), [("model",)])

    def test_score(self):
        """By who likes them, by who has them, or by what is predicted."""
        db = self.closing(rated(ROWS))
        matrix = Matrix(ROWS)
        for options, count in (({}, liked(ROWS, matrix.items)), ({"score": "popularity"}, matrix.there.sum(0)),
                               ({"method": "popularity"}, matrix.there.sum(0)), ({"method": "popularity", "score": "liked"}, liked(ROWS, matrix.items))):
            self.train(db, **options)
            np.testing.assert_allclose(matrix.of_model(db, "m", "score"), np.repeat(count[None, :], len(matrix.users), 0))
            # A stranger gets what everybody gets.
            order = np.lexsort((np.arange(len(count)), -count))
            self.assertEqual(db.execute("SELECT item, score, reason FROM recommend(-1, 99, 'm')").fetchall(),
                             [(matrix.items[i], float(count[i]), "popular") for i in order])
        db.execute("CREATE VIEW plays AS SELECT user, item FROM ratings")
        self.assert_error(db, "SELECT baseline_train('plays', '{\"score\": \"liked\"}')", "no ratings", "score")
        self.train(db, score="prediction")
        np.testing.assert_allclose(matrix.of_model(db, "m", "score"), self.expected("bias", matrix), atol=2e-6)
        self.assert_error(db, "SELECT baseline_train('ratings', '{\"method\": \"popularity\", \"score\": \"prediction\"}')",
                          "popularity", "score")

    def test_serving(self):
        matrix = Matrix(ROWS)
        mean, users, items = damped_biases(matrix.values, matrix.there)
        for score in ("liked", "popularity", "prediction"):
            db = self.closing(rated(ROWS))
            self.train(db, score=score)
            scores = matrix.of_model(db, "m", "score")
            item = 62
            seen = {row[0] for row in ROWS if row[1] == item}
            order = [user for user in np.argsort(-scores[:, matrix.item[item]], kind="stable") if matrix.users[user] not in seen]
            got = db.execute("SELECT user, score FROM recommend_users(?, 99, 'm')", (item,)).fetchall()
            self.assert_same_rows(got, [(matrix.users[user], scores[user, matrix.item[item]]) for user in order], 1e-6)
            # Whoever has the same history gets what the user gets, but for the last round's change.
            rows = db.execute("SELECT item, rating, contribution, share FROM recommend_explain(1000, 62, 5, 'm')").fetchall()
            self.assertEqual([row[:2] for row in rows], [(None, None)])
            self.assertAlmostEqual(rows[0][2], scores[0, matrix.item[item]], delta=1e-6)
            got = db.execute("SELECT item, score FROM recommend_for('{\"50\": 5, \"53\": 1}', 99, 'm')").fetchall()
            self.assertEqual(len(got), len(matrix.items) - 2)
            if score == "prediction":
                places = [matrix.item[50], matrix.item[53]]
                bias = (np.array([5, 1]) - mean - items[places]).sum() / (2 + 15)
                np.testing.assert_allclose([row[1] for row in got], [mean + bias + items[matrix.item[row[0]]] for row in got], atol=2e-6)
            for function in ("item_similar(50, 3, 'm')", "item_similar_all(3, 'm')", "user_similar(1000, 3, 'm')"):
                self.assert_error(db, "SELECT * FROM " + function, "baseline", "knn_train")
        for side, head, bias in (("user", "rating", users), ("item", "rating", items), ("item", "ranking", liked(ROWS, matrix.items))):
            got = biases_of(db, side, head)
            np.testing.assert_allclose([row[0] for row in got], bias, atol=2e-6)
            self.assertEqual({row[1] for row in got}, {None})

    def test_which_model_is_asked(self):
        """Where only one model can answer it need not be named."""
        db = self.closing(rated(ROWS))
        self.train(db, model="b")
        train(db, rank=2, model="f")
        self.assertEqual(db.execute("SELECT * FROM item_similar(50, 3)").fetchall(), db.execute("SELECT * FROM item_similar(50, 3, 'f')").fetchall())
        self.assertEqual(db.execute("SELECT * FROM user_similar(1000, 3)").fetchall(),
                         db.execute("SELECT * FROM user_similar(1000, 3, 'f')").fetchall())
        self.assert_error(db, "SELECT * FROM recommend(1000, 3)", "2 models can answer")

    def test_ratings_come_and_go(self):
        """A user's damped bias is that of what the user has."""
        matrix = Matrix(ROWS)
        mean, users, items = damped_biases(matrix.values, matrix.there)
        means = row_means(matrix.values, matrix.there)
        for method in METHODS:
            db = self.closing(rated(ROWS))
            self.train(db, method=method)
            db.execute("INSERT INTO m(user, item, rating) VALUES(1, 53, 5), (1, 999, 2), (1007, 50, 5), (1007, 50, 4.5)")
            db.execute("DELETE FROM m WHERE user = 1014 AND seen = 1")
            got = dict(db.execute("SELECT id, bias FROM recommend_factors('m', 'user', 'rating')"))
            expected = {"bias": (5 - mean - items[matrix.item[53]] + 2 - mean) / (2 + 15), "user": 3.5 - mean}.get(method, 0)
            self.assertAlmostEqual(got[1], expected, delta=2e-6)
            self.assertAlmostEqual(got[1014], 0, delta=2e-6)
            self.assertAlmostEqual(got[1021], {"bias": users[3], "user": means[3] - mean}.get(method, 0), delta=2e-6)
            self.assertEqual(db.execute("SELECT score FROM m WHERE user = 1 AND item = 999").fetchone(), (0,))
            db.execute("INSERT INTO m(m, user) VALUES('forget', 1000)")
            db.execute("INSERT INTO m(m) VALUES('integrity-check')")

    def test_implicit(self):
        db = self.closing(connect())
        db.execute("CREATE TABLE plays(user, item)")
        db.executemany("INSERT INTO plays VALUES(?, ?)", [row[:2] for row in ROWS])
        self.assertEqual(self.train(db, "plays")["algorithm"], "popularity")
        self.assert_error(db, "SELECT baseline_train('plays', '{\"method\": \"item\"}')", "no ratings")
        rows = db.execute("SELECT epoch, head, test FROM baseline_train('plays', '{\"test\": 0.3}')").fetchall()
        self.assertEqual(rows[0][:2], (1, "ranking"))
        self.assertTrue(0 < rows[0][2] < 1)

    # ---- published figures ----

    def test_five_folds(self):
        db = self.closing(reference.in_folds())
        for method, expected in (("global", (1.125676, .944709)), ("user", (1.041935, .834987)), ("item", (1.024942, .817317)),
                                 ("bias", (.943969, .748373))):
            errors = []
            for fold in range(5):
                self.train(db, f"train{fold}", method=method)
                errors.append(reference.errors_of(db, "m", fold, biases=True))
            print("MovieLens 100K, 5 folds, %s: RMSE %.6f MAE %.6f" % (method, *np.mean(errors, axis=0)))
            np.testing.assert_allclose(np.mean(errors, axis=0), expected, atol=1e-4)

    def test_u1(self):
        db = self.closing(reference.u1_positives())
        for method, expected in (("global", (1.15368, .96805)), ("user", (1.06300, .85019)), ("item", (1.03341, .82757)),
                                 ("bias", (.95994, .76158))):
            self.train(db, "base", method=method)
            got = evaluate(db, "m", "test", '{"cold_start": "estimate"}')
            np.testing.assert_allclose((got["rmse", None][0], got["mae", None][0]), expected, atol=1e-5)
        self.train(db, "SELECT user, item FROM likes")
        got = evaluate(db, "m", "SELECT user, item FROM wanted", '{"cold_start": "estimate"}')
        values = [got[name, 10][0] for name in ("precision", "recall", "ndcg")]
        np.testing.assert_allclose(values, [.205044, .107188, .240281], atol=1e-5)
        self.assertAlmostEqual(evaluate(db, "m", "SELECT user, item FROM wanted")["auc", None][0], .850528, delta=1e-5)


class Strangers(TestCase):
    """Somebody of whom nothing is known gets what is liked, which beats what is rated by those who rate: NDCG@10 of ratings
    that are likes, all that the user has rated before left out."""

    def compare(self, db, like):
        for score in ("popularity", "liked"):
            db.execute("SELECT baseline_train('base', ?)", (json.dumps({"score": score, "model": score}),))
        return {score: evaluate(db, score, "test", json.dumps({"threshold": like}))["ndcg", 10][0] for score in ("popularity", "liked")}

    def test_u1(self):
        values = self.compare(self.closing(reference.u1_positives()), 4)
        print("MovieLens 100K, u1, NDCG@10 of ratings >= 4: most rated %(popularity).4f, most liked %(liked).4f" % values)
        self.assertAlmostEqual(values["popularity"], .245, delta=5e-4)
        self.assertGreaterEqual(values["liked"], .26)

    def test_jester(self):
        """Jokes, where nearly everybody has rated the same ones, and these are the worst."""
        with open(data_file("jester", "ratings.csv")) as file:
            rows = [(int(user), int(joke), float(rating)) for user, joke, rating in (line.split(",") for line in list(file)[1:])]
        db = self.closing(connect())
        db.execute("CREATE TABLE jokes(user, item, rating)")
        db.executemany("INSERT INTO jokes VALUES(?, ?, ?)", rows)
        for view, sign in (("base", "<"), ("test", ">=")):
            db.execute(f"CREATE VIEW {view} AS SELECT * FROM jokes WHERE recommend_split(42, user, item) {sign} 0.8")
        values = self.compare(db, 5)
        print("Jester, NDCG@10 of ratings >= 5: most rated %(popularity).4f, most liked %(liked).4f" % values)
        self.assertGreaterEqual(values["liked"], values["popularity"] + .04)
        # What a stranger gets is among the best by their mean ratings.
        place = {row[0]: n for n, row in enumerate(db.execute("SELECT item FROM jokes GROUP BY item ORDER BY avg(rating) DESC"), 1)}
        self.assertLessEqual(max(place[row[0]] for row in db.execute("SELECT item FROM recommend('a stranger', 5, 'liked')")), 20)


def biases_of(db, side, head):
    return db.execute("SELECT bias, vector FROM recommend_factors('m', ?, ?)", (side, head)).fetchall()


if __name__ == "__main__":
    unittest.main()
