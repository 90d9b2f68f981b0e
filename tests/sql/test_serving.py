"""What a trained model answers, against the same thing computed by numpy from its factors."""
import json
import unittest

import numpy as np

from support import Numpy, Side, TestCase, add_ratings, connect, liked, made_up_ratings, rated, train, trained

ROWS = made_up_ratings()


class Names(TestCase):
    def test_models_may_be_quoted_as_sources_may(self):
        db = connect()
        db.execute("ATTACH ':memory:' AS \"other one\"")
        for schema in ("main", "other one"):
            add_ratings(db, made_up_ratings(seed=len(schema)), f"{schema}.my table")
        train(db, '"my table"')
        train(db, '"other one".[my table]', model='"other one"."a.b ""c"""')
        train(db, '"my table"', model="`other one`.plain")
        train(db, '"my table"', model='"dotted.name"')
        names = [("main", "my table_mf"), ("main", "dotted.name"), ("other one", 'a.b "c"'), ("other one", "plain")]
        self.assertEqual(sorted(db.execute("SELECT schema, name FROM recommend_models")), sorted(names))
        db.execute("DROP TABLE \"dotted.name\"")
        cases = (("main", "my table_mf", ("my table_mf", '"my table_mf"', "[my table_mf]", "`my table_mf`", "main.my table_mf", 'main."my table_mf"', '"main".[MY TABLE_mf]', ' "my table_mf" ')),
                 ("other one", 'a.b "c"', ('a.b "c"', '"a.b ""c"""', '[a.b "c"]', 'other one.a.b "c"', '"other one".[a.b "c"]', '[other one]."a.b ""c"""')),
                 ("other one", "plain", ("plain", '"plain"', "other one.plain", '"other one".plain', "[other one].[plain]")))
        for schema, name, spellings in cases:
            quoted = '"' + schema + '"."' + name.replace('"', '""') + '"'
            expected = db.execute(f"SELECT item, score FROM {quoted} WHERE user = 1007 AND seen = 0 ORDER BY score DESC LIMIT 3").fetchall()
            for spelling in spellings:
                self.assertEqual(db.execute("SELECT item, score FROM recommend(1007, 3, ?)", (spelling,)).fetchall(), expected, spelling)
                self.assertEqual(len(db.execute("SELECT * FROM item_similar(50, 3, ?)", (spelling,)).fetchall()), 3)
                self.assertIsNotNone(db.execute("SELECT predict(1007, 50, ?)", (spelling,)).fetchone()[0])
                self.assertEqual(len(db.execute("SELECT * FROM recommend_factors(?, 'item')", (spelling,)).fetchall()), 40)
                self.assertEqual(len(db.execute("SELECT * FROM recommend_evaluate(?, 'SELECT user, item, rating FROM [my table]', '{\"lists\": false}')", (spelling,)).fetchall()), 4)
        train(db, "my table", 3, "kmeans_train", factors='"my table_mf"', model="grouped")
        for wrong in ('"my table_mf', '"nothing"', 'main."plain"', '"main"."a.b ""c"""', '""', '"my table_mf".x.y'):
            self.assert_error(db, "SELECT * FROM recommend(1007, 3, ?)", "there is no model", "main.my table_mf", parameters=(wrong,))
        for wrong in ('"open', '"a"b', "", '""', 'main.'):
            self.assert_error(db, "SELECT mf_train('my table', 3, ?)", "mf_train", parameters=(json.dumps({"model": wrong}),))

    def test_views_of_a_database_that_is_not_trusted(self):
        """A view on the model table works; one on a function that takes a model's name would reach other schemas."""
        db = trained()
        db.executescript("""
            CREATE VIEW of_table AS SELECT item, score FROM ratings_mf WHERE user = 1007 AND seen = 0 ORDER BY score DESC LIMIT 3;
            CREATE VIEW of_list AS SELECT item, score FROM recommend(1007, 3, 'ratings_mf') ORDER BY rank;
            CREATE VIEW of_similar AS SELECT item FROM item_similar(50, 3, 'ratings_mf');
            CREATE VIEW of_prediction AS SELECT predict(1007, 50, 'ratings_mf');
        """)
        expected = db.execute("SELECT * FROM of_list").fetchall()
        self.assertEqual(db.execute("SELECT * FROM of_table").fetchall(), expected)
        db.execute("PRAGMA trusted_schema = OFF")
        self.assertEqual(db.execute("SELECT * FROM of_table").fetchall(), expected)
        for view in ("of_list", "of_similar", "of_prediction"):
            self.assert_error(db, f"SELECT * FROM {view}", "unsafe use of")

    def test_a_model_that_has_quotes_in_its_name_comes_first(self):
        db = rated()
        train(db, model='"""x"""')
        train(db, model="x", seed=1)
        names = {name: db.execute("SELECT score FROM recommend(1007, 1, ?)", (name,)).fetchone() for name in ('"x"', "x", '"""x"""')}
        self.assertEqual(names['"x"'], names['"""x"""'])
        self.assertNotEqual(names['"x"'], names["x"])


