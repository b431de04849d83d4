"""The AWS session of the lab's own parts, which ask the API on nobody's behalf."""

import boto3


def nobody() -> boto3.session.Session:
    """A session with made-up credentials: the API server takes any, and botocore asks for some."""
    return boto3.session.Session(aws_access_key_id="lab", aws_secret_access_key="lab")  # noqa: S106 (no secret)
