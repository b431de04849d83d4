"""Rules of KMS keys and aliases."""

from __future__ import annotations

from typing import Final

from lab.provider.rules.model import AutoNaming, TypeRules, name_set
from lab.provider.rules.validators import all_of, between, length, matches, one_of, policy

RULES: Final[dict[str, TypeRules]] = {
    "aws:kms/key:Key": TypeRules(
        unsupported=name_set("bypassPolicyLockoutSafetyCheck customKeyStoreId xksKeyId"),
        force_new=name_set("customerMasterKeySpec keyUsage customKeyStoreId multiRegion xksKeyId"),
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
        computed=name_set("description policy multiRegion rotationPeriodInDays"),
        json_documents=name_set("policy"),
        local_only=name_set("deletionWindowInDays bypassPolicyLockoutSafetyCheck"),
    ),
    "aws:kms/alias:Alias": TypeRules(
        force_new=name_set("name namePrefix"),
        conflicts=(("name", "namePrefix"),),
        checks={
            "name": all_of(
                length(7, 256), matches(r"alias/(?!aws/)[a-zA-Z0-9:/_-]+", 'a name that begins with "alias/", outside alias/aws/')
            )
        },
        naming=AutoNaming(max_length=238, prefix="alias/"),
        computed=name_set("name namePrefix"),
    ),
}
