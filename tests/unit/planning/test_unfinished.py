"""What a run that has not ended is called, what can be done about it, and what it was before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fabfile.errors import Refused
from fabfile.model.observed import HistoryEntry, Observed
from fabfile.model.restore import Restore
from fabfile.model.run_record import RunRecord
from fabfile.planning.deploy_plan import plan_deploy, plan_stay
from fabfile.planning.unfinished import (
    Unfinished,
    find_unfinished,
    refuse_if_exchanging,
    refuse_if_unfinished,
    runs_in_need,
)
from tests.unit.planning.test_deploy_plan import ENVIRONMENT, TEMPLATES, serving


def interrupted(
    hosts: dict[str, dict[str, str]], run: str = "r1", began: str = "2026-01-01T00:00:00+00:00", **changes: str
) -> dict[str, Observed]:
    """Hosts in the middle of a deploy of 2.0, each with the last event of its steps."""
    before = {name: serving(name) for name in ("h1", "h2")}
    plan = plan_deploy(before.values(), ENVIRONMENT, "2.0", "conf", TEMPLATES)
    found = {}
    for name, progress in hosts.items():
        record = RunRecord(run, "ann@laptop", began, "conf", plan.hosts, plan.only(name), before[name])
        found[name] = replace(before[name], pending=record.to_json().decode(), progress=progress, **changes)  # type: ignore[arg-type]
    return found


def test_hosts_without_a_record_have_no_unfinished_run() -> None:
    assert find_unfinished({"h1": serving("h1")}) is None
    refuse_if_unfinished({"h1": serving("h1")})


def test_the_plan_and_the_state_before_come_back_from_the_hosts() -> None:
    found = find_unfinished(interrupted({"h1": {"begin": "done"}, "h2": {"begin": "done"}}))
    assert found is not None
    before = {name: serving(name) for name in ("h1", "h2")}
    assert found.plan == plan_deploy(before.values(), ENVIRONMENT, "2.0", "conf", TEMPLATES)
    assert found.before == before


def test_a_run_that_stopped_is_told_with_its_step_and_both_remedies() -> None:
    with pytest.raises(Refused) as error:
        refuse_if_unfinished(interrupted({"h1": {"begin": "done", "prove": "start"}, "h2": {"begin": "done"}}))
    assert error.value.fact == "deploy of 2.0 by ann@laptop, begun 2026-01-01T00:00:00+00:00, stopped at prove"
    assert error.value.hint == "finish it: inv deploy.resume; undo it: inv deploy.abort"


def test_a_step_is_done_only_where_all_its_hosts_say_so() -> None:
    found = find_unfinished(interrupted({"h1": {"place": "done"}, "h2": {"place": "failed"}}))
    assert found is not None
    assert found.is_done("place", ["h1"])
    assert not found.is_done("place", ["h1", "h2"])
    assert found.was_begun("place")
    assert not found.was_begun("start")


def test_a_host_that_took_its_traffic_back_is_named() -> None:
    found = find_unfinished(interrupted({"h1": {"switch": "reverted"}, "h2": {"switch": "done"}}))
    assert found is not None
    assert "h1 took the traffic back by itself" in found.sentence
    assert not found.is_done("switch", ["h1", "h2"])


def test_what_was_being_undone_can_only_be_undone() -> None:
    found = find_unfinished(interrupted({"h1": {"place": "undone", "start": "undo"}, "h2": {}}))
    assert found is not None
    assert found.being_undone
    assert found.remedy == "undo the rest: inv deploy.abort"


def test_what_took_effect_can_only_be_finished() -> None:
    found = find_unfinished(interrupted({"h1": {"record": "start"}, "h2": {}}))
    assert found is not None
    assert found.took_effect
    assert found.remedy == "finish it: inv deploy.resume"


def test_a_canary_without_a_trial_is_being_held() -> None:
    found = find_unfinished(interrupted({"h1": {}, "h2": {}}, share="blue-10"))
    assert found is not None
    assert found.held
    found = find_unfinished(interrupted({"h1": {}, "h2": {}}, share="blue-10", trial="r1"))
    assert found is not None
    assert not found.held


def test_a_host_without_the_record_is_absent() -> None:
    seen = {**interrupted({"h1": {}}), "h2": serving("h2")}
    found = find_unfinished(seen)
    assert found is not None
    assert found.absent == ("h2",)


def test_a_host_that_came_to_the_end_is_not_waited_for() -> None:
    """Else a last step that failed on one host alone could neither be finished nor undone."""
    seen = {**interrupted({"h1": {"record": "done", "tidy": "start"}}), "h2": serving("h2")}
    found = find_unfinished(seen)
    assert found is not None
    assert found.absent == ()
    del seen["h2"]
    found = find_unfinished(seen)
    assert found is not None
    assert found.absent == ("h2",)


def test_a_share_given_by_hand_is_taken_back_with_the_switch() -> None:
    found = find_unfinished(interrupted({"h1": {"canary-25": "done"}, "h2": {}}))
    assert found is not None
    assert found.was_begun("switch")
    assert found.was_begun("switch.2")
    assert not found.was_begun("settle")


def test_the_oldest_of_two_runs_comes_first() -> None:
    newer = interrupted({"h2": {}}, run="r2", began="2026-01-02T00:00:00+00:00")
    found = find_unfinished({**newer, **interrupted({"h1": {}})})
    assert found is not None
    assert found.run == "r1"


def test_a_record_that_cannot_be_read_keeps_others_out() -> None:
    strange = {"h1": replace(serving("h1"), pending='{"run":"r1","nonsense')}
    assert find_unfinished(strange) is None
    with pytest.raises(Refused, match="h1: a run has not ended, and its record was written by another version"):
        refuse_if_unfinished(strange)


def restoring(hosts: dict[str, dict[str, str]], restore: Restore | None = None) -> dict[str, Observed]:
    """Hosts in the middle of a restore of the database."""
    before = {name: serving(name) for name in ("h1", "h2")}
    plan = plan_stay(before.values(), ENVIRONMENT, restore or Restore(True, False, 7))
    found = {}
    for name, progress in hosts.items():
        record = RunRecord(
            "r1", "ann@laptop", "2026-01-01T00:00:00+00:00", "", plan.hosts, plan.only(name), before[name]
        )
        found[name] = replace(before[name], pending=record.to_json().decode(), progress=progress)
    return found


def restored(seen: dict[str, Observed]) -> Unfinished:
    found = find_unfinished(seen)
    assert found
    return found


ENDED = HistoryEntry("2026-01-01", "rollback", "1.0", "ann", "r1")


def test_a_restore_that_every_host_sealed_can_only_be_finished() -> None:
    found = restored(restoring({"h1": {"seal": "done"}, "h2": {"seal": "done"}}))
    assert found.took_effect
    refuse_if_exchanging(restoring({"h1": {"seal": "done"}, "h2": {"seal": "done"}}))


def test_a_seal_on_the_only_host_that_answers_is_enough_to_keep_what_users_wrote() -> None:
    assert restored(restoring({"h2": {"seal": "done"}})).took_effect


@pytest.mark.parametrize("event", ["start", "failed", "undone"])
def test_as_long_as_one_host_lacks_the_seal_nobody_was_let_through(event: str) -> None:
    assert not restored(restoring({"h1": {"seal": "done"}, "h2": {"seal": event}})).took_effect


def test_a_host_whose_history_has_the_run_says_that_it_is_too_late() -> None:
    seen = {**restoring({"h2": {"swap-db": "done"}}), "h1": replace(serving("h1"), history=(ENDED,))}
    found = restored(seen)
    assert (found.took_effect, found.absent) == (True, ())


def test_a_host_that_answers_and_knows_nothing_of_a_run_that_had_gone_far_has_undone_it() -> None:
    found = restored({**restoring({"h2": {"begin": "done", "seal": "done"}}), "h1": serving("h1")})
    assert (found.took_effect, found.being_undone) == (False, True)
    found = restored({**restoring({"h2": {"begin": "done"}}), "h1": serving("h1")})
    assert not found.being_undone


def test_users_are_not_let_through_by_hand_while_a_restore_may_be_taken_back() -> None:
    with pytest.raises(Refused, match="stopped at swap-db") as refused:
        refuse_if_exchanging(restoring({"h1": {"swap-db": "done"}, "h2": {"swap-db": "done"}}))
    assert "inv deploy.abort" in refused.value.hint
    refuse_if_exchanging(interrupted({"h1": {"begin": "done"}, "h2": {"begin": "done"}}))


def test_an_unfinished_undo_needs_what_it_keeps_and_what_it_brings_back() -> None:
    assert runs_in_need({"h1": serving("h1")}) == frozenset()
    assert runs_in_need(restoring({"h1": {}}, Restore(True, True, undoes="r0"))) == {"r0", "r1"}
    with pytest.raises(Refused, match="another version"):
        runs_in_need({"h1": replace(serving("h1"), pending="{}")})


def test_a_record_that_does_not_say_what_it_exchanges_is_of_another_version() -> None:
    (seen,) = restoring({"h1": {}}).values()
    nothing = seen.pending.replace('"restore":{', '"ignored":{')
    assert nothing != seen.pending
    with pytest.raises(Refused, match="another version"):
        refuse_if_unfinished({"h1": replace(seen, pending=nothing)})
