#!/usr/bin/env bash
# Prints a session of the openstack and glance commands with an Oriel that has nothing in it yet: every line that begins
# with `$ ` is a command, what follows is all that it printed. Nothing is edited. Everything is taken away at the end.
#
#   transcript.sh
#
# It ends with 0 if every command ended as it should. Where ORIEL_BINARY names no binary and none is built, it builds one.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install_clients
if ! [ -x "$ORIEL_BINARY" ]; then cargo build --locked --quiet; fi

dir="$(mktemp -d)"
server=
clean() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap clean EXIT
"$ORIEL_BINARY" dev --listen 127.0.0.1:0 --data-dir "$dir/data" >"$dir/said" 2>"$dir/log" &
server=$!
for _ in $(seq 100); do
  url="$(sed -nE 's/.* (http:[^;]*);.*/\1/p' "$dir/said" | head -n 1)"
  [ -z "$url" ] || break
  kill -0 "$server" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
  sleep 0.1
done
[ -n "$url" ] || fault "Oriel does not start"

# The commands run where nothing is but what they are about, and without the settings of whoever calls.
mkdir "$dir/work" "$dir/home"
PATH="$STORE_HOME/venv/bin:$PATH"
for name in $(compgen -e | grep '^OS_' || true); do unset "$name"; done
export HOME="$dir/home" LC_ALL=C.UTF-8 CLIFF_MAX_TERM_WIDTH=120
cd "$dir/work"

# show COMMAND: prints and runs it. refused COMMAND: the same for one that must fail, and tells its status.
show() { printf '$ %s\n' "$1"; eval "$1" 2>&1 </dev/null; }
refused() {
  local status=0
  show "$1" || status=$?
  echo "[exit status $status]"
  [ "$status" -ne 0 ] || fault "this should have failed: $1"
}

show "url=$url"
show 'openstack() { command openstack --os-auth-type none --os-endpoint "$url" "$@"; }'
show 'glance() { command glance --os-image-url "$url" --os-auth-token unused "$@"; }'
show 'openstack --version; glance --version'
show "head -c 5000000 /dev/urandom >disk.raw; sha512sum disk.raw"

show 'openstack image create --file disk.raw --disk-format raw --property hw_disk_bus=virtio --tag blue --private first'
show 'openstack image list --long -c Name -c Size -c Status -c Visibility -c Project -c Tags'
show 'openstack image save --file copy.raw first; cmp disk.raw copy.raw && echo identical'
show "head -c 1000000 disk.raw | openstack image create 'from a pipe' -c name -c size -c status"
show "openstack image create 'empty input' -c name -c size -c status"
show 'openstack image list --sort size:desc'
show 'openstack image list --private --tag blue --property hw_disk_bus=virtio'
show 'openstack image list --limit 1 --marker "empty input"'
show "openstack image show 'from a pipe' -c name -c checksum -c owner"
show "openstack image set --name 'Größe 图像' --min-disk 2 --public --property os_distro=debian --tag red first"
show "openstack image show 'Größe 图像' -c name -c min_disk -c visibility -c tags"
show "openstack image unset --property hw_disk_bus --tag blue 'Größe 图像'"
show "openstack image set --deactivate 'Größe 图像'; openstack image show 'Größe 图像' -f value -c status"
show "openstack image set --activate 'Größe 图像'; openstack image show 'Größe 图像' -f value -c status"
show "openstack image set --protected 'Größe 图像'"
refused "openstack image delete 'Größe 图像'"
show "openstack image set --unprotected 'Größe 图像'"
refused 'openstack image show nothing'
refused 'openstack image create --file disk.raw --disk-format qcow2 wrong'
show 'openstack image stores list'
show 'openstack image import info'
show 'openstack image task list'
show 'openstack image metadef namespace create Disks --public'
show 'openstack image metadef property create Disks --name speed --title Speed --type string --schema "{\"enum\": [\"slow\", \"fast\"]}"'
show 'openstack image metadef namespace list'
show 'openstack image metadef namespace delete Disks'
show "openstack image delete 'from a pipe' 'empty input'"

show 'glance image-create --name second --disk-format raw --container-format bare --file disk.raw --progress --property k=v'
id="$(openstack image show second -f value -c id)"
show "id=$id"
show 'glance image-list --sort-key size --sort-dir desc --page-size 1'
show 'glance image-download --file again.raw --progress $id; cmp disk.raw again.raw && echo identical'
show 'glance image-download $id | cmp - disk.raw && echo identical'
show 'glance image-update $id --name renamed --property k=w --min-ram 512'
show 'glance image-tag-update $id green; glance image-tag-update $id grey; glance image-tag-delete $id grey'
show 'glance image-deactivate $id; glance image-reactivate $id'
show 'glance member-create $id 0123456789abcdef0123456789abcdef'
show 'glance member-list --image-id $id'
show 'glance member-delete $id 0123456789abcdef0123456789abcdef'
show 'glance image-show $id'
show 'glance stores-info --detail'
show 'glance usage; glance task-list; glance image-tasks $id'
show 'glance md-namespace-create Own --visibility public; glance md-namespace-list'
refused 'glance image-show nothing'
show 'glance image-delete $id'
show 'openstack image list'
