"""Two texts compared, the tokenizers, and text that nobody would write: invalid, huge, empty."""
import json
import math
import random
import re
import unicodedata
import unittest
from collections import Counter

import numpy as np

from support import TestCase, connect, documents, shadow_bytes, train_text

WORD = re.compile(r"(?u)\b\w\w+\b")


def words_of(text):
    return WORD.findall(text.lower())


def is_vowel_sign(mark):
    """Which counts as a character: those of South and South East Asia and of Thaana; of the rest of Unicode 3.2 none."""
    return 0x7a6 <= ord(mark) <= 0x7b0 or 0x900 <= ord(mark) < 0x135d or 0x1700 <= ord(mark) < 0x1ab0


def cosine(a, b):
    a, b = Counter(words_of(a)), Counter(words_of(b))
    product = sum(n * b[word] for word, n in a.items())
    return product / math.sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values())) if product else 0.0


class Cosine(TestCase):
    """tfidf_cosine(a, b): by the counts of words."""

    @classmethod
    def setUpClass(cls):
        cls.db = connect()
        draw = random.Random(3)
        words = "love war the the The café CAFÉ 東京 東京タワー Привет don't snake_case 3D x² a 7 — ... 🎬 life's".split()
        cls.texts = [" ".join(draw.choices(words, k=draw.randint(0, 12))) for _ in range(60)]
        cls.db.execute("CREATE TABLE texts(id INTEGER PRIMARY KEY, text)")
        cls.db.executemany("INSERT INTO texts(text) VALUES(?)", [(text,) for text in cls.texts])

    def one(self, sql, *parameters):
        return self.db.execute(sql, parameters).fetchone()[0]

    def test_every_pair(self):
        got = self.db.execute("SELECT a.text, b.text, tfidf_cosine(a.text, b.text) FROM texts a, texts b").fetchall()
        self.assertEqual(len(got), 3600)
        np.testing.assert_allclose([row[2] for row in got], [cosine(a, b) for a, b, _ in got], atol=1e-12)

    def test_constant_arguments(self):
        for sql, pair in (("SELECT text, tfidf_cosine('the love of war', text) FROM texts", lambda text: ("the love of war", text)),
                          ("SELECT text, tfidf_cosine(text, 'the love of war') FROM texts", lambda text: (text, "the love of war")),
                          ("SELECT text, tfidf_cosine('love love 東京', 'love café') FROM texts", lambda text: ("love love 東京", "love café"))):
            for text, value in self.db.execute(sql).fetchall():
                self.assertAlmostEqual(value, cosine(*pair(text)), delta=1e-12)
        # Bound parameters are constant within a run, not from run to run.
        for text in self.texts[:10]:
            self.assertAlmostEqual(self.one("SELECT sum(tfidf_cosine(?, text)) FROM texts", text),
                                   sum(cosine(text, other) for other in self.texts), delta=1e-9)

    def test_null_and_other_types(self):
        self.assertEqual(self.db.execute("SELECT tfidf_cosine(NULL, 'a'), tfidf_cosine('a', NULL), tfidf_cosine(NULL, NULL)").fetchone(), (None,) * 3)
        self.assertEqual(self.db.execute("SELECT tfidf_cosine('', 'aa'), tfidf_cosine('', ''), tfidf_cosine('!', '?'), tfidf_cosine('x', 'x')").fetchone(), (0.0,) * 4)
        self.assertEqual(self.db.execute("SELECT tfidf_cosine(1234, '1234'), tfidf_cosine(12.75, '75 12')").fetchone(), (1.0, 1.0))
        self.assert_error(self.db, "SELECT tfidf_cosine('a')", "wrong number of arguments")

    def test_json_is_flattened(self):
        self.assertAlmostEqual(self.one("""SELECT tfidf_cosine('["love", {"k": "war"}, ["peace", 12, null, true]]', 'love war peace')"""), 1.0)
        self.assertAlmostEqual(self.one("""SELECT tfidf_cosine('["love", ', 'love')"""), 1.0, msg="not JSON: a text")

    def test_in_indexes_views_and_triggers(self):
        db = self.closing(documents(["love war", "love", "peace"]))
        db.execute("CREATE VIEW likeness AS SELECT a.id AS a, b.id AS b, tfidf_cosine(a.text, b.text) AS c FROM documents a, documents b")
        self.assertAlmostEqual(db.execute("SELECT c FROM likeness WHERE a = 1 AND b = 2").fetchone()[0], .5 ** .5)
        db.execute("CREATE INDEX by_love ON documents(tfidf_cosine(text, 'love'))")
        self.assertEqual(db.execute("SELECT id FROM documents ORDER BY tfidf_cosine(text, 'love') DESC, id").fetchall(), [(2,), (1,), (3,)])

    def test_with_a_model(self):
        db = self.closing(documents(["love war", "love peace", "war and peace", "love love love"]))
        train_text(db)
        idf = dict(db.execute("SELECT term, idf FROM documents_tfidf_term"))
        a, b = "love love war unknown", "war peace nothing"
        x, y = {"love": 2 * idf["love"], "war": idf["war"]}, {"war": idf["war"], "peace": idf["peace"]}
        expected = sum(x.get(t, 0) * y.get(t, 0) for t in idf) / math.sqrt(sum(v * v for v in x.values()) * sum(v * v for v in y.values()))
        self.assertAlmostEqual(db.execute("SELECT tfidf_cosine(?, ?, 'documents_tfidf')", (a, b)).fetchone()[0], expected, delta=1e-7)
        self.assertEqual(db.execute("SELECT tfidf_cosine('xx', 'xx', 'documents_tfidf'), tfidf_cosine(NULL, 'love', 'documents_tfidf'), "
                                    "tfidf_cosine('love', 'love', NULL)").fetchone(), (0.0, None, 1.0))
        self.assert_error(db, "SELECT tfidf_cosine('a', 'b', 'nothing')", "tfidf_cosine", '"nothing"')

    def test_a_constant_argument_with_one_model_and_another(self):
        db = self.closing(documents(["love war", "love peace", "war"]))
        train_text(db, model="idf")
        train_text(db, model="counts", weighting="count", stop_words=["war"])
        one = "SELECT tfidf_cosine('love love war', 'peace love', ?)"
        expected = [db.execute(one, (name,)).fetchone()[0] for name in ("idf", "counts")] * 3
        self.assertNotAlmostEqual(expected[0], expected[1], places=3)
        got = db.execute("SELECT tfidf_cosine('love love war', 'peace love', value) FROM json_each('[\"idf\", \"counts\", \"idf\", \"counts\", \"idf\", \"counts\"]')")
        self.assertEqual([row[0] for row in got], expected)

    def test_a_constant_argument_while_the_model_changes(self):
        db = self.closing(documents(["love war", "love peace", "war"]))
        one = "SELECT tfidf_cosine('love love war', text, 'documents_tfidf') FROM documents ORDER BY id"
        train_text(db, weighting="count", stop_words=["war"])
        after = [row[0] for row in db.execute(one)]
        train_text(db)
        before = [row[0] for row in db.execute(one)]
        db.create_function("train_again", 0, lambda: train_text(db, weighting="count", stop_words=["war"])["terms"])
        got = db.execute("SELECT tfidf_cosine('love love war', text, 'documents_tfidf'), CASE id WHEN 2 THEN train_again() END FROM documents ORDER BY id").fetchall()
        self.assertEqual([row[0] for row in got], [before[0], before[1], after[2]])
        self.assertNotAlmostEqual(before[2], after[2], places=3)


