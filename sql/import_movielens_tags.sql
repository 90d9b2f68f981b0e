-- What else MovieLens has as CSV (ml-latest-small, ml-latest, ml-25m: https://grouplens.org/datasets/movielens):
-- tags(userId, movieId, tag, timestamp), and links(movieId, imdbId, tmdbId) to other catalogues. import_movielens.sql
-- brings films and ratings.
--
-- Run in the folder that holds tags.csv and links.csv, in the sqlite3 shell; with -bail it stops at the first error,
-- and nothing is stored:
--
--     $ sqlite3 -bail
--     sqlite> .open movies.db
--     sqlite> .cd path/to/ml-latest-small
--     sqlite> .read /path/to/sql/import_movielens_tags.sql

BEGIN;

-- The zeros that an imdbId begins with are part of it.
CREATE TABLE links(movieId INTEGER PRIMARY KEY, imdbId TEXT, tmdbId INTEGER);
CREATE TABLE tags(userId INTEGER NOT NULL, movieId INTEGER NOT NULL, tag TEXT NOT NULL, timestamp INTEGER,
                  PRIMARY KEY (userId, movieId, tag));

CREATE TEMP TABLE links_csv(movieId INTEGER, imdbId TEXT, tmdbId INTEGER);
CREATE TEMP TABLE tags_csv(userId INTEGER, movieId INTEGER, tag TEXT, timestamp INTEGER);
.mode list
.mode box
.import --csv --skip 1 links.csv links_csv
.import --csv --skip 1 tags.csv tags_csv

INSERT OR REPLACE INTO links(movieId, imdbId, tmdbId)
SELECT movieId, nullif(imdbId, ''), nullif(tmdbId, '')
  FROM links_csv
 WHERE typeof(movieId) = 'integer'
 ORDER BY rowid;

-- Of a tag that comes twice, the newest stays.
INSERT OR REPLACE INTO tags(userId, movieId, tag, timestamp)
SELECT userId, movieId, tag, CASE WHEN typeof(timestamp) = 'integer' THEN timestamp END
  FROM tags_csv
 WHERE typeof(userId) = 'integer' AND typeof(movieId) = 'integer' AND tag <> ''
 ORDER BY 4, rowid;

SELECT 'links.csv' AS file, count(*) AS "rows read", count(*) FILTER (WHERE NOT id) AS "without a user or item",
       NULL AS "without a tag", count(*) FILTER (WHERE id) - (SELECT count(*) FROM links) AS duplicates,
       (SELECT count(*) FROM links) AS kept
  FROM (SELECT typeof(movieId) = 'integer' AS id FROM links_csv)
 UNION ALL
SELECT 'tags.csv', count(*), count(*) FILTER (WHERE NOT id), count(*) FILTER (WHERE id AND NOT tagged),
       count(*) FILTER (WHERE id AND tagged) - (SELECT count(*) FROM tags), (SELECT count(*) FROM tags)
  FROM (SELECT typeof(userId) = 'integer' AND typeof(movieId) = 'integer' AS id, ifnull(tag <> '', 0) AS tagged
          FROM tags_csv);

DROP TABLE links_csv;
DROP TABLE tags_csv;
COMMIT;
