"""The one place that tags come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stack.naming import PROJECT

STACK_ID_TAG: Final = "stack-id"
"""On what is looked up by its tags: an environment's name may be that of another stack too."""


def stack_tags(environment: str, stack_id: str) -> dict[str, str]:
    """The tags by which what is a stack's own is looked up. The id alone could be given by whoever deploys another environment."""
    return {"project": PROJECT, "environment": environment, STACK_ID_TAG: stack_id}


@dataclass(frozen=True, kw_only=True)
class Tagger:
    """Makes the tags of an environment's resources."""

    environment: str
    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    expires: str | None = None

    def __call__(self, component: str, name: str, **more: str) -> dict[str, str]:
        """Tags of one resource. `component`: the part of the stack that it belongs to, as `network`; `name`: its Pulumi name."""
        expires = {"expires": self.expires} if self.expires else {}
        return {
            **self.extra,
            "project": PROJECT,
            "environment": self.environment,
            "component": component,
            "Name": name,
            **expires,
            **more,
        }
