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

-- The columns' types turn the text of the files into numbers; `--csv` takes care of quotes and of CR LF.
CREATE TABLE movies_csv(movieId INTEGER, title TEXT, genres TEXT);
.import --csv --skip 1 movies.csv movies_csv
.import --csv --skip 1 ratings.csv ratings

-- "Toy Story (1995)" is a title and a year. A few have no year, or spaces around.
INSERT INTO movies(movieId, title, year, genres)
SELECT movieId,
       CASE WHEN dated THEN trim(substr(trim(title), 1, length(trim(title)) - 6)) ELSE trim(title) END,
       CASE WHEN dated THEN CAST(substr(trim(title), -5, 4) AS INTEGER) END,
       nullif(genres, '(no genres listed)')
  FROM (SELECT *, trim(title) GLOB '*([0-9][0-9][0-9][0-9])' AS dated FROM movies_csv);
DROP TABLE movies_csv;

-- MovieLens has no names, on purpose.
INSERT INTO users(userId, name) SELECT DISTINCT userId, 'viewer ' || userId FROM ratings;

COMMIT;
