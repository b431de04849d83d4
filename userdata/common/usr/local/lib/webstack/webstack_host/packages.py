"""How a host's programs call apt and dpkg."""

AWAIT_APT = "/usr/local/sbin/webstack-await-apt"
"""Stands before each of their commands that takes a lock: others (unattended upgrades, an operator) may hold it for minutes. Ends with 75
after a minute in vain; what runs it tries again. It travels in user data, as the boot needs it before the bundle is there."""
