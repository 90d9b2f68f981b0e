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
.print "Does it help? Groups against what everybody likes, and against the factors themselves"
SELECT model, round(max(value) FILTER (WHERE metric = 'rmse'), 4) AS rmse,
       round(max(value) FILTER (WHERE metric = 'mae'), 4) AS mae
  FROM (SELECT 'tribes' AS model, metric, value FROM recommend_evaluate('tribes', 'ratings')
        UNION ALL
        SELECT 'taste', metric, value FROM recommend_evaluate('taste', 'ratings'))
 GROUP BY model ORDER BY model;
