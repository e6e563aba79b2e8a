"""Requests and approvals in the bucket: signed, never changed, believed only as far as their signatures are good."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from fabfile.errors import Refused
from fabfile.model.approval import Signed, Statement
from fabfile.signing import signer_of
from fabfile.storage.port import AlreadyExists, Store

READERS = 8
"""Statements that are read at the same time."""


class Register:
    """What people have signed about the releases of one environment, below `root` (which ends with a slash)."""

    def __init__(self, store: Store, root: str, signers: Path) -> None:
        self._store, self._root, self._signers = store, f"{root}approvals/", signers

    def judged(self, statement: Statement, signature: str) -> Signed:
        """The statement and who has signed it. Raises as `signer_of` does."""
        return Signed(statement, signer_of(statement.to_text(), signature, statement.namespace, self._signers))

    def add(self, statement: Statement, signature: str) -> None:
        """Keep it, for good: nothing takes a statement back."""
        text = statement.to_text()
        name = hashlib.sha256(f"{text}\n{signature}".encode()).hexdigest()[:16]
        document = json.dumps({"statement": text, "signature": signature}, indent=1).encode()
        with suppress(AlreadyExists):  # an interrupted attempt came as far as this
            self._store.put(f"{self._root}{statement.release}/{name}.json", document, if_absent=True)

    def read(self, release: str = "", since: datetime | None = None) -> tuple[list[Signed], list[str]]:
        """Everything signed about one release, or all of them, and why the rest counts for nothing; with `since` only
        what was stored later."""
        prefix = f"{self._root}{release}/" if release else self._root
        keys = [found.key for found in self._store.list(prefix) if since is None or found.modified > since]
        with ThreadPoolExecutor(READERS) as pool:
            read = list(pool.map(self._read_one, keys))
        return [one for one in read if isinstance(one, Signed)], [one for one in read if isinstance(one, str)]

    def _read_one(self, key: str) -> Signed | str:
        try:
            found = json.loads(self._store.get(key))
            text, signature = str(found["statement"]), str(found["signature"])
            statement = Statement.from_text(text)
            return Signed(statement, signer_of(text, signature, statement.namespace, self._signers))
        except (ValueError, KeyError, TypeError):
            return f"{key}: not a signed statement"
        except Refused as error:
            return f"{key}: {error.fact}"
