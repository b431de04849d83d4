"""Secrets that are scheduled for deletion, whose names stay in use; and staging labels, each of which is on only one version.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html and API_UpdateSecretVersionStage.html there. moto
treats a deleted secret as existing, moves a label without removing it from its old version, allows AWSCURRENT to be removed, still reads
the version that was current before, and removes all other labels of a version that becomes the previous one.
"""

from typing import Any

from moto.secretsmanager.exceptions import InvalidParameterException, InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend

from lab.cloud.emulator.patching import original, replace

_create = original(SecretsManagerBackend, "create_secret")
_put = original(SecretsManagerBackend, "put_secret_value")
_move = original(SecretsManagerBackend, "update_secret_version_stage")


def install() -> None:
    """Patches the calls that AWS rejects for such secrets, and the moving of labels."""
    replace(SecretsManagerBackend, "create_secret", _create_secret)
    replace(SecretsManagerBackend, "put_secret_value", _put_secret_value)
    replace(SecretsManagerBackend, "update_secret_version_stage", _update_secret_version_stage)


def _create_secret(backend: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    held = backend.secrets[name] if name in backend.secrets else None  # noqa: SIM401 - a store of moto's own, which has no get
    if held is not None and held.is_deleted():
        raise InvalidRequestException("You can't create this secret because a secret with this name is already scheduled for deletion.")
    return _create(backend, name, *args, **kwargs)


def _put_secret_value(backend: Any, secret_id: str, *args: Any, **kwargs: Any) -> Any:
    held = backend.secrets[secret_id] if secret_id in backend.secrets else None  # noqa: SIM401 - as above
    if held is not None and held.is_deleted():
        raise InvalidRequestException("You can't perform this operation on the secret because it was marked for deletion.")
    before = {version: list(found["version_stages"]) for version, found in held.versions.items()} if held is not None else {}
    answer = _put(backend, secret_id, *args, **kwargs)
    for version, labels in before.items():
        kept: list[str] = backend.secrets[secret_id].versions[version]["version_stages"]
        kept += [label for label in labels if label not in kept and not _versions_with_label(backend.secrets[secret_id], label)]
    return answer


def _update_secret_version_stage(
    backend: Any, secret_id: str, version_stage: str, remove_from_version_id: str, move_to_version_id: str
) -> Any:
    held = backend.secrets[secret_id] if secret_id in backend.secrets else None  # noqa: SIM401 - as above
    holders = _versions_with_label(held, version_stage) if held is not None else []
    if version_stage == "AWSCURRENT" and not move_to_version_id:
        raise InvalidParameterException(
            "You can only move staging label AWSCURRENT to a different secret version. It can\u2019t be completely removed."
        )
    if move_to_version_id and holders and holders != [move_to_version_id] and remove_from_version_id not in holders:
        raise InvalidParameterException(
            f"The parameter RemoveFromVersionId can't be empty. Staging label {version_stage} is currently attached to version "
            f"{holders[0]}, so you must explicitly reference that version in RemoveFromVersionId."
        )
    answer = _move(backend, secret_id, version_stage, remove_from_version_id, move_to_version_id)
    if held is not None:
        for found in held.versions.values():
            found["version_stages"] = list(dict.fromkeys(found["version_stages"]))
        held.set_default_version_id(_versions_with_label(held, "AWSCURRENT")[0])
    return answer


def _versions_with_label(secret: Any, label: str) -> list[str]:
    """Returns the ids of the versions that have a label."""
    return [version for version, found in secret.versions.items() if label in found["version_stages"]]
