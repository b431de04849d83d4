"""What is read of this system: control group mounts, processes, hosts' words, image recipes. Pure or of this process alone."""

import hashlib
import json
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab import daemon
from lab.disk_space import NoSpaceError, require_fits, require_free
from lab.hypervisor import cgroups, cloud_init
from lab.hypervisor.cgroups import CgroupLayout, MachineCgroup, NoCgroupsError, parse_mounts
from lab.hypervisor.host_readiness import HostReadiness, evaluate_record, no_report, with_cloud_init
from lab.hypervisor.volumes import guest_device
from lab.image.recipe import Recipe
from lab.processes import Process, read_pid_file, write_pid_file
from stack.readiness_record import parse_record

_HYBRID = """\
tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/blkio cgroup rw,relatime,blkio 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""


def test_a_hybrid_system_has_a_v2_hierarchy_beside_the_controllers() -> None:
    layout = parse_mounts(_HYBRID)
    assert layout.unified == Path("/sys/fs/cgroup/unified")
    assert layout.legacy == (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/blkio"))
    assert layout.blkio == Path("/sys/fs/cgroup/blkio")
    assert len(layout.all_hierarchies) == 5


def test_a_pure_v2_system_has_one_hierarchy() -> None:
    layout = parse_mounts("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot 0 0\n")
    assert layout.unified == Path("/sys/fs/cgroup")
    assert layout.legacy == ()
    assert layout.blkio is None
    assert layout.all_hierarchies == (Path("/sys/fs/cgroup"),)


def test_a_system_without_v2_is_refused_in_words() -> None:
    with pytest.raises(NoCgroupsError, match="no cgroup v2 hierarchy is mounted"):
        parse_mounts("cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n")


def test_a_machine_has_a_group_of_its_own_in_every_hierarchy_that_a_process_can_join(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unified, cpuset, cpu = (tmp_path / name for name in ("unified", "cpuset", "cpu"))
    lab = Path("wsl-x")
    for folder in (unified, cpuset, cpu):
        for group in (folder, folder / lab, folder / lab / "i-1"):
            group.mkdir()
    for group in (unified, unified / lab, unified / lab / "i-1"):
        (group / "cgroup.controllers").write_text("")
    for name, value in (("cpuset.cpus", "0-1"), ("cpuset.mems", "0")):
        (cpuset / name).write_text(value)
        for group in (cpuset / lab, cpuset / lab / "i-1"):
            (group / name).write_text("")
    (cpu / lab / "i-1" / "cpu.shares").write_text("1024")
    monkeypatch.setattr(
        cgroups, "layout", lambda: CgroupLayout(unified=unified, legacy=(cpuset, cpu), all_hierarchies=(unified, cpuset, cpu))
    )
    machine = MachineCgroup(lab=str(lab), instance_id="i-1")
    machine.create()
    assert [(cpuset / lab / "i-1" / name).read_text() for name in ("cpuset.cpus", "cpuset.mems")] == ["0-1", "0"]
    assert int((cpu / lab / "i-1" / "cpu.shares").read_text()) > 1024
    assert machine.join_files("machine") == [
        unified / lab / "i-1" / "machine" / "cgroup.procs",
        cpuset / lab / "i-1" / "cgroup.procs",
        cpu / lab / "i-1" / "cgroup.procs",
    ]


def test_processes_are_found_while_a_guest_makes_and_removes_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "layout", lambda: CgroupLayout(unified=tmp_path, legacy=(), all_hierarchies=(tmp_path,)))
    machine = MachineCgroup(lab="wsl-x", instance_id="i-1")
    assert machine.pids() == []
    stays = machine.path / "machine"
    stays.mkdir(parents=True)
    (stays / "cgroup.procs").write_text("42\n")
    over = threading.Event()

    def come_and_go() -> None:
        services = [stays / f"{number}.service" for number in range(30)]
        while not over.is_set():
            for service in services:
                service.mkdir()
                (service / "cgroup.procs").touch()
            for service in services:
                (service / "cgroup.procs").unlink()
                service.rmdir()

    guest = threading.Thread(target=come_and_go)
    guest.start()
    try:
        assert all(machine.pids() == [42] for _ in range(300))
    finally:
        over.set()
        guest.join()


def test_a_pid_file_names_a_process_only_while_that_very_process_lives(tmp_path: Path) -> None:
    file = tmp_path / "x.pid"
    assert read_pid_file(file) is None
    write_pid_file(file, os.getpid())
    assert read_pid_file(file) == Process.of(os.getpid())
    pid, started = file.read_text().split()
    file.write_text(f"{pid} {int(started) - 1}\n")
    assert read_pid_file(file) is None, "the number has been given to another process since"
    file.write_text("nonsense")
    assert read_pid_file(file) is None


_USER_DATA = b"#cloud-config\n"
_LAUNCHED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_RECORD = {
    "user_data_sha256": hashlib.sha256(_USER_DATA).hexdigest(),
    "time": (_LAUNCHED + timedelta(seconds=9)).isoformat().replace("+00:00", "Z"),
    "state": "ready",
    "reason": "serves",
}


def test_a_hosts_word_counts_for_its_user_data_and_since_its_last_start() -> None:
    assert evaluate_record(parse_record(json.dumps(_RECORD).encode()), user_data=_USER_DATA, launched=_LAUNCHED).ready


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user_data_sha256": "0" * 64}, "current user data"),
        ({"time": "2026-01-02T03:04:04Z"}, "no report since its last start"),
        ({"time": None}, "has no time"),
        ({"state": "failed", "reason": "haproxy -c: line 3"}, "failed: haproxy -c: line 3"),
        ({"state": "starting", "reason": "fetching the bundle"}, "starting: fetching the bundle"),
    ],
)
def test_any_other_word_says_why_the_host_is_not_ready(change: dict[str, str | None], reason: str) -> None:
    word = evaluate_record(parse_record(json.dumps({**_RECORD, **change}).encode()), user_data=_USER_DATA, launched=_LAUNCHED)
    assert not word.ready
    assert reason in word.reason


def test_a_volume_has_the_name_that_nitro_shows() -> None:
    assert guest_device("vol-0123456789abcdef0") == "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"


def test_an_image_is_another_when_anything_that_decides_its_content_changes() -> None:
    recipe = Recipe(variant="baked", role_packages=("haproxy", "nginx"), ca_pem="PEM")
    others = [replace(recipe, variant="plain"), replace(recipe, role_packages=("haproxy",)), replace(recipe, ca_pem="another")]
    assert recipe.key == replace(recipe).key
    assert len({recipe.key, *(other.key for other in others)}) == 4


_COMPLAINTS = """{"v1": {"datasource": "DataSourceEc2Local", "stage": null,
    "init": {"errors": [], "recoverable_errors": {"WARNING": ["something else", "Failed loading yaml blob.\\n  Invalid format"]}},
    "modules-final": {"errors": ["('scripts-user', RuntimeError())"], "recoverable_errors": {}, "finished": 12.5}}}"""


def test_of_what_cloud_init_complains_of_broken_user_data_comes_first() -> None:
    report = cloud_init.parse(_COMPLAINTS)
    assert report.finished
    assert report.errors == ("Failed loading yaml blob. Invalid format", "('scripts-user', RuntimeError())", "something else")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"v1": 3}', '{"v1": {"init": {"errors": "no list", "recoverable_errors": []}}}'])
def test_what_is_no_record_of_cloud_init_says_nothing(text: str) -> None:
    assert cloud_init.parse(text) == cloud_init.CloudInitStatus(finished=False)


def test_a_silent_host_is_explained_by_what_else_is_known() -> None:
    booting, done = cloud_init.CloudInitStatus(finished=False), cloud_init.CloudInitStatus(finished=True)
    failed = cloud_init.CloudInitStatus(finished=True, errors=("runcmd failed", "more"))
    assert with_cloud_init(None, user_data=b"#", cloud_init=booting).reason == "no report yet"
    assert with_cloud_init(None, user_data=b"", cloud_init=done).reason.startswith("it has no user data")
    assert with_cloud_init(None, user_data=b"#", cloud_init=done).reason.startswith("its user data was applied without an error")
    assert with_cloud_init(None, user_data=b"#", cloud_init=failed).reason == "no report yet; cloud-init: runcmd failed"
    assert with_cloud_init(no_report("old"), user_data=b"#", cloud_init=done).reason == "old"
    assert with_cloud_init(no_report("old"), user_data=b"#", cloud_init=failed).reason == "old; cloud-init: runcmd failed"
    spoken = HostReadiness(ready=False, reason="configuring: Nginx does not answer")
    assert with_cloud_init(spoken, user_data=b"#", cloud_init=failed) is spoken, "the host's own word is the better one"


def test_room_is_asked_of_the_disk_that_holds_a_folder_to_be(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    require_free(folder, 1, "it")
    require_fits(folder, 1, "it")
    with pytest.raises(NoSpaceError, match=r"^it needs 1073741824\.0 GiB of free disk, and the disk that holds .*not/yet has "):
        require_free(folder, 2**60, "it")
    with pytest.raises(NoSpaceError, match=r"^volume vol-1 has 1073741824\.0 GiB, and this machine's disk"):
        require_fits(folder, 2**60, "volume vol-1")


@pytest.mark.parametrize("given", ["0", "-3", "soon", "nan", "inf"])
def test_the_daemons_patience_is_a_number_of_seconds(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        daemon.main(["unit", f"--shutdown-timeout={given}"])
    assert f"'{given}': give a number of seconds greater than 0" in capsys.readouterr().err
