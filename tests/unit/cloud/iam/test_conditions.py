"""Condition operators, by the cases of AWS's documentation.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

import pytest

from lab.cloud.iam.conditions import evaluate_condition
from lab.cloud.iam.request_context import RequestContext

TAGS = "aws:TagKeys"
ALL, ANY = "ForAllValues:", "ForAnyValue:"


def met(operator: str, wanted: list[str], values: list[str], *, key: str = "test:key", **others: str) -> bool | None:
    facts = {key.lower(): tuple(values), **{f"aws:{name}": (value,) for name, value in others.items()}}
    return evaluate_condition(operator, key, wanted, RequestContext(values=facts), with_variables=True)


@pytest.mark.parametrize(
    ("operator", "wanted", "value", "expected"),
    [
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", ["a"], "A", False),
        ("StringEquals", ["a*"], "ab", False),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringNotEquals", ["a", "b"], "c", True),
        ("StringEqualsIgnoreCase", ["JohnDoe"], "johndoe", True),
        ("StringNotEqualsIgnoreCase", ["JohnDoe"], "johndoe", False),
        ("StringLike", ["database/*"], "database/certificates/", True),
        ("StringLike", ["database/*"], "database", False),
        ("StringLike", ["a?c"], "abc", True),
        ("StringLike", ["a.c"], "abc", False),
        ("StringLike", ["a*"], "a\nb", True),
        ("StringNotLike", ["a*", "b*"], "b1", False),
        ("StringNotLike", ["a*", "b*"], "c1", True),
        ("NumericEquals", ["10"], "10.0", True),
        ("NumericNotEquals", ["10"], "10", False),
        ("NumericLessThan", ["10"], "9", True),
        ("NumericLessThan", ["10"], "10", False),
        ("NumericLessThanEquals", ["10"], "10", True),
        ("NumericGreaterThan", ["10"], "10", False),
        ("NumericGreaterThanEquals", ["10"], "10", True),
        ("DateEquals", ["2026-07-01T00:00:00Z"], "1782864000", True),
        ("DateNotEquals", ["2026-07-01T00:00:00Z"], "2026-07-01T00:00:00Z", False),
        ("DateGreaterThan", ["2026-07-01T00:00:00Z"], "2026-11-24T17:00:00Z", True),
        ("DateLessThan", ["2026-07-01T00:00:00Z"], "2026-11-24T17:00:00Z", False),
        ("DateLessThanEquals", ["2026-07-01"], "2026-07-01T00:00:00Z", True),
        ("DateGreaterThanEquals", ["2026-07-01T02:00:00+02:00"], "2026-07-01T00:00:00Z", True),
        ("Bool", ["false"], "false", True),
        ("Bool", ["false"], "true", False),
        ("Bool", ["True"], "true", True),
        ("BinaryEquals", ["QmluYXJ5VmFsdWVJbkJhc2U2NA=="], "QmluYXJ5VmFsdWVJbkJhc2U2NA==", True),
        ("BinaryEquals", ["QQ=="], "Qg==", False),
        ("IpAddress", ["203.0.113.0/24", "2001:DB8:1234:5678::/64"], "203.0.113.9", True),
        ("IpAddress", ["203.0.113.0/24", "2001:DB8:1234:5678::/64"], "2001:db8:1234:5678::1", True),
        ("IpAddress", ["203.0.113.7"], "203.0.113.8", False),
        ("NotIpAddress", ["203.0.113.0/24"], "203.0.113.9", False),
        ("NotIpAddress", ["203.0.113.0/24"], "198.51.100.1", True),
        ("ArnEquals", ["arn:aws:sns:*:123456789012:t"], "arn:aws:sns:eu-west-1:123456789012:t", True),
        ("ArnLike", ["arn:aws:sns:*:*:t"], "arn:aws:sns:eu-west-1:123456789012:t:1", False),
        ("ArnLike", ["arn:aws:sns:*:*:t?"], "arn:aws:sns:eu-west-1:123456789012:t1", True),
        ("ArnNotLike", ["arn:aws:sns:*:*:*"], "arn:aws:sns:eu-west-1:123456789012:t", False),
        ("ArnNotEquals", ["arn:aws:sqs:*:*:*"], "arn:aws:sns:eu-west-1:123456789012:t", True),
        ("Null", ["true"], "x", False),
        ("Null", ["false"], "x", True),
    ],
)
def test_a_value_that_the_request_has(operator: str, wanted: list[str], value: str, expected: bool) -> None:
    assert met(operator, wanted, [value]) is expected
    if operator != "Null":
        assert met(f"{operator}IfExists", wanted, [value]) is expected, "with a value IfExists makes no difference"


@pytest.mark.parametrize(
    ("operator", "wanted", "values", "expected"),
    [
        ("StringNotEquals", ["a"], ["a", "b"], False),
        ("StringNotEquals", ["a", "b"], ["b", "c"], False),
        ("StringNotEquals", ["a"], ["b", "c"], True),
        ("StringNotLike", ["a*"], ["a1", "b"], False),
        ("ArnNotLike", ["arn:aws:sns:*:*:t"], ["arn:aws:sns:eu-west-1:1:t", "arn:aws:sns:eu-west-1:1:u"], False),
        ("NotIpAddress", ["203.0.113.0/24"], ["203.0.113.9", "198.51.100.1"], False),
        ("StringEquals", ["a"], ["a", "b"], True),
        ("StringNotEqualsIfExists", ["a"], ["a", "b"], False),
    ],
)
def test_of_several_values_without_a_quantifier_a_negated_operator_asks_all(
    operator: str, wanted: list[str], values: list[str], expected: bool
) -> None:
    assert met(operator, wanted, values) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("StringEquals", False),
        ("StringLike", False),
        ("NumericLessThan", False),
        ("DateGreaterThan", False),
        ("Bool", False),
        ("BinaryEquals", False),
        ("IpAddress", False),
        ("ArnLike", False),
        ("StringNotEquals", True),
        ("StringNotLike", True),
        ("NumericNotEquals", True),
        ("DateNotEquals", True),
        ("NotIpAddress", True),
        ("ArnNotLike", True),
        ("StringEqualsIfExists", True),
        ("StringLikeIfExists", True),
        ("BoolIfExists", True),
        ("NumericLessThanIfExists", True),
        ("StringNotEqualsIfExists", True),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringNotEquals", False),
        ("ForAnyValue:StringEqualsIfExists", False),
        ("ForAllValues:StringNotEquals", True),
    ],
)
def test_a_key_that_the_request_has_not(operator: str, expected: bool) -> None:
    assert met(operator, ["2026-01-01"], []) is expected


def test_null_asks_for_the_key_itself() -> None:
    assert met("Null", ["true"], []) is True
    assert met("Null", ["false"], []) is False


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        (ALL + "StringEquals", ["DataClass", "Owner"], True),
        (ALL + "StringEquals", ["DataClass"], True),
        (ALL + "StringEquals", ["DataClass", "Dept"], False),
        (ANY + "StringEquals", ["DataClass", "Dept"], True),
        (ANY + "StringEquals", ["Dept"], False),
        (ALL + "StringNotEquals", ["Dept"], True),
        (ALL + "StringNotEquals", ["DataClass", "Dept"], False),
        (ANY + "StringNotEquals", ["DataClass", "Dept"], True),
        (ANY + "StringNotEquals", ["DataClass", "Owner"], False),
        (ALL + "StringLikeIfExists", ["Owner"], True),
    ],
)
def test_keys_of_several_values(operator: str, values: list[str], expected: bool) -> None:
    assert met(operator, ["DataClass", "Owner"], values, key=TAGS) is expected


def test_policy_variables_stand_for_the_requests_values() -> None:
    assert met("StringEquals", ["${aws:userid}"], ["AROA1:i-1"], userid="AROA1:i-1") is True
    assert met("StringLike", ["home/${aws:userid}/*"], ["home/AROA1:i-1/x"], userid="AROA1:i-1") is True
    assert met("StringLike", ["home/${aws:userid}/*"], ["home/AROA2:i-2/x"], userid="AROA1:i-1") is False
    assert met("StringLike", ["${aws:userid}"], ["anything"], userid="*") is False, "a value's own star is no wildcard"
    assert met("StringLike", ["a${*}b"], ["a*b"]) is True
    assert met("StringLike", ["a${*}b"], ["axb"]) is False


def test_a_variable_without_a_value_meets_nothing_but_its_default() -> None:
    assert met("StringEquals", ["${aws:username}"], ["x"]) is False
    assert met("StringNotEquals", ["${aws:username}"], ["x"]) is False, "the whole statement is void"
    assert met("StringEquals", ["${aws:username, 'nobody'}"], ["nobody"]) is True


@pytest.mark.parametrize("operator", ["StringNotEquals", "StringEqualsIfExists", "Null", "ForAllValues:StringEquals"])
def test_of_a_key_that_the_lab_does_not_work_out_nothing_is_said(operator: str) -> None:
    assert evaluate_condition(operator, "ec2:ResourceTag/team", ["true"], RequestContext(values={}), with_variables=True) is None
    assert (
        evaluate_condition(
            "StringLike", "aws:userid", ["${ec2:ResourceTag/team}"], RequestContext(values={"aws:userid": ("a",)}), with_variables=True
        )
        is None
    )


def test_what_cannot_be_compared_is_left_open() -> None:
    assert met("NumericLessThan", ["10"], ["ten"]) is None
    assert met("IpAddress", ["nonsense"], ["203.0.113.1"]) is None
    assert met("ArnLike", ["arn:aws:sns:*:t"], ["arn:aws:sns:eu-west-1:123456789012:t"]) is None
    assert met("StringAlmostEquals", ["a"], ["a"]) is None
    assert met("ForEachValue:StringEquals", ["a"], ["a"]) is None
