"""The doctor on real hosts: green where all is well, exactly what is wrong where not, and remedies that mend it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.doctor.operator_desk import examine, named, type_in
from tests.doctor.planted import FAULTS
from tests.e2e.project import Project
from tests.e2e.unchanged import unchanged

pytestmark = pytest.mark.lab


@pytest.mark.timeout(900)
def test_twelve_faults_are_named_each_with_a_remedy_that_mends_it(
    well: Project, record_property: Callable[[str, object], None]
) -> None:
    with unchanged(well):
        code, document = examine(well)
    assert (code, document["green"]) == (0, True), document
    false = len(named(document))

    for fault in FAULTS:
        fault.plant(well)
    code, document = examine(well)
    assert code == 2
    found = named(document)
    planted = {(fault.check, fault.where): fault for fault in FAULTS}
    false += len(found.keys() - planted.keys())
    record_property("planted", len(FAULTS))
    record_property("named", len(found.keys() & planted.keys()))

    # From top to bottom, as it stands there: hosts before what needs them, and values before those who read them.
    for place, finding in found.items():
        if place in planted:
            type_in(well, finding["remedy"], planted[place].answer)
    code, document = examine(well)
    left = named(document)
    record_property("mended", len(planted.keys() & (found.keys() - left.keys())))
    record_property("false", false + len(left.keys() - planted.keys()))
    assert found.keys() == planted.keys(), document
    assert left == {}
    assert (code, document["green"]) == (0, True), document
