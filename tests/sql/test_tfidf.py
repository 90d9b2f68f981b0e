"""tf-idf weights: published numbers, and the same as scikit-learn's over the options that both have.

RECOMMEND_EXHAUSTIVE=1 crosses all values of all options instead of a twelfth of them."""
import csv
import itertools
import json
import os
import random
import unicodedata
import unittest

import numpy as np

from support import TestCase, connect, data_file, documents, train_text

try:
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
except ImportError:
    CountVectorizer = None

FOUR = ["This is the first document.", "This document is the second document.", "And this is the third one.",
        "Is this the first document?"]


class Reference(TestCase):
    """The numbers that are published for scikit-learn 1.2, to 1e-7."""

    def cosines(self, texts, **options):
        """{(i, j): cosine} from tfidf_cosine, after a look whether item_similar says the same."""
        db = self.closing(documents(texts))
        train_text(db, **options)
        got = {(i, j): cosine for i, j, cosine in db.execute(
            "SELECT a.id, b.id, tfidf_cosine(a.text, b.text, 'documents_tfidf') FROM documents a, documents b WHERE a.id < b.id")}
        for i in range(1, len(texts) + 1):
            for j, similarity in db.execute("SELECT item, similarity FROM item_similar(?, 99, 'documents_tfidf')", (i,)):
                self.assertAlmostEqual(similarity, got[min(i, j), max(i, j)], delta=1e-7)
        return got

    def check(self, expected, **options):
        got = self.cosines(FOUR, **options)
        for pair, cosine in expected.items():
            self.assertAlmostEqual(got[pair], cosine, delta=1e-7, msg=(pair, options))

    def test_default(self):
        self.check({(1, 2): .64692568, (1, 3): .30777187, (2, 3): .22523955, (1, 4): 1})

    def test_english_stop_words(self):
        self.check({(1, 2): .78722298, (1, 3): 0, (2, 3): 0, (3, 4): 0}, stop_words="english")
        db = self.closing(documents(FOUR))
        self.assertEqual(train_text(db, stop_words="english")["empty"], 1)
        self.assertEqual(db.execute("SELECT tfidf_vector(?, 'documents_tfidf')", (FOUR[2],)).fetchone(), ("{}",))

    def test_single_words_and_pairs(self):
        self.check({(1, 2): .35855882, (1, 3): .32474916, (1, 4): .67478413, (2, 3): .15597054, (2, 4): .25810273, (3, 4): .12928647},
                   ngram_range=[1, 2])

    def test_sublinear(self):
        self.check({(1, 2): .64190198, (2, 3): .24203331}, sublinear_tf=True)

    def test_min_df(self):
        self.check({(1, 2): .76783591, (1, 3): .66525515, (2, 3): .57785384}, min_df=2)

    def test_counts(self):
        counts = [[3, 0, 1], [2, 0, 0], [3, 0, 0], [4, 0, 0], [3, 2, 0], [3, 0, 2]]
        rows = [[.85151335, 0, .52433293], [1, 0, 0], [1, 0, 0], [1, 0, 0], [.55422893, .83236428, 0], [.63035731, 0, .77630514]]
        db = self.closing(documents([" ".join(word for word, n in zip(("xa", "xb", "xc"), row) for _ in range(n)) for row in counts]))
        idf = "SELECT idf FROM documents_tfidf_term ORDER BY term"
        train_text(db)
        np.testing.assert_allclose(db.execute(idf).fetchall(), [[1], [2.25276297], [1.84729786]], atol=1e-7)
        for expected, (vector,) in zip(rows, db.execute("SELECT tfidf_vector(text, 'documents_tfidf') FROM documents ORDER BY id")):
            got = json.loads(vector)
            np.testing.assert_allclose([got.get(word, 0) for word in ("xa", "xb", "xc")], expected, atol=1e-7)
        train_text(db, smooth_idf=False)
        np.testing.assert_allclose(db.execute(idf).fetchall(), [[1], [2.79175947], [2.09861229]], atol=1e-7)

    @unittest.skipUnless(CountVectorizer, "no scikit-learn")
    def test_stop_words_are_the_list_of_glasgow(self):
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
        self.assertEqual(len(ENGLISH_STOP_WORDS), 318)
        db = self.closing(documents([" ".join(ENGLISH_STOP_WORDS), "film"]))
        train_text(db, stop_words="english", min_token_length=1)
        self.assertEqual(db.execute("SELECT term FROM documents_tfidf_term").fetchall(), [("film",)])
        train_text(db, min_token_length=1)
        words = {row[0] for row in db.execute("SELECT term FROM documents_tfidf_term")}
        self.assertEqual(words, set(ENGLISH_STOP_WORDS) | {"film"})

    def test_toy_products(self):
        db = self.closing(connect())
        db.execute("CREATE TABLE products(id INTEGER PRIMARY KEY, product TEXT, genres TEXT)")
        db.executemany("INSERT INTO products VALUES(?, ?, ?)", [
            (1, "Kindle", "Electronics, Tablet"), (2, "Macbook", "Electronics, Computer, Apple"), (3, "Brown Leather Shoes", "Clothing"),
            (4, "Samsung 75-Inch QLED TV", "Electronics, Television, QLED"), (5, "LG 60-Inch QLED TV", "Electronics, Television, QLED")])
        db.execute("CREATE TABLE purchases(user INTEGER, product INTEGER)")
        db.executemany("INSERT INTO purchases VALUES(?, ?)", [(1, 1), (1, 2), (1, 3), (2, 2), (2, 4), (3, 1), (3, 2), (4, 3), (4, 4), (5, 5)])
        train_text(db, "products", text=["genres"], weighting="count", stop_words="english", ratings="purchases")
        got = db.execute("SELECT product, score FROM products_tfidf m JOIN products p ON p.id = m.item "
                         "WHERE m.user = 1 ORDER BY m.score DESC, m.item").fetchall()
        # The sum of what user 1 bought is electronics 2, tablet 1, computer 1, apple 1, clothing 1: of length √8.
        expected = [("Macbook", 4 / 24 ** .5), ("Kindle", 3 / 16 ** .5), ("Samsung 75-Inch QLED TV", 2 / 24 ** .5),
                    ("LG 60-Inch QLED TV", 2 / 24 ** .5), ("Brown Leather Shoes", 1 / 8 ** .5)]
        self.assert_same_rows(got, expected, 1e-6)
        self.assertEqual([row[0] for row in db.execute(
            "SELECT product FROM recommend(1, 5, 'products_tfidf') r JOIN products p ON p.id = r.item ORDER BY r.rank")],
            ["Samsung 75-Inch QLED TV", "LG 60-Inch QLED TV"])


