"""mysqld's data directory: its content, according to a record beside it, and the creation of a new one."""

import json
import shutil
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from webstack_host import files
from webstack_host.run import run

from . import paths
from .boot import DataState
from .clock import utc_timestamp

LOCAL_ACCOUNTS = f"""SET sql_log_bin=0;
INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';
ALTER USER 'root'@'localhost' IDENTIFIED WITH auth_socket;
CREATE USER '{paths.AGENT_USER}'@'localhost' IDENTIFIED WITH auth_socket;
GRANT CLONE_ADMIN, SYSTEM_VARIABLES_ADMIN, REPLICATION_SLAVE_ADMIN, CONNECTION_ADMIN, REPLICATION CLIENT, RELOAD ON *.*
 TO '{paths.AGENT_USER}'@'localhost';
GRANT SELECT ON performance_schema.* TO '{paths.AGENT_USER}'@'localhost';
CREATE USER '{paths.CHECK_USER}'@'localhost' IDENTIFIED WITH auth_socket;
GRANT REPLICATION CLIENT ON *.* TO '{paths.CHECK_USER}'@'localhost';
GRANT SELECT ON performance_schema.* TO '{paths.CHECK_USER}'@'localhost';
"""
"""The local accounts that every server has from its first start, authenticated by system user. They are not in the binary log, because each
server makes them (and a clone contains the same)."""


@dataclass(frozen=True, kw_only=True)
class DataRecord:
    """The content of the data directory, and since when.

    `data_id` identifies one creation of a database; the claim in the bucket contains it too. `cloned_before` is the start time of the last
    clone made before this host became a clone target again: its success says nothing about the next one.
    """

    data: DataState
    data_id: str = ""
    reason: str = ""
    cloned_before: str = ""


def read(path: Path = paths.DATA_RECORD) -> DataRecord:
    """Returns the record; a blank one if there is none. Raises ValueError if it is invalid: then nothing may be assumed about the data."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return DataRecord(data=DataState.BLANK)
    return DataRecord(
        data=DataState(found["data"]),
        data_id=found.get("data_id", ""),
        reason=found.get("reason", ""),
        cloned_before=found.get("cloned_before", ""),
    )


def write(record: DataRecord, path: Path = paths.DATA_RECORD) -> None:
    """Replaces the record durably, with its folder's owner."""
    body = {**asdict(record), "data": record.data.value, "time": utc_timestamp()}
    files.write(path, json.dumps(body, indent=2) + "\n", owner=paths.AGENT_USER, group=paths.AGENT_USER)


def set_state(data: DataState, reason: str) -> None:
    """Changes the state in the record."""
    write(replace(read(), data=data, reason=reason))


def create_folders() -> None:
    """Makes the folders of a mounted volume, with their owners. The mount itself is root's and readable, so that others reach theirs."""
    files.directory(paths.VOLUME)
    files.directory(paths.TLS)
    files.directory(paths.TRUST_FOLDER, owner=paths.AGENT_USER, group=paths.AGENT_USER)
    files.directory(paths.RECORD_FOLDER, owner=paths.AGENT_USER, group=paths.AGENT_USER)
    files.directory(paths.RUN_FOLDER.parent)
    files.directory(paths.RUN_FOLDER, owner=paths.AGENT_USER, group=paths.AGENT_USER)
    files.write(paths.ROLE_LOCK, "", owner=paths.AGENT_USER, group=paths.AGENT_USER)


def initialise(data: DataState, reason: str) -> None:
    """Makes a new, empty server in place of any unfinished one, and records it as `data` once it is complete.

    Raises RuntimeError if the record says that this volume has the stack's data, which is never deleted here.
    """
    if read().data is DataState.SEEDED:
        raise RuntimeError("refusing to make a new database over the stack's data")
    paths.DATA_RECORD.unlink(missing_ok=True)
    shutil.rmtree(paths.DATA_DIRECTORY, ignore_errors=True)
    files.directory(paths.DATA_DIRECTORY, owner="mysql", group="mysql", mode=0o750)
    init = paths.RECORD_FOLDER / "accounts.sql"
    files.write(init, LOCAL_ACCOUNTS, group="mysql")
    run(
        ["mysqld", f"--defaults-file={paths.CONFIGURATION}", "--initialize-insecure", "--user=mysql", f"--init-file={init}"],
        timeout=600,
    )
    write(DataRecord(data=data, data_id=str(uuid.uuid4()) if data is DataState.INITIALISED else "", reason=reason))
