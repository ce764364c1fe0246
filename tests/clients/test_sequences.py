"""What clients that do not come from PyPI send, in their order and with their headers.

Gophercloud and the Terraform provider on top of it speak JSON in both directions, send PATCH as `…-v2.1-json-patch`
with replace operations, and insist on exact codes. Tempest sends PATCH in the older form and uploads in chunks.
"""

import hashlib
import json
import uuid
from datetime import datetime
from urllib.parse import urlencode

import pytest

from oriel import ADMIN, ALICE, BOB, content

JSON = {"Accept": "application/json"}
JSON_BODY = JSON | {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}
PATCH_21 = JSON | {"Content-Type": "application/openstack-images-v2.1-json-patch"}
PATCH_20 = {"Content-Type": "application/openstack-images-v2.0-json-patch"}

# What gophercloud reads into fields of its own; all else has to be a string, and becomes a property.
KNOWN = {
    "id", "name", "status", "tags", "container_format", "disk_format", "min_disk", "min_ram", "owner", "protected",
    "visibility", "os_hidden", "checksum", "size", "created_at", "updated_at", "file", "schema", "virtual_size",
    "self", "direct_url", "locations", "os_hash_algo", "os_hash_value",
}  # fmt: skip


class Strict:
    """A client that accepts one code for each request."""

    def __init__(self, api):
        self.api = api

    def __call__(self, status, method, path, body=None, headers=JSON):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        answer = self.api.request(method, path, body, headers)
        assert answer.status == status, answer
        is_json = answer.headers.get("Content-Type") == "application/json"
        return json.loads(answer.body) if is_json else None

    def patch(self, image, changes, headers=PATCH_21, status=200):
        return self(status, "PATCH", f"/v2/images/{image}", changes, headers)


@pytest.fixture
def alice(shared_site):
    return Strict(shared_site.as_(ALICE))


@pytest.fixture
def bob(shared_site):
    return Strict(shared_site.as_(BOB))


def reads(record):
    """Reads a record as gophercloud does; gives its properties."""
    for time in ("created_at", "updated_at"):
        datetime.strptime(record[time], "%Y-%m-%dT%H:%M:%SZ")
    assert isinstance(record["size"], (int, type(None)))
    properties = {name: value for name, value in record.items() if name not in KNOWN}
    assert all(isinstance(value, str) for value in properties.values()), properties
    return properties


def test_gophercloud_life_of_an_image(alice):
    wanted = {
        "name": "Ubuntu 24.04",
        "id": str(uuid.uuid4()),
        "visibility": "private",
        "os_hidden": False,
        "tags": ["ubuntu", "noble"],
        "container_format": "bare",
        "disk_format": "raw",
        "min_disk": 5,
        "min_ram": 512,
        "protected": False,
        "hw_disk_bus": "scsi",
    }
    image = alice(201, "POST", "/v2/images", wanted, JSON_BODY)
    assert wanted.items() <= (image | {"tags": wanted["tags"]}).items()
    assert sorted(image["tags"]) == sorted(wanted["tags"])
    assert reads(image) == {"hw_disk_bus": "scsi"}
    assert image["status"] == "queued"
    path = f"/v2/images/{image['id']}"

    data = content(400_000)
    alice(204, "PUT", f"{path}/file", data, BYTES)
    image = alice(200, "GET", path)
    assert (image["status"], image["size"]) == ("active", len(data))
    assert reads(image).keys() == {"hw_disk_bus", "stores"}

    changed = alice.patch(
        image["id"],
        [
            {"op": "replace", "path": "/name", "value": "renamed"},
            {"op": "replace", "path": "/tags", "value": ["one"]},
            {"op": "replace", "path": "/visibility", "value": "shared"},
            {"op": "replace", "path": "/min_disk", "value": 6},
            {"op": "replace", "path": "/protected", "value": True},
            {"op": "replace", "path": "/os_hidden", "value": True},
            {"op": "add", "path": "/hw_rng_model", "value": "virtio"},
            {"op": "replace", "path": "/hw_disk_bus", "value": "virtio"},
        ],
    )
    assert (changed["name"], changed["tags"], changed["min_disk"]) == ("renamed", ["one"], 6)
    assert (changed["protected"], changed["os_hidden"]) == (True, True)
    assert reads(changed)["hw_rng_model"] == "virtio"
    alice.patch(image["id"], [{"op": "remove", "path": "/hw_rng_model"}])
    alice(403, "DELETE", path)
    alice.patch(image["id"], [{"op": "replace", "path": "/protected", "value": False}])

    assert alice.api.request("GET", f"{path}/file", headers=JSON).body == data
    alice(204, "POST", f"{path}/actions/deactivate")
    alice(204, "POST", f"{path}/actions/reactivate")
    alice(204, "DELETE", path)
    alice(404, "GET", path)
    alice(404, "DELETE", path)


