"""Figures in documents that are constants of the code or settings of a server: they are the same."""

import re
import sys
from importlib import import_module
from types import ModuleType

import pytest
from gunicorn.config import Config

from ops import hosts, site_check
from stack import host_status, key_expiry, readiness_record, sanitize
from stack import site_check as up_site_check
from stack.settings import reference_rows
from tests.unit.sources import ROOT

DOCS = ROOT / "docs"


def document(name: str) -> str:
    """A document's text, its lines joined."""
    return " ".join((DOCS / name).read_text().split())


def setting(file: str, pattern: str) -> str:
    """A value in a server's configuration under userdata/."""
    [found] = re.findall(pattern, (ROOT / "userdata" / file).read_text(), re.MULTILINE)
    return found


@pytest.fixture
def host_programs(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """`webstack_host.readiness` and `webstack_host.report`."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "userdata/common/usr/local/lib/webstack")])
    return import_module("webstack_host.readiness"), import_module("webstack_host.report")


def test_how_often_hosts_report(host_programs: tuple[ModuleType, ModuleType]) -> None:
    readiness, report = host_programs
    status = document("status.md")
    assert (report.CHECK_INTERVAL, readiness.HEARTBEAT, report.FAILED_AFTER) == (5, 60, 30)
    assert "looks at its own services every five seconds" in status
    assert "else about once a minute" in status
    assert "does not for less than 30 s" in status
    longest = host_status.MAX_MISSED_RENEWALS * (readiness.HEARTBEAT + readiness.JITTER) + host_status.RENEWAL_GRACE_SECONDS
    assert 180 < longest <= 240
    assert "that was told less than four minutes ago" in status
    assert host_status.MAX_MISSED_RENEWALS == 3
    assert "three renewals in a row did not come" in status


def test_how_much_of_a_hosts_words_is_shown() -> None:
    status = document("status.md")
    assert f"more than {readiness_record.MAX_RECORD_BYTES // 1024} KB" in status
    assert f"cut after {sanitize.MAX_LENGTH:,} characters, a host's paragraph after {hosts.MAX_DETAIL_CHARS:,}" in status


def test_how_the_site_is_asked() -> None:
    assert f"by its name, for {site_check.TIMEOUT:.0f} s at most" in document("status.md")
    checks = document("checks.md")
    assert f"for up to {up_site_check.TIMEOUT:.0f} s" in checks
    assert (up_site_check.REQUIRED_PROBES, up_site_check.REQUIRED_SLOW_PROBES) == (10, 3)
    assert "ten times in a row (fewer where pages are slow: three at least)" in checks


def test_how_a_load_balancer_asks_web_hosts() -> None:
    haproxy = "load_balancer/etc/haproxy/haproxy.cfg.j2"
    often, failed, down = re.findall(r"(\d+)(m?s)", setting(haproxy, r"check (inter \S+ fastinter \S+ downinter \S+) fall 2 rise 2"))
    seconds = [int(number) / (1000 if unit == "ms" else 1) for number, unit in (often, down, failed)]
    every = "every {:g} s ({:g} s while it is down, {:g} s after a failure), ".format(*seconds)
    patience = setting(haproxy, r"^  timeout check (\d+)s$")
    assert f"{every}{patience} s for an answer" in document("checks.md")


def test_limits_of_requests() -> None:
    operating = document("operating.md")
    body = setting("web/etc/nginx/nginx.conf.j2", r"client_max_body_size (\d+)m;")
    assert f"a body of more than {body} MB | 413" in operating
    answer = setting("web/etc/nginx/conf.d/proxy.conf", r"proxy_read_timeout (\d+)s;")
    assert f"silent for {answer} s | 504" in operating
    silent = setting("load_balancer/etc/haproxy/haproxy.cfg.j2", r"^  timeout client (\d+)s$")
    assert f"a visitor who is silent for {silent} s" in operating
    # A longer line is Gunicorn's to refuse, with 431 (LimitRequestHeaders in its workers/base.py).
    assert Config().limit_request_field_size // 1000 == 8
    assert "a line of the request's header of more than 8 KB | 431" in operating


def test_what_is_said_of_versions_and_days() -> None:
    [oldest] = re.findall(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert f"`python3` ({oldest} or newer)" in (ROOT / "README.md").read_text()
    assert f"from {key_expiry.WARNING_DAYS} days before" in document("runbooks.md")


def test_the_lab_is_said_to_make_as_many_resources_as_deploying_says() -> None:
    """tests/aws/test_cli.py counts them."""
    [planned] = re.findall(r"(\d+) resources to create", document("deploying.md"))
    assert re.findall(r"(\d+) resources created", document("lab.md")) == [planned]


def test_settings_that_documents_name_exist() -> None:
    keys = {key for key, _, _ in reference_rows()}
    known = {".".join(key.partition(":")[2].split(".")[:length]) for key in keys for length in (1, 2, 3)}
    sections = {key.split(".")[0] for key in known}
    texts = "".join(path.read_text() for path in (ROOT / "README.md", *DOCS.glob("*.md")))
    named = set(re.findall(rf"`(?:webstack:)?((?:{'|'.join(sections)})\.[A-Za-z.]+)", texts))
    assert len(named) > 30
    assert named - known == set()
