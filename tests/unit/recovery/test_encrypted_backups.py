"""Encrypted backups: only public keys to take one, the private key to read it, and no plaintext in the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from pydantic import SecretStr

from fabfile.errors import BadInput, DatabaseError, StorageError
from fabfile.model.recovery_point import StoredPart
from fabfile.recovery.capture import capture
from fabfile.recovery.restore import load_database, load_files
from fabfile.recovery.scope import Scope
from fabfile.remote.local import LocalHost
from tests.unit.recovery.test_capture_and_restore import RUN, MemoryDatabase, damage, scope, stored

__all__ = ["scope"]
KEY = pyrage.x25519.Identity.generate()
DUMP = b"select secret;" * 100_000


def locked(scope: Scope) -> Scope:
    """The scope of a machine that has the public key alone."""
    return replace(scope, recipients=(str(KEY.to_public()),), database=MemoryDatabase(dumped=(DUMP[:9], DUMP[9:])))


def unlocked(scope: Scope, key: object = KEY) -> Scope:
    return replace(scope, identity=lambda: SecretStr(str(key)))


def test_an_encrypted_backup_is_taken_without_and_restored_with_the_private_key(scope: Scope) -> None:
    point = capture(locked(scope), "full", "manual", RUN, "1.0.0")
    assert [part.encrypted for part in point.objects] == [True, True, True, False]
    assert scope.catalogue.points() == (point,)
    for part in point.objects[:3]:
        data = scope.catalogue.store.get(part.key)
        assert part.key.endswith(".age")
        assert data.startswith(b"age-encryption.org/v1")
        assert b"secret" not in data
        assert b"picture" not in data
        assert (part.plain_size or 0) < part.size
    restored = unlocked(replace(scope, hosts={"h1": LocalHost("h1")}))
    load_files(restored, point, "h1", RUN)
    load_database(restored, point, "app_new")
    assert (Path(scope.paths.root) / f".shared.{RUN}" / "uploads" / "picture").read_bytes() == b"pixels" * 1000
    assert isinstance(scope.database, MemoryDatabase)
    assert scope.database.loaded == {"app_new": DUMP}


def test_plain_parts_say_that_they_are_stored_as_they_came(scope: Scope) -> None:
    for part in capture(scope, "full", "manual", RUN, "1.0.0").objects:
        assert (part.plain_size, part.plain_sha256, part.encrypted) == (part.size, part.sha256, False)


def test_without_the_private_key_an_encrypted_backup_is_refused_and_nothing_is_loaded(scope: Scope) -> None:
    point = capture(locked(scope), "full", "manual", RUN)
    with pytest.raises(BadInput, match=r"encrypted and backup\.identity is not set"):
        load_database(scope, point, "app_new")
    with pytest.raises(BadInput, match=r"database\.pgdump\.zst\.age: is encrypted for other keys"):
        load_database(unlocked(scope, pyrage.x25519.Identity.generate()), point, "app_new")
    assert scope.database == MemoryDatabase()


def test_a_dump_that_breaks_off_while_it_is_encrypted_leaves_nothing(scope: Scope) -> None:
    error = DatabaseError("the server went away")
    broken = replace(locked(scope), database=MemoryDatabase(dumped=(DUMP, error)))
    with pytest.raises(DatabaseError) as raised:
        capture(broken, "full", "manual", RUN, "1.0.0")
    assert raised.value is error
    assert stored(scope) == {"backups/000001/claim.json"}


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "longer"])
def test_a_damaged_encrypted_object_is_refused(scope: Scope, how: str) -> None:
    point = capture(locked(scope), "database", "manual", RUN)
    damage(scope, point.objects[0], how)
    with pytest.raises(StorageError, match="is damaged"):
        load_database(unlocked(scope), point, "app_new")
    assert scope.database == MemoryDatabase()


def test_another_whole_object_for_the_same_key_is_refused_by_the_digest_of_its_plain_bytes(scope: Scope) -> None:
    """As somebody could who has the public key and may write to the bucket, but not into a manifest kept elsewhere."""
    wanted, forged = (
        capture(replace(locked(scope), database=MemoryDatabase(dumped=(dump,))), "database", "manual", RUN).objects[0]
        for dump in (DUMP, DUMP + b"; drop")
    )
    mixed = StoredPart("database", forged.key, forged.size, forged.sha256, wanted.plain_size, wanted.plain_sha256, True)
    point = replace(scope.catalogue.find("1"), objects=(mixed,))
    with pytest.raises(StorageError, match="is damaged"):
        load_database(unlocked(scope), point, "app_new")
    assert scope.database == MemoryDatabase()
