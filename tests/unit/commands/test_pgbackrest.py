"""pgBackRest's words and answers: what is asked for, what is read, and that no secret is an argument."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr

from fabfile.commands import cluster, pgbackrest
from fabfile.model.cluster import Place, lsn
from fabfile.rendering import render_pgbackrest, repository_secrets
from tests.unit.planning.test_point_in_time import CLUSTER, base

PROJECT = Path(__file__).parents[3]
ENTRY = {
    "annotation": {"turnout": "7"},
    "archive": {"start": "000000020000000000000004", "stop": "000000020000000000000004"},
    "database": {"id": 1, "repo-key": 1},
    "error": False,
    "info": {"delta": 30, "repository": {"delta": 3, "size": 3}, "size": 30},
    "label": "20261121-164217F",
    "lsn": {"start": "0/4000028", "stop": "0/4000100"},
    "prior": None,
    "reference": None,
    "timestamp": {"start": 1795279337, "stop": 1795279339},
    "type": "full",
}


def test_a_backup_is_read_from_pgbackrests_answer() -> None:
    (found,) = pgbackrest.parse_info(json.dumps([{"name": "shop", "backup": [ENTRY]}]))
    assert (found.label, found.kind, found.number, found.sound) == ("20261121-164217F", "full", 7, True)
    assert found.stopped_at == datetime.fromtimestamp(1795279339, UTC)
    assert (found.timeline, found.size, found.stored) == (2, 30, 3)


@pytest.mark.parametrize("annotation", [None, {}, {"other": "7"}, {"turnout": "x"}])
def test_a_backup_that_is_not_ours_has_no_number(annotation: object) -> None:
    (found,) = pgbackrest.parse_info(json.dumps([{"backup": [{**ENTRY, "annotation": annotation}]}]))
    assert found.number is None


def test_a_repository_without_a_backup_holds_none() -> None:
    assert pgbackrest.parse_info('[{"name":"shop","status":{"code":1}}]') == ()


def test_a_moment_is_aimed_at_in_utc_along_the_servers_own_past() -> None:
    at = datetime(2026, 11, 21, 4, 0, 0, 250000, tzinfo=timezone(timedelta(hours=1)))
    text = pgbackrest.restore(replace(CLUSTER, timeline=3), "shop", "/data.restore-x", base(1), at).text
    assert "'--target=2026-11-21 03:00:00.250000+00'" in text
    assert "--target-timeline=3" in text


def test_a_backup_of_the_timeline_that_the_server_is_on_needs_no_history_in_the_repository() -> None:
    text = pgbackrest.restore(
        replace(CLUSTER, timeline=3), "shop", "/data.restore-x", base(1, timeline=3), datetime.now(UTC)
    ).text
    assert "--target-timeline=current" in text


def test_a_backup_itself_is_restored_as_far_as_it_reaches() -> None:
    text = pgbackrest.restore(CLUSTER, "shop", "/data.restore-x", base(1), None).text
    assert "--type=immediate" in text
    assert "--target=" not in text


def test_files_are_compared_and_the_secret_one_only_as_a_whole() -> None:
    found = pgbackrest.parse_stand("-\nYWI=\nother\n")
    assert (found.files, found.secret) == ((None, b"ab"), "other")
    with pytest.raises(ValueError, match="nothing about a file"):
        pgbackrest.parse_stand("-\n")


def test_secrets_are_in_no_script() -> None:
    secret = repository_secrets(SecretStr("key-1"), SecretStr("key-2"), SecretStr("a passphrase"))
    for script in (pgbackrest.install("/keys", secret), pgbackrest.stand((), "/keys", secret)):
        assert script.stdin == secret
        assert "passphrase" not in script.text + repr(script)
    assert secret.decode().splitlines()[3] == "repo1-cipher-pass=a passphrase"


def test_the_configuration_is_rendered_with_encryption_and_checked_certificates() -> None:
    values: dict[str, str | int] = {
        "path": "/t/_pgbackrest/shop/test",
        "bucket": "b",
        "region": "r",
        "endpoint": "s3.example.com",
        "port": 443,
        "uri_style": "path",
        "ca_file": "",
        "keep_full": 4,
        "stanza": "shop",
        "data_directory": "/data",
        "server_port": 5432,
    }
    text = render_pgbackrest(values, PROJECT / "templates").decode()
    lines = text.splitlines()
    assert {"repo1-cipher-type=aes-256-cbc", "repo1-storage-verify-tls=y", "repo1-s3-uri-style=path"} <= set(lines)
    assert "ca-file" not in text
    assert lines[-3:] == ["[shop]", "pg1-path=/data", "pg1-port=5432"]


def test_a_cluster_is_found_by_its_port_and_no_other() -> None:
    assert cluster.parse_place("15\nmain\n/data\n", 5432) == Place(15, "main", 5432, "/data")
    for text in ("", "15\nmain\n/data\n14\nold\n/old\n"):
        with pytest.raises(ValueError, match="clusters with port 5432"):
            cluster.parse_place(text, 5432)


def test_positions_in_the_wal_are_in_order() -> None:
    assert lsn("0/FFFFFFFF") < lsn("1/0") < lsn("1/10")
    with pytest.raises(ValueError, match="no position"):
        lsn("5")
