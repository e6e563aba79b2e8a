"""Names and addresses of a lab."""

from __future__ import annotations

import pytest

from fabfile.errors import BadInput
from fabfile.lab.addresses import MOST_HOSTS, SUBNETS, Subnet, host_names, lab_name, qualified


def test_every_node_of_the_largest_lab_has_an_address_of_its_own() -> None:
    nodes = (*host_names(MOST_HOSTS), "db", "s3")
    subnet = Subnet(3)
    addresses = {subnet.address(node) for node in nodes} | {subnet.gateway}
    assert len(addresses) == len(nodes) + 1
    assert all(1 <= int(address.removeprefix("10.99.3.")) <= 254 for address in addresses)


def test_web_hosts_and_services_have_their_places() -> None:
    subnet = Subnet(3)
    assert [subnet.address(node) for node in ("h1", "h2", "db", "s3")] == [
        "10.99.3.11",
        "10.99.3.12",
        "10.99.3.5",
        "10.99.3.6",
    ]


def test_link_names_fit_the_kernel() -> None:
    longest = Subnet(SUBNETS - 1).port(f"h{MOST_HOSTS}") + "-d"
    assert len(longest) <= 15


def test_two_labs_share_no_link_and_no_card() -> None:
    first, second = Subnet(1), Subnet(11)
    nodes = (*host_names(MOST_HOSTS), "db", "s3")
    assert not {first.port(node) for node in nodes} & {second.port(node) for node in nodes}
    assert not {first.mac(node) for node in nodes} & {second.mac(node) for node in nodes}


def test_a_card_address_is_locally_administered() -> None:
    assert Subnet(3).mac("h1") == "02:4c:0a:63:03:0b"


@pytest.mark.parametrize("name", ["demo", "a", "test-123", "a" * 20])
def test_usable_names_are_taken_as_they_are(name: str) -> None:
    assert lab_name(name) == name


@pytest.mark.parametrize("name", ["", "Demo", "1demo", "-x", "a b", "a/b", "..", "a" * 21, "demo\n"])
def test_a_name_that_a_container_or_path_cannot_bear_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        lab_name(name)


@pytest.mark.parametrize("count", [-1, 0, 201])
def test_an_impossible_number_of_hosts_is_refused(count: int) -> None:
    with pytest.raises(BadInput, match=str(count)):
        host_names(count)


def test_containers_say_whose_they_are() -> None:
    assert qualified("demo", "h1") == "turnout-demo-h1"
