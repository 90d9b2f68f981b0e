"""Writing into a model's own tables: triggers on them can't start a write of the same model, and what is deleted is
overwritten in the file, whatever PRAGMA secure_delete says."""
import json
import os
import random
import shutil
import sqlite3
import struct
import unittest

from support import add_ratings, connect, made_up_ratings, train, trained
from support import TestCase

ROWS = made_up_ratings()
RATE = "INSERT INTO {0}(user, item, rating) VALUES(1007, 50, 3.25)"
WRITES = (RATE, "UPDATE {0} SET rating = 2 WHERE user = 1014 AND seen = 1", "DELETE FROM {0} WHERE user = 1014 AND seen = 1",
          "INSERT INTO {0}({0}, user) VALUES('forget', 1021)", "INSERT INTO {0}({0}) VALUES('retrain')")


def content(db):
    """Every row of every table that is no virtual one."""
    names = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY 1").fetchall()
    return {name: db.execute(f'SELECT * FROM "{name}"').fetchall() for name, in names}


class Triggers(TestCase):
    """What a trigger on a model's own table does to the model is an error, and nothing is changed."""

    def assert_refused(self, db, sql):
        before = content(db)
        self.assert_error(db, sql, "is being written", "drop the trigger")
        self.assertEqual(content(db), before)
        self.assertFalse(db.in_transaction)

    def test_every_write(self):
        """Each write of a model, with each of them in a trigger on its tables, permanent or not."""
        for trusted in (0, 1):
            for temporary in ("", "TEMP "):
                db = self.closing(trained(rank=3, rows=ROWS, epochs=1, model="m"))
                db.execute(f"PRAGMA trusted_schema = {trusted}")
                for event in ("UPDATE ON m_config", "INSERT ON m_config", "DELETE ON m_config", "UPDATE ON m_user"):
                    for inner in WRITES + ("INSERT INTO m(m) VALUES('integrity-check')", "UPDATE m_item SET n = (SELECT count(*) FROM m)"):
                        db.execute(f"CREATE {temporary}TRIGGER g AFTER {event} BEGIN {inner.format('m')}; END")
                        refused = 0
                        for outer in WRITES + ("SELECT mf_train('ratings', 3, '{{\"epochs\": 1, \"model\": \"m\"}}')",):
                            # Training deletes and inserts every row, the others update some; forgetting moves a user.
                            if ("train" in outer) != event.startswith("UPDATE") and not ("forget" in outer and "user" in event):
                                self.assert_refused(db, outer.format("m"))
                                refused += 1
                        self.assertGreater(refused, 1)
                        db.execute("DROP TRIGGER g")
                for outer in WRITES:
                    db.execute(outer.format("m"))
                db.execute("INSERT INTO m(m) VALUES('integrity-check')")

    def test_in_a_circle(self):
        """a writes b, b writes c, c writes a; through a table of the user's with live triggers, too."""
        db = self.closing(trained(rank=3, rows=ROWS, epochs=1, model="a"))
        train(db, rank=3, function="knn_train", model="b")
        db.execute("SELECT baseline_train('ratings', '{\"model\": \"c\"}')")
        db.execute(f"CREATE TRIGGER a1 AFTER UPDATE ON a_config BEGIN {RATE.format('b')}; END")
        db.execute(f"CREATE TRIGGER b1 AFTER UPDATE ON b_user BEGIN {RATE.format('c')}; END")
        db.execute(RATE.format("a"))  # it comes to an end
        for model in "abc":
            self.assertEqual(db.execute(f"SELECT rating FROM {model} WHERE user = 1007 AND item = 50").fetchone(), (3.25,))
        db.execute("CREATE TABLE mine(x)")
        db.execute("CREATE TRIGGER c1 AFTER UPDATE ON c_config BEGIN INSERT INTO mine VALUES(1); END")
        db.execute(f"CREATE TRIGGER mine1 AFTER INSERT ON mine BEGIN {RATE.format('a')}; END")
        for model in "abc":
            self.assert_refused(db, RATE.format(model))
        db.execute("DROP TRIGGER mine1")
        db.execute("CREATE TRIGGER mine1 AFTER INSERT ON mine BEGIN INSERT INTO a(a) VALUES('retrain'); END")
        db.execute(RATE.format("b"))  # retraining inserts, and does not update
        db.execute("DROP TRIGGER a1")
        db.execute(f"CREATE TRIGGER a1 AFTER INSERT ON a_config WHEN new.key = 'items' BEGIN {RATE.format('b')}; END")
        self.assert_refused(db, RATE.format("b"))
        self.assert_refused(db, "INSERT INTO a(a) VALUES('retrain')")
        db.execute("DROP TRIGGER mine1")
        for model in "abc":
            db.execute(RATE.format(model))
            db.execute(f"INSERT INTO {model}({model}) VALUES('integrity-check')")

    def test_of_what_refers_to_it(self):
        """Dropping a table that is referred to deletes what refers to it, and that has triggers of its own."""
        db = self.closing(trained(rank=3, rows=ROWS, epochs=1, model="m"))
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("CREATE TABLE mine(idx REFERENCES m_user(idx) ON DELETE CASCADE)")
        db.execute("INSERT INTO mine VALUES(3)")
        for inner in WRITES:
            db.execute(f"CREATE TRIGGER g AFTER DELETE ON mine BEGIN {inner.format('m')}; END")
            before = content(db)
            self.assert_error(db, "DROP TABLE m")  # SQLite has no message of ours here
            self.assertEqual(content(db), before)
            self.assert_refused(db, "INSERT INTO m(m) VALUES('retrain')")
            db.execute("DROP TRIGGER g")
        db.execute("ALTER TABLE m RENAME TO n")
        db.execute(RATE.format("n"))
        db.execute("DROP TABLE n")
        self.assertEqual(content(db).keys(), {"ratings", "mine"})


