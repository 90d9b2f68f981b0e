"""A model lives in the database file: it is dropped, renamed, attached, copied, rolled back and read by others with it."""
import multiprocessing
import os
import re
import sqlite3
import subprocess
import threading
import unittest

from support import (EXTENSION, SHADOWS, SHELL, TestCase, add_ratings, connect, made_up_ratings, rated, shadow_bytes,
                     shell, train, trained)

ROWS = made_up_ratings()
ANSWER = "SELECT rank, item, score FROM recommend(1007, 5)"


def tables(db, schema="main"):
    return sorted(row[0] for row in db.execute(f"SELECT name FROM {schema}.sqlite_schema WHERE type = 'table'"))


def answer(db, model=None):
    return db.execute("SELECT rank, item, score FROM recommend(1007, 5, ?)", (model,)).fetchall()


def retrain(db):
    db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')")


class Files(TestCase):
    """Tests on files: `path` holds ratings and a model, `first` is the answer it gives."""

    def setUp(self):
        self.path = os.path.join(self.folder(), "ratings.db")
        db = connect(self.path)
        add_ratings(db, ROWS)
        train(db, epochs=3)
        self.first = answer(db)
        self.assertEqual(len(self.first), 5)
        db.close()

    def open(self, path=None, **options):
        return self.closing(connect(path or self.path, **options))

    def change(self, db):
        db.execute("UPDATE ratings SET rating = 6 - rating")

    def check(self, db, model=None):
        self.assertEqual(answer(db, model), self.first)


