"""What calls of S3 and S3 Control need, by the table of AWS's service authorization reference."""

from dataclasses import replace

import pytest

from lab.cloud.calls import HttpRequest
from tests.unit.cloud.iam.service_calls import TAGGING, TAGS_OF_BUCKET, asked, control, found, s3

DELETIONS = b"""<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>app/a:b</Key><VersionId>1</VersionId></Object>
<Object><Key>app/a:b</Key></Object></Delete>"""
B, K = "arn:aws:s3:::artifacts", "arn:aws:s3:::artifacts/app/a:b"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (s3("GET", "/artifacts/app/a%3Ab"), [("s3:GetObject", K)]),
        (s3("HEAD", "/artifacts/app/a%3Ab"), [("s3:GetObject", K)]),
        (s3("GET", "/artifacts/app/a%3Ab", "versionId=1"), [("s3:GetObjectVersion", K)]),
        (s3("PUT", "/artifacts/app/a%3Ab"), [("s3:PutObject", K)]),
        (s3("PUT", "/artifacts/app/a%3Ab", "partNumber=1&uploadId=u"), [("s3:PutObject", K)]),
        (s3("POST", "/artifacts/app/a%3Ab", "uploads"), [("s3:PutObject", K)]),
        (s3("DELETE", "/artifacts/app/a%3Ab"), [("s3:DeleteObject", K)]),
        (s3("DELETE", "/artifacts/app/a%3Ab", "versionId=1"), [("s3:DeleteObjectVersion", K)]),
        (s3("PUT", "/artifacts/app/a%3Ab", "tagging"), [("s3:PutObjectTagging", K)]),
        (s3("PUT", "/artifacts/app/a%3Ab", x_amz_tagging="a=b"), [("s3:PutObject", K), ("s3:PutObjectTagging", K)]),
        (s3("PUT", "/artifacts/app/a%3Ab", x_amz_acl="private"), [("s3:PutObject", K), ("s3:PutObjectAcl", K)]),
        (
            s3("PUT", "/artifacts/app/a%3Ab", x_amz_copy_source="/other/x%20y"),
            [("s3:PutObject", K), ("s3:GetObject", "arn:aws:s3:::other/x y")],
        ),
        (
            s3("PUT", "/artifacts/app/a%3Ab", x_amz_copy_source="other/x?versionId=3"),
            [("s3:PutObject", K), ("s3:GetObjectVersion", "arn:aws:s3:::other/x")],
        ),
        (s3("GET", "/artifacts", "list-type=2&prefix=database%2F"), [("s3:ListBucket", B)]),
        (s3("HEAD", "/artifacts"), [("s3:ListBucket", B)]),
        (s3("GET", "/artifacts", "versions"), [("s3:ListBucketVersions", B)]),
        (s3("GET", "/artifacts", "encryption"), [("s3:GetEncryptionConfiguration", B)]),
        (s3("PUT", "/artifacts", "policy"), [("s3:PutBucketPolicy", B)]),
        (s3("DELETE", "/artifacts"), [("s3:DeleteBucket", B)]),
        (s3("GET", "/"), [("s3:ListAllMyBuckets", "*")]),
        (replace(s3("POST", "/artifacts", "delete"), body=DELETIONS), [("s3:DeleteObjectVersion", K), ("s3:DeleteObject", K)]),
        (s3("DELETE", "/artifacts", "lifecycle"), [("s3:PutLifecycleConfiguration", B)]),
        (s3("DELETE", "/artifacts", "publicAccessBlock"), [("s3:PutBucketPublicAccessBlock", B)]),
    ],
)
def test_s3(message: HttpRequest, expected: list[tuple[str, str]]) -> None:
    assert asked("s3", message) == expected


def test_a_listing_tells_its_prefix_and_an_object_whose_policy_counts() -> None:
    (listing,) = found("s3", s3("GET", "/artifacts", "list-type=2&prefix=database%2F&delimiter=%2F"))
    assert listing.context == {"s3:prefix": ("database/",), "s3:delimiter": ("/",)}
    assert listing.policy_owner == ("bucket", "artifacts")


WITH_TAGS = TAGGING.replace(b"TagResourceRequest", b"CreateBucketConfiguration")


def test_s3_control_gives_and_takes_tags_of_buckets() -> None:
    assert asked("s3", control("GET", TAGS_OF_BUCKET)) == [("s3:ListTagsForResource", B)]
    (tagging,) = found("s3", control("POST", TAGS_OF_BUCKET, body=TAGGING))
    assert (tagging.action, tagging.resource, tagging.policy_owner) == ("s3:TagResource", B, ("bucket", "artifacts"))
    assert tagging.context == {"aws:requesttag/stack": ("dev",), "aws:tagkeys": ("Stack",)}
    (untagging,) = found("s3", control("DELETE", TAGS_OF_BUCKET, "tagKeys=b&tagKeys=a"))
    assert (untagging.action, untagging.resource) == ("s3:UntagResource", B)
    assert untagging.context == {"aws:tagkeys": ("a", "b")}


def test_a_bucket_that_is_made_with_tags_needs_the_right_to_give_them() -> None:
    made, tagged = found("s3", replace(s3("PUT", "/artifacts"), body=WITH_TAGS))
    assert [(need.action, need.resource) for need in (made, tagged)] == [("s3:CreateBucket", B), ("s3:TagResource", B)]
    assert tagged.context == {"aws:requesttag/stack": ("dev",), "aws:tagkeys": ("Stack",)}
    plain = b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>"
    assert asked("s3", replace(s3("PUT", "/artifacts"), body=plain)) == asked("s3", s3("PUT", "/artifacts")) == [("s3:CreateBucket", B)]
