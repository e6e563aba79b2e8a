"""The composition root: one environment, its hosts and adapters, for one task."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from fabfile.artifact.archive import Release, open_release, scan
from fabfile.commands.observe import observe, parse
from fabfile.config.load import choose, load
from fabfile.config.schema import Environment
from fabfile.config.sources import Sources, resolve_all
from fabfile.database.port import Database
from fabfile.engine.lease import held
from fabfile.engine.run import Run
from fabfile.engine.runner import carry_out
from fabfile.engine.step import Step
from fabfile.errors import BadInput, RemoteError, TurnoutError
from fabfile.model.observed import Observed
from fabfile.model.paths import Paths
from fabfile.planning.comparison import differences
from fabfile.planning.deploy_plan import plan_deploy, plan_rollback
from fabfile.planning.preflight import refuse_if_unfit
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.scope import Scope
from fabfile.remote.fleet import Fleet
from fabfile.remote.port import Host
from fabfile.remote.read_only import ReadOnlyHost
from fabfile.remote.ssh import SshHost
from fabfile.rendering import configuration_digest
from fabfile.steps.target import Target
from fabfile.ui.reporter import Reporter

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Session:
    """What a verb works with."""

    name: str
    environment: Environment
    fleet: Fleet
    reporter: Reporter
    run_id: str
    holder: str

    connect: Callable[[str], SshHost]
    known_hosts: Path

    @property
    def paths(self) -> Paths:
        """Where things are on a host."""
        return Paths(self.environment.app)

    @property
    def templates(self) -> Path:
        """The project's templates."""
        return PROJECT / "templates"

    @property
    def dist(self) -> Path:
        """Where `inv build` leaves releases."""
        return PROJECT / "dist"

    @cached_property
    def sources(self) -> Sources:
        """Secrets, read when first needed and hidden from all output from then on."""
        found = resolve_all(self.environment, PROJECT, os.environ)
        values = [*found.application.values(), *([found.database_password] if found.database_password else [])]
        plain = [value.get_secret_value() for value in values]
        self.reporter.hide([*plain, *filter(None, map(_password, plain))])
        return found

    @cached_property
    def recovery(self) -> Scope:
        """The store, the database and the catalogue of backups. Raises BadInput where the environment has no store."""
        from fabfile.storage.s3 import S3Store

        settings = self.environment.backup
        if settings is None:
            raise BadInput(f"hosts/{self.name}.yml has no backup section", "hosts/example.yml shows one")
        store = S3Store(settings.bucket, settings.region, self.sources.backup_endpoint)
        catalogue = Catalogue(store, settings.prefix, self.environment.app, self.name)
        return Scope(self.environment, self.paths, self.fleet.hosts, catalogue, self.database)

    @cached_property
    def database(self) -> Database | None:
        """The environment's database, or None without one."""
        from fabfile.database.postgres import Postgres

        settings, password = self.environment.database, self.sources.database_password
        if settings is None or password is None:
            return None
        return Postgres(settings, password, self.fleet[settings.via])

    def observe(self) -> dict[str, Observed]:
        """Look at every application host at once. Raises FleetError naming every host that cannot be looked at."""
        return self.fleet.each(self.environment.app_hosts, self._look)

    def observe_reachable(self) -> dict[str, Observed | TurnoutError]:
        """What each host shows, or why it cannot be looked at."""

        def attempt(host: Host) -> Observed | TurnoutError:
            try:
                return self._look(host)
            except TurnoutError as error:
                return error

        return self.fleet.each(self.environment.app_hosts, attempt)

    def _look(self, host: Host) -> Observed:
        script = observe(self.paths, self.environment.site.status_port)
        try:
            return parse(host.name, self.paths, host.run(script).stdout)
        except (ValueError, KeyError) as error:
            raise RemoteError(
                host.name, f"the answer could not be understood: {error}", "run it again: inv status"
            ) from error

    @contextmanager
    def lease(self, verb: str, reason: str, wait: float) -> Iterator[Run]:
        """Hold the lease on every application host for one run."""
        hosts = self.environment.app_hosts
        with held(self.fleet, hosts, self.paths, self.run_id, self.holder, reason, wait, self.reporter.emit) as tokens:
            yield Run(self.run_id, verb, self.fleet, self.paths, tokens, self.reporter.emit)

    def open_release(self, reference: str | None) -> Release:
        """The release file that `reference` names, checked; the newest in dist/ for None."""
        release = open_release(reference, self.dist)
        scan(release.path, release.manifest)
        return release

    def deploy_target(self, release: Release, observed: dict[str, Observed], restore: bool = False) -> Target:
        """The plan for this release on hosts as observed. Raises Refused when a host is not fit for it."""
        manifest, environment, secrets = release.manifest, self.environment, self.sources.application
        configuration = configuration_digest(environment, secrets)
        plan = plan_deploy(observed.values(), environment, manifest.id, configuration, self.templates, again=restore)
        if not plan.empty:
            needed = manifest.size + manifest.unpacked + len(manifest.files) * 4096
            refuse_if_unfit(observed.values(), environment, needed, len(manifest.files))
        return Target(
            self.run_id, self.holder, plan, environment, self.paths, secrets, configuration, manifest, release.path
        )

    def rollback_target(self, observed: dict[str, Observed]) -> Target:
        """The plan to go back to the other slot. Raises Refused where that is not possible."""
        with suppress(BadInput):  # not needed here, but what the hosts say may hold them
            _ = self.sources
        plan = plan_rollback(observed.values(), self.environment, self.templates)
        refuse_if_unfit(observed.values(), self.environment, 0, 0)
        return Target(self.run_id, self.holder, plan, self.environment, self.paths, {}, "")

    def carry_out(self, steps: Sequence[Step], closing: Sequence[Step], run: Run, before: dict[str, Observed]) -> None:
        """Run the steps; after an undo, look again and compare with `before`. See `engine.runner.carry_out`."""

        def look_again() -> list[str]:
            after = self.observe()
            return [line for name, seen in after.items() for line in differences(before[name], seen)]

        carry_out(steps, closing, run, look_again)

    def confirm(self, yes: bool, what: str, always: bool = False) -> None:
        """Ask for the environment's name to be typed where that is wanted. Raises BadInput when it is not."""
        if yes or not (always or self.environment.protected):
            return
        if not os.isatty(0):
            raise BadInput(f"{self.name} wants a confirmation and there is no terminal to ask on", "add --yes")
        self.reporter.say(what)
        try:
            typed = input(f"Type {self.name} to go on: ")
        except EOFError:
            typed = ""
        if typed.strip() != self.name:
            raise BadInput(f"{typed.strip()!r} is not {self.name}: nothing was done", f"type {self.name}, or add --yes")


