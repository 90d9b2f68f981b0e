-- A made-up music shop: 240 products, 1,500 customers, 12,459 ratings, the same on every machine.
--
--     sqlite3 shop.db
--     sqlite> .read sql/demo_shop.sql
--
-- Tables as the recipes for Amazon's files make them (import_amazon_metadata.sql, import_amazon_ratings.sql):
-- products(parent_asin, title, main_category, categories, price, store, features, description) and
-- ratings(user_id, parent_asin, rating, timestamp).
--
-- Hidden in it: every customer plays one or two instruments, and prefers what is cheap or what is dear. Chance is the
-- arithmetic of demo.sql: x → x³ modulo the prime 2097143.

BEGIN;

CREATE TABLE products(parent_asin TEXT PRIMARY KEY NOT NULL, title TEXT, main_category TEXT, categories TEXT, price REAL,
                      store TEXT, features TEXT, description TEXT);
CREATE TABLE ratings(user_id TEXT NOT NULL, parent_asin TEXT NOT NULL, rating REAL NOT NULL, timestamp INTEGER,
                     PRIMARY KEY (user_id, parent_asin));

-- ---- products: eight instruments, ten kinds of thing for each, three makers of each kind ----------------------------

CREATE TEMP TABLE instrument(id INTEGER PRIMARY KEY, name TEXT, category TEXT, things TEXT, about TEXT);
INSERT INTO instrument(id, name, category, things, about) VALUES
 (0, 'acoustic guitar', 'Guitars',
  '["Strings","Capo","Picks","Humidifier","Strap","Case","Tuner","Stand","Pickup","Slide"]',
  'For steel-string and classical players: warm tone, easy on the fingers, at home by the fire and on stage.'),
 (1, 'electric guitar', 'Guitars',
  '["Strings","Overdrive Pedal","Picks","Tube Amplifier","Strap","Gig Bag","Pedal Tuner","Cable","Delay Pedal","Tremolo Arm"]',
  'Built for loud rooms: bite, sustain and no hum, from clean chords to a wall of distortion.'),
 (2, 'bass', 'Bass',
  '["Strings","Compressor Pedal","Felt Picks","Combo Amplifier","Wide Strap","Gig Bag","Preamp","Cable","Octave Pedal","Stand"]',
  'Low notes that stay in tune and fill the room: round, punchy, made for long nights with a drummer.'),
 (3, 'violin', 'Strings',
  '["Strings","Rosin","Bow","Shoulder Rest","Chin Rest","Case","Mute","Bridge","Fine Tuner","Bow Hair"]',
  'For orchestra and fiddle: clear response, singing upper register, as the old makers of Cremona liked it.'),
 (4, 'drum', 'Percussion',
  '["Sticks","Practice Pad","Snare Head","Throne","Hi-Hat Cymbals","Bass Pedal","Brushes","Mallets","Cowbell","Stick Bag"]',
  'Takes a beating and asks for more: balanced, loud when it must be, with rebound that saves your wrists.'),
 (5, 'piano', 'Keyboards',
  '["Bench","Sustain Pedal","Dust Cover","Metronome","Sheet Stand","Headphones","Keyboard Stand","Lamp","Primer","Key Stickers"]',
  'For the living room and the conservatory: quiet, steady, weighted as a grand is, with a touch that lasts.'),
 (6, 'microphone', 'Recording',
  '["Pop Filter","Shock Mount","Boom Arm","XLR Cable","Audio Interface","Windscreen","Phantom Supply","Condenser Capsule","Reflection Shield","Carry Case"]',
  'For voices, podcasts and home studios: no plosives, no rumble, a low noise floor and every breath in place.'),
 (7, 'flute', 'Winds',
  '["Cleaning Rod","Swab","Case","Stand","Key Oil","Head Joint","Tuner","Polish Cloth","Fingering Chart","Crown"]',
  'Silver, breath and patience: even from the first octave to the third, light to hold, simple to keep clean.');

WITH RECURSIVE
  number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 239),
  made(n, instrument, thing, maker) AS (SELECT n, n / 30, n / 3 % 10, n % 3 FROM number)
INSERT INTO products
SELECT printf('B%08d', 1000 + n * 37),
       json_extract('["Alder & Sons","Brightwater","Cobalt Audio"]', printf('$[%d]', maker)) || ' ' ||
         upper(substr(i.name, 1, 1)) || substr(i.name, 2) || ' ' || json_extract(i.things, printf('$[%d]', thing)),
       'Musical Instruments',
       json_array('Musical Instruments', i.category, json_extract(i.things, printf('$[%d]', thing))),
       CASE WHEN n % 17 = 16 THEN NULL
            ELSE round((4 + thing * thing) * (1 + maker) * 1.3, 0) + 0.99 END,
       json_extract('["Alder & Sons","Brightwater","Cobalt Audio"]', printf('$[%d]', maker)),
       json_array(json_extract(i.things, printf('$[%d]', thing)) || ' for ' || i.name,
                  json_extract('["Fair price for beginners","Made for every day","Professional grade"]',
                               printf('$[%d]', maker))),
       json_array(i.about)
  FROM made m JOIN instrument i ON i.id = m.instrument;
DROP TABLE instrument;

-- ---- customers ------------------------------------------------------------------------------------------------------

WITH RECURSIVE
  customer(c) AS (SELECT 0 UNION ALL SELECT c + 1 FROM customer WHERE c < 1499),
  taste(c, first, second, maker) AS (
    SELECT c, c % 8, (c % 8 + 1 + c / 8 % 3) % 8, c / 24 % 3 FROM customer
  ),
  -- Twelve tries a customer: mostly things for their own instruments, of the maker they can afford.
  try(c, t, x) AS (
    SELECT c, 0, (c * 2 + 1) * 517 % 2097143 FROM customer
    UNION ALL SELECT c, t + 1, (x * x % 2097143) * x % 2097143 + 12 FROM try WHERE t < 11
  ),
  pick(c, t, x, n, likes) AS (
    SELECT taste.c, t, x,
           CASE WHEN x % 10 < 6 THEN first WHEN x % 10 < 9 THEN second ELSE x % 8 END * 30
             + x / 10 % 10 * 3 + CASE WHEN x / 100 % 3 < 2 THEN maker ELSE x / 300 % 3 END,
           CASE WHEN x % 10 < 6 THEN 2 WHEN x % 10 < 9 THEN 1 ELSE 0 END
             + CASE WHEN x / 100 % 3 < 2 THEN 1 ELSE 0 END
      FROM try JOIN taste USING (c)
  )
INSERT OR IGNORE INTO ratings
SELECT printf('A%06d', 100000 + c * 7), printf('B%08d', 1000 + n * 37),
       max(1, min(5, 2 + likes + CASE x / 900 % 4 WHEN 0 THEN -1 WHEN 1 THEN 1 ELSE 0 END)),
       1600000000 + x % 100000000
  FROM pick
 WHERE x / 7 % 10 < 8;

COMMIT;
