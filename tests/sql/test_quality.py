"""How good the models are, on MovieLens 100K: published protocols, metrics computed here in numpy. Skipped without data."""
import math
import unittest

import numpy as np

from reference import read, table
from support import Side, TestCase, connect, data_file, train


def rmse(db, rows, model, mean):
    """Of clipped predictions; the mean for what is unknown."""
    table(db, "asked", rows)
    got = db.execute("SELECT coalesce(predict(user, item, ?), ?), rating FROM asked", (model, mean)).fetchall()
    db.execute("DROP TABLE asked")
    return math.sqrt(np.mean([(prediction - rating) ** 2 for prediction, rating in got]))


def ndcg(lists, relevant, k=10):
    """Binary NDCG@k, the ideal at min(n, k), the mean over users with relevant items."""
    values = []
    for user, items in relevant.items():
        gain = sum(1 / math.log2(place + 2) for place, item in enumerate(lists.get(user, [])[:k]) if item in items)
        values.append(gain / sum(1 / math.log2(place + 2) for place in range(min(k, len(items)))))
    return float(np.mean(values))


def relevant_of(rows, threshold=4):
    relevant = {}
    for user, item, rating in rows.tolist():
        if rating >= threshold:
            relevant.setdefault(user, set()).add(item)
    return relevant


def lists_of(db, model, k=10):
    lists = {}
    for user, item in db.execute("SELECT user, item FROM recommend_all(?, ?) ORDER BY user, rank", (k, model)):
        lists.setdefault(user, []).append(item)
    return lists


class MovieLens(TestCase):
    def test_five_folds_rank_50(self):
        rows = read("u.data")
        order = np.arange(len(rows))
        np.random.RandomState(0).shuffle(order)
        errors = []
        for fold in np.array_split(order, 5):
            rest = np.setdiff1d(order, fold)
            db = self.closing(connect())
            table(db, "ratings", rows[rest])
            train(db, rank=50, regularization=0.1, nu=1, objective="rating", model="m")
            errors.append(rmse(db, rows[fold], "m", rows[rest][:, 2].mean()))
        print("MovieLens 100K, 5 folds, als rank 50: RMSE %.4f" % np.mean(errors))
        self.assertLessEqual(np.mean(errors), 0.920)

    def test_implicit_on_u1(self):
        base, test = read("u1.base"), read("u1.test")
        db = self.closing(connect())
        table(db, "likes", base[base[:, 2] >= 4])
        self.assertEqual(db.execute("SELECT count(*) FROM likes").fetchone(), (44140,))
        train(db, "SELECT user, item FROM likes", rank=16, alpha=1, regularization=1, nu=0, epochs=30, model="m")
        relevant = relevant_of(test)
        self.assertEqual(len(relevant), 456)
        value = ndcg(lists_of(db, "m"), relevant)
        print("MovieLens 100K, u1 positives, ials rank 16: NDCG@10 %.4f" % value)
        self.assertGreaterEqual(value, 0.405)

    def test_the_plain_call_on_u1(self):
        base, test = read("u1.base"), read("u1.test")
        db = self.closing(connect())
        table(db, "ratings", base)
        train(db, rank=32)
        relevant = relevant_of(test)
        value, error = ndcg(lists_of(db, "ratings_mf"), relevant), rmse(db, test, "ratings_mf", base[:, 2].mean())
        print("MovieLens 100K, u1, mf_train('ratings', 32): RMSE %.4f, NDCG@10 %.4f" % (error, value))
        table(db, "test", test)
        told = dict(db.execute("SELECT metric, value FROM recommend_evaluate('ratings_mf', 'test', '{\"threshold\": 4}')"))
        known = {row[0] for row in db.execute("SELECT DISTINCT item FROM ratings")}
        self.assertAlmostEqual(told["ndcg"], ndcg(lists_of(db, "ratings_mf"), relevant_of(test[np.isin(test[:, 1], list(known))])), places=4)
        self.assertAlmostEqual(told["rmse"], rmse(db, test[np.isin(test[:, 1], list(known))], "ratings_mf", 0), places=5)
        self.assertLessEqual(error, 0.935)
        self.assertGreaterEqual(value, 0.42)

    def test_neighbours_of_items(self):
        """Where the tail is long: what an item tells of what else somebody has, of users whom the model has not met. Plain
        cosines give neighbours that hardly anybody has."""
        with open(data_file("sequences", "lastfm.csv")) as file:
            rows = np.array([line.split(",")[:2] for line in list(file)[1:]], int)
        db = self.closing(connect())
        db.execute("CREATE TABLE plays(user INTEGER, item INTEGER)")
        db.executemany("INSERT INTO plays VALUES(?, ?)", rows[rows[:, 0] % 5 > 0].tolist())
        train(db, "plays", rank=32, model="m")
        items = Side(db, "m", "item")
        unit = items.vector / np.maximum(np.linalg.norm(items.vector, axis=1, keepdims=True), 1e-30)
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -2)
        plain = {items.ids[i]: [items.ids[j] for j in np.argsort(-cosines[i], kind="stable")[:10]] for i in range(len(items.ids))}
        shrunk = {}
        for item, similar in db.execute("SELECT item, similar FROM item_similar_all(10, 'm') ORDER BY item, rank"):
            shrunk.setdefault(item, []).append(similar)
        others = {}
        for user, item in rows[rows[:, 0] % 5 == 0].tolist():
            if item in items.index:
                others.setdefault(user, set()).add(item)
        cases = {(user, item): have - {item} for user, have in others.items() for item in have if len(have) > 1}
        values = [ndcg({case: lists[case[1]] for case in cases}, cases) for lists in (plain, shrunk)]
        print("lastfm, neighbours of an item, NDCG@10 of what else held-out users have: cosine %.4f, shrunk %.4f" % tuple(values))
        self.assertGreaterEqual(values[1], 1.4 * values[0])
        frequent = [items.ids[i] for i in np.argsort(-items.count)[:50]]
        rare = [sum(items.count[items.index[j]] <= 3 for item in frequent for j in lists[item]) for lists in (plain, shrunk)]
        self.assertEqual(rare[1], 0)

    def test_popularity_is_the_published_number(self):
        """The protocol itself: strangers get what is popular, whose NDCG is known."""
        base, test = read("u1.base"), read("u1.test")
        likes = base[base[:, 2] >= 4]
        db = self.closing(connect())
        table(db, "likes", likes)
        train(db, "SELECT user, item FROM likes", rank=1, epochs=1, model="m")
        popular = [row[0] for row in db.execute("SELECT item FROM recommend('a stranger') ORDER BY rank")]
        seen = relevant_of(likes)
        relevant = relevant_of(test)
        lists = {user: [item for item in popular if item not in seen.get(user, ())] for user in relevant}
        self.assertAlmostEqual(ndcg(lists, relevant), 0.240281, places=6)


if __name__ == "__main__":
    unittest.main()
