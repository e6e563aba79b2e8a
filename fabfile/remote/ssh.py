"""A host over SSH: Fabric opens the connection (ssh_config, agent, ProxyJump), Paramiko channels do the rest."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import fabric
import paramiko

from fabfile.errors import Interrupted, RemoteError, Unreachable
from fabfile.model.script import Result, Script
from fabfile.remote import host_keys
from fabfile.remote.exchange import Exchange
from fabfile.remote.program import GRACE, command, payload
from fabfile.remote.tunnel import tunnel

KEEPALIVE = 10
"""Seconds between keepalives."""
DEAD = 20.0
"""Seconds without an acknowledgement from the other side after which a connection is given up."""
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


# Paramiko logs a traceback for every connection that fails; the error that we raise says it in a sentence.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


class FastTransport(paramiko.Transport):
    """Prefers AES-GCM, which needs half the processor time of the default."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        options = self.get_security_options()
        options.ciphers = (*CIPHERS, *(c for c in options.ciphers if c not in CIPHERS))


class SshHost:
    """One connection, opened at the first call and shared by all channels; safe to use from several threads."""

    def __init__(
        self,
        name: str,
        address: str,
        user: str,
        port: int | None,
        known_hosts: Path,
        ssh_config: Path | None,
        connect_timeout: float,
        trust_command: str = "inv hosts.trust",
    ) -> None:
        self.name = name
        self._address, self._user, self._port = address, user, port
        self._known_hosts, self._ssh_config = known_hosts, ssh_config
        self._connect_timeout, self._trust_command = connect_timeout, trust_command
        self._connection: fabric.Connection | None = None
        self._opening = threading.Lock()
        self._interrupted = threading.Event()

    def run(self, script: Script, stdin: Iterable[bytes] | None = None) -> Result:
        started = time.monotonic()
        stderr = bytearray()
        stdout = b"".join(self._chunks(script, stdin, stderr))
        return Result(stdout.decode(errors="replace"), stderr.decode(errors="replace"), time.monotonic() - started)

    def stream(self, script: Script, stdin: Iterable[bytes] | None = None) -> Iterator[bytes]:
        return self._chunks(script, stdin, bytearray())

    def forward(self, address: str, port: int) -> AbstractContextManager[int]:
        self._transport()
        return tunnel(self._transport, address, port, self._connect_timeout)

    def interrupt(self) -> None:
        self._interrupted.set()

    def resume(self) -> None:
        self._interrupted.clear()

    def close(self) -> None:
        with self._opening:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def host_key(self) -> tuple[str, paramiko.PKey]:
        """The name that known_hosts uses and the key that the host shows now, trusted or not."""
        connection = self._prepare()
        try:
            if isinstance(connection.gateway, fabric.Connection):
                _secure(connection.gateway, host_keys.load(self._known_hosts), self._connect_timeout)
            transport = paramiko.Transport(_open_socket(connection, self._connect_timeout))
            with contextlib.closing(transport):
                transport.start_client(timeout=self._connect_timeout)
                key = transport.get_remote_server_key()
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._unreachable(error, _gateway_name(connection)) from error
        return host_keys.known_name(connection.host, connection.port), key

    def _prepare(self) -> fabric.Connection:
        config = fabric.Config(runtime_ssh_path=str(self._ssh_config) if self._ssh_config else None)
        connection = fabric.Connection(self._address, config=config, connect_timeout=round(self._connect_timeout))
        # ssh_config may name the user and the port; what the environment file says counts more.
        if "user" not in connection.ssh_config:
            connection.user = self._user
        if self._port is not None:
            connection.port = self._port
        return connection

    def _transport(self) -> paramiko.Transport:
        with self._opening:
            if self._connection is None or not self._connection.is_connected:
                self._connection = self._connect()
            transport = self._connection.client.get_transport()
        assert isinstance(transport, paramiko.Transport)
        return transport

    def _connect(self) -> fabric.Connection:
        connection = self._prepare()
        try:
            _secure(connection, host_keys.load(self._known_hosts), self._connect_timeout)
            connection.open()
        except (OSError, EOFError, paramiko.SSHException) as error:
            connection.close()
            raise self._unreachable(error, _gateway_name(connection)) from error
        connection.client.get_transport().set_keepalive(KEEPALIVE)
        return connection

    def _unreachable(self, error: Exception, gateway: str = "") -> Unreachable:
        trust = f"{self._trust_command} --host={self.name}"
        if isinstance(error, paramiko.BadHostKeyException):
            shown, known = host_keys.fingerprint(error.key), host_keys.fingerprint(error.expected_key)
            refused = Unreachable(
                self.name,
                f"the host key has CHANGED: it shows {shown}, {self._known_hosts} says {known}",
                f"find out why; if the machine was rebuilt: {trust}",
            )
            refused.code = 5
            return refused
        if missing := re.search(r"Server '(.+)' not found in known_hosts", str(error)):
            fact, hint = f"the host key is not in {self._known_hosts}", f"compare its fingerprint, then: {trust}"
            if gateway and missing[1] == gateway:
                fact = f"the host key of its gateway {gateway} is not in {self._known_hosts}"
                hint = f"compare what ssh-keyscan {gateway} shows, then add that line to the file"
            refused = Unreachable(self.name, fact, hint)
            refused.code = 5
            return refused
        if isinstance(error, paramiko.AuthenticationException):
            return Unreachable(
                self.name,
                f"does not let {self._user} in with our keys",
                f"try: ssh {self._user}@{self._address}; the key must be in that account's authorized_keys",
            )
        if isinstance(error, socket.gaierror):
            return Unreachable(self.name, f"the name {self._address} does not resolve", "set hosts.<name>.address")
        reason = str(error) or type(error).__name__
        return Unreachable(
            self.name, f"no SSH connection to {self._address}: {reason}", "is it up, and is sshd running?"
        )

    def _open_channel(self) -> paramiko.Channel:
        transport = self._transport()
        try:
            return transport.open_session(timeout=self._connect_timeout)
        except (OSError, EOFError, paramiko.SSHException) as error:
            if transport.is_active():  # only slow: others may be using it
                raise self._unreachable(error) from error
            self.close()
        try:
            return self._transport().open_session(timeout=self._connect_timeout)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._unreachable(error) from error

    def _chunks(self, script: Script, stdin: Iterable[bytes] | None, stderr: bytearray) -> Iterator[bytes]:
        if self._interrupted.is_set():
            raise Interrupted(f"{self.name}: interrupted")
        channel = self._open_channel()
        call = Exchange(self.name, channel, script, stderr, self._interrupted)
        try:
            channel.exec_command(command(script.timeout))
            yield from call.chunks(payload(script, stdin))
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise Unreachable(
                self.name, f"the connection broke: {error or 'closed'}", "look again: inv status"
            ) from error
        finally:
            if not channel.exit_status_ready():
                self._end(call.learn_group())
            channel.close()

    def _end(self, group: str) -> None:
        """End a remote process group over a channel of its own; without a connection its own time limit ends it."""
        if not group:
            return
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException, RemoteError):
            channel = self._transport().open_session(timeout=GRACE)
            with contextlib.closing(channel):
                channel.settimeout(GRACE)
                channel.exec_command(f"kill -TERM -- -{int(group)}; sleep 0.2; kill -KILL -- -{int(group)}")
                channel.recv_exit_status()


def _secure(connection: fabric.Connection, trusted: paramiko.HostKeys, timeout: float) -> None:
    """Accept only known keys on this connection and every gateway before it, and send small packets at once."""
    gateway = connection.gateway
    if isinstance(gateway, fabric.Connection):
        _secure(gateway, trusted, timeout)
    client = connection.client
    client.get_host_keys().update(trusted)
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    connection.connect_kwargs = {
        **connection.connect_kwargs,
        "banner_timeout": timeout,
        "auth_timeout": timeout,
        "channel_timeout": timeout,
        "transport_factory": FastTransport,
    }
    if gateway is None:
        connection.connect_kwargs["sock"] = _open_socket(connection, timeout)


def _open_socket(connection: fabric.Connection, timeout: float) -> Any:
    if connection.gateway is not None:
        return connection.open_gateway()
    sock = socket.create_connection((connection.host, connection.port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # with the keepalives, a cut line ends even the waits that have no limit
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(DEAD * 1000))
    return sock


def _gateway_name(connection: fabric.Connection) -> str:
    gateway = connection.gateway
    return host_keys.known_name(gateway.host, gateway.port) if isinstance(gateway, fabric.Connection) else ""
