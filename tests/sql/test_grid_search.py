"""recommend_grid_search against the same trials by hand, and the model that it stores against one trained directly."""
import itertools
import json
import os
import unittest

import numpy as np

from support import TestCase, add_ratings, connect, made_up_ratings, rated, shadow_bytes, train
from test_cross_validation import METRICS, CrossTestCase, cross, stored

ROWS = made_up_ratings()
GRID = {"rank": [2, 4], "regularization": [0.5, 3], "algorithm": "als"}
COMBINATIONS = [{"rank": rank, "regularization": regularization, "algorithm": "als"} for rank, regularization in itertools.product([2, 4], [0.5, 3])]


def search(db, trainer, source, grid, **options):
    """The rows, without the seconds, combinations parsed."""
    cursor = db.execute("SELECT * FROM recommend_grid_search(?, ?, ?, ?)", (trainer, source, json.dumps(grid), json.dumps(options)))
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row)) for row in cursor]
    for row in rows:
        assert row.pop("seconds") >= 0
        row["combination"] = json.loads(row["combination"])
    return rows


def stored_bytes(db, model):
    """All of a model but what is random or says how it was asked for."""
    tables = shadow_bytes(db, model)
    tables["config"] = [row for row in tables["config"] if row[0][1] not in ("options", "user_stamp", "item_stamp")]
    return tables


def stored_options(db, model):
    return json.loads(db.execute(f'SELECT value FROM "{model}_config" WHERE key = ?', ("options",)).fetchone()[0])


