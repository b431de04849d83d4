"""The account's quotas."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from lab.cloud.internal_api import QUOTAS_PATH
from tests.aws.cloud.support import Network, refused


def test_the_accounts_quotas_are_shown_and_changed(api: str, network: Network) -> None:
    def ask(body: dict[str, object] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(f"{api}{QUOTAS_PATH}", data=json.dumps(body).encode() if body else None)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    before = ask()
    assert before["vcpus"] == 32
    try:
        assert ask({"vcpus": 2})["vcpus"] == 2
        network.launch()
        assert refused(network.launch) == "VcpuLimitExceeded"
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask({"cpus": 2})
    finally:
        ask(before)
