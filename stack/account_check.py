"""Whether the credentials are of an account that the stack's settings allow, asked before the provider is.

The provider refuses too (`VerifyAccountIDAllowed` of aws-sdk-go-base, internal/config/config.go). The engine of Pulumi 3.276.0, as tried
with the lab's provider, then ends the run in the provider's words alone, which name no setting; that of 3.259.0 gave the program the error.
"""

from collections.abc import Callable, Mapping
from typing import cast

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from stack.aws_config import ACCOUNT_LISTS, parse_nested
from stack.problems import Problem

CallerAccount = Callable[[], str]
"""Asks STS for the account of the credentials. Raises BotoCoreError and ClientError."""


def account_problems(settings: Mapping[str, object], caller_account: CallerAccount) -> list[Problem]:
    """What is wrong with the account, by the provider's `settings`. Nobody is asked where they list none; no answer is no problem."""
    listed = {key: _texts(settings.get(key)) for key in ACCOUNT_LISTS}
    if not any(listed.values()):
        return []
    try:
        account = caller_account()
    except (BotoCoreError, ClientError) as error:
        pulumi.log.debug(f"the account of the credentials cannot be asked for: {error}")
        return []
    allowed, forbidden = (listed[key] for key in ACCOUNT_LISTS)
    if account in forbidden:
        key = "forbiddenAccountIds"
    elif allowed and account not in allowed:
        key = "allowedAccountIds"
    else:
        return []
    return [
        Problem(
            key=f"aws:{key}",
            value=settings[key],
            rule=f"AWS account ID not allowed: {account}, of which the credentials are",
            remedy="use credentials of the right account, such as by AWS_PROFILE, or change the list",
        )
    ]


def _texts(value: object) -> list[str]:
    found = parse_nested(value)
    return [one for one in cast("list[object]", found) if isinstance(one, str)] if isinstance(found, list) else []
