"""Room for a release: the one that is sent, or one like those that are there."""

from __future__ import annotations

from fabfile.checks.disk import judge
from fabfile.checks.evidence import Evidence, Sending
from fabfile.commands.disk import HEADROOM
from tests.unit.checks.seen import environment, evidence, live, of, well

MIB = 1 << 20


def with_free(free: int, run: Sending | None = None, **facts: object) -> Evidence:
    sizes = {"slot_bytes": 100 * MIB, "archive_bytes": 20 * MIB, "archives": 5, **facts}
    return evidence(hosts={"h1": well("h1", **sizes)}, observed={"h1": live("h1", free_bytes=free)}, run=run)


def test_what_is_sent_must_fit_to_the_byte() -> None:
    sending = Sending(1000 * MIB, 10)
    assert of(judge, with_free(1000 * MIB + HEADROOM, sending)).verdict == "ok"
    found = of(judge, with_free(1000 * MIB + HEADROOM - 1, sending))
    assert found.verdict == "critical"
    assert found.seen == "no space: 1063 MiB free for /var/app/shop, 1064 MiB needed"


def test_without_a_run_another_release_like_the_last_must_fit() -> None:
    assert of(judge, with_free(120 * MIB + HEADROOM)).verdict == "ok"
    assert of(judge, with_free(120 * MIB + HEADROOM - 1)).verdict == "critical"


def test_archives_that_are_still_to_come_are_worth_a_warning() -> None:
    assert of(judge, with_free(120 * MIB + HEADROOM, archives=1)).verdict == "warning"
    assert of(judge, with_free(180 * MIB + HEADROOM, archives=1)).verdict == "ok"


def test_a_log_that_fills_the_disk_is_what_is_emptied() -> None:
    found = of(judge, with_free(MIB, largest_log=("/var/app/shop/logs/blue.err.log", 900 * MIB)))
    assert found.remedy
    assert found.remedy.command == "truncate -s 0 /var/app/shop/logs/blue.err.log"
    assert (found.remedy.on, found.remedy.user) == ("h1", "deploy")


def test_a_log_that_is_not_the_cause_is_left_alone() -> None:
    found = of(judge, with_free(MIB, largest_log=("/var/app/shop/logs/blue.err.log", 10 * MIB)))
    assert found.remedy
    assert found.remedy.command.startswith("du -xh")
    assert found.remedy.note == "free some, or lower release.keep"


def test_inodes_count_where_the_file_system_has_a_limit() -> None:
    few = evidence(observed={"h1": live("h1", free_inodes=10)})
    assert of(judge, few).seen == "no inodes: 10 free, 1000 needed"
    assert of(judge, evidence(observed={"h1": live("h1", free_inodes=0)})).verdict == "ok"


def test_a_host_of_nginx_alone_needs_only_a_little() -> None:
    apart = environment(hosts={"h1": {"roles": ["web"]}, "h2": {"roles": ["app"], "internal": "10.0.0.2"}})
    seen = {"h1": live("h1", free_bytes=HEADROOM)}
    assert of(judge, evidence(environment=apart, observed=seen, run=Sending(1 << 40, 10**6))).verdict == "ok"