class Names(TestCase):
    def test_drop_leaves_nothing_and_touches_nothing_else(self):
        db = rated()
        db.executescript("CREATE TABLE ratings_mf_users(x); CREATE TABLE ratings_mf2_user(x); CREATE TABLE ratings_m_user(x);")
        before = tables(db)
        train(db)
        self.assertEqual(sorted(set(tables(db)) - set(before)), sorted(["ratings_mf"] + ["ratings_mf_" + s for s in SHADOWS]))
        db.execute("DROP TABLE ratings_mf")
        self.assertEqual(tables(db), before)
        self.assertEqual(db.execute("SELECT count(*) FROM ratings").fetchone()[0], len(ROWS))
        self.assertEqual(db.execute("SELECT count(*) FROM sqlite_schema WHERE type <> 'table'").fetchone(), (0,))
        train(db)
        self.assertEqual(len(answer(db)), 5)

    def test_a_dropped_model_is_gone(self):
        db = trained()
        answer(db)
        db.execute("DROP TABLE ratings_mf")
        self.assert_error(db, ANSWER, "no model")
        db.execute("BEGIN")
        train(db)
        db.execute("DROP TABLE ratings_mf")
        db.execute("COMMIT")
        self.assertEqual(tables(db), ["ratings"])

    def test_a_clash_names_the_table(self):
        for suffix in SHADOWS:
            db = rated()
            db.execute(f"CREATE TABLE ratings_mf_{suffix}(mine)")
            db.execute(f"INSERT INTO ratings_mf_{suffix} VALUES(1)")
            before = tables(db)
            self.assert_error(db, "SELECT mf_train('ratings', 4)", f'"ratings_mf_{suffix}"', '"model"')
            self.assert_error(db, "CREATE VIRTUAL TABLE ratings_mf USING recommender(train=mf, source=ratings, size=4)", f'"ratings_mf_{suffix}"')
            self.assertEqual(tables(db), before)
            self.assertEqual(db.execute(f"SELECT mine FROM ratings_mf_{suffix}").fetchall(), [(1,)])
            train(db, model="other")

    def test_not_named_like_a_column(self):
        db = trained()
        for name in ("score", "USER", "Item", "prediction", "rating", "seen", "_payload", "rowid"):
            self.assert_error(db, f"CREATE VIRTUAL TABLE {name} USING recommender(train=mf, source=ratings, size=4)", name, "column")
            self.assert_error(db, "SELECT mf_train('ratings', 4, json_object('model', ?))", name, "column", parameters=(name,))
            self.assert_error(db, f"ALTER TABLE ratings_mf RENAME TO {name}", name, "column")
        self.assertEqual(len(answer(db)), 5)
        self.assertEqual(len(tables(db)), 2 + len(SHADOWS))

    def test_rename(self):
        db = trained()
        before = answer(db)
        db.execute("ALTER TABLE ratings_mf RENAME TO \"my taste's\"")
        self.assertEqual(tables(db), sorted(["ratings", "my taste's"] + ["my taste's_" + s for s in SHADOWS]))
        self.assertEqual(answer(db), before)
        self.assertEqual(answer(db, "my taste's"), before)
        self.assert_error(db, "SELECT * FROM recommend(1, 2, 'ratings_mf')", "my taste's")
        db.execute("INSERT INTO \"my taste's\"(\"my taste's\") VALUES('integrity-check')")
        db.execute("INSERT INTO \"my taste's\"(\"my taste's\") VALUES('retrain')")
        self.assertEqual(answer(db), before)
        db.execute("BEGIN")
        db.execute("ALTER TABLE \"my taste's\" RENAME TO x")
        self.assertEqual(answer(db, "x"), before)
        db.execute("ROLLBACK")
        self.assertEqual(answer(db, "my taste's"), before)
        db.execute("DROP TABLE \"my taste's\"")
        self.assertEqual(tables(db), ["ratings"])

    def test_rename_into_a_clash(self):
        db = trained()
        db.execute("CREATE TABLE b_term(x)")
        before = answer(db)
        self.assert_error(db, "ALTER TABLE ratings_mf RENAME TO b", "b_term")
        self.assertEqual(answer(db), before)
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")

    def test_swap_by_renaming(self):
        db = trained()
        train(db, model="b", seed=1, epochs=1)
        a, b = answer(db, "ratings_mf"), answer(db, "b")
        self.assertNotEqual(a, b)
        db.executescript("ALTER TABLE ratings_mf RENAME TO c; ALTER TABLE b RENAME TO ratings_mf; ALTER TABLE c RENAME TO b;")
        self.assertEqual((answer(db, "ratings_mf"), answer(db, "b")), (b, a))

    def test_replaced_while_the_name_stays(self):
        db = trained()
        answer(db)
        db.execute("DROP TABLE ratings_mf")
        train(db, seed=1, epochs=1)
        self.assertEqual(answer(db), answer(trained(seed=1, epochs=1)))

    def test_changes_are_not_counted_for_the_user(self):
        db = rated()
        db.execute("INSERT INTO ratings VALUES(1007, 999, 3)")
        before = db.execute("SELECT last_insert_rowid()").fetchone()
        train(db)
        self.assertEqual(db.execute("SELECT last_insert_rowid()").fetchone(), before)
        train(db)
        self.assertEqual(db.execute("SELECT last_insert_rowid()").fetchone(), before)
        db.execute("SELECT * FROM mf_train('ratings', 3)").fetchall()
        self.assertEqual(db.execute("SELECT last_insert_rowid()").fetchone(), before)
        db.execute("CREATE VIRTUAL TABLE t USING recommender(train=mf, source=ratings, size=3)")
        self.assertEqual(db.execute("SELECT last_insert_rowid()").fetchone(), before)
        retrain(db)
        self.assertEqual(db.execute("SELECT last_insert_rowid()").fetchone(), before)
        db.execute("DROP TABLE t")
        self.assertEqual(db.execute("SELECT last_insert_rowid()").fetchone(), before)

    def test_a_model_made_of_text_from_the_file_runs_nothing(self):
        db = rated()
        hostile = "SELECT user, item, rating FROM ratings -- '; DROP TABLE ratings; SELECT mf_train('ratings', 2)"
        train(db, hostile, model="evil")
        db.execute("UPDATE evil_config SET value = 0 WHERE key = 'source_is_query'")
        self.assert_error(db, "INSERT INTO evil(evil) VALUES('retrain')")
        db.execute("UPDATE evil_config SET value = 'ratings\"; DROP TABLE ratings; --' WHERE key = 'source'")
        self.assert_error(db, "INSERT INTO evil(evil) VALUES('retrain')")
        db.execute("UPDATE evil_config SET value = '(SELECT 1, 2, 3)' WHERE key = 'source'")
        self.assert_error(db, "INSERT INTO evil(evil) VALUES('retrain')")
        db.execute("UPDATE evil_config SET value = x'00' WHERE key = 'source'")
        with self.assertRaises(sqlite3.Error):
            db.execute("INSERT INTO evil(evil) VALUES('retrain')")
        self.assertEqual(db.execute("SELECT count(*) FROM ratings").fetchone()[0], len(ROWS))
        self.assert_error(db, "SELECT * FROM recommend(1007, 5, 'evil')", "row 'source' of evil_config: expected a text, found a blob of 1 bytes")
        db.execute("UPDATE evil_config SET value = 'nonesuch' WHERE key = 'source'")
        self.assertEqual(len(answer(db, "evil")), 5)