class Rows(CrossTestCase):
    def setUp(self):
        self.db = rated(ROWS)

    def test_a_part_is_held_out(self):
        """Of which recommend_split(seed, user, item) is below it: 0.2."""
        for part, seed, given in ((0.2, 42, {}), (0.35, 42, {"validation": 0.35}), (0.5, 7, {"validation": 0.5, "seed": 7})):
            rows = search(self.db, "mf_train", "ratings", GRID, epochs=3, **given)
            self.assertEqual([row["combination"] for row in rows], COMBINATIONS)
            for row in rows:
                drawn = f"SELECT * FROM ratings WHERE recommend_split({seed}, user, item)"
                options = {**row["combination"], "epochs": 3, "seed": seed}
                self.assert_equal_trial(row, {metric: value for metric, value in stored(self.db, "mf_train", options.pop("rank"), options, f"{drawn} >= {part}",
                                                                                       f"{drawn} < {part}").items() if metric in METRICS})
                self.assertEqual(row["cold"], 0)

    def test_a_part_of_few(self):
        """What the hash would hold out, but one at the least, and one is left to train on."""
        for rows in (2, 3, 5):
            db = rated(ROWS[:rows])
            for seed in range(8):
                drawn = sorted((db.execute("SELECT recommend_split(?, ?, ?)", (seed, *row[:2])).fetchone()[0], n) for n, row in enumerate(ROWS[:rows]))
                for part in (0.001, 0.2, 0.6, 0.999):
                    held = [n for number, n in drawn if number < part][:rows - 1] or [drawn[0][1]]
                    add_ratings(db, [row for n, row in enumerate(ROWS[:rows]) if n in held], "held")
                    expected = stored(db, "baseline_train", None, {}, "SELECT * FROM ratings EXCEPT SELECT * FROM held", "held")
                    self.assert_equal_trial(search(db, "baseline", "ratings", {}, validation=part, seed=seed)[0], {metric: expected[metric] for metric in METRICS}, (rows, seed, part))
                    db.execute("DROP TABLE held")

    def test_means_over_folds(self):
        for given in ({"folds": 3}, {"folds": 4, "split": "users", "held_out": 0.4}):
            options = {**given, "epochs": 3, "relevance": 3, "k": 4}
            rows = search(self.db, "mf", "ratings", GRID, **options)
            self.assertEqual([row["combination"] for row in rows], COMBINATIONS)
            for row in rows:
                folds = cross(self.db, "mf", "ratings", options["folds"], **{key: value for key, value in options.items() if key != "folds"}, **row["combination"])
                for metric in METRICS:
                    self.assertAlmostEqual(row[metric], np.mean([fold[metric] for fold in folds]), delta=1e-12)
                self.assertEqual(row["cold"], sum(fold["cold"] for fold in folds))

    def test_a_part_of_the_users(self):
        rows = search(self.db, "baseline", "ratings", {"method": ["bias"]}, validation=0.3, split="users", held_out=1)
        users = {row[0] for row in ROWS}
        tested = {user for user in users if self.db.execute("SELECT recommend_split(42, ?)", (user,)).fetchone()[0] < 0.3}
        self.assertTrue(0 < len(tested) < len(users))
        self.assertEqual(rows[0]["cold"], sum(row[0] in tested for row in ROWS))

    def test_grids(self):
        for trainer, grid, options, count in (("mf", {"rank": [8, 16]}, {"epochs": 2}, 2), ("knn_train", {"size": [3, 9], "by": ["item", "user"]}, {}, 4),
                                              ("ease", {"lambda": [1.5, 20, 100]}, {}, 3), ("ease", {"size": [2]}, {"values": "ratings"}, 1), ("baseline", {}, {}, 1),
                                              ("baseline", {"method": "user"}, {}, 1), ("mf", {"regularization": {"rating": 1, "ranking": 2}, "biases": [True, False]}, {"rank": 2}, 2),
                                              ("mf", {"size": [2, 3]}, {"epochs": 2}, 2), ("baseline", {"seed": [1, 2]}, {}, 2)):
            rows = search(self.db, trainer, "ratings", grid, **options)
            lists = {key: value if isinstance(value, list) else [value] for key, value in grid.items()}
            self.assertEqual([row["combination"] for row in rows], [dict(zip(lists, values)) for values in itertools.product(*lists.values())])
            self.assertEqual(len(rows), count)

    def test_the_grid_goes_before_the_options(self):
        self.assertEqual(search(self.db, "mf", "ratings", {"rank": [2, 3]}, rank=9, epochs=2), search(self.db, "mf", "ratings", {"rank": [2, 3]}, epochs=2))

    def test_best_first(self):
        grid = {"rank": [2, 3], "regularization": [0.5, 30, 3]}
        rows = search(self.db, "mf", "ratings", grid, epochs=3)
        for metric, sign in [(None, 1)] + [(metric, 1 if metric in ("rmse", "mae") else -1) for metric in METRICS]:
            given = {"metric": metric} if metric else {}
            best = search(self.db, "mf", "ratings", grid, epochs=3, best_first=True, **given)
            self.assertEqual(best, sorted(rows, key=lambda row: sign * row[metric or "rmse"]), metric)
        self.assertEqual(rows, search(self.db, "mf", "ratings", grid, epochs=3, best_first=False))

    def test_ties_keep_their_order(self):
        rows = search(self.db, "baseline", "ratings", {"score": ["prediction", "popularity"], "seed": [3, 1, 2]}, best_first=True)
        self.assertEqual([row["combination"]["seed"] for row in rows], [3, 1, 2, 3, 1, 2])
        self.assertEqual(len({row["rmse"] for row in rows}), 1)

    def test_the_metric_that_decides(self):
        """RMSE where all have one, else NDCG."""
        for grid, metric in (({"algorithm": ["als", "bpr"]}, "ndcg"), ({"algorithm": ["bpr", "als"]}, "ndcg"), ({"algorithm": ["als", "sgd"]}, "rmse")):
            rows = search(self.db, "mf", "ratings", grid, rank=3, epochs=3, best_first=True)
            self.assertEqual([row[metric] for row in rows], sorted((row[metric] for row in rows), reverse=metric == "ndcg"))
        rows = search(self.db, "mf", "ratings", {"algorithm": ["bpr", "als"]}, rank=3, epochs=3, best_first=True, metric="rmse")
        self.assertEqual([row["combination"]["algorithm"] for row in rows], ["als", "bpr"])
        self.assertIsNone(rows[1]["rmse"])

    def test_implicit(self):
        rows = search(self.db, "mf", "ratings", {"alpha": [0.5, 40]}, rank=3, epochs=3, rating=None, best_first=True)
        self.assertEqual([row["rmse"] for row in rows], [None, None])
        self.assertGreaterEqual(rows[0]["ndcg"], rows[1]["ndcg"])

    def test_threads_do_not_matter(self):
        for options in ({}, {"folds": 3}):
            one, two = (search(self.db, "mf", "ratings", GRID, epochs=3, threads=n, **options) for n in (1, 2))
            self.assertEqual(one, two)

    def test_is_read_once(self):
        calls = []
        self.db.create_function("noted", 1, lambda user: calls.append(user) or user)
        self.db.execute("CREATE VIEW watched AS SELECT noted(user) AS user, item, rating FROM ratings")
        search(self.db, "mf", "watched", GRID, epochs=2, folds=3, model="best")
        self.assertEqual(len(calls), len(ROWS))


