"""What calls of Route 53 need, by the table of AWS's service authorization reference."""

from lab.cloud.calls import HttpRequest
from tests.unit.cloud.iam.service_calls import CHANGES, found


def test_a_change_of_records_tells_their_names_as_route_53_compares_them() -> None:
    (need,) = found(
        "route53", HttpRequest(method="POST", host="route53.amazonaws.com", path="/2013-04-01/hostedzone/Z1/rrset", body=CHANGES)
    )
    start = "route53:changeresourcerecordsets"
    expected = {"normalizedrecordnames": "web.dev.webstack.internal", "recordtypes": "A", "actions": "UPSERT"}
    assert need.context == {f"{start}{key}": (value,) for key, value in expected.items()}