class Damage(TestCase):
    def test_each_missing_table_is_told(self):
        for suffix in ("config", "user", "item", "userfactor", "itemfactor"):
            db = trained()
            db.execute(f"DROP TABLE ratings_mf_{suffix}")
            self.assert_error(db, "SELECT * FROM ratings_mf WHERE user = 1007", "damaged", "ratings_mf")
            with self.assertRaises(sqlite3.Error):
                db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")
            db.execute("DROP TABLE ratings_mf")
            self.assertEqual(tables(db), ["ratings"])

    def test_another_format(self):
        db = trained()
        db.execute("UPDATE ratings_mf_config SET value = 99 WHERE key = 'format'")
        db.execute("UPDATE ratings_mf_config SET value = value + 1 WHERE key LIKE '%stamp'")
        self.assert_error(db, ANSWER, "99")

    def test_integrity_check_finds_what_is_wrong(self):
        for change in ("UPDATE ratings_mf_user SET history = x'01' WHERE idx = 3", "DELETE FROM ratings_mf_user WHERE idx = 59",
                       "DELETE FROM ratings_mf_item WHERE idx = 4", "UPDATE ratings_mf_item SET id = NULL WHERE idx = 0",
                       "UPDATE ratings_mf_userfactor SET n = 7", "DELETE FROM ratings_mf_userfactor", "UPDATE ratings_mf_itemfactor SET data = zeroblob(length(data))",
                       "DELETE FROM ratings_mf_config WHERE key = 'users'", "UPDATE ratings_mf_config SET value = 'x' WHERE key = 'ranking_rank'",
                       "INSERT INTO ratings_mf_user VALUES(60, 1, 0, NULL)", "INSERT INTO ratings_mf_userfactor VALUES(5, 1, x'00')"):
            db = trained()
            db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")
            db.execute(change)
            self.assert_error(db, "INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')", "ratings_mf")
            db.execute("DROP TABLE ratings_mf")
            train(db)


    def test_a_view_in_the_place_of_a_table_asks_for_itself(self):
        for call in ("SELECT predict(1007, 50)", ANSWER, "SELECT count(*) FROM recommend_models", "SELECT count(*) FROM ratings_mf"):
            db = trained()
            db.execute("CREATE TABLE copy AS SELECT * FROM ratings_mf_config")
            db.execute("DROP TABLE ratings_mf_config")
            db.execute("CREATE VIEW ratings_mf_config AS SELECT key, value FROM copy WHERE predict(1007, 50) IS NOT 0")
            try:
                db.execute(call).fetchall()
            except sqlite3.Error as error:
                self.assertIn("ratings_mf", str(error))


