-- A rating matrix, CSV, into ratings(user, item, rating): a row for each user, a column for each item, as a spreadsheet
-- or pivot table has it. The first row has the items' names, the first column the users'; the cell where they meet
-- is ignored. An empty cell or -1 is no rating.
--
-- Run in the folder that holds the file as matrix.csv (a symbolic link will do, or edit the .import line), in the
-- sqlite3 shell; with -bail it stops at the first error, and nothing is stored:
--
--     $ sqlite3 -bail
--     sqlite> .open ratings.db
--     sqlite> .cd path/to/the/data
--     sqlite> .read /path/to/sql/import_rating_matrix.sql
--
-- Any number of columns will do, since lines are split here and not by .import, whose tables have at most 2000. Names
-- may be quoted, with commas and quotes in them, but not with a line end. If 0, or 99 as in Jester, also means "no
-- rating", change the one line that says IN (-1).

BEGIN;

-- The names of numbered users or items would be INTEGER, if they are to join with tables where they are.
CREATE TABLE ratings(user TEXT NOT NULL, item TEXT NOT NULL, rating REAL NOT NULL,
                     PRIMARY KEY (user, item)) WITHOUT ROWID;

-- The mode "ascii" is the one in which .import knows no quotes, and the column separator a character that is not in the
-- file: so a column gets a whole line. Empty lines are passed over.
CREATE TEMP TABLE matrix_line(line TEXT);
.mode ascii
.separator "\037" "\n"
.import matrix.csv matrix_line
.mode list
.mode box
UPDATE matrix_line SET line = rtrim(line, char(13));
UPDATE matrix_line SET line = ltrim(line, char(0xFEFF)) WHERE rowid = 1;

-- A comma that separates becomes the character 31. Split at the quotes, the even pieces are outside of quotes, the odd
-- ones inside; an empty even piece, unless it is the first or last, is the seam of a doubled quote.
--
-- Text is split by making it a JSON array: json_quote() escapes it, and what it wrote for the separator becomes '","'.
-- Backslashes are written another way first, lest one of them be taken for the separator's.
UPDATE matrix_line SET line = replace(line, ',', char(31)) WHERE line NOT LIKE '%"%';
UPDATE matrix_line
   SET line = (SELECT group_concat(CASE WHEN key % 2 THEN value
                                        WHEN value = '' AND key > 0 AND key < pieces - 1 THEN '"'
                                        ELSE replace(value, ',', char(31)) END, '')
                 FROM (SELECT key, value, json_array_length(list) AS pieces
                         FROM (SELECT '[' || replace(replace(json_quote(line), '\\', '\u005c'), '\"', '","') || ']'
                                      AS list), json_each(list)
                        ORDER BY key))
 WHERE line LIKE '%"%';
UPDATE matrix_line SET line = '[' || replace(replace(json_quote(line), '\\', '\u005c'), '\u001f', '","') || ']';

CREATE TEMP TABLE matrix_user(line INTEGER PRIMARY KEY, user TEXT);
CREATE TEMP TABLE matrix_item(position INTEGER PRIMARY KEY, item TEXT);
INSERT INTO matrix_user SELECT rowid, line ->> '$[0]' FROM matrix_line WHERE rowid > 1;
INSERT INTO matrix_item SELECT key, value FROM matrix_line, json_each(line) WHERE matrix_line.rowid = 1 AND key > 0;

-- The column's type turns text into numbers; what is none stays text.
CREATE TEMP TABLE matrix_cell(line INTEGER, position INTEGER, rating REAL);
INSERT INTO matrix_cell
SELECT matrix_line.rowid, key, trim(value)
  FROM matrix_line, json_each(line)
 WHERE matrix_line.rowid > 1 AND key > 0;
UPDATE matrix_cell SET rating = NULL WHERE rating IN (-1) OR rating = '';

-- Of a pair that comes twice, the last stays. Rows in the order of the key make the table fast to build.
INSERT OR REPLACE INTO ratings(user, item, rating)
SELECT user, item, rating
  FROM matrix_cell JOIN matrix_user USING (line) JOIN matrix_item USING (position)
 WHERE user <> '' AND item <> '' AND typeof(rating) = 'real'
 ORDER BY user, item, line, position;

SELECT count(*) AS "cells read",
       count(*) - count(rating) AS "without a rating",
       count(*) FILTER (WHERE typeof(rating) = 'text') AS "not a number",
       count(*) FILTER (WHERE typeof(rating) = 'real' AND NOT id) AS "without a user or item",
       count(*) FILTER (WHERE typeof(rating) = 'real' AND id) - (SELECT count(*) FROM ratings) AS duplicates,
       (SELECT count(*) FROM ratings) AS kept
  FROM (SELECT rating, ifnull(user <> '' AND item <> '', 0) AS id
          FROM matrix_cell JOIN matrix_user USING (line) LEFT JOIN matrix_item USING (position));

DROP TABLE matrix_line;
DROP TABLE matrix_user;
DROP TABLE matrix_item;
DROP TABLE matrix_cell;
COMMIT;
