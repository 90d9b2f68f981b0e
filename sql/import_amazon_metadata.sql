-- Amazon's product metadata of 2023 (meta_*.jsonl, one JSON object a line: https://amazon-reviews-2023.github.io) into
-- products(parent_asin, title, main_category, categories, price, average_rating, rating_number, store, features,
-- description, details, bought_together).
--
-- Run in the folder that holds the file as meta.jsonl (a symbolic link will do, or edit the .import line), in the
-- sqlite3 shell; with -bail it stops at the first error, and nothing is stored:
--
--     $ sqlite3 -bail
--     sqlite> .open products.db
--     sqlite> .cd path/to/the/data
--     sqlite> .read /path/to/sql/import_amazon_metadata.sql
--
-- categories, features and description are JSON arrays, details a JSON object, as in the file: json_each(features) has
-- a row for each. Pictures and films are left out: `line -> 'images'` in one more column keeps them.

BEGIN;

CREATE TABLE products(parent_asin TEXT PRIMARY KEY NOT NULL, title TEXT, main_category TEXT, categories TEXT, price REAL,
                      average_rating REAL, rating_number INTEGER, store TEXT, features TEXT, description TEXT,
                      details TEXT, bought_together TEXT);

-- The mode "ascii" is the one in which .import knows no quotes, and the column separator is a character that no JSON
-- may contain: so a column gets a whole line, whatever is in it. Empty lines are passed over.
CREATE TEMP TABLE meta_line(line TEXT);
.mode ascii
.separator "\037" "\n"
.import meta.jsonl meta_line
.mode list
.mode box

-- To .import, an empty line with CR LF is not empty. A byte order mark is not JSON. What isn't an object can't be read;
-- NULL, unlike malformed JSON, is no error below.
DELETE FROM meta_line WHERE line = char(13);
UPDATE meta_line SET line = ltrim(line, char(0xFEFF)) WHERE rowid = 1;
UPDATE meta_line SET line = NULL WHERE NOT CASE WHEN json_valid(line) THEN json_type(line) = 'object' ELSE 0 END;

-- Of a product that comes twice, the last line stays. A price is a number, or a text of many kinds: "$12.99",
-- "1,299.00", "from 5.99", "$5.99 - $7.99" (the lower one), "None", "—". A comma without three digits behind it
-- separates no thousands, and what the price would be is a guess: NULL.
INSERT OR REPLACE INTO products
SELECT line ->> 'parent_asin',
       line ->> 'title',
       line ->> 'main_category',
       nullif(line -> 'categories', 'null'),
       CASE json_type(line, '$.price')
         WHEN 'integer' THEN line ->> 'price'
         WHEN 'real' THEN line ->> 'price'
         WHEN 'text' THEN (
           SELECT CASE WHEN (price GLOB '[0-9]*' OR price GLOB '.[0-9]*')
                        AND (price NOT LIKE '%,%' OR substr(price, instr(price, ',')) GLOB ',[0-9][0-9][0-9]*')
                       THEN CAST(replace(price, ',', '') AS REAL) END
             FROM (SELECT ltrim(lower(line ->> 'price'), 'from $') AS price))
       END,
       CASE WHEN json_type(line, '$.average_rating') IN ('integer', 'real') THEN line ->> 'average_rating' END,
       CASE WHEN json_type(line, '$.rating_number') IN ('integer', 'real') THEN line ->> 'rating_number' END,
       line ->> 'store',
       nullif(line -> 'features', 'null'),
       nullif(line -> 'description', 'null'),
       nullif(line -> 'details', 'null'),
       nullif(line -> 'bought_together', 'null')
  FROM meta_line
 WHERE line ->> 'parent_asin' <> ''
 ORDER BY rowid;

SELECT count(*) AS "lines read",
       count(*) - count(line) AS malformed,
       count(line) - count(nullif(line ->> 'parent_asin', '')) AS "without an item",
       count(nullif(line ->> 'parent_asin', '')) - (SELECT count(*) FROM products) AS duplicates,
       (SELECT count(*) FROM products) AS kept
  FROM meta_line;

DROP TABLE meta_line;
COMMIT;
