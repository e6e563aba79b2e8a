"""The three ways to lay out environments, as they are shown: every file loads, and says what it is there for."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabfile.config.effective import differences, settings
from fabfile.config.load import environments, load

EXAMPLES = Path(__file__).parents[3] / "examples" / "environments"


@pytest.mark.parametrize(
    ("model", "names"),
    [("staging-then-production", ("production", "staging")), ("direct", ("production",)), ("local", ("local",))],
)
def test_every_environment_loads(model: str, names: tuple[str, ...]) -> None:
    assert environments(EXAMPLES / model) == names
    for name in names:
        assert load(name, EXAMPLES / model).app == "shop"
    for file in (EXAMPLES / model / "hosts").iterdir():
        assert file.read_text().startswith("# yaml-language-server: $schema=../../../../hosts/schema.json\n")


def test_production_differs_from_staging_in_what_makes_it_production() -> None:
    model = EXAMPLES / "staging-then-production"
    found = {each.key for each in differences(settings("staging", model), settings("production", model))}
    wanted = {"protected", "env.LOG_LEVEL", "secrets.DATABASE_URL", "database.password", "backup.before_deploy"}
    wanted |= {"gates.error_rate", "calendar.windows", "approvals.required", "hosts.web1.address"}
    assert wanted <= found


def test_the_local_environment_has_no_host_that_is_reached_by_ssh() -> None:
    assert [host.local for host in load("local", EXAMPLES / "local").hosts.values()] == [True]
