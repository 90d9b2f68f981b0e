"""An option that is not read by what is asked for is an error that names it and says when it is read; one that is read is
taken, and changes what comes."""
import json
import unittest

from support import TestCase, documents, rated, shadow_bytes, train

PLAYS = {"rating": None}
MF = [  # options, of which the first is not read; the same with what it needs
    ({"unobserved_weight": 0.3, "objective": "rating"}, {"unobserved_weight": 0.3, "objective": "ranking"}),
    ({"unobserved_rating": -1, "objective": "rating"}, {"unobserved_rating": -1}),
    ({"unobserved": "all", "objective": "rating"}, {"unobserved": "all"}),
    ({"biases": False, "objective": "ranking"}, {"biases": False, "objective": "both"}),
    ({"regularization": {"ranking": 2}, "objective": "rating"}, {"regularization": {"ranking": 2}}),
    ({"regularization": {"rating": 2}, "algorithm": "ials"}, {"regularization": 2, "algorithm": "ials"}),
    ({"regularization": {"ranking": 2}, "algorithm": "sgd"}, {"regularization": {"rating": 2}, "algorithm": "sgd"}),
    ({"nu": {"rating": 0.2}, "objective": "ranking"}, {"nu": {"rating": 0.2}}),
    ({"alpha": 3, "algorithm": "ials", "unobserved": "all"}, {"alpha": 3, "algorithm": "ials"}),
    ({"solver": "cholesky", "nonnegative": True}, {"solver": "cholesky"}),
    ({"bias_regularization": 0.5, "algorithm": "sgd", "biases": False}, {"bias_regularization": 0.5, "algorithm": "sgd"}),
    ({"range": "none", "algorithm": "ials"}, None), ({"range": "none", "algorithm": "bpr"}, None), ({"range": "clip", "algorithm": "logistic"}, None),
    ({"range": "none", "algorithm": "svd", **PLAYS}, None), ({"range": "none", **PLAYS}, None),
    ({"solver": "cg", "algorithm": "svd"}, None),
]
KNN = [
    ({"bm25_k1": 2}, {"bm25_k1": 2, "weighting": "bm25"}), ({"bm25_b": 0.1, "weighting": "tfidf"}, {"bm25_b": 0.1, "weighting": "bm25"}),
    ({"user_regularization": 5, "center": "mean"}, {"user_regularization": 5}), ({"item_regularization": 5, "center": "none"}, {"item_regularization": 5, "center": "bias"}),
    ({"neighbors": "raters", **PLAYS}, {"neighbors": "raters"}), ({"range": "none", **PLAYS}, {"range": "none"}), ({"user_regularization": 5, **PLAYS}, None),
]
BASELINE = [
    ({"epochs": 5, "method": "user"}, {"epochs": 5}), ({"user_regularization": 5, "method": "global"}, {"user_regularization": 5, "method": "bias"}),
    ({"item_regularization": 5, "method": "popularity"}, {"item_regularization": 5}), ({"epochs": 5, **PLAYS}, None),
]
KMEANS = [({"min_support": 2, **PLAYS}, {"min_support": 2}), ({"scale": False}, None), ({"scale": True}, None)]
TFIDF = [
    ({"window": 3}, {"window": 3, "word2vec": 4}), ({"negatives": 3, "lsa": 2}, {"negatives": 3, "word2vec": 4}), ({"epochs": 3}, {"epochs": 3, "lsa": 2}),
    ({"learning_rate": 0.01}, {"learning_rate": 0.01, "word2vec": 4}), ({"subsample": 0, "lsa": 2}, {"subsample": 0, "word2vec": 4}),
    ({"profile": "weighted"}, {"profile": "weighted", "ratings": "ratings"}), ({"user": "user"}, {"user": "user", "ratings": "ratings"}),
    ({"duplicates": "sum"}, {"duplicates": "sum", "ratings": "ratings"}), ({"history": False}, None),
    ({"smooth_idf": False, "weighting": "count"}, {"smooth_idf": False}), ({"sublinear_tf": True, "weighting": "binary"}, {"sublinear_tf": True, "weighting": "count"}),
]


