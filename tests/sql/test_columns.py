"""Which columns of a source are the user, the item, the rating and the timestamp: by names that leave no doubt, else by
position; what the summary says of it in "columns" and "hints"; and errors that say what to write."""
import itertools
import json
import random
import re
import unittest

import support
from support import connect, train

USERS = ("user", "User", "user_id", "userId", "UserID", "USER-ID", "User ID", "uid", "customer_id",
         "CustomerID", "reviewerID", "reviewer_id", "buyer_id", "member_id", "visitorid", "personId", "cust_id")
ITEMS = ("item", "item_id", "itemId", "ITEM_ID", "movieId", "movie_id", "product_id", "productId", "book_id", "ISBN", "asin",
         "parent_asin", "business_id", "song_id", "track", "artistID", "StockCode", "anime_id", "recipe_id", "listing_id",
         "article_id", "contentId", "app_id", "placeID", "iid")
RATINGS = ("rating", "Rating", "stars", "star_rating", "overall", "score", "Book-Rating", "review_score", "userRating")
TIMES = ("timestamp", "ts", "created_at", "createdAt", "unixReviewTime", "time", "rated_at", "event_time")
NOTHING = ("value", "count", "date", "id", "name", "title", "quantity", "price", "x", "order_id", "session_id", "username",
           "category_id", "review_id", "account_id", "text", "ratings_count", "user_name", "itemised", "restart")


