"""A file in hosts/ and those that it extends, one over the other; each value knows on which line it really stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fabfile.config.document import Document, Fault, KeyPath, parse
from fabfile.config.suggest import suggest
from fabfile.errors import BadInput

EXTENDS, BASE = "extends", "base"
"""Keys that each file has for itself: nobody inherits them."""
FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*\.yml$"
"""A name and no path: what is extended lies in hosts/, too."""


@dataclass(frozen=True)
class Origin:
    """Where something was written; shown as `hosts/base.yml:12`."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Layers:
    """Several files as one document, whose lines each belong to the file that `files` names for the same place.

    `faults` are what is wrong with the single files, by file; the document has no data where one cannot be used at all.
    """

    document: Document
    files: Mapping[KeyPath, str]
    faults: tuple[tuple[str, Fault], ...]

    def origin(self, path: KeyPath) -> Origin:
        """Where the place at `path` was written, or the nearest one above it."""
        while path and path not in self.files:
            path = path[:-1]
        return Origin(self.files[path], self.document.line(path))

    def is_written(self, path: KeyPath) -> bool:
        """Whether some file says what stands at `path`."""
        return path in self.files


def read(name: str, project: Path) -> Layers:
    """`<project>/hosts/<name>`, which exists, over what it extends: mappings are merged, all else is replaced.

    Raises BadInput for a file that cannot be read; everything else that is wrong is among the faults.
    """
    chain, lost = _chain(name, project / "hosts")
    layers = [_layer(f"hosts/{file}", document, file == name) for file, document in chain]
    found = layers[-1]
    for layer in reversed(layers[:-1]):
        found = _over(found, layer)
    # Without a whole file nearly every key would be called missing, which helps nobody.
    whole = not lost and all(layer.document.data is not None for layer in layers)
    document = replace(found.document, data=found.document.data if whole else None)
    return Layers(document, found.files, (*(fault for layer in layers for fault in layer.faults), *lost))


def is_base(file: Path) -> bool:
    """Whether the file says that it is there to be extended only. One that cannot be read says nothing."""
    try:
        data = parse(file.read_text(encoding="utf-8-sig")).data
    except (OSError, UnicodeDecodeError):
        return False
    return data is not None and data.get(BASE) is True


def _chain(name: str, folder: Path) -> tuple[list[tuple[str, Document]], list[tuple[str, Fault]]]:
    """The files from `name` down to the last one extended, and what is wrong with the way between them."""
    chain: list[tuple[str, Document]] = []
    while True:
        document = parse(_text(folder / name, f"hosts/{name}"))
        chain.append((name, document))
        wanted = (document.data or {}).get(EXTENDS)
        if wanted is None:
            return chain, []
        if text := _no_way(wanted, [file for file, _ in chain], folder):
            return chain, [(f"hosts/{name}", Fault(document.line((EXTENDS,)), (EXTENDS,), text))]
        name = str(wanted)


def _no_way(wanted: object, chain: list[str], folder: Path) -> str:
    """Why a file cannot extend `wanted`, or nothing."""
    if not isinstance(wanted, str) or not re.fullmatch(FILE_NAME, wanted):
        return "expected the name of a file in hosts/, without any folder, such as base.yml"
    if wanted in chain:
        return f"goes in a circle: {', '.join([*chain, wanted])}"
    if not (folder / wanted).is_file():
        return f"there is no hosts/{wanted}; {suggest(wanted, (file.name for file in folder.glob('*.yml')))}".rstrip(
            "; "
        )
    return ""


def _text(file: Path, shown: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{shown}: not UTF-8 text", f"save {shown} as UTF-8") from None
    except OSError as error:
        raise BadInput(f"{shown}: cannot be read: {error.strerror}", f"ls -l {shown}") from None


def _layer(shown: str, document: Document, first: bool) -> Layers:
    """One file; of one that is extended, without the keys that are its own."""
    faults = [(shown, fault) for fault in document.faults]
    data, own = document.data, set() if first else {(EXTENDS,), (BASE,)}
    if data is not None and not first:
        if not isinstance(data.get(BASE, False), bool):
            faults.append((shown, Fault(document.line((BASE,)), (BASE,), "expected true or false")))
        data = {key: value for key, value in data.items() if (key,) not in own}
    lines = {path: line for path, line in document.lines.items() if path not in own}
    return Layers(Document(data, lines, document.written, ()), dict.fromkeys(lines, shown), tuple(faults))


def _over(lower: Layers, upper: Layers) -> Layers:
    replaced: set[KeyPath] = set()
    data = _merged(lower.document.data or {}, upper.document.data or {}, (), replaced)

    def stays(path: KeyPath) -> bool:
        return not any(path[:length] in replaced for length in range(1, len(path) + 1))

    lines = {path: line for path, line in lower.document.lines.items() if stays(path)} | dict(upper.document.lines)
    written = {path: text for path, text in lower.document.written.items() if stays(path)}
    files = {path: file for path, file in lower.files.items() if stays(path)} | dict(upper.files)
    return Layers(Document(data, lines, written | dict(upper.document.written), ()), files, ())


def _merged(
    lower: Mapping[str, object], upper: Mapping[str, object], path: KeyPath, replaced: set[KeyPath]
) -> dict[str, object]:
    result = dict(lower)
    for key, value in upper.items():
        below = lower.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            result[key] = _merged(below, value, (*path, key), replaced)
        else:
            replaced.add((*path, key))
            result[key] = value
    return result
