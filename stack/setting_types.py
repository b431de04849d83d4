"""Domain types of the configuration: each checks one kind of value, and its error carries the rule and the remedy."""

import re
from datetime import datetime
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Annotated, Final

from pydantic import AfterValidator, StrictStr
from pydantic_core import PydanticCustomError

from stack.addressing import MAX_PREFIX_LENGTH, MIN_PREFIX_LENGTH

MAX_TAGS: Final = 5

PRIVATE_NETWORKS: Final = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))

_INSTANCE_TYPE: Final = re.compile(r"(?P<family>[a-z][a-z0-9-]*)\.(?P<size>[a-z0-9-]+)")
_GRAVITON: Final = re.compile(r"a1|[a-z]+\d+[a-z]*g[a-z]*(?:-.*)?")
_XEN: Final = re.compile(r"[cmt][12]|[cmr][34]|c[cgr][12]|cc2|d2|f1|g[23]s?|h[is]?1|i[23]|p[23]|x1e?")
"""Families that run on Xen, which does not show volumes as NVMe devices; data volumes are found by the name that NVMe gives them. What
DescribeInstanceTypes says of each type (`Hypervisor`, https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceTypeInfo.html), as
moto carries it: a test holds the two together."""
_NITRO_SUCCESSORS: Final = {"t": "t3", "m": "m7i", "c": "c7i", "r": "r7i", "x": "r7i", "d": "i4i", "h": "i4i", "i": "i4i"}
_TAG: Final = re.compile(r"[\w .:/=+\-@]*")
_RESERVED_TAGS: Final = frozenset({"project", "environment", "component", "name", "host", "role", "expires", "stack-id"})


