"""Instance profiles: ids begin with AIPA, as IAM's identifiers do by their kind (moto gives small letters without it), and AWS's provider
reads a profile's tags by ListInstanceProfileTags (moto keeps them and has no such call).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfileTags.html
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.iam.models import IAMBackend
from moto.iam.responses import IamResponse
from moto.iam.utils import generate_access_key_id_from_account_id

from lab.cloud.emulator.patching import add, original, replace

_LENGTH = 21

_create = original(IAMBackend, "create_instance_profile")


def install() -> None:
    """Patches the call that makes a profile, and adds the one that tells its tags."""
    replace(IAMBackend, "create_instance_profile", _create_profile)
    add(IamResponse, "list_instance_profile_tags", _list_tags)


def _create_profile(self: Any, *given: Any, **named: Any) -> Any:
    profile = _create(self, *given, **named)
    profile.id = generate_access_key_id_from_account_id(account_id=self.account_id, prefix="AIPA", total_length=_LENGTH)
    return profile


def _list_tags(response: Any) -> Any:
    """In one page: a profile has 50 tags at most, a page 100, and the tags come sorted by their keys."""
    profile = response.backend.get_instance_profile(response._get_param("InstanceProfileName"))
    return ActionResult({"Tags": sorted(profile.tags, key=lambda tag: tag["Key"]), "IsTruncated": False})