def test_gophercloud_lists(alice):
    for number in range(5):
        alice.api.create(
            name="same" if number < 3 else "other",
            visibility="private",
            tags=["even"] if number % 2 == 0 else [],
            min_ram=number,
        )

    def found(**query):
        """Follows `next` as it is given, like its pagers."""
        path, names = f"/v2/images?{urlencode(query)}", []
        while path:
            page = alice(200, "GET", path)
            names += [image["name"] for image in page["images"]]
            path = page.get("next") if page["images"] else None
        return names

    assert found(name="same", visibility="private", owner=ALICE.project, tag="even", sort="name:asc") == ["same"] * 2
    assert found(limit=2, sort="name:asc,created_at:desc") == ["other"] * 2 + ["same"] * 3
    assert found(limit=1, sort_key="name", sort_dir="desc") == ["same"] * 3 + ["other"] * 2
    assert found(name="in:other,none", status="queued", size_min=0) == []
    assert found(owner=BOB.project) == []
    assert found(visibility="public") == []
    assert found(container_format="bare", disk_format="raw", os_hidden="false", limit=1000) != []
    assert found(created_at="gt:2020-01-01T00:00:00Z", limit=2).count("same") == 3
    assert found(member_status="accepted", visibility="shared") == []


def test_gophercloud_members(alice, bob):
    image = alice.api.create(name="ours", visibility="shared", data=content(9))
    members = f"/v2/images/{image}/members"
    member = alice(200, "POST", members, {"member": BOB.project}, JSON_BODY)
    assert member.keys() == {"member_id", "image_id", "status", "created_at", "updated_at", "schema"}
    assert (member["member_id"], member["status"]) == (BOB.project, "pending")
    assert alice(200, "GET", members) == {"members": [member], "schema": "/v2/schemas/members"}
    assert alice(200, "GET", f"{members}/{BOB.project}") == member
    changed = bob(200, "PUT", f"{members}/{BOB.project}", {"status": "accepted"}, JSON_BODY)
    assert changed["status"] == "accepted"
    alice(204, "DELETE", f"{members}/{BOB.project}")
    alice(404, "DELETE", f"{members}/{BOB.project}")
    bob(404, "GET", f"/v2/images/{image}")


def test_gophercloud_finds_out_what_the_site_can_do(alice):
    stores = alice(200, "GET", "/v2/info/stores")["stores"]
    assert [store["id"] for store in stores] == ["main"]
    methods = alice(200, "GET", "/v2/info/import")["import-methods"]
    assert (methods["type"], type(methods["value"])) == ("array", list)
    assert alice(200, "GET", "/v2/schemas/image")["name"] == "image"


