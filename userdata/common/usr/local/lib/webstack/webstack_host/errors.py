"""Errors, distinguished by what matters to a boot: whether they may pass by waiting."""


class PermanentError(RuntimeError):
    """An error that waiting does not fix: a wrong file, a failed validation, data that must not be touched.

    All other errors may pass: an API that is down or throttles, permissions that IAM has not propagated yet (its changes are "eventually
    consistent", docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html), a secret that does not exist yet, a mirror, apt's lock.
    """
