"""recommend_evaluate against scikit-learn and brute force over lists ranked by numpy."""
import json
import math
import unittest

import numpy as np

from support import Numpy, TestCase, add_ratings, liked, made_up_ratings, rated, train

try:
    from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score
except ImportError:  # the brute force below does without
    roc_auc_score = None

ROWS = made_up_ratings()
KNOWN = [row for n, row in enumerate(ROWS) if n % 4]
HELD = [row for n, row in enumerate(ROWS) if not n % 4]
STRANGERS = [(1, 50, 4.0), (1, 53, 2.0), (2, 7, 5.0), (1007, 8, 5.0), (1007, 9, 1.0)]


class Expected:
    """What the metrics should be, user by user."""

    def __init__(self, model, rows, threshold=None, exclude_seen=True, estimate=False, known=KNOWN):
        self.model = model
        counts, seen = liked(KNOWN, model.items.ids), model.seen(known)
        users = {}
        for user, item, rating in rows:
            relevant, unknown = users.setdefault(user, (set(), [0]))
            if threshold is None or rating >= threshold:
                if item in model.items.index:
                    relevant.add(model.items.index[item])
                elif estimate:
                    unknown[0] += 1
        self.users = []
        for user, (relevant, (unknown,)) in users.items():
            u = model.users.index.get(user)
            if u is None and not estimate:
                continue
            score = counts if u is None else model.score[u]
            candidates = np.ones(len(counts), bool) if u is None or not exclude_seen else ~seen[u]
            index = np.nonzero(candidates)[0]
            order = index[np.lexsort((index, -score[index]))]
            hits = np.isin(order, list(relevant))
            n = int(hits.sum()) + unknown
            if n:
                self.users.append((order, hits, n, score))

    def mean(self, value):
        return float(np.mean([value(*user) for user in self.users]))

    def at(self, k, recall_by_shorter=False):
        discount = 1 / np.log2(np.arange(2, 2000))
        items, users = self.model.items.count, len(self.model.users.ids)
        def mrr(order, hits, n, score):
            found = np.nonzero(hits[:k])[0]
            return 1 / (found[0] + 1) if len(found) else 0
        def precisions(order, hits, n, score):
            return sum(hits[:rank + 1].sum() / (rank + 1) for rank in np.nonzero(hits[:k])[0]) / min(k, n)
        return {
            "precision": self.mean(lambda order, hits, n, score: hits[:k].sum() / k),
            "recall": self.mean(lambda order, hits, n, score: hits[:k].sum() / (min(k, n) if recall_by_shorter else n)),
            "map": self.mean(precisions),
            "ndcg": self.mean(lambda order, hits, n, score: (discount[:len(hits[:k])] * hits[:k]).sum() / discount[:min(k, n)].sum()),
            "mrr": self.mean(mrr),
            "hit_rate": self.mean(lambda order, hits, n, score: hits[:k].any()),
            "novelty": self.mean(lambda order, hits, n, score: np.mean(-np.log2(items[order[:k]] / users))),
            "coverage": len({i for user in self.users for i in user[0][:k]}) / len(items),
        }

    def auc(self):
        values = []
        for order, hits, n, score in self.users:
            good, bad = score[order[hits]], score[order[~hits]]
            if len(good) and len(bad):
                pairs = good[:, None] - bad[None, :]
                values.append(((pairs > 0) + 0.5 * (pairs == 0)).mean())
        return float(np.mean(values)), len(values)


