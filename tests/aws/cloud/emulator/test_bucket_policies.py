"""A bucket's own policy, towards the administrator."""

import json

from tests.aws.cloud.support import client, refused


def test_a_buckets_deny_under_a_condition_or_of_a_role_denies_no_administrators_call_and_another_does(api: str) -> None:
    s3 = client("s3", api)
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::artifacts/*"}
    without_tls = {**everything, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    of_a_role = {**everything, "Principal": {"AWS": "arn:aws:iam::123456789012:role/web"}}
    s3.put_bucket_policy(Bucket="artifacts", Policy=json.dumps({"Version": "2012-10-17", "Statement": [without_tls, of_a_role]}))
    s3.put_object(Bucket="artifacts", Key="k", Body=b"1")
    s3.put_bucket_policy(Bucket="artifacts", Policy=json.dumps({"Version": "2012-10-17", "Statement": [without_tls, everything]}))
    assert refused(s3.put_object, Bucket="artifacts", Key="k", Body=b"2") == "403"  # moto's answer has no body to name AccessDenied
