"""Units of packages."""

from pathlib import Path

import pytest
from webstack_host import services

from .conftest import FakePrograms


def test_units_of_packages_are_taken_out_of_the_boot_only_where_they_are_enabled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: FakePrograms
) -> None:
    monkeypatch.setattr(services, "UNITS", tmp_path)
    services.disable_vendor_units("haproxy.service", "keepalived.service")
    assert programs.calls == []
    (tmp_path / "multi-user.target.wants").mkdir()
    (tmp_path / "multi-user.target.wants" / "haproxy.service").symlink_to("/usr/lib/systemd/system/haproxy.service")
    services.disable_vendor_units("haproxy.service", "keepalived.service")
    assert programs.calls == [["systemctl", "disable", "--now", "haproxy.service"]]
