"""Users of a content model: profiles made of ratings, and everything that is asked of them, against numpy."""
import json
import math
import random
import unittest

import numpy as np

from support import TestCase, add_ratings, connect, liked, train, train_text

WORDS = "red blue green fox hen dog cat runs sleeps eats night day house river road war peace love story film".split()


def made_up_items(count=40, seed=2):
    """(id, text): ids that are no positions; the last one's text is empty."""
    draw = random.Random(seed)
    rows = [(50 + 3 * i, " ".join(draw.choices(WORDS, weights=range(1, len(WORDS) + 1), k=draw.randint(1, 9)))) for i in range(count - 1)]
    return rows + [(50 + 3 * (count - 1), "")]


def made_up_likes(items, users=25, seed=3):
    """(user, item, rating), 1 … 5; some users rate all alike, so that weighted profiles of theirs are empty."""
    draw = random.Random(seed)
    rows = []
    for user in range(users):
        for item, _ in draw.sample(items, draw.randint(1, 9)):
            rows.append((1000 + 7 * user, item, 3.0 if user % 8 == 5 else float(draw.randint(1, 5))))
    return rows


ITEMS = made_up_items()
LIKES = made_up_likes(ITEMS)


class Expected:
    """tf-idf in numpy: unit rows and their lengths before that, profiles, cosines."""

    def __init__(self, items, likes, weighted=False, count=False, vectors=None):
        self.items, self.likes = items, likes
        self.place = {item: i for i, (item, _) in enumerate(items)}
        self.users = sorted({row[0] for row in likes})
        if vectors is None:
            counts = np.array([[text.split().count(word) for word in sorted(WORDS)] for _, text in items], float)
            df = (counts > 0).sum(0)
            vectors = counts if count else counts * (np.log((1 + len(items)) / (1 + df)) + 1)
            if not count:
                vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
        self.vectors = vectors
        self.profile = np.array([self.sum({row[1]: row[2] for row in likes if row[0] == user}, weighted) for user in self.users])
        self.score = self.cosines(self.profile, vectors)
        self.seen = np.zeros(self.score.shape, bool)
        for user, item, _ in likes:
            self.seen[self.users.index(user), self.place[item]] = True
        self.blank = np.linalg.norm(self.profile, axis=1) < 1e-12

    def sum(self, ratings, weighted):
        mean = np.mean(list(ratings.values()))
        weight = {item: rating - mean if weighted else 1 for item, rating in ratings.items()}
        return sum((w * self.vectors[self.place[item]] for item, w in weight.items()), np.zeros(self.vectors.shape[1]))

    @staticmethod
    def cosines(a, b):
        def unit(x):
            return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
        return unit(a) @ unit(b).T

    def popular(self, unseen):
        """(item, count), the most liked first."""
        counts = liked(self.likes, [item for item, _ in self.items])
        return [(self.items[i][0], counts[i]) for i in sorted(range(len(counts)), key=lambda i: (-counts[i], i)) if unseen[i]]


class Content(TestCase):
    """One model for all tests of a class."""
    options, settings = {}, {}

    @classmethod
    def setUpClass(cls):
        cls.db = connect()
        cls.db.execute("CREATE TABLE items(id INTEGER PRIMARY KEY, text)")
        cls.db.executemany("INSERT INTO items VALUES(?, ?)", ITEMS)
        add_ratings(cls.db, LIKES)
        cls.summary = cls.train(cls.db)
        cls.expected = cls.make_expected()

    @classmethod
    def train(cls, db):
        return train_text(db, "items", ratings="ratings", **cls.options)

    @classmethod
    def make_expected(cls):
        return Expected(ITEMS, LIKES, **cls.settings)

    def rows(self, sql, *parameters):
        return self.db.execute(sql, parameters).fetchall()

    def check_ranking(self, got, values, allowed=None):
        """(id, value) rows, best first, each with the value that `values` has, and none missing that is better."""
        self.assertEqual(len({row[0] for row in got}), len(got))
        for id, value in got:
            self.assertAlmostEqual(value, values[id], delta=2e-6)
        self.assertEqual([(-value, id) for id, value in got], sorted((-value, id) for id, value in got))
        rest = [value for id, value in values.items() if id not in {row[0] for row in got} and (allowed is None or id in allowed)]
        if got and rest:
            self.assertLessEqual(max(rest), got[-1][1] + 2e-6)

    def scores(self, u, allowed):
        return {item: self.expected.score[u, i] for i, (item, _) in enumerate(ITEMS) if allowed[i]}