class Within(TestCase):
    """Training and changing a model within statements that read it."""
    TRAIN = "mf_train('ratings', 3, '{\"epochs\": 1}') IS NOT NULL"

    def test_training_in_a_query_of_the_model(self):
        for sql, rows in ((f"SELECT item, {self.TRAIN} FROM recommend(1007, 4)", 4), (f"SELECT item, {self.TRAIN} FROM ratings_mf WHERE user = 1007 LIMIT 3", 3),
                          (f"SELECT user, {self.TRAIN} FROM (SELECT DISTINCT user FROM ratings LIMIT 5)", 5)):
            db = trained()
            self.assertEqual([row[1] for row in db.execute(sql)], [1] * rows)
            db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")

    def test_a_changed_model_is_not_mixed_with_the_old(self):
        for sql in ("SELECT * FROM recommend_all(3)", "SELECT * FROM ratings_mf", "SELECT * FROM recommend_factors('ratings_mf', 'user')"):
            db = connect()
            add_ratings(db, made_up_ratings(users=3000, items=20, seed=5))
            train(db, rank=2, epochs=1)
            cursor = db.execute(sql)
            cursor.fetchone()
            train(db, rank=3, epochs=1)
            with self.assertRaisesRegex(sqlite3.Error, "changed while it was being read"):
                cursor.fetchall()

    def test_a_model_being_read_is_not_dropped(self):
        for sql in ("SELECT * FROM recommend(1007)", "SELECT * FROM recommend_all(3)", "SELECT * FROM ratings_mf", "SELECT * FROM recommend_factors('ratings_mf', 'user')"):
            db = trained()
            cursor = db.execute(sql)
            cursor.fetchone()
            self.assert_error(db, "DROP TABLE ratings_mf", "locked")
            cursor.fetchall()
            db.execute("DROP TABLE ratings_mf")

    def test_a_trigger_that_retrains(self):
        db = trained()
        db.execute("CREATE TRIGGER again AFTER INSERT ON ratings BEGIN INSERT INTO ratings_mf(ratings_mf) VALUES('retrain'); END")
        db.execute("INSERT INTO ratings VALUES(1, 50, 3)")
        self.assertEqual(db.execute("SELECT reason FROM recommend(1, 1)").fetchone(), ("model",))
        self.assertEqual(db.execute("SELECT user FROM ratings WHERE rowid = last_insert_rowid()").fetchone(), (1,))

    def test_a_trigger_can_not_train_what_it_likes(self):
        db = trained()
        db.execute("CREATE TRIGGER hostile AFTER INSERT ON ratings BEGIN SELECT mf_train('SELECT 1, 2, 3', 2, '{\"model\": \"x\"}'); END")
        self.assert_error(db, "INSERT INTO ratings VALUES(1, 50, 3)", "unsafe use of mf_train")

    def test_a_model_of_a_model(self):
        db = trained()
        train(db, "SELECT user, item, prediction FROM ratings_mf", model="again")
        self.assertEqual(db.execute("SELECT count(*) FROM again WHERE rating IS NOT NULL").fetchone(), (2400,))
        train(db, "SELECT user, item, prediction FROM ratings_mf", model="ratings_mf")
        self.assertEqual(db.execute("SELECT count(*) FROM ratings_mf WHERE seen").fetchone(), (2400,))

    def test_denied_by_an_authorizer(self):
        db = rated()
        db.set_authorizer(lambda action, one, *_: sqlite3.SQLITE_DENY if (action, one) == (sqlite3.SQLITE_READ, "ratings") else sqlite3.SQLITE_OK)
        self.assert_error(db, "SELECT mf_train('ratings', 2)", "prohibited")


