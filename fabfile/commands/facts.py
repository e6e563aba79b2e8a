"""What checks want to know of a host, in one round trip that changes nothing, and the parser of what it prints."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime

from fabfile.commands.items import ITEMS, parse_items, parse_pairs
from fabfile.commands.shell import bind
from fabfile.config.schema import Environment
from fabfile.model.host_facts import Answer, Certificate, ConfigurationTest, HostFacts, Tls
from fabfile.model.paths import Paths
from fabfile.model.script import Script

NGINX_TEST = "/usr/sbin/nginx -t"
RIGHTS = (NGINX_TEST, "/usr/bin/systemctl reload nginx")
"""What the deploy user must be allowed on a host with nginx, as root and without a password."""
STRANGER = "https://turnout-doctor.invalid"
"""The origin of a page that nobody has."""
QUICK_LIMIT, DEEP_LIMIT = 20, 40
"""Seconds that a look may take; each part of it has less."""

# nginx is only tested while it runs: where it does not, the test would leave an empty pid file behind. A test opens the
# logs, and sudo passes our umask on.
QUICK = r"""
date +%s.%N | item clock
id -un | item user
grep -E '^(MemAvailable|SwapFree):' /proc/meminfo | item memory
(find /proc -maxdepth 2 -name cwd -lname "$root/slots/*" 2> /dev/null || true) | while read -r cwd; do
    sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "${cwd%/cwd}/status" 2> /dev/null || true
done | sort -n | tail -n 1 | item resident
node=$(find_tool node || true)
pm2_js=$(find_tool pm2 || true)
([ -z "$node" ] || timeout 5 "$node" --version 2> /dev/null || true) | item node
([ -z "$pm2_js" ] || sed -n 's/^ *"version": *"\([^"]*\)".*/\1/p' \
    "$(dirname "$(dirname "$(readlink -f "$pm2_js")")")/package.json" 2> /dev/null || true) | item pm2
if [ "$web" = yes ]; then
    (LC_ALL=C timeout 5 sudo -n -l 2>&1 || true) | item rights
    for right in "${rights[@]}"; do
        read -ra command <<< "$right"
        LC_ALL=C timeout 5 sudo -n -l "${command[@]}" > /dev/null 2>&1 || printf '%s\n' "$right"
    done | item refused
    if systemctl is-active --quiet nginx 2> /dev/null || pgrep -x nginx > /dev/null; then
        echo yes | item nginx_running
        said=$( (umask 022; timeout 10 sudo -n /usr/sbin/nginx -t 2>&1) ) && status=0 || status=$?
        printf '%s\n%s\n' "$status" "$said" | item nginx_test
    fi
fi
"""

# What is asked for is asked for over loopback, as everybody asks for it, so a host behind a balancer answers as well.
DEEP = r"""
for unit in nginx "pm2-$(id -un)"; do
    ! systemctl is-enabled --quiet "$unit" 2> /dev/null || echo "$unit"
done | item enabled
(timeout 5 crontab -l 2> /dev/null | grep -E '^@reboot.*pm2' || true) | item reboot
(grep -o '"name": *"[^"]*"' "${PM2_HOME:-$HOME/.pm2}/dump.pm2" 2> /dev/null | cut -d '"' -f 4 | sort -u || true) |
    item saved