class Mean(Content):
    def test_summary(self):
        self.assertEqual((self.summary["users"], self.summary["items"], self.summary["ratings"], self.summary["unknown_items"]),
                         (25, 40, len(LIKES), 0))

    def test_recommend(self):
        model = self.expected
        for u, user in enumerate(model.users):
            for k in (1, 7, 100):
                got = self.rows("SELECT rank, item, score, reason FROM recommend(?, ?)", user, k)
                self.assertEqual([row[0] for row in got], list(range(1, min(k, int((~model.seen[u]).sum())) + 1)))
                if model.blank[u]:
                    self.assertEqual([row[1:] for row in got], [(item, count, "popular") for item, count in model.popular(~model.seen[u])[:k]])
                else:
                    self.assertEqual({row[3] for row in got}, {"model"})
                    self.check_ranking([row[1:3] for row in got], self.scores(u, ~model.seen[u]))
        self.assertEqual([row[1:] for row in self.rows("SELECT rank, item, score, reason FROM recommend(5, 4)")],
                         [(item, count, "popular") for item, count in model.popular(np.ones(40, bool))[:4]])
        self.assertEqual(self.rows("SELECT * FROM recommend(NULL, 4)"), [])

    def test_recommend_among_candidates(self):
        u = int(np.nonzero(~self.expected.blank)[0][0])
        chosen = [item for item, _ in ITEMS[::3]]
        got = self.rows(f"SELECT item, score FROM recommend(?) WHERE item IN ({','.join(map(str, chosen))}) LIMIT 5", self.expected.users[u])
        allowed = ~self.expected.seen[u] & np.isin([item for item, _ in ITEMS], chosen)
        self.check_ranking(got, self.scores(u, allowed))

    def test_recommend_all(self):
        got = self.rows("SELECT user, rank, item, score FROM recommend_all(6) ORDER BY user, rank")
        one_by_one = [(user,) + row for user in self.expected.users for row in self.rows("SELECT rank, item, score FROM recommend(?, 6)", user)]
        self.assert_same_rows(got, one_by_one, 1e-6)
        self.assertEqual({row[0] for row in got}, set(self.expected.users))

    def test_predict_and_the_model_table(self):
        model = self.expected
        rating = {row[:2]: row[2] for row in LIKES}
        got = self.rows("SELECT user, item, score, prediction, rating, seen, predict(user, item) FROM items_tfidf ORDER BY user, item")
        self.assertEqual(len(got), 25 * 40)
        for user, item, score, prediction, given, seen, predicted in got:
            value = model.score[model.users.index(user), model.place[item]]
            for each in (score, prediction, predicted):
                self.assertAlmostEqual(each, value, delta=2e-6)
            self.assertEqual((given, seen), (rating.get((user, item)), int((user, item) in rating)))
        self.assertEqual(self.rows("SELECT predict(1, 50), predict(1000, 1), predict(NULL, 50)"), [(None, None, None)])

    def test_best_of_the_model_table(self):
        model = self.expected
        for u in np.nonzero(~model.blank)[0][:6]:
            user = model.users[u]
            got = self.rows("SELECT item, score FROM items_tfidf WHERE user = ? AND seen = 0 ORDER BY score DESC, item LIMIT 5", user)
            self.assertEqual(len(got), 5)
            self.check_ranking(got, self.scores(u, ~model.seen[u]))
            got = self.rows("SELECT item, score FROM items_tfidf WHERE user = ? AND seen = 1 ORDER BY score DESC", user)
            self.assertEqual(len(got), int(model.seen[u].sum()))
            self.check_ranking(got, self.scores(u, model.seen[u]))
            chosen = [item for item, _ in ITEMS[1::4]]
            got = self.rows(f"SELECT item, score FROM items_tfidf WHERE user = ? AND item IN ({','.join(map(str, chosen))}) ORDER BY score DESC LIMIT 3", user)
            self.assertEqual(len(got), 3)
            self.check_ranking(got, self.scores(u, np.isin([item for item, _ in ITEMS], chosen)))

    def test_recommend_users(self):
        model = self.expected
        for i, (item, _) in list(enumerate(ITEMS))[::5]:
            there = [u for u in range(25) if not model.seen[u, i] and not model.blank[u]]
            got = self.rows("SELECT user, score FROM recommend_users(?, 100)", item)
            self.assertEqual(len(got), len(there))
            self.check_ranking(got, {model.users[u]: model.score[u, i] for u in there})
            self.assert_same_rows(self.rows("SELECT user, score FROM recommend_users(?, 4)", item), got[:4], 1e-7)

    def test_similar(self):
        model = self.expected
        users, items = model.cosines(model.profile, model.profile), model.cosines(model.vectors, model.vectors)
        for u, user in enumerate(model.users):
            got = self.rows("SELECT user, similarity FROM user_similar(?, 100)", user)
            self.assertEqual(len(got), 24)
            self.check_ranking(got, {other: users[u, v] for v, other in enumerate(model.users) if v != u})
        for i, (item, _) in enumerate(ITEMS):
            got = self.rows("SELECT item, similarity FROM item_similar(?, 100)", item)
            self.assertEqual(len(got), 39)
            self.check_ranking(got, {other: items[i, j] for j, (other, _) in enumerate(ITEMS) if j != i})

    def test_integrity(self):
        self.db.execute("INSERT INTO items_tfidf(items_tfidf) VALUES('integrity-check')")


