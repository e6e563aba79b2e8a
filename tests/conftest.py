"""Fixtures that every test may ask for."""

from __future__ import annotations

import hypothesis

pytest_plugins = ["tests.lab_fixture", "tests.seed_option", "tests.sampling"]

# How long an example takes says more about what else the machine does than about the code. Each run has another seed,
# and so other examples: a few are enough for one.
hypothesis.settings.register_profile("turnout", deadline=None, max_examples=25)
hypothesis.settings.load_profile("turnout")
