-- Products with metadata, and ratings of them: what to show a customer, by content, by taste, and by both.
--
-- On Amazon's files, brought in by sql/import_amazon_metadata.sql and sql/import_amazon_ratings.sql, or on the made-up
-- music shop:
--
--     $ sqlite3 shop.db
--     sqlite> .read sql/demo_shop.sql
--     sqlite> .read examples/amazon.sql

.load build/recommend
.mode box

-- Somebody with a good many ratings.
CREATE TEMP VIEW customer AS
SELECT user_id FROM ratings GROUP BY user_id ORDER BY count(*) DESC, user_id LIMIT 1;

.print
.print "What the customer thought best of"
SELECT p.title, p.price, r.rating
  FROM ratings r JOIN products p USING (parent_asin)
 WHERE r.user_id = (SELECT user_id FROM customer)
 ORDER BY r.rating DESC, r.timestamp DESC LIMIT 5;

.print
.print "Learn what products are, from their title, categories, features and description (JSON or text), and what customers"
.print "like, from their ratings less their mean. A tenth of the ratings is held out to see how well that ranks."
CREATE VIEW content_source AS SELECT parent_asin, title, categories, features, description FROM products;
SELECT key, value
  FROM json_each(tfidf_train('content_source',
                             '{"model": "content", "stop_words": "english", "sublinear_tf": true, "min_df": 2,
                               "ratings": "ratings", "profile": "weighted", "test": 0.1}'))
 WHERE key IN ('model', 'items', 'users', 'ratings', 'held_out', 'terms', 'empty') ORDER BY id;

.print
.print "Top 5 for the customer, by content:  recommend(user, 5, 'content')"
SELECT r.rank, p.title, p.price, p.categories ->> '$[1]' AS category, round(r.score, 3) AS cosine
  FROM customer c JOIN recommend(c.user_id, 5, 'content') r JOIN products p ON p.parent_asin = r.item
 ORDER BY r.rank;

.print
.print "The same vectors made denser: 32 factors by latent semantic analysis, which know that words go together"
SELECT count(*) AS iterations, round(min(loss), 1) AS squared_rest
  FROM tfidf_train('content_source', '{"model": "latent", "stop_words": "english", "min_df": 2, "lsa": 32,
                                       "ratings": "ratings"}');
SELECT s.rank, p.title, round(s.similarity, 3) AS cosine
  FROM tfidf_search('quiet practice for small hands', 5, 'latent') s JOIN products p ON p.parent_asin = s.item
 ORDER BY s.rank;

.print
.print "By taste: matrix factorization (ALS) whose items begin at what they are, not at random"
SELECT key, value
  FROM json_each(mf_train('ratings', 16, '{"model": "taste", "item_init": "latent", "user_init": "latent",
                                           "test": 0.1}'))
 WHERE key IN ('model', 'items', 'users', 'ratings') ORDER BY id;

.print
.print "Top 5 for the customer, by taste:  recommend(user, 5, 'taste')"
SELECT r.rank, p.title, p.price, p.categories ->> '$[1]' AS category, round(predict(c.user_id, r.item, 'taste'), 1) AS stars
  FROM customer c JOIN recommend(c.user_id, 5, 'taste') r JOIN products p ON p.parent_asin = r.item
 ORDER BY r.rank;

.print
.print "By both: the hundred best by taste, in order of a mixture, and nothing that costs more than 50"
SELECT p.title, p.price, round(0.5 * t.share + 0.5 * max(n.score, 0), 3) AS mixture
  FROM customer c
  JOIN (SELECT item, 1.0 - (rank - 1) / 100.0 AS share
          FROM customer, recommend(user_id, 100, 'taste')) t
  JOIN content n ON n.user = c.user_id AND n.item = t.item
  JOIN products p ON p.parent_asin = t.item
 WHERE p.price <= 50
 ORDER BY mixture DESC, p.parent_asin LIMIT 5;

.print
.print "Somebody new, who has just put two things into the basket"
SELECT r.rank, p.title, p.price
  FROM recommend_for((SELECT json_group_array(parent_asin) FROM (SELECT parent_asin FROM products ORDER BY title LIMIT 2)),
                     3, 'content') r
  JOIN products p ON p.parent_asin = r.item
 ORDER BY r.rank;

.print
.print "Words that tell the most of a product:  tfidf_vector(text, model)"
SELECT p.title, t.key AS word, round(t.value, 3) AS weight
  FROM (SELECT title, features FROM products ORDER BY parent_asin LIMIT 1) p,
       json_each(tfidf_vector(p.title || ' ' || p.features, 'content')) t
 ORDER BY t.value DESC LIMIT 5;
