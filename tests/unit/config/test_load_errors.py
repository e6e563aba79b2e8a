"""Each mistake in an environment's file is told with its line, its path and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabfile.config.load import load
from fabfile.config.schema import Environment
from fabfile.errors import BadInput

SMALLEST = "app: a\nhosts:\n  h: {}\n"
PERCENTAGE = "expected a percentage up to 100 with its sign, such as 5% or 0.5%"


def write(project: Path, text: str) -> None:
    (project / "hosts").mkdir(exist_ok=True)
    (project / "hosts" / "x.yml").write_text(text, encoding="utf-8")


def errors(project: Path, text: str) -> list[str]:
    write(project, text)
    with pytest.raises(BadInput) as caught:
        load("x", project)
    # Neither pydantic's error nor YAML's travels along: both hold text of the file.
    assert caught.value.__context__ is None
    return [line.removeprefix("hosts/x.yml:") for line in caught.value.details]


def test_the_smallest_file_takes_every_default(tmp_path: Path) -> None:
    write(tmp_path, SMALLEST)
    assert load("x", tmp_path) == Environment.model_validate({"app": "a", "hosts": {"h": {}}})


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    write(tmp_path, "\ufeff" + SMALLEST)
    assert load("x", tmp_path).app == "a"


def test_lists_become_tuples_and_durations_seconds(tmp_path: Path) -> None:
    write(tmp_path, SMALLEST + "build: {commands: [[npm, ci]]}\nhealth: {timeout: 2m, stable: 500ms}\n")
    environment = load("x", tmp_path)
    assert environment.build.commands == (("npm", "ci"),)
    assert (environment.health.timeout, environment.health.stable) == (120.0, 0.5)


def test_hooks_are_written_with_dashes_and_with_on_as_a_plain_word(tmp_path: Path) -> None:
    write(tmp_path, SMALLEST + "hooks:\n  pre-deploy:\n    - {command: [a, b c]}\n    - {command: [d], on: web}\n")
    first, second = load("x", tmp_path).hooks.at("pre-deploy")
    assert (first.command, first.on, first.timeout) == (("a", "b c"), "operator", 60.0)
    assert second.on == "web"


def test_hosts_can_share_settings_through_an_anchor(tmp_path: Path) -> None:
    write(tmp_path, "app: a\nhosts:\n  h1: &host\n    user: ops\n    port: 22\n  h2:\n    <<: *host\n    port: 23\n")
    hosts = load("x", tmp_path).hosts
    assert [(host.user, host.port) for host in hosts.values()] == [("ops", 22), ("ops", 23)]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("process:\n  prots: {}\n", "5: process.prots: unknown key; did you mean 'ports'?"),
        ("proces: {}\n", "4: proces: unknown key; did you mean 'process'?"),
        ("process:\n  ports: {zzz: 3}\n", "5: process.ports.zzz: unknown key; known here: blue, green"),
        ("backup: {bukket: abc, bucket: abc}\n", "4: backup.bukket: unknown key; did you mean 'bucket'?"),
        ("backup: {}\n", "4: backup.bucket: this key is required and missing"),
        ("site:\n  listen: '80'\n", "5: site.listen: expected a whole number, without quotes"),
        ("site:\n  listen: 8.5\n", "5: site.listen: expected a whole number, not 8.5"),
        ("site:\n  listen: yes\n", "5: site.listen: expected a whole number, not yes"),
        ("site:\n  listen: 0\n", "5: site.listen: expected at least 1, not 0"),
        ("site:\n  listen: 65536\n", "5: site.listen: expected at most 65535, not 65536"),
        ("site: {server_name: 'a;b'}\n", "4: site.server_name: expected host names with spaces between them, or _"),
        ("site: {max_body: 10}\n", '4: site.max_body: expected text, but 10 reads as a number; quote it: "10"'),
        ("ssh: {user: on}\n", '4: ssh.user: expected text, but on reads as true or false; quote it: "on"'),
        (
            "ssh: {user: }\n",
            "4: ssh.user: expected text, but nothing is there; quote it if it is meant to be empty or 'null'",
        ),
        ("ssh: {user: [a]}\n", "4: ssh.user: expected text, not a list"),
        ("ssh: {user: {a: b}}\n", "4: ssh.user: expected text, not keys"),
        ("hooks: {pre-deplyo: []}\n", "4: hooks.pre-deplyo: unknown key; did you mean 'pre-deploy'?"),
        ("hooks: {pre_deploy: []}\n", "4: hooks.pre_deploy: unknown key; did you mean 'pre-deploy'?"),
        ("hooks:\n  pre-deploy: [a]\n", "5: hooks.pre-deploy[0]: expected keys below it, each as `key: value`"),
        ("hooks:\n  pre-deploy: {command: [a]}\n", "5: hooks.pre-deploy: expected a list, such as [one, two]"),
        (
            "hooks:\n  post-deploy:\n    - command: [a]\n      comand: [b]\n",
            "7: hooks.post-deploy[0].comand: unknown key; did you mean 'command'?",
        ),
        (
            "hooks:\n  deploy-failed:\n    - on: app\n",
            "6: hooks.deploy-failed[0].command: this key is required and missing",
        ),
        (
            "hooks:\n  pre-switch:\n    - command: npm run x\n",
            "6: hooks.pre-switch[0].command: expected a list, such as [one, two]",
        ),
        ("hooks: {pre-switch: [{command: []}]}\n", "4: hooks.pre-switch[0].command: expected at least one entry"),
        (
            "hooks: {pre-switch: [{command: [A=b, c]}]}\n",
            "4: hooks.pre-switch[0].command: expected a program first, and its arguments as further words, such as "
            "[npm, run, notify]",
        ),
        (
            "hooks: {pre-switch: [{command: [a], on: db}]}\n",
            "4: hooks.pre-switch[0].on: expected 'operator', 'first', 'app' or 'web'",
        ),
        ("ssh: deploy\n", "4: ssh: expected keys below it, each as `key: value`"),
        (
            "ssh:\n",
            "4: ssh: expected keys below it, each as `key: value`, but nothing is there; remove the key or write {}",
        ),
        ("protected: 'no'\n", "4: protected: expected true or false, without quotes"),
        ("protected: 1\n", "4: protected: expected true or false, not 1"),
        ("build: {commands: npm ci}\n", "4: build.commands: expected a list, such as [one, two]"),
        ("build:\n  commands:\n    - npm ci\n", "6: build.commands[0]: expected a list, such as [one, two]"),
        ("health: {stable: 0s}\n", "4: health.stable: expected more than 0"),
        (
            "health: {stable: 3}\n",
            "4: health.stable: expected a duration with its unit, such as 500ms, 90s, 10m, 2h or 7d, not 3",
        ),
        ("gates: {error_rate: 5}\n", "4: gates.error_rate: " + PERCENTAGE + ", not 5"),
        ("gates: {error_rate: 0.05}\n", "4: gates.error_rate: " + PERCENTAGE + ", not 0.05"),
        ("gates: {error_rate: 101%}\n", "4: gates.error_rate: " + PERCENTAGE),
        ("gates: {error_rate: 0%}\n", "4: gates.error_rate: expected more than 0"),
        ("gates: {error_ratio: '2'}\n", "4: gates.error_ratio: expected a number, without quotes"),
        ("gates: {error_ratio: yes}\n", "4: gates.error_ratio: expected a number, not yes"),
        ("gates: {latency_ratio: .inf}\n", "4: gates.latency_ratio: expected a number, not .inf"),
        ("gates: {latency_ratio: 0.5}\n", "4: gates.latency_ratio: expected at least 1, not 0.5"),
        ("health: {path: x}\n", "4: health.path: expected a URL path that begins with '/', such as /api/health"),
        ("env:\n  PORT: 3000\n", "5: env.PORT: expected text, but this reads as a number; quote it"),
        ("env:\n  DEBUG: no\n", "5: env.DEBUG: expected text, but this reads as true or false; quote it"),
        ("env:\n  a-b: c\n", "5: env.a-b: expected a variable name: letters, digits and '_', no digit first"),
        ("secrets:\n  A: 1234\n", "5: secrets.A: expected text, but this reads as a number; quote it"),
        (
            "secrets:\n  A: hunter2\n",
            "5: secrets.A: expected env:NAME, file:PATH, dotenv:PATH#NAME, age:NAME, aws:SECRET#KEY or ssm:PARAMETER, "
            "never the value itself",
        ),
        ("secrets: {A: 'age:A'}\n", "4: secrets.A: needs a vault section to know which file it is in"),
        ("custody: {lasting: [A]}\n", "4: custody.lasting: A is not one of secrets"),
        (
            "secrets: {A: 'env:A'}\ncustody: {changed: {A: 2026-02-30}}\n",
            "5: custody.changed.A: expected a day that the calendar has, such as 2026-11-21",
        ),
        (
            "site:\n  listen: 3001\n",
            "5: site.listen: 3001 is the port of process.ports.blue too; all ports must differ",
        ),
        (
            "process:\n  ports:\n    blue: 80\n",
            "6: process.ports.blue: 80 is the port of site.listen too; all ports must differ",
        ),
        ("env: {A: b}\nsecrets: {A: 'env:A'}\n", "4: env.A: is in secrets too; keep it in secrets alone"),
        (
            "database: {via: q, name: x, user: y, password: 'env:X'}\n",
            "4: database.via: q is not one of the hosts (h)",
        ),
        (
            "backup:\n  bucket: abc\n  before_deploy: true\n",
            "6: backup.before_deploy: needs a database section to know what to back up",
        ),
        (
            "backup: {bucket: abc, endpoint: s3}\n",
            "4: backup.endpoint: expected the service's URL (http:// or https://), or env:NAME",
        ),
    ],
)
def test_one_mistake_below_the_smallest_file(tmp_path: Path, text: str, error: str) -> None:
    assert errors(tmp_path, SMALLEST + text) == [error]


@pytest.mark.parametrize(
    ("hosts", "error"),
    [
        ("  user:\n    prot: 22\n", "4: hosts.user.prot: unknown key; did you mean 'port'?"),
        (
            "  h:\n    roles:\n      - web\n      - ap\n",
            "6: hosts.h.roles[1]: expected 'web', 'app' or 'db'; did you mean 'app'?",
        ),
        ("  h:\n    roles: [on]\n", "4: hosts.h.roles[0]: expected 'web', 'app' or 'db', not on"),
        ("  h:\n    roles: []\n", "4: hosts.h.roles: expected at least one entry"),
        ("  h:\n    roles: [web]\n", "2: hosts: at least one host needs the role app"),
        (
            "  h:\n    roles: [web]\n  i:\n    roles: [app]\n",
            "5: hosts.i: needs internal, the address at which the nginx hosts reach it, as not every host is web "
            "and app",
        ),
        ("  h:\n    internal: localhost\n", "4: hosts.h.internal: expected an IPv4 address"),
        ("  h:\n    roles: [db]\n", "2: hosts: at least one host needs the role web and one the role app"),
        ("  {}\n", "2: hosts: expected at least one entry"),
        ("  -h: {}\n", "3: hosts.-h: expected a host name or IPv4 address"),
        ("  10: {}\n", "3: hosts.10: this key reads as a number; quote it"),
        ("  h: {}\n  h: {}\n", "4: hosts.h: this key is already on line 3; remove one"),
    ],
)
def test_one_mistake_among_the_hosts(tmp_path: Path, hosts: str, error: str) -> None:
    assert errors(tmp_path, f"app: a\nhosts:\n{hosts}") == [error]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "hosts:\n  no: {prot: 1}\nsite: {listen: '1'}\nsite: {}\nzzz:\n  - 1\n"
    found = errors(tmp_path, text)
    assert [(int(line.split(":")[0]), line.split(": ")[1]) for line in found] == [
        (1, "app"),
        (2, "hosts.no"),
        (2, "hosts.no.prot"),
        (3, "site.listen"),
        (4, "site"),
        (5, "zzz"),
    ]


def test_contradictions_are_told_at_once(tmp_path: Path) -> None:
    text = SMALLEST + "env: {A: b}\nsecrets: {A: 'env:A'}\nbackup: {bucket: abc, before_deploy: true}\n"
    assert [line.split(":")[0] for line in errors(tmp_path, text)] == ["4", "6"]


def test_point_in_time_recovery_needs_its_repository_https_and_the_servers_own_host(tmp_path: Path) -> None:
    text = (
        SMALLEST + "database: {via: h, host: db.example.com, name: a, user: a, password: env:A, engine: pgbackrest}\n"
    )
    found = "\n".join(errors(tmp_path, text + "backup: {bucket: backups, endpoint: http://s3.example.com}\n"))
    for part in ("database.repository", "https://", "127.0.0.1"):
        assert part in found
    copied = "\n".join(errors(tmp_path, text + "backup: {bucket: backups, copy: {bucket: others}}\n"))
    assert "let the bucket replicate itself" in copied
    missing = "\n".join(errors(tmp_path, text.replace("host: db.example.com, ", "archive_timeout: 2h, ")))
    assert "needs a backup section" in missing
    assert "1m to 1h" in missing


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "")
    (tmp_path / "hosts" / "x.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"hosts/x\.yml: not UTF-8 text"):
        load("x", tmp_path)


def test_bad_input_ends_with_code_3_and_a_hint(tmp_path: Path) -> None:
    write(tmp_path, "")
    with pytest.raises(BadInput, match=r"hosts/x\.yml has 1 error") as caught:
        load("x", tmp_path)
    assert (caught.value.code, caught.value.hint) == (3, "hosts/example.yml explains every key")
