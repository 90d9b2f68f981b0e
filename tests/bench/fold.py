"""The section `fold` of bench.py: how long it takes until a rating counts. Nothing here waits for the disk: the database
is in a file in WAL mode, without syncs, as the time of one is the disk's and not ours."""
import json
import os
import random
import statistics

RANK = 64
USERS = 200


def run(bench, movielens, clock, seconds):
    small, name = movielens(bench)
    copy = bench.scratch("fold.db", small)
    db = bench.connect(copy)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("SELECT mf_train('ratings', ?, ?)", (RANK, json.dumps({"epochs": 3, "model": "taste"})))
    picks = random.Random(1)
    users = [row[0] for row in db.execute("SELECT DISTINCT user FROM ratings")]
    items = [row[0] for row in db.execute("SELECT DISTINCT item FROM ratings")]
    picks.shuffle(users)
    recommend = "SELECT item, score FROM recommend(?, 10, 'taste') ORDER BY rank"
    insert = "INSERT INTO taste(user, item, rating) VALUES(?, ?, ?)"
    for user in users[-20:]:
        db.execute(recommend, (user,)).fetchall()
        db.execute(insert, (user, items[0], 3))

    def median(sql, arguments, fetch=True):
        def once(values):
            rows = db.execute(sql, values)
            return rows.fetchall() if fetch else rows
        return statistics.median(clock(lambda values=values: once(values)) for values in arguments)

    some = users[:USERS]
    cells = [(user, picks.choice(items), picks.randint(1, 5)) for user in some]

    def both(cell):
        db.execute(insert, cell)
        db.execute(recommend, cell[:1]).fetchall()

    bench.title(f"A rating that comes, {name}, rank {RANK}, two heads, medians over {USERS} users", ["seconds"])
    taken = statistics.median(clock(lambda cell=cell: both(cell)) for cell in cells)
    bench.row("INSERT and recommend(u, 10)", seconds(taken), target=("≤ 1 ms", taken, 0, 0.001))
    bench.row("INSERT of a rating", seconds(median(insert, [(u, picks.choice(items), 4) for u in some])))
    bench.row("recommend(u, 10)", seconds(median(recommend, [(u,) for u in some])))
    bench.row("INSERT of a new user's first", seconds(median(insert, [(10 ** 6 + i, picks.choice(items), 4) for i in range(50)])))
    bench.row("INSERT of a new item", seconds(median(insert, [(u, 10 ** 6 + i, 4) for i, u in enumerate(some[:20])])))
    bench.row("DELETE of a rating", seconds(median("DELETE FROM taste WHERE user = ? AND item = ?", [c[:2] for c in cells])))
    bench.row("recommend_for(20 ratings, 10)", seconds(median(
        "SELECT * FROM recommend_for(?, 10, 'taste')",
        [(json.dumps({str(i): picks.randint(1, 5) for i in picks.sample(items, 20)}),) for _ in some])))
    bench.row("recommend_explain(u, i, 10)", seconds(median("SELECT * FROM recommend_explain(?, ?, 10, 'taste')",
                                                           [(u, picks.choice(items)) for u in some])))
    bench.row("forget", seconds(median("INSERT INTO taste(taste, user) VALUES('forget', ?)", [(u,) for u in some[:50]])))
    db.close()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(copy + suffix):
            os.remove(copy + suffix)
