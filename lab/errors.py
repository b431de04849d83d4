"""The base of all errors that the command line shows without a traceback: their messages are written for its user."""


class LabError(Exception):
    """The message says what was given or what happened, which rule it breaks, and what to do."""
