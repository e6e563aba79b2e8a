"""The schema of `hosts/<environment>.yml`; every key that exists is here, and no other is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from fabfile.config.approvals import ApprovalSettings
from fabfile.config.artifacts import ArtifactSettings
from fabfile.config.backup import BackupSettings, backup_contradictions
from fabfile.config.calendar import CalendarSettings
from fabfile.config.custody import AwsSettings, CustodySettings, VaultSettings, custody_contradictions
from fabfile.config.database import DatabaseSettings
from fabfile.config.layers import FILE_NAME
from fabfile.config.migrations import MigrationSettings
from fabfile.config.section import Section
from fabfile.config.smoke import SmokeSettings
from fabfile.config.smoke_contradictions import smoke_contradictions
from fabfile.config.values import (
    Address,
    CommandWords,
    Duration,
    HostName,
    Matching,
    Name,
    Percentage,
    PlainText,
    Port,
    Ratio,
    RelativePath,
    Sourced,
    UrlPath,
    VariableName,
)
from fabfile.model.hook import Point

Role = Literal["web", "app", "db"]


class HostSettings(Section):
    """One machine."""

    address: HostName | None = None
    """Where to connect; default: the host's own name, as ssh_config or DNS resolve it."""
    user: Name | None = None
    """Who to log in as; default: `ssh.user`."""
    port: Port | None = None
    """sshd's port; default: ssh_config's, else 22."""
    internal: Address | None = None
    """Where the nginx hosts reach the application on this host; needed as soon as one of them is another machine."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1)] = ("web", "app")
    """What runs there: `web` nginx, `app` PM2, `db` the PostgreSQL client tools beside or near the server."""
    local: bool = False
    """It is the very machine where `inv` is typed: commands run as whoever types, and SSH is not used."""


class SshSettings(Section):
    """How hosts are reached."""

    user: Name = "deploy"
    """The unprivileged account on the hosts."""
    config: PlainText | None = None
    """An ssh_config file; default: ~/.ssh/config. `~` is expanded, relative paths start at the project."""
    known_hosts: PlainText = "hosts/known_hosts"
    """The only file that says which host keys are trusted; `inv hosts.trust` writes it."""
    connect_timeout: Duration = 10.0
    """How long one connection attempt may take."""


class SlotPorts(Section):
    """The loopback port of each slot."""

    blue: Port = 3001
    """Port of the blue slot."""
    green: Port = 3002
    """Port of the green slot."""


class ProcessSettings(Section):
    """How PM2 runs the application."""

    script: RelativePath = "server.js"
    """What Node starts, relative to the release."""
    arguments: tuple[PlainText, ...] = ()
    """Words after the script."""
    ports: SlotPorts = SlotPorts()
    """Where each slot listens, on 127.0.0.1."""
    stop_timeout: Duration = 15.0
    """How long a graceful shutdown may take before SIGKILL."""
    max_memory: Annotated[str, Matching(r"^[1-9][0-9]*[MG]$", "a size such as 512M or 2G")] | None = None
    """PM2 restarts a process that has more; a canary's restart takes the canary back."""


class HealthSettings(Section):
    """When a release counts as healthy: it answers 200 with its own release id, and keeps doing so."""

    path: UrlPath = "/api/health"
    """Must answer 200 and JSON with the key `release`."""
    request_timeout: Duration = 5.0
    """How long one answer may take."""
    timeout: Duration = 60.0
    """How long a release may take to become healthy."""
    stable: Duration = 3.0
    """How long it must then stay healthy, without a restart."""


class SiteSettings(Section):
    """The nginx site in front of both slots."""

    listen: Port = 80
    """The public port."""
    server_name: Annotated[str, Matching(r"^[A-Za-z0-9.*_ -]+$", "host names with spaces between them, or _")] = "_"
    """nginx server_name; `_` takes every name."""
    status_port: Port = 8099
    """A loopback port that tells which generation of the configuration nginx really serves."""
    max_body: Annotated[str, Matching(r"^[0-9]+[kKmMgG]?$", "a size in nginx's words, such as 10m")] = "10m"
    """The largest request body."""
    client_cookie: VariableName | None = None
    """A cookie that tells clients apart, so that a canary's stay in it; default: the client's address."""
    template: RelativePath = "nginx/site.conf.j2"
    """The template below templates/."""