class Copies(Files):
    def test_backup(self):
        db = self.open()
        other = self.closing(sqlite3.connect(":memory:"))
        db.backup(other)
        other.close()
        path = self.path + ".backup"
        with sqlite3.connect(path) as target:
            db.backup(target, pages=3)
        target.close()
        self.check(self.open(path))
        self.assertEqual(shadow_bytes(self.open(path)), shadow_bytes(db))

    def test_backup_over_a_model_in_use(self):
        db = self.open()
        other = self.open(":memory:")
        add_ratings(other, made_up_ratings(seed=4))
        train(other)
        self.assertNotEqual(answer(other), self.first)
        db.backup(other)
        self.check(other)

    def test_vacuum(self):
        db = self.open()
        self.check(db)
        db.execute("VACUUM")
        self.check(db)
        db.execute("VACUUM INTO ?", (self.path + ".small",))
        self.check(self.open(self.path + ".small"))
        self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        db.execute("PRAGMA page_size = 512")
        db.execute("VACUUM")
        self.check(self.open())

    def test_integrity_check_of_the_database(self):
        self.assertEqual(self.open().execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertEqual(self.open().execute("PRAGMA foreign_key_check").fetchall(), [])

    def test_dump_and_read(self):
        dump = subprocess.run([SHELL, "-batch", self.path, ".load " + EXTENSION, ".dump"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, timeout=60, check=True).stdout
        copy = self.path + ".copy"
        shell(copy, dump)
        db = self.open(copy)
        self.check(db)
        self.assertEqual(shadow_bytes(db), shadow_bytes(self.open()))
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")
        retrain(db)
        db.execute("DROP TABLE ratings_mf")
        self.assertEqual(tables(db), ["ratings"])

    def test_shell_backup_and_restore(self):
        copy = self.path + ".copy"
        shell(self.path, f".backup '{copy}'\n")
        self.check(self.open(copy))
        self.assertIn(str(self.first[0][1]), shell(":memory:", f".restore '{copy}'\n{ANSWER};\n"))

    def test_clone(self):
        with open(self.path, "rb") as one, open(self.path + ".cp", "wb") as other:
            other.write(one.read())
        self.check(self.open(self.path + ".cp"))

    def test_attach_and_detach(self):
        db = connect()
        for _ in range(3):
            db.execute("ATTACH ? AS aux", (self.path,))
            self.check(db)
            self.check(db, "aux.ratings_mf")
            self.assertEqual(db.execute("SELECT count(*) FROM aux.ratings_mf WHERE user = 1007").fetchone(), (40,))
            db.execute("DETACH aux")
            self.assert_error(db, ANSWER, "no model")
        db.execute("ATTACH ? AS other", (self.path,))
        self.check(db, "other.ratings_mf")
        db.close()

    def test_another_file_under_the_same_schema_name(self):
        path = self.path + ".b"
        db = self.open(path)
        add_ratings(db, ROWS)
        train(db, epochs=3, seed=5)
        second = answer(db)
        self.assertNotEqual(second, self.first)
        db = connect()
        for file, expected in ((self.path, self.first), (path, second), (self.path, self.first)):
            db.execute("ATTACH ? AS aux", (file,))
            self.assertEqual(answer(db), expected)
            db.execute("DETACH aux")


class Modes(Files):
    def test_journal_modes(self):
        for mode in ("wal", "delete", "truncate", "persist", "memory", "off"):
            db = self.open()
            self.assertEqual(db.execute(f"PRAGMA journal_mode = {mode}").fetchone(), (mode,))
            self.change(db)
            retrain(db)
            self.assertNotEqual(answer(db), self.first)
            self.change(db)
            retrain(db)
            self.check(db)
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            db.close()

    def test_read_only(self):
        for db in (self.open(f"file:{self.path}?mode=ro", uri=True), self.open(f"file:{self.path}?immutable=1", uri=True)):
            self.check(db)
            self.assertEqual(db.execute("SELECT count(*) FROM ratings_mf").fetchone(), (2400,))
            self.assertEqual(db.execute("SELECT count(*) FROM recommend_all(2)").fetchone(), (120,))
            db.execute("SELECT count(*) FROM recommend_factors('ratings_mf', 'user')")
            db.execute("SELECT * FROM recommend_models").fetchall()
            self.assert_error(db, "SELECT mf_train('ratings', 4)", "read-only")
            self.assert_error(db, "SELECT mf_train('ratings', 4, '{\"model\": \"new\"}')", "read-only")
            with self.assertRaises(sqlite3.OperationalError):
                retrain(db)
            self.check(db)
            self.assertIn('"users":60', db.execute("SELECT mf_train('ratings', 4, '{\"model\": \"temp.mine\"}')").fetchone()[0])
            self.assertEqual(len(answer(db, "mine")), 5)

    def test_query_only(self):
        db = self.open()
        db.execute("PRAGMA query_only = 1")
        self.check(db)
        with self.assertRaises(sqlite3.OperationalError):
            train(db)
        db.execute("PRAGMA query_only = 0")
        self.check(db)

    def test_defensive(self):
        script = """.dbconfig defensive on
UPDATE ratings_mf_config SET value = 7 WHERE key = 'users';
DROP TABLE ratings_mf_user;
SELECT json_extract(mf_train('ratings', 4, '{"epochs": 3}'), '$.users');
INSERT INTO ratings_mf(ratings_mf) VALUES('retrain');
SELECT item FROM recommend(1007, 5) ORDER BY rank;
SELECT mf_train('ratings', 4, '{"model": "b"}') IS NOT NULL;
ALTER TABLE b RENAME TO c;
DROP TABLE c;
SELECT count(*) FROM sqlite_schema;
"""
        out = shell(self.path, script, check=False)
        self.assertIn("may not be modified", out)
        self.assertIn("may not be dropped", out)
        self.assertEqual([line for line in out.split("\n") if re.fullmatch("[0-9]+", line)],
                         ["60"] + [str(row[1]) for row in self.first] + ["1", str(self.open().execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])])
        self.check(self.open())

    def test_shadow_tables_are_known_as_such(self):
        types = dict(self.open().execute("SELECT name, type FROM pragma_table_list WHERE schema = 'main'"))
        self.assertEqual(types["ratings_mf"], "virtual")
        self.assertEqual({suffix: types["ratings_mf_" + suffix] for suffix in SHADOWS}, {suffix: "shadow" for suffix in SHADOWS})

    def test_other_encodings_and_page_sizes(self):
        for pragma in ("encoding = 'UTF-16le'", "encoding = 'UTF-16be'", "page_size = 512", "page_size = 65536", "auto_vacuum = full"):
            db = connect()
            db.execute("PRAGMA " + pragma)
            add_ratings(db, [(f"Zoë{u}", f"映{i}", r) for u, i, r in ROWS], user="TEXT", item="TEXT")
            train(db, epochs=3)
            got = db.execute("SELECT item FROM recommend('Zoë1007', 5) ORDER BY rank").fetchall()
            self.assertEqual(len(got), 5, pragma)
            self.assertEqual(db.execute("SELECT item FROM ratings_mf WHERE user = 'Zoë1007' AND seen = 0 ORDER BY score DESC LIMIT 5").fetchall(), got)
            db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")

    def test_without_the_extension_the_rest_works(self):
        db = self.closing(sqlite3.connect(self.path))
        self.assertEqual(db.execute("SELECT count(*) FROM ratings").fetchone()[0], len(ROWS))
        self.assert_error(db, "SELECT * FROM ratings_mf", "no such module")


class Transactions(Files):
    def test_inside_a_transaction(self):
        db, other = self.open(), self.open()
        self.check(other)
        db.execute("BEGIN")
        self.change(db)
        train(db, epochs=3)
        changed = answer(db)
        self.assertNotEqual(changed, self.first)
        self.check(other)
        db.execute("COMMIT")
        self.assertEqual(answer(db), changed)
        self.assertEqual(answer(other), changed)

    def test_rollback_restores_the_old_model(self):
        db = self.open()
        for _ in range(3):
            self.check(db)
            similar = db.execute("SELECT * FROM item_similar(50, 5)").fetchall()
            db.execute("BEGIN")
            self.change(db)
            train(db, epochs=3)
            self.assertNotEqual(answer(db), self.first)
            self.assertNotEqual(db.execute("SELECT * FROM item_similar(50, 5)").fetchall(), similar)
            db.execute("ROLLBACK")
            self.check(db)
            self.assertEqual(db.execute("SELECT * FROM item_similar(50, 5)").fetchall(), similar)

    def test_rollback_of_a_first_training(self):
        db = rated()
        db.execute("BEGIN")
        train(db)
        self.assertEqual(len(answer(db)), 5)
        db.execute("ROLLBACK")
        self.assertEqual(tables(db), ["ratings"])
        self.assert_error(db, ANSWER, "no model")
        train(db)
        self.assertEqual(len(answer(db)), 5)

    def test_rollback_of_a_drop(self):
        db = self.open()
        self.check(db)
        db.execute("BEGIN")
        db.execute("DROP TABLE ratings_mf")
        self.assert_error(db, ANSWER, "no model")
        db.execute("ROLLBACK")
        self.check(db)

    def test_savepoints(self):
        db = self.open()
        db.execute("SAVEPOINT a")
        self.change(db)
        train(db, epochs=3)
        changed = answer(db)
        db.execute("SAVEPOINT b")
        train(db, epochs=1, seed=9)
        self.assertNotEqual(answer(db), changed)
        db.execute("ROLLBACK TO b")
        self.assertEqual(answer(db), changed)
        db.execute("ROLLBACK TO a")
        self.check(db)
        db.execute("RELEASE a")
        self.check(db)
        db.execute("SAVEPOINT a")
        train(db, model="new")
        db.execute("ROLLBACK TO a")
        self.check(db)
        db.execute("RELEASE a")

    def test_in_one_statement_with_other_writes(self):
        db = self.open()
        db.execute("CREATE TABLE log(summary)")
        db.execute("INSERT INTO log SELECT mf_train('ratings', 4, '{\"epochs\": 3}')")
        self.assertEqual(db.execute("SELECT json_extract(summary, '$.users') FROM log").fetchall(), [(60,)])
        self.check(db)

    def fill(self, db, again=False):
        """Trains a larger model with no room for it."""
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 3}")
        self.assert_error(db, "SELECT mf_train('ratings', 400, '{\"epochs\": 1}')", "full")
        if again:
            self.assert_error(db, "SELECT mf_train('ratings', 400, '{\"epochs\": 1, \"model\": \"new\"}')", "full")
        db.execute("PRAGMA max_page_count = 1000000")

    def test_full_disk_in_a_transaction_keeps_the_users_changes_and_the_old_model(self):
        db = self.open()
        db.execute("CREATE TABLE notes(x)")
        db.execute("BEGIN")
        db.execute("INSERT INTO notes VALUES('mine')")
        self.fill(db, True)
        if db.in_transaction:
            self.check(db)
            self.assertEqual(db.execute("SELECT x FROM notes").fetchall(), [("mine",)])
            db.execute("COMMIT")
            self.assertEqual(self.open().execute("SELECT x FROM notes").fetchall(), [("mine",)])
        else:
            self.fail("the user's transaction was rolled back")
        self.check(self.open())
        self.assertEqual(len([name for name in tables(db) if name.startswith("new")]), 0)
        train(db, rank=400, epochs=1)

    def test_full_disk_without_a_transaction(self):
        db = self.open()
        self.check(db)
        self.fill(db, True)
        self.check(db)
        self.check(self.open())
        self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')")

    def test_busy(self):
        db, other = self.open(timeout=0), self.open(timeout=0)
        db.execute("BEGIN IMMEDIATE")
        self.assert_error(other, "SELECT mf_train('ratings', 4)", "locked")
        self.check(other)
        db.execute("COMMIT")
        train(other, epochs=3)
        self.check(other)

    def test_interrupted_from_another_thread(self):
        db = self.open(check_same_thread=False)
        add_ratings(db, made_up_ratings(users=900, items=150, density=0.3), "more")
        before = shadow_bytes(db)
        for sql in ("SELECT mf_train('more', 64, '{\"epochs\": 100000, \"model\": \"ratings_mf\"}')",
                    "SELECT * FROM mf_train('more', 512, '{\"epochs\": 100000, \"model\": \"ratings_mf\", \"solver\": \"cholesky\"}')"):
            statements, reached = [0], threading.Event()

            def count(_, statements=statements, reached=reached):
                statements[0] += 1
                if statements[0] == 100:  # most of them the training's own ticks
                    reached.set()

            db.set_trace_callback(count)
            other = threading.Thread(target=lambda reached=reached: (reached.wait(), db.interrupt()))
            other.start()
            self.assert_error(db, sql, "interrupted")
            reached.set()
            other.join()
            db.set_trace_callback(None)
            self.assertEqual(shadow_bytes(db), before)
            self.check(db)

    def test_interrupted_by_a_progress_handler(self):
        db = self.open()
        before = shadow_bytes(db)
        calls = [0]

        def stop():
            calls[0] += 1
            return calls[0] > 60

        db.set_progress_handler(stop, 100)
        self.assert_error(db, "SELECT mf_train('ratings', 64, '{\"epochs\": 100000}')", "interrupted")
        db.set_progress_handler(None, 0)
        self.assertEqual(shadow_bytes(db), before)
        self.check(db)


