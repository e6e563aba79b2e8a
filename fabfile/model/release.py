"""A release: which files it holds, and the manifest that travels beside its archive."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from fabfile.errors import BadInput

FORMAT = 1
RESERVED = ".turnout"
"""The directory that a host adds to a slot; a release that held it could replace what the host wrote there."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ReleaseFile:
    """A regular file: path below the release, 0o644 or 0o755, size in bytes, SHA-256 in hex."""

    path: str
    mode: int
    size: int
    sha256: str


@dataclass(frozen=True)
class ReleaseLink:
    """A symlink whose relative target lies in the release."""

    path: str
    target: str


@dataclass(frozen=True)
class Manifest:
    """What an archive must hold, and where it comes from. Sizes are bytes, `built_at` is ISO 8601 UTC."""

    format: int
    id: str
    name: str
    version: str
    digest: str
    """SHA-256 of the archive."""
    size: int
    """Of the archive."""
    unpacked: int
    """The sum of all files' sizes."""
    commit: str | None
    dirty: bool
    """Built from files that differ from the commit."""
    builder: str
    built_at: str
    files: tuple[ReleaseFile, ...]
    links: tuple[ReleaseLink, ...] = ()

    def to_json(self) -> str:
        """The manifest's text, which `from_json` reads back."""
        values = asdict(self)
        for file in values["files"]:
            file["mode"] = f"{file['mode']:04o}"
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str | bytes, origin: str = "the manifest") -> Manifest:
        """The manifest in `text`, its claims checked against each other. Raises BadInput that names the key."""
        try:
            return _manifest(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{origin}: {error}", "build the release again with `inv build`") from error

    def checksums(self) -> str:
        """The text that `sha256sum -c` reads, in the release's directory."""
        return "".join(f"{file.sha256}  {file.path}\n" for file in self.files)


def release_id(version: str, files: Iterable[ReleaseFile], links: Iterable[ReleaseLink]) -> str:
    """`<version>-<10 hex digits>`, the same for the same paths, modes and contents. Raises BadInput for the version."""
    lines = [f"{file.path}\0{file.mode:o}\0{file.sha256}\n" for file in files]
    lines += [f"{link.path}\0link\0{link.target}\n" for link in links]
    content = hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()[:10]
    identity = f"{version.replace('+', '.')}-{content}"
    if not _ID.fullmatch(identity):
        raise BadInput(
            f"version {version!r} cannot be part of a release id",
            "use letters, digits, '.', '_', '-' and '+', at most 89, in package.json",
        )
    return identity


def is_release_id(text: str) -> bool:
    """Whether a release may be called so."""
    return bool(_ID.fullmatch(text))


def unsafe_path(path: str) -> str | None:
    """Why a release may not hold `path`, or None."""
    if not path or path.startswith("/"):
        return "is not a relative path"
    parts = path.split("/")
    if ".." in parts:
        return "climbs with '..'"
    if "" in parts or "." in parts:
        return "is not a plain path"
    if parts[0] == RESERVED:
        return f"lies in {RESERVED}, which belongs to the host"
    if re.search(r"[\x00-\x1f\x7f\\]", path):
        return "has a backslash or a control character in its name"
    if re.search(r"[\ud800-\udfff]", path):
        return "has a name that is not UTF-8"
    if len(path.encode()) > 1024 or any(len(part.encode()) > 255 for part in parts):
        return "has a name that is too long"
    return None


def unsafe_target(path: str, target: str) -> str | None:
    """Why a release may not hold a symlink at `path` to `target`, or None.

    '..' is accepted at the start only: after a name, which may itself be a symlink, it could lead anywhere.
    """
    if not target or target.startswith("/"):
        return f"points to an absolute path: {target!r}"
    parts = target.split("/")
    climbs = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
    if climbs > path.count("/") or ".." in parts[climbs:]:
        return f"points out of the release: {target!r}"
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff\\]", target) or len(target.encode()) > 1024:
        return f"points to an unusable name: {target!r}"
    return None


