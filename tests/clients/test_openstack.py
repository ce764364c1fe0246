"""`openstack image …` on one caller's images."""

import os
import pty

import pytest

from oriel import content

OWN_ID = "0a1b2c3d-0000-4000-8000-00000000abcd"


def test_create_from_a_file_with_everything_said(site):
    data = content(300_000)
    shown = site.openstack.json(
        *("image", "create", "full", "--id", OWN_ID, "--file", site.file(data)),
        *("--disk-format", "raw", "--container-format", "bare", "--min-disk", 2, "--min-ram", 512),
        *("--private", "--protected", "--tag", "blue", "--tag", "a tag"),
        *("--property", "hw_disk_bus=virtio", "--property", "Größe=groß & schön"),
    )
    record = site.api.image(OWN_ID)
    for field in ("name", "checksum", "disk_format", "min_disk", "protected", "size", "visibility"):
        assert shown[field] == record[field], field
    assert shown["properties"]["Größe"] == "groß & schön"
    assert shown["status"] == record["status"] == "active"
    assert record["visibility"] == "private"
    assert record["protected"] is True
    assert (record["min_disk"], record["min_ram"]) == (2, 512)
    assert sorted(record["tags"]) == sorted(shown["tags"]) == ["a tag", "blue"]
    assert record["hw_disk_bus"] == "virtio"
    # The client adds properties of its own, with dots in their names.
    assert record["owner_specified.openstack.object"] == "images/full"
    assert site.api.data(OWN_ID) == data


def test_create_from_a_pipe_has_no_size_beforehand(site):
    data = content(200_000)
    shown = site.openstack.json("image", "create", "piped", data=data)
    assert shown["size"] == len(data)
    assert site.api.data(shown["id"]) == data


def test_create_with_a_progress_bar(site):
    data = content(200_000)
    site.openstack("image", "create", "bar", "--progress", "--file", site.file(data))
    assert site.api.data(site.api.named("bar")["id"]) == data


def test_create_from_an_empty_input_that_is_no_terminal_is_an_empty_image(site):
    shown = site.openstack.json("image", "create", "empty")
    record = site.api.image(shown["id"])
    assert (record["status"], record["size"]) == ("active", 0)


def test_create_at_a_terminal_leaves_the_record_queued(site):
    terminal, its_end = pty.openpty()
    with open(its_end, "rb", 0) as stdin:
        shown = site.openstack.json("image", "create", "later", stdin=stdin)
    os.close(terminal)
    record = site.api.image(shown["id"])
    assert (record["status"], record["size"]) == ("queued", None)


def test_create_with_a_wrong_size_fails_and_leaves_nothing(site):
    words = site.openstack.fails("image", "create", "short", "--size", 1000, data=content(999))
    assert "declared" in words, words
    # The client removes the record itself.
    assert site.api.images() == []


def test_create_of_another_format_than_claimed_says_why(site):
    words = site.openstack.fails("image", "create", "odd", "--disk-format", "qcow2", "--file", site.file(content(5000)))
    assert "disk_format qcow2 does not match" in words, words
    assert site.api.images() == []


@pytest.mark.parametrize("visibility", ["public", "private", "shared", "community"])
def test_create_in_each_visibility(site, visibility):
    shown = site.openstack.json("image", "create", "seen", f"--{visibility}")
    assert shown["visibility"] == site.api.image(shown["id"])["visibility"] == visibility


def test_an_id_cannot_be_used_twice(site):
    site.api.create(id=OWN_ID)
    words = site.openstack.fails("image", "create", "again", "--id", OWN_ID)
    assert f"Image ID {OWN_ID} already exists" in words, words


