"""What is built: the resources, and what they are made from."""

# From here on the packages in its trees, whose models the specs of roles name, can be imported.
import userdata  # noqa: F401  # pyright: ignore[reportUnusedImport]
