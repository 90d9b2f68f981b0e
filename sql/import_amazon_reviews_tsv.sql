-- Amazon's customer reviews, TSV (amazon_reviews_us_*_v1_00.tsv, of the Amazon Customer Reviews Dataset), into
-- reviews(customer_id, product_id, star_rating, review_date, helpful_votes, total_votes, vine, verified_purchase,
-- review_id, review_headline, review_body) and products(product_id, product_parent, product_title, product_category).
--
-- Run in the folder that holds the file as reviews.tsv (a symbolic link will do, or edit the .import line), in the
-- sqlite3 shell; with -bail it stops at the first error, and nothing is stored:
--
--     $ sqlite3 -bail
--     sqlite> .open reviews.db
--     sqlite> .cd path/to/the/data
--     sqlite> .read /path/to/sql/import_amazon_reviews_tsv.sql
--
-- As much room as the file takes is needed in the folder for temporary files (SQLITE_TMPDIR, else /var/tmp or /tmp).

BEGIN;

CREATE TABLE reviews(customer_id INTEGER NOT NULL, product_id TEXT NOT NULL, star_rating REAL NOT NULL, review_date TEXT,
                     helpful_votes INTEGER, total_votes INTEGER, vine TEXT, verified_purchase TEXT, review_id TEXT,
                     review_headline TEXT, review_body TEXT);
CREATE TABLE products(product_id TEXT PRIMARY KEY NOT NULL, product_parent INTEGER, product_title TEXT,
                      product_category TEXT);

-- The mode "ascii" is the one in which .import knows no quotes: here they are text, and many come alone. A line with
-- too few fields is reported, and filled up with NULL; a line that begins with a TAB is reported and passed over.
CREATE TEMP TABLE reviews_tsv(
  marketplace TEXT, customer_id INTEGER, review_id TEXT, product_id TEXT, product_parent INTEGER, product_title TEXT,
  product_category TEXT, star_rating REAL, helpful_votes INTEGER, total_votes INTEGER, vine TEXT, verified_purchase TEXT,
  review_headline TEXT, review_body TEXT, review_date TEXT);
.mode ascii
.separator "\t" "\n"
.import --skip 1 reviews.tsv reviews_tsv
.mode list
.mode box

-- Of a customer's reviews of a product, the newest stays. Only the short columns are sorted, to find the others.
CREATE TEMP TABLE reviews_older(id INTEGER PRIMARY KEY);
INSERT INTO reviews_older
SELECT id
  FROM (SELECT rowid AS id, row_number() OVER (PARTITION BY customer_id, product_id
                                               ORDER BY rtrim(review_date, char(13)) DESC, rowid DESC) AS nth
          FROM reviews_tsv
         WHERE customer_id <> '' AND product_id <> '' AND typeof(star_rating) = 'real')
 WHERE nth > 1;

-- The last field has the CR of a file with CR LF.
INSERT INTO reviews
SELECT customer_id, product_id, star_rating, rtrim(review_date, char(13)), helpful_votes, total_votes, vine,
       verified_purchase, review_id, review_headline, review_body
  FROM reviews_tsv
 WHERE customer_id <> '' AND product_id <> '' AND typeof(star_rating) = 'real'
   AND rowid NOT IN (SELECT id FROM reviews_older)
 ORDER BY rowid;

-- An index is built faster at the end than row by row.
CREATE UNIQUE INDEX reviews_customer_product ON reviews(customer_id, product_id);

-- A product is as its last line has it.
INSERT INTO products
SELECT product_id, product_parent, product_title, product_category
  FROM reviews_tsv
 WHERE rowid IN (SELECT max(rowid) FROM reviews_tsv WHERE product_id <> '' GROUP BY product_id);

SELECT count(*) AS "rows read",
       count(*) FILTER (WHERE NOT id) AS "without a user or item",
       count(*) FILTER (WHERE id AND NOT rated) AS "without a rating",
       (SELECT count(*) FROM reviews_older) AS duplicates,
       (SELECT count(*) FROM reviews) AS kept,
       (SELECT count(*) FROM products) AS products
  FROM (SELECT ifnull(customer_id <> '' AND product_id <> '', 0) AS id, typeof(star_rating) = 'real' AS rated
          FROM reviews_tsv);

DROP TABLE reviews_older;
DROP TABLE reviews_tsv;
COMMIT;
