-- Five products and five people: items are compared by their words, and a person gets what is like the things they bought.
--
--     $ sqlite3
--     sqlite> .read examples/products.sql

.load build/recommend
.mode box

CREATE TABLE products(id INTEGER PRIMARY KEY, product TEXT, genres TEXT);
INSERT INTO products VALUES
  (1, 'Kindle', 'Electronics, Tablet'),
  (2, 'Macbook', 'Electronics, Computer, Apple'),
  (3, 'Brown Leather Shoes', 'Clothing'),
  (4, 'Samsung 75-Inch QLED TV', 'Electronics, Television, QLED'),
  (5, 'LG 60-Inch QLED TV', 'Electronics, Television, QLED');
CREATE TABLE purchases(user INTEGER, product INTEGER);
INSERT INTO purchases VALUES (1, 1), (1, 2), (1, 3), (2, 2), (2, 4), (3, 1), (3, 2), (4, 3), (4, 4), (5, 5);

.print
.print "Items are counts of words; a user is the mean of what was bought."
SELECT key, value
  FROM json_each(tfidf_train('products', '{"model": "content", "text": "genres", "weighting": "count",
                                           "stop_words": "english", "ratings": "purchases"}'))
 WHERE key IN ('model', 'algorithm', 'users', 'items', 'terms') ORDER BY id;

.print
.print "All five for user 1, what was bought included, by the cosine of user and item"
SELECT p.product, c.seen, round(c.score, 3) AS cosine
  FROM content c JOIN products p ON p.id = c.item
 WHERE c.user = 1 ORDER BY c.score DESC, c.item;

.print
.print "What is new to user 1:  recommend(1, 5)"
SELECT r.rank, p.product, round(r.score, 3) AS cosine
  FROM recommend(1, 5) r JOIN products p ON p.id = r.item ORDER BY r.rank;

.print
.print "What is like the Samsung:  item_similar(4, 2)"
SELECT s.rank, p.product, round(s.similarity, 3) AS cosine
  FROM item_similar(4, 2) s JOIN products p ON p.id = s.item ORDER BY s.rank;

.print
.print "Somebody new, who likes the Kindle:  recommend_for('[1]', 2)"
SELECT r.rank, p.product, round(r.score, 3) AS cosine
  FROM recommend_for('[1]', 2) r JOIN products p ON p.id = r.item ORDER BY r.rank;

.print
.print "Any text will do:  tfidf_search('an apple computer', 3)"
SELECT s.rank, p.product, round(s.similarity, 3) AS cosine
  FROM tfidf_search('an apple computer', 3) s JOIN products p ON p.id = s.item ORDER BY s.rank;

.print
.print "By people instead: whose purchases overlap with user 1's (cosine), and what they have that user 1 has not"
SELECT key, value FROM json_each(knn_train('purchases', 4, '{"model": "people", "by": "user"}'))
 WHERE key IN ('model', 'users', 'items', 'ratings') ORDER BY id;
SELECT s.rank, s.user, round(s.similarity, 3) AS cosine FROM user_similar(1, 4, 'people') s ORDER BY s.rank;
SELECT r.rank, p.product, round(r.score, 3) AS similarity
  FROM recommend(1, 5, 'people') r JOIN products p ON p.id = r.item ORDER BY r.rank;

.print
.print "By two factors: the truncated SVD of the purchases less each user's mean, the mean added back"
SELECT count(*) > 0 AS trained
  FROM mf_train('purchases', 2, '{"model": "factors", "algorithm": "svd", "center": "user", "missing": "zero"}');
SELECT user, round(sum(score) FILTER (WHERE item = 1), 3) AS Kindle, round(sum(score) FILTER (WHERE item = 2), 3) AS Macbook,
       round(sum(score) FILTER (WHERE item = 3), 3) AS Shoes, round(sum(score) FILTER (WHERE item = 4), 3) AS Samsung,
       round(sum(score) FILTER (WHERE item = 5), 3) AS LG
  FROM factors GROUP BY user ORDER BY user;
SELECT r.rank, p.product, round(r.score, 3) AS score
  FROM recommend(1, 5, 'factors') r JOIN products p ON p.id = r.item ORDER BY r.rank;
