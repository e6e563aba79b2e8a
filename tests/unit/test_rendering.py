"""What a slot is configured with, as a digest; and its files, of which one alone holds secrets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from fabfile.config.schema import Environment
from fabfile.rendering import configuration_digest, environment_file, process_file, slot_variables

SECRETS = {"B": SecretStr("hunter2 b"), "A": SecretStr("hunter2=a")}


def environment(**sections: Any) -> Environment:
    return Environment.model_validate({"app": "shop", "hosts": {"h": {}}, **sections})


def test_the_file_of_secrets_has_a_line_for_each_in_their_order() -> None:
    assert environment_file(SECRETS) == b"A=hunter2=a\nB=hunter2 b\n"


def test_the_digest_is_the_same_for_the_same_and_another_for_every_change() -> None:
    usual = configuration_digest(environment(env={"X": "1"}), SECRETS)
    assert configuration_digest(environment(env={"X": "1"}), dict(reversed(SECRETS.items()))) == usual
    others = [
        configuration_digest(environment(env={"X": "2"}), SECRETS),
        configuration_digest(environment(env={"X": "1"}), {**SECRETS, "A": SecretStr("hunter3")}),
        configuration_digest(environment(env={"X": "1"}), {}),
        configuration_digest(environment(env={"X": "1"}, process={"script": "other.js"}), SECRETS),
        configuration_digest(environment(env={"X": "1"}, release={"shared": ["up"]}), SECRETS),
    ]
    assert len({usual, *others}) == 6
    assert all(len(digest) == 16 for digest in others)


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_what_pm2_is_given_leads_to_the_file_of_its_own_slot_and_holds_none_of_it(slot: Any) -> None:
    found = environment(secrets={"A": "env:A"})
    variables = slot_variables(found, slot, "127.0.0.1", 3001, "1.0")
    assert variables["ENV_FILE"] == f"/var/app/shop/slots/{slot}/.turnout/env"
    assert "A" not in variables
    assert b"env:A" not in process_file(found, slot, "127.0.0.1", 3001, "1.0", "/usr/bin/node")
