"""How one comes into a server, as it tells itself: encrypted or not, and who comes without."""

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


def doorway(postgres: Postgres) -> Doorway:
    """Ask in a session of our own. Raises as `Database` does."""
    with postgres.connected() as connection:
        version = "{}.{}".format(*divmod(connection.info.server_version, 10_000))
        found = connection.execute(OURSELVES).fetchone()
        assert found
        plain = tuple(address for (address,) in connection.execute(PLAIN))
    encrypted, offered, listens = found
    return Doorway(version, encrypted, offered, listens, plain)
