"""The parts around the decisions: how long a replica is lost, accounts, records, the volume, packages, variables."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from botocore.exceptions import ClientError
from database_role import accounts, configuration, filesystem, install, records, volume
from database_role.ack_timer import AckTimer
from database_role.boot import DataState, PrimaryRecord
from database_role.checks import HealthInputs, evaluate
from database_role.gtid import GtidSet
from database_role.mysql import quote
from database_role.observe import parse_peer
from database_role.observed_state import LocalView, ReplicationMode
from database_role.variables import DatabaseVariables
from webstack_host import aws, config
from webstack_host.errors import PermanentError
from webstack_host.packages import AWAIT_APT
from webstack_host.run import CommandError
from webstack_host.variables import Bundle, DatabaseEndpoint

UUID = "11111111-0000-0000-0000-000000000000"
DB_1 = DatabaseVariables(
    host="db-1",
    region="eu-central-1",
    zone="dev.webstack.internal",
    bucket="artifacts",
    role_bundle=Bundle(key="roles/database/x.tar.gz", sha256="a" * 64),
    secret_prefix="webstack/dev",
    readiness_timeout=900,
    server_id=1,
    private_address="10.20.4.11",
    dns_name="db-1.dev.webstack.internal",
    databases=(DatabaseEndpoint(host="db-1", address="10.20.4.11"), DatabaseEndpoint(host="db-2", address="10.20.5.11")),
    has_replica=True,
    volume_id="vol-0123456789abcdef0",
    network_cidr="10.20.0.0/16",
    schema="app",
    semi_sync_timeout_seconds=5,
    buffer_pool_mb=512,
)
DB_2 = replace(DB_1, host="db-2", server_id=2, private_address="10.20.5.11")
CLAIM = PrimaryRecord(primary="db-1", data_id="one")


def returning(value: object) -> Callable[..., Any]:
    """A function that takes anything and gives this."""
    return lambda *_, **__: value


def server(**changes: Any) -> LocalView:
    """An open primary with its replica, with changes."""
    values: dict[str, Any] = {
        "server_uuid": UUID,
        "read_only": False,
        "super_read_only": False,
        "executed": GtidSet.parse(""),
        "semi_sync": True,
        "replicas": 1,
    }
    return LocalView(**{**values, **changes})


# --- how long a replica is lost


def test_a_replica_is_lost_from_the_moment_that_nothing_is_acknowledged_although_it_still_counts() -> None:
    watch = AckTimer()
    assert watch.seconds_without_ack(server(acknowledged=1), 0.0) == 0
    assert watch.seconds_without_ack(server(acknowledged=2, waiting=1), 1.0) == 0
    assert watch.seconds_without_ack(server(acknowledged=2, waiting=1), 4.0) == 3.0
    assert watch.seconds_without_ack(server(acknowledged=2, waiting=3), 6.0) == 5.0
    assert watch.seconds_without_ack(server(acknowledged=3, waiting=1), 6.5) == 0


def test_a_replica_that_is_not_counted_is_lost() -> None:
    watch = AckTimer()
    watch.seconds_without_ack(server(), 0.0)
    assert watch.seconds_without_ack(server(replicas=0), 2.0) == 2.0
    assert watch.seconds_without_ack(server(replicas=1), 3.0) == 0


def test_the_clock_starts_when_a_primary_opens_or_its_agent_begins() -> None:
    watch = AckTimer()
    assert watch.seconds_without_ack(server(read_only=True, replicas=0), 100.0) == 0
    assert watch.seconds_without_ack(server(replicas=0), 103.0) == 3.0
    assert AckTimer().seconds_without_ack(server(replicas=0), 500.0) == 0
    assert AckTimer().seconds_without_ack(None, 500.0) == 0


# --- accounts


def test_accounts_have_the_least_rights_that_their_work_needs() -> None:
    assert {account.name: account.grants for account in accounts.accounts("app")} == {
        "replication": ("REPLICATION SLAVE ON *.*",),
        "clone": ("BACKUP_ADMIN ON *.*",),
        "app_migrator": ("SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON `app`.*",),
        "app_writer": ("SELECT, INSERT, UPDATE, DELETE ON `app`.*",),
        "app_reader": ("SELECT ON `app`.*",),
    }


def test_every_account_needs_tls_and_comes_from_this_network() -> None:
    for account in accounts.accounts("app"):
        made = accounts.statements(account, network="10.20.0.0/16", password="it's\\secret")
        assert made[0] == f"CREATE USER IF NOT EXISTS '{account.name}'@'10.20.0.0/16' IDENTIFIED BY 'it\\'s\\\\secret' REQUIRE SSL"
        assert made[1:] == tuple(f"GRANT {grant} TO '{account.name}'@'10.20.0.0/16'" for grant in account.grants)


def test_a_string_cannot_leave_its_quotes() -> None:
    assert quote("a'; DROP DATABASE app; -- \\") == "'a\\'; DROP DATABASE app; -- \\\\'"


# --- records in the bucket


class Bucket:
    """As much of S3's client as records use."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, **call: Any) -> None:
        assert call["Bucket"] == "artifacts"
        if call.get("IfNoneMatch") == "*" and call["Key"] in self.objects:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[call["Key"]] = call["Body"]

    def get_object(self, **call: Any) -> dict[str, io.BytesIO]:
        assert call["Bucket"] == "artifacts"
        if call["Key"] not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[call["Key"]])}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    fake = Bucket()
    monkeypatch.setattr(aws, "s3", lambda: fake)
    monkeypatch.setattr(config, "load_common", lambda: DB_1)
    return fake


