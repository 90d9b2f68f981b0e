"""What the README says to habits that people bring along: NumPy's integers, ids that are text, UPSERT, last_insert_rowid(),
dumps and copies, the choice of an instruction set."""
import os
import sqlite3
import subprocess
import sys
import unittest

import numpy as np

import support
from support import add_ratings, connect, made_up_ratings, train, trained


class Ids(support.TestCase):
    def test_numpy_integers_are_blobs_until_they_are_adapted(self):
        db = self.closing(trained())
        user = np.int64(made_up_ratings()[0][0])
        asked = "SELECT DISTINCT typeof(?1), reason FROM recommend(?1, 3)"
        self.assertEqual(db.execute(asked, (user,)).fetchall(), [("blob", "popular")])
        self.assertEqual(db.execute(asked, (int(user),)).fetchall(), [("integer", "model")])
        script = ("import sqlite3, numpy, sys; sqlite3.register_adapter(numpy.int64, int); db = sqlite3.connect(':memory:'); "
                  "print(db.execute('SELECT typeof(?)', (numpy.int64(3),)).fetchone()[0])")
        done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        self.assertEqual(done.stdout.strip(), "integer")  # elsewhere: adapters are the process's

    def test_text_ids_join_to_nothing(self):
        db = self.closing(trained())
        user = made_up_ratings()[0][0]
        db.execute("CREATE TABLE typed(id INTEGER PRIMARY KEY, title)")
        db.execute("INSERT INTO typed SELECT DISTINCT item, 'film ' || item FROM ratings")
        db.execute("CREATE TABLE imported(id TEXT, title TEXT)")
        db.execute("INSERT INTO imported SELECT * FROM typed")
        join = f"SELECT count(*) FROM recommend({user}, 5) r JOIN {{}} m ON {{}} = r.item"
        self.assertEqual(db.execute(join.format("typed", "m.id")).fetchone(), (5,))
        self.assertEqual(db.execute(join.format("imported", "m.id")).fetchone(), (0,))
        self.assertEqual(db.execute(join.format("imported", "CAST(m.id AS INTEGER)")).fetchone(), (5,))
        for table in ("typed", "imported"):  # the model table's columns have types
            rows = db.execute(f"SELECT count(*) FROM ratings_mf r JOIN {table} m ON m.id = r.item WHERE r.user = {user}")
            self.assertEqual(rows.fetchone(), db.execute("SELECT count(*) FROM typed").fetchone())
        self.assertEqual(db.execute(f"SELECT count(*) FROM recommend('{user}', 5)").fetchone(), (5,))
        self.assertEqual(db.execute(f"SELECT count(*) FROM recommend_all(5) WHERE user = '{user}'").fetchone(), (0,))

    def test_imported_tables_as_a_newcomer_makes_them(self):
        """All columns are TEXT, since .import makes the tables: both tables are, so that they join."""
        folder = self.folder()
        with open(os.path.join(folder, "ratings.csv"), "w") as file:
            file.write("userId,movieId,rating\n" + "".join("%d,%d,%g\n" % row for row in made_up_ratings()))
        with open(os.path.join(folder, "movies.csv"), "w") as file:
            file.write("movieId,title\n" + "".join(f"{item},film {item}\n" for item in sorted({row[1] for row in made_up_ratings()})))
        said = support.shell(os.path.join(folder, "movies.db"), f""".cd '{folder}'
.import --csv ratings.csv ratings
.import --csv movies.csv movies
SELECT mf_train('ratings', 4) ->> '$.hints';
SELECT count(*) FROM recommend(1000, 3) r JOIN movies m ON m.movieId = r.item;
CREATE TABLE films(movieId INTEGER PRIMARY KEY, title);
INSERT INTO films SELECT * FROM movies;
SELECT count(*) FROM recommend(1000, 3) r JOIN films m ON m.movieId = r.item;
""")
        self.assertEqual(said.split(), ["[]", "3", "3"])


