"""boto3 clients that call a lab's AWS API from this machine."""

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
    """Makes clients with one set of keys for one API endpoint."""

    endpoint: str
    session: boto3.session.Session

    def client(self, service: str, region: str, config: Config | None = None) -> Any:
        """Returns a client for one service in one region."""
        make = cast("Any", self.session.client)  # its stubs require the service's name as a literal
        return make(service, region_name=region, endpoint_url=self.endpoint, config=config)


def admin_clients(names: LabNames) -> ClientFactory:
    """Clients with the administrator's key, through the API gateway. Raises AdminKeysError if the caller is not root."""
    keys = read_admin_key(names)
    session = boto3.session.Session(aws_access_key_id=keys.access_key_id, aws_secret_access_key=keys.secret)
    return ClientFactory(endpoint=names.api_endpoint, session=session)


def internal_clients(address: str) -> ClientFactory:
    """Clients of a moto server (`lab.moto_address`) for the lab's own parts. The keys are dummies: moto does not check them."""
    session = boto3.session.Session(aws_access_key_id="lab", aws_secret_access_key="lab")  # noqa: S106 (no secret)
    if socket_path(address) is not None:
        register = cast("Any", session.events.register)  # its stubs require handlers that return None
        register("before-send", _UnixSocketSender(address))
    return ClientFactory(endpoint=base_url(address), session=session)


class _UnixSocketSender:
    """Handles botocore's `before-send` event: sends the request in place of botocore's own HTTP client, which cannot use Unix sockets.

    https://docs.aws.amazon.com/boto3/latest/guide/events.html; what it must return: botocore/endpoint.py, Endpoint._do_get_response.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Returns the complete response. Raises the errors that botocore's own client would raise."""
        asked: Any = request  # botocore-stubs lack its attributes
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
    """A response body with the method by which botocore reads it."""

    def stream(self, **_: object) -> Generator[bytes]:
        """Yields the whole body at once."""
        yield self.read()
