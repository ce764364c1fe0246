#!/usr/bin/env bash
# Prints the tag of a LocalStack image that this machine's container engine has, after getting one if need be: the
# published image where a registry can be reached, else one built here (about a minute, once).
#
#   get.sh
#   LOCALSTACK_IMAGE   the image to use instead
#
# Exits with 77 where there is no engine or neither way is open; the last line on standard error is the reason.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
version="$(sed -n 's/^localstack-core==//p' "$here/../requirements.txt")"
published="localstack/localstack:$version"
built="oriel/localstack:$version"

unavailable() { printf '%s\n' "$*" >&2; exit 77; }

command -v docker >/dev/null || unavailable "no container engine is installed"
docker version >/dev/null 2>&1 || unavailable "no container engine answers"
for image in ${LOCALSTACK_IMAGE:+"$LOCALSTACK_IMAGE"} "$published" "$built"; do
  if docker image inspect "$image" >/dev/null 2>&1; then echo "$image"; exit; fi
done
# A registry that does not answer must not hold up the tests.
if timeout 300 docker pull --quiet "${LOCALSTACK_IMAGE:-$published}" >/dev/null 2>&1; then
  echo "${LOCALSTACK_IMAGE:-$published}"
  exit
fi
if [ -n "${LOCALSTACK_IMAGE:-}" ]; then unavailable "$LOCALSTACK_IMAGE cannot be pulled"; fi
"$here/build.sh" || unavailable "$published cannot be pulled, and no image can be built here"
