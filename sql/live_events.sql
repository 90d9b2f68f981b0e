-- Triggers that keep a model of events up to date: purchases, plays, visits, where a user and an item meet as often as
-- they like. Whenever an event comes, goes or changes, its pair is counted again from the table, in the same
-- transaction: so the model holds what training would read, whatever happened before. For tables with one row for each
-- user and item, live.sql is shorter.
--
--     $ sqlite3 shop.db
--     sqlite> .load build/recommend
--     sqlite> SELECT mf_train('purchases', 32, '{"algorithm": "ials", "user": "customer", "item": "product",
--        ...>                                    "rating": "quantity"}');
--     sqlite> .read sql/live_events.sql
--
-- Names: for other ones replace them in this file:
--
--     purchases                       the table of events
--     customer, product, quantity     its columns
--     purchases_mf                    the model
--
-- Where each event counts once, write count(*) for sum(quantity), and leave quantity <> '' out. Where the model was
-- trained with "duplicates": "mean", write avg(quantity).
--
-- These triggers are TEMP: they last as long as the connection, so each connection that writes events reads this file
-- after it has loaded the extension. What is written elsewhere reaches the model when it is trained again.
--
-- REPLACE INTO and INSERT OR REPLACE delete a row without running any trigger, and the pair of that row would not be
-- counted again, unless the connection says
--
--     PRAGMA recursive_triggers = ON;
--
-- As in training, rows are left out whose customer, product or quantity is NULL or '', and a sum of 0 removes the
-- pair from a model of counts. A conflict clause of the statement, as in UPDATE OR IGNORE purchases …, holds in the
-- triggers too, and overrides their own clauses: so they UPDATE a pair that is there, and INSERT only one that is not.

-- A pair's events are looked for each time:
CREATE INDEX IF NOT EXISTS purchases_of_pair ON purchases(customer, product);

-- What the model is to hold of each pair …
CREATE TEMP VIEW purchase_counts AS
  SELECT customer, product, sum(quantity) AS quantity FROM purchases
   WHERE customer <> '' AND product <> '' AND quantity <> ''
   GROUP BY customer COLLATE BINARY, product COLLATE BINARY;

-- … and how it gets there: INSERT INTO purchase_counts(customer, product) counts a pair anew.
CREATE TEMP TRIGGER purchase_counted INSTEAD OF INSERT ON purchase_counts
BEGIN
  DELETE FROM purchases_mf
   WHERE user = new.customer AND item = new.product AND seen = 1
     AND NOT EXISTS(SELECT 1 FROM purchase_counts
                     WHERE customer = new.customer COLLATE BINARY AND product = new.product COLLATE BINARY);
  UPDATE purchases_mf
     SET rating = (SELECT quantity FROM purchase_counts
                    WHERE customer = new.customer COLLATE BINARY AND product = new.product COLLATE BINARY)
   WHERE user = new.customer AND item = new.product AND seen = 1;
  INSERT INTO purchases_mf(user, item, rating)
  SELECT new.customer, new.product, quantity FROM purchase_counts
   WHERE customer = new.customer COLLATE BINARY AND product = new.product COLLATE BINARY
     AND NOT EXISTS(SELECT 1 FROM purchases_mf WHERE user = new.customer AND item = new.product AND seen = 1);
END;

CREATE TEMP TRIGGER purchase_added AFTER INSERT ON purchases
BEGIN
  INSERT INTO purchase_counts(customer, product) VALUES(new.customer, new.product);
END;

CREATE TEMP TRIGGER purchase_changed AFTER UPDATE OF customer, product, quantity ON purchases
BEGIN
  INSERT INTO purchase_counts(customer, product) VALUES(new.customer, new.product);
  INSERT INTO purchase_counts(customer, product) SELECT old.customer, old.product
   WHERE old.customer IS NOT new.customer COLLATE BINARY OR old.product IS NOT new.product COLLATE BINARY;
END;

CREATE TEMP TRIGGER purchase_deleted AFTER DELETE ON purchases
BEGIN
  INSERT INTO purchase_counts(customer, product) VALUES(old.customer, old.product);
END;

-- The same for good: without the word TEMP view and triggers are part of the database file, and work for every
-- connection. Mind that an application which has not loaded the extension can then no longer write to the table of
-- events, nor rename any table or column of the database, nor drop a column: it gets the error "no such module:
-- recommender". To undo it, drop them, with or without the extension:
--
--     DROP TRIGGER purchase_added;
--     DROP TRIGGER purchase_changed;
--     DROP TRIGGER purchase_deleted;
--     DROP VIEW purchase_counts;
