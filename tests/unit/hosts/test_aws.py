"""A host's clients of AWS, and its secrets."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError
from webstack_host import aws, config

from .conftest import HOST, returning


def test_a_client_is_made_only_of_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role's credentials may be missing in the first seconds; a client that was made without any would be kept and call nothing."""
    found: list[object] = [None, object()]

    class Session:
        def get_credentials(self) -> object:
            return found.pop(0)

        def client(self, service: str, **_: Any) -> str:
            return f"client of {service}"

    monkeypatch.setattr("boto3.Session", Session)
    monkeypatch.setattr(config, "load_common", returning(HOST))
    aws.s3.cache_clear()
    try:
        with pytest.raises(NoCredentialsError):
            aws.s3()
        assert aws.s3() == "client of s3"
    finally:
        aws.s3.cache_clear()


def test_a_secret_is_asked_for_by_the_prefix_that_the_stack_gave_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    class Secrets:
        def get_secret_value(self, **asked: str) -> dict[str, str]:
            return {"SecretString": f"the text of {asked['SecretId']}"}

    monkeypatch.setattr(config, "load_common", returning(replace(HOST, secret_prefix="webstack/dev-a1b2c3d4")))
    monkeypatch.setattr(aws, "secrets", Secrets)
    assert aws.secret("app-writer") == "the text of webstack/dev-a1b2c3d4/app-writer"
