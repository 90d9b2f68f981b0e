"""Vectors in SQL, against numpy: JSON and float32 BLOBs, dot products, cosines, lengths."""
import json
import struct
import unittest

import numpy as np

from support import TestCase, connect, rated, train


def blob(numbers):
    return np.asarray(numbers, "<f4").tobytes()


class Vectors(TestCase):
    def setUp(self):
        self.db = connect()

    def value(self, sql, *parameters):
        return self.db.execute("SELECT " + sql, parameters).fetchone()[0]

    def test_json_and_back(self):
        """Every float32 comes back, in as few digits as numpy needs."""
        random = np.random.RandomState(1)
        bits = np.concatenate([random.randint(0, 2 ** 32, 20000, dtype=np.uint64), [0, 1, 2 ** 31 + 1, 0x7f7fffff, 0x00800000, 0x007fffff, 0x3f800000, 0x4b800000, 0x4b7fffff]])
        numbers = bits.astype("<u4").view("<f4")
        numbers = np.concatenate([numbers[np.isfinite(numbers)], np.float32([0.1, 0.2, 0.3, 1e10, 123456.7, 16777216, 3.4e38, 1e-45, 100, 1e6])])
        text = self.value("recommend_vector(?)", blob(numbers))
        self.assertEqual(np.float32(json.loads(text)).tobytes(), numbers.tobytes())
        self.assertEqual(self.value("recommend_vector(?)", text), blob(numbers))
        for written, number in zip(text[1:-1].split(","), numbers):
            digits = len(written.split("e")[0].replace(".", "").replace("-", "").strip("0"))
            needed = len(np.format_float_scientific(number, unique=True).split("e")[0].replace(".", "").replace("-", "").strip("0"))
            self.assertLessEqual(digits, max(6, needed), (written, number))

    def test_how_they_are_written(self):
        self.assertEqual(self.value("recommend_vector(?)", blob([0.1, -2, 0, 1e20, 3.5e-7])), "[0.1,-2,0,1e+20,3.5e-07]")
        self.assertEqual(self.value("recommend_vector('[1, 2.5]')"), struct.pack("<2f", 1, 2.5))
        self.assertEqual(self.value("hex(recommend_vector('[1, -2]'))"), "0000803F000000C0")
        self.assertEqual((self.value("recommend_vector(x'')"), self.value("recommend_vector(' [ ] ')")), ("[]", b""))
        self.assertEqual(np.signbit(json.loads(self.value("recommend_vector(?)", blob([-0.0])))), [True])
        self.assertEqual(self.value("json_array(recommend_vector(?))", blob([1, 2])), "[[1,2]]")
        self.assertEqual(self.value("json_array(recommend_normalize('[3, 4]'))"), "[[0.6,0.8]]")

    def test_products(self):
        random = np.random.RandomState(2)
        for n in (0, 1, 2, 7, 64, 1000, 5000):
            a, b = (np.float32(random.randn(n) * 10.0 ** random.randint(-9, 9)) for _ in range(2))
            dot = float(np.dot(a.astype(float), b.astype(float)))
            lengths = float(np.linalg.norm(a.astype(float)) * np.linalg.norm(b.astype(float)))
            for one in (blob(a), json.dumps(a.astype(float).tolist())):
                for other in (blob(b), json.dumps(b.astype(float).tolist())):
                    self.assertAlmostEqual(self.value("recommend_dot(?, ?)", one, other), dot, delta=1e-12 * lengths)
                    self.assertAlmostEqual(self.value("recommend_cosine(?, ?)", one, other), dot / lengths if n else 0, delta=1e-12)
            unit = np.frombuffer(self.value("recommend_normalize(?)", blob(a)), "<f4")
            np.testing.assert_allclose(unit, a / np.linalg.norm(a.astype(float)) if n else a, rtol=1e-6)
            self.assertEqual(json.loads(self.value("recommend_normalize(?)", json.dumps(a.astype(float).tolist()))), json.loads(self.value("recommend_vector(?)", unit.tobytes())))

    def test_extremes(self):
        most = float(np.finfo(np.float32).max)
        self.assertAlmostEqual(self.value("recommend_dot(?, ?)", blob([most, most]), blob([most, 0])) / most ** 2, 1)
        self.assertEqual(self.value("recommend_cosine(?, ?)", blob([most, most]), blob([most, most])), 1)
        self.assertEqual(self.value("recommend_cosine(?, ?)", blob([1e-45]), blob([-1e-45])), -1)
        self.assertEqual(self.value("recommend_normalize('[1e-45, 0]')"), "[1,0]")
        self.assertEqual(self.value("recommend_cosine('[0, 0]', '[1, 2]')"), 0)
        self.assertEqual(self.value("recommend_normalize('[0, 0]')"), "[0,0]")
        self.assertLessEqual(self.value("recommend_cosine('[0.1, 0.2, 0.3]', '[0.1, 0.2, 0.3]')"), 1)

    def test_null(self):
        for sql in ("recommend_vector(NULL)", "recommend_normalize(NULL)", "recommend_dot(NULL, '[1]')", "recommend_dot('[1]', NULL)", "recommend_cosine(NULL, NULL)", "recommend_cosine(NULL, 'x')"):
            self.assertIsNone(self.value(sql))

    def test_errors(self):
        for sql, *fragments in (("recommend_dot('[1, 2, 3]', '[1, 2, 3, 4]')", "recommend_dot", "3 and 4 numbers"), ("recommend_cosine(x'0000803F', '[]')", "recommend_cosine", "1 and 0 numbers"),
                                ("recommend_vector(x'00112233445566')", "recommend_vector", "7 bytes", "4 each"), ("recommend_dot('[1]', x'001122')", "second vector", "3 bytes"),
                                ("recommend_vector(42)", "the vector is 42", "BLOB of float32", "JSON array"), ("recommend_vector(1.5)", "1.5"), ("recommend_vector('')", "''"),
                                ("recommend_dot('1, 2', '[1, 2]')", "first vector is '1, 2'"), ("recommend_vector('[1, 2')", "'[1, 2'"), ("recommend_vector('[1] x')", "JSON array"),
                                ("recommend_vector('{}')", "'{}'"), ("recommend_vector('[1, \"2\"]')", "element 2 of the vector is not a number"), ("recommend_vector('[1, null]')", "element 2"),
                                ("recommend_vector('[[1]]')", "element 1"), ("recommend_vector('[1, 1e39]')", "number 2", "1e+39", "beyond float32"), ("recommend_vector('[1e400]')", "number 1"),
                                ("recommend_vector(x'0000803F0000C07F')", "number 2", "not finite"), ("recommend_dot('[1]', x'0000807F')", "number 1 of the second vector is not finite"),
                                ("recommend_vector('[1]' || char(0))", "JSON array"), ("recommend_vector('" + "ä" * 50 + "')", "'" + "ä" * 40 + "…'")):
            self.assert_error(self.db, "SELECT " + sql, *fragments)

    def test_pure_functions_may_be_used_anywhere(self):
        """In views, indexes and generated columns of a database that is not trusted."""
        self.db.execute("PRAGMA trusted_schema = OFF")
        self.db.execute("CREATE TABLE t(v BLOB, unit BLOB GENERATED ALWAYS AS (recommend_normalize(v)), CHECK(recommend_dot(v, v) > 0))")
        self.db.execute("CREATE INDEX lengths ON t(recommend_dot(v, v))")
        self.db.execute("CREATE VIEW shown AS SELECT recommend_vector(unit) AS unit, recommend_cosine(v, '[1, 0]') AS cosine, recommend_split(1, v) AS part, tfidf_cosine('a fox', 'fox') AS words FROM t")
        self.db.execute("INSERT INTO t(v) VALUES(?)", (blob([3, 4]),))
        self.assertEqual(self.db.execute("SELECT unit, round(cosine, 12) FROM shown").fetchone(), ("[0.6,0.8]", 0.6))
        self.assert_error(self.db, "INSERT INTO t(v) VALUES(x'00000000')", "CHECK")

    def test_factors(self):
        """The score is the dot product of the factors, but for a constant of the user; item_similar is their cosine, less where few have the other."""
        db = rated()
        train(db)
        scores = db.execute("""SELECT m.score - recommend_dot(u.vector, i.vector) - ifnull(i.bias, 0) FROM recommend_factors('ratings_mf', 'user') u, recommend_factors('ratings_mf', 'item') i
                               JOIN ratings_mf m ON m.user = u.id AND m.item = i.id WHERE u.id = 1007""").fetchall()
        self.assertEqual(len(scores), 40)
        self.assertLess(max(scores)[0] - min(scores)[0], 1e-4)
        with_sql = db.execute("""SELECT b.id, recommend_cosine(a.vector, b.vector) * b.count / (b.count + (SELECT avg(count) FROM recommend_factors('ratings_mf', 'item'))) FROM recommend_factors('ratings_mf', 'item') a, recommend_factors('ratings_mf', 'item') b
                                 WHERE a.id = 50 AND b.id <> 50 ORDER BY 2 DESC, 1 LIMIT 5""").fetchall()
        self.assert_same_rows(db.execute("SELECT item, similarity FROM item_similar(50, 5) ORDER BY rank").fetchall(), with_sql)


if __name__ == "__main__":
    unittest.main()
