"""Which environment is meant, and how its `hosts/<environment>.yml` becomes an `Environment`."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from fabfile.config.document import Document, Fault, KeyPath, parse
from fabfile.config.explain import explain, suggest
from fabfile.config.schema import Environment
from fabfile.errors import BadInput

NAME = re.compile(r"[a-z][a-z0-9-]*")


def choose(requested: str | None, project: Path, environ: Mapping[str, str]) -> str:
    """The environment's name: `--env`, else DEPLOYMENT_ENV, else the project's default in pyproject.toml.

    Raises BadInput with the environments that exist when none is named, or the named one does not exist.
    """
    if requested is not None:
        name, origin = requested, "--env"
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
    """The environments that have a file, sorted; the annotated example is none."""
    names = {file.stem for file in (project / "hosts").glob("*.yml")}
    return tuple(sorted(name for name in names - {"example"} if NAME.fullmatch(name)))


def load(name: str, project: Path) -> Environment:
    """Read and check `<project>/hosts/<name>.yml`.

    Raises one BadInput whose details are all errors, each as `hosts/demo.yml:12: process.prots: unknown key; …`.
    Contradictions between sections are looked for once every section is well-formed by itself.
    """
    file = _existing(name, project, "environment")
    shown = f"hosts/{name}.yml"
    try:
        document = parse(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise BadInput(f"{shown}: not UTF-8 text", f"save {shown} as UTF-8") from None
    except OSError as error:
        raise BadInput(f"{shown}: cannot be read: {error.strerror}", f"ls -l {shown}") from None
    environment, faults = _validated(document)
    if environment is None:
        count = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
        raise BadInput(
            f"{shown} has {count}", "hosts/example.yml explains every key", [f"{shown}:{fault}" for fault in faults]
        )
    return environment


def line_of(name: str, project: Path, path: KeyPath) -> int:
    """The line of `hosts/<name>.yml`, which was loaded before, on which a key stands, or the nearest one above it."""
    return parse((project / "hosts" / f"{name}.yml").read_text(encoding="utf-8-sig")).line(path)


def _validated(document: Document) -> tuple[Environment | None, list[Fault]]:
    """The environment, or None and every fault in the order of the file."""
    faults = list(document.faults)
    if document.data is not None:
        try:
            # Strict and through JSON: "80" and 80, yes and "yes" stay apart, while lists still become tuples.
            environment = Environment.model_validate_json(json.dumps(document.data), strict=True)
        except ValidationError as error:
            seen = {fault.path for fault in faults}
            # A list whose only entry is wrong is also called too short: pydantic counts the good entries.
            real = [one for one in error.errors(include_url=False) if one["type"] != "too_short" or not one["input"]]
            found = (explain(one, document) for one in real)
            faults += [fault for fault in found if fault.path not in seen]
        else:
            if not faults:
                return environment, []
    return None, sorted(faults, key=lambda fault: fault.line)


def _existing(name: str, project: Path, origin: str) -> Path:
    """The environment's file. The name is checked first: it must not lead out of hosts/."""
    known = environments(project)
    if not NAME.fullmatch(name):
        fact = f"{origin}: {name!r} is not an environment's name: lower-case letters, digits and dashes only"
        raise BadInput(fact, suggest(name.lower(), known), [_listing(known)])
    file = project / "hosts" / f"{name}.yml"
    if not file.is_file():
        hint = suggest(name, known) or f"cp hosts/example.yml hosts/{name}.yml"
        raise BadInput(f"{origin}: there is no hosts/{name}.yml", hint, [_listing(known)])
    return file


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
