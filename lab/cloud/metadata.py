"""The instance metadata service, version 2, which every EC2 instance reaches at 169.254.169.254.

It identifies the caller by source address. Tokens, hop limit and the instance's metadata options work as on AWS:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

import asyncio
import base64
import datetime
import json
import logging
import secrets
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

from lab.cloud.iam.policies import PolicyStore
from lab.cloud.iam.trust import can_assume
from lab.cloud.inventory import InstanceInfo, Inventory, MotoClients, Profile
from lab.cloud.metadata_tree import VERSIONS, build_tree, list_dir

if TYPE_CHECKING:
    from mypy_boto3_sts.type_defs import CredentialsTypeDef

_LOG = logging.getLogger(__name__)

TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 - a header's name
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
MAX_TOKEN_SECONDS = 21600
CREDENTIAL_SECONDS = 6 * 3600
"""The lifetime of a role's credentials on an instance; about six hours on AWS."""
RENEWAL_MARGIN_SECONDS = 15 * 60
"""AWS guarantees new credentials at least five minutes before the old ones expire; clients renew theirs 15 minutes before."""

_DEFAULT_HOP_LIMIT = 64
_NOT_FOUND_HTML = "<html><head><title>404 - Not Found</title></head><body><h1>404 - Not Found</h1></body></html>\n"


