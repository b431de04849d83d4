"""Conditional writes."""

from tests.aws.cloud.support import client, refused


def test_a_conditional_put_is_won_once_also_in_a_versioned_bucket(api: str) -> None:
    s3 = client("s3", api)
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="artifacts", Key="database/primary.json", Body=b"db-1", IfNoneMatch="*")
    again = refused(s3.put_object, Bucket="artifacts", Key="database/primary.json", Body=b"db-2", IfNoneMatch="*")
    assert again == "PreconditionFailed"
    s3.delete_object(Bucket="artifacts", Key="database/primary.json")
    s3.put_object(Bucket="artifacts", Key="database/primary.json", Body=b"db-2", IfNoneMatch="*")
