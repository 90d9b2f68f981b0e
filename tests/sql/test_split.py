"""recommend_split: a hash that is the same everywhere and for ever, and uniform; recommend_version and recommend_debug."""
import re
import unittest

from support import ROOT, TestCase, connect


class Split(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = connect()

    def one(self, sql, *parameters):
        return self.db.execute(sql, parameters).fetchone()[0]

    def test_frozen_values(self):
        """Data sets are split by these numbers: they may never change."""
        for call, value in FROZEN:
            self.assertEqual(self.one(f"SELECT recommend_split({call})"), value, call)

    def test_equal_keys(self):
        for one, other in (("42, 1", "42, 1.0"), ("42, 1, 'a'", "42, 1.0, 'a'"), ("'42', 7", "42, 7"), ("42, 0.0", "42, -0.0"), ("42, 9007199254740992", "42, 9007199254740992.0")):
            self.assertEqual(self.one(f"SELECT recommend_split({one}) = recommend_split({other})"), 1, (one, other))

    def test_different_keys(self):
        calls = ("1, 1", "2, 1", "1, 2", "1, '1'", "1, x'31'", "1, 1, 2", "1, 2, 1", "1, 12", "1, 'ab', 'c'", "1, 'a', 'bc'", "1, ''", "1, x''", "1, 1.5", "1, -1",
                 "1, 9007199254740993", "1, 9007199254740992", "1, char(97, 0)", "1, 'a'")
        values = {self.one(f"SELECT recommend_split({call})") for call in calls}
        self.assertEqual(len(values), len(calls))

    def test_null(self):
        for call in ("NULL, 1", "1, NULL", "1, 2, NULL", "1, NULL, 2"):
            self.assertIsNone(self.one(f"SELECT recommend_split({call})"))

    def test_wrong_calls(self):
        for call in ("", "1"):
            self.assert_error(self.db, f"SELECT recommend_split({call})", "recommend_split(42, user, item)")
        for call in ("'x', 1", "1.5, 1", "x'00', 1"):
            self.assert_error(self.db, f"SELECT recommend_split({call})", "seed")

    def test_uniform(self):
        counts = [row[0] for row in self.db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) "
            "SELECT count(*) FROM n GROUP BY CAST(20 * recommend_split(42, i / 300, i % 300) AS INTEGER) ORDER BY 1")]
        self.assertEqual(len(counts), 20)
        chi_square = sum((count - 5000) ** 2 / 5000 for count in counts)
        self.assertLess(chi_square, 43.8)  # 0.1 % of 19 degrees of freedom
        low, high = self.db.execute("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) "
                                    "SELECT min(recommend_split(1, i)), max(recommend_split(1, i)) FROM n").fetchone()
        self.assertTrue(0 <= low < 0.001 and 0.999 < high < 1)

    def test_seeds_are_independent(self):
        both = self.one("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) "
                        "SELECT sum(recommend_split(1, i) < 0.5 AND recommend_split(2, i) < 0.5) FROM n")
        self.assertLess(abs(both - 25000), 600)

    def test_may_be_used_in_views_and_indexes(self):
        self.db.execute("CREATE TABLE r(user, item)")
        self.db.execute("INSERT INTO r SELECT value, value * 7 FROM json_each('[1, 2, 3, 4, 5, 6, 7, 8]')")
        self.db.execute("CREATE INDEX by_split ON r(recommend_split(42, user, item))")
        self.db.execute("CREATE VIEW train AS SELECT * FROM r WHERE recommend_split(42, user, item) < 0.5")
        self.db.execute("PRAGMA trusted_schema = OFF")
        kept = {row[0] for row in self.db.execute("SELECT user FROM train")}
        self.assertEqual(kept, {u for u in range(1, 9) if self.one("SELECT recommend_split(42, ?, ?)", u, u * 7) < 0.5})


class About(TestCase):
    def test_version(self):
        db = connect()
        with open(ROOT + "/ext/base/version.h") as header:
            version = re.search('RECOMMEND_VERSION "(.*)"', header.read()).group(1)
        self.assertEqual(db.execute("SELECT recommend_version()").fetchone(), (version,))

    def test_debug(self):
        db = connect()
        text = db.execute("SELECT recommend_debug()").fetchone()[0]
        for word in ("recommend", "SQLite " + db.execute("SELECT sqlite_version()").fetchone()[0], "BLAS", "SIMD", "threads", "cJSON"):
            self.assertIn(word, text)


FROZEN = (
    ("42, 1, 1", 0.6922169225774847),
    ("42, 1, 2", 0.4756295790562569),
    ("7, 'ann', 'tt0111161'", 0.9965862118891039),
    ("42, 2.5, x'00ff'", 0.5810448864589856),
    ("-1, 'Zoë', -9223372036854775808", 0.653342289621899),
)

if __name__ == "__main__":
    unittest.main()
