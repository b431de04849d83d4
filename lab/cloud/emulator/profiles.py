"""An instance profile's id begins with AIPA, as IAM's identifiers do by their kind; moto gives small letters without it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
"""

from typing import Any

from moto.iam.models import IAMBackend
from moto.iam.utils import generate_access_key_id_from_account_id

from lab.cloud.emulator.patching import original, replace

_LENGTH = 21

_create = original(IAMBackend, "create_instance_profile")


def install() -> None:
    """Patches the call that makes a profile."""
    replace(IAMBackend, "create_instance_profile", _create_profile)


def _create_profile(self: Any, *given: Any, **named: Any) -> Any:
    profile = _create(self, *given, **named)
    profile.id = generate_access_key_id_from_account_id(account_id=self.account_id, prefix="AIPA", total_length=_LENGTH)
    return profile
