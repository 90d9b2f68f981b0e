"""Neighbours of items by cosine, 30 each: `knn_train` beside `CosineRecommender` of implicit (where it is installed), on
the same ratings and threads: seconds of fitting, from a matrix in memory to lists, and peak memory above that of a
process that has loaded everything but the ratings.

The seconds of ours are those that the summary calls "fit", in which the biases that predictions start from are fitted,
too. Its memory holds everything that a training does, reading and storing included; implicit's does not hold its
input. Each fit has a process of its own, in turns; figures are medians.
"""
import json
import os
import statistics
import time
import warnings

NEIGHBORS = 30


def arrays_of(bench, finished, path):
    """The ratings as a sparse matrix of users × items, in the arrays that scipy makes one of."""
    def make(half):
        import numpy as np
        import scipy.sparse
        db = bench.connect(path)
        rows = np.array(db.execute("SELECT user, item, rating FROM ratings").fetchall())
        db.close()
        user, item = (np.unique(rows[:, side], return_inverse=True)[1] for side in (0, 1))
        matrix = scipy.sparse.csr_matrix((rows[:, 2].astype(np.float32), (user, item)))
        os.makedirs(half, exist_ok=True)
        for name in ("data", "indices", "indptr"):
            np.save(os.path.join(half, name + ".npy"), getattr(matrix, name))

    return finished(path.replace(".db", "-matrix"), make)


# ---- in processes of their own ---------------------------------------------------------------------------------------


def child_knn(bench, path, threads, similarity):
    from bench import peak_memory
    db = bench.connect(path)
    db.execute("SELECT recommend_version()").fetchall()
    before = peak_memory()
    options = json.dumps({"threads": int(threads), "similarity": similarity, "model": "temp.near"})
    summary = json.loads(db.execute("SELECT knn_train('main.ratings', ?, ?)", (NEIGHBORS, options)).fetchone()[0])
    return {"seconds": summary["seconds"]["fit"], "memory": peak_memory() - before}


def child_knn_peer(bench, folder, threads):
    from bench import peak_memory
    import numpy as np
    import scipy.sparse
    from implicit.nearest_neighbours import CosineRecommender
    data, indices, indptr = (np.load(os.path.join(folder, name + ".npy")) for name in ("data", "indices", "indptr"))
    matrix = scipy.sparse.csr_matrix((data, indices, indptr))
    warnings.simplefilter("ignore")  # it says that it converts what it has made itself
    before = peak_memory()
    began = time.perf_counter()
    CosineRecommender(K=NEIGHBORS, num_threads=int(threads)).fit(matrix, show_progress=False)
    return {"seconds": time.perf_counter() - began, "memory": peak_memory() - before}


# ---- the section -----------------------------------------------------------------------------------------------------


def has_peer():
    try:
        import implicit  # noqa: F401
        return True
    except ImportError:
        return False


def compare(bench, finished, sets):
    from bench import THREADS, ratio, seconds
    for name, path, runs in sets:
        for threads in sorted({1, THREADS}):
            contestants = {f"ours, {similarity}": ("knn", path, threads, similarity)
                           for similarity in ("cosine", "pearson", "msd")}
            if has_peer():
                contestants["implicit, cosine"] = ("knn_peer", arrays_of(bench, finished, path), threads)
            results = {who: [] for who in contestants}
            for _ in range(runs):
                for who, arguments in contestants.items():
                    results[who].append(bench.child(*arguments))
            middle = {who: {what: statistics.median(run[what] for run in of) for what in of[0]}
                      for who, of in results.items()}
            bench.title(f"{NEIGHBORS} neighbours of each item, {name}, threads: {threads}",
                        ["seconds", "megabytes", "× ours"])
            ours = middle["ours, cosine"]
            for who, of in middle.items():
                faster, target = of["seconds"] / ours["seconds"], None
                if who.startswith("implicit"):
                    target = ("ours ≥ 3× faster", faster, 3, 1e9)
                elif who != "ours, cosine":
                    target = ("≤ 3.5× cosine", faster, 0, 3.5)
                bench.row(who, seconds(of["seconds"]), f"{of['memory'] / 1e6:.0f}", ratio(faster), target=target)
