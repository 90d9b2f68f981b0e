"""Databases that were stored before are read by this version: those in tests/fixtures, which make_fixture.py made."""
import glob
import json
import os
import shutil
import sqlite3
import tempfile

from make_fixture import FIXTURES, MODELS
from support import TestCase, connect, trained

NAMES = sorted(os.path.basename(path)[:-len(".db")] for path in glob.glob(os.path.join(FIXTURES, "format*.db")))


class Fixture(TestCase):
    def opened(self, name=NAMES[-1]):
        """A copy, which may be written to."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = shutil.copy(os.path.join(FIXTURES, name + ".db"), folder)
        return self.closing(connect(path))

    def models(self, db):
        return [name for name, in db.execute("SELECT name FROM recommend_models")]

    def expected(self, name):
        with open(os.path.join(FIXTURES, name + ".json"), encoding="utf-8") as file:
            return json.load(file)

    def assert_same_rows(self, rows, expected, sql):
        """Processors round differently: numbers agree to a ten-thousandth."""
        self.assertEqual(len(rows), len(expected), sql)
        for row, right in zip(rows, expected):
            self.assertEqual(len(row), len(right), sql)
            for value, wanted in zip(row, right):
                if isinstance(wanted, float):
                    self.assertAlmostEqual(value, wanted, delta=1e-4, msg=f"{sql}: {row}")
                else:
                    self.assertEqual(value, wanted, f"{sql}: {row}")


class Reading(Fixture):
    def test_models_are_whole(self):
        for name in NAMES:
            db = self.opened(name)
            for model in self.models(db):
                with self.subTest(fixture=name, model=model):
                    db.execute(f"INSERT INTO {model}({model}) VALUES('integrity-check')")

    def test_they_answer_what_is_written_down(self):
        for name in NAMES:
            db = self.opened(name)
            for sql, expected in self.expected(name).items():
                with self.subTest(fixture=name, sql=sql):
                    self.assert_same_rows(db.execute(sql).fetchall(), expected, sql)

    def test_they_change_and_are_trained_again(self):
        for name in NAMES:
            db = self.opened(name)
            for model, answers in db.execute("SELECT name, answers FROM recommend_models").fetchall():
                with self.subTest(fixture=name, model=model):
                    if "live ratings" in answers:
                        db.execute(f"INSERT INTO {model}(user, item, rating) VALUES(77, 101, 4)")
                    if "forget" in answers:
                        db.execute(f"INSERT INTO {model}({model}, item) VALUES('forget', 104)")
                    db.execute(f"INSERT INTO {model}({model}) VALUES('integrity-check')")
                    db.execute(f"INSERT INTO {model}({model}) VALUES('retrain')")
                    db.execute(f"INSERT INTO {model}({model}) VALUES('integrity-check')")


class Complete(Fixture):
    """The newest fixture has all that this version stores: else it is time for a new format, and a fixture of it."""

    def test_every_family_and_kind_of_model(self):
        db = self.opened()
        self.assertEqual({family + "_train" for family, in db.execute("SELECT family FROM recommend_models")},
                         {trainer for trainer, in db.execute("SELECT trainer FROM recommend_trainers")})
        stored = {kind for model in self.models(db) for kind, in db.execute(f"SELECT value FROM {model}_config WHERE key = 'kind'")}
        self.assertEqual(stored, {kind for kind, in db.execute("SELECT DISTINCT kind FROM recommend_trainers")})
        self.assertEqual(set(self.models(db)), set(MODELS))

    def test_every_key(self):
        fresh, old = trained(), self.opened()
        keys = [row for row in fresh.execute("SELECT key, typeof(value) FROM ratings_mf_config ORDER BY key")]
        self.assertEqual(keys, old.execute("SELECT key, typeof(value) FROM both_config ORDER BY key").fetchall())
        self.assertEqual(fresh.execute("SELECT value FROM ratings_mf_config WHERE key = 'format'").fetchall(),
                         old.execute("SELECT value FROM both_config WHERE key = 'format'").fetchall())


class OtherFormats(Fixture):
    def test_a_newer_one(self):
        """Nothing else of it is looked at: it may have other keys, other values, and no kind that is known here."""
        db = self.opened()
        db.execute("UPDATE both_config SET value = 3 WHERE key = 'format'")
        db.execute("UPDATE both_config SET value = 'network' WHERE key = 'kind'")
        db.execute("DELETE FROM both_config WHERE key = 'rating_nu'")
        for sql in ("SELECT * FROM recommend(2, 3, 'both')", "SELECT * FROM both WHERE user = 2", "INSERT INTO both(both) VALUES('integrity-check')"):
            self.assert_error(db, sql, "\"both\" is stored in format 3", "reads formats 2 to 2", "load a newer version of recommend", "or train the model again")
        db.execute("SELECT recommend_retrain('both')").fetchone()
        db.execute("INSERT INTO both(both) VALUES('integrity-check')")

    def test_an_older_one(self):
        db = self.opened()
        db.execute("UPDATE both_config SET value = 1 WHERE key = 'format'")
        self.assert_error(db, "SELECT * FROM recommend(2, 3, 'both')", "format 1", "load the version that stored it, or train the model again")

    def test_others_beside_it_are_read(self):
        db = self.opened()
        db.execute("UPDATE both_config SET value = 3 WHERE key = 'format'")
        self.assertTrue(db.execute("SELECT * FROM recommend(2, 3, 'means')").fetchall())
        self.assertEqual(set(self.models(db)), set(MODELS))


class Damage(Fixture):
    def test_messages_name_the_place_and_what_was_expected_there(self):
        for sql, place, expected in (
                ("UPDATE both_config SET value = 5000 WHERE key = 'rating_rank'", "value in row 'rating_rank' of both_config", "expected an integer from 0 to 4096, found 5000"),
                ("UPDATE both_config SET value = 'loud' WHERE key = 'score_head'", "value in row 'score_head' of both_config", "found 'loud'"),
                ("UPDATE both_config SET value = NULL WHERE key = 'average'", "value in row 'average' of both_config", "expected a finite number, found NULL"),
                ("UPDATE both_config SET value = 1.5 WHERE key = 'rating_nu'", "value in row 'rating_nu' of both_config", "expected a number from 0 to 1, found 1.5"),
                ("UPDATE changed_config SET value = 'recommend, text' WHERE key = 'answers'", "lists more answers than such a model can give", ""),
                ("UPDATE both_config SET value = 0 WHERE key = 'history'", "lists more answers than such a model can give", ""),
                ("UPDATE slim_config SET value = 'recommend, predict' WHERE key = 'answers'", "lists more answers than such a model can give", ""),
                ("DELETE FROM both_config WHERE key = 'cosine'", "both_config has no row 'cosine'", "damaged"),
                ("UPDATE both_user SET n = -1 WHERE idx = 3", "n in row 3 of both_user", "expected an integer from 0 to 8, found -1"),
                ("UPDATE both_user SET history = x'00' WHERE idx = 3", "history in row 3 of both_user", "bytes, found a blob of 1 bytes"),
                ("UPDATE both_itemfactor SET data = zeroblob(length(data))", "data in row 0 of both_itemfactor", "do not match their checksum"),
                ("UPDATE ease_weight SET data = substr(data, 2)", "data in all rows of ease_weight", "expected blobs of 264 bytes together, found 263"),
                ("DELETE FROM groups_weight WHERE name = 'centroid/1'", "groups_weight has no row 'centroid/1'", "damaged"),
                ("UPDATE near_items_neighbor SET n = n + 1 WHERE idx = 2", "data in row 2 of near_items_neighbor", "expected a blob of")):
            with self.subTest(sql):
                db = self.opened()
                db.execute(sql)
                model = sql.replace("DELETE FROM", "UPDATE").split()[1].rsplit("_", 1)[0]
                self.assert_error(db, f"INSERT INTO {model}({model}) VALUES('integrity-check')", "is damaged", place, expected, "train it again")

    def test_keys_that_are_not_known_are_left_alone(self):
        db = self.opened()
        db.execute("INSERT INTO both_config VALUES('note', 'of mine')")
        db.execute("INSERT INTO both(both) VALUES('integrity-check')")
        self.assertRaises(sqlite3.Error, db.execute, "INSERT INTO both_config VALUES('format', 2)")
