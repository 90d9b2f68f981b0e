"""Independent answers in NumPy, and MovieLens 100K with the protocols of published figures: what several tests share."""
import numpy as np

from support import connect, data_file


# ---- MovieLens 100K ----

def read(name):
    """(user, item, rating) of a file of MovieLens 100K."""
    return np.loadtxt(data_file("ml-100k", name), dtype=np.int64)[:, :3]


def table(db, name, rows):
    db.execute(f"CREATE TABLE {name}(user INTEGER, item INTEGER, rating INTEGER)")
    db.executemany(f"INSERT INTO {name} VALUES(?, ?, ?)", rows.tolist())


def in_folds():
    """A database with the tables train0 … train4 and test0 … test4: blocks of u.data shuffled with seed 0."""
    rows = read("u.data")
    order = np.arange(len(rows))
    np.random.RandomState(0).shuffle(order)
    db = connect()
    for number, fold in enumerate(np.array_split(order, 5)):
        table(db, f"train{number}", rows[np.setdiff1d(order, fold)])
        table(db, f"test{number}", rows[fold])
    return db


def u1_positives():
    """A database with the tables base and test of u1, and likes and wanted, where these have ratings from 4 on."""
    db = connect()
    for name, liked, file in (("base", "likes", "u1.base"), ("test", "wanted", "u1.test")):
        rows = read(file)
        table(db, name, rows)
        table(db, liked, rows[rows[:, 2] >= 4])
    return db


def evaluate(db, model, source, options="{}"):
    """recommend_evaluate as {(metric, k): (value, n)}."""
    return {row[:2]: row[2:] for row in db.execute("SELECT metric, k, value, n FROM recommend_evaluate(?, ?, ?)",
                                                   (model, source, options))}


def errors_of(db, model, fold, biases):
    """RMSE and MAE on a fold. Where the model does not know the user or the item its biases make the estimate, or, without
    `biases`, the mean of all ratings, whatever else it has."""
    train, test = f"train{fold}", f"test{fold}"
    got = evaluate(db, model, test, '{"cold_start": "estimate"}' if biases else "{}")
    (rmse, n), (mae, _) = got["rmse", None], got["mae", None]
    mean, count = (db.execute(f"SELECT {what}").fetchone()[0] for what in (f"avg(rating) FROM {train}", f"count(*) FROM {test}"))
    unknown = [] if biases else db.execute(f"SELECT rating FROM {test} WHERE user NOT IN (SELECT user FROM {train}) OR item NOT "
                                           f"IN (SELECT item FROM {train})").fetchall()
    off = np.array([rating[0] - mean for rating in unknown])
    assert n + len(off) == count, (n, len(off), count)
    return np.sqrt((rmse ** 2 * n + np.sum(off ** 2)) / count), (mae * n + np.sum(np.abs(off))) / count


# ---- matrices ----

class Matrix:
    """Rows (user, item, rating) as users × items, ids ascending; `there` says which cells are rated."""

    def __init__(self, rows):
        self.users, self.items = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
        self.user = {id: place for place, id in enumerate(self.users)}
        self.item = {id: place for place, id in enumerate(self.items)}
        self.values = np.zeros((len(self.users), len(self.items)))
        self.there = np.zeros(self.values.shape, bool)
        for row in rows:
            cell = self.user[row[0]], self.item[row[1]]
            self.values[cell] = row[2] if len(row) > 2 else 1
            self.there[cell] = True
        self.mean = self.values[self.there].mean()

    def of_model(self, db, model, column):
        """A column of the model table, likewise."""
        cells = np.full(self.values.shape, np.nan)
        for user, item, value in db.execute(f'SELECT user, item, {column} FROM "{model}"'):
            cells[self.user[user], self.item[item]] = np.nan if value is None else value
        return cells


def damped_biases(values, there, user_regularization=15, item_regularization=10, epochs=10):
    """μ, b_u, b_i by alternating least squares, items first."""
    mean = values[there].mean()
    users, items = np.zeros(len(values)), np.zeros(values.shape[1])
    for _ in range(epochs):
        items = np.where(there, values - mean - users[:, None], 0).sum(0) / (item_regularization + there.sum(0))
        users = np.where(there, values - mean - items[None, :], 0).sum(1) / (user_regularization + there.sum(1))
    return mean, users, items


def row_means(values, there):
    return np.where(there, values, 0).sum(1) / np.maximum(there.sum(1), 1)


# ---- neighbours ----

