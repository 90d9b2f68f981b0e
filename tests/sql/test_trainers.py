"""recommend_trainers and recommend_options against what the trainers do, and the documents' tables of options against them."""
import glob
import json
import os
import re
import unittest

from support import ROOT, TestCase, connect, made_up_ratings, rated, shadow_bytes

# Algorithms that are no choice of an option, and what it takes that a model is trained by them.
CHOSEN = {"minibatch": {"batch_size": 16}, "lsa": {"lsa": 2}, "word2vec": {"word2vec": 2, "epochs": 1}, "embedding": {"embedding": "vector"}}


def asking_for(db, trainer, algorithm):
    """The options by which a trainer's algorithm is asked for: the first that has it among its choices, if there is one."""
    options = db.execute("SELECT option FROM recommend_options(?) WHERE instr(range, ?)", (trainer, f'"{algorithm}"')).fetchall()
    return CHOSEN.get(algorithm, {options[0][0]: algorithm} if options else {})


def sources():
    """A database with ratings, and with what their items are."""
    db = rated(made_up_ratings(users=30, items=20))
    db.execute("CREATE TABLE items AS SELECT DISTINCT item, 'a fox' || (item % 3) || ' and a bird' || (item % 4) AS text FROM ratings")
    db.execute("CREATE TABLE vectors AS SELECT item, '[' || (item % 3) || ', ' || (item % 4) || ', 1]' AS vector FROM items")
    return db


def call(db, trainer, algorithm=None, options={}):
    """Trains the model m by the defaults, but for the options; sizes that have no default are 3."""
    sized = db.execute("SELECT option, \"default\" FROM recommend_options(?) LIMIT 1", (trainer,)).fetchone()
    size, learns_from = db.execute("SELECT size, learns_from FROM recommend_trainers WHERE trainer = ?", (trainer,)).fetchone()
    given = {"model": "m", **(asking_for(db, trainer, algorithm) if algorithm else {}), **options}
    if size and sized[1] is None and size not in given:
        given[size] = 3
    source = "ratings" if learns_from != "texts" else "vectors" if "embedding" in given else "items"
    if learns_from == "texts":
        given.setdefault("ratings", "ratings")
    return db.execute(f"SELECT {trainer}(?, ?)", (source, json.dumps(given))).fetchone()[0]


class Trainers(TestCase):
    def setUp(self):
        self.db = self.closing(sources())
        self.rows = self.db.execute("SELECT trainer, algorithm, kind, answers FROM recommend_trainers").fetchall()
        self.trainers = list(dict.fromkeys(row[0] for row in self.rows))

    def test_every_function_that_trains_is_there(self):
        functions = {row[0] for row in self.db.execute("SELECT name FROM pragma_function_list WHERE name LIKE '%\\_train' ESCAPE '\\'")}
        modules = {row[0] for row in self.db.execute("SELECT name FROM pragma_module_list WHERE name LIKE '%\\_train' ESCAPE '\\'")}
        self.assertEqual(functions, set(self.trainers))
        self.assertEqual(modules, set(self.trainers))
        self.assertEqual(len(self.rows), len({row[:2] for row in self.rows}))

    def test_each_as_a_table(self):
        """The hidden columns of the table function are the arguments that its usage shows."""
        for trainer, usage, size in self.db.execute("SELECT DISTINCT trainer, usage, size FROM recommend_trainers").fetchall():
            hidden = [row[1] for row in self.db.execute(f"PRAGMA table_xinfo({trainer})") if row[6]]
            self.assertEqual(hidden, ["_source", *(["_" + size] if size else []), "_options"])
            self.assertEqual(usage.count(","), len(hidden) - 1)
            self.assert_error(self.db, f"SELECT * FROM {trainer}", usage)

    def test_each_as_a_virtual_table(self):
        for trainer in self.trainers:
            size = {"kmeans_train": ", size=3"}.get(trainer, "")
            source = "items" if trainer == "tfidf_train" else "ratings"
            self.db.execute(f"CREATE VIRTUAL TABLE taste USING recommender(train={trainer[:-len('_train')]}, source={source}{size})")
            self.db.execute("DROP TABLE taste")
        message = self.assert_error(self.db, "CREATE VIRTUAL TABLE taste USING recommender(train=nope, source=ratings)", "nope")
        for trainer in self.trainers:
            self.assertIn(f"'{trainer}'", message)

    def test_kinds_and_answers(self):
        """A model that is trained from ratings, or by what it takes beside them, can do what its row says."""
        for trainer, algorithm, kind, answers in self.rows:
            with self.subTest(trainer=trainer, algorithm=algorithm):
                summary = json.loads(call(self.db, trainer, algorithm))
                self.assertEqual((summary["family"] + "_train", summary["algorithm"]), (trainer, algorithm))
                stored = dict(self.db.execute("SELECT key, value FROM m_config WHERE key IN ('kind', 'answers')"))
                self.assertEqual((stored["kind"], stored["answers"]), (kind, answers))
                self.db.execute("DROP TABLE m")


