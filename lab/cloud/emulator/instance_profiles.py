"""Instance profiles: their ids begin with AIPA (moto's are lower-case letters without it), and ListInstanceProfileTags, with which the AWS
provider reads a profile's tags (moto keeps them but lacks the call).

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
    """Patches CreateInstanceProfile and adds ListInstanceProfileTags."""
    replace(IAMBackend, "create_instance_profile", _create_profile)
    add(IamResponse, "list_instance_profile_tags", _list_tags)


def _create_profile(self: Any, *given: Any, **named: Any) -> Any:
    profile = _create(self, *given, **named)
    profile.id = generate_access_key_id_from_account_id(account_id=self.account_id, prefix="AIPA", total_length=_LENGTH)
    return profile


def _list_tags(response: Any) -> Any:
    """Returns all tags, sorted by key, in one page: a profile has at most 50 tags and a page 100."""
    profile = response.backend.get_instance_profile(response._get_param("InstanceProfileName"))
    return ActionResult({"Tags": sorted(profile.tags, key=lambda tag: tag["Key"]), "IsTruncated": False})
