"""Whatever valid file is written loads; whatever is then broken in it is told at its own line."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fabfile.config.load import load
from fabfile.config.schema import Environment
from fabfile.errors import BadInput

Place = tuple[str | int, ...]
Data = dict[str, Any]

SECTIONS = {"ssh", "build", "release", "process", "health", "site", "gates", "hooks", "database", "backup", "calendar"}
REQUIRED: list[Place] = [("app",), ("hosts",), ("backup", "bucket")]
REQUIRED += [("database", key) for key in ("via", "name", "user", "password")]


class Raw(str):
    """Text that goes into the file as it is, without being made valid."""


class Writer:
    """Writes data as YAML in random notation and keeps the line of every place, apart from the code under test."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.rows: list[str] = []
        self.lines: dict[Place, int] = {}

    def write(self, data: Data) -> str:
        self._mapping(data, (), "")
        self.lines[()] = min(self.lines.values())
        return "\n".join(self.rows) + "\n"

    def _mapping(self, data: Data, place: Place, pad: str) -> None:
        for key, value in data.items():
            if self.rng.random() < 0.2:
                self.rows.append(self.rng.choice(["", f"{pad}# comment: [not", "   "]))
            self.rows.append(f"{pad}{self._key(key)}:")
            self.lines[(*place, key)] = len(self.rows)
            self._value(value, (*place, key), pad)

    def _value(self, value: object, place: Place, pad: str) -> None:
        """After `key:` on the last row."""
        if isinstance(value, dict) and value and self.rng.random() < 0.8:
            self._mapping(value, place, pad + "  ")
        elif isinstance(value, list) and value and self.rng.random() < 0.6:
            self._block_list(value, place, pad + self.rng.choice(["", "  "]))
        else:
            self.rows[-1] += " "
            self._flow(value, place, pad + "  ")

    def _block_list(self, values: list[Any], place: Place, pad: str) -> None:
        for position, value in enumerate(values):
            self.rows.append(f"{pad}- ")
            self._flow(value, (*place, position), pad + "    ")

    def _flow(self, value: object, place: Place, pad: str) -> None:
        """`{a: 1, b: [2]}` at the end of the last row, with line breaks here and there."""
        self.lines.setdefault(place, len(self.rows))
        if isinstance(value, dict | list):
            pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
            self.rows[-1] += "{" if isinstance(value, dict) else "["
            for number, (key, inner) in enumerate(pairs):
                self.rows[-1] += ", " if number else ""
                if self.rng.random() < 0.3:
                    self.rows.append(pad)
                self.lines[(*place, key)] = len(self.rows)
                self.rows[-1] += f"{self._key(key)}: " if isinstance(value, dict) else ""
                self._flow(inner, (*place, key), pad + " ")
            self.rows[-1] += "}" if isinstance(value, dict) else "]"
        else:
            self.rows[-1] += self._scalar(value)

    def _scalar(self, value: object) -> str:
        if isinstance(value, Raw):
            return str(value)
        if not isinstance(value, str):
            return json.dumps(value)
        plain = value.isascii() and value.replace("-", "").replace("/", "").isalnum() and yaml.safe_load(value) == value
        single = "'" + value.replace("'", "''") + "'"
        return self.rng.choice([json.dumps(value, ensure_ascii=False), single, *([value] if plain else [])])

    def _key(self, key: str) -> str:
        return self.rng.choice([key, key, f'"{key}"', f"'{key}'"])


names = st.from_regex(r"x[a-z0-9-]{0,8}", fullmatch=True)
words = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc", "Cs")), max_size=12)
paths = st.from_regex(r"[a-z0-9_]{1,6}(/[a-z0-9_.-]{1,6}){0,2}", fullmatch=True).filter(lambda path: ".." not in path)
durations = st.builds("{}{}".format, st.integers(1, 999), st.sampled_from(["ms", "s", "m", "h", "d"]))
percentages = st.builds("{}%".format, st.sampled_from([1, 5, 0.5, 12.25, 100]))
ratios = st.one_of(st.integers(1, 99), st.floats(1, 99))
sources = st.one_of(
    st.builds("env:{}".format, st.from_regex(r"[A-Z_]{1,8}", fullmatch=True)),
    st.builds("file:{}".format, paths),
    st.builds("dotenv:{}#A".format, paths),
    st.builds("aws:{}#k e y".format, paths),
    st.builds("ssm:/{}".format, paths),
)

zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])
windows = st.builds(
    "{} {:02}:00-{:02}:30 {}".format,
    st.sampled_from(["Tue", "Mon-Fri", "daily"]),
    st.integers(0, 23),
    st.integers(0, 23),
    zones,
)
freezes = st.builds("{} {} - 2 Jan".format, st.integers(1, 29), st.sampled_from(["Feb", "Dec"]))


def some(**keys: SearchStrategy[Any]) -> SearchStrategy[Data]:
    return st.fixed_dictionaries({}, optional=keys)


def lists(of: SearchStrategy[Any]) -> SearchStrategy[list[Any]]:
    return st.lists(of, max_size=3)


def variables(prefix: str, values: SearchStrategy[str]) -> SearchStrategy[Data]:
    return st.dictionaries(st.from_regex(rf"{prefix}_[A-Z0-9_]{{0,6}}", fullmatch=True), values, max_size=3)


def hooks() -> SearchStrategy[Data]:
    command = st.tuples(names, words).map(list)
    keys = {"on": st.sampled_from(["operator", "first", "app", "web"]), "timeout": durations}
    return st.fixed_dictionaries({"command": command}, optional=keys)


@st.composite
def documents(draw: DrawFn) -> Data:
    """A valid environment: all sections, each with some of its keys, in any order."""
    hosts = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    roles = st.sampled_from([["web", "app"], ["app", "db", "web"], ["db"]]).map(list)
    host = some(address=st.just("192.0.2.1"), user=names, port=st.integers(1, 65535))
    machines = {name: draw(host) for name in hosts}
    for name in hosts[1:]:
        machines[name]["roles"] = draw(roles)
    blue, green, listen, status = draw(st.lists(st.integers(10000, 65535), min_size=4, max_size=4, unique=True))
    data: Data = {
        "app": draw(names),
        "protected": draw(st.booleans()),
        "hosts": machines,
        "ssh": draw(some(user=names, config=words, known_hosts=words, connect_timeout=durations)),
        "build": draw(some(source=paths, commands=lists(lists(words)), exclude=lists(words))),
        "release": draw(
            some(keep=st.integers(1, 100), shared=lists(paths), migrate=lists(words), drain_timeout=durations)
        ),
        "process": {"ports": {"blue": blue, "green": green}, **draw(some(script=paths, arguments=lists(words)))},
        "health": draw(some(path=st.just("/up?x=1"), timeout=durations, stable=durations)),
        "site": {"listen": listen, "status_port": status, **draw(some(server_name=st.just("a.example *.b")))},
        "gates": draw(some(error_rate=percentages, error_ratio=ratios, min_requests=st.integers(20, 9999))),
        "hooks": draw(st.dictionaries(st.sampled_from(["pre-deploy", "rollback-failed"]), lists(hooks()))),
        "env": draw(variables("E", words)),
        "secrets": draw(variables("S", sources)),
        "custody": draw(some(rotate=st.builds("{}d".format, st.integers(1, 999)), differs_from=names)),
        "aws": draw(some(region=words, profile=words)),
        "database": {"via": hosts[0], "name": "app", "user": "u", "password": draw(sources), **draw(some(host=names))},
        "calendar": draw(some(timezone=zones, windows=lists(windows), freezes=lists(freezes))),
        "approvals": draw(some(required=st.integers(0, 10), key=words, expire=durations)),
        "backup": {"bucket": "abc", **draw(some(prefix=paths, region=words, before_deploy=st.booleans()))},
    }
    return {key: data[key] for key in draw(st.permutations(list(data)))}


randoms = st.randoms(use_true_random=False)


def load_text(text: str) -> Environment:
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "hosts").mkdir()
        (Path(directory) / "hosts" / "x.yml").write_text(text, encoding="utf-8")
        return load("x", Path(directory))