def _password(value: str) -> str | None:
    """The password inside a URL."""
    try:
        return urlsplit(value).password
    except ValueError:
        return None


@contextmanager
def opened(env: str | None, reporter: Reporter, read_only: bool = False, project: Path = PROJECT) -> Iterator[Session]:
    """A session on the chosen environment, closed at the end; with `read_only` the hosts refuse every change."""
    name = choose(env, project, os.environ)
    environment = load(name, project)
    known_hosts = project / Path(environment.ssh.known_hosts).expanduser()
    connect = _connector(environment, name, project, known_hosts)
    hosts: dict[str, Host] = {}
    for host in environment.hosts:
        reached = connect(host)
        hosts[host] = ReadOnlyHost(reached) if read_only else reached
    fleet = Fleet(hosts)
    run_id = time.strftime("%Y%m%dT%H%M%S-", time.gmtime()) + secrets.token_hex(2)
    holder = f"{getpass.getuser()}@{socket.gethostname()}"
    try:
        yield Session(name, environment, fleet, reporter, run_id, holder, connect, known_hosts)
    finally:
        fleet.close()


def _connector(environment: Environment, name: str, project: Path, known_hosts: Path) -> Callable[[str], SshHost]:
    def connect(host: str) -> SshHost:
        ssh, settings = environment.ssh, environment.hosts[host]
        return SshHost(
            host,
            settings.address or host,
            settings.user or ssh.user,
            settings.port,
            known_hosts=known_hosts,
            ssh_config=project / Path(ssh.config).expanduser() if ssh.config else None,
            connect_timeout=ssh.connect_timeout,
            trust_command=f"inv hosts.trust --env={name}",
        )

    return connect
