"""Random WHERE, ORDER BY and LIMIT on the model tables of several families, on recommend() and on item_similar(), each beside
the same query on a copy of the rows in a plain table. Ids are integers, or users are REAL and items texts from a column that
ignores case, some of which differ in nothing else. The dice are the same each time."""
import json
import random
import unittest

from support import TestCase, add_ratings, connect, made_up_ratings

ROWS = [row for row in made_up_ratings(users=24, items=22, density=0.35)]
FAMILIES = (
    ("mf_train", 4, {}),
    ("mf_train", 4, {"algorithm": "ials"}),
    ("mf_train", 4, {"history": "timed"}),
    ("mf_train", 4, {"algorithm": "bpr", "epochs": 3}),
    ("mf_train", 4, {"algorithm": "sgd", "test": 0.2}),
    ("knn_train", 5, {}),
    ("knn_train", 5, {"by": "user", "neighbors": "raters"}),
    ("ease_train", 20, {}),
    ("baseline_train", None, {}),
    ("kmeans_train", 3, {}),
    ("tfidf_train", None, {"ratings": "ratings"}),
)
CELLS, LISTS = 130, 70  # queries of each family and kind of ids


def user_id(user):
    return user + 0.5 if user % 2 else float(user)


def item_id(item):
    return ("Film " if item % 2 else "FILM ") + chr(ord("a") + item % 11) + ("" if item % 3 else "É")


class Ids:
    def __init__(self, odd):
        self.odd = odd
        self.rows = [(user_id(u), item_id(i), r) for u, i, r in ROWS] if odd else ROWS
        self.rows = list({(u, i): (u, i, r) for u, i, r in self.rows}.values())
        self.users, self.items = (sorted({row[side] for row in self.rows}) for side in (0, 1))
        self.affinities = ("REAL", "TEXT") if odd else ("INTEGER", "INTEGER")
        self.declared = ("REAL", "TEXT COLLATE NOCASE") if odd else self.affinities

    def other_case(self, item):
        return item.swapcase() if self.odd else item


def literal(value):
    return "'" + value + "'" if isinstance(value, str) else repr(value)