def test_the_first_claim_stands(bucket: Bucket) -> None:
    assert records.read_primary() is None
    assert records.create_primary(PrimaryRecord(primary="db-1", data_id="one"))
    assert not records.create_primary(PrimaryRecord(primary="db-2", data_id="two"))
    assert records.read_primary() == PrimaryRecord(primary="db-1", data_id="one")
    assert json.loads(bucket.objects["database/primary.json"])["version"] == 1


def test_a_forbidden_claim_is_not_an_absent_one(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    monkeypatch.setattr(bucket, "get_object", refused)
    with pytest.raises(ClientError, match="AccessDenied"):
        records.read_primary()


def test_a_broken_claim_is_an_error_rather_than_none(bucket: Bucket) -> None:
    bucket.objects["database/primary.json"] = b"{}"
    with pytest.raises(ValueError, match=r"database/primary.json has no field 'primary'"):
        records.read_primary()


def test_what_writes_are_worth_is_recorded_with_its_reason(bucket: Bucket) -> None:
    assert records.read_mode() is None
    records.write_mode(ReplicationMode.DEGRADED, primary="db-1", reason="no replica")
    assert records.read_mode() is ReplicationMode.DEGRADED
    assert json.loads(bucket.objects["database/replication.json"])["reason"] == "no replica"
    bucket.objects["database/replication.json"] = b'{"mode": "fine"}'
    assert records.read_mode() is None


# --- the volume


class Runs:
    """Stands for programs: remembers calls, answers by first word with (code, output), by default success."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.answers = answers
        self.calls: list[str] = []

    def __call__(self, command: list[Any], **_: Any) -> CompletedProcess[str]:
        words = [str(word) for word in command]
        self.calls.append(" ".join(words))
        code, out = self.answers.get(words[0].replace("-", "_"), (0, ""))
        return CompletedProcess(words, code, out, "")


def mount_with(monkeypatch: pytest.MonkeyPatch, runs: Runs) -> dict[str, str]:
    """Mounts a volume with these programs; returns the files written."""
    written: dict[str, str] = {}

    def write(path: Path, content: str) -> None:
        written[str(path)] = content

    monkeypatch.setattr(volume, "run", runs)
    monkeypatch.setattr(volume.files, "write", write)
    monkeypatch.setattr(volume.files, "directory", returning(None))
    volume.mount(Path("/dev/disk/by-id/x"))
    return written


def test_a_volume_is_found_by_its_id() -> None:
    assert str(volume.device("vol-0123456789abcdef0")) == "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"


def test_a_blank_volume_is_formatted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(blkid=(2, ""))
    written = mount_with(monkeypatch, runs)
    assert [call for call in runs.calls if call.startswith("mkfs")] == ["mkfs.xfs -q -L mysql-data /dev/disk/by-id/x"]
    assert "Where=/var/lib/mysql\n" in written["/etc/systemd/system/var-lib-mysql.mount"]


def test_a_volume_with_data_is_mounted_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(blkid=(0, "xfs\n"))
    mount_with(monkeypatch, runs)
    assert not [call for call in runs.calls if call.startswith("mkfs")]
    assert "systemctl start var-lib-mysql.mount" in runs.calls


@pytest.mark.parametrize(
    ("runs", "said"),
    [(Runs(blkid=(0, "ext4\n")), "holds ext4, not XFS.*left alone.*Attach"), (Runs(blkid=(8, "")), "cannot tell")],
)
def test_what_is_not_understood_is_left_alone(monkeypatch: pytest.MonkeyPatch, runs: Runs, said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        mount_with(monkeypatch, runs)
    assert not [call for call in runs.calls if call.startswith(("mkfs", "systemctl"))]


def growing_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception | None) -> bool:
    """Whether the file system follows its volume, where xfs_growfs ends so."""

    def run(command: list[Any], *, timeout: float) -> None:
        assert [str(word) for word in command] == ["xfs_growfs", "-d", "/var/lib/mysql"]
        assert timeout <= filesystem.BOOT_TIMEOUT, "MySQL waits for the boot"
        if error is not None:
            raise error

    def write(path: Path, content: str) -> None:
        path.write_text(content)

    monkeypatch.setattr(filesystem, "run", run)
    monkeypatch.setattr(filesystem.files, "write", write)
    monkeypatch.setattr(filesystem.paths, "GROWTH_FAILED", tmp_path / "failed")
    return filesystem.grow(seconds=filesystem.BOOT_TIMEOUT)


def test_a_boot_gives_an_extension_that_hangs_no_more_than_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer tries again while MySQL serves."""
    given: list[float] = []

    def follow(*, seconds: float = 120.0) -> bool:
        given.append(seconds)
        raise StopIteration

    monkeypatch.setattr(configuration.filesystem, "grow", follow)
    monkeypatch.setattr(configuration, "run", Runs())
    monkeypatch.setattr(configuration.services, "is_active", returning(False))
    monkeypatch.setattr(configuration.readiness, "publish", returning(None))
    monkeypatch.setattr(configuration.volume, "wait", returning(Path("/dev/nvme1n1")))
    monkeypatch.setattr(configuration.volume, "mount", returning(None))
    monkeypatch.setattr(configuration.records, "read_primary", returning(None))
    with pytest.raises(StopIteration):
        configuration.configure(DB_1)
    assert given == [filesystem.BOOT_TIMEOUT]
    assert filesystem.BOOT_TIMEOUT <= 10


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CommandError("xfs_growfs -d /var/lib/mysql: exit code 1\nno"), "xfs_growfs -d /var/lib/mysql: exit code 1 no"),
        (PermissionError(13, "Permission denied", "xfs_growfs"), "[Errno 13] Permission denied: 'xfs_growfs'"),
    ],
)
def test_a_file_system_that_cannot_be_extended_is_a_fact_and_no_obstacle_and_one_that_can_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, told: str
) -> None:
    assert not growing_with(monkeypatch, tmp_path, error)
    said = configuration.record_facts(DB_1, CLAIM)
    assert said["role"] == "primary"
    assert said["data_volume"].endswith(f"tried again: {told}")
    status = {"primary": True, "replica": False}
    assert evaluate(DB_1, HealthInputs(primary_record=CLAIM, status=status, agent={"mode": "lossless"}, accounts=True)).ok, (
        "MySQL serves all the same"
    )
    assert growing_with(monkeypatch, tmp_path, None)
    assert configuration.record_facts(DB_1, CLAIM) == {"role": "primary"}


