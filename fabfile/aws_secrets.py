"""Secrets that AWS keeps: Secrets Manager and SSM Parameter Store, read as they are now."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import boto3.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
from pydantic import SecretStr

from fabfile.errors import BadInput

CONFIG = Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3})
NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    ProfileNotFound,
)
MISSING = ("ResourceNotFoundException", "ParameterNotFound")
DENIED = ("AccessDeniedException", "AccessDenied", "DecryptionFailure", "UnrecognizedClientException")

# Where everything is logged, as with `inv --debug`, botocore would write whole answers: the very values.
logging.getLogger("botocore").setLevel(logging.INFO)


class AwsSecrets:
    """One account in one region (None: boto3's own search); nothing is asked before the first value is read."""

    def __init__(self, region: str | None, profile: str | None) -> None:
        self._region, self._profile = region, profile

    def secret(self, name: str) -> tuple[SecretStr, datetime]:
        """The text of a secret in Secrets Manager, and since when it is this one. Raises BadInput."""
        answer = self._ask("secretsmanager", "get_secret_value", name, SecretId=name)
        if "SecretString" not in answer:
            raise BadInput(f"the secret {name} holds bytes, not text", "store it as text")
        return SecretStr(answer["SecretString"]), answer["CreatedDate"].astimezone(UTC)

    def parameter(self, name: str) -> tuple[SecretStr, datetime]:
        """The value of a parameter, decrypted, and since when it is this one. Raises BadInput."""
        found = self._ask("ssm", "get_parameter", name, Name=name, WithDecryption=True)["Parameter"]
        return SecretStr(found["Value"]), found["LastModifiedDate"].astimezone(UTC)

    @cached_property
    def _session(self) -> Any:
        return boto3.session.Session(profile_name=self._profile, region_name=self._region)

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def _ask(self, service: str, operation: str, name: str, **words: object) -> Mapping[str, Any]:
        try:
            if service not in self._clients:
                self._clients[service] = self._session.client(service, config=CONFIG)
            answer: Mapping[str, Any] = getattr(self._clients[service], operation)(**words)
            return answer
        except ClientError as error:
            raise _refusal(error, service, operation, name) from None
        except NoRegionError:
            raise BadInput(
                f"{name}: no region is known for {service}", "set aws.region, or AWS_DEFAULT_REGION"
            ) from None
        except NO_CREDENTIALS as error:
            hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or aws.profile"
            raise BadInput(f"{name}: no credentials for {service}: {_line(error)}", hint) from None
        except (BotoCoreError, ValueError) as error:
            hint = "check aws.region and the network, run it again"
            raise BadInput(f"{name}: {service} cannot be asked: {_line(error)}", hint) from None


def _refusal(error: ClientError, service: str, operation: str, name: str) -> BadInput:
    code = str(error.response["Error"].get("Code", ""))
    if code in MISSING:
        return BadInput(f"{name}: {service} has nothing of that name", "correct the name, or aws.region")
    if code in DENIED:
        right = {"get_secret_value": "secretsmanager:GetSecretValue", "get_parameter": "ssm:GetParameter"}[operation]
        return BadInput(f"{name}: {service} refused: {code}", f"grant {right} for it, and kms:Decrypt for its key")
    message = " ".join(str(error.response["Error"].get("Message", "")).split())
    return BadInput(f"{name}: {service} refused: {code} {message}".rstrip(), "look up the code in AWS's documentation")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
