"""sql/demo_electronics.sql: the made-up file of reviews, and that its recipe reads it."""
import collections
import hashlib
import os
import sqlite3
import subprocess
import unittest

from support import ROOT, SHELL, TestCase

SCRIPT = os.path.join(ROOT, "sql", "demo_electronics.sql")
IMPORT = os.path.join(ROOT, "sql", "import_amazon_reviews_tsv.sql")


class Electronics(TestCase):
    def write(self, reviews, folder=None):
        """Writes the file; returns its folder, and its lines as lists of fields."""
        folder = folder or self.folder()
        script = f".read '{SCRIPT}'\n"
        if reviews is not None:
            script = f".parameter set :reviews {reviews}\n" + script
        done = subprocess.run([SHELL, "-bail", "-batch"], input=script, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        with open(os.path.join(folder, "reviews.tsv"), encoding="utf-8") as file:
            return folder, [line.rstrip("\n").split("\t") for line in file]

    def test_shape(self):
        _, lines = self.write(None)
        header, lines = lines[0], lines[1:]
        self.assertEqual((len(lines), len(header), header[7]), (100000, 15, "star_rating"))
        self.assertEqual({len(line) for line in lines}, {15})
        customers, products = (collections.Counter(line[field] for line in lines) for field in (1, 3))
        self.assertAlmostEqual(len(customers), 69000, delta=2000)
        self.assertAlmostEqual(len(products), 6100, delta=200)
        self.assertGreater(max(customers.values()), 100)
        self.assertGreater(max(products.values()), 300)
        stars = collections.Counter(line[7] for line in lines)
        self.assertEqual(set(stars), {"", "1", "2", "3", "4", "5"})
        self.assertEqual(stars[""], 98)
        self.assertTrue(stars["5"] > stars["4"] > stars["3"] > stars["2"] > stars["1"] > 0)
        twice = [line for line, count in collections.Counter(map(tuple, lines)).items() if count > 1]
        self.assertAlmostEqual(len(twice), 66, delta=3)
        for line in lines:
            self.assertRegex(line[14], "^(200|201)[0-9]-[0-9][0-9]-[0-9][0-9]$")

    def test_interests(self):
        """Those who come again buy more of one of eight kinds of thing, and rate that kind higher."""
        _, lines = self.write(40000)
        baskets = collections.defaultdict(list)
        for line in lines[1:]:
            if line[7]:
                baskets[line[1]].append((line[5].split()[1], int(line[7])))
        of_kind, others = [], []
        for basket in baskets.values():
            if len(basket) < 10:
                continue
            kind = collections.Counter(thing for thing, _ in basket).most_common(1)[0][0]
            of_kind += [stars for thing, stars in basket if thing == kind]
            others += [stars for thing, stars in basket if thing != kind]
        self.assertAlmostEqual(len(of_kind) / (len(of_kind) + len(others)), 0.65, delta=0.06)
        self.assertGreater(sum(of_kind) / len(of_kind), sum(others) / len(others) + 0.7)

    def test_the_same_everywhere(self):
        folder, _ = self.write(1000)
        with open(os.path.join(folder, "reviews.tsv"), "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), SUM)

    def test_sizes(self):
        for reviews in (1, 2, 20):
            self.assertEqual(len(self.write(reviews)[1]), reviews + 1)

    def test_import(self):
        folder, lines = self.write(20000)
        done = subprocess.run([SHELL, "-bail", "-batch", "r.db"], input=f".read '{IMPORT}'\n", cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        db = self.closing(sqlite3.connect(os.path.join(folder, "r.db")))
        pairs = {(line[1], line[3]) for line in lines[1:] if line[7]}
        self.assertEqual(db.execute("SELECT count(*) FROM reviews").fetchone(), (len(pairs),))
        self.assertEqual(db.execute("SELECT min(star_rating), max(star_rating) FROM reviews").fetchone(), (1, 5))
        self.assertEqual(db.execute("SELECT count(*) FROM products").fetchone(), (len({line[3] for line in lines[1:]}),))


SUM = "2e7e327544975e6b36eeb5ac9ae99d9d56fd02392ce82fa4ee6d907cccdbeeea"

if __name__ == "__main__":
    unittest.main()
