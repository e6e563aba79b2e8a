"""Which statements of a migration would hold users up or break what runs, and the recipe that does not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabfile.errors import Refused
from fabfile.model.migration import Migration

NOT_VALID = (
    "in one file: ALTER TABLE t ADD CONSTRAINT c CHECK (…) NOT VALID (or FOREIGN KEY … NOT VALID); "
    "in the next: ALTER TABLE t VALIDATE CONSTRAINT c"
)
ANEW = (
    "add a new column beside, let the application write both, fill it with -- batches, "
    "and drop the old one in a -- contract migration of a later release"
)
UNSAFE: Mapping[str, str] = {
    "adding-field-with-default": "add the column without it, then ALTER COLUMN … SET DEFAULT, then fill it: -- batches",
    "adding-foreign-key-constraint": NOT_VALID,
    "adding-not-nullable-field": (
        "in one file: ALTER TABLE t ADD CONSTRAINT c CHECK (col IS NOT NULL) NOT VALID; in the next: ALTER TABLE t "
        "VALIDATE CONSTRAINT c; ALTER TABLE t ALTER COLUMN col SET NOT NULL; ALTER TABLE t DROP CONSTRAINT c"
    ),
    "adding-required-field": "add it with a DEFAULT, or without NOT NULL: what runs now does not fill it",
    "adding-serial-primary-key-field": (
        "CREATE UNIQUE INDEX CONCURRENTLY in a -- no-transaction file, then ADD PRIMARY KEY USING INDEX"
    ),
    "ban-drop-database": "a migration stays within its database",
    "ban-truncate-cascade": "name every table that is to be emptied",
    "ban-uncommitted-transaction": "leave BEGIN out: every file has its transaction",
    "changing-column-type": ANEW,
    "constraint-missing-not-valid": NOT_VALID,
    "disallowed-unique-constraint": (
        "CREATE UNIQUE INDEX CONCURRENTLY in a -- no-transaction file, then ADD CONSTRAINT … UNIQUE USING INDEX"
    ),
    "renaming-column": ANEW,
    "renaming-table": "leave the table its name, and make a view of the new one for the application to use",
    "require-concurrent-index-creation": (
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS, alone in a file with -- no-transaction"
    ),
    "require-concurrent-index-deletion": "DROP INDEX CONCURRENTLY IF EXISTS, alone in a file with -- no-transaction",
    "require-concurrent-partition-detach": "DETACH PARTITION … CONCURRENTLY, alone in a file with -- no-transaction",
    "require-concurrent-reindex": "REINDEX … CONCURRENTLY, alone in a file with -- no-transaction",
    "syntax-error": "PostgreSQL reads no psql commands and no COPY FROM stdin from here",
    "transaction-nesting": "leave BEGIN and COMMIT out: every file has its transaction",
}
"""squawk's rules (2.70) that stop a run, and what to write instead."""
ROBUST = "prefer-robust-stmts"
"""Outside a transaction a statement may be done and its row not: it has to bear being repeated."""
ROBUST_RECIPE = "a file with -- no-transaction may be run twice: say IF NOT EXISTS or IF EXISTS"
CONTRACTING = frozenset(
    f"ban-drop-{what}" for what in ("column", "function", "schema", "sequence", "table", "type", "view")
)
"""Rules about what the release that runs may need: only contract migrations may do that."""
CONTRACT_RECIPE = "do it in a migration that begins with -- contract, of a release after the one that needs it no more"


@dataclass(frozen=True)
class Finding:
    """One statement: the file and line, the rule, what is wrong, and what to do instead."""

    file: str
    line: int
    rule: str
    message: str
    recipe: str

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{self.file}:{self.line}: {self.message} ({self.rule}) Instead: {self.recipe}"


def parse(migration: Migration, report: str) -> list[Finding]:
    """What squawk's JSON says about a migration, as far as it matters here; one finding for each line and remedy.

    Raises ValueError for what is not squawk's JSON.
    """
    answer = json.loads(report)
    if not isinstance(answer, list):
        raise ValueError("squawk answered with no list")
    try:
        entries = [(int(e["line"]) + 1, str(e["rule_name"]), str(e["message"])) for e in answer]
    except (KeyError, TypeError) as error:
        raise ValueError(f"squawk answered in another form: {error}") from error
    found: dict[tuple[int, str], Finding] = {}
    for line, rule, message in sorted(entries):
        if recipe := _recipe(rule, migration):
            found.setdefault((line, recipe), Finding(f"{migration.name}.sql", line, rule, message, recipe))
    return list(found.values())


def refuse(findings: Sequence[Finding]) -> None:
    """Raise Refused with all of them."""
    if findings:
        raise Refused(
            "the migrations are not safe while users are there, so nothing was started",
            f"change them as said, inv migrate.lint tries them here; or, where a table is small enough, put "
            f"-- squawk-ignore {findings[0].rule} above the statement",
            [finding.text for finding in findings],
        )


def _recipe(rule: str, migration: Migration) -> str | None:
    if rule in CONTRACTING:
        return CONTRACT_RECIPE if migration.phase == "expand" else None
    if rule == ROBUST:
        return None if migration.transactional else ROBUST_RECIPE
    return UNSAFE.get(rule)
