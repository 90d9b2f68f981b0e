-- Amazon's 5-core reviews of 2014 (https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html) when somebody has made
-- CSV of them, with the header reviewerID,asin,overall,unixReviewTime,summary,reviewText, into reviews with those
-- columns. The JSON lines that they come as: import_amazon_reviews_json.sql.
--
-- Run in the folder that holds the file as reviews.csv (a symbolic link will do, or edit the .import line), in the
-- sqlite3 shell; with -bail it stops at the first error, and nothing is stored:
--
--     $ sqlite3 -bail
--     sqlite> .open reviews.db
--     sqlite> .cd path/to/the/data
--     sqlite> .read /path/to/sql/import_amazon_reviews.sql

BEGIN;

CREATE TABLE reviews(reviewerID TEXT NOT NULL, asin TEXT NOT NULL, overall REAL NOT NULL, unixReviewTime INTEGER,
                     summary TEXT, reviewText TEXT, PRIMARY KEY (reviewerID, asin));

-- The columns' types turn text into numbers; what is none stays text. `--csv` takes care of quotes and of the line
-- ends within them.
CREATE TEMP TABLE reviews_csv(reviewerID TEXT, asin TEXT, overall REAL, unixReviewTime INTEGER, summary TEXT,
                              reviewText TEXT);
.mode list
.mode box
.import --csv --skip 1 reviews.csv reviews_csv

-- Of a customer's reviews of a product, the newest stays.
INSERT OR REPLACE INTO reviews
SELECT reviewerID, asin, overall, CASE WHEN typeof(unixReviewTime) = 'integer' THEN unixReviewTime END, summary,
       reviewText
  FROM reviews_csv
 WHERE reviewerID <> '' AND asin <> '' AND typeof(overall) = 'real'
 ORDER BY 4, rowid;

SELECT count(*) AS "rows read",
       count(*) FILTER (WHERE NOT id) AS "without a user or item",
       count(*) FILTER (WHERE id AND NOT rated) AS "without a rating",
       count(*) FILTER (WHERE id AND rated) - (SELECT count(*) FROM reviews) AS duplicates,
       (SELECT count(*) FROM reviews) AS kept
  FROM (SELECT ifnull(reviewerID <> '' AND asin <> '', 0) AS id, typeof(overall) = 'real' AS rated FROM reviews_csv);

DROP TABLE reviews_csv;
COMMIT;