class Weighted(Mean):
    options, settings = {"profile": "weighted"}, {"weighted": True}

    def test_some_users_have_no_profile(self):
        self.assertTrue(self.expected.blank.any())


class Counts(Mean):
    """Vectors that are not of length 1 before the cosine: long texts weigh more in a profile."""
    options, settings = {"weighting": "count", "profile": "weighted"}, {"weighted": True, "count": True}


class Vectors(Mean):
    """Given vectors, dense ones."""
    options = {"embedding": "v"}
    weighted = False

    @classmethod
    def vectors(cls):
        vectors = np.random.RandomState(8).randn(len(ITEMS), 19).astype("<f4")
        vectors[-1] = 0
        return vectors

    @classmethod
    def train(cls, db):
        db.execute("ALTER TABLE items ADD COLUMN v")
        db.executemany("UPDATE items SET v = ? WHERE id = ?", [(row.tobytes(), item) for row, (item, _) in zip(cls.vectors(), ITEMS)])
        return train_text(db, "items", ratings="ratings", **cls.options)

    @classmethod
    def make_expected(cls):
        unit = cls.vectors().astype(float)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-30)
        return Expected(ITEMS, LIKES, weighted=cls.weighted, vectors=unit)


class WeightedVectors(Vectors):
    options, weighted = {"embedding": "v", "profile": "weighted"}, True


