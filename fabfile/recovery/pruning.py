"""What retention has given up is deleted: manifests first, files after, and what an earlier prune has left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from fabfile.model.holdings import Archive, Holdings
from fabfile.planning.retention import Judgement, Prune
from fabfile.recovery.catalogue import Catalogue

CHANGED = "changed by somebody meanwhile: judged again next time"


def prune(catalogue: Catalogue, plan: Callable[[Holdings, datetime], Prune]) -> Prune:
    """Delete what `plan` says, and return it as it was carried out.

    The caller holds the environment's lease. Any part of it may be interrupted: the next prune goes on. Release
    archives are judged again when the backups are gone, by what really is left then.
    """
    planned = plan(catalogue.holdings(), datetime.now(UTC))
    changed = {point.number for point in planned.doomed if not catalogue.discard(point)}
    for left in planned.unlisted:
        catalogue.remove(left.number)
    idle: tuple[Archive, ...] = ()
    if planned.archives:
        idle = plan(catalogue.holdings(), datetime.now(UTC)).archives
    for archive in idle:
        for key in archive.keys:
            catalogue.store.delete(key)
    judgements = (
        Judgement(judged.point, True, CHANGED) if judged.point.number in changed else judged
        for judged in planned.judgements
    )
    return replace(planned, judgements=tuple(judgements), archives=idle)
