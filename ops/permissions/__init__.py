"""What a deployer needs on AWS: the least policy of whoever runs `pulumi up`, and of whoever previews.

observed.yaml     what a whole life of a stack asks of AWS, written by tests/aws/test_deployer.py from the lab's authorizer
unobserved.yaml     what the real provider and the program ask beside that, each with its source
required        both files read: one line is an action, on what, under which condition
policies        lines made policies for one stack, cut to the sizes that IAM takes
state           the rights for the engine's own state on S3 and its key
github          who may take the roles: GitHub's tokens
"""
