"""Policy evaluation for one authorization request, in AWS's order.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html, within one account and without organisations'
policies: a Deny in any policy refuses; a permissions boundary and a VPC endpoint policy, if there are any, must allow; then an identity
policy or the resource's own policy must allow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.cloud.iam.request_context import Principal
from lab.cloud.iam.statements import AuthorizationRequest, Statement


@dataclass(frozen=True, kw_only=True)
class ApplicablePolicies:
    """The policies that apply to a request. None means that there is no such policy, which then neither allows nor limits."""

    identity: Sequence[Statement] = ()
    boundary: Sequence[Statement] | None = None
    endpoint: Sequence[Statement] | None = None
    resource: Sequence[Statement] | None = None


def deny_reason(request: AuthorizationRequest, principal: Principal, policies: ApplicablePolicies) -> str | None:
    """Returns why the request is denied, in AWS's wording, or None if it is allowed."""
    said_of_it = [statement for statement in policies.resource or () if statement.match_principal(principal) and statement.applies(request)]
    of_endpoint = [one for one in policies.endpoint or () if one.match_principal(principal) and one.applies(request)]
    of_identity = [one for one in policies.identity if one.applies(request)]
    of_boundary = [one for one in policies.boundary or () if one.applies(request)]
    kinds = {
        "an identity-based policy": of_identity,
        "a permissions boundary": of_boundary,
        "a VPC endpoint policy": of_endpoint,
        "a resource-based policy": said_of_it,
    }
    for kind, statements in kinds.items():
        if any(not statement.is_allow for statement in statements):
            return _denial_message(request, principal, f"with an explicit deny in {kind}")
    if policies.boundary is not None and not of_boundary:
        return _denial_message(request, principal, f"because no permissions boundary allows the {request.action} action")
    if policies.endpoint is not None and not of_endpoint:
        return _denial_message(request, principal, f"because no VPC endpoint policy allows the {request.action} action")
    if of_identity or any(statement.match_principal(principal) == "itself" for statement in said_of_it):
        return None
    kind = "resource" if principal.anonymous else "identity"
    return _denial_message(request, principal, f"because no {kind}-based policy allows the {request.action} action")


def _denial_message(request: AuthorizationRequest, principal: Principal, reason: str) -> str:
    where = f' on resource: "{request.resource}"' if request.resource != "*" else ""
    return f"User: {principal.session_arn or 'anonymous'} is not authorized to perform: {request.action}{where} {reason}"
