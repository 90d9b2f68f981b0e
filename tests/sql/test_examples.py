"""What README.md and examples/ show is what happens: their SQL runs in the sqlite3 shell on the demo data, and what the
README prints below a query is what the shell prints."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import support

ROOT = pathlib.Path(support.ROOT)


def shell(database, script, folder=ROOT):
    script = script.replace(".load build/recommend", f".load {support.EXTENSION}")
    return subprocess.run([support.SHELL, "-bail", database], input=script, capture_output=True, text=True, cwd=folder)


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.database = os.path.join(cls.folder.name, "demo.db")
        made = shell(cls.database, (ROOT / "sql/demo.sql").read_text())
        assert made.returncode == 0, made.stderr

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def copy(self, name):
        path = os.path.join(self.folder.name, name)
        self.assertEqual(shell(self.database, f".backup '{path}'").returncode, 0)
        return path

    def test_the_demo_data(self):
        counts = "SELECT (SELECT count(*) FROM movies), (SELECT count(*) FROM users), count(*) FROM ratings;"
        self.assertEqual(shell(self.database, counts).stdout.strip(), "288|3000|163959")

    def test_quickstart(self):
        run = shell(self.copy("quickstart.db"), (ROOT / "examples/quickstart.sql").read_text())
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        for heading in ("reason", "similarity", "stars", "ndcg", "train_mf"):
            self.assertIn(heading, run.stdout)

    def test_products(self):
        run = shell(":memory:", (ROOT / "examples/products.sql").read_text())
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        ranking = run.stdout.split("All five")[1].split("What is new")[0]
        names = ("Macbook", "Kindle", "Samsung", "LG", "Brown Leather Shoes")
        self.assertEqual(sorted(names, key=ranking.index), list(names))

    def test_amazon(self):
        """On the made-up shop; its first five are not what the customer has rated already."""
        database = os.path.join(self.folder.name, "shop.db")
        self.assertEqual(shell(database, (ROOT / "sql/demo_shop.sql").read_text()).returncode, 0)
        run = shell(database, (ROOT / "examples/amazon.sql").read_text())
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        for heading in ("title", "price", "category", "stars", "mixture", "squared_rest", "weight"):
            self.assertIn(heading, run.stdout)
        counts = "SELECT (SELECT count(*) FROM products), count(*), count(DISTINCT user_id) FROM ratings;"
        self.assertEqual(shell(database, counts).stdout.strip(), "240|12459|1500")
        seen = """SELECT count(*) FROM recommend((SELECT user_id FROM ratings GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1),
                  5, 'content') r JOIN ratings t ON t.parent_asin = r.item AND t.user_id =
                  (SELECT user_id FROM ratings GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1);"""
        self.assertEqual(shell(database, ".load build/recommend\n" + seen).stdout.strip(), "0")

    def test_readme(self):
        text = (ROOT / "README.md").read_text()
        database, shown = self.copy("readme.db"), 0
        for block in re.finditer(r"```sql\n(.*?)```(?:\n```\n(.*?)```)?", text, re.S):
            run = shell(database, f".load {support.EXTENSION}\n.mode box\n" + block[1])
            self.assertEqual((run.returncode, run.stderr), (0, ""), block[1])
            if block[2]:
                self.assertIn(block[2].strip(), run.stdout, block[1])
                shown += 1
        self.assertGreaterEqual(shown, 5)


class MovieLensFiles(unittest.TestCase):
    """The import on files of that form: CR LF, quotes, commas in titles, a film without a year."""

    def test_import(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "movies.csv").write_bytes(
                b'movieId,title,genres\r\n1,"Fox, The (1967)",Drama|War\r\n2,Untitled,(no genres listed)\r\n'
                b'7,"Say ""Cheese"" (2001) ",Comedy\r\n')
            (folder / "ratings.csv").write_bytes(
                b"userId,movieId,rating,timestamp\r\n1,1,4.0,964982703\r\n1,7,0.5,964982704\r\n2,1,5.0,964982705\r\n")
            database = str(folder / "movies.db")
            made = shell(database, (ROOT / "sql/import_movielens.sql").read_text(), folder)
            self.assertEqual((made.returncode, made.stderr), (0, ""))
            films = shell(database, "SELECT * FROM movies ORDER BY movieId;").stdout.splitlines()
            self.assertEqual(films, ["1|Fox, The|1967|Drama|War", "2|Untitled||", '7|Say "Cheese"|2001|Comedy'])
            ratings = shell(database, "SELECT userId, movieId, rating, typeof(rating), typeof(timestamp) FROM ratings;")
            self.assertEqual(ratings.stdout.splitlines(),
                             ["1|1|4.0|real|integer", "1|7|0.5|real|integer", "2|1|5.0|real|integer"])


if __name__ == "__main__":
    unittest.main()
