"""Which environment is meant, and how its `hosts/<environment>.yml` becomes an `Environment`."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from fabfile.config.document import Fault, KeyPath
from fabfile.config.explain import explain
from fabfile.config.layers import BASE, Layers, Origin, is_base, read
from fabfile.config.schema import Environment
from fabfile.config.suggest import suggest
from fabfile.errors import BadInput

NAME = re.compile(r"[a-z][a-z0-9-]*")


def choose(requested: str | None, project: Path, environ: Mapping[str, str], flag: str = "--env") -> str:
    """The environment's name: what `flag` says, else DEPLOYMENT_ENV, else the project's default in pyproject.toml.

    Raises BadInput with the environments that exist when none is named, or the named one does not exist.
    """
    if requested is not None:
        name, origin = requested, flag
    elif environ.get("DEPLOYMENT_ENV"):
        name, origin = environ["DEPLOYMENT_ENV"], "DEPLOYMENT_ENV"
    elif (default := _default(project)) is not None:
        name, origin = default, "pyproject.toml [tool.turnout] environment"
    else:
        known = environments(project)
        example = known[0] if known else "demo"
        raise BadInput("no environment is chosen", f"add --env={example}, or set DEPLOYMENT_ENV", [_listing(known)])
    _existing(name, project, origin)
    return name


def environments(project: Path) -> tuple[str, ...]:
    """The environments that have a file, sorted; the annotated example and what says `base: true` are none."""
    files = {file.stem: file for file in (project / "hosts").glob("*.yml") if file.stem != "example"}
    return tuple(sorted(name for name, file in files.items() if NAME.fullmatch(name) and not is_base(file)))


def load(name: str, project: Path) -> Environment:
    """Read and check `<project>/hosts/<name>.yml` with what it extends.

    Raises one BadInput whose details are all errors, each as `hosts/demo.yml:12: process.prots: unknown key; …`, with
    the file in which the key stands. Contradictions between sections are looked for once every section is well-formed.
    """
    _existing(name, project, "environment")
    shown = f"hosts/{name}.yml"
    layers = read(f"{name}.yml", project)
    if layers.document.data and layers.document.data.get(BASE) is True:
        fact = f"{shown} says `base: true`: it is there to be extended, and is no environment"
        raise BadInput(
            fact, f"choose another with --env, or take that line out of {shown}", [_listing(environments(project))]
        )
    environment, faults = _validated(layers)
    if environment is None:
        count = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
        raise BadInput(
            f"{shown} has {count}",
            "hosts/example.yml explains every key",
            [f"{file}:{fault}" for file, fault in faults],
        )
    return environment


def origin_of(name: str, project: Path, path: KeyPath) -> Origin:
    """Where a key of an environment that was loaded before is written, or the nearest place above it."""
    return read(f"{name}.yml", project).origin(path)


def _validated(layers: Layers) -> tuple[Environment | None, list[tuple[str, Fault]]]:
    """The environment, or None and every fault with its file: those of one file together, in its order."""
    faults, document = list(layers.faults), layers.document
    if document.data is not None:
        try:
            # Strict and through JSON: "80" and 80, yes and "yes" stay apart, while lists still become tuples.
            environment = Environment.model_validate_json(json.dumps(document.data), strict=True)
        except ValidationError as error:
            seen = {fault.path for _, fault in faults}
            # A list whose only entry is wrong is also called too short: pydantic counts the good entries.
            real = [one for one in error.errors(include_url=False) if one["type"] != "too_short" or not one["input"]]
            found = (explain(one, document) for one in real)
            faults += [(layers.origin(fault.path).file, fault) for fault in found if fault.path not in seen]
        else:
            if not faults:
                return environment, []
    return None, sorted(faults, key=lambda found: (found[0], found[1].line))


def _existing(name: str, project: Path, origin: str) -> None:
    """Raise BadInput unless the environment has a file. The name is checked first: it must not lead out of hosts/."""
    if not NAME.fullmatch(name):
        known = environments(project)
        fact = f"{origin}: {name!r} is not an environment's name: lower-case letters, digits and dashes only"
        raise BadInput(fact, suggest(name.lower(), known), [_listing(known)])
    file = project / "hosts" / f"{name}.yml"
    if not file.is_file():
        known = environments(project)
        hint = suggest(name, known) or f"cp hosts/example.yml hosts/{name}.yml"
        raise BadInput(f"{origin}: there is no hosts/{name}.yml", hint, [_listing(known)])


def _listing(known: tuple[str, ...]) -> str:
    return f"environments: {', '.join(known) or 'none yet, see hosts/example.yml'}"


def _default(project: Path) -> str | None:
    """`[tool.turnout] environment` of pyproject.toml, if there is one."""
    try:
        settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"pyproject.toml: cannot be read: {error}", "correct pyproject.toml, or add --env") from None
    tool = settings.get("tool")
    turnout = tool.get("turnout") if isinstance(tool, dict) else None
    name = turnout.get("environment") if isinstance(turnout, dict) else None
    if name is not None and not isinstance(name, str):
        raise BadInput("pyproject.toml: tool.turnout.environment: expected text", 'write environment = "demo"')
    return name
