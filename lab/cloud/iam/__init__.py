"""AWS's identity and access management, as the lab's API gateway applies it to the calls of hosts.

    signatures            whether a call was signed with the secret of its access key
    role_sessions         the role session, and its instance, that an access key belongs to
    ambiguity             whether moto could read it as another call
    required_permissions  what the call needs: IAM actions on ARNs (permission); s3_permissions, ec2_permissions … hold services' tables
    request_context       the values of condition keys and policy variables, from caller and request
    patterns              wildcards, ARNs and policy variables
    conditions            condition operators
    statements            parses policies, and evaluates one statement for one authorization request
    evaluation            evaluates all applicable policies for it, in AWS's order
    policies              the policies in force, read from the API
    trust                 whether an AWS service may assume a role
    authorizer            all of it for one call

It fails closed: unknown actions and condition keys never allow a request. Why we wrote it ourselves: docs/decisions/0007.
"""
