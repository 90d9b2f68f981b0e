-- From a table of ratings to recommendations, in one sitting. `make demo` runs this; by hand:
--
--     $ sqlite3 movies.db
--     sqlite> .read sql/demo.sql
--     sqlite> .read examples/quickstart.sql

.load build/recommend
.mode box

.print
.print "The data: what viewers thought of films."
SELECT (SELECT count(*) FROM users) AS viewers, (SELECT count(*) FROM movies) AS films, count(*) AS ratings,
       round(avg(rating), 2) AS average
  FROM ratings;

.print
.print "Train a matrix factorization of rank 32:  SELECT mf_train('ratings', 32);"
SELECT key, value FROM json_each(mf_train('ratings', 32)) WHERE type NOT IN ('array', 'object', 'null') ORDER BY id;

.print
.print "Viewer 42 has loved"
SELECT m.title, m.genres, r.rating
  FROM ratings r JOIN movies m USING (movieId)
 WHERE r.userId = 42
 ORDER BY r.rating DESC, r.timestamp DESC LIMIT 6;

.print
.print "… and may like, of all that is new to viewer 42:  recommend(42, 8)"
SELECT r.rank, m.title, m.genres, round(r.score, 2) AS score
  FROM recommend(42, 8) r JOIN movies m ON m.movieId = r.item
 ORDER BY r.rank;

.print
.print "Only older comedies: the model is a table, so SQL is the filter."
SELECT m.title, m.year, m.genres, round(r.score, 2) AS score
  FROM ratings_mf r JOIN movies m ON m.movieId = r.item
 WHERE r.user = 42 AND r.seen = 0
   AND r.item IN (SELECT movieId FROM movies WHERE genres LIKE '%Comedy%' AND year < 2000)
 ORDER BY r.score DESC LIMIT 5;

.print
.print "What would viewer 42 give these?  predict(42, movieId)"
SELECT title, genres, round(predict(42, movieId), 1) AS stars
  FROM movies
 WHERE movieId BETWEEN 1 AND 6
 ORDER BY stars DESC, title;

.print
.print "Films for those who liked this one:  item_similar(1, 6)"
SELECT title AS film, genres FROM movies WHERE movieId = 1;
SELECT s.rank, m.title, m.genres, round(s.similarity, 3) AS similarity
  FROM item_similar(1, 6) s JOIN movies m ON m.movieId = s.item
 ORDER BY s.rank;

.print
.print "Somebody nobody knows gets what is popular, and is told so."
SELECT r.rank, m.title, r.score, r.reason
  FROM recommend('a stranger', 3) r JOIN movies m ON m.movieId = r.item
 ORDER BY r.rank;

.print
.print "How good is it? Learn from 80 % of the ratings, one row an epoch …"
CREATE VIEW train AS SELECT * FROM ratings WHERE recommend_split(42, userId, movieId) < 0.8;
CREATE VIEW test AS SELECT * FROM ratings WHERE recommend_split(42, userId, movieId) >= 0.8;
SELECT head, epoch, round(loss, 1) AS loss, round(seconds, 2) AS seconds
  FROM mf_train('train', 32)
 WHERE epoch IN (1, 2, 5, 10)
 ORDER BY head, epoch;

.print
.print "… and be examined on the other 20 %."
SELECT metric, k, round(value, 3) AS value, n
  FROM recommend_evaluate('train_mf', 'test', '{"k": 10, "threshold": 4}')
 ORDER BY metric, k;

.print
.print "Both models now live in this file."
SELECT name, family, algorithm, users, items, trained_at FROM recommend_models ORDER BY name;
