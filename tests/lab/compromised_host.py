"""What somebody would try who took a web host over: each line of the table in docs/security.md, and whether it can be done.

This is the program that runs on the host, as whoever runs it: its text is handed to the host's Python, which has boto3; PyMySQL is the
app's. It prints a JSON object: the line → true, false, or the error that nobody expected. What succeeds changes nothing for good.
"""

import concurrent.futures
import functools
import json
import os
import pathlib
import shlex
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError, NoCredentialsError

Attempt = Callable[[], bool]

ATTEMPTS: dict[str, Attempt] = {}
SITE: dict[str, Any] = {}
"""What the table's lines are about on this very site: names and addresses, from the test."""

REFUSED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403")
DENIED = (1044, 1045, 1142, 1227)
"""MySQL's: no access to the schema, no such password, no right on the table, no such privilege."""
CONNECT_TIMEOUT = 3.0
"""Seconds without an answer after which a port counts as out of reach: packets that no rule lets through are dropped without a word."""


def attempts_to(what: str) -> Callable[[Attempt], Attempt]:
    """Registers a try under the first cell of its line."""

    def register(function: Attempt) -> Attempt:
        ATTEMPTS[what] = function
        return function

    return register


# --- the host ---


@attempts_to("become root of the host")
def _root() -> bool:
    return subprocess.run([sys.executable, "-c", "import os; os.setuid(0)"], capture_output=True, check=False).returncode == 0


@attempts_to("see what others run, and end it")
def _processes() -> bool:
    for attempt in (pathlib.Path("/proc/1/cmdline").read_bytes, lambda: os.kill(1, 0)):
        try:
            attempt()
        except (PermissionError, FileNotFoundError):
            continue
        return True
    return False


def _writable(path: str) -> bool:
    """Whether a file that is there can be opened to be changed."""
    try:
        with pathlib.Path(path).open("r+b"):
            return True
    except OSError:
        return False


@attempts_to("change the app's code or libraries")
def _code() -> bool:
    return _writable("/opt/app/current/app/wsgi.py") or _writable("/opt/app/current/venv/bin/gunicorn")


@attempts_to("change the system: programs, units, accounts")
def _system() -> bool:
    return any(
        _writable(path)
        for path in ("/usr/local/lib/webstack/webstack_host/run.py", "/etc/systemd/system/webstack-app.service", "/etc/passwd")
    )


@attempts_to("read what visitors ask, in Nginx's log")
def _access_log() -> bool:
    try:
        with pathlib.Path("/var/log/nginx/access.log").open("rb"):
            return True
    except PermissionError:
        return False


@attempts_to("take away the rule that keeps users from the metadata service")
def _rule() -> bool:
    """Another rule, which is about an address that nobody has, is put in and taken out."""
    rule = ["pref", "32000", "to", "192.0.2.1", "prohibit"]
    added = subprocess.run(["ip", "rule", "add", *rule], capture_output=True, check=False)
    if added.returncode == 0:
        subprocess.run(["ip", "rule", "del", *rule], capture_output=True, check=True)
    return added.returncode == 0


# --- secrets ---


def _environment() -> dict[str, str]:
    """What the app's own process was given, and what is in the files for it and for the migration, as far as they can be read."""
    found: dict[str, str] = {}
    for path in (f"/proc/{SITE['app']}/environ", "/run/webstack/app.env", "/run/webstack/migrate.env"):
        try:
            text = pathlib.Path(path).read_text()
        except OSError:
            continue
        words = text.split("\0") if path.endswith("environ") else shlex.split(text)
        found.update({name: value for name, equals, value in (word.partition("=") for word in words) if equals})
    return found


@attempts_to("the passwords of `app_writer` and `app_reader`, and the session key")
def _own_secrets() -> bool:
    return {"DATABASE_WRITE_URL", "DATABASE_READ_URL", "SESSION_KEY"} <= set(_environment())


@attempts_to("the password of `app_migrator`")
def _migrator() -> bool:
    return "MIGRATE_DATABASE_URL" in _environment() or _allowed(
        "secretsmanager", "get_secret_value", SecretId=SITE["secrets"]["app-migrator"]
    )


@attempts_to("the databases' own passwords: replication, clone")
def _databases_secrets() -> bool:
    names = ("database-replication", "database-clone")
    return any(_allowed("secretsmanager", "get_secret_value", SecretId=SITE["secrets"][name]) for name in names)


