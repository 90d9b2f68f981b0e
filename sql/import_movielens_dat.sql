-- MovieLens 1M and 10M (movies.dat, users.dat, ratings.dat, with "::" between fields:
-- https://grouplens.org/datasets/movielens) into the tables of the demo: movies(movieId, title, year, genres),
-- users(userId, name, gender, age, occupation, zip), ratings(userId, movieId, rating, timestamp).
--
-- Run in the folder that holds the files, in the sqlite3 shell; with -bail it stops at the first error, and nothing is
-- stored. 10M has no users.dat: make an empty one.
--
--     $ sqlite3 -bail
--     sqlite> .open movies.db
--     sqlite> .cd path/to/ml-1m
--     sqlite> .read /path/to/sql/import_movielens_dat.sql

BEGIN;

CREATE TABLE movies(movieId INTEGER PRIMARY KEY, title TEXT NOT NULL, year INTEGER, genres TEXT);
CREATE TABLE users(userId INTEGER PRIMARY KEY, name TEXT NOT NULL, gender TEXT, age INTEGER, occupation INTEGER,
                   zip TEXT);
CREATE TABLE ratings(userId INTEGER NOT NULL, movieId INTEGER NOT NULL, rating REAL NOT NULL, timestamp INTEGER,
                     PRIMARY KEY (userId, movieId));

-- A separator of .import is one character. Two colons are two separators with nothing between, which will do where no
-- text has a colon; films are read as whole lines. In the mode "ascii", .import knows no quotes: some titles have one.
CREATE TEMP TABLE ratings_dat(userId INTEGER, a, movieId INTEGER, b, rating REAL, c, timestamp INTEGER);
CREATE TEMP TABLE users_dat(userId INTEGER, a, gender TEXT, b, age INTEGER, c, occupation INTEGER, d, zip TEXT);
CREATE TEMP TABLE movies_dat(line TEXT);
.mode ascii
.separator ":" "\n"
.import ratings.dat ratings_dat
.import users.dat users_dat
.separator "\037" "\n"
.import movies.dat movies_dat
.mode list
.mode box

-- 1M is Latin-1, 10M is UTF-8. A line is not UTF-8 if its characters, put together again, are not the line. The bytes of
-- Latin-1 are the first 256 characters of Unicode.
UPDATE movies_dat SET line = rtrim(line, char(13));
UPDATE movies_dat
   SET line = (WITH RECURSIVE latin1(i, text) AS (
                 SELECT 1, ''
                 UNION ALL
                 SELECT i + 2, text || char(16 * instr('123456789ABCDEF', substr(hex(line), i, 1))
                                            + instr('123456789ABCDEF', substr(hex(line), i + 1, 1)))
                   FROM latin1 WHERE i < length(hex(line)))
               SELECT text FROM latin1 ORDER BY i DESC LIMIT 1)
 WHERE line GLOB '*[^' || char(1) || '-' || char(127) || ']*'
   AND line <> (WITH RECURSIVE utf8(i, text) AS (
                  SELECT 1, ''
                  UNION ALL
                  SELECT i + 1, text || char(unicode(substr(line, i, 1))) FROM utf8 WHERE i <= length(line))
                SELECT text FROM utf8 ORDER BY i DESC LIMIT 1);

-- A title may have colons, even two in a row; ids and genres don't. So the id goes up to the first "::", and the genres
-- begin behind the last: rtrim() takes all that is no colon from the end. "Toy Story (1995)" is a title and a year.
INSERT OR REPLACE INTO movies(movieId, title, year, genres)
SELECT movieId,
       CASE WHEN dated THEN trim(substr(title, 1, length(title) - 6)) ELSE title END,
       CASE WHEN dated THEN CAST(substr(title, -5, 4) AS INTEGER) END,
       nullif(nullif(genres, '(no genres listed)'), '')
  FROM (SELECT *, title GLOB '*([0-9][0-9][0-9][0-9])' AS dated
          FROM (SELECT id, CAST(substr(line, 1, first - 1) AS INTEGER) AS movieId,
                       trim(substr(line, first + 2, last - first - 3)) AS title, substr(line, last + 1) AS genres
                  FROM (SELECT rowid AS id, line, instr(line, '::') AS first,
                               length(rtrim(line, replace(line, ':', ''))) AS last
                          FROM movies_dat
                         WHERE line GLOB '[0-9]*::*::*')))
 ORDER BY id;

-- Of a pair that comes twice, the newest stays. Rows in the order of the key make the table fast to build.
INSERT OR REPLACE INTO ratings(userId, movieId, rating, timestamp)
SELECT userId, movieId, rating, CASE WHEN typeof(timestamp) = 'integer' THEN timestamp END
  FROM ratings_dat
 WHERE typeof(userId) = 'integer' AND typeof(movieId) = 'integer' AND typeof(rating) = 'real'
 ORDER BY 1, 2, 4, rowid;

-- MovieLens has no names, on purpose. Age and occupation are the codes of its README.
INSERT OR REPLACE INTO users(userId, name, gender, age, occupation, zip)
SELECT userId, 'viewer ' || userId, gender, age, occupation, rtrim(zip, char(13))
  FROM (SELECT DISTINCT userId FROM ratings UNION SELECT userId FROM users_dat WHERE typeof(userId) = 'integer')
       LEFT JOIN users_dat USING (userId)
 ORDER BY users_dat.rowid;

SELECT 'movies.dat' AS file, count(*) AS "rows read", count(*) FILTER (WHERE NOT valid) AS "without a user or item",
       NULL AS "without a rating", count(*) FILTER (WHERE valid) - (SELECT count(*) FROM movies) AS duplicates,
       (SELECT count(*) FROM movies) AS kept
  FROM (SELECT line GLOB '[0-9]*::*::*' AS valid FROM movies_dat)
 UNION ALL
SELECT 'users.dat', count(*), count(*) FILTER (WHERE typeof(userId) <> 'integer'), NULL,
       count(*) FILTER (WHERE typeof(userId) = 'integer')
         - count(DISTINCT userId) FILTER (WHERE typeof(userId) = 'integer'),
       count(DISTINCT userId) FILTER (WHERE typeof(userId) = 'integer')
  FROM users_dat
 UNION ALL
SELECT 'ratings.dat', count(*), count(*) FILTER (WHERE NOT id), count(*) FILTER (WHERE id AND NOT rated),
       count(*) FILTER (WHERE id AND rated) - (SELECT count(*) FROM ratings), (SELECT count(*) FROM ratings)
  FROM (SELECT typeof(userId) = 'integer' AND typeof(movieId) = 'integer' AS id, typeof(rating) = 'real' AS rated
          FROM ratings_dat);

DROP TABLE movies_dat;
DROP TABLE users_dat;
DROP TABLE ratings_dat;
COMMIT;
