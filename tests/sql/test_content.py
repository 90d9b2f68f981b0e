"""What tfidf_train reads and refuses: columns, JSON, ids, sources of all kinds, vectors from elsewhere, options."""
import json
import os
import unittest

import numpy as np

from support import TestCase, connect, documents, shadow_bytes, train_text


def terms(db, model="documents_tfidf"):
    return [row[0] for row in db.execute(f'SELECT term FROM "{model}_term" ORDER BY term')]


def ids(db, model="documents_tfidf"):
    return [row[0] for row in db.execute(f'SELECT id FROM "{model}_item" ORDER BY idx')]


def vector_of(db, item, model="documents_tfidf"):
    """The terms of an item: those words alone that the item is nearest to."""
    return {term for term in terms(db, model)
            if item in {row[0] for row in db.execute("SELECT item FROM tfidf_search(?, NULL, ?)", (term, model))}}


class Columns(TestCase):
    def table(self, rows, declaration="id INTEGER PRIMARY KEY, title, plot, year"):
        db = self.closing(connect())
        db.execute(f"CREATE TABLE documents({declaration})")
        marks = ",".join("?" * len(declaration.split(",")))
        db.executemany(f"INSERT INTO documents VALUES({marks})", rows)
        return db

    def test_all_but_the_first(self):
        db = self.table([(1, "red fox", "runs", 1999), (2, "blue fox", None, 2001)])
        train_text(db)
        self.assertEqual(terms(db), ["1999", "2001", "blue", "fox", "red", "runs"])
        self.assertEqual((vector_of(db, 1), vector_of(db, 2)), ({"1999", "red", "fox", "runs"}, {"2001", "blue", "fox"}))

    def test_chosen(self):
        db = self.table([(1, "red fox", "runs", 1999), (2, "blue fox", None, 2001)])
        train_text(db, text=["plot", "title"])
        self.assertEqual(terms(db), ["blue", "fox", "red", "runs"])
        train_text(db, text="title")
        self.assertEqual(terms(db), ["blue", "fox", "red"])
        train_text(db, text=["TITLE"])
        self.assertEqual(terms(db), ["blue", "fox", "red"])
        train_text(db, id="year", text=["title"])
        self.assertEqual(ids(db), [1999, 2001])
        train_text(db, id="year")
        self.assertEqual(terms(db), ["blue", "fox", "red", "runs"], "all but the id: the column id, too, of single digits")
        self.assert_error(db, "SELECT tfidf_train('documents', '{\"text\": [\"title\", \"synopsis\"]}')", '"text"', '"synopsis"', '"plot"')
        self.assert_error(db, "SELECT tfidf_train('documents', '{\"id\": \"key\"}')", '"id"', '"key"', '"title"')
        self.assert_error(db, "SELECT tfidf_train('SELECT id FROM documents', '{\"model\": \"m\"}')", "one column", '"id"', "a text")

    def test_runs_do_not_cross_columns(self):
        db = self.table([(1, "red fox", "runs home", None)])
        train_text(db, ngram_range=[2, 2])
        self.assertEqual(terms(db), ["red fox", "runs home"])

    def test_numbers(self):
        db = self.table([(1, 1234, 56.75, -89), (2, 1e300, None, 10 ** 15)])
        train_text(db, min_token_length=1)
        self.assertEqual(terms(db), sorted(["1234", "56", "75", "89", "1", "0e", "300", "1000000000000000"]))

    def test_json(self):
        value = {"genres": [{"id": 18, "name": "Drama film"}, {"id": 35, "name": "Comedy"}], "key words": ["war story", None, True, 12.5],
                 "nested": {"a": {"b": ["deep"]}}, "empty": ""}
        db = self.table([(1, json.dumps(value), "plain [text]", None), (2, '["not", "closed"', " \n [\"spaces\", \"around\"] ", None),
                         (3, '"just a string"', "{}", "[]"), (4, '["café \\u6771\\u4eac \\ud83c\\udfac"] trailing', '["d\\u00e9j\\u00e0 \\"vu\\""]', None)])
        train_text(db, ngram_range=[1, 2])
        expected = {"drama", "film", "drama film", "comedy", "war", "story", "war story", "deep", "plain", "text", "plain text"}
        self.assertEqual(vector_of(db, 1), expected)
        self.assertEqual(vector_of(db, 2), {"not", "closed", "not closed", "spaces", "around"})
        self.assertEqual(vector_of(db, 3), {"just", "string", "just string"})
        self.assertIn("déjà vu", vector_of(db, 4))
        self.assertIn("trailing", vector_of(db, 4))
        flattened = db.execute("SELECT count(*) FROM documents_tfidf_term WHERE term IN ('id', 'name', 'genres', 'nested', '18', '35', 'true', 'null', '12')").fetchone()
        self.assertEqual(flattened, (0,))

    def test_blob(self):
        db = self.table([("a", "red", b"\x01\x02", None)], "id, title, plot, year")
        self.assert_error(db, "SELECT tfidf_train('documents')", "row 1 (id 'a')", "BLOB", '"text"', '"embedding"')
        train_text(db, text=["title"])

    def test_rows_of_one_id(self):
        rows = [(1, "red fox"), (2, "blue"), (1, "red hen"), (2, None)]
        db = self.table(rows, "id INTEGER, text")
        summary = train_text(db)
        self.assertEqual((summary["items"], summary["rows"], summary["same_id"], summary["empty"]), (2, 4, 2, 1))
        self.assertEqual(vector_of(db, 1), {"red", "hen"})
        self.assertEqual(terms(db), ["hen", "red"])
        self.assertEqual(train_text(db, same_id="last")["terms"], 2)
        summary = train_text(db, same_id="join", weighting="count", ngram_range=[1, 2])
        self.assertEqual((summary["items"], summary["same_id"], summary["empty"]), (2, 2, 0))
        self.assertEqual(vector_of(db, 1), {"red", "fox", "hen", "red fox", "red hen"})
        self.assertEqual(db.execute("SELECT df FROM documents_tfidf_term WHERE term = 'red'").fetchone(), (1,))
        # red counts twice: the cosine with 'red' is 2 / √(2² + 1 + 1 + 1 + 1)
        got = db.execute("SELECT similarity FROM tfidf_search('red', 1)").fetchone()[0]
        self.assertAlmostEqual(got, 2 / 8 ** .5, delta=1e-6)
        self.assert_error(db, "SELECT tfidf_train('documents', '{\"same_id\": \"error\"}')", "row 3", "id 1", "earlier row")
        db.execute("DELETE FROM documents WHERE rowid > 2")
        train_text(db, same_id="error")

    def test_rows_without_id(self):
        db = self.table([(None, "red"), ("", "green"), ("x", "blue"), (0, "grey")], "id, text")
        summary = train_text(db)
        self.assertEqual((summary["rows"], summary["rows_left_out"], summary["items"]), (4, 2, 2))
        self.assertEqual(terms(db), ["blue", "grey"])
        db.execute("UPDATE documents SET id = NULL")
        self.assert_error(db, "SELECT tfidf_train('documents')", "no items", "4 rows", "4 lack an id")

    def test_ids_of_all_kinds(self):
        given = [-5, 7, 2 ** 62, 2.5, "7", "a b", "é東🎬", b"\x00\xff"]
        db = self.table([(id, "word love") for id in reversed(given)], "id, text")
        train_text(db)
        self.assertEqual(ids(db), [-5, 2.5, 7, 2 ** 62, "7", "a b", "é東🎬", b"\x00\xff"])
        for id in given:
            got = [row[0] for row in db.execute("SELECT item FROM item_similar(?, 20)", (id,))]
            self.assertEqual(len(got), 7)
            self.assertNotIn((type(id), id), [(type(other), other) for other in got])
        self.assertEqual(db.execute("SELECT * FROM item_similar('nobody', 5)").fetchall(), [])
        self.assertEqual(db.execute("SELECT * FROM item_similar(NULL, 5)").fetchall(), [])

    def test_ids_have_the_affinity_of_their_column(self):
        db = self.table([(1, "red"), (2, "red blue")], "id INTEGER PRIMARY KEY, text")
        train_text(db)
        self.assertEqual(db.execute("SELECT item, typeof(item) FROM item_similar('1', 5)").fetchall(), [(2, "integer")])
        db = self.table([("1", "red"), ("2", "red blue")], "id TEXT, text")
        train_text(db)
        self.assertEqual(db.execute("SELECT item, typeof(item) FROM item_similar(1, 5)").fetchall(), [("2", "text")])


