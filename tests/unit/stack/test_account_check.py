"""Whether the account of the credentials is one that the settings allow."""

from collections.abc import Mapping

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from stack.account_check import account_problems

OURS, OTHER = "123456789012", "210987654321"


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"allowedAccountIds": f'["{OTHER}"]'}, "aws:allowedAccountIds"),
        ({"forbiddenAccountIds": f'["{OTHER}", "{OURS}"]'}, "aws:forbiddenAccountIds"),
        ({"allowedAccountIds": f'["{OURS}"]', "forbiddenAccountIds": f'["{OURS}"]'}, "aws:forbiddenAccountIds"),
    ],
)
def test_another_account_is_a_mistake_of_the_setting_that_refuses_it(settings: Mapping[str, object], key: str) -> None:
    (problem,) = account_problems(settings, lambda: OURS)
    assert problem.key == key
    assert f"AWS account ID not allowed: {OURS}" in problem.rule
    assert problem.value in settings.values()


@pytest.mark.parametrize(
    "settings",
    [
        {"allowedAccountIds": f'["{OTHER}", "{OURS}"]'},
        {"forbiddenAccountIds": f'["{OTHER}"]', "allowedAccountIds": f'["{OURS}"]'},
    ],
)
def test_an_account_that_is_allowed_passes(settings: Mapping[str, object]) -> None:
    assert account_problems(settings, lambda: OURS) == []


@pytest.mark.parametrize("settings", [{}, {"allowedAccountIds": "[]"}, {"region": "eu-central-1"}])
def test_nobody_is_asked_where_no_account_is_listed(settings: Mapping[str, object]) -> None:
    def unasked() -> str:
        raise AssertionError("STS is asked")

    assert account_problems(settings, unasked) == []


@pytest.mark.parametrize("error", [NoCredentialsError(), ClientError({"Error": {"Code": "AccessDenied"}}, "GetCallerIdentity")])
def test_without_an_answer_the_provider_decides(error: Exception) -> None:
    def failing() -> str:
        raise error

    assert account_problems({"allowedAccountIds": f'["{OTHER}"]'}, failing) == []
