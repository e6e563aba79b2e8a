"""Which releases an environment has verified: one small record for each archive, in its bucket or else in dist/."""

from __future__ import annotations

from fabfile.errors import StorageError
from fabfile.model.verified import Verified
from fabfile.storage.port import NotFound, Store


class VerifiedReleases:
    """What `app` in `environment` has verified, below `root` (which ends with a slash)."""

    def __init__(self, store: Store, root: str, app: str, environment: str) -> None:
        self._store, self._root = store, root
        self._app, self._environment = app, environment

    def add(self, verified: Verified) -> None:
        """Note it; a later deploy of the same archive takes the place of an earlier one. Raises StorageError."""
        self._store.put(self._key(verified.release, verified.digest), verified.to_json())

    def find(self, release: str, digest: str) -> Verified | None:
        """The record of exactly this archive. Raises StorageError, also for one that cannot be read."""
        key = self._key(release, digest)
        try:
            found = Verified.from_json(self._store.get(key))
        except NotFound:
            return None
        except ValueError as error:
            raise StorageError(f"{key}: {error}", f"deploy {release} to {self._environment} again") from error
        ours = (found.app, found.environment, found.release, found.digest)
        return found if ours == (self._app, self._environment, release, digest) else None

    def of(self, release: str) -> tuple[Verified, ...]:
        """What was verified under this name, the newest first: more than one where it was built again."""
        keys = [found.key for found in self._store.list(f"{self._root}{release}/")]
        digests = [key.rpartition("/")[2].removesuffix(".json") for key in keys]
        found = [record for digest in digests if (record := self.find(release, digest))]
        return tuple(sorted(found, key=lambda record: record.at, reverse=True))

    def _key(self, release: str, digest: str) -> str:
        return f"{self._root}{release}/{digest}.json"
