"""The paths on a database host, in one table with which units, code and documents can be compared."""

from pathlib import Path

VOLUME = Path("/var/lib/mysql")
"""Where the data volume is mounted. AppArmor confines MySQL's packages to it, so everything that mysqld reads is below it."""

DATA_DIRECTORY = VOLUME / "data"
"""mysqld's own data directory. A folder below the mount, so that it can be replaced as a whole while key and records stay."""

TLS = VOLUME / "tls"
TLS_KEY = TLS / "key.pem"
TLS_CERTIFICATE = TLS / "certificate.pem"
"""This host's key and certificate, which live as long as its volume."""

TRUST_FOLDER = VOLUME / "trust"
TRUSTED_CERTIFICATES = TRUST_FOLDER / "certificates.pem"
"""The certificates of all database hosts, including this one's. The agent updates the file and owns the folder."""

RECORD_FOLDER = VOLUME / "webstack"
DATA_RECORD = RECORD_FOLDER / "data.json"
"""The record of the data directory's content (`datadir.DataRecord`)."""

RUN_FOLDER = Path("/run/webstack/database")
PREPARED = RUN_FOLDER / "prepared"
"""Made by each boot's configure step; mysql.service does not start without it."""

STOPPING = RUN_FOLDER / "stopping"
"""Exists while mysqld is being stopped on purpose: this host must not be opened for writes."""

ROLE_LOCK = RUN_FOLDER / "role.lock"
"""The lock for role changes: the agent holds it for one action, a stop from start to end."""

AGENT_STATUS = RUN_FOLDER / "agent.json"
"""The agent's last observation and action, for people and for the readiness check."""

GROWTH_FAILED = RUN_FOLDER.parent / "data-volume-not-extended"
"""Why the data volume's file system could not be extended; missing while all is well. Written by root."""

ACCOUNTS_DONE = RUN_FOLDER / "accounts-done"

SECRET_VERSIONS = RUN_FOLDER / "secrets.json"
"""The versions of secrets that this host uses and accepts, for its readiness record; it contains no values."""

RECEIVER_VERSION = RUN_FOLDER / "receiver-secret"
"""The version of the secret that the replica's receiver was started with."""

SOCKET = Path("/run/mysqld/mysqld.sock")
CONFIGURATION = Path("/etc/mysql/mysql.conf.d/zz-webstack.cnf")
MYSQL_KEY = Path("/usr/local/share/webstack/mysql.asc")

MYSQL_PORT = 3306
CHECK_PORT = 9200

AGENT_USER = "webstack-agent"
CHECK_USER = "webstack-check"