class Copied:
    """A model, and copies of its cells and of the lists of everyone."""

    def __init__(self, ids, function, size, options):
        self.ids, self.db = ids, connect()
        db = self.db
        add_ratings(db, ids.rows, user=ids.declared[0], item=ids.declared[1])
        db.execute(f"CREATE TABLE films(item {ids.declared[1]}, title TEXT, kind INTEGER)")
        db.executemany("INSERT INTO films VALUES(?, ?, ?)", [(item, "the " + " ".join(["fox", "house", "blue", "garden"][n % 4:]) + f" w{n % 5}", n % 3) for n, item in enumerate(ids.items)])
        source = "SELECT item, title FROM films" if function == "tfidf_train" else "ratings"
        if options.get("history") == "timed":
            source = "SELECT *, CASE WHEN rating < 4 THEN rowid % 7 END AS timestamp FROM ratings"
        arguments = [source, size, json.dumps({"model": "m", "threads": 1, **options})]
        arguments = [argument for argument in arguments if argument is not None]
        db.execute(f"SELECT {function}({', '.join('?' * len(arguments))})", arguments).fetchone()
        db.executescript(f"""
            CREATE TEMP TABLE cells(user {ids.affinities[0]}, item {ids.affinities[1]}, score REAL, prediction REAL, rating REAL, seen INTEGER, timestamp INTEGER);
            INSERT INTO cells SELECT user, item, score, prediction, rating, seen, timestamp FROM m;
            CREATE TEMP TABLE people(id {ids.affinities[0]});
            INSERT INTO people SELECT DISTINCT user FROM ratings;
            CREATE TEMP TABLE best(user {ids.affinities[0]}, rank INTEGER, item {ids.affinities[1]}, score REAL, reason TEXT);
            INSERT INTO best SELECT p.id, r.rank, r.item, r.score, r.reason FROM people p, recommend(p.id, NULL, 'm') r;
        """)
        self.scores = sorted(row[0] for row in db.execute("SELECT score FROM cells"))
        self.predictions = sorted(row[0] for row in db.execute("SELECT prediction FROM cells WHERE prediction IS NOT NULL")) or [0]

    def some(self, dice, values, most):
        return ", ".join(literal(value) for value in dice.sample(values, dice.randint(1, most)))

    def on_item(self, dice):
        """A condition on the column item, as the model table and the lists have it."""
        ids, item = self.ids, dice.choice(self.ids.items)
        missing = "'film zzz'" if ids.odd else "1"
        return dice.choice((
            f"item = {literal(item)}", f"item = {literal(ids.other_case(item))}", f"item = {missing}", f"item IN ({self.some(dice, ids.items, 6)})", f"item IN ({self.some(dice, ids.items, 9)}, {missing})",
            f"item NOT IN ({self.some(dice, ids.items, 3)})", "item IN (SELECT item FROM films WHERE kind = 1)", f"item < {literal(item)}", f"item IS {literal(item)}",
            f"item = {literal(ids.other_case(item))} COLLATE NOCASE", f"item COLLATE NOCASE IN ({literal(ids.other_case(item))}, {literal(item)})", f"item LIKE {literal(str(item)[:6] + '%')}",
            f"item BETWEEN {literal(min(item, ids.items[5]))} AND {literal(max(item, ids.items[5]))}"))

    def condition(self, dice):
        ids, user = self.ids, dice.choice(self.ids.users)
        score, other, prediction = dice.choice(self.scores), dice.choice(self.scores), dice.choice(self.predictions)
        seen = dice.choice((0, 1, 0, 1, 0.0, 2, "'1'"))
        if dice.random() < 0.35:
            return self.on_item(dice)
        return dice.choice((
            f"user = {user!r}", f"user = {user!r}", f"user = {float(user)!r}", f"user = '{user}'", f"user IN ({self.some(dice, ids.users, 4)})", f"user > {user!r}", f"user = {user!r} + 0", "user = NULL", "user = 3.25",
            "user IN (SELECT id FROM people WHERE id > 1050)", f"seen = {seen}", f"seen = {seen}", "rating IS NULL", "rating IS NOT NULL", f"rating >= {dice.randint(1, 5)}", "NOT seen",
            f"score > {score!r}", f"score <= {score!r}", f"score BETWEEN {min(score, other)!r} AND {max(score, other)!r}", f"prediction < {prediction!r}", "prediction IS NULL",
            f"timestamp = {dice.randint(0, 6)}", f"timestamp >= '{dice.randint(0, 6)}'", "timestamp IS NULL", "timestamp IS NOT NULL", "(seen = 1 AND timestamp IS NULL)",
            f"(user = {user!r} OR {self.on_item(dice)})", f"(seen = 0 OR score > {score!r})"))