class GatesSettings(Section):
    """When a release that already has traffic counts as worse than the one before it, and is taken back."""

    error_rate: Percentage = 0.05
    """More errors than this share of its requests are too many, however many the old release has."""
    error_ratio: Ratio = 2.0
    """More errors than this many times the old release's share are too many."""
    latency_ratio: Ratio = 2.0
    """A p95 of more than this many times the old release's is too slow."""
    min_requests: Annotated[int, Field(ge=20, le=1_000_000)] = 200
    """With fewer requests to either release they are not compared."""
    interval: Duration = 10.0
    """The time from one look to the next."""
    on_inconclusive: Literal["rollback", "hold", "promote"] = "hold"
    """What to do when there was too little traffic to judge; `hold` waits for somebody to decide."""


class ReleaseSettings(Section):
    """How a release is laid out on the hosts."""

    keep: Annotated[int, Field(ge=1, le=100)] = 5
    """How many release archives stay on each host, the live and the previous one always among them."""
    shared: tuple[RelativePath, ...] = ()
    """Directories that outlive a release; linked into each slot from the shared directory."""
    assets: tuple[RelativePath, ...] = ()
    """Directories of files whose names change with their content; those of former releases are served on."""
    migrate: tuple[PlainText, ...] = ()
    """The application's own migration command, run once, on the first app host, before the start."""
    migrate_timeout: Duration = 600.0
    """How long the migration may take."""
    drain_timeout: Duration = 30.0
    """How long open connections (WebSockets too) may stay on the old slot before it is stopped."""
    confirm_timeout: Duration = 30.0
    """How long a host waits, after it switched, to be told over a new connection that it may stay so."""


class Hook(Section):
    """One command of the team; what it did is not taken back, and nothing that it started outlives it."""

    command: CommandWords
    """A program and its arguments, each a word of its own; no shell reads them. TURNOUT_* variables tell of the run."""
    on: Literal["operator", "first", "app", "web"] = "operator"
    """Where it runs: `operator` here in the project, `first` the first app host, `app` or `web` every such host."""
    timeout: Duration = 60.0
    """How long it may take before it is killed with everything that it started."""


class Hooks(Section):
    """The team's own commands at points of a run; each point takes a list, run in its order."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    pre_deploy: tuple[Hook, ...] = ()
    """Before anything else of a deploy; a failure stops it."""
    pre_switch: tuple[Hook, ...] = ()
    """When the new release is healthy and traffic is about to move; a failure undoes the run."""
    post_switch: tuple[Hook, ...] = ()
    """When traffic has moved and the old release still runs; a failure undoes the run."""
    post_deploy: tuple[Hook, ...] = ()
    """After a deploy; a failure is told and changes nothing."""
    deploy_failed: tuple[Hook, ...] = ()
    """After a deploy that did not succeed, when it has been undone; a failure is told and changes nothing."""
    pre_rollback: tuple[Hook, ...] = ()
    """Before anything else of a rollback; a failure stops it."""
    post_rollback: tuple[Hook, ...] = ()
    """After a rollback; a failure is told and changes nothing."""
    rollback_failed: tuple[Hook, ...] = ()
    """After a rollback that did not succeed, when it has been undone; a failure is told and changes nothing."""

    def at(self, point: Point) -> tuple[Hook, ...]:
        """The commands at this point."""
        found: tuple[Hook, ...] = getattr(self, point.replace("-", "_"))
        return found


class Check(Section):
    """One of the project's own checks: a type check, lint, tests, an audit of dependencies."""

    command: CommandWords
    """A program and its arguments, each a word of its own; no shell reads them."""
    timeout: Duration = 600.0
    """How long it may take before it is killed with everything that it started."""


