"""Versioning, encryption and lifecycle of S3 buckets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, tag_list, tag_map
from lab.provider.rules.model import TypeRules, Violation, as_dict, as_list, indexed_dicts
from lab.provider.rules.validators import length, one_of


def _encryption_violations(props: dict[str, Any]) -> Iterator[Violation]:
    given = len(as_list(props.get("rules")))
    if isinstance(props.get("rules"), list) and given != 1:
        yield Violation("rules", f"expected exactly one rule; got {given}")


def _lifecycle_violations(props: dict[str, Any]) -> Iterator[Violation]:
    if not props.get("rules"):
        yield Violation("rules", "at least one rule must be given")
        return
    actions = ("expiration", "noncurrentVersionExpiration", "transitions", "noncurrentVersionTransitions", "abortIncompleteMultipartUpload")
    for index, rule in indexed_dicts(props.get("rules")):
        if not any(rule.get(action) for action in actions):
            yield Violation(f"rules[{index}]", f"at least one action must be given: {', '.join(actions)}")


def _validate_versioning_change(olds: Mapping[str, Any], news: Mapping[str, Any]) -> str | None:
    """`CustomizeDiff` in terraform-provider-aws, internal/service/s3/bucket_versioning.go."""
    before = as_dict(olds.get("versioningConfiguration")).get("status")
    if before in ("Enabled", "Suspended") and as_dict(news.get("versioningConfiguration")).get("status") == "Disabled":
        return f"versioningConfiguration.status cannot be updated from {before!r} to 'Disabled'; give 'Suspended'"
    return None


def _identifier(news: Props) -> str:
    owner = news.get("expectedBucketOwner")
    return f"{news['bucket']},{owner}" if owner else str(news["bucket"])


class BucketVersioning(Handler):
    """`aws.s3.BucketVersioning`; its delete suspends."""

    label = "S3 Bucket Versioning"
    rules = TypeRules(
        checks={"versioningConfiguration.status": one_of("Enabled", "Suspended", "Disabled")},
        validate_change=_validate_versioning_change,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        if _status(news) != "Disabled":
            _put_versioning(client, news["bucket"], _status(news))
        return _identifier(news)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        bucket = identifier.partition(",")[0]
        found = client.find("s3.get_bucket_versioning", Bucket=bucket)
        if found is None:
            return None
        given = as_dict(state.get("versioningConfiguration"))
        live = {"status": found.get("Status") or "Disabled", "mfaDelete": found.get("MFADelete") or given.get("mfaDelete") or ""}
        return {"bucket": bucket, "versioningConfiguration": live}

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        _put_versioning(client, news["bucket"], _status(news))

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        if _status(state) == "Enabled":
            ignore_missing(lambda: _put_versioning(client, state["bucket"], "Suspended"))


def _status(props: Props) -> str:
    return str(as_dict(props.get("versioningConfiguration")).get("status"))


def _put_versioning(client: ApiClient, bucket: str, status: str) -> None:
    client.call("s3.put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": status})


class BucketServerSideEncryptionConfiguration(Handler):
    """`aws.s3.BucketServerSideEncryptionConfiguration`; its delete leaves S3's own default."""

    label = "S3 Bucket Server-side Encryption Configuration"
    rules = TypeRules(
        checks={"rules[].applyServerSideEncryptionByDefault.sseAlgorithm": one_of("AES256", "aws:kms", "aws:kms:dsse")},
        cross_check=_encryption_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        self.update(client, news["bucket"], {}, news, frozenset())
        return _identifier(news)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        bucket = identifier.partition(",")[0]
        found = client.find("s3.get_bucket_encryption", Bucket=bucket)
        if found is None:
            return None
        rules: list[Props] = []
        for rule in as_list(found["ServerSideEncryptionConfiguration"].get("Rules")):
            by_default = as_dict(rule.get("ApplyServerSideEncryptionByDefault"))
            live = {"sseAlgorithm": by_default.get("SSEAlgorithm"), "kmsMasterKeyId": by_default.get("KMSMasterKeyID") or ""}
            rules.append({"applyServerSideEncryptionByDefault": live, "bucketKeyEnabled": bool(rule.get("BucketKeyEnabled"))})
        return {"bucket": bucket, "rules": rules}

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        rules: list[dict[str, Any]] = []
        for rule in as_list(news.get("rules")):
            given = as_dict(rule.get("applyServerSideEncryptionByDefault"))
            wanted = {"SSEAlgorithm": given["sseAlgorithm"]} if given else {"SSEAlgorithm": "AES256"}
            if given.get("kmsMasterKeyId"):
                wanted["KMSMasterKeyID"] = given["kmsMasterKeyId"]
            rules.append({"ApplyServerSideEncryptionByDefault": wanted, "BucketKeyEnabled": bool(rule.get("bucketKeyEnabled"))})
        client.call("s3.put_bucket_encryption", Bucket=news["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        ignore_missing(lambda: client.call("s3.delete_bucket_encryption", Bucket=state["bucket"]))


_API_NAMES: Final = {"id": "ID"}
_PROPERTY_NAMES: Final = {"ID": "id"}


class BucketLifecycleConfiguration(Handler):
    """`aws.s3.BucketLifecycleConfiguration`."""

    label = "S3 Bucket Lifecycle Configuration"
    rules = TypeRules(
        checks={"rules[].status": one_of("Enabled", "Disabled"), "rules[].id": length(1, 255)},
        cross_check=_lifecycle_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        self.update(client, news["bucket"], {}, news, frozenset())
        return _identifier(news)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        bucket = identifier.partition(",")[0]
        found = client.find("s3.get_bucket_lifecycle_configuration", Bucket=bucket)
        if found is None:
            return None
        return {
            "bucket": bucket,
            "rules": [_from_api(rule) for rule in as_list(found.get("Rules"))],
            "transitionDefaultMinimumObjectSize": state.get("transitionDefaultMinimumObjectSize") or "all_storage_classes_128K",
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        rules: list[dict[str, Any]] = []
        for rule in as_list(news.get("rules")):
            made = cast("dict[str, Any]", _to_api(rule))
            if "Prefix" not in made and not made.get("Filter"):
                made["Filter"] = {"Prefix": ""}
            rules.append(made)
        client.call("s3.put_bucket_lifecycle_configuration", Bucket=news["bucket"], LifecycleConfiguration={"Rules": rules})

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        ignore_missing(lambda: client.call("s3.delete_bucket_lifecycle", Bucket=state["bucket"]))


def _to_api(value: Any, key: str = "") -> Any:
    """A property in the API's form: PascalCase names, tags as a list."""
    if isinstance(value, dict):
        given = cast("Props", value)
        if key == "tags":
            return tag_list(given)
        return {_API_NAMES.get(name, name[0].upper() + name[1:]): _to_api(item, name) for name, item in given.items() if item is not None}
    if isinstance(value, list):
        return [_to_api(item) for item in cast("list[Any]", value)]
    return value


def _from_api(value: Any, key: str = "") -> Any:
    """The inverse of `_to_api`."""
    if isinstance(value, dict):
        return {_PROPERTY_NAMES.get(name, name[0].lower() + name[1:]): _from_api(item, name) for name, item in cast("Props", value).items()}
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return tag_map(items) if key == "Tags" else [_from_api(item) for item in items]
    return value