def conflict(paths: Iterable[str]) -> str | None:
    """The first of `paths` that comes twice or lies below another, with the reason, or None."""
    seen: set[str] = set()
    every = list(paths)
    for path in every:
        if path in seen:
            return f"{path} is there twice"
        seen.add(path)
    for path in every:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if (parent := "/".join(parts[:depth])) in seen:
                return f"{path} passes through {parent}, which is no directory"
    return None


def _manifest(values: object) -> Manifest:
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"format: expected {FORMAT}; it was made by another version of this tool")
    _keys(values, Manifest, "")
    files = tuple(_file(f"files[{place}]", entry) for place, entry in enumerate(_list(values, "files")))
    links = tuple(_link(f"links[{place}]", entry) for place, entry in enumerate(_list(values, "links")))
    if not isinstance(values["dirty"], bool):
        raise ValueError("dirty: expected true or false")
    manifest = Manifest(
        format=FORMAT,
        id=_text(values, "id"),
        name=_text(values, "name"),
        version=_text(values, "version"),
        digest=_digest(values, "digest"),
        size=_size(values, "size"),
        unpacked=_size(values, "unpacked"),
        commit=None if values["commit"] is None else _text(values, "commit"),
        dirty=values["dirty"],
        builder=_text(values, "builder"),
        built_at=_text(values, "built_at"),
        files=files,
        links=links,
    )
    if problem := conflict([*(file.path for file in files), *(link.path for link in links)]):
        raise ValueError(f"files: {problem}")
    if manifest.unpacked != sum(file.size for file in files):
        raise ValueError("unpacked: is not the sum of the files' sizes")
    if manifest.id != (expected := release_id(manifest.version, files, links)):
        raise ValueError(f"id: {manifest.id} does not belong to these files, which make {expected}")
    return manifest


def _file(where: str, entry: object) -> ReleaseFile:
    values = _keys(entry, ReleaseFile, where + ".")
    if values["mode"] not in ("0644", "0755"):
        raise ValueError(f"{where}.mode: expected 0644 or 0755")
    path = _path(where, values)
    digest = _digest(values, "sha256", where + ".")
    return ReleaseFile(path, int(values["mode"], 8), _size(values, "size", where + "."), digest)


def _link(where: str, entry: object) -> ReleaseLink:
    values = _keys(entry, ReleaseLink, where + ".")
    path, target = _path(where, values), values["target"]
    if not isinstance(target, str) or (problem := unsafe_target(path, target)):
        raise ValueError(f"{where}: {path} {problem if isinstance(target, str) else 'has no target'}")
    return ReleaseLink(path, target)


def _keys(entry: object, kind: type[Any], where: str) -> Mapping[str, Any]:
    wanted = {field.name for field in fields(kind)}
    if not isinstance(entry, dict):
        raise ValueError(f"{where.rstrip('.')}: expected an object")
    for key in sorted(wanted ^ set(entry)):
        raise ValueError(f"{where}{key}: {'is missing' if key in wanted else 'is no key of a manifest'}")
    return entry


def _list(values: Mapping[str, Any], key: str) -> list[object]:
    if not isinstance(values[key], list):
        raise ValueError(f"{key}: expected a list")
    return list(values[key])


def _path(where: str, values: Mapping[str, Any]) -> str:
    path = values["path"]
    if not isinstance(path, str) or (problem := unsafe_path(path)):
        raise ValueError(f"{where}.path: {path!r} {problem if isinstance(path, str) else 'is no path'}")
    return path


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values[key]
    if not isinstance(value, str) or not re.fullmatch(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,300}", value):
        raise ValueError(f"{key}: expected a line of text")
    return value


def _digest(values: Mapping[str, Any], key: str, where: str = "") -> str:
    if not isinstance(values[key], str) or not _DIGEST.fullmatch(values[key]):
        raise ValueError(f"{where}{key}: expected a SHA-256 in 64 hex digits")
    return str(values[key])


def _size(values: Mapping[str, Any], key: str, where: str = "") -> int:
    if type(values[key]) is not int or values[key] < 0:
        raise ValueError(f"{where}{key}: expected a number of bytes")
    return int(values[key])
