"""Finds the STS session of an access key. AWS's endpoints know them; moto's API does not expose them."""

from moto.sts.models import sts_backends

from lab.cloud.internal_api import SessionInfo


def find_session(access_key_id: str) -> SessionInfo | None:
    """Returns the role session that an access key belongs to, or None if there is none."""
    for account in sts_backends.values():
        for backend in account.values():
            found = backend.get_assumed_role_from_access_key(access_key_id)
            if found is not None:
                return SessionInfo(
                    secret_access_key=found.secret_access_key,
                    session_token=found.session_token,
                    expiration=found.expiration.timestamp(),
                    role_arn=found.role_arn,
                    session_arn=found.arn,
                    user_id=found.user_id,
                )
    return None
