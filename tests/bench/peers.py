"""`make bench PEERS=1`: the same work done by implicit, cmfrec and LIBMF, from PyPI, on the same split and threads.

An iteration of ours is what mf_train reports for an epoch. An iteration of a peer is the slope between a short and a
long fit, so that what a fit does once (checking, copying, transposing) is not counted; the whole fits are shown too.
Every figure is the median of BENCH_RUNS (5) runs in turns. The quality behind a time is measured the same way for everybody, by this
file: RMSE of predictions clipped to the scale, NDCG@10 among all items the user has not rated. Regularization is, for
everybody alike, the best found for the very split that is measured on: the numbers compare solvers, and say nothing of
what to expect of new data.
"""
import contextlib
import json
import os
import statistics

import numpy as np
import scipy.sparse

from bench import RANK, THREADS, clock, finished, per_epoch, ratio, seconds

RUNS = int(os.environ.get("BENCH_RUNS") or 5)
SHORT, LONG = 2, 8  # iterations of the two fits whose difference is timed


class Split:
    """90 % of the ratings in the table `train`, the others in `test`; the same as arrays, ids as positions."""

    def __init__(self, bench, path):
        def make(half):
            db = bench.connect(half)
            db.execute("ATTACH ? AS source", (path,))
            for table, condition in (("train", "< 0.9"), ("test", ">= 0.9")):
                db.execute(f"CREATE TABLE {table} AS SELECT user, item, rating FROM source.ratings "
                           f"WHERE recommend_split(42, user, item) {condition}")
            db.close()

        self.copy = bench.scratch("split.db", finished(path.replace(".db", "-split.db"), make))
        self.db = bench.connect(self.copy)
        self.low, self.high = self.db.execute("SELECT min(rating), max(rating) FROM train").fetchone()
        rows = [np.array(self.db.execute(f"SELECT user, item, rating FROM {table}").fetchall())
                for table in ("train", "test")]
        self.users, self.items = (np.unique(rows[0][:, side]) for side in (0, 1))
        known = np.isin(rows[1][:, 0], self.users) & np.isin(rows[1][:, 1], self.items)
        self.train, self.test = self.positions(rows[0]), self.positions(rows[1][known])
        shape = (len(self.users), len(self.items))
        user, item, rating = self.train
        self.matrix = scipy.sparse.csr_matrix((rating, (user, item)), shape=shape, dtype=np.float32)
        self.held_out = scipy.sparse.csr_matrix((self.test[2], self.test[:2]), shape=shape, dtype=np.float32)

    def positions(self, rows):
        return (np.searchsorted(self.users, rows[:, 0]).astype(np.int32),
                np.searchsorted(self.items, rows[:, 1]).astype(np.int32), rows[:, 2].astype(np.float32))

    def rmse(self, predictions):
        return float(np.sqrt(np.mean((np.clip(predictions, self.low, self.high) - self.test[2]) ** 2)))

    def ndcg(self, users, lists):
        """`lists`: ten positions of items for each of `users`."""
        discounts = 1 / np.log2(np.arange(2, 12))
        total = count = 0
        for user, items in zip(users, lists):
            relevant = self.held_out.indices[self.held_out.indptr[user]:self.held_out.indptr[user + 1]]
            if len(relevant):
                hits = np.isin(items, relevant)
                total += (discounts[:len(hits)] * hits).sum() / discounts[:len(relevant)].sum()
                count += 1
        return total / count

    def factors_ndcg(self, user_factors, item_factors):
        """Every unseen item scored, for anyone whose factors these are."""
        scores = user_factors @ item_factors.T
        scores[self.matrix.nonzero()] = -np.inf
        best = np.argsort(-scores, axis=1)[:, :10]
        return self.ndcg(range(len(best)), best)

    def our_rmse(self, model):
        return self.db.execute("SELECT value FROM recommend_evaluate(?, 'test') WHERE metric = 'rmse'",
                               (model,)).fetchone()[0]

    def our_ndcg(self, model):
        lists = {}
        for user, item in self.db.execute("SELECT user, item FROM recommend_all(10, ?) ORDER BY user, rank", (model,)):
            lists.setdefault(user, []).append(item)
        return self.ndcg(np.searchsorted(self.users, list(lists)),
                         [np.searchsorted(self.items, items) for items in lists.values()])


class Contestant:
    """Somebody who can fit for a number of iterations. `slope`: an iteration is the difference of two fits."""

    def __init__(self, name, fit, quality, iterations):
        self.name, self.fit, self.quality, self.iterations = name, fit, quality, iterations
        self.per_iteration, self.whole = [], []

    def run(self):
        short, long = (clock(lambda n=n: self.fit(n)) for n in (SHORT, LONG))
        self.per_iteration.append((long - short) / (LONG - SHORT))
        self.whole.append(clock(lambda: self.fit(self.iterations)))