# ---- scikit-learn ---------------------------------------------------------------------------------------------------

WORDS = ("The the and is NOT it's don't O'Reilly rock'n'roll film Film FILM films love story café CAFÉ naïve École Ünïted Straße "
         "東京 東京タワー 北京 한국어 Привет МИР мир Ωμέγα αβγ 🎬 🎬film snake_case _ __ a_ _b 2001 3D 7 x² H₂O ½ ½½ ٣٤ Ⅷ ⅧⅨ ﬁn a I z "
         "war War peace night day man woman life house road river").split()


def made_up_texts(count=110, seed=5):
    """Texts of all kinds of words, some of them often, and of phrases that come back."""
    draw = random.Random(seed)
    phrases = [draw.choices(WORDS, k=draw.randint(2, 4)) for _ in range(30)]
    texts = []
    for _ in range(count):
        words = []
        for _ in range(draw.randint(1, 4)):
            words += draw.choice(phrases[:draw.choice((3, 10, 30))]) if draw.random() < .7 else [draw.choice(WORDS)] * draw.randint(1, 6)
        texts.append("".join(word + draw.choice((" ", " ", " ", ", ", ". ", " — ", "...", "-", "\n", "/", "’", "!", "\u00a0")) for word in words))
    texts += ["", "!?", "a", "the and"]
    # Words in just 40 texts, and in just half of them: the bounds of max_df.
    return [text + (" forty" if n < 40 else "") + (" half" if n % 2 else "") for n, text in enumerate(texts)]


def untied(counts, about):
    """How many features to keep, at most `about`, so that the last of them is more frequent than the next; or None."""
    frequency = np.sort(np.asarray(counts.sum(axis=0)).ravel())[::-1]
    cuts = [n for n in range(1, len(frequency)) if frequency[n - 1] > frequency[n] and n <= about]
    return cuts[-1] if cuts else None