class Search(TestCase):
    def test_best_first_and_only_those_that_share_a_word(self):
        texts = ["love war", "love love", "peace", "war war war peace", "", "love war peace"]
        db = self.closing(documents(texts))
        train_text(db)
        got = db.execute("SELECT rank, item, similarity FROM tfidf_search('war of love', 10) ORDER BY rank").fetchall()
        every = [(id, value) for id, value in db.execute("SELECT id, tfidf_cosine(text, 'war of love', 'documents_tfidf') FROM documents") if value > 0]
        every.sort(key=lambda row: (-round(row[1], 6), row[0]))
        self.assertEqual([row[:2] for row in got], [(n + 1, id) for n, (id, _) in enumerate(every)])
        np.testing.assert_allclose([row[2] for row in got], [value for _, value in every], atol=1e-6)
        self.assertEqual({row[1] for row in got}, {1, 2, 4, 6})
        self.assertEqual(db.execute("SELECT item FROM tfidf_search('war of love', 2)").fetchall(), [(row[1],) for row in got[:2]])
        self.assertEqual(len(db.execute("SELECT item FROM tfidf_search('war of love')").fetchall()), 4)
        for text in (None, "", "nothing known", "!"):
            self.assertEqual(db.execute("SELECT * FROM tfidf_search(?, 5)", (text,)).fetchall(), [], text)
        self.assert_error(db, "SELECT * FROM tfidf_search('x', -1)", "tfidf_search", "k must be")
        self.assert_error(db, "SELECT * FROM tfidf_search()", "tfidf_search(text, k [, model])")

    def test_vector_is_json_heaviest_first(self):
        db = self.closing(documents(["love war", "love peace", 'say "x\\y"']))
        train_text(db)
        text = db.execute("SELECT tfidf_vector('peace love love zzz')").fetchone()[0]
        got = json.loads(text, object_pairs_hook=list)
        self.assertEqual([row[0] for row in got], ["love", "peace"])
        self.assertAlmostEqual(sum(row[1] ** 2 for row in got), 1)
        self.assertEqual(db.execute("SELECT key FROM json_each(tfidf_vector('war')) ").fetchall(), [("war",)])
        self.assertEqual(db.execute("SELECT json_array(tfidf_vector('war'))").fetchone()[0], '[{"war":1.0}]')
        self.assertEqual(db.execute("SELECT tfidf_vector(NULL), tfidf_vector('')").fetchone(), (None, "{}"))


