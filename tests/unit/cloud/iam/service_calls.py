"""Calls of AWS's services, and what they need of an API with one secret and one instance profile."""

import asyncio
import json
from dataclasses import replace
from urllib.parse import urlencode

from lab.cloud.calls import HttpRequest, parse_call
from lab.cloud.iam.permission import RequiredPermission
from lab.cloud.iam.required_permissions import ArnScope, permissions_for

PLACE = ArnScope(partition="aws", region="eu-west-1", account="123456789012")
EC2 = "arn:aws:ec2:eu-west-1:123456789012"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:webstack/dev/app-writer-AbCdEf"
ROLE = "arn:aws:iam::123456789012:role/web"
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


class FakeResourceLookup:
    """An API with one secret and one instance profile."""

    async def secret_arn(self, region: str, secret_id: str) -> str | None:
        assert region == "eu-west-1"
        return SECRET if secret_id in ("webstack/dev/app-writer", SECRET) else None

    async def profile_role_arn(self, name: str) -> str | None:
        return ROLE if name == "web" else None

    async def associated_ids(self, region: str, association: str) -> list[str]:
        return {"rtbassoc-1": ["rtb-1", "subnet-1"], "eipassoc-1": ["eipalloc-1", "eni-1"]}.get(association, [])


def signed(service: str) -> dict[str, str]:
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential=ASIA1/20261124/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    }


def asked(service: str, message: HttpRequest) -> list[tuple[str, str]]:
    return [(need.action, need.resource) for need in found(service, message)]


def found(service: str, message: HttpRequest) -> list[RequiredPermission]:
    call = parse_call(replace(message, headers={**signed(service), **message.headers}), "10.20.1.10")
    return asyncio.run(permissions_for(call, PLACE, FakeResourceLookup()))


def s3(method: str, path: str, query: str = "", **headers: str) -> HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequest(method=method, host="s3.eu-west-1.amazonaws.com", path=path, query=query, headers=named)


def ec2(action: str, **parameters: str) -> HttpRequest:
    body = urlencode({"Action": action, "Version": "2016-11-15", **{key.replace("_", "."): value for key, value in parameters.items()}})
    return HttpRequest(method="POST", host="ec2.eu-west-1.amazonaws.com", headers=FORM, body=body.encode())


def of_json(service: str, target: str, **parameters: object) -> HttpRequest:
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    return HttpRequest(method="POST", host=f"{service}.eu-west-1.amazonaws.com", headers=headers, body=json.dumps(parameters).encode())


def iam(action: str, **parameters: str) -> HttpRequest:
    body = urlencode({"Action": action, "Version": "2010-05-08", **{key.replace("_", "."): value for key, value in parameters.items()}})
    return HttpRequest(method="POST", host="iam.amazonaws.com", headers=FORM, body=body.encode())


CHANGES = b"""<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Changes><Change>
<Action>UPSERT</Action><ResourceRecordSet><Name>Web.Dev.webstack.internal.</Name><Type>A</Type></ResourceRecordSet></Change></Changes>
</ChangeBatch></ChangeResourceRecordSetsRequest>"""
CONTROL = "123456789012.s3-control.eu-west-1.amazonaws.com"


def control(method: str, path: str, query: str = "", *, body: bytes = b"", host: str = CONTROL) -> HttpRequest:
    headers = {"x-amz-account-id": "123456789012"}
    return HttpRequest(method=method, host=host, path=f"/v20180820/{path}", query=query, headers=headers, body=body)


TAGS_OF_BUCKET = "tags/arn%3Aaws%3As3%3A%3A%3Aartifacts"
TAGGING = b"<TagResourceRequest><Tags><Tag><Key>Stack</Key><Value>dev</Value></Tag></Tags></TagResourceRequest>"
