"""Those who hammer at the login are told to come back later, and all others get their pages."""

from collections import Counter
from urllib.parse import urlsplit

import pytest

from stack.sections import LimitsSettings
from tests.lab import attacks
from tests.lab.harness import LabUnderTest
from tests.lab.visitors import background_browsing

pytestmark = pytest.mark.alone


def test_a_hundred_clients_at_the_login_are_told_to_come_back_later(lab: LabUnderTest) -> None:
    with attacks.addresses(4) as sources, background_browsing(lab):
        answers = attacks.log_in_flood(str(urlsplit(lab.url).hostname), sources, clients=100, tries=6)
    statuses = Counter(status for status, _ in answers)
    assert {401, 429} <= set(statuses) <= {401, 429, 0}, statuses
    allowed = len(sources) * LimitsSettings().credential_rate + 100  # a minute may begin anew once
    assert statuses[429] + statuses[0] >= len(answers) - allowed
    assert {again for status, again in answers if status == 429} <= {"1", "60"}
