"""The AWS services that the lab's users call."""

SERVICES = ("cloudwatch", "dynamodb", "ec2", "iam", "kms", "logs", "route53", "s3", "secretsmanager", "sns", "ssm", "sts")
"""By the prefixes of their IAM actions, which for all of these are the names of their endpoints in AWS's provider too
(hashicorp/terraform-provider-aws, website/docs/guides/custom-service-endpoints.html.markdown)."""
