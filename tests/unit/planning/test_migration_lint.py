"""What of squawk's findings stops a run, and what to do instead."""

from __future__ import annotations

import json

import pytest

from fabfile.errors import Refused
from fabfile.model.migration import Migration, Phase
from fabfile.planning.migration_lint import CONTRACTING, UNSAFE, parse, refuse


def migration(phase: Phase = "expand", transactional: bool = True) -> Migration:
    return Migration(3, "003_c", phase, "sum", "SELECT 1;", transactional=transactional)


def report(*rules: str, line: int = 4) -> str:
    return json.dumps(
        [{"line": line, "rule_name": rule, "message": "It blocks.", "level": "Warning"} for rule in rules]
    )


@pytest.mark.parametrize("rule", sorted(UNSAFE))
def test_every_unsafe_rule_stops_a_run_with_its_recipe(rule: str) -> None:
    findings = parse(migration("contract"), report(rule))
    with pytest.raises(Refused) as refused:
        refuse(findings)
    assert refused.value.details == (f"003_c.sql:5: It blocks. ({rule}) Instead: {UNSAFE[rule]}",)
    assert f"-- squawk-ignore {rule}" in refused.value.hint


@pytest.mark.parametrize("rule", sorted(CONTRACTING))
def test_what_takes_away_belongs_into_a_contract_migration(rule: str) -> None:
    (finding,) = parse(migration("expand"), report(rule))
    assert "-- contract" in finding.recipe
    assert parse(migration("contract"), report(rule)) == []


def test_style_and_what_the_runner_sees_to_itself_stop_nothing() -> None:
    quiet = ("require-lock-timeout", "require-statement-timeout", "prefer-bigint-over-int", "prefer-robust-stmts")
    assert parse(migration(), report(*quiet)) == []
    refuse([])


def test_what_may_run_twice_has_to_bear_it() -> None:
    (finding,) = parse(migration(transactional=False), report("prefer-robust-stmts"))
    assert "IF NOT EXISTS" in finding.recipe


def test_one_statement_is_told_once_for_each_remedy() -> None:
    both = report("adding-foreign-key-constraint", "constraint-missing-not-valid")
    assert len(parse(migration(), both)) == 1


@pytest.mark.parametrize("text", ["", "nonsense", "{}", '[{"line": 1}]', "[3]", '{"a": 1}'])
def test_another_programs_words_are_no_acquittal(text: str) -> None:
    with pytest.raises(ValueError):
        parse(migration(), text)
