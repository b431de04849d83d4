"""Evaluates a role's trust policy for an AWS service."""

from lab.cloud.iam.policies import IamRole
from lab.cloud.iam.request_context import RequestContext
from lab.cloud.iam.statements import AuthorizationRequest


def can_assume(service: str, role: IamRole, role_arn: str) -> bool:
    """Whether `service` (such as `ec2.amazonaws.com`) may assume the role."""
    ask = AuthorizationRequest(
        action="sts:AssumeRole", resource=role_arn, context=RequestContext(values={"aws:principalisawsservice": ("true",)})
    )
    applicable = [statement for statement in role.trust if statement.matches_service(service) and statement.applies(ask)]
    return bool(applicable) and all(statement.is_allow for statement in applicable)