class RandomQueries(TestCase):
    def check(self, copied, ours, copy, label):
        got, expected = copied.db.execute(ours).fetchall(), copied.db.execute(copy).fetchall()
        self.assertEqual(got, expected, (label, ours))
        return len(got)

    def each(self):
        for odd in (False, True):
            ids = Ids(odd)
            for number, (function, size, options) in enumerate(FAMILIES):
                yield Copied(ids, function, size, options), random.Random(100 * odd + number), (function, options, odd)

    def test_all(self):
        rows = 0
        for copied, dice, label in self.each():
            for _ in range(CELLS):
                rows += self.cells(copied, dice, label)
            for _ in range(LISTS):
                rows += self.lists(copied, dice, label)
            if label[0] not in ("kmeans_train", "baseline_train") and label[1].get("by") != "user":
                self.similar(copied, dice, label)
            copied.db.close()
        self.assertGreater(rows, 20000)  # not all of them empty

    def cells(self, copied, dice, label):
        conditions = [copied.condition(dice) for _ in range(dice.randint(1, 4))]
        where = " AND ".join(conditions)
        order = dice.choice(("score DESC, user, item", "item, user", "user, score DESC, item", "prediction, user, item", "user DESC, item DESC", "score, item, user", "rowid", "item COLLATE NOCASE, item, user", "timestamp, user, item"))
        copy_order = "user, item" if order == "rowid" else order
        if any(condition.startswith("user = ") for condition in conditions) and dice.random() < 0.7:
            order, copy_order = dice.choice((("score DESC", "score DESC, item"), ("score DESC, item", "score DESC, item"), ("score DESC, item DESC",) * 2))
        limit = dice.choice(("", "", "LIMIT 1", "LIMIT 7", "LIMIT 7 OFFSET 2", "LIMIT 3.0", "LIMIT -1 OFFSET 3", "LIMIT 2 OFFSET 0", "LIMIT 0"))
        columns = dice.choice(("user, item, score, prediction, rating, seen", "item", "user, item", "count(*) OVER (), user, item", "user / 2.0, item || '', seen", "user, item, timestamp"))
        return self.check(copied, f"SELECT {columns} FROM m WHERE {where} ORDER BY {order} {limit}", f"SELECT {columns} FROM cells WHERE {where} ORDER BY {copy_order} {limit}", label)

    def lists(self, copied, dice, label):
        user, k = dice.choice(copied.ids.users), dice.choice((1, 3, 8, 50, 2.0, None))
        score = dice.choice(copied.scores)
        conditions = [dice.choice((copied.on_item(dice), copied.on_item(dice), f"score > {score!r}", f"rank < {dice.randint(1, 20)}", "reason = 'model'")) for _ in range(dice.randint(0, 3))]
        where = " AND ".join(["1"] + conditions)
        columns, order = dice.choice((("item, score", "score DESC, item"), ("item", "item"), ("rank, item", "rank"), ("item", "rank"), ("item, score", "score, item"), ("item, reason", "item DESC")))
        limit = dice.choice(("", "LIMIT 1", "LIMIT 4", "LIMIT 4 OFFSET 1", "LIMIT 2.0"))
        # Without k, or with NULL, all of them; the model is the only one.
        call = f"recommend({user!r})" if k is None and dice.random() < 0.5 else f"recommend({user!r}, {'NULL' if k is None else k}, 'm')"
        return self.check(copied, f"SELECT {columns} FROM {call} WHERE {where} ORDER BY {order} {limit}",
                          f"SELECT {columns} FROM best WHERE user = {user!r} AND rank <= {k or 1000} AND {where} ORDER BY {order} {limit}", label)

    def similar(self, copied, dice, label):
        db = copied.db
        db.execute(f"CREATE TEMP TABLE alike(of {copied.ids.affinities[1]}, rank INTEGER, item {copied.ids.affinities[1]}, similarity REAL)")
        db.execute("INSERT INTO alike SELECT f.item, s.rank, s.item, s.similarity FROM films f, item_similar(f.item, NULL, 'm') s")
        for _ in range(20):
            of, k, where = dice.choice(copied.ids.items), dice.choice((1, 4, 100)), dice.choice(("1", copied.on_item(dice), copied.on_item(dice)))
            order = dice.choice(("rank", "item", "similarity DESC, item DESC"))
            self.check(copied, f"SELECT rank, item, similarity FROM item_similar({literal(of)}, {k}, 'm') WHERE {where} ORDER BY {order}",
                       f"SELECT rank, item, similarity FROM alike WHERE of = {literal(of)} AND rank <= {k} AND {where} ORDER BY {order}", label)
            self.check(copied, f"SELECT item, similarity FROM item_similar({literal(of)}, NULL, 'm') WHERE {where} ORDER BY {order} LIMIT 3",
                       f"SELECT item, similarity FROM alike WHERE of = {literal(of)} AND {where} ORDER BY {order} LIMIT 3", label)


if __name__ == "__main__":
    unittest.main()
