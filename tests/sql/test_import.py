"""The import recipes of sql/: each runs in the sqlite3 shell on a small file of its format, awkward cases included, and
what is then in the tables is what Python reads from the same file. Where the data sets are, on those too."""
import csv
import io
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import unittest

import support

RECIPES = ("amazon_metadata", "amazon_ratings", "amazon_reviews", "amazon_reviews_json", "amazon_reviews_tsv",
           "csv", "movielens", "movielens_100k", "movielens_dat", "movielens_tags", "rating_matrix")
FILES = {"amazon_metadata": ("meta.jsonl",), "amazon_ratings": ("ratings.csv",), "amazon_reviews": ("reviews.csv",),
         "amazon_reviews_json": ("reviews.json",), "amazon_reviews_tsv": ("reviews.tsv",), "csv": ("ratings.csv",),
         "movielens": ("movies.csv", "ratings.csv"), "movielens_100k": ("u.item", "u.user", "u.data"),
         "movielens_dat": ("movies.dat", "users.dat", "ratings.dat"), "movielens_tags": ("tags.csv", "links.csv"),
         "rating_matrix": ("matrix.csv",)}
AWKWARD = ('"quoted"', 'a " alone', "it's", "a,b", "tab\there", "back\\slash \\n \\u001f", "line\nend", "CR\r\nLF",
           "Café 中文 😀", "a::b", "|", "$[0]", " spaces ", "null", "-1", "<br />", "%s", "\u2028",
           "'); DROP TABLE products; --")


