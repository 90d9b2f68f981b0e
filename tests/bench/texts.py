"""Content of 100,000 documents of some hundred words: training, the nearest ten of every document, and a search, beside
scikit-learn's TfidfVectorizer and a sparse product in the same run.

The words are made up and as frequent as words are (Zipf's law over a vocabulary of 100,000). scikit-learn's nearest ten
are measured on a sample of the documents, against all, and scaled up: all of them would take some minutes.
"""
import json
import sqlite3
import statistics

DOCUMENTS, VOCABULARY, SAMPLE, BLOCK = 100_000, 100_000, 2_000, 500


def make(path):
    import numpy as np
    random = np.random.RandomState(1)
    letters = "bcdfghklmnprstvz", "aeiou"

    def word(number):
        text = ""
        while number:
            number, syllable = divmod(number, 80)
            text += letters[0][syllable % 16] + letters[1][syllable // 16]
        return text

    words = np.array([word(number + 80) for number in range(VOCABULARY)], dtype=object)
    share = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE documents(id INTEGER PRIMARY KEY, text TEXT)")
        for first in range(0, DOCUMENTS, 10_000):
            lengths = random.randint(50, 151, 10_000)
            drawn = words[np.searchsorted(share / share[-1], random.rand(lengths.sum()))]
            ends = np.cumsum(lengths)
            db.executemany("INSERT INTO documents VALUES(?, ?)",
                           [(first + i, " ".join(drawn[end - n:end])) for i, (end, n) in enumerate(zip(ends, lengths))])


# ---- in processes of their own, so that their memory can be told apart ------------------------------------------------


def child_texts(bench, path):
    """Trains, finds all nearest, searches: seconds, and the bytes at the peak."""
    from bench import clock, peak_memory
    db = bench.connect(path)
    db.execute("DROP TABLE IF EXISTS documents_tfidf")
    summary = []
    train = clock(lambda: summary.append(db.execute("SELECT tfidf_train('documents')").fetchone()[0]))
    db.execute("SELECT * FROM item_similar(1, 10)").fetchall()
    everything = clock(lambda: db.execute("SELECT count(*), sum(similarity) FROM item_similar_all(10)").fetchall())
    texts = [row[0] for row in db.execute("SELECT text FROM documents WHERE id % 1000 = 7")]
    search = "SELECT item, similarity FROM tfidf_search(?, 10) ORDER BY rank"
    db.execute(search, ("warm up",)).fetchall()
    short = [clock(lambda text=text: db.execute(search, (" ".join(text.split()[:4]),)).fetchall()) for text in texts]
    whole = [clock(lambda text=text: db.execute(search, (text,)).fetchall()) for text in texts]
    return {"train": train, "all": everything, "short": statistics.median(short), "whole": statistics.median(whole),
            "memory": peak_memory(), "terms": json.loads(summary[0])["terms"]}


def child_texts_peer(bench, path):
    import numpy as np
    from bench import clock, peak_memory
    from sklearn.feature_extraction.text import TfidfVectorizer
    documents = [row[0] for row in sqlite3.connect(path).execute("SELECT text FROM documents ORDER BY id")]
    fitted = []
    train = clock(lambda: fitted.append(TfidfVectorizer().fit_transform(documents)))
    matrix = fitted[0]
    transposed = matrix.T.tocsr()

    def nearest():
        for first in range(0, SAMPLE, BLOCK):
            scores = matrix[first:first + BLOCK] @ transposed
            for start, end in zip(scores.indptr, scores.indptr[1:]):
                scores.indices[start:end][np.argpartition(-scores.data[start:end], 11)[:11]]

    return {"train": train, "all": clock(nearest) * DOCUMENTS / SAMPLE, "memory": peak_memory()}


def compare(bench, finished):
    try:
        import sklearn
    except ImportError:
        print("\nTexts: skipped, as there is no scikit-learn here")
        return
    from bench import ratio, seconds
    path = finished(bench.path("texts.db"), make)
    ours, peer = [], []
    for _ in range(3):  # interleaved, since the machine is not always as fast
        copy = bench.scratch("texts-copy.db", path)
        ours.append(bench.child("texts", copy))
        peer.append(bench.child("texts_peer", path))
    middle = lambda runs, what: statistics.median(run[what] for run in runs)
    bench.title(f"{DOCUMENTS:,} documents of 100 words, {ours[0]['terms']:,} terms, beside scikit-learn {sklearn.__version__}",
                ["seconds", "scikit-learn", "ratio"])
    for what, name, least in [("train", "tfidf_train, stored / fit_transform", 4), ("all", "the nearest 10 of every document", 10)]:
        here, there = middle(ours, what), middle(peer, what)
        bench.row(name, seconds(here), seconds(there), ratio(there / here),
                  target=(f"≥ {least}× faster", there / here, least, 1e9))
    here, there = middle(ours, "memory"), middle(peer, "memory")
    bench.row("peak memory of both, megabytes", f"{here / 1e6:.0f}", f"{there / 1e6:.0f}", ratio(there / here),
              target=("below it", here / there, 0, 1))
    bench.row("tfidf_search, four words, warm", seconds(middle(ours, "short")),
              target=("≤ 5 ms", middle(ours, "short"), 0, 0.005))
    bench.row("tfidf_search, a whole document, warm", seconds(middle(ours, "whole")),
              target=("≤ 5 ms", middle(ours, "whole"), 0, 0.005))
