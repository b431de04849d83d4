"""Who calls a lab's AWS API from this machine, and where."""

import http.client
import io
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from lab.admin_keys import read_admin_key
from lab.moto_address import base_url, http_connection, socket_path
from lab.names import LabNames


@dataclass(frozen=True, kw_only=True)
class ClientFactory:
    """Somebody with keys, and the API that they call."""

    endpoint: str
    session: boto3.session.Session

    def client(self, service: str, region: str, config: Config | None = None) -> Any:
        """A client of one service in one region."""
        make = cast("Any", self.session.client)  # its stubs want the service's name as a literal
        return make(service, region_name=region, endpoint_url=self.endpoint, config=config)


def admin_clients(names: LabNames) -> ClientFactory:
    """Who may do everything in the lab's account, through the API gateway. Raises AdminKeysError for all but root."""
    keys = read_admin_key(names)
    session = boto3.session.Session(aws_access_key_id=keys.access_key_id, aws_secret_access_key=keys.secret)
    return ClientFactory(endpoint=names.api_endpoint, session=session)


def internal_clients(address: str) -> ClientFactory:
    """Clients of a moto server (`lab.moto_address`) for the lab's own parts. The keys are made up: it checks none, botocore wants some."""
    session = boto3.session.Session(aws_access_key_id="lab", aws_secret_access_key="lab")  # noqa: S106 (no secret)
    if socket_path(address) is not None:
        register = cast("Any", session.events.register)  # its stubs want handlers that answer nothing
        register("before-send", _UnixSocketSender(address))
    return ClientFactory(endpoint=base_url(address), session=session)


class _UnixSocketSender:
    """A handler of botocore's event `before-send`, which answers in the place of its own HTTP client, which knows no Unix sockets.

    https://docs.aws.amazon.com/boto3/latest/guide/events.html; what it has to give: botocore/endpoint.py, Endpoint._do_get_response.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """The answer, read whole. Raises the errors that botocore's own client would."""
        asked: Any = request  # botocore-stubs leave its attributes out
        url = urlsplit(str(asked.url))
        target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
        calling = http_connection(self._address)
        try:
            calling.request(asked.method, target, body=asked.body, headers=dict(asked.headers))
            answer = calling.getresponse()
            raw = _RawBody(answer.read())
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=asked.url, error=error) from error
        except http.client.HTTPException as error:
            raise ConnectionClosedError(endpoint_url=asked.url, request=asked, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self._address, error=error) from error
        finally:
            calling.close()
        return AWSResponse(asked.url, answer.status, cast("Any", dict(answer.getheaders())), raw)


class _RawBody(io.BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_: object) -> Generator[bytes]:
        """All of it."""
        yield self.read()
