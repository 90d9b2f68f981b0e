"""kmeans_train and recommend_clusters against scikit-learn and NumPy."""
import json
import unittest
from collections import Counter

import numpy as np
from support import Numpy, TestCase, connect, made_up_ratings, rated, shadow_bytes, train

try:
    from sklearn.cluster import KMeans
    from sklearn.datasets import load_iris
except ImportError:
    KMeans = None


def kmeans(db, source="ratings", k=4, **options):
    return train(db, source, k, function="kmeans_train", **options)


def clusters(db, model):
    return db.execute("SELECT id, cluster, distance FROM recommend_clusters(?)", (model,)).fetchall()


def centroids(db, model):
    rows = db.execute(f"SELECT data FROM \"{model}_weight\" WHERE name LIKE 'centroid/%' ORDER BY CAST(substr(name, 10) AS INTEGER)")
    return np.array([np.frombuffer(row[0][:-8], "<f4") for row in rows], float)


class Tables(TestCase):
    """Rows of numbers."""

    @unittest.skipIf(KMeans is None, "no scikit-learn")
    def test_iris(self):
        data = load_iris().data
        db = self.closing(connect())
        db.execute("CREATE TABLE iris(plant INTEGER PRIMARY KEY, a REAL, b REAL, c REAL, d REAL)")
        db.executemany("INSERT INTO iris VALUES(?, ?, ?, ?, ?)", [(100 + i, *map(float, row)) for i, row in enumerate(data)])
        for k, best in ((2, 152.347952), (3, 78.851441), (4, 57.228473)):
            summary = kmeans(db, "iris", k, columns=["a", "b", "c", "d"], starts=20, tolerance=0)
            self.assertAlmostEqual(summary["inertia"], best, delta=2e-6)
            rows = clusters(db, "iris_kmeans")
            self.assertEqual([row[0] for row in rows], list(range(100, 250)))
            labels = np.array([row[1] for row in rows])
            means = np.array([data[labels == c].mean(0) for c in range(k)])
            np.testing.assert_allclose(centroids(db, "iris_kmeans"), means, atol=1e-5)
            np.testing.assert_allclose([row[2] for row in rows], np.sqrt(((data - means[labels]) ** 2).sum(1)), atol=1e-5)
            reference = KMeans(k, n_init=20, random_state=0).fit(data)
            self.assertAlmostEqual(summary["inertia"], reference.inertia_, delta=2e-6)
            if k == 3:
                self.assertEqual(sorted(Counter(labels).values()), [38, 50, 62])

    @unittest.skipIf(KMeans is None, "no scikit-learn")
    def test_scale(self):
        data = load_iris().data * [1, 1000, 0.001, 1] + [0, 5e6, 3, 0]
        db = self.closing(connect())
        db.execute("CREATE TABLE iris(id, a, b, c, d)")
        db.executemany("INSERT INTO iris VALUES(?, ?, ?, ?, ?)", [("p%03d" % i, *map(float, row)) for i, row in enumerate(data)])
        summary = kmeans(db, "iris", 3, columns=["a", "b", "c", "d"], starts=20, tolerance=0, scale=True)
        scaled = (data - data.mean(0)) / data.std(0)
        self.assertAlmostEqual(summary["inertia"], KMeans(3, n_init=20, random_state=0).fit(scaled).inertia_, delta=1e-4)
        labels = np.array([row[1] for row in clusters(db, "iris_kmeans")])
        means = np.array([data[labels == c].mean(0) for c in range(3)])
        np.testing.assert_allclose(centroids(db, "iris_kmeans"), means, rtol=1e-6)

    def setUp(self):
        self.db = self.closing(connect())
        self.db.execute("CREATE TABLE points(name TEXT, x, y)")
        self.db.executemany("INSERT INTO points VALUES(?, ?, ?)", [("c", 0, 0), ("a", 10, 10), ("d", "0.5", 0), ("b", 10.5, 10), ("e", None, 1), ("f", "", 1), (None, 1, 1), ("", 1, 1)])

    def test_fewer_clusters_than_asked_for(self):
        """Where there are fewer different points than k, as many clusters come, and the summary says how many."""
        self.db.execute("CREATE TABLE few(id INTEGER PRIMARY KEY, x, y)")
        self.db.executemany("INSERT INTO few(x, y) VALUES(?, ?)", [(i % 5, i % 5 * 2) for i in range(20)])
        for k, found in ((8, 5), (5, 5), (3, 3)):
            self.assertEqual(kmeans(self.db, "few", k, id="id")["clusters"], found)
            self.assertEqual(self.db.execute("SELECT count(DISTINCT cluster) FROM recommend_clusters('few_kmeans')").fetchone(), (found,))

    def test_columns(self):
        expected = {frozenset("ab"), frozenset("cd")}
        for options in ({"id": "name"}, {"columns": ["x", "y"]}, {"id": "name", "columns": ["y"]}):
            summary = kmeans(self.db, "points", 2, **options)
            if options.get("columns") != ["y"]:
                self.assertEqual(summary["inertia"], 0.25)
            rows = clusters(self.db, "points_kmeans")
            ids = [row[0] for row in rows]
            self.assertEqual(ids, sorted(ids))
            if options.get("columns") != ["y"]:
                self.assertEqual({frozenset(id for id, cluster, _ in rows if cluster == c) for c in (0, 1)}, expected)
        kmeans(self.db, "SELECT x, y FROM points WHERE x <> ''", 2, id=None, model="numbered")
        self.assertEqual([row[0] for row in clusters(self.db, "numbered")], [1, 2, 3, 4, 5, 6])

    def test_no_items(self):
        kmeans(self.db, "points", 2, id="name")
        for sql in ("SELECT * FROM recommend('a', 5)", "SELECT predict('a', 'x')", "SELECT * FROM recommend_all(5)", "SELECT * FROM recommend_explain('a', 'x', 3)",
                    "SELECT * FROM user_similar('a', 3)"):
            self.assert_error(self.db, sql, "knows no items", "recommend_clusters()")
        self.assertEqual(self.db.execute("SELECT count(*) FROM points_kmeans WHERE user = 'a'").fetchone(), (0,))
        self.db.execute("INSERT INTO points_kmeans(points_kmeans) VALUES('integrity-check')")
        self.db.execute("INSERT INTO points VALUES('g', 0, 1)")
        self.db.execute("INSERT INTO points_kmeans(points_kmeans) VALUES('retrain')")
        self.assertEqual(len(clusters(self.db, "points_kmeans")), 5)
        self.db.execute("DROP TABLE points_kmeans")

    def test_errors(self):
        def error(options, *fragments, k=2):
            self.assert_error(self.db, "SELECT kmeans_train('points', ?, ?)", "kmeans_train", *fragments, parameters=(k, json.dumps(options)))
        error({"id": "nme"}, '"nme"', '"name", "x", "y"')
        error({"columns": ["x", "name"]}, "both the id and a number")
        error({"id": "x", "columns": ["name"]}, "'c'", "not a number")
        error({"id": "name", "by": "item"}, "for ratings")
        error({"id": "name"}, "clusters of 4 rows", k=5)
        error({"id": "name"}, "number of clusters", k=0)
        self.db.execute("INSERT INTO points VALUES('a', 5, 5)")
        error({"id": "name"}, "'a'", "an earlier one")
        self.db.execute("DELETE FROM points WHERE x > 0 OR name IS NULL OR x IS NULL OR x = ''")
        self.db.execute("DELETE FROM points")
        error({"id": "name"}, "no rows")