class Evaluate(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = rated(KNOWN)
        add_ratings(cls.db, HELD, "held")
        add_ratings(cls.db, HELD + STRANGERS, "mixed")
        train(cls.db, rank=4)
        cls.model = Numpy(cls.db)

    def evaluate(self, source="held", db=None, **options):
        rows = (db or self.db).execute("SELECT metric, k, value, n, definition FROM recommend_evaluate('ratings_mf', ?, ?)",
                                       (source, json.dumps(options))).fetchall()
        self.assertTrue(all(len(row[4]) > 15 for row in rows))
        self.assertEqual(len({row[:2] for row in rows}), len(rows))
        return {row[:2]: (row[2], row[3]) for row in rows}

    def check_lists(self, got, expected, ks, **variant):
        for k in ks:
            for metric, value in expected.at(k, **variant).items():
                self.assertAlmostEqual(got[metric, k][0], value, places=5, msg=(metric, k))
                self.assertEqual(got[metric, k][1], len(self.model.items.ids) if metric == "coverage" else len(expected.users))
        auc, n = expected.auc()
        self.assertAlmostEqual(got["auc", None][0], auc, places=5)
        self.assertEqual(got["auc", None][1], n)

    def check_ratings(self, got, pairs):
        errors = np.array([prediction - rating for prediction, rating in pairs])
        for metric, value in (("rmse", math.sqrt((errors ** 2).mean())), ("mae", np.abs(errors).mean()), ("accuracy", (np.abs(errors) <= 0.5).mean())):
            self.assertAlmostEqual(got[metric, None][0], value, places=5, msg=metric)
            self.assertEqual(got[metric, None][1], len(pairs))

    def predicted(self, rows):
        clipped = self.model.clipped()
        return [(clipped[self.model.users.index[u], self.model.items.index[i]], r) for u, i, r in rows]

    def test_rating_errors(self):
        self.check_ratings(self.evaluate(), self.predicted(HELD))

    def test_lists(self):
        self.check_lists(self.evaluate(), Expected(self.model, HELD), [10])
        self.check_lists(self.evaluate(k=[1, 3, 10, 100]), Expected(self.model, HELD), [1, 3, 10, 100])
        self.check_lists(self.evaluate(k=5), Expected(self.model, HELD), [5])

    def test_threshold(self):
        for threshold in (3, 3.5, 4):
            self.check_lists(self.evaluate(threshold=threshold), Expected(self.model, HELD, threshold), [10])
        got = self.evaluate(threshold=6)
        self.assertEqual(got["ndcg", 10], (None, 0))
        self.assertEqual(got["auc", None], (None, 0))

    def test_recall_by_the_shorter(self):
        self.check_lists(self.evaluate(k=[2, 5], recall="min"), Expected(self.model, HELD), [2, 5], recall_by_shorter=True)
        self.assertNotEqual(self.evaluate(k=2)["recall", 2], self.evaluate(k=2, recall="min")["recall", 2])

    def test_seen_items_may_be_kept(self):
        self.check_lists(self.evaluate("ratings", exclude_seen=False), Expected(self.model, KNOWN, exclude_seen=False), [10])
        self.assertEqual(self.evaluate("ratings")["ndcg", 10], (None, 0))

    def test_cold_start(self):
        dropped, estimated = self.evaluate("mixed"), self.evaluate("mixed", cold_start="estimate")
        self.assertEqual(dropped["unknown", None], (5, len(HELD) + 5))
        self.assertEqual(estimated["unknown", None], (5, len(HELD) + 5))
        self.check_ratings(dropped, self.predicted(HELD))
        self.check_lists(dropped, Expected(self.model, HELD + STRANGERS), [10])
        self.check_lists(estimated, Expected(self.model, HELD + STRANGERS, estimate=True), [10])
        mean = self.model.config["rating_mean"]
        users, items = ({row[0]: row[1] for row in self.db.execute("SELECT id, bias FROM recommend_factors('ratings_mf', ?, 'rating')", (side,))}
                        for side in ("user", "item"))
        cold = [(min(5, max(1, mean + users.get(u, 0) + items.get(i, 0))), r) for u, i, r in STRANGERS]
        self.check_ratings(estimated, self.predicted(HELD) + cold)

    @unittest.skipUnless(roc_auc_score, "no scikit-learn")
    def test_as_scikit_learn_has_it(self):
        got, expected = self.evaluate(k=[5, 10, 40]), Expected(self.model, HELD)
        self.assertAlmostEqual(got["auc", None][0], expected.mean(lambda order, hits, n, score: roc_auc_score(hits, score[order])), places=5)
        self.assertAlmostEqual(got["map", 40][0], expected.mean(lambda order, hits, n, score: average_precision_score(hits, score[order])), places=5)
        for k in (5, 10):
            self.assertAlmostEqual(got["ndcg", k][0], expected.mean(lambda order, hits, n, score: ndcg_score([hits], [score[order]], k=k)), places=5)

    def test_implicit_model(self):
        db = rated(KNOWN)
        add_ratings(db, HELD, "held")
        train(db, rank=4, rating=None)
        got = self.evaluate(db=db)
        self.assertNotIn(("rmse", None), got)
        expected = Expected(Numpy(db), HELD)
        for metric, value in expected.at(10).items():
            self.assertAlmostEqual(got[metric, 10][0], value, places=5, msg=metric)

    def test_ids_of_another_affinity(self):
        self.db.execute("CREATE TABLE IF NOT EXISTS imported(user TEXT, item TEXT, rating TEXT)")
        self.db.execute("DELETE FROM imported")
        self.db.execute("INSERT INTO imported SELECT * FROM held")
        self.assertEqual(self.evaluate("imported"), self.evaluate())

    def test_sources_and_names(self):
        expected = self.evaluate()
        self.db.execute("CREATE VIEW IF NOT EXISTS h AS SELECT rating AS r, item AS i, user AS u FROM held")
        for source, options in (("SELECT user, item, rating FROM held", {}), ("h", {"user": "u", "item": "i", "rating": "r"}), ("main.held", {})):
            self.assertEqual(self.evaluate(source, **options), expected)
        self.assertNotIn(("rmse", None), self.evaluate("SELECT user, item FROM held"))
        self.assertEqual(self.evaluate("SELECT user, item FROM held")["ndcg", 10], expected["ndcg", 10])

    def test_threads_do_not_matter(self):
        self.assertEqual(self.evaluate(threads=1), self.evaluate(threads=5))

    def test_many_users(self):
        rows = made_up_ratings(users=2500, items=60, density=0.2, seed=5)
        known, held = [r for n, r in enumerate(rows) if n % 5], [r for n, r in enumerate(rows) if not n % 5]
        db = rated(known)
        add_ratings(db, held, "held")
        train(db, rank=3, epochs=2)
        got, expected = self.evaluate(db=db, threshold=4, k=[3, 10]), Expected(Numpy(db), held, 4, known=known)
        for k in (3, 10):
            for metric, value in expected.at(k).items():
                self.assertAlmostEqual(got[metric, k][0], value, places=5, msg=(metric, k))

    def test_errors(self):
        call = "SELECT * FROM recommend_evaluate('ratings_mf', 'held', ?)"
        for options, fragments in (({"treshold": 4}, ('did you mean "threshold"',)), ({"k": 0}, ('"k"', "must be")), ({"k": []}, ('"k"',)), ({"k": [1, "x"]}, ('"k"',)),
                                   ({"k": list(range(1, 18))}, ('"k"', "16")), ({"recall": "all"}, ('"recall"', "relevant")), ({"cold_start": 1}, ('"cold_start"',)),
                                   ({"exclude_seen": 1}, ('"exclude_seen"',)), ({"rating": "nothing"}, ("nothing",))):
            self.assert_error(self.db, call, "recommend_evaluate", *fragments, parameters=(json.dumps(options),))
        self.assert_error(self.db, "SELECT * FROM recommend_evaluate('ratings_mf', 'hold')", '"hold"', '"held"')
        self.assert_error(self.db, "SELECT * FROM recommend_evaluate('no', 'held')", '"no"')
        self.assert_error(self.db, "SELECT * FROM recommend_evaluate('ratings_mf')", "recommend_evaluate(model, source")
        self.assert_error(self.db, "SELECT * FROM recommend_evaluate('ratings_mf', NULL)", "source")
        self.db.execute("CREATE TEMP VIEW IF NOT EXISTS v AS SELECT * FROM recommend_evaluate('ratings_mf', 'held')")

    def test_an_empty_source(self):
        self.db.execute("CREATE TABLE IF NOT EXISTS no_rows(user, item, rating)")
        got = self.evaluate("no_rows")
        self.assertEqual((got["rmse", None], got["ndcg", 10], got["unknown", None][1]), ((None, 0), (None, 0), 0))


if __name__ == "__main__":
    unittest.main()