class Served(TestCase):
    """One model for all tests of a class."""
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.db = trained(rank=4, **cls.options)
        cls.model = Numpy(cls.db)
        cls.seen = cls.model.seen(ROWS)

    def recommended(self, user, k, allowed=None):
        """What recommend should give: (rank, item, score)."""
        u = self.model.users.index[user]
        best = self.model.best(u, ~self.seen[u] if allowed is None else ~self.seen[u] & allowed)[:k]
        return [(n + 1, self.model.items.ids[i], self.model.score[u, i]) for n, i in enumerate(best)]

    def popular(self, allowed=None):
        ids = self.model.items.ids
        count = liked(ROWS, ids)
        order = np.lexsort((np.arange(len(ids)), -count))
        return [(ids[i], count[i]) for i in order if allowed is None or allowed[i]]

    def rows(self, sql, *parameters):
        return self.db.execute(sql, parameters).fetchall()


class Recommend(Served):
    def test_best_unseen_items(self):
        for user in self.model.users.ids:
            for k in (1, 5, 17, 1000):
                got = self.rows("SELECT rank, item, score FROM recommend(?, ?)", user, k)
                self.assert_same_rows(got, self.recommended(user, k))
        self.assertEqual(self.rows("SELECT DISTINCT reason FROM recommend(1007, 5)"), [("model",)])

    def test_without_k_all_rows_stream(self):
        self.assert_same_rows(self.rows("SELECT rank, item, score FROM recommend(1007)"), self.recommended(1007, 1000))
        self.assert_same_rows(self.rows("SELECT rank, item, score FROM recommend(1007, NULL)"), self.recommended(1007, 1000))
        self.assert_same_rows(self.rows("SELECT item, score FROM recommend(1007) LIMIT 3 OFFSET 4"),
                              [row[1:] for row in self.recommended(1007, 7)[4:]])

    def test_k(self):
        self.assertEqual(self.rows("SELECT * FROM recommend(1007, 0)"), [])
        self.assertEqual(len(self.rows("SELECT * FROM recommend(1007, 9223372036854775807)")), len(self.recommended(1007, 1000)))
        self.assertEqual(len(self.rows("SELECT * FROM recommend(1007, '3')")), 3)
        for k in (-1, "x", 2.5, b"3"):
            for function in ("recommend(1007, ?)", "recommend_all(?)", "recommend_users(50, ?)", "item_similar(50, ?)", "user_similar(1007, ?)"):
                self.assert_error(self.db, f"SELECT * FROM {function}", function.split("(")[0], "k must be", parameters=(k,))

    def test_unknown_user_gets_what_is_popular(self):
        got = self.rows("SELECT rank, item, score, reason FROM recommend(1, 6)")
        self.assertEqual(got, [(n + 1, item, count, "popular") for n, (item, count) in enumerate(self.popular()[:6])])
        self.assertEqual([row[1] for row in got], [row[0] for row in self.db.execute(
            "SELECT item, sum(rating >= (SELECT avg(rating) FROM ratings)) AS n FROM ratings GROUP BY item ORDER BY n DESC, item LIMIT 6")])
        self.assertEqual(len(self.rows("SELECT * FROM recommend('nobody')")), len(self.model.items.ids))

    def test_null_user_gets_nothing(self):
        self.assertEqual(self.rows("SELECT * FROM recommend(NULL, 5)"), [])
        self.assertEqual(self.rows("SELECT * FROM recommend(NULL)"), [])

    def test_items_without_k_are_the_set_to_choose_from(self):
        chosen = self.model.items.ids[::3]
        allowed = np.isin(self.model.items.ids, chosen)
        marks = ",".join(map(str, chosen))
        got = self.rows(f"SELECT item, score FROM recommend(1007) WHERE item IN ({marks}) LIMIT 4")
        self.assert_same_rows(got, [row[1:] for row in self.recommended(1007, 4, allowed)])
        self.db.execute("CREATE TEMP TABLE IF NOT EXISTS chosen AS SELECT value AS id FROM json_each(?)", (str(chosen),))
        got = self.rows("SELECT item, score FROM recommend(1007) WHERE item IN (SELECT id FROM chosen) ORDER BY score DESC")
        self.assert_same_rows(got, [row[1:] for row in self.recommended(1007, 1000, allowed)])
        got = self.rows(f"SELECT item, score FROM recommend(1) WHERE item IN ({marks}, 999, NULL, 'x') LIMIT 4")
        self.assertEqual(got, self.popular(allowed)[:4])
        one = self.recommended(1007, 9)[4]
        self.assert_same_rows(self.rows("SELECT item, score FROM recommend(1007) WHERE item = ?", one[1]), [one[1:]])
        self.assertEqual(self.rows("SELECT item FROM recommend(1007) WHERE item = 999"), [])
        self.assertEqual(self.rows("SELECT item FROM recommend(1007) WHERE item IN (NULL)"), [])

    def test_items_with_k_or_rank_filter_afterwards(self):
        chosen = set(self.model.items.ids[::3])
        marks = ",".join(map(str, chosen))
        expected = [row for row in self.recommended(1007, 10) if row[1] in chosen]
        self.assert_same_rows(self.rows(f"SELECT rank, item, score FROM recommend(1007, 10) WHERE item IN ({marks})"), expected)
        self.assertEqual(self.rows(f"SELECT item FROM recommend(1007, 10) WHERE item IN ({marks})"), [(row[1],) for row in expected])
        expected = [row for row in self.recommended(1007, 1000) if row[1] in chosen]
        self.assert_same_rows(self.rows(f"SELECT rank, item, score FROM recommend(1007) WHERE item IN ({marks})"), expected)

    def test_affinity(self):
        self.assertEqual(self.rows("SELECT * FROM recommend('1007', 3)"), self.rows("SELECT * FROM recommend(1007, 3)"))
        self.assertEqual(self.rows("SELECT * FROM recommend(1007.0, 3)"), self.rows("SELECT * FROM recommend(1007, 3)"))
        item = self.recommended(1007, 1)[0][1]
        self.assertEqual(self.rows("SELECT item FROM recommend(1007) WHERE item IN (?, 'x')", str(item)), [(item,)])
        db = connect()
        add_ratings(db, ROWS, user="TEXT", item="TEXT")
        train(db)
        self.assertEqual(db.execute("SELECT reason, typeof(item) FROM recommend(1007, 1)").fetchone(), ("model", "text"))
        self.assertEqual(db.execute("SELECT item FROM recommend(1007) WHERE item IN (?)", (item,)).fetchall(), [(str(item),)])
        self.assertEqual(db.execute("SELECT count(*) FROM ratings_mf WHERE user = 1007").fetchone(), (40,))
        self.assertEqual(db.execute("SELECT typeof(predict(1007, 50)), typeof(predict('1007', '50'))").fetchone(), ("real", "real"))
        self.assertEqual(db.execute("SELECT count(*) FROM item_similar(50, 3)").fetchone(), (3,))

    def test_one_affinity_is_not_the_other(self):
        db = connect()
        add_ratings(db, ROWS, user="BLOB", item="")
        train(db)
        self.assertEqual(db.execute("SELECT reason FROM recommend('1007', 1)").fetchone(), ("popular",))
        self.assertEqual(db.execute("SELECT reason FROM recommend(1007, 1)").fetchone(), ("model",))
        self.assertEqual(db.execute("SELECT predict(1007, '50')").fetchone(), (None,))

    def test_equal_scores_in_order_of_id(self):
        # Two items that the same people rated the same are the same to the model.
        rows = [(u, i, 5 - (u * 3 + i * 7) % 4) for u in range(1, 30) for i in range(10) if (u + i) % 3]
        rows += [(u, twin, 5 - (u % 2)) for u in range(1, 25) for twin in (104, 101, 103, 102)]
        db = trained(rows=rows, solver="cholesky")
        order = [row[0] for row in db.execute("SELECT item FROM recommend(29, 20) WHERE item > 100 ORDER BY rank")]
        self.assertEqual(order, [101, 102, 103, 104])
        order = [row[0] for row in db.execute("SELECT item FROM ratings_mf WHERE user = 29 AND item > 100 ORDER BY score DESC")]
        self.assertEqual(order, [101, 102, 103, 104])

    def test_everything_seen(self):
        rows = [row for row in ROWS if row[0] != 1007] + [(1007, item, 3.0) for item in {row[1] for row in ROWS}]
        db = trained(rows=rows)
        self.assertEqual(db.execute("SELECT * FROM recommend(1007, 5)").fetchall(), [])