def test_terraform_image_resource(alice):
    """`openstack_images_image_v2`: create, wait, change, change tags, destroy."""
    # Create: the record, then the file, then it asks until the image is active.
    image = alice(
        201,
        "POST",
        "/v2/images",
        {
            "name": "rancher",
            "visibility": "private",
            "container_format": "bare",
            "disk_format": "raw",
            "min_disk": 0,
            "min_ram": 0,
            "protected": False,
            "os_hidden": False,
            "tags": ["terraform"],
            "key": "value",
        },
        JSON_BODY,
    )["id"]
    path = f"/v2/images/{image}"
    data = content(200_000)
    alice(204, "PUT", f"{path}/file", data, BYTES)
    state = alice(200, "GET", path)
    assert state["status"] == "active"
    # A local file is compared by its MD5.
    assert state["checksum"] == hashlib.md5(data).hexdigest()

    # Refresh: a plan after an apply must be empty, so nothing may move by itself.
    assert alice(200, "GET", path) == state

    # Update: properties are compared with those of the record, the server's own left out.
    state = alice.patch(
        image,
        [
            {"op": "replace", "path": "/name", "value": "rancher 2"},
            {"op": "replace", "path": "/visibility", "value": "private"},
            {"op": "replace", "path": "/key", "value": "other"},
            {"op": "add", "path": "/more", "value": ""},
        ],
    )
    assert (state["name"], state["key"], state["more"]) == ("rancher 2", "other", "")
    state = alice.patch(
        image,
        [{"op": "replace", "path": "/tags", "value": ["b", "a"]}, {"op": "remove", "path": "/more"}],
    )
    assert sorted(state["tags"]) == ["a", "b"] and "more" not in state
    assert alice.patch(image, [{"op": "replace", "path": "/tags", "value": []}])["tags"] == []

    # Data source `openstack_images_image_v2`: by name, owner, tags; the newest of several.
    query = {"name": "rancher 2", "visibility": "private", "owner": ALICE.project, "sort": "created_at:desc"}
    page = alice(200, "GET", f"/v2/images?{urlencode(query)}")
    assert [found["id"] for found in page["images"]] == [image]

    # Destroy, and ask until it is gone.
    alice(204, "DELETE", path)
    alice(404, "GET", path)


def test_terraform_share_resources(alice, bob):
    """`openstack_images_image_access_v2` of one project, `…_access_accept_v2` of the other."""
    image = alice.api.create(visibility="shared", data=content(9))
    members = f"/v2/images/{image}/members"
    alice(200, "POST", members, {"member": BOB.project}, JSON_BODY)
    assert alice(200, "GET", f"{members}/{BOB.project}")["status"] == "pending"
    # The accepting side looks the member up in the list of all it can see.
    [member] = bob(200, "GET", members)["members"]
    assert member["member_id"] == BOB.project
    bob(200, "PUT", f"{members}/{BOB.project}", {"status": "accepted"}, JSON_BODY)
    assert bob(200, "GET", f"{members}/{BOB.project}")["status"] == "accepted"
    bob(200, "PUT", f"{members}/{BOB.project}", {"status": "rejected"}, JSON_BODY)
    alice(204, "DELETE", f"{members}/{BOB.project}")
    alice(404, "GET", f"{members}/{BOB.project}")


def test_terraform_web_download(alice):
    """`web_download = true`: an address of the site's own network is refused before anything is fetched."""
    fields = {"name": "far", "container_format": "bare", "disk_format": "raw"}
    image = alice(201, "POST", "/v2/images", fields, JSON_BODY)["id"]
    assert "web-download" in alice(200, "GET", "/v2/info/import")["import-methods"]["value"]
    body = {"method": {"name": "web-download", "uri": "http://127.0.0.1:9/"}}
    alice(400, "POST", f"/v2/images/{image}/import", body, JSON_BODY)
    assert alice(200, "GET", f"/v2/images/{image}")["status"] == "queued"


@pytest.fixture
def tempest(alice):
    """Its requests carry no Accept."""

    def request(status, method, path, body=None, headers=None):
        return Strict(alice.api)(status, method, path, body, headers or {})

    return request


def test_tempest_versions(site):
    answer = site.api.request("GET", "/")
    assert answer.status == 300
    for version in json.loads(answer.body)["versions"]:
        assert {"id", "links", "status"} <= version.keys()


def test_tempest_register_upload_get_delete(tempest, alice):
    fields = {
        "name": "tempest", "container_format": "bare", "disk_format": "raw",
        "visibility": "private", "ramdisk_id": "00000000-1111-2222-3333-444455556666",
    }  # fmt: skip
    image = tempest(201, "POST", "/v2/images", fields)
    assert image["ramdisk_id"] == fields["ramdisk_id"]
    path = f"/v2/images/{image['id']}"
    # An image without data is downloaded with 204.
    assert tempest(204, "GET", f"{path}/file") is None
    data = content(1_000_000)
    chunks = (data[at : at + 65536] for at in range(0, len(data), 65536))
    tempest(204, "PUT", f"{path}/file", chunks, BYTES)
    shown = tempest(200, "GET", path)
    assert (shown["size"], shown["status"]) == (len(data), "active")
    assert alice.api.request("GET", f"{path}/file").body == data
    tempest(204, "DELETE", path)
    tempest(404, "GET", path)


