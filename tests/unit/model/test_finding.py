"""What is typed: a hint's command alone, and words that stay words."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.model.finding import Remedy, as_root, from_hint, here, worst


@pytest.mark.parametrize(
    ("hint", "command", "note"),
    [
        ("inv backup", "inv backup", ""),
        ("compare it, then: inv hosts.trust --host=h1", "inv hosts.trust --host=h1", "compare it, then"),
        ("chmod 600 'our key'", "chmod 600 'our key'", ""),
        ("export KEY=…", "", "export KEY=…"),
        ("try: ssh deploy@h1; the key must be there", "", "try: ssh deploy@h1; the key must be there"),
        ("is it up, and is sshd running?", "", "is it up, and is sshd running?"),
    ],
)
def test_a_command_at_the_end_of_a_hint_stands_alone(hint: str, command: str, note: str) -> None:
    assert from_hint(hint) == Remedy(command, note=note)


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_words_stay_words_in_a_shell(words: list[str]) -> None:
    assert shlex.split(here(*words).command) == words


def test_a_remedy_says_where_and_as_whom() -> None:
    assert as_root("h1", "reboot", "be careful").sentence == "be careful: as root on h1: reboot"
    assert Remedy(note="think").sentence == "think"


def test_the_gravest_verdict_counts() -> None:
    assert worst(["ok", "warning", "could not look"]) == "warning"
    assert worst(["not applicable", "ok"]) == "ok"
    assert worst(["warning", "critical"]) == "critical"
    assert worst([]) == "ok"
