"""Whose an access key is: the sessions that STS has made. AWS's front doors know them; moto tells them to nobody outside itself."""

from moto.sts.models import sts_backends

from lab.cloud.internal_api import SessionInfo


def find_session(access_key_id: str) -> SessionInfo | None:
    """The role's session that an access key belongs to; None where there is none."""
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
