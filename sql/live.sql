-- Triggers that keep a model up to date: a rating that is added, changed or deleted counts at once in what
-- recommend(), predict() and the rest say of that user, in the transaction that does it, and is rolled back with it.
-- (What other users and items are like is learned again by SELECT recommend_retrain('ratings_mf').)
--
--     $ sqlite3 movies.db
--     sqlite> .load build/recommend
--     sqlite> SELECT mf_train('ratings', 32);
--     sqlite> .read sql/live.sql
--
-- For tables in which a user and an item have one row, as in PRIMARY KEY (userId, movieId). Where they can meet often
-- (purchases, plays, visits), live_events.sql is the right one.
--
-- Names: for other ones replace them in this file:
--
--     ratings                     the table of ratings
--     userId, movieId, rating     its columns (without one for ratings write 1 where new.rating stands)
--     ratings_mf                  the model
--
-- A model that keeps times ("history": "timed") takes them too. For it, where the column is called timestamp, write
--
--     SET rating = new.rating, timestamp = new.timestamp
--     INSERT INTO ratings_mf(user, item, rating, timestamp) SELECT new.userId, new.movieId, new.rating, new.timestamp
--     AFTER UPDATE OF userId, movieId, rating, timestamp ON ratings
--
-- in the places that begin so.
--
-- These triggers are TEMP: they last as long as the connection, so each connection that writes ratings reads this file
-- after it has loaded the extension. What is written elsewhere reaches the model when it is trained again.
--
-- REPLACE INTO and INSERT OR REPLACE delete a row without running any trigger, unless the connection says
--
--     PRAGMA recursive_triggers = ON;
--
-- That is not needed where a row only ever replaces one of the same user and item.
--
-- As in training, rows are left out whose user, item or rating is NULL or ''. A rating that is not a number makes the
-- statement fail. A conflict clause of that statement, as in UPDATE OR IGNORE ratings …, holds in the triggers too, and
-- overrides their own clauses: so they UPDATE a pair that is there, and INSERT only one that is not, which no clause can
-- change. (A model of content can't learn new items: with INSERT OR IGNORE below, they are left out.)

CREATE TEMP TRIGGER rating_added AFTER INSERT ON ratings
BEGIN
  DELETE FROM ratings_mf
   WHERE user = new.userId AND item = new.movieId AND seen = 1 AND coalesce(new.rating, '') = '';
  UPDATE ratings_mf SET rating = new.rating
   WHERE user = new.userId AND item = new.movieId AND seen = 1;
  INSERT INTO ratings_mf(user, item, rating) SELECT new.userId, new.movieId, new.rating
   WHERE new.userId <> '' AND new.movieId <> '' AND new.rating <> ''
     AND NOT EXISTS(SELECT 1 FROM ratings_mf WHERE user = new.userId AND item = new.movieId AND seen = 1);
END;

CREATE TEMP TRIGGER rating_changed AFTER UPDATE OF userId, movieId, rating ON ratings
BEGIN
  DELETE FROM ratings_mf
   WHERE user = old.userId AND item = old.movieId AND seen = 1
     AND (old.userId IS NOT new.userId COLLATE BINARY OR old.movieId IS NOT new.movieId COLLATE BINARY);
  DELETE FROM ratings_mf
   WHERE user = new.userId AND item = new.movieId AND seen = 1 AND coalesce(new.rating, '') = '';
  UPDATE ratings_mf SET rating = new.rating
   WHERE user = new.userId AND item = new.movieId AND seen = 1;
  INSERT INTO ratings_mf(user, item, rating) SELECT new.userId, new.movieId, new.rating
   WHERE new.userId <> '' AND new.movieId <> '' AND new.rating <> ''
     AND NOT EXISTS(SELECT 1 FROM ratings_mf WHERE user = new.userId AND item = new.movieId AND seen = 1);
END;

CREATE TEMP TRIGGER rating_deleted AFTER DELETE ON ratings
BEGIN
  DELETE FROM ratings_mf WHERE user = old.userId AND item = old.movieId AND seen = 1;
END;

-- The same for good: without the word TEMP the triggers are part of the database file, and work for every connection.
-- Mind that an application which has not loaded the extension can then no longer write to the table of ratings, nor
-- rename any table or column of the database, nor drop a column: it gets the error "no such module: recommender". To
-- undo it, drop them, with or without the extension:
--
--     DROP TRIGGER rating_added;
--     DROP TRIGGER rating_changed;
--     DROP TRIGGER rating_deleted;
