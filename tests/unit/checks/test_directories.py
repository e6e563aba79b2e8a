"""What must be open to the deploy user, and when the gates' log matters."""

from __future__ import annotations

from fabfile.checks.directories import judge
from fabfile.checks.evidence import Sending
from tests.unit.checks.seen import environment, evidence, live, of
from tests.unit.planning.test_deploy_plan import bare

BLIND = {"h1": live("h1", log_readable=False)}


def test_both_directories_are_wanted_and_their_remedies_are_roots() -> None:
    seen = {"h1": live("h1", writable=False, nginx_writable=False)}
    found = list(judge(evidence(observed=seen)))
    assert [one.verdict for one in found] == ["critical", "critical"]
    assert [one.remedy.command for one in found if one.remedy] == [
        "install -d -o deploy /var/app /var/app/shop",
        "install -d -o deploy /etc/nginx/turnout && "
        "echo 'include /etc/nginx/turnout/*.conf;' > /etc/nginx/conf.d/turnout.conf",
    ]


def test_nginxs_directory_is_asked_for_only_where_nginx_is() -> None:
    apart = environment(hosts={"h1": {"roles": ["app"], "internal": "10.0.0.1"}, "h2": {"roles": ["web"]}})
    seen = {"h1": live("h1", nginx_writable=False)}
    assert of(judge, evidence(environment=apart, observed=seen)).verdict == "ok"


def test_the_log_keeps_a_run_with_gates_from_starting_and_is_a_warning_otherwise() -> None:
    assert of(judge, evidence(observed=BLIND, run=Sending(1, 1, judged=True))).verdict == "critical"
    assert of(judge, evidence(observed=BLIND, run=Sending(1, 1))).verdict == "ok"
    found = of(judge, evidence(observed=BLIND))
    assert found.verdict == "warning"
    assert found.remedy
    assert found.remedy.command == "usermod -aG adm deploy"


def test_before_the_first_deploy_there_is_no_log_to_read() -> None:
    assert of(judge, evidence(observed={"h1": bare("h1")})).verdict == "ok"
