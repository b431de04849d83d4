"""The server of the control API; `lab.control_client` lists its routes."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

from lab.control_client import HOST_ACTIONS
from lab.hypervisor import cloud_init
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults.fault import FaultError
from lab.hypervisor.firewall.policy import FirewallPolicy
from lab.hypervisor.host_readiness import HostReadiness, ReadinessReader, no_report, read_failure, with_cloud_init
from lab.hypervisor.hypervisor import Hypervisor
from lab.hypervisor.reachability import ReachabilityChecker
from lab.hypervisor.reconciler import MachineReconciler
from lab.names import LabNames

log = logging.getLogger(__name__)


class ControlServer:
    """Serves the control API on the lab's socket, which only root can open."""

    def __init__(self, names: LabNames, hypervisor: Hypervisor, shut_down: Callable[[], None]) -> None:
        self._names = names
        self._hypervisor = hypervisor
        self._shut_down = shut_down
        self._readiness = ReadinessReader(names.moto_address)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Starts serving."""
        application = web.Application(middlewares=[_errors_as_json])
        application.router.add_get("/status", self._status)
        application.router.add_post("/hosts/{host}/{action}", self._host_action)
        application.router.add_get("/hosts/{host}/pid", self._pid)
        application.router.add_get("/reach", self._reach)
        application.router.add_get("/faults", self._faults)
        application.router.add_post("/faults", self._inject_fault)
        application.router.add_delete("/faults", self._clear_faults)
        application.router.add_delete("/faults/{faults}", self._clear_faults)
        application.router.add_post("/shutdown", self._shutdown)
        self._names.control_socket.unlink(missing_ok=True)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._names.control_socket)).start()
        self._names.control_socket.chmod(0o600)

    async def stop(self) -> None:
        """Stops serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _status(self, _request: web.Request) -> web.Response:
        problem = self._hypervisor.problem or self._hypervisor.faults.problem
        readiness_by_id: dict[str, HostReadiness] = {}
        default_readiness: HostReadiness | None = None
        try:
            readiness_by_id = await asyncio.to_thread(self._read_readiness, dict(self._hypervisor.reconcilers))
        except Exception as error:
            log.exception("could not read the hosts' readiness")
            problem = problem or f"the hosts' readiness cannot be read: {error}"
            default_readiness = no_report(read_failure(error))
        policy = self._hypervisor.firewall.policy
        rows = [
            _host_row(reconciler, readiness_by_id.get(reconciler.instance_id, default_readiness), policy)
            for reconciler in self._hypervisor.reconcilers.values()
            if reconciler.desired
        ]
        rows.sort(key=lambda row: (str(row["name"]), str(row["instance_id"])))
        return web.json_response(
            {
                "name": self._names.name,
                "api_endpoint": self._names.api_endpoint,
                "api_error": problem,
                "firewall_problems": [found.text for found in policy.problems],
                "faults": self._hypervisor.faults.as_dicts(),
                "hosts": rows,
            }
        )

    def _read_readiness(self, reconcilers: Mapping[str, MachineReconciler]) -> dict[str, HostReadiness]:
        readiness_by_id = self._readiness.read(dict(self._hypervisor.state.machines))
        for instance_id, reconciler in reconcilers.items():
            readiness, machine = readiness_by_id.get(instance_id), reconciler.desired
            if machine is None or not reconciler.running or (readiness is not None and readiness.is_current):
                continue
            init_pid = reconciler.machine.init_pid()
            if init_pid is not None:
                readiness_by_id[instance_id] = self._with_cloud_init(readiness, machine, init_pid)
        return readiness_by_id

    def _with_cloud_init(self, readiness: HostReadiness | None, machine: DesiredMachine, init_pid: int) -> HostReadiness:
        try:
            return with_cloud_init(readiness, user_data=self._readiness.user_data(machine), cloud_init=cloud_init.read_status(init_pid))
        except (ClientError, BotoCoreError) as error:  # concerns this host only: the API may just have deleted it
            return no_report(read_failure(error))

    async def _host_action(self, request: web.Request) -> web.Response:
        action = request.match_info["action"]
        if action not in HOST_ACTIONS:
            raise LookupError(f"{action!r}: a host can be told {', '.join(HOST_ACTIONS)}")
        reconciler = self._hypervisor.find(request.match_info["host"])
        if action == "kill":
            await reconciler.kill()
        elif action == "stop":
            await self._hypervisor.stop_host(reconciler)
            await reconciler.wait_until_off()
        else:
            await self._hypervisor.start_host(reconciler)
        return web.json_response({"instance_id": reconciler.instance_id})

    async def _pid(self, request: web.Request) -> web.Response:
        reconciler = self._hypervisor.find(request.match_info["host"])
        return web.json_response({"pid": await asyncio.to_thread(reconciler.machine.init_pid)})

    async def _reach(self, request: web.Request) -> web.Response:
        query = request.query
        machines = [machine for machine in self._hypervisor.state.machines.values() if machine.present]
        checker = ReachabilityChecker(self._names, machines, self._hypervisor.firewall.policy, self._hypervisor.faults.on_path)
        source, target = checker.endpoint(query["from"]), checker.endpoint(query["to"])
        port = int(query["port"]) if "port" in query else None
        report = await asyncio.to_thread(checker.check, source, target, int(query["protocol"]), port)
        return web.json_response(report.as_dict())

    async def _faults(self, _request: web.Request) -> web.Response:
        return web.json_response({"faults": self._hypervisor.faults.as_dicts()})

    async def _inject_fault(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        injected = await self._hypervisor.inject_fault(body["fault"], body.get("seconds"))
        return web.json_response({"faults": [one for one in self._hypervisor.faults.as_dicts() if one["id"] == injected.fault_id]})

    async def _clear_faults(self, request: web.Request) -> web.Response:
        fault_ids = request.match_info.get("faults")
        ended = await self._hypervisor.clear_faults(*(fault_ids.split(",") if fault_ids is not None else ()))
        return web.json_response({"faults": [one.as_dict() | {"summary": one.fault.summary()} for one in ended]})

    async def _shutdown(self, _request: web.Request) -> web.Response:
        asyncio.get_running_loop().call_later(0.1, self._shut_down)  # once the response is sent
        return web.json_response({})


def _host_row(reconciler: MachineReconciler, readiness: HostReadiness | None, policy: FirewallPolicy) -> dict[str, object]:
    desired = reconciler.desired
    if desired is None:
        return {}
    runs = reconciler.running and reconciler.phase == "running"
    ready = runs and readiness is not None and readiness.ready
    reason = reconciler.problem or desired.problem or (readiness.reason if readiness else "no report yet")
    if not runs and not (reconciler.problem or desired.problem):  # its last report is no reason for being off
        has_current_report = reconciler.phase == "booting" and readiness is not None and readiness.is_current
        reason = f"it is {reconciler.phase}{f'; {readiness.reason}' if has_current_report and readiness else ''}"
    return {
        "name": desired.name,
        "role": desired.role,
        "zone": desired.zone,
        "private_ip": str(desired.address.ip) if desired.address else "",
        "public_ip": str(desired.public_address or ""),
        "instance_id": desired.instance_id,
        "state": reconciler.phase,
        "ready": ready,
        "reason": "" if ready else reason,
        "message": readiness.reason if ready and readiness else "",
        "age_seconds": None if readiness is None or readiness.age_seconds is None else round(readiness.age_seconds),
        "facts": dict(readiness.facts) if runs and readiness else {},
        "metrics": dict(readiness.metrics) if runs and readiness else {},
        "problems": [*_host_problems(reconciler), *policy.problems_of(desired.group_ids)],
    }


def _host_problems(reconciler: MachineReconciler) -> list[str]:
    """What could not be applied to a running host, whether it is ready or not."""
    return [reconciler.problem] if reconciler.problem and reconciler.running else []


@web.middleware
async def _errors_as_json(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    try:
        return await handler(request)
    except FaultError as error:
        return web.json_response({"error": str(error)}, status=400)
    except LookupError as error:
        return web.json_response({"error": str(error.args[0])}, status=404)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
    except Exception as error:
        log.exception("%s %s", request.method, request.path)
        return web.json_response({"error": str(error)}, status=500)
