"""The public SSM parameter in which Debian publishes its newest image id; moto has only Amazon's own parameters."""

from typing import Any

from moto.ssm.models import Parameter, ParameterDict

from lab.cloud.emulator.patching import original, replace
from lab.cloud.images import BAKED_IMAGE, DEBIAN_PARAMETER

_PUBLISHED = 1753833600.0
"""2025-07-30, an arbitrary date: the parameter's date is shown but never used."""


def install() -> None:
    """Adds the parameter to GetParameter and similar calls."""
    load = original(ParameterDict, "_check_loading_status")

    def check_loading_status(self: Any, key: str) -> None:
        load(self, key)
        if str(key or "").startswith(DEBIAN_PARAMETER) and DEBIAN_PARAMETER not in self.keys():
            self.update({DEBIAN_PARAMETER: [_debian(self.account_id)]})

    replace(ParameterDict, "_check_loading_status", check_loading_status)


def _debian(account_id: str) -> Any:
    return Parameter(
        account_id=account_id,
        name=DEBIAN_PARAMETER,
        value=BAKED_IMAGE,
        parameter_type="String",
        description=None,
        allowed_pattern=None,
        keyid=None,
        last_modified_date=_PUBLISHED,
        version=1,
        data_type="text",
    )
