"""The section about migrations, beside the application's own command."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fabfile.config.schema import Environment

DATABASE = {"via": "h1", "name": "app", "user": "turnout", "password": "env:PASSWORD"}


def environment(**sections: Any) -> Environment:
    return Environment.model_validate({"app": "shop", "hosts": {"h1": {}}, **sections})


def test_a_folder_is_enough() -> None:
    settings = environment(database=DATABASE, migrations={"folder": "db/migrations"}).migrations
    assert settings
    assert (settings.folder, settings.lock_timeout, settings.timeout) == ("db/migrations", 5.0, 600.0)


@pytest.mark.parametrize("folder", ["/etc", "../other", ""])
def test_the_folder_lies_in_the_release(folder: str) -> None:
    with pytest.raises(ValidationError, match="folder"):
        environment(database=DATABASE, migrations={"folder": folder})


def test_without_a_database_there_is_nothing_to_migrate() -> None:
    with pytest.raises(ValidationError, match="needs a database section"):
        environment(migrations={"folder": "migrations"})


def test_two_ways_to_migrate_are_one_too_many() -> None:
    with pytest.raises(ValidationError, match="keep one of them"):
        environment(database=DATABASE, migrations={"folder": "m"}, release={"migrate": ["node", "migrate.js"]})