class RecommendAll(Served):
    def test_as_for_each_user(self):
        for k in (1, 5, 100):
            got = self.rows("SELECT user, rank, item, score FROM recommend_all(?) ORDER BY user, rank", k)
            expected = [(user,) + row for user in sorted(self.model.users.ids) for row in self.recommended(user, k)]
            self.assert_same_rows(got, expected)
            self.assertEqual([row[:3] for row in got],
                             [row[:3] for row in self.rows("SELECT u.user, r.rank, r.item FROM (SELECT DISTINCT user FROM ratings) u, "
                                                           "recommend(u.user, ?) r ORDER BY u.user, r.rank", k)])
        self.assertEqual(self.rows("SELECT * FROM recommend_all(0)"), [])
        self.assertEqual(self.rows("SELECT count(*) FROM recommend_all(NULL)")[0][0], int((~self.seen).sum()))

    def test_many_users(self):
        rows = made_up_ratings(users=700, items=30, density=0.2, seed=3)
        db = trained(rows=rows, rank=3, epochs=2)
        model = Numpy(db)
        seen = model.seen(rows)
        got = db.execute("SELECT user, item FROM recommend_all(3) ORDER BY user, rank").fetchall()
        expected = [(user, model.items.ids[i]) for u, user in enumerate(model.users.ids) for i in model.best(u, ~seen[u])[:3]]
        self.assertEqual(got, expected)


