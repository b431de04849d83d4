"""Stores images in `<cache>/images/<hash>/root`, with the packages that they were made of. An image that exists is complete."""

import fcntl
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.cloud import certificates
from lab.image.recipe import BAKED_PACKAGES, Recipe, Variant
from lab.paths import cache_folder
from stack.roles import SPECS


@dataclass(frozen=True, kw_only=True)
class ImageStore:
    """The images in one cache folder."""

    cache: Path

    @classmethod
    def default(cls) -> "ImageStore":
        """Returns the store in this machine's cache folder."""
        return cls(cache=cache_folder())

    def recipe(self, variant: Variant) -> Recipe:
        """Returns the recipe of this clone's image. The first call makes the certificate authority."""
        certificate, _key = certificates.ensure_ca(self.cache)
        of_roles = {package for spec in SPECS for package in spec.variables_type.packages}
        packages = sorted({*BAKED_PACKAGES, *of_roles}) if variant == "baked" else []
        return Recipe(variant=variant, role_packages=tuple(packages), ca_pem=certificate.read_text())

    def folder(self, recipe: Recipe) -> Path:
        """Returns the image's folder, which exists only if the image is complete."""
        return self._images / recipe.key

    def restrict_access(self) -> None:
        """Makes the images accessible only to their owner: they contain setuid root programs that get no security updates here."""
        if self._images.is_dir():
            self._images.chmod(0o700)

    @property
    def _images(self) -> Path:
        return self.cache / "images"

    def root(self, recipe: Recipe) -> Path:
        """Returns the image's file tree, the lower layer of every host's root disk."""
        return self.folder(recipe) / "root"

    def packages_dir(self, recipe: Recipe) -> Path:
        """Returns the folder of the .debs added to the plain image, with an index: `lab.cloud.package_mirror` serves it to plain hosts."""
        return self.cache / "debs" / recipe.key

    def exists(self, recipe: Recipe) -> bool:
        """Whether the image exists."""
        return self.folder(recipe).is_dir()

    @contextmanager
    def building(self, recipe: Recipe) -> Generator[Path]:
        """Yields a scratch folder to build the image in. It becomes the image on success and is removed otherwise.

        Only one build runs at a time: a second one waits and then finds the image.
        """
        images = self._images
        images.mkdir(parents=True, exist_ok=True)
        with (images / f".{recipe.variant}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in images.glob(f".building-{recipe.variant}-*"):
                shutil.rmtree(left)
            scratch = images / f".building-{recipe.variant}-{recipe.key}"
            scratch.mkdir()
            try:
                yield scratch
                if not self.exists(recipe):
                    scratch.rename(self.folder(recipe))
            finally:
                if scratch.exists():
                    shutil.rmtree(scratch)
