"""Installs the Pulumi CLI into the virtual environment: `pulumi up` on AWS needs the command on the PATH."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from lab.engine import pulumi_cli
from lab.files import write_atomic

LANGUAGE_HOST = "pulumi-language-python"


def install(progress: pulumi_cli.ProgressCallback = print, *, environment: Path = Path(sys.prefix)) -> None:
    """Makes `bin/pulumi` in the virtual environment, and a language host if the CLI has none. Raises PulumiUnavailableError.

    A CLI that is already on the PATH and new enough stays in use.
    """
    programs = environment / "bin"
    root = pulumi_cli.ensure(progress)
    on_path = pulumi_cli.find_on_path(programs)
    command, host = programs / "pulumi", programs / LANGUAGE_HOST
    if on_path and (version := pulumi_cli.version_of(on_path)) and version >= pulumi_cli.required_version():
        command.unlink(missing_ok=True)
        executable = on_path
    else:
        executable = root / "bin" / "pulumi"
        search = f"PATH={shlex.quote(str(programs))}:$PATH"
        _script(command, f"# Made by `make setup`: the CLI finds its language host beside this file.\n{search} exec {_quoted(executable)} ")
    # The CLI looks for it there too: pulumi/pulumi, sdk/go/common/workspace/plugins.go, GetPluginPath.
    if executable.resolve().with_name(LANGUAGE_HOST).exists() or shutil.which(LANGUAGE_HOST, path=pulumi_cli.path_without(programs)):
        host.unlink(missing_ok=True)
        return
    _script(host, f"# Made by `make setup`: stands in for Pulumi's own.\nexec {_quoted(Path(sys.executable))} -m lab.engine.language_host ")


def _script(path: Path, text: str) -> None:
    write_atomic(path, f'#!/bin/sh\n{text}"$@"\n', mode=0o755)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


if __name__ == "__main__":
    from lab.errors import LabError

    try:
        install()
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        os._exit(1)
