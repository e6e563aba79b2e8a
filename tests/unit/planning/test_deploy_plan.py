"""Plans follow from what was observed: the idle slot, the right ports, nothing where nothing is to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.commands.observe import TOOLS
from fabfile.config.schema import Environment
from fabfile.errors import BadInput, Refused
from fabfile.model.observed import Observed, Process, Slot, SlotState, other
from fabfile.model.plan import Plan
from fabfile.model.restore import Restore
from fabfile.model.share import Share
from fabfile.planning.comparison import differences
from fabfile.planning.deploy_plan import diff, plan_deploy, plan_rollback, plan_stay
from fabfile.rendering import render_site

TEMPLATES = Path(__file__).parents[3] / "templates"
ENVIRONMENT = Environment.model_validate({"app": "shop", "hosts": {"h1": {}, "h2": {}}})
SLOTS: st.SearchStrategy[Slot] = st.sampled_from(("blue", "green"))


def bare(host: str) -> Observed:
    """A provisioned host before its first deploy."""
    return Observed(
        host=host,
        user="deploy",
        clock=0,
        tools={tool: f"/usr/bin/{tool}" for tool in TOOLS},
        nginx_version="1.22.1",
        free_bytes=10 << 30,
        free_inodes=1_000_000,
        slots={"blue": SlotState(), "green": SlotState()},
        live=None,
        maintenance=False,
        site="",
        generation="",
        ports={22: "another user's program"},
        releases=(),
    )


def serving(host: str, live: Slot = "blue", release: str = "1.0", idle: str | None = None) -> Observed:
    """A host that serves `release`, with the nginx site that belongs to it, and `idle` in the other slot."""
    ports: dict[Slot, int] = {"blue": 3001, "green": 3002}
    site = render_site(ENVIRONMENT, {slot: (f"127.0.0.1:{port}",) for slot, port in ports.items()}, TEMPLATES)
    process = Process(f"shop-{live}", 100, "online", 0)
    slots: Mapping[Slot, SlotState] = {
        live: SlotState(release, ports[live], "conf", True, process),
        other(live): SlotState(idle, ports[other(live)], "conf", True) if idle else SlotState(),
    }
    seen = replace(bare(host), slots=slots, live=live, share=live, site=site.text, generation=site.generation)
    return replace(seen, releases=(release,), ports={22: "sshd", ports[live]: "node (pid 100)"})


def deploy(*observed: Observed, release: str = "2.0", configuration: str = "conf") -> Plan:
    return plan_deploy(observed, ENVIRONMENT, release, configuration, TEMPLATES)


@given(live=SLOTS)
def test_the_live_slot_is_never_the_target(live: Slot) -> None:
    plan = deploy(serving("h1", live))
    assert plan.apps[0].slot == other(live)
    assert plan.apps[0].previous == live


def test_hosts_may_be_live_in_different_slots() -> None:
    plan = deploy(serving("h1", "blue"), serving("h2", "green"))
    assert {host.host: host.slot for host in plan.apps} == {"h1": "green", "h2": "blue"}


def test_a_first_deploy_fills_blue_and_brings_the_site() -> None:
    plan = deploy(bare("h1"))
    host, web = plan.apps[0], plan.webs[0]
    assert (host.slot, host.previous, host.upload) == ("blue", None, True)
    assert (web.slot, web.before) == ("blue", None)
    assert web.site is not None
    assert "+upstream shop-blue {" in diff("h1", web.site, "/etc/nginx/turnout/shop.conf")


def test_what_is_as_wanted_is_left_alone() -> None:
    plan = deploy(serving("h1", release="2.0"), serving("h2"))
    assert (plan.unchanged, plan.hosts) == (("h1",), ("h2",))
    assert deploy(serving("h1", release="2.0")).empty


def test_a_changed_configuration_is_worth_a_deploy() -> None:
    assert not deploy(serving("h1", release="2.0"), configuration="other").empty


def test_a_live_process_that_is_down_is_worth_a_deploy() -> None:
    seen = serving("h1", release="2.0")
    down = replace(seen.slots["blue"], process=Process("shop-blue", 0, "errored", 16))
    assert not deploy(replace(seen, slots={**seen.slots, "blue": down})).empty


def test_a_site_that_nginx_does_not_serve_is_installed_again() -> None:
    seen = replace(serving("h1", release="2.0"), generation="another")
    assert deploy(seen).webs[0].site is not None


def test_an_archive_that_is_there_is_not_sent_again() -> None:
    seen = replace(serving("h1"), releases=("1.0", "2.0"))
    assert not deploy(seen).apps[0].upload


def test_a_changed_port_never_moves_the_live_slots_upstream() -> None:
    moved = ENVIRONMENT.model_copy(
        update={
            "process": ENVIRONMENT.process.model_copy(
                update={"ports": type(ENVIRONMENT.process.ports)(blue=4001, green=4002)}
            )
        }
    )
    plan = plan_deploy([serving("h1", "blue")], moved, "2.0", "conf", TEMPLATES)
    site = plan.webs[0].site
    assert site is not None
    assert plan.apps[0].port == 4002
    assert "server 127.0.0.1:3001;" in site.after
    assert "server 127.0.0.1:4002;" in site.after


def test_rollback_goes_to_the_other_slot_of_every_host() -> None:
    plan = plan_rollback(
        [serving("h1", "blue", "2.0", "1.0"), serving("h2", "green", "2.0", "1.0")], ENVIRONMENT, TEMPLATES
    )
    assert plan.release == "1.0"
    assert {host.host: host.slot for host in plan.apps} == {"h1": "green", "h2": "blue"}
    assert not any(host.upload for host in plan.apps)
    assert not any(web.site for web in plan.webs)


@pytest.mark.parametrize(
    ("observed", "said"),
    [
        ([bare("h1")], "h1: serves nothing yet"),
        ([serving("h1")], "h1: the green slot is empty; this was the first deploy"),
        ([serving("h1", "blue", "2.0", "1.0"), serving("h2", "blue", "2.0", "0.9")], "h2: 0.9"),
    ],
)
def test_rollback_is_refused_where_there_is_nothing_to_go_back_to(observed: list[Observed], said: str) -> None:
    with pytest.raises(Refused) as error:
        plan_rollback(observed, ENVIRONMENT, TEMPLATES)
    assert said in error.value.details


def test_rollback_never_goes_to_an_unfinished_release() -> None:
    seen = serving("h1", "blue", "2.0", "3.0")
    unproven = replace(seen.slots["green"], proven=False)
    with pytest.raises(Refused, match="no release to go back to"):
        plan_rollback([replace(seen, slots={**seen.slots, "green": unproven})], ENVIRONMENT, TEMPLATES)


def test_a_host_that_is_as_it_was_differs_in_nothing() -> None:
    assert differences(serving("h1"), serving("h1")) == []


def test_what_differs_after_an_undo_is_named() -> None:
    found = differences(serving("h1", "blue"), replace(serving("h1", "green"), maintenance=True))
    assert "h1: the live slot was blue, now green" in found
    assert "h1: maintenance was False, now True" in found


def test_a_template_that_cannot_be_rendered_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / "site.conf.j2").write_text("ok\n{% if %}\n")
    with pytest.raises(BadInput, match=r"templates/nginx/site.conf.j2:2: "):
        render_site(ENVIRONMENT, {"blue": ("a:1",), "green": ("a:2",)}, tmp_path)
    (tmp_path / "nginx" / "site.conf.j2").write_text("{{ nonsense }}")
    with pytest.raises(BadInput, match="'nonsense' is undefined"):
        render_site(ENVIRONMENT, {"blue": ("a:1",), "green": ("a:2",)}, tmp_path)


def test_a_release_that_stays_is_planned_into_the_slot_that_it_is_in() -> None:
    plan = plan_stay([serving("h1", "blue"), serving("h2", "green")], ENVIRONMENT, Restore(True, False, 7))
    assert (plan.kind, plan.release, plan.previous_release) == ("stay", "1.0", "1.0")
    assert [(app.slot, app.previous, app.port, app.previous_port) for app in plan.apps] == [
        ("blue", "blue", 3001, 3001),
        ("green", "green", 3002, 3002),
    ]
    assert [(web.slot, web.before, web.site) for web in plan.webs] == [
        ("blue", Share("blue"), None),
        ("green", Share("green"), None),
    ]


def test_a_release_that_is_not_the_same_everywhere_cannot_stay() -> None:
    with pytest.raises(Refused, match="do not serve the same release"):
        plan_stay([serving("h1"), serving("h2", release="2.0")], ENVIRONMENT, Restore(True, False, 7))
    with pytest.raises(Refused, match="h2: serves nothing yet"):
        plan_stay([serving("h1"), bare("h2")], ENVIRONMENT, Restore(True, False, 7))


def test_a_plan_that_restores_says_what() -> None:
    with pytest.raises(ValueError, match="tells which"):
        Plan("rollback", "restore", "1.0", (), ())