class Similar(Served):
    def cosines(self, side):
        """Those of items shrunk by how many have the neighbour, beside the mean of that."""
        vectors = side.vector / np.linalg.norm(side.vector, axis=1)[:, None]
        return vectors @ vectors.T * (side.count / (side.count + side.count.mean()) if side is self.model.items else 1)

    def check(self, function, column, side):
        cosines = self.cosines(side)
        for one in range(0, len(side.ids), 3):
            others = [j for j in np.lexsort((np.arange(len(side.ids)), -cosines[one])) if j != one]
            expected = [(n + 1, side.ids[j], cosines[one, j]) for n, j in enumerate(others)]
            for k in (1, 7, None):
                got = self.rows(f"SELECT rank, {column}, similarity FROM {function}(?, ?)", side.ids[one], k)
                self.assert_same_rows(got, expected[:k])
        self.assertEqual(self.rows(f"SELECT * FROM {function}('nothing', 3)"), [])
        self.assertEqual(self.rows(f"SELECT * FROM {function}(NULL, 3)"), [])
        self.assertEqual(self.rows(f"SELECT * FROM {function}(?, 0)", side.ids[0]), [])

    def test_items(self):
        self.check("item_similar", "item", self.model.items)

    def test_users(self):
        self.check("user_similar", "user", self.model.users)

    def test_all_items(self):
        """item_similar_all says what item_similar does, with a least support or without."""
        items = self.model.items
        for least in (None, 0, 9, 15, 10 ** 12):
            expected = []
            for item in items.ids:
                rows = self.rows("SELECT rank, item, similarity FROM item_similar(?, 4, NULL, ?)", item, least)
                self.assertTrue(all(items.count[items.index[row[1]]] >= (least or 0) for row in rows))
                expected += [(item,) + row for row in rows]
            self.assertEqual(self.rows("SELECT * FROM item_similar_all(4, NULL, ?)", least), expected)
            self.assertEqual(len(expected) > 0, (least or 0) < 1000)

    def test_least_support(self):
        items, cosines = self.model.items, self.cosines(self.model.items)
        for one in (0, 7):
            others = [j for j in np.lexsort((np.arange(len(items.ids)), -cosines[one])) if j != one and items.count[j] >= 15]
            self.assert_same_rows(self.rows("SELECT rank, item, similarity FROM item_similar(?, NULL, 'ratings_mf', 15.0)", items.ids[one]),
                                  [(n + 1, items.ids[j], cosines[one, j]) for n, j in enumerate(others)])
        self.assertEqual(self.rows("SELECT count(*), min(_min_support) FROM item_similar WHERE _item = 50 AND _min_support = 15"),
                         [(int((items.count >= 15).sum() - (items.count[0] >= 15)), 15)])
        for least in (-1, 2.5, "many"):
            for call in ("item_similar(50, 3, NULL, ?)", "item_similar_all(3, NULL, ?)"):
                self.assert_error(self.db, f"SELECT * FROM {call}", "min_support must be a whole number", "[, min_support]", parameters=(least,))

    def test_recommend_users(self):
        for i in range(0, len(self.model.items.ids), 3):
            allowed = np.nonzero(~self.seen[:, i])[0]
            order = allowed[np.lexsort((allowed, -self.model.score[allowed, i]))]
            expected = [(n + 1, self.model.users.ids[u], self.model.score[u, i]) for n, u in enumerate(order)]
            for k in (1, 6, None):
                got = self.rows("SELECT rank, user, score FROM recommend_users(?, ?)", self.model.items.ids[i], k)
                self.assert_same_rows(got, expected[:k])
        self.assertEqual(self.rows("SELECT * FROM recommend_users(999, 3)"), [])
        self.assertEqual(self.rows("SELECT * FROM recommend_users(NULL, 3)"), [])


class SimilarByRating(Similar):
    """The same with the rating head in front, whose biases are no part of a cosine but are of a score."""
    options = {"objective": "rating"}


class SimilarWhereBiasesSayNearlyAll(Similar):
    """Factors ten thousand times smaller than the biases still have a direction."""
    options = {"objective": "rating", "regularization": 8, "epochs": 8}


class Predict(Served):
    def test_clipped_prediction(self):
        got = self.rows("SELECT u.user, i.item, predict(u.user, i.item) FROM (SELECT DISTINCT user FROM ratings) u, "
                        "(SELECT DISTINCT item FROM ratings) i ORDER BY 1, 2")
        np.testing.assert_allclose([row[2] for row in got], self.model.clipped().ravel(), atol=1e-5)

    def test_range_none(self):
        db = trained(range="none", regularization=0.01)
        model = Numpy(db)
        u, i = np.unravel_index(np.argmax(model.prediction), model.prediction.shape)
        self.assertGreater(model.prediction[u, i], 5.01)
        got = db.execute("SELECT predict(?, ?)", (model.users.ids[u], model.items.ids[i])).fetchone()[0]
        self.assertAlmostEqual(got, model.prediction[u, i], places=4)
        got = db.execute("SELECT max(prediction), min(prediction) FROM ratings_mf").fetchone()
        np.testing.assert_allclose(got, (model.prediction.max(), model.prediction.min()), atol=1e-4)

    def test_unknown(self):
        self.assertEqual(self.rows("SELECT predict(1, 50), predict(1007, 1), predict(NULL, 50), predict(1007, NULL), predict('a', 'b')"),
                         [(None,) * 5])
        self.assertEqual(self.rows("SELECT predict('1007', '50') = predict(1007, 50)"), [(1,)])
        self.assert_error(self.db, "SELECT predict(1007)", "wrong number of arguments")


