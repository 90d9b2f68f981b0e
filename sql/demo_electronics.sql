-- A file of made-up reviews, in the format of Amazon's customer reviews (TSV): reviews.tsv in the current
-- folder, the same on every machine, to be read by import_amazon_reviews_tsv.sql.
--
--     $ sqlite3
--     sqlite> .parameter set :reviews 3000000
--     sqlite> .read path/to/sql/demo_electronics.sql
--
-- Without :reviews there are 100,000. 3,000,000 reviews are of 185,000 products by 2.1 million customers: about seven in
-- ten reviews are the only one of their customer; 300,000 customers come again, the keenest hundreds of times; a product
-- has 16 reviews on average, the best known ten thousand.
--
-- What is hidden in it for a recommender to find: everyone who comes again has one of eight interests, six in ten of
-- their reviews are of its products, and those they rate higher; some products are better, some customers kinder. And
-- for an analyst: one review in a thousand has no rating, as many are a second opinion on the same product, and some
-- lines stand in the file twice.
--
-- Chance comes from arithmetic: x → x⁵ modulo the prime 2³¹ − 1 is a permutation that looks random and stays within 64
-- bits. Each kind of number takes its x from another multiple of the line's number.

.headers off
.mode list
.separator "\t" "\n"
.output reviews.tsv
SELECT 'marketplace', 'customer_id', 'review_id', 'product_id', 'product_parent', 'product_title', 'product_category',
       'star_rating', 'helpful_votes', 'total_votes', 'vine', 'verified_purchase', 'review_headline', 'review_body',
       'review_date';

-- LIMIT -1 keeps SQLite from putting an expression where its name stands, and working it out several times.
WITH RECURSIVE
  total(reviews) AS (SELECT CAST(coalesce(:reviews, 100000) AS INTEGER)),
  number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number, total WHERE n < reviews),
  -- n: the line; said: whose opinion it is; about: who speaks of what. They differ where something comes twice.
  line(n, said, about) AS (
    SELECT n, n - (n % 1499 = 0), n - (n % 1499 = 0 OR n % 997 = 0) FROM number WHERE n > 0 LIMIT -1),
  seeds(n, said, about, x1, x2, x3, x4, x5) AS (
    SELECT n, said, about, about * 48271 % 2147483647, about * 69621 % 2147483647, about * 39373 % 2147483647,
           said * 40692 % 2147483647, said * 16807 % 2147483647
      FROM line LIMIT -1),
  dice(n, said, about, a, b, c, d, e) AS (
    SELECT n, said, about,
           (x1 * x1 % 2147483647) * (x1 * x1 % 2147483647) % 2147483647 * x1 % 2147483647 / 2147483647.0,
           (x2 * x2 % 2147483647) * (x2 * x2 % 2147483647) % 2147483647 * x2 % 2147483647 / 2147483647.0,
           (x3 * x3 % 2147483647) * (x3 * x3 % 2147483647) % 2147483647 * x3 % 2147483647 / 2147483647.0,
           (x4 * x4 % 2147483647) * (x4 * x4 % 2147483647) % 2147483647 * x4 % 2147483647 / 2147483647.0,
           (x5 * x5 % 2147483647) * (x5 * x5 % 2147483647) % 2147483647 * x5 % 2147483647 / 2147483647.0
      FROM seeds LIMIT -1),
  -- Customers 0 … reviews / 10 come again, the first ones most often; others are new with every line.
  who(n, said, again, customer, place, c, d, e) AS (
    SELECT n, said, a < 0.4,
           CASE WHEN a < 0.4 THEN CAST(reviews / 10 * (a / 0.4) * (a / 0.4) AS INTEGER) ELSE reviews + about END,
           CAST(reviews / 16.2 * b * b * (0.4 + 0.6 * b) AS INTEGER), c, d, e
      FROM dice, total LIMIT -1),
  -- Product p belongs to the interest p % 8.
  what(n, said, customer, product, likes, c, d, e) AS (
    SELECT n, said, customer,
           CASE WHEN again AND c < 0.6 THEN place - place % 8 + customer * 5 % 8 ELSE place END,
           CASE WHEN again THEN customer * 5 % 8 END, c, d, e
      FROM who LIMIT -1),
  -- Stars: how good the product is, how kind the customer, whether it is of their interest; and mood.
  opinion(n, said, customer, product, stars, c, d, e) AS (
    SELECT n, said, customer, product,
           max(1, min(5, CAST(4.2 + (product * 7919 % 101 - 50) / 45.0 + (customer * 6007 % 97 - 48) / 70.0
                              + CASE WHEN likes IS NULL THEN 0 WHEN likes = product % 8 THEN 0.7 ELSE -0.8 END
                              + 2.4 * (d - 0.5) + 0.5 AS INTEGER))), c, d, e
      FROM what LIMIT -1)
SELECT 'US', 10000000 + customer * 7, printf('R%012X', 7 * said + 100000), printf('B%09X', product * 1447 + 100000),
       product * 613 % 999999937 + 1,
       CASE product / 8 % 4 WHEN 0 THEN 'Alder' WHEN 1 THEN 'Brightwater' WHEN 2 THEN 'Cobalt' ELSE 'Dunmore' END || ' '
         || CASE product % 8
              WHEN 0 THEN 'Headphones' WHEN 1 THEN 'Camera Bag' WHEN 2 THEN (20 + product % 13) || '" Monitor'
              WHEN 3 THEN 'USB Cable' WHEN 4 THEN 'Wireless Router' WHEN 5 THEN 'Turntable' WHEN 6 THEN 'Car Charger'
              ELSE 'E-Reader Sleeve' END
         || ' ' || product,
       'Electronics', CASE WHEN said % 1013 = 0 THEN '' ELSE stars END,
       CAST(6 * e * e * e AS INTEGER), CAST(6 * e * e * e + 2 * d AS INTEGER), 'N', CASE WHEN e < 0.85 THEN 'Y' ELSE 'N' END,
       CASE stars WHEN 1 THEN 'One Star' WHEN 2 THEN 'Two Stars' WHEN 3 THEN 'Three Stars' WHEN 4 THEN 'Four Stars'
         ELSE 'Five Stars' END,
       CASE stars WHEN 1 THEN 'Broke within a week.' WHEN 2 THEN 'Not what I had hoped for.' WHEN 3 THEN 'It''s "okay".'
         WHEN 4 THEN 'Works well, good value.' ELSE 'Love it!' END,
       date(2451545 + CAST(5700 * e * (2 - e) AS INTEGER))
  FROM opinion;
.output stdout
.mode box
.headers on
