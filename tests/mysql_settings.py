"""What a database server is told, as a table: held against the file by the unit tests, and against MySQL's own word on booted hosts.

A kill in the lab keeps the page cache, so no crash there tells whether a commit was durable: the settings themselves are asked for.
https://dev.mysql.com/doc/refman/9.7/en/replication-options-binary-log.html and the pages beside it name each variable.
"""

from typing import Final

DURABILITY: Final = {
    "sync_binlog": "1",
    "innodb_flush_log_at_trx_commit": "1",
    "relay_log_recovery": "OFF",
    "binlog_expire_logs_seconds": "604800",
}
"""What makes an acknowledged write survive, on the primary and on the replica."""

REPLICATION: Final = {
    "gtid_mode": "ON",
    "enforce_gtid_consistency": "ON",
    "session_track_gtids": "OWN_GTID",
    "replica_net_timeout": "4",
}

CONNECTIONS: Final = {
    "require_secure_transport": "ON",
    "skip_name_resolve": "ON",
    "max_connect_errors": "1000000",
    "max_connections": "360",
    "max_user_connections": "100",
    "connect_timeout": "5",
    "slow_query_log": "ON",
    "slow_query_log_file": "/var/log/mysql/slow-queries",
    "long_query_time": "1",
    "bind_address": "*",
    "port": "3306",
}

SEMI_SYNC: Final = {
    "rpl_semi_sync_source_timeout": "4294967295",
    "rpl_semi_sync_source_wait_point": "AFTER_SYNC",
    "rpl_semi_sync_source_wait_no_replica": "ON",
    "rpl_semi_sync_replica_enabled": "ON",
}

PATHS: Final = {
    "datadir": "/var/lib/mysql/data",
    "socket": "/run/mysqld/mysqld.sock",
    "pid_file": "/run/mysqld/mysqld.pid",
    "ssl_key": "/var/lib/mysql/tls/key.pem",
    "ssl_cert": "/var/lib/mysql/tls/certificate.pem",
    "ssl_ca": "/var/lib/mysql/trust/certificates.pem",
}

OTHER: Final = {"innodb_log_buffer_size": "4M", "default_time_zone": "+00:00", "mysqlx": "OFF", "log_bin": "binlog", "relay_log": "relay"}

AT_STARTUP: Final = {"super_read_only": "ON", "skip_replica_start": "ON", "rpl_semi_sync_source_enabled": "OFF"}
"""How every server starts; its agent gives it its role then."""

RUNTIME: Final = {**DURABILITY, **REPLICATION, **CONNECTIONS, **SEMI_SYNC, "long_query_time": "1.000000"}
"""What MySQL says of itself, whatever its role; seconds with their microseconds."""

PLUGIN_OPTIONS: Final = frozenset({*SEMI_SYNC, "rpl_semi_sync_source_enabled", "clone_ssl_ca"})
"""Options of plugins, which are not loaded while a server is initialised."""

FULL_FILE: Final = {**RUNTIME, **CONNECTIONS, **PATHS, **OTHER, **AT_STARTUP, "clone_ssl_ca": PATHS["ssl_ca"]}
"""The whole file, but for the host's own values."""

PER_HOST: Final = frozenset({"server_id", "report_host", "innodb_buffer_pool_size", "innodb_redo_log_capacity", "plugin_load_add"})
