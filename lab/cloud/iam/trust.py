"""Whether an AWS service may take a role: what the role's trust policy says of it."""

from lab.cloud.iam.facts import Facts
from lab.cloud.iam.policies import Role
from lab.cloud.iam.statements import Ask


def may_take(service: str, role: Role, role_arn: str) -> bool:
    """Whether `service` (`ec2.amazonaws.com`) may make sessions of the role."""
    ask = Ask(action="sts:AssumeRole", resource=role_arn, facts=Facts(values={"aws:principalisawsservice": ("true",)}))
    said = [statement for statement in role.trust if statement.names_service(service) and statement.applies(ask)]
    return bool(said) and all(statement.allows for statement in said)
