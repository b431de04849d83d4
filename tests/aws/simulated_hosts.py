"""Hosts that say they are ready, for an API that has none: so `up` waits, and what comes after a wait comes after it here too."""

import contextlib
import hashlib
import json
import threading
from base64 import b64decode
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from stack.host_status import record_key
from stack.naming import configuration_key
from tests.aws.api import Api, Resource, tags

READY_AFTER_POLLS: Final = 2
"""Looks for which a host says nothing after a change: whoever does not wait for it is ahead of it then."""


class SimulatedHosts:
    """Looks at every instance again and again, and tells of each that runs what its host would tell once it serves.

    A load balancer tells besides which web hosts it finds: those that the private zone names, as HAProxy asks it.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._stopped = threading.Event()
        self._observed: dict[str, tuple[tuple[str, ...], int]] = {}
        self._roles: dict[str, str] = {}
        self.failures: list[BaseException] = []

    def run(self, every: float) -> None:
        """Goes on until `stop`."""
        try:
            while not self._stopped.wait(every):
                for instance in self._api.instances() if self._api.s3.list_buckets()["Buckets"] else []:
                    if instance["State"]["Name"] == "running":
                        self._poll_instance(instance)
        except BaseException as error:  # or an `up` would wait for its whole timeout
            self.failures.append(error)

    def stop(self) -> None:
        """Ends `run`."""
        self._stopped.set()

    def _poll_instance(self, instance: Resource) -> None:
        name, host, bucket = instance["InstanceId"], tags(instance)["host"], self._api.bucket()
        answer = self._api.ec2.describe_instance_attribute(InstanceId=name, Attribute="userData")
        user_data = _sha256(b64decode(answer["UserData"].get("Value", "")))
        configuration = ""
        with contextlib.suppress(ClientError):  # web hosts have none
            configuration = _sha256(self._api.s3.get_object(Bucket=bucket, Key=configuration_key(host))["Body"].read())
        servers = self._named_web_hosts() if host.startswith("lb-") else ""
        state = (user_data, configuration, servers, str(instance["LaunchTime"]))
        before, looks = self._observed.get(name, ((), 0))
        looks = looks + 1 if before == state else 0
        self._observed[name] = (state, looks)
        if looks != READY_AFTER_POLLS:
            return
        told: dict[str, Any] = {"state": "ready", "user_data_sha256": user_data, "configuration_sha256": configuration, "time": _now()}
        if host.startswith("lb-"):
            told["facts"] = {"servers_up": servers, "servers_down": ""}
        key = record_key(self._role(instance["IamInstanceProfile"]["Arn"]), name)
        self._api.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(told).encode())

    def _named_web_hosts(self) -> str:
        named = [found for name, found in self._api.records().items() if name.startswith(("web.", "web-standby."))]
        return " ".join(sorted(address for addresses in named for address in addresses))

    def _role(self, profile: str) -> str:
        if profile not in self._roles:
            found = self._api.iam.get_instance_profile(InstanceProfileName=profile.rpartition("/")[2])
            self._roles[profile] = found["InstanceProfile"]["Roles"][0]["RoleId"]
        return self._roles[profile]


@contextlib.contextmanager
def simulated_hosts(api: Api, *, every: float = 0.3) -> Generator[None]:
    """Every host of the API becomes ready while the context is open."""
    hosts = SimulatedHosts(api)
    thread = threading.Thread(target=hosts.run, args=(every,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        hosts.stop()
        thread.join()
    if hosts.failures:
        raise hosts.failures[0]


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
