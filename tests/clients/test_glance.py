"""`glance …` on one caller's images."""

import hashlib
import json
import os
import pty

import pytest

from oriel import content

OWN_ID = "0a1b2c3d-0000-4000-8000-00000000abcd"
FORMATS = ["--disk-format", "raw", "--container-format", "bare"]
TWO_STORES = '[store.main]\nendpoint = "embedded"\n[store.slow]\nendpoint = "embedded"\nbucket = "slow"\n'


def test_create_from_a_file_with_everything_said(site):
    data = content(300_000)
    result = site.glance(
        *("image-create", "--name", "full", "--id", OWN_ID, "--file", site.file(data), "--progress"),
        *(*FORMATS, "--min-disk", 2, "--min-ram", 512, "--visibility", "private"),
        *("--protected", "True", "--hidden", "True", "--tags", "blue", "--tags", "a tag"),
        *("--property", "hw_disk_bus=virtio", "--os-distro", "debian", "--architecture", "x86_64"),
    )
    record = site.api.image(OWN_ID)
    shown = result.fields
    for field in ("id", "name", "checksum", "os_hash_value", "status", "visibility", "hw_disk_bus"):
        assert shown[field] == record[field], field
    assert record["status"] == "active"
    assert (record["min_disk"], record["min_ram"]) == (2, 512)
    assert (record["protected"], record["os_hidden"]) == (True, True)
    assert (record["os_distro"], record["architecture"]) == ("debian", "x86_64")
    assert "a tag" in record["tags"]
    assert site.api.data(OWN_ID) == data


def test_create_from_a_pipe(site):
    data = content(200_000)
    shown = site.glance("image-create", "--name", "piped", *FORMATS, data=data).fields
    assert shown["size"] == str(len(data))
    assert site.api.data(shown["id"]) == data


def test_create_at_a_terminal_then_upload(site):
    terminal, its_end = pty.openpty()
    with open(its_end, "rb", 0) as stdin:
        image = site.glance("image-create", "--name", "later", *FORMATS, stdin=stdin).fields["id"]
    os.close(terminal)
    assert site.api.image(image)["status"] == "queued"
    data = content(100_000)
    site.glance("image-upload", "--size", len(data), image, data=data)
    assert site.api.data(image) == data


def test_upload_of_another_size_than_said_is_refused(site):
    image = site.api.create()
    words = site.glance.fails("image-upload", "--size", 1000, image, data=content(999))
    assert "400" in words, words
    assert site.api.image(image)["status"] == "queued"


def test_upload_of_another_format_than_claimed_says_why(site):
    image = site.api.create(disk_format="qcow2")
    words = site.glance.fails("image-upload", "--file", site.file(content(5000)), image)
    assert "disk_format qcow2 does not match" in words, words
    assert site.api.image(image)["status"] == "queued"


def test_stores(start_site):
    site = start_site(tables=TWO_STORES)
    shown = site.glance("stores-info").fields["stores"]
    assert json.loads(shown) == site.api.get("/v2/info/stores")["stores"]
    detail = json.loads(site.glance("stores-info", "--detail").fields["stores"])
    assert [(store["id"], store["type"]) for store in detail] == [("main", "s3"), ("slow", "s3")]

    data = content(100_000)
    image = site.glance(
        *("image-create", "--name", "there", *FORMATS, "--store", "slow", "--file", site.file(data))
    ).fields["id"]
    assert site.api.image(image)["stores"] == "slow"
    assert site.glance("image-download", "--prefer", "main,slow", image).bytes == data
    rows = site.glance("image-list", "--include-stores").rows
    assert rows == [{"ID": image, "Name": "there", "Stores": "slow"}]

    words = site.glance.fails("image-create", *FORMATS, "--store", "none", "--file", site.file(data))
    assert "not valid" in words, words
    words = site.glance.fails("stores-delete", "--store", "slow", image)
    assert "the last location of an image cannot be removed" in words, words
    words = site.glance.fails("stores-delete", "--store", "none", image)
    assert "Store 'none' does not exist" in words, words
    assert site.api.data(image) == data