class Ours(Contestant):
    """mf_train says what an epoch took; the whole is the statement, with reading, storing and commit."""

    def __init__(self, name, split, options, quality, iterations):
        super().__init__(name, None, quality, iterations)
        self.split = split
        self.options = {**options, "threads": THREADS, "model": "contestant"}

    def run(self):
        self.per_iteration.append(per_epoch(self.split.db, "train", {**self.options, "epochs": LONG}))
        options = json.dumps({**self.options, "epochs": self.iterations})
        self.whole.append(clock(
            lambda: self.split.db.execute("SELECT mf_train('train', ?, ?)", (RANK, options)).fetchall()))


def contest(bench, title, what, ours, peers):
    """`peers`: of (contestant, our name, how many times faster we want to be); `what` is RMSE or NDCG@10."""
    everybody = list(ours.values()) + [peer for peer, _, _ in peers]
    for _ in range(RUNS):
        for contestant in everybody:
            contestant.run()
            contestant.reached = contestant.quality()
    bench.title(title, ["an iteration", "iterations", "whole fit", what, "× ours"])

    def show(contestant, relation="", target=None):
        bench.row(contestant.name, seconds(statistics.median(contestant.per_iteration)), contestant.iterations,
                  seconds(statistics.median(contestant.whole)), f"{contestant.reached:.4f}", relation, target=target)

    for contestant in ours.values():
        show(contestant)
    for peer, name, wanted in peers:
        mine = ours[name]
        faster = statistics.median(peer.per_iteration) / statistics.median(mine.per_iteration)
        good = mine.reached <= peer.reached + 5e-4 if what == "RMSE" else mine.reached >= peer.reached - 2e-3
        worse = "" if good else ", and theirs is the better quality"
        target = (f"{name} ≥ {wanted}× faster at no worse {what}{worse}", faster if good else 0, wanted, np.inf)
        show(peer, ratio(faster), target if wanted else None)


# ---- who takes part --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def quiet():
    """LIBMF's wrapper and library print."""
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


class Cmfrec:
    """cmfrec.CMF; λ is scaled by each row's count, which suits it best here."""

    def __init__(self, split, use_cg, regularization):
        self.split, self.use_cg, self.regularization = split, use_cg, regularization
        self.data = scipy.sparse.coo_matrix(split.matrix)

    def fit(self, iterations):
        import cmfrec
        self.model = cmfrec.CMF(k=RANK, method="als", use_cg=self.use_cg, lambda_=self.regularization, scale_lam=True,
                                niter=iterations, finalize_chol=False, precompute_for_predictions=False, verbose=False,
                                use_float=True, nthreads=THREADS, random_state=1)
        self.model.fit(self.data)

    def quality(self):
        return self.split.rmse(self.model.predict(self.split.test[0], self.split.test[1]))


class CmfrecImplicit:
    def __init__(self, split, regularization):
        self.split, self.regularization = split, regularization
        self.data = scipy.sparse.coo_matrix(split.matrix)

    def fit(self, iterations):
        import cmfrec
        self.model = cmfrec.CMF_implicit(k=RANK, use_cg=True, alpha=1.0, lambda_=self.regularization, niter=iterations,
                                         finalize_chol=False, precompute_for_predictions=False, verbose=False,
                                         use_float=True, nthreads=THREADS, random_state=1)
        self.model.fit(self.data)

    def quality(self):
        return self.split.factors_ndcg(self.model.A_, self.model.B_)


class Implicit:
    """implicit's confidence is what the matrix holds, so 1 + rating to be the same as ours and cmfrec's."""

    def __init__(self, split, regularization):
        self.split, self.regularization = split, regularization
        self.data = split.matrix.copy()
        self.data.data += 1

    def fit(self, iterations):
        from implicit.cpu.als import AlternatingLeastSquares
        self.model = AlternatingLeastSquares(factors=RANK, regularization=self.regularization, alpha=1.0, use_cg=True,
                                             iterations=iterations, num_threads=THREADS, random_state=1)
        self.model.fit(self.data, show_progress=False)

    def quality(self):
        return self.split.factors_ndcg(self.model.user_factors, self.model.item_factors)


