"""AWS's identity and access management, as the lab's API gateway applies it to the calls of hosts.

    signatures   whether a call was signed with the secret of its access key
    sessions     whose access key it is: the role and instance behind it
    straight     whether it is put so that the API server cannot read it as another call
    asks         what the call needs: IAM actions on ARNs (needs); s3_asks and ec2_asks hold those services' tables
    facts        what is known of caller and request: the values of condition keys and variables
    patterns     wildcards, ARNs and policy variables
    conditions   condition operators
    statements   policies read, and one statement held against one ask
    evaluation   several policies held against it: AWS's order of judgement
    policies     the policies in force, read from the API
    trust        whether an AWS service may take a role
    judge        all of it for one call

It is never kinder than AWS: what it does not know allows nothing. Why it is our own: docs/decisions/0007.
"""
