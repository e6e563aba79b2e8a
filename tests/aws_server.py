"""Secrets Manager and Parameter Store on loopback: their JSON protocol over HTTP, for signed requests alone."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=[a-z0-9;-]*x-amz-target[a-z0-9;-]*, Signature=[0-9a-f]{64}"
)
SINCE = float(int(time.time()) - 30 * 86400)
"""When everything that is kept was last changed: a month ago."""


@dataclass
class Kept:
    """What the server keeps by name, whom it denies, and what it was asked: service and name."""

    secrets: dict[str, str | bytes] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def variables(self) -> dict[str, str]:
        """What leads boto3 here."""
        url = f"http://127.0.0.1:{self.port}"
        return {"AWS_ENDPOINT_URL_SECRETS_MANAGER": url, "AWS_ENDPOINT_URL_SSM": url}

    def answer(self, target: str, authorization: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and document for one request."""
        signed = SIGNED.fullmatch(authorization)
        service = {"secretsmanager": "secretsmanager", "AmazonSSM": "ssm"}.get(target.partition(".")[0])
        if service is None or signed is None or signed["service"] != service:
            return 403, {"__type": "MissingAuthenticationTokenException", "Message": "not signed for this service"}
        name = str(body.get("SecretId") or body.get("Name"))
        self.asked.append((service, name))
        if name in self.denied:
            return 400, {"__type": "AccessDeniedException", "Message": f"{signed['key']} may not"}
        if target == "secretsmanager.GetSecretValue":
            return self._secret(name)
        if target == "AmazonSSM.GetParameter":
            return self._parameter(name, bool(body.get("WithDecryption")))
        return 400, {"__type": "UnknownOperationException"}

    def _secret(self, name: str) -> tuple[int, dict[str, Any]]:
        if name not in self.secrets:
            return 400, {"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find it."}
        value = self.secrets[name]
        found = {"SecretString": value} if isinstance(value, str) else {"SecretBinary": value.hex()}
        return 200, {"Name": name, "ARN": f"arn:aws:secretsmanager:{name}", "CreatedDate": SINCE, **found}

    def _parameter(self, name: str, decrypted: bool) -> tuple[int, dict[str, Any]]:
        if name not in self.parameters:
            return 400, {"__type": "ParameterNotFound", "message": ""}
        value = self.parameters[name] if decrypted else "AQICAH-encrypted"
        about = {"Name": name, "Type": "SecureString", "Version": 1, "LastModifiedDate": SINCE}
        return 200, {"Parameter": {**about, "Value": value}}


@contextmanager
def keeping() -> Iterator[Kept]:
    """A server for as long as the block lasts."""
    kept = Kept()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            target, authorization = self.headers.get("X-Amz-Target", ""), self.headers.get("Authorization", "")
            status, document = kept.answer(target, authorization, body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody listens."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()
