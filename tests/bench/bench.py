"""How fast the extension is: each step's seconds beside its floor, what the machine can't do faster, in the same run.

    bench.py --extension build/recommend --build build [--peers]         as `make bench [PEERS=1]` calls it

Data: MovieLens 1M from RECOMMEND_DATA (where it is missing, a made-up set of its shape), a made-up set of 10 million
ratings (BENCH_SIZE=25m: of 25 million besides; BENCH_SIZE=1m: only the small one), and one of 60,000 items. They are
kept in <build>/bench/data. Floors and kernels are measured by bench.c, the rest by SQL through Python's sqlite3; what
has to be cold runs in processes of its own. Times are medians. Nothing here is a test: machines differ.
"""
import argparse
import csv
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

# The threads of the peers are their own, and a BLAS with more of them slows implicit down, as it says itself. NumPy
# looks at this once, when it is loaded.
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import fold  # noqa: E402
import neighbors  # noqa: E402
import sgd  # noqa: E402
import texts  # noqa: E402

RANK = 64
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Bench:
    """Where things are, and the table that is being printed."""

    def __init__(self, extension, build):
        self.extension = extension
        self.build = build
        self.folder = os.path.join(build, "bench", "data")
        self.missed, self.met = [], 0
        os.makedirs(self.folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def scratch(self, name, path):
        """A copy of a data set to train in, so that the set itself holds no model of some older version."""
        return shutil.copy(path, self.path(name))

    def connect(self, path):
        db = sqlite3.connect(path, isolation_level=None)
        db.enable_load_extension(True)
        db.load_extension(self.extension)
        return db

    def program(self, name, *arguments):
        """Runs one of the C programs; what it printed."""
        done = subprocess.run([os.path.join(self.build, "bench", name), *map(str, arguments)], stdout=subprocess.PIPE,
                              universal_newlines=True, check=True)
        return done.stdout

    def measure(self, *arguments):
        return json.loads(self.program("bench", *arguments))

    def child(self, *arguments):
        """One of the functions in CHILDREN, in a process of its own."""
        done = subprocess.run([sys.executable, os.path.abspath(__file__), "--extension", self.extension, "--build",
                               self.build, "--child", *map(str, arguments)], stdout=subprocess.PIPE,
                              universal_newlines=True, check=True)
        return json.loads(done.stdout)

    # ---- the table

    def title(self, text, columns):
        print(f"\n{text}\n" + "-" * len(text))
        print(f"{'':46}" + "".join(f"{column:>14}" for column in columns))

    def row(self, name, *cells, target=None):
        """`target` is (text, value, least, most): whether least ≤ value ≤ most is printed behind the row."""
        line = f"{name:46}" + "".join(f"{cell:>14}" for cell in cells)
        if target:
            text, value, least, most = target
            good = least <= value <= most
            self.met += good
            line += f"   {'met' if good else 'MISSED'}: {text}"
            if not good:
                self.missed.append(f"{name}: {text}")
        print(line, flush=True)

    def summary(self):
        print(f"\nTargets met: {self.met}, missed: {len(self.missed)}")
        for line in self.missed:
            print("  missed: " + line)


def seconds(value):
    return f"{value:.3f} s" if value >= 0.1 else f"{1e3 * value:.2f} ms" if value >= 1e-4 else f"{1e6 * value:.1f} µs"


def ratio(value):
    return f"{value:.2f}×"


def clock(function):
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def per_epoch(db, source, options, rank=RANK):
    """Trains; the median seconds of an epoch, without the last one, which ends with an exact half-step."""
    rows = db.execute("SELECT head, seconds FROM mf_train(?, ?, ?)", (source, rank, json.dumps(options))).fetchall()
    steps = [b[1] - a[1] for a, b in zip(rows, rows[1:]) if a[0] == b[0]]
    return statistics.median(steps[:-1])


# ---- data ------------------------------------------------------------------------------------------------------------


def finished(path, make):
    """The file that `make(path)` makes, made once; a run that is stopped leaves no half of one."""
    if not os.path.exists(path):
        half = path + ".half"
        if os.path.exists(half):
            os.remove(half)
        make(half)
        os.rename(half, path)
    return path


def import_movielens(file, path):
    with open(file, newline="") as lines, sqlite3.connect(path) as db:
        db.execute("CREATE TABLE ratings(user INTEGER, item INTEGER, rating REAL)")
        rows = csv.reader(lines)
        next(rows)
        db.executemany("INSERT INTO ratings VALUES(?, ?, ?)", rows)


def movielens(bench):
    """MovieLens 1M, and its ids as text in the table ratings_text; what to call it."""
    source = os.path.join(os.environ.get("RECOMMEND_DATA") or "", "ml-1m", "ratings_nots.csv")
    there = os.path.exists(source)

    def make(path):
        if there:
            import_movielens(source, path)
        else:
            bench.program("generate", "--users", 6040, "--items", 3706, "--ratings", 1000209, path)
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE ratings_text(user TEXT, item TEXT, rating REAL)")
            db.execute("INSERT INTO ratings_text SELECT printf('user-%07d', user), printf('item-%07d', item), rating "
                       "FROM ratings ORDER BY rowid")

    return finished(bench.path("ml-1m.db" if there else "made-up-1m.db"), make), \
        "MovieLens 1M" if there else "made-up 1M (no MovieLens 1M here)"


def made_up(bench, size):
    return finished(bench.path(size + ".db"), lambda path: bench.program("generate", "--size", size, path))


def many_items(bench):
    return finished(bench.path("60k-items.db"), lambda path: bench.program(
        "generate", "--users", 20000, "--items", 60000, "--ratings", 2000000, path))


# ---- what has to run in a process of its own -------------------------------------------------------------------------


def peak_memory():
    """Bytes. Linux's VmHWM, as ru_maxrss also counts what the parent had when it forked."""
    try:
        with open("/proc/self/status") as lines:
            return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except OSError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def child_memory(bench, path, options):
    """The peak before and after training; a process that has only loaded the extension has the first."""
    db = bench.connect(path)
    db.execute("SELECT recommend_version()").fetchall()
    before = peak_memory()
    summary = db.execute("SELECT mf_train('ratings', ?, ?)", (RANK, options)).fetchone()[0] if options else "{}"
    return {"before": before, "after": peak_memory(), "summary": json.loads(summary)}


def child_recommend(bench, path, model, users):
    """Seconds of the first recommend(u, 10), from opening the file on, and of the later ones."""
    users = json.loads(users)
    began = time.perf_counter()
    db = bench.connect(path)
    query = "SELECT item, score FROM recommend(?, 10, ?) ORDER BY rank"
    db.execute(query, (users[0], model)).fetchall()
    cold = time.perf_counter() - began
    warm = [clock(lambda user=user: db.execute(query, (user, model)).fetchall()) for user in users[1:]]
    return {"cold": cold, "warm": statistics.median(warm)}


CHILDREN = {"memory": child_memory, "recommend": child_recommend, "texts": texts.child_texts,
            "texts_peer": texts.child_texts_peer, "sgd": sgd.child_sgd, "sgd_peer": sgd.child_sgd_peer,
            "knn": neighbors.child_knn, "knn_peer": neighbors.child_knn_peer}

# ---- sections --------------------------------------------------------------------------------------------------------


def arithmetic(bench):
    peak = bench.measure("peak", THREADS)
    bench.title("Arithmetic: sgemm as linked in the extension, beside fused multiply-adds in registers",
                ["GFLOP/s", "floor", "of it"])
    bench.row("sgemm, 1 thread", f"{peak['gemm']:.0f}", f"{peak['fma']:.0f}", f"{peak['gemm'] / peak['fma']:.0%}",
              target=("≥ 70 % of the peak", peak["gemm"] / peak["fma"], 0.7, 9))
    bench.row(f"sgemm, {THREADS} threads", f"{peak['gemm_threads']:.0f}", f"{THREADS * peak['fma']:.0f}",
              f"{peak['gemm_threads'] / peak['fma'] / THREADS:.0%}")
    return peak


def reading(bench, sets):
    bench.title("Reading and indexing the source, beside a bare scan through SQLite's C API",
                ["seconds", "scan", "ratio"])
    for name, path, table, runs in sets:
        result = bench.measure("read", path, table, THREADS, runs)
        bench.row(f"{name}, {result['rows']:,} rows", seconds(result["read"]), seconds(result["scan"]),
                  ratio(result["read"] / result["scan"]), target=("≤ 1.6×", result["read"] / result["scan"], 0, 1.6))


def training(bench, sets):
    for name, path, runs in sets:
        bench.title(f"An epoch at rank {RANK}, {THREADS} threads, {name}, beside sgemm of as many operations "
                    "(counted in bench.c)", ["seconds", "sgemm", "ratio", "GFLOP/s"])
        result = bench.measure("epoch", path, "ratings", RANK, THREADS, runs)
        for kind, label in [("rating", "explicit, conjugate gradient (default)"), ("rating exact", "explicit, Cholesky"),
                            ("ranking", "ranking head from ratings"), ("implicit", "implicit, conjugate gradient")]:
            one = result[kind]
            bench.row(label, seconds(one["epoch"]), seconds(one["gemm"]), ratio(one["epoch"] / one["gemm"]),
                      f"{one['operations'] / one['epoch'] / 1e9:.0f}")


def write_seconds(path, size):
    """A plain write of as many bytes to the same disk, as safely."""
    block = os.urandom(1 << 20)

    def write():
        with open(path, "wb") as file:
            for _ in range(size >> 20):
                file.write(block)
            file.write(block[:size & ((1 << 20) - 1)])
            file.flush()
            os.fsync(file.fileno())

    taken = clock(write)
    os.remove(path)
    return taken


def file_size(db):
    return db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]


