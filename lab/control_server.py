"""The daemon's side of `lab.control`: its routes are listed there."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

from lab.control import ACTIONS
from lab.hypervisor import cloud_init
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults.fault import FaultError
from lab.hypervisor.firewall.policy import Policy
from lab.hypervisor.hypervisor import Hypervisor
from lab.hypervisor.keeper import Keeper
from lab.hypervisor.reach import Question
from lab.hypervisor.status import Word, Words, explain, unasked, unheard
from lab.names import LabNames

log = logging.getLogger(__name__)


class ControlServer:
    """Serves the control API on the lab's socket, which only root can open."""

    def __init__(self, names: LabNames, hypervisor: Hypervisor, shut_down: Callable[[], None]) -> None:
        self._names = names
        self._hypervisor = hypervisor
        self._shut_down = shut_down
        self._words = Words(names.moto_address)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Begins to serve."""
        application = web.Application(middlewares=[_errors_in_words])
        application.router.add_get("/status", self._status)
        application.router.add_post("/hosts/{host}/{action}", self._act)
        application.router.add_get("/hosts/{host}/pid", self._pid)
        application.router.add_get("/reach", self._reach)
        application.router.add_get("/faults", self._faults)
        application.router.add_post("/faults", self._give_fault)
        application.router.add_delete("/faults", self._end_faults)
        application.router.add_delete("/faults/{faults}", self._end_faults)
        application.router.add_post("/shutdown", self._shutdown)
        self._names.control_socket.unlink(missing_ok=True)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._names.control_socket)).start()
        self._names.control_socket.chmod(0o600)

    async def stop(self) -> None:
        """Ends serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _status(self, _request: web.Request) -> web.Response:
        problem = self._hypervisor.problem or self._hypervisor.faults.problem
        words: dict[str, Word] = {}
        silent: Word | None = None
        try:
            words = await asyncio.to_thread(self._read_words, dict(self._hypervisor.keepers))
        except Exception as error:
            log.exception("could not read the hosts' readiness")
            problem = problem or f"the hosts' readiness cannot be read: {error}"
            silent = unheard(unasked(error))
        policy = self._hypervisor.firewall.policy
        rows = [
            _row(keeper, words.get(keeper.instance_id, silent), policy) for keeper in self._hypervisor.keepers.values() if keeper.desired
        ]
        rows.sort(key=lambda row: (str(row["name"]), str(row["instance_id"])))
        return web.json_response(
            {
                "name": self._names.name,
                "api_endpoint": self._names.api_endpoint,
                "problem": problem,
                "rule_problems": [found.text for found in policy.problems],
                "faults": self._hypervisor.faults.listed(),
                "hosts": rows,
            }
        )

    def _read_words(self, keepers: Mapping[str, Keeper]) -> dict[str, Word]:
        words = self._words.read(dict(self._hypervisor.state.machines))
        for instance_id, keeper in keepers.items():
            word, machine = words.get(instance_id), keeper.desired
            if machine is None or not keeper.running or (word is not None and word.counts):
                continue
            leader = keeper.machine.leader()
            if leader is not None:
                words[instance_id] = self._explained(word, machine, leader)
        return words

    def _explained(self, word: Word | None, machine: DesiredMachine, leader: int) -> Word:
        try:
            return explain(word, user_data=self._words.user_data(machine), report=cloud_init.report(leader))
        except (ClientError, BotoCoreError) as error:  # of this host alone, such as one that the API has just forgotten
            return unheard(unasked(error))

    async def _act(self, request: web.Request) -> web.Response:
        action = request.match_info["action"]
        if action not in ACTIONS:
            raise LookupError(f"{action!r}: a host can be told {', '.join(ACTIONS)}")
        keeper = self._hypervisor.find(request.match_info["host"])
        if action == "kill":
            await keeper.kill()
        elif action == "stop":
            await self._hypervisor.stop_host(keeper)
            await keeper.until_off()
        else:
            await self._hypervisor.start_host(keeper)
        return web.json_response({"instance_id": keeper.instance_id})

    async def _pid(self, request: web.Request) -> web.Response:
        keeper = self._hypervisor.find(request.match_info["host"])
        return web.json_response({"pid": await asyncio.to_thread(keeper.machine.leader)})

    async def _reach(self, request: web.Request) -> web.Response:
        asked = request.query
        machines = [machine for machine in self._hypervisor.state.machines.values() if machine.present]
        question = Question(self._names, machines, self._hypervisor.firewall.policy, self._hypervisor.faults.ailing)
        source, target = question.end(asked["from"]), question.end(asked["to"])
        port = int(asked["port"]) if "port" in asked else None
        answer = await asyncio.to_thread(question.ask, source, target, int(asked["protocol"]), port)
        return web.json_response(answer.as_dict())

    async def _faults(self, _request: web.Request) -> web.Response:
        return web.json_response({"faults": self._hypervisor.faults.listed()})

    async def _give_fault(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        given = await self._hypervisor.give_fault(asked["fault"], asked.get("seconds"))
        return web.json_response({"faults": [one for one in self._hypervisor.faults.listed() if one["id"] == given.fault_id]})

    async def _end_faults(self, request: web.Request) -> web.Response:
        wanted = request.match_info.get("faults")
        ended = await self._hypervisor.take_back_faults(*(wanted.split(",") if wanted is not None else ()))
        return web.json_response({"faults": [one.as_dict() | {"words": one.fault.words()} for one in ended]})

    async def _shutdown(self, _request: web.Request) -> web.Response:
        asyncio.get_running_loop().call_later(0.1, self._shut_down)  # after the answer has gone
        return web.json_response({})


def _row(keeper: Keeper, word: Word | None, policy: Policy) -> dict[str, object]:
    desired = keeper.desired
    if desired is None:
        return {}
    runs = keeper.running and keeper.phase == "running"
    ready = runs and word is not None and word.ready
    reason = keeper.problem or desired.problem or (word.reason if word else "no word from it yet")
    if not runs and not (keeper.problem or desired.problem):  # what it said while it ran is no reason
        heard = keeper.phase == "booting" and word is not None and word.counts
        reason = f"it is {keeper.phase}{f'; {word.reason}' if heard and word else ''}"
    return {
        "name": desired.name,
        "role": desired.role,
        "zone": desired.zone,
        "private_ip": str(desired.address.ip) if desired.address else "",
        "public_ip": str(desired.public_address or ""),
        "instance_id": desired.instance_id,
        "state": keeper.phase,
        "ready": ready,
        "reason": "" if ready else reason,
        "said": word.reason if ready and word else "",
        "age_seconds": None if word is None or word.age is None else round(word.age),
        "facts": dict(word.facts) if runs and word else {},
        "measures": dict(word.measures) if runs and word else {},
        "problems": [*_own_problems(keeper), *policy.problems_of(desired.group_ids)],
    }


def _own_problems(keeper: Keeper) -> list[str]:
    """What a running host, ready or not, could not be given."""
    return [keeper.problem] if keeper.problem and keeper.running else []


@web.middleware
async def _errors_in_words(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
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
