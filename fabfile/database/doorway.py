"""How one comes into a server, as it tells itself: encrypted or not, who comes without, and whether it is logged."""

from __future__ import annotations

from fabfile.database.postgres import Postgres
from fabfile.model.database_server import Doorway

OURSELVES = """
SELECT coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
    current_setting('ssl')::boolean, current_setting('listen_addresses')
"""
# Of other roles' sessions only a member of pg_monitor sees where they come from.
PLAIN = """
SELECT DISTINCT host(client_addr) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
WHERE datname = current_database() AND NOT ssl AND client_addr IS NOT NULL
    AND NOT client_addr <<= '127.0.0.0/8' AND client_addr <> '::1' ORDER BY 1
"""
# Since PostgreSQL 18 the first is a list of what is logged. pgAudit's setting is there where it is loaded.
UNLOGGED = """
SELECT name FROM (VALUES
    ('log_connections', lower(current_setting('log_connections')) NOT IN ('off', 'false', 'no', '0', 'none', '')),
    ('log_statement', current_setting('log_statement') <> 'none'
        OR coalesce(current_setting('pgaudit.log', true), '') ~* '\\m(ddl|all)\\M')
) AS parameters (name, logs) WHERE NOT logs
"""


def doorway(postgres: Postgres) -> Doorway:
    """Ask in a session of our own. Raises as `Database` does."""
    with postgres.connected() as connection:
        version = "{}.{}".format(*divmod(connection.info.server_version, 10_000))
        found = connection.execute(OURSELVES).fetchone()
        assert found
        plain = tuple(address for (address,) in connection.execute(PLAIN))
        unlogged = tuple(name for (name,) in connection.execute(UNLOGGED))
    encrypted, offered, listens = found
    return Doorway(version, encrypted, offered, listens, plain, unlogged)
