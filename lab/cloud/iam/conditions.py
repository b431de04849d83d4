"""Condition operators.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html and, for `ForAllValues` and
`ForAnyValue`, https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

import base64
import datetime
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lab.cloud.iam.patterns import MissingValueError, PolicyPattern, UnsupportedValueError, substitute_variables
from lab.cloud.iam.request_context import RequestContext

Comparator = Callable[[PolicyPattern, str], bool]
"""Whether a request's value matches the policy's. Raises ValueError if the two cannot be compared."""


@dataclass(frozen=True)
class _Operator:
    compare: Comparator
    negated: bool = False


def evaluate_condition(operator: str, key: str, expected: Sequence[str], context: RequestContext, *, with_variables: bool) -> bool | None:
    """Returns whether one line of a Condition block is met, or None if the lab cannot tell.

    `with_variables`: whether the policy's version supports policy variables.
    """
    values = context.get(key)
    if values is None:
        return None
    quantifier, _, rest = operator.rpartition(":")
    name = rest.lower()
    if name == "null":
        return (not values) in {text.lower() == "true" for text in expected}
    if_exists = name.endswith("ifexists")
    found = _OPERATORS.get(name.removesuffix("ifexists"))
    if found is None:
        return None
    try:
        texts = [substitute_variables(text, context if with_variables else None) for text in expected]
        # IfExists has no effect with a quantifier: the operator is applied to each value, and each value exists.
        match quantifier.lower():
            case "forallvalues":
                return all(_matches(found, texts, value) for value in values)
            case "foranyvalue":
                return any(_matches(found, texts, value) for value in values)
            case "":
                pass
            case _:
                return None
        if not values:
            return if_exists or found.negated
        met = [_matches(found, texts, value) for value in values]
        return all(met) if found.negated else any(met)
    except MissingValueError:
        return False
    except (UnsupportedValueError, ValueError):
        return None


def _matches(operator: _Operator, texts: Sequence[PolicyPattern], value: str) -> bool:
    return any(operator.compare(text, value) for text in texts) is not operator.negated


def _numeric(compare: Callable[[float, float], bool]) -> Comparator:
    return lambda text, value: compare(float(value), float(text.literal))


def _by_date(compare: Callable[[float, float], bool]) -> Comparator:
    return lambda text, value: compare(_timestamp(value), _timestamp(text.literal))


def _timestamp(text: str) -> float:
    """Returns seconds since 1970, from an ISO 8601 time or a number of seconds."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _same_bytes(text: PolicyPattern, value: str) -> bool:
    return base64.b64decode(text.literal, validate=True) == base64.b64decode(value, validate=True)


def _in_cidr(text: PolicyPattern, value: str) -> bool:
    address, network = ipaddress.ip_address(value), ipaddress.ip_network(text.literal, strict=False)
    return address.version == network.version and address in network


def _same_bool(text: PolicyPattern, value: str) -> bool:
    return text.literal.lower() == value.lower()


_POSITIVE: Mapping[str, Comparator] = {
    "stringequals": lambda text, value: text.literal == value,
    "stringequalsignorecase": lambda text, value: text.literal.lower() == value.lower(),
    "stringlike": lambda text, value: text.matches(value),
    "numericequals": _numeric(lambda value, limit: value == limit),
    "dateequals": _by_date(lambda value, limit: value == limit),
    "ipaddress": _in_cidr,
    "arnequals": lambda text, value: text.matches_arn(value),
    "arnlike": lambda text, value: text.matches_arn(value),
}
_NEGATED: Mapping[str, str] = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "lessthan": lambda value, limit: value < limit,
    "lessthanequals": lambda value, limit: value <= limit,
    "greaterthan": lambda value, limit: value > limit,
    "greaterthanequals": lambda value, limit: value >= limit,
}
_OPERATORS: Mapping[str, _Operator] = {
    **{name: _Operator(compare) for name, compare in _POSITIVE.items()},
    **{name: _Operator(_POSITIVE[positive], negated=True) for name, positive in _NEGATED.items()},
    **{f"numeric{name}": _Operator(_numeric(compare)) for name, compare in _COMPARISONS.items()},
    **{f"date{name}": _Operator(_by_date(compare)) for name, compare in _COMPARISONS.items()},
    "bool": _Operator(_same_bool),
    "binaryequals": _Operator(_same_bytes),
}
