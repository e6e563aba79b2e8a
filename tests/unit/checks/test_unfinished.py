"""A run that stopped midway, by what hosts keep of it."""

from __future__ import annotations

from fabfile.checks.unfinished import judge
from fabfile.model.observed import Lease, Observed
from fabfile.model.plan import Plan
from fabfile.model.run_record import RunRecord
from tests.unit.checks.seen import evidence, live, of

PLAN = Plan("deploy", "deploy", "2.0", (), ())


def stopped(**change: object) -> Observed:
    record = RunRecord("r9", "ann@laptop", "2026-03-01T11:00:00+00:00", "", ("h1",), PLAN, live("h1"))
    return live("h1", pending=record.to_json().decode(), progress={"begin": "done", "upload": "start"}, **change)


def test_a_run_that_stopped_is_critical_and_undone_by_one_command() -> None:
    found = of(judge, evidence(observed={"h1": stopped()}), "")
    assert found.verdict == "critical"
    assert "stopped at upload" in found.seen
    assert found.remedy
    assert found.remedy.command == "inv deploy.abort --env=demo"


def test_one_that_has_taken_effect_is_finished() -> None:
    found = of(judge, evidence(observed={"h1": live("h1", pending=stopped().pending, progress={"record": "done"})}), "")
    assert found.remedy
    assert found.remedy.command == "inv deploy.resume --env=demo"


def test_one_whose_holder_lives_goes_on() -> None:
    at_work = stopped(lease=Lease("r9", "ann@laptop", "deploy 2.0", 3, 90))
    assert of(judge, evidence(observed={"h1": at_work}), "").verdict == "ok"


def test_none_is_well_and_hosts_that_nobody_saw_say_nothing() -> None:
    assert of(judge, evidence(), "").verdict == "ok"
    assert list(judge(evidence(observed={}))) == []


def test_a_record_that_another_version_has_written_is_no_end() -> None:
    found = of(judge, evidence(observed={"h1": live("h1", pending='{"run":"r9"}'), "h2": live("h2")}), "")
    assert found.verdict == "critical"
    assert found.seen == "h1: a run has not ended, and its record was written by another version"
    assert found.remedy