class Tokenizers(TestCase):
    def terms(self, texts, **options):
        db = self.closing(documents(texts))
        train_text(db, **options)
        return [row[0] for row in db.execute("SELECT term FROM documents_tfidf_term ORDER BY term")]

    def test_characters_of_unicode(self):
        """Every character of Unicode 3.2, which FTS5's tables know, is part of a word or ends it as in Python; but for
        combining marks, private characters, and those whose small letter Python and FTS5 see differently."""
        known = unicodedata.ucd_3_2_0
        different = set("\u00b5\u017f\u03c2\u03d0\u03d1\u03d5\u03d6\u03f0\u03f1\u03f5\u1e9b\u1fbe\u0130\u03a3")  # folded to their common forms by FTS5
        chosen = []
        for code in range(1, 0x110000):
            character, category = chr(code), known.category(chr(code))
            if category in ("Cn", "Co", "Cs", "Mn", "Mc", "Me") or unicodedata.category(character) != category or character in different:
                continue
            if (0x3400 <= code < 0xA000 or 0xAC00 <= code < 0xD800 or code >= 0x20000) and code % 50:
                continue  # a sample of ideographs
            if 0x13A0 <= code <= 0x13F5:
                continue  # Cherokee got small letters later
            chosen.append(character)
        self.assertGreater(len(chosen), 10000)
        texts = [f"xx{character}yy {character}{character}" for character in chosen]
        db = self.closing(documents(texts))
        train_text(db, weighting="count", ngram_range=[1, 1])
        wrong = []
        for character, text, (vector,) in zip(chosen, texts, db.execute("SELECT tfidf_vector(text) FROM documents ORDER BY id")):
            if json.loads(vector) != Counter(words_of(text)):
                wrong.append((hex(ord(character)), vector, words_of(text)))
        self.assertEqual(wrong, [])

    def test_where_they_differ(self):
        """What FTS5's tokenizer does otherwise than Python."""
        self.assertEqual(self.terms(["ΟΔΟΣ"]), ["οδοσ"])  # Python: a final sigma
        self.assertEqual(self.terms(["İstanbul"]), ["İstanbul"])  # Python: i and a combining dot

    def test_symbols_that_fts5_does_not_know(self):
        """Its tables are of Unicode 6.1; emoji and currency signs of later ones end words all the same."""
        texts = [f"love{character}war {character} {character}{character}" for character in "🤣🤖🥰🧿🪐🛒🕹🏔₺₽₿⏸⭮"]
        self.assertEqual(self.terms(texts + ["five🄋"]), ["five🄋", "love", "war"])
        # Every character of the blocks of emoji, pictures and symbols, as far as Python knows them.
        characters = [chr(code) for first, last in ((0x2010, 0x2bff), (0x2e00, 0x2e7f), (0x1f000, 0x1fbff)) for code in range(first, last + 1)]
        db = self.closing(documents([f"xx{character}yy {character}{character}" for character in characters]))
        train_text(db, weighting="count", lowercase=False)
        for character, (text, vector) in zip(characters, db.execute("SELECT text, tfidf_vector(text) FROM documents ORDER BY id")):
            if unicodedata.category(character) not in ("Cn", "Mn"):
                self.assertEqual(json.loads(vector), Counter(WORD.findall(text)), hex(ord(character)))

    def test_words_with_marks_are_whole(self):
        for text in ("हिन्दी सिनेमा फ़िल्म है के लिए", "தமிழ் திரைப்படம் நன்றி", "తెలుగు సినిమా", "বাংলা চলচ্চিত্র র‍্যাব", "ภาพยนตร์ไทย ดี", "שָׁלוֹם עֲלֵיכֶם", "مُحَمَّدٌ السَّلامُ عَلَيْكُمْ",
                     "ශ්‍රී ලංකා", "മലയാളം സിനിമ അവന്‍റെ", "ಕನ್ನಡ ಚಿತ್ರ", "ગુજરાતી ફિલ્મ", "ਪੰਜਾਬੀ ਫ਼ਿਲਮ", "မြန်မာ ရုပ်ရှင်", "ភាសាខ្មែរ", "བོད་སྐད".replace("་", " "), "ދިވެހި ބަސް",
                     "cafe\u0301s nai\u0308ve Vie\u0323\u0302t".lower(), "か\u3099き き\u3099ん"):
            for options in ({}, {"lowercase": False}, {"threads": 2}):
                self.assertEqual(self.terms([text], **options), sorted(set(text.split()), key=lambda word: word.encode()), text)
            self.assertEqual(self.terms([f"{text}, ({text.replace(' ', '. ')})"]), self.terms([text]))

    def test_marks_begin_no_word(self):
        """Every mark of Unicode 3.2: within a word it stays there, elsewhere it is nothing; but for those that choose how an
        emoji looks, which end a word."""
        known = unicodedata.ucd_3_2_0
        marks = [chr(code) for code in range(0x110000) if known.category(chr(code)) in ("Mn", "Mc") and unicodedata.category(chr(code)) in ("Mn", "Mc") and code != 0x345]
        self.assertGreater(len(marks), 500)  # U+0345 is small iota to FTS5
        db = self.closing(documents([f"xx{mark}yy {mark}{mark} {mark}zz {mark}_{mark}, a{mark} vv{mark}{mark} !{mark}{mark}" for mark in marks]))
        train_text(db, weighting="count")
        wrong = []
        for mark, (vector,) in zip(marks, db.execute("SELECT tfidf_vector(text) FROM documents ORDER BY id")):
            if "\ufe00" <= mark <= "\ufe0f":
                expected = {"xx", "yy", "zz", "vv"}
            else:
                expected = {f"xx{mark}yy", "zz", f"vv{mark}{mark}"} | ({f"a{mark}", f"_{mark}"} if is_vowel_sign(mark) else set())
            if set(json.loads(vector)) != expected:
                wrong.append((hex(ord(mark)), vector))
        self.assertEqual(wrong, [])

    def test_emoji_make_no_words(self):
        emoji = "❤️ 👨\u200d👩\u200d👧 🏳️\u200d🌈 ☕\ufe0e \ufe0f\ufe0f \u200d\u200d \u200c 👍🏽 🇮🇳"
        for length in (1, 2):
            self.assertEqual(self.terms([emoji + " 7️⃣ abc"], min_token_length=length), ["7", "abc"][length - 1:])
        self.assertEqual(self.terms([f"one{e}two" for e in emoji.split()]), ["one", "two"])
        self.assertEqual(self.terms(["می\u200cخواهم ab\u200dcd ef\u200d \u200dgh"]), sorted(["می", "خواهم", "ab", "cd", "ef", "gh"]))  # as in Python

    def test_an_accent_is_no_character(self):
        """A word is as long in one piece as in two: single letters make no words."""
        for text in ("é à ü", "in été"):
            self.assertEqual(sorted(unicodedata.normalize("NFC", term) for term in self.terms([unicodedata.normalize("NFD", text), "xx"])), sorted(self.terms([text, "xx"])))
        self.assertEqual(self.terms(["e\u0301 וְ وَ", "e\u0301e\u0301"]), ["e\u0301e\u0301"])
        self.assertEqual(self.terms(["e\u0301"], min_token_length=1), ["e\u0301"])
        self.assertEqual(self.terms(["e\u0301"], tokenize="unicode61 remove_diacritics 0"), ["e\u0301"])  # as it was asked for

    def test_words_without_marks_are_pythons(self):
        """Random texts in many scripts against Python's pattern; a mark is part of a word in both if it is made a letter."""
        random = np.random.RandomState(3)
        letters = "abÉß_1 ٣,-ѣ東京かالسשलमதমথ한글\u0301\u093f\u094d\u05b0\u0651\u0e34\u0bbf😀\ufe0f\u200d\u200c"
        marks = [c for c in letters if unicodedata.category(c) in ("Mn", "Mc") and c != "\ufe0f"]
        texts = ["".join(random.choice(list(letters)) for _ in range(30)).replace("\u200c", " ").replace("\u200d", "") for _ in range(300)]
        db = self.closing(documents(texts))
        train_text(db, weighting="count", min_token_length=1, lowercase=False)
        pattern = re.compile(r"\w[\w" + "".join(marks) + "]*")
        for text, (vector,) in zip(texts, db.execute("SELECT tfidf_vector(text) FROM documents ORDER BY id")):
            # A word is never accents alone, so its length is 1 at least.
            self.assertEqual(json.loads(vector), Counter(pattern.findall(text)), text)

    def test_case(self):
        self.assertEqual(self.terms(["Love LOVE love ÉCOLE école"]), ["love", "école"])
        self.assertEqual(self.terms(["Love LOVE love ÉCOLE école"], lowercase=False), ["LOVE", "Love", "love", "ÉCOLE", "école"])

    def test_min_token_length(self):
        self.assertEqual(self.terms(["a bb é éé 東 東京 🎬"], min_token_length=1), ["a", "bb", "é", "éé", "東", "東京"])
        self.assertEqual(self.terms(["a bb é éé 東 東京 🎬 ccc"], min_token_length=3), ["ccc"])

    def test_stop_words_are_what_the_tokenizer_makes_of_them(self):
        text = "This isn't possible. We've won"
        for options, expected in (({"stop_words": ["This", "isn't", "we've"]}, ["possible", "won"]), ({"stop_words": ["THIS", "Isn't"]}, ["possible", "ve", "we", "won"]),
                                  ({"stop_words": ["this isn't, we've"]}, ["possible", "won"]), ({"stop_words": ["t", "", "!", "x"]}, ["isn", "possible", "this", "ve", "we", "won"]),
                                  ({"stop_words": ["This", "we've"], "lowercase": False}, ["We", "isn", "possible", "won"]), ({"stop_words": ["possible"], "tokenize": "porter"}, ["isn", "thi", "ve", "we", "won"]),
                                  ({"stop_words": ["won", "we"], "ngram_range": [2, 2]}, ["isn possible", "possible ve", "this isn"]),
                                  ({"stop_words": ["this", "isn't"], "tokenize": "unicode61 tokenchars \"'\""}, ["possible", "we've", "won"]),
                                  ({"stop_words": ["isn't"], "min_token_length": 1}, ["possible", "this", "ve", "we", "won"])):
            self.assertEqual(self.terms([text], **options), expected, options)
        self.assertEqual(self.terms(["फ़िल्म है अच्छी", "été ÉTÉ e\u0301te\u0301"], stop_words=["है", "ÉTÉ"]), ["e\u0301te\u0301", "अच्छी", "फ़िल्म"])
        self.assertEqual(self.terms(["Because running becomes anything"], stop_words="english", tokenize="porter"), ["run"])  # becaus, becom, anyth
        db = self.closing(documents(["Not possible. We've won", "so what"]))
        train_text(db, stop_words=["We've", "NOT"])
        self.assertEqual(set(json.loads(db.execute("SELECT tfidf_vector('We''ve not won so')").fetchone()[0])), {"won", "so"})
        self.assert_error(db, "SELECT tfidf_train('documents', ?)", "tfidf_train", '"trigram"', '"stop_words"', parameters=(json.dumps({"tokenize": "trigram", "stop_words": "english"}),))

    def test_by_name(self):
        self.assertEqual(self.terms(["running runs run"], tokenize="porter"), ["run"])
        self.assertEqual(self.terms(["Café CAFE"], tokenize="unicode61"), ["cafe"])
        self.assertEqual(self.terms(["Café CAFE"], tokenize="unicode61 remove_diacritics 2"), ["cafe"])
        self.assertEqual(self.terms(["Café CAFE"], tokenize="unicode61 remove_diacritics 0"), ["cafe", "café"])
        self.assertEqual(self.terms(["Ca-fé CAFE"], tokenize="unicode61 tokenchars '-' remove_diacritics 2"), ["ca-fe", "cafe"])
        self.assertEqual(self.terms(["Cafe CAFÉ"], tokenize="ascii"), ["cafe", "cafÉ"])
        self.assertEqual(self.terms(["abcd"], tokenize="trigram"), ["abc", "bcd"])
        self.assertEqual(self.terms(["Running Cafés"], tokenize="porter unicode61 remove_diacritics 2"), ["cafe", "run"])
        self.assertEqual(self.terms(["don't stop"], tokenize='unicode61 tokenchars "\'"'), ["don't", "stop"])
        self.assertEqual(self.terms(["abcd"], tokenize="trigram", ngram_range=[2, 2]), ["abc bcd"])

    def test_a_text_is_read_as_the_model_was(self):
        db = self.closing(documents(["running far", "walks", "the Runs"]))
        train_text(db, tokenize="porter", stop_words=["far"], ngram_range=[1, 2])
        self.assertEqual(set(json.loads(db.execute("SELECT tfidf_vector('He RUNS the runner walking far run')").fetchone()[0])),
                         {"run", "the", "walk"})
        self.assertEqual([row[0] for row in db.execute("SELECT item FROM tfidf_search('run', 5)")], [1, 3])

    def test_unknown(self):
        db = self.closing(documents(["a text"]))
        for tokenize, *fragments in (("klingon", '"klingon"', "unicode61", "porter"), ("unicode61 sideways", '"unicode61"', "does not take"),
                                     ("", '"tokenize"', "unicode61"), ("unicode61 'x", '"tokenize"'), ("porter klingon", "porter klingon")):
            self.assert_error(db, "SELECT tfidf_train('documents', ?)", "tfidf_train", *fragments, parameters=(json.dumps({"tokenize": tokenize}),))
        self.assert_error(db, "SELECT tfidf_train('documents', '{\"tokenize\": \"porter\", \"lowercase\": false}')", "porter", '"lowercase"')