class Ratings(TestCase):
    """Rows of ratings, and factors."""

    def matrix(self, rows):
        users, items = (sorted({row[at] for row in rows}) for at in (0, 1))
        matrix = np.full((len(users), len(items)), np.nan)
        for user, item, rating in rows:
            matrix[users.index(user), items.index(item)] = rating
        return users, items, matrix

    def expected_means(self, matrix, labels, k, min_support, mean):
        """clusters × columns."""
        there = ~np.isnan(matrix)
        filled = np.nan_to_num(matrix)
        damped = (filled.sum(0) + min_support * mean) / (there.sum(0) + min_support)
        result = np.empty((k, matrix.shape[1]))
        for c in range(k):
            support = there[labels == c].sum(0)
            result[c] = np.where(support >= min_support, filled[labels == c].sum(0) / np.maximum(support, 1), damped)
        return result

    @unittest.skipIf(KMeans is None, "no scikit-learn")
    def test_rating_rows(self):
        rows = made_up_ratings()
        users, items, matrix = self.matrix(rows)
        for by in ("user", "item"):
            for center in ("none", "mean"):
                db = self.closing(rated(rows))
                summary = kmeans(db, k=4, by=by, center=center, starts=60, tolerance=0)
                side = matrix if by == "user" else matrix.T
                points = side - np.nanmean(side, 1, keepdims=True) if center == "mean" else side
                reference = KMeans(4, n_init=20, random_state=0).fit(np.nan_to_num(points))
                self.assertLess(summary["inertia"], reference.inertia_ * 1.03)
                got = clusters(db, "ratings_kmeans")
                self.assertEqual([row[0] for row in got], users if by == "user" else items)
                labels = np.array([row[1] for row in got])
                means = np.array([np.nan_to_num(points)[labels == c].mean(0) for c in range(4)])
                inertia = ((np.nan_to_num(points) - means[labels]) ** 2).sum()
                self.assertAlmostEqual(summary["inertia"], inertia, delta=1e-5 * inertia)
                expected = self.expected_means(side, labels, 4, 3, np.nanmean(matrix))[labels]
                model = Numpy(db, "ratings_kmeans", rating_head="rating", ranking_head="rating")
                np.testing.assert_allclose(model.score, expected if by == "user" else expected.T, atol=1e-5)

    def test_recommend(self):
        rows = made_up_ratings()
        db = self.closing(rated(rows))
        kmeans(db, k=3, min_support=2)
        model = Numpy(db, "ratings_kmeans", ranking_head="rating")
        seen = model.seen(rows)
        for user in (0, 7, 59):
            id = model.users.ids[user]
            got = db.execute("SELECT item, score FROM recommend(?, 5)", (id,)).fetchall()
            best = model.best(user, ~seen[user])[:5]
            self.assertEqual([row[0] for row in got], [model.items.ids[i] for i in best])
            np.testing.assert_allclose([row[1] for row in got], model.score[user, best], atol=1e-5)
            self.assertAlmostEqual(db.execute("SELECT predict(?, ?)", (id, model.items.ids[3])).fetchone()[0], model.clipped()[user, 3], delta=1e-5)
        self.assert_error(db, "INSERT INTO ratings_kmeans(user, item, rating) VALUES(1000, 50, 3)", "train it again")
        db.execute("INSERT INTO ratings_kmeans(ratings_kmeans) VALUES('integrity-check')")

    def test_factors(self):
        rows = made_up_ratings()
        db = self.closing(rated(rows))
        train(db, rank=4)
        factors = Numpy(db)
        for by, side in (("user", factors.users), ("item", factors.items)):
            summary = kmeans(db, k=5, by=by, factors="ratings_mf", starts=10, tolerance=0)
            labels = np.array([row[1] for row in clusters(db, "ratings_kmeans")])
            means = np.array([side.vector[labels == c].mean(0) for c in range(5)])
            inertia = ((side.vector - means[labels]) ** 2).sum()
            self.assertAlmostEqual(summary["inertia"], inertia, delta=1e-5 * inertia)
            if KMeans:
                self.assertLess(summary["inertia"], 1.03 * KMeans(5, n_init=20, random_state=0).fit(side.vector).inertia_)
        self.assert_error(db, "SELECT kmeans_train('ratings', 3, '{\"factors\": \"nothing\"}')", "nothing")
        self.assert_error(db, "SELECT kmeans_train('ratings', 3, '{\"factors\": \"ratings_mf\", \"center\": \"mean\"}')", "rows of ratings")
        self.assert_error(db, "SELECT kmeans_train('ratings', 3, '{\"scale\": true}')", "scale")

    def test_implicit(self):
        rows = [(user, item) for user, item, _ in made_up_ratings()]
        db = self.closing(connect())
        db.execute("CREATE TABLE plays(user, item)")
        db.executemany("INSERT INTO plays VALUES(?, ?)", rows)
        kmeans(db, "plays", 3)
        labels = dict((row[0], row[1]) for row in clusters(db, "plays_kmeans"))
        user = rows[0][0]
        sharers = {u for u, c in labels.items() if c == labels[user]}
        for item, score in db.execute("SELECT item, score FROM recommend(?, 5)", (user,)):
            share = sum(1 for u, i in rows if i == item and u in sharers) / len(sharers)
            self.assertAlmostEqual(score, share, delta=1e-6)

    def test_epochs_and_threads(self):
        db = self.closing(rated())
        rows = db.execute("SELECT epoch, head, loss FROM kmeans_train('ratings', 4, '{\"starts\": 2, \"model\": \"a\"}')").fetchall()
        self.assertEqual([row[0] for row in rows], list(range(1, len(rows) + 1)))
        self.assertTrue(all(row[1] == "rating" and row[2] > 0 for row in rows))
        stored = []
        for threads in (1, 2, 5):
            for batch in (0, 16):
                kmeans(db, k=4, model="m", threads=threads, batch_size=batch, test=0.1)
                stored.append(shadow_bytes(db, "m"))
        for at in (2, 4):
            self.assertEqual(stored[0], stored[at])
            self.assertEqual(stored[1], stored[at + 1])
        self.assert_error(db, "SELECT * FROM recommend_clusters('nowhere')", "nowhere")

    def test_none_left_out(self):
        db = self.closing(rated())
        train(db)
        self.assert_error(db, "SELECT * FROM recommend_clusters", "has no clusters", "kmeans_train")
        self.assert_error(db, "SELECT * FROM recommend_clusters('ratings_mf')", "has no clusters")
        kmeans(db)
        self.assertEqual(len(db.execute("SELECT * FROM recommend_clusters").fetchall()), 60)

    def test_numbers_that_a_float_can_not_hold(self):
        db = self.closing(connect())
        db.execute("CREATE TABLE far(id INTEGER PRIMARY KEY, x REAL, y REAL)")
        db.executemany("INSERT INTO far VALUES(?, ?, ?)", [(row, 1e300, row) for row in range(6)])
        for scale in ("true", "false"):
            self.assert_error(db, f"SELECT kmeans_train('far', 2, '{{\"id\": \"id\", \"scale\": {scale}}}')", "too large")
        self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (0,))

    def test_damage(self):
        db = self.closing(rated())
        kmeans(db)
        for turn, change in enumerate(("3", "0", "4.5", "NULL", "4097"), 1):  # each under a stamp of its own
            db.execute("SAVEPOINT s")
            db.execute(f"UPDATE ratings_kmeans_config SET value = {change} WHERE key = 'clusters'")
            db.execute("UPDATE ratings_kmeans_config SET value = value + ? WHERE key = 'item_stamp'", (turn,))
            self.assert_error(db, "SELECT * FROM recommend_clusters", "damaged")
            db.execute("ROLLBACK TO s")
            db.execute("RELEASE s")
        for change in ("data = substr(data, 2)", "data = NULL", "name = 'x' || name", "data = CAST(x'00' || substr(data, 2) AS BLOB)", "data = zeroblob(length(data))"):
            for kind in ("cluster", "centroid"):
                db.execute("SAVEPOINT s")
                db.execute(f"UPDATE ratings_kmeans_weight SET {change} WHERE name LIKE '{kind}/0'")
                try:
                    db.execute("INSERT INTO ratings_kmeans(ratings_kmeans) VALUES('integrity-check')")
                    self.assertTrue(change.startswith("data = CAST"), (change, kind))
                except Exception as error:
                    self.assertIn("damaged", str(error))
                    if kind == "cluster":
                        self.assert_error(db, "SELECT * FROM recommend_clusters", "damaged")
                db.execute("ROLLBACK TO s")
                db.execute("RELEASE s")


if __name__ == "__main__":
    unittest.main()
