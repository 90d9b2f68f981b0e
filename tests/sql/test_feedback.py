"""Feedback: above 0 a like, 0 no information, below 0 a dislike, for ials, bpr, logistic and binary ease; counts that add
up; and ratings, which stay what they are. Beside NumPy solving the same systems, and trainings on what is left of the
source when the rule is applied by hand."""
import collections
import json
import unittest

import numpy as np
from support import Side, TestCase, add_ratings, connect, shadow_bytes, train
from test_fold import Model, config

LIKERS = ({"algorithm": "ials"}, {"algorithm": "ials", "unobserved": "all"}, {"algorithm": "bpr"}, {"algorithm": "logistic"})
FEEDBACK = [("mf_train", 4, options) for options in LIKERS] + [("ease_train", 5, {})]


def made_up_feedback(users=40, items=25, seed=11):
    """{(user, item): value}: counts 1 … 4, dislikes -1 and -3, and zeros. Every user and every item is in a like."""
    random = np.random.RandomState(seed)
    cells = {}
    for user in range(users):
        for item in range(items):
            if random.rand() < (0.5 if (user + item) % 3 == 0 else 0.15):
                cells[100 + user, 7 * item] = float(random.choice([1, 1, 2, 4, -1, -3, 0]))
        cells[100 + user, 7 * (user % items)] = 1.0
    return cells


CELLS = made_up_feedback()
LIKES = {cell: value for cell, value in CELLS.items() if value > 0}
ENTRIES = {cell: value for cell, value in CELLS.items() if value != 0}


def rows_of(cells):
    return [(user, item, value) for (user, item), value in cells.items()]


def source(rows):
    db = connect()
    add_ratings(db, rows)
    return db


class Feedback(TestCase):
    def trained_on(self, cells, function="mf_train", size=4, **options):
        db = self.closing(source(rows_of(cells)))
        self.summary = train(db, "ratings", size, function, model="m", **options)
        return db

    def check(self, db):
        db.execute("INSERT INTO m(m) VALUES('integrity-check')")