class EveryTrainer(TestCase):
    """What must hold of any trainer, for each algorithm that SQL lists: a new one is tested the day it has its row."""

    def each(self, *abilities):
        """Trains a model m by each algorithm whose models have the abilities."""
        db = self.closing(sources())
        for trainer, algorithm, answers in db.execute("SELECT trainer, algorithm, answers FROM recommend_trainers").fetchall():
            if set(abilities) <= set(answers.split(", ")):
                with self.subTest(trainer=trainer, algorithm=algorithm):
                    call(db, trainer, algorithm)
                    yield db, trainer, algorithm
                    db.execute("INSERT INTO m(m) VALUES('integrity-check')")
                    db.execute("DROP TABLE m")

    def test_threads_and_second_runs(self):
        for db, trainer, algorithm in self.each():
            expected = shadow_bytes(db, "m")
            for threads in (1, 3):
                call(db, trainer, algorithm, {"threads": threads})
                self.assertEqual(shadow_bytes(db, "m") == expected, True, threads)

    def test_what_is_held_out(self):
        """A test is one, and no training changes what is seen."""
        for db, trainer, algorithm in self.each("recommend"):
            summary = json.loads(call(db, trainer, algorithm, {"test": 0.2}))
            self.assertGreater(summary["held_out"], 0)
            tests = [head["test"] for head in summary["heads"].values()]
            if (trainer, algorithm) != ("knn_train", "user"):  # whose neighbours would have to be found anew
                self.assertTrue(any(test is not None and test >= 0 for test in tests), tests)
            self.assertEqual(db.execute("SELECT count(*) FROM m WHERE seen").fetchone(), db.execute("SELECT count(*) FROM ratings").fetchone())

    def test_recommend(self):
        for db, trainer, algorithm in self.each("recommend"):
            users = [row[0] for row in db.execute("SELECT DISTINCT user FROM ratings LIMIT 3")]
            for user in users:
                rows = db.execute("SELECT item, score FROM recommend(?, 5, 'm')", (user,)).fetchall()
                expected = db.execute("SELECT item, score FROM m WHERE user = ? AND seen = 0 ORDER BY score DESC, item LIMIT 5", (user,)).fetchall()
                self.assertEqual(rows, expected)
            everyone = db.execute("SELECT item, score FROM recommend_all(5, 'm') WHERE user = ? ORDER BY rank", (users[0],)).fetchall()
            expected = db.execute("SELECT item, score FROM recommend(?, 5, 'm') ORDER BY rank", (users[0],)).fetchall()
            self.assert_same_rows([row[1:] for row in everyone], [row[1:] for row in expected], 1e-4)

    def test_explain(self):
        for db, trainer, algorithm in self.each("recommend", "explain"):
            for user, item, score in db.execute("SELECT user, item, score FROM m WHERE user IN (SELECT user FROM ratings LIMIT 1)").fetchall()[:9]:
                rows = db.execute("SELECT contribution FROM recommend_explain(?, ?, 99, 'm')", (user, item)).fetchall()
                self.assertAlmostEqual(sum(row[0] for row in rows), score, delta=1e-3 * max(1, abs(score)))

    def test_live_ratings(self):
        for db, trainer, algorithm in self.each("recommend", "live ratings"):
            db.execute("INSERT INTO m(user, item, rating) SELECT 77777, item, rating FROM ratings WHERE user = (SELECT min(user) FROM ratings)")
            count = db.execute("SELECT count(*) FROM m WHERE user = 77777 AND seen").fetchone()[0]
            self.assertEqual((count,), db.execute("SELECT count(*) FROM ratings WHERE user = (SELECT min(user) FROM ratings)").fetchone())
            db.execute("DELETE FROM m WHERE user = 77777 AND item = (SELECT min(item) FROM m WHERE user = 77777 AND seen)")
            self.assertEqual(db.execute("SELECT count(*) FROM m WHERE user = 77777 AND seen").fetchone(), (count - 1,))

    def test_fold_in(self):
        for db, trainer, algorithm in self.each("recommend", "fold in"):
            profile = json.dumps(dict(db.execute("SELECT item, rating FROM ratings WHERE user = (SELECT min(user) FROM ratings)")))
            rows = db.execute("SELECT item, score FROM recommend_for(?, 5, 'm')", (profile,)).fetchall()
            self.assertTrue(rows and not set(map(str, json.loads(profile))) & {str(row[0]) for row in rows})

    def test_forget(self):
        for db, trainer, algorithm in self.each("forget"):
            user, item = db.execute("SELECT min(user), max(item) FROM ratings").fetchone()
            db.execute("INSERT INTO m(m, user) VALUES('forget', ?)", (user,))
            db.execute("INSERT INTO m(m, item) VALUES('forget', ?)", (item,))
            self.assertEqual(db.execute("SELECT count(*) FROM m WHERE user = ? OR item = ?", (user, item)).fetchone(), (0,))

    def test_retrain(self):
        for db, trainer, algorithm in self.each():
            before = shadow_bytes(db, "m")
            db.execute("INSERT INTO m(m) VALUES('retrain')")
            self.assertEqual(shadow_bytes(db, "m") == before, True)

    def test_cross_validation(self):
        """Each fold is tried, on any number of threads alike; what predicts has errors, what ranks has lists."""
        db = self.closing(sources())
        for trainer, algorithm, answers in db.execute("SELECT trainer, algorithm, answers FROM recommend_trainers WHERE learns_from <> 'texts'").fetchall():
            options = {**asking_for(db, trainer, algorithm), **({"clusters": 3} if trainer == "kmeans_train" else {})}
            rows = [db.execute("SELECT fold, trained, tested, rmse, ndcg FROM recommend_cross_validate(?, 'ratings', 3, ?)",
                               (trainer, json.dumps({**options, "threads": threads}))).fetchall() for threads in (1, 3)]
            with self.subTest(trainer=trainer, algorithm=algorithm):
                self.assertEqual(rows[0], rows[1])
                self.assertEqual([row[0] for row in rows[0]], [1, 2, 3])
                self.assertEqual({row[3] is not None for row in rows[0]}, {"predict" in answers})
                self.assertTrue(all(row[4] > 0 for row in rows[0]))


