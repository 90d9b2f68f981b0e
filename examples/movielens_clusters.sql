-- Viewers in groups: a factorization by Adam, k-means on the viewers' factors, and what a viewer's group thinks best of.
--
-- On MovieLens' files, brought in by sql/import_movielens.sql, or on the made-up films:
--
--     $ sqlite3 movies.db
--     sqlite> .read sql/demo.sql
--     sqlite> .read examples/movielens_clusters.sql

.load build/recommend
.mode box

.print
.print "Factorize the ratings by Adam in mini-batches, from a uniform start; an epoch a row, a tenth held out"
SELECT epoch, round(loss, 4) AS loss, round(train, 4) AS train, round(test, 4) AS test
  FROM mf_train('ratings', 16, '{"model": "taste", "algorithm": "adam", "init": "uniform", "batch_size": 256,
                                 "learning_rate": 0.002, "epochs": 10, "test": 0.1}')
 WHERE epoch % 3 = 1 ORDER BY epoch;

.print
.print "Group the viewers by their factors: k-means++, five starts, the best of them"
SELECT key, value
  FROM json_each(kmeans_train('ratings', 12, '{"model": "tribes", "factors": "taste", "starts": 5}'))
 WHERE key IN ('model', 'algorithm', 'users', 'items') ORDER BY id;

.print
.print "How large the groups are, and how tight"
SELECT cluster, count(*) AS viewers, round(avg(distance), 3) AS distance
  FROM recommend_clusters('tribes') GROUP BY cluster ORDER BY viewers DESC LIMIT 5;

.print
.print "What the group of viewer 42 thinks best of that viewer 42 has not rated:  recommend(42, 8, 'tribes')"
SELECT r.rank, m.title, m.genres, round(r.score, 2) AS "mean rating"
  FROM recommend(42, 8, 'tribes') r JOIN movies m ON m.movieId = r.item
 ORDER BY r.rank;

.print
.print "Do groups help? Three folds of the ratings: groups by what they rated, against the mean of everybody and the factors"
WITH trainers(trainer, options) AS (VALUES
  ('baseline_train', '{"method": "item"}'),
  ('kmeans_train', '{"clusters": 12, "starts": 2, "center": "mean"}'),
  ('mf_train', '{"rank": 16, "algorithm": "adam", "epochs": 10}'))
SELECT t.trainer, round(avg(rmse), 4) AS rmse, round(avg(mae), 4) AS mae, round(avg(ndcg), 3) AS ndcg
  FROM trainers t CROSS JOIN recommend_cross_validate(t.trainer, 'ratings', 3, t.options)
 GROUP BY t.trainer ORDER BY rmse DESC;