class Likes(Feedback):
    def test_nobody_played_it(self):
        """An item that has only zeros is not there; and what was never played is not popular."""
        plays = {(user, "played"): 3 for user in range(40)}
        plays.update({(user, "some"): 4 for user in range(0, 40, 3)})
        plays.update({(user, "never"): 0 for user in range(30)})
        for function, size, options in FEEDBACK:
            db = self.trained_on(plays, function, size, **options)
            self.assertEqual(db.execute("SELECT item FROM recommend(35, 1)").fetchall(), [("some",)])
            self.assertEqual(db.execute("SELECT item, score FROM recommend(999, 3)").fetchall(), [("played", 40.0), ("some", 14.0)])
            self.assertEqual((self.summary["zeros"], self.summary["dislikes"], self.summary["items"]), (30, 0, 2))
            self.check(db)

    def test_most_hate_it(self):
        votes = {(user, "base"): 1 for user in range(40)}
        votes.update({(user, "liked"): 1 for user in range(1, 20, 2)})
        votes.update({(user, "hated"): -1 for user in range(30)})
        for function, size, options in FEEDBACK:
            db = self.trained_on(votes, function, size, **options)
            self.assertEqual(db.execute("SELECT item FROM recommend(38, 1)").fetchall(), [("liked",)])
            self.assertEqual(db.execute("SELECT item, score FROM recommend(999, 3)").fetchall(), [("base", 40.0), ("liked", 10.0), ("hated", 0.0)])
            fans = [user for user, in db.execute("SELECT user FROM recommend_users('hated', 7) ORDER BY rank")]
            self.assertEqual(fans, [user for user, in db.execute("SELECT user FROM recommend_users('hated', 40) ORDER BY rank")][:7])
            self.assertEqual((len(fans), set(fans) <= set(range(30, 40))), (7, True))
            self.assertEqual((self.summary["zeros"], self.summary["dislikes"]), (0, 30))
            self.check(db)

    def test_dislikes_are_seen(self):
        for function, size, options in FEEDBACK:
            db = self.trained_on(CELLS, function, size, **options)
            seen = set(db.execute("SELECT user, item, rating FROM m WHERE seen = 1"))
            self.assertEqual(seen, {(user, item, value) for (user, item), value in ENTRIES.items()})
            recommended = set(db.execute("SELECT user, item FROM recommend_all(100, 'm')"))
            self.assertEqual(recommended, {(user, item) for user in {u for u, _ in CELLS} for item in {i for _, i in CELLS}} - set(ENTRIES))
            for item in (0, 70):
                fans = {row[0] for row in db.execute("SELECT user FROM recommend_users(?, 1000, 'm')", (item,))}
                self.assertEqual(fans, {user for user, _ in CELLS if (user, item) not in ENTRIES})
                few = [row[0] for row in db.execute("SELECT user FROM recommend_users(?, 3, 'm')", (item,))]
                self.assertEqual(len(few), 3)
            popular = {item: n for item, n in db.execute("SELECT item, score FROM recommend(-1, 100, 'm')")}
            self.assertEqual(popular, collections.Counter(item for _, item in LIKES))

    def test_zeros_are_as_if_they_were_not_there(self):
        """The same bytes as from a source without them, whatever is held out; their users and items are gone too."""
        cells = dict(CELLS)
        cells.update({(5000 + i, 7 * i): 0.0 for i in range(3)})
        cells.update({(100, 1000 + i): 0.0 for i in range(4)})
        for function, size, options in FEEDBACK:
            for held_out in ({}, {"test": 0.3}):
                with_zeros = self.trained_on(cells, function, size, **options, **held_out)
                self.assertEqual(self.summary["zeros"], len(cells) - len(ENTRIES))
                without = self.trained_on(ENTRIES, function, size, **options, **held_out)
                self.assertEqual(self.summary["zeros"], 0)
                self.assertEqual(shadow_bytes(with_zeros, "m"), shadow_bytes(without, "m"))

    def test_likes_alone_teach(self):
        """bpr, logistic and EASE learn what they would if the dislikes were not there, but for the history."""
        for function, size, options in FEEDBACK[2:]:
            databases = [self.trained_on(cells, function, size, **options) for cells in (CELLS, LIKES)]
            scores = [np.array(db.execute("SELECT score FROM m ORDER BY user, item").fetchall()) for db in databases]
            np.testing.assert_array_equal(*scores)

    def test_ease(self):
        """Against the closed form, B = I - P / diag(P) with P = (X'X + lambda)⁻¹, X of the likes."""
        db = self.trained_on(CELLS, "ease_train", 5)
        users, items = sorted({u for u, _ in CELLS}), sorted({i for _, i in CELLS})
        x = np.array([[float(CELLS.get((u, i), 0) > 0) for i in items] for u in users])
        p = np.linalg.inv(x.T @ x + 5 * np.eye(len(items)))
        b = -p / np.diag(p)
        np.fill_diagonal(b, 0)
        got = np.array(db.execute("SELECT score FROM m ORDER BY user, item").fetchall()).reshape(x.shape)
        np.testing.assert_allclose(got, x @ b, atol=2e-5)

    def test_nothing_but_zeros(self):
        db = self.closing(source([(1, 2, 0), (2, 3, 0)]))
        for function, size, options in FEEDBACK:
            self.assert_error(db, f"SELECT {function}('ratings', ?, ?)", "no ratings", "2 are 0", parameters=(size, json.dumps(options)))

    def test_ratings_stay_ratings(self):
        """Of ratings 0 is one, and so are those below: of jokes, -10 … 10."""
        cases = [("mf_train", 4, {"algorithm": algorithm}) for algorithm in ("als", "sgd", "adam", "gradient", "svdpp", "svd")]
        cases += [("knn_train", 5, {}), ("knn_train", 5, {"by": "user"}), ("ease_train", 5, {"values": "ratings"}), ("kmeans_train", 3, {})]
        for function, size, options in cases:
            db = self.trained_on(CELLS, function, size, **options)
            self.assertNotIn("zeros", self.summary)
            self.assertEqual(self.summary["ratings"], len(CELLS))
            self.assertEqual(set(db.execute("SELECT user, item, rating FROM m WHERE seen = 1")), set(rows_of(CELLS)))
        for options in ({}, {"method": "popularity"}):
            db = self.closing(source(rows_of(CELLS)))
            db.execute("SELECT baseline_train('ratings', ?)", (json.dumps({"model": "m", **options}),))
            self.assertEqual(db.execute("SELECT count(*) FROM m WHERE seen = 1").fetchone()[0], len(CELLS))
            self.check(db)
            db.execute("INSERT INTO m(user, item, rating) VALUES(100, 21, 0)")
            self.assertEqual(db.execute("SELECT rating FROM m WHERE user = 100 AND item = 21").fetchone(), (0.0,))
            self.check(db)