class Model(CrossTestCase):
    def best(self, rows, metric="rmse", sign=1):
        return min(rows, key=lambda row: sign * row[metric])["combination"]

    def check(self, trainer, grid, size, rows=ROWS, **options):
        """The model is the one that the best combination makes of everything."""
        db, direct = rated(rows), rated(rows)
        found = search(db, trainer, "ratings", grid, model="best", **options)
        sign = 1 if options.get("metric", "rmse") in ("rmse", "mae") else -1
        best = self.best(found, options.get("metric", "rmse"), sign)
        ours = ("k", "relevance", "validation", "folds", "metric", "best_first", "split", "held_out", "cold_start", "recall")
        given = {key: value for key, value in {**options, **best}.items() if key not in ours and key != size}
        if size:
            train(direct, "ratings", best.get(size, options.get(size)), trainer, model="best", **given)
        else:
            direct.execute(f"SELECT {trainer}('ratings', ?)", (json.dumps({**given, "model": "best"}),)).fetchone()
        self.assertEqual(stored_bytes(db, "best"), stored_bytes(direct, "best"))
        self.assertEqual(stored_options(db, "best"), stored_options(direct, "best"))
        before = stored_bytes(db, "best")
        db.execute("INSERT INTO best(best) VALUES('retrain')")
        self.assertEqual(stored_bytes(db, "best"), before)
        return best

    def test_is_trained_on_everything(self):
        self.check("mf_train", GRID, "rank", epochs=3)
        self.check("mf_train", {"regularization": [1, 3]}, "rank", rank=3, folds=3, k=5, relevance=3, seed=9)
        self.check("mf_train", {"epochs": [1, 3]}, "rank", rank=3, algorithm="sgd", seed=4, threads=2, metric="mae", best_first=True)
        self.check("knn_train", {"size": [3, 9], "by": ["user", "item"]}, "size", metric="ndcg", split="users", held_out=0.5, recall="min")
        self.check("ease_train", {"lambda": [2, 200]}, "lambda", metric="recall", validation=0.3, cold_start="estimate")
        self.check("baseline_train", {"method": ["global", "bias", "user"]}, None)
        self.check("mf_train", {"alpha": [0.5, 40]}, "rank", rank=3, rating=None, metric="ndcg")
        self.check("mf_train", GRID, "rank", epochs=3, history=False)

    def test_a_seed_of_sixteen_digits(self):
        self.check("mf_train", {"epochs": [1, 2]}, "rank", rank=3, seed=2 ** 53 - 1)

    def test_the_winner_depends_on_the_metric(self):
        grid = {"regularization": [0.2, 30]}
        winners = {metric: self.check("mf_train", grid, "rank", rank=4, epochs=5, metric=metric)["regularization"] for metric in ("rmse", "auc")}
        rows = search(rated(ROWS), "mf_train", "ratings", grid, rank=4, epochs=5)
        self.assertEqual(winners, {"rmse": self.best(rows)["regularization"], "auc": self.best(rows, "auc", -1)["regularization"]})

    def test_remembers_the_columns(self):
        """'retrain' reads the same columns, by the same rule."""
        db = connect()
        db.execute("CREATE TABLE log(day, stars, who TEXT, what TEXT, at)")
        db.executemany("INSERT INTO log VALUES(1, ?, ?, ?, ?)", [(r, f"u{u}", f"i{i}", n) for n, (u, i, r) in enumerate(ROWS + ROWS[::7])])
        columns = {"user": "who", "item": "what", "rating": "stars", "timestamp": "at", "duplicates": "mean"}
        search(db, "mf", "log", {"rank": [2, 3]}, epochs=2, model="best", k=3, **columns)
        self.assertEqual({key: stored_options(db, "best").get(key) for key in columns}, columns)
        self.assertNotIn("k", stored_options(db, "best"))
        before = stored_bytes(db, "best")
        db.execute("INSERT INTO best(best) VALUES('retrain')")
        self.assertEqual(stored_bytes(db, "best"), before)

    def test_of_a_select(self):
        db = rated(ROWS)
        search(db, "mf", "SELECT * FROM ratings WHERE rating > 1", {"rank": [2, 3]}, epochs=2, model="best")
        self.assertEqual(len(db.execute("SELECT * FROM recommend(?, 5, 'best')", (ROWS[0][0],)).fetchall()), 5)
        self.assert_error(db, "INSERT INTO best(best) VALUES('retrain')", "view")

    def test_replaces_a_model(self):
        db = rated(ROWS)
        train(db, rank=2, epochs=1)
        before = stored_bytes(db, "ratings_mf")
        search(db, "mf", "ratings", {"rank": [3]}, epochs=2, model="ratings_mf")
        self.assertNotEqual(stored_bytes(db, "ratings_mf"), before)
        self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (1,))

    def test_in_another_schema(self):
        db = rated(ROWS)
        db.execute("ATTACH ':memory:' AS other")
        search(db, "mf", "ratings", {"rank": [3]}, epochs=2, model="other.best")
        self.assertEqual(db.execute("SELECT schema, name FROM recommend_models").fetchall(), [("other", "best")])

    def test_a_database_that_is_read_only(self):
        path = os.path.join(self.folder(), "read.db")
        rated(ROWS).execute("VACUUM INTO ?", (path,))
        db = self.closing(connect(f"file:{path}?mode=ro", uri=True))
        self.assertEqual(len(search(db, "mf", "ratings", {"rank": [2, 3]}, epochs=2)), 2)
        self.assert_error(db, "SELECT * FROM recommend_grid_search('mf', 'ratings', '{\"rank\": 2}', '{\"model\": \"best\"}')",
                          "read-only")
        search(db, "mf", "ratings", {"rank": [2, 3]}, epochs=2, model="temp.best")
        self.assertEqual(db.execute("SELECT schema, name FROM recommend_models").fetchall(), [("temp", "best")])

    def test_no_model_for_who_stops_early(self):
        for more, models in (({}, 0), ({"best_first": True}, 1), ({"stream": False}, 1)):  # in the last two cases everything is done before the first row
            db = rated(ROWS)
            text = json.dumps({"rank": 2, "epochs": 1, "model": "best", **more})
            db.execute("SELECT * FROM recommend_grid_search('mf', 'ratings', '{\"regularization\": [1, 2, 3]}', ?) LIMIT 2", (text,)).fetchall()
            self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (models,))

    def test_the_size_may_be_left_out(self):
        """A combination has the trainer's default then; k-means has none."""
        for trainer, size, default in (("mf", "rank", 32), ("knn", "size", 50), ("ease", "lambda", 500)):
            more = {"epochs": 1} if trainer == "mf" else {}
            columns = "SELECT cold, rmse, ndcg FROM recommend_grid_search(?, 'ratings', '{}', ?)"
            self.assertEqual(rated(ROWS).execute(columns, (trainer, json.dumps(more))).fetchall(),
                             rated(ROWS).execute(columns, (trainer, json.dumps({size: default, **more}))).fetchall())
        self.assert_error(rated(ROWS), "SELECT * FROM recommend_cross_validate('kmeans', 'ratings', 2)", "kmeans_train needs the number of clusters", "clusters")

    def test_is_rolled_back(self):
        db = rated(ROWS)
        db.execute("BEGIN")
        search(db, "mf", "ratings", {"rank": [2]}, epochs=1, model="best")
        self.assertEqual(db.execute("SELECT name FROM recommend_models").fetchall(), [("best",)])
        db.execute("ROLLBACK")
        self.assertEqual(db.execute("SELECT name FROM recommend_models").fetchall(), [])

    def test_is_stored_once(self):
        """Though its rows are read twice."""
        db = rated(ROWS)
        rows = db.execute("SELECT n, combination FROM (SELECT 1 AS n UNION ALL SELECT 2) CROSS JOIN "
                          "recommend_grid_search('mf', 'ratings', '{\"rank\": [2, 3]}', '{\"epochs\": 1, \"model\": \"best\"}')").fetchall()
        self.assertEqual(rows, [(n, json.dumps({"rank": rank}, separators=(",", ":"))) for n in (1, 2) for rank in (2, 3)])


