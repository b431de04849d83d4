"""Rules of KMS keys and aliases."""

from __future__ import annotations

from typing import Final

from lab.provider.rules.model import Naming, TypeRules, names
from lab.provider.rules.validators import between, every, length, matches, one_of, policy

RULES: Final[dict[str, TypeRules]] = {
    "aws:kms/key:Key": TypeRules(
        unserved=names("bypassPolicyLockoutSafetyCheck customKeyStoreId xksKeyId"),
        force_new=names("customerMasterKeySpec keyUsage customKeyStoreId multiRegion xksKeyId"),
        requires={"rotationPeriodInDays": "enableKeyRotation"},
        checks={
            "deletionWindowInDays": between(7, 30),
            "rotationPeriodInDays": between(90, 2560),
            "description": length(0, 8192),
            "keyUsage": one_of("ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"),
            "policy": policy(32768, principal=True),
        },
        defaults={
            "isEnabled": True,
            "enableKeyRotation": False,
            "keyUsage": "ENCRYPT_DECRYPT",
            "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        },
        computed=names("description policy multiRegion rotationPeriodInDays"),
        documents=names("policy"),
        own=names("deletionWindowInDays bypassPolicyLockoutSafetyCheck"),
    ),
    "aws:kms/alias:Alias": TypeRules(
        force_new=names("name namePrefix"),
        conflicts=(("name", "namePrefix"),),
        checks={
            "name": every(
                length(7, 256), matches(r"alias/(?!aws/)[a-zA-Z0-9:/_-]+", 'a name that begins with "alias/", outside alias/aws/')
            )
        },
        naming=Naming(longest=238, prefix="alias/"),
        computed=names("name namePrefix"),
    ),
}