class SomebodyNew(Content):
    """recommend_for."""
    options = {"profile": "weighted"}

    def check(self, profile, ratings, weighted):
        vector = self.expected.sum(ratings, weighted)
        score = self.expected.cosines(vector[None], self.expected.vectors)[0]
        got = self.rows("SELECT rank, item, score, reason FROM recommend_for(?, 6)", profile)
        self.assertEqual([(row[0], row[3]) for row in got], [(n, "model") for n in range(1, 7)])
        self.check_ranking([row[1:3] for row in got], {item: score[i] for i, (item, _) in enumerate(ITEMS) if item not in ratings})

    def test_array(self):
        self.check("[50, 62, 71]", {50: 1, 62: 1, 71: 1}, False)
        self.check(' ["50", 62, 62, 1, null, "x", 71.0]', {50: 1, 62: 1, 71: 1}, False)

    def test_object(self):
        self.check('{"50": 5, "62": 1, "71": 2}', {50: 5, 62: 1, 71: 2}, True)
        self.check('{"50": 5, "62": 1, "none": 4, "71": null}', {50: 5, 62: 1}, True)

    def test_select(self):
        self.check("SELECT column1, column2 FROM (VALUES (50, 5), (62, 1), (71, 2), (50, 4), (1, 3), (NULL, 3))", {50: 4, 62: 1, 71: 2}, True)
        self.check("SELECT id FROM items WHERE id IN (50, 62)", {50: 1, 62: 1}, False)
        self.db.execute("CREATE TEMP TABLE IF NOT EXISTS visitor AS SELECT 50 AS item, 5 AS rating UNION ALL SELECT 62, 2")
        self.check("visitor", {50: 5, 62: 2}, True)

    def test_of_whom_nothing_is_known(self):
        popular = [(item, count, "popular") for item, count in self.expected.popular(np.ones(40, bool))[:5]]
        for profile in ("[]", "{}", "[1, 2]", '{"1": 5}', "SELECT 1 WHERE 0"):
            self.assertEqual(self.rows("SELECT item, score, reason FROM recommend_for(?, 5)", profile), popular, profile)
        # Equal ratings have the weight 0, so nothing is known either; but what the person has is left out.
        got = self.rows("SELECT item, reason FROM recommend_for(?, 39)", json.dumps({popular[0][0]: 3, popular[1][0]: 3}))
        self.assertEqual(got[0], (popular[2][0], "popular"))
        self.assertEqual(self.rows("SELECT * FROM recommend_for(NULL, 5)"), [])

    def test_wrong(self):
        for profile, *fragments in (('{"50": "good"}', "number", "good"), ("[50", "JSON"), ("nothing", '"nothing"', "SELECT"), ("SELECT 50, 'x'", "number"),
                                    ("DELETE FROM items", "DELETE FROM items"), ("[[50, 5]]", "array in it", "{"), ('[{"item": 50}]', "object in it", "{"), ("SELECT nope FROM items", "nope")):
            self.assert_error(self.db, "SELECT * FROM recommend_for(?, 5)", "recommend_for", *fragments, parameters=(profile,))
        self.assertEqual(self.rows("SELECT count(*) FROM items"), [(40,)])
        self.assert_error(self.db, "SELECT * FROM recommend_for()", "recommend_for(profile, k [, model])")

    def test_text_ids(self):
        db = self.closing(connect())
        db.execute("CREATE TABLE items(id TEXT PRIMARY KEY, text)")
        db.executemany("INSERT INTO items VALUES(?, ?)", [("a", "red fox"), ("7", "red hen"), ("é東", "blue hen")])
        train_text(db, "items")
        for profile in ('["a"]', '{"a": 1}', "SELECT 'a'"):
            self.assertEqual(db.execute("SELECT item FROM recommend_for(?, 1)", (profile,)).fetchall(), [("7",)], profile)
        for profile in ("[7]", '["7"]', '{"7": 2}', "SELECT 7"):
            self.assertEqual({row[0] for row in db.execute("SELECT item FROM recommend_for(?, 5)", (profile,))}, {"a", "é東"}, profile)
        self.assertEqual(db.execute("SELECT * FROM recommend_for('[\"zz\"]', 5)").fetchall(), [], "without users nothing is popular")


