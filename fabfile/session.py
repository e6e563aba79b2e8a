"""The composition root: one environment, its hosts and adapters, for one task."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fabfile.artifact.archive import Release, is_elsewhere, open_release, scan
from fabfile.artifact.kept import digest_kept, fetch_kept
from fabfile.artifact.signature import builder_of
from fabfile.backends import PROJECT, Backends
from fabfile.checks.evidence import Sending, Unseen
from fabfile.checks.preflight import refuse_if_unfit
from fabfile.commands import facts
from fabfile.commands.observe import observe, parse
from fabfile.commands.release import end, mark_bad
from fabfile.config.load import choose, load
from fabfile.config.nesting import refuse_within_hook
from fabfile.config.schema import Environment
from fabfile.config.variables import secret_values
from fabfile.engine.lease import held
from fabfile.engine.run import Run
from fabfile.engine.runner import Aftermath, carry_out, follow_up, take_back
from fabfile.engine.step import Step
from fabfile.errors import BadInput, FleetError, Held, Interrupted, RemoteError, TurnoutError
from fabfile.model.hook import Point
from fabfile.model.host_facts import HostFacts
from fabfile.model.observed import Observed
from fabfile.model.plan import Plan
from fabfile.model.script import Script
from fabfile.planning.blame import is_to_blame
from fabfile.planning.comparison import differences
from fabfile.planning.deploy_plan import plan_rollback
from fabfile.planning.promotion import earlier_success, ended_everywhere
from fabfile.planning.unfinished import Unfinished
from fabfile.recovery.restore import fetch_stored
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.remote.port import Host
from fabfile.remote.read_only import ReadOnlyHost
from fabfile.remote.ssh import SshHost
from fabfile.rendering import configuration_digest
from fabfile.steps.hooks import Occasion, hooks
from fabfile.steps.target import Target
from fabfile.steps.verified import make_up, verified
from fabfile.ui.reporter import Reporter


@dataclass(frozen=True)
class Session(Backends):
    """What a verb works with."""

    run_id: str
    holder: str
    connect: Callable[[str], Host]
    known_hosts: Path

    @property
    def templates(self) -> Path:
        """The project's templates."""
        return PROJECT / "templates"

    def reachable(self, allow_missing: int) -> tuple[str, ...]:
        """The hosts that take part. Raises FleetError when more than `allow_missing` of them are out of reach."""
        everybody = self.environment.run_hosts
        here = Script(":\n", timeout=15)

        def greet(host: Host) -> TurnoutError | None:
            try:
                host.run(here)
            except TurnoutError as error:
                return error
            return None

        missing = {name: error for name, error in self.fleet.each(everybody, greet).items() if error}
        if len(missing) > allow_missing:
            refused = FleetError(list(missing.values()))
            refused.hint += f"; or go on without: --allow-missing={len(missing)}"
            raise refused
        for name, error in missing.items():
            self.reporter.say(f"{name} is left out: {error.fact}; later: inv deploy.catch-up")
        return tuple(name for name in everybody if name not in missing)

    def observe(self, hosts: Iterable[str] | None = None) -> dict[str, Observed]:
        """Look at these hosts (default: all) at once. Raises FleetError naming every host that cannot be looked at."""
        return self.of_one_mind(self.fleet.each(self.environment.run_hosts if hosts is None else hosts, self.look))

    def observe_reachable(self) -> dict[str, Observed | TurnoutError]:
        """What each host shows, or why it cannot be looked at."""

        def attempt(host: Host) -> Observed | TurnoutError:
            try:
                return self.look(host)
            except TurnoutError as error:
                return error

        found = self.fleet.each(self.environment.run_hosts, attempt)
        seen = self.of_one_mind({name: host for name, host in found.items() if isinstance(host, Observed)})
        return {**found, **seen}

    def of_one_mind(self, observed: dict[str, Observed]) -> dict[str, Observed]:
        """Where nginx is elsewhere, a host's live slot is the one that the nginx hosts send to, if they agree."""
        if self.environment.together:
            return observed
        webs = {seen.live for name, seen in observed.items() if name in self.environment.web_hosts and seen.live}
        live = webs.pop() if len(webs) == 1 else None
        return {
            name: seen if name in self.environment.web_hosts else replace(seen, live=live)
            for name, seen in observed.items()
        }

    def look(self, host: Host) -> Observed:
        """What one host shows. Raises as `Host.run`."""
        script = observe(self.paths, self.environment.site.status_port)
        try:
            return parse(host.name, self.paths, host.run(script).stdout)
        except (ValueError, KeyError) as error:
            raise _not_understood(host.name, error) from error

    def look_over(self, host: Host, deep: bool) -> HostFacts:
        """What checks want to know of a host beside that; see `commands.facts`. Raises as `Host.run`."""
        begun = time.time()
        said = host.run(facts.facts(self.paths, self.environment, host.name, deep)).stdout
        try:
            return facts.parse(host.name, said, (begun, time.time()))
        except (ValueError, KeyError) as error:
            raise _not_understood(host.name, error) from error

    @contextmanager
    def lease(self, verb: str, reason: str, wait: float, hosts: Iterable[str] | None = None) -> Iterator[Run]:
        """Hold the lease on these hosts (default: all that take part in runs) for one run."""
        refuse_within_hook(os.environ)
        names = tuple(self.environment.run_hosts if hosts is None else hosts)
        with held(self.fleet, names, self.paths, self.run_id, self.holder, reason, wait, self.reporter.emit) as tokens:
            yield Run(self.run_id, verb, self.fleet, self.paths, tokens, self.reporter.emit, self.connect)

    def open_release(self, reference: str | None, folder: Path) -> Release:
        """The release that `reference` names, checked: a file, or an id in dist/ or else in the bucket, from which it
        comes to `folder`; the newest in dist/ for None.

        Raises BadInput, and Refused for one that is not signed as it must be.
        """
        if reference and self.environment.backup and is_elsewhere(reference, self.dist):
            return self.accepted(self.shelf.fetch(reference, folder))
        return self.local_release(reference)

    def local_release(self, reference: str | None) -> Release:
        """As `open_release`, from dist/ alone."""
        return self.accepted(open_release(reference, self.dist))

    def accepted(self, release: Release) -> Release:
        """The release, once it is found signed as the environment asks, and fit for hosts. Raises Refused, BadInput."""
        if signers := self.environment.artifacts.signers:
            builder = builder_of(release, PROJECT / Path(signers).expanduser())
            self.reporter.say(f"{release.manifest.id} is signed by {builder.name}")
        scan(release.path, release.manifest)
        return release

    def kept_release(self, identity: str, observed: Mapping[str, Observed], folder: Path) -> Release:
        """A release that the hosts keep; its archive comes to `folder` if some host lacks it.

        Raises BadInput when no host keeps it.
        """
        apps = [name for name in self.environment.app_hosts if name in observed]
        keep = [name for name in apps if identity in observed[name].releases]
        return fetch_kept([self.fleet[name] for name in keep], self.paths, identity, folder, len(keep) < len(apps))

    def deploy_target(self, release: Release, observed: Mapping[str, Observed], plan: Plan) -> Target:
        """What a run with this plan and release needs. Raises Refused when a host is not fit for it."""
        manifest, environment = release.manifest, self.environment
        if not plan.empty:
            needed = manifest.size + manifest.unpacked + len(manifest.files) * 4096
            judged = bool(plan.rollout.canary or plan.rollout.watch)
            sites = frozenset(web.host for web in plan.webs if web.site)
            sending = Sending(needed, len(manifest.files), judged, sites)
            refuse_if_unfit(observed.values(), self.name, environment, sending, self._fitness(plan.hosts))
        return self._target(plan, observed, self.configuration, release)

    def rollback_target(self, observed: Mapping[str, Observed]) -> Target:
        """The plan to go back to the other slot. Raises Refused where that is not possible."""
        with suppress(BadInput):  # not needed here, but what the hosts say may hold them
            _ = self.sources
        return self.target_of(plan_rollback(observed.values(), self.environment, self.templates), observed)

    def target_of(self, plan: Plan, observed: Mapping[str, Observed]) -> Target:
        """What a run that sends no release needs. Raises Refused when a host is not fit for it."""
        refuse_if_unfit(observed.values(), self.name, self.environment, Sending(0, 0))
        return self._target(plan, observed, "", None)

    def _fitness(self, hosts: Iterable[str]) -> dict[str, HostFacts | Unseen]:
        """What preflight asks these hosts; one that cannot say is not kept from a run by that alone."""

        def attempt(host: Host) -> HostFacts | Unseen:
            try:
                return self.look_over(host, deep=False)
            except Interrupted:
                raise
            except TurnoutError as error:
                self.reporter.say(f"{error.fact}: what preflight asks there stays unknown")
                return Unseen(error.fact)

        return self.fleet.each(hosts, attempt)

    def earlier_target(self, found: Unfinished) -> Target:
        """The target of a run that has not ended, but for its release."""
        with suppress(BadInput):  # undoing needs no secret
            _ = self.sources
        target = self._target(found.plan, found.before, found.configuration, None)
        secrets = self.sources.application if found.configuration else {}
        return replace(target, run=found.run, holder=found.holder, began=found.began, secrets=secrets)

    def release_of(self, plan: Plan, folder: Path) -> Release:
        """The very archive of a plan: from dist/, from a host that keeps it, from the bucket or a restore's backups.

        Raises BadInput where it is nowhere: one of the same name that was built again is another one.
        """
        hosts = [self.fleet[app.host] for app in plan.apps]
        places: list[Callable[[], Release]] = [
            lambda: self.local_release(plan.release),
            lambda: fetch_kept(hosts, self.paths, plan.release, folder, whole=True),
        ]
        if plan.restore is not None:
            places.append(lambda: self.stored_release(plan.release, folder))
        elif self.environment.backup:
            places.append(lambda: self.accepted(self.shelf.fetch(plan.release, folder)))
        reasons = []
        for place in places:
            try:
                found = place()
            except BadInput as error:
                reasons.append(error.fact)
                continue
            if plan.digest in ("", found.manifest.digest):
                return found
            reasons.append(f"{found.path.name} has SHA-256 {found.manifest.digest}, the run began with {plan.digest}")
        raise BadInput(
            f"the archive of {plan.release} is nowhere to be had", "take the run back: inv deploy.abort", reasons
        )

    def stored_release(self, identity: str, folder: Path) -> Release:
        """A release that is kept with backups, in `folder`. Raises BadInput where none has it."""
        return fetch_stored(self.recovery.catalogue, identity, folder)

    @property
    def configuration(self) -> str:
        """The digest of what a release is configured with."""
        return configuration_digest(self.environment, self.sources.application)

    def _target(
        self, plan: Plan, observed: Mapping[str, Observed], configuration: str, release: Release | None
    ) -> Target:
        if release:
            plan = replace(plan, digest=release.manifest.digest)
        return Target(
            run=self.run_id,
            name=self.name,
            holder=self.holder,
            began=datetime.now(UTC).isoformat(timespec="seconds"),
            plan=plan,
            environment=self.environment,
            paths=self.paths,
            secrets=self.sources.application if release else {},
            configuration=configuration,
            before=observed,
            manifest=release.manifest if release else None,
            archive=release.path if release else None,
        )

    def carry_out(
        self, steps: Sequence[Step], closing: Sequence[Step], run: Run, target: Target, already: Sequence[Step] = ()
    ) -> None:
        """Run the steps, and the hooks that follow; after an undo, look again and compare with `target.before`.

        See `engine.runner.carry_out`.
        """
        rollback = target.plan.verb == "rollback"
        try:
            carry_out(steps, closing, run, self._aftermath(run, target), already)
        except Held:
            raise
        except TurnoutError:
            follow_up(self.hooks("rollback-failed" if rollback else "deploy-failed", target), run)
            raise
        if closing:
            follow_up(self.contracts(target), run)
            follow_up(self.successes(target), run)
            follow_up(self.hooks("post-rollback" if rollback else "post-deploy", target), run)

    def successes(self, target: Target) -> list[Step]:
        """What is noted of a deploy that has ended well. This is the one place that knows: every step, test, gate and
        watch is behind it by then, and nothing is taken back any more."""
        if not ended_everywhere(target.plan, self.environment.run_hosts):
            return []
        return [verified(lambda: self.verified, target, lambda: self.kept_digest(target.plan.release))]

    def make_up(self, target: Target) -> None:
        """Note what an earlier deploy of what is live has earned but could not, its store being out of reach, say."""
        if set(target.before) < set(self.environment.run_hosts):
            return
        entry = earlier_success(target.before, target.plan.release)
        if said := make_up(lambda: self.verified, target, lambda: self.kept_digest(target.plan.release), entry):
            self.reporter.say(said)

    def kept_digest(self, identity: str) -> str:
        """The SHA-256 of a release's archive, as the hosts know it. Raises BadInput when none keeps it."""
        hosts = [self.fleet[name] for name in self.environment.app_hosts]
        return fetch_kept(hosts, self.paths, identity, Path(), whole=False).manifest.digest

    def kept_digests(self, identity: str) -> dict[str, str]:
        """The same of each host that keeps a release of this name."""
        found = self.fleet.each(self.environment.app_hosts, lambda host: digest_kept(host, self.paths, identity))
        return {name: digest for name, digest in found.items() if digest}

    def hooks(self, point: Point, target: Target) -> list[Step]:
        """The team's own commands at this point of a run."""
        plan = target.plan
        occasion = Occasion(
            self.environment,
            self.name,
            target.run,
            plan.verb,
            plan.release,
            plan.previous_release,
            tuple(app.host for app in plan.apps),
            tuple(web.host for web in plan.webs),
            PROJECT,
            os.environ,
        )
        return hooks(point, occasion)

    def contracts(self, target: Target) -> list[Step]:
        """The migrations that had to wait until no other release runs; one that fails is told and changes nothing."""
        from fabfile.steps.schema import contract

        if target.plan.contracts and target.archive is None:
            self.reporter.say(f"{', '.join(target.plan.contracts)} may be applied now: inv migrate")
            return []
        return [contract(lambda: self.ledger, target)] if target.plan.contracts else []

    def take_back(self, steps: Sequence[Step], run: Run, target: Target) -> None:
        """Undo steps of a run that has not ended. See `engine.runner.take_back`."""
        take_back(steps, run, self._aftermath(run, target))

    def _aftermath(self, run: Run, target: Target) -> Aftermath:
        hosts = target.plan.hosts

        def look_again() -> list[str]:
            after = self.observe(hosts)
            found = [line for name, seen in after.items() for line in differences(target.before[name], seen)]
            return found + self._left_exchanged(target)

        def forget(step: str, cause: TurnoutError) -> None:
            if is_to_blame(step, cause) and target.plan.kind != "stay":
                bad = mark_bad(self.paths, target.plan.release, self.reporter.clean(f"{step} failed: {cause.fact}"))
                run.on_hosts("mark-bad", dict.fromkeys(hosts, bad))
            run.on_hosts("end", dict.fromkeys(hosts, end(self.paths)))

        return Aftermath(look_again, forget)

    def _left_exchanged(self, target: Target) -> list[str]:
        from fabfile.steps import physical, recovery

        restore = target.plan.restore
        found = recovery.left_exchanged(self.recovery, target) if restore else []
        return found + (physical.left_exchanged(self.point_in_time, target) if restore and restore.server else [])

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


def _not_understood(host: str, error: Exception) -> RemoteError:
    return RemoteError(host, f"the answer could not be understood: {error}", "run it again: inv status")


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
        session = Session(name, environment, fleet, reporter, run_id, holder, connect, known_hosts)
        session.hide(secret_values(environment, os.environ))  # hooks inherit them, and may print what they inherit
        yield session
    finally:
        fleet.close()


def _connector(environment: Environment, name: str, project: Path, known_hosts: Path) -> Callable[[str], Host]:
    def connect(host: str) -> Host:
        ssh, settings = environment.ssh, environment.hosts[host]
        if settings.local:
            return LocalHost(host)
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
