"""Makes a database with a tiny model of every family, as this version stores them, and writes down what they answer.

    RECOMMEND_EXTENSION=build/recommend python3 tests/sql/make_fixture.py

writes tests/fixtures/format<N>.db and, beside it, format<N>.json: questions, each with its rows. Run it once for every
format, when that is new, and keep the files: from format 2 on every later version must read them, which test_format.py
looks after. Until a format has been released, a change of it makes them anew.
"""
import json
import os

from support import ROOT, connect

FIXTURES = os.path.join(ROOT, "tests", "fixtures")
WORDS = ("red", "green", "blue", "fox", "hen", "owl", "runs", "sings")

# Of each model: how it is trained, and what it is asked beside what every model is.
MODELS = {
    "both": ("mf_train('ratings', 2, '{\"model\": \"both\", \"epochs\": 5}')", ["recommend_for", "item_similar", "recommend_explain"]),
    "timed": ("mf_train('ratings', 2, '{\"model\": \"timed\", \"algorithm\": \"svdpp\", \"epochs\": 3, \"history\": \"timed\"}')", ["recommend_history"]),
    "plays": ("mf_train('likes', 2, '{\"model\": \"plays\", \"epochs\": 5}')", ["recommend_for", "item_similar"]),
    "near_items": ("knn_train('ratings', 3, '{\"model\": \"near_items\"}')", ["recommend_for", "item_similar", "recommend_explain"]),
    "near_users": ("knn_train('ratings', 3, '{\"model\": \"near_users\", \"by\": \"user\"}')", ["recommend_for", "user_similar"]),
    "ease": ("ease_train('ratings', 5, '{\"model\": \"ease\"}')", ["recommend_for", "item_similar", "recommend_explain"]),
    "slim": ("slim_train('ratings', 1, '{\"model\": \"slim\"}')", ["recommend_for"]),
    "words": ("tfidf_train('articles', '{\"model\": \"words\", \"ratings\": \"ratings\"}')", ["recommend_for", "tfidf_search"]),
    "topics": ("tfidf_train('articles', '{\"model\": \"topics\", \"lsa\": 2}')", ["tfidf_search"]),
    "groups": ("kmeans_train('ratings', 2, '{\"model\": \"groups\"}')", ["recommend_clusters"]),
    "means": ("baseline_train('ratings', '{\"model\": \"means\"}')", ["recommend_for"]),
    "changed": ("mf_train('ratings', 2, '{\"model\": \"changed\", \"epochs\": 5}')", ["recommend_for"]),
}

# What is then done to a model: a rating of a user and an item that it did not know, and an item that it must forget.
CHANGES = ("INSERT INTO changed(user, item, rating) VALUES(99, 105, 4.5)", "INSERT INTO changed(user, item, rating) VALUES(99, 999, 2)",
           "INSERT INTO changed(changed, item) VALUES('forget', 103)")

QUESTIONS = {
    "recommend_for": "SELECT item, score FROM recommend_for('{{\"101\": 5, \"104\": 1}}', 20, '{model}') ORDER BY item",
    "item_similar": "SELECT item, similarity FROM item_similar(102, 20, '{model}') ORDER BY item",
    "user_similar": "SELECT user, similarity FROM user_similar(2, 20, '{model}') ORDER BY user",
    "recommend_explain": "SELECT item, rating, contribution FROM recommend_explain(2, 106, 20, '{model}') ORDER BY item",
    "recommend_history": "SELECT item, rating, timestamp FROM recommend_history(3, '{model}')",
    "recommend_clusters": "SELECT id, cluster, distance FROM recommend_clusters('{model}') ORDER BY id",
    "tfidf_search": "SELECT item, similarity FROM tfidf_search('red owl sings', 20, '{model}') ORDER BY item",
}

EVERY_MODEL = ("SELECT name, family, algorithm, users, items FROM recommend_models WHERE name = '{model}'",
               "SELECT user, item, score, prediction, rating, seen FROM {model} WHERE user IN (2, 3, 99) ORDER BY user, item")


def fill(db):
    """Sources that need no random numbers: the same on every machine, for ever."""
    db.execute("CREATE TABLE ratings(user INTEGER, item INTEGER, rating REAL, timestamp INTEGER)")
    db.execute("CREATE TABLE likes(user INTEGER, item INTEGER)")
    db.execute("CREATE TABLE articles(id INTEGER PRIMARY KEY, text)")
    for user in range(1, 11):
        for item in range(101, 109):
            if (3 * user + 5 * item) % 7 < 4:
                rating = 1 + (user * item + user // 3 + 2 * (item % 3)) % 9 / 2
                db.execute("INSERT INTO ratings VALUES(?, ?, ?, ?)", (user, item, rating, 1_700_000_000 + (user * 7919 + item * 104_729) % 100_003))
                if rating > 2:
                    db.execute("INSERT INTO likes VALUES(?, ?)", (user, item))
    for item in range(101, 109):
        db.execute("INSERT INTO articles VALUES(?, ?)", (item, " ".join(WORDS[(item * k + k * k) % 8] for k in range(1, 6))))


def questions():
    """What the models in a fixture are asked, whichever format it has."""
    asked = []
    for model, (_, more) in MODELS.items():
        asked += [sql.format(model=model) for sql in EVERY_MODEL]
        asked += [QUESTIONS[name].format(model=model) for name in more]
    return asked


def make(path):
    db = connect(path)
    db.execute("PRAGMA page_size = 512")
    fill(db)
    for model, (train, _) in MODELS.items():
        db.execute("SELECT " + train).fetchone()
    for change in CHANGES:
        db.execute(change)
    for model in MODELS:  # so that the file is the same whenever it is made
        db.execute(f"UPDATE {model}_config SET value = '2026-12-01 00:00:00' WHERE key = 'trained_at'")
    db.execute("VACUUM")
    answers = {sql: db.execute(sql).fetchall() for sql in questions()}
    stored = db.execute("SELECT value FROM both_config WHERE key = 'format'").fetchone()[0]
    db.close()
    return stored, answers


def main():
    os.makedirs(FIXTURES, exist_ok=True)
    unnamed = os.path.join(FIXTURES, "new.db")
    if os.path.exists(unnamed):
        os.remove(unnamed)
    stored, answers = make(unnamed)
    os.replace(unnamed, os.path.join(FIXTURES, f"format{stored}.db"))
    with open(os.path.join(FIXTURES, f"format{stored}.json"), "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(f" {json.dumps(sql)}:\n  {json.dumps(rows)}" for sql, rows in answers.items()) + "\n}\n")
    print(f"format {stored}: {len(MODELS)} models, {len(answers)} questions")


if __name__ == "__main__":
    main()
