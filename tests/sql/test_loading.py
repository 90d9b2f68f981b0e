"""Loading the extension in every way there is: by the C API, by SQL, amid an open statement, twice, in many connections, by
the shell; and what a second load finds on the connection. (What a load that fails leaves: tests/fault/test_loading.c.)"""
import glob
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest

from support import EXTENSION, ROOT, SHELL, TestCase, add_ratings, made_up_ratings

RATINGS = made_up_ratings(users=20, items=15)
TRAIN = "SELECT mf_train('ratings', 3, '{\"epochs\": 2}')"
ASK = "SELECT item, score FROM recommend(1007, 5) ORDER BY rank"


def version():
    with open(ROOT + "/ext/base/version.h") as header:
        return re.search('RECOMMEND_VERSION "(.*)"', header.read()).group(1)


def by_sql(db, path=EXTENSION, entry=None):
    if entry:
        return db.execute("SELECT load_extension(?, ?)", (path, entry)).fetchall()
    return db.execute("SELECT load_extension(?)", (path,)).fetchall()


def by_c(db, path=EXTENSION):
    db.load_extension(path)


class Symbols(TestCase):
    def test_the_entry_point_alone_is_exported(self):
        path = next(name for name in (EXTENSION, EXTENSION + ".so", EXTENSION + ".dylib") if os.path.isfile(name))
        command = ["nm", "-gU"] if path.endswith(".dylib") else ["nm", "-D", "--defined-only"]
        symbols = [line.split()[-1].lstrip("_") for line in subprocess.check_output([*command, path], text=True).splitlines()]
        self.assertEqual(symbols, ["sqlite3_recommend_init"])