class MetadataService:
    """Serves the metadata on listening sockets. Times are from this machine's clock."""

    def __init__(self, inventory: Inventory, clients: MotoClients, policies: PolicyStore) -> None:
        self._inventory = inventory
        self._credentials = RoleCredentials(clients, policies)
        self._tokens: dict[str, _Token] = {}
        self._runner: web.ServerRunner | None = None

    async def start(self, listening: socket.socket) -> None:
        """Serves on a socket that is already listening."""
        self._runner = web.ServerRunner(web.Server(self._serve), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def stop(self) -> None:
        """Stops serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        try:
            return await self._handle(request)
        except (BotoCoreError, ClientError):
            _LOG.exception("the metadata for %s could not be read from the API", request.remote)
            return _text("Service Unavailable", 503)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        facts = await self._inventory.instance_at(request.remote or "")
        if facts is None:
            return _not_found()
        options = facts.instance.get("MetadataOptions", {})
        if options.get("HttpEndpoint") == "disabled":
            return _text("Forbidden", 403)
        version, _, path = request.path.strip("/").partition("/")
        if request.method == "PUT":
            return self._issue_token(request, facts) if path == "api/token" and version in VERSIONS else _not_found()
        _set_hop_limit(request, _DEFAULT_HOP_LIMIT)
        if request.method not in {"GET", "HEAD"}:
            return _text("Method Not Allowed", 405)
        token = request.headers.get(TOKEN_HEADER)
        if token is None and options.get("HttpTokens") == "required":
            return _text("Unauthorized", 401)
        if token is not None and not self._is_valid_token(token, facts.id):
            return _text("Unauthorized", 401)
        if not version:
            return _text("\n".join(VERSIONS))
        return await self._answer(facts, path) if version in VERSIONS else _not_found()

    def _issue_token(self, request: web.BaseRequest, instance_info: InstanceInfo) -> web.Response:
        # A proxy on the host marks requests that it forwards for others with this header; AWS gives them no token.
        if "X-Forwarded-For" in request.headers:
            return _text("Forbidden", 403)
        ttl = request.headers.get(TTL_HEADER, "")
        if not ttl.isdecimal() or not 1 <= int(ttl) <= MAX_TOKEN_SECONDS:
            return _text("Bad Request", 400)
        now = time.monotonic()
        self._tokens = {token: known for token, known in self._tokens.items() if known.expires > now}
        token = secrets.token_urlsafe(40)
        self._tokens[token] = _Token(instance_id=instance_info.id, expires=now + int(ttl))
        hop_limit = instance_info.instance.get("MetadataOptions", {}).get("HttpPutResponseHopLimit", 1)
        _set_hop_limit(request, hop_limit)
        return _text(token, headers={TTL_HEADER: ttl})

    def _is_valid_token(self, token: str, instance_id: str) -> bool:
        known = self._tokens.get(token)
        return known is not None and known.instance_id == instance_id and known.expires > time.monotonic()

    async def _answer(self, instance_info: InstanceInfo, path: str) -> web.Response:
        user_data = await self._inventory.user_data(instance_info) if path in {"", "user-data"} else ""
        if path == "user-data":
            return web.Response(body=base64.b64decode(user_data), content_type="application/octet-stream") if user_data else _not_found()
        paths = build_tree(instance_info, user_data=bool(user_data))
        profile = instance_info.profile
        if profile and profile.role_name and path == f"meta-data/iam/security-credentials/{profile.role_name}":
            return _text(await self._credentials.get(instance_info.id, profile))
        value = paths.get(path)
        if value is None:
            value = list_dir(paths, path)
        return _text(value) if value is not None else _not_found()


@dataclass(frozen=True, kw_only=True)
class _Token:
    instance_id: str
    expires: float


@dataclass(frozen=True, kw_only=True)
class _CachedCredentials:
    credentials: "CredentialsTypeDef"
    since: datetime.datetime


class RoleCredentials:
    """An instance's credentials for its role: a session named after the instance, renewed before it expires."""

    def __init__(self, clients: MotoClients, policies: PolicyStore) -> None:
        self._clients = clients
        self._policies = policies
        self._cache: dict[tuple[str, str], _CachedCredentials] = {}
        self._renewal = asyncio.Lock()

    async def get(self, instance_id: str, profile: Profile) -> str:
        """Returns the metadata service's JSON: the credentials, or why EC2 may not assume the role."""
        if not can_assume("ec2.amazonaws.com", await self._policies.role(profile.role_arn), profile.role_arn):
            return _assume_role_denied(profile.role_name)
        key = (instance_id, profile.role_arn)
        async with self._renewal:
            held = self._cache.get(key)
            now = datetime.datetime.now(datetime.UTC)
            if held is None or (held.credentials["Expiration"] - now).total_seconds() <= RENEWAL_MARGIN_SECONDS:
                answer = await asyncio.to_thread(
                    self._clients.sts.assume_role,
                    RoleArn=profile.role_arn,
                    RoleSessionName=instance_id,
                    DurationSeconds=CREDENTIAL_SECONDS,
                )
                held = self._cache[key] = _CachedCredentials(credentials=answer["Credentials"], since=now)
        return json.dumps(
            {
                "Code": "Success",
                "LastUpdated": _iso_time(held.since),
                "Type": "AWS-HMAC",
                "AccessKeyId": held.credentials["AccessKeyId"],
                "SecretAccessKey": held.credentials["SecretAccessKey"],
                "Token": held.credentials["SessionToken"],
                "Expiration": _iso_time(held.credentials["Expiration"]),
            },
            indent=2,
        )


def _assume_role_denied(role_name: str) -> str:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html"""
    return json.dumps(
        {
            "Code": "AssumeRoleUnauthorizedAccess",
            "Message": f"EC2 cannot assume the role {role_name}. Its trust policy does not name ec2.amazonaws.com.",
            "LastUpdated": _iso_time(datetime.datetime.now(datetime.UTC)),
        },
        indent=2,
    )


def _iso_time(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _set_hop_limit(request: web.BaseRequest, hops: int) -> None:
    """Sets the response's hop limit (TTL). With 1, the host cannot forward it to a container."""
    transport = request.transport
    if transport is not None:
        connection = cast("socket.socket", transport.get_extra_info("socket"))
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)


def _text(text: str, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/plain", headers=headers)


def _not_found() -> web.Response:
    return web.Response(text=_NOT_FOUND_HTML, status=404, content_type="text/html")
