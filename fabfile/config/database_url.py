"""The URL by which the application finds its database, and the same with another database in it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from fabfile.config.database import DatabaseSettings
from fabfile.errors import BadInput


def with_database(
    settings: DatabaseSettings, secrets: Mapping[str, SecretStr], database: str
) -> Mapping[str, SecretStr]:
    """The application's secrets with `database` instead of the live one in `database.url_variable`.

    Raises BadInput when no variable is named, or when its value is no URL of the live database; no message holds it.
    """
    variable = settings.url_variable
    if variable is None:
        raise BadInput(
            "database.url_variable is not set, so the application cannot be pointed to another database",
            "name the secret that holds its URL: url_variable: DATABASE_URL",
        )
    try:
        url = urlsplit(secrets[variable].get_secret_value())
    except ValueError:
        url = urlsplit("")
    if url.scheme not in ("postgres", "postgresql") or unquote(url.path) != f"/{settings.name}":
        raise BadInput(
            f"secrets.{variable}: the value is no URL of the database {settings.name}",
            f"it should be like postgresql://user:password@host:port/{settings.name}",
        )
    changed = urlunsplit(url._replace(path=f"/{quote(database, safe='')}"))
    return {**secrets, variable: SecretStr(changed)}