class BruteForce(Feedback):
    def solved(self, db, options, users, items):
        """Preferences, confidences and what a missing cell weighs, as matrices over all cells."""
        known = config(db, "m")
        values = np.array([[CELLS.get((user, item), 0) for item in items] for user in users])
        missing = known["ranking_missing_weight"]
        confidence = np.where(values != 0, 1 + known["ranking_confidence_slope"] * np.abs(values), missing)
        if options.get("unobserved") == "all":
            confidence = missing + (values != 0)
        return known, values, (values > 0) * 1.0, confidence

    def test_users(self):
        """Each user minimises the loss of Hu, Koren and Volinsky over all cells, a dislike being a sure nothing."""
        for options in (*LIKERS[:2], {"algorithm": "ials", "alpha": 3}):
            db = self.trained_on(CELLS, **options)
            users, items = Side(db, "m", "user"), Side(db, "m", "item")
            known, values, preference, confidence = self.solved(db, options, users.ids, items.ids)
            target, q, loss = preference, items.vector, 0
            if options.get("unobserved") == "all":  # the weight of 0 and that of t make one cell, of both
                target = preference / np.where(values != 0, confidence, 1)
            for u in range(len(users.ids)):
                n = np.count_nonzero(values[u])
                penalty = known["ranking_regularization"] * (n + known["ranking_missing_weight"] * len(items.ids)) ** known["ranking_nu"]
                a = (q * confidence[u][:, None]).T @ q + penalty * np.eye(q.shape[1])
                x = np.linalg.solve(a, q.T @ (confidence[u] * target[u]))
                np.testing.assert_allclose(users.vector[u], x, atol=2e-5 * max(1, np.abs(x).max()))
                loss += penalty * users.vector[u] @ users.vector[u]
            for i in range(len(items.ids)):
                n = np.count_nonzero(values[:, i])
                loss += known["ranking_regularization"] * (n + known["ranking_missing_weight"] * len(users.ids)) ** known["ranking_nu"] * (q[i] @ q[i])
            scores = users.vector @ q.T
            if options.get("unobserved") == "all":
                loss += np.sum((values != 0) * (preference - scores) ** 2) + known["ranking_missing_weight"] * np.sum(scores**2)
            else:
                loss += np.sum(confidence * (preference - scores) ** 2)
            self.assertAlmostEqual(self.summary["heads"]["ranking"]["loss"], loss, delta=1e-5 * loss)

    def test_alpha_by_default(self):
        """The mean observed cell weighs as the rule wants, a dislike being as sure as a like."""
        flipped = {cell: abs(value) for cell, value in ENTRIES.items()}
        alphas = [config(self.trained_on(cells, algorithm="ials"), "m")["ranking_confidence_slope"] for cells in (ENTRIES, flipped)]
        self.assertAlmostEqual(*alphas, places=12)