class ImportCase(support.TestCase):
    def files(self, **contents):
        """A folder with these files: the name is the argument's with its last "_" a dot."""
        folder = self.folder()
        for name, content in contents.items():
            with open(os.path.join(folder, ".".join(name.rsplit("_", 1))), "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
        return folder

    def read(self, recipe, folder, script=None):
        """Runs a recipe in a folder; leaves the database in self.db, the rows of counts in self.counts, and what .import
        had to say in self.messages."""
        path = os.path.join(self.folder(), "test.db")
        script = script or os.path.join(support.ROOT, "sql", f"import_{recipe}.sql")
        # The recipe has committed, and staging tables are gone: both are seen only in the shell's own connection.
        said = support.shell(path, f".cd '{folder}'\n.read '{script}'\nBEGIN; ROLLBACK;\n"
                                   ".mode list\n.headers off\nSELECT 'left over: ' || name FROM temp.sqlite_schema;\n"
                                   ".show\n", "-bail")
        self.assertNotIn("left over", said)
        self.assertRegex(said, r'colseparator: "\|"')
        self.assertRegex(said, r'rowseparator: "\\n"')
        rows = [[cell.strip() for cell in line.strip("│").split("│")]
                for line in said.splitlines() if line.startswith("│")]
        self.counts = [dict(zip(rows[0], (int(cell) if cell.isdigit() else cell for cell in row))) for row in rows[1:]] \
            if rows else []
        self.messages = [line for line in said.splitlines() if re.match(r"\S+:\d+: ", line)]
        self.db = self.closing(sqlite3.connect(path))

    def rows(self, sql):
        return self.db.execute(sql).fetchall()

    def assert_table(self, table, expected):
        """The table has these rows, in whatever order, with values of these very types."""
        def typed(rows):
            return sorted(([(type(value).__name__, value) for value in row] for row in rows), key=repr)
        self.assertEqual(typed(self.rows(f"SELECT * FROM {table}")), typed(expected))

    def assert_counts(self, **expected):
        """Of a recipe with one row of counts, which add up."""
        self.assertEqual(len(self.counts), 1)
        counts = dict(self.counts[0])
        self.assertEqual(counts, {name.replace("_", " "): count for name, count in expected.items()})
        counts.pop("products", None)
        read = [counts.pop(name) for name in list(counts) if name.endswith(" read")]
        self.assertEqual(sum(counts.values()), read[0])


class Recipes(ImportCase):
    def test_without_a_file_nothing_is_stored(self):
        for recipe in RECIPES:
            with self.subTest(recipe):
                path = os.path.join(self.folder(), "test.db")
                script = os.path.join(support.ROOT, "sql", f"import_{recipe}.sql")
                said = support.shell(path, f".cd '{self.folder()}'\n.read '{script}'\n", "-bail", check=False)
                self.assertIn("cannot open", said)
                db = self.closing(sqlite3.connect(path))
                self.assertEqual(db.execute("SELECT count(*) FROM sqlite_schema").fetchone(), (0,))

    def test_as_its_first_lines_say(self):
        """Typed in a folder, the database is made there, not among the data: a file that is named on the command line is
        opened at the first SQL only, and .cd comes before it."""
        for recipe in RECIPES:
            with self.subTest(recipe):
                home = self.folder()
                os.mkdir(os.path.join(home, "data"))
                for name in FILES[recipe]:
                    with open(os.path.join(home, "data", name), "w") as file:
                        file.write("user_id,item_id,rating,timestamp\n" if recipe == "csv" else "")
                with open(os.path.join(support.ROOT, "sql", f"import_{recipe}.sql")) as file:
                    said = re.findall(r"^-- +(\$|sqlite>) (.*)$", file.read(), re.M)
                self.assertEqual([prompt for prompt, _ in said], ["$", "sqlite>", "sqlite>", "sqlite>"])
                command, *typed = (line for _, line in said)
                typed = [re.sub(r"^\.cd .*", ".cd data", line).replace("/path/to/sql", os.path.join(support.ROOT, "sql"))
                         for line in typed]
                done = subprocess.run([support.SHELL, *command.split()[1:]], input="\n".join(typed) + "\n", cwd=home,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                self.assertEqual(done.returncode, 0, done.stdout)
                database = typed[0].split()[1]
                self.assertEqual(sorted(os.listdir(os.path.join(home, "data"))), sorted(FILES[recipe]))
                db = self.closing(sqlite3.connect(os.path.join(home, database)))
                self.assertGreater(db.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").fetchone()[0], 0)

    def test_empty_files(self):
        names = {"amazon_metadata": "meta_jsonl", "amazon_ratings": "ratings_csv", "amazon_reviews": "reviews_csv",
                 "amazon_reviews_json": "reviews_json", "amazon_reviews_tsv": "reviews_tsv", "rating_matrix": "matrix_csv"}
        for recipe, name in names.items():
            with self.subTest(recipe):
                self.read(recipe, self.files(**{name: ""}))
                self.assertEqual(set(self.counts[0].values()), {0})

    def test_what_is_imported_can_be_trained_on(self):
        chance = random.Random(8)
        pairs = chance.sample([(user, item) for user in range(30) for item in range(20)], 300)
        rows = [(f"u{user}", f"i{item}", chance.randrange(1, 6), time) for time, (user, item) in enumerate(pairs)]
        tsv = "".join(f"US\t{u[1:]}\tR{t}\t{i}\t1\t\tBooks\t{r}\t0\t0\tN\tY\t\t\t2015-01-01\n" for u, i, r, t in rows)
        sources = (("amazon_ratings", "ratings", {"ratings_csv": "".join("%s,%s,%d,%d\n" % row for row in rows)}),
                   ("amazon_reviews", "reviews", {"reviews_csv": "\n" + "".join("%s,%s,%d,%d,a,b\n" % row for row in rows)}),
                   ("amazon_reviews_tsv", "reviews", {"reviews_tsv": "\n" + tsv}),
                   ("rating_matrix", "ratings", {"matrix_csv": ",i1,i2,i3\nu1,5,4,\nu2,,4,1\nu3,3,,2\n"}))
        for recipe, table, files in sources:
            with self.subTest(recipe):
                self.read(recipe, self.files(**files))
                path = self.db.execute("PRAGMA database_list").fetchone()[2]
                db = self.closing(support.connect(path))
                summary = support.train(db, table)
                self.assertEqual(summary["ratings"], self.rows(f"SELECT count(*) FROM {table}")[0][0])
                user = db.execute(f"SELECT * FROM {table}").fetchone()[0]
                self.assertEqual({row[0] for row in db.execute("SELECT reason FROM recommend(?, 1)", (user,))}, {"model"})

    def test_every_recipe_is_here(self):
        found = {name[len("import_"):-len(".sql")] for name in os.listdir(os.path.join(support.ROOT, "sql"))
                 if name.startswith("import_")}
        self.assertEqual(found, set(RECIPES))


class AnyCsv(ImportCase):
    """import_csv, as it is and with its marked places edited."""

    def edited(self, *edits):
        with open(os.path.join(support.ROOT, "sql", "import_csv.sql")) as file:
            recipe = file.read()
        for old, new in edits:
            self.assertIn(old, recipe)
            recipe = recipe.replace(old, new)
        path = os.path.join(self.folder(), "mine.sql")
        with open(path, "w") as file:
            file.write(recipe)
        return path

    def test_as_it_is(self):
        rows = ("timestamp,user_id,extra,item_id,rating", "10,1,x,5,4", "30,2,\"a,b\",5,4.5", '2024-01-02 03:04:05,1,"q ""q""",7,1',
                "20,1,y,5,2", ",2,,5,5", "9,,z,5,3", "9,3,z,,3", "9,3,z,1,", "9,3,z,1,good", "9, 3 ,z,2, 3 ")
        for end, begin in (("\n", ""), ("\r\n", "\ufeff")):
            self.read("csv", self.files(ratings_csv=begin + "".join(row + end for row in rows)))
            self.assert_table("ratings", [(1, 5, 2.0, 20), (1, 7, 1.0, 1704164645), (2, 5, 4.5, 30), (3, 2, 3.0, 9)])
            self.assert_counts(rows_read=10, without_a_user_or_item=2, without_a_rating=2, duplicates=2, kept=4)
            path = self.db.execute("PRAGMA database_list").fetchone()[2]
            summary = support.train(self.closing(support.connect(path)))
            self.assertEqual((summary["ratings"], summary["columns"]["timestamp"]), (4, "timestamp"))

    def test_latin_1_semicolons_and_other_names(self):
        """The format of Book-Crossing: codes with zeros in front, names of columns that need brackets."""
        text = '"User-ID";"ISBN";"Book-Rating"\r\n"café";"0345339703";"8,5"\r\n"b";"034545104X";"5"\r\n"b";"a;b";"0"\r\n'
        script = self.edited(('.separator "," "\\n"', '.separator ";" "\\n"'), ("user INTEGER", "user TEXT"),
                             ("item INTEGER", "item TEXT"), ("user_id AS", "[User-ID] AS"), ("item_id AS", "ISBN AS"),
                             ("rating AS rating", "replace([Book-Rating], ',', '.') AS rating"), ("timestamp AS", "NULL AS"),
                             (".import --schema temp ratings.csv csv_rows",
                              '.import --schema temp "|iconv -f latin1 -t utf8 ratings.csv" csv_rows'))
        self.read("csv", self.files(ratings_csv=text.encode("latin-1")), script)
        self.assert_table("ratings", [("café", "0345339703", 8.5, None), ("b", "034545104X", 5.0, None), ("b", "a;b", 0.0, None)])

    def test_counts_and_events_add_up(self):
        add = ("       rating = excluded.rating\n", "       rating = rating + excluded.rating\n")
        tsv = "user_id\titem_id\tplays\n1\t7\t3\n1\t7\t4\n2\t7\t1\n1\t8\t\n"
        tabs = ('.separator "," "\\n"', '.separator "\\t" "\\n"')
        script = self.edited(add, tabs, ("rating AS rating", "plays AS rating"), ("timestamp AS", "NULL AS"))
        self.read("csv", self.files(ratings_csv=tsv), script)
        self.assert_table("ratings", [(1, 7, 7.0, None), (2, 7, 1.0, None)])
        script = self.edited(add, tabs, ("rating AS rating", "1 AS rating"), ("timestamp AS", "NULL AS"))
        self.read("csv", self.files(ratings_csv=tsv), script)
        self.assert_table("ratings", [(1, 7, 2.0, None), (2, 7, 1.0, None), (1, 8, 1.0, None)])

    def test_without_a_header(self):
        script = self.edited((".import --schema temp ratings.csv csv_rows",
                              "CREATE TEMP TABLE csv_rows(user_id, item_id, rating, timestamp);\n"
                              ".import --schema temp ratings.csv csv_rows"))
        self.read("csv", self.files(ratings_csv="1,2,3,4\n5,6,1.5,8\n"), script)
        self.assert_table("ratings", [(1, 2, 3.0, 4), (5, 6, 1.5, 8)])

    def test_a_column_that_is_not_there(self):
        script = self.edited(("user_id AS user", "who AS user"))
        folder = self.files(ratings_csv="user_id,item_id,rating,timestamp\n1,2,3,4\n")
        path = os.path.join(self.folder(), "test.db")
        said = support.shell(path, f".cd '{folder}'\n.read '{script}'\n", "-bail", check=False)
        self.assertIn("no such column: who", said)
        self.assertEqual(self.closing(sqlite3.connect(path)).execute("SELECT count(*) FROM sqlite_schema").fetchone(), (0,))


class AmazonMetadata(ImportCase):
    COLUMNS = ("parent_asin", "title", "main_category", "categories", "price", "average_rating", "rating_number", "store",
               "features", "description", "details", "bought_together")
    JSON = ("categories", "features", "description", "details", "bought_together")
    PRICES = ((12.99, 12.99), (7, 7.0), (0, 0.0), ("$12.99", 12.99), ("12.99", 12.99), ("", None), ("None", None),
              (None, None), ("from 5.99", 5.99), ("From $5.99", 5.99), ("—", None), ("1,299.00", 1299.0),
              ("$1,234,567.89", 1234567.89), ("$5.99 - $7.99", 5.99), ("$1,299.00 - $1,399.00", 1299.0), ("12,99", None),
              ("  $3 ", 3.0), (".99", 0.99), ("$.50", 0.5), ("-5", None), ("free", None), (".a{color:red}", None),
              ([], None), ({"value": 3}, None), (True, None), ("£5", None))

    def product(self, number, **changes):
        return {"main_category": "All Beauty", "title": f"Product {number}", "average_rating": 4.8, "rating_number": 10,
                "features": ["one", "two"], "description": [], "price": 1.5, "images": [{"thumb": "x"}], "videos": [],
                "store": "Shop", "categories": ["A", "B & C"], "details": {"Brand": "x"}, "parent_asin": f"B{number:09}",
                "bought_together": None, **changes}

    def expected(self, product, price):
        row = []
        for column in self.COLUMNS:
            value = product.get(column)
            if column == "price":
                value = price
            elif column == "average_rating":
                value = float(value) if type(value) in (int, float) else None
            elif column == "rating_number":
                value = value if type(value) is int else None
            row.append(value)
        return tuple(row)

    def assert_products(self, expected):
        got = [tuple(json.loads(value) if column in self.JSON and value is not None else value
                     for column, value in zip(self.COLUMNS, row))
               for row in self.rows(f"SELECT {', '.join(self.COLUMNS)} FROM products ORDER BY parent_asin")]
        self.assertEqual(got, sorted(expected, key=lambda row: row[0]))

    def test_prices(self):
        products = [self.product(i, price=price) for i, (price, _) in enumerate(self.PRICES)]
        self.read("amazon_metadata", self.files(meta_jsonl="".join(json.dumps(p) + "\n" for p in products)))
        self.assert_products([self.expected(p, price) for p, (_, price) in zip(products, self.PRICES)])
        types = self.rows("SELECT DISTINCT typeof(price) FROM products WHERE price IS NOT NULL")
        self.assertEqual(types, [("real",)])

    def test_awkward_texts(self):
        chance = random.Random(1)
        products = []
        for i in range(300):
            texts = lambda: [chance.choice(AWKWARD) for _ in range(chance.randrange(4))]
            products.append(self.product(
                i, title=" ".join(texts()), store=chance.choice(AWKWARD), features=texts(), description=texts(),
                categories=chance.choice([None, texts()]), average_rating=chance.choice([None, 4, 3.5, "4.5", []]),
                rating_number=chance.choice([None, 0, 12345, "many"]),
                details={chance.choice(AWKWARD): texts(), "deep": {"a": [1, None]}}))
            if chance.random() < 0.3:
                products[-1].pop(chance.choice(["title", "store", "features", "details", "average_rating"]))
        lines = [json.dumps(p, ensure_ascii=chance.random() < 0.5,
                            separators=chance.choice([(",", ":"), (", ", ": "), (" ,\t", " : ")])) for p in products]
        for end in ("\n", "\r\n"):
            with self.subTest(end=end):
                self.read("amazon_metadata", self.files(meta_jsonl=end.join(lines) + end + end))
                self.assert_products([self.expected(p, 1.5) for p in products])
                self.assert_counts(lines_read=300, malformed=0, without_an_item=0, duplicates=0, kept=300)

    def test_lines_that_are_left_out(self):
        first, other, last = self.product(1, title="first"), self.product(2), self.product(1, title="last")
        lines = ["\ufeff" + json.dumps(first), "", "{'python': 'dict'}", "not JSON", '{"parent_asin": "B3"', '"a text"',
                 "[1]", "17", "null", "   ", '{"title": "a raw\ttab"}', json.dumps(self.product(4)) + " {}",
                 json.dumps(self.product(5, parent_asin=None)), json.dumps(self.product(6, parent_asin="")), "{}",
                 json.dumps(other), '"unbalanced', json.dumps(last)]
        self.read("amazon_metadata", self.files(meta_jsonl="\n".join(lines)))
        self.assert_products([self.expected(last, 1.5), self.expected(other, 1.5)])
        self.assert_counts(lines_read=17, malformed=11, without_an_item=3, duplicates=1, kept=2)


class AmazonRatings(ImportCase):
    ROWS = (("AE2", "B1", "5.0", "1588687728923"), ("AE1", "B1", "1.0", "1588615855070"),
            ("AE1", "B2", "3", "1589665266052"), ("AE2", "B1", "2.0", "1588687728924"),
            ("AE2", "B1", "4.0", "1588687728922"), ("AE1", "B2", "1.0", "yesterday"), ("AE3", "B2", "", "1"),
            ("AE3", "B3", "good", "1"), ("", "B1", "5.0", "1"), ("AE4", "", "5.0", "1"), ("AE5", "B9", "4.5", ""),
            ("AE5", "B9", "1.5", ""), ("Æ,6", 'B"7', "3.5", "7"), ("007", "0001384719342", "2.0", "8"))
    KEPT = (("AE2", "B1", 2.0, 1588687728924), ("AE1", "B1", 1.0, 1588615855070), ("AE1", "B2", 3.0, 1589665266052),
            ("AE5", "B9", 1.5, None), ("Æ,6", 'B"7', 3.5, 7), ("007", "0001384719342", 2.0, 8))

    def test_with_and_without_header_and_cr(self):
        for header in (True, False):
            for end in ("\n", "\r\n"):
                with self.subTest(header=header, end=end):
                    text = io.StringIO()
                    csv.writer(text, lineterminator=end).writerows(
                        ([("user_id", "parent_asin", "rating", "timestamp")] if header else []) + list(self.ROWS))
                    self.read("amazon_ratings", self.files(ratings_csv=text.getvalue()))
                    self.assert_table("ratings", self.KEPT)
                    self.assert_counts(rows_read=14, without_a_user_or_item=2, without_a_rating=2, duplicates=4, kept=6)
                    self.assertEqual(self.messages, [])

    def test_short_and_empty_lines_and_a_byte_order_mark(self):
        self.read("amazon_ratings", self.files(
            ratings_csv="\ufeffuser_id,parent_asin,rating,timestamp\nA,B,4.0,5\nA,C,3.0\nA,D\n\nE,F,1.0,2"))
        self.assert_table("ratings", [("A", "B", 4.0, 5), ("A", "C", 3.0, None), ("E", "F", 1.0, 2)])
        self.assert_counts(rows_read=5, without_a_user_or_item=1, without_a_rating=1, duplicates=0, kept=3)
        self.assertEqual(len(self.messages), 3)


class AmazonReviewsTsv(ImportCase):
    HEADER = ("marketplace", "customer_id", "review_id", "product_id", "product_parent", "product_title", "product_category",
              "star_rating", "helpful_votes", "total_votes", "vine", "verified_purchase", "review_headline", "review_body",
              "review_date")

    def expected(self, lines):
        """(reviews, products) that Python reads from the lines, and the counts of what was left out."""
        reviews, products, missing, unrated, twice = {}, {}, 0, 0, 0
        for line in lines:
            fields = dict.fromkeys(self.HEADER)
            fields.update(zip(self.HEADER, line.split("\t")))
            number = lambda name, kind=int: kind(fields[name]) if fields[name] else None
            if fields["product_id"]:
                products[fields["product_id"]] = (fields["product_id"], number("product_parent"), fields["product_title"],
                                                  fields["product_category"])
            if not fields["customer_id"] or not fields["product_id"]:
                missing += 1
            elif not fields["star_rating"]:
                unrated += 1
            else:
                key, date = (int(fields["customer_id"]), fields["product_id"]), fields["review_date"]
                twice += key in reviews
                if key not in reviews or (date or "") >= (reviews[key][3] or ""):
                    reviews[key] = (*key, number("star_rating", float), date, number("helpful_votes"), number("total_votes"),
                                    fields["vine"], fields["verified_purchase"], fields["review_id"],
                                    fields["review_headline"], fields["review_body"])
        return list(reviews.values()), list(products.values()), missing, unrated, twice

    def lines(self, count=500):
        chance = random.Random(2)
        texts = [text for text in AWKWARD if not set(text) & set("\t\n\r")]
        texts += ['"', '""', '"starts', 'ends"', '5" screen', ""]
        for i in range(count):
            fields = ["US", str(chance.randrange(1, 40)), f"R{i}", f"B{chance.randrange(20):03}", str(chance.randrange(999)),
                      chance.choice(texts), "Electronics", str(chance.randrange(1, 6)), "0", str(chance.randrange(9)),
                      chance.choice("YN"), chance.choice("YN"), chance.choice(texts), chance.choice(texts),
                      f"2015-0{chance.randrange(1, 9)}-1{chance.randrange(9)}"]
            if chance.random() < 0.1:
                fields[chance.choice([1, 3, 7])] = ""
            if chance.random() < 0.1:
                fields = fields[:chance.randrange(1, 15)]
            yield "\t".join(fields)

    def test_awkward_lines(self):
        lines = list(self.lines())
        reviews, products, missing, unrated, twice = self.expected(lines)
        self.assertTrue(all((reviews, products, missing, unrated, twice)))
        short = sum(line.count("\t") < 14 for line in lines)
        for end in ("\n", "\r\n"):
            with self.subTest(end=end):
                # The CR stays on a line that is cut within a text; that is the file's fault.
                text = "\t".join(self.HEADER) + "\n" + "".join(
                    line + (end if line.count("\t") == 14 else "\n") for line in lines) + "\n"
                self.read("amazon_reviews_tsv", self.files(reviews_tsv=text))
                self.assert_table("reviews", reviews)
                self.assert_table("products", products)
                self.assert_counts(rows_read=500, without_a_user_or_item=missing, without_a_rating=unrated, duplicates=twice,
                                   kept=len(reviews), products=len(products))
                self.assertEqual(len(self.messages), short)

    def test_a_line_without_its_first_field(self):
        """The shell passes over it and says so; the row before isn't repeated."""
        line = "US\t1\tR1\tB1\t1\tTitle\tBooks\t5\t0\t0\tN\tY\thead\tbody\t2015-01-01"
        text = "\n".join(("\t".join(self.HEADER), line, line[2:].replace("\t1\tR1", "\t2\tR2"),
                          line.replace("\t1\tR1", "\t3\tR3")))
        self.read("amazon_reviews_tsv", self.files(reviews_tsv=text))
        self.assertEqual(self.rows("SELECT customer_id, review_id FROM reviews"), [(1, "R1"), (3, "R3")])
        self.assertEqual(len(self.messages), 1)


class AmazonReviews(ImportCase):
    HEADER = ("reviewerID", "asin", "overall", "unixReviewTime", "summary", "reviewText")

    def newest(self, rows):
        kept = {}
        for row in sorted(rows, key=lambda row: -1 if row[3] is None else row[3]):
            kept[row[0], row[1]] = row
        return list(kept.values())

    def test_csv(self):
        chance = random.Random(3)
        rows = [(f"A{chance.randrange(30)}", f"000{chance.randrange(20)}", float(chance.randrange(1, 6)),
                 chance.choice([None, chance.randrange(1000, 1100)]), chance.choice(AWKWARD),
                 "\n".join(chance.sample(AWKWARD, 3)))
                for _ in range(300)]
        left_out = [("", "B", "5.0", 1, "", ""), ("A", "", "5.0", 1, "", ""), ("A", "B", "", 1, "", "x"),
                    ("A", "B", "five", 1, "", "")]
        for end in ("\n", "\r\n"):
            with self.subTest(end=end):
                text = io.StringIO(newline="")
                csv.writer(text, lineterminator=end).writerows([self.HEADER, *rows[:100], *left_out, *rows[100:]])
                self.read("amazon_reviews", self.files(reviews_csv=text.getvalue()))
                kept = self.newest(rows)
                self.assert_table("reviews", kept)
                self.assert_counts(rows_read=304, without_a_user_or_item=2, without_a_rating=2, duplicates=300 - len(kept),
                                   kept=len(kept))

    def test_json(self):
        chance = random.Random(4)
        objects = []
        for _ in range(300):
            objects.append({"reviewerID": f"A{chance.randrange(30)}", "asin": f"000{chance.randrange(20)}",
                            "reviewerName": chance.choice(AWKWARD), "helpful": [chance.randrange(5), 5],
                            "reviewText": "\n".join(chance.sample(AWKWARD, 3)), "overall": float(chance.randrange(1, 6)),
                            "summary": chance.choice(AWKWARD), "unixReviewTime": chance.randrange(1000, 1100),
                            "reviewTime": "02 28, 2014"})
            if chance.random() < 0.3:
                objects[-1].pop(chance.choice(["reviewerName", "helpful", "summary", "unixReviewTime"]))
        rows = [(*(o.get(name) for name in self.HEADER), o.get("reviewerName"), *o.get("helpful", (None, None)))
                for o in objects]
        lines = [json.dumps(o, ensure_ascii=chance.random() < 0.5) for o in objects]
        lines[50:50] = ["{'asin': 'B1'}", '{"asin": "B1", "overall": 5}',
                        '{"reviewerID": "A", "asin": "B", "overall": null}',
                        '{"reviewerID": "A", "asin": "B", "overall": ""}', '{"reviewerID": "A", "asin": "B"}', ""]
        for end in ("\n", "\r\n"):
            with self.subTest(end=end):
                self.read("amazon_reviews_json", self.files(reviews_json=end.join(lines) + end))
                kept = self.newest(rows)
                self.assert_table("reviews", kept)
                self.assert_counts(lines_read=305, malformed=1, without_a_user_or_item=1, without_a_rating=3,
                                   duplicates=300 - len(kept), kept=len(kept))

    def test_musical_instruments(self):
        path = support.data_file("amazon-musical-instruments", "reviews.csv")
        with open(path, newline="", encoding="utf-8") as file:
            rows = [(user, item, float(rating), int(time), *texts) for user, item, rating, time, *texts in csv.reader(file)
                    if user != "reviewerID"]
        self.read("amazon_reviews", os.path.dirname(path))
        self.assert_table("reviews", self.newest(rows))
        self.assert_counts(rows_read=10261, without_a_user_or_item=0, without_a_rating=0, duplicates=0, kept=10261)


def film(title, genres):
    """(title, year, genres) as the demo's table has them."""
    title = title.strip()
    dated = re.fullmatch(r"(.*)\((\d{4})\)", title, re.S)
    return (dated[1].strip(" "), int(dated[2]), genres) if dated else (title, None, genres)


class MovieLens(ImportCase):
    MOVIES = ((1, "Made (1995)", "Animation|Comedy"), (2, "Élan, L' (1995)", "Drama"), (3, "One: Two (1995)", "Comedy"),
              (4, "Odd::Colons: (1999)", "Drama|War"), (5, 'The "Quoted', "Drama"), (6, '"Start" (2000)', "Comedy"),
              (7, " No Year ", "War"), (8, "Ça ÿ ü", "Comedy"), (9, "Two (1990) (V)", "Drama"),
              (10, "Nobody knows (2001)", "(no genres listed)"))
    RATINGS = ("1::1::5::978300760\n1::2::3.5::978300761\n2::1::4::978300762\n2::1::1::978300763\n"
               "3::9::::9\n3::::4::9\n2::2::0.5::5\n")
    USERS = "1::F::1::10::48067\n2::M::56::16::01234\n4::M::25::15::55117-1234\n"

    def test_dat(self):
        text = "".join(f"{id}::{title}::{genres}\n" for id, title, genres in self.MOVIES)
        expected = [(id, *film(title, None if "listed" in genres else genres)) for id, title, genres in self.MOVIES]
        for encoding in ("latin-1", "utf-8"):
            for end in ("\n", "\r\n"):
                with self.subTest(encoding=encoding, end=end):
                    self.read("movielens_dat", self.files(
                        movies_dat=text.replace("\n", end).encode(encoding), ratings_dat=self.RATINGS.replace("\n", end),
                        users_dat=self.USERS.replace("\n", end)))
                    self.assert_table("movies", expected)
                    self.assert_table("ratings", [(1, 1, 5.0, 978300760), (1, 2, 3.5, 978300761), (2, 1, 1.0, 978300763),
                                                  (2, 2, 0.5, 5)])
                    self.assert_table("users", [(1, "viewer 1", "F", 1, 10, "48067"), (2, "viewer 2", "M", 56, 16, "01234"),
                                                (4, "viewer 4", "M", 25, 15, "55117-1234")])
                    self.assertEqual([list(row.values()) for row in self.counts],
                                     [["movies.dat", 10, 0, "", 0, 10], ["users.dat", 3, 0, "", 0, 3],
                                      ["ratings.dat", 7, 1, 1, 1, 4]])

    def test_every_latin1_character(self):
        """Alone, between letters, and next to each other, where some pairs could be UTF-8 but the line is not."""
        text = bytes(range(0xA0, 0x100)).decode("latin-1")
        titles = [*text, *(f"a{c}b" for c in text), "Ã©Ã", text, text[::-1]]
        lines = "".join(f"{i}::{title}é::Drama\n" for i, title in enumerate(titles)).encode("latin-1")
        self.read("movielens_dat", self.files(movies_dat=lines, ratings_dat="", users_dat=""))
        self.assertEqual(self.rows("SELECT movieId, title FROM movies"), [(i, (title + "é").strip(" "))
                                                                          for i, title in enumerate(titles)])

    def test_damaged_lines(self):
        self.read("movielens_dat", self.files(movies_dat="1::A (1999)::Drama\nx::B::Drama\n2::C\n\n1::D::War", users_dat="",
                                              ratings_dat="1::1::5::1\nx::1::5::1\n1::2\n\n1::3::4"))
        self.assert_table("movies", [(1, "D", None, "War")])
        self.assert_table("ratings", [(1, 1, 5.0, 1), (1, 3, 4.0, None)])
        self.assert_table("users", [(1, "viewer 1", None, None, None, None)])
        self.assertEqual([list(row.values()) for row in self.counts],
                         [["movies.dat", 4, 2, "", 1, 1], ["users.dat", 0, 0, "", 0, 0], ["ratings.dat", 4, 1, 1, 0, 2]])

    GENRES = ("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
              "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western")

    def item(self, id, title, released, video, url, *flags):
        genres = "|".join(name for name, flag in zip(self.GENRES, flags) if flag == "1" and name != "unknown")
        name, year, genres = film(title, genres or None)
        return int(id), name, year or (int(released[-4:]) if released else None), genres

    def test_100k(self):
        chance = random.Random(5)
        lines = [f"{id}|{title}|{chance.choice(['01-Jan-1995', ''])}||http://x/{title}|"
                 + "|".join(str(int(chance.random() < 0.2)) for _ in self.GENRES) for id, title, _ in self.MOVIES]
        users = "1|24|M|technician|85711\n2|53|F|other|01234\n"
        data = "1\t2\t3\t881250949\n2\t1\t4\t881250950\n2\t1\t5\t881250940\n3\t1\t\t1\n\n"
        for encoding in ("latin-1", "utf-8"):
            for end in ("\n", "\r\n"):
                with self.subTest(encoding=encoding, end=end):
                    folder = self.files(u_item=(end.join(lines) + end).encode(encoding), u_user=users.replace("\n", end),
                                        u_data=data.strip("\n").replace("\n", end))
                    self.read("movielens_100k", folder)
                    self.assert_table("movies", [self.item(*line.split("|")) for line in lines])
                    self.assert_table("users", [(1, "viewer 1", 24, "M", "technician", "85711"),
                                                (2, "viewer 2", 53, "F", "other", "01234")])
                    self.assert_table("ratings", [(1, 2, 3.0, 881250949), (2, 1, 4.0, 881250950)])
                    self.assertEqual([list(row.values()) for row in self.counts],
                                     [["u.item", 10, 0, "", 0, 10], ["u.user", 2, 0, "", 0, 2], ["u.data", 4, 0, 1, 1, 2]])

    def test_real_100k(self):
        folder = os.path.dirname(support.data_file("ml-100k", "u.item"))
        def lines(name, separator):
            with open(os.path.join(folder, name), encoding="latin-1") as file:
                return [line.split(separator) for line in file.read().splitlines()]
        self.read("movielens_100k", folder)
        self.assert_table("movies", [self.item(*fields) for fields in lines("u.item", "|")])
        self.assert_table("ratings", [(int(user), int(item), float(rating), int(time))
                                      for user, item, rating, time in lines("u.data", "\t")])
        self.assert_table("users", [(int(user), "viewer " + user, int(age), *rest)
                                    for user, age, *rest in lines("u.user", "|")])
        self.assertEqual([row["kept"] for row in self.counts], [1682, 943, 100000])

    def test_real_1m(self):
        source = os.path.dirname(support.data_file("ml-1m", "movies.dat"))
        folder = self.folder()
        for name in ("movies.dat", "users.dat"):
            shutil.copy(os.path.join(source, name), folder)
        with open(os.path.join(source, "ratings_nots.csv"), newline="") as file:
            ratings = [tuple(map(int, row)) for row in list(csv.reader(file))[1:]]
        with open(os.path.join(folder, "ratings.dat"), "w") as file:
            file.writelines("%d::%d::%d::%d\n" % (*row, i) for i, row in enumerate(ratings))
        self.read("movielens_dat", folder)
        with open(os.path.join(source, "movies.dat"), encoding="latin-1") as file:
            movies = [(int(id), *film(title, genres))
                      for id, title, genres in (line.rstrip("\n").split("::") for line in file)]
        self.assert_table("movies", movies)
        self.assertEqual(len(movies), 3883)
        self.assertEqual(self.rows("SELECT userId, movieId, rating, timestamp FROM ratings ORDER BY 1, 2"),
                         sorted((*row, i) for i, row in enumerate(ratings)))
        self.assertEqual(self.rows("SELECT count(*) FROM users WHERE zip <> '' AND typeof(age) = 'integer'"), [(6040,)])

    def test_tags(self):
        tags = [(1, 2, "funny", 5), (1, 2, 'quoted "tag", too', 6), (1, 2, "funny", 4), (2, 2, "funny", None), (2, 3, "", 1),
                ("", 3, "sad", 1)]
        text = io.StringIO(newline="")
        csv.writer(text).writerows([("userId", "movieId", "tag", "timestamp"), *tags])
        self.read("movielens_tags", self.files(tags_csv=text.getvalue(),
                                               links_csv="movieId,imdbId,tmdbId\r\n1,0114709,862\r\n2,0113497,\r\n,1,2\r\n"))
        self.assert_table("tags", [tags[0], tags[1], tags[3]])
        self.assert_table("links", [(1, "0114709", 862), (2, "0113497", None)])
        self.assertEqual([list(row.values()) for row in self.counts],
                         [["links.csv", 3, 1, "", 0, 2], ["tags.csv", 6, 1, 1, 1, 3]])

    def test_damaged_csv(self):
        self.read("movielens", self.files(
            movies_csv='movieId,title,genres\r\n1,"A, The (1999)",Drama\r\nx,B,Drama\r\n\r\n1,D,War\r\n2\r\n',
            ratings_csv="userId,movieId,rating,timestamp\r\n1,1,4.0,9\r\n1,1,5.0,5\r\n2,1,good,9\r\n2,3,,9\r\n,1,3,9\r\n"
                        "3,2,0.5,\r\n4\r\n"))
        self.assert_table("movies", [(1, "D", None, "War")])
        self.assert_table("ratings", [(1, 1, 4.0, 9), (3, 2, 0.5, None)])
        self.assert_table("users", [(1, "viewer 1"), (3, "viewer 3")])
        self.assertEqual([list(row.values()) for row in self.counts],
                         [["movies.csv", 5, 3, "", 1, 1], ["ratings.csv", 7, 2, 2, 1, 2]])

    def test_real_latest_small(self):
        folder = os.path.dirname(support.data_file("ml-latest-small", "movies.csv"))
        self.read("movielens", folder)
        self.assertEqual([list(row.values()) for row in self.counts],
                         [["movies.csv", 9742, 0, "", 0, 9742], ["ratings.csv", 100836, 0, 0, 0, 100836]])
        def rows(name):
            with open(os.path.join(folder, name), newline="", encoding="utf-8") as file:
                return list(csv.reader(file))[1:]
        self.assert_table("movies", [(int(id), *film(title, None if genres == "(no genres listed)" else genres))
                                     for id, title, genres in rows("movies.csv")])
        ratings = [(int(u), int(i), float(r), int(t)) for u, i, r, t in rows("ratings.csv")]
        self.assert_table("ratings", ratings)
        self.assertEqual(len(ratings), 100836)
        self.assert_table("users", [(u, f"viewer {u}") for u in {row[0] for row in ratings}])
        self.read("movielens_tags", folder)
        self.assert_table("tags", [(int(u), int(i), tag, int(t)) for u, i, tag, t in rows("tags.csv")])
        self.assert_table("links", [(int(id), imdb, int(tmdb) if tmdb else None) for id, imdb, tmdb in rows("links.csv")])


class RatingMatrix(ImportCase):
    def expected(self, table):
        """(rows kept, counts) of a matrix given as rows of text."""
        kept, counts = {}, dict(cells_read=0, without_a_rating=0, not_a_number=0, without_a_user_or_item=0, duplicates=0)
        items = table[0]
        for row in table[1:]:
            for position, cell in enumerate(row[1:], 1):
                counts["cells_read"] += 1
                item = items[position] if position < len(items) else ""
                try:
                    value = float(cell) if cell else -1.0
                except ValueError:
                    counts["not_a_number"] += 1
                    continue
                if value == -1:
                    counts["without_a_rating"] += 1
                elif not row[0] or not item:
                    counts["without_a_user_or_item"] += 1
                else:
                    counts["duplicates"] += (row[0], item) in kept
                    kept[row[0], item] = value
        return [(*key, value) for key, value in kept.items()], dict(counts, kept=len(kept))

    def check(self, table, **format):
        text = io.StringIO(newline="")
        csv.writer(text, **format).writerows(table)
        self.read("rating_matrix", self.files(matrix_csv=text.getvalue()))
        rows, counts = self.expected(table)
        self.assert_table("ratings", rows)
        self.assert_counts(**counts)
        return counts

    def test_awkward_names(self):
        chance = random.Random(6)
        names = [text for text in AWKWARD if not set(text) & set("\n\r")]
        names += ['"', '""', '","', "a\x7f", "\\", '\\"', "\\\\u001f", ",", "é,"]
        items = ["user", *names, "twice", "twice", "", *(f"item {i}" for i in range(20))]
        cells = ("5", "4.5", "0", "-1", "-1.0", "", "3e0", "x", "1,5", '"', "-2")
        table = [items] + [[name] + [chance.choice(cells) for _ in items[1:]] for name in [*names, "again", "again", ""]]
        table.append(["short", "1"])
        table.append(["long", *["2"] * (len(items) + 3)])
        table.append(["none"])
        for end in ("\n", "\r\n"):
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
                with self.subTest(end=end, quoting=quoting):
                    counts = self.check(table, lineterminator=end, quoting=quoting)
                    self.assertTrue(all(counts.values()))

    def test_more_columns_than_a_table_may_have(self):
        chance = random.Random(7)
        table = [["", *(f"item {i}" for i in range(5000))]]
        table += [[f"user {u}", *(chance.choice(["", "", "-1", "1", "2.5"]) for _ in range(5000))] for u in range(20)]
        self.check(table)

    def test_a_byte_order_mark(self):
        self.read("rating_matrix", self.files(matrix_csv="\ufeff\"user\",a,b\n1,2,3\n\n"))
        self.assert_table("ratings", [("1", "a", 2.0), ("1", "b", 3.0)])


if __name__ == "__main__":
    unittest.main()
