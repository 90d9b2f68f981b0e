"""recommend_cross_validate against a model trained on the other folds, stored, and judged by recommend_evaluate; against
NumPy; against published errors on MovieLens 100K."""
import json
import math
import os
import unittest

import numpy as np

from support import TestCase, add_ratings, connect, data_file, made_up_ratings, rated

ROWS = made_up_ratings()
LISTS = ("precision", "recall", "map", "ndcg", "mrr", "hit_rate")
METRICS = ("rmse", "mae", "accuracy") + LISTS + ("auc",)
TRAINERS = (
    ("baseline_train", None, {}),
    ("baseline_train", None, {"method": "item", "score": "prediction"}),
    ("knn_train", 10, {"similarity": "pearson", "center": "mean"}),
    ("knn_train", 8, {"neighbors": "raters", "min_support": 2}),
    ("knn_train", 10, {"by": "user", "similarity": "msd", "neighbors": "raters"}),
    ("knn_train", 10, {"by": "user"}),
    ("mf_train", 4, {"epochs": 4}),
    ("mf_train", 4, {"epochs": 4, "objective": "rating"}),
    ("mf_train", 4, {"epochs": 3, "algorithm": "sgd", "seed": 7}),
    ("mf_train", 4, {"epochs": 3, "algorithm": "svdpp"}),
    ("mf_train", 4, {"algorithm": "svd"}),
    ("mf_train", 4, {"epochs": 3, "algorithm": "bpr"}),
    ("ease_train", 20, {}),
    ("ease_train", 20, {"values": "ratings"}),
)
SIZES = {"mf_train": "rank", "ease_train": "lambda", "knn_train": "size"}


def cross(db, trainer, source, folds, **options):
    """The rows, without the seconds."""
    cursor = db.execute("SELECT * FROM recommend_cross_validate(?, ?, ?, ?)", (trainer, source, folds, json.dumps(options)))
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row)) for row in cursor]
    for row in rows:
        assert row.pop("seconds") >= 0
    return rows


def split(db, *key):
    return db.execute("SELECT recommend_split(" + ", ".join("?" * len(key)) + ")", key).fetchone()[0]


def dealt(numbers, n):
    """Folds 1 … n, evenly, in order of the numbers; of equal ones in order of place."""
    order = sorted(range(len(numbers)), key=lambda place: (numbers[place], place))
    folds = [None] * len(numbers)
    for p, place in enumerate(order):
        folds[place] = p * n // len(numbers) + 1
    return folds


def fold_table(db, rows, folds, name="folded", **types):
    """Ratings with a column `fold`."""
    db.execute(f"CREATE TABLE {name}(user {types.get('user', 'INTEGER')}, item {types.get('item', 'INTEGER')}, rating REAL, fold)")
    db.executemany(f"INSERT INTO {name} VALUES(?, ?, ?, ?)", [(*row, fold) for row, fold in zip(rows, folds)])


def stored(db, trainer, size, options, rest, held, judging=None):
    """The same by way of a stored model: trained on the rows of one SELECT, judged on those of another."""
    arguments = (rest, json.dumps({**options, "model": "m"}))
    if size is None:
        db.execute(f"SELECT {trainer}(?, ?)", arguments).fetchone()
    else:
        db.execute(f"SELECT {trainer}(?, ?, ?)", (rest, size, arguments[1])).fetchone()
    found = {row[0]: row[1] for row in db.execute("SELECT metric, value FROM recommend_evaluate('m', ?, ?)", (held, json.dumps(judging or {})))}
    counts = db.execute("SELECT users, items FROM recommend_models WHERE name = 'm'").fetchone()
    db.execute("DROP TABLE m")
    return {**{metric: found.get(metric) for metric in METRICS}, "users": counts[0], "items": counts[1]}


