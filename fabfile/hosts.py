"""`inv hosts.trust` and `inv hosts.list`: which machines there are, and whether we know their keys."""

from __future__ import annotations

from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb


@verb(
    help={"env": ENV, "host": "only this host", "yes": "trust without asking (after comparing elsewhere)", "json": JSON}
)
def trust(
    reporter: Reporter, env: str | None = None, host: str | None = None, yes: bool = False, json: bool = False
) -> None:
    """Show the fingerprint of each host's key and, once you agree, write it to hosts/known_hosts."""
    import os

    from fabfile.errors import BadInput
    from fabfile.remote import host_keys
    from fabfile.remote.ssh import SshHost
    from fabfile.session import opened

    with opened(env, reporter) as session:
        names = list(session.environment.hosts)
        if host is not None and host not in names:
            raise BadInput(f"{host} is not a host of {session.name}", f"hosts: {', '.join(names)}")
        shown = []
        for name in [host] if host else names:
            reached = session.connect(name)
            if not isinstance(reached, SshHost):
                reporter.say(f"{name} is this machine, which has no key to compare")
                continue
            known_as, key = reached.host_key()
            fingerprint = host_keys.fingerprint(key)
            state = host_keys.standing(session.known_hosts, known_as, key)
            reporter.say(f"{name} ({known_as}) {key.get_name()} {fingerprint}: {state}")
            shown.append({"host": name, "name": known_as, "fingerprint": fingerprint, "state": state})
            if state == "trusted already":
                continue
            if not yes:
                if not os.isatty(0):
                    raise BadInput("there is no terminal to ask on", "compare the fingerprint, then add --yes")
                if input(f"Is that the fingerprint of {name}? Type yes: ").strip() != "yes":
                    raise BadInput(f"{name} was not trusted", "ask whoever runs it: ssh-keygen -lf its host key")
            host_keys.trust(session.known_hosts, known_as, key)
        reporter.answer(f"{len(shown)} host keys are trusted in {session.known_hosts}", shown)


@verb(help={"env": ENV, "json": JSON}, name="list")
def list_hosts(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """List the hosts of an environment with their roles; connects to none."""
    from fabfile.session import opened

    with opened(env, reporter) as session:
        hosts = session.environment.hosts
        rows = [[name, host.address or name, " ".join(host.roles)] for name, host in hosts.items()]
        document = {name: host.model_dump() for name, host in hosts.items()}
        reporter.table(("HOST", "ADDRESS", "ROLES"), rows, document, "no hosts")
