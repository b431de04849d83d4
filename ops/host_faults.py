"""`webstack lab fault freeze|fill-disk|slow-disk`: faults of one host."""

from typing import Annotated

import typer

from lab.names import DEFAULT_LAB
from ops.faults import ForOption, inject
from ops.options import HostArgument, JsonOption, LabOption

app = typer.Typer(rich_markup_mode=None)

VolumeOption = Annotated[
    str,
    typer.Option("--volume", metavar="data|root|VOLUME-ID", help="Which disk: all data volumes, the root disk, or one volume by its id."),
]
_SPEED = "Bytes in a second: 1MB/s, 500kB/s, 64KiB/s."
_IOPS = "in a second."


@app.command()
def freeze(host: HostArgument, seconds: ForOption = None, as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Freeze a host: none of its programs runs, and nobody is told.

    Its kernel goes on, as one whose machine only hangs would: pings are answered, connections are taken and bytes acknowledged, until its
    buffers are full. The API still shows `running`. `kill`, and a stop or termination whose patience is over, end it as on EC2; what is
    started after that is not frozen. Programs run by `webstack lab exec` are not the host's own and do run.
    """
    inject(name, {"kind": "freeze", "host": host}, seconds, as_json=as_json)


@app.command("fill-disk")
def fill_disk(
    host: HostArgument, volume: VolumeOption = "data", seconds: ForOption = None, as_json: JsonOption = False, name: LabOption = DEFAULT_LAB
) -> None:
    """Fill a host's disk: whoever wants more space gets "No space left on device", root too.

    All that is free in its file system is reserved by one hidden file; nothing is written, and this machine's own disk does not fill. What
    programs had reserved themselves is theirs still, and what they free is free. A data volume stays full wherever it goes until the fault
    is taken back; it must be mounted when the fault is given.
    """
    inject(name, {"kind": "fill-disk", "host": host, "volume": volume}, seconds, as_json=as_json)


@app.command("slow-disk")
def slow_disk(
    host: HostArgument,
    write: Annotated[str | None, typer.Option("--write", metavar="SPEED", help=f"Limit of writes. {_SPEED}")] = None,
    read: Annotated[str | None, typer.Option("--read", metavar="SPEED", help=f"Limit of reads. {_SPEED}")] = None,
    write_iops: Annotated[int | None, typer.Option("--write-iops", help=f"Limit of write requests {_IOPS}")] = None,
    read_iops: Annotated[int | None, typer.Option("--read-iops", help=f"Limit of read requests {_IOPS}")] = None,
    volume: VolumeOption = "data",
    seconds: ForOption = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Slow a host's disk down, with one limit or several.

    Slow is what a program itself hands to the disk or waits for: direct reads and writes (as MySQL's), fsync, and reads of what is not in
    memory. Plain writes go to memory as fast as ever and are written back later by the kernel, which with cgroup v1 nothing slows down.
    Programs run by `webstack lab exec` are not the host's own and are not slowed down: use `exec HOST -- systemd-run --pipe COMMAND`.
    """
    limits = {"write": write, "read": read, "write_iops": write_iops, "read_iops": read_iops}
    given = {key: value for key, value in limits.items() if value is not None}
    inject(name, {"kind": "slow-disk", "host": host, "volume": volume, **given}, seconds, as_json=as_json)
