"""The report of a recovery: RTO, RPO, and rows beside those of the backup."""

from __future__ import annotations

from dataclasses import replace

from fabfile.planning.recovery_report import Outcome, outcome_document, outcome_lines
from tests.unit.planning.test_disaster import FACTS, point

OUTCOME = Outcome(12.345678, 3 * 3600.0, {"load-db": 1.5, "unfreeze": 0.25}, {"public.items": 3})


def test_people_read_both_figures_each_step_and_each_table() -> None:
    lines = outcome_lines(point(7), OUTCOME)
    assert lines[0] == "RTO 12.3 s from the command until users were served"
    assert lines[1] == "RPO 3 h: everything written since 2026-01-07T00:00:00Z is lost"
    assert [line.split() for line in lines[2:]] == [
        ["load-db", "1.5", "s"],
        ["unfreeze", "0.2", "s"],
        ["table", "in", "the", "backup", "restored"],
        ["public.items", "3", "3"],
        ["all", "1", "tables", "3", "3"],
    ]


def test_a_program_reads_the_same() -> None:
    assert outcome_document(point(7), OUTCOME) == {
        "backup": 7,
        "created_at": "2026-01-07T00:00:00Z",
        "verified_at": "2026-01-07T00:00:00Z",
        "rto_seconds": 12.346,
        "rpo_seconds": 10800.0,
        "phases": {"load-db": 1.5, "unfreeze": 0.25},
        "tables": {"public.items": {"backup": 3, "restored": 3}},
    }


def test_rows_that_another_process_counted_are_not_made_up() -> None:
    resumed = replace(OUTCOME, phases={}, rows=None)
    assert outcome_lines(point(7), resumed)[-1] == (
        "the rows of 1 tables were counted when they were restored, and as in the backup"
    )
    assert outcome_document(point(7), resumed)["tables"] == {"public.items": {"backup": 3, "restored": None}}


def test_many_tables_are_cut_to_the_largest_and_summed_up() -> None:
    tables = {f"public.t{number:02d}": number for number in range(50)}
    saved = replace(point(7), database=replace(FACTS, tables=tables))
    lines = outcome_lines(saved, replace(OUTCOME, phases={}, rows=tables))
    assert len(lines) == 2 + 1 + 20 + 1
    assert lines[3].split() == ["public.t49", "49", "49"]
    assert lines[-1].split() == ["all", "50", "tables", "1225", "1225"]
