"""What sudo lets the deploy user do, from its own words."""

from __future__ import annotations

import pytest

from fabfile.checks.evidence import Sending
from fabfile.checks.sudo import judge, wants_password
from fabfile.commands.facts import NGINX_TEST, RIGHTS
from fabfile.model.host_facts import ConfigurationTest
from tests.unit.checks.seen import LISTING, environment, evidence, facing, of, well

RELOAD = RIGHTS[1]
NOT_LISTED = "sudo: a password is required\n"
HEAD = "User deploy may run the following commands on h1:\n"


def test_both_rights_without_a_password_are_well() -> None:
    assert of(judge, evidence()).verdict == "ok"


def test_no_rule_at_all_is_critical_and_the_remedy_writes_one_for_this_user() -> None:
    lacking = facing(rights=NOT_LISTED, refused=RIGHTS, nginx_test=ConfigurationTest(1, NOT_LISTED))
    found = of(judge, lacking)
    assert found.verdict == "critical"
    assert found.remedy
    assert (found.remedy.on, found.remedy.user) == ("h1", "root")
    assert found.remedy.command == (
        "install -m 0440 /dev/stdin /etc/sudoers.d/turnout-deploy <<< "
        "'deploy ALL=(root) NOPASSWD: /usr/sbin/nginx -t, /usr/bin/systemctl reload nginx' && visudo -c"
    )


def test_one_right_that_lacks_is_named() -> None:
    found = of(judge, facing(rights=f"{HEAD}    (root) NOPASSWD: {NGINX_TEST}\n", refused=(RELOAD,)))
    assert found.verdict == "critical"
    assert found.seen == f"deploy may not do without a password: {RELOAD}"


def test_a_list_that_is_told_only_with_a_password_says_nothing() -> None:
    assert of(judge, facing(rights=NOT_LISTED, refused=RIGHTS)).verdict == "could not look"


def test_root_needs_none() -> None:
    assert of(judge, facing(user="root", rights="", refused=RIGHTS)).verdict == "ok"


def test_a_run_that_leaves_nginx_alone_needs_none() -> None:
    bad = {"h1": well("h1", rights=NOT_LISTED, refused=RIGHTS, nginx_test=ConfigurationTest(1, NOT_LISTED))}
    assert list(judge(evidence(hosts=bad, run=Sending(1, 1)))) == []
    (found,) = judge(evidence(hosts=bad, run=Sending(1, 1, sites=frozenset({"h1"}))))
    assert found.verdict == "critical"


def test_hosts_without_nginx_are_not_asked() -> None:
    apart = environment(hosts={"h1": {"roles": ["web"]}, "h2": {"roles": ["app"], "internal": "10.0.0.2"}})
    assert [found.where for found in judge(evidence(environment=apart))] == ["h1"]


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        (LISTING, False),
        (f"{HEAD}    (root) {RELOAD}\n", True),
        (f"{HEAD}    (ALL : ALL) ALL\n", True),
        (f"{HEAD}    (ALL : ALL) ALL\n    (root) NOPASSWD: {RELOAD}\n", False),
        (f"{HEAD}    (root) NOPASSWD: {RELOAD}\n    (ALL) PASSWD: ALL\n", True),
        (f"{HEAD}    (root) NOPASSWD: {NGINX_TEST}, PASSWD: {RELOAD}\n", True),
        (f"{HEAD}    (root) NOPASSWD: SETENV: {NGINX_TEST},\n        {RELOAD}\n", False),
        (f"{HEAD}    (root) {NGINX_TEST},\n        NOPASSWD: /usr/bin/systemctl\n", False),
        (f"{HEAD}    (postgres) ALL\n", False),
        ("Sorry, user deploy may not run sudo on h1.\n", False),
    ],
)
def test_the_last_rule_that_fits_says_whether_a_password_is_wanted(listing: str, expected: bool) -> None:
    assert wants_password(listing, RELOAD) is expected
