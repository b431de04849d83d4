"""The one kind of error that the command line shows as it is: its message is written for the person who typed the command."""


class LabError(Exception):
    """Says what was given or what happened, which rule it breaks, and what to do."""