@pytest.mark.parametrize("error", [CommandError("no"), None], ids=["not extended", "extended"])
def test_a_root_disk_that_takes_nothing_keeps_no_boot_from_its_mysql(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception | None
) -> None:
    (tmp_path / "failed").mkdir()  # neither written over nor removed nor read
    assert growing_with(monkeypatch, tmp_path, error) is (error is None)
    assert "failed could not be written" in capsys.readouterr().out
    assert configuration.record_facts(DB_1, CLAIM) == {"role": "primary"}


def test_a_volume_that_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(volume, "ATTACH_TIMEOUT", -1)
    with pytest.raises(TimeoutError, match="vol-0123456789abcdef0 is not attached"):
        volume.wait("vol-0123456789abcdef0", progress=said.append)
    assert said == ["waiting for volume vol-0123456789abcdef0 to be attached"]


# --- packages


def test_mysqls_repository_is_added_only_where_apt_knows_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def write(path: Path, _: str) -> None:
        written.append(str(path))

    monkeypatch.setattr(install.files, "write", write)
    monkeypatch.setattr(install, "run", Runs(apt_cache=(0, "mysql-server:\n  Installed: (none)\n  Candidate: 9.7.4-2\n")))
    install._ensure_apt_source()  # pyright: ignore[reportPrivateUsage]
    assert written == []
    monkeypatch.setattr(install, "run", Runs(apt_cache=(0, "mysql-server:\n  Installed: (none)\n  Candidate: (none)\n")))
    with pytest.raises(RuntimeError, match=r"can this host reach repo\.mysql\.com"):
        install._ensure_apt_source()  # pyright: ignore[reportPrivateUsage]
    assert written == ["/etc/apt/sources.list.d/mysql.sources"]