@attempts_to("change a secret, or see which others there are")
def _change_secret() -> bool:
    secret = {"SecretId": SITE["secrets"]["app-writer"], "SecretString": "x" * 32, "VersionStages": ["webstack-try"]}
    return _allowed("secretsmanager", "put_secret_value", **secret) or _allowed("secretsmanager", "list_secrets")


# --- the account ---

_CLIENTS: dict[str, Any] = {}


def _client(service: str) -> Any:
    if service not in _CLIENTS:
        _CLIENTS[service] = boto3.client(service, region_name=SITE["region"])  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownMemberType]
    return _CLIENTS[service]


def _allowed(service: str, operation: str, **arguments: Any) -> bool:
    """Whether the host's role may make a call: false too for who has no credentials. Raises what AWS says otherwise."""
    try:
        getattr(_client(service), operation)(**arguments)
    except NoCredentialsError:
        return False
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        if code == "DryRunOperation":
            return True
        if code in REFUSED:
            return False
        raise
    return True


def _reads(key: str) -> bool:
    return _allowed("s3", "get_object", Bucket=SITE["bucket"], Key=key)


def _writes(key: str) -> bool:
    """By a call that needs the right to write an object and writes none."""
    return _allowed("s3", "create_multipart_upload", Bucket=SITE["bucket"], Key=key)


