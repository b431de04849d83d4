"""Condition operators.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html and, for `ForAllValues` and
`ForAnyValue`, https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

import base64
import datetime
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lab.cloud.iam.facts import Facts
from lab.cloud.iam.patterns import NoValueError, Text, UnknownValueError, fill

Compare = Callable[[Text, str], bool]
"""Whether a request's value is what the policy names. Raises ValueError where the two cannot be compared."""


@dataclass(frozen=True)
class _Operator:
    compare: Compare
    negated: bool = False


def holds(operator: str, key: str, wanted: Sequence[str], facts: Facts, *, variables: bool) -> bool | None:
    """Whether one line of a Condition block is met; None where the lab cannot tell.

    `variables`: whether the policy's version knows policy variables.
    """
    values = facts.of(key)
    if values is None:
        return None
    quantifier, _, rest = operator.rpartition(":")
    name = rest.lower()
    if name == "null":
        return (not values) in {text.lower() == "true" for text in wanted}
    if_exists = name.endswith("ifexists")
    found = _OPERATORS.get(name.removesuffix("ifexists"))
    if found is None:
        return None
    try:
        texts = [fill(text, facts if variables else None) for text in wanted]
        # Neither quantifier minds IfExists: it is asked of each value, and there each value exists.
        match quantifier.lower():
            case "forallvalues":
                return all(_meets(found, texts, value) for value in values)
            case "foranyvalue":
                return any(_meets(found, texts, value) for value in values)
            case "":
                pass
            case _:
                return None
        if not values:
            return if_exists or found.negated
        met = [_meets(found, texts, value) for value in values]
        return all(met) if found.negated else any(met)
    except NoValueError:
        return False
    except (UnknownValueError, ValueError):
        return None


def _meets(operator: _Operator, texts: Sequence[Text], value: str) -> bool:
    return any(operator.compare(text, value) for text in texts) is not operator.negated


def _numeric(compare: Callable[[float, float], bool]) -> Compare:
    return lambda text, value: compare(float(value), float(text.plain))


def _dated(compare: Callable[[float, float], bool]) -> Compare:
    return lambda text, value: compare(_moment(value), _moment(text.plain))


def _moment(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time or of such seconds."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _same_bytes(text: Text, value: str) -> bool:
    return base64.b64decode(text.plain, validate=True) == base64.b64decode(value, validate=True)


def _in_network(text: Text, value: str) -> bool:
    address, network = ipaddress.ip_address(value), ipaddress.ip_network(text.plain, strict=False)
    return address.version == network.version and address in network


def _true_or_false(text: Text, value: str) -> bool:
    return text.plain.lower() == value.lower()


_POSITIVE: Mapping[str, Compare] = {
    "stringequals": lambda text, value: text.plain == value,
    "stringequalsignorecase": lambda text, value: text.plain.lower() == value.lower(),
    "stringlike": lambda text, value: text.matches(value),
    "numericequals": _numeric(lambda value, limit: value == limit),
    "dateequals": _dated(lambda value, limit: value == limit),
    "ipaddress": _in_network,
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
_LIMITS: Mapping[str, Callable[[float, float], bool]] = {
    "lessthan": lambda value, limit: value < limit,
    "lessthanequals": lambda value, limit: value <= limit,
    "greaterthan": lambda value, limit: value > limit,
    "greaterthanequals": lambda value, limit: value >= limit,
}
_OPERATORS: Mapping[str, _Operator] = {
    **{name: _Operator(compare) for name, compare in _POSITIVE.items()},
    **{name: _Operator(_POSITIVE[positive], negated=True) for name, positive in _NEGATED.items()},
    **{f"numeric{name}": _Operator(_numeric(compare)) for name, compare in _LIMITS.items()},
    **{f"date{name}": _Operator(_dated(compare)) for name, compare in _LIMITS.items()},
    "bool": _Operator(_true_or_false),
    "binaryequals": _Operator(_same_bytes),
}
