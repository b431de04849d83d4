"""Pulumi's own provider plugins, as used on AWS: where they are installed, and how they are pointed at the lab."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lab.aws_services import SERVICES
from lab.engine.sdk_plugins import SdkPlugin, sdk_plugins
from lab.errors import LabError

_ENDPOINTS = (*SERVICES, "s3control")
"""S3 Control is used for buckets' tags since 6.23.0 (hashicorp/terraform-provider-aws, CHANGELOG.md; issues 45292 and 45784)."""


def settings(endpoint: str) -> dict[str, object]:
    """Returns the settings that make the real provider call only the lab, in addition to those of the lab's own provider.

    The lab's credentials are not AWS's, and this machine has no metadata service. The account id is read from the lab's STS, because ARNs
    contain it and S3 Control's calls need it (hashicorp/terraform-provider-aws, website/docs/index.html.markdown, for the settings;
    website/docs/guides/custom-service-endpoints.html.markdown for the endpoints' names).

    The proxy is for S3 Control: AWS's SDKs put the account id before the endpoint's host (botocore, data/s3control/2018-08-20/
    endpoint-rule-set-1.json, "{url#scheme}://{AccountId}.{url#authority}"), and no resolver knows such a name. Calls to loopback addresses
    bypass a proxy (golang.org/x/net, http/httpproxy/proxy.go, useProxy); all others that are not for the lab's endpoint are refused.
    """
    return {
        "aws:endpoints": [dict.fromkeys(_ENDPOINTS, endpoint)],
        "aws:httpProxy": endpoint,
        "aws:skipCredentialsValidation": True,
        "aws:skipMetadataApiCheck": True,
        "aws:skipRegionValidation": True,
        "aws:skipRequestingAccountId": False,
    }


class RealProviderError(LabError):
    """A plugin is missing or has the wrong version; the message says how to install it."""


def plugin_folder() -> Path:
    """Returns where `pulumi plugin install` puts plugins (pulumi/pulumi, sdk/go/common/workspace/plugins.go, GetPluginDir).

    A relative PULUMI_HOME is resolved here, since the engine runs in another folder.
    """
    return Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi").absolute() / "plugins"


def check_installed(folder: Path, wanted: Sequence[SdkPlugin] | None = None) -> None:
    """Raises RealProviderError if the engine would not find a plugin in `folder`, with the command that installs each missing one."""
    missing = {plugin: fault for plugin in (sdk_plugins() if wanted is None else wanted) if (fault := _plugin_problem(folder, plugin))}
    if not missing:
        return
    lines: list[str] = []
    for plugin, fault in missing.items():
        lines.append(f"  pulumi-{plugin.name} {plugin.version} is installed and asks for the plugin of its own version; {fault}:")
        server = f" --server {plugin.server}" if plugin.server else ""
        lines.append(f"    pulumi plugin install resource {plugin.name} v{plugin.version}{server}")
    raise RealProviderError(
        f"--provider real: the engine finds no such plugin in {folder}.\n" + "\n".join(lines) + "\n"
        "(`make pulumi` puts `pulumi` into .venv/bin. Without a way to its download site: the same command with --file FILE.)"
    )


def link_plugins(home: Path, folder: Path) -> None:
    """Links the plugins in `folder` into the engine's PULUMI_HOME, `home`."""
    home.mkdir(parents=True, exist_ok=True)
    own = home / "plugins"
    if own.is_symlink():
        own.unlink()
    elif own.exists():
        raise RealProviderError(f"--provider real: {own} is a folder that the lab has not made; move it away")
    own.symlink_to(folder)


def _plugin_problem(folder: Path, plugin: SdkPlugin) -> str | None:
    """Returns why the engine would not start a plugin from `folder`, or None if it would."""
    # The names, and the marker file of a partial installation: PluginDescriptor.Dir and .File, GetPluginsFromDir in the same file.
    name = f"resource-{plugin.name}-v{plugin.version}"
    program = folder / name / f"pulumi-resource-{plugin.name}"
    if (folder / f"{name}.partial").exists():
        return "that one is half installed"
    if program.is_file():
        return None if os.access(program, os.X_OK) else f"{program} is not executable"
    if program.exists():
        return f"{program} is no file"
    others = [version for version in _versions(folder, plugin.name) if version != f"v{plugin.version}"]
    return f"there is only {', '.join(others)}" if others else "there is none"


def _versions(folder: Path, name: str) -> list[str]:
    name_and_version = re.compile(rf"resource-{re.escape(name)}-(v\d+\.\d+\.[^/]*?)")
    found = (name_and_version.fullmatch(path.name) for path in folder.glob("resource-*") if path.is_dir())
    return sorted(match[1] for match in found if match)
