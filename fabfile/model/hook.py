"""The points of a run at which a team's own commands are called."""

from __future__ import annotations

from typing import Literal

Point = Literal[
    "pre-deploy",
    "pre-switch",
    "post-switch",
    "post-deploy",
    "deploy-failed",
    "pre-rollback",
    "post-rollback",
    "rollback-failed",
]

AFTERMATH: frozenset[Point] = frozenset({"post-deploy", "deploy-failed", "post-rollback", "rollback-failed"})
"""Points at which the outcome is settled: a command that fails there is told and changes nothing."""
