"""Client of the daemon's control API: HTTP with JSON over a Unix socket. It imports none of the daemon's packages.

    GET  /status                              {"name", "api_endpoint", "api_error", "firewall_problems", "faults", "hosts": [{"name",
                                              "role", "zone", "private_ip", "public_ip", "instance_id", "state", "ready", "reason",
                                              "message", "age_seconds", "facts", "metrics", "problems"}]}
    POST /hosts/<name or id>/kill|stop|start  returns when the host is off (kill, stop) or its start is under way
    GET  /hosts/<name or id>/pid              {"pid": the host's PID 1 as seen from here, or null}
    GET  /reach?from=&to=&protocol=&port=     sends a packet and names the deciding rules: see `lab.hypervisor.reachability.Reach.as_dict`
    GET  /faults                              {"faults": [{"id", "summary", "inactive_reasons", "expires_at", "fault"}]}: the active ones
    POST /faults                              {"fault": {"kind", …}, "seconds": null or a number}: injects one, and answers as GET does
    DELETE /faults/<id>,<id>… and /faults     clears these, or all; answers with those cleared
    POST /shutdown                            stops and removes the whole lab

An error is `{"error": …}` with a message for people.
"""

import http.client
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote, urlencode

from lab.errors import LabError
from lab.names import LabNames
from lab.unix_http import UnixConnection

HOST_ACTIONS = ("kill", "stop", "start")

_SHORT_TIMEOUT = 30.0
_LONG_TIMEOUT = 180.0
"""Seconds. A clean stop may take two minutes before the power is cut."""


class ControlError(LabError):
    """The daemon did not answer, or refused; the message says which and why."""


def status(names: LabNames) -> dict[str, Any]:
    """Returns the state of the lab and its hosts. Raises `ControlError`."""
    return _request(names, "GET", "/status", _SHORT_TIMEOUT)


def host_action(names: LabNames, host: str, action: str) -> None:
    """Performs one of `HOST_ACTIONS` on a host. Raises `ControlError`."""
    _request(names, "POST", f"/hosts/{host}/{action}", _LONG_TIMEOUT)


def init_pid(names: LabNames, host: str) -> int | None:
    """Returns the pid, on this machine, of the host's PID 1, for `nsenter`; None when the host is off. Raises `ControlError`."""
    pid = _request(names, "GET", f"/hosts/{host}/pid", _SHORT_TIMEOUT)["pid"]
    return int(pid) if pid is not None else None


def reach(names: LabNames, source: str, target: str, protocol: int, port: int | None) -> dict[str, Any]:
    """Sends a packet between two hosts or addresses; returns whether it passed and which rules decided. Raises `ControlError`."""
    query = {"from": source, "to": target, "protocol": str(protocol)} | ({"port": str(port)} if port is not None else {})
    return _request(names, "GET", f"/reach?{urlencode(query)}", _SHORT_TIMEOUT)


def faults(names: LabNames) -> list[dict[str, Any]]:
    """Returns the active faults. Raises `ControlError`."""
    return _request(names, "GET", "/faults", _SHORT_TIMEOUT)["faults"]


def inject_fault(names: LabNames, description: Mapping[str, Any], seconds: float | None) -> dict[str, Any]:
    """Injects a fault (see `lab.hypervisor.faults.catalog`) for `seconds`, or until it is cleared. Raises `ControlError`."""
    return _request(names, "POST", "/faults", _LONG_TIMEOUT, {"fault": dict(description), "seconds": seconds})["faults"][0]


def clear_faults(names: LabNames, fault_ids: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Clears these faults, or all if none is named, and returns them. If one is not active, clears none and raises `ControlError`."""
    return _request(names, "DELETE", "/faults" + (f"/{quote(','.join(fault_ids), safe='')}" if fault_ids else ""), _LONG_TIMEOUT)["faults"]


def _request(names: LabNames, method: str, path: str, timeout: float, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    connection = UnixConnection(names.control_socket, timeout=timeout)
    try:
        connection.request(method, path, body=None if body is None else json.dumps(body))
        response = connection.getresponse()
        answer = cast("dict[str, Any]", json.loads(response.read()))
    except TimeoutError as error:
        raise ControlError(f"the daemon of lab {names.name!r} gave no answer to {method} {path} within {timeout:.0f} s") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ControlError(f"the daemon of lab {names.name!r} does not answer ({error}); is the lab up?") from error
    finally:
        connection.close()
    if response.status >= 400:
        raise ControlError(str(answer.get("error", response.status)))
    return answer
