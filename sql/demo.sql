-- A made-up film catalogue: 288 films, 3,000 viewers, some 164,000 ratings, the same on every machine.
--
--     sqlite3 movies.db
--     sqlite> .read sql/demo.sql
--
-- Tables as MovieLens has them: movies(movieId, title, year, genres), users(userId, name) and
-- ratings(userId, movieId, rating, timestamp), half stars from 0.5 to 5.
--
-- What is hidden in it for a recommender to find: every viewer likes one to three of the eight genres, shuns one, and
-- leans to older or newer films. Taste decides both what they watch and what they think of it. Some films are better
-- than others, some better known, and some viewers kinder.
--
-- Chance comes from arithmetic: x → x³ modulo the prime 2097143 is a permutation of 0 … 2097142 that looks random
-- and stays within 64 bits. Each kind of number takes its x from another range of that circle.

BEGIN;

CREATE TABLE movies(movieId INTEGER PRIMARY KEY, title TEXT NOT NULL, year INTEGER, genres TEXT);
CREATE TABLE users(userId INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE ratings(userId INTEGER NOT NULL, movieId INTEGER NOT NULL, rating REAL NOT NULL, timestamp INTEGER,
                     PRIMARY KEY (userId, movieId));

-- ---- films ----------------------------------------------------------------------------------------------------------

-- Twelve openings and twelve endings a genre; an opening is used three times. `kin` are the genres a film may add.
CREATE TEMP TABLE genre(id INTEGER PRIMARY KEY, name TEXT, kin TEXT, openings TEXT, endings TEXT);
INSERT INTO genre(id, name, kin, openings, endings) VALUES
 (0, 'Animation', '["Comedy","Sci-Fi","Comedy"]',
  '["Pip and the","The Littlest","Barnaby''s","The Flying","Grandmother''s","The Moonlit","The Tale of the",
    "The Secret","Hurrah for the","The Lonely","A Bed for the","The Day of the"]',
  '["Teapot","Hedgehogs","Paper Whale","Marmalade Fox","Cloud Bakers","Button Orchestra","Snow Badger",
    "Lantern Mice","Umbrella","Otter Parade","Pumpkin Train","Penguin Choir"]'),
 (1, 'Comedy', '["Romance","Animation","Drama"]',
  '["My Uncle''s","Three Dentists and a","The Accidental","Honeymoon with a","Nobody Ordered the","Aunt Petunia''s",
    "The World''s Worst","Please Return the","Two Weddings and a","Gerald and the","Oops, Another","Who Hired the"]',
  '["Llama","Trombone","Plumber","Karaoke Machine","Goat","Lasagne","Parachute","Butler","Caravan","Wig",
    "Moustache","Bouncy Castle"]'),
 (2, 'Drama', '["Romance","Thriller","Western"]',
  '["The Weight of","All That Remains of","Letters to","After","The Silence of","What We Owe","A Year of","The Sons of",
    "Leaving","In Praise of","The Long Road to","Before They Sold"]',
  '["the Harvest House","the Barley Fields","Ostrava Lane","the Orchard Wall","the Salt Works","Quarry Town",
    "the Ferryman''s House","the Unfinished Bridge","Tannery Street","the Rain in Corrin","Lamplighter Hill",
    "the Stone Choir"]'),
 (3, 'Horror', '["Thriller","Sci-Fi","Thriller"]',
  '["The Thing Beneath","Do Not Enter","Buried in","Screams from","The Blood of","The Hollow Children of",
    "What Crawls in","The Last Night in","Night Feast at","The Curse of","Nobody Leaves","The Rotting of"]',
  '["Gravenmoor","the Wexley Crypt","Mordane Manor","Hag''s Cellar","Blackmere Asylum","the Bone Chapel",
    "Thorne Abbey","the Maggot Pit","Cradle Hill","the Flayed House","Ravenscar Attic","the Drowned Nursery"]'),
 (4, 'Romance', '["Comedy","Drama","Drama"]',
  '["A Kiss in","Falling in Love in","Love Letters from","Two Hearts in","Dancing in","The Bride of","Meet Me in",
    "One Summer in","Forever in","The Florist of","Come Back to","A Wedding in"]',
  '["Port Amarelle","Rosalind Bay","the Café Colombe","the Rue Violette","Serenade Valley","Valentine Street",
    "Honeysuckle Lane","the Tulip Hotel","the Villa Mirabel","Cherry Tree Square","the Rose Garden",
    "Isola Bellarosa"]'),
 (5, 'Sci-Fi', '["Thriller","Horror","Animation"]',
  '["Signal from","The Androids of","Beyond","Exodus to","The Clones of","Quantum Storm over","Starship to",
    "The Memory of","Zero Gravity over","Return to","The Last Robot of","Dark Matter over"]',
  '["Tessara Nine","Orbit Seven","Kepler''s Gate","the Ion Belt","Proxima Station","the Hyperion Array",
    "Nova Centauri","Helix Prime","the Chronosphere","Europa Deep","Planet Vantar","Colony Zero"]'),
 (6, 'Thriller', '["Drama","Horror","Sci-Fi"]',
  '["No Alibi in","Dead Drop in","The Informer from","Midnight Ransom in","Manhunt in","A Bullet from","No Witness in",
    "The Double Agent from","Wiretap in","Ninety Minutes to","Betrayal in","Hostage in"]',
  '["Tower Four","Varnholm","Courtroom Nine","Sector Grey","the Strand Bank","Embassy Row","the Zurich Vault",
    "Block C","Zone Delta","the Cobalt Club","the Night Express","Tunnel Eleven"]'),
 (7, 'Western', '["Drama","Comedy","Romance"]',
  '["Six Bullets for","Showdown at","The Sheriff of","Gunsmoke over","The Outlaws of","Last Stagecoach to",
    "A Rope for","Hard Riding to","The Gold of","Sundown at","The Preacher of","Wanted in"]',
  '["Dry Fork","Coyote Wells","Rattlesnake Gulch","the Maguire Ranch","Fort Perdido","Buzzard Creek","Silver Saddle",
    "Tombweed","Red Mesa","Jackknife Canyon","Mustang Flats","Old Tucker Ridge"]');

