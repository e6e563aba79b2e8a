"""Whether the site that lies on the host limits requests."""

from __future__ import annotations

import pytest

from fabfile.checks.rate_limit import judge
from tests.unit.checks.seen import environment, evidence, live, of
from tests.unit.planning.test_deploy_plan import bare

NAMED = environment(site={"server_name": "shop.example"})


@pytest.mark.parametrize(
    ("site", "verdict"),
    [
        ("server {\n    limit_req zone=shop burst=20;\n}", "ok"),
        ("location /api { limit_req zone=shop; }", "ok"),
        ("limit_req_zone $binary_remote_addr zone=shop:1m rate=10r/s;\nserver {}", "warning"),
        ("server {\n    # limit_req zone=shop;\n}", "warning"),
    ],
)
def test_a_zone_that_nobody_uses_limits_nothing(site: str, verdict: str) -> None:
    assert of(judge, evidence(environment=NAMED, observed={"h1": live("h1", site=site)})).verdict == verdict


def test_a_site_without_a_name_or_none_at_all_is_not_judged() -> None:
    assert of(judge, evidence()).verdict == "not applicable"
    assert of(judge, evidence(environment=NAMED, observed={"h1": bare("h1")})).verdict == "not applicable"
