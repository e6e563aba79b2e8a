"""A bucket as it is against a bucket as it should be: each difference is found, and its request mends only that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from fabfile.config.backup import BackupSettings
from fabfile.planning.bucket import NEVER_PUBLIC, BucketState, Finding, Unknown, Wanted, findings, our_rule, wanted
from fabfile.planning.bucket import writer_policy as policy

WANTED = Wanted("turnout", "eu-central-1", lock=14, deleted=30, infrequent_after=30, glacier_after=90)
AES = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
RETENTION = {"Mode": "GOVERNANCE", "Days": 14}
FINE = BucketState(
    exists=True,
    versioning={"Status": "Enabled"},
    public_access={"PublicAccessBlockConfiguration": NEVER_PUBLIC},
    encryption={"ServerSideEncryptionConfiguration": AES},
    lock={"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": RETENTION}}},
    lifecycle={"Rules": [our_rule(WANTED)]},
)


def requests(state: BucketState, aim: Wanted = WANTED) -> dict[str, Mapping[str, Any]]:
    return dict(found.request for found in findings(state, aim) if found.request)


def the(setting: str, state: BucketState, aim: Wanted = WANTED) -> Finding:
    (found,) = (found for found in findings(state, aim) if found.setting == setting)
    return found


def locked(**retention: object) -> BucketState:
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}}
    return replace(FINE, lock={"ObjectLockConfiguration": lock})


def ruled(*rules: Mapping[str, Any], **other: object) -> BucketState:
    return replace(FINE, lifecycle={"Rules": list(rules), **other})


def test_a_bucket_that_has_everything_is_left_alone() -> None:
    assert requests(FINE) == {}
    assert {found.state for found in findings(FINE, WANTED)} == {"fine"}


def test_a_bucket_that_does_not_exist_is_made_in_its_region_with_locks_and_gets_everything() -> None:
    sent = requests(BucketState())
    assert list(sent) == [
        "create_bucket",
        "put_bucket_versioning",
        "put_bucket_encryption",
        "put_public_access_block",
        "put_object_lock_configuration",
        "put_bucket_lifecycle_configuration",
    ]
    assert sent["create_bucket"] == {
        "ObjectLockEnabledForBucket": True,
        "CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"},
    }
    assert requests(BucketState(), replace(WANTED, region="us-east-1", lock=None))["create_bucket"] == {}


@pytest.mark.parametrize(
    ("state", "operation"),
    [
        (replace(FINE, versioning={}), "put_bucket_versioning"),
        (replace(FINE, versioning={"Status": "Suspended"}), "put_bucket_versioning"),
        (replace(FINE, public_access=None), "put_public_access_block"),
        (
            replace(FINE, public_access={"PublicAccessBlockConfiguration": {**NEVER_PUBLIC, "BlockPublicAcls": False}}),
            "put_public_access_block",
        ),
        (replace(FINE, encryption=None), "put_bucket_encryption"),
        (replace(FINE, lock=None), "put_object_lock_configuration"),
        (replace(FINE, lifecycle=None), "put_bucket_lifecycle_configuration"),
    ],
)
def test_one_difference_gets_one_request(state: BucketState, operation: str) -> None:
    assert list(requests(state)) == [operation]


def test_outside_aws_public_acls_are_ignored_and_not_blocked_unless_they_are_already() -> None:
    aim = replace(WANTED, region=None, infrequent_after=None, glacier_after=None)
    for already in (False, True):
        present = {**dict.fromkeys(NEVER_PUBLIC, False), "BlockPublicAcls": already}
        state = replace(FINE, public_access={"PublicAccessBlockConfiguration": present})
        sent = requests(state, aim)["put_public_access_block"]["PublicAccessBlockConfiguration"]
        assert sent == {**NEVER_PUBLIC, "BlockPublicAcls": already}
        after = replace(FINE, public_access={"PublicAccessBlockConfiguration": sent})
        assert the("public access", after, aim).state == "fine"


def test_encryption_with_a_key_of_ones_own_is_fine() -> None:
    kms = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    assert requests(replace(FINE, encryption={"ServerSideEncryptionConfiguration": kms})) == {}


def test_a_lock_is_never_shortened_or_weakened() -> None:
    assert requests(locked(Mode="COMPLIANCE", Days=30)) == {}
    assert requests(locked(Mode="GOVERNANCE", Years=1)) == {}
    assert requests(replace(FINE, lock=None), replace(WANTED, lock=None)) == {}
    assert requests(FINE, replace(WANTED, lock=None)) == {}
    longer = requests(locked(Mode="COMPLIANCE", Days=3))["put_object_lock_configuration"]["ObjectLockConfiguration"]
    assert longer["Rule"]["DefaultRetention"] == {"Mode": "COMPLIANCE", "Days": 14}


def test_rules_of_others_are_kept_as_they_are_and_ours_is_exchanged() -> None:
    filtered = {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 9}}
    old = {"ID": "b", "Status": "Enabled", "Prefix": "tmp/", "Expiration": {"Days": 1}}
    state = ruled(filtered, our_rule(replace(WANTED, deleted=7)), old, TransitionDefaultMinimumObjectSize="all")
    sent = requests(state)["put_bucket_lifecycle_configuration"]
    modern = {"ID": "b", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    assert sent["LifecycleConfiguration"]["Rules"] == [filtered, modern, our_rule(WANTED)]
    assert sent["TransitionDefaultMinimumObjectSize"] == "all"
    assert requests(ruled(*sent["LifecycleConfiguration"]["Rules"])) == {}


def test_a_rule_that_somebody_disabled_is_enabled_again() -> None:
    assert "lifecycle" in [
        f.setting for f in findings(ruled({**our_rule(WANTED), "Status": "Disabled"}), WANTED) if f.request
    ]


@pytest.mark.parametrize(
    ("rule", "minded"),
    [
        ({"Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}, True),
        ({"Filter": {}, "Expiration": {"Days": 30}}, True),
        ({"Prefix": "turnout/shop", "Expiration": {"Date": "2026-01-01"}}, True),
        ({"Filter": {"And": {"Prefix": "turn", "Tags": []}}, "Expiration": {"Days": 30}}, True),
        ({"Filter": {"Prefix": ""}, "Transitions": [{"Days": 1, "StorageClass": "DEEP_ARCHIVE"}]}, True),
        ({"Filter": {"Prefix": ""}, "Transitions": [{"Days": 1, "StorageClass": "STANDARD_IA"}]}, False),
        ({"Filter": {"Prefix": ""}, "Expiration": {"ExpiredObjectDeleteMarker": True}}, False),
        ({"Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}, False),
        ({"Filter": {"Prefix": ""}, "Expiration": {"Days": 30}, "Status": "Disabled"}, False),
    ],
)
def test_a_rule_of_others_that_costs_backups_is_pointed_out_and_left(rule: Mapping[str, Any], minded: bool) -> None:
    state = ruled({"ID": "theirs", "Status": "Enabled", **rule}, our_rule(WANTED))
    found = [finding for finding in findings(state, WANTED) if finding.state == "mind"]
    assert [finding.setting for finding in found] == (["rule theirs"] if minded else [])
    assert requests(state) == {}


def test_what_the_store_does_not_have_or_the_key_may_not_see_is_said_and_not_sent() -> None:
    state = replace(FINE, versioning=Unknown("no such thing", True), lock=Unknown("may not look", False))
    state = replace(state, lifecycle={"Rules": [our_rule(WANTED, versions=False)]})
    assert requests(state) == {}
    assert the("versioning", state).state == "unsupported"
    assert the("object lock", state).state == "hidden"


def test_without_versions_no_rule_speaks_of_former_ones() -> None:
    assert set(our_rule(WANTED, versions=False)) & {"NoncurrentVersionExpiration", "Expiration"} == set()


def settings(**words: object) -> BackupSettings:
    return BackupSettings.model_validate({"bucket": "example", **words})


def aim(**words: object) -> Wanted:
    return wanted(settings(**words), settings(**words).safeguards)


def test_storage_classes_are_for_aws_alone() -> None:
    assert (aim().infrequent_after, aim().glacier_after) == (30, 90)
    other = aim(endpoint="https://s3.example.com", safeguards={"lock": "7d"})
    assert (other.infrequent_after, other.glacier_after, other.lock, other.region) == (None, None, 7, None)
    assert "Transitions" not in our_rule(other)
    assert the("tiers", FINE, other).state == "unsupported"


def test_a_writer_may_add_and_read_below_the_prefix_and_delete_nothing() -> None:
    statements = policy(settings(prefix="shop/backups", region="eu-central-1"))["Statement"]
    assert all(statement["Effect"] == "Allow" for statement in statements)
    actions = [action for statement in statements for action in [statement["Action"]]]
    assert actions == ["s3:ListBucket", ["s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject"]]
    resources = [statement["Resource"] for statement in statements]
    assert resources == ["arn:aws:s3:::example", "arn:aws:s3:::example/shop/backups/*"]
    assert policy(settings(region="cn-north-1"))["Statement"][0]["Resource"] == "arn:aws-cn:s3:::example"


def test_a_second_bucket_gets_the_safeguards_of_the_first_in_its_own_region() -> None:
    both = settings(safeguards={"lock": "7d"}, copy={"bucket": "copies", "prefix": "second", "region": "eu-west-1"})
    assert both.copy_to
    second = wanted(both.copy_to, both.safeguards)
    assert (second.prefix, second.region, second.lock) == ("second", "eu-west-1", 7)