-- Film 1 … 288, genres taking turns so that ids say nothing. quality in stars; fame: how often it is met.
CREATE TEMP TABLE film AS
WITH RECURSIVE
  counter(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter WHERE n < 287),
  dice AS (
    SELECT n, n * 77 % 8 AS genre, n / 8 % 12 AS opening, n / 96 AS round,
           (n + 1000) * (n + 1000) * (n + 1000) % 2097143 / 2097143.0 AS a,
           (n + 2000) * (n + 2000) * (n + 2000) % 2097143 / 2097143.0 AS b,
           (n + 3000) * (n + 3000) * (n + 3000) % 2097143 / 2097143.0 AS c,
           (n + 4000) * (n + 4000) * (n + 4000) % 2097143 / 2097143.0 AS d
      FROM counter)
SELECT n + 1 AS movieId, genre,
       openings ->> opening || ' ' || (endings ->> ((opening * 7 + round * 5) % 12)) AS title,
       1962 + CAST(62 * (1 - a * (0.4 + 0.6 * a)) AS INTEGER) AS year,
       CASE WHEN b < 0.45 THEN kin ->> CAST(b / 0.15 AS INTEGER) END AS second,
       1.4 * c - 0.6 AS quality,
       0.10 + 0.75 * d * d * d + 0.15 * c AS fame
  FROM dice JOIN genre ON genre.id = dice.genre;

INSERT INTO movies(movieId, title, year, genres)
SELECT movieId, title, year,
       CASE WHEN second IS NULL THEN name ELSE min(name, second) || '|' || max(name, second) END
  FROM film JOIN genre ON genre.id = film.genre ORDER BY movieId;

-- ---- viewers --------------------------------------------------------------------------------------------------------