class Libmf:
    """Stochastic gradient. Its wrapper's predict() answers wrongly, so the factors are taken and multiplied here."""

    def __init__(self, split, regularization):
        self.split, self.regularization = split, regularization
        self.rows = np.ascontiguousarray(np.stack(split.train, axis=1), dtype=np.float32)

    def fit(self, iterations):
        with quiet():
            from libmf import mf
            self.engine = mf.MF(k=RANK, nr_iters=iterations, nr_threads=THREADS, lambda_p1=0.0, lambda_q1=0.0,
                                lambda_p2=self.regularization, lambda_q2=self.regularization, quiet=True)
            self.engine.fit(self.rows)

    def quality(self):
        model = self.engine.model
        users = np.ctypeslib.as_array(model.P, (model.m, model.k))[self.split.test[0]]
        items = np.ctypeslib.as_array(model.Q, (model.n, model.k))[self.split.test[1]]
        return self.split.rmse((users * items).sum(axis=1))


# ---- the contests ----------------------------------------------------------------------------------------------------


def explicit_contest(bench, split, name):
    rmse = lambda: split.our_rmse("contestant")
    cg, exact = Cmfrec(split, True, 0.065), Cmfrec(split, False, 0.065)
    sgd = Libmf(split, 0.05)
    options = {"objective": "rating", "regularization": 1.25, "nu": 0.5}
    contest(bench, f"Explicit factorization, {name}, 90/10, rank {RANK}, {THREADS} threads", "RMSE",
            {"ours, cg": Ours("ours, cg", split, options, rmse, 6),
             "ours, Cholesky": Ours("ours, Cholesky", split, {**options, "solver": "cholesky"}, rmse, 6)},
            [(Contestant("cmfrec, conjugate gradient", cg.fit, cg.quality, 10), "ours, cg", 3),
             (Contestant("cmfrec, Cholesky", exact.fit, exact.quality, 8), "ours, Cholesky", 5),
             (Contestant("LIBMF, for orientation", sgd.fit, sgd.quality, 13), "ours, cg", None)])


def implicit_contest(bench, split, name):
    regularization = 30.0
    options = {"algorithm": "ials", "alpha": 1, "regularization": regularization, "nu": 0}
    peer, other = Implicit(split, regularization), CmfrecImplicit(split, regularization)
    contest(bench, f"Implicit feedback, {name}, 90/10, rank {RANK}, {THREADS} threads, one loss for all", "NDCG@10",
            {"ours": Ours("ours", split, options, lambda: split.our_ndcg("contestant"), 8)},
            [(Contestant("implicit, conjugate gradient", peer.fit, peer.quality, 8), "ours", 3),
             (Contestant("cmfrec, conjugate gradient", other.fit, other.quality, 8), "ours", None)])


def recommend_all_contest(bench, path):
    """All users' ten best unseen items: ours from the file to rows, implicit's from memory to arrays."""
    from implicit.cpu.als import AlternatingLeastSquares
    copy = bench.scratch("everyone.db", path)
    db = bench.connect(copy)
    rows = np.array(db.execute("SELECT user, item, rating FROM ratings").fetchall())
    user, item = (np.unique(rows[:, side], return_inverse=True)[1] for side in (0, 1))
    matrix = scipy.sparse.csr_matrix((rows[:, 2], (user, item)), dtype=np.float32)
    users, items = matrix.shape
    db.execute("SELECT mf_train('ratings', ?, '{\"algorithm\": \"ials\", \"epochs\": 3, \"model\": \"everyone\"}')",
               (RANK,)).fetchall()
    model = AlternatingLeastSquares(factors=RANK, iterations=3, num_threads=THREADS, random_state=1)
    model.fit(matrix, show_progress=False)
    query = "SELECT count(*), sum(score) FROM recommend_all(10, 'everyone')"
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(clock(lambda: db.execute(query).fetchall()))
        theirs.append(clock(lambda: model.recommend(np.arange(users), matrix, N=10, filter_already_liked_items=True)))
    db.close()
    os.remove(copy)
    mine, peer = statistics.median(ours), statistics.median(theirs)
    bench.title(f"Top 10 of {items:,} items for {users:,} users, seen items excluded, rank {RANK}, {THREADS} threads",
                ["seconds", "users/s", "faster"])
    bench.row("recommend_all(10)", seconds(mine), f"{users / mine:,.0f}", ratio(peer / mine),
              target=("≥ 3× implicit", peer / mine, 3, 1e9))
    bench.row("implicit, recommend() of all at once", seconds(peer), f"{users / peer:,.0f}")


def compare(bench, small, small_name, many):
    split = Split(bench, small)
    explicit_contest(bench, split, small_name)
    implicit_contest(bench, split, small_name)
    split.db.close()
    os.remove(split.copy)
    recommend_all_contest(bench, many)