(for slot in blue green; do
    [ ! -d "$root/slots/$slot" ] || timeout 10 du -sB1 "$root/slots/$slot" 2> /dev/null | cut -f 1
done || true) | item slot_bytes
(stat -c %s "$root"/releases/*.tar.zst 2> /dev/null || true) | item archive_bytes
(find "$root/logs" -maxdepth 1 -type f -printf '%s %p\n' 2> /dev/null | sort -n | tail -n 1 || true) | item largest_log
(timeout 5 pg_dump --version 2> /dev/null || true) | item pg_dump
if [ "$web" = yes ] && [ -r "$site" ]; then
    # The first listener with TLS, if there is one, as address:port on this machine.
    secure=$(sed -nE 's/^\s*listen\s+([^][:space:];[]+)\s([^;]*\s)?ssl[[:space:];].*/\1/p' "$site" | head -n 1 || true)
    case "$secure" in '' | *:*) place=${secure/#'*'/127.0.0.1} ;; *) place=127.0.0.1:$secure ;; esac
    look() { timeout 5 openssl s_client -connect "$place" -servername "$name" "$@" < /dev/null 2> /dev/null; }
    if [ -n "$place" ] && command -v openssl > /dev/null; then
        stored=$(sed -nE 's/^\s*ssl_certificate\s+([^;]*);.*/\1/p' "$site" | head -n 1 || true)
        printf '%s\n' "place=$place" "path=$stored" | item tls
        (look | openssl x509 -noout -startdate -enddate -ext subjectAltName 2> /dev/null || true) | item served
        (openssl x509 -noout -enddate -in "$stored" 2> /dev/null || true) | item stored
        for protocol in tls1 tls1_1 tls1_2 tls1_3; do
            (! look "-$protocol" -cipher 'ALL:@SECLEVEL=0' > /dev/null || echo "$protocol") &
        done | item protocols
    fi
    scheme=http
    [ -z "$place" ] || scheme=https
    for path in "${asked[@]}"; do
        (curl -gsk -o /dev/null -D - --max-time 5 -H "Origin: $stranger" --connect-to "::${place:-127.0.0.1:$listen}" \
            "$scheme://$name$path" 2> /dev/null || true) | item "answer:$path"
    done
fi
"""

END = """
echo yes | item complete
"""


def facts(paths: Paths, environment: Environment, host: str, deep: bool) -> Script:
    """Everything that checks know of a host but for what `observe` tells; `deep` is what only `inv doctor` asks."""
    site = environment.site
    text = bind(
        QUICK + (DEEP if deep else "") + END,
        root=paths.root,
        site=paths.site,
        rights=RIGHTS,
        web="yes" if host in environment.web_hosts else "no",
        name=asked_name(site.server_name),
        listen=site.listen,
        asked=("/", environment.health.path),
        stranger=STRANGER,
    )
    return Script(text, timeout=DEEP_LIMIT if deep else QUICK_LIMIT, library=ITEMS)


def asked_name(server_name: str) -> str:
    """A host name that the site answers to: its first one, with something for the asterisk of a whole domain."""
    first = server_name.split()[0] if server_name.split() else "_"
    return "localhost" if first == "_" else first.strip(".").replace("*", "turnout-doctor")


def parse(host: str, stdout: str, asked_at: tuple[float, float]) -> HostFacts:
    """What the script printed, as a value; `asked_at` is our clock's Unix time before and after it ran.

    Raises ValueError when the answer is cut, or not what the script prints.
    """
    items = parse_items(stdout)
    memory = {line.split()[0]: int(line.split()[1]) << 10 for line in items["memory"].splitlines()}
    clock, (begun, ended) = float(items["clock"]), asked_at
    archives = [int(size) for size in items.get("archive_bytes", "").split()]
    log = items.get("largest_log", "").strip().split(" ", 1)
    return HostFacts(
        host=host,
        user=items["user"].strip(),
        offset=(clock - ended, clock - begun),
        memory_available=memory.get("MemAvailable:", 0),
        swap_free=memory.get("SwapFree:", 0),
        resident=int(items["resident"].strip() or 0) << 10,
        node_version=items["node"].strip().removeprefix("v"),
        pm2_version=items["pm2"].strip(),
        rights=items.get("rights", ""),
        refused=tuple(items.get("refused", "").splitlines()),
        nginx_running="nginx_running" in items,
        nginx_test=_test(items.get("nginx_test", "")),
        enabled=frozenset(items.get("enabled", "").split()),
        reboot=bool(items.get("reboot", "").strip()),
        saved=frozenset(items.get("saved", "").split("\n")) - {""},
        slot_bytes=max((int(size) for size in items.get("slot_bytes", "").split()), default=0),
        archive_bytes=max(archives, default=0),
        archives=len(archives),
        largest_log=(log[1], int(log[0])) if len(log) == 2 else None,
        pg_dump_version=_pg_dump(items.get("pg_dump", "")),
        tls=_tls(items),
        answers=tuple(
            _answer(name.removeprefix("answer:"), text) for name, text in items.items() if name.startswith("answer:")
        ),
    )


def _test(text: str) -> ConfigurationTest | None:
    status, _, said = text.partition("\n")
    return ConfigurationTest(int(status), said.strip()) if status else None


def _pg_dump(text: str) -> str:
    """`15.18` of `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`."""
    return next((word for word in text.split() if word[0].isdigit()), "")


def _tls(items: dict[str, str]) -> Tls | None:
    if "tls" not in items:
        return None
    about, served, stored = (parse_pairs(items[name]) for name in ("tls", "served", "stored"))
    certificate = None
    if "notBefore" in served and "notAfter" in served:
        listed = [word.strip() for word in items["served"].replace("\n", ",").split(",")]
        names = tuple(word.removeprefix("DNS:") for word in listed if word.startswith("DNS:"))
        certificate = Certificate(_moment(served["notBefore"]), _moment(served["notAfter"]), names)
    until = _moment(stored["notAfter"]) if "notAfter" in stored else None
    return Tls(about["place"], certificate, about["path"], until, tuple(sorted(items["protocols"].split())))


def _moment(text: str) -> datetime:
    """`Nov 21 12:00:00 2026 GMT`, as OpenSSL writes it."""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text.strip()), UTC)


def _answer(path: str, text: str) -> Answer:
    """The head of the last answer: a proxy's own may come before it."""
    blocks = [block for block in text.replace("\r", "").split("\n\n") if block.startswith("HTTP/")]
    if not blocks:
        return Answer(path, 0, {})
    first, *lines = blocks[-1].splitlines()
    return Answer(path, int(first.split()[1]), dict(_headers(lines)))


def _headers(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()