def test_tempest_patches_in_the_older_form(tempest, alice):
    image = alice.api.create(name="old", visibility="private")
    path = f"/v2/images/{image}"
    change = lambda status, *changes: tempest(status, "PATCH", path, list(changes), PATCH_20)
    assert change(200, {"replace": "/name", "value": "new"})["name"] == "new"
    assert change(200, {"add": "/custom", "value": "1"})["custom"] == "1"
    assert change(200, {"replace": "/custom", "value": "2"})["custom"] == "2"
    change(409, {"add": "/custom", "value": "3"})
    assert "custom" not in change(200, {"remove": "/custom"})
    change(409, {"remove": "/custom"})
    change(403, {"add": "/os_glance_foo", "value": "1"})


def test_tempest_deactivation(tempest, alice, shared_site):
    data = content(9)
    image = alice.api.create(data=data)
    path = f"/v2/images/{image}"
    tempest(204, "POST", f"{path}/actions/deactivate")
    tempest(403, "GET", f"{path}/file")
    assert shared_site.as_(ADMIN).data(image) == data
    tempest(204, "POST", f"{path}/actions/reactivate")
    assert alice.api.data(image) == data


def test_tempest_lists(tempest, alice):
    images = [
        alice.api.create(name=f"n{size}", data=content(size), visibility="private", tags=[f"t{size}"])
        for size in (10, 30, 20)
    ]
    for query, expected in {
        "status=active": images,
        "visibility=private": images,
        "container_format=bare": images,
        "disk_format=raw": images,
        "name=n30": images[1:2],
        "size=20": images[2:],
        "size_min=20": images[1:],
        "size_max=20": images[::2],
        "tag=t10": images[:1],
        f"owner={ALICE.project}": images,
        "limit=2": images[1:],
    }.items():
        found = {image["id"] for image in tempest(200, "GET", f"/v2/images?{query}")["images"]}
        assert found == set(expected), query
    for query in ("sort=size:desc", "sort_key=size&sort_dir=desc"):
        sizes = [image["size"] for image in tempest(200, "GET", f"/v2/images?{query}")["images"]]
        assert sizes == [30, 20, 10], query


def test_tempest_negative(tempest, alice):
    absent = uuid.uuid4()
    for path in (f"/v2/images/{absent}", "/v2/images/", "/v2/images/!@$%^&*()"):
        tempest(404, "GET", path)
        tempest(404, "DELETE", path)
    base = {"name": "bad", "container_format": "bare", "disk_format": "raw"}
    for change in ({"container_format": "wrong"}, {"disk_format": "wrong"}):
        tempest(400, "POST", "/v2/images", base | change)
    tempest(403, "POST", "/v2/images", base | {"os_glance_foo": "bar"})
    protected = alice.api.create(protected=True)
    tempest(403, "DELETE", f"/v2/images/{protected}")
    tempest(404, "PUT", f"/v2/images/{absent}/tags/tag")
    image = alice.api.create()
    tempest(204, "PUT", f"/v2/images/{image}/tags/tag")
    tempest(404, "DELETE", f"/v2/images/{image}/tags/other")
    tempest(204, "DELETE", f"/v2/images/{image}/tags/tag")


def test_tempest_members(tempest, alice, bob):
    image = alice.api.create(name="ours")
    members = f"/v2/images/{image}/members"
    assert tempest(200, "POST", members, {"member": BOB.project})["status"] == "pending"
    # The owner cannot accept for the member.
    tempest(403, "PUT", f"{members}/{BOB.project}", {"status": "accepted"})
    assert bob(200, "GET", "/v2/images")["images"] == []
    bob(200, "PUT", f"{members}/{BOB.project}", {"status": "accepted"}, JSON_BODY)
    assert [found["id"] for found in bob(200, "GET", "/v2/images")["images"]] == [image]
    tempest(204, "DELETE", f"{members}/{BOB.project}")
    assert tempest(200, "GET", members)["members"] == []


@pytest.mark.parametrize("name", ["image", "images", "member", "members", "task", "tasks"])
def test_tempest_schemas(tempest, name):
    assert tempest(200, "GET", f"/v2/schemas/{name}")["name"] == name
