"""Secrets of an environment over their life: kept in the repository, deployed, compared with another's, changed."""

from __future__ import annotations

from collections.abc import Iterator

import pyrage
import pytest
import yaml

from tests.e2e.project import Project
from tests.e2e.unchanged import unchanged

pytestmark = pytest.mark.lab


@pytest.fixture
def plain(project: Project) -> str:
    """A release that is live on every host, and was deployed without any secret; its id."""
    release = project.sound() or project.build("1.0.0")
    project.inv("deploy", f"--release={release}")
    return release


@pytest.fixture
def kept(project: Project, plain: str) -> Iterator[Project]:
    """The project with a vault, from which the application has SESSION_KEY; `staging` is a second environment."""
    identity = pyrage.x25519.Identity.generate()
    project.environment |= {"TURNOUT_IDENTITY": str(identity), "STAGING_KEY": "hunter2-of-staging"}
    project.always |= {
        "vault": {"file": "hosts/test.age", "recipients": [str(identity.to_public())]},
        "secrets": {"SESSION_KEY": "age:SESSION_KEY"},
        "custody": {"differs_from": "staging"},
    }
    project.configure()
    staging = project.folder / "hosts" / "staging.yml"
    own = {"extends": "test.yml", "custody": {"differs_from": None}, "secrets": {"SESSION_KEY": "env:STAGING_KEY"}}
    staging.write_text(yaml.safe_dump(own))
    yield project
    staging.unlink()
    (project.folder / "hosts" / "test.age").unlink(missing_ok=True)
    for key in ("vault", "secrets", "custody"):
        del project.always[key]
    project.configure()


def put(project: Project, value: str) -> None:
    """What somebody types at `inv secrets.set`."""
    project.inv("secrets.set", "SESSION_KEY", given=value)


def delivered(project: Project, host: str = "h1") -> str:
    """What the live process was given to read, without its last line break."""
    slot = project.live()[host][0]
    return project.lab.execute(host, "cat", f"/var/app/small/slots/{slot}/.turnout/env")


def test_a_secret_of_the_vault_is_deployed_and_one_that_staging_has_is_refused(kept: Project, plain: str) -> None:
    with unchanged(kept):
        assert "hosts/test.age has no SESSION_KEY" in kept.inv("deploy", f"--release={plain}", expect=3).err
        put(kept, "hunter2-of-staging")
        planned = kept.inv("plan", f"--release={plain}", expect=2)
        assert "inv deploy would be refused: test has secrets of staging: SESSION_KEY" in planned.err
        refused = kept.inv("deploy", f"--release={plain}", expect=5)
    assert "test has secrets of staging: SESSION_KEY" in refused.err
    assert "hunter2" not in planned.text + refused.text
    put(kept, "hunter2-of-its-own")
    kept.inv("deploy", f"--release={plain}")
    assert delivered(kept) == "SESSION_KEY=hunter2-of-its-own"


def test_a_changed_secret_is_deployed_and_a_rollback_takes_the_former_and_to_the_present(
    kept: Project, plain: str
) -> None:
    put(kept, "hunter2-one")
    kept.inv("deploy", f"--release={plain}")
    put(kept, "hunter2-two")
    second = kept.build("2.0.0")
    kept.inv("deploy", f"--release={second}")
    assert delivered(kept) == "SESSION_KEY=hunter2-two"
    del kept.environment["TURNOUT_IDENTITY"]  # whoever goes back need not be one who may read the vault
    kept.inv("rollback")
    assert delivered(kept) == "SESSION_KEY=hunter2-one"


def test_going_back_to_a_release_takes_the_secrets_of_now(kept: Project, plain: str) -> None:
    put(kept, "hunter2-one")
    kept.inv("deploy", f"--release={plain}")
    second = kept.build("2.0.1")
    kept.inv("deploy", f"--release={second}")
    put(kept, "hunter2-three")
    kept.inv("rollback", f"--to={plain}")
    assert delivered(kept) == "SESSION_KEY=hunter2-three"
