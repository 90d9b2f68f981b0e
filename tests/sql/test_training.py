"""mf_train as users call it: what it reads, what it refuses and how it says so, and that what it fits is the minimum."""
import json
import math
import unittest

import numpy as np

from support import Numpy, Side, TestCase, add_ratings, connect, made_up_ratings, rated, shadow_bytes, train, trained


class Summary(TestCase):
    def test_counts_and_heads(self):
        db = rated()
        db.execute("INSERT INTO ratings VALUES(1, 2, NULL), (NULL, 2, 3), (1, NULL, 3), (1, '', 3), (1007, 50, 3), (1007, 50, 4)")
        rows = made_up_ratings()
        pairs = {row[:2] for row in rows} | {(1007, 50)}
        summary = train(db, rank=4, epochs=3)
        self.assertEqual(summary["model"], "main.ratings_mf")
        self.assertEqual((summary["family"], summary["algorithm"]), ("mf", "als"))
        self.assertEqual(summary["users"], len({row[0] for row in rows}))
        self.assertEqual(summary["items"], len({row[1] for row in rows}))
        self.assertEqual(summary["ratings"], len(pairs))
        self.assertEqual(summary["left_out"], 4)
        self.assertEqual(summary["duplicates"], len(rows) + 2 - len(pairs))
        self.assertEqual(summary["held_out"], 0)
        self.assertEqual(set(summary["heads"]), {"rating", "ranking"})
        self.assertEqual(summary["heads"]["rating"]["epochs"], 3)
        self.assertIsNone(summary["heads"]["rating"]["test"])
        self.assertEqual(set(summary["seconds"]), {"read", "fit", "store"})

    def test_train_error_is_that_of_the_stored_factors(self):
        db = trained(epochs=4, range="none")
        head = json.loads(db.execute("SELECT metrics FROM recommend_models").fetchone()[0])["rating"]
        model = Numpy(db)
        errors = [r - model.prediction[model.users.index[u], model.items.index[i]] for u, i, r in made_up_ratings()]
        self.assertAlmostEqual(head["train"][-1], math.sqrt(np.mean(np.square(errors))), places=5)
        self.assertEqual(len(head["loss"]), 4)
        for before, after in zip(head["loss"], head["loss"][1:]):
            self.assertLessEqual(after, before * (1 + 1e-6))

    def test_loss_is_the_objective(self):
        db = trained(epochs=3, regularization=0.7, nu=0.5)
        rows = made_up_ratings()
        loss = json.loads(db.execute("SELECT metrics FROM recommend_models").fetchone()[0])["rating"]["loss"][-1]
        model, expected = Numpy(db), 0.0
        for u, i, r in rows:
            expected += (r - model.prediction[model.users.index[u], model.items.index[i]]) ** 2
        for side, column in (("user", 0), ("item", 1)):
            factors = Side(db, "ratings_mf", side, "rating")
            n = np.array([sum(row[column] == id for row in rows) for id in factors.ids])
            expected += (0.7 * n ** 0.5 * ((factors.vector ** 2).sum(1) + factors.bias ** 2)).sum()
        self.assertAlmostEqual(loss, expected, delta=1e-4 * expected)

    def test_metrics_have_no_lists_of_nulls(self):
        """Each head's epochs, and of loss, train and test those that there are."""
        for function, size, more, heads in (("mf_train", 3, {"epochs": 3}, {"rating": {"loss", "train"}, "ranking": {"loss", "train"}}),
                                            ("mf_train", 3, {"epochs": 3, "test": 0.2}, {"rating": {"loss", "train", "test"}, "ranking": {"loss", "train", "test"}}),
                                            ("knn_train", 3, {}, None), ("ease_train", 3, {}, None), ("baseline_train", None, {}, None), ("kmeans_train", 3, {}, None)):
            db = rated()
            arguments = ("ratings", json.dumps(more)) if size is None else ("ratings", size, json.dumps(more))
            summary = json.loads(db.execute(f"SELECT {function}({', '.join('?' * len(arguments))})", arguments).fetchone()[0])
            metrics = json.loads(db.execute("SELECT metrics FROM recommend_models").fetchone()[0])
            self.assertEqual(metrics.keys(), summary["heads"].keys())
            if heads:
                self.assertEqual({name: set(head) - {"epochs"} for name, head in metrics.items()}, heads)
            for name, head in metrics.items():
                self.assertEqual(head.pop("epochs"), summary["heads"][name]["epochs"])
                for key, values in head.items():
                    self.assertEqual(len(values), summary["heads"][name]["epochs"])
                    self.assertTrue(any(value is not None for value in values), (function, key))
                for key in ("loss", "train", "test"):
                    self.assertEqual(summary["heads"][name][key], head[key][-1] if key in head else None)

    def test_result_is_json(self):
        db = rated()
        self.assertEqual(db.execute("SELECT json_extract(mf_train('ratings', 2), '$.users')").fetchone()[0], 60)