def storing(bench, sets):
    bench.title(f"Storing, with commit, beside a plain write of as many bytes; loading, beside memcpy; rank {RANK}",
                ["seconds", "floor", "ratio", "megabytes"])
    for name, path, runs in sets:
        copy = bench.scratch("store.db", path)
        db = bench.connect(copy)
        stores, writes, before = [], [], file_size(db)
        training = "SELECT mf_train('ratings', ?, '{\"epochs\": 1, \"model\": \"taste\"}')"
        for _ in range(runs):
            db.execute("DROP TABLE IF EXISTS taste")
            summary = []
            whole = clock(lambda: summary.append(db.execute(training, (RANK,)).fetchone()[0]))
            spent = json.loads(summary[0])["seconds"]
            stores.append(whole - spent["read"] - spent["fit"])
            size = file_size(db) - before
            writes.append(write_seconds(bench.path("write.bin"), size))
        db.close()
        store, write = statistics.median(stores), statistics.median(writes)
        bench.row(f"store, {name}, two heads and histories", seconds(store), seconds(write), ratio(store / write),
                  f"{size / 1e6:.1f}")
        result = bench.measure("load", copy, "taste", 9)
        for side in ("items", "users"):
            one = result[side]
            bench.row(f"load all {side}, {name}, cold", seconds(one["load"]), seconds(one["copy"]),
                      ratio(one["load"] / one["copy"]), f"{one['bytes'] / 1e6:.1f}")
        os.remove(copy)


