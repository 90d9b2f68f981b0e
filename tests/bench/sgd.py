"""Stochastic gradient descent, `"algorithm": "sgd"` with its defaults, beside LIBMF (where it is installed) on the same
90/10 split and threads: seconds of fitting from memory to factors, the RMSE that are reached, and peak memory.

LIBMF's regularization and number of iterations are the best found for the very split that is measured on; ours are the
defaults, which were chosen on other splits. Each fit has a process of its own, in turns; figures are medians.
"""
import json
import os
import statistics
import time

RANK = 64
# λ and iterations of LIBMF: where its test error is least.
PEER = {"MovieLens 1M": (0.05, 11), "made-up 10M": (0.05, 18)}


def split_of(bench, finished, path):
    """A database with the tables `train` and `test`, and their rows as float32 beside it."""
    def make(half):
        db = bench.connect(half)
        db.execute("ATTACH ? AS source", (path,))
        for table, condition in (("train", "< 0.9"), ("test", ">= 0.9")):
            db.execute(f"CREATE TABLE {table} AS SELECT user, item, rating FROM source.ratings "
                       f"WHERE recommend_split(42, user, item) {condition}")
        db.close()

    return finished(path.replace(".db", "-split.db"), make)


def arrays_of(bench, finished, split):
    """Rows of user, item and rating of both tables; ids as positions among those trained on, others left out."""
    def make(half):
        import numpy as np
        db = bench.connect(split)
        train, test = (np.array(db.execute(f"SELECT user, item, rating FROM {table}").fetchall()) for table in ("train", "test"))
        db.close()
        ids = [np.unique(train[:, side]) for side in (0, 1)]
        test = test[np.isin(test[:, 0], ids[0]) & np.isin(test[:, 1], ids[1])]
        os.makedirs(half, exist_ok=True)
        for name, rows in (("train", train), ("test", test)):
            places = [np.searchsorted(ids[side], rows[:, side]) for side in (0, 1)]
            np.save(os.path.join(half, name + ".npy"), np.stack(places + [rows[:, 2]], axis=1).astype(np.float32))

    return finished(split.replace(".db", "-arrays"), make)


# ---- in processes of their own ---------------------------------------------------------------------------------------


def child_sgd(bench, path, threads):
    from bench import peak_memory
    db = bench.connect(path)
    db.execute("SELECT recommend_version()").fetchall()
    before = peak_memory()
    options = json.dumps({"algorithm": "sgd", "threads": int(threads), "model": "temp.m"})
    rows = db.execute("SELECT epoch, seconds FROM mf_train('main.train', ?, ?)", (RANK, options)).fetchall()
    used = peak_memory() - before
    rmse = db.execute("SELECT value FROM recommend_evaluate('temp.m', 'main.test') WHERE metric = 'rmse'").fetchone()[0]
    return {"seconds": rows[-1][1], "iterations": rows[-1][0], "rmse": rmse, "memory": used}


def child_sgd_peer(bench, folder, threads, regularization, iterations):
    from bench import peak_memory
    kept = os.dup(1)  # LIBMF and its wrapper print
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    import numpy as np
    from libmf import mf
    before = peak_memory()
    train = np.load(os.path.join(folder, "train.npy"))
    penalty = {name: float(regularization) if name.endswith("2") else 0.0 for name in ("lambda_p1", "lambda_q1", "lambda_p2", "lambda_q2")}
    engine = mf.MF(k=RANK, nr_iters=int(iterations), nr_threads=int(threads), quiet=True, **penalty)
    began = time.perf_counter()
    engine.fit(train)
    seconds = time.perf_counter() - began
    used = peak_memory() - before
    os.dup2(kept, 1)
    test, model = np.load(os.path.join(folder, "test.npy")), engine.model
    users = np.ctypeslib.as_array(model.P, (model.m, model.k))[test[:, 0].astype(int)]
    items = np.ctypeslib.as_array(model.Q, (model.n, model.k))[test[:, 1].astype(int)]
    guess = np.clip((users * items).sum(axis=1), train[:, 2].min(), train[:, 2].max())
    return {"seconds": seconds, "iterations": int(iterations), "rmse": float(np.sqrt(np.mean((guess - test[:, 2]) ** 2))),
            "memory": used}


# ---- the section -----------------------------------------------------------------------------------------------------


def has_peer():
    try:
        import libmf  # noqa: F401
        return True
    except ImportError:
        return False


def compare(bench, finished, sets):
    from bench import THREADS, ratio, seconds
    for name, path, runs in sets:
        split = split_of(bench, finished, path)
        contestants = {"ours, defaults": ("sgd", split, THREADS)}
        if name in PEER and has_peer():
            contestants["LIBMF"] = ("sgd_peer", arrays_of(bench, finished, split), THREADS, *PEER[name])
        results = {who: [] for who in contestants}
        for _ in range(runs):
            for who, arguments in contestants.items():
                results[who].append(bench.child(*arguments))
        middle = {who: {what: statistics.median(run[what] for run in of) for what in of[0]} for who, of in results.items()}
        bench.title(f"Stochastic gradient descent, {name}, 90/10, rank {RANK}, {THREADS} threads",
                    ["seconds", "iterations", "RMSE", "megabytes", "× ours"])
        ours = middle["ours, defaults"]
        for who, of in middle.items():
            target = None
            if who != "ours, defaults":
                faster = of["seconds"] / ours["seconds"] if ours["rmse"] <= of["rmse"] + 0.001 else 0
                target = ("ours within 0.001 of its RMSE in no more time", faster, 1, 1e9)
            bench.row(who, seconds(of["seconds"]), of["iterations"], f"{of['rmse']:.4f}", f"{of['memory'] / 1e6:.0f}",
                      ratio(of["seconds"] / ours["seconds"]), target=target)
