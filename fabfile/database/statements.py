"""The SQL about whole databases: what is asked of the catalogue, and statements built from names and values."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

NAMES_LIKE = 'SELECT datname FROM pg_database WHERE starts_with(datname::text, %s) ORDER BY datname COLLATE "C"'

SIZE = "SELECT pg_database_size(oid) FROM pg_database WHERE datname = %s"

PLACE = """
SELECT coalesce(nullif(pg_tablespace_location(d.dattablespace), ''), s.setting)
FROM pg_database d LEFT JOIN pg_settings s ON s.name = 'data_directory' WHERE d.datname IN (%s, 'postgres')
ORDER BY d.datname = 'postgres' LIMIT 1
"""
"""Where a database lies, or would if there is none of that name; NULL for roles that may not know."""

HOLD = "SELECT pg_try_advisory_lock(hashtextextended({}, 0))"

EXPEL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = ANY(%s) AND backend_type <> 'autovacuum worker'
"""
"""Autovacuum workers are left to the rename, which ends them itself and without superuser rights."""

FACTS = """
SELECT pg_database_size(oid), pg_get_userbyid(datdba), pg_encoding_to_char(encoding),
    (SELECT coalesce(jsonb_object_agg(extname, extversion), '{}') FROM pg_extension)
FROM pg_database WHERE datname = current_database()
"""

ROLES = """
WITH RECURSIVE here AS (SELECT oid, datdba FROM pg_database WHERE datname = current_database()),
referred AS (
    SELECT refobjid AS oid FROM pg_shdepend s, here
    WHERE refclassid = 'pg_authid'::regclass AND deptype IN ('o', 'a', 'r') AND classid <> 'pg_extension'::regclass
        AND (dbid = here.oid OR classid = 'pg_database'::regclass AND objid = here.oid)
        AND NOT EXISTS (SELECT FROM pg_depend e
            WHERE e.classid = s.classid AND e.objid = s.objid AND e.deptype = 'e')
    UNION SELECT datdba FROM here
    UNION SELECT owner FROM (
        SELECT 'pg_class'::regclass AS class, oid, relowner AS owner FROM pg_class WHERE relpersistence <> 't'
        UNION ALL SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc
        UNION ALL SELECT 'pg_type'::regclass, oid, typowner FROM pg_type
        UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner FROM pg_namespace WHERE nspname !~ '^pg_'
    ) made
    WHERE owner = 10 AND oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend e
        WHERE e.classid = made.class AND e.objid = made.oid AND e.deptype = 'e')
),
membership AS (
    SELECT roleid, member FROM pg_auth_members m
    WHERE 'true' IN (coalesce(to_jsonb(m) ->> 'inherit_option', 'true'), coalesce(to_jsonb(m) ->> 'set_option', 'true'))
),
needed AS (
    SELECT oid FROM referred
    UNION SELECT roleid FROM membership JOIN needed ON member = needed.oid
)
SELECT rolname, array_remove(ARRAY[
        CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
        CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN NOT rolinherit THEN 'NOINHERIT' END,
        CASE WHEN rolcanlogin THEN 'LOGIN' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
        CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL),
    ARRAY(SELECT DISTINCT pg_get_userbyid(roleid)::text COLLATE "C" FROM membership WHERE member = r.oid ORDER BY 1)
FROM pg_roles r JOIN needed USING (oid) WHERE rolname !~ '^pg_' ORDER BY rolname COLLATE "C"
"""
"""Every role that the dump names. The first superuser (10) is pinned, and pg_shdepend says nothing about it; what is
below 16384 was there when the server was made, and what belongs to an extension is not dumped. Since 16 whoever makes
a role becomes its member with neither of the two options (new in 16 as well), which gives no right."""

SERVER = "SELECT ARRAY(SELECT rolname::text FROM pg_roles), ARRAY(SELECT name::text FROM pg_available_extensions)"

TABLES = """
SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 3
"""
"""Every table that pg_dump dumps with its rows: not those that extensions bring."""

PROPERTIES = """
SELECT to_jsonb(d), pg_get_userbyid(datdba), pg_encoding_to_char(encoding),
    (SELECT spcname FROM pg_tablespace t JOIN pg_database z ON z.datname = 'template0'
        WHERE t.oid = d.dattablespace AND t.oid <> z.dattablespace),
    shobj_description(d.oid, 'pg_database'),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(rolname, setconfig) ORDER BY setrole), '[]')
        FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = setrole WHERE setdatabase = d.oid),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(rolname, privilege_type, is_grantable) ORDER BY grantee, 2), '[]')
        FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) LEFT JOIN pg_roles r ON r.oid = grantee)
FROM pg_database d WHERE datname = %(name)s
"""

HAS_VERSIONS = "SELECT to_regclass('public.turnout_migrations') IS NOT NULL"

CREATE_VERSIONS = """
CREATE TABLE IF NOT EXISTS public.turnout_migrations (
    version bigint PRIMARY KEY,
    description text NOT NULL,
    phase text NOT NULL CHECK (phase IN ('expand', 'contract')),
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL,
    duration double precision NOT NULL,
    release text NOT NULL,
    run text NOT NULL,
    down text
)
"""
"""The versions table; `duration` is in seconds, `down` the text that takes the migration back."""

