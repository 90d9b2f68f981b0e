"""recommend_describe against Python's statistics and SQLite's own aggregates."""
import math
import random
import statistics
import unittest

from support import TestCase, connect


class Describe(TestCase):
    def setUp(self):
        self.db = self.closing(connect())

    def described(self, source="t"):
        return self.db.execute('SELECT column, type, count, nulls, "distinct", mean, stddev, min, max FROM recommend_describe(?)', (source,)).fetchall()

    def check_column(self, row, values):
        """Against the values, a list."""
        there = [value for value in values if value is not None and value != ""]
        numbers = [value for value in there if isinstance(value, (int, float))]
        texts = [value for value in there if isinstance(value, str)]
        blobs = [value for value in there if isinstance(value, bytes)]
        self.assertEqual(row[2:5], (len(there), len(values) - len(there), len(set(there))))
        mean = statistics.fmean(numbers) if numbers else None
        deviation = statistics.stdev([float(x) for x in numbers]) if len(numbers) > 1 else None
        for got, expected in ((row[5], mean), (row[6], deviation)):
            if expected is None:
                self.assertIsNone(got)
            else:
                self.assertAlmostEqual(got, expected, delta=1e-12 * max(1, abs(mean), abs(expected)))
        ordered = sorted(numbers) + sorted(texts, key=lambda text: text.encode()) + sorted(blobs)
        self.assertEqual(row[7:], (ordered[0], ordered[-1]) if ordered else (None, None))

    def test_any_values(self):
        chance = random.Random(4)
        pools = {
            "integer": lambda: chance.randrange(-50, 50),
            "integer, real": lambda: chance.choice([1, 2, 2.0, 1.5, -7.25, 1e15]),
            "real": lambda: 1e6 + chance.gauss(0, 1),
            "text": lambda: chance.choice(["", "a", "ab", "B", "é", "Zoë", "12"]),
            "integer, real, text, blob": lambda: chance.choice([None, 3, 4.5, "3", "x" * 300, b"", b"\x00\xff", ""]),
            "null": lambda: chance.choice([None, ""]),
        }
        rows = [tuple(draw() for draw in pools.values()) for _ in range(2000)]
        self.db.execute("CREATE TABLE t(a, b, c, d, e, f)")
        self.db.executemany("INSERT INTO t VALUES(?, ?, ?, ?, ?, ?)", rows)
        described = self.described()
        self.assertEqual([row[0] for row in described], list("abcdef"))
        self.assertEqual([row[1] for row in described], list(pools))
        for at, row in enumerate(described):
            self.check_column(row, [values[at] for values in rows])

    def test_distinct_of_many(self):
        self.db.execute("CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) "
                        "SELECT i AS a, 'user' || (i / 3) AS b, i % 7 AS c, i * 1.0 AS d FROM n")
        self.assertEqual([row[4] for row in self.described()], [100000, 33334, 7, 100000])
        counts = self.db.execute("SELECT count(DISTINCT a), count(DISTINCT b), count(DISTINCT c) FROM t").fetchone()
        self.assertEqual(counts, (100000, 33334, 7))

    def test_far_from_zero(self):
        """Squares of large numbers would cancel."""
        values = [1e9 + i % 2 for i in range(1000)]
        self.db.execute("CREATE TABLE t(x)")
        self.db.executemany("INSERT INTO t VALUES(?)", [(value,) for value in values])
        self.assertAlmostEqual(self.described()[0][6], statistics.stdev(values), delta=1e-9)

    def test_infinities(self):
        self.db.execute("CREATE TABLE t(x)")
        self.db.executemany("INSERT INTO t VALUES(?)", [(math.inf,), (1,), (-math.inf,)])
        self.assertEqual(self.described(), [("x", "integer, real", 3, 0, 3, None, None, -math.inf, math.inf)])

    def test_empty_and_single(self):
        self.db.execute("CREATE TABLE t(x, y)")
        self.assertEqual(self.described(), [(name, "null", 0, 0, 0, None, None, None, None) for name in "xy"])
        self.db.execute("INSERT INTO t VALUES(5, 'a')")
        self.assertEqual(self.described(), [("x", "integer", 1, 0, 1, 5.0, None, 5, 5), ("y", "text", 1, 0, 1, None, None, "a", "a")])

    def test_sources(self):
        self.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, \"odd \"\" name\" TEXT)")
        self.db.execute("INSERT INTO t VALUES(1, 'x'), (2, 'y')")
        self.db.execute("CREATE VIEW v AS SELECT id * 2 AS twice FROM t")
        self.assertEqual([row[0] for row in self.described()], ["id", 'odd " name'])
        self.assertEqual(self.described("v")[0][5], 3.0)
        self.assertEqual(self.described("main.t"), self.described())
        self.assertEqual(self.described("SELECT id, id FROM t WHERE id > 1"), [("id", "integer", 1, 0, 1, 2.0, None, 2, 2)] * 2)
        wide = ", ".join(f"{i} AS c{i}" for i in range(900))
        self.assertEqual([row[7] for row in self.described("SELECT " + wide)], list(range(900)))

    def test_long_values_are_cut(self):
        """Only what is shown: values are compared and told apart whole."""
        long = "ä" * 59 + "€"
        self.db.execute("CREATE TABLE t(x, y, z)")
        self.db.executemany("INSERT INTO t VALUES(?, ?, ?)", [(long + "b", long, bytes(range(30))), (long + "a", long[:-1], bytes(range(31))), (long + "c", "z" * 10000, b"\xff" * 5000)])
        rows = self.described()
        self.assertEqual([row[4] for row in rows], [3, 3, 3])
        self.assertEqual(rows[0][7:], (long + "…", long + "…"))
        self.assertEqual(rows[1][7:], ("z" * 60 + "…", long))
        self.assertEqual(rows[2][7:], (bytes(range(30)), "x'" + "ff" * 16 + "…'"))
        self.db.execute("DELETE FROM t WHERE x = ?", (long + "a",))
        self.assertEqual(self.described()[1][7:], ("z" * 60 + "…", long))

    def test_joined(self):
        """As an argument from another table, with a second run on the same arguments."""
        self.db.execute("CREATE TABLE t(x)")
        self.db.execute("INSERT INTO t VALUES(1), (2)")
        self.assertEqual(self.db.execute("SELECT n.value, d.count FROM json_each('[\"t\", \"SELECT 7\", \"t\"]') n, recommend_describe(n.value) d ORDER BY n.key").fetchall(),
                         [("t", 2), ("SELECT 7", 1), ("t", 2)])

    def test_errors(self):
        self.db.execute("CREATE TABLE t(x)")
        self.assert_error(self.db, "SELECT * FROM recommend_describe('tt')", "recommend_describe", 'did you mean "t"')
        self.assert_error(self.db, "SELECT * FROM recommend_describe(NULL)", "recommend_describe(source)")
        self.assert_error(self.db, "SELECT * FROM recommend_describe", "recommend_describe(source)")
        self.assert_error(self.db, "SELECT * FROM recommend_describe('SELECT missing')", "no such column")
        self.assert_error(self.db, "SELECT * FROM recommend_describe('SELECT 1; DROP TABLE t')", "one SELECT")
        self.db.execute("CREATE VIEW sly AS SELECT * FROM recommend_describe('t')")
        self.assert_error(self.db, "SELECT * FROM sly", "unsafe use")


if __name__ == "__main__":
    unittest.main()
