"""What is not a plain host: the roles and the database in PostgreSQL, and the S3 server with its bucket."""

from __future__ import annotations

import contextlib
import http
import http.client
import os
import signal
import sys
import threading

from fabfile.errors import TurnoutError
from fabfile.lab import network, tlsfront
from fabfile.lab.addresses import DATABASE, LABEL, STORE, qualified
from fabfile.lab.engine import Engine
from fabfile.lab.nodes import answers, power_on, wait_until
from fabfile.lab.processes import run, start
from fabfile.lab.state import BUCKET, S3_PORT, S3_TLS_PORT, State

POSTGRES_PORT = 5432


def database_answers(state: State, seconds: float = 1.0) -> bool:
    return answers(state.subnet.address(DATABASE), POSTGRES_PORT, seconds=seconds)


def wait_for_database(state: State, stop: threading.Event) -> None:
    wait_until(lambda: database_answers(state), "PostgreSQL on db answers", stop)


def create_roles(engine: Engine, state: State) -> None:
    """The superuser `turnout`, and the role `app` that owns the database `app`; passwords travel by stdin."""
    statements = (
        f"create role turnout superuser login password '{state.superuser_password}';",
        f"create role app login password '{state.application_password}';",
        "create database app owner app;",
    )
    psql = ("psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-")
    engine.run("exec", "-i", "-u", "postgres", qualified(state.name, DATABASE), *psql, text="\n".join(statements))


def create_store(engine: Engine, state: State, ceph_image: str) -> None:
    """Make the S3 node and power it on."""
    make_certificate(state)
    if state.store == "moto":
        run("ip", "netns", "add", qualified(state.name, STORE))
        network.plug(state.subnet, STORE, namespace=qualified(state.name, STORE))
        start_moto(state)
        return
    container = qualified(state.name, STORE)
    credentials = state.folder / "s3-credentials"
    credentials.touch(mode=0o600)
    credentials.write_text(f"{state.access_key}\n{state.secret_key}\n")
    options = ("--name", container, "--hostname", STORE, "--label", f"{LABEL}={state.name}", "--network", "none")
    mounts = ("-v", f"{credentials}:/etc/s3-credentials:ro", "-v", f"{state.store_key}:/etc/s3-certificate:ro")
    words = (state.subnet.address(STORE), str(S3_PORT), str(S3_TLS_PORT), BUCKET)
    engine.run("create", *options, *mounts, ceph_image, *words)
    power_on(engine, state, STORE)


def make_certificate(state: State) -> None:
    """A certificate for the store's address, signed by itself; pgBackRest takes an address only as a DNS name."""
    address, key = state.subnet.address(STORE), state.folder / "s3.key"
    names = f"subjectAltName=IP:{address},DNS:{address},DNS:{STORE}"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
    out = ("-keyout", key, "-out", state.store_certificate)
    run("openssl", "req", "-x509", *kind, "-subj", f"/CN={STORE}", "-addext", names, *out)
    state.store_key.touch(mode=0o600)
    state.store_key.write_text(key.read_text() + state.store_certificate.read_text())
    key.unlink()


def start_moto(state: State) -> None:
    """Its buckets are in memory: a power cut empties it."""
    inside = ("ip", "netns", "exec", qualified(state.name, STORE), sys.executable)
    address, log = state.subnet.address(STORE), state.folder / "s3.log"
    start(*inside, "-m", "moto.server", "-H", address, "-p", str(S3_PORT), log=log)
    start(*inside, tlsfront.__file__, address, str(S3_TLS_PORT), str(S3_PORT), state.store_key, log=log)


def stop_moto(lab: str) -> None:
    """Kill whatever runs in the store's network namespace."""
    for pid in run("ip", "netns", "pids", qualified(lab, STORE), check=False).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def store_answers(state: State, seconds: float = 1.0) -> bool:
    return answers(state.subnet.address(STORE), S3_PORT, seconds=seconds)


def wait_for_store(state: State, stop: threading.Event) -> None:
    """Wait until the bucket is there; moto, which checks no signature, is asked for it here."""
    wait_until(lambda: store_answers(state), "the S3 server answers", stop)
    if state.store == "moto":
        status = _request(state, "PUT")
        if status != http.HTTPStatus.OK:
            raise TurnoutError(f"{state.environment['S3_ENDPOINT']}/{BUCKET}: the bucket was not made: status {status}")
    else:
        # Without a signature a bucket that is there is forbidden, and one that is not is not found.
        exists = (http.HTTPStatus.OK, http.HTTPStatus.FORBIDDEN)
        wait_until(lambda: _request(state, "HEAD") in exists, f"the bucket {BUCKET} exists", stop)


def _request(state: State, method: str) -> int:
    """The status of an unsigned request for the bucket; 0 when there was no answer."""
    connection = http.client.HTTPConnection(state.subnet.address(STORE), S3_PORT, timeout=10)
    try:
        connection.request(method, f"/{BUCKET}", headers={"Content-Length": "0"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
