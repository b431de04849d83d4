"""Applies the configuration object: at each boot before anything serves, and on a running host by a reload."""

import hashlib
import importlib
import sys
import time
from typing import Protocol, cast

from webstack_host import config, desired_config, imds
from webstack_host.config import ConfigError
from webstack_host.desired_config import ConfigurationFailure, DesiredConfig
from webstack_host.errors import PermanentError
from webstack_host.variables import HostVariables

POLL_INTERVAL = 5.0
"""Seconds between two reads of the object, the longest delay of a change."""
RETRY_INTERVAL = 15.0
"""Seconds until the next attempt after an error that was not the object's."""
FETCH_DEADLINE = 20.0
"""Seconds for which a boot tries to read the object before it falls back to an older one."""
STOP_DEADLINE = 300.0
"""Seconds to wait for the stop that brings the desired user data. An interrupted `up` never sends it."""


class Role(Protocol):
    """The interface of the module of a role with a configuration object."""

    def apply_configuration(self, desired: DesiredConfig) -> bool:
        """Validates and installs the configuration. Returns whether anything changed. If it raises PermanentError, nothing has changed."""
        ...

    def reapply_interval(self, desired: DesiredConfig) -> float:
        """Returns the seconds after which an object is applied again, for changes outside it. Raises PermanentError."""
        ...

    def reload(self) -> None:
        """Reloads running services. Raises PermanentError if one does not accept its configuration."""
        ...


class PendingStopError(RuntimeError):
    """This boot has older user data than desired: nothing is started, since a stop will follow."""

    def __init__(self) -> None:
        super().__init__("waits for the stop that brings its new user data")


class BootConfiguration:
    """The configuration object at a boot. Each attempt reads it again."""

    def __init__(self, variables: HostVariables) -> None:
        self._key = variables.configuration_key
        self._began = time.monotonic()

    def fetch(self) -> DesiredConfig | None:
        """Returns the object that this boot applies, or None if the host has none.

        Raises what the API raises, and for a while PendingStopError if the object belongs to other user data than this boot's: the
        provider changes an instance's type and its user data in two cycles of stop, change and start, the type first
        (terraform-provider-aws, internal/service/ec2/ec2_instance.go, resourceInstanceUpdate), and the boot in between has the old user
        data.
        """
        if not self._key:
            return None
        found = self._newest()
        if found.user_data_sha256 != hashlib.sha256(imds.user_data()).hexdigest():
            if time.monotonic() - self._began < STOP_DEADLINE:
                raise PendingStopError
            print(
                f"webstack: newer user data was announced and did not come within {STOP_DEADLINE:.0f} s (was `up` interrupted?); "
                "this host goes on with what it has",
                file=sys.stderr,
                flush=True,
            )
        return found

    def _newest(self) -> DesiredConfig:
        """Returns the object, or after a while the one in force, if there is one and the API does not answer."""
        try:
            return desired_config.fetch(self._key)
        except Exception as error:
            here = desired_config.read_applied()
            if here is None or time.monotonic() - self._began < FETCH_DEADLINE:
                raise
            print(f"webstack: {self._key}: {error}; going on with what is here", file=sys.stderr, flush=True)
            return here

    def apply(self, desired: DesiredConfig | None, role: object) -> None:
        """Applies the object or, if it is refused, the previous one. Raises the refusal if no previous one can be applied."""
        if desired is None:
            return
        if not callable(getattr(role, "apply_configuration", None)):
            desired_config.save_applied(desired)
            return
        able = cast(Role, role)
        before = desired_config.read_applied()
        try:
            apply(desired, able)
        except PermanentError as error:
            if before is None or before.sha256 == desired.sha256:
                raise
            desired_config.save_failure(failure_of(desired, error))
            try:
                able.apply_configuration(before)
            except ConfigError as older:  # from another release
                raise error from older


def apply(desired: DesiredConfig, role: Role) -> bool:
    """Applies an object and returns whether anything changed. Raises the error that prevented it; the old one then stays in force."""
    before = desired_config.read_applied()
    new = before is None or before.sha256 != desired.sha256
    changed = role.apply_configuration(desired)
    try:
        if changed or new:
            role.reload()
    except PermanentError:
        if before is not None:
            role.apply_configuration(before)
        raise
    desired_config.save_applied(desired)
    return changed or new


def failure_of(desired: DesiredConfig, error: Exception) -> ConfigurationFailure:
    """Returns an error in the form of the readiness record."""
    reason, *detail = str(error).splitlines() or [type(error).__name__]
    return ConfigurationFailure(sha256=desired.sha256, refused=isinstance(error, PermanentError), reason=reason, detail=detail)


class ConfigReconciler:
    """Follows the object on a running host, one step at a time. The reporter notices and publishes what is in force."""

    def __init__(self, variables: HostVariables, role: Role) -> None:
        self._key, self._role = variables.configuration_key, role
        self._user_data_sha256 = hashlib.sha256(imds.user_data()).hexdigest()
        self._desired: DesiredConfig | None = None
        self._due = 0.0

    def step(self, now: float) -> None:
        """Reads the object and applies it if it is new or due again. Raises what the API raises."""
        newest = desired_config.fetch(self._key)
        if self._desired is None or newest.sha256 != self._desired.sha256:
            self._desired, self._due = newest, now
        if now >= self._due:
            self._due = now + self._attempt(self._desired)

    def _attempt(self, desired: DesiredConfig) -> float:
        """Tries to apply the object. Returns the seconds until the next attempt."""
        if desired.user_data_sha256 != self._user_data_sha256:
            return RETRY_INTERVAL  # the boot after the coming stop has its user data, and perhaps another model, and applies it
        again = RETRY_INTERVAL
        try:
            again = self._role.reapply_interval(desired)
            changed = apply(desired, self._role)
        except Exception as error:
            print(f"webstack-reconfigure: {error}", file=sys.stderr, flush=True)
            current = desired_config.read_applied()
            if current is None or current.sha256 != desired.sha256:
                desired_config.save_failure(failure_of(desired, error))
            return again if isinstance(error, PermanentError) else RETRY_INTERVAL
        if changed:
            print(f"webstack-reconfigure: {desired.sha256[:12]} is in force", file=sys.stderr, flush=True)
        return again


def main() -> None:
    """Runs forever."""
    variables = config.load_common()
    role = cast(Role, importlib.import_module(f"{variables.role}_role.role"))
    reconciler = ConfigReconciler(variables, role)
    while True:
        try:
            reconciler.step(time.monotonic())
        except Exception as error:
            print(f"webstack-reconfigure: {error}", file=sys.stderr, flush=True)
        time.sleep(POLL_INTERVAL)