FAMILIES = {
    "als": ("mf_train", 6, {"epochs": 2}),
    "ials": ("mf_train", 6, {"epochs": 2, "algorithm": "ials"}),
    "sgd": ("mf_train", 6, {"epochs": 2, "algorithm": "sgd"}),
    "svd": ("mf_train", 6, {"algorithm": "svd"}),
    "items": ("knn_train", 8, {}),
    "users": ("knn_train", 8, {"by": "user"}),
    "ease": ("ease_train", 10, {"values": "ratings"}),
    "baseline": ("baseline_train", None, {}),
    "words": ("tfidf_train", None, {"ratings": "source.ratings"}),
    "latent": ("tfidf_train", None, {"ratings": "source.ratings", "lsa": 4}),
}


def pairs(blob):
    """Two floats next to each other that are hardly anybody else's."""
    return {blob[i:i + 8] for i in range(0, len(blob) - 7, 4) if 0.0 not in struct.unpack("<2f", blob[i:i + 8])}


def traces(db, user):
    """The bytes by which a user would be known again: ratings, vector, neighbours."""
    row = db.execute("SELECT idx, n, history FROM m_user WHERE id = ?", (user,)).fetchone()
    if not row:
        return set()
    found = pairs(row[2][4 * row[1]:-8])
    chunk = db.execute("SELECT n, data FROM m_userfactor WHERE chunk = ?", (row[0] // 64,)).fetchone()
    if chunk:
        size = (len(chunk[1]) - 8) // chunk[0]
        found |= pairs(chunk[1][row[0] % 64 * size:][:size])
    neighbors = db.execute("SELECT n, data FROM m_neighbor WHERE idx = ? AND (SELECT value FROM m_config WHERE key = 'links') = 2",
                           row[:1]).fetchone()
    return found | pairs(neighbors[1][4 * neighbors[0]:8 * neighbors[0]]) if neighbors else found


class Life:
    """A model in a file of its own, its source elsewhere, which lives a while: ratings come and go, it is trained again,
    other tables grow and shrink in between. What is ever written of some users is noted."""

    def __init__(self, folder, family, page_size, seed, journal):
        function, size, options = FAMILIES[family]
        self.folder, self.random = folder, random.Random(seed)
        self.path = os.path.join(folder, "people.db")
        db = self.db = connect(self.path)
        for pragma in (f"page_size = {page_size}", f"auto_vacuum = {seed % 3}", f"journal_mode = {journal}", "secure_delete = OFF"):
            db.execute("PRAGMA " + pragma)
        db.execute("ATTACH ':memory:' AS source")
        word = lambda letters, n: "".join(self.random.choice(letters) for _ in range(n))
        self.users = [f"user-{u}-{word('abcdef', self.random.randrange(5, 60))}" for u in range(self.random.randrange(80, 160))]
        self.items = [f"item-{i}-{word('ghijkl', 20)}" for i in range(self.random.randrange(30, 60))]
        db.execute("CREATE TABLE source.ratings(user TEXT, item TEXT, rating REAL)")
        db.executemany("INSERT INTO source.ratings VALUES(?, ?, ?)",
                       [(u, i, self.rating()) for u in self.users for i in self.items if self.random.random() < 0.3])
        db.execute("CREATE TABLE source.texts(id TEXT, text TEXT)")
        db.executemany("INSERT INTO source.texts VALUES(?, ?)",
                       [(i, " ".join(f"w{self.random.randrange(60)}x" for _ in range(12))) for i in self.items])
        db.execute("CREATE TABLE other(x)")
        source = "source.texts" if function == "tfidf_train" else "source.ratings"
        given = [source] + ([size] if size else []) + [json.dumps(dict(options, model="main.m", threads=1))]
        self.train = lambda: db.execute(f"SELECT {function}({', '.join('?' * len(given))})", given).fetchall()
        newcomers = [f"user-new-{n}-{word('abcdef', self.random.randrange(5, 50))}" for n in range(9)]
        self.victims = self.random.sample(self.users, 6) + newcomers[:3]
        self.noted = {victim: set() for victim in self.victims}
        self.train()
        self.note()
        for step in range(45):
            user, item, chance = self.random.choice(self.users + newcomers + 4 * self.victims), self.random.choice(self.items), self.random.random()
            if chance < 0.7:
                db.execute("INSERT INTO m(user, item, rating) VALUES(?, ?, ?)", (user, item, self.rating()))
            elif chance < 0.85:
                db.execute("DELETE FROM m WHERE user = ? AND seen = 1 AND item = ?", (user, item))
            elif chance < 0.95:
                db.execute("INSERT INTO other VALUES(randomblob(?))", (self.random.randrange(3000),))
            else:
                db.execute("DELETE FROM other")
            self.note()
            if step == 25:
                self.train()
                self.note()

    def rating(self):
        return round(self.random.uniform(1, 5), 6)

    def note(self):
        for victim in self.victims:
            self.noted[victim] |= traces(self.db, victim)

    def left(self):
        """What the files hold of the victims that the rows that there are do not."""
        if self.db.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        clean = os.path.join(self.folder, "clean")
        self.db.execute("VACUUM main INTO ?", (clean,))
        with open(clean, "rb") as file:
            rows = file.read()
        os.remove(clean)
        found = []
        for name in os.listdir(self.folder):
            with open(os.path.join(self.folder, name), "rb") as file:
                content = file.read()
            for victim, noted in self.noted.items():
                found += [(name, victim)] * (victim.encode() in content or any(trace in content and trace not in rows for trace in noted))
        return found


class NothingIsLeft(TestCase):
    """No byte that the model wrote is left in the file, of whom it forgets and of what is dropped."""

    def check(self, family, page_size, seed, journal, drop=False):
        folder = self.folder()
        life = Life(folder, family, page_size, seed, journal)
        self.assertTrue(all(life.noted[victim] for victim in life.victims[:6]))
        with open(life.path, "rb") as file:
            if journal != "wal":
                content = file.read()
                self.assertTrue(any(victim.encode() in content for victim in life.victims))
        if drop:
            life.db.execute("DROP TABLE m")
        else:
            for victim in life.victims:
                if life.db.execute("SELECT 1 FROM m_user WHERE id = ?", (victim,)).fetchone():
                    life.db.execute("INSERT INTO m(m, user) VALUES('forget', ?)", (victim,))
            life.db.execute("INSERT INTO m(m) VALUES('integrity-check')")
        self.assertEqual(life.left(), [], (family, page_size, seed, journal, drop))
        self.assertEqual(life.db.execute("PRAGMA secure_delete").fetchone(), (0,))
        life.db.close()
        shutil.rmtree(folder)

    def test_forget(self):
        for number, family in enumerate(FAMILIES):
            for seed, (page_size, journal) in enumerate(((512, "delete"), (4096, "wal"), (65536, "truncate")) if number % 2 else
                                                        ((1024, "wal"), (4096, "delete"), (16384, "wal"))):
                with self.subTest(family=family, page_size=page_size):
                    self.check(family, page_size, 10 * number + seed, journal)

    def test_drop(self):
        for number, family in enumerate(FAMILIES):
            self.check(family, (512, 4096)[number % 2], number, ("delete", "wal")[number // 2 % 2], drop=True)

    def test_training_again(self):
        """A training in the place of a model leaves nothing of who is in its source no more."""
        for family in ("als", "users", "words"):
            life = Life(self.folder(), family, 1024, 3, "delete")
            for victim in life.victims:
                life.db.execute("DELETE FROM source.ratings WHERE user = ?", (victim,))
            life.train()
            self.assertEqual(life.left(), [])
            life.db.close()


class SecureDelete(TestCase):
    """PRAGMA secure_delete is what it was, 0, 1 or 2, in every schema and after whatever came to pass."""

    def values(self, db, expected):
        for schema, value in expected.items():
            self.assertEqual(db.execute(f'PRAGMA "{schema}".secure_delete').fetchone(), (value,), schema)

    def test_afterwards(self):
        for values in ({"main": 0, "the \" other": 2}, {"main": 1, "the \" other": 0}, {"main": 2, "the \" other": 1}):
            db = self.closing(connect())
            db.execute("ATTACH ':memory:' AS \"the \"\" other\"")
            for schema, value in values.items():
                db.execute('PRAGMA "%s".secure_delete = %s' % (schema.replace('"', '""'), ("off", "on", "fast")[value]))
            check = lambda: self.values(db, {schema.replace('"', '""'): value for schema, value in values.items()})
            add_ratings(db, ROWS)
            for schema in values:
                name = '"%s".m' % schema.replace('"', '""')
                train(db, rank=3, epochs=1, model=schema + ".m")
                check()
                for sql in ("INSERT INTO {0}(user, item, rating) VALUES(1, 50, 3), (2, 53, 4)", "DELETE FROM {0} WHERE user = 1 AND seen = 1",
                            "INSERT INTO {0}(m, user) VALUES('forget', 1014)", "INSERT INTO {0}(m) VALUES('integrity-check')"):
                    db.execute(sql.format(name))
                    check()
                for sql in ("INSERT INTO {0}(user, item, rating) VALUES(1, NULL, 3)", "INSERT INTO {0}(m) VALUES('no')"):
                    self.assert_error(db, sql.format(name))
                    check()
                db.execute("CREATE TRIGGER %s.g AFTER UPDATE ON m_config BEGIN SELECT raise(ABORT, 'no more'); END" % name[:-2])
                self.assert_error(db, f"INSERT INTO {name}(user, item, rating) VALUES(1, 50, 3)", "no more")
                check()
                db.execute("DROP TRIGGER %s.g" % name[:-2])
                db.execute("BEGIN")
                db.execute(f"INSERT INTO {name}(user, item, rating) VALUES(1, 50, 3)")
                check()
                db.execute("ROLLBACK")
                check()
                train(db, rank=3, epochs=1, model=schema + ".m")
                check()
                db.execute(f"ALTER TABLE {name} RENAME TO n")
                check()
                db.execute(f"DROP TABLE {name[:-1]}n")
                check()

    def test_an_authorizer(self):
        """A host may keep PRAGMA from its users: ratings come and go as they did; only forgetting can't be promised."""
        db = self.closing(trained(rank=3, rows=ROWS, epochs=1))
        db.execute("PRAGMA secure_delete = OFF")
        for verdict in (sqlite3.SQLITE_DENY, sqlite3.SQLITE_IGNORE):
            db.set_authorizer(lambda action, *rest: verdict if action == sqlite3.SQLITE_PRAGMA and rest[0] == "secure_delete" else sqlite3.SQLITE_OK)
            db.execute("INSERT INTO ratings_mf(user, item, rating) VALUES(1007, 50, 4)")
            train(db, rank=3, epochs=1)
            self.assert_error(db, "INSERT INTO ratings_mf(ratings_mf, user) VALUES('forget', 1007)", "secure_delete", "not authorized")
            db.set_authorizer(None)
        db.execute("INSERT INTO ratings_mf(ratings_mf, user) VALUES('forget', 1007)")


if __name__ == "__main__":
    unittest.main()
