"""AWS's identity and access management, as the lab's door applies it to the calls of hosts.

    signatures   whether a call was signed with the secret of its access key
    sessions     whose access key it is: the role and instance behind it
    asks         what the call needs: IAM actions on ARNs, with the facts that conditions may name
    patterns     wildcards, ARNs and policy variables
    conditions   condition operators
    statements   policies read, and one statement held against one ask
    evaluation   several policies held against it: AWS's order of judgement
    policies     the policies in force, read from the API
    judge        all of it for one call

It is never kinder than AWS: what it does not know allows nothing. Why it is our own: docs/decisions/0007.
"""
