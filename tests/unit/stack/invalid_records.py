"""Records as a host may write them into its own object, and why each is none: whoever reads records is tried with them."""

import json
from typing import Any, Final


def _record(**changes: Any) -> bytes:
    told: dict[str, Any] = {
        "state": "ready",
        "reason": "serves",
        "time": "2026-01-01T12:00:05.000000Z",
        "facts": {},
        "metrics": {},
        "detail": [],
    }
    return json.dumps({**told, **changes}).encode()


INVALID_RECORDS: Final[dict[str, tuple[bytes, str]]] = {
    "words": (b"not json", "it is not JSON"),
    "nothing": (b"", "it is not JSON"),
    "bytes": (b"\xff\xfe\x00", "it is not JSON"),
    "no end": (b"[" * 200_000, "it is not JSON"),
    "megabytes": (b'"' + b"x" * 3_000_000 + b'"', "it is larger than 256 KB"),
    "a list": (b"[1,2]", "it is not a JSON object"),
    "null": (b"null", "it is not a JSON object"),
    "a number without an end": (b'{"heartbeat_seconds": 1' + b"0" * 4000 + b"}", "`heartbeat_seconds` is not a number of seconds"),
    "no number": (b'{"heartbeat_seconds": NaN}', "it is not JSON"),
    "how often in words": (_record(heartbeat_seconds="often"), "`heartbeat_seconds` is not a number of seconds"),
    "how often as yes": (_record(heartbeat_seconds=True), "`heartbeat_seconds` is not a number of seconds"),
    "never again": (_record(heartbeat_seconds=-1), "`heartbeat_seconds` is not a number of seconds"),
    "beyond all dates": (_record(time="9999-12-31T23:59:59-14:00"), "`time` is not a date and time with an offset"),
    "before all dates": (_record(time="0001-01-01T00:00:00+14:00"), "`time` is not a date and time with an offset"),
    "no date": (_record(time="yesterday"), "`time` is not a date and time with an offset"),
    "no zone": (_record(time="2026-01-01T12:00:05"), "`time` is not a date and time with an offset"),
    "a date as a number": (_record(time=7), "`time` is not a date and time with an offset"),
    "a state that is none": (_record(state=["ready"]), "`state` is not text"),
    "a reason that is none": (_record(reason={"a": 1}), "`reason` is not text"),
    "a hash that is none": (_record(user_data_sha256=1), "`user_data_sha256` is not text"),
    "lines that are none": (_record(detail="one"), "`detail` is not a list of lines"),
    "a line that is none": (_record(detail=["one", 2]), "`detail` is not a list of lines"),
    "facts that are none": (_record(facts=["a"]), "`facts` is not a JSON object"),
    "a fact that is none": (_record(facts={"role": ["primary"]}), "`facts.role` is not text"),
    "too many facts": (_record(facts={str(number): "" for number in range(101)}), "`facts` has more than 100 entries"),
    "a measure that is none": (_record(metrics={"lag": 1.5}), "`metrics.lag` is not text"),
    "a problem that is none": (_record(configuration_problem="x"), "`configuration_problem` is not a JSON object"),
}
"""Name → the object's bytes, and why they are no record."""