class Rows(TestCase):
    def test_one_row_an_epoch(self):
        db = rated()
        rows = db.execute("SELECT epoch, head, loss, train, test, seconds FROM mf_train('ratings', 4, '{\"epochs\": 3}')").fetchall()
        self.assertEqual([row[:2] for row in rows], [(e, h) for h in ("rating", "ranking") for e in (1, 2, 3)])
        for head in ("rating", "ranking"):
            losses = [row[2] for row in rows if row[1] == head]
            self.assertEqual(losses, sorted(losses, reverse=True))
        self.assertTrue(all(row[3] > 0 and row[4] is None and row[5] >= 0 for row in rows))
        self.assertEqual(db.execute("SELECT count(*) FROM recommend(1007, 3)").fetchone()[0], 3)

    def test_a_reader_that_stops_early_stores_nothing(self):
        db = rated()
        before = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        self.assertEqual(len(db.execute("SELECT * FROM mf_train('ratings', 4) LIMIT 1").fetchall()), 1)
        self.assertEqual(db.execute("SELECT count(*) FROM sqlite_schema").fetchone(), before)

    def test_stored_before_the_last_row_is_returned(self):
        db = rated()
        cursor = db.execute("SELECT epoch FROM mf_train('ratings', 4, '{\"epochs\": 4, \"objective\": \"rating\"}')")
        self.assertEqual([cursor.fetchone(), cursor.fetchone()], [(1,), (2,)])
        # Python has asked for the third row by now.
        self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (0,))
        self.assertEqual([cursor.fetchone(), cursor.fetchone()], [(3,), (4,)])
        self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (1,))
        self.assertIsNone(cursor.fetchone())

    def test_without_streaming_it_is_stored_before_the_first_row(self):
        """What a client that stops fetching gets: a model, the same as ever."""
        expected = rated()
        train(expected, rank=4, epochs=3, seed=1)
        for options in ('{"epochs": 3, "stream": false, "seed": 1}', '{"stream": false, "epochs": 3, "seed": 1, "threads": 1}'):
            db = rated()
            cursor = db.execute("SELECT epoch, head FROM mf_train('ratings', 4, ?)", (options,))
            self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (1,))
            self.assertEqual(cursor.fetchone(), (1, "rating"))
            cursor.close()
            self.assertEqual(shadow_bytes(db), shadow_bytes(expected))
            rows = db.execute("SELECT epoch, head, loss FROM mf_train('ratings', 4, ?)", (options,)).fetchall()
            self.assertEqual(rows, db.execute("SELECT epoch, head, loss FROM mf_train('ratings', 4, '{\"epochs\": 3, \"seed\": 1}')").fetchall())
            db.execute("SELECT mf_train('ratings', 4, ?)", (options,))
            self.assertEqual(shadow_bytes(db), shadow_bytes(expected))
        for function in ("knn_train", "ease_train", "baseline_train", "kmeans_train", "tfidf_train"):
            db = rated()
            size = "" if function in ("baseline_train", "tfidf_train") else " 4,"
            self.assertEqual(len(db.execute(f"SELECT * FROM {function}('ratings',{size} '{{\"stream\": false}}') LIMIT 1").fetchall()), 1)
            self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (1,), function)

    def test_same_model_as_the_scalar(self):
        one, other = rated(), rated()
        one.execute("SELECT * FROM mf_train('ratings', 4, '{}')").fetchall()
        train(other, rank=4)
        vectors = "SELECT vector FROM recommend_factors('ratings_mf', 'item', 'rating')"
        self.assertEqual(one.execute(vectors).fetchall(), other.execute(vectors).fetchall())

    def test_rewound_in_a_join(self):
        db = rated()
        rows = db.execute("""SELECT n.x, t.epoch, t.loss FROM (SELECT 1 AS x UNION ALL SELECT 2 UNION ALL SELECT 3) n
                             CROSS JOIN mf_train('ratings', 4, '{"epochs": 2}') t ORDER BY n.x, t.head DESC, t.epoch""").fetchall()
        self.assertEqual(len(rows), 12)
        self.assertEqual([row[1:] for row in rows[:4]], [row[1:] for row in rows[8:]])

    def test_arguments_per_row_of_a_join(self):
        db = rated()
        rows = db.execute("""SELECT value, count(*) FROM json_each('[2, 3]'),
                             mf_train('ratings', value, '{"epochs": 2, "objective": "rating"}') GROUP BY value""").fetchall()
        self.assertEqual(rows, [(2, 2), (3, 2)])
        self.assertEqual(len(Side(db, "ratings_mf", "item").vector[0]), 3)

    def test_into_a_table(self):
        db = rated()
        db.execute("CREATE TABLE log(epoch, head, loss)")
        db.execute("INSERT INTO log SELECT epoch, head, loss FROM mf_train('ratings', 4, '{\"epochs\": 2}')")
        self.assertEqual(db.execute("SELECT count(*) FROM log").fetchone(), (4,))
        self.assertEqual(db.execute("SELECT count(*) FROM recommend(1007, 3)").fetchone(), (3,))

    def test_not_from_a_view(self):
        db = rated()
        db.execute("CREATE VIEW hostile AS SELECT * FROM mf_train('ratings', 4)")
        self.assert_error(db, "SELECT * FROM hostile", "unsafe use")
        db.execute("CREATE VIEW hostile2 AS SELECT mf_train('ratings', 4)")
        self.assert_error(db, "SELECT * FROM hostile2", "unsafe use")


