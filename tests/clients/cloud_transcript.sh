#!/usr/bin/env bash
# Three users of two projects, with a Keystone of their own, create, upload, share and download images by `openstack`. Prints every
# command with its output, and starts and stops what it needs. The binary is target/debug/oriel, or ORIEL_BINARY.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export ORIEL_STORES_HOME="${ORIEL_STORES_HOME:-$PWD/var/stores}"
oriel="${ORIEL_BINARY:-${CARGO_TARGET_DIR:-target}/debug/oriel}"
tests/clients/run.sh install >/dev/null
tests/keystone/keystone.sh install >/dev/null
export ORIEL_KEYSTONE_PORT="${ORIEL_KEYSTONE_PORT:-18781}"
root="$PWD"
dir="$(mktemp -d)"
server=
clean() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  "$root/tests/keystone/keystone.sh" stop >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap clean EXIT
tests/keystone/keystone.sh start >/dev/null
# shellcheck disable=SC1091
. "$ORIEL_STORES_HOME/keystone/run/settings"
port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
export PATH="$PWD/var/clients/venv/bin:$PATH"
export OS_AUTH_URL="$KEYSTONE_URL" OS_IDENTITY_API_VERSION=3 OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default
export OS_REGION_NAME=RegionOne PYTHONWARNINGS=ignore

as() { OS_USERNAME="$1" OS_PASSWORD="$2" OS_PROJECT_NAME="$3" "${@:4}" 2>&1; }
# say WHO COMMAND...: the command as it is typed by that user, then what it prints, then its exit status if it is not 0.
say() {
  local who="$1" password=secret project status=0
  shift
  case "$who" in admin) password="$KEYSTONE_PASSWORD" project=admin ;; alice | arthur) project=alpha ;; bob) project=beta ;; esac
  printf '\n%s@%s$ %s\n' "$who" "$project" "$*"
  as "$who" "$password" "$project" "$@" || status=$?
  [ "$status" -eq 0 ] || echo "(exit status $status)"
}

for project in alpha beta; do as admin "$KEYSTONE_PASSWORD" admin openstack project create "$project" >/dev/null; done
for user in alice:alpha:member arthur:alpha:reader bob:beta:member; do
  IFS=: read -r name project role <<<"$user"
  as admin "$KEYSTONE_PASSWORD" admin openstack user create --password secret "$name" >/dev/null
  as admin "$KEYSTONE_PASSWORD" admin openstack role add --user "$name" --project "$project" "$role" >/dev/null
done
as admin "$KEYSTONE_PASSWORD" admin openstack service create --name oriel image >/dev/null
as admin "$KEYSTONE_PASSWORD" admin openstack endpoint create --region RegionOne image public "http://127.0.0.1:$port" >/dev/null
cat >"$dir/oriel.toml" <<TOML
auth = "keystone"
[keystone]
auth_url = "$KEYSTONE_URL"
username = "admin"
password = "$KEYSTONE_PASSWORD"
project_name = "admin"
[server]
listen = "127.0.0.1:$port"
[metrics]
listen = "off"
[log]
level = "warn"
[catalog]
path = "$dir/catalog.sqlite"
[embedded]
data_dir = "$dir/store"
[store.main]
endpoint = "embedded"
TOML
"$oriel" serve --config "$dir/oriel.toml" 2>"$dir/log" &
server=$!
for _ in $(seq 100); do curl -fsS -o /dev/null "http://127.0.0.1:$port/versions" 2>/dev/null && break; sleep 0.1; done
cd "$dir"
head -c 5000000 /dev/urandom >disk.raw

echo "# alice is a member of the project alpha, arthur a reader of it, bob a member of beta."
say admin openstack catalog show image -c endpoints
say alice openstack image create --disk-format raw --container-format bare --file disk.raw --property os_distro=debian debian -c name -c status -c size -c visibility
say alice openstack image list
say arthur openstack image list
say arthur openstack image save --file arthur.raw debian
say arthur openstack image set --name stolen debian
say bob openstack image list
id="$(as alice secret alpha openstack image show debian -f value -c id)"
beta="$(as admin "$KEYSTONE_PASSWORD" admin openstack project show beta -f value -c id)"
say bob openstack image show "$id"
say alice openstack image add project "$id" "$beta"
say bob openstack image show "$id" -c name -c status -c visibility
say bob openstack image list
say bob openstack image set --accept --project "$beta" "$id"
say bob openstack image list
say bob openstack image save --file bob.raw "$id"
say bob cmp disk.raw bob.raw
say bob openstack image delete "$id"
say bob openstack image set --public "$id"
say alice openstack image set --public "$id"
say admin openstack image set --public "$id"
say bob openstack image list --public
say alice openstack image delete "$id"
say bob openstack image list
say alice glance --os-auth-token bad --os-image-url "http://127.0.0.1:$port" image-list