class Options(TestCase):
    def setUp(self):
        self.db = self.closing(sources())
        self.trainers = [row[0] for row in self.db.execute("SELECT DISTINCT trainer FROM recommend_trainers")]

    def options(self, trainer):
        return self.db.execute('SELECT option, type, "default", range, algorithms, description FROM recommend_options(?)', (trainer,)).fetchall()

    def test_descriptions(self):
        for trainer in self.trainers:
            for option, type, default, range, algorithms, description in self.options(trainer):
                self.assertTrue(description and description == description.strip(), (trainer, option))
                self.assertIn(type, ("integer", "number", "boolean", "text", "column", "integers", "text, or array of texts"))
            self.assertEqual(self.options(trainer), self.options(trainer[:-len("_train")]))

    def test_wrong_names(self):
        for name in ("nope", "", "mf_trian"):
            self.assert_error(self.db, "SELECT * FROM recommend_options(?)", name, "'mf_train'", "'tfidf_train'", parameters=(name,))
        self.assertEqual(self.db.execute("SELECT * FROM recommend_options(NULL)").fetchall(), [])
        self.assert_error(self.db, "SELECT * FROM recommend_options", "recommend_options(trainer)")
        self.assert_error(self.db, "SELECT recommend_options('mf')", "FROM recommend_options(trainer)")

    def test_defaults(self):
        """What is given as the default says makes the model that is made without it."""
        for trainer in self.trainers:
            call(self.db, trainer)
            expected = self.model()
            for option, type, default, _, algorithms, _ in self.options(trainer):
                if option in ("model", "seed", "threads", "stream") or default is None or not self.is_json(default):
                    continue
                first = self.db.execute("SELECT algorithm FROM recommend_trainers WHERE trainer = ?", (trainer,)).fetchone()[0]
                if algorithms and first not in algorithms.split(", "):
                    continue
                with self.subTest(trainer=trainer, option=option):
                    try:
                        call(self.db, trainer, None, {option: json.loads(default)})
                    except Exception as error:  # of some other data or option: says so
                        self.assertRegex(str(error), f'option "{option}" is read only|"scale" is for')
                        continue
                    self.assertEqual(self.model(), expected)
            self.db.execute("DROP TABLE m")

    def model(self):
        """All that is stored but the options as they were given."""
        stored = shadow_bytes(self.db, "m")
        stored["config"] = [row for row in stored["config"] if row[0][1] not in ("options", "stamp", "item_stamp", "user_stamp", "trained_at")]
        return stored

    @staticmethod
    def is_json(text):
        try:
            json.loads(text)
            return True
        except ValueError:
            return False

    def test_ranges(self):
        """What lies beyond either end, or is no choice, is refused by the name of the option; the ends are taken."""
        for trainer in self.trainers:
            for option, type, _, range, algorithms, _ in self.options(trainer):
                if not range or range == "true, false":
                    continue
                chosen = algorithms.split(", ")[0] if algorithms else None
                ends = re.fullmatch(r"(\S+) … (\S+)", range)
                wrong = [float(ends[1]) - 1, float(ends[2]) * 2 + 1] if ends else ["neither"]
                for value in wrong:
                    with self.subTest(trainer=trainer, option=option, value=value):
                        with self.assertRaises(Exception) as caught:
                            call(self.db, trainer, chosen, {option: int(value) if type == "integer" else value})
                        self.assertRegex(str(caught.exception), f'^{trainer}: .*({option}|number of|regularization lambda)')

    def test_kind_and_answers(self):
        """A model trained from ratings is of the kind, and can do, what its trainer's row says."""
        for trainer, algorithm, kind, answers in self.db.execute("SELECT trainer, algorithm, kind, answers FROM recommend_trainers").fetchall():
            with self.subTest(trainer=trainer, algorithm=algorithm):
                call(self.db, trainer, algorithm)
                users, *stored = self.db.execute("SELECT users, kind, answers FROM recommend_models WHERE name = 'm'").fetchone()
                self.assertEqual(stored[0], kind)
                if users:  # a model of content without ratings has none, and can do less
                    self.assertEqual(stored[1], answers)
                self.assertEqual(set(stored[1].split(", ")) - set(answers.split(", ")), set())
                self.db.execute("DROP TABLE m")

    def test_resolved(self):
        """The options that a model keeps as resolved are those that its trainer reads."""
        for trainer, algorithm in self.db.execute("SELECT trainer, algorithm FROM recommend_trainers").fetchall():
            call(self.db, trainer, algorithm)
            resolved = json.loads(self.db.execute("SELECT options FROM recommend_models WHERE name = 'm'").fetchone()[0])
            names = {row[0] for row in self.options(trainer)} | {"vectors", "rank", "rating", "ranking"}
            self.assertEqual(set(resolved) - names, set(), (trainer, algorithm))
            for head in ("rating", "ranking"):
                if isinstance(resolved.get(head), dict):
                    self.assertEqual(set(resolved[head]) - names, set(), (trainer, algorithm))
            self.db.execute("DROP TABLE m")


