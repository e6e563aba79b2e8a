-- A database with what real ones have; loaded by psql as a superuser into an empty database, :"DBNAME".
\set ON_ERROR_STOP on

CREATE ROLE "Fidelity Owner" NOLOGIN;
CREATE ROLE fidelity_reader NOLOGIN;
CREATE ROLE "fidelity ""quoted"" ümläut" NOLOGIN;

-- The database itself.
ALTER DATABASE :"DBNAME" OWNER TO "Fidelity Owner";
ALTER DATABASE :"DBNAME" CONNECTION LIMIT 57;
ALTER DATABASE :"DBNAME" SET search_path TO app, 'odd, "path"', public;
ALTER DATABASE :"DBNAME" SET work_mem TO '7MB';
ALTER DATABASE :"DBNAME" SET app.motto TO 'it''s "so"';
ALTER ROLE fidelity_reader IN DATABASE :"DBNAME" SET statement_timeout TO '5s';
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO fidelity_reader;
GRANT CREATE ON DATABASE :"DBNAME" TO "fidelity ""quoted"" ümläut" WITH GRANT OPTION;
COMMENT ON DATABASE :"DBNAME" IS 'everything, it''s said';

-- Extensions, one of them in a schema of its own.
CREATE SCHEMA extensions;
CREATE EXTENSION pg_trgm WITH SCHEMA extensions;
CREATE EXTENSION citext WITH SCHEMA public;
CREATE EXTENSION hstore WITH SCHEMA extensions;
CREATE EXTENSION btree_gist WITH SCHEMA extensions;
CREATE EXTENSION postgres_fdw WITH SCHEMA extensions;
COMMENT ON EXTENSION citext IS 'for e-mail addresses';

-- Schemas, owners, privileges.
CREATE SCHEMA app AUTHORIZATION "Fidelity Owner";
CREATE SCHEMA "Odd ""schema"" ü" AUTHORIZATION "fidelity ""quoted"" ümläut";
CREATE SCHEMA empty;
COMMENT ON SCHEMA app IS 'the application';
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA app TO fidelity_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE "Fidelity Owner" IN SCHEMA app GRANT SELECT ON TABLES TO fidelity_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE "Fidelity Owner" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
SET search_path TO app, public, extensions;

-- Types.
CREATE TYPE app.mood AS ENUM ('sad', 'so so', 'happy, "really"');
ALTER TYPE app.mood ADD VALUE 'furious' BEFORE 'sad';
CREATE DOMAIN app.email AS citext CONSTRAINT "has an @" CHECK (value ~ '@') NOT NULL;
CREATE DOMAIN app.percent AS numeric(5, 2) DEFAULT 0 CHECK (value BETWEEN 0 AND 100);
CREATE TYPE app.address AS (street text, "house no." int, city varchar(40));
CREATE TYPE app.workdays AS RANGE (subtype = date, multirange_type_name = app.manyworkdays);
CREATE COLLATION app.german (provider = icu, locale = 'de-u-co-phonebk');
ALTER TYPE app.mood OWNER TO "Fidelity Owner";

-- Functions in all the ways they are written.
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    NEW.changed := '2025-01-01 00:00:00+00';
    RETURN NEW; -- $ ' " \ stay what they are
