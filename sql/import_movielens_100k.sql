-- MovieLens 100K (u.item, u.user, u.data: https://grouplens.org/datasets/movielens) into the tables of the demo:
-- movies(movieId, title, year, genres), users(userId, name, age, gender, occupation, zip), ratings(userId, movieId,
-- rating, timestamp).
--
-- Run in the folder that holds the files, in the sqlite3 shell; with -bail it stops at the first error, and nothing is
-- stored:
--
--     $ sqlite3 -bail
--     sqlite> .open movies.db
--     sqlite> .cd path/to/ml-100k
--     sqlite> .read /path/to/sql/import_movielens_100k.sql

BEGIN;

CREATE TABLE movies(movieId INTEGER PRIMARY KEY, title TEXT NOT NULL, year INTEGER, genres TEXT);
CREATE TABLE users(userId INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER, gender TEXT, occupation TEXT, zip TEXT);
CREATE TABLE ratings(userId INTEGER NOT NULL, movieId INTEGER NOT NULL, rating REAL NOT NULL, timestamp INTEGER,
                     PRIMARY KEY (userId, movieId));

-- In the mode "ascii", .import knows no quotes: some titles have one.
CREATE TEMP TABLE u_item(
  movieId INTEGER, title TEXT, released TEXT, video TEXT, url TEXT, unknown, action, adventure, animation, children,
  comedy, crime, documentary, drama, fantasy, noir, horror, musical, mystery, romance, scifi, thriller, war, western);
CREATE TEMP TABLE u_user(userId INTEGER, age INTEGER, gender TEXT, occupation TEXT, zip TEXT);
CREATE TEMP TABLE u_data(userId INTEGER, movieId INTEGER, rating REAL, timestamp INTEGER);
.mode ascii
.separator "|" "\n"
.import u.item u_item
.import u.user u_user
.separator "\t" "\n"
.import u.data u_data
.mode list
.mode box

-- The titles are Latin-1, unless somebody has made UTF-8 of them: a text is not UTF-8 if its characters, put together
-- again, are not the text. The bytes of Latin-1 are the first 256 characters of Unicode.
UPDATE u_item
   SET title = (WITH RECURSIVE latin1(i, text) AS (
                  SELECT 1, ''
                  UNION ALL
                  SELECT i + 2, text || char(16 * instr('123456789ABCDEF', substr(hex(title), i, 1))
                                             + instr('123456789ABCDEF', substr(hex(title), i + 1, 1)))
                    FROM latin1 WHERE i < length(hex(title)))
                SELECT text FROM latin1 ORDER BY i DESC LIMIT 1)
 WHERE title GLOB '*[^' || char(1) || '-' || char(127) || ']*'
   AND title <> (WITH RECURSIVE utf8(i, text) AS (
                   SELECT 1, ''
                   UNION ALL
                   SELECT i + 1, text || char(unicode(substr(title, i, 1))) FROM utf8 WHERE i <= length(title))
                 SELECT text FROM utf8 ORDER BY i DESC LIMIT 1);

-- "Toy Story (1995)" is a title and a year; of a title without one, the year of release. A genre is a column of 0 and 1
-- (compared as numbers: the last has the CR of a file with CR LF).
INSERT OR REPLACE INTO movies(movieId, title, year, genres)
SELECT movieId,
       CASE WHEN dated THEN trim(substr(trim(title), 1, length(trim(title)) - 6)) ELSE trim(title) END,
       CASE WHEN dated THEN CAST(substr(trim(title), -5, 4) AS INTEGER)
            WHEN released GLOB '*-[0-9][0-9][0-9][0-9]' THEN CAST(substr(released, -4) AS INTEGER) END,
       (SELECT group_concat(key, '|')
          FROM json_each(json_object('Action', action, 'Adventure', adventure, 'Animation', animation,
                 'Children''s', children, 'Comedy', comedy, 'Crime', crime, 'Documentary', documentary, 'Drama', drama,
                 'Fantasy', fantasy, 'Film-Noir', noir, 'Horror', horror, 'Musical', musical, 'Mystery', mystery,
                 'Romance', romance, 'Sci-Fi', scifi, 'Thriller', thriller, 'War', war, 'Western', western))
         WHERE CAST(value AS INTEGER) = 1)
  FROM (SELECT rowid AS id, *, trim(title) GLOB '*([0-9][0-9][0-9][0-9])' AS dated FROM u_item
         WHERE typeof(movieId) = 'integer' AND title IS NOT NULL)
 ORDER BY id;

-- Of a pair that comes twice, the newest stays. Rows in the order of the key make the table fast to build.
INSERT OR REPLACE INTO ratings(userId, movieId, rating, timestamp)
SELECT userId, movieId, rating, CASE WHEN typeof(timestamp) = 'integer' THEN timestamp END
  FROM u_data
 WHERE typeof(userId) = 'integer' AND typeof(movieId) = 'integer' AND typeof(rating) = 'real'
 ORDER BY 1, 2, 4, rowid;

-- MovieLens has no names, on purpose.
INSERT OR REPLACE INTO users(userId, name, age, gender, occupation, zip)
SELECT userId, 'viewer ' || userId, age, gender, occupation, rtrim(zip, char(13))
  FROM (SELECT DISTINCT userId FROM ratings UNION SELECT userId FROM u_user WHERE typeof(userId) = 'integer')
       LEFT JOIN u_user USING (userId)
 ORDER BY u_user.rowid;

SELECT 'u.item' AS file, count(*) AS "rows read", count(*) FILTER (WHERE NOT valid) AS "without a user or item",
       NULL AS "without a rating", count(*) FILTER (WHERE valid) - (SELECT count(*) FROM movies) AS duplicates,
       (SELECT count(*) FROM movies) AS kept
  FROM (SELECT typeof(movieId) = 'integer' AND title IS NOT NULL AS valid FROM u_item)
 UNION ALL
SELECT 'u.user', count(*), count(*) FILTER (WHERE NOT valid), NULL,
       count(*) FILTER (WHERE valid) - count(DISTINCT userId) FILTER (WHERE valid),
       count(DISTINCT userId) FILTER (WHERE valid)
  FROM (SELECT userId, typeof(userId) = 'integer' AS valid FROM u_user)
 UNION ALL
SELECT 'u.data', count(*), count(*) FILTER (WHERE NOT id), count(*) FILTER (WHERE id AND NOT rated),
       count(*) FILTER (WHERE id AND rated) - (SELECT count(*) FROM ratings), (SELECT count(*) FROM ratings)
  FROM (SELECT typeof(userId) = 'integer' AND typeof(movieId) = 'integer' AS id, typeof(rating) = 'real' AS rated
          FROM u_data);

DROP TABLE u_item;
DROP TABLE u_user;
DROP TABLE u_data;
COMMIT;
