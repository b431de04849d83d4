"""Who gets the rights of a host's role: the metadata service gives them to whoever asks, and only root and the role's agents can."""

import pytest

from tests.lab.harness import LabUnderTest

ASKS = """
import os, pwd, subprocess, sys, urllib.request
user = sys.argv[1]
if user.endswith(".service"):
    number = int(subprocess.run(["systemctl", "show", "--property=UID", "--value", user], capture_output=True, check=True).stdout)
else:
    number = pwd.getpwnam(user).pw_uid
os.setgroups([]); os.setgid(65534); os.setuid(number)
wanted = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
request = urllib.request.Request("http://169.254.169.254/latest/api/token", method="PUT", headers=wanted)
try:
    print("given" if urllib.request.urlopen(request, timeout=10).read() else "empty")
except OSError as error:
    print(getattr(error, "reason", error))
"""


@pytest.mark.parametrize(
    ("host", "user", "answer"),
    [
        ("web-1", "root", "given"),
        ("web-1", "webstack-app.service", "[Errno 13] Permission denied"),
        ("web-1", "www-data", "[Errno 13] Permission denied"),
        ("lb-1", "root", "given"),
        ("lb-1", "haproxy", "[Errno 13] Permission denied"),
        ("db-1", "root", "given"),
        ("db-1", "webstack-agent", "given"),
        ("db-1", "mysql", "[Errno 13] Permission denied"),
        ("db-1", "nobody", "[Errno 13] Permission denied"),
    ],
)
def test_the_metadata_service_answers_root_and_agents_alone(lab: LabUnderTest, host: str, user: str, answer: str) -> None:
    assert lab.run_on(host, "python3", "-c", ASKS, user).strip() == answer