class Documents(TestCase):
    """The tables whose header begins with `| option |`: under a heading that is a trainer's name its own options, under
    "Options of every trainer" those that all read."""

    def setUp(self):
        self.db = self.closing(connect())
        self.trainers = [row[0] for row in self.db.execute("SELECT DISTINCT trainer FROM recommend_trainers")]
        self.options = {trainer: self.db.execute('SELECT option, "default", algorithms FROM recommend_options(?)', (trainer,)).fetchall() for trainer in self.trainers}
        read = [{row[0] for row in rows} for rows in self.options.values()]
        self.common = set.intersection(*read) | {"cold_start"}
        self.sections = {}  # heading: (text, rows of its tables of options)
        for path in sorted(glob.glob(os.path.join(ROOT, "**", "*.md"), recursive=True)):
            heading, in_table = None, False
            with open(path, encoding="utf-8") as file:
                for line in file:
                    if line.startswith("#"):
                        heading = line.strip("# \n`")
                    text, rows = self.sections.setdefault(heading, ([], []))
                    text.append(line)
                    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
                    in_table = bool(cells) and (in_table or cells[0] == "option")
                    if in_table and cells[0] != "option" and not cells[0].startswith("-"):
                        rows.append((re.findall(r"`(\w+)`", cells[0]), cells[1]))

    def test_every_option_is_documented(self):
        for trainer in self.trainers:
            self.assertTrue(trainer in self.sections, f"no heading {trainer}")
            words = set(re.findall(r"`(\w+)`", "".join(self.sections[trainer][0])))
            size = self.db.execute("SELECT size FROM recommend_trainers WHERE trainer = ?", (trainer,)).fetchone()[0]
            missing = {row[0] for row in self.options[trainer]} - self.common - words - {size}
            self.assertEqual(missing, set(), trainer)
        text, rows = self.sections["Options of every trainer"]
        self.assertEqual({name for names, _ in rows for name in names}, self.common)

    def test_what_is_documented_exists(self):
        for trainer in self.trainers:
            known = {row[0] for row in self.options[trainer]}
            for names, _ in self.sections[trainer][1]:
                self.assertEqual(set(names) - known, set(), trainer)

    def test_defaults_that_are_constants(self):
        """A cell of one value for each name of its row has the defaults."""
        compared = 0
        for trainer in self.trainers:
            defaults = {}
            for option, default, _ in self.options[trainer]:
                defaults.setdefault(option, []).append(default)
            for names, cell in self.sections[trainer][1] + self.sections["Options of every trainer"][1]:
                values = [value.strip("` ") for value in cell.split(", ")] if len(names) > 1 else [cell.strip("` ")]
                if len(values) != len(names) or not all(Options.is_json(value) for value in values):
                    continue
                for name, value in zip(names, values):
                    if name in defaults and len(defaults[name]) == 1 and Options.is_json(defaults[name][0] or ""):
                        self.assertEqual(json.loads(value), json.loads(defaults[name][0]), (trainer, name))
                        compared += 1
        self.assertGreater(compared, 60)


if __name__ == "__main__":
    unittest.main()