class Live(Feedback):
    def histories(self, db):
        return set(db.execute("SELECT user, item, rating FROM m WHERE seen = 1"))

    def test_values_come_and_go(self):
        """After any of these the histories, counts and what is popular are those of a training on the changed source."""
        random = np.random.RandomState(5)
        for function, size, options in (FEEDBACK[0], FEEDBACK[4]):
            cells = dict(CELLS)
            db = self.trained_on(cells, function, size, **options)
            users, items = sorted({u for u, _ in cells}), sorted({i for _, i in cells})
            for _ in range(150):
                cell, value = (int(random.choice(users)), int(random.choice(items))), float(random.choice([0, 0, 1, 2, -1, -2]))
                how = random.randint(3)
                if how == 0:
                    db.execute("INSERT INTO m(user, item, rating) VALUES(?, ?, ?)", (*cell, value))
                elif how == 1:
                    db.execute("UPDATE m SET rating = ? WHERE user = ? AND item = ?", (value, *cell))
                else:
                    value = 0.0
                    db.execute("DELETE FROM m WHERE user = ? AND item = ? AND seen = 1", cell)
                cells[cell] = value
            self.check(db)
            anew = self.trained_on(cells, function, size, **options)
            self.assertEqual(self.histories(db), self.histories(anew))
            popular = "SELECT item, score FROM recommend(-1, 100, 'm') WHERE score > 0"
            self.assertEqual(db.execute(popular).fetchall(), anew.execute(popular).fetchall())
            db.execute("INSERT INTO m(m, user) VALUES('forget', ?)", (users[3],))
            self.check(db)

    def test_nothing_comes_of_nothing(self):
        """0 brings no user and no item."""
        for function, size, options in (FEEDBACK[0], FEEDBACK[4]):
            db = self.trained_on(CELLS, function, size, **options)
            before = shadow_bytes(db, "m")
            db.execute("INSERT INTO m(user, item, rating) VALUES(100, 9999, 0), (9999, 7, 0), (8888, 8888, 0)")
            self.assertEqual(shadow_bytes(db, "m"), before)

    def test_a_dislike_is_folded_in(self):
        db = self.trained_on(CELLS, algorithm="ials")
        db.execute("INSERT INTO m(user, item, rating) VALUES(1, 0, 2), (1, 7, -3), (1, 14, 1)")
        model = Model(db, "m")
        vector, _ = model.fold("ranking", {0: 2, 7: -3, 14: 1})
        got = model.users["ranking"].vector[model.users["ranking"].index[1]]
        np.testing.assert_allclose(got, vector, atol=1e-5 * max(1, np.abs(vector).max()))
        rows = db.execute("SELECT item, contribution FROM recommend_explain(1, 21, 10, 'm')").fetchall()
        score = db.execute("SELECT score FROM m WHERE user = 1 AND item = 21").fetchone()[0]
        self.assertAlmostEqual(sum(row[1] for row in rows), score, places=5)
        self.assertAlmostEqual(dict(rows)[7], 0, places=6)
        self.check(db)

    def test_ease(self):
        """A dislike weighs nothing in a history, and is seen."""
        db = self.trained_on(CELLS, "ease_train", 5)
        scores = lambda user: db.execute("SELECT item, score FROM m WHERE user = ? ORDER BY item", (user,)).fetchall()
        db.execute("INSERT INTO m(user, item, rating) VALUES(1, 0, 2), (2, 0, 2), (2, 7, -3)")
        self.assertEqual(scores(1), scores(2))
        self.assertNotIn(7, [row[0] for row in db.execute("SELECT item FROM recommend(2, 100, 'm')")])
        self.assertEqual(dict(db.execute("SELECT item, contribution FROM recommend_explain(2, 21, 10, 'm')"))[7], 0)

    def test_implicit_neighbours(self):
        """Models that were trained on rows alone take values by the same rule."""
        for options in ({}, {"by": "user"}):
            db = self.trained_on(LIKES, "knn_train", 5, rating=None, **options)
            db.execute("INSERT INTO m(user, item, rating) VALUES(1, 0, 1), (1, 7, 1), (1, 14, -1), (1, 7, 0)")
            self.assertEqual({row for row in self.histories(db) if row[0] == 1}, {(1, 0, 1.0), (1, 14, -1.0)})
            self.check(db)


class Profiles(Feedback):
    def recommended(self, db, profile):
        return db.execute("SELECT item, score FROM recommend_for(?, 100, 'm')", (profile,)).fetchall()

    def test_profiles(self):
        for function, size, options in (FEEDBACK[0], FEEDBACK[4]):
            db = self.trained_on(CELLS, function, size, **options)
            self.assertEqual(self.recommended(db, '{"0": 1, "7": 0}'), self.recommended(db, '{"0": 1}'))
            disliked = self.recommended(db, '{"0": 1, "7": -2}')
            self.assertNotIn(7, [row[0] for row in disliked])
            self.assertEqual(self.recommended(db, "SELECT 0, 1 UNION ALL SELECT 7, -2"), disliked)
            db.execute("INSERT INTO m(user, item, rating) VALUES(1, 0, 1), (1, 7, -2)")
            self.assertEqual([row[0] for row in db.execute("SELECT item FROM recommend(1, 100, 'm')")], [row[0] for row in disliked])

    def test_rows_add_up(self):
        """Rows of a SELECT add up as those of a source do; EASE takes the last."""
        db = self.trained_on(CELLS, algorithm="ials")
        self.assertEqual(self.recommended(db, "SELECT 0, 2 UNION ALL SELECT 7, 1 UNION ALL SELECT 0, 3"), self.recommended(db, '{"0": 5, "7": 1}'))
        self.assertEqual(self.recommended(db, "SELECT 0, 2 UNION ALL SELECT 7, 1 UNION ALL SELECT 7, -1"), self.recommended(db, '{"0": 2}'))
        db.execute("CREATE VIEW plays AS SELECT user, item FROM ratings WHERE rating > 0 UNION ALL SELECT user, item FROM ratings WHERE rating > 1")
        db.execute("DROP TABLE m")
        db.execute("SELECT knn_train('plays', 5, '{\"by\": \"user\", \"model\": \"m\"}')")
        once, twice = (self.recommended(db, '{"0": %d, "7": 1}' % n) for n in (1, 3))
        self.assertNotEqual(once, twice)
        self.assertEqual(self.recommended(db, "SELECT 0 UNION ALL SELECT 7 UNION ALL SELECT 0 UNION ALL SELECT 0"), twice)
        db = self.trained_on(CELLS, "ease_train", 5)
        self.assertEqual(self.recommended(db, "SELECT 0, 2 UNION ALL SELECT 7, 1 UNION ALL SELECT 7, -1"), self.recommended(db, '{"0": 2, "7": -1}'))


