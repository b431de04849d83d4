"""Rules of CloudWatch Logs."""

from __future__ import annotations

from typing import Final

from lab.provider.rules.model import TypeRules, name_set
from lab.provider.rules.validators import all_of, arn, length, matches, one_of

RETENTION_DAYS: Final = (0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)

RULES: Final[dict[str, TypeRules]] = {
    "aws:cloudwatch/logGroup:LogGroup": TypeRules(
        unsupported=name_set("deletionProtectionEnabled"),
        checks={
            "name": all_of(length(1, 512), matches(r"[.\-_/#A-Za-z0-9]+", "letters, digits and .-_/#")),
            "retentionInDays": one_of(*RETENTION_DAYS),
            "kmsKeyId": arn,
            "logGroupClass": one_of("STANDARD", "INFREQUENT_ACCESS", "DELIVERY"),
        },
    ),
}
