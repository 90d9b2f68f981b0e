"""Dense vectors made of words (latent semantic analysis, word2vec), and factorizations that begin at a content model's
vectors: against scikit-learn and numpy."""
import json
import unittest

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from support import Side, TestCase, add_ratings, connect, made_up_ratings, shadow_bytes, train

TOPICS = ["guitar string pick capo strap chord fret".split(), "violin bow rosin bridge chin orchestra".split(),
          "drum stick cymbal pedal snare beat brush".split(), "piano bench key pedal sheet grand scale".split()]


def made_up_texts(items=200, length=12, seed=3):
    """(id, text): each text keeps to one topic but for a fifth of its words; the topic is id % 4."""
    random = np.random.RandomState(seed)
    every = sorted({word for topic in TOPICS for word in topic})
    return [(item, " ".join(random.choice(TOPICS[item % 4] if random.rand() < 0.8 else every) for _ in range(length)))
            for item in range(items)]


def with_texts(rows):
    db = connect()
    db.execute("CREATE TABLE texts(id INTEGER PRIMARY KEY, text TEXT)")
    db.executemany("INSERT INTO texts VALUES(?, ?)", rows)
    return db


def content(db, source="texts", **options):
    return json.loads(db.execute("SELECT tfidf_train(?, ?)", (source, json.dumps(options))).fetchone()[0])


def unit(rows):
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


