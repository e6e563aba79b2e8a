"""Signatures by SSH keys: made with the key that somebody has anyway, judged by a file of those whose count."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from fabfile.errors import BadInput, Refused
from fabfile.model.approval import Signer

SECONDS = 120.0
"""How long a person may take to type a passphrase or to touch a token."""
_GOOD = re.compile(r'Good "[^"]*" signature for .* with \S+ key (SHA256:\S+)')


def sign(text: str, key: Path, namespace: str) -> str:
    """The armoured signature of a text. Raises BadInput when the key cannot be used."""
    done = _ssh_keygen("sign", "-n", namespace, "-f", str(key), given=text)
    if done.returncode:
        raise BadInput(
            f"nothing can be signed with {key}: {_last(done.stderr)}",
            "name your SSH key: export TURNOUT_SIGNING_KEY=~/.ssh/id_ed25519, or ssh-add it and name its .pub",
        )
    return done.stdout


def signer_of(text: str, signature: str, namespace: str, signers: Path) -> Signer:
    """Who has signed the text, in the eyes of a file of allowed signers.

    Raises Refused for a signature that is not of this text and namespace, or of nobody in the file, and BadInput where
    there is no such file.
    """
    if not signers.is_file():
        raise BadInput(
            f"{signers} is missing, which says whose signatures count",
            f'write a line for each: ann@example.com namespaces="{_scope(namespace)}" ssh-ed25519 AAAA…',
        )
    with tempfile.NamedTemporaryFile("w", prefix="turnout-", suffix=".sig") as file:
        file.write(signature)
        file.flush()
        named = _ssh_keygen("find-principals", "-s", file.name, "-f", str(signers))
        name = named.stdout.strip()
        if named.returncode or not name:
            raise Refused(f"signed by a key that {signers.name} has not, or has no more", f"add its line to {signers}")
        if not re.fullmatch(r"[^\s,*?!]+", name):
            raise Refused(
                f"{signers}: {name!r} is not one name", "give each person a line, without commas and patterns"
            )
        words = ("-n", namespace, "-I", name, "-s", file.name, "-f", str(signers))
        done = _ssh_keygen("verify", *words, given=text)
    found = _GOOD.search(done.stdout)
    if done.returncode or not found:
        raise Refused(
            f"the signature of {name} is not one of this text for {namespace}: {_last(done.stderr or done.stdout)}",
            f'what a key may sign stands in its line of {signers}: namespaces="{_scope(namespace)}"',
        )
    return Signer(name, found[1])


def _scope(namespace: str) -> str:
    """What a line of allowed signers says of a key that may sign this and its like."""
    return "turnout-*" if namespace.startswith("turnout-") else namespace


def _ssh_keygen(what: str, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = ["ssh-keygen", "-Y", what, *words]
    try:
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=SECONDS)
    except FileNotFoundError:
        raise BadInput("ssh-keygen is not installed here", "apt-get install openssh-client") from None
    except subprocess.TimeoutExpired:
        raise BadInput(f"ssh-keygen did not end within {SECONDS:g} s", "unlock the key first: ssh-add") from None


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("Signing ")]
    return lines[-1].strip() if lines else "no reason given"
