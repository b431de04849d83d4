"""What breaks without that anybody who visits the site notices it."""

from tests.lab import slow_visitors
from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.load import report
from tests.lab.visitors import failed_requests, shopping_load


def test_answers_may_have_16_kb_of_headers(lab: LabUnderTest) -> None:
    with slow_visitors.deployed_pages(lab, ("web-1", "web-2")):
        for http2 in (False, True):
            with lab.http_client(http2=http2) as browser:
                answer = browser.get("/slow/headers?15")
                assert answer.status_code == 200
                assert len(answer.headers.get_list("set-cookie")) == 15


def writes_are_up(lab: LabUnderTest, host: str) -> bool:
    """Whether the database proxy of a web host knows a primary."""
    asked = [
        "import socket",
        "proxy = socket.socket(socket.AF_UNIX)",
        "proxy.connect('/run/webstack-database-proxy/admin.sock')",
        "proxy.sendall(b'show stat\\n')",
        "print(proxy.makefile().read())",
    ]
    said = lab.run_on(host, "python3", "-c", "; ".join(asked))
    return ",UP," in next(line for line in said.splitlines() if line.startswith("writes,BACKEND,"))


def test_a_migration_whose_primary_is_out_of_reach_waits_instead_of_failing_and_goes_on_by_itself(lab: LabUnderTest) -> None:
    def shown(unit: str, name: str) -> str:
        return lab.run_on("web-2", "systemctl", "show", "--property", name, "--value", unit).strip()

    given = lab.command("fault", "drop", "web-2", lab.primary()).stdout.partition(":")[0]
    try:
        wait_until(lambda: not writes_are_up(lab, "web-2"), seconds=20, what="the proxy of web-2 knows no primary")
        lab.run_on("web-2", "systemctl", "restart", "--no-block", "webstack-migrate.service")
        wait_until(
            lambda: shown("webstack-await-primary.service", "ActiveState") == "activating",
            seconds=40,
            what="the migration waits",
            every=0.1,
        )
    finally:
        lab.command("fault", "clear", given)
    wait_until(lambda: shown("webstack-app.service", "ActiveState") == "active", seconds=40, what="the app serves again")
    assert shown("webstack-migrate.service", "NRestarts") == "0"
    with lab.http_client() as browser:
        wait_until(lambda: browser.get("/api/products").headers["x-web-host"] == "web-2", seconds=30, what="web-2 serves", every=0.05)


def test_the_resolver_is_dead_for_a_minute_and_nobody_notices(lab: LabUnderTest) -> None:
    with shopping_load(lab) as load:
        load.run_for(2)
        lab.resolver("stop")
        try:
            load.run_for(60)
        finally:
            lab.resolver("start")
        load.run_for(3)
    assert failed_requests(load.outcomes, "GET") == [], report(load.outcomes)
    assert failed_requests(load.outcomes, "POST") == [], report(load.outcomes)
    assert {outcome.web_host for outcome in load.outcomes if outcome.path == "/api/products"} == {"web-1", "web-2"}
