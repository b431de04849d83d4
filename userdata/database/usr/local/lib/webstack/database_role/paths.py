"""Where things lie on a database host: one table, so that units, code and documents can be held against it."""

from pathlib import Path

VOLUME = Path("/var/lib/mysql")
"""Where the data volume is mounted. MySQL's packages are confined to it by AppArmor, so everything mysqld reads lies below it."""

DATA_DIRECTORY = VOLUME / "data"
"""mysqld's own data directory. A folder below the mount, so that it can be replaced as a whole while key and records stay."""

TLS = VOLUME / "tls"
TLS_KEY = TLS / "key.pem"
TLS_CERTIFICATE = TLS / "certificate.pem"
"""This host's key and certificate: as old as its volume."""

TRUST_FOLDER = VOLUME / "trust"
TRUSTED_CERTIFICATES = TRUST_FOLDER / "certificates.pem"
"""The certificates of all database hosts, this one's too. The agent keeps it, so the folder is its own."""

RECORD_FOLDER = VOLUME / "webstack"
DATA_RECORD = RECORD_FOLDER / "data.json"
"""What the data directory holds (`datadir.DataRecord`)."""

RUN_FOLDER = Path("/run/webstack/database")
PREPARED = RUN_FOLDER / "prepared"
"""Made by each boot's configure step; mysql.service does not start without it."""

STOPPING = RUN_FOLDER / "stopping"
"""There while mysqld is being stopped on purpose: nobody may open this host for writes."""

ROLE_LOCK = RUN_FOLDER / "role.lock"
"""Held by whoever changes roles: the agent for one action, the stop for all its time."""

AGENT_STATUS = RUN_FOLDER / "agent.json"
"""What the agent last saw and did, for people and for readiness."""

GROWTH_FAILED = RUN_FOLDER.parent / "data-volume-not-extended"
"""Why the file system of the data volume could not be extended to the volume's size; not there while all is well. Root writes it."""

ACCOUNTS_DONE = RUN_FOLDER / "accounts-done"

SECRET_VERSIONS = RUN_FOLDER / "secrets.json"
"""Which versions of secrets this host uses and accepts, for its record; no value."""

RECEIVER_VERSION = RUN_FOLDER / "receiver-secret"
"""The version of the secret that the replica's receiver was started with."""

SOCKET = Path("/run/mysqld/mysqld.sock")
CONFIGURATION = Path("/etc/mysql/mysql.conf.d/zz-webstack.cnf")
MYSQL_KEY = Path("/usr/local/share/webstack/mysql.asc")

MYSQL_PORT = 3306
CHECK_PORT = 9200

AGENT_USER = "webstack-agent"
CHECK_USER = "webstack-check"