VERSIONS = """
SELECT version, description, phase, checksum, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    duration, release, run, down
FROM public.turnout_migrations ORDER BY version
"""

NOTE_VERSION = """
INSERT INTO public.turnout_migrations
    (version, description, phase, checksum, applied_at, duration, release, run, down)
VALUES (%s, %s, %s, %s, clock_timestamp(), %s, %s, %s, %s)
"""

FORGET_VERSION = "DELETE FROM public.turnout_migrations WHERE version = %s"

MIGRATE_ALONE = "SELECT pg_try_advisory_lock(hashtextextended('turnout migrations', 0))"
DUMP_ALONE = "SELECT pg_try_advisory_lock_shared(hashtextextended('turnout migrations', 0))"
"""Migrations keep each other and dumps out, dumps only migrations; both locks end with their sessions."""

DUMPING = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pg_dump' LIMIT 1
"""

CONFIGURE = "SELECT set_config(%s, %s, false)"

OWNER = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"

BROKEN_INDEXES = """
SELECT n.nspname, c.relname
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i'
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
ORDER BY 1, 2
"""

QUOTED_LISTS = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
"""Settings whose stored value is a list of quoted names (GUC_LIST_QUOTE; the same six as in pg_dump)."""


@dataclass(frozen=True)
class Properties:
    """A row of pg_database as JSON, because its columns differ by version, and what belongs to the database elsewhere.

    `tablespace` is None for the default one, which only superusers may name. `settings` are pairs of a role (None:
    every role) and its `name=value` strings; `grants` are triples of a role (None: PUBLIC), a privilege, and whether it
    may be passed on.
    """

    row: dict[str, Any]
    owner: str
    encoding: str
    tablespace: str | None
    comment: str | None
    settings: Sequence[tuple[str | None, Sequence[str]]]
    grants: Sequence[tuple[str | None, LiteralString, bool]]


def create_new(name: str, owner: str, encoding: str) -> sql.Composed:
    """CREATE DATABASE from template0, whose locale it gets."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {}")
    return statement.format(sql.Identifier(name), sql.Identifier(owner), sql.Literal(encoding))


def create(new: str, like: Properties) -> sql.Composed:
    """CREATE DATABASE from template0 with everything that cannot be changed later as in `like`."""
    row = like.row
    words: list[sql.Composable] = [
        sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(new)),
        sql.SQL("OWNER {}").format(sql.Identifier(like.owner)),
        sql.SQL("ENCODING {}").format(sql.Literal(like.encoding)),
        sql.SQL("LC_COLLATE {} LC_CTYPE {}").format(sql.Literal(row["datcollate"]), sql.Literal(row["datctype"])),
    ]
    if like.tablespace:
        words.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(like.tablespace)))
    locale = row.get("datlocale") or row.get("daticulocale")  # renamed in 17
    match row.get("datlocprovider"):  # new in 15
        case "c":
            words.append(sql.SQL("LOCALE_PROVIDER libc"))
        case "i":
            words.append(sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(locale)))
            if rules := row.get("daticurules"):
                words.append(sql.SQL("ICU_RULES {}").format(sql.Literal(rules)))
        case "b":
            words.append(sql.SQL("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(sql.Literal(locale)))
    return sql.SQL(" ").join(words)


def rename(old: str, new: str) -> sql.Composed:
    """Rename a database that nobody is connected to."""
    return sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))


def allow_connections(name: str, allowed: bool) -> sql.Composed:
    """Open or close a database, for superusers too."""
    return sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.Literal(allowed))


def carry_over(new: str, wanted: Properties, present: Properties) -> Iterator[sql.Composed]:
    """Give the database `new`, which has `present`, what is `wanted` of limit, settings, grants and comment."""
    name = sql.Identifier(new)
    yield sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(name, sql.Literal(wanted.row["datconnlimit"]))
    for role, _ in present.settings:
        yield sql.SQL("{} RESET ALL").format(_alter(role, name))
    for role, pairs in wanted.settings:
        for pair in pairs:
            yield _set(_alter(role, name), *pair.split("=", 1))
    for grantee in dict.fromkeys(role for role, _, _ in present.grants):
        yield sql.SQL("REVOKE ALL ON DATABASE {} FROM {} CASCADE").format(name, _grantee(grantee))
    for role, privilege, grantable in wanted.grants:
        grant = sql.SQL("GRANT {} ON DATABASE {} TO {}{}")
        option = sql.SQL(" WITH GRANT OPTION" if grantable else "")
        yield grant.format(sql.SQL(privilege), name, _grantee(role), option)
    yield sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(wanted.comment))


def _alter(role: str | None, database: sql.Identifier) -> sql.Composed:
    if role is None:
        return sql.SQL("ALTER DATABASE {}").format(database)
    return sql.SQL("ALTER ROLE {} IN DATABASE {}").format(sql.Identifier(role), database)


def _set(alter: sql.Composed, name: str, value: str) -> sql.Composed:
    values = [value]
    if name in QUOTED_LISTS:
        values = next(csv.reader([value], skipinitialspace=True), [])
    listed = sql.SQL(", ").join(map(sql.Literal, values or [""]))
    return sql.SQL("{} SET {} TO {}").format(alter, sql.Identifier(*name.split(".")), listed)


def _grantee(role: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if role is None else sql.Identifier(role)
