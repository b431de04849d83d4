"""Parameters."""

from __future__ import annotations

from typing import Final

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.handler import Function, FunctionError

DEBIAN_PARAMETER: Final = "/aws/service/debian/release/13/latest/amd64"


class GetParameter(Function):
    """`aws.ssm.get_parameter`; Debian's public parameter names the client's image."""

    def invoke(self, client: ApiClient, arguments: Props) -> Props:
        name = arguments["name"]
        answer = {"id": name, "region": client.region, "withDecryption": True, **arguments}
        if name == DEBIAN_PARAMETER:
            value, kind, version = client.debian_ami, "String", 1
            arn = f"arn:aws:ssm:{client.region}::parameter{name}"
        else:
            found = client.find("ssm.get_parameter", Name=name, WithDecryption=arguments.get("withDecryption", True))
            if found is None:
                raise FunctionError("name", f"reading SSM Parameter ({name}): couldn't find resource")
            parameter = found["Parameter"]
            value, kind, version, arn = parameter["Value"], parameter["Type"], parameter["Version"], parameter["ARN"]
        insecure = "" if kind == "SecureString" else value
        return answer | {"arn": arn, "type": kind, "value": value, "insecureValue": insecure, "version": version}
