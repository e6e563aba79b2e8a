"""Values in, text out: the nginx site, PM2's process file, the application's environment file, pgBackRest's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from pydantic import SecretStr

from fabfile.config.schema import Environment
from fabfile.errors import BadInput
from fabfile.model.observed import Slot
from fabfile.model.paths import Paths


@dataclass(frozen=True)
class Site:
    """A rendered nginx site, and the generation on its status port: the digest of everything else in it."""

    text: str
    generation: str


def render_site(environment: Environment, upstreams: Mapping[Slot, Sequence[str]], templates: Path) -> Site:
    """The nginx site with each slot at these `address:port`s. Raises BadInput with the template line that is wrong."""
    name = environment.site.template
    paths = Paths(environment.app)
    values = {
        "app": environment.app,
        "variable": environment.app.replace("-", "_"),
        "upstreams": upstreams,
        "traffic": paths.traffic,
        "access_log": paths.access_log,
        "maintenance": paths.maintenance,
        **environment.site.model_dump(exclude={"template"}),
    }
    generation = hashlib.sha256(_filled(templates, name, {**values, "generation": ""}).encode()).hexdigest()[:16]
    return Site(_filled(templates, name, {**values, "generation": generation}), generation)


def render_pgbackrest(values: Mapping[str, str | int], templates: Path) -> bytes:
    """pgBackRest's configuration, without a secret. Raises BadInput with the template line that is wrong."""
    return _filled(templates, "pgbackrest/pgbackrest.conf.j2", values).encode()


def repository_secrets(access_key: SecretStr, secret_key: SecretStr, passphrase: SecretStr) -> bytes:
    """The secret part of pgBackRest's configuration, for a file that postgres alone can read."""
    values = {"repo1-s3-key": access_key, "repo1-s3-key-secret": secret_key, "repo1-cipher-pass": passphrase}
    return ("[global]\n" + "".join(f"{key}={value.get_secret_value()}\n" for key, value in values.items())).encode()


def _filled(templates: Path, name: str, values: Mapping[str, object]) -> str:
    loader = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - no HTML, and the schema admits no character that is special where it goes
    )
    try:
        return loader.get_template(name).render(values)
    except jinja2.TemplateNotFound as error:
        hint = "set site.template to a file below templates/"
        raise BadInput(f"templates/{name}: no such template", hint) from error
    except jinja2.TemplateSyntaxError as error:
        raise BadInput(f"templates/{name}:{error.lineno}: {error.message}", "mend the template") from error
    except jinja2.UndefinedError as error:
        usable = ", ".join(values)
        raise BadInput(f"templates/{name}: {error.message}", f"the template may use: {usable}") from error


def process_file(environment: Environment, slot: Slot, address: str, port: int, release: str, node: str) -> bytes:
    """PM2's JSON for one slot. It holds no secret: PM2 writes it to its dump."""
    paths = Paths(environment.app)
    directory = paths.slot(slot)
    settings = environment.process
    app = {
        "name": paths.process(slot),
        "cwd": directory,
        "script": f"{directory}/{settings.script}",
        "args": list(settings.arguments),
        "interpreter": node,
        "exec_mode": "fork",
        "env": slot_variables(environment, slot, address, port, release),
        "kill_timeout": round(settings.stop_timeout * 1000),
        "out_file": f"{paths.logs}/{slot}.out.log",
        "error_file": f"{paths.logs}/{slot}.err.log",
        "merge_logs": True,
        "max_restarts": 10,
        "min_uptime": 5000,
        "exp_backoff_restart_delay": 200,
        "vizion": False,
        "pmx": False,
        **({"max_memory_restart": settings.max_memory} if settings.max_memory else {}),
    }
    return json.dumps({"apps": [app]}, indent=1).encode()


def slot_variables(environment: Environment, slot: Slot, address: str, port: int, release: str) -> dict[str, str]:
    """The application's plain variables: the team's own, and where and what it is."""
    return {
        **environment.env,
        "HOST": address,
        "PORT": str(port),
        "SLOT": slot,
        "RELEASE_ID": release,
        "ENV_FILE": f"{Paths(environment.app).slot(slot)}/.turnout/env",
    }


def scratch_variables(environment: Environment, paths: Paths, run: str, release: str) -> dict[str, str]:
    """As `slot_variables`, but for a port: it listens on loopback alone, and `SLOT=scratch` tells it what it is."""
    return {
        **environment.env,
        "HOST": "127.0.0.1",
        "SLOT": "scratch",
        "RELEASE_ID": release,
        "ENV_FILE": f"{paths.scratch(run)}/release/.turnout/env",
    }


def environment_file(secrets: Mapping[str, SecretStr]) -> bytes:
    """KEY=value lines for the 0600 file that the application reads."""
    return "".join(f"{name}={value.get_secret_value()}\n" for name, value in sorted(secrets.items())).encode()


def configuration_digest(environment: Environment, secrets: Mapping[str, SecretStr]) -> str:
    """A digest of what a slot is configured with beside its release: a change of it is worth a deploy.

    Hosts keep it and `inv status --json` shows it, so it is one that secrets are slow to be guessed from (scrypt).
    """
    plain = [environment.process.model_dump_json(exclude={"ports"}), json.dumps(environment.env, sort_keys=True)]
    plain.append(json.dumps([environment.release.shared, environment.release.assets]))
    given = "\0".join(plain).encode() + b"\0" + environment_file(secrets)
    return hashlib.scrypt(given, salt=environment.app.encode(), n=1 << 14, r=8, p=1, dklen=8).hex()