class Sources(TestCase):
    TEXTS = ["red fox", "blue fox", "green hen"]

    def test_view_and_select(self):
        db = self.closing(documents(self.TEXTS))
        db.execute("CREATE VIEW foxes AS SELECT id, text FROM documents WHERE text LIKE '%fox'")
        self.assertEqual(train_text(db, "foxes")["model"], "main.foxes_tfidf")
        self.assertEqual(terms(db, "foxes_tfidf"), ["blue", "fox", "red"])
        self.assert_error(db, "SELECT tfidf_train('SELECT id, text FROM documents')", '"model"')
        summary = train_text(db, " select id, upper(text) || ' x99' from documents where id > 1 ; ", model="taste")
        self.assertEqual((summary["model"], summary["items"]), ("main.taste", 2))
        self.assertEqual(terms(db, "taste"), ["blue", "fox", "green", "hen", "x99"])
        self.assert_error(db, "INSERT INTO taste(taste) VALUES('retrain')", "SELECT", "view")
        self.assertEqual(terms(db, "taste"), ["blue", "fox", "green", "hen", "x99"])

    def test_retrain(self):
        db = self.closing(documents(self.TEXTS))
        train_text(db, stop_words=["fox"], ngram_range=[1, 2], weighting="binary")
        before = shadow_bytes(db, "documents_tfidf")
        db.execute("INSERT INTO documents_tfidf(documents_tfidf) VALUES('retrain')")
        self.assertEqual(shadow_bytes(db, "documents_tfidf"), before)
        db.execute("INSERT INTO documents(text) VALUES('grey fox cat')")
        db.execute("INSERT INTO documents_tfidf(documents_tfidf) VALUES('retrain')")
        self.assertEqual(terms(db), ["blue", "cat", "green", "green hen", "grey", "grey cat", "hen", "red"])
        self.assertEqual(db.execute("SELECT item FROM tfidf_search('cat', 5)").fetchall(), [(4,)])
        db.execute("DELETE FROM documents")
        self.assert_error(db, "INSERT INTO documents_tfidf(documents_tfidf) VALUES('retrain')", "no items")
        self.assertEqual(db.execute("SELECT item FROM tfidf_search('cat', 5)").fetchall(), [(4,)], "the old model stays")

    def test_retrain_with_ratings_of_a_select(self):
        db = self.closing(documents(self.TEXTS))
        db.execute("CREATE TABLE ratings(user, item, rating)")
        db.execute("INSERT INTO ratings VALUES(1, 1, 5), (1, 3, 2)")
        train_text(db, ratings="SELECT user, item FROM ratings")
        self.assertEqual(db.execute("SELECT count(*) FROM recommend(1, 5)").fetchone(), (1,))
        self.assert_error(db, "INSERT INTO documents_tfidf(documents_tfidf) VALUES('retrain')", '"ratings"', "SELECT", "view")
        db.execute("CREATE VIEW liked AS SELECT user, item FROM ratings")
        train_text(db, ratings="liked")
        db.execute("INSERT INTO ratings VALUES(2, 2, 5)")
        db.execute("INSERT INTO documents_tfidf(documents_tfidf) VALUES('retrain')")
        self.assertEqual(db.execute("SELECT DISTINCT user FROM recommend_all(5) ORDER BY 1").fetchall(), [(1,), (2,)])

    def test_create_virtual_table(self):
        db = self.closing(documents(self.TEXTS))
        db.execute("""CREATE VIRTUAL TABLE taste USING recommender(train=tfidf, source=documents, options='{"ngram_range": [2, 2]}')""")
        self.assertEqual(terms(db, "taste"), ["blue fox", "green hen", "red fox"])
        db.execute("CREATE VIRTUAL TABLE other USING recommender(train=tfidf, source=(SELECT id, text FROM documents WHERE id < 3))")
        self.assertEqual(terms(db, "other"), ["blue", "fox", "red"])
        one = shadow_bytes(db, "taste")
        train_text(db, model="scalar", ngram_range=[2, 2])
        other = shadow_bytes(db, "scalar")
        for table in one:
            if table != "config":
                self.assertEqual(one[table], other[table], table)
        self.assert_error(db, "CREATE VIRTUAL TABLE third USING recommender(train=tfidf, source=documents, size=8)", "size", "none")
        self.assert_error(db, "CREATE VIRTUAL TABLE third USING recommender(train=tfid, source=documents)", "tfidf")
        self.assertEqual(db.execute("SELECT name FROM recommend_models ORDER BY name").fetchall(), [("other",), ("scalar",), ("taste",)])

    def test_rows_of_training(self):
        db = self.closing(documents(self.TEXTS))
        cursor = db.execute("SELECT * FROM tfidf_train('documents', '{\"min_df\": 2}')")
        self.assertEqual([column[0] for column in cursor.description], ["epoch", "head", "loss", "train", "test", "seconds"])
        self.assertEqual([row[:5] for row in cursor.fetchall()], [(1, "ranking", None, None, None)])
        self.assertEqual(terms(db), ["fox"])
        self.assertEqual(db.execute("SELECT count(*) FROM tfidf_train('documents')").fetchone(), (1,))
        self.assertEqual(len(terms(db)), 5)
        self.assert_error(db, "SELECT * FROM tfidf_train('nothing')", "tfidf_train", '"nothing"')

    def test_temporary_and_attached(self):
        db = self.closing(documents(self.TEXTS))
        db.execute("CREATE TEMP TABLE notes(id, text)")
        db.execute("INSERT INTO notes VALUES('n1', 'yellow bird'), ('n2', 'yellow dog')")
        self.assertEqual(train_text(db, "notes")["model"], "temp.notes_tfidf")
        self.assertEqual(db.execute("SELECT item FROM item_similar('n1', 5, 'temp.notes_tfidf')").fetchall(), [("n2",)])
        path = os.path.join(self.folder(), "other.db")
        db.execute("ATTACH ? AS aux", (path,))
        db.execute("CREATE TABLE aux.documents(id, text)")
        db.execute("INSERT INTO aux.documents VALUES(1, 'purple cow'), (2, 'purple pig')")
        self.assertEqual(train_text(db, "aux.documents")["model"], "aux.documents_tfidf")
        self.assertEqual(train_text(db, "aux.documents", model="main.copied")["model"], "main.copied")
        self.assertEqual(db.execute("SELECT item FROM tfidf_search('cow', 5, 'aux.documents_tfidf')").fetchall(), [(1,)])
        self.assertEqual(db.execute("SELECT item FROM tfidf_search('cow', 5, 'copied')").fetchall(), [(1,)])
        self.assert_error(db, "SELECT * FROM tfidf_search('cow', 5)", "3 models", "temp.notes_tfidf", "aux.documents_tfidf")
        other = self.closing(connect(path))
        self.assertEqual(other.execute("SELECT item FROM tfidf_search('pig', 5)").fetchall(), [(2,)])

    def test_another_connection(self):
        path = os.path.join(self.folder(), "documents.db")
        one = self.closing(documents(self.TEXTS, path))
        one.execute("PRAGMA journal_mode = wal")
        other = self.closing(connect(path))
        train_text(one)
        search = "SELECT item FROM tfidf_search('hen fox', 5, 'documents_tfidf') ORDER BY item"
        self.assertEqual(other.execute(search).fetchall(), [(1,), (2,), (3,)])
        vector = "SELECT tfidf_vector('green bird', 'documents_tfidf')"
        self.assertEqual(other.execute(vector).fetchone(), ('{"green":1.0}',))
        other.execute("BEGIN")
        self.assertEqual(other.execute(search).fetchall(), [(1,), (2,), (3,)])
        one.execute("UPDATE documents SET text = 'bird' WHERE id = 3")
        train_text(one, weighting="count", lowercase=False)
        self.assertEqual(other.execute(search).fetchall(), [(1,), (2,), (3,)], "its snapshot")
        self.assertEqual(other.execute(vector).fetchone(), ('{"green":1.0}',))
        other.execute("COMMIT")
        self.assertEqual(other.execute(search).fetchall(), [(1,), (2,)])
        self.assertEqual(other.execute(vector).fetchone(), ('{"bird":1.0}',))
        one.execute("BEGIN")
        train_text(one, min_df=2)
        self.assertEqual(one.execute(vector).fetchone(), ("{}",))
        self.assertEqual(other.execute(vector).fetchone(), ('{"bird":1.0}',))
        one.execute("ROLLBACK")
        self.assertEqual(one.execute(vector).fetchone(), ('{"bird":1.0}',))

    def test_only_from_top_level(self):
        db = self.closing(documents(self.TEXTS))
        train_text(db)
        for n, sql in enumerate(("SELECT tfidf_train('documents')", "SELECT * FROM tfidf_train('documents')", "SELECT * FROM recommend_for('[1]', 2)")):
            db.execute(f"CREATE VIEW hostile{n} AS {sql}")
            self.assert_error(db, f"SELECT * FROM hostile{n}", "unsafe use")
        db.execute("CREATE VIEW found AS SELECT item FROM tfidf_search('fox', 5)")
        self.assertEqual(db.execute("SELECT item FROM found ORDER BY item").fetchall(), [(1,), (2,)])
        db.execute("PRAGMA trusted_schema = off")
        db.execute("CREATE TABLE pairs(a, b, likeness AS (tfidf_cosine(a, b)))")
        db.execute("INSERT INTO pairs VALUES('red fox', 'fox red')")
        self.assertAlmostEqual(db.execute("SELECT likeness FROM pairs").fetchone()[0], 1)

    def test_read_only(self):
        path = os.path.join(self.folder(), "documents.db")
        db = documents(self.TEXTS, path)
        train_text(db)
        db.close()
        db = self.closing(connect(f"file:{path}?mode=ro", uri=True))
        self.assertEqual(db.execute("SELECT item FROM tfidf_search('hen', 5)").fetchall(), [(3,)])
        self.assertEqual(db.execute("SELECT tfidf_vector('hen')").fetchone(), ('{"hen":1.0}',))
        self.assert_error(db, "SELECT tfidf_train('documents')", "tfidf_train", "read-only", '{"model": "temp.taste"}')

    def test_without_fts5(self):
        db = self.closing(documents(self.TEXTS))
        train_text(db)
        db.create_function("fts5", 1, lambda pointer: None)  # hides the one that hands out the tokenizers
        for sql in ("SELECT tfidf_train('documents')", "SELECT tfidf_cosine('a', 'b')", "SELECT * FROM tfidf_search('fox', 5)", "SELECT tfidf_vector('fox')"):
            self.assert_error(db, sql, "built without", "use an SQLite that has FTS5")
        self.assertEqual(len(db.execute("SELECT * FROM item_similar(1, 5)").fetchall()), 2, "needs no words")

    def test_renamed_and_dropped(self):
        db = self.closing(documents(self.TEXTS))
        train_text(db)
        db.execute("ALTER TABLE documents_tfidf RENAME TO words")
        self.assertEqual(db.execute("SELECT item FROM tfidf_search('hen', 5, 'words')").fetchall(), [(3,)])
        db.execute("INSERT INTO words(words) VALUES('integrity-check')")
        db.execute("DROP TABLE words")
        self.assertEqual(db.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'words%' OR name LIKE '%tfidf%'").fetchall(), [])


class Embeddings(TestCase):
    def table(self, vectors, as_json=False):
        db = self.closing(connect())
        db.execute("CREATE TABLE documents(id INTEGER PRIMARY KEY, title, v)")
        db.executemany("INSERT INTO documents VALUES(?, ?, ?)",
                       [(i, f"t{i}", None if v is None else json.dumps([float(x) for x in v]) if as_json else np.asarray(v, "<f4").tobytes())
                        for i, v in enumerate(vectors, 1)])
        return db

    def test_against_numpy(self):
        random = np.random.RandomState(4)
        for dimensions, as_json in ((1, False), (3, True), (17, False), (1536, False), (1536, True), (4096, False)):
            vectors = random.randn(40, dimensions).astype("f4")
            vectors[7] = 0
            db = self.table(vectors, as_json)
            summary = train_text(db, embedding="v")
            self.assertEqual((summary["algorithm"], summary["items"], summary["empty"]), ("embedding", 40, 0))
            unit = vectors.astype(float)
            unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-30)
            for i in (0, 7, 39):
                got = db.execute("SELECT item, similarity FROM item_similar(?, NULL)", (i + 1,)).fetchall()
                self.assertEqual(len(got), 39)
                np.testing.assert_allclose([row[1] for row in got], (unit @ unit[i])[[row[0] - 1 for row in got]], atol=2e-6)
                self.assertEqual([row[1] for row in got], sorted((row[1] for row in got), reverse=True))
            query = random.randn(dimensions).astype("f4")
            expected = unit @ (query / np.linalg.norm(query.astype(float)))
            best = int(np.argmax(expected))
            for value in (query.tobytes(), json.dumps([float(x) for x in query])):
                got = db.execute("SELECT item, similarity FROM tfidf_search(?, 40)", (value,)).fetchall()
                np.testing.assert_allclose([row[1] for row in got], expected[[row[0] - 1 for row in got]], atol=2e-6)
                if dimensions > 1:
                    self.assertEqual(got[0][0], best + 1)
            a, b = db.execute("SELECT tfidf_cosine(?, v, 'documents_tfidf') FROM documents WHERE id IN (1, 2) ORDER BY id", (query.tobytes(),)).fetchall()
            np.testing.assert_allclose([a[0], b[0]], expected[:2], atol=2e-6)

    def test_stored_vectors_have_length_one(self):
        db = self.table([[3, 4], [0, 2], None])
        train_text(db, embedding="v")
        got = [np.frombuffer(row[0], "<f4").tolist() for row in db.execute("SELECT vector FROM recommend_factors('documents_tfidf', 'item')")]
        np.testing.assert_allclose(got, [[.6, .8], [0, 1], [0, 0]], atol=1e-7)

    def test_missing_vectors(self):
        db = self.table([[1, 0], None, [1, 1]])
        db.execute("INSERT INTO documents VALUES(4, 't4', ''), (5, 't5', x'')")
        summary = train_text(db, embedding="v")
        self.assertEqual((summary["items"], summary["empty"]), (5, 3))
        self.assertEqual([round(row[0], 6) for row in db.execute("SELECT similarity FROM item_similar(1, 9)")], [.707107, 0, 0, 0])
        self.assertEqual({row[0] for row in db.execute("SELECT similarity FROM item_similar(2, 9)")}, {0})
        self.assertEqual(db.execute("SELECT * FROM tfidf_search(NULL, 9)").fetchall(), [])
        db.execute("UPDATE documents SET v = NULL")
        self.assert_error(db, "SELECT tfidf_train('documents', '{\"embedding\": \"v\"}')", '"v"', "no vectors")

    def test_wrong_vectors(self):
        for value, *fragments in ((np.ones(3, "<f4").tobytes(), "3 numbers", "2"), (b"\0" * 7, "not a vector", "float32"), ("[1]", "1 numbers", "2"),
                                  ("[1, 2, 3]", "3 numbers"), ("[1, null]", "not a vector"), ("[1, \"x\"]", "not a vector"), ("[]", "not a vector"), ("words", "not a vector"),
                                  (np.array([1, np.nan], "<f4").tobytes(), "finite"), (np.array([np.inf, 1], "<f4").tobytes(), "finite"), ("[1e99, 1]", "finite"),
                                  (5, "not a vector"), (2.5, "not a vector"), ("[[1, 2]]", "not a vector"), ("[1, 2] x", "not a vector")):
            db = self.table([[1, 0], [0, 1]])
            db.execute("INSERT INTO documents VALUES(77, 't', ?)", (value,))
            self.assert_error(db, "SELECT tfidf_train('documents', '{\"embedding\": \"v\"}')", "tfidf_train", "row 3 (id 77)", *fragments)
            self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (0,))
        db = self.table([np.ones(4097, "f4")])
        self.assert_error(db, "SELECT tfidf_train('documents', '{\"embedding\": \"v\"}')", "row 1 (id 1)", "4096")

    def test_joined_vectors_add_up(self):
        db = self.closing(connect())
        db.execute("CREATE TABLE documents(id, v)")
        db.execute("INSERT INTO documents VALUES('a', '[1, 0]'), ('b', '[0, 1]'), ('a', '[0, 1]'), ('c', '[1, 0]'), ('b', NULL)")
        train_text(db, embedding="v", same_id="join")
        cosine = "SELECT similarity FROM item_similar('a', 5) WHERE item = ?"
        self.assertAlmostEqual(db.execute(cosine, ("b",)).fetchone()[0], .5 ** .5, delta=1e-6)
        self.assertAlmostEqual(db.execute(cosine, ("c",)).fetchone()[0], .5 ** .5, delta=1e-6)
        self.assertEqual(train_text(db, embedding="v")["empty"], 1)
        self.assertAlmostEqual(db.execute(cosine, ("c",)).fetchone()[0], 0, delta=1e-6)

    def test_words_and_vectors_are_not_mixed_up(self):
        db = self.table([[1, 0], [0, 1]])
        train_text(db, embedding="v")
        for value in ("words", "[1]", b"\0" * 12, "[1, 2, 3]", 5):
            self.assert_error(db, "SELECT * FROM tfidf_search(?, 5)", "tfidf_search", "vectors of 2 numbers", parameters=(value,))
        self.assert_error(db, "SELECT tfidf_vector('words')", "tfidf_vector", "no words")
        self.assert_error(db, "SELECT tfidf_cosine('words', '[1, 2]', 'documents_tfidf')", "tfidf_cosine", "vectors of 2 numbers")