class Sources(TestCase):
    def check_model(self, db, model, user, k=3):
        rows = db.execute("SELECT rank, item FROM recommend(?, ?, ?)", (user, k, model)).fetchall()
        self.assertEqual([row[0] for row in rows], list(range(1, k + 1)))
        return [row[1] for row in rows]

    def test_view(self):
        db = rated()
        db.execute("CREATE VIEW liked AS SELECT user, item, rating FROM ratings WHERE rating >= 3")
        self.assertEqual(train(db, "liked")["model"], "main.liked_mf")
        self.check_model(db, "liked_mf", 1007)

    def test_select_needs_a_name(self):
        db = rated()
        self.assert_error(db, "SELECT mf_train('SELECT user, item, rating FROM ratings', 4)", "mf_train", '"model"')
        for text in ("SELECT user, item, rating FROM ratings", "  select user, item, rating from ratings;  ",
                     "WITH r AS (SELECT * FROM ratings) SELECT user, item, rating FROM r -- all"):
            self.assertEqual(train(db, text, model="taste")["ratings"], len(made_up_ratings()))
        self.check_model(db, "taste", 1007)
        values = train(db, "VALUES (1, 2, 3), (1, 3, 4), (2, 2, 5)", rank=1, model="few")
        self.assertEqual((values["users"], values["items"], values["ratings"]), (2, 2, 3))

    def test_attached_schema(self):
        db = rated()
        db.execute("ATTACH ':memory:' AS aux")
        add_ratings(db, made_up_ratings(seed=8), "aux.ratings")
        self.assertEqual(train(db, "aux.ratings")["model"], "aux.ratings_mf")
        self.assertEqual(db.execute("SELECT name, schema FROM recommend_models").fetchall(), [("ratings_mf", "aux")])
        self.check_model(db, "aux.ratings_mf", 1007)
        self.assertEqual(train(db, "aux.ratings", model="main.here")["model"], "main.here")
        self.check_model(db, "here", 1007)
        self.assert_error(db, "SELECT mf_train('ratings', 4, '{\"model\": \"nowhere.x\"}')", "nowhere")

    def test_temporary_table(self):
        db = connect()
        db.execute("CREATE TEMP TABLE ratings(user, item, rating)")
        db.executemany("INSERT INTO ratings VALUES(?, ?, ?)", made_up_ratings())
        self.assertEqual(train(db)["model"], "temp.ratings_mf")
        self.check_model(db, "ratings_mf", 1007)
        db.execute("INSERT INTO temp.ratings_mf(ratings_mf) VALUES('retrain')")
        self.check_model(db, "temp.ratings_mf", 1007)

    def test_kinds_of_ids(self):
        kinds = {"INTEGER": lambda n: n, "TEXT": lambda n: f"id{n:05d}", "REAL": lambda n: n + 0.5,
                 "BLOB": lambda n: n.to_bytes(3, "big")}
        expected = None
        for kind, make in kinds.items():
            db = connect()
            add_ratings(db, [(make(u), make(i), r) for u, i, r in made_up_ratings()], user=kind, item=kind)
            train(db)
            got = self.check_model(db, "ratings_mf", make(1007), 5)
            plain = [next(n for n in range(50, 200) if make(n) == id) for id in got]
            expected = expected or plain
            self.assertEqual(plain, expected, kind)

    def test_mixed_ids(self):
        db = connect()
        make = lambda n: (n, f"t{n}", n + 0.25, b"b%d" % n)[n % 4]
        add_ratings(db, [(make(u), make(i), r) for u, i, r in made_up_ratings()], user="", item="")
        train(db)
        ids = [row[0] for row in db.execute("SELECT id FROM recommend_factors('ratings_mf', 'item')")]
        self.assertEqual(ids, [row[0] for row in db.execute("SELECT DISTINCT item FROM ratings ORDER BY item")])
        self.assertEqual({type(id) for id in ids}, {int, str, float, bytes})
        for user in (make(1007), make(1014), make(1021), make(1028)):
            self.check_model(db, "ratings_mf", user)

    def test_one_and_one_point_zero_are_one_id(self):
        db = rated([(1, 1, 5), (1.0, 2, 3), (2, 1.0, 4), (2, 2, 1)])
        self.assertEqual(train(db, "SELECT +user, +item, rating FROM ratings", rank=1, model="m")["users"], 2)

    def test_large_integers_stay_exact(self):
        huge = 2 ** 62 + 1
        db = rated([(huge, huge + 2, 5), (huge + 1, huge + 3, 3), (huge, huge + 3, 1), (huge + 1, huge + 4, 2)])
        train(db, rank=1)
        self.assertEqual(db.execute("SELECT item FROM recommend(?, 9)", (huge,)).fetchall(), [(huge + 4,)])

    def test_unicode(self):
        db = connect()
        rows = [(f"Zoë{u}🎬", f"映画{i}", r) for u, i, r in made_up_ratings()]
        add_ratings(db, rows, "bewertungen für alle", user="TEXT", item="TEXT")
        self.assertEqual(train(db, "bewertungen für alle")["model"], "main.bewertungen für alle_mf")
        self.assertTrue(self.check_model(db, "bewertungen für alle_mf", "Zoë1007🎬")[0].startswith("映画"))

    def test_awkward_names(self):
        for name in ("a\"b", "a'b", "a b", "a;b--", "a%b", "group", "a[b]", "SELECTED", "values"):
            db = connect()
            add_ratings(db, made_up_ratings(), name)
            self.assertEqual(train(db, name)["model"], f"main.{name}_mf")
            self.check_model(db, name + "_mf", 1007)
            quoted = name.replace('"', '""')
            db.execute(f'INSERT INTO "{quoted}_mf"("{quoted}_mf") VALUES(\'retrain\')')
            db.execute(f'INSERT INTO "{quoted}_mf"("{quoted}_mf") VALUES(\'integrity-check\')')
            db.execute(f'DROP TABLE "{quoted}_mf"')
            self.assertEqual([row[0] for row in db.execute("SELECT name FROM sqlite_schema")], [name])

    def test_name_with_a_dot(self):
        db = connect()
        db.execute('CREATE TABLE "my.ratings"(user, item, rating)')
        db.executemany('INSERT INTO "my.ratings" VALUES(?, ?, ?)', made_up_ratings())
        self.assertEqual(train(db, "my.ratings")["model"], "main.my.ratings_mf")
        self.check_model(db, "my.ratings_mf", 1007)

    def test_ratings_as_text(self):
        db = connect()
        add_ratings(db, [(u, i, str(r)) for u, i, r in made_up_ratings()], rating="TEXT")
        db.execute("INSERT INTO ratings VALUES(1, 2, '')")
        self.assertEqual(train(db)["left_out"], 1)
        self.assertEqual(db.execute("SELECT minimum, maximum FROM (SELECT max(value) FILTER (WHERE key = 'minimum') minimum, "
                                    "max(value) FILTER (WHERE key = 'maximum') maximum FROM ratings_mf_config)").fetchone(), (1, 5))

    def test_what_is_no_rating(self):
        for value, shown in (("abc", "abc"), ("4.5x", "4.5x"), (float("inf"), "nf"), (b"4", "x'34'"), (1e300, "e+300")):
            db = rated([(1, 2, 3), (7, "x9", value)])
            message = self.assert_error(db, "SELECT mf_train('ratings', 2)", "mf_train", "row 2", "user 7", "item 'x9'")
            self.assertIn(shown, message)
        self.assertEqual(db.execute("SELECT count(*) FROM sqlite_schema").fetchone(), (1,))

    def test_columns_by_name(self):
        db = connect()
        db.execute("CREATE TABLE log(at, film, stars, person)")
        db.executemany("INSERT INTO log VALUES(0, ?2, ?3, ?1)", made_up_ratings())
        train(db, "log", user="person", item="Film", rating="stars")
        expected = trained()
        self.assertEqual(db.execute("SELECT item FROM recommend(1007, 9)").fetchall(),
                         expected.execute("SELECT item FROM recommend(1007, 9)").fetchall())
        self.assert_error(db, "SELECT mf_train('log', 2, '{\"user\": \"persn\"}')", '"user"', '"persn"', '"person"')
        self.assert_error(db, "SELECT mf_train('log', 2, '{\"user\": \"film\", \"item\": \"film\"}')", "film", '"user"')

    def test_no_such_source(self):
        db = rated()
        self.assert_error(db, "SELECT mf_train('ratngs', 4)", "mf_train", '"ratngs"', 'did you mean "ratings"')
        self.assert_error(db, "SELECT mf_train('', 4)", "empty")
        self.assert_error(db, "SELECT mf_train(NULL, 4)", "source")
        self.assert_error(db, "SELECT mf_train(17, 4)", "source")
        self.assert_error(db, "SELECT mf_train('SELECT nothing FROM ratings', 4, '{\"model\": \"m\"}')", "nothing")
        self.assert_error(db, "SELECT mf_train('SELECT user FROM ratings', 4, '{\"model\": \"m\"}')", "item")
        self.assert_error(db, "SELECT mf_train('SELECT 1, 2, 3; DROP TABLE ratings', 4, '{\"model\": \"m\"}')", "one SELECT")
        self.assert_error(db, "SELECT mf_train('SELECT user, item, ?1 FROM ratings', 4, '{\"model\": \"m\"}')", "parameters")
        self.assert_error(db, "SELECT mf_train('WITH x AS (SELECT 1) DELETE FROM ratings', 4, '{\"model\": \"m\"}')", "SELECT")
        self.assertEqual(db.execute("SELECT count(*) FROM ratings").fetchone()[0], len(made_up_ratings()))

    def test_name_that_is_taken(self):
        db = rated()
        db.execute("CREATE TABLE taste(x)")
        self.assert_error(db, "SELECT mf_train('ratings', 4, '{\"model\": \"taste\"}')", '"taste"', "not a model", '"model"')
        self.assert_error(db, "SELECT mf_train('ratings', 4, '{\"model\": \"score\"}')", '"score"', "column")
        self.assert_error(db, "SELECT mf_train('ratings', 4, '{\"model\": \"\"}')", "model")