def quoted(names):
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def source(names, rows=24, key=None, db=None):
    """A table t of numbers with these columns: the n-th column of a row is a number of its own, small and whole."""
    db = db or connect()
    db.execute("DROP TABLE IF EXISTS t")
    columns = ", ".join(quoted([name]) + (" INTEGER PRIMARY KEY" if place == key else "") for place, name in enumerate(names))
    db.execute(f"CREATE TABLE t({columns})")
    for row in range(rows):
        values = [row if place == key else (row * (3 + 2 * place) + row // 5) % (4 + place) + 1 for place in range(len(names))]
        db.execute(f"INSERT INTO t VALUES({', '.join('?' * len(names))})", values)
    return db


def columns(db, text="t", function="baseline_train", **options):
    """What was taken for user, item, rating and timestamp."""
    arguments = [text] + ([4] if function in ("mf_train", "kmeans_train", "knn_train", "ease_train") else [])
    arguments.append(json.dumps({"model": "m", **options}))
    summary = json.loads(db.execute(f"SELECT {function}({', '.join('?' * len(arguments))})", arguments).fetchone()[0])
    taken = summary["columns"]
    return tuple(taken[role] for role in ("user", "item", "rating", "timestamp"))


class Names(support.TestCase):
    def test_names_decide_wherever_they_are(self):
        for user, item in itertools.chain(((user, "item_id") for user in USERS), (("user_id", item) for item in ITEMS)):
            with self.subTest(user=user, item=item):
                self.assertEqual(columns(source(("id", item, "count", user))), (user, item, None, None))
        for rating in RATINGS:
            with self.subTest(rating=rating):
                self.assertEqual(columns(source(("id", "x", rating, "asin", "user"))), ("user", "asin", rating, None))
        for time in TIMES:
            with self.subTest(time=time):
                db = source((time, "score", "item", "user"))
                self.assertEqual(columns(db), ("user", "item", "score", time))

    def test_names_that_say_nothing(self):
        for name in NOTHING:
            with self.subTest(name):
                self.assertEqual(columns(source((name, "b", "c"))), (name, "b", "c", None))
                self.assertEqual(columns(source(("a", name, "c"))), ("a", name, "c", None))
                self.assertEqual(columns(source(("a", "b", name))), ("a", "b", name, None))
                self.assertEqual(columns(source(("user_id", "item_id", name))), ("user_id", "item_id", None, None))

    def test_the_commonest_tables(self):
        for names, expected in (
                (("userId", "movieId", "rating", "timestamp"), (0, 1, 2, 3)),                              # MovieLens
                (("reviewerID", "asin", "reviewerName", "helpful", "reviewText", "overall", "summary", "unixReviewTime",
                  "reviewTime"), (0, 1, 5, 7)),                                                            # Amazon 2014
                (("review_id", "user_id", "business_id", "stars", "useful", "funny", "cool", "text", "date"),
                 (1, 2, 3, None)),                                                                         # Yelp
                (("userID", "artistID", "weight"), (0, 1, None, None)),                                    # Last.fm
                (("User-ID", "ISBN", "Book-Rating"), (0, 1, 2, None)),                                     # Book-Crossing
                (("timestamp", "visitorid", "event", "itemid", "transactionid"), (1, 3, None, 0)),         # RetailRocket
                (("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"),
                 (6, 1, None, None)),                                                                      # Online Retail
                (("user_id", "recipe_id", "date", "rating", "review"), (0, 1, 3, None)),                   # Food.com
                (("t_dat", "customer_id", "article_id", "price", "sales_channel_id"), (1, 2, None, None)),  # H&M
                (("id", "user_id", "book_id", "created_at", "updated_at"), (1, 2, None, 3)),               # an ORM's
                (("index", "user", "item", "rating"), (1, 2, 3, None)),                                    # pandas' to_sql
                (("marketplace", "customer_id", "review_id", "product_id", "product_parent", "product_title",
                  "product_category", "star_rating", "helpful_votes", "total_votes", "review_date"), (1, 3, 7, None)),
        ):
            with self.subTest(names):
                db = source(names, key=0 if names[0] == "id" else None)
                self.assertEqual(columns(db), tuple(None if place is None else names[place] for place in expected))

    def test_events_are_implicit_feedback(self):
        """A table of clicks: formerly the time was the rating."""
        db = connect()
        db.execute("CREATE TABLE clicks(user_id INTEGER, item_id INTEGER, timestamp INTEGER)")
        db.executemany("INSERT INTO clicks VALUES(?, ?, ?)",
                       [(u, i, 1700000000 + 1000 * u + i) for u in range(1, 11) for i in range(1, 11) if (u + i) % 3])
        summary = train(db, "clicks")
        self.assertEqual((summary["algorithm"], summary["hints"]), ("ials", []))
        self.assertEqual(summary["columns"], {"user": "user_id", "item": "item_id", "rating": None, "timestamp": "timestamp"})
        self.assertEqual(db.execute("SELECT count(*), count(prediction), max(rating) FROM clicks_mf").fetchone(), (100, 0, 1))
        db.execute("CREATE TABLE orders(id INTEGER PRIMARY KEY, user_id INTEGER, book_id INTEGER, created_at TEXT)")
        db.execute("INSERT INTO orders(user_id, book_id, created_at) SELECT user_id, item_id, datetime(timestamp, 'unixepoch') "
                   "FROM clicks")
        other = train(db, "orders")
        self.assertEqual((other["algorithm"], other["users"], other["ratings"]), ("ials", 10, summary["ratings"]))

    def test_a_named_time_says_which_rating_is_last(self):
        db = source(("at", "stars", "asin", "customer"), rows=0)
        db.executemany("INSERT INTO t VALUES(?, ?, ?, ?)", [(30, 2, 1, 1), (20, 5, 1, 1), (1, 3, 2, 2)])
        columns(db)
        self.assertEqual(db.execute("SELECT rating FROM m WHERE user = 1 AND item = 1").fetchone(), (2,))

    def test_dates_that_are_text_are_told(self):
        db = source(("user_id", "item_id", "rating", "created_at"), rows=0)
        db.executemany("INSERT INTO t VALUES(?, ?, ?, ?)", [(1, 1, 2, "2024-01-02"), (1, 1, 5, "2024-01-01"), (2, 1, 3, "")])
        summary = train(db, "t", rank=1)
        self.assertEqual(summary["columns"]["timestamp"], None)
        self.assertIn("unixepoch", " ".join(summary["hints"]))
        summary = train(db, "SELECT user_id, item_id, rating, unixepoch(created_at) AS created_at FROM t", rank=1, model="m")
        self.assertEqual((summary["columns"]["timestamp"], "unixepoch" in str(summary["hints"])), ("created_at", False))
        self.assertEqual(db.execute("SELECT rating FROM m WHERE user = 1 AND item = 1").fetchone(), (2,))

    def test_options_stand_above_names(self):
        db = source(("user_id", "friend", "item_id", "rating", "score2", "timestamp"))
        self.assertEqual(columns(db, user="friend"), ("friend", "item_id", "rating", "timestamp"))
        self.assertEqual(columns(db, user="item_id", item="user_id"), ("item_id", "user_id", "rating", "timestamp"))
        self.assertEqual(columns(db, rating="score2"), ("user_id", "item_id", "score2", "timestamp"))
        self.assertEqual(columns(db, rating=None)[2], None)
        self.assertEqual(columns(db, timestamp="friend"), ("user_id", "item_id", "rating", "friend"))
        db = source(("at", "who", "what", "stars"))
        self.assertEqual(columns(db, user="who", item="what", rating="stars"), ("who", "what", "stars", "at"))
        db = source(("user_id", "customer_id", "asin", "parent_asin", "rating", "stars", "ts", "created_at"))
        chosen = {"user": "customer_id", "item": "parent_asin", "rating": "stars", "timestamp": "ts"}
        self.assertEqual(columns(db, **chosen), tuple(chosen.values()))
        del chosen["timestamp"]
        self.assert_error(db, "SELECT baseline_train('t', ?)", "ts", "created_at", parameters=(json.dumps(chosen),))
        chosen["rating"] = None  # then the time does not matter
        self.assertEqual(columns(db, **chosen)[:3], ("customer_id", "parent_asin", None))


class Selects(support.TestCase):
    def test_the_names_of_a_select_are_those_after_AS(self):
        db = source(("a", "b", "c"))
        for text, expected in (
                ("SELECT c AS stars, b AS item, a AS user FROM t", ("user", "item", "stars", None)),
                ("SELECT a AS user, b AS item, c FROM t", ("user", "item", None, None)),
                ("SELECT a AS user_id, b AS item_id, c * 2 FROM t", ("user_id", "item_id", "c * 2", None)),
                ("SELECT a user_id, b item_id, count(*) FROM t GROUP BY 1, 2", ("user_id", "item_id", "count(*)", None)),
                ("SELECT a user_id, b item_id, c*2 AS twice FROM t", ("user_id", "item_id", None, None)),
                ("SELECT a user_id, b item_id, -c FROM t", ("user_id", "item_id", "-c", None)),
                ("SELECT a user_id, b item_id, 1 FROM t", ("user_id", "item_id", "1", None)),
                ("SELECT a user_id, b item_id, CASE WHEN c > 2 THEN 1 ELSE 2 END FROM t",
                 ("user_id", "item_id", "CASE WHEN c > 2 THEN 1 ELSE 2 END", None)),
                ("SELECT a user_id, b item_id, c stars, a + 0 FROM t", ("user_id", "item_id", "stars", "a + 0")),
                ("SELECT a + 0, b + 0, c + 0 FROM t", ("a + 0", "b + 0", "c + 0", None)),
                ("SELECT a + 0, b AS item, c FROM t", ("a + 0", "item", "c", None)),
                ("WITH r(user, item) AS (SELECT a, b FROM t) SELECT item, user FROM r", ("user", "item", None, None)),
                ("VALUES(1, 2, 3), (4, 5, 2)", ("column1", "column2", "column3", None))):
            with self.subTest(text):
                self.assertEqual(columns(db, text), expected)

    def test_views(self):
        db = source(("a", "b", "c"))
        db.execute("CREATE VIEW v AS SELECT c AS rating, a AS user_id, b AS item_id FROM t")
        self.assertEqual(columns(db, "v"), ("user_id", "item_id", "rating", None))
        db.execute("CREATE VIEW w AS SELECT a AS user_id, b AS item_id, count(*) FROM t GROUP BY 1, 2")
        self.assertEqual(columns(db, "w"), ("user_id", "item_id", "count(*)", None))


class Errors(support.TestCase):
    """What names say against positions, with what to write; what is written then works."""

    def asked(self, names, key=None, **options):
        db = source(names, key=key)
        message = self.assert_error(db, "SELECT baseline_train('t', ?)", "baseline_train: ",
                                    parameters=(json.dumps({"model": "m", **options}),))
        written = json.loads(re.search(r"as in '(\{.*\})'", message)[1].replace("''", "'"))
        if "…" not in written.values():
            taken = columns(db, **{**options, **written})
            for role, name in zip(("user", "item", "rating", "timestamp"), taken):
                if role in written:
                    self.assertEqual(name, written[role])
        return message, written

    def test_a_time_in_the_place_of_the_rating(self):
        for time in TIMES + ("updated_at", "modified_at"):
            message, written = self.asked(("who", "what", time))
            self.assertIn(f'by position the column "{time}" would be the rating, but it is named like the timestamp', message)
            self.assertEqual((written["user"], written["item"], written["rating"]), ("who", "what", None))
        self.assertEqual(self.asked(("who", "what", "ts", "stars"))[1]["rating"], "stars")
        self.assertEqual(columns(source(("who", "what", "ts")), rating=None), ("who", "what", None, None))

    def test_a_lone_name_in_the_wrong_place(self):
        for names, written in ((("x", "user_id", "y"), {"user": "user_id", "item": "x", "rating": None}),
                               (("item_id", "x", "y"), {"user": "x", "item": "item_id", "rating": None}),
                               (("x", "y", "movieId", "stars"), {"user": "x", "item": "movieId", "rating": "stars"}),
                               (("x", "y", "z", "user"), {"user": "user", "item": "x", "rating": None}),
                               (("rating", "x", "y"), {"user": "x", "item": "y", "rating": "rating"}),
                               (("x", "y", "z", "rating"), {"user": "x", "item": "y", "rating": "rating"}),
                               (("x", "timestamp", "y"), {"user": "x", "item": "y", "rating": None, "timestamp": "timestamp"})):
            with self.subTest(names):
                asked = self.asked(names)[1]
                if names == ("x", "timestamp", "y"):
                    written["rating"] = asked["rating"]  # none is left but by chance
                self.assertEqual(asked, written)
        for names in (("user_id", "x", "y"), ("x", "item_id", "y"), ("x", "y", "rating"), ("x", "y", "z", "timestamp")):
            self.assertEqual(columns(source(names))[:3], names[:3])
        for names in (("x", "y", "z", "ts"), ("x", "y", "z", "w", "ts")):  # a time behind them is one
            self.assertEqual(columns(source(names)), ("x", "y", "z", "ts"))

    def test_two_columns_for_one_role(self):
        for names, options in ((("user_id", "asin", "parent_asin", "rating"), {}),
                               (("user_id", "customer_id", "item"), {}), (("a", "asin", "parent_asin"), {"user": "a"}),
                               (("user", "item", "rating", "stars"), {}), (("u", "i", "rating", "score"), {}),
                               (("user", "item", "rating", "ts", "created_at"), {})):
            with self.subTest(names):
                message, written = self.asked(names, **options)
                self.assertIn("could both be the", message)
                self.assertEqual(len(written), 1 if "item" in names or names[0] == "user_id" else 3)
        self.assertEqual(columns(source(("user", "item", "ts", "created_at")))[:3], ("user", "item", None))

    def test_a_primary_key_is_no_user(self):
        message, written = self.asked(("id", "who", "what", "how"), key=0)
        self.assertIn('"id", by position the user, is the table\'s primary key', message)
        self.assertEqual(written, {"user": "who", "item": "what", "rating": "how"})
        self.assertEqual(self.asked(("id", "who", "product_id", "price", "created_at"), key=0)[1],
                         {"user": "who", "item": "product_id", "rating": None, "timestamp": "created_at"})
        self.assertIn("by position the item", self.asked(("who", "id", "how"), key=1)[0])
        self.assert_error(source(("id", "x", "y"), key=0), "SELECT kmeans_train('t', 3)", 'options "id" and "columns"')
        self.assertIn("…", self.asked(("id", "who"), key=0)[1]["item"])
        db = source(("id", "who", "what"), key=0)
        self.assertEqual(columns(db, user="id", item="who", rating="what")[:3], ("id", "who", "what"))  # who insists
        db.executescript("CREATE TABLE uuids(id TEXT PRIMARY KEY, who, what); INSERT INTO uuids VALUES('a', 1, 2), ('b', 2, 1);"
                         "CREATE TABLE pairs(a INTEGER, b INTEGER, c, PRIMARY KEY (a, b)); INSERT INTO pairs SELECT * FROM uuids")
        self.assert_error(db, "SELECT baseline_train('uuids')", '{"user": "who", "item": "what", "rating": null}')
        self.assertEqual(columns(db, "pairs"), ("a", "b", "c", None))

    def test_names_with_quotes(self):
        message, written = self.asked(("id", 'who "am" I', "it's"), key=0)
        self.assertEqual(written, {"user": 'who "am" I', "item": "it's", "rating": None})
        db = source(("id", 'who "am" I', "it's"), key=0)
        db.execute("SELECT baseline_train('t', " + re.search(r"'\{.*\}'", message)[0] + ")")  # as it was printed

    def test_two_roles_on_one_column(self):
        message, written = self.asked(("x", "a", "b", "stars"), user="a", item="b")
        self.assertEqual(written["rating"], "stars")
        message, written = self.asked(("a", "b", "c"), user="b")
        self.assertIn("would be two", message)
        self.assertEqual(written, {"user": "b", "item": "a", "rating": "c"})

    def test_whatever_the_columns(self):
        """Orders of some names of every kind: what is taken agrees with the rule, spelled out here once more; an error
        says what to write, and that works."""
        role = {"user_id": 0, "asin": 1, "sku": 1, "stars": 2, "ts": 3}
        for count in (2, 3, 4):
            orders = list(itertools.permutations(("user_id", "asin", "sku", "stars", "ts", "x", "y", "z"), count))
            for names in random.Random(5).sample(orders, min(len(orders), 200)):
                named = [[name for name in names if role.get(name) == r] for r in range(4)]
                if max(map(len, named)) > 1:
                    self.assertIn("could both be the item", self.asked(names)[0])
                elif named[0] and named[1]:
                    self.assertEqual(columns(source(names)), tuple(one[0] if one else None for one in named))
                else:
                    wrong = [name for place, name in enumerate(names) if name in role and role[name] != place]
                    if wrong:
                        self.asked(names)
                    else:
                        self.assertEqual(columns(source(names))[:3], (names + (None,))[:3])


class Everywhere(support.TestCase):
    """All that reads (user, item, rating, timestamp) reads it by the same rule."""
    NAMES = ("created_at", "stars", "note", "book_id", "reader_id")

    def setUp(self):
        self.db = self.closing(connect())
        rows = support.made_up_ratings(users=20, items=12)
        support.add_ratings(self.db, rows, "plain")
        self.db.execute("CREATE TABLE named(id INTEGER PRIMARY KEY, created_at, stars REAL, note, book_id INTEGER, reader_id INTEGER)")
        self.db.executemany("INSERT INTO named(created_at, stars, book_id, reader_id) VALUES(?, ?, ?, ?)",
                            [(5, r, i, u) for u, i, r in rows])

    def test_trainers(self):
        for function, size in (("mf_train", "4, "), ("knn_train", "4, "), ("ease_train", "10, "), ("baseline_train", ""),
                               ("kmeans_train", "3, ")):
            with self.subTest(function):
                summaries = []
                for table in ("plain", "named"):
                    text = self.db.execute(f"SELECT {function}('{table}', {size}'{{\"model\": \"{table}_m\"}}')").fetchone()[0]
                    summary = json.loads(text)
                    summaries.append({key: summary[key] for key in ("users", "items", "ratings", "heads")})
                    self.assertEqual(summary["hints"], [])
                self.assertEqual(*summaries)
                self.assertEqual(summary["columns"],
                                 {"user": "reader_id", "item": "book_id", "rating": "stars", "timestamp": "created_at"})
                plain, named = (support.shadow_bytes(self.db, table + "_m") for table in ("plain", "named"))
                for model in (plain, named):
                    model["config"] = [row for row in model["config"] if row[0][1] not in ("source", "options", "stamp")]
                self.assertEqual({key: plain[key] for key in plain if key != "config"},
                                 {key: named[key] for key in named if key != "config"})

    def test_as_a_table(self):
        self.db.execute("SELECT * FROM mf_train('named', 4, '{\"model\": \"a\"}')").fetchall()
        self.db.execute("CREATE VIRTUAL TABLE b USING recommender(train=mf, source=named, size=4)")
        self.db.execute("INSERT INTO b(b) VALUES('retrain')")
        train(self.db, "plain", model="c")
        lists = [self.db.execute(f"SELECT * FROM recommend_all(5, '{model}') ORDER BY user, rank").fetchall() for model in "abc"]
        self.assertEqual(lists[0], lists[2])
        self.assertEqual(lists[1], lists[2])

    def test_profiles_of_content(self):
        self.db.execute("CREATE TABLE texts(item INTEGER PRIMARY KEY, text)")
        self.db.execute("INSERT INTO texts SELECT DISTINCT item, 'word' || (item % 5) || ' more' || (item % 3) FROM plain")
        lists = []
        for table in ("plain", "named"):
            summary = support.train_text(self.db, "texts", model="m", ratings=table, profile="weighted")
            lists.append(self.db.execute("SELECT * FROM recommend_all(5, 'm') ORDER BY user, rank").fetchall())
        self.assertEqual(*lists)
        self.assertEqual(summary["columns"]["user"], "reader_id")
        self.assertIsNone(support.train_text(self.db, "texts", model="m2")["columns"])

    def test_evaluation(self):
        train(self.db, "plain", test=0.2, model="m")
        for sql in ("SELECT metric, k, value, n FROM recommend_evaluate('m', '%s', '{\"exclude_seen\": false}')",
                    "SELECT fold, users, items, rmse, ndcg FROM recommend_cross_validate('mf_train', '%s', 3, '{\"rank\": 3}')",
                    "SELECT combination, rmse, ndcg FROM recommend_grid_search('mf_train', '%s', '{\"rank\": [2, 3]}', "
                    "'{\"model\": \"best\"}')"):
            with self.subTest(sql):
                self.assertEqual(*(self.db.execute(sql % table).fetchall() for table in ("plain", "named")))
        for call in ("recommend_evaluate('m', 'SELECT id, reader_id, stars FROM named')",
                     "recommend_cross_validate('mf_train', 'SELECT id, reader_id, stars FROM named', 3, '{\"rank\": 3}')",
                     "recommend_grid_search('mf_train', 'SELECT id, reader_id, stars FROM named', '{\"rank\": [2]}')"):
            self.assert_error(self.db, "SELECT * FROM " + call, call.split("(")[0] + ": ", '"reader_id" would be the item', "as in '{")

    def test_profiles_of_strangers(self):
        train(self.db, "plain", model="m")
        user, = self.db.execute("SELECT min(reader_id) FROM named").fetchone()
        expected = self.db.execute("SELECT item, score FROM recommend_for(?, 5, 'm')",
                                   (f"SELECT book_id, stars FROM named WHERE reader_id = {user}",)).fetchall()
        self.assertEqual(len(expected), 5)
        for text in (f"SELECT * FROM named WHERE reader_id = {user}", f"SELECT stars, book_id FROM named WHERE reader_id = {user}",
                     f"SELECT book_id AS x, stars AS y FROM named WHERE reader_id = {user}",
                     f"SELECT book_id, stars + 0 FROM named WHERE reader_id = {user}",
                     f"SELECT created_at, reader_id, book_id, stars FROM named WHERE reader_id = {user}"):
            with self.subTest(text):
                self.assertEqual(self.db.execute("SELECT item, score FROM recommend_for(?, 5, 'm')", (text,)).fetchall(), expected)
        alone = self.db.execute("SELECT item, score FROM recommend_for(?, 5, 'm')",
                                (f"SELECT book_id FROM named WHERE reader_id = {user}",)).fetchall()
        text = f"SELECT reader_id, book_id FROM named WHERE reader_id = {user}"  # no rating's name: liked
        self.assertEqual(self.db.execute("SELECT item, score FROM recommend_for(?, 5, 'm')", (text,)).fetchall(), alone)
        for text, fragment in (("SELECT reader_id FROM named", '"reader_id" of the profile would be the item'),
                               ("SELECT book_id, created_at FROM named", '"created_at" of the profile would be the rating'),
                               ("SELECT book_id, reader_id FROM named", '"reader_id" of the profile would be the rating'),
                               ("SELECT book_id, id AS asin FROM named", '"asin" of the profile could both be the item')):
            self.assert_error(self.db, "SELECT * FROM recommend_for(?, 5, 'm')", "recommend_for: ", fragment, parameters=(text,))


class Hints(support.TestCase):
    def hints(self, rows, names="u, i, r", function="mf_train", **options):
        db = self.closing(connect())
        db.execute(f"CREATE TABLE t({names})")
        db.executemany(f"INSERT INTO t VALUES({', '.join('?' * len(rows[0]))})", rows)
        return train(db, "t", 2, function=function, model="m", **options)["hints"]

    def test_sound_data_have_none(self):
        self.assertEqual(self.hints(support.made_up_ratings()), [])
        for low, high in ((1, 5), (0, 1), (0, 10), (1, 10), (0, 100), (-10, 10)):
            rows = [(u, i, low + (u * i + u) % (high - low + 1)) for u in range(30) for i in range(20) if (u + i) % 3]
            self.assertEqual(self.hints(rows), [], (low, high))
        self.assertEqual(self.hints([(u, i, 1) for u in range(9) for i in range(9)]), [])
        for data, names in (("ml-100k", "u1.base"), ):
            path = support.data_file(data, names)
            with open(path) as file:
                rows = [tuple(map(int, line.split("\t"))) for line in file]
            self.assertEqual(self.hints(rows, "a, b, c, d"), [])

    def test_one_row_each(self):
        hints = self.hints([(n, n % 5, 3 + n % 2) for n in range(20)])
        self.assertEqual(len(hints), 1)
        self.assertIn("Every user has one row", hints[0])
        self.assertIn("Every item has one row", self.hints([(n % 5, n, 3) for n in range(20)])[0])

    def test_times(self):
        for unit in (1, 1000, 10**6):
            rows = [(n % 5, n % 7, (1700000000 + n) * unit) for n in range(30)]
            self.assertIn("look like Unix times", " ".join(self.hints(rows)))
        self.assertEqual(self.hints([(n % 5, n % 7, 1700000000 + n) for n in range(30)], rating=None), [])

    def test_counts(self):
        plays = [(u, i, 1 + (97 * (u * 31 + i * 17) % 1009) ** 4 // 10**10) for u in range(30) for i in range(20)]
        few = [(u, i, 1 + ((u * 31 + i * 17) % 7 == 0) + 2 * ((u + i) % 11 == 0)) for u in range(30) for i in range(20)]
        for rows in (plays, few):
            hints = self.hints(rows)
            self.assertEqual(len(hints), 1)
            self.assertIn('"ials"', hints[0])
            self.assertEqual(self.hints(rows, algorithm="ials"), [])
            self.assertEqual(self.hints(rows, function="ease_train"), [])
            self.assertEqual(len(self.hints(rows, function="knn_train")), 1)

    def test_ids(self):
        hints = self.hints([(n % 5, n % 7, 3) for n in range(30)], "u REAL, i, r")
        self.assertIn("Ids of users are REAL", " ".join(hints))
        self.assertIn("Ids of items are REAL", " ".join(self.hints([(n % 5, n % 7 + 0.5, 3) for n in range(30)])))
        hints = self.hints([((n % 5).to_bytes(8, "little"), n % 7, 3) for n in range(30)])
        self.assertIn("Ids of users are BLOBs", " ".join(hints))
        self.assertEqual(self.hints([(float(n % 5), n % 7, 3) for n in range(30)]), [])  # whole: the integers

    def test_a_collation_is_not_kept(self):
        rows = [("Bob" if n % 2 else "bob", "i%d" % (n % 7), 1 + n % 5) for n in range(30)]
        for names, count in (("u TEXT COLLATE NOCASE, i, r", 1), ("u COLLATE RTRIM, i COLLATE nocase, r", 2),
                             ("u TEXT COLLATE BINARY, i, r", 0), ("u TEXT, i TEXT, r COLLATE NOCASE", 0)):
            found = [hint for hint in self.hints(rows, names) if "collation" in hint]
            self.assertEqual(len(found), count, names)
        db = connect()
        db.create_collation("fold", lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()))
        db.execute("CREATE TABLE t(u TEXT COLLATE fold, i INTEGER, r)")
        db.executemany("INSERT INTO t VALUES(?, ?, ?)", [(u, int(i[1:]), r) for u, i, r in rows])
        db.execute("CREATE VIEW v AS SELECT u AS who, i AS what, r FROM t WHERE r > 1")
        for text in ("t", "v", "SELECT u, i, r FROM t ORDER BY r"):
            summary = train(db, text, 1, model="m")
            self.assertIn("collation", " ".join(summary["hints"]), text)
            self.assertEqual(summary["users"], 2)
        self.assertNotIn("collation", " ".join(train(db, "SELECT lower(u), i, r FROM t", 1, model="m")["hints"]))

    def test_no_row_is_read_for_hints(self):
        db = connect()
        calls = []
        db.create_function("noted", 1, lambda value: calls.append(value) or value)
        db.execute("CREATE TABLE t(u, i, r)")
        db.executemany("INSERT INTO t VALUES(?, ?, ?)", [(f"u{n % 5}", f"i{n % 7}", 3) for n in range(30)])
        for text in ("SELECT noted(u), i, r FROM t", "SELECT u, i, r FROM (SELECT noted(u) AS u, i, max(r) AS r FROM t GROUP BY 1, 2)"):
            db.execute(text).fetchall()
            once = len(calls)
            train(db, text, 1, model="m")
            self.assertEqual(len(calls), 2 * once)
            calls.clear()

    def test_a_rating_that_was_not_seen(self):
        hints = self.hints([(1, u % 4, i, 2) for u in range(9) for i in range(9)], "id, user_id, item_id, quantity")
        self.assertIn('If one of "quantity" is the rating', " ".join(hints))
        self.assertEqual(self.hints([(u % 4, i, 2) for u in range(9) for i in range(9)], "user_id, item_id, ts"), [])


if __name__ == "__main__":
    unittest.main()
