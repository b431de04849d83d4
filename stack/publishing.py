"""Bundles come into the artifact bucket by the program itself, on every real `up` and before any host that fetches them is made or changed.

They are no resources of the engine: the state would hold the path of a file, which the provider opens again on whatever machine the next
preview runs (docs/decisions/0015-the-program-puts-bundles-into-the-bucket.md).
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import pulumi

from stack.bundles import BuiltBundle

MAX_ATTEMPTS: Final = 6
RETRY_DELAYS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries: a bucket that was just made may not be known everywhere yet, and calls may be throttled."""


class ObjectStore(Protocol):
    """What publishing asks AWS; `Cloud` answers. Each call blocks and may raise anything."""

    def has_object(self, bucket: str, key: str, *, length: int, sha256: str) -> bool:
        """Whether there is an object of that key with that content, as far as its length and the hash kept beside it tell."""
        ...

    def put_object(self, bucket: str, key: str, path: Path, *, sha256: str) -> None:
        """Makes the object of a file, whole or not at all, and keeps the content's hash beside it."""
        ...


class PublishError(pulumi.RunError):
    """A bundle did not get into the bucket; no host that fetches it has been made or changed."""

    def __init__(self, bucket: str, key: str, error: Exception) -> None:
        super().__init__(
            f"{key} could not be put into the bucket {bucket} in {MAX_ATTEMPTS} tries: {type(error).__name__}: {error}\n\n"
            "No host was changed. Try `up` again; the credentials of `up` need s3:GetObject, s3:ListBucket and s3:PutObject there."
        )


class Publisher:
    """Puts what is not there yet, or not as it was, into the bucket. `enabled` is false in a preview, which builds and changes nothing."""

    def __init__(
        self, *, store_factory: Callable[[], ObjectStore], enabled: bool, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._store_factory = store_factory
        self._enabled = enabled
        self._sleep = sleep

    def publish(
        self, bundles: Sequence[BuiltBundle], bucket: pulumi.Output[str], *, depends_on: Sequence[pulumi.CustomResource]
    ) -> pulumi.Output[str]:
        """The bucket's name, known once every bundle is in it, which is `after` the resources that say how the bucket keeps things."""

        def begin(values: list[Any]) -> "Awaitable[str] | str":
            return self.upload_all(str(values[0]), bundles) if self._enabled else str(values[0])

        return pulumi.Output.all(bucket, *(resource.id for resource in depends_on)).apply(begin)

    async def upload_all(self, bucket: str, bundles: Sequence[BuiltBundle]) -> str:
        """Puts the bundles into the bucket, side by side; its name. Raises PublishError."""
        store = self._store_factory()
        await asyncio.gather(*(self._upload(store, bucket, bundle) for bundle in bundles))
        return bucket

    async def _upload(self, store: ObjectStore, bucket: str, bundle: BuiltBundle) -> None:
        path = bundle.path
        if path is None:
            raise ValueError(f"{bundle.key} has no file: a bundle that is not built can only be previewed")

        def upload() -> bool:
            """Whether it had to be put there: also where somebody has put something else there, which every host would refuse."""
            with path.open("rb") as file:
                sha256, length = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
            if store.has_object(bucket, bundle.key, length=length, sha256=sha256):
                return False
            store.put_object(bucket, bundle.key, path, sha256=sha256)
            return True

        for pause in (*RETRY_DELAYS, None):
            try:
                if await asyncio.to_thread(upload):
                    pulumi.log.info(f"{bundle.key}: put into the bucket, {path.stat().st_size / 1e6:.1f} MB")
            except Exception as error:
                if pause is None:
                    raise PublishError(bucket, bundle.key, error) from error
                await self._sleep(pause)
            else:
                return
