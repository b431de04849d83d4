"""The provider plugins that the installed SDKs require."""

import json
import sysconfig
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class SdkPlugin:
    """The plugin named in an SDK's `pulumi-plugin.json`."""

    name: str
    version: str
    """Without a leading `v`."""
    server: str = ""


def sdk_plugins(packages: Path | None = None) -> list[SdkPlugin]:
    """Returns the plugins of all SDKs in a folder of packages; by default, in this environment."""
    found: list[SdkPlugin] = []
    for file in sorted((packages or Path(sysconfig.get_path("purelib"))).glob("*/pulumi-plugin.json")):
        manifest = json.loads(file.read_text())
        if manifest.get("resource"):
            found.append(SdkPlugin(name=manifest["name"], version=manifest["version"].removeprefix("v"), server=manifest.get("server", "")))
    return found