class Connections(Files):
    def test_a_second_connection_retrains(self):
        for mode in ("wal", "delete"):
            reader, writer = self.open(), self.open()
            writer.execute(f"PRAGMA journal_mode = {mode}")
            old = answer(reader)
            writer.execute("BEGIN")
            self.change(writer)
            retrain(writer)
            self.assertEqual(answer(reader), old)
            writer.execute("COMMIT")
            self.assertNotEqual(answer(writer), old)
            self.assertEqual(answer(reader), answer(writer))
            self.assertEqual(reader.execute("SELECT * FROM item_similar(50, 5)").fetchall(), writer.execute("SELECT * FROM item_similar(50, 5)").fetchall())
            reader.close()
            writer.close()

    def test_a_reader_keeps_its_snapshot(self):
        reader, writer = self.open(), self.open()
        writer.execute("PRAGMA journal_mode = wal")
        reader.execute("BEGIN")
        self.check(reader)
        self.change(writer)
        retrain(writer)
        self.check(reader)
        reader.execute("COMMIT")
        self.assertEqual(answer(reader), answer(writer))
        self.assertNotEqual(answer(reader), self.first)

    def test_a_second_connection_drops_renames_and_makes_models(self):
        one, other = self.open(), self.open()
        self.check(one)
        other.execute("ALTER TABLE ratings_mf RENAME TO taste")
        self.check(one)
        self.check(one, "taste")
        other.execute("DROP TABLE taste")
        self.assert_error(one, ANSWER, "no model")
        train(other, epochs=3)
        self.check(one)

    def test_changed_amid_a_reading(self):
        db = self.open()
        cursor = db.execute("SELECT user, item FROM ratings_mf")
        for _ in range(3):
            cursor.fetchone()
        self.change(db)
        retrain(db)
        try:
            rows = len(cursor.fetchall())
        except sqlite3.Error as error:
            self.assertIn("changed while it was being read", str(error))
        else:
            self.assertEqual(rows, 2397)

    def test_closing_with_a_query_open(self):
        db = connect(self.path)
        cursor = db.execute("SELECT * FROM recommend(1007)")
        cursor.fetchone()
        db.close()
        self.check(self.open())

    def test_many_connections(self):
        connections = [self.open() for _ in range(20)]
        for db in connections:
            self.check(db)
        retrain(connections[7])
        for db in connections:
            self.check(db)


