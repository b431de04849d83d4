"""`webstack lab`: runs the stack on an emulated AWS on this machine, with the real Pulumi engine.

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
    help="Run the stack on this machine: the real Pulumi engine, an emulated AWS API, and hosts that boot.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

lab.add_typer(faults.fault, name="fault")

RefreshOption = Annotated[
    bool,
    typer.Option(
        "--refresh",
        help="First read the actual state of every resource, as `pulumi up --refresh` does, so that deleted ones are created again.",
    ),
]
DiffOption = Annotated[bool, typer.Option("--diff", help="Show the changes in detail, as `pulumi preview --diff` does.")]

console = Terminal(width=None if sys.stdout.isatty() else 200)
err_console = Terminal(stderr=True)


def _echo(text: str) -> None:
    err_console.print(text, soft_wrap=True)


@lab.command("setup")
def setup_command() -> None:
    """Download or build the Pulumi CLI and the host image.

    Both are kept in ~/.cache/webstack; `webstack lab up` gets what is missing too.
    """
    from lab.engine import install_cli
    from ops import setup

    requirements.require_host("webstack lab setup")
    setup.ensure_all(_echo)
    install_cli.install(_echo)


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
    """Start the lab and deploy the stack, like `pulumi up`.

    The first run creates everything, later runs apply the changes. Fails when a host does not become ready or the site does not answer; the
    hosts that already serve are kept then.
    """
    from ops import operations, setup

    requirements.require_host("webstack lab up")
    session = LabHandle.of(name)
    requirements.require_disk_space(session.names)
    setup.ensure_all(_echo)
    started = time.monotonic()
    for line in faults.active_fault_lines(session):
        _echo(line)
    request = EngineRequest(stack=stack, config_file=config_file, settings=settings or (), provider=provider)
    try:
        applied = operations.up(session, request, err_console, _echo, refresh=refresh_state)
    except KeyboardInterrupt:
        if unready := hosts.unready_summary(session):
            err_console.print(unready, style="yellow", soft_wrap=True)
        raise
    listed, seconds = hosts.list_hosts(session), time.monotonic() - started
    if as_json:
        site = {"answers": applied.site_answers, "message": applied.site_message}
        report = {"url": applied.url, "site": site, "seconds": round(seconds, 1), "operations": applied.operations}
        json_output.print_success(report | {"hosts": [host.as_dict() for host in listed]})
        return
    console.print(hosts.table(listed))
    _echo(applied.summary(seconds))
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
    """Show what `up` would change, without changing anything.

    Without a running lab, shows the plan for a new stack, and needs no root.
    """
    from ops import operations

    request = EngineRequest(stack=stack, config_file=config_file, settings=settings or (), provider=provider)
    text, planned = operations.preview(LabHandle.of(name), request, err_console, diff=diff, color=_color_mode())
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
    """Update the engine's state from the lab's API and show what was changed outside of `up`."""
    from ops import operations

    request = EngineRequest(stack=stack, config_file=config_file, settings=settings or (), provider=provider)
    session = LabHandle.of(name)
    session.require_running()
    text, counts = operations.refresh(session, request, err_console, color=_color_mode())
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
    """Delete every resource of the stack. The lab itself keeps running, empty."""
    from ops import operations

    session = LabHandle.of(name)
    session.require_running()
    summary, counts = operations.destroy(session, EngineRequest(stack=stack, config_file=config_file, provider=provider), err_console)
    _echo(summary)
    if as_json:
        json_output.print_success({"operations": counts})


@lab.command()
def status(as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Show the hosts, whether each one serves, and whether the site answers.

    The exit status is 0 even when a host does not serve: read the table, or --json.
    """
    from ops import site_check

    session = LabHandle.of(name)
    session.require_running()
    answer = control_client.status(session.names)
    rows, problems = hosts.parse_hosts(answer), hosts.find_problems(answer)
    endpoint = site_check.find_site(session, rows)
    site = site_check.check_site(endpoint) if endpoint is not None else None
    if as_json:
        report = {"hosts": [host.as_dict() for host in rows], "site": site.as_dict() if site is not None else None}
        json_output.print_success(report | {"problems": problems, "faults": answer["faults"]})
    else:
        console.print(hosts.table(rows))
        if site is not None:
            console.print(hosts.indented(site.line, indent=7))
    for problem in problems:
        err_console.print(problem, style="red", soft_wrap=True)
    for line in faults.format_faults(answer["faults"]):
        err_console.print(line, style="yellow", soft_wrap=True)


