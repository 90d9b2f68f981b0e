-- Amazon's ratings without text, CSV, into ratings(user_id, parent_asin, rating, timestamp):
--
--   2023  user_id,parent_asin,rating,timestamp, with that header, milliseconds (https://amazon-reviews-2023.github.io)
--   2014  user,item,rating,timestamp, no header, seconds (https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html)
--   2018  item,user,rating,timestamp, no header, seconds: swap the first two columns of ratings_csv below
--
-- Run in the folder that holds the file as ratings.csv (a symbolic link will do, or edit the .import line), in the
-- sqlite3 shell; with -bail it stops at the first error, and nothing is stored:
--
--     $ sqlite3 -bail
--     sqlite> .open ratings.db
--     sqlite> .cd path/to/the/data
--     sqlite> .read /path/to/sql/import_amazon_ratings.sql

BEGIN;

-- The key is most of the row: without a rowid it is stored once, not twice.
CREATE TABLE ratings(user_id TEXT NOT NULL, parent_asin TEXT NOT NULL, rating REAL NOT NULL, timestamp INTEGER,
                     PRIMARY KEY (user_id, parent_asin)) WITHOUT ROWID;

-- The columns' types turn text into numbers; what is none stays text.
CREATE TEMP TABLE ratings_csv(user_id TEXT, parent_asin TEXT, rating REAL, timestamp INTEGER);
.mode list
.mode box
.import --csv ratings.csv ratings_csv
DELETE FROM ratings_csv WHERE rowid = 1 AND rating = 'rating';

-- Of a pair that comes twice, the newest stays. Rows in the order of the key make the table fast to build.
INSERT OR REPLACE INTO ratings(user_id, parent_asin, rating, timestamp)
SELECT user_id, parent_asin, rating, CASE WHEN typeof(timestamp) = 'integer' THEN timestamp END
  FROM ratings_csv
 WHERE user_id <> '' AND parent_asin <> '' AND typeof(rating) = 'real'
 ORDER BY 1, 2, 4, rowid;

SELECT count(*) AS "rows read",
       count(*) FILTER (WHERE NOT id) AS "without a user or item",
       count(*) FILTER (WHERE id AND NOT rated) AS "without a rating",
       count(*) FILTER (WHERE id AND rated) - (SELECT count(*) FROM ratings) AS duplicates,
       (SELECT count(*) FROM ratings) AS kept
  FROM (SELECT ifnull(user_id <> '' AND parent_asin <> '', 0) AS id, typeof(rating) = 'real' AS rated FROM ratings_csv);

DROP TABLE ratings_csv;
COMMIT;