@pytest.fixture
def listed(site):
    """A site with an image of every kind that a list can tell apart."""
    create = site.api.create
    create(name="alpha", data=content(10), visibility="private", tags=["x", "y"], os_distro="debian")
    create(name="beta", data=content(30), visibility="public", tags=["x"], os_distro="alpine")
    create(name="gamma", data=content(20), visibility="community")
    create(name="delta", disk_format="qcow2", owner="somebody")
    create(name="hidden", data=content(5), os_hidden=True)
    return site


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--sort-key", "name", "--sort-dir", "desc"], ["gamma", "delta", "beta", "alpha"]),
        (["--sort", "size:desc,name"], ["beta", "gamma", "alpha", "delta"]),
        (["--sort-key", "status", "--sort-key", "name", "--sort-dir", "asc"], ["alpha", "beta", "gamma", "delta"]),
        (["--visibility", "public"], ["beta"]),
        (["--visibility", "community"], ["gamma"]),
        (["--owner", "somebody"], ["delta"]),
        (["--tag", "x", "--tag", "y"], ["alpha"]),
        (["--property-filter", "os_distro=alpine"], ["beta"]),
        (["--property-filter", "name=in:alpha,delta"], ["alpha", "delta"]),
        (["--checksum", hashlib.md5(content(30)).hexdigest()], ["beta"]),
        (["--hash", hashlib.sha512(content(30)).hexdigest()], ["beta"]),
        (["--hidden"], ["hidden"]),
        (["--hidden", "False", "--limit", "3"], ["alpha", "beta", "delta"]),
        (["--page-size", "1"], ["alpha", "beta", "delta", "gamma"]),
        (["--page-size", "2", "--limit", "3", "--sort", "name:desc"], ["gamma", "delta", "beta"]),
    ],
    ids=lambda value: "-".join(value).replace("--", "")[:40],
)  # fmt: skip
def test_list(listed, options, names):
    assert [row["Name"] for row in listed.glance("image-list", *options).rows] == names


def test_list_in_full_says_what_the_records_say(listed):
    glance = listed.glance
    glance.options.append("--verbose")
    for row in glance("image-list").rows:
        record = listed.api.image(row["ID"])
        assert row["Disk_format"] == record["disk_format"]
        assert row["Status"] == record["status"]
        assert row["Owner"] == record["owner"]
        assert row["Size"] == str(record["size"] or "")


def test_show(site):
    image = site.api.create(name="Größe 图像 🚀", data=content(4 << 20), tags=["t"], note="a & b")
    result = site.glance("image-show", image, "--max-column-width", 200)
    assert "Größe 图像 🚀" in result.output
    assert "4MB" in site.glance("image-show", "--human-readable", image).fields["size"].replace(".0", "")
    words = site.glance.fails("image-show", "nothing")
    assert words.strip() == "HTTP 404 Not Found: No image found with ID nothing"


def test_update(site):
    image = site.api.create(name="old", hw_rng_model="virtio", os_distro="debian", gone="2")
    site.glance(
        *("image-update", image, "--name", "new", "--min-disk", 3, "--visibility", "public"),
        *("--property", "hw_rng_model=other", "--property", "a.b/c~d=1", "--remove-property", "gone"),
        *("--protected", "True", "--hidden", "True", "--os-version", "13"),
    )
    record = site.api.image(image)
    expected = {
        "name": "new",
        "min_disk": 3,
        "visibility": "public",
        "hw_rng_model": "other",
        "a.b/c~d": "1",
        "os_distro": "debian",
        "os_version": "13",
        "protected": True,
        "os_hidden": True,
    }
    assert {name: record[name] for name in expected} == expected
    assert "gone" not in record
    words = site.glance.fails("image-delete", image)
    assert "not permitted to delete" in words, words
    site.glance("image-update", image, "--protected", "False", "--hidden", "False")
    record = site.api.image(image)
    assert (record["protected"], record["os_hidden"]) == (False, False)


def test_update_of_what_is_read_only_or_absent_is_refused(site):
    image = site.api.create()
    assert "reserved" in site.glance.fails("image-update", image, "--property", "os_glance_x=1")
    assert "404" in site.glance.fails("image-update", OWN_ID, "--name", "x")


def test_download_to_a_file_and_to_the_output(site):
    data = content(2_500_000)
    image = site.api.create(data=data)
    result = site.glance("image-download", "--file", "copy", "--progress", image)
    assert "Traceback" not in result.errors
    assert (site.home / "copy").read_bytes() == data
    assert site.glance("image-download", image).bytes == data


def test_download_of_an_image_without_data_says_so(site):
    image = site.api.create()
    words = site.glance.fails("image-download", "--file", "copy", image)
    assert "has no data" in words, words


