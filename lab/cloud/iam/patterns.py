"""Wildcards, ARNs and policy variables.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

import functools
import re
from dataclasses import dataclass

from lab.cloud.iam.request_context import RequestContext

_VARIABLE = re.compile(r"\$\{\s*([^},]+?)\s*(?:,\s*'([^']*)'\s*)?\}")
_ARN_PARTS = 6
_MATCH_ALL = (("*", True),)
_LITERALS = frozenset({"*", "?", "$"})


class UnsupportedValueError(Exception):
    """A variable or value that the lab does not work out: whether the statement applies cannot be told."""


class MissingValueError(Exception):
    """A variable that the request has no value for: AWS then applies no statement that names it."""


@dataclass(frozen=True)
class PolicyPattern:
    """A policy's text with its variables filled in: pieces that are patterns, and pieces that stand for themselves."""

    segments: tuple[tuple[str, bool], ...]
    """Text, and whether wildcards in it are wildcards."""

    @property
    def literal(self) -> str:
        """The text, each character standing for itself."""
        return "".join(text for text, _ in self.segments)

    def matches(self, value: str) -> bool:
        """Whether `value` is like it: `*` stands for any characters, `?` for one."""
        return _compile_glob(self, arn=False).fullmatch(value) is not None

    def matches_arn(self, value: str) -> bool:
        """The same for an ARN, whose first five parts are matched each by itself; `*` alone is like every one.

        Raises `UnsupportedValueError` for a text with too few parts: IAM takes no such policy, so nobody can say what it would mean.
        """
        if self.segments == _MATCH_ALL:
            return True
        if self.literal.count(":") < _ARN_PARTS - 1:
            raise UnsupportedValueError(self.literal)
        return _compile_glob(self, arn=True).fullmatch(value) is not None


def substitute_variables(text: str, context: RequestContext | None) -> PolicyPattern:
    """The text with its policy variables filled in. `context` None: a policy of the version 2008-10-17, which knows no variables.

    Raises `MissingValueError`, or `UnsupportedValueError` where a variable's value is not known to the lab.
    """
    if context is None or "${" not in text:
        return PolicyPattern(((text, True),))
    pieces: list[tuple[str, bool]] = []
    end = 0
    for variable in _VARIABLE.finditer(text):
        pieces.append((text[end : variable.start()], True))
        pieces.append((_value(variable[1], variable[2], context), False))
        end = variable.end()
    pieces.append((text[end:], True))
    return PolicyPattern(tuple(piece for piece in pieces if piece[0]))


def _value(name: str, default: str | None, context: RequestContext) -> str:
    if name in _LITERALS:
        return name
    values = context.get(name)
    if values is None:
        raise UnsupportedValueError(name)
    if len(values) == 1:
        return values[0]
    if not values and default is not None:
        return default
    raise MissingValueError(name)


@functools.lru_cache(maxsize=4096)
def _compile_glob(text: PolicyPattern, *, arn: bool) -> re.Pattern[str]:
    pattern: list[str] = []
    part = 1
    for piece, wild in text.segments:
        if not wild:
            pattern.append(re.escape(piece))
            continue
        for character in piece:
            within = "[^:]" if arn and part < _ARN_PARTS else "."
            part += character == ":"
            pattern.append({"*": f"{within}*", "?": within}.get(character) or re.escape(character))
    return re.compile("".join(pattern), re.DOTALL)


@functools.lru_cache(maxsize=4096)
def action_pattern(text: str) -> re.Pattern[str]:
    """An action of a policy (`s3:Get*`); AWS does not mind its case."""
    return re.compile(_compile_glob(PolicyPattern(((text, True),)), arn=False).pattern, re.DOTALL | re.IGNORECASE)
