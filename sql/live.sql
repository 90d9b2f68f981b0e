-- Triggers that keep a model up to date: a rating that is added, changed or deleted counts at once in what
-- recommend(), predict() and the rest say of that user, in the transaction that does it, and is rolled back with it.
-- (What other users and items are like is learned again by INSERT INTO ratings_mf(ratings_mf) VALUES('retrain').)
--
--     $ sqlite3 movies.db
--     sqlite> .load build/recommend
--     sqlite> SELECT mf_train('ratings', 32);
--     sqlite> .read sql/live.sql
--
-- Names: for other ones replace them in this file:
--
--     ratings                     the table of ratings
--     userId, movieId, rating     its columns (without one for ratings write 1 where new.rating stands)
--     ratings_mf                  the model
--
-- These triggers are TEMP: they last as long as the connection, so each connection that writes ratings reads this file
-- after it has loaded the extension. What is written elsewhere reaches the model with the next 'retrain'.

CREATE TEMP TRIGGER rating_added AFTER INSERT ON ratings
WHEN new.userId <> '' AND new.movieId <> '' AND new.rating <> ''  -- as in training, NULL and '' are left out
BEGIN
  INSERT INTO ratings_mf(user, item, rating) VALUES(new.userId, new.movieId, new.rating);
END;

CREATE TEMP TRIGGER rating_changed AFTER UPDATE OF userId, movieId, rating ON ratings
BEGIN
  DELETE FROM ratings_mf
   WHERE user = old.userId AND item = old.movieId AND seen = 1
     AND (coalesce(new.rating, '') = '' OR new.userId IS NOT old.userId OR new.movieId IS NOT old.movieId);
  INSERT INTO ratings_mf(user, item, rating) SELECT new.userId, new.movieId, new.rating
   WHERE new.userId <> '' AND new.movieId <> '' AND new.rating <> '';
END;

CREATE TEMP TRIGGER rating_deleted AFTER DELETE ON ratings
BEGIN
  DELETE FROM ratings_mf WHERE user = old.userId AND item = old.movieId AND seen = 1;
END;

-- The same for good: without the word TEMP the triggers are part of the database file, and work for every connection.
-- Mind that an application which has not loaded the extension can then no longer write to the table of ratings: it
-- gets the error "no such module: recommender". To undo it, load the extension and drop them:
--
--     DROP TRIGGER rating_added;
--     DROP TRIGGER rating_changed;
--     DROP TRIGGER rating_deleted;
