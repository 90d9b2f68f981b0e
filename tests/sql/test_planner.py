"""The contract with SQLite's query planner: whatever the query, its rows are those of the same query on a copy of the
rows in a plain table; and where an index of ours gives the order, nothing is sorted again."""
import random
import sqlite3
import unittest

from support import TestCase, add_ratings, connect, made_up_ratings, train, trained

ROWS = made_up_ratings()
USERS = sorted({row[0] for row in ROWS})
ITEMS = sorted({row[1] for row in ROWS})


class Planned(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = trained(rank=4)
        cls.db.executescript("""
            CREATE TABLE users(id INTEGER PRIMARY KEY, name);
            INSERT INTO users SELECT DISTINCT user, 'u' || user FROM ratings;
            CREATE TABLE movies(id INTEGER PRIMARY KEY, title, genre);
            INSERT INTO movies SELECT DISTINCT item, 'm' || item, CASE item % 3 WHEN 0 THEN 'Comedy' WHEN 1 THEN 'Drama' ELSE 'War' END FROM ratings;
            CREATE TEMP TABLE cells AS SELECT user, item, score, prediction, rating, seen FROM ratings_mf;
            CREATE TEMP TABLE best AS SELECT u.id AS user, u.id AS _user, r.rank, r.item, r.score, r.reason FROM users u, recommend(u.id) r;
            CREATE TEMP TABLE alike AS SELECT m.id AS of, s.rank, s.item, s.similarity FROM movies m, item_similar(m.id) s;
        """)

    def rows(self, sql, *parameters):
        return self.db.execute(sql, parameters).fetchall()

    def plan(self, sql):
        return "\n".join(row[3] for row in self.rows("EXPLAIN QUERY PLAN " + sql))

    def same(self, sql, copy, ordered=True):
        """Both queries give the same rows, in the same order where they have one."""
        got, expected = self.rows(sql), self.rows(copy)
        if not ordered:
            got, expected = sorted(got, key=repr), sorted(expected, key=repr)
        self.assertEqual(got, expected, sql)
        return got


class Order(Planned):
    def consumed(self, sql, is_consumed=True):
        self.assertEqual("TEMP B-TREE FOR ORDER BY" not in self.plan(sql), is_consumed, sql + "\n" + self.plan(sql))

    def test_rank_is_consumed(self):
        for call in ("recommend(1007, 10)", "recommend(1007)", "item_similar(50, 10)", "user_similar(1007, 10)", "recommend_users(50, 10)"):
            self.consumed(f"SELECT * FROM {call} ORDER BY rank")
            self.consumed(f"SELECT * FROM {call} ORDER BY rank LIMIT 3 OFFSET 2")
            self.consumed(f"SELECT * FROM {call} ORDER BY rank DESC", False)
            got = self.rows(f"SELECT rank FROM {call} ORDER BY rank DESC")
            self.assertEqual(got, sorted(got, reverse=True))
        self.consumed("SELECT m.title FROM recommend(1007, 10) r JOIN movies m ON m.id = r.item ORDER BY r.rank")
        self.consumed("SELECT m.title FROM movies m JOIN recommend(1007, 10) r ON m.id = r.item ORDER BY r.rank")

    def test_score_of_a_user_is_consumed(self):
        for where in ("user = 1007", "user = 1007 AND seen = 0", "user = 1007 AND rating IS NULL", "user = 1007 AND item IN (50, 53, 56)",
                      "user = 1007 AND seen = 0 AND prediction > 3"):
            for order in ("score DESC", "score DESC, item", "score DESC, item ASC"):
                self.consumed(f"SELECT item FROM ratings_mf WHERE {where} ORDER BY {order} LIMIT 5")
            for order in ("score", "score DESC, item DESC", "prediction DESC", "item DESC", "score DESC, rating"):
                self.consumed(f"SELECT item, score FROM ratings_mf WHERE {where} ORDER BY {order}", False)
        self.consumed("SELECT item FROM ratings_mf ORDER BY score DESC LIMIT 5", False)
        self.consumed("SELECT item FROM ratings_mf WHERE user IN (1007, 1014) ORDER BY score DESC LIMIT 5", False)

    def test_users_in_a_list_are_sorted_together(self):
        self.same("SELECT user, item, score FROM ratings_mf WHERE user IN (1007, 1014, 1021) AND seen = 0 ORDER BY score DESC LIMIT 9",
                  "SELECT user, item, score FROM cells WHERE user IN (1007, 1014, 1021) AND seen = 0 ORDER BY score DESC LIMIT 9")
        self.same("SELECT user, item, score FROM ratings_mf WHERE user = 1007 OR user = 1014 ORDER BY score DESC LIMIT 9",
                  "SELECT user, item, score FROM cells WHERE user = 1007 OR user = 1014 ORDER BY score DESC LIMIT 9")

    def test_order_of_several_users_ranks(self):
        self.same("SELECT r.rank, u.id, r.item FROM users u, recommend(u.id, 4) r ORDER BY r.rank, u.id",
                  "SELECT rank, user, item FROM best WHERE rank <= 4 ORDER BY rank, user")
        self.same("SELECT r.rank, r.item FROM users u, recommend(u.id, 4) r ORDER BY r.rank, r.item",
                  "SELECT rank, item FROM best WHERE rank <= 4 ORDER BY rank, item")
        self.same("SELECT r.rank FROM users u, recommend(u.id, 4) r ORDER BY r.rank", "SELECT rank FROM best WHERE rank <= 4 ORDER BY rank")

    def test_distinct_and_group(self):
        self.same("SELECT DISTINCT item FROM recommend_all(5) ORDER BY item", "SELECT DISTINCT item FROM best WHERE rank <= 5 ORDER BY item")
        self.same("SELECT genre, count(*), max(score) FROM recommend(1007, 10) r JOIN movies m ON m.id = r.item GROUP BY genre ORDER BY genre",
                  "SELECT genre, count(*), max(score) FROM best r JOIN movies m ON m.id = r.item WHERE user = 1007 AND rank <= 10 GROUP BY genre ORDER BY genre")
        self.same("SELECT DISTINCT score > 2 FROM recommend(1007) ORDER BY 1 LIMIT 2", "SELECT DISTINCT score > 2 FROM best WHERE user = 1007 ORDER BY 1 LIMIT 2")
        self.same("SELECT count(*) FROM recommend(1007) LIMIT 1", "SELECT count(*) FROM best WHERE user = 1007 LIMIT 1")
        self.same("SELECT reason, count(*) FROM recommend(1007) GROUP BY reason LIMIT 1", "SELECT reason, count(*) FROM best WHERE user = 1007 GROUP BY reason")
        self.same("SELECT rank, row_number() OVER (ORDER BY rank) FROM recommend(1007) LIMIT 3", "SELECT rank, rank FROM best WHERE user = 1007 LIMIT 3")
        self.same("SELECT sum(score) OVER () FROM recommend(1007) LIMIT 1", "SELECT sum(score) OVER () FROM best WHERE user = 1007 LIMIT 1")
        self.same("SELECT sum(score) OVER () FROM ratings_mf WHERE user = 1007 ORDER BY score DESC LIMIT 1", "SELECT sum(score) OVER (ORDER BY score DESC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM cells WHERE user = 1007 LIMIT 1")


class Joins(Planned):
    def test_any_order(self):
        tables = ["users u", "recommend(u.id, 3) r", "movies m"]
        for order in ((0, 1, 2), (0, 2, 1), (2, 0, 1), (1, 0, 2), (1, 2, 0), (2, 1, 0)):
            self.same(f"SELECT u.name, r.rank, m.title FROM {', '.join(tables[i] for i in order)} WHERE m.id = r.item ORDER BY u.id, r.rank",
                      "SELECT u.name, r.rank, m.title FROM best r JOIN users u ON u.id = r.user JOIN movies m ON m.id = r.item "
                      "WHERE r.rank <= 3 ORDER BY u.id, r.rank")

    def test_cross_join_both_ways(self):
        for join in ("recommend(1007, 10) r CROSS JOIN movies m", "movies m CROSS JOIN recommend(1007, 10) r"):
            self.same(f"SELECT r.rank, m.title FROM {join} WHERE m.id = r.item AND m.genre = 'Comedy' ORDER BY r.rank",
                      "SELECT r.rank, m.title FROM best r, movies m WHERE r.user = 1007 AND r.rank <= 10 AND m.id = r.item AND m.genre = 'Comedy' ORDER BY r.rank")
        self.same("SELECT m.title, r.score FROM movies m CROSS JOIN recommend(1007) r WHERE m.id = r.item ORDER BY m.id",
                  "SELECT m.title, r.score FROM movies m, best r WHERE r.user = 1007 AND m.id = r.item ORDER BY m.id")

    def test_user_as_a_join_column(self):
        for sql in ("SELECT u.id, r.item FROM users u, recommend(u.id, 3) r ORDER BY u.id, r.rank",
                    "SELECT u.id, r.item FROM users u JOIN recommend r ON r._user = u.id AND r._k = 3 ORDER BY u.id, r.rank",
                    "SELECT u.id, r.item FROM recommend r JOIN users u ON r._user = u.id WHERE r._k = 3 ORDER BY u.id, r.rank",
                    "SELECT r._user, r.item FROM recommend r WHERE r._user IN (SELECT id FROM users) AND r._k = 3 ORDER BY r._user, r.rank"):
            self.same(sql, "SELECT user, item FROM best WHERE rank <= 3 ORDER BY user, rank")
        self.same("SELECT _user, item FROM recommend WHERE _user IN (1007, 1014, 1) AND _k = 2 AND reason = 'model' ORDER BY _user, rank",
                  "SELECT user, item FROM best WHERE user IN (1007, 1014) AND rank <= 2 ORDER BY user, rank")

    def test_left_join(self):
        self.same("SELECT u.id, r.item FROM users u LEFT JOIN recommend(u.id, 2) r ON r.item % 2 = 0 ORDER BY u.id, r.rank",
                  "SELECT u.id, r.item FROM users u LEFT JOIN best r ON r.user = u.id AND r.rank <= 2 AND r.item % 2 = 0 ORDER BY u.id, r.rank")
        self.same("SELECT m.id, r.rank FROM movies m LEFT JOIN recommend(1007, 5) r ON r.item = m.id ORDER BY m.id",
                  "SELECT m.id, r.rank FROM movies m LEFT JOIN best r ON r.user = 1007 AND r.rank <= 5 AND r.item = m.id ORDER BY m.id")
        self.same("SELECT m.id, r.score FROM movies m LEFT JOIN recommend(1007) r ON r.item = m.id ORDER BY m.id",
                  "SELECT m.id, r.score FROM movies m LEFT JOIN best r ON r.user = 1007 AND r.item = m.id ORDER BY m.id")
        self.same("SELECT m.id, c.score FROM movies m LEFT JOIN ratings_mf c ON c.item = m.id AND c.user = 1007 AND c.seen = 0 ORDER BY m.id",
                  "SELECT m.id, c.score FROM movies m LEFT JOIN cells c ON c.item = m.id AND c.user = 1007 AND c.seen = 0 ORDER BY m.id")
        self.same("SELECT u.value, r.item FROM json_each('[1007, null, 1014]') u LEFT JOIN recommend(u.value, 1) r ORDER BY u.key",
                  "SELECT u.value, r.item FROM json_each('[1007, null, 1014]') u LEFT JOIN best r ON r.user = u.value AND r.rank = 1 ORDER BY u.key")

    def test_correlated(self):
        self.same("SELECT id, (SELECT item FROM recommend(users.id, 1)) FROM users ORDER BY id", "SELECT user, item FROM best WHERE rank = 1 ORDER BY user")
        self.same("SELECT id, (SELECT max(score) FROM ratings_mf WHERE user = users.id AND seen = 0) FROM users ORDER BY id",
                  "SELECT id, (SELECT max(score) FROM cells WHERE user = users.id AND seen = 0) FROM users ORDER BY id")
        self.same("SELECT id FROM users WHERE EXISTS (SELECT 1 FROM recommend(users.id, 3) WHERE item = 65) ORDER BY id",
                  "SELECT user FROM best WHERE rank <= 3 AND item = 65 ORDER BY user")
        self.same("SELECT id FROM movies WHERE id IN (SELECT item FROM recommend(1007, 5)) ORDER BY id",
                  "SELECT item FROM best WHERE user = 1007 AND rank <= 5 ORDER BY item")
        self.same("SELECT id FROM movies WHERE id NOT IN (SELECT item FROM recommend(1007)) ORDER BY id",
                  "SELECT item FROM cells WHERE user = 1007 AND seen = 1 ORDER BY item")
        self.same("SELECT u.id, (SELECT group_concat(item) FROM (SELECT item FROM ratings_mf WHERE user = u.id AND seen = 0 ORDER BY score DESC LIMIT 3)) FROM users u ORDER BY 1",
                  "SELECT u.id, (SELECT group_concat(item) FROM (SELECT item FROM cells WHERE user = u.id AND seen = 0 ORDER BY score DESC, item LIMIT 3)) FROM users u ORDER BY 1")

    def test_the_same_function_twice(self):
        self.same("SELECT a.item, b.rank FROM recommend(1007, 10) a JOIN recommend(1014, 10) b ON a.item = b.item ORDER BY a.rank",
                  "SELECT a.item, b.rank FROM best a JOIN best b ON a.item = b.item WHERE a.user = 1007 AND a.rank <= 10 AND b.user = 1014 AND b.rank <= 10 ORDER BY a.rank")
        self.same("SELECT r.rank, s.rank, s.item FROM recommend(1007, 3) r, item_similar(r.item, 2) s ORDER BY r.rank, s.rank",
                  "SELECT r.rank, s.rank, s.item FROM best r JOIN alike s ON s.of = r.item WHERE r.user = 1007 AND r.rank <= 3 AND s.rank <= 2 ORDER BY r.rank, s.rank")
        self.same("SELECT r.item, s.item, t.item FROM recommend(1007, 2) r, item_similar(r.item, 2) s, item_similar(s.item, 1) t ORDER BY r.rank, s.rank",
                  "SELECT r.item, s.item, t.item FROM best r JOIN alike s ON s.of = r.item JOIN alike t ON t.of = s.item WHERE r.user = 1007 AND r.rank <= 2 AND s.rank <= 2 AND t.rank = 1 ORDER BY r.rank, s.rank")
        self.same("SELECT item FROM recommend(1007, 3) UNION SELECT item FROM recommend(1014, 3) ORDER BY item",
                  "SELECT item FROM best WHERE user IN (1007, 1014) AND rank <= 3 GROUP BY item ORDER BY item")
        self.same("SELECT a.item, count(*) FROM ratings_mf a JOIN ratings_mf b ON a.item = b.item WHERE a.user = 1007 AND b.user = 1014 AND b.score > a.score GROUP BY 1",
                  "SELECT a.item, count(*) FROM cells a JOIN cells b ON a.item = b.item WHERE a.user = 1007 AND b.user = 1014 AND b.score > a.score GROUP BY 1")

    def test_model_table_in_joins(self):
        for tables in ("ratings_mf c JOIN movies m ON m.id = c.item JOIN users u ON u.id = c.user",
                       "users u JOIN movies m JOIN ratings_mf c ON m.id = c.item AND u.id = c.user",
                       "movies m CROSS JOIN users u CROSS JOIN ratings_mf c ON m.id = c.item AND u.id = c.user"):
            self.same(f"SELECT u.name, m.title, c.score FROM {tables} WHERE m.genre = 'War' AND u.id < 1100 ORDER BY u.id, m.id",
                      "SELECT u.name, m.title, c.score FROM cells c JOIN movies m ON m.id = c.item JOIN users u ON u.id = c.user "
                      "WHERE m.genre = 'War' AND u.id < 1100 ORDER BY u.id, m.id")
        self.same("SELECT r.user, r.item, r.rating, c.prediction FROM ratings r JOIN ratings_mf c USING (user, item) ORDER BY 1, 2",
                  "SELECT user, item, rating, prediction FROM cells WHERE seen ORDER BY 1, 2")
        self.same("SELECT r.user, r.item, c.rating FROM ratings r JOIN ratings_mf c USING (user, item, rating) ORDER BY 1, 2",
                  "SELECT user, item, rating FROM cells WHERE seen ORDER BY 1, 2")

    def test_views_ctes_and_triggers(self):
        self.db.executescript("""
            CREATE TEMP VIEW for_her AS SELECT m.title, r.rank FROM main.movies m JOIN recommend(1007, 5) r ON r.item = m.id;
            CREATE TEMP VIEW unseen AS SELECT user, item, score FROM main.ratings_mf WHERE seen = 0;
            CREATE TEMP TABLE asked(user, first);
            CREATE TEMP TRIGGER ask AFTER INSERT ON asked BEGIN
              UPDATE asked SET first = (SELECT item FROM recommend(NEW.user, 1)) WHERE rowid = NEW.rowid; END;""")
        self.same("SELECT * FROM for_her ORDER BY rank", "SELECT m.title, b.rank FROM best b JOIN movies m ON m.id = b.item WHERE user = 1007 AND rank <= 5 ORDER BY rank")
        self.same("SELECT item FROM unseen WHERE user = 1014 ORDER BY score DESC, item LIMIT 4", "SELECT item FROM best WHERE user = 1014 AND rank <= 4 ORDER BY rank")
        self.db.execute("INSERT INTO asked SELECT id, NULL FROM users")
        self.same("SELECT user, first FROM asked ORDER BY user", "SELECT user, item FROM best WHERE rank = 1 ORDER BY user")
        self.same("WITH r AS (SELECT * FROM recommend(1007, 6)) SELECT a.item FROM r a JOIN r b ON b.rank = a.rank + 1 ORDER BY a.rank",
                  "SELECT item FROM best WHERE user = 1007 AND rank <= 5 ORDER BY rank")
        self.same("WITH RECURSIVE walk(n, item) AS (SELECT 0, 50 UNION ALL SELECT n + 1, (SELECT item FROM item_similar(walk.item, 1)) FROM walk WHERE n < 4) SELECT * FROM walk",
                  "WITH RECURSIVE walk(n, item) AS (SELECT 0, 50 UNION ALL SELECT n + 1, (SELECT item FROM alike WHERE of = walk.item AND rank = 1) FROM walk WHERE n < 4) SELECT * FROM walk")

    def test_in_a_main_view_with_untrusted_schema(self):
        db = trained(rank=2)
        db.execute("CREATE VIEW mine AS SELECT item, score FROM ratings_mf WHERE user = 1007 AND seen = 0")
        db.execute("PRAGMA trusted_schema = OFF")
        self.assertEqual(db.execute("SELECT count(*) FROM mine").fetchone(), (40 - sum(row[0] == 1007 for row in ROWS),))


    def test_in_writing_statements(self):
        self.db.executescript("""
            CREATE TEMP TABLE kept(user, rank, item);
            INSERT INTO kept SELECT user, rank, item FROM recommend_all(3);
            CREATE TEMP TABLE first(user PRIMARY KEY, item);
            INSERT INTO first SELECT id, NULL FROM users;
            UPDATE first SET item = r.item FROM (SELECT u.id AS user, r.item FROM main.users u, recommend(u.id, 1) r) r WHERE r.user = first.user;
            DELETE FROM kept WHERE user = 1014 AND item IN (SELECT item FROM recommend(1014, 2));""")
        self.same("SELECT user, item FROM first ORDER BY user", "SELECT user, item FROM best WHERE rank = 1 ORDER BY user")
        self.same("SELECT * FROM kept ORDER BY user, rank", "SELECT user, rank, item FROM best WHERE rank <= 3 AND NOT (user = 1014 AND rank <= 2) ORDER BY user, rank")

    @unittest.skipIf(sqlite3.sqlite_version_info < (3, 39), "RIGHT and FULL JOIN came with SQLite 3.39")
    def test_right_and_full_join(self):
        for join in ("RIGHT", "FULL"):
            self.same(f"SELECT r.rank, m.id FROM recommend(1007, 5) r {join} JOIN movies m ON m.id = r.item ORDER BY m.id",
                      f"SELECT r.rank, m.id FROM (SELECT * FROM best WHERE user = 1007 AND rank <= 5) r {join} JOIN movies m ON m.id = r.item ORDER BY m.id")
            self.same(f"SELECT m.id, r.score FROM movies m {join} JOIN (SELECT * FROM ratings_mf WHERE user = 1007 AND seen = 0) r ON m.id = r.item AND m.genre = 'War' ORDER BY r.item, m.id",
                      f"SELECT m.id, r.score FROM movies m {join} JOIN (SELECT * FROM cells WHERE user = 1007 AND seen = 0) r ON m.id = r.item AND m.genre = 'War' ORDER BY r.item, m.id")


class Conditions(Planned):
    def test_or(self):
        for where in ("item = 50 OR item = 53", "score > 3 OR item < 60", "rank = 1 OR rank = 3", "item = 50 OR score > 2.5"):
            for call, copy in (("recommend(1007, 10)", "best WHERE user = 1007 AND rank <= 10"), ("recommend(1007)", "best WHERE user = 1007")):
                self.same(f"SELECT rank, item FROM {call} WHERE {where} ORDER BY rank", f"SELECT rank, item FROM {copy} AND ({where}) ORDER BY rank")
                self.same(f"SELECT item FROM {call} WHERE {where} ORDER BY item", f"SELECT item FROM {copy} AND ({where}) ORDER BY item")
        for where in ("user = 1007 OR item = 50", "(user = 1007 AND item = 50) OR (user = 1014 AND item = 53)", "user = 1007 AND (seen = 0 OR score > 3)",
                      "rowid = 5 OR user = 1014", "(user = 1007 OR user = 1014) AND (item = 50 OR item = 56)"):
            self.same(f"SELECT user, item, seen FROM ratings_mf WHERE {where}", f"SELECT user, item, seen FROM cells WHERE {where.replace('rowid = 5', 'user = 1000 AND item = 65')}", False)
        self.same("SELECT _user, rank FROM recommend WHERE _k = 2 AND (_user = 1007 OR _user = 1014) ORDER BY _user, rank",
                  "SELECT user, rank FROM best WHERE rank <= 2 AND user IN (1007, 1014) ORDER BY user, rank")
        # The arguments of a function can't differ from arm to arm.
        self.assert_error(self.db, "SELECT item FROM recommend WHERE (_user = 1007 AND _k = 2) OR (_user = 1014 AND _k = 1)", "missing")

    def test_outputs_with_and_without_k(self):
        for where in ("score < 2.5", "rank > 3", "item > 80", "reason = 'model'", "reason = 'popular'", "rank BETWEEN 2 AND 4", "item IN (50, 65, 110)",
                      "item = 65", "item <> 65", "item IS 65", "item LIKE '1%'", "score > 2 AND item IN (50, 65, 80, 95, 110)", "item IN (50, 65) AND rank < 30"):
            for k in (4, 12, None):
                call, copy = ("recommend(1007)", "best WHERE user = 1007") if k is None else (f"recommend(1007, {k})", f"best WHERE user = 1007 AND rank <= {k}")
                self.same(f"SELECT item, rank, score FROM {call} WHERE {where} ORDER BY rank", f"SELECT item, rank, score FROM {copy} AND {where} ORDER BY rank")
                self.same(f"SELECT item, score FROM {call} WHERE {where}", f"SELECT item, score FROM {copy} AND {where}", False)
                for limit in ("LIMIT 2", "LIMIT 2 OFFSET 1", "LIMIT 0", "LIMIT -1", "LIMIT -1 OFFSET 3", "LIMIT 3 OFFSET 100"):
                    self.same(f"SELECT item, score FROM {call} WHERE {where} {limit}", f"SELECT item, score FROM {copy} AND {where} ORDER BY rank {limit}")
                    self.same(f"SELECT rank, item, score FROM {call} WHERE {where} ORDER BY score, item {limit}", f"SELECT rank, item, score FROM {copy} AND {where} ORDER BY score, item {limit}")

    def test_aggregates(self):
        for what in ("count(*)", "sum(rank)", "avg(score)", "max(score), item", "min(item)", "group_concat(item)", "total(score)"):
            self.same(f"SELECT {what} FROM recommend(1007, 10)", f"SELECT {what} FROM (SELECT * FROM best WHERE user = 1007 AND rank <= 10 ORDER BY rank)")
        self.same("SELECT user, count(*), sum(seen), max(score) FROM ratings_mf GROUP BY user ORDER BY user",
                  "SELECT user, count(*), sum(seen), max(score) FROM cells GROUP BY user ORDER BY user")
        self.same("SELECT item, avg(prediction) FROM ratings_mf WHERE seen = 0 GROUP BY item HAVING avg(prediction) > 3 ORDER BY item",
                  "SELECT item, avg(prediction) FROM cells WHERE seen = 0 GROUP BY item HAVING avg(prediction) > 3 ORDER BY item")

    def test_hidden_columns_are_readable(self):
        self.assertEqual(self.rows("SELECT _user, _k, _model, rank FROM recommend(1007, 2)"), [(1007, 2, None, 1), (1007, 2, None, 2)])
        self.assertEqual(self.rows("SELECT CAST(_user AS TEXT), _k, _model FROM recommend('1007', 1, 'ratings_mf')"), [("1007", 1, "ratings_mf")])
        self.assertEqual(self.rows("SELECT _item, _k FROM item_similar(50, 1)"), [(50, 1)])
        self.assertEqual(self.rows("SELECT DISTINCT _model, _side, _head FROM recommend_factors('ratings_mf', 'item')"), [("ratings_mf", "item", None)])
        self.assertEqual(self.rows("SELECT _user, _k FROM recommend WHERE _user = 1007 AND _k = 1"), [(1007, 1)])
        self.assertEqual(self.rows("SELECT count(*) FROM recommend(1007, 2) WHERE _user = 1007"), [(2,)])
        self.assertEqual(self.rows("SELECT count(*) FROM recommend(1007, 2) WHERE _user = 1014"), [(0,)])
        self.assertEqual(self.rows("SELECT count(*) FROM recommend(1007, 2) WHERE _k > 2"), [(0,)])
        self.assertEqual([row[1] for row in self.rows("PRAGMA table_xinfo(recommend)")], ["rank", "item", "score", "reason", "_user", "_k", "_model"])

    def test_arguments_do_not_clash_with_the_users_own_columns(self):
        """Hidden columns are found by their names too: those of the arguments must leave a user's alone."""
        db = connect()
        add_ratings(db, ROWS)
        train(db)
        db.executescript("""
            CREATE TABLE visitors AS SELECT 1007 AS user, 2 AS k, 'ratings_mf' AS model, 'page' AS payload;
            CREATE TABLE trials AS SELECT 'baseline_train' AS trainer, 'ratings' AS source, 2 AS folds, '{}' AS options, '{"method": ["user", "item"]}' AS grid, 'item' AS side,
                                          NULL AS head, 50 AS "of", '[50]' AS profile;
        """)
        for sql, rows in (("SELECT user, k, model, item FROM visitors JOIN recommend(user, k, model)", 2),
                          ("SELECT user, k, model, payload FROM visitors JOIN recommend_all(k, model) USING(user)", 2),
                          ("SELECT payload FROM visitors v JOIN ratings_mf m ON m.user = v.user AND m.item = 50", 1),
                          ("SELECT trainer, source, folds, options FROM trials JOIN recommend_cross_validate(trainer, source, folds, options)", 2),
                          ("SELECT trainer, source, grid, options FROM trials JOIN recommend_grid_search(trainer, source, grid, options)", 2),
                          ("SELECT source FROM trials JOIN recommend_describe(source)", 3),
                          ("SELECT model, side, head FROM visitors, trials JOIN recommend_factors(model, side, head)", len(ITEMS)),
                          ("SELECT \"of\", k FROM visitors, trials JOIN item_similar(\"of\", k, model)", 2),
                          ("SELECT profile, k FROM visitors, trials JOIN recommend_for(profile, k, model)", 2),
                          ("SELECT user, \"of\", k FROM visitors, trials JOIN recommend_explain(user, \"of\", k, model)", 3)):
            self.assertEqual(len(db.execute(sql).fetchall()), rows, sql)
        hidden = [row for row in db.execute("SELECT m.name, x.name FROM pragma_module_list m, pragma_table_xinfo(m.name) x WHERE x.hidden = 1 "
                                            "AND (m.name LIKE 'recommend%' OR m.name LIKE '%_similar%' OR m.name LIKE '%_train' OR m.name = 'tfidf_search') AND x.name NOT LIKE '\\_%' ESCAPE '\\'")]
        self.assertEqual(hidden, [])

    def test_text_that_looks_like_a_number_stays_text(self):
        db = connect()
        add_ratings(db, [(f"00{u}", f"0{i}", r) for u, i, r in ROWS], user="TEXT", item="TEXT")
        train(db)
        expected = db.execute("SELECT item FROM ratings_mf WHERE user = '001007' AND seen = 0 ORDER BY score DESC LIMIT 2").fetchall()
        for sql in ("SELECT item FROM recommend('001007', 2)", "SELECT item FROM recommend WHERE _user IN ('001007', '00') AND _k = 2 AND reason = 'model'",
                    "SELECT r.item FROM json_each('[\"001007\"]') j, recommend(j.value, 2) r WHERE r._user = j.value",
                    "SELECT item FROM recommend('001007') WHERE item IN (SELECT item FROM ratings) LIMIT 2"):
            self.assertEqual(db.execute(sql).fetchall(), expected, sql)
        self.assertEqual(db.execute("SELECT item FROM item_similar WHERE _item IN ('050', '0') AND _k = 2").fetchall(),
                         db.execute("SELECT item FROM item_similar('050', 2)").fetchall())

    def test_missing_arguments(self):
        for call, usage in (("recommend", "recommend(user, k"), ("recommend()", "recommend(user, k"), ("recommend_all", "recommend_all(k"), ("item_similar", "item_similar("),
                            ("recommend_users()", "recommend_users("), ("user_similar", "user_similar("), ("recommend_factors", "recommend_factors(model, side")):
            self.assert_error(self.db, f"SELECT * FROM {call}", "missing", usage)
            self.assert_error(self.db, f"SELECT * FROM users, {call}", "missing", usage)
        self.assert_error(self.db, "SELECT * FROM recommend(1, 2, 3, 4)", "too many arguments")
        with self.assertRaises(sqlite3.Error):
            self.rows("SELECT * FROM recommend WHERE _k = 3")
        with self.assertRaises(sqlite3.Error):
            self.rows("SELECT * FROM recommend WHERE item = 50")

    def test_called_as_scalars(self):
        """What everybody types first says what to write, whatever the arguments; and rows come as ever."""
        names = [row[0] for row in self.rows("SELECT name FROM pragma_module_list WHERE name LIKE 'recommend%' OR name LIKE '%\\_similar%' ESCAPE '\\' OR name LIKE '%\\_train' ESCAPE '\\' OR name = 'tfidf_search'")]
        names = [name for name in names if name not in ("recommender", "recommend_connection")]
        self.assertGreaterEqual(len(names), 23)
        for name in names:
            for arguments in ("", "1", "1, 5", "1, 5, 'm'", "1, 2, 3, 4", "1, 2, 3, 4, 5, 6, 7, 8"):
                if not name.endswith("_train"):
                    self.assert_error(self.db, f"SELECT {name}({arguments})", name + ": ", "write SELECT * FROM " + name)
                elif arguments.count(",") != 0 or not arguments:
                    self.assert_error(self.db, f"SELECT {name}({arguments})", name)
        self.assert_error(self.db, "SELECT recommend(1007, 5)", "write SELECT * FROM recommend(user, k [, model])")
        self.assert_error(self.db, "SELECT id FROM users WHERE recommend(id, 5)", "write SELECT * FROM recommend(user, k [, model])")
        self.assertEqual(len(self.rows("SELECT u.id, r.item FROM users u, recommend(u.id, 2) r WHERE u.id < 1020")), 6)

    def test_recomputed_only_for_other_arguments(self):
        got = self.rows("SELECT n.value, r.rank FROM json_each('[1, 2, 3]') n CROSS JOIN recommend(1007, 3) r ORDER BY n.value, r.rank")
        self.assertEqual(got, [(n, rank) for n in (1, 2, 3) for rank in (1, 2, 3)])
        self.same("SELECT n.value, r.rank, r.item FROM json_each('[1007, 1007, 1014, 1007]') n CROSS JOIN recommend(n.value, 3) r ORDER BY n.key, r.rank",
                  "SELECT n.value, r.rank, r.item FROM json_each('[1007, 1007, 1014, 1007]') n JOIN best r ON r.user = n.value AND r.rank <= 3 ORDER BY n.key, r.rank")
        self.same("SELECT n.key, r.item FROM json_each('[3, 1, 2]') n CROSS JOIN recommend(1007) r LIMIT 200",
                  "SELECT n.key, r.item FROM json_each('[3, 1, 2]') n CROSS JOIN best r WHERE r.user = 1007 ORDER BY n.key, r.rank LIMIT 200")

    def test_a_sensible_plan_for_the_usual_join(self):
        for sql in ("SELECT m.title FROM recommend(1007, 10) r JOIN movies m ON m.id = r.item ORDER BY r.rank",
                    "SELECT m.title FROM movies m JOIN recommend(1007, 10) r ON m.id = r.item",
                    "SELECT m.title FROM movies m JOIN recommend(1007) r ON m.id = r.item ORDER BY r.rank LIMIT 10"):
            lines = self.plan(sql).split("\n")
            self.assertIn("VIRTUAL TABLE", lines[0], sql)
            self.assertIn("INTEGER PRIMARY KEY", lines[1], sql)


class Fuzz(Planned):
    """Random queries on the model table and on recommend(), each beside the same on the copy."""

    def condition(self, dice):
        user, item, seen = dice.choice(USERS + [1]), dice.choice(ITEMS + [1]), dice.choice((0, 1, 0, 1, 2))
        users, items = (", ".join(map(str, dice.sample(ids, dice.randint(1, 4)))) for ids in (USERS, ITEMS))
        return dice.choice((
            f"user = {user}", f"user = {user}", f"user = {user}", f"user = '{user}'", f"user IN ({users})", f"user > {user}", f"user BETWEEN {user} AND {user} + 40",
            f"item = {item}", f"item IN ({items})", "item IN (SELECT id FROM movies WHERE genre = 'Drama')", f"item < {item}", f"item IS {item}", f"item NOT IN ({items})",
            f"seen = {seen}", f"seen = {seen}", "rating IS NULL", "rating IS NOT NULL", f"rating >= {dice.randint(1, 5)}", "NOT seen",
            f"score > {dice.uniform(1, 4):.3f}", f"prediction < {dice.uniform(2, 5):.3f}", f"score BETWEEN {dice.uniform(1, 2):.3f} AND {dice.uniform(2, 4):.3f}",
            f"(user = {user} OR item = {item})", f"(seen = 0 OR score > {dice.uniform(1, 4):.3f})", f"user = {user} + 0", "item = item", "user = NULL"))

    def test_model_table(self):
        dice = random.Random(1)
        for _ in range(1500):
            where = " AND ".join(self.condition(dice) for _ in range(dice.randint(1, 4)))
            # Ties are ours to break where the order says nothing: so say it.
            order = dice.choice(("score DESC, item, user", "score DESC, user, item", "item, user", "user, score DESC, item", "prediction, user, item", "user DESC, item DESC"))
            if " AND user = " in " AND " + where and dice.random() < 0.7:
                order = dice.choice(("score DESC", "score DESC, item"))
            copy_order = order + ", user, item" if order.startswith("score DESC") and "user" not in order else order
            limit = dice.choice(("", "", "LIMIT 1", "LIMIT 7", "LIMIT 7 OFFSET 2", "LIMIT -1 OFFSET 3", "LIMIT 2 OFFSET 0", "LIMIT 0"))
            columns = dice.choice(("user, item, score, prediction, rating, seen", "item", "user, item", "count(*) OVER (), user, item"))
            if not order.startswith("score DESC, user") and "user" not in where and "user" not in order:
                order = copy_order
            self.same(f"SELECT {columns} FROM ratings_mf WHERE {where} ORDER BY {order} {limit}",
                      f"SELECT {columns} FROM cells WHERE {where} ORDER BY {copy_order} {limit}")

    def test_recommend(self):
        dice = random.Random(2)
        for _ in range(700):
            user, k = dice.choice(USERS), dice.choice((1, 3, 8, 50, None))
            items = ", ".join(map(str, dice.sample(ITEMS, dice.randint(1, 9))))
            conditions = ["1"] + [dice.choice((f"item IN ({items})", f"item = {dice.choice(ITEMS)}", f"score > {dice.uniform(1, 3.5):.3f}", f"rank < {dice.randint(1, 20)}",
                                               "item IN (SELECT id FROM movies WHERE genre = 'Comedy')", "reason = 'model'", f"item > {dice.choice(ITEMS)}"))
                                  for _ in range(dice.randint(0, 2))]
            where = " AND ".join(conditions)
            columns, order = dice.choice((("item, score", "score DESC, item"), ("item", "item"), ("rank, item", "rank"), ("item", "rank"), ("item, score", "score, item")))
            limit = dice.choice(("", "LIMIT 1", "LIMIT 4", "LIMIT 4 OFFSET 1"))
            call = f"recommend({user})" if k is None else f"recommend({user}, {k})"
            self.same(f"SELECT {columns} FROM {call} WHERE {where} ORDER BY {order} {limit}",
                      f"SELECT {columns} FROM best WHERE user = {user} AND rank <= {k or 1000} AND {where} ORDER BY {order} {limit}")

    def test_joins(self):
        """Chains of joins in any order of the tables, with every kind of join that leaves the arguments computable."""
        dice = random.Random(3)
        some = ", ".join(map(str, USERS[3:9]))
        for _ in range(400):
            k = dice.choice((1, 2, 5))
            ours = {"u": "users u", "m": "movies m", "r": f"recommend(u.id, {k}) r", "c": "ratings_mf c"}
            copy = dict(ours, r="best r", c="cells c")
            names = ["u", "r"] + dice.sample(["m", "c"], dice.randint(0, 2))
            where = [f"u.id IN ({some})"]
            copied = [f"r.user = u.id AND r.rank <= {k}"]
            if "m" in names:
                where.append(dice.choice(("m.id = r.item", "m.id = r.item AND m.genre <> 'War'", "r.item = m.id AND m.id > 80")))
            if "c" in names:
                where.append(dice.choice(("c.user = u.id AND c.item = r.item", "c.user = u.id AND c.item = r.item AND c.seen = 0", "c.item = r.item AND c.user = 1014",
                                          "c.user = u.id AND c.item IN (50, 65) AND c.score > r.score / 2", "c.user = r._user AND r.item = c.item AND c.prediction > 2.5")))
            dice.shuffle(names)
            columns = ", ".join({"u": "u.id", "r": "r.rank, r.item, r.score", "m": "m.title", "c": "c.user, c.item, c.score, c.rating"}[name] for name in sorted(names))
            self.same(f"SELECT {columns} FROM {', '.join(ours[name] for name in names)} WHERE {' AND '.join(where)}",
                      f"SELECT {columns} FROM {', '.join(copy[name] for name in names)} WHERE {' AND '.join(where + copied)}", False)


if __name__ == "__main__":
    unittest.main()