class Writes(support.TestCase):
    def test_upsert_is_insert(self):
        db = self.closing(trained())
        user, item, _ = made_up_ratings()[0]
        for clause in ("DO UPDATE SET rating = excluded.rating", "DO NOTHING", "(user, item) DO NOTHING"):
            self.assert_error(db, f"INSERT INTO ratings_mf(user, item, rating) VALUES({user}, {item}, 2) ON CONFLICT {clause}",
                              "UPSERT not implemented for virtual table")
        db.execute("INSERT INTO ratings_mf(user, item, rating) VALUES(?, ?, 2)", (user, item))
        self.assertEqual(db.execute("SELECT rating FROM ratings_mf WHERE user = ? AND item = ?", (user, item)).fetchone(), (2,))

    def test_last_insert_rowid_is_of_the_users_own_tables(self):
        db = self.closing(trained())
        db.execute("CREATE TABLE mine(id INTEGER PRIMARY KEY)")
        db.execute("INSERT INTO mine VALUES(77)")
        writes = ("INSERT INTO ratings_mf(user, item, rating) VALUES(1000, 50, 3)",
                  "INSERT INTO ratings_mf(user, item, rating) VALUES(1000, 9999, 3)",
                  "INSERT INTO ratings_mf(user, item, rating) VALUES('new', 50, 3), ('newer', 50, 4)",
                  "UPDATE ratings_mf SET rating = 1 WHERE user = 1000 AND item = 50",
                  "DELETE FROM ratings_mf WHERE user = 1000 AND item = 50",
                  "INSERT INTO ratings_mf(ratings_mf, user) VALUES('forget', 1000)",
                  "INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')", "SELECT mf_train('ratings', 4)",
                  "SELECT mf_train('ratings', 4, '{\"model\": \"another\"}')")
        for write in writes:
            cursor = db.execute(write)
            self.assertEqual(db.execute("SELECT last_insert_rowid()").fetchone(), (77,), write)
            if write.startswith("INSERT"):
                self.assertEqual(cursor.lastrowid, 77, write)
        db.execute("CREATE TEMP TRIGGER live AFTER INSERT ON ratings BEGIN INSERT INTO ratings_mf(user, item, rating) "
                   "VALUES(new.user, new.item, new.rating); END")
        rows, = db.execute("SELECT max(rowid) FROM ratings").fetchone()
        self.assertEqual(db.execute("INSERT INTO ratings VALUES(1000, 50, 5)").lastrowid, rows + 1)


class Copies(support.TestCase):
    def setUp(self):
        self.path = os.path.join(self.folder(), "source.db")
        self.db = self.closing(connect(self.path))
        add_ratings(self.db, made_up_ratings())
        train(self.db)
        self.db.execute("INSERT INTO ratings_mf(user, item, rating) VALUES('somebody new', 50, 5)")

    def check_copy(self, path):
        copy = self.closing(connect(path))
        copy.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")
        lists = "SELECT * FROM recommend_all(5) ORDER BY user, rank"
        self.assertEqual(copy.execute(lists).fetchall(), self.db.execute(lists).fetchall())
        self.assertEqual(support.shadow_bytes(copy), support.shadow_bytes(self.db))
        copy.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')")

    def test_dump(self):
        dump = subprocess.run([support.SHELL, self.path, ".dump"], stdout=subprocess.PIPE, check=True).stdout
        self.assertNotIn(b"INSERT INTO ratings_mf VALUES", dump)  # the cells: made of the rest
        path = os.path.join(self.folder(), "copy.db")
        subprocess.run([support.SHELL, "-bail", path], input=dump, check=True)
        self.check_copy(path)

    def test_vacuum_into(self):
        path = os.path.join(self.folder(), "copy.db")
        self.db.execute("VACUUM INTO ?", (path,))
        self.check_copy(path)

    def test_backup(self):
        path = os.path.join(self.folder(), "copy.db")
        copy = sqlite3.connect(path)
        self.db.backup(copy)
        copy.close()
        self.check_copy(path)
        path = os.path.join(self.folder(), "other.db")
        subprocess.run([support.SHELL, self.path, f".backup '{path}'"], check=True)
        self.check_copy(path)

    def test_iterdump_writes_the_matrix(self):
        cells, = self.db.execute("SELECT count(*) FROM ratings_mf").fetchone()
        rows = sum(line.startswith('INSERT INTO "ratings_mf" VALUES') for line in self.db.iterdump())
        self.assertIn(rows, (cells, 0))  # 0: a Python that has learned what virtual tables are


class Environment(support.TestCase):
    def asked(self, level, sql):
        script = ("import sys; sys.path.insert(0, sys.argv[1]); import support; db = support.trained(); "
                  "print(*(repr(row[0]) for row in db.execute(sys.argv[2])), sep='\\n')")
        environment = {**os.environ, "RECOMMEND_SIMD": level, "RECOMMEND_EXTENSION": support.EXTENSION}
        done = subprocess.run([sys.executable, "-B", "-c", script, os.path.dirname(os.path.abspath(support.__file__)), sql],
                              env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return [eval(line) for line in done.stdout.splitlines()]

    def test_the_instruction_set_is_lowered_never_raised(self):
        levels = ("generic", "avx2", "avx512")
        of_level = {level: self.asked(level, "SELECT recommend_debug()")[0].split("SIMD ")[1].split()[0]
                    for level in levels + ("nonsense",)}
        best = levels.index(of_level["nonsense"])
        for place, level in enumerate(levels):
            self.assertEqual(of_level[level], levels[min(place, best)])
        scores = "SELECT score FROM ratings_mf ORDER BY user, item"
        np.testing.assert_allclose(self.asked("generic", scores), self.asked("", scores), rtol=1e-3, atol=1e-3)


if __name__ == "__main__":
    unittest.main()
