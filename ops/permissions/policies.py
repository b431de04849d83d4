"""Lines made policies for one stack.

Sizes: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (6,144 characters a managed policy, white space not
counted; ten policies a role by default).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lab.errors import LabError
from ops.permissions.required import ConditionKind, DeployerPermission
from stack.naming import PROJECT, dns_zone_name

MAX_CHARACTERS: Final = 6144
MAX_POLICIES: Final = 10

Statement = dict[str, Any]
Document = dict[str, Any]


class PolicyError(LabError):
    """A policy cannot be made; the message says which rule is broken and what to do."""


@dataclass(frozen=True, kw_only=True)
class PolicyScope:
    """What policies are made for."""

    stack: str
    region: str
    account: str
    partition: str = "aws"
    boundary: str | None = None
    """The ARN of the permissions boundary that every role must have."""

    def expand(self, text: str) -> str:
        """A resource's pattern with the place put in."""
        names = {"partition": self.partition, "region": self.region, "account": self.account, "stack": self.stack}
        for name, value in names.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def resource_arn(self, line: DeployerPermission) -> str:
        """The resource that a line is about, as policies name it."""
        if not line.action.startswith("ec2:") or line.resource == "*":
            return self.expand(line.resource)
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html: images are of no account.
        account = "" if line.resource.startswith("image/") else self.account
        return f"arn:{self.partition}:ec2:{self.region}:{account}:{line.resource}"


def statements(permissions: Iterable[DeployerPermission], scope: PolicyScope) -> list[Statement]:
    """The statements that allow these lines and no more than their service's and condition's resources together."""
    groups: dict[tuple[str, ConditionKind, frozenset[str]], dict[str, set[str]]] = {}
    for service, condition_kind, resources, actions in _by_action(permissions, scope):
        groups.setdefault((service, condition_kind, resources), {}).setdefault("actions", set()).update(actions)
    policy_statements: list[Statement] = []
    counts: defaultdict[str, int] = defaultdict(int)
    for (service, condition_kind, resources), parts in sorted(
        groups.items(), key=lambda group: (group[0][0], group[0][1], sorted(group[0][2]))
    ):
        condition = _condition(service, condition_kind, resources, scope)
        sid = "".join(word.capitalize() for word in (service, *condition_kind.split("-"))) or "All"
        counts[sid] += 1
        statement: Statement = {
            "Sid": f"{sid}{counts[sid]}",
            "Effect": "Allow",
            "Action": sorted(parts["actions"]),
            "Resource": sorted(resources),
        }
        policy_statements.append(statement | ({"Condition": condition} if condition else {}))
    return policy_statements


def _by_action(lines: Iterable[DeployerPermission], scope: PolicyScope) -> list[tuple[str, ConditionKind, frozenset[str], set[str]]]:
    """Each action of a service and condition with its resources. EC2 binds an action to kinds of resources: there all go together.

    But what is made goes with nothing that another action is about: `CreateVpc` on `vpc/*` beside `CreateSubnet` would make subnets in any
    VPC, if AWS held the request's tags against the VPC too.
    """
    resources: defaultdict[tuple[str, ConditionKind, str], set[str]] = defaultdict(set)
    for line in lines:
        resources[line.action.partition(":")[0], line.condition, line.action].add(scope.resource_arn(line))
    rows: list[tuple[str, ConditionKind, frozenset[str], set[str]]] = []
    groups_by_condition: defaultdict[ConditionKind, list[_ActionGroup]] = defaultdict(list)
    for (service, condition_kind, action), found in sorted(resources.items()):
        if service != "ec2" or not condition_kind:
            rows.append((service, condition_kind, frozenset(found), {action}))
            continue
        excluded = resources.get((service, "own", action), set[str]()) if condition_kind == "new" else set[str]()
        group = next((one for one in groups_by_condition[condition_kind] if one.accepts(found, excluded)), None)
        if group is None:
            groups_by_condition[condition_kind].append(group := _ActionGroup())
        group.add(action, found, excluded)
    return rows + [("ec2", under, frozenset(one.resources), one.actions) for under, groups in groups_by_condition.items() for one in groups]


