"""Pulumi's own provider plugins, which are what runs on AWS: where they are installed, and how they are pointed at the lab."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lab.aws_services import SERVICES
from lab.engine.sdk_plugins import SdkPlugin, sdk_plugins
from lab.errors import LabError

_ENDPOINTS = (*SERVICES, "s3control")
"""S3 Control is asked for the tags of buckets since 6.23.0 (hashicorp/terraform-provider-aws, CHANGELOG.md; issues 45292 and 45784)."""


def settings(endpoint: str) -> dict[str, object]:
    """What the real provider needs to speak to the lab alone, beside what the lab's own one needs.

    The lab's credentials are made up, and no metadata service is on this machine; the account's number is asked of the lab's STS, because
    ARNs are made of it, and S3 Control's calls need it (hashicorp/terraform-provider-aws, website/docs/index.html.markdown, for the
    settings; website/docs/guides/custom-service-endpoints.html.markdown for the endpoints' names).

    The proxy is for S3 Control: AWS's SDKs put the account's number before the endpoint's host (botocore, data/s3control/2018-08-20/
    endpoint-rule-set-1.json, "{url#scheme}://{AccountId}.{url#authority}"), and no resolver knows such a name. Calls to loopback
    addresses go past a proxy (golang.org/x/net, http/httpproxy/proxy.go, useProxy); what else is not for the lab's endpoint is refused.
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
    """A plugin is not installed, or not in the version that the program is written for; the message says how to get it."""


def plugin_folder() -> Path:
    """Where `pulumi plugin install` puts plugins (pulumi/pulumi, sdk/go/common/workspace/plugins.go, GetPluginDir).

    A relative PULUMI_HOME is one from here: the engine works in another folder.
    """
    return Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi").absolute() / "plugins"


def check_installed(folder: Path, wanted: Sequence[SdkPlugin] | None = None) -> None:
    """Raises RealProviderError, with the command that gets it, for each plugin that the engine would not find in `folder`."""
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
    """Makes the plugins of `folder` those of the engine whose PULUMI_HOME is `home`."""
    home.mkdir(parents=True, exist_ok=True)
    own = home / "plugins"
    if own.is_symlink():
        own.unlink()
    elif own.exists():
        raise RealProviderError(f"--provider real: {own} is a folder, and the lab makes none there; move it away")
    own.symlink_to(folder)


def _plugin_problem(folder: Path, plugin: SdkPlugin) -> str | None:
    """Why the engine would not start a plugin of `folder`; None where it would."""
    # The names, and the file that stands beside a half-installed one: PluginDescriptor.Dir and .File, GetPluginsFromDir there.
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