class Errors(TestCase):
    def setUp(self):
        self.db = rated(ROWS)

    def refused(self, trainer, grid, options, *fragments, source="ratings"):
        return self.assert_error(self.db, "SELECT * FROM recommend_grid_search(?, ?, ?, ?)", *fragments,
                                 parameters=(trainer, source, grid if grid is None else json.dumps(grid), json.dumps(options)))

    def test_grids(self):
        for grid, fragments in ((None, ("grid must be a JSON object of lists", '"rank": [16, 32]')), ([2, 3], ("the grid must be a JSON object",)), ({"rank": []}, ('"rank"', "is empty")),
                                ({"rnak": [3]}, ('did you mean "rank"',)), ({"rank": [3], "epohcs": [3]}, ('did you mean "epochs"',)),
                                ({"rank": list(range(1, 400)), "epochs": list(range(1, 400))}, ("more than 100000",)), ({"rank": ["3"]}, ('"rank" must be a number', '(with {"rank":"3"})'))):
            self.refused("mf", grid, {}, "recommend_grid_search", *fragments)
        for text, fragment in (('{"rank": [2', "grid"), ('{"rank": [2], "rank": [3]}', "twice"), ("{} {}", "near")):
            self.assert_error(self.db, "SELECT * FROM recommend_grid_search('mf', 'ratings', ?)", fragment, parameters=(text,))

    def test_what_can_not_vary(self):
        for name in ("k", "relevance", "metric", "user", "rating", "duplicates", "model", "split", "validation", "folds"):
            self.refused("mf", {"rank": [2], name: [1, 2]}, {}, f'"{name}" can\'t vary', "mf_train", "recommend_grid_search")
        self.refused("mf", {"rank": [2], "test": [0.1]}, {}, '"test"', "leave it out")
        self.refused("mf", {"rank": [2]}, {"test": 0.1}, '"test"', "leave it out")
        self.refused("mf", {"rank": [2], "size": [2]}, {}, '"rank" and "size"')

    def test_options(self):
        for options, fragments in (({"folds": 3, "validation": 0.1}, ('"validation" and "folds"',)), ({"folds": 1}, ('"folds"', "from 2")), ({"validation": 1}, ('"validation"',)),
                                   ({"metric": "rsme"}, ('"metric"', '"rmse", "mae"')), ({"best-first": True}, ('"best_first"',)), ({"validaton": 0.1}, ('"validation"',)),
                                   ({"held_out": 0.2}, ('"split": "users"',)), ({"learning_rate": 1}, ("learning_rate", "als", '(with {"rank":2})'))):
            self.refused("mf", {"rank": [2]}, options, *fragments)
        self.refused("tfidf", {"rank": [2]}, {}, "recommend_grid_search", "'mf_train'")
        self.refused("mf", {"rank": [2]}, {}, "quotes", source=None)
        self.refused("baseline", {}, {}, "too few ratings (1)", source="SELECT * FROM ratings LIMIT 1")
        self.refused("baseline", {}, {"split": "users"}, "no user has two ratings", source="SELECT * FROM ratings LIMIT 1")
        self.refused("baseline", {}, {"split": "users", "held_out": 1}, "too few users (1)", source="SELECT * FROM ratings WHERE user = (SELECT max(user) FROM ratings)")

    def test_a_combination_that_fails(self):
        options = {"rank": 2, "algorithm": "sgd", "schedule": "constant", "model": "best"}
        cursor = self.db.execute("SELECT combination FROM recommend_grid_search('mf', 'ratings', '{\"learning_rate\": [0.01, 0.02, 1000, 0.03]}', ?)", (json.dumps(options),))
        self.assertEqual(cursor.fetchone(), ('{"learning_rate":0.01}',))
        with self.assertRaisesRegex(Exception, r'learning_rate.*\(with {"learning_rate":1000}\)'):
            cursor.fetchall()
        # What can't be trained at all is found before anything is tried.
        self.refused("mf", {"rank": [2, 3, 0, 4]}, {"epochs": 1, "model": "best"}, "rank must be", '(with {"rank":0})')
        self.assertEqual(self.db.execute("SELECT count(*) FROM recommend_models").fetchone(), (0,))
        self.refused("mf", {"rank": [2], "algorithm": ["als", "sgd"]}, {"nu": 1}, '"nu" is not for "sgd"', '(with {"rank":2,"algorithm":"sgd"})')

    def test_names_are_checked_before_anything_is_tried(self):
        for name, fragment in (("ratings", "exists and is not a model"), ("nowhere.best", "no database"), ("score", "score")):
            with self.assertRaisesRegex(Exception, fragment):
                self.db.execute("SELECT * FROM recommend_grid_search('mf', 'ratings', '{\"rank\": [2, 3]}', ?)", (json.dumps({"model": name}),)).fetchone()

    def test_nothing_to_decide_by(self):
        self.refused("ease", {"lambda": [2]}, {"metric": "rmse", "model": "best"}, '"rmse"', '"metric"')
        self.refused("mf", {"rank": [2]}, {"metric": "ndcg", "relevance": 9, "model": "best", "epochs": 1}, '"ndcg"', '"metric"')
        self.assertEqual(self.db.execute("SELECT count(*) FROM recommend_models").fetchone(), (0,))


if __name__ == "__main__":
    unittest.main()