class CrossTestCase(TestCase):
    def assert_equal_trial(self, row, expected, message=None):
        for key, value in expected.items():
            if isinstance(value, float):
                self.assertIsNotNone(row[key], (message, key))
                self.assertAlmostEqual(row[key], value, delta=1e-9, msg=(message, key))
            else:
                self.assertEqual(row[key], value, (message, key))


class AgainstStoredModels(CrossTestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = connect()
        cls.folds = [n * 7 % 5 + 10 if n % 11 else None for n in range(len(ROWS))]
        fold_table(cls.db, ROWS, cls.folds)

    def check(self, trainer, size, options, columns="user, item, rating", judging=None, **more):
        given = {**options, **more}
        if size is not None:
            given[SIZES[trainer]] = size
        rows = cross(self.db, trainer, f"SELECT {columns}, fold FROM folded", "fold", **given)
        self.assertEqual([row["fold"] for row in rows], [10, 11, 12, 13, 14])
        for row in rows:
            fold = row["fold"]
            expected = stored(self.db, trainer, size, options, f"SELECT {columns} FROM folded WHERE fold IS NOT {fold}",
                              f"SELECT {columns} FROM folded WHERE fold = {fold}", judging)
            expected["tested"] = self.folds.count(fold)
            expected["trained"] = len(ROWS) - expected["tested"]
            self.assert_equal_trial(row, expected, (trainer, given))
        return rows

    def test_each_trainer(self):
        for trainer, size, options in TRAINERS:
            rows = self.check(trainer, size, options)
            self.assertEqual(rows, cross(self.db, trainer[:-6], "folded", "fold", **options, **({SIZES[trainer]: size} if size else {})))

    def test_options_of_judging(self):
        for trainer, size, options in (TRAINERS[0], TRAINERS[6], TRAINERS[12]):
            for more, judging in (({"relevance": 3.5}, {"threshold": 3.5}), ({"k": 3}, {"k": 3}), ({"recall": "min", "k": 2}, {"recall": "min", "k": 2})):
                self.check(trainer, size, options, judging=judging, **more)

    def test_nothing_is_relevant(self):
        for row in cross(self.db, "baseline", "folded", "fold", relevance=6):
            self.assertEqual([row[metric] for metric in LISTS + ("auc",)], [None] * 7)
            self.assertIsNotNone(row["rmse"])

    def test_a_threshold_is_the_trainers(self):
        rows = cross(self.db, "knn", "folded", "fold", size=10, threshold=0.5)
        self.assertNotEqual(rows, cross(self.db, "knn", "folded", "fold", size=10))

    def test_implicit(self):
        for trainer, size, options in (("baseline_train", None, {}), ("mf_train", 4, {"epochs": 3}), ("knn_train", 5, {}), ("knn_train", 5, {"by": "user"}), ("ease_train", 9, {}),
                                       ("mf_train", 4, {"epochs": 3, "algorithm": "logistic"})):
            options = {**options, "rating": None}
            rows = self.check(trainer, size, options)
            self.assertTrue(all(row["rmse"] is None and row["ndcg"] > 0 for row in rows))

    def test_sizes_by_their_general_name(self):
        for trainer, name in SIZES.items():
            self.assertEqual(cross(self.db, trainer, "folded", "fold", size=6), cross(self.db, trainer, "folded", "fold", **{name: 6}))

    def test_threads_do_not_matter(self):
        for trainer, size, options in TRAINERS:
            one, two = (cross(self.db, trainer, "folded", 3, threads=n, **options, **({SIZES[trainer]: size} if size else {})) for n in (1, 2))
            self.assertEqual(one, two)

    def test_history_need_not_be_stored(self):
        self.assertEqual(cross(self.db, "mf", "folded", 3, rank=3, history=False), cross(self.db, "mf", "folded", 3, rank=3))

    def test_nothing_is_stored(self):
        schema = "SELECT name, sql FROM sqlite_schema ORDER BY name"
        before = self.db.execute(schema).fetchall()
        changes = self.db.total_changes
        cross(self.db, "mf", "folded", 3, rank=3)
        self.assertEqual((self.db.execute(schema).fetchall(), self.db.total_changes), (before, changes))

    def test_a_database_that_is_read_only(self):
        path = os.path.join(self.folder(), "read.db")
        self.db.execute("VACUUM INTO ?", (path,))
        db = self.closing(connect(f"file:{path}?mode=ro", uri=True))
        for trainer, size in (("baseline", {}), ("mf", {"rank": 3}), ("knn", {}), ("ease", {})):
            self.assertEqual(cross(db, trainer, "folded", 3, **size), cross(self.db, trainer, "folded", 3, **size))


class Folds(CrossTestCase):
    def setUp(self):
        self.db = rated(ROWS)

    def by_column(self, folds, trainer="mf", **options):
        self.db.execute("DROP TABLE IF EXISTS folded")
        fold_table(self.db, ROWS, folds)
        return cross(self.db, trainer, "folded", "fold", **options)

    def test_of_rows(self):
        """Evenly, in order of recommend_split(seed, user, item)."""
        for seed, n in ((42, 5), (3, 7), (42, 2)):
            rows = cross(self.db, "mf", "ratings", n, rank=3, epochs=2, seed=seed)
            folds = dealt([split(self.db, seed, user, item) for user, item, _ in ROWS], n)
            self.assertEqual(rows, self.by_column(folds, rank=3, epochs=2, seed=seed))
            self.assertEqual(sum(row["tested"] for row in rows), len(ROWS))
            for row in rows:
                self.assertEqual(row["tested"] + row["trained"], len(ROWS))
                self.assertIn(row["tested"], (len(ROWS) // n, len(ROWS) // n + 1))
        self.assertEqual(rows, cross(self.db, "mf", "ratings", 2, rank=3, epochs=2))  # 42 is the default
        self.assertNotEqual(rows, cross(self.db, "mf", "ratings", 2, rank=3, epochs=2, seed=3))

    def held_out(self, user, part):
        entries = sorted((split(self.db, 42, u, i), n) for n, (u, i, _) in enumerate(ROWS) if u == user)
        count = len(entries) if part == 1 else min(len(entries) - 1, max(1, int(part * len(entries) + 0.5)))
        return [n for _, n in entries[:count]]

    def test_of_users(self):
        """Each user is in one fold, evenly, in order of recommend_split(seed, user), with a part of what they did."""
        users = sorted({row[0] for row in ROWS})
        fold_of = dict(zip(users, dealt([split(self.db, 42, user) for user in users], 4)))
        for part, given in ((0.2, {}), (0.5, {"held_out": 0.5}), (0.99, {"held_out": 0.99}), (1, {"held_out": 1})):
            folds = [None] * len(ROWS)
            for user in users:
                for n in self.held_out(user, part):
                    folds[n] = fold_of[user]
            rows = cross(self.db, "mf", "ratings", 4, rank=3, epochs=2, split="users", **given)
            self.assertEqual(rows, self.by_column(folds, rank=3, epochs=2))
            for row in rows:
                tested = {ROWS[n][0] for n in range(len(ROWS)) if folds[n] == row["fold"]}
                self.assertEqual(row["users"], len(users) - (len(tested) if part == 1 else 0))
                self.assertEqual(row["cold"], row["tested"] if part == 1 else 0)

    def test_all_of_a_user(self):
        """Unknown users are recommended what is popular."""
        for row in cross(self.db, "baseline", "ratings", 4, split="users", held_out=1, cold_start="estimate"):
            self.assertEqual(row["cold"], row["tested"])
            self.assertTrue(row["rmse"] > 0 and row["ndcg"] > 0)
        for row in cross(self.db, "baseline", "ratings", 4, split="users", held_out=1):
            self.assertEqual([row[metric] for metric in METRICS], [None] * len(METRICS))

    def test_users_of_one_rating_are_never_tested(self):
        db = rated([(1, 1, 3.0), (2, 1, 4.0), (3, 1, 4.0), (3, 2, 2.0), (4, 1, 1.0), (4, 2, 5.0), (5, 2, 5.0), (5, 3, 2.0), (6, 1, 2.0), (6, 3, 3.0)])
        for seed in range(5):
            rows = cross(db, "baseline", "ratings", 2, split="users", seed=seed)
            self.assertEqual([row["tested"] for row in rows], [2, 2])
            self.assertEqual([row["tested"] for row in cross(db, "baseline", "ratings", 4, split="users", seed=seed)], [1] * 4)
            self.assertEqual(sorted(row["tested"] for row in cross(db, "baseline", "ratings", 6, split="users", seed=seed, held_out=1)), [1, 1, 2, 2, 2, 2])
        for given, count in (({}, 4), ({"held_out": 1}, 6)):
            self.assert_error(db, "SELECT * FROM recommend_cross_validate('baseline', 'ratings', 7, ?)", "more folds (7) than users", f"({count})", "make fewer",
                              parameters=(json.dumps({"split": "users", **given}),))
        db.execute("DELETE FROM ratings WHERE user IN (3, 4, 5, 6)")
        self.assert_error(db, "SELECT * FROM recommend_cross_validate('baseline', 'ratings', 2, '{\"split\": \"users\"}')", "no user has two ratings")

    def test_few_rows(self):
        """Whatever the seed, every trainer gets every fold that there can be."""
        few = [(1, 1, 5.0), (2, 1, 4.0), (2, 2, 3.0), (3, 3, 2.0), (3, 1, 4.0), (3, 2, 5.0)]
        db = rated(few)
        for trainer, options in (("mf", {"size": 2}), ("mf", {"size": 2, "algorithm": "sgd"}), ("mf", {"size": 2, "algorithm": "bpr"}), ("knn", {"size": 2}), ("ease", {"size": 2}), ("baseline", {})):
            for n in range(2, len(few) + 1):
                for seed in range(6):
                    tested = [row["tested"] for row in cross(db, trainer, "ratings", n, seed=seed, **options)]
                    self.assertEqual((len(tested), sum(tested), max(tested) - min(tested) <= 1), (n, len(few), True), (trainer, n, seed))
            self.assert_error(db, "SELECT * FROM recommend_cross_validate(?, 'ratings', 7, ?)", "more folds (7) than ratings (6): make fewer folds", parameters=(trainer, json.dumps(options)))

    def test_leave_one_out(self):
        rows = ROWS + [(5, 50, 3.0)]  # a user of one rating is not tested
        db = rated(rows)
        db.execute("CREATE TABLE draws AS SELECT *, recommend_split(42, user, item) AS drawn FROM ratings")
        db.execute("CREATE TABLE held AS SELECT user, item, rating FROM draws GROUP BY user HAVING count(*) > 1 AND min(drawn)")
        for trainer, size, options in (TRAINERS[0], TRAINERS[2], TRAINERS[6]):
            got = cross(db, trainer, "ratings", "leave-one-out", **options, **({SIZES[trainer]: size} if size else {}))
            self.assertEqual(len(got), 1)
            self.assertEqual((got[0]["fold"], got[0]["tested"], got[0]["users"]), (1, len({row[0] for row in ROWS}), len({row[0] for row in rows})))
            self.assert_equal_trial(got[0], stored(db, trainer, size, options, "SELECT * FROM ratings EXCEPT SELECT * FROM held", "held"), trainer)
        self.assertNotEqual(got, cross(db, trainer, "ratings", "LEAVE-ONE-OUT", seed=5, rank=4, epochs=4))

    def test_cold_rows(self):
        rows = [(u, i, r) for u, i, r in ROWS if u % 3 or i % 2] + [(9001, 77001, 4.0), (9002, 50, 2.0), (ROWS[0][0], 77002, 5.0)]
        folds = [n % 3 for n in range(len(rows))]
        self.db.execute("DROP TABLE IF EXISTS folded")
        fold_table(self.db, rows, folds)
        cold = 0
        for start in ("drop", "estimate"):
            for row in cross(self.db, "mf", "folded", "fold", rank=3, cold_start=start):
                kept = [r for r, fold in zip(rows, folds) if fold != row["fold"]]
                users, items = {r[0] for r in kept}, {r[1] for r in kept}
                unknown = sum(r[0] not in users or r[1] not in items for r, fold in zip(rows, folds) if fold == row["fold"])
                self.assertEqual((row["cold"], row["users"], row["items"]), (unknown, len(users), len(items)))
                cold += unknown
                self.assert_equal_trial(row, stored(self.db, "mf_train", 3, {}, f"SELECT user, item, rating FROM folded WHERE fold <> {row['fold']}",
                                                    f"SELECT user, item, rating FROM folded WHERE fold = {row['fold']}", {"cold_start": start}))
        self.assertEqual(cold, 6)

    def test_labels(self):
        self.assertEqual([row["fold"] for row in self.by_column([[2.5, -1, 0][n % 3] for n in range(len(ROWS))], "baseline")], [-1, 0, 2.5])
        self.assertEqual([row["fold"] for row in self.by_column([["7", "", "3"][n % 3] for n in range(len(ROWS))], "baseline")], [3, 7])

    def test_a_fold_without_a_rating(self):
        """Such rows count for nothing, wherever they come among a user's."""
        folds = [n % 3 for n in range(len(ROWS))]
        expected = self.by_column(folds, rank=3, epochs=2)
        users = sorted({row[0] for row in ROWS})
        self.db.executemany("INSERT INTO folded VALUES(?, ?, NULL, ?)", [(user, item, 1) for user in users for item in (1, 51, 99999)])
        self.db.executemany("INSERT INTO folded VALUES(?, ?, NULL, 8)", [(user, 1) for user in (1, 99999)])
        self.assert_error(self.db, "SELECT * FROM recommend_cross_validate('baseline', 'folded', 'fold')", "fold 8", "nothing to test", "NULL")
        self.db.execute("DELETE FROM folded WHERE fold = 8")
        self.assertEqual(cross(self.db, "mf", "folded", "fold", rank=3, epochs=2), expected)


class Sources(CrossTestCase):
    def setUp(self):
        self.db = rated(ROWS)
        self.expected = cross(self.db, "mf", "ratings", 3, rank=3, epochs=2)

    def test_forms(self):
        self.db.execute("CREATE VIEW v AS SELECT rating AS r, item AS i, user AS u FROM ratings")
        self.db.execute("CREATE TEMP TABLE here AS SELECT * FROM ratings")
        self.db.execute("ATTACH ':memory:' AS other")
        self.db.execute("CREATE TABLE other.there AS SELECT * FROM ratings ORDER BY rating")
        for source, options in (("SELECT user, item, rating FROM ratings ORDER BY random()", {}), ("v", {"user": "u", "item": "i", "rating": "r"}), ("main.ratings", {}),
                                ("here", {}), ("other.there", {}), ("SELECT * FROM v", {"user": "u", "item": "i", "rating": "r"})):
            self.assertEqual(cross(self.db, "mf", source, 3, rank=3, epochs=2, **options), self.expected, source)

    def test_untidy_rows(self):
        """Texts, NULLs and duplicates, against the same rows tidied up."""
        tidy = [(f"user {u}", f"ïtem {i}", r) for u, i, r in ROWS]
        untidy = [row for row in tidy] + [(None, "ïtem 1", 3), ("user 1", None, 2), ("user 1007", "ïtem 50", None), ("user 1007", "ïtem 50", "")]
        untidy += [(u, i, r + 1) for u, i, r in tidy[::5]]
        random = np.random.RandomState(1)
        untidy = [untidy[n] for n in random.permutation(len(untidy))]
        for rule in ("mean", "sum"):
            db = connect()
            for name, rows in (("tidy", [(u, i, r if n % 5 else {"mean": r + 0.5, "sum": 2 * r + 1}[rule]) for n, (u, i, r) in enumerate(tidy)]), ("untidy", untidy)):
                add_ratings(db, rows, name, "TEXT", "TEXT", "")
            self.assertEqual(cross(db, "mf", "untidy", 3, rank=3, epochs=2, duplicates=rule), cross(db, "mf", "tidy", 3, rank=3, epochs=2))
        self.assert_error(db, "SELECT * FROM recommend_cross_validate('mf', 'untidy', 3, '{\"rank\": 3, \"duplicates\": \"error\"}')", "recommend_cross_validate", "more than once")

    def test_is_read_once(self):
        calls = []
        self.db.create_function("noted", 1, lambda user: calls.append(user) or user)
        self.db.execute("CREATE VIEW watched AS SELECT noted(user) AS user, item, rating, item % 4 AS fold FROM ratings")
        cross(self.db, "mf", "watched", 7, rank=3, epochs=2)
        self.assertEqual(len(calls), len(ROWS))
        calls.clear()
        twice = self.db.execute("SELECT n, fold FROM (SELECT 1 AS n UNION ALL SELECT 2) CROSS JOIN recommend_cross_validate('baseline', 'watched', 3)").fetchall()
        self.assertEqual((twice, len(calls)), ([(n, fold) for n in (1, 2) for fold in (1, 2, 3)], len(ROWS)))
        calls.clear()
        cross(self.db, "baseline", "watched", "fold")  # once for the ratings, once for the folds
        self.assertEqual(len(calls), 2 * len(ROWS))

    def test_changes_between_folds_are_not_seen(self):
        cursor = self.db.execute("SELECT * FROM recommend_cross_validate('mf', 'ratings', 3, '{\"rank\": 3, \"epochs\": 2}')")
        names = [column[0] for column in cursor.description]
        rows = []
        for row in cursor:
            rows.append(dict(zip(names, row)))
            rows[-1].pop("seconds")
            self.db.execute("DELETE FROM ratings WHERE user % 2 = 0")
        self.assertEqual(rows, self.expected)


class Errors(CrossTestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = connect()
        fold_table(cls.db, ROWS, [1] * len(ROWS), "one")
        fold_table(cls.db, ROWS, range(len(ROWS)), "many")
        fold_table(cls.db, ROWS, ["train", "test"] * len(ROWS), "words")
        fold_table(cls.db, ROWS, [None] * len(ROWS), "none")
        cls.db.execute("CREATE TABLE empty(user, item, rating)")
        cls.db.execute("CREATE TABLE gaps(user, item, rating)")
        cls.db.execute("INSERT INTO gaps VALUES(1, NULL, 3), (1, 2, NULL)")

    def refused(self, trainer, source, folds, options, *fragments):
        return self.assert_error(self.db, "SELECT * FROM recommend_cross_validate(?, ?, ?, ?)", *fragments,
                                 parameters=(trainer, source, folds, options if options is None else json.dumps(options)))

    def test_trainers(self):
        names = self.db.execute("SELECT group_concat(name, ', ') FROM (SELECT DISTINCT quote(trainer) AS name FROM recommend_trainers WHERE learns_from <> 'texts')").fetchone()[0]
        for trainer in ("mf_trian", "tfidf", "tfidf_train", "", None, 5):
            self.refused(trainer, "one", 3, None, "recommend_cross_validate", names, "NULL" if trainer is None else f"'{trainer}'")

    def test_sizes(self):
        for trainer, name in SIZES.items():
            if trainer == "kmeans_train":  # the others have a default
                self.refused(trainer, "one", 3, {}, trainer, f'"{name}": ')
            self.refused(trainer, "one", 3, {name: "4"}, f'"{name}" must be a number')
        self.refused("mf", "one", 3, {"rank": 3, "size": 4}, '"rank" and "size"')
        self.refused("mf", "one", 3, {"rank": 2.5}, "rank must be a whole number")
        self.refused("mf", "one", 3, {"rank": 0}, "rank must be a whole number")

    def test_folds(self):
        for folds in (0, 1, -3, 255, 3.5, None, b"5"):
            self.refused("baseline", "one", folds, None, "recommend_cross_validate", "number from 2 to 254", "column", "leave-one-out")
        self.refused("baseline", "one", "fald", None, '"fald"', '"user", "item", "rating", "fold"')
        for table, has in (("one", "fewer"), ("many", "more"), ("none", "fewer")):
            self.refused("baseline", table, "fold", None, 'column "fold"', "2 to 254", has)
        self.refused("baseline", "words", "fold", None, 'column "fold"', "'train'", "not a number")
        self.refused("baseline", "SELECT user, item, rating FROM one LIMIT 3", 50, None, "more folds (50) than ratings (3)", "make fewer folds")
        self.refused("baseline", "SELECT user, item, rating FROM one GROUP BY user", "leave-one-out", None, "two ratings")

    def test_sources(self):
        self.refused("baseline", "onne", 3, None, "recommend_cross_validate", '"onne"', '"one"')
        self.refused("baseline", "empty", 3, None, '"empty" has no ratings', "0 rows")
        self.refused("baseline", "gaps", 3, None, '"gaps" has no ratings', "2 rows, of which 2 lack")
        self.refused("baseline", None, 3, None, "source", "quotes")
        self.refused("baseline", "one", 3, {"rating": "stars"}, '"stars"')
        self.refused("baseline", "SELECT user, item, rating FROM", 3, None, "recommend_cross_validate")
        self.assert_error(self.db, "SELECT * FROM recommend_cross_validate('mf', 'one')", "recommend_cross_validate(trainer, source, folds")

    def test_options(self):
        for options, fragments in (({"relevanse": 3}, ('"relevance"',)), ({"epohcs": 3}, ('"epochs"',)), ({"rnak": 3}, ('"rank"',)), ({"splt": "rows"}, ('"split"',)),
                                   ({"xyz": 1}, ("there are", "cold_start", "algorithm", "rank")), ({"": 1}, ('option "" is unknown',)), ({"test": 0.2}, ('"test"', "leave it out")),
                                   ({"model": "m"}, ('"model"', "recommend_grid_search")), ({"held_out": 0.3}, ('"held_out"', '"split": "users"')),
                                   ({"k": 0}, ('"k" must be',)), ({"split": "items"}, ('"rows", "users"',)), ({"algorithm": "al"}, ("mf_train", '"als"'))):
            self.refused("mf", "one", 3, {"rank": 3, **options}, *fragments)
        self.refused("baseline", "one", "leave-one-out", {"split": "users"}, '"split" goes with a number of folds')
        self.refused("knn", "one", 3, {"size": 3, "history": False}, "knn_train", '"history"')
        message = self.refused("mf", "one", 3, {"rank": 3, "xyz": 1}, "there are")
        self.assertNotIn("model", message)
        for text, fragment in (('{"rank": 3', "JSON"), ("[3]", "JSON object"), ('{"rank": 3, "rank": 4}', '"rank" is given twice'), ('{"rank": 3} x', "near")):
            self.assert_error(self.db, "SELECT * FROM recommend_cross_validate('mf', 'one', 3, ?)", "recommend_cross_validate", fragment, parameters=(text,))

    def test_not_from_views(self):
        self.db.execute("CREATE VIEW IF NOT EXISTS v AS SELECT * FROM recommend_cross_validate('baseline', 'one', 3)")
        self.assert_error(self.db, "SELECT * FROM v", "unsafe use")


class AgainstNumpy(CrossTestCase):
    def test_damped_biases(self):
        db = rated(ROWS)
        users, items = ({id: n for n, id in enumerate(sorted({row[side] for row in ROWS}))} for side in (0, 1))
        u, i, r = (np.array(column) for column in zip(*[(users[a], items[b], c) for a, b, c in ROWS]))
        fold = np.array(dealt([split(db, 42, a, b) for a, b, _ in ROWS], 3))
        for row in cross(db, "baseline", "ratings", 3):
            rest, held = fold != row["fold"], fold == row["fold"]
            mean, of_user, of_item = r[rest].mean(), np.zeros(len(users)), np.zeros(len(items))
            for _ in range(10):
                of_item = np.bincount(i[rest], r[rest] - mean - of_user[u[rest]], len(items)) / (10 + np.bincount(i[rest], minlength=len(items)))
                of_user = np.bincount(u[rest], r[rest] - mean - of_item[i[rest]], len(users)) / (15 + np.bincount(u[rest], minlength=len(users)))
            error = np.clip(mean + of_user[u[held]] + of_item[i[held]], r[rest].min(), r[rest].max()) - r[held]
            self.assertAlmostEqual(row["rmse"], math.sqrt((error ** 2).mean()), places=5)
            self.assertAlmostEqual(row["mae"], np.abs(error).mean(), places=5)
            self.assertAlmostEqual(row["accuracy"], (np.abs(error) <= 0.5).mean(), places=5)


class MovieLens(CrossTestCase):
    @classmethod
    def setUpClass(cls):
        data = np.loadtxt(data_file("ml-100k", "u.data"), int)
        order = np.arange(len(data))
        np.random.RandomState(0).shuffle(order)
        fold = np.zeros(len(data), int)
        for n, block in enumerate(np.array_split(order, 5)):
            fold[block] = n
        cls.db = connect()
        cls.db.execute("BEGIN")
        fold_table(cls.db, [tuple(row) for row in data[:, :3].tolist()], fold.tolist())
        cls.db.execute("COMMIT")

        cls.data, cls.fold = data, fold

    def check(self, trainer, options, rmse, mae):
        """Published as if the global mean had been predicted for what is unknown: such rows are dropped, and added here."""
        squares, absolutes = [], []
        for row in cross(self.db, trainer, "folded", "fold", **options):
            rest, held = self.data[self.fold != row["fold"]], self.data[self.fold == row["fold"]]
            cold = ~(np.isin(held[:, 0], rest[:, 0]) & np.isin(held[:, 1], rest[:, 1]))
            self.assertEqual((row["tested"], row["cold"]), (20000, cold.sum()))
            errors = held[cold, 2] - rest[:, 2].mean()
            squares.append(math.sqrt((row["rmse"] ** 2 * (20000 - len(errors)) + (errors ** 2).sum()) / 20000))
            absolutes.append((row["mae"] * (20000 - len(errors)) + np.abs(errors).sum()) / 20000)
        self.assertAlmostEqual(np.mean(squares), rmse, delta=1e-4)
        self.assertAlmostEqual(np.mean(absolutes), mae, delta=1e-4)

    def test_means_and_biases(self):
        """Here the mean or the biases that are known are published, too."""
        for method, rmse, mae in (("global", 1.125676, 0.944709), ("user", 1.041935, 0.834987), ("item", 1.024942, 0.817317), ("bias", 0.943969, 0.748373)):
            rows = cross(self.db, "baseline", "folded", "fold", method=method, cold_start="estimate")
            self.assertAlmostEqual(np.mean([row["rmse"] for row in rows]), rmse, delta=1e-4)
            self.assertAlmostEqual(np.mean([row["mae"] for row in rows]), mae, delta=1e-4)

    def test_neighbors(self):
        for center, rmse, mae in (("mean", 0.951085, 0.749458), ("none", 0.979734, 0.773628)):
            self.check("knn", {"size": 40, "by": "user", "similarity": "msd", "neighbors": "raters", "center": center}, rmse, mae)


if __name__ == "__main__":
    unittest.main()