@lab.command("reach")
def reach_command(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Where the packet comes from: a host's name or address, or `internet`.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Where it goes: the same, or any other address.")],
    port: Annotated[str, typer.Argument(metavar="PORT", help="A port (443, 443/tcp, 53/udp), `icmp`, or a protocol number (112/proto).")],
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Send a packet and show whether it arrives and which security group rules decide."""
    session = LabHandle.of(name)
    packet = reachability.PacketSpec.parse(port)
    session.require_running()
    requirements.require_root("webstack lab reach")
    answer = control_client.reach(session.names, source, target, packet.protocol, packet.port)
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        for line in reachability.format_report(answer):
            console.print(line, soft_wrap=True)


@lab.command()
def url(
    api: Annotated[
        bool, typer.Option("--api", help="Print the endpoint of the lab's AWS API instead. Its keys: `webstack lab env`.")
    ] = False,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Print the site's URL, for example for `curl -k`, or with --api the AWS API's endpoint."""
    session = LabHandle.of(name)
    session.require_running()
    found = session.names.api_endpoint if api else hosts.url(session)
    print(json.dumps({"url": found}) if as_json else found)


@lab.command()
def env(as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Print shell commands that give the AWS CLI and boto3 administrator access to the lab.

    Use it as: eval "$(webstack lab env)". The output contains a secret key, and reading it needs root. It sets no region: give the stack's,
    with --region or AWS_REGION.
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
    settings: Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]…", help="Quotas to change, such as vcpus=64.")] = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Show the quotas of the lab's AWS account, or change them."""
    from ops import quotas

    session = LabHandle.of(name)
    session.require_running()
    found = quotas.quotas(session, settings or [])
    print(json.dumps(found, indent=2) if as_json else "\n".join(f"{quota_name}={value}" for quota_name, value in found.items()))


@lab.command("exec", context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})  # -h is the command's own
def exec_command(
    host: HostArgument,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND…", help="The command to run.")],
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Run a command on a host as root.

    Example: webstack lab exec db-1 -- mysql -e 'SHOW REPLICA STATUS' -E. Options after `--` belong to the command. It gets a plain
    environment, not yours, and its exit status is passed on. Fails when the host is not running.
    """
    session = LabHandle.of(name)
    session.require_running()
    requirements.require_root("webstack lab exec")
    chosen = hosts.resolve(session, host, None, _echo)
    arguments = hosts.nsenter_command(session, chosen.instance_id, command)
    sys.stdout.flush()
    os.execvpe(arguments[0], arguments, hosts.command_environment())


@lab.command()
def logs(
    host: HostArgument,
    unit: Annotated[str | None, typer.Option("--unit", "-u", help="Show only this systemd unit.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines to show; 0 for all.")] = 200,
    since: Annotated[
        str | None, typer.Option("--since", help="Show only what is newer, in journalctl's notation: '10 min ago', '14:30'.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing new lines until Ctrl-C.")] = False,
    access: Annotated[bool, typer.Option("--access", help="Show a web host's Nginx access log instead of the journal.")] = False,
    slow: Annotated[
        bool, typer.Option("--slow", help="Show a database host's slow query log (a second and more) instead of the journal.")
    ] = False,
    instance: Annotated[
        str | None,
        typer.Option("--instance", metavar="ID", help="The instance id, when an old and a new host share the name during a release."),
    ] = None,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Show a host's journal or one of its other logs, even when the host is stopped."""
    if access and slow:
        raise UserError("--access and --slow cannot be used together: web hosts have one log, database hosts the other")
    source = host_logs.LogSource.ACCESS if access else host_logs.LogSource.SLOW if slow else host_logs.LogSource.JOURNAL
    session = LabHandle.of(name)
    session.require_running()
    requirements.require_root("webstack lab logs")
    arguments = host_logs.log_command(
        session, host, source=source, instance=instance, unit=unit, since=since, lines=lines, follow=follow, on_progress=_echo
    )
    sys.stdout.flush()
    os.execvpe(arguments[0], arguments, hosts.command_environment() if follow else dict(os.environ))


@lab.command()
def kill(host: HostArgument, as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Cut a host's power: it gets no signal, and its packets vanish without an answer."""
    _act(name, host, "kill", as_json=as_json)


@lab.command()
def stop(host: HostArgument, as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Shut a host down cleanly, as StopInstances does. Its disks are kept."""
    _act(name, host, "stop", as_json=as_json)


@lab.command()
def start(host: HostArgument, as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Start a host that was stopped or killed."""
    _act(name, host, "start", as_json=as_json)


@lab.command()
def down(as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Remove the lab and everything it made on this machine, whatever state it is in."""
    from ops import operations

    requirements.require_root("webstack lab down")
    operations.take_down(LabHandle.of(name))
    _echo(f"lab {name} is gone")
    if as_json:
        json_output.print_success({"lab": name})


def _act(name: str, host: str, action: str, *, as_json: bool) -> None:
    session = LabHandle.of(name)
    session.require_running()
    requirements.require_root(f"webstack lab {action}")
    control_client.host_action(session.names, host, action)
    _echo(f"{host}: {action}")
    if as_json:
        json_output.print_success({"host": host, "action": action})


def _color_mode() -> str:
    return "always" if console.is_terminal else "never"
