"""Files that extend others: what is in force, and that every mistake is told where it really stands."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.config.load import choose, environments, load, origin_of
from fabfile.config.schema import Environment
from fabfile.errors import BadInput
from tests.unit.config.test_load_properties import (
    Data,
    Writer,
    at,
    documents,
    parent_of,
    places,
    randoms,
)

BASE = "base: true\napp: shop\nsite:\n  listen: 8080\n  max_body: 5m\nbuild:\n  exclude: [a, b]\n"
LEAF = "extends: base.yml\nhosts:\n  h: {}\n"


def project(folder: Path, **files: str) -> Path:
    (folder / "hosts").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "hosts" / f"{name}.yml").write_text(text, encoding="utf-8")
    return folder


def errors(folder: Path, name: str = "x") -> list[str]:
    with pytest.raises(BadInput) as caught:
        load(name, folder)
    assert caught.value.__context__ is None
    return list(caught.value.details)


def test_mappings_are_merged_key_by_key_and_lists_and_values_replaced(tmp_path: Path) -> None:
    leaf = LEAF + "site: {listen: 80}\nbuild: {exclude: [c]}\n"
    found = load("x", project(tmp_path, base=BASE, x=leaf))
    assert (found.app, found.site.listen, found.site.max_body) == ("shop", 80, "5m")
    assert found.build.exclude == ("c",)


def test_null_takes_a_section_away_and_an_empty_mapping_takes_nothing(tmp_path: Path) -> None:
    base = BASE + "backup: {bucket: abc}\n"
    assert load("x", project(tmp_path, base=base, x=LEAF + "backup: null\n")).backup is None
    assert load("x", project(tmp_path, x=LEAF + "backup: {}\n")).backup is not None


def test_what_is_extended_may_extend_something_else(tmp_path: Path) -> None:
    middle = "extends: base.yml\nbase: true\nsite: {max_body: 7m}\n"
    found = load("x", project(tmp_path, base=BASE, middle=middle, x=LEAF.replace("base", "middle")))
    assert (found.app, found.site.listen, found.site.max_body) == ("shop", 8080, "7m")
    assert (found.extends, found.base) == ("middle.yml", False)


def test_one_environment_may_extend_another(tmp_path: Path) -> None:
    folder = project(tmp_path, staging="app: a\nhosts: {h: {}}\n", x="extends: staging.yml\nprotected: true\n")
    assert environments(folder) == ("staging", "x")
    assert load("x", folder).protected
    assert not load("staging", folder).protected


def test_a_file_that_says_so_is_no_environment(tmp_path: Path) -> None:
    folder = project(tmp_path, base=BASE + "hosts: {h: {}}\n", x=LEAF)
    assert environments(folder) == ("x",)
    with pytest.raises(BadInput, match="says `base: true`") as caught:
        load("base", folder)
    assert caught.value.details == ("environments: x",)
    with pytest.raises(BadInput) as caught:
        choose("bas", folder, {})
    assert caught.value.details == ("environments: x",)


@pytest.mark.parametrize(
    ("base", "leaf", "told"),
    [
        ("site: {listen: '80'}\n", "", "hosts/base.yml:1: site.listen: expected a whole number, without quotes"),
        ("site: {listen: '80'}\n", "site: {listen: 80}\n", None),
        ("site: {lissen: 80}\n", "", "hosts/base.yml:1: site.lissen: unknown key; did you mean 'listen'?"),
        ("site: {listen: 80}\n", "site: 3\n", "hosts/x.yml:4: site: expected keys below it, each as `key: value`"),
        ("a: 1\na: 2\n", "", "hosts/base.yml:2: a: this key is already on line 1; remove one"),
        ("base: 3\n", "", "hosts/base.yml:1: base: expected true or false"),
        ("database: {via: h, name: a, user: u}\n", "", "hosts/base.yml:1: database.password: this key is required"),
        ("", "database: {via: h, name: a, user: u}\n", "hosts/x.yml:4: database.password: this key is required"),
        (
            "database: {name: a, user: u}\n",
            "database:\n  via: h\n",
            "hosts/x.yml:4: database.password: this key is required",
        ),
        ("process: {ports: {blue: 80}}\n", "", "hosts/base.yml:1: process.ports.blue: 80 is the port of site.listen"),
        ("app: A\n", "", "hosts/base.yml:1: app: expected lower-case letters"),
        ("hosts: {w: {port: 0}}\n", "", "hosts/base.yml:1: hosts.w.port: expected at least 1, not 0"),
    ],
)
def test_a_mistake_is_told_in_the_file_in_which_it_stands(
    tmp_path: Path, base: str, leaf: str, told: str | None
) -> None:
    start = "extends: base.yml\nhosts: {h: {}}\n" + ("" if "app" in base else "app: a\n")
    folder = project(tmp_path, base=base or "{}\n", x=start + leaf)
    if told is None:
        load("x", folder)
        return
    found = errors(folder)
    assert any(line.startswith(told) for line in found), found


@pytest.mark.parametrize(
    ("extends", "told"),
    [
        ("bsae.yml", "there is no hosts/bsae.yml; did you mean 'base.yml'?"),
        ("quite-another.yml", "there is no hosts/quite-another.yml"),
        ("../secret.yml", "expected the name of a file in hosts/, without any folder, such as base.yml"),
        ("/etc/passwd", "expected the name of a file in hosts/, without any folder, such as base.yml"),
        ("..", "expected the name of a file in hosts/, without any folder, such as base.yml"),
        ("base", "expected the name of a file in hosts/, without any folder, such as base.yml"),
        ("[base.yml]", "expected the name of a file in hosts/, without any folder, such as base.yml"),
        ("3", "expected the name of a file in hosts/, without any folder, such as base.yml"),
        ("x.yml", "goes in a circle: x.yml, x.yml"),
    ],
)
def test_a_way_that_leads_nowhere_is_told_alone(tmp_path: Path, extends: str, told: str) -> None:
    (tmp_path / "secret.yml").write_text("app: a\n")
    folder = project(tmp_path, base=BASE, x=f"protected: true\nextends: {extends}\n")
    assert errors(folder) == [f"hosts/x.yml:2: extends: {told}"]


def test_a_circle_is_told_where_it_closes(tmp_path: Path) -> None:
    folder = project(tmp_path, a="extends: b.yml\n", b="\nextends: c.yml\n", c="\n\nextends: a.yml\n")
    assert errors(folder, "a") == ["hosts/c.yml:3: extends: goes in a circle: a.yml, b.yml, c.yml, a.yml"]


def test_a_base_that_is_no_yaml_is_told_with_its_own_line(tmp_path: Path) -> None:
    [told] = errors(project(tmp_path, base="app: a\n\tb: c\n", x=LEAF))
    assert told.startswith("hosts/base.yml:2: ")
    (tmp_path / "hosts" / "base.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match=r"hosts/base\.yml: not UTF-8 text"):
        load("x", tmp_path)


def test_the_origin_of_a_key_is_in_the_file_that_says_it(tmp_path: Path) -> None:
    folder = project(tmp_path, base=BASE, x=LEAF)
    assert str(origin_of("x", folder, ("site", "max_body"))) == "hosts/base.yml:5"
    assert str(origin_of("x", folder, ("hosts", "h", "address"))) == "hosts/x.yml:3"
    assert str(origin_of("x", folder, ("backup", "bucket"))) == "hosts/x.yml:1"


def divided(value: Data, rng: random.Random) -> tuple[Data, Data]:
    """A base and what extends it, which together say the same; what is replaced in the base is nonsense there."""
    base: Data = {}
    leaf: Data = {}
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            base[key], leaf[key] = divided(inner, rng)
        elif rng.random() < 0.5:
            base[key] = inner
        else:
            leaf[key] = inner
            if rng.random() < 0.5:
                base[key] = rng.choice([3, ["nonsense"], None])
    return base, leaf


def written(data: Data, rng: random.Random) -> tuple[dict[str, str], dict[str, Writer]]:
    """Both files as text, and their writers, which know the lines."""
    base, leaf = divided(data, rng)
    writers = {"x": Writer(rng), "base": Writer(rng)}
    texts = {
        "x": writers["x"].write({"extends": "base.yml", **leaf}),
        "base": writers["base"].write(base or {"base": True}),
    }
    return texts, writers


@given(documents(), randoms)
def test_however_an_environment_is_divided_it_stays_the_same(data: Data, rng: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        texts, _ = written(data, rng)
        found = load("x", project(Path(folder), **texts))
    assert found == Environment.model_validate({**data, "extends": "base.yml"})


@given(documents(), randoms, st.data())
def test_a_wrong_type_is_told_at_its_line_in_its_file(data: Data, rng: random.Random, choice: st.DataObject) -> None:
    place = choice.draw(st.sampled_from(places(data)))
    parent, wrong = parent_of(data, place), list[Any]()
    wrong += ["text", 3, True] if isinstance(parent[place[-1]], dict | list) else [["a"], {"a": "b"}]
    parent[place[-1]] = choice.draw(st.sampled_from(wrong))
    texts, writers = written(data, rng)
    file = "x" if place in writers["x"].lines else "base"
    with tempfile.TemporaryDirectory() as folder:
        found = errors(project(Path(folder), **texts))
    assert len(found) == 1
    assert found[0].startswith(f"hosts/{file}.yml:{writers[file].lines[place]}: {at(place)}: expected ")
