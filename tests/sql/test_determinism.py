"""The same training gives the same bytes: for any number of threads, order of rows, client, and time."""
import json
import os
import random
import unittest

from support import TestCase, add_ratings, connect, made_up_ratings, shadow_bytes, shell, train

ROWS = made_up_ratings(users=900, items=150, density=0.15)


class Same(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.expected = {}

    def bytes_of(self, rows=ROWS, **options):
        db = self.closing(connect())
        add_ratings(db, rows)
        train(db, rank=12, epochs=3, **options)
        return shadow_bytes(db)

    def check(self, **options):
        expected = self.bytes_of(threads=1, **options)
        for threads in (2, 7, 1, 0):
            got = self.bytes_of(threads=threads, **options)
            for table in expected:
                self.assertEqual(got[table], expected[table], (table, threads))

    def test_threads(self):
        self.check()

    def test_threads_and_exact_solver(self):
        self.check(solver="cholesky", test=0.2)

    def test_threads_and_nonnegative(self):
        self.check(nonnegative=True)

    def test_threads_and_implicit(self):
        self.check(rating=None)

    def test_order_of_rows(self):
        expected = self.bytes_of()
        for seed in (1, 2):
            rows = list(ROWS)
            random.Random(seed).shuffle(rows)
            self.assertEqual(self.bytes_of(rows), expected)

    def test_order_of_duplicates_that_are_summed(self):
        rows = [(u, i, r + 0.1) for u, i, r in ROWS[:2000]] + ROWS[:1500] + ROWS[500:900]
        expected = self.bytes_of(rows, duplicates="sum")
        random.Random(3).shuffle(rows)
        self.assertEqual(self.bytes_of(rows, duplicates="sum"), expected)

    def test_trained_again_in_place(self):
        db = self.closing(connect())
        add_ratings(db, ROWS)
        train(db, rank=12, epochs=3)
        expected = shadow_bytes(db)
        train(db, rank=12, epochs=3)
        self.assertEqual(shadow_bytes(db), expected)
        db.execute("INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')")
        self.assertEqual(shadow_bytes(db), expected)
        db.execute("DROP TABLE ratings_mf")
        db.execute("SELECT * FROM mf_train('ratings', 12, '{\"epochs\":3}')").fetchall()
        self.assertEqual(shadow_bytes(db)["userfactor"], expected["userfactor"])

    def test_shell_and_python(self):
        path = os.path.join(self.folder(), "ratings.db")
        db = connect(path)
        add_ratings(db, ROWS)
        db.close()
        options = json.dumps({"epochs": 3})
        shell(path, f"SELECT mf_train('ratings', 12, '{options}') IS NOT NULL;\n")
        db = self.closing(connect(path))
        stored = shadow_bytes(db)
        train(db, rank=12, epochs=3)
        self.assertEqual(shadow_bytes(db), stored)

    def test_another_seed_is_another_model(self):
        self.assertNotEqual(self.bytes_of(seed=1)["itemfactor"], self.bytes_of(seed=2)["itemfactor"])


if __name__ == "__main__":
    unittest.main()