class BuildSettings(Section):
    """How `inv build` makes a release."""

    source: RelativePath = "."
    """The application's directory."""
    commands: tuple[tuple[PlainText, ...], ...] = (("npm", "ci"), ("npm", "prune", "--omit=dev"))
    """Commands run in a clean copy of the source; the first that fails stops the build."""
    exclude: tuple[PlainText, ...] = ("node_modules", ".git", "dist")
    """Names left out of that copy."""
    checks: tuple[Check, ...] = ()
    """Run first, in a copy of their own; one that fails stops the build. What they write is no part of a release."""


class Environment(Section):
    """One environment: everything a task knows about where it works."""

    extends: Annotated[str, Matching(FILE_NAME, "the name of a file in hosts/, such as base.yml")] | None = None
    """A file in hosts/ that this one adds to: mappings are merged key by key, lists and values replaced."""
    base: bool = False
    """This file is there to be extended, and is no environment by itself."""
    app: Name
    """The application's name: directories, processes and nginx names are derived from it."""
    protected: bool = False
    """Ask for the environment's name to be typed before anything changes."""
    hosts: Annotated[dict[HostName, HostSettings], Field(min_length=1)]
    """The machines."""
    ssh: SshSettings = SshSettings()
    build: BuildSettings = BuildSettings()
    release: ReleaseSettings = ReleaseSettings()
    process: ProcessSettings = ProcessSettings()
    health: HealthSettings = HealthSettings()
    site: SiteSettings = SiteSettings()
    gates: GatesSettings = GatesSettings()
    smoke: SmokeSettings = SmokeSettings()
    hooks: Hooks = Hooks()
    env: dict[VariableName, PlainText] = {}  # noqa: RUF012 - pydantic copies it
    """Plain variables of the application."""
    secrets: dict[VariableName, Sourced] = {}  # noqa: RUF012 - pydantic copies it
    """Secret variables of the application, each where its value comes from; sent by stdin into a 0600 file."""
    custody: CustodySettings = CustodySettings()
    """What is asked of these secrets."""
    vault: VaultSettings | None = None
    aws: AwsSettings = AwsSettings()
    """How the secrets `aws:` and `ssm:` are reached."""
    database: DatabaseSettings | None = None
    migrations: MigrationSettings | None = None
    """SQL files of the release that are applied to the database by a deploy, instead of `release.migrate`."""
    backup: BackupSettings | None = None
    notify: tuple[Sourced, ...] = ()
    """Who is told when something goes wrong: each `env:NAME` or `file:PATH` of a URL that Apprise knows."""
    calendar: CalendarSettings = CalendarSettings()
    """When deploys may begin, when they must not, and what maintenance is announced."""
    artifacts: ArtifactSettings = ArtifactSettings()
    """Where releases are kept beside dist/, and by whom they must have been built."""
    approvals: ApprovalSettings = ApprovalSettings()
    """Who has to agree before a release is deployed."""

    @model_validator(mode="after")
    def _consistent(self) -> Environment:
        found = [
            InitErrorDetails(
                type=PydanticCustomError("contradiction", "{problem}", {"problem": text}), loc=path, input=""
            )
            for path, text in self._contradictions()
        ]
        if found:
            raise ValidationError.from_exception_data("Environment", found)
        return self

    def _contradictions(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Where two parts of a well-formed file disagree: the path to change, and why."""
        lacking = [role for role, found in (("web", self.web_hosts), ("app", self.app_hosts)) if not found]
        if lacking:
            yield ("hosts",), f"at least one host needs the role {' and one the role '.join(lacking)}"
        for name, host in self.hosts.items():
            if host.local and (host.address or host.user or host.port):
                yield ("hosts", name, "local"), "needs no address, user or port: nothing is reached by SSH"
        for name in self.app_hosts:
            if not self.together and self.hosts[name].internal is None:
                yield (
                    ("hosts", name),
                    "needs internal, the address at which the nginx hosts reach it, as not every host is web and app",
                )
        if self.database and self.database.via not in self.hosts:
            yield ("database", "via"), f"{self.database.via} is not one of the hosts ({', '.join(self.hosts)})"
        yield from self._port_clashes()
        for name in sorted(set(self.env) & set(self.secrets)):
            yield ("env", name), "is in secrets too; keep it in secrets alone"
        if self.database and self.database.url_variable not in (None, *self.secrets):
            yield ("database", "url_variable"), f"{self.database.url_variable} is not one of secrets"
        if self.migrations and not self.database:
            yield ("migrations",), "needs a database section to know what to migrate"
        if self.migrations and self.release.migrate:
            yield ("release", "migrate"), "is another way than migrations.folder; keep one of them"
        yield from self._homeless()
        yield from custody_contradictions(self.custody, self.secrets, self.vault)
        yield from smoke_contradictions(self.smoke, self.database is not None)
        if self.backup and self.backup.before_deploy and not self.database:
            yield ("backup", "before_deploy"), "needs a database section to know what to back up"
        if self.backup:
            yield from backup_contradictions(self.backup)
        if self.database and self.database.engine == "pgbackrest":
            yield from _server_contradictions(self.database, self.backup)

    def _homeless(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What is kept in the bucket, or told to channels, where there are none."""
        if self.artifacts.push and not self.backup:
            yield ("artifacts", "push"), "needs a backup section: releases are kept in its bucket"
        if self.approvals.required and not self.backup:
            yield ("approvals", "required"), "needs a backup section: approvals are kept in its bucket"
        if self.calendar.maintenance and not (self.backup and self.notify):
            yield (
                ("calendar", "maintenance"),
                "needs notify, to know whom to tell, and a backup section: its bucket remembers what was told",
            )

    def _port_clashes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        users: dict[int, list[tuple[str, ...]]] = {}
        for path, port in (
            (("process", "ports", "blue"), self.process.ports.blue),
            (("process", "ports", "green"), self.process.ports.green),
            (("site", "listen"), self.site.listen),
            (("site", "status_port"), self.site.status_port),
        ):
            users.setdefault(port, []).append(path)
        for port, paths in users.items():
            if len(paths) > 1:
                culprit = [path for path in paths if self._is_written(path)][-1]
                others = " and ".join(".".join(path) for path in paths if path != culprit)
                yield culprit, f"{port} is the port of {others} too; all ports must differ"

    def _is_written(self, path: tuple[str, ...]) -> bool:
        section: object = self
        for key in path:
            if not isinstance(section, BaseModel) or key not in section.model_fields_set:
                return False
            section = getattr(section, key)
        return True

    def _with(self, role: Role) -> tuple[str, ...]:
        return tuple(sorted(name for name, host in self.hosts.items() if role in host.roles))

    @property
    def web_hosts(self) -> tuple[str, ...]:
        """Hosts with nginx, sorted."""
        return self._with("web")

    @property
    def app_hosts(self) -> tuple[str, ...]:
        """Hosts that run the application, sorted."""
        return self._with("app")

    @property
    def run_hosts(self) -> tuple[str, ...]:
        """Hosts that take part in a run, sorted: the order in which locks are taken."""
        return tuple(sorted({*self.web_hosts, *self.app_hosts}))

    @property
    def together(self) -> bool:
        """Each nginx has an application of its own beside it, and uses no other."""
        return self.web_hosts == self.app_hosts

    def address_of(self, host: str) -> str:
        """Where the application on this host listens."""
        return "127.0.0.1" if self.together else str(self.hosts[host].internal)


def _server_contradictions(
    database: DatabaseSettings, backup: BackupSettings | None
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What keeps pgBackRest from saving the server."""
    engine = ("database", "engine")
    if database.repository is None:
        yield engine, "needs database.repository, with the passphrase that backups are encrypted with"
    if backup is None:
        yield engine, "needs a backup section: the bucket that pgBackRest keeps its repository in"
    elif (backup.endpoint or "").startswith("http://"):
        yield ("backup", "endpoint"), "must be https:// for pgBackRest, which speaks to S3 in no other way"
    if backup and backup.copy_to:
        yield ("backup", "copy"), "cannot bring pgBackRest's repository elsewhere: let the bucket replicate itself"
    if database.host not in ("127.0.0.1", "localhost"):
        yield ("database", "host"), "must be 127.0.0.1: pgBackRest works on the database's own host, database.via"
    if not 60 <= database.archive_timeout <= 3600:
        yield ("database", "archive_timeout"), "expected 1m to 1h"
