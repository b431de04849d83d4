"""Where things lie on a database host: one table, so that units, code and documents can be held against it."""

from pathlib import Path

VOLUME = Path("/var/lib/mysql")
"""Where the data volume is mounted. MySQL's packages are confined to it by AppArmor, so everything mysqld reads lies below it."""

DATA = VOLUME / "data"
"""mysqld's own data directory. A folder below the mount, so that it can be replaced as a whole while key and records stay."""

TLS = VOLUME / "tls"
TLS_KEY = TLS / "key.pem"
TLS_CERTIFICATE = TLS / "certificate.pem"
"""This host's key and certificate: as old as its volume."""

TRUST = VOLUME / "trust"
TRUSTED = TRUST / "certificates.pem"
"""The certificates of all database hosts, this one's too. The agent keeps it, so the folder is its own."""

RECORDS = VOLUME / "webstack"
DATA_RECORD = RECORDS / "data.json"
"""What the data directory holds (`datadir.DataRecord`)."""

RUN = Path("/run/webstack/database")
PREPARED = RUN / "prepared"
"""Made by each boot's configure step; mysql.service does not start without it."""

STOPPING = RUN / "stopping"
"""There while mysqld is being stopped on purpose: nobody may open this host for writes."""

ROLE_LOCK = RUN / "role.lock"
"""Held by whoever changes roles: the agent for one action, the stop for all its time."""

AGENT_STATUS = RUN / "agent.json"
"""What the agent last saw and did, for people and for readiness."""

GROWTH_FAILED = RUN.parent / "data-volume-not-extended"
"""Why the file system of the data volume could not be extended to the volume's size; not there while all is well. Root writes it."""

ACCOUNTS_DONE = RUN / "accounts-done"

SECRETS = RUN / "secrets.json"
"""Which versions of secrets this host uses and accepts, for its record; no value."""

RECEIVER_SECRET = RUN / "receiver-secret"
"""The version of the secret that the replica's receiver was started with."""

SOCKET = Path("/run/mysqld/mysqld.sock")
CONFIGURATION = Path("/etc/mysql/mysql.conf.d/zz-webstack.cnf")
MYSQL_KEY = Path("/usr/local/share/webstack/mysql.asc")

MYSQL_PORT = 3306
CHECK_PORT = 9200

AGENT_USER = "webstack-agent"
CHECK_USER = "webstack-check"
