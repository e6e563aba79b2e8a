"""One finding for a bucket, as one command mends it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fabfile.checks.bucket import judge
from fabfile.checks.evidence import Evidence, Unseen
from fabfile.planning.bucket import BucketState, Unknown, Wanted, findings, our_rule
from tests.unit.checks.seen import BACKUP, environment, evidence
from tests.unit.planning.test_bucket import FINE

STORED = environment(backup=BACKUP)
WANTED = Wanted("turnout", None, lock=None, deleted=30, infrequent_after=None, glacier_after=None)
SAFE = replace(FINE, lifecycle={"Rules": [our_rule(WANTED)]})


def looking_at(state: BucketState, **change: object) -> Evidence:
    return evidence(environment=STORED, bucket=findings(state, WANTED), **change)


def test_a_safe_bucket_is_well() -> None:
    (found,) = judge(looking_at(SAFE))
    assert (found.where, found.verdict) == ("s3://backups", "ok")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"versioning": {"Status": "Suspended"}}, "warning"),
        ({"encryption": None}, "warning"),
        ({"lifecycle": None}, "warning"),
        ({"public_access": None}, "critical"),
        ({"public_access": None, "versioning": None}, "critical"),
        ({"exists": False}, "critical"),
    ],
)
def test_whatever_differs_is_told_together_and_mended_by_one_command(change: dict[str, object], verdict: str) -> None:
    (found,) = judge(looking_at(replace(SAFE, **change)))  # type: ignore[arg-type]
    assert found.verdict == verdict
    assert found.remedy
    assert found.remedy.command == "inv bucket.setup --yes --env=demo"


def test_rules_of_others_are_theirs_to_mend() -> None:
    stranger = {"ID": "clean", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    (found,) = judge(looking_at(replace(SAFE, lifecycle={"Rules": [our_rule(WANTED), stranger]})))
    assert found.verdict == "warning"
    assert found.remedy
    assert found.remedy.command == ""
    assert found.remedy.note


def test_what_this_key_may_not_see_is_told_unless_something_is_wrong() -> None:
    hidden = replace(SAFE, versioning=Unknown("this key may not look", unsupported=False))
    (found,) = judge(looking_at(hidden))
    assert (found.verdict, found.seen) == ("could not look", "versioning: this key may not look")
    (found,) = judge(looking_at(replace(hidden, public_access=None)))
    assert found.verdict == "critical"


def test_a_store_that_refuses_is_critical() -> None:
    (found,) = judge(evidence(environment=STORED, bucket=Unseen("no credentials", "failed")))
    assert found.verdict == "critical"


def test_what_travels_in_clear_is_warned_of_unless_it_is_encrypted_before() -> None:
    assert [found.verdict for found in judge(looking_at(SAFE, in_clear=True))] == ["ok", "warning"]
    recipient = "age10gwjpek2juqsy3avfguvev8dd8y72fernqxnxjuwn2wgtw4rd9msymtedj"
    sealed = environment(backup={**BACKUP, "recipients": [recipient]})
    given = evidence(environment=sealed, bucket=findings(SAFE, WANTED), in_clear=True)
    assert [found.verdict for found in judge(given)] == ["ok"]


def test_a_second_bucket_is_judged_like_the_first_and_mended_by_a_command_of_its_own() -> None:
    copied = environment(backup={**BACKUP, "copy": {"bucket": "copies", "endpoint": "http://s3.other"}})
    open_to_all = findings(replace(SAFE, public_access=None), WANTED)
    given = evidence(environment=copied, bucket=findings(SAFE, WANTED), copy=open_to_all, copy_in_clear=True)
    first, second, clear = judge(given)
    assert (first.where, first.verdict) == ("s3://backups", "ok")
    assert (second.where, second.verdict) == ("s3://copies", "critical")
    assert second.remedy
    assert second.remedy.command == "inv bucket.setup --yes --copy --env=demo"
    assert (clear.where, clear.verdict) == ("s3://copies", "warning")


def test_a_second_bucket_that_does_not_answer_is_critical() -> None:
    copied = environment(backup={**BACKUP, "copy": {"bucket": "copies"}})
    given = evidence(environment=copied, bucket=findings(SAFE, WANTED), copy=Unseen("no connection", "failed"))
    assert [found.verdict for found in judge(given)] == ["ok", "critical"]


def test_no_backup_section_is_no_bucket() -> None:
    (found,) = judge(evidence())
    assert found.verdict == "not applicable"