class Duplicates(TestCase):
    ROWS = [(1, 1, 2.0), (1, 2, 3.0), (2, 1, 4.0), (2, 2, 1.0), (1, 1, 5.0), (1, 1, 4.0)]

    def rating(self, rows=None, user=1, item=1, columns="", **options):
        db = connect()
        db.execute(f"CREATE TABLE ratings(user, item, rating{columns})")
        rows = rows or self.ROWS
        db.executemany(f"INSERT INTO ratings VALUES({', '.join('?' * len(rows[0]))})", rows)
        summary = train(db, rank=1, **options)
        self.assertEqual(summary["duplicates"], len(rows) - len({row[:2] for row in rows}))
        return db.execute("SELECT rating FROM ratings_mf WHERE user = ? AND item = ?", (user, item)).fetchone()[0]

    def test_rules(self):
        self.assertEqual(self.rating(), 4)
        self.assertEqual(self.rating(duplicates="last"), 4)
        self.assertEqual(self.rating(duplicates="sum"), 11)
        self.assertAlmostEqual(self.rating(duplicates="mean"), 11 / 3, places=6)
        db = rated(self.ROWS)
        self.assert_error(db, "SELECT mf_train('ratings', 1, '{\"duplicates\": \"error\"}')", "user 1", "item 1", "last, sum, mean")

    def test_timestamp_decides_which_is_last(self):
        rows = [row + (time,) for row, time in zip(self.ROWS, (30, 1, 1, 1, 10, 20))]
        self.assertEqual(self.rating(rows, columns=", at"), 2)
        self.assertEqual(self.rating([(1, 1, 2, "30"), (1, 1, 5, "100"), (1, 1, 4, None), (2, 2, 1, "")], columns=", at"), 5)
        self.assertEqual(self.rating([(1, 1, 2, 30), (1, 1, 5, 30), (2, 2, 1, 0)], columns=", at"), 5)

    def test_named_timestamp(self):
        db = connect()
        db.execute("CREATE TABLE ratings(user, item, rating, note, seq)")
        db.executemany("INSERT INTO ratings VALUES(?, ?, ?, 'n', ?)", [(1, 1, 2, 9), (1, 1, 5, 3), (2, 2, 1, 1)])
        train(db, rank=1, timestamp="seq")
        self.assertEqual(db.execute("SELECT rating FROM ratings_mf WHERE user = 1 AND item = 1").fetchone(), (2,))
        train(db, rank=1)
        self.assertEqual(db.execute("SELECT rating FROM ratings_mf WHERE user = 1 AND item = 1").fetchone(), (5,))
        self.assert_error(db, "SELECT mf_train('ratings', 1, '{\"timestamp\": \"note\"}')", "timestamp", "row 1")

    def test_implicit_counts(self):
        db = connect()
        db.execute("CREATE TABLE plays(user, item)")
        db.executemany("INSERT INTO plays VALUES(?, ?)", [(1, 1), (1, 1), (1, 2), (2, 2), (1, 1)])
        summary = train(db, "plays", rank=1)
        self.assertEqual((summary["algorithm"], summary["ratings"], summary["duplicates"]), ("ials", 3, 2))
        self.assertEqual(db.execute("SELECT rating FROM plays_mf WHERE user = 1 AND item = 1").fetchone(), (3,))


class Feedback(TestCase):
    def test_two_columns_are_implicit(self):
        db = rated()
        summary = train(db, "SELECT user, item FROM ratings", model="m")
        self.assertEqual((summary["algorithm"], set(summary["heads"])), ("ials", {"ranking"}))
        self.assertEqual(db.execute("SELECT predict(1007, 50)").fetchone(), (None,))
        self.assertEqual(db.execute("SELECT count(*) FROM m WHERE prediction IS NOT NULL").fetchone(), (0,))

    def test_rating_null_is_the_same(self):
        db = rated()
        self.assertEqual(train(db, "ratings", rating=None)["algorithm"], "ials")
        train(db, "SELECT user, item FROM ratings", model="m")
        vectors = "SELECT vector FROM recommend_factors(?, 'item')"
        self.assertEqual(db.execute(vectors, ("ratings_mf",)).fetchall(), db.execute(vectors, ("m",)).fetchall())

    def test_objectives(self):
        for objective, heads, score, prediction in (("both", {"rating", "ranking"}, "ranking", "rating"),
                                                    ("rating", {"rating"}, "rating", "rating"),
                                                    ("ranking", {"ranking"}, "ranking", "ranking")):
            db = rated()
            self.assertEqual(set(train(db, objective=objective)["heads"]), heads)
            model = Numpy(db)
            self.assertEqual((model.config["score_head"], model.config["prediction_head"]), (score, prediction))
            got = db.execute("SELECT score, prediction FROM ratings_mf WHERE user = 1007 ORDER BY item").fetchall()
            user = model.users.index[1007]
            np.testing.assert_allclose([row[0] for row in got], model.score[user], atol=1e-5)
            np.testing.assert_allclose([row[1] for row in got], model.clipped()[user], atol=1e-5)

    def test_algorithms(self):
        db = rated()
        self.assertEqual(train(db, algorithm="ials")["algorithm"], "ials")
        self.assertEqual(train(db, algorithm="als")["algorithm"], "als")
        self.assert_error(db, "SELECT mf_train('ratings', 2, '{\"algorithm\": \"als\", \"rating\": null}')", '"als"', "needs ratings")
        self.assert_error(db, "SELECT mf_train('ratings', 2, '{\"algorithm\": \"ials\", \"objective\": \"rating\"}')", '"ials"')
        self.assert_error(db, "SELECT mf_train('ratings', 2, '{\"objective\": \"rating\", \"rating\": null}')", '"rating"')

    def test_extreme_sources(self):
        db = rated([])
        self.assert_error(db, "SELECT mf_train('ratings', 2)", "no ratings")
        db.execute("INSERT INTO ratings VALUES(NULL, 1, 2)")
        self.assert_error(db, "SELECT mf_train('ratings', 2)", "no ratings", "1 rows")
        db = trained(rank=2, rows=[(1, i, i % 5 + 1) for i in range(9)])
        self.assertEqual(db.execute("SELECT count(*) FROM recommend(1, 5)").fetchone(), (0,))
        self.assertEqual(db.execute("SELECT count(*) FROM ratings_mf").fetchone(), (9,))
        db = trained(rank=2, rows=[(u, 1, u % 5 + 1) for u in range(9)])
        self.assertEqual(db.execute("SELECT count(*) FROM item_similar(1, 5)").fetchone(), (0,))
        db = trained(rank=2, rows=[(u, i, 4) for u in range(9) for i in range(7) if (u + i) % 3])
        self.assertEqual(db.execute("SELECT min(abs(prediction - 4)) < 1e-6, max(abs(prediction - 4)) < 1e-6 FROM ratings_mf").fetchone(), (1, 1))
        self.assertEqual(db.execute("SELECT count(*) FROM recommend(1, 100)").fetchone(), (2,))
        db = trained(rank=5, rows=[("u", "i", 3)])
        self.assertEqual(db.execute("SELECT round(predict('u', 'i'), 6)").fetchone(), (3,))


