"""Where nginx and the application are on different hosts, all go by one slot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fabfile.config.schema import Environment
from fabfile.errors import Refused
from fabfile.model.observed import Observed, Process, Slot, SlotState
from fabfile.model.plan import Plan
from fabfile.model.share import Share
from fabfile.planning.deploy_plan import plan_catch_up, plan_deploy, plan_rollback
from fabfile.rendering import render_site
from tests.unit.planning.test_deploy_plan import TEMPLATES, bare

ENVIRONMENT = Environment.model_validate(
    {
        "app": "shop",
        "hosts": {
            "w1": {"roles": ["web"]},
            "w2": {"roles": ["web"]},
            "a1": {"roles": ["app"], "internal": "10.0.0.1"},
            "a2": {"roles": ["app"], "internal": "10.0.0.2"},
        },
    }
)
PORTS = {"blue": 3001, "green": 3002}


def web(host: str, live: Slot = "blue", apps: tuple[str, ...] = ("10.0.0.1", "10.0.0.2")) -> Observed:
    """nginx that sends to `live` on these hosts."""
    upstreams = {slot: tuple(f"{app}:{port}" for app in apps) for slot, port in PORTS.items()}
    site = render_site(ENVIRONMENT, upstreams, TEMPLATES)  # type: ignore[arg-type]
    return replace(bare(host), live=live, share=live, site=site.text, generation=site.generation)


def app(host: str, live: Slot | None = "blue", idle: str | None = None, release: str = "1.0") -> Observed:
    """The application in `live`, as nginx elsewhere sends to it, and perhaps a release in the other slot."""
    slot: Slot = live or "blue"
    other: Slot = "green" if slot == "blue" else "blue"
    slots = {
        slot: SlotState(release, PORTS[slot], "conf", True, Process(f"shop-{slot}", 7, "online", 0)),
        other: SlotState(idle, PORTS[other], "conf", True) if idle else SlotState(),
    }
    return replace(bare(host), live=live, slots=slots, releases=(release,))


def deploy(*observed: Observed, release: str = "2.0") -> Plan:
    return plan_deploy(observed, ENVIRONMENT, release, "conf", TEMPLATES)


def test_a_first_deploy_fills_blue_everywhere_and_lists_every_host_in_the_site() -> None:
    plan = deploy(bare("a1"), bare("a2"), bare("w1"), bare("w2"))
    assert {one.host: (one.slot, one.address) for one in plan.apps} == {
        "a1": ("blue", "10.0.0.1"),
        "a2": ("blue", "10.0.0.2"),
    }
    assert [one.host for one in plan.webs] == ["w1", "w2"]
    assert plan.webs[0].site is not None
    assert "server 10.0.0.1:3001;\n    server 10.0.0.2:3001;" in plan.webs[0].site.after


def test_all_hosts_go_to_the_same_slot_with_the_way_back_known() -> None:
    plan = deploy(app("a1"), app("a2"), web("w1"), web("w2"))
    assert {*(one.slot for one in plan.apps), *(one.slot for one in plan.webs)} == {"green"}
    assert {(one.previous, one.previous_release) for one in plan.apps} == {("blue", "1.0")}
    assert {(one.before, one.previous_release, one.site) for one in plan.webs} == {(Share("blue"), "1.0", None)}


def test_nothing_is_to_do_only_where_all_hosts_are_as_wanted() -> None:
    assert deploy(app("a1"), app("a2"), web("w1"), web("w2"), release="1.0").empty
    plan = deploy(app("a1"), app("a2", release="0.9"), web("w1"), web("w2"), release="1.0")
    assert plan.hosts == ("a1", "a2", "w1", "w2")


def test_nginx_hosts_that_do_not_agree_are_refused() -> None:
    with pytest.raises(Refused, match="do not send to the same slot") as error:
        deploy(app("a1"), app("a2"), web("w1"), web("w2", "green"))
    assert error.value.details == ("w1: blue", "w2: green")


def test_a_host_that_is_left_out_is_not_in_the_site() -> None:
    plan = deploy(app("a1"), web("w1"), web("w2"))
    assert plan.webs[0].site is not None
    assert "10.0.0.2" not in plan.webs[0].site.after


def test_a_rollback_wants_the_same_release_on_every_host_of_the_application() -> None:
    seen = [app("a1", "green", "1.0", "2.0"), app("a2", "green", "1.0", "2.0"), web("w1", "green"), web("w2", "green")]
    plan = plan_rollback(seen, ENVIRONMENT, TEMPLATES)
    assert (plan.release, {*(one.slot for one in plan.apps), *(one.slot for one in plan.webs)}) == ("1.0", {"blue"})
    with pytest.raises(Refused):
        plan_rollback([seen[0], app("a2", "green", "0.9", "2.0"), *seen[2:]], ENVIRONMENT, TEMPLATES)


def test_a_host_that_was_away_is_filled_in_the_live_slot_and_asked_again() -> None:
    away = replace(app("a2", "blue"), live="green")
    seen = [
        app("a1", "green", "1.0", "2.0"),
        away,
        web("w1", "green", ("10.0.0.1",)),
        web("w2", "green", ("10.0.0.1",)),
    ]
    plan = plan_catch_up(seen, ENVIRONMENT, "2.0", "conf", TEMPLATES)
    assert [(one.host, one.slot, one.previous, one.previous_release) for one in plan.apps] == [
        ("a2", "green", "blue", "1.0")
    ]
    assert {one.slot for one in plan.webs} == {"green"}
    assert all(one.site and "10.0.0.2:3002" in one.site.after for one in plan.webs)


def test_catching_up_changes_nothing_where_nobody_is_behind() -> None:
    seen = [app("a1", "green", "1.0", "2.0"), app("a2", "green", "1.0", "2.0"), web("w1", "green"), web("w2", "green")]
    assert plan_catch_up(seen, ENVIRONMENT, "2.0", "conf", TEMPLATES).empty


def test_what_runs_in_the_live_slot_is_never_overwritten_by_catching_up() -> None:
    stranger = app("a2", "green", "1.0", "3.0")
    seen = [app("a1", "green", "1.0", "2.0"), stranger, web("w1", "green"), web("w2", "green")]
    with pytest.raises(Refused, match=r"a2: runs 3.0 in the slot green"):
        plan_catch_up(seen, ENVIRONMENT, "2.0", "conf", TEMPLATES)
