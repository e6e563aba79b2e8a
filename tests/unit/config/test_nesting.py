"""A hook that wants the lock is refused: the run that called it has it, and waits for the hook."""

from __future__ import annotations

import pytest

from fabfile.config.nesting import refuse_within_hook
from fabfile.errors import Locked


def test_a_hook_is_refused_with_the_run_that_called_it() -> None:
    with pytest.raises(Locked, match="hook of run 20260101T000000-abcd, which holds the lock") as refused:
        refuse_within_hook({"TURNOUT_RUN": "20260101T000000-abcd"})
    assert refused.value.code == 4
    assert "unset TURNOUT_RUN" in refused.value.hint


@pytest.mark.parametrize("environ", [{}, {"TURNOUT_RUN": ""}, {"TURNOUT_ENV": "demo"}])
def test_anybody_else_is_not(environ: dict[str, str]) -> None:
    refuse_within_hook(environ)
