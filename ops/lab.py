"""`webstack lab`: AWS on this machine, and the same program applied to it by the same engine.

The engine's libraries take a second to load, so only the commands that drive it import them.
"""

import json
import os
import shlex
import sys
import time
from dataclasses import asdict
from typing import Annotated

import typer

from lab import admin_keys, control_client
from lab.lab_handle import LabHandle
from lab.names import DEFAULT_LAB
from ops import faults, hosts, json_output, reachability, requirements
from ops import logs as host_logs
from ops.errors import UserError
from ops.options import ConfigFileOption, EngineRequest, HostArgument, JsonOption, LabOption, ProviderOption, SetOption, StackOption
from ops.terminal import Terminal

lab = typer.Typer(
    help="AWS on this machine: the real engine applies the program to it, and real hosts boot.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

lab.add_typer(faults.fault, name="fault")

RefreshOption = Annotated[
    bool, typer.Option("--refresh", help="First read every resource anew, as `pulumi up --refresh` does: what is gone is made again.")
]
DiffOption = Annotated[bool, typer.Option("--diff", help="Show every changed line, as `pulumi preview --diff` does.")]

console = Terminal(width=None if sys.stdout.isatty() else 200)
err_console = Terminal(stderr=True)


def _say(text: str) -> None:
    err_console.print(text, soft_wrap=True)


@lab.command("setup")
def setup_command() -> None:
    """Get what the lab needs once a machine: the Pulumi CLI and the host image."""
    from lab.engine import install_cli
    from ops import setup

    requirements.require_host("webstack lab setup")
    setup.ensure_all(_say)
    install_cli.install(_say)


@lab.command()
def up(
    stack: StackOption = None,
    settings: SetOption = None,
    config_file: ConfigFileOption = None,
    provider: ProviderOption = None,
    refresh_state: RefreshOption = False,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Start the lab if it is not running, then a real `pulumi up`: the first time all is created, later the difference is."""
    from ops import operations, setup

    requirements.require_host("webstack lab up")
    session = LabHandle.of(name)
    requirements.require_disk_space(session.names)
    setup.ensure_all(_say)
    started = time.monotonic()
    for line in faults.active_fault_lines(session):
        _say(line)
    wanted = EngineRequest(stack=stack, config_file=config_file, settings=settings or (), provider=provider)
    try:
        applied = operations.up(session, wanted, err_console, _say, refresh=refresh_state)
    except KeyboardInterrupt:
        if left := hosts.unready_summary(session):
            err_console.print(left, style="yellow", soft_wrap=True)
        raise
    there, seconds = hosts.list_hosts(session), time.monotonic() - started
    if as_json:
        site = {"answers": applied.site_answers, "told": applied.site_message}
        told = {"url": applied.url, "site": site, "seconds": round(seconds, 1), "operations": applied.operations}
        json_output.print_success(told | {"hosts": [host.as_dict() for host in there]})
        return
    console.print(hosts.table(there))
    _say(applied.summary(seconds))
    print(applied.url)


@lab.command()
def preview(
    stack: StackOption = None,
    settings: SetOption = None,
    config_file: ConfigFileOption = None,
    provider: ProviderOption = None,
    diff: DiffOption = False,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Show what `up` would do. Without a running lab, the plan of the whole stack; that needs no root."""
    from ops import operations

    wanted = EngineRequest(stack=stack, config_file=config_file, settings=settings or (), provider=provider)
    text, planned = operations.preview(LabHandle.of(name), wanted, err_console, diff=diff, color=_color_mode())
    if as_json:
        json_output.print_success({"changes": [asdict(step) for step in planned]})
    else:
        print(text)


@lab.command()
def refresh(
    stack: StackOption = None,
    settings: SetOption = None,
    config_file: ConfigFileOption = None,
    provider: ProviderOption = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Read every resource anew from the API: shows what was changed behind the program's back."""
    from ops import operations

    wanted = EngineRequest(stack=stack, config_file=config_file, settings=settings or (), provider=provider)
    session = LabHandle.of(name)
    session.require_running()
    text, counts = operations.refresh(session, wanted, err_console, color=_color_mode())
    if as_json:
        json_output.print_success({"operations": counts})
    else:
        print(text)


@lab.command()
def destroy(
    stack: StackOption = None,
    config_file: ConfigFileOption = None,
    provider: ProviderOption = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Delete every resource of the stack; the lab itself keeps running, as empty as a new one."""
    from ops import operations

    session = LabHandle.of(name)
    session.require_running()
    summary, counts = operations.destroy(session, EngineRequest(stack=stack, config_file=config_file, provider=provider), err_console)
    _say(summary)
    if as_json:
        json_output.print_success({"operations": counts})


@lab.command()
def status(as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """List the hosts: role, zone, addresses, instance id, state, and whether each serves; and whether the site answers its visitors.

    The status is 0 whatever it finds: what is found stands in the table, and in --json.
    """
    from ops import site_check

    session = LabHandle.of(name)
    session.require_running()
    said = control_client.status(session.names)
    rows, troubles = hosts.parse_hosts(said), hosts.find_problems(said)
    place = site_check.find_site(session, rows)
    site = site_check.check_site(place) if place is not None else None
    if as_json:
        told = {"hosts": [host.as_dict() for host in rows], "site": site.as_dict() if site is not None else None}
        json_output.print_success(told | {"problems": troubles, "faults": said["faults"]})
    else:
        console.print(hosts.table(rows))
        if site is not None:
            console.print(hosts.indented(site.line, indent=7))
    for trouble in troubles:
        err_console.print(trouble, style="red", soft_wrap=True)
    for line in faults.format_faults(said["faults"]):
        err_console.print(line, style="yellow", soft_wrap=True)


@lab.command("reach")
def reach_command(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A host, `internet`, or a host's address.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The same, or any other address.")],
    port: Annotated[str, typer.Argument(metavar="PORT", help="443 or 443/tcp, 53/udp, icmp, or 112/proto for protocol 112.")],
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Send a packet from one place to another, say whether it passed, and name the security group rules that decide."""
    session = LabHandle.of(name)
    wanted = reachability.PacketSpec.parse(port)
    session.require_running()
    requirements.require_root("webstack lab reach")
    answer = control_client.reach(session.names, source, target, wanted.protocol, wanted.port)
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        for line in reachability.format_report(answer):
            console.print(line, soft_wrap=True)


@lab.command()
def url(
    api: Annotated[bool, typer.Option("--api", help="The endpoint of the lab's AWS API, from this machine; its keys: `lab env`.")] = False,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Print the URL that the lab serves on, for example for `curl -k`; with --api the endpoint for `aws --endpoint-url` and boto3."""
    session = LabHandle.of(name)
    session.require_running()
    found = session.names.api_endpoint if api else hosts.url(session)
    print(json.dumps({"url": found}) if as_json else found)


@lab.command()
def env(as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Print what makes aws and boto3 the administrator of the lab's account: eval "$(webstack lab env)". It holds a secret; needs root.

    No region is among it: give the stack's, as on AWS (--region, AWS_REGION).
    """
    session = LabHandle.of(name)
    session.require_running()
    found = {"AWS_ENDPOINT_URL": session.names.api_endpoint, **admin_keys.read_admin_key(session.names).environment()}
    if as_json:
        print(json.dumps(found))
        return
    print("unset AWS_PROFILE AWS_SESSION_TOKEN")
    for variable, value in found.items():
        print(f"export {variable}={shlex.quote(value)}")


@lab.command()
def quota(
    settings: Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]…", help="Quotas to change, e.g. vcpus=64.")] = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Show what the lab's AWS account may have, and change it as AWS would on request."""
    from ops import quotas

    session = LabHandle.of(name)
    session.require_running()
    found = quotas.quotas(session, settings or [])
    print(json.dumps(found, indent=2) if as_json else "\n".join(f"{quota_name}={value}" for quota_name, value in found.items()))


@lab.command("exec", context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})  # -h is the command's own
def exec_command(
    host: HostArgument,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND…", help="What to run there, as root.")],
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Run a command on a host: webstack lab exec db-1 -- mysql -e 'SHOW REPLICA STATUS' -E. What is behind `--` is the command's own.

    It runs as root, with a plain environment: nothing of yours is handed over.
    """
    session = LabHandle.of(name)
    session.require_running()
    requirements.require_root("webstack lab exec")
    chosen = hosts.resolve(session, host, None, _say)
    arguments = hosts.nsenter_command(session, chosen.instance_id, command)
    sys.stdout.flush()
    os.execvpe(arguments[0], arguments, hosts.command_environment())


@lab.command()
def logs(
    host: HostArgument,
    unit: Annotated[str | None, typer.Option("--unit", "-u", help="Only this unit.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines; 0 for all.")] = 200,
    since: Annotated[str | None, typer.Option("--since", help="Only from then on, as journalctl takes it: '10 min ago', '14:30'.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written, until Ctrl-C.")] = False,
    access: Annotated[bool, typer.Option("--access", help="A web host's requests: Nginx's access log in place of the journal.")] = False,
    slow: Annotated[bool, typer.Option("--slow", help="A database's statements of a second and more, in place of the journal.")] = False,
    instance: Annotated[
        str | None, typer.Option("--instance", metavar="ID", help="Which of two: during a release a name has an old and a new host.")
    ] = None,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Show a host's journal or another of its logs, also while it is stopped."""
    if access and slow:
        raise UserError("--access and --slow: give one of them, a host has one or the other")
    source = host_logs.Source.ACCESS if access else host_logs.Source.SLOW if slow else host_logs.Source.JOURNAL
    session = LabHandle.of(name)
    session.require_running()
    requirements.require_root("webstack lab logs")
    arguments = host_logs.log_command(
        session, host, source=source, instance=instance, unit=unit, since=since, lines=lines, follow=follow, say=_say
    )
    sys.stdout.flush()
    os.execvpe(arguments[0], arguments, hosts.command_environment() if follow else dict(os.environ))


@lab.command()
def kill(host: HostArgument, as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Pull a host's plug: no signal reaches it, its packets vanish without an answer."""
    _act(name, host, "kill", as_json=as_json)


@lab.command()
def stop(host: HostArgument, as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Stop a host in order, as StopInstances does; its disks are kept."""
    _act(name, host, "stop", as_json=as_json)


@lab.command()
def start(host: HostArgument, as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Start a host that was stopped or killed."""
    _act(name, host, "start", as_json=as_json)


@lab.command()
def down(as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Take the whole lab away, whatever state it is in: processes, namespaces, mounts, volumes, links, state."""
    from ops import operations

    requirements.require_root("webstack lab down")
    operations.take_down(LabHandle.of(name))
    _say(f"lab {name} is gone")
    if as_json:
        json_output.print_success({"lab": name})


def _act(name: str, host: str, action: str, *, as_json: bool) -> None:
    session = LabHandle.of(name)
    session.require_running()
    requirements.require_root(f"webstack lab {action}")
    control_client.host_action(session.names, host, action)
    _say(f"{host}: {action}")
    if as_json:
        json_output.print_success({"host": host, "action": action})


def _color_mode() -> str:
    return "always" if console.is_terminal else "never"