def errors(text: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        load_text(text)
    return list(caught.value.details)


def at(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)[1:]


def places(value: object, place: Place = ()) -> list[Place]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in pairs for found in [(*place, key), *places(inner, (*place, key))]]


def parent_of(data: Data, place: Place) -> Any:
    inner: Any = data
    for part in place[:-1]:
        inner = inner[part]
    return inner


@given(documents(), randoms)
def test_a_valid_document_loads_as_it_was_meant(data: Data, rng: random.Random) -> None:
    assert load_text(Writer(rng).write(data)) == Environment.model_validate(data)


@given(documents(), randoms, st.data())
def test_an_unknown_key_is_told_at_its_line(data: Data, rng: random.Random, choice: st.DataObject) -> None:
    sections: list[Place] = [(), ("process", "ports"), *((name,) for name in SECTIONS)]
    sections += [("hosts", name) for name in data["hosts"]]
    place = (*choice.draw(st.sampled_from(sorted(sections))), "unheard_of")
    section = parent_of(data, place)
    entries = list(section.items())
    entries.insert(
        choice.draw(st.integers(0, len(entries))), ("unheard_of", choice.draw(st.sampled_from([1, "a", [], {}])))
    )
    section.clear()
    section.update(entries)
    writer = Writer(rng)
    found = errors(writer.write(data))
    assert len(found) == 1
    assert found[0].startswith(f"hosts/x.yml:{writer.lines[place]}: {at(place)}: unknown key; ")


@given(documents(), randoms, st.data())
def test_a_wrong_type_is_told_at_its_line(data: Data, rng: random.Random, choice: st.DataObject) -> None:
    place = choice.draw(st.sampled_from(places(data)))
    parent = parent_of(data, place)
    old = parent[place[-1]]
    wrong: list[object] = [["a"], {"a": "b"}] if not isinstance(old, dict | list) else ["text", 3, True]
    wrong += [3, True] if isinstance(old, str) else []
    parent[place[-1]] = choice.draw(st.sampled_from(wrong))
    writer = Writer(rng)
    found = errors(writer.write(data))
    assert len(found) == 1
    assert found[0].startswith(f"hosts/x.yml:{writer.lines[place]}: {at(place)}: expected ")


@given(documents(), randoms, st.sampled_from(REQUIRED))
def test_a_missing_key_is_told_at_the_line_of_its_section(data: Data, rng: random.Random, place: Place) -> None:
    del parent_of(data, place)[place[-1]]
    writer = Writer(rng)
    found = errors(writer.write(data))
    assert found == [f"hosts/x.yml:{writer.lines[place[:-1]]}: {at(place)}: this key is required and missing"]


@given(documents(), randoms, st.data())
def test_a_repeated_key_is_told_at_its_second_line(data: Data, rng: random.Random, choice: st.DataObject) -> None:
    key = choice.draw(st.sampled_from(list(data)))
    writer = Writer(rng)
    text = writer.write(data)
    again = len(text.splitlines()) + 1
    found = errors(f"{text}{key}: {json.dumps(data[key])}\n")
    assert found == [f"hosts/x.yml:{again}: {key}: this key is already on line {writer.lines[(key,)]}; remove one"]


@given(documents(), randoms, st.data())
def test_a_secret_written_into_the_file_is_never_repeated(
    data: Data, rng: random.Random, choice: st.DataObject
) -> None:
    data["secrets"]["S_X"] = data["env"]["E_X"] = "env:X"
    place = choice.draw(
        st.sampled_from([("secrets", "S_X"), ("env", "E_X"), ("database", "password"), ("secrets",), ("database",)])
    )
    form = choice.draw(
        st.sampled_from(["{}", "!{}", "*{}", "&{}", "%{}", "@{}", "'{}", '"{}', "[{}]", "[{}", "env:{}-", "{}: {}"])
    )
    for secret in ("71077345", "hunter2-hunter2"):
        parent_of(data, place)[place[-1]] = Raw(form.format(secret, secret))
        try:
            load_text(Writer(rng).write(data))
        except BadInput as error:
            assert secret not in str(error)
            assert error.__context__ is None
        else:
            assert place in {("env", "E_X"), ("database",)}, "a plain variable, or the name of an anchor on nothing"