class Options(TestCase):
    def refused(self, options, *fragments):
        text = options if isinstance(options, str) else json.dumps(options)
        return self.assert_error(self.db, "SELECT mf_train('ratings', 2, ?)", "mf_train", *fragments, parameters=(text,))

    def setUp(self):
        self.db = rated()

    def test_every_option_checks_its_type_and_range(self):
        wrong = {
            "model": (3, None), "user": (3, []), "item": (False,), "rating": (4,), "timestamp": (4,),
            "duplicates": ("first", 1), "test": (-0.1, 1, "half"), "seed": (-1, 1.5, "x", 1e17), "threads": (-1, 257, 1.5, "all"),
            "history": (1, "yes"), "stream": (0, "no"), "algorithm": ("alz", 3), "objective": ("rank", None), "regularization": (0, -1, "x", {"rating": "x"}, {"other": 1}, {}),
            "nu": (-0.1, 1.1, None), "epochs": (0, -3, 2.5, "ten", 1e9), "solver": ("lu", 1), "nonnegative": (1, "true"),
            "biases": (0, "no"), "alpha": (-1, "x"), "unobserved_weight": (-1, "x"), "unobserved_rating": ("x", [1]),
            "unobserved": ("none", True), "init_scale": (0, -1, "x"), "tolerance": (-1, 2, "x"), "range": ("minmax?", 5),
            "init": ("zero", 1), "learning_rate": (0, -1, "x"), "bias_regularization": (-1, "x"), "schedule": ("none", 1), "decay": (0, 2, "x"),
            "batch_size": (0, -1, 1.5, "x"), "momentum": (-1, 1, "x"),
        }
        for key, values in wrong.items():
            for value in values:
                message = self.refused({key: value}, f'"{key}"', "must be")
                if not isinstance(value, dict):
                    self.assertIn(str(json.dumps(value))[:3], message)
        self.assertEqual(self.db.execute("SELECT count(*) FROM recommend_models").fetchone(), (0,))

    def test_every_option_is_taken(self):
        train(self.db, duplicates="mean", test=0.1, seed=3, threads=2, history=True, algorithm="als", objective="both",
              regularization={"rating": 0.5, "ranking": 0.1}, nu={"rating": 0.5, "ranking": 0.9}, epochs=2, solver="cholesky",
              nonnegative=False, biases=True, unobserved_weight=0.2, unobserved_rating=1, unobserved="missing",
              init_scale=0.1, tolerance=0.001, range="clip", model="m", user="user", item="item", rating="rating")
        resolved = json.loads(self.db.execute("SELECT options FROM recommend_models").fetchone()[0])
        self.assertEqual(resolved["rating"], {"regularization": 0.5, "nu": 0.5, "biases": True})
        self.assertEqual(resolved["ranking"]["unobserved_weight"], 0.2)
        self.assertEqual((resolved["solver"], resolved["seed"], resolved["rank"]), ("cholesky", 3, 4))

    def test_unknown_key_suggests_the_nearest(self):
        self.refused({"epocs": 3}, '"epocs" is unknown', 'did you mean "epochs"?')
        self.refused({"regularisation": 3}, 'did you mean "regularization"?')
        self.refused({"zzzzzzzzzzz": 3}, "unknown", "epochs", "seed")

    def test_malformed(self):
        self.refused('{"epochs": 2, "epochs": 3}', '"epochs"', "twice")
        self.refused('{"epochs": 2} x', "JSON")
        self.refused('{"epochs": 2', "JSON")
        self.refused("[1]", "object")
        self.refused("20", "object")
        self.refused("epochs=20", "JSON")
        self.refused('{"epochs": NaN}', "JSON")
        self.assert_error(self.db, "SELECT mf_train('ratings', 2, '{}' || char(0) || 'x')", "NUL")
        self.assertEqual(json.loads(self.db.execute("SELECT mf_train('ratings', 2, NULL)").fetchone()[0])["users"], 60)
        self.assertEqual(json.loads(self.db.execute("SELECT mf_train('ratings', 2, '')").fetchone()[0])["users"], 60)

    def test_rank(self):
        for rank in (0, -1, 5000, "x", 2.5, b"2"):
            for sql in ("SELECT mf_train('ratings', ?)", "SELECT * FROM mf_train('ratings', ?)"):
                self.assert_error(self.db, sql, "rank", "from 1 to 4096", "mf_train(source [, rank]", parameters=(rank,))
        for call in ("mf_train()", "mf_train(1, 2, 3, 4)", "mf_train('ratings', 2, '{}', 3)"):
            self.assert_error(self.db, "SELECT " + call, "call it as mf_train(source [, rank] [, options])")
        for sql in ("SELECT * FROM mf_train()", "SELECT * FROM mf_train LIMIT 2", "SELECT * FROM mf_train LIMIT 2 OFFSET 1"):
            self.assert_error(self.db, sql, "an argument is missing", "mf_train(source [, rank] [, options])")
        self.assertEqual(json.loads(self.db.execute("SELECT mf_train('ratings', '3')").fetchone()[0])["users"], 60)

    def test_the_size_may_be_left_out(self):
        """Both forms take source, size and options, the size or both left out; and CREATE VIRTUAL TABLE."""
        def stored():
            size, options = (dict(self.db.execute("SELECT key, value FROM m_config"))[key] for key in ("size", "options"))
            return size, json.loads(options)
        for function, size, default, names in (("mf_train", 3, 32, ("rank", "size")), ("knn_train", 7, 50, ("k", "size")),
                                               ("ease_train", 12.5, 500, ("lambda", "size")), ("kmeans_train", 4, None, ("clusters", "k", "size"))):
            more, short = '{"model": "m", "seed": 5}', {"model": "m", "seed": 5}
            for call in (f"SELECT {function}", f"SELECT * FROM {function}"):
                for arguments in (("ratings", size, more), ("ratings", float(size), more), ("ratings", None, json.dumps({names[0]: size, **short})),
                                  *(("ratings", json.dumps({name: float(size), **short})) for name in names)):
                    self.db.execute(f"{call}({', '.join('?' * len(arguments))})", arguments).fetchall()
                    self.assertEqual(stored(), (size, short), (function, arguments))
                    self.db.execute("DROP TABLE m")
                for arguments in (("ratings", more), ("ratings", " \n" + more), ("ratings", None, more)):
                    sql = f"{call}({', '.join('?' * len(arguments))})"
                    if default is None:
                        self.assert_error(self.db, sql, function, "number of clusters", parameters=arguments)
                        continue
                    self.db.execute(sql, arguments).fetchall()
                    self.assertEqual(stored(), (default, short))
                    self.db.execute("INSERT INTO m(m) VALUES('retrain')")
                    self.assertEqual(stored(), (default, short))
                    self.db.execute("DROP TABLE m")
                self.assert_error(self.db, f"{call}('ratings', {size}, '{{\"{names[0]}\": {size}}}')", function, "given twice")
                self.assert_error(self.db, f"{call}('ratings', '{{\"{names[0]}\": {size}, \"size\": {size}}}')", function, "twice")
                self.assert_error(self.db, f"{call}('ratings', '{{}}', '{{}}')", function, "options are given twice")
            if default is not None:
                self.db.execute(f"CREATE VIRTUAL TABLE m USING recommender(train={function[:-6]}, source=ratings, options='{{\"seed\": 5}}')")
                self.assertEqual(stored(), (default, {"seed": 5}))
                self.db.execute("DROP TABLE m")
            self.db.execute(f"CREATE VIRTUAL TABLE m USING recommender(train={function[:-6]}, source=ratings, options='{{\"size\": {size}}}')")
            self.assertEqual(stored(), (size, {}))
            self.db.execute("DROP TABLE m")
        self.assertEqual(json.loads(self.db.execute("SELECT mf_train('ratings')").fetchone()[0])["model"], "main.ratings_mf")
        self.refused({"rank": 3}, "the rank is given twice")
        self.assert_error(self.db, "SELECT mf_train('ratings', '{\"rnak\": 3}')", 'did you mean "rank"?')

    def test_rank_above_the_number_of_rows(self):
        db = trained(rank=100, rows=made_up_ratings(users=12, items=9))
        model = Numpy(db)
        got = db.execute("SELECT prediction FROM ratings_mf").fetchall()
        np.testing.assert_allclose([row[0] for row in got], model.clipped().ravel(), atol=1e-4)

    def test_tolerance_stops_early(self):
        epochs = train(self.db, epochs=500, tolerance=0.01)["heads"]["rating"]["epochs"]
        self.assertGreater(epochs, 1)
        self.assertLess(epochs, 100)
        losses = json.loads(self.db.execute("SELECT metrics FROM recommend_models").fetchone()[0])["rating"]["loss"]
        falls = [1 - after / before for before, after in zip(losses, losses[1:])]
        self.assertTrue(all(fall >= 0.01 for fall in falls[:-1]))

    def test_solvers_agree(self):
        predictions = []
        for solver in ("cg", "cholesky"):
            train(self.db, solver=solver, epochs=60, regularization=2, objective="rating")
            predictions.append(Numpy(self.db).prediction)
        np.testing.assert_allclose(predictions[0], predictions[1], atol=0.02)

    def test_nonnegative(self):
        train(self.db, nonnegative=True)
        for head in ("rating", "ranking"):
            for side in ("user", "item"):
                vector = Side(self.db, "ratings_mf", side, head).vector
                self.assertGreaterEqual(vector.min(), 0)
                self.assertGreater(vector.max(), 0)

    def test_without_biases(self):
        train(self.db, biases=False)
        self.assertEqual(self.db.execute("SELECT count(bias) FROM recommend_factors('ratings_mf', 'user', 'rating')").fetchone(), (0,))
        items, users = Side(self.db, "ratings_mf", "item", "rating"), Side(self.db, "ratings_mf", "user", "rating")
        got = self.db.execute("SELECT predict(1007, 65)").fetchone()[0]
        self.assertAlmostEqual(got, np.clip(users.vector[users.index[1007]] @ items.vector[items.index[65]], 1, 5), places=5)

    def test_seed(self):
        vectors = "SELECT vector FROM recommend_factors('ratings_mf', 'item', 'rating')"
        train(self.db, seed=1, epochs=1)
        one = self.db.execute(vectors).fetchall()
        train(self.db, seed=2, epochs=1)
        self.assertNotEqual(self.db.execute(vectors).fetchall(), one)
        train(self.db, seed=1, epochs=1)
        self.assertEqual(self.db.execute(vectors).fetchall(), one)

    def test_held_out(self):
        summary = train(self.db, test=0.25, seed=9, range="clip")
        rows = self.db.execute("SELECT user, item, rating FROM ratings WHERE recommend_split(9, user, item) < 0.25").fetchall()
        everything = len(made_up_ratings())
        self.assertEqual((summary["held_out"], summary["ratings"]), (len(rows), everything - len(rows)))
        self.assertGreater(len(rows), 0.15 * everything)
        errors = [self.db.execute("SELECT predict(?, ?) - ?", row).fetchone()[0] for row in rows]
        self.assertAlmostEqual(summary["heads"]["rating"]["test"], math.sqrt(np.mean(np.square(errors))), places=5)
        self.assertEqual(self.db.execute("SELECT sum(seen) FROM ratings_mf").fetchone(), (everything,))
        self.assertAlmostEqual(summary["heads"]["ranking"]["test"], self.ndcg(rows), places=5)

    def test_held_out_of_few(self):
        """What the hash holds out, but one at the least, and one is left to train on: which, the global mean tells."""
        rows = [(1, 1, 1.0), (1, 2, 2.0), (2, 1, 4.0), ("a", 1, 8.0), ("a", "b", 16.0)]
        for count in range(2, 6):
            db = connect()
            db.execute("CREATE TABLE few(user, item, rating)")
            db.execute("CREATE TABLE texts AS SELECT 1 AS id, 'red blue' AS text UNION ALL SELECT 2, 'red' UNION ALL SELECT 'b', 'blue'")
            db.executemany("INSERT INTO few VALUES(?, ?, ?)", rows[:count])
            for seed in range(12):
                drawn = sorted((db.execute("SELECT recommend_split(?, ?, ?)", (seed, *row[:2])).fetchone()[0], row) for row in rows[:count])
                for part in (1e-9, 0.2, 0.5, 0.99):
                    held = [row for number, row in drawn if number < part][:count - 1] or [drawn[0][1]]
                    kept = [row[2] for number, row in drawn if row not in held]
                    options = json.dumps({"method": "global", "test": part, "seed": seed})
                    summary = json.loads(db.execute("SELECT baseline_train('few', ?)", (options,)).fetchone()[0])
                    self.assertEqual((summary["held_out"], summary["ratings"]), (len(held), len(kept)))
                    self.assertAlmostEqual(db.execute("SELECT predict(1, 1)").fetchone()[0], np.mean(kept), places=5)
                    self.assertAlmostEqual(summary["heads"]["rating"]["test"], math.sqrt(np.mean([(np.clip(np.mean(kept), min(kept), max(kept)) - row[2]) ** 2 for row in held])), places=5)
                    self.assertEqual(db.execute("SELECT rating FROM few_baseline WHERE seen = 1 ORDER BY rating").fetchall(), [(row[2],) for row in rows[:count]])
            for function, options in (("mf_train('few', 2, ?)", {}), ("knn_train('few', 2, ?)", {}), ("ease_train('few', 2, ?)", {}), ("kmeans_train('few', 1, ?)", {}), ("mf_train('few', 2, ?)", {"algorithm": "bpr"}),
                                      ("tfidf_train('texts', ?)", {"ratings": "few"})):
                summary = json.loads(db.execute(f"SELECT {function}", (json.dumps({"model": "m", "test": 0.001, **options}),)).fetchone()[0])
                self.assertEqual((summary["held_out"], summary["ratings"]), (1, count - 1), function)
        self.assert_error(db, "SELECT mf_train('SELECT * FROM few LIMIT 1', 2, '{\"model\": \"m\", \"test\": 0.2}')", "mf_train", "only one rating", '"test"')
        self.assert_error(db, "SELECT mf_train('SELECT * FROM few LIMIT 0', 2, '{\"model\": \"m\", \"test\": 0.2}')", "mf_train", "has no ratings")

    def ndcg(self, held_out):
        """NDCG@10 of what was held out, among all items but those trained on."""
        model = Numpy(self.db)
        relevant, seen = model.seen(held_out), model.seen(made_up_ratings())
        values = []
        for user in range(len(model.users.ids)):
            if not relevant[user].any():
                continue
            best = model.best(user, relevant[user] | ~seen[user])[:10]
            gain = sum(1 / math.log2(2 + place) for place, item in enumerate(best) if relevant[user, item])
            values.append(gain / sum(1 / math.log2(2 + place) for place in range(min(10, relevant[user].sum()))))
        return np.mean(values)


