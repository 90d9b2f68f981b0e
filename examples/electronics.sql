-- Reviews of electronics, from the first look at the file to a model that has been chosen on validation data: what is
-- in it, what is missing, what is there twice; train and test; neighbours of items and of users by Pearson; groups of
-- users; ALS by grid search; errors on the test part.
--
-- On Amazon's customer reviews (TSV), brought in by sql/import_amazon_reviews_tsv.sql, or on a made-up file in the same
-- format, 100,000 reviews or up to 3,000,000 by 2.1 million customers:
--
--     $ sqlite3 reviews.db
--     sqlite> .parameter set :reviews 100000
--     sqlite> .read sql/demo_electronics.sql
--     sqlite> .read sql/import_amazon_reviews_tsv.sql
--     sqlite> .read examples/electronics.sql

.load build/recommend
.mode box

.print
.print "What is there:  recommend_describe('reviews')"
SELECT "column", type, count, nulls, "distinct", round(mean, 3) AS mean, round(stddev, 3) AS stddev, min, max
  FROM recommend_describe('SELECT customer_id, product_id, star_rating, review_date FROM reviews');

.print
.print "Missing: reviews without a customer, product or rating. Twice: the same customer and product"
SELECT count(*) AS reviews,
       count(*) FILTER (WHERE customer_id IS NULL OR product_id IS NULL OR star_rating IS NULL) AS incomplete,
       count(*) - count(DISTINCT customer_id || ' ' || product_id) AS "more than once"
  FROM reviews;

.print
.print "How the stars are spread"
SELECT star_rating AS stars, count(*) AS reviews, printf('%.1f %%', 100.0 * count(*) / sum(count(*)) OVER ()) AS share
  FROM reviews GROUP BY star_rating ORDER BY star_rating;

.print
.print "Train and test, four to one, the same on every machine. Only customers with five reviews or more: of others there"
.print "is nothing to be learned, and nothing to be tested."
CREATE TEMP TABLE regulars AS
SELECT customer_id FROM reviews GROUP BY customer_id HAVING count(*) >= 5;
CREATE TABLE train AS
SELECT customer_id, product_id, star_rating FROM reviews
 WHERE customer_id IN (SELECT customer_id FROM regulars) AND recommend_split(42, customer_id, product_id) < 0.8;
CREATE TABLE test AS
SELECT customer_id, product_id, star_rating FROM reviews
 WHERE customer_id IN (SELECT customer_id FROM regulars) AND recommend_split(42, customer_id, product_id) >= 0.8;
SELECT (SELECT count(*) FROM regulars) AS customers, (SELECT count(*) FROM train) AS "to train",
       (SELECT count(*) FROM test) AS "to test";

.print
.print "Items that are liked alike: Pearson, ten neighbours"
SELECT key, value
  FROM json_each(knn_train('train', 10, '{"model": "by_item", "by": "item", "similarity": "pearson",
                                          "min_support": 2, "shrinkage": 10}'))
 WHERE key IN ('model', 'users', 'items', 'ratings') ORDER BY id;

.print "People who like alike: Pearson again, all neighbours above a threshold"
SELECT key, value
  FROM json_each(knn_train('train', 0, '{"model": "by_user", "by": "user", "similarity": "pearson",
                                         "min_support": 3, "threshold": 0.1, "shrinkage": 5}'))
 WHERE key IN ('model', 'users', 'items', 'ratings') ORDER BY id;

.print
.print "Groups of customers, by their ratings"
SELECT key, value
  FROM json_each(kmeans_train('train', 8, '{"model": "groups", "by": "user", "starts": 2, "iterations": 20}'))
 WHERE key IN ('model', 'users', 'items') ORDER BY id;
SELECT cluster, count(*) AS customers FROM recommend_clusters('groups') GROUP BY cluster ORDER BY customers DESC LIMIT 3;

.print
.print "Matrix factorization by ALS: rank and regularization by grid search on a part of the training data, the best is"
.print "trained on all of it"
SELECT combination, round(rmse, 4) AS rmse, round(mae, 4) AS mae
  FROM recommend_grid_search('mf_train', 'train', '{"rank": [10, 20], "regularization": [2, 4, 8], "epochs": [10]}',
                             '{"objective": "rating", "model": "by_factors", "best_first": true, "lists": false}');

.print
.print "And the baseline, which everything has to beat"
SELECT key, value FROM json_each(baseline_train('train', '{"model": "baseline"}')) WHERE key IN ('model', 'algorithm') ORDER BY id;

.print
.print "Errors on the test part; a customer or product that a model does not know is estimated from the biases that it does"
WITH models(name) AS (VALUES ('baseline'), ('by_item'), ('by_user'), ('groups'), ('by_factors'))
SELECT name AS model, round(max(value) FILTER (WHERE metric = 'rmse'), 4) AS rmse,
       round(max(value) FILTER (WHERE metric = 'mae'), 4) AS mae,
       CAST(max(value) FILTER (WHERE metric = 'unknown') AS INTEGER) AS "of unknown ones"
  FROM models CROSS JOIN recommend_evaluate(name, 'test', '{"cold_start": "estimate", "lists": false}')
 GROUP BY name ORDER BY rmse;

.print
.print "Ten for the customer with the most reviews, by the factors"
SELECT r.rank, p.product_title AS product, round(r.score, 2) AS score
  FROM recommend((SELECT customer_id FROM train GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1), 10, 'by_factors') r
  JOIN products p ON p.product_id = r.item
 ORDER BY r.rank;
