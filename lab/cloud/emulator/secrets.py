"""Secrets that wait for their deletion: their name is taken. moto answers as if they were there.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
"""

from typing import Any

from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend

from lab.cloud.emulator.patching import original, replace

_create = original(SecretsManagerBackend, "create_secret")
_put = original(SecretsManagerBackend, "put_secret_value")


def install() -> None:
    """Patches what such a secret refuses."""
    replace(SecretsManagerBackend, "create_secret", _create_secret)
    replace(SecretsManagerBackend, "put_secret_value", _put_secret_value)


def _create_secret(backend: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    held = backend.secrets[name] if name in backend.secrets else None  # noqa: SIM401 - a store of moto's own, which has no get
    if held is not None and held.is_deleted():
        raise InvalidRequestException("You can't create this secret because a secret with this name is already scheduled for deletion.")
    return _create(backend, name, *args, **kwargs)


def _put_secret_value(backend: Any, secret_id: str, *args: Any, **kwargs: Any) -> Any:
    held = backend.secrets[secret_id] if secret_id in backend.secrets else None  # noqa: SIM401 - as above
    if held is not None and held.is_deleted():
        raise InvalidRequestException("You can't perform this operation on the secret because it was marked for deletion.")
    return _put(backend, secret_id, *args, **kwargs)
