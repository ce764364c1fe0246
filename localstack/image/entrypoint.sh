#!/bin/sh
# What the container runs: LocalStack in place of the shell, so that a stop reaches it and it ends in order.
set -e

# With an auth token LocalStack would look for the vendor's licence server; this image needs neither.
unset LOCALSTACK_AUTH_TOKEN LOCALSTACK_API_KEY

exec python3 -m localstack.runtime.main "$@"
