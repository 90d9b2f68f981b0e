"""ease_train(): the weights against NumPy, what is made of them, and published figures."""
import json
import unittest

import numpy as np

import reference
from reference import Matrix, evaluate
from support import TestCase, connect, made_up_ratings, rated, shadow_bytes, train

ROWS = made_up_ratings()


def weights(x, regularization):
    """B = I − P diag(1 / P_ii), P = (XᵀX + λI)⁻¹, its diagonal 0."""
    p = np.linalg.inv(x.T @ x + regularization * np.eye(x.shape[1]))
    b = -p / np.diag(p)[None, :]
    np.fill_diagonal(b, 0)
    return b


class Ease(TestCase):
    def train(self, db, regularization=20, **options):
        return train(db, rank=regularization, function="ease_train", model="m", **options)

    def expected(self, regularization=20, rows=ROWS, values=False):
        matrix = Matrix(rows)
        x = matrix.values if values else matrix.there.astype(float)
        return matrix, x, weights(x, regularization)

    def test_weights(self):
        for regularization, options in ((20, {}), (0.5, {}), (300.5, {"values": "ratings"}), (20, {"rating": None})):
            with self.subTest(regularization=regularization, **options):
                db = self.closing(rated(ROWS))
                self.train(db, regularization, **options)
                matrix, x, b = self.expected(regularization, values="values" in options)
                np.testing.assert_allclose(matrix.of_model(db, "m", "score"), x @ b, atol=2e-5)
                got = np.zeros(b.shape)
                for item, _, similar, weight in db.execute("SELECT * FROM item_similar_all(NULL, 'm')"):
                    got[matrix.item[item], matrix.item[similar]] = weight
                np.testing.assert_allclose(got, b, atol=2e-6)
                self.assertEqual(db.execute("SELECT DISTINCT prediction FROM m").fetchall(), [(None,)])

    def test_serving(self):
        db = self.closing(rated(ROWS))
        self.train(db)
        matrix, x, b = self.expected()
        seen = {row[:2] for row in ROWS}
        cells = db.execute("SELECT user, item, score FROM m").fetchall()
        for user in (1000, 1140):
            expected = sorted(((score, -item) for who, item, score in cells if who == user and (user, item) not in seen), reverse=True)
            got = db.execute("SELECT score, -item FROM recommend(?, 99, 'm') ORDER BY rank", (user,)).fetchall()
            self.assertEqual(got, expected)
            profile = json.dumps([row[1] for row in ROWS if row[0] == user])
            self.assertEqual(db.execute("SELECT score, -item FROM recommend_for(?, 99, 'm')", (profile,)).fetchall(), expected)
        for item in (50, 110):
            expected = sorted(((-score, user) for user, what, score in cells if what == item and (user, item) not in seen))
            self.assertEqual(db.execute("SELECT -score, user FROM recommend_users(?, 99, 'm')", (item,)).fetchall(), expected)
            got = db.execute("SELECT item, similarity FROM item_similar(?, 5, 'm')", (item,)).fetchall()
            row = np.delete(b[matrix.item[item]], matrix.item[item])
            np.testing.assert_allclose([entry[1] for entry in got], np.sort(row)[::-1][:5], atol=2e-6)
        norm = np.sqrt((x ** 2).sum(1))
        cosines = x @ x.T / np.outer(norm, norm)
        got = db.execute("SELECT user, similarity FROM user_similar(1007, 99, 'm')").fetchall()
        self.assertEqual(len(got), len(matrix.users) - 1)
        np.testing.assert_allclose([row[1] for row in got], [cosines[matrix.user[1007], matrix.user[row[0]]] for row in got], atol=1e-6)

    def test_explanations(self):
        for options in ({}, {"values": "ratings"}):
            db = self.closing(rated(ROWS))
            self.train(db, **options)
            matrix, x, b = self.expected(values=bool(options))
            for user, item, score in db.execute("SELECT user, item, score FROM m WHERE user IN (1000, 1049)").fetchall():
                rows = db.execute("SELECT item, rating, contribution, share FROM recommend_explain(?, ?, 99, 'm')", (user, item)).fetchall()
                self.assertEqual({row[:2] for row in rows[:-1]}, {row[1:] for row in ROWS if row[0] == user})
                for other, _, contribution, _ in rows[:-1]:
                    place = matrix.item[other]
                    self.assertAlmostEqual(contribution, x[matrix.user[user], place] * b[place, matrix.item[item]], delta=2e-5)
                self.assertAlmostEqual(sum(row[2] for row in rows), score, delta=1e-12)
                self.assertAlmostEqual(rows[-1][2], 0, delta=1e-5)

    def test_memory(self):
        db = self.closing(connect())
        db.execute("CREATE TABLE ratings(user, item)")
        db.execute("WITH n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 2999) INSERT INTO ratings SELECT n % 7, n FROM n")
        message = self.assert_error(db, "SELECT ease_train('ratings', 10, '{\"max_memory\": 60}')", "3000 items", "60 MB", "max_memory")
        # float64, half of a symmetric matrix, and float32, all of it: 34 and 34 MB at least.
        needed = int(message.split(" MB")[0].split()[-1])
        self.assertGreater(needed, 68)
        self.assertLess(needed, 200)
        db.execute("SELECT ease_train('ratings', 10, ?)", (json.dumps({"max_memory": needed}),)).fetchall()

    def test_seconds(self):
        """How long it would take is said before, where a limit is given or the memory is too little."""
        db = self.closing(rated(ROWS))
        items = len({row[1] for row in ROWS})
        for options, fragment in (({"max_seconds": 1e-12}, '"max_seconds" allows (1.0e-12 s)'), ({"max_memory": 1, "model": "x"}, '"max_memory" allows')):
            if "max_memory" in options:
                db.execute("WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 600) INSERT INTO ratings SELECT 1, 100000 + n, 1 FROM n")
                items += 600
            message = self.assert_error(db, "SELECT ease_train('ratings', 10, ?)", f"{items} items", fragment, "MB", "knn_train", parameters=(json.dumps(options),))
            self.assertRegex(message, r"about [\d.]+ (s|minutes)\b")
        db.execute("SELECT ease_train('ratings', 10, '{\"max_seconds\": 1000000}')").fetchall()
        self.assert_error(db, "SELECT * FROM recommend_cross_validate('ease', 'ratings', 3, '{\"lambda\": 2, \"max_seconds\": 1e-9}')", "max_seconds", "about")

    def test_options(self):
        db = self.closing(rated(ROWS))
        self.assert_error(db, "SELECT ease_train('ratings', 0)", "ease_train")
        self.assert_error(db, "SELECT ease_train('ratings', -1)", "ease_train")
        self.assert_error(db, "SELECT ease_train('ratings', 10, '{\"history\": false}')", "history")
        self.assert_error(db, "SELECT ease_train('ratings', 10, '{\"valuse\": \"ratings\"}')", "values")
        self.train(db)
        self.assert_error(db, "SELECT * FROM recommend_neighbors('m')", "item_similar_all()")
        self.assert_error(db, "SELECT * FROM recommend_factors('m', 'item')", "no factors", "item_similar_all()")
        self.assert_error(db, "SELECT * FROM tfidf_search('x', 2, 'm')", "not on content")
        self.assertEqual(db.execute("SELECT family, algorithm FROM recommend_models").fetchall(), [("ease", "ease")])

    def test_ratings_come_and_go(self):
        """A history changes, the weights do not; what is new has none until it is trained anew."""
        db = self.closing(rated(ROWS))
        self.train(db)
        matrix, _, b = self.expected()
        stored = shadow_bytes(db, "m")["weight"]
        db.execute("INSERT INTO m(user, item, rating) VALUES(1, 53, 5), (1, 56, NULL), (1, 999, 3), (2, 998, 1)")
        db.execute("DELETE FROM m WHERE user = 1 AND item = 56")
        self.assertEqual(shadow_bytes(db, "m")["weight"], stored)
        scores = dict(db.execute("SELECT item, score FROM m WHERE user = 1"))
        self.assertEqual((len(scores), scores[999]), (len(matrix.items) + 2, 0))
        np.testing.assert_allclose([scores[item] for item in matrix.items], b[matrix.item[53]], atol=2e-6)
        before = db.execute("SELECT item, score FROM recommend(1007, 99, 'm')").fetchall()
        db.execute("INSERT INTO m(m, user) VALUES('forget', 1)")
        db.execute("INSERT INTO m(m) VALUES('integrity-check')")
        self.assertEqual(db.execute("SELECT item, score FROM recommend(1007, 99, 'm')").fetchall(), before)
        db.execute("INSERT INTO m(m) VALUES('retrain')")
        self.assertEqual(shadow_bytes(db, "m")["weight"], stored)

    def test_u1(self):
        db = self.closing(reference.u1_positives())
        train(db, "SELECT user, item FROM likes", 200, "ease_train", model="m")
        got = evaluate(db, "m", "SELECT user, item FROM wanted", '{"cold_start": "estimate"}')
        values = [got[name, 10][0] for name in ("precision", "recall", "ndcg")]
        print("MovieLens 100K, u1, EASE 200: P@10 %.6f R@10 %.6f NDCG@10 %.6f" % tuple(values))
        np.testing.assert_allclose(values, [.355921, .215748, .427694], atol=1e-4)
        known = evaluate(db, "m", "SELECT user, item FROM wanted")
        self.assertAlmostEqual(known["auc", None][0], .894132, delta=1e-4)


if __name__ == "__main__":
    unittest.main()
