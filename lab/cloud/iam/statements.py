"""A policy read, and one statement of it held against one ask.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from lab.cloud.iam.conditions import holds
from lab.cloud.iam.facts import Facts, Principal
from lab.cloud.iam.patterns import NoValueError, UnknownValueError, action_pattern, fill

WITH_VARIABLES = "2012-10-17"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One action on one resource (`*` for an action that names none), as a policy sees it."""

    action: str
    resource: str
    facts: Facts


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement. Elements that a policy leaves out are None."""

    allows: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: Mapping[str, tuple[str, ...]] | None
    not_principals: Mapping[str, tuple[str, ...]] | None
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]
    """Operator, key and values of each line."""
    variables: bool

    def applies(self, ask: Ask) -> bool:
        """Whether it says something on the ask. Where the lab cannot tell, an Allow does not apply and a Deny does."""
        if not self._names_action(ask.action):
            return False
        certain = True
        for met in (self._names_resource(ask), *(self._meets(line, ask.facts) for line in self.conditions)):
            if met is False:
                return False
            certain = certain and met is not None
        return certain or not self.allows

    def names(self, principal: Principal) -> Literal["itself", "its account"] | None:
        """How a resource's policy names a principal: a session, its role or everybody; or the account, which leaves it to IAM."""
        if self.not_principals is not None:
            named = self.not_principals.get("AWS", ())
            # AWS spares a session only where the account and the role are named beside it; an Allow for all the others is a mistake.
            spared = {principal.session_arn, principal.role_arn, _root(principal)} <= set(named)
            return None if spared or self.allows else "itself"
        named = (self.principals or {}).get("AWS", ())
        if "*" in named:
            return "itself"
        if principal.anonymous:
            return None
        if principal.session_arn in named or principal.role_arn in named:
            return "itself"
        return "its account" if {principal.account, _root(principal)} & set(named) else None

    def names_service(self, service: str) -> bool:
        """Whether a role's trust policy names an AWS service (`ec2.amazonaws.com`)."""
        return service in (self.principals or {}).get("Service", ())

    def _names_action(self, action: str) -> bool:
        if self.not_actions is not None:
            return not any(action_pattern(text).fullmatch(action) for text in self.not_actions)
        return any(action_pattern(text).fullmatch(action) for text in self.actions or ())

    def _names_resource(self, ask: Ask) -> bool | None:
        texts = self.resources if self.not_resources is None else self.not_resources
        if texts is None:  # a trust policy: the role it hangs on is the resource
            return True
        certain = True
        for text in texts:
            try:
                if fill(text, ask.facts if self.variables else None).matches_arn(ask.resource):
                    return self.not_resources is None
            except NoValueError:
                continue
            except UnknownValueError:
                certain = False
        if not certain:
            return None
        return self.not_resources is not None

    def _meets(self, line: tuple[str, str, tuple[str, ...]], facts: Facts) -> bool | None:
        operator, key, values = line
        return holds(operator, key, values, facts, variables=self.variables)


def _root(principal: Principal) -> str:
    partition = principal.role_arn.split(":")[1] if principal.role_arn else "aws"
    return f"arn:{partition}:iam::{principal.account}:root"


def read(document: str | Mapping[str, Any]) -> tuple[Statement, ...]:
    """The statements of a policy, given as JSON or as what JSON says. Raises ValueError where it is none."""
    content: Any = json.loads(document) if isinstance(document, str) else document
    if not isinstance(content, Mapping):
        raise ValueError("a policy is a JSON object")  # noqa: TRY004 - what the API holds, not a caller's mistake
    policy = cast("Mapping[str, Any]", content)
    given: Any = policy.get("Statement", [])
    statements: list[Any] = cast("list[Any]", given) if isinstance(given, list) else [given]
    variables = policy.get("Version") == WITH_VARIABLES
    return tuple(_statement(one, variables=variables) for one in statements)


def _statement(given: Any, *, variables: bool) -> Statement:
    conditions: list[tuple[str, str, tuple[str, ...]]] = []
    for operator, lines in given.get("Condition", {}).items():
        conditions += [(operator, key, _texts(values) or ()) for key, values in lines.items()]
    return Statement(
        allows=given.get("Effect") == "Allow",
        actions=_texts(given.get("Action")),
        not_actions=_texts(given.get("NotAction")),
        resources=_texts(given.get("Resource")),
        not_resources=_texts(given.get("NotResource")),
        principals=_principals(given.get("Principal")),
        not_principals=_principals(given.get("NotPrincipal")),
        conditions=tuple(conditions),
        variables=variables,
    )


def _texts(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    values: Sequence[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values)


def _principals(value: Any) -> Mapping[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return {"AWS": (value,)}
    return {str(kind): _texts(names) or () for kind, names in value.items()}