class Ratings(TestCase):
    def database(self, likes):
        db = self.closing(connect())
        db.execute("CREATE TABLE items(id INTEGER PRIMARY KEY, text)")
        db.executemany("INSERT INTO items VALUES(?, ?)", ITEMS)
        add_ratings(db, likes)
        return db

    def test_unknown_items_are_counted(self):
        db = self.database(LIKES + [(1000, 1, 5), (1000, 2, 1), (9, 3, 4), (8, None, 4)])
        summary = train_text(db, "items", ratings="ratings", profile="weighted")
        self.assertEqual((summary["unknown_items"], summary["ratings"], summary["left_out"], summary["users"]), (3, len(LIKES), 1, 26))
        # The mean that weights are taken from is that of the known ones.
        expected = Expected(ITEMS, LIKES, weighted=True)
        got = dict(db.execute("SELECT item, score FROM items_tfidf WHERE user = 1000"))
        np.testing.assert_allclose([got[item] for item, _ in ITEMS], expected.score[0], atol=2e-6)
        self.assertEqual(db.execute("SELECT DISTINCT reason FROM recommend(9, 5)").fetchall(), [("popular",)])
        self.assertEqual(db.execute("SELECT item FROM recommend(9, 5)").fetchall(), db.execute("SELECT item FROM recommend('nobody', 5)").fetchall())
        db.execute("INSERT INTO items_tfidf(items_tfidf) VALUES('integrity-check')")

    def test_only_unknown_items(self):
        db = self.database([(1, 1, 5), (2, 2, 3)])
        self.assert_error(db, "SELECT tfidf_train('items', '{\"ratings\": \"ratings\"}')", "none of the 2 ratings", "same type")

    def test_retrain_reads_the_ratings_beside_the_model(self):
        """A table of that name in main or temp is another."""
        db = self.closing(connect())
        db.execute("ATTACH ':memory:' AS aux")
        db.executescript("""CREATE TABLE aux.items(id INTEGER, text TEXT); INSERT INTO aux.items VALUES(1, 'one two'), (2, 'two');
                            CREATE TABLE aux.ratings(user, item, rating); INSERT INTO aux.ratings VALUES(7, 1, 5), (8, 2, 3);""")
        train_text(db, "aux.items", ratings="aux.ratings", model="beside")
        train_text(db, "aux.items", ratings="ratings")
        for schema in ("main", "temp"):
            db.execute(f"CREATE TABLE {schema}.ratings AS SELECT 'other' AS user, 1 AS item, 1 AS rating")
            for model in ("items_tfidf", "beside"):
                db.execute(f"INSERT INTO aux.{model}({model}) VALUES('retrain')")
                self.assertEqual(db.execute(f"SELECT id FROM aux.{model}_user ORDER BY 1").fetchall(), [(7,), (8,)])

    def test_named_columns_and_no_ratings(self):
        db = self.database(LIKES)
        db.execute("CREATE TABLE log(at, stars, what, who)")
        db.execute("INSERT INTO log SELECT 0, rating, item, user FROM ratings")
        summary = train_text(db, "items", ratings="log", user="who", item="what", rating="stars", profile="weighted")
        self.assertEqual((summary["users"], summary["ratings"]), (25, len(LIKES)))
        got = dict(db.execute("SELECT item, score FROM items_tfidf WHERE user = 1000"))
        np.testing.assert_allclose([got[item] for item, _ in ITEMS], Expected(ITEMS, LIKES, weighted=True).score[0], atol=2e-6)
        self.assertEqual(train_text(db, "items", ratings="log", user="who", item="what", rating=None)["ratings"], len(LIKES))
        self.assert_error(db, "SELECT tfidf_train('items', '{\"ratings\": \"log\", \"user\": \"nobody\"}')", '"user"', '"nobody"', '"who"')
        db.execute("INSERT INTO log VALUES(0, 'good', 50, 1)")
        self.assert_error(db, "SELECT tfidf_train('items', '{\"ratings\": \"log\", \"user\": \"who\", \"item\": \"what\", \"rating\": \"stars\"}')",
                          "tfidf_train", f"row {len(LIKES) + 1} (user 1, item 50)", "'good'")
        db.execute("DELETE FROM log")
        self.assert_error(db, "SELECT tfidf_train('items', '{\"ratings\": \"log\", \"user\": \"who\", \"item\": \"what\", \"rating\": null}')", "log", "no ratings")

    def test_ids_match_across_affinities(self):
        db = self.database([])
        add_ratings(db, [(str(user), str(item), rating) for user, item, rating in LIKES], "texts", user="TEXT", item="TEXT")
        summary = train_text(db, "items", ratings="texts")
        self.assertEqual((summary["unknown_items"], summary["ratings"]), (0, len(LIKES)))
        self.assertEqual(db.execute("SELECT typeof(item) FROM recommend('1000', 1)").fetchone(), ("integer",))

    def test_held_out_ratings_are_seen_and_teach_nothing(self):
        db = self.database(LIKES)
        summary = train_text(db, "items", ratings="ratings", test=.4, seed=5)
        share = "SELECT user, item, rating FROM ratings WHERE recommend_split(5, user, item) {} 0.4"
        kept, held_out = db.execute(share.format(">=")).fetchall(), db.execute(share.format("<")).fetchall()
        self.assertEqual((summary["ratings"], summary["held_out"]), (len(kept), len(held_out)))
        self.assertGreater(len(held_out), 20)
        self.assertTrue(0 < summary["heads"]["ranking"]["test"] <= 1)
        expected = Expected(ITEMS, kept)
        for u, user in enumerate(expected.users):
            got = dict(db.execute("SELECT item, score FROM items_tfidf WHERE user = ?", (user,)))
            np.testing.assert_allclose([got[item] for item, _ in ITEMS], expected.score[u], atol=2e-6)
        pairs = {row[:2] for row in LIKES}
        self.assertFalse(pairs & set(db.execute("SELECT user, item FROM recommend_all(40)").fetchall()))
        self.assertEqual(set(db.execute("SELECT user, item FROM items_tfidf WHERE seen = 1").fetchall()), pairs)
        # NDCG@10 over what was held out; who has no profile is given all items alike, in order of id.
        seen = {user: {item for u, item, _ in kept if u == user} for user in {row[0] for row in LIKES}}
        total, users = 0, 0
        for user in sorted({row[0] for row in held_out}):
            wanted = {item for u, item, _ in held_out if u == user}
            score = expected.score[expected.users.index(user)] if user in expected.users else np.zeros(40)
            order = sorted((i for i in range(40) if ITEMS[i][0] not in seen[user]), key=lambda i: (-round(score[i], 6), i))[:10]
            gain = sum(1 / math.log2(rank + 2) for rank, i in enumerate(order) if ITEMS[i][0] in wanted)
            total += gain / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(wanted))))
            users += 1
        self.assertAlmostEqual(summary["heads"]["ranking"]["test"], total / users, delta=1e-6)

    def test_evaluate(self):
        db = self.database(LIKES)
        db.execute("CREATE VIEW train AS SELECT * FROM ratings WHERE recommend_split(1, user, item) < 0.7")
        db.execute("CREATE VIEW test AS SELECT * FROM ratings WHERE recommend_split(1, user, item) >= 0.7")
        train_text(db, "items", ratings="train")
        got = {row[0]: row[2:] for row in db.execute("SELECT metric, k, value, n FROM recommend_evaluate('items_tfidf', 'test', '{\"k\": 5}')")}
        kept, test = db.execute("SELECT * FROM train").fetchall(), db.execute("SELECT * FROM test").fetchall()
        expected = Expected(ITEMS, kept)
        precision, recall, users = 0, 0, 0
        for u, user in enumerate(expected.users):
            wanted = {item for other, item, _ in test if other == user}
            if not wanted:
                continue
            order = sorted((i for i in range(40) if not expected.seen[u, i]), key=lambda i: (-round(expected.score[u, i], 6), i))[:5]
            hits = len(wanted & {ITEMS[i][0] for i in order})
            precision, recall, users = precision + hits / 5, recall + hits / len(wanted), users + 1
        self.assertEqual(got["precision"][1], users)
        self.assertAlmostEqual(got["precision"][0], precision / users, delta=1e-9)
        self.assertAlmostEqual(got["recall"][0], recall / users, delta=1e-9)
        self.assertNotIn("rmse", {name for name, row in got.items() if row[0] is not None}, "a cosine is no rating")

    def test_beside_a_model_of_ratings(self):
        db = self.database(LIKES)
        train(db, rank=3, epochs=2)
        train_text(db, "items")
        user = LIKES[0][0]
        # Of the two only the factorization has users, and only the other knows words.
        self.assertEqual(db.execute("SELECT count(*) FROM recommend(?, 3)", (user,)).fetchone(), (3,))
        self.assertIsNotNone(db.execute("SELECT predict(?, 50)", (user,)).fetchone()[0])
        self.assertGreater(len(db.execute("SELECT * FROM tfidf_search('red fox', 3)").fetchall()), 0)
        self.assert_error(db, "SELECT * FROM recommend_for('[50]', 3)", "2 models", "main.items_tfidf", "main.ratings_mf")
        for model in ("items_tfidf", "ratings_mf"):
            self.assertEqual(len(db.execute("SELECT * FROM recommend_for('[50]', 3, ?)", (model,)).fetchall()), 3)
        self.assertEqual(db.execute("SELECT tfidf_vector('film')").fetchone(), ('{"film":1.0}',))
        self.assert_error(db, "SELECT * FROM item_similar(50, 3)", "2 models", "main.items_tfidf", "main.ratings_mf")
        self.assert_error(db, "SELECT * FROM tfidf_search('red', 3, 'ratings_mf')", '"ratings_mf"', "tfidf_train")
        self.assert_error(db, "SELECT tfidf_vector('red', 'ratings_mf')", "tfidf_vector", '"ratings_mf"')
        for call in ("recommend(1000, 3, 'items_tfidf')", "recommend_all(3, 'items_tfidf')", "user_similar(1000, 3, 'items_tfidf')",
                     "recommend_users(50, 3, 'items_tfidf')"):
            self.assert_error(db, f"SELECT * FROM {call}", call.split("(")[0], '"items_tfidf"', "no users", '"ratings"')
        train_text(db, "items", ratings="ratings")
        self.assert_error(db, "SELECT * FROM recommend(1000, 3)", "2 models", "main.items_tfidf", "main.ratings_mf")


if __name__ == "__main__":
    unittest.main()