@pytest.fixture
def listed(site):
    """A site with an image of every kind that a list can tell apart."""
    create = site.api.create
    create(name="alpha", data=content(10), visibility="private", tags=["x", "y"], os_distro="debian")
    create(name="beta", data=content(30), visibility="public", tags=["x"], os_distro="alpine")
    create(name="gamma", data=content(20), visibility="community")
    create(name="delta", disk_format="qcow2")
    create(name="hidden", data=content(5), os_hidden=True)
    return site


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["alpha", "beta", "delta", "gamma"]),
        # The client sorts once more, by the letters of what it prints: None comes after every digit.
        (["--sort", "size:desc"], ["delta", "beta", "gamma", "alpha"]),
        (["--sort", "status:asc,name:desc"], ["gamma", "beta", "alpha", "delta"]),
        (["--all"], ["alpha", "beta", "delta", "gamma"]),
        (["--private"], ["alpha"]),
        (["--public"], ["beta"]),
        (["--shared"], ["delta"]),
        (["--community"], ["gamma"]),
        (["--name", "beta"], ["beta"]),
        (["--status", "queued"], ["delta"]),
        (["--tag", "x"], ["alpha", "beta"]),
        (["--tag", "x", "--tag", "y"], ["alpha"]),
        (["--property", "os_distro=alpine"], ["beta"]),
        (["--hidden"], ["hidden"]),
        (["--member-status", "all"], ["alpha", "beta", "delta", "gamma"]),
        (["--max-items", "2", "--sort", "name:asc"], None),
        (["--limit", "1", "--marker", "gamma"], ["beta"]),
    ],
    ids=lambda value: "-".join(value).replace("--", "") or "plain" if isinstance(value, list) else "",
)
def test_list(listed, options, names):
    rows = listed.openstack.json("image", "list", *options)
    if names is None:
        assert len(rows) == 2
    else:
        assert [row["Name"] for row in rows] == names


def test_list_long_shows_what_the_records_say(listed):
    rows = listed.openstack.json("image", "list", "--long")
    for row in rows:
        record = listed.api.image(row["ID"])
        assert row["Disk Format"] == record["disk_format"]
        assert row["Size"] == record["size"]
        assert row["Checksum"] == record["checksum"]
        assert row["Hash Value"] == record["os_hash_value"]
        assert row["Visibility"] == record["visibility"]
        assert row["Protected"] == record["protected"]
        assert row["Project"] == record["owner"]
        assert row["Tags"] == record["tags"]


def test_list_follows_the_pages(site):
    for number in range(30):
        site.api.create(name=f"n{number:02}")
    rows = site.openstack.json("image", "list")
    assert [row["Name"] for row in rows] == [f"n{number:02}" for number in range(30)]


@pytest.mark.parametrize("name", ["plain", "with two  spaces", "Größe 图像 🚀", "a/b?c&d=e#f%41"])
def test_show_by_name(site, name):
    image = site.api.create(name=name, data=content(9))
    shown = site.openstack.json("image", "show", name)
    assert (shown["id"], shown["name"]) == (image, name)


def test_show_by_id_in_words_for_people(site):
    image = site.api.create(name="big", data=content(3_000_000))
    shown = site.openstack.json("image", "show", "--human-readable", image)
    assert (shown["name"], shown["size"]) == ("big", "3M")


def test_show_of_nothing_and_of_a_name_that_two_have(site):
    assert "No Image found for nothing" in site.openstack.fails("image", "show", "nothing")
    site.api.create(name="twin")
    site.api.create(name="twin")
    words = site.openstack.fails("image", "show", "twin")
    assert "More than one Image exists with the name 'twin'" in words, words


def test_set_and_unset(site):
    image = site.api.create(name="old", tags=["gone", "kept"], hw_rng_model="virtio", os_distro="debian")
    kernel = site.api.create(name="kernel", disk_format="aki", container_format="aki")
    site.openstack(
        *("image", "set", "old", "--name", "new name", "--min-disk", 7, "--min-ram", 64),
        *("--public", "--protected", "--hidden", "--container-format", "ovf", "--disk-format", "vmdk"),
        *("--property", "hw_rng_model=other", "--property", "a.b/c~d=1", "--tag", "added"),
        *("--architecture", "x86_64", "--os-version", "13", "--kernel-id", kernel),
    )
    record = site.api.image(image)
    expected = {
        "name": "new name",
        "min_disk": 7,
        "min_ram": 64,
        "visibility": "public",
        "protected": True,
        "os_hidden": True,
        "container_format": "ovf",
        "disk_format": "vmdk",
        "hw_rng_model": "other",
        "a.b/c~d": "1",
        "os_distro": "debian",
        "architecture": "x86_64",
        "os_version": "13",
        "kernel_id": kernel,
    }
    assert {name: record[name] for name in expected} == expected
    assert sorted(record["tags"]) == ["added", "gone", "kept"]

    site.openstack(
        *("image", "unset", image, "--tag", "gone"),
        *("--property", "a.b/c~d", "--property", "os_distro", "--property", "hw_rng_model"),
    )
    site.openstack("image", "set", image, "--unprotected", "--unhidden", "--private")
    record = site.api.image(image)
    assert not {"a.b/c~d", "os_distro", "hw_rng_model"} & record.keys()
    assert sorted(record["tags"]) == ["added", "kept"]
    assert (record["protected"], record["os_hidden"], record["visibility"]) == (False, False, "private")


