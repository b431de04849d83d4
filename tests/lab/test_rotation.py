"""`webstack rotate` on a site that serves: nothing fails, every host uses the new secret, and the old one is refused afterwards."""

import json
import subprocess
import sys

import httpx

from lab.paths import REPOSITORY
from stack.secret_specs import DATABASE_SECRETS, SESSION_KEY
from tests.lab.harness import TIMEOUT_FACTOR, LabUnderTest, wait_until
from tests.lab.load import Kind, Load, report
from tests.lab.shop import any_product, buyer, reader, sign_up

NAMES = {
    "database-replication": "replication",
    "database-clone": "clone",
    "app-migrator": "app_migrator",
    "app-writer": "app_writer",
    "app-reader": "app_reader",
}
REFUSED = "ERROR 1045"


def rotate(lab: LabUnderTest, *arguments: str) -> dict[str, dict[str, dict[str, str]]]:
    """`webstack rotate`, which must succeed; what it told."""
    line = [sys.executable, "-m", "ops", "rotate", *arguments, "--lab", lab.name, "--json", "--timeout", str(int(180 * TIMEOUT_FACTOR))]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=200 * TIMEOUT_FACTOR, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(done.stdout)


def values(lab: LabUnderTest) -> dict[str, str]:
    """The current value of each of the stack's secrets, by purpose."""
    listed = lab.secrets().list_secrets(Filters=[{"Key": "name", "Values": ["webstack/dev-"]}])["SecretList"]
    names = [secret.get("Name", "") for secret in listed]
    return {name.rpartition("/")[2]: lab.secrets().get_secret_value(SecretId=name)["SecretString"] for name in names}


def refused(lab: LabUnderTest, host: str, address: str, passwords: dict[str, str]) -> set[str]:
    """The accounts, by purpose, that MySQL does not let in by these passwords, over the network as others come."""
    lines = [
        f"MYSQL_PWD={passwords[purpose]} mysql --user={NAMES[purpose]} --host={address} --ssl-mode=REQUIRED -e 'SELECT 1' 2>&1 >/dev/null"
        f" | sed 's/^/{purpose} /'"
        for purpose in DATABASE_SECRETS
    ]
    said = [line.split(" ", 1) for line in lab.run_on(host, "sh", "-c", "; ".join([*lines, "true"])).splitlines()]
    assert all(REFUSED in text for _, text in said), said
    return {purpose for purpose, _ in said}


def test_passwords_and_the_session_key_are_changed_under_load(lab: LabUnderTest) -> None:
    before = values(lab)
    with lab.http_client() as early:
        token, product = sign_up(early), any_product(early)
        clients = [(kind, shopper) for kind in Kind for shopper in (reader(), buyer(token, product))]
        with Load(base_url=lab.url, clients=clients) as load:
            told = rotate(lab, "database", "session-key")
            load.run_for(2)
        assert [outcome for outcome in load.outcomes if not outcome.succeeded] == [], report(load.outcomes)
        after = values(lab)
        assert {purpose for purpose in before if before[purpose] != after[purpose]} == {*DATABASE_SECRETS, SESSION_KEY}
        for host, facts in told["hosts"].items():
            used = dict(pair.split("=") for pair in facts.get("secrets", "").split())
            assert {purpose: ids.split(",")[0] for purpose, ids in used.items()} == {
                purpose: told["secrets"][purpose]["current"] for purpose in used
            }, host
            assert used or host.startswith("lb-")
        hosts = lab.hosts()
        for host in ("db-1", "db-2"):
            address = str(hosts[host]["private_ip"])
            # A replica refuses the old ones once it has applied what the primary did.
            wait_until(
                lambda host=host, address=address: refused(lab, host, address, before) == set(DATABASE_SECRETS),
                seconds=10,
                what=f"{host} refuses every old password",
            )
            assert refused(lab, host, address, after) == set(), host
        assert early.get("/api/session").status_code == httpx.codes.OK, "who logged in before is still logged in"
        rotate(lab, "session-key", "--revoke")
        for _ in range(6):  # whichever web host answers
            assert early.get("/api/session").status_code == httpx.codes.UNAUTHORIZED
        sign_up(early)


def test_the_program_neither_sees_a_rotation_nor_takes_it_back(lab: LabUnderTest) -> None:
    """Also after a refresh, which reads what has become of the version that the program made."""
    rotated = values(lab)
    assert "nothing to change" in lab.up().stderr
    lab.command("refresh")
    assert "nothing to change" in lab.up().stderr
    assert values(lab) == rotated
    with lab.http_client() as browser:
        assert sign_up(browser), "the app writes with what it has"
