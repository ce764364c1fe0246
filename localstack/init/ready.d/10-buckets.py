"""Creates the buckets an Oriel store needs. LocalStack runs this itself once it serves requests.

Python, not shell: LocalStack executes it with its own interpreter, so boto3 is there in every image, whether or not the
image also has the AWS command line. ORIEL_BUCKETS names the buckets, separated by commas.
"""

import os

import boto3

client = boto3.client(
    "s3",
    endpoint_url="http://127.0.0.1:4566",
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
for bucket in filter(None, os.environ.get("ORIEL_BUCKETS", "images").split(",")):
    # In us-east-1 creating a bucket again is not an error, so a restart with kept data passes.
    client.create_bucket(Bucket=bucket)
    print(f"bucket {bucket} is there", flush=True)
