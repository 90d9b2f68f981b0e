"""What the documents and examples/ show is what happens: their SQL runs in the sqlite3 shell on the demo data, and what a
document prints below a query is what the shell prints. Links between documents lead somewhere."""
import contextlib
import os
import pathlib
import re
import sqlite3
import subprocess
import tempfile
import unittest

import support

ROOT = pathlib.Path(support.ROOT)


def shell(database, script, folder=ROOT):
    script = script.replace(".load build/recommend", f".load {support.EXTENSION}")
    return subprocess.run([support.SHELL, "-bail", database], input=script, capture_output=True, text=True, cwd=folder)


def documents():
    """The .md files of the repository, as paths relative to its root."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name != "build" and not name.startswith("."))
        for name in sorted(names):
            if name.endswith(".md"):
                yield pathlib.Path(folder, name).relative_to(ROOT).as_posix()


def headings(path):
    """The anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def functions():
    """The names of all functions and tables that the extension registers for its users."""
    lists = "SELECT name FROM pragma_function_list UNION SELECT name FROM pragma_module_list"
    with contextlib.closing(support.connect()) as db, contextlib.closing(sqlite3.connect(":memory:")) as plain:
        names = {name for name, in db.execute(lists)} - {name for name, in plain.execute(lists)}
    assert "recommend_explain" in names
    return sorted(names - {"recommend_collect", "recommend_connection"})


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
        by_people = run.stdout.split("By people instead")[1].split("By two factors")[0]
        self.assertLess(by_people.index("Samsung"), by_people.index("LG 60-Inch"))
        by_factors = run.stdout.split("By two factors")[1]
        for row in ("1.026", "1.13 ", "0.514", "0.267", "0.062", "-0.171", "0.965", "1.136", "0.938"):
            self.assertIn(row, by_factors)
        self.assertLess(by_factors.index("Samsung 75-Inch"), by_factors.index("LG 60-Inch"))

    def test_movielens_clusters(self):
        """On the made-up films: groups by taste predict better than the mean of all, and show what 42 has not rated."""
        database = self.copy("clusters.db")
        run = shell(database, (ROOT / "examples/movielens_clusters.sql").read_text())
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        errors = dict(re.findall(r"(baseline|kmeans|mf)_train[^\d]*([\d.]+)", run.stdout))
        self.assertLess(float(errors["kmeans"]), float(errors["baseline"]))
        seen = """SELECT count(*) FROM recommend(42, 8, 'tribes') r JOIN ratings t ON t.movieId = r.item AND t.userId = 42;
                  SELECT count(*) FROM recommend(42, 8, 'tribes');"""
        self.assertEqual(shell(database, ".load build/recommend\n" + seen).stdout.split(), ["0", "8"])

    def test_electronics(self):
        """On a small made-up file: made, imported, described, split, five models, errors."""
        folder = os.path.join(self.folder.name, "electronics")
        os.mkdir(folder)
        database = os.path.join(folder, "reviews.db")
        make = f".parameter set :reviews 20000\n.read {ROOT}/sql/demo_electronics.sql\n"
        self.assertEqual(shell(database, make, folder).returncode, 0)
        self.assertEqual(shell(database, f".read {ROOT}/sql/import_amazon_reviews_tsv.sql\n", folder).returncode, 0)
        run = shell(database, (ROOT / "examples/electronics.sql").read_text())
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        errors = re.findall(r"(baseline|by_item|by_user|groups|by_factors) +│ ([\d.]+) +│ ([\d.]+)", run.stdout)
        self.assertEqual(len(errors), 5, run.stdout)
        for _, rmse, mae in errors:
            self.assertLess(float(mae), float(rmse))
            self.assertLess(float(rmse), 1.2)

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

    def test_documents(self):
        """Every ```sql block of every .md file, in the order of the file, each file on a fresh copy of the demo data."""
        shown = {}
        for path in documents():
            with self.subTest(path=path):
                shown[path] = self.run_document(path)
        self.assertGreaterEqual(shown["README.md"], 3)
        self.assertGreaterEqual(shown["examples/README.md"], 4)

    def run_document(self, path):
        """Runs a file's blocks; what is printed below a block must be in what the shell prints. Returns how many were."""
        text = (ROOT / path).read_text(encoding="utf-8")
        database, shown = self.copy(path.replace("/", "_") + ".db"), 0
        for block in re.finditer(r"```sql\n(.*?)```(?:\n```\n(.*?)```)?", text, re.S):
            run = shell(database, f".load {support.EXTENSION}\n.mode box\n" + block[1])
            self.assertEqual((run.returncode, run.stderr), (0, ""), block[1])
            if block[2]:
                self.assertIn(block[2].strip(), run.stdout, block[1])
                shown += 1
        return shown

    def test_links(self):
        """Every link from one .md file to another file leads to one that is there, and to a heading that is there."""
        lost = []
        for path in documents():
            text = (ROOT / path).read_text(encoding="utf-8")
            for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
                file = (ROOT / path).parent / target if target else ROOT / path
                if not file.exists() or (heading and heading not in headings(file)):
                    lost.append((path, target, heading))
        self.assertEqual(lost, [])

    def test_files_that_are_named(self):
        """A file that a document names in `code` is there: from the root, the document's folder or ext/. x is any name."""
        lost = []
        for path in documents():
            for name in re.findall(r"`([\w./]+\.(?:c|h|md|py|sh|sql))`", (ROOT / path).read_text(encoding="utf-8")):
                stem = re.sub(r"\.\w+$", "", name.split("/")[-1])
                places = (ROOT, (ROOT / path).parent, ROOT / "ext")
                if not re.search(r"(^|_)[xX](_|$)", stem) and not any((place / name).exists() for place in places):
                    lost.append((path, name))
        self.assertEqual(lost, [])

    def test_every_function_is_in_the_reference(self):
        text = (ROOT / "ext/api/README.md").read_text(encoding="utf-8")
        self.assertEqual([name for name in functions() if not re.search(rf"\b{name}\b", text)], [])

    def test_every_function_has_a_file_of_its_name(self):
        """… in ext/api, or where its trainer is; but for a few that share one."""
        shared = {"recommend": "recommend_user", "recommender": "model_table", "recommend_debug": "recommend_version",
                  **dict.fromkeys(("recommend_dot", "recommend_cosine", "recommend_normalize"), "recommend_vector")}
        lost = [name for name in functions()
                if not any((ROOT / f"ext/{room}/{shared.get(name, name)}.c").exists() for room in ("api", "train"))]
        self.assertEqual(lost, [])

    def test_what_trainers_can_do(self):
        """README.md's table of trainers says of "live" and "explains" what recommend_trainers says."""
        with contextlib.closing(support.connect()) as db:
            answers = {(trainer, algorithm): words.split(", ") for trainer, algorithm, words in
                       db.execute("SELECT trainer, algorithm, answers FROM recommend_trainers")}
        text, trainer, named = (ROOT / "README.md").read_text(encoding="utf-8"), None, set()
        table = text[text.index("| | predicts ratings |"):].split("\n\n")[0].splitlines()
        for row in table[2:]:
            name, _, _, live, explains = [cell.strip() for cell in row.strip("|").split("|")]
            words = re.findall(r"`(\w+)`", name)
            trainer = words.pop(0) if words[0].endswith("_train") else trainer
            for key in [key for key in answers if key[0] == trainer and (not words or key[1] in words)]:
                named.add(key)
                with self.subTest(key=key):
                    self.assertEqual("live ratings" in answers[key], live == "yes")
                    self.assertEqual("explain" in answers[key], explains == "yes" or explains == f"by {key[1]}s")
        self.assertEqual(named, set(answers))

    def test_length_of_the_readme(self):
        lines = (ROOT / "README.md").read_text(encoding="utf-8").count("\n")
        self.assertLessEqual(lines, 250, "what is longer belongs beside what it describes: see \"Where to read on\"")


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
