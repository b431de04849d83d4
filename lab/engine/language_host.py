"""A language host for this program, which the Pulumi CLI runs as `pulumi-language-python`.

Pulumi's release of the CLI includes Pulumi's own host. A CLI built from Go modules has none: the host is a separate Go module, which the
public module proxy does not serve (403 for every version). This host is the Automation API's language server (pulumi.automation), extended
to run the program on disk and to report the provider plugins that the installed SDKs name. It runs only programs of the virtual environment
that it is installed in, and does not support `pulumi install`, `pulumi new` and the like. The protocol: pulumi/pulumi,
proto/pulumi/language.proto, and plugin.proto for the plugins in a response.
"""

import functools
import os
import runpy
import signal
import sys
import sysconfig
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from pulumi.automation._server import LanguageServer  # pyright: ignore[reportMissingTypeStubs]  (the one part of it that has no other name)
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from lab.engine.sdk_plugins import sdk_plugins

_MESSAGE_BYTES = 400 * 1024 * 1024
"""The engine's own limit (pulumi/pulumi, sdk/go/common/util/rpcutil/serve.go, maxRPCMessageSize)."""


class LanguageHost(LanguageServer):
    """Runs the program in the folder that the engine names."""

    def __init__(self, engine_address: str, packages: Path) -> None:
        super().__init__(_no_program)
        self._engine_address = engine_address
        self._packages = packages

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        """Returns the provider plugins of the installed SDKs, each in its SDK's version."""
        return language_pb2.GetRequiredPackagesResponse(packages=required_packages(self._packages))

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        """Runs the program to its end. The response contains its error, if any."""
        folder = Path(request.info.program_directory or request.pwd)
        wanted = dict(request.info.options).get("virtualenv")
        if wanted and (folder / wanted).resolve() != Path(sys.prefix).resolve():
            error = f"Pulumi.yaml asks for the virtual environment {folder / wanted}, and this language host runs programs of {sys.prefix}"
            return language_pb2.RunResponse(error=f"{error}: activate the other one, and run `make pulumi` there")
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        self.program = functools.partial(_run, folder / "__main__.py")
        request.args[:] = [self._engine_address]  # as the Automation API passes it
        return super().Run(request, context)


def required_packages(packages: Path) -> list[plugin_pb2.PackageDependency]:
    """Returns the plugins of the SDKs in a folder as protocol messages."""
    return [
        plugin_pb2.PackageDependency(name=plugin.name, kind="resource", version=f"v{plugin.version}", server=plugin.server)
        for plugin in sdk_plugins(packages)
    ]


def main() -> None:
    """Serves the engine at the address in the last argument until the engine ends."""
    engine = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's to handle
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4),
        options=[("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)],
    )
    host = LanguageHost(sys.argv[-1], Path(sysconfig.get_path("purelib")))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while os.getppid() == engine:
        time.sleep(0.5)
    os._exit(0)


def _run(program: Path) -> None:
    runpy.run_path(str(program), run_name="__main__")


def _no_program() -> None:
    """A placeholder until the engine names the program."""


if __name__ == "__main__":
    main()
