"""What every component shares: its type from the one table, and options for its children."""

from typing import Any

import pulumi

from stack.naming import COMPONENT_TYPES


class Component(pulumi.ComponentResource):
    """A named group of resources. Subclasses make their children with `self.child(…)` and end with `self.register_outputs`."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(COMPONENT_TYPES[type(self).__name__], name, None, opts)
        self.component_name = name

    def child(self, **options: Any) -> pulumi.ResourceOptions:
        """Options of a child: parented here, and nothing else that was not asked for."""
        return pulumi.ResourceOptions(parent=self, **options)