def test_the_repository_is_the_lts_release_for_debian_13_signed_by_the_key_in_the_bundle() -> None:
    key = Path(__file__).parents[3] / "userdata/database" / str(install.paths.MYSQL_KEY).lstrip("/")
    assert "Suites: trixie\nComponents: mysql-9.7-lts\n" in install.REPOSITORY
    assert f"Signed-By: {install.paths.MYSQL_KEY}\n" in install.REPOSITORY
    assert key.read_text().startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")


class Dpkg:
    """Stands for apt and dpkg: setting the server up fails as often as told."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.state = ""
        self.calls: list[str] = []

    def __call__(self, command: list[Any], **_: Any) -> CompletedProcess[str]:
        words = [str(word) for word in command]
        self.calls.append(" ".join(words))
        out = ""
        if words[0] == "dpkg-query" and self.state:
            out = f"mysql-common installed\nmysql-community-server {self.state}\n"
        if words[0] == "apt-cache":
            out = "  Candidate: 9.7.4-2\n"
        if words[0] == "unshare":
            self.state = "half-configured" if self.failures else "installed"
            self.failures -= 1
            if self.failures >= 0:
                raise install.CommandError("apt-get: exit code 100")
        return CompletedProcess(words, 0, out, "")


@pytest.fixture
def bare_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host without a server; gives the log that an installation writes."""
    monkeypatch.setattr(install, "SCRATCH", tmp_path / "scratch")
    monkeypatch.setattr(install, "ERROR_LOG", tmp_path / "error.log")
    monkeypatch.setattr(install.files, "directory", returning(None))
    monkeypatch.setattr(install.services, "disable_vendor_units", returning(None))
    monkeypatch.setattr(install.shutil, "which", returning(None))
    return tmp_path / "error.log"


def test_a_server_whose_setting_up_fails_is_set_up_once_more(monkeypatch: pytest.MonkeyPatch, bare_host: Path) -> None:
    dpkg = Dpkg(failures=1)
    monkeypatch.setattr(install, "run", dpkg)
    install.install()
    assert [call.rpartition(" sh ")[2].split()[2:] for call in dpkg.calls if call.startswith("unshare")][1] == [
        AWAIT_APT,
        "dpkg",
        "--configure",
        "--pending",
    ]
    assert dpkg.calls[-1] == f"{AWAIT_APT} apt-mark hold mysql-common mysql-community-server"


def test_whatever_takes_a_lock_of_apts_waits_for_all_of_them(monkeypatch: pytest.MonkeyPatch, bare_host: Path) -> None:
    dpkg = Dpkg(failures=1)
    monkeypatch.setattr(install, "run", dpkg)
    candidates = iter([False, True])
    monkeypatch.setattr(install, "_candidate", lambda: next(candidates))
    install.install()
    locking = [call.split() for call in dpkg.calls if {"apt-get", "dpkg", "apt-mark"} & set(call.split())]
    assert len(locking) == 4
    for words in locking:
        assert AWAIT_APT in words
        assert words[words.index(AWAIT_APT) + 1] in ("apt-get", "dpkg", "apt-mark")


def test_a_server_that_cannot_be_set_up_is_shown_with_its_own_words(monkeypatch: pytest.MonkeyPatch, bare_host: Path) -> None:
    bare_host.write_text("[ERROR] [MY-012574] Unable to lock ./ibdata1\n")
    monkeypatch.setattr(install, "run", Dpkg(failures=2))
    with pytest.raises(install.CommandError, match="Unable to lock"):
        install.install()


def test_what_an_earlier_boot_left_half_done_is_finished(monkeypatch: pytest.MonkeyPatch, bare_host: Path) -> None:
    dpkg = Dpkg(failures=0)
    dpkg.state = "half-configured"
    monkeypatch.setattr(install.shutil, "which", returning("/usr/sbin/mysqld"))
    monkeypatch.setattr(install, "run", dpkg)
    assert not install.installed()
    install.install()
    assert install.installed()
    assert not any("install mysql-server" in call for call in dpkg.calls)


def test_the_variables_name_the_other_host_only_where_a_replica_is_configured() -> None:
    assert DB_1.peer is not None
    assert DB_1.peer.host == "db-2"
    assert replace(DB_1, has_replica=False, databases=DB_1.databases[:1]).peer is None


def test_a_peers_status_is_read_as_a_view() -> None:
    seen = parse_peer(
        "db-2",
        {"data": "recipient", "writable": False, "executed": f"{UUID}:1-3", "received": "", "receiver": "OFF", "stopping": True},
    )
    assert (seen.data, seen.executed.count(), seen.receiving, seen.stopping) == (DataState.CLONE_TARGET, 3, False, True)
