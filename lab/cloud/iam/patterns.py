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
    """A variable or value that the lab does not support, so that it cannot tell whether the statement applies."""


class MissingValueError(Exception):
    """A variable without a value in the request. On AWS, a statement that uses it does not apply."""


@dataclass(frozen=True)
class PolicyPattern:
    """A policy's text with its variables substituted: parts that are patterns, and literal parts."""

    segments: tuple[tuple[str, bool], ...]
    """Each part's text, and whether wildcards in it are active."""

    @property
    def literal(self) -> str:
        """The text with every character taken literally."""
        return "".join(text for text, _ in self.segments)

    def matches(self, value: str) -> bool:
        """Whether `value` matches: `*` matches any characters, `?` exactly one."""
        return _compile_glob(self, arn=False).fullmatch(value) is not None

    def matches_arn(self, value: str) -> bool:
        """Whether an ARN matches. Each of its first five parts is matched separately; `*` alone matches every ARN.

        Raises `UnsupportedValueError` if the text has too few parts. IAM rejects such policies, so their meaning is undefined.
        """
        if self.segments == _MATCH_ALL:
            return True
        if self.literal.count(":") < _ARN_PARTS - 1:
            raise UnsupportedValueError(self.literal)
        return _compile_glob(self, arn=True).fullmatch(value) is not None


def substitute_variables(text: str, context: RequestContext | None) -> PolicyPattern:
    """Returns the text with its policy variables substituted. `context` None: a policy of version 2008-10-17, which has no variables.

    Raises `MissingValueError`, or `UnsupportedValueError` if the lab does not support a variable.
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
    """Returns the pattern of a policy's action (`s3:Get*`), which is case-insensitive."""
    return re.compile(_compile_glob(PolicyPattern(((text, True),)), arn=False).pattern, re.DOTALL | re.IGNORECASE)
