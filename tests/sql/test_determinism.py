"""The same training gives the same bytes: for any number of threads, order of rows, client, and time."""
import json
import os
import random
import unittest

from support import TestCase, add_ratings, connect, documents, made_up_ratings, shadow_bytes, shell, train, train_text

ROWS = made_up_ratings(users=900, items=150, density=0.15)


class Same(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.expected = {}

    def bytes_of(self, rows=ROWS, **options):
        db = self.closing(connect())
        add_ratings(db, rows)
        train(db, rank=12, epochs=3, **options)
        return shadow_bytes(db)

    def check(self, **options):
        expected = self.bytes_of(threads=1, **options)
        for threads in (2, 7, 1, 0):
            got = self.bytes_of(threads=threads, **options)
            for table in expected:
                self.assertEqual(got[table], expected[table], (table, threads))

    def test_threads(self):
        self.check()

    def test_threads_and_exact_solver(self):
        self.check(solver="cholesky", test=0.2)

    def test_threads_and_nonnegative(self):
        self.check(nonnegative=True)

    def test_threads_and_implicit(self):
        self.check(rating=None)

    def test_threads_and_descents(self):
        for algorithm in ("sgd", "adam", "gradient"):
            self.check(algorithm=algorithm)
            self.check(algorithm=algorithm, biases=False, init="uniform", test=0.2)
        self.check(algorithm="sgd", schedule="constant")
        self.check(algorithm="adam", batch_size=9000)

    def test_threads_and_factors(self):
        for algorithm in ("svdpp", "nmf", "svd", "bpr", "logistic"):
            predicts = {"range": "minmax"} if algorithm in ("svdpp", "nmf", "svd") else {}
            self.check(algorithm=algorithm, test=0.2, **predicts)
        self.check(algorithm="svd", center="user", missing="zero")
        self.check(algorithm="logistic", rating=None, negatives=2)
    def test_threads_and_clusters(self):
        for options in ({"k": 12}, {"k": 7, "by": "item", "center": "mean"}, {"k": 5, "batch_size": 200, "test": 0.1}, {"k": 9, "factors": "ratings_mf"}):
            expected = None
            for threads in (1, 2, 7):
                db = self.closing(connect())
                add_ratings(db, ROWS)
                if "factors" in options:
                    train(db, rank=12, epochs=2)
                rest = {key: value for key, value in options.items() if key != "k"}
                train(db, rank=options["k"], function="kmeans_train", model="groups", threads=threads, **rest)
                got = shadow_bytes(db, "groups")
                expected = expected or got
                self.assertEqual(got, expected)

    def test_threads_and_timed_histories(self):
        self.check(history="timed", test=0.2)
        self.check(history="timed", duplicates="sum")

    def test_times_decide_and_not_the_order_of_rows(self):
        rows = [(u, i, r, (7 * place) % 10007) for place, (u, i, r) in enumerate(ROWS[:3000])]
        expected = None
        for seed in range(3):
            db = self.closing(connect())
            db.execute("CREATE TABLE ratings(user INTEGER, item INTEGER, rating REAL, timestamp INTEGER)")
            db.executemany("INSERT INTO ratings VALUES(?, ?, ?, ?)", rows)
            train(db, rank=3, epochs=2, history="timed", test=0.2)
            expected = expected or shadow_bytes(db)
            self.assertEqual(shadow_bytes(db), expected)
            random.Random(seed).shuffle(rows)

    def test_order_of_rows(self):
        expected = self.bytes_of()
        for seed in (1, 2):
            rows = list(ROWS)
            random.Random(seed).shuffle(rows)
            self.assertEqual(self.bytes_of(rows), expected)

    def test_order_of_duplicates_that_are_summed(self):
        rows = [(u, i, r + 0.1) for u, i, r in ROWS[:2000]] + ROWS[:1500] + ROWS[500:900]
        expected = self.bytes_of(rows, duplicates="sum")
        random.Random(3).shuffle(rows)
        self.assertEqual(self.bytes_of(rows, duplicates="sum"), expected)

    def test_trained_again_in_place(self):
        db = self.closing(connect())
        add_ratings(db, ROWS)
        train(db, rank=12, epochs=3)
        expected = shadow_bytes(db)
        train(db, rank=12, epochs=3)
        self.assertEqual(shadow_bytes(db), expected)
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')")
        self.assertEqual(shadow_bytes(db), expected)
        db.execute("DROP TABLE ratings_mf")
        db.execute("SELECT * FROM mf_train('ratings', 12, '{\"epochs\":3}')").fetchall()
        self.assertEqual(shadow_bytes(db)["userfactor"], expected["userfactor"])

    def test_shell_and_python(self):
        path = os.path.join(self.folder(), "ratings.db")
        db = connect(path)
        add_ratings(db, ROWS)
        db.close()
        options = json.dumps({"epochs": 3})
        shell(path, f"SELECT mf_train('ratings', 12, '{options}') IS NOT NULL;\n")
        db = self.closing(connect(path))
        stored = shadow_bytes(db)
        train(db, rank=12, epochs=3)
        self.assertEqual(shadow_bytes(db), stored)

    def test_another_seed_is_another_model(self):
        self.assertNotEqual(self.bytes_of(seed=1)["itemfactor"], self.bytes_of(seed=2)["itemfactor"])


class SameText(TestCase):
    """Enough text for many blocks, each read by whichever thread comes first."""

    @classmethod
    def setUpClass(cls):
        draw = random.Random(9)
        words = [f"word{n}" for n in range(3000)] + ["Café", "東京", "🎬", "don't"] * 20
        cls.texts = [(7 * n, " ".join(draw.choices(words, k=draw.randint(0, 60)))) for n in range(4000)]
        cls.likes = [(draw.randint(1, 300), 7 * draw.randint(0, 4100), draw.randint(1, 5)) for _ in range(5000)]
        cls.likes = list({row[:2]: row for row in cls.likes}.values())

    def bytes_of(self, texts, likes=None, **options):
        db = self.closing(documents(texts))
        if likes:
            add_ratings(db, likes)
            options["ratings"] = "ratings"
        train_text(db, **options)
        return shadow_bytes(db, "documents_tfidf")

    def check(self, **options):
        expected = self.bytes_of(self.texts, **options, threads=1)
        self.assertGreater(len(expected["term"]), 1)
        for threads in (2, 5):
            self.compare(self.bytes_of(self.texts, **options, threads=threads), expected)
        return expected

    def compare(self, got, expected):
        for table in expected:
            self.assertEqual(got[table] == expected[table], True, table)

    def shuffled(self, rows, seed):
        rows = list(rows)
        random.Random(seed).shuffle(rows)
        return rows

    def test_threads(self):
        self.check(ngram_range=[1, 2], min_df=2)
        self.check(weighting="count", sublinear_tf=True, max_features=500, tokenize="porter")

    def test_threads_and_users(self):
        self.check(likes=self.likes, profile="weighted", test=0.2)

    def test_order_of_rows(self):
        expected = self.bytes_of(self.texts, self.likes, profile="weighted", ngram_range=[1, 2])
        for seed in (1, 2):
            # Not an INTEGER PRIMARY KEY, in whose order rows would be read again.
            db = self.closing(connect())
            db.execute("CREATE TABLE documents(id INTEGER, text)")
            db.executemany("INSERT INTO documents VALUES(?, ?)", self.shuffled(self.texts, seed))
            add_ratings(db, self.shuffled(self.likes, seed))
            train_text(db, profile="weighted", ngram_range=[1, 2], ratings="ratings")
            self.compare(shadow_bytes(db, "documents_tfidf"), expected)

    def test_rows_that_are_joined(self):
        """Words of several rows add up in whatever order these come."""
        expected = None
        for seed in (1, 2):
            db = self.closing(connect())
            db.execute("CREATE TABLE documents(id INTEGER, text)")
            db.executemany("INSERT INTO documents VALUES(?, ?)", self.shuffled([(id % 70, text) for id, text in self.texts], seed))
            train_text(db, same_id="join")
            got = shadow_bytes(db, "documents_tfidf")
            self.compare(got, expected or got)
            expected = got

    def test_trained_again(self):
        db = self.closing(documents(self.texts))
        train_text(db, ngram_range=[1, 2], min_df=2)
        expected = shadow_bytes(db, "documents_tfidf")
        db.execute("INSERT INTO documents_tfidf(documents_tfidf) VALUES('retrain')")
        self.compare(shadow_bytes(db, "documents_tfidf"), expected)
        db.execute("DROP TABLE documents_tfidf")
        db.execute("SELECT * FROM tfidf_train('documents', '{\"ngram_range\": [1, 2], \"min_df\": 2}')").fetchall()
        got = shadow_bytes(db, "documents_tfidf")
        for table in expected:
            self.assertEqual([row for row in got[table] if row[0] != ("str", "options")] == [row for row in expected[table] if row[0] != ("str", "options")],
                             True, table)

    def test_vectors(self):
        draw = random.Random(4)
        vectors = [(id, json.dumps([round(draw.gauss(0, 1), 4) for _ in range(24)])) for id, _ in self.texts[:2000]]
        expected = self.bytes_of(vectors, self.likes, embedding="text", threads=1)
        for threads in (2, 5):
            self.compare(self.bytes_of(vectors, self.likes, embedding="text", threads=threads), expected)
        self.assertGreater(len(expected["userfactor"]), 1)


class SameLinks(TestCase):
    """Neighbours, weights between items and baselines."""

    def bytes_of(self, function, size, rows=ROWS, **options):
        db = self.closing(connect())
        add_ratings(db, rows)
        text = json.dumps(options)
        if size is None:
            db.execute(f"SELECT {function}('ratings', ?)", (text,)).fetchall()
        else:
            db.execute(f"SELECT {function}('ratings', ?, ?)", (size, text)).fetchall()
        return shadow_bytes(db, "ratings_" + function.split("_")[0])

    def check(self, function, size=None, **options):
        expected = self.bytes_of(function, size, threads=1, **options)
        for threads in (2, 5):
            got = self.bytes_of(function, size, threads=threads, **options)
            for table in expected:
                self.assertEqual(got[table] == expected[table], True, (table, threads))
        return expected

    def test_threads_and_neighbors(self):
        for by in ("item", "user"):
            for similarity in ("cosine", "adjusted_cosine", "pearson", "jaccard", "msd"):
                self.assertGreater(len(self.check("knn_train", 20, by=by, similarity=similarity)["neighbor"]), 100)
        self.check("knn_train", 20, weighting="bm25", rating=None, test=0.2)
        self.check("knn_train", 0, threshold=0.3, max_interactions=20, center="zscore", test=0.2)

    def test_threads_and_weights(self):
        self.assertEqual(len(self.check("ease_train", 50, test=0.2)["weight"]), 3)
        self.check("ease_train", 0.5, values="ratings")

    def test_threads_and_baselines(self):
        for method in ("bias", "global", "user", "item", "popularity"):
            self.check("baseline_train", method=method, test=0.2)

    def test_order_of_rows(self):
        rows = list(ROWS)
        random.Random(5).shuffle(rows)
        for function, size, options in (("knn_train", 15, {"by": "user", "similarity": "pearson"}),
                                        ("knn_train", 15, {"max_interactions": 30}), ("ease_train", 9, {}),
                                        ("baseline_train", None, {})):
            self.assertEqual(self.bytes_of(function, size, **options) == self.bytes_of(function, size, rows, **options), True, function)


if __name__ == "__main__":
    unittest.main()