class LatentSemanticAnalysis(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = made_up_texts()
        cls.db = with_texts(cls.rows)
        cls.losses = cls.db.execute("""SELECT loss FROM tfidf_train('texts', '{"lsa": 5, "epochs": 50}')""").fetchall()
        cls.vectorizer = TfidfVectorizer()
        cls.matrix = cls.vectorizer.fit_transform(text for _, text in cls.rows)
        cls.svd = TruncatedSVD(5, algorithm="arpack").fit(cls.matrix)
        cls.items = unit(cls.svd.transform(cls.matrix))

    def test_cosines_of_items_are_those_of_the_svd(self):
        vectors = Side(self.db, "texts_tfidf", "item").vector
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(vectors @ vectors.T, self.items @ self.items.T, atol=2e-4)

    def test_the_loss_is_the_squared_rest(self):
        rest = self.matrix.toarray() - self.svd.inverse_transform(self.svd.transform(self.matrix))
        self.assertAlmostEqual(self.losses[-1][0], (rest ** 2).sum(), delta=1e-3)
        for one, other in zip(self.losses, self.losses[1:]):
            self.assertLessEqual(other[0], one[0] + 1e-4)

    def test_search_puts_a_text_into_the_same_space(self):
        text = "a bow for the violin, and rosin"
        query = unit(self.svd.transform(self.vectorizer.transform([text])))[0]
        expected = self.items @ query
        got = self.db.execute("SELECT item, similarity FROM tfidf_search(?, 10)", (text,)).fetchall()
        np.testing.assert_allclose([row[1] for row in got], sorted(expected, reverse=True)[:10], atol=2e-4)
        for item, similarity in got:
            self.assertAlmostEqual(similarity, expected[item], delta=2e-4)

    def test_cosine_of_two_texts(self):
        pair = ["guitar chord", "snare drum pedal"]
        a, b = unit(self.svd.transform(self.vectorizer.transform(pair)))
        got = self.db.execute("SELECT tfidf_cosine(?, ?, 'texts_tfidf')", pair).fetchone()[0]
        self.assertAlmostEqual(got, a @ b, delta=2e-4)

    def test_more_factors_than_words(self):
        db = self.closing(with_texts([(1, "one two"), (2, "two three"), (3, "four")]))
        content(db, lsa=10)
        vectors = Side(db, "texts_tfidf", "item").vector
        matrix = unit(TfidfVectorizer().fit_transform(["one two", "two three", "four"]).toarray())
        self.assertEqual(vectors.shape, (3, 10))
        np.testing.assert_allclose(vectors @ vectors.T, matrix @ matrix.T, atol=1e-5)

    def test_users(self):
        db = self.closing(with_texts(self.rows))
        add_ratings(db, [(user, item, 1 + (user + item) % 5) for user in range(9) for item in range(user, 200, 17)])
        content(db, lsa=5, epochs=50, ratings="ratings", profile="weighted")
        items, users = Side(db, "texts_tfidf", "item"), Side(db, "texts_tfidf", "user")
        rows = db.execute("SELECT item, rating FROM ratings WHERE user = 4").fetchall()
        mean = np.mean([rating for _, rating in rows])
        expected = sum((rating - mean) * items.vector[items.index[item]] for item, rating in rows)
        np.testing.assert_allclose(users.vector[users.index[4]], expected / np.linalg.norm(expected), atol=1e-5)
        profile = json.dumps({str(item): rating for item, rating in rows})
        self.assert_same_rows(db.execute("SELECT * FROM recommend_for(?, 5)", (profile,)).fetchall(),
                              db.execute("SELECT * FROM recommend(4, 5)").fetchall())


class Word2vec(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = made_up_texts(items=800)
        cls.db = with_texts(cls.rows)
        cls.losses = [row[0] for row in cls.db.execute(
            """SELECT loss FROM tfidf_train('texts', '{"word2vec": 16, "epochs": 20, "subsample": 0}')""")]

    def cosine(self, a, b):
        return self.db.execute("SELECT tfidf_cosine(?, ?, 'texts_tfidf')", (a, b)).fetchone()[0]

    def test_it_learns(self):
        self.assertEqual(len(self.losses), 20)
        self.assertLess(self.losses[-1], self.losses[0])

    def test_words_of_one_topic_are_alike(self):
        alike = [self.cosine(a, b) for a, b in [("guitar", "chord"), ("violin", "rosin"), ("snare", "cymbal"), ("sheet", "grand")]]
        other = [self.cosine(a, b) for a, b in [("guitar", "rosin"), ("violin", "snare"), ("cymbal", "grand"), ("sheet", "chord")]]
        self.assertGreater(min(alike), max(other))

    def test_items_of_one_topic_are_near(self):
        near = self.db.execute("""SELECT t.id % 4 = s.item % 4 FROM texts t JOIN item_similar(t.id, 5) s
                                  WHERE t.id < 100""").fetchall()
        self.assertGreater(np.mean(near), 0.95)

    def test_an_item_is_the_weighted_mean_of_its_words(self):
        word = {}
        for (name, _, data) in self.db.execute("SELECT name, shape, data FROM texts_tfidf_weight"):
            self.assertEqual(name, "term/0")
            vectors = np.frombuffer(data[:-8], "<f4").reshape(-1, 16).astype(float)
            word = dict(zip((row[0] for row in self.db.execute("SELECT term FROM texts_tfidf_term ORDER BY idx")), vectors))
        item, text = self.rows[5]
        weights = json.loads(self.db.execute("SELECT tfidf_vector(?)", (text,)).fetchone()[0])
        expected = sum(weight * word[term] for term, weight in weights.items())
        items = Side(self.db, "texts_tfidf", "item")
        np.testing.assert_allclose(items.vector[items.index[item]], expected / np.linalg.norm(expected), atol=1e-5)


class Same(TestCase):
    """The same bytes from any number of threads."""

    def check(self, **options):
        stored = []
        for threads in (1, 2, 5):
            db = self.closing(with_texts(made_up_texts(items=300)))
            add_ratings(db, [(user, item, 1 + (user * item) % 5) for user in range(30) for item in range(user, 300, 11)])
            content(db, threads=threads, ratings="ratings", test=0.2, **options)
            stored.append(shadow_bytes(db, "texts_tfidf"))
        self.assertEqual(stored[0], stored[1])
        self.assertEqual(stored[0], stored[2])

    def test_lsa(self):
        self.check(lsa=7)

    def test_word2vec(self):
        self.check(word2vec=12, epochs=2)


class Beginnings(TestCase):
    """Factors that begin at content: options item_init and user_init of mf_train."""

    def setUp(self):
        self.rows = made_up_ratings()
        self.items = sorted({row[1] for row in self.rows})
        self.db = self.closing(connect())
        add_ratings(self.db, self.rows)
        # What an item is like is who rated it how: a description that helps.
        self.db.execute("CREATE TABLE things(id INTEGER, words TEXT)")
        words = {item: " ".join(f"u{user}x{rating}".replace(".", "y") for user, other, rating in self.rows if other == item)
                 for item in self.items}
        self.db.executemany("INSERT INTO things VALUES(?, ?)", words.items())

    def first_losses(self, **options):
        return [row[0] for row in self.db.execute("SELECT loss FROM mf_train('ratings', 4, ?)",
                                                  (json.dumps({"objective": "rating", "epochs": 40, **options}),))]

    def test_a_good_beginning(self):
        content(self.db, "things", ratings="ratings", profile="weighted")
        drawn = self.first_losses()
        for options in ({"item_init": "things_tfidf"}, {"user_init": "things_tfidf"},
                        {"item_init": "things_tfidf", "user_init": "things_tfidf"}):
            begun = self.first_losses(**options)
            self.assertLess(begun[0], drawn[0], options)
            self.assertLess(abs(begun[-1] / drawn[-1] - 1), 0.05, options)  # and the same end, nearly
            for one, other in zip(begun, begun[1:]):
                self.assertLessEqual(other, one * (1 + 1e-6))

    def test_embeddings_at_the_end_are_a_fixed_point(self):
        """Begun at the factors of a finished training, an epoch changes next to nothing."""
        train(self.db, rank=4, epochs=300, objective="ranking", model="finished", solver="cholesky")
        self.db.execute("CREATE TABLE vectors AS SELECT id, vector FROM recommend_factors('finished', 'item')")
        content(self.db, "vectors", embedding="vector")
        last = json.loads(self.db.execute("SELECT metrics FROM recommend_models WHERE name = 'finished'").fetchone()[0])
        options = dict(objective="ranking", model="again", solver="cholesky", epochs=1)
        again = train(self.db, rank=4, item_init="vectors_tfidf", **options)["heads"]["ranking"]["loss"]
        drawn = train(self.db, rank=4, **options)["heads"]["ranking"]["loss"]
        # Their directions are kept, their lengths not: so it is near, not at the end.
        end = last["ranking"]["loss"][-1]
        self.assertLess(again - end, (drawn - end) / 4)

    def test_items_the_content_does_not_know_are_drawn(self):
        self.db.execute("DELETE FROM things WHERE id % 2")
        content(self.db, "things")
        summary = train(self.db, rank=4, item_init="things_tfidf")
        self.assertEqual(summary["items"], len(self.items))
        lengths = np.linalg.norm(Side(self.db, "ratings_mf", "item").vector, axis=1)
        self.assertTrue((lengths > 0).all())

    def test_nonnegative_factors_stay_so(self):
        content(self.db, "things", ratings="ratings")
        train(self.db, rank=4, item_init="things_tfidf", user_init="things_tfidf", nonnegative=True)
        for side in ("user", "item"):
            self.assertGreaterEqual(Side(self.db, "ratings_mf", side).vector.min(), 0)

    def test_same_bytes(self):
        content(self.db, "things", ratings="ratings")
        stored = []
        for threads in (1, 2, 5):
            train(self.db, rank=4, item_init="things_tfidf", user_init="things_tfidf", threads=threads)
            stored.append(shadow_bytes(self.db))
        self.assertEqual(stored[0], stored[1])
        self.assertEqual(stored[0], stored[2])

    def test_wrong_models(self):
        train(self.db, rank=4)
        content(self.db, "things")
        sql = "SELECT mf_train('ratings', 4, ?)"
        self.assert_error(self.db, sql, "item_init", "tfidf_train", parameters=('{"item_init": "ratings_mf"}',))
        self.assert_error(self.db, sql, "no model", "nothing", parameters=('{"item_init": "nothing"}',))
        self.assert_error(self.db, sql, "has no users", parameters=('{"user_init": "things_tfidf"}',))
        self.db.execute("CREATE TABLE others AS SELECT 'x' || id AS id, words FROM things")
        content(self.db, "others")
        self.assert_error(self.db, sql, "none of the items", parameters=('{"item_init": "others_tfidf"}',))


if __name__ == "__main__":
    unittest.main()