def test_unset_of_what_is_not_there_fails(site):
    image = site.api.create(name="bare")
    words = site.openstack.fails("image", "unset", image, "--tag", "none", "--property", "none")
    assert "Failed to unset 1 of 1 tags" in words and "1 of 1 properties" in words, words


def test_formats_of_an_image_with_data_cannot_be_set(site):
    image = site.api.create(name="full", data=content(9))
    words = site.openstack.fails("image", "set", image, "--disk-format", "qcow2")
    assert "403" in words, words
    assert site.api.image(image)["disk_format"] == "raw"


def test_save_to_a_file_and_to_the_output(site):
    data = content(2_500_000)
    site.api.create(name="kept", data=data)
    site.openstack("image", "save", "--file", "copy", "kept")
    assert (site.home / "copy").read_bytes() == data
    assert site.openstack("image", "save", "--chunk-size", 65536, "kept").bytes == data


def test_save_prefers_a_store(site):
    data = content(1000)
    site.api.create(name="kept", data=data)
    assert site.openstack("image", "save", "--store-preference", "main", "kept").bytes == data
    words = site.openstack.fails("image", "save", "--store-preference", "nowhere", "kept")
    assert "nowhere" in words, words


def test_deactivate_and_activate(site):
    image = site.api.create(name="lamp", data=content(9))
    site.openstack("image", "set", "--deactivate", "lamp")
    assert site.api.image(image)["status"] == "deactivated"
    site.openstack("image", "set", "--activate", "lamp")
    assert site.api.image(image)["status"] == "active"


def test_delete_several(site):
    for name in ("one", "two", "three"):
        site.api.create(name=name, data=content(9))
    site.openstack("image", "delete", "one", "two")
    assert [image["name"] for image in site.api.images()] == ["three"]


def test_delete_goes_on_after_one_that_cannot_be_deleted(site):
    site.api.create(name="safe", protected=True)
    site.api.create(name="loose")
    words = site.openstack.fails("image", "delete", "safe", "loose")
    assert "protected" in words and "Failed to delete 1 of 2 images" in words, words
    assert [image["name"] for image in site.api.images()] == ["safe"]


def test_stores(start_site):
    site = start_site(
        tables='[store.main]\nendpoint = "embedded"\ndescription = "the fast one"\nweight = 3\n'
        '[store.slow]\nendpoint = "embedded"\nbucket = "slow"\n'
    )
    rows = site.openstack.json("image", "stores", "list")
    assert [(row["ID"], row["Description"], row["Default"]) for row in rows] == [
        ("main", "the fast one", True),
        ("slow", None, None),
    ]
    detail = site.openstack.json("image", "stores", "list", "--detail")
    assert [row["ID"] for row in detail] == ["main", "slow"]

    site.api.create(name="one", data=content(9))
    words = site.openstack.fails("image", "delete", "--store", "main", "one")
    assert "403" in words, words
    assert site.api.named("one")["stores"] == "main"


def test_import_info_and_tasks(site):
    info = site.openstack.json("image", "import", "info")
    methods = site.api.get("/v2/info/import")["import-methods"]["value"]
    assert (info["import-methods"] or []) == methods
    assert site.openstack.json("image", "task", "list") == []
    missing = "0a1b2c3d-0000-4000-8000-000000000000"
    assert "404" in site.openstack.fails("image", "task", "show", missing)


def test_import_by_a_method_that_is_not_there_is_refused_by_the_client(site):
    site.api.create(name="later")
    words = site.openstack.fails(
        "image",
        "import",
        "later",
        "--method",
        "glance-download",
        "--remote-region",
        "R",
        "--remote-image",
        OWN_ID,
    )
    assert "method is not supported by this deployment" in words, words


def test_stage_and_import(importing):
    site = importing.site
    data = content(70_000)
    image = site.api.create(name="staged")
    site.openstack("image", "stage", "--file", site.file(data), "staged")
    assert site.api.image(image)["status"] == "uploading"
    # The command has an option to wait, and does not.
    site.openstack("image", "import", "--method", "glance-direct", "staged")
    site.api.image_once(image, "active")
    assert site.api.data(image) == data


def test_without_a_cache_its_commands_say_so(site):
    words = site.openstack.fails("cached", "image", "list")
    assert "404" in words, words