def serving(bench, sets, peak):
    bench.title(f"Ten recommendations, rank {RANK}", ["seconds", "users/s", "sgemm", "ratio"])
    for name, path, cold_target in sets:
        copy = bench.scratch("serve.db", path)
        db = bench.connect(copy)
        options = json.dumps({"objective": "ranking", "epochs": 3, "model": "taste"})
        summary = json.loads(db.execute("SELECT mf_train('ratings', ?, ?)", (RANK, options)).fetchone()[0])
        users, items = summary["users"], summary["items"]
        ids = [row[0] for row in db.execute("SELECT DISTINCT user FROM ratings")]
        random.Random(1).shuffle(ids)
        runs = [bench.child("recommend", copy, "taste", json.dumps(ids[run:run + 201])) for run in range(9)]
        cold, warm = (statistics.median(run[what] for run in runs) for what in ("cold", "warm"))
        bench.row(f"recommend(u, 10), {name}, cold", seconds(cold), "", "", "",
                  target=("≤ 60 ms in a fresh process", cold, 0, 0.060) if cold_target else None)
        bench.row(f"recommend(u, 10), {name}, warm", seconds(warm), "", "", "",
                  target=("≤ 1 ms", warm, 0, 0.001) if cold_target else None)
        query = "SELECT count(*), sum(score) FROM recommend_all(10, 'taste')"
        taken = statistics.median(clock(lambda: db.execute(query).fetchall()) for _ in range(5))
        floor = 2.0 * users * items * RANK / (peak["gemm_threads"] * 1e9)
        bench.row(f"recommend_all(10), {name}, {THREADS} threads", seconds(taken), f"{users / taken:,.0f}",
                  seconds(floor), ratio(taken / floor))
        db.close()
        os.remove(copy)