class Minimum(TestCase):
    """Training ends with an exact user half-step: each user's factors solve the user's normal equations, in double precision."""

    def check(self, db, rows, head, regularization, nu, weight=0.0, everywhere=False, confidence=lambda r: 1.0, target=None,
              biases=False, mean=0.0):
        users, items = (Side(db, "ratings_mf", side, head) for side in ("user", "item"))
        for user in range(0, len(users.ids), 5):
            mine = [(items.index[i], r) for u, i, r in rows if u == users.ids[user]]
            index = [i for i, _ in mine]
            q = items.vector[index]
            if biases:
                q = np.hstack([q, np.ones((len(q), 1))])
                y = np.array([r - mean for _, r in mine]) - items.bias[index]
            else:
                y = np.array([target(r) for _, r in mine])
            c = np.array([confidence(r) for _, r in mine])
            n = len(mine)
            matrix = q.T @ (q * (c if everywhere or not weight else c - weight)[:, None])
            if weight:
                matrix += weight * items.vector.T @ items.vector
            penalty = regularization * ((n + weight * len(items.ids)) if weight else n) ** nu
            solved = np.linalg.solve(matrix + penalty * np.eye(len(matrix)), q.T @ (c * y))
            got = np.append(users.vector[user], users.bias[user]) if biases else users.vector[user]
            np.testing.assert_allclose(got, solved, atol=2e-4 * max(1, np.abs(solved).max()))

    def test_rating_head(self):
        rows = made_up_ratings()
        for solver in ("cg", "cholesky"):
            db = trained(rank=5, epochs=3, regularization=0.3, nu=0.5, solver=solver)
            self.check(db, rows, "rating", 0.3, 0.5, biases=True, mean=np.mean([row[2] for row in rows]))

    def test_ranking_head(self):
        for solver in ("cg", "cholesky"):
            db = trained(rank=5, epochs=3, regularization=0.2, nu=1, unobserved_weight=0.15, unobserved_rating=2, solver=solver)
            self.check(db, made_up_ratings(), "ranking", 0.2, 1, weight=0.15, target=lambda r: r - 2)

    def test_implicit(self):
        db = trained(rank=5, epochs=3, algorithm="ials", alpha=3, regularization=0.5, nu=0, unobserved_weight=1)
        self.check(db, made_up_ratings(), "ranking", 0.5, 0, weight=1, confidence=lambda r: 1 + 3 * r, target=lambda r: 1)

    def test_implicit_all_cells(self):
        db = trained(rank=5, epochs=3, algorithm="ials", unobserved="all", unobserved_weight=0.1, regularization=0.05, nu=1)
        self.check(db, made_up_ratings(), "ranking", 0.05, 1, weight=0.1, everywhere=True, target=lambda r: 1)


