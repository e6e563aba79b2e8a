"""`inv bucket.setup`: the bucket is made safe for backups, and what differs is shown first."""

from __future__ import annotations

import json as text
from dataclasses import asdict
from typing import TYPE_CHECKING

from fabfile.errors import BadInput, StorageError
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabfile.planning.bucket import Finding


@verb(
    help={
        "yes": "change what differs; without it, only show that, and exit 2 if there is anything",
        "policy": "print an IAM policy for a key that takes backups and cannot delete them, and nothing else",
        "copy": "the second bucket, that of backup.copy",
        "env": ENV,
        "json": JSON,
    }
)
def setup(
    reporter: Reporter,
    yes: bool = False,
    policy: bool = False,
    copy: bool = False,
    env: str | None = None,
    json: bool = False,
) -> None:
    """Show where the bucket lacks versions, locks, encryption or lifecycle rules; with --yes give it what it lacks."""
    from fabfile.planning.bucket import wanted, writer_policy
    from fabfile.session import opened
    from fabfile.storage.bucket import bucket_findings, mend
    from fabfile.storage.s3 import S3Store

    with opened(env, reporter, read_only=True) as session:
        backup = session.environment.backup
        settings = backup.copy_to if backup and copy else backup
        if backup is None or settings is None:
            section = "backup.copy" if copy else "backup"
            raise BadInput(f"hosts/{session.name}.yml has no {section} section", "hosts/example.yml shows one")
        if policy:
            document = writer_policy(settings)
            return reporter.answer(text.dumps(document, indent=2), document)
        which = " --copy" if copy else ""
        store, aim = session.second_store if copy else session.store, wanted(settings, backup.safeguards)
        assert isinstance(store, S3Store), "sessions have no other"
        if yes:
            unsupported, refused = mend(store, aim)
            for line in unsupported:
                reporter.say(f"{line}: this store cannot do that")
            if refused:
                raise StorageError(
                    f"s3://{settings.bucket}: {len(refused)} settings could not be changed",
                    f"mend what is named and run it again; all others are as wanted: inv bucket.setup{which}",
                    refused,
                )
        found = bucket_findings(store, aim)
        _show(reporter, found, settings.bucket)
        if not yes and any(finding.request for finding in found):
            reporter.say(f"to change what differs: inv bucket.setup{which} --yes")
            reporter.leave(2)
    return None


def _show(reporter: Reporter, found: Sequence[Finding], bucket: str) -> None:
    rows = [[finding.setting, finding.state, finding.now, finding.remedy or "-"] for finding in found]
    document = {"bucket": bucket, "findings": [asdict(finding) for finding in found]}
    reporter.table(("SETTING", "STATE", "NOW", "REMEDY"), rows, document, "")