class ModelTable(Served):
    def test_is_the_whole_matrix(self):
        rating = {row[:2]: row[2] for row in ROWS}
        got = self.rows("SELECT user, item, score, prediction, rating, seen FROM ratings_mf ORDER BY user, item")
        clipped = self.model.clipped()
        expected = [(user, item, self.model.score[u, i], clipped[u, i], rating.get((user, item)), int((user, item) in rating))
                    for u, user in enumerate(self.model.users.ids) for i, item in enumerate(self.model.items.ids)]
        self.assert_same_rows(got, expected)
        self.assertEqual(self.rows("SELECT count(*) FROM ratings_mf"), [(60 * 40,)])

    def test_cells(self):
        got = self.rows("SELECT user, item, score FROM ratings_mf WHERE user = 1007 AND item = 65")
        self.assert_same_rows(got, [(1007, 65, self.model.score[self.model.users.index[1007], self.model.items.index[65]])])
        for where in ("user = 1", "item = 1", "user = NULL", "user = 1007 AND item = NULL", "user = 1007 AND item IN ()",
                      "user = 1007 AND seen = 2", "user = 1007 AND seen = 'x'", "user = 1007 AND seen = NULL"):
            self.assertEqual(self.rows(f"SELECT * FROM ratings_mf WHERE {where}"), [], where)

    def test_seen(self):
        u = self.model.users.index[1007]
        unseen = [(self.model.items.ids[i],) for i in np.nonzero(~self.seen[u])[0]]
        seen = [(self.model.items.ids[i],) for i in np.nonzero(self.seen[u])[0]]
        for where, expected in (("seen = 0", unseen), ("rating IS NULL", unseen), ("seen = 1", seen), ("rating IS NOT NULL", seen),
                                ("NOT seen", unseen), ("seen", seen), ("seen = 1 AND rating IS NULL", []), ("seen = 0 AND rating IS NULL", unseen),
                                ("seen <> 0", seen), ("seen = '0'", unseen), ("seen = 0.0", unseen), ("seen IN (0, 1)", sorted(seen + unseen))):
            self.assertEqual(self.rows(f"SELECT item FROM ratings_mf WHERE user = 1007 AND {where} ORDER BY item"), expected, where)
        total = self.rows("SELECT count(*) FROM ratings_mf WHERE seen = 0")
        self.assertEqual(total, [(int((~self.seen).sum()),)])

    def test_best_first(self):
        expected = self.recommended(1007, 1000)
        for order in ("score DESC", "score DESC, item", "score DESC, item ASC"):
            for limit in ("", "LIMIT 5", "LIMIT 5 OFFSET 3", "LIMIT -1", "LIMIT 0", "LIMIT -1 OFFSET 2"):
                got = self.rows(f"SELECT item, score FROM ratings_mf WHERE user = 1007 AND seen = 0 ORDER BY {order} {limit}")
                words = limit.split()
                offset = int(words[3]) if len(words) > 2 else 0
                end = None if not words or words[1] == "-1" else offset + int(words[1])
                self.assert_same_rows(got, [row[1:] for row in expected[offset:end]])
        got = self.rows("SELECT item FROM ratings_mf WHERE user = 1007 AND seen = 0 ORDER BY score")
        self.assertEqual(got, [(row[1],) for row in reversed(expected)])

    def test_candidates(self):
        self.db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted(id)")
        self.db.execute("DELETE FROM temp.wanted")
        chosen = self.model.items.ids[1::4]
        self.db.executemany("INSERT INTO temp.wanted VALUES(?)", [(id,) for id in chosen + chosen + [None, "x", 999]])
        allowed = np.isin(self.model.items.ids, chosen)
        got = self.rows("SELECT item, score FROM ratings_mf WHERE user = 1007 AND seen = 0 AND item IN (SELECT id FROM wanted) "
                        "ORDER BY score DESC LIMIT 3")
        self.assert_same_rows(got, [row[1:] for row in self.recommended(1007, 3, allowed)])

    def test_rowid(self):
        got = self.rows("SELECT rowid, user, item FROM ratings_mf WHERE user = 1007")
        u = self.model.users.index[1007]
        self.assertEqual(got, [((u << 32) + i, 1007, item) for i, item in enumerate(self.model.items.ids)])
        for row in got[::7]:
            self.assertEqual(self.rows("SELECT rowid, user, item FROM ratings_mf WHERE rowid = ?", row[0]), [row])
        for rowid in (-1, 60 << 32, 40, 2 ** 63 - 1, "x", 0.5, None, 1e300):
            self.assertEqual(self.rows("SELECT * FROM ratings_mf WHERE rowid = ?", rowid), [], rowid)
        self.assertEqual(self.rows("SELECT count(*) FROM ratings_mf WHERE rowid IN (0, 1, -5, 40)"), [(2,)])

    def test_hidden_columns(self):
        self.assertEqual(self.rows("SELECT ratings_mf, _payload FROM ratings_mf LIMIT 1"), [(None, None)])
        self.assertEqual([row[1] for row in self.rows("PRAGMA table_info(ratings_mf)")],
                         ["user", "item", "score", "prediction", "rating", "seen"])
        self.assertEqual([row[2] for row in self.rows("PRAGMA table_info(ratings_mf)")][:2], ["INTEGER", "INTEGER"])

    def test_collation_of_the_query_is_respected(self):
        db = connect()
        add_ratings(db, [(f"User{u}", f"Item{i}", r) for u, i, r in ROWS], user="TEXT", item="TEXT")
        train(db)
        self.assertEqual(db.execute("SELECT count(*) FROM ratings_mf WHERE user = 'USER1007' COLLATE NOCASE").fetchone(), (40,))
        self.assertEqual(db.execute("SELECT count(*) FROM ratings_mf WHERE user = 'USER1007'").fetchone(), (0,))
        self.assertEqual(db.execute("SELECT item FROM ratings_mf WHERE user = 'User1007' AND item = 'ITEM50' COLLATE NOCASE").fetchall(), [("Item50",)])
        self.assertEqual(db.execute("SELECT item FROM recommend('User1007') WHERE item = lower(item) COLLATE NOCASE").fetchall(),
                         db.execute("SELECT item FROM recommend('User1007')").fetchall())


