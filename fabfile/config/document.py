"""YAML text as plain data that still knows on which line each key was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document down to one place in it."""

MAX_VALUES = 10_000
"""Aliases may multiply a small file beyond any memory; no honest configuration comes near this."""

_TAG = "tag:yaml.org,2002:"
_READS_AS = {"bool": "true or false", "int": "a number", "float": "a number", "null": "nothing"}
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a document: a line (from 1), a path and words without any secret."""

    line: int
    path: KeyPath
    text: str

    def __str__(self) -> str:
        return f"{self.line}: {dotted(self.path)}: {self.text}" if self.path else f"{self.line}: {self.text}"


@dataclass(frozen=True)
class Document:
    """What a file says. `data` is None when it could not be read at all; `faults` then say why."""

    data: dict[str, object] | None
    lines: Mapping[KeyPath, int]
    written: Mapping[KeyPath, str]
    """Scalars exactly as they stand in the file: `on`, not True."""
    faults: tuple[Fault, ...]

    def line(self, path: KeyPath) -> int:
        """The line of the key or list entry at `path`, or of the nearest place above it that was written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def dotted(path: KeyPath) -> str:
    """`hosts.h1.roles[0]`. A key that does not look like one may hold a mistyped secret and is not repeated."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            words += f".{part}" if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", part) else ".(?)"
    return words.removeprefix(".")


def parse(text: str) -> Document:
    """Read one YAML mapping. Never raises: what cannot be read is among the faults."""
    reader = _Reader()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return _unreadable(1, "the file is empty; start from hosts/example.yml")
        if not isinstance(root, MappingNode):
            return _unreadable(_line(root), "expected keys at the top of the file, such as `app: example`")
        data = reader.mapping(root, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return _unreadable(mark.line + 1 if mark else 1, _syntax(error.problem or "not YAML"))
    except yaml.YAMLError:
        return _unreadable(1, "there are control characters in the file; save it as plain UTF-8 text")
    except RecursionError:
        return _unreadable(1, "nested too deeply, or an alias stands inside its own anchor")
    except (ValueError, OverflowError):
        return _unreadable(1, "a \\U escape names no Unicode character")
    return Document(data, reader.lines, reader.written, tuple(reader.faults))


def _unreadable(line: int, text: str) -> Document:
    return Document(None, {}, {}, (Fault(line, (), text),))


def _syntax(problem: str) -> str:
    """PyYAML's words without any text of the file: an unquoted password may begin with `*` or `!`."""
    if "'\\t'" in problem or "tab" in problem.split():
        return "tabs are not allowed here; indent with spaces"
    if "undefined alias" in problem:
        return "`*` refers to an anchor that is not in the file; quote the value if `*` belongs to it"
    return f"not YAML: {_QUOTED.sub(_token_only, problem)}"


def _token_only(quoted: re.Match[str]) -> str:
    """Single characters and YAML's own `<stream end>` stay."""
    return quoted[0] if len(quoted[0]) <= 3 or quoted[0][1] == "<" else "something"


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


class _Reader:
    """Turns composed nodes into data; collects lines and faults on the way."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.written: dict[KeyPath, str] = {}
        self.faults: list[Fault] = []
        self._values = 0

    def mapping(self, node: MappingNode, path: KeyPath) -> dict[str, object]:
        self.lines.setdefault(path, _line(node))
        result: dict[str, object] = {}
        for name, (key, value) in self._entries(node, path).items():
            self.lines[(*path, name)] = _line(key)
            result[name] = self._value(value, (*path, name))
        return result

    def _value(self, node: Node, path: KeyPath) -> object:
        self._count(node)
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, MappingNode):
            self._refuse_tag(kind, "map", path)
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            self._refuse_tag(kind, "seq", path)
            return [self._entry(entry, (*path, position)) for position, entry in enumerate(node.value)]
        self.written[path] = node.value
        # A date stays text, as it was written: nothing here is a date.
        if kind in ("str", "timestamp", "value", "merge"):
            return self._text(node.value, path)
        if kind in _READS_AS:
            return _scalar(node.value)
        self._refuse_tag(kind, "str", path)
        return self._text(node.value, path)

    def _entry(self, node: Node, path: KeyPath) -> object:
        self.lines[path] = _line(node)
        return self._value(node, path)

    def _entries(self, node: MappingNode, path: KeyPath) -> dict[str, tuple[Node, Node]]:
        """The mapping's own entries over those that `<<` merges into it."""
        self._count(node)
        own: dict[str, tuple[Node, Node]] = {}
        merged: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                for source in value.value if isinstance(value, SequenceNode) else [value]:
                    if isinstance(source, MappingNode):
                        merged = {**self._entries(source, path), **merged}
                    else:
                        self.faults.append(Fault(_line(key), (*path, "<<"), "expected an alias of a mapping"))
            elif (name := self._key(key, path)) is None:
                continue
            elif name in own:
                first = _line(own[name][0])
                self.faults.append(Fault(_line(key), (*path, name), f"this key is already on line {first}; remove one"))
            else:
                own[name] = (key, value)
        return {**merged, **own}

    def _key(self, key: Node, path: KeyPath) -> str | None:
        if not isinstance(key, ScalarNode):
            self.faults.append(Fault(_line(key), path, "a key must be text; quote values that begin with { or ["))
            return None
        kind = key.tag.removeprefix(_TAG)
        name = str(key.value)
        # `on` is a key of hooks, kept as it is written; only YAML 1.1 takes the word for a boolean.
        if kind in _READS_AS and name != "on":
            self.faults.append(Fault(_line(key), (*path, name), f"this key reads as {_READS_AS[kind]}; quote it"))
        self.lines.setdefault((*path, name), _line(key))
        return self._text(name, (*path, name))

    def _text(self, value: str, path: KeyPath) -> str:
        if any("\ud800" <= character <= "\udfff" for character in value):
            self.faults.append(Fault(self._nearest(path), path, "a \\u escape names half a character"))
            return value.encode(errors="replace").decode()
        return value

    def _refuse_tag(self, kind: str, plain: str, path: KeyPath) -> None:
        if kind != plain:
            text = "`!` tags are not allowed; quote the value if the `!` belongs to it"
            self.faults.append(Fault(self._nearest(path), path, text))

    def _nearest(self, path: KeyPath) -> int:
        return Document(None, self.lines, {}, ()).line(path)

    def _count(self, node: Node) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            problem = f"more than {MAX_VALUES} values; aliases repeat them"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _scalar(text: str) -> object:
    """The boolean, number or null that YAML 1.1 reads in plain `text`."""
    try:
        value: object = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        return text
    return value if isinstance(value, bool | int | float | None) else text
