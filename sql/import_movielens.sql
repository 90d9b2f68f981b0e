-- MovieLens CSV files (ml-latest-small, ml-latest, ml-25m: https://grouplens.org/datasets/movielens) into the tables of
-- the demo: movies(movieId, title, year, genres), users(userId, name), ratings(userId, movieId, rating, timestamp).
--
-- Run in the folder that holds movies.csv and ratings.csv, in the sqlite3 shell; with -bail it stops at the first error,
-- and nothing is stored:
--
--     $ sqlite3 -bail
--     sqlite> .open movies.db
--     sqlite> .cd path/to/ml-latest-small
--     sqlite> .read /path/to/sql/import_movielens.sql

BEGIN;

CREATE TABLE movies(movieId INTEGER PRIMARY KEY, title TEXT NOT NULL, year INTEGER, genres TEXT);
CREATE TABLE users(userId INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE ratings(userId INTEGER NOT NULL, movieId INTEGER NOT NULL, rating REAL NOT NULL, timestamp INTEGER,
                     PRIMARY KEY (userId, movieId));

-- The columns' types turn the text of the files into numbers, and what is none stays text; `--csv` takes care of quotes
-- and of CR LF.
CREATE TEMP TABLE movies_csv(movieId INTEGER, title TEXT, genres TEXT);
CREATE TEMP TABLE ratings_csv(userId INTEGER, movieId INTEGER, rating REAL, timestamp INTEGER);
.mode list
.mode box
.import --csv --skip 1 movies.csv movies_csv
.import --csv --skip 1 ratings.csv ratings_csv

-- "Toy Story (1995)" is a title and a year. A few have no year, or spaces around.
INSERT OR REPLACE INTO movies(movieId, title, year, genres)
SELECT movieId,
       CASE WHEN dated THEN trim(substr(trim(title), 1, length(trim(title)) - 6)) ELSE trim(title) END,
       CASE WHEN dated THEN CAST(substr(trim(title), -5, 4) AS INTEGER) END,
       nullif(genres, '(no genres listed)')
  FROM (SELECT rowid AS id, *, trim(title) GLOB '*([0-9][0-9][0-9][0-9])' AS dated FROM movies_csv
         WHERE typeof(movieId) = 'integer' AND title IS NOT NULL)
 ORDER BY id;

-- Of a pair that comes twice, the newest stays. Rows in the order of the key make the table fast to build.
INSERT OR REPLACE INTO ratings(userId, movieId, rating, timestamp)
SELECT userId, movieId, rating, CASE WHEN typeof(timestamp) = 'integer' THEN timestamp END
  FROM ratings_csv
 WHERE typeof(userId) = 'integer' AND typeof(movieId) = 'integer' AND typeof(rating) = 'real'
 ORDER BY 1, 2, 4, rowid;

-- MovieLens has no names, on purpose.
INSERT INTO users(userId, name) SELECT DISTINCT userId, 'viewer ' || userId FROM ratings;

SELECT 'movies.csv' AS file, count(*) AS "rows read", count(*) FILTER (WHERE NOT valid) AS "without a user or item",
       NULL AS "without a rating", count(*) FILTER (WHERE valid) - (SELECT count(*) FROM movies) AS duplicates,
       (SELECT count(*) FROM movies) AS kept
  FROM (SELECT typeof(movieId) = 'integer' AND title IS NOT NULL AS valid FROM movies_csv)
 UNION ALL
SELECT 'ratings.csv', count(*), count(*) FILTER (WHERE NOT id), count(*) FILTER (WHERE id AND NOT rated),
       count(*) FILTER (WHERE id AND rated) - (SELECT count(*) FROM ratings), (SELECT count(*) FROM ratings)
  FROM (SELECT typeof(userId) = 'integer' AND typeof(movieId) = 'integer' AS id, typeof(rating) = 'real' AS rated
          FROM ratings_csv);

DROP TABLE movies_csv;
DROP TABLE ratings_csv;
COMMIT;
