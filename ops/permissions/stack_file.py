"""What a stack's file says of the place that policies are made for: region, account, permissions boundary."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lab.engine.workspace import read_config
from ops.permissions.policies import PolicyError, PolicyScope
from stack.aws_config import check_account_ids
from stack.naming import aws_partition
from stack.problems import ConfigurationError, Problem
from stack.regions import region_problem
from stack.settings import parse

_ACCOUNT = re.compile(r"[0-9]{12}")
_STACK = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""What Pulumi takes: ParseStackName in sdk/go/common/tokens/stacks.go of pulumi/pulumi."""


def policy_scope(repository: Path, stack: str, account: str | None) -> PolicyScope:
    """The place of a stack with a file here, in this account or in the only one that the file allows. Raises PolicyError, SettingError."""
    if not _STACK.fullmatch(stack):  # in a policy a `*` would be every stack
        rule = "a stack's name has 1 to 100 letters, digits, hyphens, underscores and full stops"
        raise PolicyError(f"--stack {stack!r}: {rule}; rename the stack and its file")
    config, name = read_config(repository, stack), f"Pulumi.{stack}.yaml"
    region = config.get("aws:region")
    if not isinstance(region, str):
        raise PolicyError(f"{name} has no aws:region, and rights hold for one region; `pulumi config set aws:region REGION` sets it")
    if (misnamed := region_problem(region)) is not None:
        raise PolicyError(f"{name}: aws:region = {region!r}: {misnamed.rule}; {misnamed.remedy}")
    partition = aws_partition(region)
    chosen = _account(name, config, account)
    try:
        settings = parse({key.removeprefix("webstack:"): value for key, value in config.items() if key.startswith("webstack:")})
    except ConfigurationError as error:
        raise PolicyError(str(error)) from error
    boundary = settings.environment.permissions_boundary
    if boundary is not None:
        _check_boundary(name, boundary, partition, chosen)
    return PolicyScope(stack=stack, region=region, account=chosen, partition=partition, boundary=boundary)


def _account(name: str, config: Mapping[str, Any], account: str | None) -> str:
    allowed = _accounts(name, config, "aws:allowedAccountIds")
    if account is None and len(allowed) == 1:
        (account,) = allowed
    if account is None or not _ACCOUNT.fullmatch(account):
        rule = "give the twelve digits of the AWS account, or list it alone in aws:allowedAccountIds"
        raise PolicyError(f"--account {account or ''}: {rule} of {name}")
    if allowed and account not in allowed:
        rule = f"{name} allows {', '.join(allowed)} alone (aws:allowedAccountIds), and the provider refuses to work in another"
        raise PolicyError(f"--account {account}: {rule}; give one of these, or change the list")
    if account in _accounts(name, config, "aws:forbiddenAccountIds"):
        rule = f"{name} forbids it (aws:forbiddenAccountIds), and the provider refuses to work in it"
        raise PolicyError(f"--account {account}: {rule}; give another, or change the list")
    return account


def _accounts(name: str, config: Mapping[str, Any], key: str) -> list[str]:
    """The accounts under a key: a list, or one as JSON, as `pulumi config set` without `--path` keeps it."""
    found = config.get(key)
    mistakes = [Problem(key=f"{key}{at}", value=given, rule=rule, remedy=remedy) for at, given, rule, remedy in check_account_ids(found)]
    if mistakes:
        raise PolicyError(f"{name}: {ConfigurationError(mistakes, effect='no policy was made')}")
    listed = json.loads(found) if isinstance(found, str) and found else found
    return [str(one) for one in cast("list[object]", listed or [])]


def _check_boundary(name: str, boundary: str, partition: str, account: str) -> None:
    """A role's boundary is a managed policy of its own account or of AWS: IAM's managed policies are of one account,
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html
    """
    _, its_partition, _, _, owner, _ = boundary.split(":", 5)
    if its_partition != partition or owner not in (account, "aws"):
        rule = f"a managed policy of the account that the roles are in, arn:{partition}:iam::{account}:policy/…, or of AWS"
        remedy = "name that account's, or give its --account"
        raise PolicyError(f"{name}: webstack:environment.permissionsBoundary = {boundary}: {rule}; {remedy}")