class CreateVirtualTable(TestCase):
    def test_as_from_the_function(self):
        db = rated()
        train(db, epochs=3)
        expected = db.execute("SELECT vector FROM recommend_factors('ratings_mf', 'user')").fetchall()
        for arguments in ("train=mf, source=ratings, size=4, options='{\"epochs\": 3}'",
                          "train='mf', source=\"ratings\", size=4, options='{\"epochs\":3}'",
                          " size = 4 ,options='{\"epochs\" : 3}',  train= mf , source = main.ratings ",
                          "TRAIN=MF, source='main.ratings', size='4', options='{\"epochs\": 3}'",
                          "train=mf, source=(SELECT user, item, rating FROM ratings), size=4, options='{\"epochs\": 3}'",
                          "train=mf, source='SELECT user, item, rating FROM ratings WHERE ''a'' = ''a''', size=4, options='{\"epochs\": 3}'"):
            db.execute(f"CREATE VIRTUAL TABLE taste USING recommender({arguments})")
            self.assertEqual(db.execute("SELECT vector FROM recommend_factors('taste', 'user')").fetchall(), expected, arguments)
            db.execute("DROP TABLE taste")
        self.assertEqual(db.execute("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'taste%'").fetchone(), (0,))

    def test_sizes(self):
        db = rated()
        for text, size in (("0.5", .5), ("5e-1", .5), ("+2", 2), ("'12.25'", 12.25)):
            db.execute(f"CREATE VIRTUAL TABLE taste USING recommender(train=ease, source=ratings, size={text})")
            self.assertEqual(db.execute("SELECT value FROM taste_config WHERE key = 'size'").fetchone(), (size,))
            db.execute("DROP TABLE taste")

    def test_bad_arguments(self):
        db = rated()
        for arguments, fragment in (("", "needed"), ("train=mf", "needed"), ("train=kmeans, source=ratings", "number of clusters"),
                                    ("train=nope, source=ratings, size=4", "'kmeans_train'"), ("train=mf, source=ratings, size=x", "size"),
                                    ("train=mf, source=ratings, size=4-1", "4-1"), ("train=mf, source=ratings, size=0x4", "0x4"),
                                    ("train=mf, source=ratings, size=0", "rank"), ("train=mf, source=ratings, size=4, k=3", "k=3"),
                                    ("train=mf, source=ratngs, size=4", '"ratings"'), ("train=mf, source=ratings, size=4, options='{\"a\": 1}'", '"a"'),
                                    ("ratings, 4", "ratings")):
            self.assert_error(db, f"CREATE VIRTUAL TABLE taste USING recommender({arguments})", fragment)
            self.assertEqual(db.execute("SELECT count(*) FROM sqlite_schema").fetchone(), (1,), arguments)
        self.assert_error(db, "CREATE VIRTUAL TABLE score USING recommender(train=mf, source=ratings, size=4)", "score")

    def test_in_a_schema(self):
        db = rated()
        db.execute("CREATE VIRTUAL TABLE temp.taste USING recommender(train=mf, source=main.ratings, size=4)")
        self.assertEqual(db.execute("SELECT count(*) FROM recommend(1007, 3, 'temp.taste')").fetchone(), (3,))
        db.execute("INSERT INTO taste(taste) VALUES('retrain')")
        db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.taste USING recommender(train=mf, source=main.ratings, size=4)")