class OneHead(ModelTable):
    options = {"objective": "rating"}


class Implicit(Served):
    options = {"rating": None}

    def test_scores(self):
        got = self.rows("SELECT score, prediction, rating, seen FROM ratings_mf WHERE user = 1007")
        u = self.model.users.index[1007]
        expected = [(self.model.score[u, i], None, 1.0 if self.seen[u, i] else None, int(self.seen[u, i])) for i in range(40)]
        self.assert_same_rows(got, expected)
        self.assert_same_rows(self.rows("SELECT rank, item, score FROM recommend(1007, 9)"), self.recommended(1007, 9))


class WithoutHistory(Served):
    options = {"history": False}

    def test_nothing_is_excluded(self):
        self.seen = np.zeros_like(self.seen)
        self.assert_same_rows(self.rows("SELECT rank, item, score FROM recommend(1007, 100)"), self.recommended(1007, 100))
        self.assertEqual(self.rows("SELECT count(*) FROM recommend_all(NULL)"), [(2400,)])
        self.assertEqual(self.rows("SELECT sum(seen), count(rating) FROM ratings_mf"), [(0, 0)])
        self.assertEqual(self.rows("SELECT count(*) FROM recommend_users(50, NULL)"), [(60,)])
        self.assertEqual(self.rows("SELECT count(*) FROM ratings_mf_user WHERE history IS NOT NULL"), [(0,)])
        self.db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")


class PopularMeansLiked(TestCase):
    def test_live(self):
        """What is liked by the mean of training follows every write; the integrity check counts it anew."""
        for function, size, options in (("mf_train", 4, {}), ("knn_train", 5, {}), ("knn_train", 5, {"by": "user"}), ("ease_train", 100, {"values": "ratings"})):
            db = self.closing(rated(ROWS))
            train(db, "ratings", size, function, model="m", **options)
            rows = {row[:2]: row[2] for row in ROWS}
            mean = np.mean(list(rows.values()))
            changes = [("INSERT INTO m(user, item, rating) VALUES(?, ?, ?)", (user, 164, rating)) for user, rating in ((1000, 5), (1007, 1), (7777, 4))]
            changes += [("UPDATE m SET rating = ? WHERE user = ? AND item = ?", (rating,) + ROWS[3][:2]) for rating in (1, 5, 4.5, 2)]
            changes += [("DELETE FROM m WHERE user = ? AND item = ?", ROWS[5][:2]), ("DELETE FROM m WHERE user = ? AND item = ?", ROWS[6][:2])]
            for sql, values in changes:
                db.execute(sql, values)
                if sql.startswith("INSERT"):
                    rows[values[:2]] = values[2]
                elif sql.startswith("UPDATE"):
                    rows[values[1:]] = values[0]
                else:
                    del rows[values]
                count = {item: 0 for item in [row[1] for row in ROWS] + [164]}
                for (_, item), rating in rows.items():
                    count[item] += rating >= mean
                got = db.execute("SELECT item, score FROM recommend(-1, 99, 'm')").fetchall()
                self.assertEqual(got, [(item, float(n)) for item, n in sorted(count.items(), key=lambda entry: (-entry[1], entry[0]))])
            db.execute("INSERT INTO m(m, user) VALUES('forget', 1014)")
            db.execute("INSERT INTO m(m) VALUES('integrity-check')")
            db.execute("UPDATE m_item SET liked = liked - 1 WHERE idx = 0")
            self.assert_error(db, "INSERT INTO m(m) VALUES('integrity-check')", "liked")