class Judging(Feedback):
    def test_evaluate(self):
        """What is disliked is not relevant, and a 0 is not there."""
        for function, size, options in FEEDBACK:
            db = self.trained_on(ENTRIES, function, size, **options)
            users, items = sorted({u for u, _ in CELLS}), sorted({i for _, i in CELLS})
            later = [(user, item, (-1, 0, 1)[(user + item // 7) % 3]) for user in users for item in items if (user, item) not in ENTRIES]
            add_ratings(db, later, "later")
            add_ratings(db, [row for row in later if row[2] > 0], "liked")
            judge = "SELECT metric, value, n FROM recommend_evaluate('m', ?) WHERE metric <> 'unknown'"
            self.assertEqual(*[db.execute(judge, (name,)).fetchall() for name in ("later", "liked")])
            n = dict(db.execute("SELECT metric, n FROM recommend_evaluate('m', 'later')"))["unknown"]
            self.assertEqual(n, sum(row[2] != 0 for row in later))

    def test_held_out(self):
        """The epochs' test asks for what was liked among what was held out."""
        cells = {(user, item): 1 if item < 8 else -1 for user in range(30) for item in range(10) if (user + item) % 4}
        for function, size, options in FEEDBACK:
            db = self.closing(source(rows_of(cells)))
            rows = db.execute(f"SELECT test FROM {function}('ratings', ?, ?)", (size, json.dumps({"model": "m", "test": 0.4, **options}))).fetchall()
            held_out = [cell for cell in cells if db.execute("SELECT recommend_split(42, ?, ?) < 0.4", cell).fetchone()[0]]
            trained = [cell for cell in cells if cell not in held_out]
            users, items = {u for u, _ in cells}, {i for _, i in cells}
            scores = {(u, i): s for u, i, s in db.execute("SELECT user, item, score FROM m")}
            gains = []
            for user in users:
                relevant = {i for u, i in held_out if u == user and cells[u, i] > 0}
                if not relevant:
                    continue
                ranked = sorted((i for i in items if (user, i) not in trained), key=lambda i: (-scores[user, i], i))[:10]
                gain = sum(1 / np.log2(2 + at) for at, i in enumerate(ranked) if i in relevant)
                gains.append(gain / sum(1 / np.log2(2 + at) for at in range(min(10, len(relevant)))))
            self.assertAlmostEqual(rows[-1][0], np.mean(gains), places=6)

    def test_trials(self):
        """Cross-validation and grid search see a source with zeros as one without."""
        for function, size, options in FEEDBACK:
            given = json.dumps({"size": size, **options})
            both = []
            for cells in (CELLS, ENTRIES):
                db = self.closing(source(rows_of(cells)))
                folds = db.execute("SELECT fold, users, items, trained, tested, precision, ndcg, auc FROM recommend_cross_validate(?, 'ratings', 3, ?)",
                                   (function, given)).fetchall()
                grid = db.execute("SELECT combination, precision, ndcg, auc FROM recommend_grid_search(?, 'ratings', ?, ?)",
                                  (function, json.dumps({"size": [2, 3]}), json.dumps(options))).fetchall()
                both.append((folds, grid))
            self.assertEqual(*both)

    def test_a_grid_of_both(self):
        """Each combination of a grid reads the values its own way, from one source."""
        db = self.closing(source(rows_of(CELLS)))
        search = "SELECT combination, ndcg FROM recommend_grid_search('mf', 'ratings', ?, '{\"rank\": 3}')"
        got = dict(db.execute(search, (json.dumps({"algorithm": ["als", "bpr"]}),)))
        self.assertEqual(list(got), ['{"algorithm":"als"}', '{"algorithm":"bpr"}'])
        alone = dict(db.execute(search, (json.dumps({"algorithm": ["als"]}),)))
        self.assertEqual(alone['{"algorithm":"als"}'], got['{"algorithm":"als"}'])
        db.execute("INSERT INTO ratings SELECT user, item, 1 FROM ratings LIMIT 3")
        self.assert_error(db, search, "duplicates", "adds up", parameters=(json.dumps({"algorithm": ["als", "bpr"]}),))
        self.assertEqual(len(db.execute(search.replace('"rank": 3', '"rank": 3, "duplicates": "last"'), (json.dumps({"algorithm": ["als", "bpr"]}),)).fetchall()), 2)


class Counts(Feedback):
    def value(self, rows, function="mf_train", size=2, **options):
        db = self.closing(source([(9, 8, 1), (8, 9, 1), (9, 9, 1)] + rows))
        self.summary = train(db, "ratings", size, function, model="m", **options)
        return db.execute("SELECT rating FROM m WHERE user = 1 AND item = 2").fetchone()

    def test_they_add_up(self):
        bought = [(1, 2, 2), (1, 2, 2), (1, 2, 2), (1, 9, 1)]
        for options in LIKERS:
            self.assertEqual(self.value(bought, **options), (6.0,))
            self.assertEqual(self.value(bought, duplicates="last", **options), (2.0,))
            self.assertEqual(self.summary["duplicates"], 2)
        for function, size, options in (("mf_train", 2, {}), ("mf_train", 2, {"algorithm": "sgd"}), ("ease_train", 5, {}), ("ease_train", 5, {"values": "ratings"})):
            self.assertEqual(self.value(bought, function, size, **options), (2.0,))

    def test_what_cancels_out_is_nothing(self):
        """Refunds, also of amounts that no float holds exactly."""
        for amounts in ((1, -1), (2, 3, -5), (0.1, 0.2, -0.3), (19.99, -19.99), (1e8, 1, -1e8, -1)):
            rows = [(1, 2, amount) for amount in amounts] + [(1, 9, 1), (9, 2, 1)]
            for options in LIKERS:
                self.assertEqual(self.value(rows, **options), (None,))
                self.assertEqual(self.summary["zeros"], 1)
        self.assertEqual(self.value([(1, 2, 3), (1, 2, -1), (1, 9, 1)], algorithm="ials"), (2.0,))
        self.assertEqual(self.value([(1, 2, 1), (1, 2, -3), (1, 9, 1)], algorithm="ials"), (-2.0,))

    def test_stars_that_add_up_are_hinted_at(self):
        random = np.random.RandomState(2)
        stars = [(int(u), int(i), float(random.choice([2, 3, 3.5, 4, 4, 5, 5]))) for u, i in random.randint(0, 12, (200, 2))]
        counts = [(u, i, float(random.choice([1, 1, 1, 2, 5]))) for u, i, _ in stars]
        hinted = lambda rows, **options: [hint for hint in self.hints(rows, **options) if "stars" in hint]
        for options in LIKERS:
            self.assertEqual(len(hinted(stars, **options)), 1)
            self.assertIn('"duplicates": "last"', hinted(stars, **options)[0])
            self.assertEqual(hinted(stars, duplicates="last", **options), [])
            self.assertEqual(hinted(stars, duplicates="sum", **options), [])
            self.assertEqual(hinted(counts, **options), [])
            self.assertEqual(hinted(list({row[:2]: row for row in stars}.values()), **options), [])

    def test_dislikes_alone_are_hinted_at(self):
        dislikes = [(user, item, -1.0) for user in range(4) for item in range(4) if user != item]
        for algorithm in ("ials", "bpr", "logistic"):
            with self.subTest(algorithm):
                hints = self.hints(dislikes, algorithm=algorithm, epochs=2)
                self.assertIn("nobody likes anything", hints[0])
                self.assertEqual(self.hints(dislikes + [(0, 0, 1.0)], algorithm=algorithm, epochs=2), [])
        self.assertNotIn("likes", str(self.hints(dislikes, algorithm="als", epochs=2)))

    def hints(self, rows, **options):
        return train(self.closing(source(rows)), "ratings", 2, **options)["hints"]


if __name__ == "__main__":
    unittest.main()