class Hostile(TestCase):
    ENCODINGS = ("UTF-8", "UTF-16")

    def test_invalid_utf8(self):
        db = self.closing(connect())
        db.execute("CREATE TABLE documents(id INTEGER PRIMARY KEY, text)")
        wrong = [b"good caf\xc3 day", b"good \xff\xfe\xfd day", b"\x80\x80\x80", b"good\xed\xa0\x80day", b"good \xf4\x90\x80\x80 day", b"good \xc0\xaf day",
                 b"good \xe0\x80\xaf day", b"day \xf0\x9f\x8e", b"\xe2\x82", b"xx\xf8\x88\x80\x80\x80yy", b"good" + bytes(range(128, 256)) + b"day"]
        db.executemany("INSERT INTO documents(text) VALUES(CAST(? AS TEXT))", [(text,) for text in wrong])
        train_text(db, ngram_range=[1, 2])
        db.text_factory = bytes
        for (term,) in db.execute("SELECT term FROM documents_tfidf_term").fetchall():
            term.decode("utf-8")  # raises where it is invalid
        self.assertEqual(db.execute("SELECT count(*) FROM documents_tfidf_term WHERE term IN ('good', 'day')").fetchone(), (2,))
        for text in wrong:
            json.loads(db.execute("SELECT tfidf_vector(CAST(? AS TEXT))", (text,)).fetchone()[0].decode("utf-8"))
            same = db.execute("SELECT tfidf_cosine(CAST(?1 AS TEXT), CAST(?1 AS TEXT)), tfidf_cosine(CAST(?1 AS TEXT), 'good day', 'documents_tfidf')",
                              (text,)).fetchone()
            self.assertIn(round(same[0], 9), (0.0, 1.0))
            self.assertTrue(0 <= same[1] <= 1 + 1e-9)
        db.execute("SELECT * FROM tfidf_search(CAST(? AS TEXT), 5)", (wrong[-1],)).fetchall()
        db.execute("INSERT INTO documents_tfidf(documents_tfidf) VALUES('integrity-check')")

    def test_nul_inside(self):
        for encoding in self.ENCODINGS:
            db = self.closing(documents(["before\0after", "\0", "after \0 before"], encoding=encoding))
            train_text(db)
            terms = {row[0] for row in db.execute("SELECT term FROM documents_tfidf_term")}
            self.assertAlmostEqual(db.execute("SELECT tfidf_cosine(?, ?)", ("before\0after", "before after")).fetchone()[0], 1, delta=1e-9)
            self.assertEqual(terms, {"before", "after"}, encoding)
        # A string of JSON is not cut at a NUL, written in one way or the other.
        for text, words in (('["in\\u0000side", "json"]', "in side json"), ('{"a": "in\0side"}', "in side"), ('["c:\\\\u0000x"]', "u0000x"),
                            ('["\\\\\\u0000last"]', "last"), ('["\\u0000"]', "")):
            got = db.execute("SELECT tfidf_cosine(?1, ?2), tfidf_cosine(?1, '')", (text, words)).fetchone()
            self.assertAlmostEqual(got[0], 1 if words else 0, delta=1e-9, msg=text)

    def test_lone_surrogates(self):
        for encoding in self.ENCODINGS:
            db = self.closing(documents(["plain"], encoding=encoding))
            # 'good', half a pair, 'day', in the bytes of the database's own encoding. Of UTF-16 SQLite takes the next
            # character, a blank, for the other half.
            text = b"good \xed\xa0\x80 day" if encoding == "UTF-8" else "good \ud800  day".encode("utf-16-le", "surrogatepass")
            db.execute(f"INSERT INTO documents(text) VALUES(CAST(x'{text.hex()}' AS TEXT))")
            train_text(db)
            db.execute("INSERT INTO documents_tfidf(documents_tfidf) VALUES('integrity-check')")
            self.assertEqual(db.execute("SELECT count(*) FROM tfidf_search('day', 5)").fetchone(), (1,))

    def test_the_same_in_every_encoding(self):
        texts = ["Café 東京 🎬 love", "x² ½½ Привет love", "", "love\u00a0war 𝒜𝒷"]
        stored = []
        for encoding in self.ENCODINGS:
            db = self.closing(documents(texts, encoding=encoding))
            train_text(db, ngram_range=[1, 2])
            stored.append(shadow_bytes(db, "documents_tfidf"))
            for table in stored[0]:
                if table != "config":
                    self.assertEqual(stored[-1][table], stored[0][table], (encoding, table))

    def test_long_texts(self):
        for encoding in self.ENCODINGS:
            db = self.closing(documents(["x" * 20_000_000, "war love " * 2_000_000, "é" * 5_000_000, " " * 1_000_000, "love"], encoding=encoding))
            summary = train_text(db, weighting="count")
            self.assertEqual(summary["empty"], 1)
            lengths = sorted(len(row[0].encode()) for row in db.execute("SELECT term FROM documents_tfidf_term"))
            self.assertEqual(len(lengths), 4)
            self.assertLessEqual(lengths[-1], 32768)
            self.assertEqual(json.loads(db.execute("SELECT tfidf_vector(text) FROM documents WHERE id = 2").fetchone()[0]), {"love": 2e6, "war": 2e6})
            self.assertAlmostEqual(db.execute("SELECT tfidf_cosine(a.text, b.text) FROM documents a, documents b WHERE a.id = 2 AND b.id = 5").fetchone()[0],
                                   .5 ** .5, delta=1e-9)
            self.assertEqual(db.execute("SELECT item FROM tfidf_search((SELECT text FROM documents WHERE id = 1), 5)").fetchall(), [(1,)])

    def test_long_texts_can_be_interrupted(self):
        """The wish is asked for amid a long text, whichever threads are free."""
        db = self.closing(documents((["war love " * 4500] * 4 + ["love " * 4_000_000]) * 4 + ["peace"]))
        train_text(db)
        asked = []
        db.set_progress_handler(lambda: asked.append(0) or len(asked) > 100, 1)
        for threads in (1, 2, 5):
            asked.clear()
            self.assert_error(db, "SELECT tfidf_train('documents', ?)", "interrupted", parameters=(json.dumps({"threads": threads}),))
        db.set_progress_handler(None, 1)
        self.assertEqual(db.execute("SELECT count(*) FROM tfidf_search('peace', 5)").fetchone(), (1,))

    def test_long_queries_can_be_interrupted(self):
        db = self.closing(documents(["war", "love"]))
        train_text(db)
        asked = []
        for sql in ("SELECT count(*) FROM tfidf_search(?1, 5)", "SELECT tfidf_vector(?1)", "SELECT tfidf_cosine(?1, 'war')",
                    "SELECT tfidf_cosine(?1, 'war', 'documents_tfidf')"):
            asked.clear()
            db.set_progress_handler(lambda: asked.append(0) or len(asked) > 20, 1)
            self.assert_error(db, sql, "interrupted", parameters=("war love " * 4_000_000,))
            db.set_progress_handler(None, 1)
        self.assertEqual(db.execute("SELECT count(*) FROM tfidf_search('war', 5)").fetchone(), (1,))

    def test_long_runs_of_long_words(self):
        db = self.closing(documents([" ".join(letter * 30000 for letter in "abcdefgh")] * 2))
        summary = train_text(db, ngram_range=[1, 8])
        self.assertEqual(summary["terms"], 36)
        self.assertEqual(db.execute("SELECT max(length(term)) FROM documents_tfidf_term").fetchone(), (8 * 30000 + 7,))

    def test_a_million_distinct_terms(self):
        db = self.closing(connect())
        db.execute("CREATE TABLE documents(id INTEGER PRIMARY KEY, text)")
        db.execute("BEGIN")
        db.executemany("INSERT INTO documents(text) VALUES(?)", ((" ".join(f"w{n}" for n in range(first, first + 1000)),) for first in range(0, 1_000_000, 1000)))
        db.execute("COMMIT")
        self.assertEqual(train_text(db, weighting="count")["terms"], 1_000_000)
        self.assertEqual(db.execute("SELECT item FROM tfidf_search('w777123 w42', 5) ORDER BY item").fetchall(), [(1,), (778,)])
        self.assertEqual(db.execute("SELECT count(DISTINCT term), min(df), max(df) FROM documents_tfidf_term").fetchone(), (1_000_000, 1, 1))

    def test_nothing_to_read(self):
        for texts in ([""], ["", "  ", "!"], [None], [(7, None), (8, "")], ["a b c"]):
            db = self.closing(documents(texts))
            self.assert_error(db, "SELECT tfidf_train('documents')", "no words", '"text"', '"tokenize"')
            self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (0,))
        db = self.closing(documents([]))
        self.assert_error(db, "SELECT tfidf_train('documents')", "documents", "no items")
        db = self.closing(documents(["love", "", "war", None]))
        self.assertEqual(train_text(db)["empty"], 2)
        self.assertEqual(db.execute("SELECT item, similarity FROM item_similar(2, 5) ORDER BY rank").fetchall(), [(1, 0.0), (3, 0.0), (4, 0.0)])

    def test_deep_json(self):
        deep = "[" * 5000 + '"love"' + "]" * 5000
        db = self.closing(documents([deep, '{"a":' * 900 + '"war"' + "}" * 900, '["peace"']))
        train_text(db)
        self.assertEqual({row[0] for row in db.execute("SELECT term FROM documents_tfidf_term")}, {"love", "war", "peace"})


if __name__ == "__main__":
    unittest.main()