class LeastSupport(TestCase):
    def test_whatever_the_kind_of_model(self):
        """Only neighbours that so many have."""
        db = self.closing(rated(ROWS))
        db.execute("CREATE TABLE films AS SELECT DISTINCT item AS id, 'film' || (item % 4) || ' made in 19' || (item % 5) || ' by hand' || (item % 2) AS text FROM ratings")
        count = dict(db.execute("SELECT item, count(*) FROM ratings GROUP BY item"))
        for train_it in ("knn_train('ratings', 30, '{\"model\": \"m\"}')", "ease_train('ratings', 10, '{\"model\": \"m\"}')",
                         "tfidf_train('films', '{\"model\": \"m\", \"ratings\": \"ratings\"}')",
                         "tfidf_train('films', '{\"model\": \"m\", \"ratings\": \"ratings\", \"lsa\": 3}')"):
            db.execute("SELECT " + train_it)
            everything = db.execute("SELECT item, similar, similarity FROM item_similar_all(NULL, 'm')").fetchall()
            expected = [row for row in everything if count[row[1]] >= 15]
            self.assertTrue(0 < len(expected) < len(everything))
            self.assertEqual(db.execute("SELECT item, similar, similarity FROM item_similar_all(NULL, 'm', 15)").fetchall(), expected)
            self.assertEqual(db.execute("SELECT item, similarity FROM item_similar(50, NULL, 'm', 15)").fetchall(),
                             [row[1:] for row in expected if row[0] == 50])


class Scores(TestCase):
    def test_scale(self):
        """A score is on the ratings' own scale: unobserved_rating + p q, which an entry of a history is near to. Products of
        recommend_factors' vectors order a user's items as the score does: it is one of them and a constant of the user."""
        for options in ({}, {"unobserved_rating": -3}, {"objective": "rating"}, {"algorithm": "ials"}, {"algorithm": "svd"},
                        {"algorithm": "bpr"}, {"algorithm": "sgd"}):
            db = self.closing(trained(rank=4, **options))
            config = dict(db.execute("SELECT key, value FROM ratings_mf_config"))
            users, items = Side(db, "ratings_mf", "user"), Side(db, "ratings_mf", "item")
            score = dict(((row[0], row[1]), row[2]) for row in db.execute("SELECT user, item, score FROM ratings_mf"))
            # Biases of items, where the head has them, belong to the items' side: a vector of one number more.
            left = np.hstack([users.vector, np.ones((len(users.ids), 1))])
            right = np.hstack([items.vector, items.bias[:, None]])
            if config["score_head"] == "ranking" and options.get("algorithm") not in ("svd", "bpr"):
                self.assertFalse(items.bias.any())
            off = np.array([[score[u, i] for i in items.ids] for u in users.ids]) - left @ right.T
            np.testing.assert_allclose(off, np.repeat(off[:, :1], len(items.ids), 1), atol=2e-5)
            if not options:
                np.testing.assert_allclose(off, 0, atol=2e-5)  # of one to five stars a missing cell counts as 0
                seen = db.execute("SELECT avg(score), avg(rating) FROM ratings_mf WHERE seen = 1").fetchone()
                unseen = db.execute("SELECT avg(score) FROM ratings_mf WHERE seen = 0").fetchone()[0]
                self.assertTrue(0 < unseen < seen[0] <= seen[1], (unseen, seen))
            if "unobserved_rating" in options:
                np.testing.assert_allclose(off, -3, atol=2e-5)


class HeldOutIsSeen(TestCase):
    def test_held_out_is_not_recommended(self):
        db = trained(test=0.3)
        rated_items = {row[:2] for row in ROWS}
        self.assertFalse(rated_items & set(db.execute("SELECT user, item FROM recommend_all(100)").fetchall()))

    def test_a_user_of_whom_nothing_was_learned(self):
        db = rated()
        db.execute("INSERT INTO ratings SELECT 5, value, 4 FROM json_each('[50, 53, 56]')")
        seed = next(seed for seed in range(1000) if db.execute(
            "SELECT count(*) FROM ratings WHERE user = 5 AND recommend_split(?, user, item) >= 0.6", (seed,)).fetchone() == (0,))
        train(db, test=0.6, seed=seed)
        got = db.execute("SELECT item, reason FROM recommend(5, 50)").fetchall()
        self.assertEqual({row[1] for row in got}, {"popular"})
        self.assertFalse({50, 53, 56} & {row[0] for row in got})
        self.assertEqual([row[0] for row in got], [row[0] for row in db.execute("SELECT item FROM recommend_all(50) WHERE user = 5 ORDER BY rank")])