@dataclass
class _ActionGroup:
    """Actions that share their resources, and what none of them may be allowed here."""

    actions: set[str] = field(default_factory=set[str])
    resources: set[str] = field(default_factory=set[str])
    excluded: set[str] = field(default_factory=set[str])

    def accepts(self, resources: set[str], apart: set[str]) -> bool:
        return not (self.resources | resources) & (self.excluded | apart)

    def add(self, action: str, resources: set[str], apart: set[str]) -> None:
        self.actions.add(action)
        self.resources |= resources
        self.excluded |= apart


def _condition(
    service: str, condition_kind: ConditionKind, resources: frozenset[str], scope: PolicyScope
) -> Mapping[str, Mapping[str, Any]]:
    tags = {"project": PROJECT, "environment": scope.stack}
    of_request = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    of_resource = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    match condition_kind:
        case "new":
            return {"StringEquals": of_request}
        case "made":
            return {"StringEquals": of_request, "Null": {"ec2:CreateAction": "false"}}
        case "own":
            # IfExists: most changes of a thing give it no tags, and tags of other names are free.
            return {"StringEquals": of_resource, "StringEqualsIfExists": of_request}
        case "not-others":
            return {"StringEqualsIfExists": of_resource}
        case "untagged":
            return {"StringEquals": of_request, "Null": {"aws:ResourceTag/project": "true", "ec2:CreateAction": "true"}}
        case "bounded":
            return {"StringEquals": {"iam:PermissionsBoundary": scope.boundary}} if scope.boundary else {}
        case "ec2" | "vpc-flow-logs":
            return {"StringEquals": {"iam:PassedToService": f"{condition_kind}.amazonaws.com"}}
        case "records":
            zone, key = dns_zone_name(scope.stack), "route53:ChangeResourceRecordSetsNormalizedRecordNames"
            # Null, because for a request without the key ForAllValues holds.
            return {"ForAllValues:StringLike": {key: [zone, f"*.{zone}"]}, "Null": {key: "false"}}
        case "":
            regional = resources == frozenset({"*"}) and service in ("ec2", "logs", "secretsmanager", "ssm", "kms")
            return {"StringEquals": {"aws:RequestedRegion": scope.region}} if regional else {}


def pack_policies(policy_statements: Sequence[Statement]) -> list[Document]:
    """Policies of at most 6,144 characters, a statement too long for one being cut by its actions. Raises PolicyError."""
    pieces = [piece for statement in policy_statements for piece in _split_statement(statement)]
    documents: list[Document] = []
    for piece in sorted(pieces, key=lambda one: policy_size(_document([one])), reverse=True):
        for document in documents:
            if policy_size(_document([*document["Statement"], piece])) <= MAX_CHARACTERS:
                document["Statement"].append(piece)
                break
        else:
            documents.append(_document([piece]))
    if len(documents) > MAX_POLICIES:
        raise PolicyError(
            f"these rights make {len(documents)} policies, and a role takes {MAX_POLICIES}: ask for IAM's quota, or shorten names"
        )
    return documents


def policy_size(document: Document) -> int:
    """A policy's length as IAM counts it."""
    return len(compact_json(document))


def compact_json(document: Document) -> str:
    """A policy in its shortest form."""
    return json.dumps(document, separators=(",", ":"))


def _document(policy_statements: Sequence[Statement]) -> Document:
    return {"Version": "2012-10-17", "Statement": list(policy_statements)}


def _split_statement(statement: Statement) -> list[Statement]:
    if policy_size(_document([statement])) <= MAX_CHARACTERS:
        return [statement]
    actions: list[str] = statement["Action"]
    if len(actions) == 1:
        raise PolicyError(
            f"the statement {statement['Sid']} is longer than {MAX_CHARACTERS} characters by itself: shorten the stack's name"
        )
    half = len(actions) // 2
    parts = [(actions[:half], "a"), (actions[half:], "b")]
    return [piece for part, letter in parts for piece in _split_statement({**statement, "Sid": statement["Sid"] + letter, "Action": part})]
