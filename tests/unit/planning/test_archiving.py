"""What a set-up says that it would change, and where it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fabfile.errors import Refused
from fabfile.planning.archiving import FileChange, Preparation, prepare
from tests.unit.planning.test_point_in_time import CLUSTER, WELL

COMMAND = "pgbackrest --config-path=/etc/postgresql/15/main/pgbackrest --stanza=shop archive-push %p"
CONF = FileChange("/etc/x/pgbackrest.conf", b"a=1\nb=2\n", b"a=1\nb=3\n")
READY = replace(CLUSTER, archiver=replace(WELL, command=COMMAND))


def test_what_is_as_wanted_leaves_nothing_to_do() -> None:
    found = prepare(READY, (replace(CONF, after=CONF.before),), "/keys", "same", COMMAND, 900)
    assert found.empty
    assert list(found.lines()) == []


def test_files_settings_and_the_restart_are_all_told() -> None:
    bare = replace(CLUSTER, archive_timeout=0, archiver=replace(WELL, mode="off", command="(disabled)"))
    found = prepare(bare, (CONF,), "/keys", "absent", COMMAND, 900)
    lines = list(found.lines())
    assert lines[:2] == ["--- /etc/x/pgbackrest.conf (now)", "+++ /etc/x/pgbackrest.conf (wanted)"]
    assert {"-b=2", "+b=3", "PostgreSQL: archive_timeout = '900s' (now '0s')"} <= set(lines)
    assert "/keys is written (secrets are not shown)" in lines
    assert "must be restarted" in lines[-1]


@pytest.mark.parametrize("keys", ["absent", "other"])
def test_keys_alone_are_something_to_do(keys: str) -> None:
    found = Preparation((), "/keys", keys, (), False)  # type: ignore[arg-type]
    assert not found.empty


def test_a_server_that_is_archived_by_something_else_is_left_alone() -> None:
    other = replace(CLUSTER, archiver=replace(WELL, command="wal-g wal-push %p"))
    with pytest.raises(Refused, match="wal-g wal-push"):
        prepare(other, (), "/keys", "absent", COMMAND, 900)


@pytest.mark.parametrize(
    "cluster", [replace(CLUSTER, config_file="/opt/pg/postgresql.conf"), replace(CLUSTER, tablespaces=1)]
)
def test_a_server_that_could_not_take_its_own_place_is_refused(cluster: object) -> None:
    with pytest.raises(Refused):
        prepare(cluster, (), "/keys", "absent", COMMAND, 900)  # type: ignore[arg-type]