END $body$;
CREATE FUNCTION app.double(i int, OUT twice int) LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN i * 2;
CREATE FUNCTION app.secret() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT ''x''';
CREATE PROCEDURE app.tidy(INOUT n int DEFAULT 1) LANGUAGE plpgsql AS 'BEGIN n := n + 1; END';
CREATE AGGREGATE app.product(numeric) (sfunc = numeric_mul, stype = numeric, initcond = '1');
CREATE OPERATOR app.<-> (leftarg = int, rightarg = int, function = int4mi);
REVOKE EXECUTE ON FUNCTION app.secret() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.secret() TO fidelity_reader;
ALTER FUNCTION app.touch() OWNER TO "Fidelity Owner";

-- Tables: identity, generated, arrays, jsonb, storage, constraints of every kind.
CREATE TABLE app.people (
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000 INCREMENT BY 7 CACHE 3) PRIMARY KEY,
    login app.email UNIQUE,
    name text COLLATE app.german NOT NULL,
    lower_name text GENERATED ALWAYS AS (lower(name)) STORED,
    mood app.mood DEFAULT 'so so',
    tags text[] DEFAULT '{}',
    matrix int[][],
    document jsonb DEFAULT '{"a": [1, null, "\u00fc"]}',
    attributes extensions.hstore,
    home app.address,
    share app.percent,
    photo bytea,
    price money,
    born date,
    changed timestamptz NOT NULL DEFAULT '2024-12-31 23:59:60+00',
    away tstzrange,
    boss bigint REFERENCES app.people ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT "born, perhaps" CHECK (born > '1800-01-01') NOT VALID,
    CONSTRAINT "away once" EXCLUDE USING gist (id WITH =, away WITH &&)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE app.people ALTER photo SET STORAGE EXTERNAL, ALTER name SET STATISTICS 500;
ALTER TABLE app.people OWNER TO "Fidelity Owner";
COMMENT ON TABLE app.people IS E'people\nin two lines';
COMMENT ON COLUMN app.people.login IS 'what they type';
COMMENT ON CONSTRAINT "born, perhaps" ON app.people IS 'not validated';
CREATE INDEX "by name, upper" ON app.people (upper(name) text_pattern_ops DESC NULLS LAST) INCLUDE (mood) WHERE mood <> 'sad';
CREATE INDEX similar_names ON app.people USING gin (name extensions.gin_trgm_ops);
CREATE INDEX documents ON app.people USING gin (document jsonb_path_ops) WITH (fastupdate = off);
CREATE UNIQUE INDEX one_null ON app.people (price) NULLS NOT DISTINCT WHERE false;
ALTER TABLE app.people CLUSTER ON people_pkey;
CREATE STATISTICS app.together (dependencies, mcv) ON name, mood FROM app.people;
GRANT SELECT (id, name), UPDATE (name) ON app.people TO fidelity_reader;
GRANT INSERT ON app.people TO "fidelity ""quoted"" ümläut" WITH GRANT OPTION;

INSERT INTO app.people (login, name, tags, matrix, attributes, home, share, photo, price, born, away)
SELECT 'p' || i || '@example.org', chr(64 + i % 26) || 'ß''"\' || E'\t\n' || i, ARRAY['a b', '', NULL, '{"x"}', i::text],
    ARRAY[[i, 2], [3, NULL]], extensions.hstore('k', i::text), ('Straße "1"', i, NULL)::app.address, i % 100, decode(md5(i::text), 'hex'),
    i * 1.5, date '1900-01-01' + i, tstzrange('2025-01-01', NULL)
FROM generate_series(1, 500) i;
UPDATE app.people SET boss = 1000 WHERE id > 1000;
INSERT INTO app.people (login, name, born) VALUES ('nul@l', '', NULL), ('x@y', '\N', '4713-01-01');
CREATE TRIGGER touched BEFORE UPDATE OF name ON app.people FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name)
    EXECUTE FUNCTION app.touch();
ALTER TABLE app.people DISABLE TRIGGER touched;
ALTER TABLE app.people ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.people FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON app.people AS RESTRICTIVE FOR UPDATE TO fidelity_reader USING (mood = 'sad') WITH CHECK (true);
CREATE POLICY "nobody else's" ON app.people USING (login = current_user::citext);

-- Sequences, mid-way and otherwise.
CREATE SEQUENCE app.invoice START 500 INCREMENT -5 MINVALUE -1000 MAXVALUE 500 CYCLE CACHE 10;
SELECT setval('app.invoice', 115, true);
CREATE SEQUENCE "Odd ""schema"" ü"."untouched, still" AS smallint;
CREATE TABLE app.serials (id serial PRIMARY KEY, note text);
INSERT INTO app.serials (note) SELECT 'n' FROM generate_series(1, 13);
DELETE FROM app.serials WHERE id > 10;
ALTER SEQUENCE app.invoice OWNED BY app.serials.note;
GRANT USAGE ON SEQUENCE app.serials_id_seq TO fidelity_reader;

-- Foreign keys in a circle.
CREATE TABLE app.hen (id int PRIMARY KEY, egg int);
CREATE TABLE app.egg (id int PRIMARY KEY, hen int REFERENCES app.hen);
ALTER TABLE app.hen ADD FOREIGN KEY (egg) REFERENCES app.egg ON UPDATE CASCADE DEFERRABLE;
INSERT INTO app.hen VALUES (1, NULL);
INSERT INTO app.egg VALUES (1, 1);
UPDATE app.hen SET egg = 1;

-- Partitions of partitions, a default one, one detached; inheritance.
CREATE TABLE app.events (at timestamptz NOT NULL, kind text NOT NULL, data jsonb, PRIMARY KEY (at, kind))
    PARTITION BY RANGE (at);
CREATE TABLE app.events_2024 PARTITION OF app.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
    PARTITION BY LIST (kind);
CREATE TABLE app."events 2024 clicks" PARTITION OF app.events_2024 FOR VALUES IN ('click', 'double "click"');
CREATE TABLE app.events_2024_rest PARTITION OF app.events_2024 DEFAULT;
CREATE TABLE app.events_2025 PARTITION OF app.events FOR VALUES FROM ('2025-01-01') TO (MAXVALUE)
    PARTITION BY HASH (kind);
CREATE TABLE app.events_2025_0 PARTITION OF app.events_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.events_2025_1 PARTITION OF app.events_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE app.events_old PARTITION OF app.events FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
ALTER TABLE app.events DETACH PARTITION app.events_old;
CREATE INDEX ON app.events (kind);
INSERT INTO app.events SELECT timestamptz '2024-03-01' + i * interval '1 day', CASE i % 3 WHEN 0 THEN 'click' ELSE 'k' || i END,
    jsonb_build_object('i', i) FROM generate_series(1, 700) i;
CREATE TABLE app.base (id int, CHECK (id > 0) NO INHERIT);
CREATE TABLE app.derived (more text) INHERITS (app.base);
INSERT INTO app.derived VALUES (1, 'x');
CREATE UNLOGGED TABLE app.cache (k text PRIMARY KEY, v bytea);
INSERT INTO app.cache VALUES ('k', '\x00ff');
CREATE TABLE app.nothing ();
CREATE TABLE app.of_type OF app.address (PRIMARY KEY (street));

-- Views: plain, checked, recursive, materialized with and without rows; rules.
CREATE VIEW app.adults WITH (security_barrier, security_invoker) AS SELECT id, name, born FROM app.people
    WHERE born < '2000-01-01' WITH LOCAL CHECK OPTION;
CREATE RECURSIVE VIEW app.chain (id, depth) AS
    SELECT id, 0 FROM app.people WHERE boss IS NULL
    UNION ALL SELECT p.id, c.depth + 1 FROM app.people p JOIN chain c ON p.boss = c.id;
CREATE MATERIALIZED VIEW app.moods AS SELECT mood, count(*) AS n FROM app.people GROUP BY mood ORDER BY mood;
CREATE UNIQUE INDEX ON app.moods (mood);
CREATE MATERIALIZED VIEW app.moods_again AS SELECT sum(n) AS n FROM app.moods WITH NO DATA;
CREATE VIEW app.readonly AS SELECT 1 AS one;
CREATE RULE refuse AS ON DELETE TO app.readonly DO INSTEAD NOTHING;
ALTER VIEW app.adults OWNER TO "Fidelity Owner";
GRANT SELECT ON app.adults TO PUBLIC;
COMMENT ON MATERIALIZED VIEW app.moods IS 'how they feel';

-- Odd names.
CREATE TABLE "Odd ""schema"" ü"."Table; DROP ""x"" -- ü" ("column ""1""" int, "SELECT" text, "with
line" text, "ümläut" text DEFAULT E'\\''"');
INSERT INTO "Odd ""schema"" ü"."Table; DROP ""x"" -- ü" VALUES (1, 'x', E'a\\b\nc', DEFAULT);
CREATE TABLE "Odd ""schema"" ü"."UPPER" (id int);
CREATE TABLE "Odd ""schema"" ü".upper (id int);
CREATE TABLE app."sixty-three bytes long, which is the longest that a name can be" (id int);
ALTER TABLE "Odd ""schema"" ü"."UPPER" OWNER TO "fidelity ""quoted"" ümläut";

-- Large objects, one of them not ours, one empty.
SELECT lo_from_bytea(424201, decode(repeat('00ff', 40000), 'hex'));
SELECT lo_create(424202);
ALTER LARGE OBJECT 424201 OWNER TO "Fidelity Owner";
GRANT SELECT ON LARGE OBJECT 424201 TO fidelity_reader;
COMMENT ON LARGE OBJECT 424202 IS 'nothing in it';

-- Elsewhere and beside: foreign servers, publications, event triggers, text search, casts.
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '192.0.2.1', dbname 'it''s "there"');
CREATE USER MAPPING FOR fidelity_reader SERVER elsewhere OPTIONS (user 'u', password 'p''w');
CREATE FOREIGN TABLE app.far (id int OPTIONS (column_name 'ID')) SERVER elsewhere OPTIONS (table_name 'Far away');
CREATE PUBLICATION changes FOR TABLE app.serials (id) WHERE (id > 3), TABLE app.hen WITH (publish = 'insert, delete');
CREATE FUNCTION app.noticed() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER noticed ON ddl_command_end WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION app.noticed();
ALTER EVENT TRIGGER noticed DISABLE;
CREATE TEXT SEARCH CONFIGURATION app.plain (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION app.plain ALTER MAPPING FOR hword WITH english_stem;
CREATE CAST (app.address AS text) WITH INOUT AS ASSIGNMENT;

-- A hundred tables more, every fourth of them empty.
DO $$
BEGIN
    FOR i IN 1..120 LOOP
        EXECUTE format('CREATE TABLE app.%I (id int PRIMARY KEY, t text, r int REFERENCES app.serials)', 'table ' || i);
        IF i % 4 <> 0 THEN
            EXECUTE format('INSERT INTO app.%I SELECT j, md5(j::text), 1 + j %% 10 FROM generate_series(1, %s) j',
                'table ' || i, i);
        END IF;
    END LOOP;
END $$;
