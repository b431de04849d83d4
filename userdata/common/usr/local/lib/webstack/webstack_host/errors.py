"""The one difference between failures that matters to a boot: whether waiting may mend them."""


class PermanentError(RuntimeError):
    """What no waiting mends: a wrong file, a refused validation, data that must not be touched.

    Everything else may heal: an API that is down or throttles, rights that IAM has not spread yet (its changes are "eventually
    consistent", docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html), a secret that is not there yet, a mirror, a lock of apt's.
    """
