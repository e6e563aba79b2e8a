"""A recovery point's parts go back: the dump into a database beside the live one, the files beside the live ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fabfile.artifact.archive import ARCHIVE, Release
from fabfile.artifact.identify import identify
from fabfile.commands import shared_files
from fabfile.errors import BadInput, TurnoutError
from fabfile.model.recovery_point import DATABASE, RecoveryPoint, StoredPart
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.integrity import Checked
from fabfile.recovery.scope import Scope


def load_database(scope: Scope, point: RecoveryPoint, into: str) -> None:
    """Restore the dump into the empty database `into`, which the caller drops when this raises.

    Raises StorageError for a damaged object, BadInput when the backup or the environment has no database.
    """
    part = point.part(DATABASE)
    if part is None:
        raise BadInput(f"backup {point.number} has no database in it", "choose another backup: inv backup.list")
    if scope.database is None:
        raise BadInput("there is no database to restore into", "add a database section to the environment file")
    with _checked(scope, part) as chunks:
        scope.database.load(into, chunks)


def load_files(scope: Scope, point: RecoveryPoint, host: str, run: str) -> None:
    """Unpack the host's shared files beside the live ones (see `shared_files.swap_shared`); a host that the backup does
    not know gets those of the first one that it does.

    Raises StorageError for a damaged object, BadInput when the backup has no files.
    """
    part = point.files(host)
    if part is None:
        raise BadInput(f"backup {point.number} has no shared files in it", "choose another backup: inv backup.list")
    with _checked(scope, part) as chunks:
        scope.hosts[host].run(shared_files.unpack_beside(scope.paths, run), chunks)


def fetch_stored(catalogue: Catalogue, identity: str, folder: Path) -> Release:
    """A release's archive that lies beside the backups, in `folder` and identified by its content.

    Raises BadInput where the store has none that is whole, StorageError for a damaged one.
    """
    part = catalogue.release(identity)
    if part is None:
        raise BadInput(f"release {identity} is kept with no backup", "inv releases lists what the hosts keep")
    path = folder / f"{identity}{ARCHIVE}"
    with path.open("wb") as file:
        for chunk in Checked(catalogue.store, part):
            file.write(chunk)
    return identify(path, identity, part.sha256)


@contextmanager
def _checked(scope: Scope, part: StoredPart) -> Iterator[Checked]:
    """The part's bytes; a failure of the store is raised as itself, not as what the receiving host made of it."""
    chunks = Checked(scope.catalogue.store, part, scope.identity)
    try:
        yield chunks
    except TurnoutError as error:
        if chunks.error is None or chunks.error is error:
            raise
        raise chunks.error from error