class Commands(TestCase):
    def test_retrain_after_a_change(self):
        db = trained()
        item = db.execute("SELECT item FROM recommend(1007, 1)").fetchone()[0]
        db.execute("INSERT INTO ratings VALUES(1007, ?, 5), (99, 50, 4)", (item,))
        self.assertEqual(db.execute("SELECT item FROM recommend(1007, 1)").fetchone()[0], item)
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')")
        self.assertEqual(db.execute("SELECT rating, seen FROM ratings_mf WHERE user = 1007 AND item = ?", (item,)).fetchone(), (5, 1))
        self.assertEqual(db.execute("SELECT reason FROM recommend(99, 1)").fetchone(), ("model",))
        fresh = connect()
        add_ratings(fresh, db.execute("SELECT * FROM ratings").fetchall())
        train(fresh)
        vectors = "SELECT vector FROM recommend_factors('ratings_mf', 'user', 'rating')"
        self.assertEqual(db.execute(vectors).fetchall(), fresh.execute(vectors).fetchall())

    def test_retrain_keeps_the_options(self):
        db = trained(rank=3, epochs=2, objective="rating", seed=5, biases=False)
        resolved = db.execute("SELECT options FROM recommend_models").fetchone()
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')")
        self.assertEqual(db.execute("SELECT options FROM recommend_models").fetchone(), resolved)

    def test_retrain_from_a_select_is_refused(self):
        db = rated()
        train(db, "SELECT user, item, rating FROM ratings", model="taste")
        self.assert_error(db, "INSERT INTO taste(taste) VALUES('retrain')", "view", '"taste"')

    def test_retrain_from_an_attached_database(self):
        db = rated()
        db.execute("ATTACH ':memory:' AS aux")
        add_ratings(db, made_up_ratings(seed=8), "aux.ratings")
        train(db, "aux.ratings")
        train(db, "aux.ratings", model="main.taste")
        for name in ("aux.ratings_mf(ratings_mf)", "main.taste(taste)"):
            db.execute("INSERT INTO aux.ratings VALUES(1, 50, 5)")
            db.execute(f"INSERT INTO {name} VALUES('retrain')")
        for model in ("aux.ratings_mf", "main.taste"):
            self.assertEqual(db.execute("SELECT reason FROM recommend(1, 1, ?)", (model,)).fetchone(), ("model",))

    def test_retrain_in_a_transaction(self):
        db = trained()
        before = db.execute("SELECT * FROM recommend(1007, 9)").fetchall()
        db.execute("BEGIN")
        db.execute("UPDATE ratings SET rating = 6 - rating")
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')")
        self.assertNotEqual(db.execute("SELECT * FROM recommend(1007, 9)").fetchall(), before)
        db.execute("ROLLBACK")
        self.assertEqual(db.execute("SELECT * FROM recommend(1007, 9)").fetchall(), before)

    def test_retrain_without_the_source(self):
        db = trained()
        before = db.execute("SELECT * FROM recommend(1007, 9)").fetchall()
        db.execute("DROP TABLE ratings")
        self.assert_error(db, "INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')", "ratings")
        self.assertEqual(db.execute("SELECT * FROM recommend(1007, 9)").fetchall(), before)

    def test_integrity_check(self):
        db = trained()
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")
        db.execute("UPDATE ratings_mf_itemfactor SET data = substr(data, 1, 40)")
        self.assert_error(db, "INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')", "damaged", "ratings_mf")

    def test_unknown_commands_and_writes(self):
        db = trained()
        self.assert_error(db, "INSERT INTO ratings_mf(ratings_mf) VALUES('explode')", "'explode'", "retrain", "integrity-check")
        self.assert_error(db, "INSERT INTO ratings_mf(ratings_mf) VALUES('store')", "'store'")
        self.assert_error(db, "INSERT INTO ratings_mf(ratings_mf, _payload) VALUES('store', x'00')", "'store'")
        self.assert_error(db, "INSERT INTO ratings_mf(ratings_mf) VALUES(7)", "ratings_mf", "'7'", "retrain")
        db.execute("UPDATE ratings_mf SET rating = 3 WHERE user = 1")
        self.assertEqual(db.execute("SELECT count(*) FROM ratings_mf").fetchone(), (2400,))


if __name__ == "__main__":
    unittest.main()