def rule_error(rule: str, remedy: str) -> PydanticCustomError:
    """The error of a value that breaks a rule."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "remedy": remedy})


def parse_cidr(text: str) -> IPv4Network:
    """Reads CIDR notation. Raises PydanticCustomError."""
    try:
        return IPv4Network(text, strict=True)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        try:
            masked = IPv4Network(text, strict=False) if "/" in text else None
        except ValueError:
            masked = None
        remedy = f"write {masked}" if masked else "write an address and a prefix length, such as 10.20.0.0/16"
        raise rule_error("an IPv4 network in CIDR notation, without bits beyond its prefix", remedy) from error


def _cidr(text: str) -> str:
    return str(parse_cidr(text))


def _vpc_cidr(text: str) -> str:
    net = parse_cidr(text)
    if not MIN_PREFIX_LENGTH <= net.prefixlen <= MAX_PREFIX_LENGTH:
        size = "small" if net.prefixlen > MAX_PREFIX_LENGTH else "large"
        raise rule_error(
            f"a network of /{MIN_PREFIX_LENGTH} to /{MAX_PREFIX_LENGTH}: it is cut into sixteen subnets; /{net.prefixlen} is too {size}",
            f"give /{min(max(net.prefixlen, MIN_PREFIX_LENGTH), MAX_PREFIX_LENGTH)} or another of that range",
        )
    if not any(net.subnet_of(private) for private in PRIVATE_NETWORKS):
        raise rule_error("a network of private addresses", "choose one within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10")
    return str(net)


def _instance_type(text: str) -> str:
    match = _INSTANCE_TYPE.fullmatch(text)
    if not match:
        raise rule_error("an EC2 instance type, family.size", "write one such as t3.small")
    if _GRAVITON.fullmatch(match["family"]):
        intel = re.sub(r"^(t)4g.*", r"\g<1>3", match["family"])
        intel = re.sub(r"^([a-z]+\d+)g", r"\g<1>i", intel)
        raise rule_error(
            "an x86-64 instance type: MySQL's own packages are x86-64 only, and this family is arm64 (Graviton)",
            f"choose an Intel or AMD type, such as {'t3' if intel == 'a1' else intel}.{match['size']}",
        )
    if match["family"].startswith("mac"):
        raise rule_error("an instance type that boots Linux: this family is Apple's, on dedicated hosts", "choose one such as t3.small")
    if _XEN.fullmatch(match["family"]) and not match["size"].startswith("metal"):
        raise rule_error(
            "an instance type of AWS's Nitro system: this family runs on Xen, where a data volume has no NVMe name and is not found",
            f"choose a newer family, such as {_NITRO_SUCCESSORS.get(match['family'][0], 'm7i')}",
        )
    return text


def _ami(text: str) -> str:
    if not re.fullmatch(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})", text):
        raise rule_error("the id of an AMI, ami- and 8 or 17 hexadecimal digits", "copy it from the AMI's page, or leave the key out")
    return text


def _tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > MAX_TAGS:
        raise rule_error(f"at most {MAX_TAGS} tags: with the stack's own they make ten, which is what an object in S3 takes", "remove some")
    for key, value in tags.items():
        if key.lower() in _RESERVED_TAGS:
            raise rule_error(f"tags that the stack does not set itself; {key!r} is one of its own", "choose another name for the tag")
        if key.lower().startswith("aws:") or not key or len(key) > 128 or not _TAG.fullmatch(key):
            raise rule_error(
                f"tag names of 1 to 128 letters, digits, spaces or .:/=+-@_, not beginning with aws:; {key!r} is none", "rename it"
            )
        if len(value) > 256 or not _TAG.fullmatch(value):
            raise rule_error(f"tag values of up to 256 letters, digits, spaces, .:/=+-@_; that of {key!r} is none", "shorten or rewrite it")
    return tags


def _policy_arn(text: str) -> str:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html; AWS's own policies have `aws` in place of an account.
    if not re.fullmatch(r"arn:aws(?:-cn|-us-gov)?:iam::(?:\d{12}|aws):policy/(?:[!-~]+/)?[\w+=,.@-]{1,128}", text, re.ASCII):
        raise rule_error("the ARN of a managed IAM policy", "write one such as arn:aws:iam::123456789012:policy/webstack-prod-boundary")
    return text


def _module(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", text, re.ASCII):
        raise rule_error("a WSGI callable, module:name", "write it as Gunicorn takes it, such as wsgi:app")
    return text


def _schema(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", text):
        raise rule_error("a schema name of 1 to 32 lowercase letters, digits and underscores, a letter first", "write one such as app")
    if text in ("mysql", "sys", "information_schema", "performance_schema"):
        raise rule_error("a schema of your own: this one is MySQL's", "write one such as app")
    return text


def _domain(text: str) -> str:
    label = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
    if len(text) > 253 or not re.fullmatch(rf"{label}(?:\.{label})+", text):
        raise rule_error("a domain name in lowercase, without a dot at its end", "write one such as shop.example.com")
    return text


def _secret_name(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z/_+=.@-]{1,512}", text):
        raise rule_error("the name of a Secrets Manager secret", "write its name, not its ARN and never its content")
    return text


def _timestamp(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise rule_error("a date and time with its zone, in ISO 8601", "write one such as 2030-01-31T18:00:00Z") from error
    if moment.tzinfo is None:
        raise rule_error("a date and time with its zone, in ISO 8601", f"write {text}Z if that is UTC")
    return text


def _directory(text: str) -> str:
    if not text or "\0" in text:
        raise rule_error("the path of a folder", "write it relative to the project's folder, such as app")
    return text


def _url_path(text: str) -> str:
    # Narrower than RFC 3986: what stands here goes into Nginx's configuration and into a request as it is.
    if len(text) > 200 or not re.fullmatch(r"/[A-Za-z0-9._~/-]*", text):
        raise rule_error("the path of a page: a slash, then letters, digits and ._~/-, at most 200 in all", "write one such as /healthz")
    if "//" in text or re.search(r"/\.{1,2}(?:/|$)", text):
        raise rule_error("the path of a page as the app gets it, without empty parts, . and ..", "write one such as /healthz")
    return text


Cidr = Annotated[StrictStr, AfterValidator(_cidr)]
VpcCidr = Annotated[StrictStr, AfterValidator(_vpc_cidr)]
InstanceType = Annotated[StrictStr, AfterValidator(_instance_type)]
Ami = Annotated[StrictStr, AfterValidator(_ami)]
Tags = Annotated[dict[StrictStr, StrictStr], AfterValidator(_tags)]
PolicyArn = Annotated[StrictStr, AfterValidator(_policy_arn)]
Module = Annotated[StrictStr, AfterValidator(_module)]
Schema = Annotated[StrictStr, AfterValidator(_schema)]
Domain = Annotated[StrictStr, AfterValidator(_domain)]
SecretName = Annotated[StrictStr, AfterValidator(_secret_name)]
Timestamp = Annotated[StrictStr, AfterValidator(_timestamp)]
Directory = Annotated[StrictStr, AfterValidator(_directory)]
UrlPath = Annotated[StrictStr, AfterValidator(_url_path)]
