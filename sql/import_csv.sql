-- Any CSV file into ratings(user, item, rating, timestamp): a row for each rating, count or event. Four places are to be
-- edited in a copy of this recipe; they are marked with the numbers 1 to 4 below, and as they stand they read
--
--     user_id,item_id,rating,timestamp
--
-- Run in the folder that holds the file as ratings.csv, in the sqlite3 shell; with -bail it stops at the first error,
-- and nothing is stored:
--
--     $ sqlite3 -bail
--     sqlite> .open ratings.db
--     sqlite> .cd path/to/the/data
--     sqlite> .read /path/to/sql/import_csv.sql
--
-- .open opens the database at once. A file named on the command line is opened at the first SQL: after .cd it would be
-- made in the folder of the data.

BEGIN;

-- 1. What ids are. INTEGER where they are numbers in your other tables, too, else TEXT: codes such as ISBNs lose zeros
--    as numbers. An id of another type is another id, and joins with nothing.
CREATE TABLE ratings(user INTEGER NOT NULL, item INTEGER NOT NULL, rating REAL NOT NULL, timestamp INTEGER,
                     PRIMARY KEY (user, item)) WITHOUT ROWID;
CREATE TEMP TABLE csv_typed(user INTEGER, item INTEGER, rating REAL, timestamp INTEGER);

-- 2. The separator: .separator ";" "\n" or .separator "\t" "\n". Quotes are those of CSV. A file in which they are text
--    is read by .mode ascii in place of .mode csv.
.mode csv
.separator "," "\n"

-- 3. The file. What is not UTF-8 goes through iconv: .import --schema temp "|iconv -f latin1 -t utf8 ratings.csv" csv_rows
--    The first line has the names of the columns: where there is none, CREATE TEMP TABLE csv_rows(a, b, …) comes before.
.import --schema temp ratings.csv csv_rows
.mode list
.mode box

-- 4. The columns, as the file calls them: [User-ID] where there are other characters than letters, digits and _.
--    Events without a rating count 1 each: 1 AS rating. replace(rating, ',', '.') reads 4,5. Without times: NULL.
INSERT INTO csv_typed(user, item, rating, timestamp)
SELECT user_id AS user,
       item_id AS item,
       rating AS rating,
       timestamp AS timestamp
  FROM csv_rows;

-- Dates (2024-12-31 23:59:59) become Unix times.
UPDATE csv_typed SET timestamp = unixepoch(timestamp) WHERE typeof(timestamp) = 'text';

-- Of a pair that comes twice, the newest rating stays. Counts and events add up instead: take the other line. They are
-- what mf_train('ratings', 32, '{"algorithm": "ials"}') is for.
INSERT INTO ratings(user, item, rating, timestamp)
SELECT user, item, rating, timestamp
  FROM csv_typed
 WHERE user <> '' AND item <> '' AND typeof(rating) = 'real'
 ORDER BY user, item, timestamp, rowid
    ON CONFLICT DO UPDATE SET timestamp = excluded.timestamp,
       rating = excluded.rating
    -- rating = rating + excluded.rating
;

SELECT count(*) AS "rows read",
       count(*) FILTER (WHERE NOT id) AS "without a user or item",
       count(*) FILTER (WHERE id AND NOT rated) AS "without a rating",
       count(*) FILTER (WHERE id AND rated) - (SELECT count(*) FROM ratings) AS duplicates,
       (SELECT count(*) FROM ratings) AS kept
  FROM (SELECT ifnull(user <> '' AND item <> '', 0) AS id, typeof(rating) = 'real' AS rated FROM csv_typed);

DROP TABLE csv_rows;
DROP TABLE csv_typed;
COMMIT;