CREATE TEMP TABLE viewer AS
WITH RECURSIVE
  first_names(list) AS (VALUES(
    '["Ada","Amir","Anouk","Astrid","Bela","Bruno","Carmen","Chidi","Clara","Dario","Dina","Elif","Emil",
      "Esther","Farid","Freya","Gita","Goran","Hana","Hugo","Ines","Ivan","Jonas","Juno","Kaito","Kira",
      "Lars","Leila","Luca","Mara","Mateo","Mina","Nadia","Nils","Olga","Omar","Paolo","Petra","Quinn",
      "Ravi","Rosa","Sami","Signe","Tariq","Thea","Uma","Viktor","Wanda","Yusuf","Zoe"]')),
  last_names(list) AS (VALUES(
    '["Abara","Almeida","Anders","Bakker","Barros","Bergman","Bianchi","Castel","Chen","Costa","Dahl",
      "Demir","Dubois","Eklund","Farkas","Ferrari","Fischer","Fontaine","Garcia","Haddad","Hansen","Holm",
      "Horvat","Ibarra","Ito","Jansen","Kaya","Keller","Kowalski","Kumar","Laine","Lang","Lindqvist",
      "Lopez","Madsen","Marino","Mensah","Moreau","Nakai","Novak","Okoye","Olsen","Pereira","Petrov",
      "Quist","Rahman","Rossi","Sato","Schmidt","Silva","Singh","Sorel","Tanaka","Toth","Usman","Vega",
      "Weiss","Yilmaz","Zeller","Zhou"]')),
  counter(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter WHERE n < 2999)
SELECT n + 1 AS userId,
       first_names.list ->> (n % 50) || ' ' || (last_names.list ->> ((n / 50 + n % 50) % 60)) AS name,
       (n + 10000) * (n + 10000) * (n + 10000) % 2097143 / 2097143.0 AS activity,
       (n + 20000) * (n + 20000) * (n + 20000) % 2097143 / 2097143.0 - 0.5 AS kindness,
       2.0 * ((n + 30000) * (n + 30000) * (n + 30000) % 2097143) / 2097143 - 1 AS modernity,
       (n + 40000) * (n + 40000) * (n + 40000) % 8 AS favourite,
       (n + 50000) * (n + 50000) * (n + 50000) % 2097143 AS tastes
  FROM counter, first_names, last_names;

INSERT INTO users(userId, name) SELECT userId, name FROM viewer ORDER BY userId;

-- How much each viewer likes each genre: 1 the favourite, less a second and a third that not everybody has, -1 the one
-- that is shunned, about 0 the rest. `step` walks from the favourite in an order of the viewer's own (1, 3, 5, 7 are
-- prime to 8).
CREATE TEMP TABLE taste(userId, genre, liking, PRIMARY KEY (userId, genre)) WITHOUT ROWID;
WITH RECURSIVE step(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM step WHERE n < 7)
INSERT INTO taste(userId, genre, liking)
SELECT userId, (favourite + step.n * (1 + 2 * (tastes % 4))) % 8,
       CASE step.n
         WHEN 0 THEN 1.0
         WHEN 1 THEN CASE WHEN tastes / 4 % 10 < 6 THEN 0.8 ELSE 0.0 END
         WHEN 2 THEN CASE WHEN tastes / 40 % 10 < 3 THEN 0.6 ELSE -0.1 END
         WHEN 3 THEN -1.0
         ELSE (tastes / (4 * step.n) % 7) / 10.0 - 0.45
       END
  FROM viewer, step;

-- ---- ratings --------------------------------------------------------------------------------------------------------

-- One row a (viewer, film): how it would please, and three throws of the dice.
INSERT INTO ratings(userId, movieId, rating, timestamp)
WITH cell AS MATERIALIZED (
  SELECT v.userId, f.movieId, f.fame, f.quality, v.activity, v.kindness,
         CASE WHEN t2.liking IS NULL THEN t.liking ELSE 0.6 * t.liking + 0.4 * t2.liking END AS liking,
         v.modernity * (f.year - 2002) / 30.0 AS era,
         v.userId * 288 + f.movieId AS x
    FROM viewer v CROSS JOIN film f
    JOIN taste t ON t.userId = v.userId AND t.genre = f.genre
    LEFT JOIN genre g ON g.name = f.second
    LEFT JOIN taste t2 ON t2.userId = v.userId AND t2.genre = g.id),
watched AS MATERIALIZED (
  SELECT userId, movieId, x, 3.05 + 0.9 * quality + 0.9 * kindness + 1.0 * liking + 0.5 * era AS pleasure
    FROM cell
   WHERE (x * x * x) % 2097143 / 2097143.0
         < fame * (0.12 + 0.8 * activity * activity) * (1.15 + liking) * (1.15 + liking)
           * (1 + 0.6 * max(-1, min(1, era))))
SELECT userId, movieId,
       max(0.5, min(5.0, round(2 * (pleasure + 0.9 * (
         ((x + 900001) * (x + 900001) * (x + 900001) % 2097143 + (x + 990001) * (x + 990001) * (x + 990001) % 2097143
          + (x + 1080001) * (x + 1080001) * (x + 1080001) % 2097143) / 2097143.0 - 1.5))) / 2)),
       1420070400 + (x + 1170001) % 2097143 * ((x + 1170001) % 2097143) % 2097143 * 140
  FROM watched;

DROP TABLE temp.genre;
DROP TABLE temp.film;
DROP TABLE temp.viewer;
DROP TABLE temp.taste;

COMMIT;