class Unread(TestCase):
    def check(self, db, function, size, cases):
        for unread, read in cases:
            name = next(iter(unread))
            sql = f"SELECT {function}('ratings', ?, ?)" if size is not None else f"SELECT {function}('ratings', ?)"
            given = lambda options: tuple(value for value in (size, json.dumps({"model": "m", **options})) if value is not None)
            self.assert_error(db, sql, function, f'"{name}"', parameters=given(unread))
            self.assertEqual(db.execute("SELECT count(*) FROM recommend_models WHERE name = 'm'").fetchone(), (0,), unread)
            if read:
                db.execute(sql, given(read))
                db.execute("DROP TABLE m")

    def test_trainers(self):
        db = self.closing(rated())
        self.check(db, "mf_train", 3, MF)
        self.check(db, "knn_train", 5, KNN)
        self.check(db, "baseline_train", None, BASELINE)
        self.check(db, "kmeans_train", 3, KMEANS)

    def test_tables_of_numbers(self):
        db = self.closing(rated())
        for name, value in (("by", "user"), ("center", "none"), ("min_support", 2), ("user", "user"), ("duplicates", "sum"), ("history", True), ("test", 0)):
            self.assert_error(db, "SELECT kmeans_train('ratings', 3, ?)", f'"{name}"', "table of numbers", parameters=(json.dumps({"columns": ["rating"], name: value}),))
        train(db, function="mf_train", model="taste")
        self.assert_error(db, "SELECT kmeans_train('ratings', 3, '{\"factors\": \"taste\", \"center\": \"none\"}')", '"center"', '"factors"')

    def test_texts(self):
        db = self.closing(documents(["a red fox", "a blue fox and a bird", "red and blue birds", "a bird sings"] * 3))
        db.execute("CREATE TABLE ratings(user, item, rating)")
        db.executemany("INSERT INTO ratings VALUES(?, ?, ?)", [(u, i, 1 + (u + i) % 5) for u in range(5) for i in range(1, 9)])
        for unread, read in TFIDF:
            name = next(iter(unread))
            self.assert_error(db, "SELECT tfidf_train('documents', ?)", f'option "{name}" is read only', parameters=(json.dumps(unread),))
            if read:
                db.execute("SELECT tfidf_train('documents', ?)", (json.dumps(read),))
        db.execute("CREATE TABLE vectors(id, v)")
        db.executemany("INSERT INTO vectors VALUES(?, ?)", [(i, f"[{i}, 1]") for i in range(4)])
        for name, value in (("norm", "l1"), ("stop_words", "english"), ("min_df", 2), ("weighting", "tfidf"), ("lowercase", True), ("max_features", 9)):
            self.assert_error(db, "SELECT tfidf_train('vectors', ?)", f'option "{name}" is read only', '"embedding"', parameters=(json.dumps({"embedding": "v", name: value}),))

    def test_judges(self):
        db = self.closing(rated())
        train(db, test=0.2, model="m")
        for name, value in (("k", 5), ("threshold", 3), ("exclude_seen", False), ("recall", "min")):
            self.assert_error(db, "SELECT * FROM recommend_evaluate('m', 'ratings', ?)", "recommend_evaluate", f'option "{name}" is read only', '"lists": false',
                              parameters=(json.dumps({"lists": False, name: value}),))
            db.execute("SELECT * FROM recommend_evaluate('m', 'ratings', ?)", (json.dumps({name: value}),)).fetchall()
        for name, value in (("k", 5), ("relevance", 3), ("recall", "min")):
            given = json.dumps({"rank": 2, "epochs": 1, "lists": False, name: value})
            self.assert_error(db, "SELECT * FROM recommend_cross_validate('mf', 'ratings', 2, ?)", f'option "{name}" is read only', parameters=(given,))
            self.assert_error(db, "SELECT * FROM recommend_grid_search('mf', 'ratings', '{\"nu\": [0, 1]}', ?)", f'option "{name}" is read only', parameters=(given,))
        self.assert_error(db, "SELECT * FROM recommend_grid_search('mf', 'ratings', '{\"rank\": [2, 3]}', '{\"metric\": \"mae\"}')", 'option "metric" is read only', '"best_first"')

    def test_trials(self):
        """What a trial's trainer does not read, of its options or in the grid, is found before anything is tried."""
        db = self.closing(rated())
        self.assert_error(db, "SELECT * FROM recommend_cross_validate('knn', 'ratings', 2, '{\"size\": 5, \"bm25_k1\": 2}')", 'option "bm25_k1" is read only')
        self.assert_error(db, "SELECT * FROM recommend_grid_search('mf', 'ratings', '{\"alpha\": [1, 2]}', '{\"rank\": 2}')", '"alpha"', '(with {"alpha":1})')
        self.assert_error(db, "SELECT * FROM recommend_grid_search('knn', 'ratings', '{\"weighting\": [\"bm25\", \"tfidf\"], \"bm25_b\": [0.5]}', '{\"size\": 5}')",
                          'option "bm25_b" is read only', '"tfidf"')
        self.assert_error(db, "SELECT * FROM recommend_grid_search('baseline', 'ratings', '{\"method\": [\"bias\", \"user\"]}', '{\"epochs\": 2}')", '"epochs"', '"user"')

    def test_always_taken(self):
        """Seeds, threads and columns belong to every call: scripts give the same to all."""
        db = self.closing(rated())
        common = {"model": "m", "seed": 7, "threads": 1, "user": "user", "item": "item", "rating": "rating", "duplicates": "last"}
        for function, size in (("mf_train", 2), ("knn_train", 3), ("ease_train", 5), ("kmeans_train", 2)):
            train(db, "ratings", size, function, **common)
        db.execute("SELECT baseline_train('ratings', ?)", (json.dumps(common),))

    def test_retrain_and_create(self):
        db = self.closing(rated())
        self.assert_error(db, "CREATE VIRTUAL TABLE t USING recommender(train=knn, source=ratings, size=3, options='{\"bm25_k1\": 1}')", "bm25_k1")
        train(db, "ratings", 3, "knn_train", model="m", weighting="bm25", bm25_k1=2)
        before = shadow_bytes(db, "m")
        db.execute("INSERT INTO m(m) VALUES('retrain')")
        self.assertEqual(shadow_bytes(db, "m"), before)


if __name__ == "__main__":
    unittest.main()
