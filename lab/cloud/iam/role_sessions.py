"""Finds the role session of an access key. Results are cached, because a session never changes."""

import datetime
from dataclasses import dataclass

import aiohttp

from lab.cloud.iam.request_context import Principal
from lab.cloud.internal_api import SESSIONS_PREFIX, SessionInfo

INSTANCE_PREFIX = "i-"
SESSION_KEY_PREFIX = "ASIA"
"""The prefix of sessions' access keys: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""


@dataclass(frozen=True, kw_only=True)
class RoleSession:
    """A role's session, with the secret key and token that sign its calls."""

    secret: str
    token: str
    expires: datetime.datetime
    principal: Principal
    """Without the role's tags, since they may change."""

    @property
    def instance_id(self) -> str:
        """The id of the instance that it was made for; empty if it was not made for one."""
        name = self.principal.session_arn.rpartition("/")[2]
        return name if name.startswith(INSTANCE_PREFIX) else ""


class RoleSessions:
    """The sessions in the API server, read through `http`, a client of the moto server."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._cache: dict[str, RoleSession] = {}

    async def get(self, access_key_id: str) -> RoleSession | None:
        """Returns the session of an access key, or None if there is none. Raises aiohttp.ClientError if the server does not answer."""
        if access_key_id not in self._cache:
            if not access_key_id.startswith(SESSION_KEY_PREFIX) or not access_key_id.isalnum():
                return None
            async with self._http.get(f"{SESSIONS_PREFIX}{access_key_id}") as answer:
                if answer.status == 404:
                    return None
                answer.raise_for_status()
                report: SessionInfo = await answer.json()
            self._cache[access_key_id] = _parse_session(report)
        return self._cache[access_key_id]


def _parse_session(report: SessionInfo) -> RoleSession:
    return RoleSession(
        secret=report["secret_access_key"],
        token=report["session_token"],
        expires=datetime.datetime.fromtimestamp(report["expiration"], datetime.UTC),
        principal=Principal(
            account=report["session_arn"].split(":")[4],
            role_arn=report["role_arn"],
            session_arn=report["session_arn"],
            user_id=report["user_id"],
        ),
    )