def memory(bench, sets):
    bench.title(f"Peak memory of training, above a process that has only loaded the extension, rank {RANK}, 2 heads",
                ["megabytes", "factors", "bytes/rating"])
    for name, path in sets:
        copy = bench.scratch("memory.db", path)
        idle = bench.child("memory", copy, "")
        result = bench.child("memory", copy, json.dumps({"epochs": 1, "model": "taste"}))
        os.remove(copy)
        summary, used = result["summary"], result["after"] - idle["after"]
        factors = len(summary["heads"]) * 4 * (RANK + 1) * (summary["users"] + summary["items"])
        rest = (used - factors) / summary["ratings"]
        bench.row(f"{name}, {summary['ratings']:,} ratings", f"{used / 1e6:.0f}", f"{factors / 1e6:.0f}", f"{rest:.1f}",
                  target=("≤ 24 bytes a rating and the factors", rest, 0, 24) if summary["ratings"] >= 9e6 else None)


def describe_machine(bench):
    db = bench.connect(":memory:")
    print(db.execute("SELECT recommend_debug()").fetchone()[0])
    try:
        with open("/proc/cpuinfo") as lines:
            print(next(line for line in lines if line.startswith("model name")).split(":")[1].strip(), end="; ")
        print("load %.2f" % os.getloadavg()[0])
    except (OSError, StopIteration):
        pass
    flags = os.path.join(bench.build, "peers", "flags")
    if os.path.exists(flags):
        with open(flags) as built:
            print("peers: " + built.read().strip())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--extension", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--only", default="", help="sections, by commas: arithmetic, reading, training, …")
    parser.add_argument("--child", nargs="+")
    arguments = parser.parse_args()
    bench = Bench(arguments.extension, arguments.build)
    if arguments.child:
        print(json.dumps(CHILDREN[arguments.child[0]](bench, *arguments.child[1:])))
        return
    only = set(filter(None, arguments.only.split(",")))
    wanted = lambda section: not only or section in only
    size = os.environ.get("BENCH_SIZE", "10m").lower()
    describe_machine(bench)
    if only == {"texts"}:  # which needs none of the ratings
        texts.compare(bench, finished)
        bench.summary()
        return
    if only == {"fold"}:
        fold.run(bench, movielens, clock, seconds)
        bench.summary()
        return
    small, small_name = movielens(bench)
    large = [(f"made-up {each.upper()}", made_up(bench, each)) for each in ("10m", "25m")
             if size != "1m" and (each == "10m" or size == "25m")]

    peak = arithmetic(bench) if not only or only - {"sgd", "neighbors"} else None
    if wanted("reading"):
        reading(bench, [(small_name, small, "ratings", 9), (small_name + ", text ids", small, "ratings_text", 9)] +
                [(name, path, "ratings", 3) for name, path in large])
    if wanted("training"):
        training(bench, [(small_name, small, 9)] + [(name, path, 3) for name, path in large])
    if wanted("storing"):
        storing(bench, [(small_name, small, 5)] + [(name, path, 3) for name, path in large])
    if wanted("serving"):
        serving(bench, [(small_name, small, False), ("60,000 items", many_items(bench), True)], peak)
    if wanted("memory"):
        memory(bench, [(small_name, small)] + large)
    if wanted("sgd"):
        sgd.compare(bench, finished, [(small_name, small, 5)] + [(name, path, 3) for name, path in large])
    if wanted("neighbors"):
        neighbors.compare(bench, finished, [(small_name, small, 5)] + [(name, path, 3) for name, path in large])
    if wanted("fold"):
        fold.run(bench, movielens, clock, seconds)
    if wanted("texts"):
        texts.compare(bench, finished)
    if arguments.peers and wanted("peers"):
        import peers
        peers.compare(bench, small, small_name, many_items(bench))
    bench.summary()


if __name__ == "__main__":
    main()