class Factors(Served):
    def test_columns(self):
        for side, column in (("user", 0), ("item", 1)):
            got = self.rows("SELECT id, bias, count, length(vector), typeof(vector) FROM recommend_factors('ratings_mf', ?)", side)
            counts = {}
            for row in ROWS:
                counts[row[column]] = counts.get(row[column], 0) + 1
            self.assertEqual(got, [(id, None, counts[id], 16, "blob") for id in sorted(counts)])
        self.assertEqual(self.rows("SELECT count(bias), min(abs(bias)) > 0 FROM recommend_factors('ratings_mf', 'user', 'rating')"), [(60, 1)])

    def test_heads(self):
        default = self.rows("SELECT vector FROM recommend_factors('ratings_mf', 'item')")
        self.assertEqual(default, self.rows("SELECT vector FROM recommend_factors('ratings_mf', 'ITEM', 'ranking')"))
        self.assertNotEqual(default, self.rows("SELECT vector FROM recommend_factors('ratings_mf', 'item', 'rating')"))
        self.assert_error(self.db, "SELECT * FROM recommend_factors('ratings_mf', 'items')", "'user' or 'item'", "'items'")
        self.assert_error(self.db, "SELECT * FROM recommend_factors('ratings_mf', 'item', 'x')", "'x'", "'ranking'", "'rating'")
        self.assert_error(self.db, "SELECT * FROM recommend_factors('ratings_mf')", "recommend_factors(model, side")
        self.assertEqual(len(self.rows("SELECT * FROM recommend_factors(NULL, 'item')")), 40)


class Models(TestCase):
    def test_the_list(self):
        db = rated()
        self.assertEqual(db.execute("SELECT * FROM recommend_models").fetchall(), [])
        train(db, rank=4, epochs=2)
        train(db, "ratings", rank=3, rating=None, model="clicks", epochs=2)
        got = db.execute("SELECT name, schema, family, algorithm, users, items FROM recommend_models ORDER BY name").fetchall()
        self.assertEqual(got, [("clicks", "main", "mf", "ials", 60, 40), ("ratings_mf", "main", "mf", "als", 60, 40)])
        got = db.execute("SELECT json_valid(options), json_valid(metrics), trained_at <= datetime('now'), trained_at > datetime('now', '-1 minute') "
                         "FROM recommend_models").fetchall()
        self.assertEqual(got, [(1, 1, 1, 1)] * 2)
        self.assertEqual(db.execute("SELECT json_extract(options, '$.rank') FROM recommend_models ORDER BY name").fetchall(), [(3,), (4,)])

    def test_no_model(self):
        db = rated()
        for call in ("SELECT * FROM recommend(1, 2)", "SELECT predict(1, 2)", "SELECT * FROM recommend_all(1)", "SELECT * FROM item_similar(1, 2)"):
            self.assert_error(db, call, "no model", "mf_train")
        self.assert_error(db, "SELECT * FROM recommend(1, 2, 'ratings')", "no model")

    def test_several(self):
        db = rated()
        train(db)
        train(db, model="other", rank=2)
        for call in ("SELECT * FROM recommend(1007, 2)", "SELECT predict(1007, 50)", "SELECT * FROM recommend_all(1)", "SELECT * FROM recommend_users(50, 1)"):
            self.assert_error(db, call, "2 models", "main.other", "main.ratings_mf")
        for name in ("other", "OTHER", "main.other", "Main.Other"):
            self.assertEqual(db.execute("SELECT count(*) FROM recommend(1007, 2, ?)", (name,)).fetchone(), (2,))
            self.assertIsNotNone(db.execute("SELECT predict(1007, 50, ?)", (name,)).fetchone()[0])
        self.assert_error(db, "SELECT * FROM recommend(1007, 2, 'thrid')", "recommend", '"thrid"', "main.other")
        self.assert_error(db, "SELECT * FROM recommend(1007, 2, 'temp.other')", '"temp.other"')
        self.assert_error(db, "SELECT * FROM recommend(1007, 2, 7)", '"7"')

    def test_schemas(self):
        db = rated()
        db.execute("ATTACH ':memory:' AS aux")
        add_ratings(db, ROWS, "aux.ratings")
        train(db, "aux.ratings", rank=2)
        self.assertEqual(db.execute("SELECT count(*) FROM recommend(1007, 2)").fetchone(), (2,))
        train(db, "main.ratings", rank=3)
        self.assert_error(db, "SELECT * FROM recommend(1007, 2)", "main.ratings_mf", "aux.ratings_mf")
        width = "SELECT length(vector) / 4 FROM recommend_factors(?, 'item') LIMIT 1"
        self.assertEqual(db.execute(width, ("ratings_mf",)).fetchone(), (3,))
        self.assertEqual(db.execute(width, ("aux.ratings_mf",)).fetchone(), (2,))
        db.execute("DETACH aux")
        self.assertEqual(db.execute("SELECT count(*) FROM recommend(1007, 2)").fetchone(), (2,))
        self.assert_error(db, "SELECT * FROM recommend(1007, 2, 'aux.ratings_mf')", '"aux.ratings_mf"')


if __name__ == "__main__":
    unittest.main()