def weighted(values, there, weighting, k1=1.2, b=0.75):
    """Rows × features as tf-idf or BM25 see them: every row is a document."""
    if weighting == "none":
        return values
    positive = np.where(there, np.maximum(values, 0), 0)
    idf = np.log(len(values) / (1 + there.sum(0)))
    if weighting == "tfidf":
        return np.sqrt(positive) * idf
    sums = np.where(there, values, 0).sum(1, keepdims=True)
    return np.where(there, positive * (k1 + 1) / (positive + k1 * (1 - b + b * sums / sums.mean())), 0) * idf


def similarities(values, there, kind, rows_are_users=False, weighting="none", shrinkage=0, min_support=1, **bm25):
    """Between all rows: (similarity, common features); itself has 0."""
    n = len(values)
    support = there.astype(int) @ there.T.astype(int)
    if kind in ("cosine", "adjusted_cosine"):
        x = values
        if kind == "adjusted_cosine":
            means = row_means(values, there)[:, None] if rows_are_users else row_means(values.T, there.T)[None, :]
            x = np.where(there, values - means, 0)
        else:
            x = weighted(values, there, weighting, **bm25)
        squares = (x ** 2).sum(1)
        product, scale = x @ x.T, np.sqrt(np.outer(squares, squares))
        s = np.divide(product, scale, out=np.zeros((n, n)), where=scale > 1e-12)
    elif kind == "jaccard":
        s = support / np.maximum(there.sum(1)[:, None] + there.sum(1)[None, :] - support, 1)
    else:
        s = np.zeros((n, n))
        for a in range(n):
            for c in range(n):
                common = there[a] & there[c]
                x, y = values[a, common], values[c, common]
                if kind == "msd" and len(x):
                    s[a, c] = 1 / (1 + ((x - y) ** 2).mean())
                elif len(x):
                    x, y = x - x.mean(), y - y.mean()
                    scale = np.sqrt((x ** 2).sum() * (y ** 2).sum())
                    s[a, c] = (x * y).sum() / scale if scale > 1e-9 else 0
    s = s * support / np.maximum(support + shrinkage, 1)
    s[support < min_support] = 0
    np.fill_diagonal(s, 0)
    return s, support


def nearest(s, k=None, threshold=0.0):
    """Of each row the indexes of its neighbours, best first, ties to the lower."""
    lists = []
    for row in s:
        order = np.argsort(-row, kind="stable")
        order = order[(row[order] != 0) & (row[order] > (threshold if threshold > -1 else -2))]
        lists.append(order[:k] if k else order)
    return lists


def neighbor_predictions(values, there, s, lists, base, spread, size, otherwise, threshold=0.0):
    """b + σ Σ s (r − b') / σ' / Σ |s| of every cell of rows × features, unclipped: rows vote on a feature by what they gave
    it. `lists`: who votes for each row; None: whoever gave it anything, the `size` most similar of them. `otherwise` where
    nobody votes; None: b."""
    result = np.zeros(values.shape)
    for row in range(len(values)):
        for feature in range(values.shape[1]):
            voters = np.arange(len(values)) if lists is None else np.sort(lists[row])
            voters = voters[there[voters, feature] & (s[row, voters] != 0) & (s[row, voters] > (threshold if threshold > -1 else -2))]
            voters = voters[np.argsort(-s[row, voters], kind="stable")][:size]
            if len(voters):
                off = (values[voters, feature] - base[voters, feature]) / spread[voters]
                result[row, feature] = base[row, feature] + spread[row] * (s[row, voters] * off).sum() / np.abs(s[row, voters]).sum()
            else:
                result[row, feature] = base[row, feature] if otherwise is None else otherwise
    return result


def centering(matrix, center, by_item):
    """Base and spread of rows × features for neighbor_predictions, and what stands where nobody votes."""
    values, there = (matrix.values.T, matrix.there.T) if by_item else (matrix.values, matrix.there)
    base, spread, otherwise = np.zeros(values.shape), np.ones(len(values)), None
    if center == "none":
        otherwise = matrix.mean
    elif center == "bias":
        mean, users, items = damped_biases(matrix.values, matrix.there)
        base = mean + users[:, None] + items[None, :]
        base = base.T if by_item else base
    else:
        base = base + row_means(values, there)[:, None]
    if center == "zscore":
        spread = np.array([row[own].std() for row, own in zip(values, there)])
        spread[spread == 0] = 1
    return base, spread, otherwise
