"""AWS's identity and access management, as the lab's API gateway applies it to the calls of hosts.

    signatures            whether a call was signed with the secret of its access key
    role_sessions         whose access key it is: the role and instance behind it
    ambiguity             whether moto could read it as another call
    required_permissions  what the call needs: IAM actions on ARNs (permission); s3_permissions, ec2_permissions … hold services' tables
    request_context       what is known of caller and request: the values of condition keys and variables
    patterns              wildcards, ARNs and policy variables
    conditions            condition operators
    statements            policies read, and one statement held against one authorization request
    evaluation            several policies held against it, in AWS's order
    policies              the policies in force, read from the API
    trust                 whether an AWS service may assume a role
    authorizer            all of it for one call

Fails closed: unknown actions and condition keys never allow a request. Why it is our own: docs/decisions/0007.
"""