def test_tags(site):
    image = site.api.create(tags=["old"])
    site.glance("image-tag-update", image, "blue")
    site.glance("image-tag-update", image, "Größe 图")
    site.glance("image-tag-delete", image, "old")
    assert sorted(site.api.image(image)["tags"]) == ["Größe 图", "blue"]
    assert "404" in site.glance.fails("image-tag-delete", image, "old")


def test_deactivate_and_reactivate(site):
    image = site.api.create(data=content(9))
    site.glance("image-deactivate", image)
    assert site.api.image(image)["status"] == "deactivated"
    site.glance("image-reactivate", image)
    assert site.api.image(image)["status"] == "active"
    queued = site.api.create()
    assert "403" in site.glance.fails("image-deactivate", queued)


def test_delete_several_goes_on_after_one_that_is_not_there(site):
    images = [site.api.create(data=content(9)) for _ in range(2)]
    words = site.glance.fails("image-delete", images[0], OWN_ID, images[1])
    assert OWN_ID in words, words
    assert site.api.images() == []


def test_members(site):
    image = site.api.create()
    row = site.glance("member-create", image, "theirs").rows[0]
    assert row == {"Image ID": image, "Member ID": "theirs", "Status": "pending"}
    assert site.glance("member-list", "--image-id", image).rows == [row]
    shown = site.glance("member-get", image, "theirs").fields
    assert (shown["member_id"], shown["status"]) == ("theirs", "pending")
    assert "409" in site.glance.fails("member-create", image, "theirs")
    site.glance("member-delete", image, "theirs")
    assert site.api.get(f"/v2/images/{image}/members")["members"] == []
    assert "404" in site.glance.fails("member-delete", image, "theirs")


def test_what_the_site_can_do(site):
    image = site.api.create(data=content(9))
    info = site.glance("import-info").fields["import-methods"]
    assert json.loads(info) == site.api.get("/v2/info/import")["import-methods"]
    assert site.glance("usage").rows == []
    assert site.glance("task-list").rows == []
    assert site.glance("image-tasks", image).rows == []
    assert "404" in site.glance.fails("task-show", OWN_ID)
    for model in ("image", "member", "task"):
        assert "|" in site.glance("explain", model).output


def test_create_via_import_without_a_method_says_what_is_missing(site):
    methods = site.api.get("/v2/info/import")["import-methods"]["value"]
    words = site.glance.fails(
        "image-create-via-import", *FORMATS, "--import-method", "glance-download",
        "--remote-region", "R", "--remote-image-id", OWN_ID,
    )  # fmt: skip
    assert "glance-download" in words, words
    assert "glance-download" not in methods
    assert site.api.images() == []


def test_create_via_import(importing):
    site = importing.site
    data = content(70_000)
    # Whatever is no terminal counts as data beside --file.
    terminal, its_end = pty.openpty()
    with open(its_end, "rb", 0) as stdin:
        shown = site.glance(
            *("image-create-via-import", *FORMATS, "--name", "imported"),
            *("--import-method", "glance-direct", "--file", site.file(data)),
            stdin=stdin,
        ).fields
    os.close(terminal)
    assert shown["name"] == "imported"


@pytest.fixture
def locating(start_site):
    return start_site(tables="[images]\nshow_multiple_locations = true\nshow_direct_url = true\n")


def test_locations_are_shown_and_the_last_is_kept(locating):
    site = locating
    data = content(9)
    image = site.api.create(data=data)
    [location] = site.api.image(image)["locations"]
    assert location["url"] in site.glance("image-show", image, "--max-column-width", 500).output
    words = site.glance.fails("location-delete", "--url", location["url"], image)
    assert "403" in words, words
    words = site.glance.fails("location-add", "--url", "file:///etc/passwd", image)
    assert "40" in words, words
    assert site.api.image(image)["locations"] == [location]
    assert site.api.data(image) == data


def test_debug_shows_the_requests(site):
    image = site.api.create(data=content(9))
    glance = site.glance
    glance.options.insert(0, "--debug")
    errors = glance("image-show", image).errors
    assert "curl -g -i -X GET" in errors and f"/v2/images/{image}" in errors
    # On an error --debug prints where the client gave up, and then the reason as ever.
    result = glance.run("image-show", "nothing")
    assert result.status == 1
    assert result.errors.strip().endswith("HTTP 404 Not Found: No image found with ID nothing"), result


def test_the_digest_in_the_record_is_what_the_client_checks(site):
    data = content(50_000)
    image = site.api.create(name="digest", data=data)
    record = site.api.image(image)
    assert record["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert record["checksum"] == hashlib.md5(data).hexdigest()
