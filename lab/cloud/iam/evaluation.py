"""Several policies held against one ask, in AWS's order.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html, within one account and without organisations'
policies: a Deny anywhere refuses; a boundary and a VPC endpoint's policy must allow, if there is one; then an identity policy or the
resource's own must.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.cloud.iam.facts import Principal
from lab.cloud.iam.statements import Ask, Statement


@dataclass(frozen=True, kw_only=True)
class Policies:
    """The policies in force for an ask. None where there is no such policy: then it neither allows nor limits."""

    identity: Sequence[Statement] = ()
    boundary: Sequence[Statement] | None = None
    endpoint: Sequence[Statement] | None = None
    resource: Sequence[Statement] | None = None


def refusal(ask: Ask, principal: Principal, policies: Policies) -> str | None:
    """Why the ask is refused, in AWS's words; None where it is allowed."""
    said_of_it = [statement for statement in policies.resource or () if statement.names(principal) and statement.applies(ask)]
    of_endpoint = [one for one in policies.endpoint or () if one.names(principal) and one.applies(ask)]
    of_identity = [one for one in policies.identity if one.applies(ask)]
    of_boundary = [one for one in policies.boundary or () if one.applies(ask)]
    kinds = {
        "an identity-based policy": of_identity,
        "a permissions boundary": of_boundary,
        "a VPC endpoint policy": of_endpoint,
        "a resource-based policy": said_of_it,
    }
    for kind, statements in kinds.items():
        if any(not statement.allows for statement in statements):
            return _because(ask, principal, f"with an explicit deny in {kind}")
    if policies.boundary is not None and not of_boundary:
        return _because(ask, principal, f"because no permissions boundary allows the {ask.action} action")
    if policies.endpoint is not None and not of_endpoint:
        return _because(ask, principal, f"because no VPC endpoint policy allows the {ask.action} action")
    if of_identity or any(statement.names(principal) == "itself" for statement in said_of_it):
        return None
    kind = "resource" if principal.anonymous else "identity"
    return _because(ask, principal, f"because no {kind}-based policy allows the {ask.action} action")


def _because(ask: Ask, principal: Principal, reason: str) -> str:
    where = f' on resource: "{ask.resource}"' if ask.resource != "*" else ""
    return f"User: {principal.session_arn or 'anonymous'} is not authorized to perform: {ask.action}{where} {reason}"
