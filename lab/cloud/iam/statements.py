"""Parses policies, and evaluates one statement for one authorization request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from lab.cloud.iam.conditions import evaluate_condition
from lab.cloud.iam.patterns import MissingValueError, UnsupportedValueError, action_pattern, substitute_variables
from lab.cloud.iam.request_context import Principal, RequestContext

VARIABLES_VERSION = "2012-10-17"


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """One action on one resource (`*` if the action has none), to be evaluated against policies."""

    action: str
    resource: str
    context: RequestContext


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a policy. Omitted elements are None."""

    is_allow: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: Mapping[str, tuple[str, ...]] | None
    not_principals: Mapping[str, tuple[str, ...]] | None
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]
    """The operator, key and values of each condition."""
    with_variables: bool

    def applies(self, request: AuthorizationRequest) -> bool:
        """Whether it applies to the request. If the lab cannot tell, an Allow does not apply and a Deny does."""
        if not self._matches_action(request.action):
            return False
        certain = True
        for met in (self._matches_resource(request), *(self._condition_met(line, request.context) for line in self.conditions)):
            if met is False:
                return False
            certain = certain and met is not None
        return certain or not self.is_allow

    def match_principal(self, principal: Principal) -> Literal["itself", "its account"] | None:
        """Returns how a resource's policy names a principal: itself (session, role or everyone), its account (IAM decides) or not."""
        if self.not_principals is not None:
            named = self.not_principals.get("AWS", ())
            # AWS exempts a session only if its account and role are named too; an Allow for everyone else is a mistake.
            spared = {principal.session_arn, principal.role_arn, _root_arn(principal)} <= set(named)
            return None if spared or self.is_allow else "itself"
        named = (self.principals or {}).get("AWS", ())
        if "*" in named:
            return "itself"
        if principal.anonymous:
            return None
        if principal.session_arn in named or principal.role_arn in named:
            return "itself"
        return "its account" if {principal.account, _root_arn(principal)} & set(named) else None

    def matches_service(self, service: str) -> bool:
        """Whether a role's trust policy names an AWS service (`ec2.amazonaws.com`)."""
        return service in (self.principals or {}).get("Service", ())

    def _matches_action(self, action: str) -> bool:
        if self.not_actions is not None:
            return not any(action_pattern(text).fullmatch(action) for text in self.not_actions)
        return any(action_pattern(text).fullmatch(action) for text in self.actions or ())

    def _matches_resource(self, request: AuthorizationRequest) -> bool | None:
        texts = self.resources if self.not_resources is None else self.not_resources
        if texts is None:  # a trust policy: the resource is the role that it belongs to
            return True
        certain = True
        for text in texts:
            try:
                if substitute_variables(text, request.context if self.with_variables else None).matches_arn(request.resource):
                    return self.not_resources is None
            except MissingValueError:
                continue
            except UnsupportedValueError:
                certain = False
        if not certain:
            return None
        return self.not_resources is not None

    def _condition_met(self, line: tuple[str, str, tuple[str, ...]], context: RequestContext) -> bool | None:
        operator, key, values = line
        return evaluate_condition(operator, key, values, context, with_variables=self.with_variables)


def _root_arn(principal: Principal) -> str:
    partition = principal.role_arn.split(":")[1] if principal.role_arn else "aws"
    return f"arn:{partition}:iam::{principal.account}:root"


def parse_policy(document: str | Mapping[str, Any]) -> tuple[Statement, ...]:
    """Returns the statements of a policy, given as JSON text or as a mapping. Raises ValueError if it is not a policy."""
    content: Any = json.loads(document) if isinstance(document, str) else document
    if not isinstance(content, Mapping):
        raise ValueError("a policy must be a JSON object")  # noqa: TRY004 - what the API holds, not a caller's mistake
    policy = cast("Mapping[str, Any]", content)
    given: Any = policy.get("Statement", [])
    statements: list[Any] = cast("list[Any]", given) if isinstance(given, list) else [given]
    variables = policy.get("Version") == VARIABLES_VERSION
    return tuple(_statement(one, variables=variables) for one in statements)


def _statement(given: Any, *, variables: bool) -> Statement:
    conditions: list[tuple[str, str, tuple[str, ...]]] = []
    for operator, lines in given.get("Condition", {}).items():
        conditions += [(operator, key, _strings(values) or ()) for key, values in lines.items()]
    return Statement(
        is_allow=given.get("Effect") == "Allow",
        actions=_strings(given.get("Action")),
        not_actions=_strings(given.get("NotAction")),
        resources=_strings(given.get("Resource")),
        not_resources=_strings(given.get("NotResource")),
        principals=_principals(given.get("Principal")),
        not_principals=_principals(given.get("NotPrincipal")),
        conditions=tuple(conditions),
        with_variables=variables,
    )


def _strings(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    values: Sequence[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values)


def _principals(value: Any) -> Mapping[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return {"AWS": (value,)}
    return {str(kind): _strings(names) or () for kind, names in value.items()}
