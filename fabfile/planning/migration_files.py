"""From a folder's SQL files to migrations in their order: names, numbers, headers, and everything wrong with them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from fabfile.config.values import parse_duration
from fabfile.errors import BadInput
from fabfile.model.migration import Known, Migration, Phase
from fabfile.model.release import Manifest

NAME = re.compile(r"(\d{3,14})_([a-z0-9][a-z0-9_]*)\.sql")
DOWN = "_down.sql"
DATED = 10_000_000
"""From this number on they are dates, and gaps between them are natural."""
HEADER = re.compile(r"--[ \t]*(expand|contract|no-transaction|batches(?:[ \t]+(\S+))?)[ \t]*")
COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|(\$\w*\$).*?\1", re.DOTALL)
CHANGE = re.compile(r"\s*(with|insert|update|delete|merge)\b[^;]*[;\s]*", re.IGNORECASE)
CONCURRENTLY = re.compile(r"\b(create|drop|reindex|detach|refresh)\b[^;]*\bconcurrently\b", re.IGNORECASE)
PAUSE = 0.1
"""Seconds between batches where the file does not say."""


def read(files: Mapping[str, bytes], origin: str) -> tuple[Migration, ...]:
    """The migrations in `files`, by name, in the order of their numbers; files of other kinds are passed over.

    Raises BadInput with everything wrong with them, `origin` being what the folder is called.
    """
    problems: list[str] = []
    ups: dict[str, Migration] = {}
    downs: dict[str, str] = {}
    for name in sorted(file for file in files if file.endswith(".sql")):
        try:
            if not NAME.fullmatch(name):
                raise ValueError("expected a name such as 003_add_colour.sql or 003_add_colour_down.sql")
            text = _text(files[name])
            if name.endswith(DOWN):
                _refuse_outside(text)
                downs[name.removesuffix(DOWN)] = text
            else:
                ups[name.removesuffix(".sql")] = _migration(name, text, files[name])
        except ValueError as error:
            problems.append(f"{name}: {error}")
    named = {name.removesuffix(".sql") for name in files if NAME.fullmatch(name) and not name.endswith(DOWN)}
    problems += [f"{name}{DOWN}: there is no {name}.sql that it could take back" for name in downs if name not in named]
    found = sorted(ups.values(), key=lambda migration: (migration.version, migration.name))
    problems += _misnumbered(found)
    if problems:
        raise BadInput(f"{origin}: the migrations cannot be used", "correct what is named; inv migrate.lint", problems)
    return tuple(replace(one, down=_statement(downs.get(one.name))) for one in found)


def is_transactional(sql: str) -> bool:
    """Whether a file is run within a transaction."""
    return all(word != "no-transaction" for word, _ in _headers(sql))


def is_patient(sql: str) -> bool:
    """Whether it waits for locks without holding anybody up, so that it may wait for long."""
    return CONCURRENTLY.search(COMMENTS.sub("", sql)) is not None


def known(manifest: Manifest, folder: str) -> Known:
    """The migrations that a release holds, by what its manifest says."""
    found = set()
    for file in manifest.files:
        path, _, name = file.path.rpartition("/")
        if path == _plain(folder) and (match := NAME.fullmatch(name)) and not name.endswith(DOWN):
            found.add((int(match[1]), file.sha256))
    return frozenset(found)


def sql_paths(manifest: Manifest, folder: str) -> dict[str, str]:
    """The SQL files of a release by their path in it: their names in the folder.

    Raises BadInput for one in a folder below or behind a symlink, which nobody would look for.
    """
    plain = _plain(folder)
    found, problems = {}, []
    for path in [*(file.path for file in manifest.files), *(link.path for link in manifest.links)]:
        if not path.startswith(f"{plain}/") or not path.endswith(".sql"):
            continue
        name = path.removeprefix(f"{plain}/")
        if "/" in name:
            problems.append(f"{path}: lies in a folder of its own")
        elif any(link.path == path for link in manifest.links):
            problems.append(f"{path}: is a symlink")
        found[path] = name
    if problems:
        raise BadInput(f"{manifest.id}: migrations must be plain files in {folder}", "move them there", problems)
    return found


def next_names(files: Mapping[str, bytes], description: str, now: datetime) -> tuple[str, str]:
    """What a new pair is called: up and down. Raises BadInput for a description that makes no name."""
    words = re.sub(r"[^a-z0-9]+", "_", description.lower()).strip("_")
    if not words or words.endswith("_down") or len(words) > 80:
        raise BadInput(
            f"{description!r} makes no name of a migration",
            "say what it does in a few words: inv migrate.new add_colour",
        )
    numbers = [match[1] for name in files if (match := NAME.fullmatch(name))]
    last = max(map(int, numbers), default=0)
    if last >= DATED:
        number = now.strftime("%Y%m%d%H%M%S")
        if int(number) <= last:
            raise BadInput(f"the last migration is of {last}, which is not past yet", "is this machine's clock right?")
    else:
        number = str(last + 1).zfill(max(map(len, numbers), default=3))
    return f"{number}_{words}.sql", f"{number}_{words}{DOWN}"


def _migration(name: str, text: str, content: bytes) -> Migration:
    headers = _headers(text)
    phase = _phase([word for word, _ in headers if word in ("expand", "contract")])
    pauses = [pause for word, pause in headers if word == "batches"]
    transactional = is_transactional(text)
    if pauses and not transactional:
        raise ValueError("-- batches have a transaction each, so leave -- no-transaction out")
    if _statement(text) is None:
        raise ValueError("holds no statement")
    if pauses and not CHANGE.fullmatch(QUOTED.sub("", COMMENTS.sub("", text))):
        raise ValueError("-- batches is for one INSERT, UPDATE or DELETE: the rows that it changes say when it is done")
    _refuse_outside(text)
    match = NAME.fullmatch(name)
    assert match
    if not int(match[1]):
        raise ValueError("numbers begin with 001")
    checksum = hashlib.sha256(content).hexdigest()
    pause = _pause(pauses[0]) if pauses else None
    stem = name.removesuffix(".sql")
    return Migration(int(match[1]), stem, phase, checksum, text, transactional=transactional, pause=pause)


def _refuse_outside(text: str) -> None:
    if is_transactional(text) and is_patient(text):
        raise ValueError("CONCURRENTLY works outside transactions alone: add the line -- no-transaction")


def _headers(text: str) -> list[tuple[str, str]]:
    """The words of the comment lines at a file's beginning that are ours, and what follows `batches`."""
    found = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("--"):
            break
        if match := HEADER.fullmatch(line.rstrip()):
            found.append((match[1].split()[0], match[2] or ""))
    return found


def _phase(found: list[str]) -> Phase:
    match found:
        case ["expand"]:
            return "expand"
        case ["contract"]:
            return "contract"
    raise ValueError("begin it with the line -- expand or -- contract")


def _pause(written: str) -> float:
    return parse_duration(written) if written else PAUSE


def _misnumbered(migrations: list[Migration]) -> list[str]:
    found = []
    for one, following in pairwise(migrations):
        if following.version == one.version:
            found.append(f"{following.name}.sql: {one.name}.sql has the same number")
        elif following.version > one.version + 1 and following.version < DATED:
            found.append(f"{following.name}.sql: nothing has number {one.version + 1}, which comes before")
    return found


def _text(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text") from error
    if "\0" in text:
        raise ValueError("has a NUL in it")
    return text


def _statement(text: str | None) -> str | None:
    """The text, unless it is made of comments alone."""
    return text if text and COMMENTS.sub("", text).strip(" \t\r\n;") else None


def _plain(folder: str) -> str:
    return "/".join(part for part in folder.split("/") if part not in ("", "."))
