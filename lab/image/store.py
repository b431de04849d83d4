"""Where images are kept: `<cache>/images/<hash>/root`, each complete as soon as it is there, and the packages they were made of."""

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
        """The store in this machine's cache folder."""
        return cls(cache=cache_folder())

    def recipe(self, variant: Variant) -> Recipe:
        """What the image of this clone is made of today; makes the certificate authority at the first call."""
        certificate, _key = certificates.ensure_ca(self.cache)
        of_roles = {package for spec in SPECS for package in spec.variables_type.packages}
        packages = sorted({*BAKED_PACKAGES, *of_roles}) if variant == "baked" else []
        return Recipe(variant=variant, role_packages=tuple(packages), ca_pem=certificate.read_text())

    def folder(self, recipe: Recipe) -> Path:
        """The image's folder; it exists only when the image is complete."""
        return self._images / recipe.key

    def restrict_access(self) -> None:
        """Lets nobody but its owner look into the images: they hold programs that run as root, and nobody here updates them."""
        if self._images.is_dir():
            self._images.chmod(0o700)

    @property
    def _images(self) -> Path:
        return self.cache / "images"

    def root(self, recipe: Recipe) -> Path:
        """The image's file tree, the lower layer of every host's root disk."""
        return self.folder(recipe) / "root"

    def packages_dir(self, recipe: Recipe) -> Path:
        """The .debs installed over the plain image, with an index: `lab.cloud.package_mirror` serves them to hosts of the plain image."""
        return self.cache / "debs" / recipe.key

    def exists(self, recipe: Recipe) -> bool:
        """Whether the image is there."""
        return self.folder(recipe).is_dir()

    @contextmanager
    def building(self, recipe: Recipe) -> Generator[Path]:
        """A scratch folder to build the image in; on success it becomes the image, else it goes.

        One build at a time: a second one waits, and then finds the image made.
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
