"""What may be promoted: nothing that is not live everywhere, verified, and the same bytes wherever it lies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.errors import Refused
from fabfile.model.observed import HistoryEntry, Observed
from fabfile.model.plan import Plan, Rollout
from fabfile.model.run_record import RunRecord
from fabfile.model.verified import Verified
from fabfile.planning.promotion import (
    earlier_success,
    ended_everywhere,
    live_everywhere,
    refuse_other_archives,
    refuse_unless_verified,
)
from fabfile.planning.unfinished import find_unfinished
from tests.unit.model.test_verified import RECORD
from tests.unit.planning.test_deploy_plan import bare, deploy, serving
from tests.unit.planning.test_unfinished import interrupted

BOTH = ("h1", "h2")
DIGESTS = st.sampled_from(["a" * 64, "b" * 64, "c" * 64])


def plan() -> Plan:
    return deploy(serving("h1"), serving("h2"))


def test_a_deploy_to_all_hosts_verifies_its_release() -> None:
    assert ended_everywhere(plan(), BOTH)
    assert ended_everywhere(deploy(serving("h1", release="2.0"), serving("h2")), BOTH)


@pytest.mark.parametrize(
    "changed",
    [
        replace(plan(), verb="rollback"),
        replace(plan(), verb="rollback", kind="back"),
        replace(plan(), rollout=Rollout(canary=(10,), hold=True)),
        plan().only("h1"),
    ],
    ids=["rollback to a release", "quick rollback", "held canary", "one host of two"],
)
def test_what_did_not_come_to_its_end_everywhere_verifies_nothing(changed: Plan) -> None:
    assert not ended_everywhere(changed, BOTH)


def test_hosts_that_catch_up_complete_a_deploy() -> None:
    assert ended_everywhere(replace(plan().only("h1"), verb="catch-up"), BOTH)


def entry(verb: str, release: str = "1.0", at: int = 1) -> HistoryEntry:
    return HistoryEntry(f"2026-11-0{at}T00:00:00+00:00", verb, release, "ann@laptop", f"r{at}")


def remembering(*histories: list[HistoryEntry], **changes: object) -> dict[str, Observed]:
    hosts = [serving(f"h{number}") for number in range(1, len(histories) + 1)]
    return {
        host.host: replace(host, history=tuple(history), **changes)  # type: ignore[arg-type]
        for host, history in zip(hosts, histories, strict=True)
    }


def test_an_earlier_deploy_that_ended_well_is_in_every_hosts_history() -> None:
    old, new = entry("deploy", at=1), entry("deploy", at=3)
    found = remembering([old, entry("deploy", "0.9", 2), new], [old, entry("rollback", at=4)])
    assert earlier_success(found, "1.0") == new


@pytest.mark.parametrize(
    "found",
    [
        remembering([entry("deploy")], []),
        remembering([entry("deploy", "2.0")]),
        remembering([entry("rollback")]),
        remembering([entry("recover")]),
        remembering([entry("deploy")], bad={"1.0": "rolled back"}),
        {},
    ],
    ids=["unknown to one host", "another release", "a rollback", "a recovery", "marked bad", "no hosts"],
)
def test_nothing_else_is_an_earlier_success(found: dict[str, Observed]) -> None:
    assert earlier_success(found, "1.0") is None


def test_the_release_that_all_hosts_serve_is_the_one_to_promote() -> None:
    assert live_everywhere("staging", {"h1": serving("h1"), "h2": serving("h2", "green")}, BOTH) == "1.0"


def test_hosts_of_nginx_alone_are_not_asked_what_they_run() -> None:
    assert live_everywhere("staging", {"h1": serving("h1"), "w1": bare("w1")}, ["h1"]) == "1.0"


@pytest.mark.parametrize(
    ("second", "said"), [(serving("h2", release="2.0"), "h2: 2.0"), (bare("h2"), "h2: nothing yet")]
)
def test_hosts_of_two_minds_have_nothing_to_promote(second: Observed, said: str) -> None:
    with pytest.raises(Refused, match="the hosts of staging do not all serve one release") as caught:
        live_everywhere("staging", {"h1": serving("h1"), "h2": second}, BOTH)
    assert caught.value.details == ("h1: 1.0", said)
    assert "--env=staging" in caught.value.hint


@pytest.mark.parametrize("share", ["", "blue-10"])
def test_a_run_that_goes_on_or_is_held_is_not_over(share: str) -> None:
    with pytest.raises(Refused, match=r"staging: deploy of 2\.0 by ann@laptop") as caught:
        live_everywhere("staging", interrupted({"h1": {"begin": "done"}, "h2": {}}, share=share), BOTH)
    assert "--env=staging" in caught.value.hint


@given(DIGESTS, st.lists(DIGESTS, unique=True))
def test_only_exactly_the_archive_that_is_served_counts_as_verified(served: str, recorded: list[str]) -> None:
    found = [replace(RECORD, digest=digest) for digest in recorded]
    if served in recorded:
        assert refuse_unless_verified("staging", "1.0-abc", served, found).digest == served
        return
    with pytest.raises(Refused) as caught:
        refuse_unless_verified("staging", "1.0-abc", served, found)
    assert "inv deploy --release=1.0-abc --env=staging" in caught.value.hint
    assert all(any(line.startswith(digest) for line in caught.value.details) for digest in recorded)
    assert ("it was built again" in caught.value.fact) == bool(recorded)


@given(st.dictionaries(st.sampled_from(["dist/x", "the bucket of staging", "h1 of production"]), DIGESTS))
def test_archives_of_the_same_name_are_the_same_or_it_is_told_which_is_which(places: dict[str, str]) -> None:
    verified: Verified = RECORD
    others = {place: digest for place, digest in places.items() if digest != verified.digest}
    if not others:
        refuse_other_archives(verified, places)
        return
    with pytest.raises(Refused, match=r"1\.0-abc was built again") as caught:
        refuse_other_archives(verified, places)
    assert "rm dist/1.0-abc.*; on a host: rm /var/app/shop/releases/1.0-abc.*" in caught.value.hint
    assert caught.value.details == (
        f"{verified.digest}: verified in staging at 2026-11-21T10:00:00+00:00 by ann@laptop",
        *(f"{digest}: {place}" for place, digest in others.items()),
    )


def test_a_run_that_somebody_else_finishes_still_knows_where_its_release_was_promoted_from() -> None:
    before = serving("h1")
    promoted = replace(deploy(before), promoted_from="staging")
    record = RunRecord("r1", "ann@laptop", "2026-01-01T00:00:00+00:00", "conf", ("h1",), promoted, before)
    found = find_unfinished({"h1": replace(before, pending=record.to_json().decode())})
    assert found is not None
    assert found.plan == promoted