@attempts_to("the credentials of the host's role, from the metadata service")
def _credentials() -> bool:
    base = "http://169.254.169.254/latest"
    try:
        wanted = urllib.request.Request(f"{base}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        with urllib.request.urlopen(wanted, timeout=CONNECT_TIMEOUT) as answer:
            token = answer.read().decode()
        role = urllib.request.Request(f"{base}/meta-data/iam/security-credentials/", headers={"X-aws-ec2-metadata-token": token})
        with urllib.request.urlopen(role, timeout=CONNECT_TIMEOUT) as answer:
            return bool(answer.read())
    except urllib.error.URLError as error:
        if isinstance(error.reason, PermissionError):
            return False
        raise


@attempts_to("another role than the host's")
def _other_role() -> bool:
    return _allowed("sts", "assume_role", RoleArn=SITE["other_role"], RoleSessionName="try")


@attempts_to("read the app's bundles and the web tier's")
def _own_bundles() -> bool:
    return all(_reads(key) for key in SITE["bundles"])


@attempts_to("read other tiers' bundles and configuration")
def _other_bundles() -> bool:
    return any(_reads(key) for key in SITE["other_bundles"])


@attempts_to("put a bundle in the place of any")
def _write_bundles() -> bool:
    return any(_writes(key) for key in [*SITE["bundles"], *SITE["other_bundles"]])


@attempts_to("write this host's own readiness record")
def _own_record() -> bool:
    try:
        identity = _client("sts").get_caller_identity()["UserId"]
    except NoCredentialsError:
        return False
    return _writes(f"hosts/{identity}.json")


@attempts_to("read the other web hosts' readiness records")
def _tier_records() -> bool:
    return all(_reads(key) for key in SITE["tier_records"])


@attempts_to("write another host's readiness record, or read another tier's")
def _other_record() -> bool:
    listing = _allowed("s3", "list_objects_v2", Bucket=SITE["bucket"], Prefix="hosts/")
    writes = any(_writes(key) for key in [*SITE["tier_records"], *SITE["other_records"]])
    return listing or writes or any(_reads(key) for key in SITE["other_records"])


@attempts_to("read the databases' certificates")
def _certificates() -> bool:
    return os.access("/run/webstack/database-ca.pem", os.R_OK)


@attempts_to("write a database's certificate")
def _write_certificates() -> bool:
    return any(_writes(key) for key in SITE["certificates"])


@attempts_to("read or write who is primary (`database/primary.json`)")
def _primary() -> bool:
    return _reads("database/primary.json") or _writes("database/primary.json")


@attempts_to("move the site's address")
def _address() -> bool:
    return _allowed("ec2", "associate_address", AllocationId=SITE["address"], InstanceId=SITE["own"], AllowReassociation=True, DryRun=True)


@attempts_to("see, stop or change instances")
def _instances() -> bool:
    stop = _allowed("ec2", "stop_instances", InstanceIds=[SITE["own"], *SITE["others"]], DryRun=True)
    return stop or _allowed("ec2", "describe_instances")


@attempts_to("a shell on another host by Session Manager")
def _session() -> bool:
    return any(_allowed("ssm", "start_session", Target=instance) for instance in SITE["others"])


# --- the database, with every account that is known to who tries ---


def _statement(*statements: str) -> bool:
    """Whether any account that is known may do all of this on the primary. Nothing of it is kept. Raises what MySQL says otherwise."""
    known = [
        value
        for name, value in _environment().items()
        if name.endswith("DATABASE_URL") or name in ("DATABASE_WRITE_URL", "DATABASE_READ_URL")
    ]
    return any([_execute_as(urllib.parse.urlsplit(url), statements) for url in known])  # noqa: C419 - every account is tried


def _execute_as(url: urllib.parse.SplitResult, statements: tuple[str, ...]) -> bool:
    sys.path[len(sys.path) :] = [str(path) for path in pathlib.Path("/opt/app/current/venv/lib").glob("python*/site-packages")]
    os.environ.setdefault("USER", "app")  # PyMySQL asks for one when it is imported, and the app's user is in no list
    import pymysql

    password, schema = urllib.parse.unquote(url.password or ""), url.path.strip("/")
    trust = ssl.create_default_context(cafile="/run/webstack/database-ca.pem")
    # By the proxy's port for writes whoever it is: the port for reads may lead to a replica, which refuses all.
    with pymysql.connect(host="127.0.0.1", port=3306, user=url.username, password=password, database=schema, ssl=trust) as connection:
        try:
            for statement in statements:
                with connection.cursor() as cursor:
                    cursor.execute(statement)
        except pymysql.MySQLError as error:
            if error.args[0] in DENIED:
                return False
            raise
        finally:
            connection.rollback()
    return True


@attempts_to("read and change what the app has stored")
def _data() -> bool:
    return _statement("SELECT email FROM users LIMIT 1", "DELETE FROM users WHERE 1 = 0")


@attempts_to("change the app's schema")
def _schema() -> bool:
    return _statement("CREATE TABLE webstack_try (a INT)", "DROP TABLE webstack_try")


@attempts_to("other schemas, MySQL's accounts, settings and files")
def _server() -> bool:
    wishes = (
        "SELECT user FROM mysql.user",
        "CREATE USER 'webstack-try'@'localhost' ACCOUNT LOCK",
        "SET GLOBAL max_connections = @@GLOBAL.max_connections",
        "SELECT 1 INTO OUTFILE '/var/lib/mysql-files/webstack-try'",
        "STOP REPLICA",
    )
    return any([_statement(wish) for wish in wishes])  # noqa: C419 - each is tried


# --- the network ---


def _targets() -> list[tuple[str, int]]:
    """All that is reached for, at once: what does not answer is waited for."""
    ports = {
        "databases": (22, 3306, 9200, 33060),
        "web_hosts": (22, 80, 8080, 8443),
        "load_balancers": (22, 80, 443, 8080, 8443),
        "outside": (80, 443, *SITE["other_ports"]),
    }
    return [(address, port) for kind, of_kind in ports.items() for address in SITE[kind] for port in of_kind]


@functools.cache
def _reachable() -> set[tuple[str, int]]:
    def one(place: tuple[str, int]) -> bool:
        try:
            socket.create_connection(place, timeout=CONNECT_TIMEOUT).close()
        except ConnectionRefusedError:
            return True  # by the host itself: nothing listens there, and the packet arrived
        except OSError:
            return False
        return True

    places = _targets()
    with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
        return {place for place, there in zip(places, pool.map(one, places), strict=True) if there}


def _ports(kind: str) -> set[int]:
    """The ports by which any host of a kind is reached."""
    return {port for address, port in _reachable() if address in SITE[kind]}


ATTEMPTS.update(
    {
        "reach the databases' MySQL and role check (3306, 9200)": lambda: {3306, 9200} <= _ports("databases"),
        "reach anything else of the databases": lambda: bool(_ports("databases") - {3306, 9200}),
        "reach the other web hosts": lambda: bool(_ports("web_hosts")),
        "reach the load balancers' site (80, 443)": lambda: {80, 443} <= _ports("load_balancers"),
        "reach anything else of the load balancers": lambda: bool(_ports("load_balancers") - {80, 443}),
        "reach the outside by 80 and 443, wherever it is": lambda: {80, 443} <= _ports("outside"),
        "reach the outside by other ports": lambda: bool(_ports("outside") - {80, 443}),
    }
)


def main() -> None:
    """Tries every line and prints what came of it."""
    SITE.update(json.loads(sys.argv[1]))
    said: dict[str, bool | str] = {}
    for what, attempt in ATTEMPTS.items():
        try:
            said[what] = attempt()
        except Exception as error:
            said[what] = f"{type(error).__name__}: {error}"
    print(json.dumps(said))


if __name__ == "__main__":
    main()
