"""How AWS says no, in each of its dialects, so that clients raise what they would raise on AWS."""

import json
from xml.sax.saxutils import escape

from lab.cloud.calls import Call

_XML = "text/xml;charset=UTF-8"


def access_denied(call: Call, message: str, *, json_dialect: bool) -> tuple[str, str]:
    """The content type and body of a 403 for `call`."""
    text = escape(message)
    if json_dialect:
        return "application/x-amz-json-1.1", json.dumps({"__type": "AccessDeniedException", "message": message})
    if call.service == "s3":
        return "application/xml", f"<Error><Code>AccessDenied</Code><Message>{text}</Message></Error>"
    if call.service == "ec2":
        error = f"<Error><Code>UnauthorizedOperation</Code><Message>{text}</Message></Error>"
        return _XML, f"<Response><Errors>{error}</Errors><RequestID>lab</RequestID></Response>"
    error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message></Error>"
    return _XML, f"<ErrorResponse>{error}<RequestId>lab</RequestId></ErrorResponse>"
