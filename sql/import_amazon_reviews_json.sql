-- Amazon's reviews of 2014 and 2018 (reviews_Musical_Instruments_5.json and its sisters, one JSON object a line:
-- https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html) into reviews(reviewerID, asin, overall, unixReviewTime,
-- summary, reviewText, reviewerName, helpful_votes, total_votes).
--
-- Run in the folder that holds the file as reviews.json (a symbolic link will do, or edit the .import line), in the
-- sqlite3 shell; with -bail it stops at the first error, and nothing is stored:
--
--     $ sqlite3 -bail
--     sqlite> .open reviews.db
--     sqlite> .cd path/to/the/data
--     sqlite> .read /path/to/sql/import_amazon_reviews_json.sql

BEGIN;

CREATE TABLE reviews(reviewerID TEXT NOT NULL, asin TEXT NOT NULL, overall REAL NOT NULL, unixReviewTime INTEGER,
                     summary TEXT, reviewText TEXT, reviewerName TEXT, helpful_votes INTEGER, total_votes INTEGER,
                     PRIMARY KEY (reviewerID, asin));

-- The mode "ascii" is the one in which .import knows no quotes, and the column separator is a character that no JSON
-- may contain: so a column gets a whole line, whatever is in it. Empty lines are passed over.
CREATE TEMP TABLE reviews_line(line TEXT);
.mode ascii
.separator "\037" "\n"
.import reviews.json reviews_line
.mode list
.mode box

-- To .import, an empty line with CR LF is not empty. A byte order mark is not JSON. What isn't an object can't be read;
-- NULL, unlike malformed JSON, is no error below.
DELETE FROM reviews_line WHERE line = char(13);
UPDATE reviews_line SET line = ltrim(line, char(0xFEFF)) WHERE rowid = 1;
UPDATE reviews_line SET line = NULL WHERE NOT CASE WHEN json_valid(line) THEN json_type(line) = 'object' ELSE 0 END;

-- The columns' types turn text into numbers; what is none stays text.
CREATE TEMP TABLE reviews_json(reviewerID TEXT, asin TEXT, overall REAL, unixReviewTime INTEGER, summary TEXT,
                               reviewText TEXT, reviewerName TEXT, helpful_votes INTEGER, total_votes INTEGER);
INSERT INTO reviews_json
SELECT line ->> 'reviewerID', line ->> 'asin', line ->> 'overall', line ->> 'unixReviewTime', line ->> 'summary',
       line ->> 'reviewText', line ->> 'reviewerName', line ->> '$.helpful[0]', line ->> '$.helpful[1]'
  FROM reviews_line
 WHERE line IS NOT NULL
 ORDER BY rowid;

-- Of a customer's reviews of a product, the newest stays.
INSERT OR REPLACE INTO reviews
SELECT reviewerID, asin, overall, CASE WHEN typeof(unixReviewTime) = 'integer' THEN unixReviewTime END, summary,
       reviewText, reviewerName, helpful_votes, total_votes
  FROM reviews_json
 WHERE reviewerID <> '' AND asin <> '' AND typeof(overall) = 'real'
 ORDER BY 4, rowid;

SELECT (SELECT count(*) FROM reviews_line) AS "lines read",
       (SELECT count(*) - count(line) FROM reviews_line) AS malformed,
       count(*) FILTER (WHERE NOT id) AS "without a user or item",
       count(*) FILTER (WHERE id AND NOT rated) AS "without a rating",
       count(*) FILTER (WHERE id AND rated) - (SELECT count(*) FROM reviews) AS duplicates,
       (SELECT count(*) FROM reviews) AS kept
  FROM (SELECT ifnull(reviewerID <> '' AND asin <> '', 0) AS id, typeof(overall) = 'real' AS rated FROM reviews_json);

DROP TABLE reviews_json;
DROP TABLE reviews_line;
COMMIT;