class Loading(TestCase):
    def open(self, path=":memory:", **options):
        db = sqlite3.connect(path, isolation_level=None, **options)
        db.enable_load_extension(True)
        self.addCleanup(db.close)
        return db

    def use(self, db):
        """Trains and serves; returns the rows."""
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'ratings'").fetchone():
            add_ratings(db, RATINGS)
        db.execute(TRAIN)
        rows = db.execute(ASK).fetchall()
        self.assertEqual(len(rows), 5)
        return rows

    def test_by_the_c_api_and_by_sql(self):
        answers = []
        for load in (by_c, by_sql, lambda db: by_sql(db, entry="sqlite3_recommend_init")):
            db = self.open()
            load(db)
            self.assertEqual(db.execute("SELECT recommend_version()").fetchone(), (version(),))
            answers.append(self.use(db))
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])

    def test_amid_an_open_statement(self):
        for load in (by_c, by_sql):
            db = self.open()
            add_ratings(db, RATINGS)
            reading = db.execute("SELECT user FROM ratings")
            reading.fetchone()
            load(db)
            self.use(db)
            self.assertEqual(1 + len(reading.fetchall()), len(RATINGS))

    def test_twice_is_once(self):
        for first in (by_c, by_sql):
            for second in (by_c, by_sql):
                db = self.open()
                first(db)
                expected = self.use(db)
                functions = db.execute("SELECT count(*) FROM pragma_function_list").fetchone()
                second(db)
                self.assertEqual(db.execute("SELECT count(*) FROM pragma_function_list").fetchone(), functions)
                self.assertEqual(db.execute(ASK).fetchall(), expected)
                self.assertEqual(self.use(db), expected)

    def test_twice_amid_statements_of_its_own(self):
        """Functions, tables and a model that are in use stay what they are."""
        for load in (by_c, by_sql):
            db = self.open()
            by_c(db)
            self.use(db)
            whole = db.execute("SELECT user, item, score FROM ratings_mf").fetchall()
            cells = db.execute("SELECT user, item, score FROM ratings_mf")
            lists = db.execute("SELECT * FROM recommend_all(3)")
            scalar = db.execute("SELECT predict(user, item) FROM ratings")
            epochs = db.execute("SELECT epoch FROM mf_train('ratings', 3, '{\"epochs\": 5, \"model\": \"other\"}')")
            begun = [rows.fetchone() for rows in (cells, lists, scalar, epochs)]
            load(db)
            self.assertEqual([begun[0]] + cells.fetchall(), whole)
            self.assertEqual(1 + len(lists.fetchall()), 3 * 20)
            self.assertEqual(1 + len(scalar.fetchall()), len(RATINGS))
            epochs.fetchall()
            self.assertEqual(db.execute("SELECT count(*) FROM recommend_models").fetchone(), (2,))

    def test_in_two_connections_and_threads(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.db")
            one, two = self.open(path), self.open(path)
            by_sql(one)
            expected = self.use(one)
            by_sql(two)
            self.assertEqual(two.execute(ASK).fetchall(), expected)
            one.close()
            self.assertEqual(two.execute(ASK).fetchall(), expected)
            answers = []

            def serve():
                db = sqlite3.connect(path)
                db.enable_load_extension(True)
                by_sql(db)
                answers.append(db.execute(ASK).fetchall())
                db.close()

            threads = [threading.Thread(target=serve) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(answers, [expected] * 8)

    def test_again_after_closing(self):
        for _ in range(5):
            db = self.open()
            by_sql(db)
            self.use(db)
            db.close()

    def test_a_copy_elsewhere_is_the_same_version(self):
        library = glob.glob(EXTENSION + ".so") + glob.glob(EXTENSION + ".dylib")
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(library[0], os.path.join(folder, "recommend" + os.path.splitext(library[0])[1]))
            db = self.open()
            by_c(db)
            expected = self.use(db)
            by_c(db, copy)
            self.assertEqual(self.use(db), expected)

    def test_another_version(self):
        """The error names both, and what is there goes on."""
        for load in (by_c, by_sql):
            db = self.open()
            by_c(db)
            db.create_function("recommend_version", 0, lambda: "0.0.7")
            with self.assertRaises(sqlite3.OperationalError) as raised:
                load(db)
            self.assertIn(version(), str(raised.exception))
            self.assertIn("0.0.7", str(raised.exception))
            self.use(db)

    def test_a_function_that_is_taken(self):
        """Amid a statement, as by SQL, SQLite replaces no function: the error says what to do."""
        db = self.open()
        db.create_function("predict", 2, lambda user, item: 0)
        with self.assertRaisesRegex(sqlite3.OperationalError, "load it first, or open the connection anew"):
            by_sql(db)
        db = self.open()
        db.create_function("predict", 2, lambda user, item: 0)
        by_c(db)
        self.use(db)

    def test_after_an_interrupted_load(self):
        """Half of it may be there, and nothing crashes."""
        db = self.open()
        db.create_function("mf_train", 2, lambda source, rank: 0)
        with self.assertRaises(sqlite3.OperationalError):
            by_sql(db)
        for sql in ("SELECT recommend_split(1, 2)", "SELECT * FROM recommend_connection", "SELECT * FROM recommend(1, 2)"):
            try:
                db.execute(sql).fetchall()
            except sqlite3.OperationalError:
                pass
        for load in (by_sql, by_c):
            with self.assertRaisesRegex(sqlite3.OperationalError, "open the connection anew"):
                load(db)

    def test_an_authorizer_that_refuses_to_be_asked(self):
        """Loading runs no statement that it needs."""
        for denied in ((sqlite3.SQLITE_PRAGMA,), (sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_SELECT)):
            db = self.open()
            db.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action in denied else sqlite3.SQLITE_OK)
            by_c(db)
            db.set_authorizer(None)
            self.use(db)

    def test_in_the_shell(self):
        """Which is a program of its own: a crash is its return code."""
        load = f"SELECT load_extension('{EXTENSION}');"
        work = ("CREATE TABLE r(user, item, rating); INSERT INTO r VALUES(1, 1, 5), (1, 2, 3), (2, 1, 4), (2, 3, 1);"
                "SELECT mf_train('r', 2) <> ''; SELECT item FROM recommend(1, 5);")
        for script in (load + work, load + load + work, f".load {EXTENSION}\n" + load + work + load,
                       load + f"\n.load {EXTENSION}\n" + work, load + work + load + "SELECT item FROM recommend(1, 5);"):
            done = subprocess.run([SHELL, "-batch", "-bail", ":memory:"], input=script, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, universal_newlines=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual(done.stdout.split()[-1], "3")

    def test_in_a_process_that_only_loads(self):
        """The way out, too: the library stays mapped until the process has ended."""
        script = ("import sqlite3, sys\n"
                  "for _ in range(3):\n"
                  "    db = sqlite3.connect(':memory:')\n"
                  "    db.enable_load_extension(True)\n"
                  "    db.execute('SELECT load_extension(?)', (sys.argv[1],))\n"
                  "    db.close()\n")
        done = subprocess.run([sys.executable, "-c", script, EXTENSION], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
