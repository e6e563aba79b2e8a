"""What a lab writes for its clients."""

from __future__ import annotations

from fabfile.lab.state import State, known_hosts, ssh_config

STATE = State("demo", 3, 2, "moto", "localhost/turnout-lab:0", "s1", "s2", "lab", "s3")


def test_ssh_knows_every_machine_by_its_name_and_checks_its_key() -> None:
    assert ssh_config(STATE) == (
        "Host h1\n  HostName 10.99.3.11\n  Port 22\n"
        "Host h2\n  HostName 10.99.3.12\n  Port 22\n"
        "Host db\n  HostName 10.99.3.5\n  Port 22\n"
        "Host *\n  User deploy\n  IdentityFile /var/tmp/turnout-lab/demo/key\n  IdentitiesOnly yes\n"
        "  UserKnownHostsFile /var/tmp/turnout-lab/demo/known_hosts\n  StrictHostKeyChecking yes\n"
    )


def test_known_hosts_hold_name_and_address_without_the_comment() -> None:
    assert known_hosts(STATE, {"h1": "ssh-ed25519 AAAA h1\n"}) == "h1,10.99.3.11 ssh-ed25519 AAAA\n"


def test_the_environment_points_at_the_lab() -> None:
    assert STATE.environment == {
        "TURNOUT_DB_PASSWORD": "s1",
        "DATABASE_URL": "postgresql://app:s2@db:5432/app",
        "AWS_ACCESS_KEY_ID": "lab",
        "AWS_SECRET_ACCESS_KEY": "s3",
        "S3_ENDPOINT": "http://10.99.3.6:9000",
        "S3_TLS_ENDPOINT": "https://10.99.3.6:9443",
        "S3_CA_FILE": "/var/tmp/turnout-lab/demo/s3.crt",
    }


def test_a_lab_without_a_store_has_no_node_and_no_keys_for_it() -> None:
    state = State("demo", 3, 1, "none", "")
    assert state.nodes == ("h1", "db")
    assert set(state.environment) == {"TURNOUT_DB_PASSWORD", "DATABASE_URL"}


def test_each_lab_has_secrets_of_its_own() -> None:
    first, second = State("a", 0, 1, "moto", ""), State("b", 1, 1, "moto", "")
    assert not set(first.environment.values()) & set(second.environment.values()) - {"lab"}


def test_a_state_in_a_log_shows_no_secret() -> None:
    shown = repr(State("demo", 3, 2, "moto", "", "password-1", "password-2", "lab", "password-3"))
    assert "password-" not in shown