def read_again_and_again(path, answers, stop, failures, ready):
    """One reader process: each answer must be one of the two models', never a mixture."""
    try:
        db = connect(path)
        seen, first = set(), True
        while not stop.is_set():
            got = answer(db)
            if repr(got) not in answers:
                raise AssertionError("a mixture: " + repr(got))
            db.execute("SELECT max(score) FROM ratings_mf WHERE user = 1014").fetchone()
            seen.add(repr(got))
            if first:
                ready.release()
                first = False
        failures.put((None, len(seen)))
    except Exception as error:  # to be told to the parent
        ready.release()
        failures.put((repr(error), 0))


class Processes(Files):
    def test_eight_readers_while_one_trains(self):
        writer = self.open()
        writer.execute("PRAGMA journal_mode = wal")
        self.change(writer)
        retrain(writer)
        second = answer(writer)
        self.assertNotEqual(second, self.first)
        writer.close()
        spawn = multiprocessing.get_context("spawn")
        stop, results, ready = spawn.Event(), spawn.Queue(), spawn.Semaphore(0)
        readers = [spawn.Process(target=read_again_and_again, args=(self.path, {repr(self.first), repr(second)}, stop, results, ready)) for _ in range(8)]
        for reader in readers:
            reader.start()
        for _ in readers:
            self.assertTrue(ready.acquire(timeout=30))
        writer = self.open()
        for _ in range(20):
            self.change(writer)
            # The ratings and the model change apart: readers ask the model only.
            retrain(writer)
        stop.set()
        told = [results.get(timeout=30) for _ in readers]
        for reader in readers:
            reader.join(30)
        self.assertEqual([message for message, _ in told if message], [])
        self.assertTrue(any(count == 2 for _, count in told))
        self.assertEqual(writer.execute("PRAGMA integrity_check").fetchall(), [("ok",)])


if __name__ == "__main__":
    unittest.main()
