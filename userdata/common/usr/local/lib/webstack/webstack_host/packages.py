"""How a host's programs call apt and dpkg."""

AWAIT_APT = "/usr/local/sbin/webstack-await-apt"
"""Prefix of every command that takes a lock, which others (unattended upgrades, an operator) may hold for minutes. It exits with 75 after a
minute of waiting, and its caller tries again. It is in user data, because the boot needs it before the bundle is installed."""
