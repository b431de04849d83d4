"""The provider plugins that the installed SDKs are made for."""

import json
import sysconfig
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class SdkPlugin:
    """What an SDK's `pulumi-plugin.json` asks for."""

    name: str
    version: str
    """Without a `v` before it."""
    server: str = ""


def sdk_plugins(packages: Path | None = None) -> list[SdkPlugin]:
    """The plugins of all SDKs that are installed in a folder of packages, without one in this environment."""
    found: list[SdkPlugin] = []
    for file in sorted((packages or Path(sysconfig.get_path("purelib"))).glob("*/pulumi-plugin.json")):
        manifest = json.loads(file.read_text())
        if manifest.get("resource"):
            found.append(SdkPlugin(name=manifest["name"], version=manifest["version"].removeprefix("v"), server=manifest.get("server", "")))
    return found