@unittest.skipUnless(CountVectorizer, "no scikit-learn")
class SameAsScikitLearn(TestCase):
    WEIGHTS = list(itertools.product(("tfidf", "count", "binary"), (False, True), (True, False), ("l2", "l1", "none")))

    def compare(self, db, query, expected, vocabulary, idf, similar=(), message=None):
        """The model's terms, idf, all vectors, and the neighbors of some items, against a sparse matrix."""
        self.assertEqual([row[0] for row in db.execute("SELECT term FROM documents_tfidf_term ORDER BY idx")], list(vocabulary), message)
        got_idf = np.array(db.execute("SELECT idf FROM documents_tfidf_term ORDER BY idx").fetchall()).ravel()
        np.testing.assert_allclose(got_idf, np.ones(len(vocabulary)) if idf is None else idf, atol=1e-9, err_msg=str(message))
        expected = expected.tocsr()
        expected.sort_indices()
        index = {term: i for i, term in enumerate(vocabulary)}
        rows = db.execute(f"SELECT tfidf_vector({query}, 'documents_tfidf') FROM documents ORDER BY id").fetchall()
        self.assertEqual(len(rows), expected.shape[0])
        place, value, length = [], [], []
        for (vector,) in rows:
            got = sorted((index[term], weight) for term, weight in json.loads(vector).items())
            length.append(len(got))
            place.extend(entry[0] for entry in got)
            value.extend(entry[1] for entry in got)
        np.testing.assert_array_equal(length, np.diff(expected.indptr), err_msg=str(message))
        np.testing.assert_array_equal(place, expected.indices, err_msg=str(message))
        np.testing.assert_allclose(value, expected.data, rtol=1e-9, err_msg=str(message))
        if not similar:
            return
        norms = np.sqrt(np.asarray(expected.multiply(expected).sum(axis=1)).ravel())
        norms[norms == 0] = 1
        ids = [row[0] for row in db.execute("SELECT id FROM documents ORDER BY id")]
        for i in similar:
            cosine = (expected @ expected[i].T).toarray().ravel() / norms / norms[i]
            got = db.execute("SELECT item, similarity FROM item_similar(?, NULL, 'documents_tfidf') ORDER BY rank", (ids[i],)).fetchall()
            place = np.searchsorted(ids, [item for item, _ in got])
            self.assertEqual(len(set(place)), len(got))
            self.assertNotIn(i, place)
            np.testing.assert_allclose([similarity for _, similarity in got], cosine[place], atol=1e-6, err_msg=str(message))
            order = [(-similarity, item) for item, similarity in got]
            self.assertEqual(order, sorted(order), message)
            self.assertGreaterEqual(len(got), np.count_nonzero(np.delete(cosine, i)))

    def test_all_options_crossed(self):
        texts = made_up_texts()
        db = self.closing(documents(texts))
        every = 1 if os.environ.get("RECOMMEND_EXHAUSTIVE") else 12
        compared = limited = number = 0
        choices = itertools.product(((1, 1), (1, 2), (2, 3)), (None, "english", ["film", "東京", "мир"]), (True, False))
        db.execute("BEGIN")
        for ngram_range, stop_words, lowercase in choices:
            # The terms of each text are found once, by scikit-learn's own analyzer.
            analyze = CountVectorizer(ngram_range=ngram_range, stop_words=stop_words, lowercase=lowercase).build_analyzer()
            terms = [analyze(text) for text in texts]
            for min_df, max_df, max_features, binary in itertools.product((1, 2, .025), (1.0, .5, 40), (None, 100), (False, True)):
                settings = dict(analyzer=lambda i: terms[i], min_df=min_df, max_df=max_df, binary=binary)
                vectorizer = CountVectorizer(**settings)
                counts = vectorizer.fit_transform(range(len(texts)))
                if max_features:
                    limit = untied(counts, max_features // (1 + number % 5))
                    if limit is None:
                        continue
                    vectorizer = CountVectorizer(**settings, max_features=limit)
                    counts = vectorizer.fit_transform(range(len(texts)))
                    limited += 1
                vocabulary = vectorizer.get_feature_names_out()
                number += 1
                for n, (weighting, sublinear_tf, smooth_idf, norm) in enumerate(self.WEIGHTS):
                    if (weighting == "binary") != binary or (n + number) % every:
                        continue
                    transformer = TfidfTransformer(norm=None if norm == "none" else norm, use_idf=weighting == "tfidf",
                                                   smooth_idf=smooth_idf, sublinear_tf=sublinear_tf)
                    expected = transformer.fit_transform(counts)
                    options = dict(weighting=weighting, norm=norm, lowercase=lowercase,
                                   ngram_range=ngram_range, stop_words=stop_words, min_df=min_df, max_df=max_df, threads=1)
                    if max_features:
                        options["max_features"] = limit
                    if weighting == "tfidf":  # what is not read is an error
                        options["smooth_idf"] = smooth_idf
                    if weighting != "binary":
                        options["sublinear_tf"] = sublinear_tf
                    self.assertEqual(train_text(db, **options)["terms"], len(vocabulary), options)
                    compared += 1
                    self.compare(db, "text", expected, vocabulary, transformer.idf_ if weighting == "tfidf" else None,
                                 (compared % len(texts),), options)
        self.assertGreater(compared, 9000 if every == 1 else 700)
        self.assertGreater(limited, 200)

    def test_netflix(self):
        with open(data_file("text", "netflix_titles.csv"), encoding="utf-8", newline="") as file:
            # Python's small "İ" is an i and a combining dot; and marks end a word there, of which a Thai title has some.
            texts = [(row["title"] + " " + row["description"]).replace("İ", "I") for row in csv.DictReader(file)]
        texts = ["".join(" " if unicodedata.category(c) in ("Mn", "Mc") else c for c in text) for text in texts]
        self.assertGreater(len(texts), 8000)
        db = self.closing(documents(texts))
        for options in ({}, {"stop_words": "english", "sublinear_tf": True, "min_df": 2, "max_df": .5},
                        {"ngram_range": (1, 2), "stop_words": "english", "min_df": 3, "norm": "l1"},
                        {"ngram_range": (2, 3), "lowercase": False, "smooth_idf": False, "min_df": 2, "norm": "none"},
                        {"weighting": "count", "min_df": .01, "max_df": 2000, "stop_words": ["the", "his"]},
                        {"weighting": "binary", "norm": "l2", "max_features": 1000, "max_df": 50}):
            given = {key: value for key, value in options.items() if key not in ("weighting", "norm", "max_features")}
            weighting = options.get("weighting", "tfidf")
            norm = options.get("norm", "l2" if weighting == "tfidf" else None)
            given.update(norm=None if norm == "none" else norm, use_idf=weighting == "tfidf", binary=weighting == "binary")
            vectorizer = TfidfVectorizer(**given)
            expected = vectorizer.fit_transform(texts)
            if "max_features" in options:
                options = dict(options, max_features=untied(expected != 0, options["max_features"]))
                vectorizer = TfidfVectorizer(**given, max_features=options["max_features"])
                expected = vectorizer.fit_transform(texts)
            train_text(db, **options)
            self.compare(db, "text", expected, vectorizer.get_feature_names_out(), vectorizer.idf_ if weighting == "tfidf" else None,
                         (0, 17, 4321, len(texts) - 1), options)

    def test_runs_of_words_stay_within_columns(self):
        with open(data_file("text", "netflix_titles.csv"), encoding="utf-8", newline="") as file:
            rows = [(row["title"], row["description"]) for row in csv.DictReader(file)][:2000]
        db = self.closing(connect())
        db.execute("CREATE TABLE documents(id INTEGER PRIMARY KEY, title, description)")
        db.executemany("INSERT INTO documents(title, description) VALUES(?, ?)", rows)
        analyze = CountVectorizer(ngram_range=(1, 2)).build_analyzer()
        vectorizer = TfidfVectorizer(analyzer=lambda row: [term for text in row for term in analyze(text)], min_df=2)
        expected = vectorizer.fit_transform(rows)
        train_text(db, ngram_range=[1, 2], min_df=2)
        self.compare(db, "json_array(title, description)", expected, vectorizer.get_feature_names_out(), vectorizer.idf_, (0, 1999))


if __name__ == "__main__":
    unittest.main()