class Options(TestCase):
    def test_refused(self):
        db = self.closing(documents(["red fox", "blue fox", "green hen"]))
        db.execute("CREATE TABLE ratings(user, item, rating)")
        db.execute("INSERT INTO ratings VALUES(1, 1, 5), (1, 2, 3)")
        for options, *fragments in (
                ({"nrom": "l1"}, '"nrom"', '"norm"'), ({"stopwords": "english"}, '"stop_words"'), ({"max_feature": 3}, '"max_features"'),
                ({"weighting": "bm25"}, '"weighting"', '"tfidf", "count", "binary"', "bm25"), ({"norm": None}, '"norm"', '"l2", "l1", "none"', "null"),
                ({"sublinear_tf": 1}, '"sublinear_tf"', "true or false", "1"), ({"smooth_idf": "yes"}, '"smooth_idf"', "true or false"),
                ({"lowercase": 0}, '"lowercase"', "true or false"),
                ({"ngram_range": 2}, '"ngram_range"', "two integers", "[1, 2]"), ({"ngram_range": [2]}, '"ngram_range"', "two integers"),
                ({"ngram_range": [3, 2]}, '"ngram_range"', "shortest"), ({"ngram_range": [0, 2]}, '"ngram_range"', "0"),
                ({"ngram_range": [1, 17]}, '"ngram_range"', "16"), ({"ngram_range": [1, 2, 3]}, '"ngram_range"', "two integers"),
                ({"ngram_range": [1.5, 2]}, '"ngram_range"'), ({"ngram_range": "1,2"}, '"ngram_range"'),
                ({"min_df": -1}, '"min_df"', "-1"), ({"max_df": "half"}, '"max_df"', "number"), ({"max_features": 0}, '"max_features"', "1"),
                ({"max_features": 2.5}, '"max_features"', "integer"), ({"min_token_length": 0}, '"min_token_length"', "1"),
                ({"stop_words": "german"}, '"stop_words"', '"english"', "array"), ({"stop_words": 5}, '"stop_words"'), ({"stop_words": ["a", 5]}, '"stop_words"'),
                ({"text": 5}, '"text"'), ({"text": ["text", 5]}, '"text"'), ({"id": 5}, '"id"'), ({"same_id": "first"}, '"same_id"', '"join"'),
                ({"profile": "median"}, '"profile"', '"mean", "weighted"'), ({"tokenize": 5}, '"tokenize"'),
                ({"ratings": "nothing"}, '"nothing"'), ({"ratings": 5}, '"ratings"'), ({"test": .2}, '"test"', '"ratings"'),
                ({"ratings": "ratings", "history": False}, '"history"', '"ratings"'), ({"embedding": "text", "text": ["text"]}, '"embedding"', '"text"'),
                ({"embedding": "vector"}, '"embedding"', '"vector"', '"text"'),
                ({"ratings": "SELECT user, item FROM ratings", "profile": "weighted"}, '"weighted"', '"rating"', '"profile"'),
                ({"min_df": 3}, "5 terms", '"min_df"', '"max_df"', '"stop_words"'), ({"min_df": 3, "max_df": 2}, '"min_df"', '"max_df"'),
                ({"max_df": 1.5}, 'option "max_df" must be a share', "whole number", "not 1.5"), ({"min_df": 1.0001}, '"min_df"', "whole number"), ({"min_df": 2.5}, '"min_df"', "2.5"), ({"max_df": 1e6 + 0.5}, '"max_df"', "1000000.5"),
                ({"stop_words": ["red", "fox", "blue", "green", "hen"]}, "no words", '"stop_words"'), ({"ngram_range": [4, 5]}, "no words", '"ngram_range"'),
                ({"min_token_length": 10}, "no words", '"min_token_length"')):
            message = self.assert_error(db, "SELECT tfidf_train('documents', ?)", "tfidf_train: ", *fragments, parameters=(json.dumps(options),))
            self.assertLess(len(message), 400)
        self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (0,))
        for text in ("{", "[]", "5", "{} x", '{"norm": "l1", "norm": "l2"}'):
            self.assert_error(db, "SELECT tfidf_train('documents', ?)", "tfidf_train: ", parameters=(text,))
        self.assert_error(db, "SELECT tfidf_train('nothing')", '"nothing"', "SELECT")
        self.assert_error(db, "SELECT tfidf_train(NULL)", "tfidf_train(source [, options])")
        self.assert_error(db, "SELECT tfidf_train('documents', '{\"model\": \"documents\"}')", "documents")

    def test_accepted(self):
        db = self.closing(documents(["red fox", "blue fox", "green hen"]))
        for options in ({}, {"stop_words": None}, {"stop_words": []}, {"max_df": 1}, {"max_df": 1.0}, {"min_df": 0}, {"min_df": 0.0, "max_df": 3}, {"text": []},
                        {"max_features": 2 ** 31 - 1}, {"threads": 3}, {"seed": 7}):
            self.assertEqual(train_text(db, **options)["terms"], 5, options)
        self.assertEqual(db.execute("SELECT tfidf_train('documents', NULL) IS NULL, tfidf_train('documents', '') IS NULL").fetchone(), (0, 0))

    def test_what_was_resolved(self):
        db = self.closing(documents(["red fox", "blue fox", "green hen"]))
        train_text(db, weighting="count", max_df=.9)
        row = json.loads(db.execute("SELECT options FROM recommend_models").fetchone()[0])
        self.assertEqual({key: row[key] for key in ("weighting", "norm", "min_df", "max_df", "ngram_range", "lowercase", "min_token_length")},
                         {"weighting": "count", "norm": "none", "min_df": 1, "max_df": .9, "ngram_range": [1, 1], "lowercase": True, "min_token_length": 2})
        train_text(db)
        self.assertEqual(json.loads(db.execute("SELECT options FROM recommend_models").fetchone()[0])["norm"], "l2")


class WithoutFactors(TestCase):
    def test_a_model_of_words_has_none(self):
        db = self.closing(documents(["one two", "two three"]))
        train_text(db)
        for side in ("user", "item"):
            self.assert_error(db, f"SELECT * FROM recommend_factors('documents_tfidf', '{side}')", "no factors", "lsa")


if __name__ == "__main__":
    unittest.main()
