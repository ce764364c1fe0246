"""openstacksdk, as programs use it."""

import hashlib
import io

import openstack
import pytest
from openstack import exceptions

from oriel import ALICE, BOB, content


@pytest.fixture
def connect(tmp_path, monkeypatch):
    """Opens connections and closes them; none reads a clouds.yaml."""
    monkeypatch.chdir(tmp_path)
    opened = []

    def connect(**options):
        opened.append(openstack.connect(load_yaml_config=False, load_envvars=False, **options))
        return opened[-1].image

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def cloud(site, connect):
    return connect(auth_type="none", endpoint=site.url)


@pytest.mark.parametrize("kind", ["admin_token", "token_endpoint"])
def test_connections_with_a_token(shared_site, connect, kind):
    auth = {"endpoint": f"{shared_site.url}/v2", "token": ALICE.token}
    cloud = connect(auth_type=kind, auth=auth)
    image = cloud.create_image("own", data=b"bytes", disk_format="raw", validate_checksum=True)
    assert shared_site.as_(ALICE).image(image.id)["owner"] == ALICE.project
    with pytest.raises(exceptions.HttpException) as refused:
        list(connect(auth_type=kind, auth={**auth, "token": "none"}).images())
    assert refused.value.status_code == 401


@pytest.mark.parametrize("override", ["auth", "image"])
def test_connections_without_a_token(site, connect, override):
    if override == "auth":
        cloud = connect(auth_type="none", auth={"endpoint": site.url})
    else:
        cloud = connect(auth_type="none", image_endpoint_override=site.url)
    assert list(cloud.images()) == []


def test_create_from_a_file_and_from_data(site, cloud, tmp_path):
    data = content(300_000)
    path = tmp_path / "disk.raw"
    path.write_bytes(data)
    image = cloud.create_image(
        "filed", filename=str(path), disk_format="raw", validate_checksum=True, wait=True,
        tags=["a", "b"], min_disk=2, meta={"hw_disk_bus": "virtio"},
    )  # fmt: skip
    record = site.api.image(image.id)
    assert record["owner_specified.openstack.sha256"] == hashlib.sha256(data).hexdigest()
    assert (record["min_disk"], record["hw_disk_bus"], record["tags"]) == (2, "virtio", ["a", "b"])
    assert site.api.data(image.id) == data
    # The same file under the same name is not sent again.
    assert cloud.create_image("filed", filename=str(path), validate_checksum=True).id == image.id

    for name, source in {"bytes": data, "stream": io.BytesIO(data)}.items():
        image = cloud.create_image(name, data=source, disk_format="raw", allow_duplicates=True)
        assert site.api.data(image.id) == data, name


def test_create_with_a_checksum_that_is_wrong_is_undone(site, cloud):
    with pytest.raises(exceptions.SDKException):
        cloud.create_image("wrong", data=b"bytes", disk_format="raw", md5="0" * 32, validate_checksum=True)
    assert site.api.images() == []


def test_a_refusal_tells_its_reason(site, cloud):
    with pytest.raises(exceptions.HttpException, match="qcow2 does not match stream data") as refused:
        cloud.create_image("odd", data=content(5000), disk_format="qcow2")
    assert refused.value.status_code == 415
    assert site.api.images() == []


def test_download_whole_and_streamed(site, cloud, tmp_path):
    data = content(2_500_000)
    image = site.api.create(data=data)
    assert cloud.download_image(image).content == data
    response = cloud.download_image(image, stream=True)
    assert b"".join(response.iter_content(65536)) == data
    assert response.headers["Content-MD5"] == hashlib.md5(data).hexdigest()
    cloud.download_image(image, output=str(tmp_path / "copy"), stream=True)
    assert (tmp_path / "copy").read_bytes() == data
    record = cloud.get_image(image)
    assert record.hash_value == hashlib.new(record.hash_algo, data).hexdigest()


def test_downloads_are_checked_against_the_record(site, connect, tmp_path):
    """The record is falsified where Oriel keeps it: a client that checks must complain then."""
    data = content(50_000)
    image = site.api.create(data=data)
    falsified = f"UPDATE images SET os_hash_value = '{'0' * 128}'"
    assert site.oriel.change_catalog(falsified) == 1
    assert "mismatch" in site.openstack.fails("image", "save", "--file", "copy", image)
    assert "Corrupt image download" in site.glance.fails("image-download", "--file", "copy", image)
    with pytest.raises(exceptions.SDKException):
        cloud = connect(auth_type="none", endpoint=site.url)
        cloud.download_image(image, output=str(tmp_path / "copy"), stream=True)


def test_lists_page_by_page(site, cloud):
    for number in range(7):
        site.api.create(name=f"n{number}", visibility="private", tags=["odd"] if number % 2 else [])
    names = [image.name for image in cloud.images(limit=2, sort="name:asc")]
    assert names == [f"n{number}" for number in range(7)]
    assert [image.name for image in cloud.images(tag="odd", sort="name:desc")] == ["n5", "n3", "n1"]
    assert len(list(cloud.images(limit=3, paginated=False))) == 3
    assert list(cloud.images(visibility="public")) == []
    assert [image.name for image in cloud.images(name="n3")] == ["n3"]


def test_find(site, cloud):
    image = site.api.create(name="Größe 图像 🚀")
    assert cloud.find_image("Größe 图像 🚀").id == image
    assert cloud.find_image(image).name == "Größe 图像 🚀"
    assert cloud.find_image("nothing") is None
    with pytest.raises(exceptions.NotFoundException):
        cloud.find_image("nothing", ignore_missing=False)
    hidden = site.api.create(name="hidden", os_hidden=True)
    assert cloud.find_image("hidden").id == hidden


def test_update_and_tags(site, cloud):
    image = site.api.create(name="old", visibility="private", a="1", b="2")
    cloud.update_image(image, name="new", min_ram=512, is_protected=True, visibility="public", c="3")
    record = site.api.image(image)
    assert (record["name"], record["min_ram"], record["protected"]) == ("new", 512, True)
    assert (record["visibility"], record["c"]) == ("public", "3")
    cloud.add_tag(image, "blue")
    cloud.remove_tag(image, "blue")
    cloud.add_tag(image, "Größe 图")
    assert site.api.image(image)["tags"] == ["Größe 图"]
    with pytest.raises(exceptions.ForbiddenException, match="protected"):
        cloud.delete_image(image)
    cloud.update_image(image, is_protected=False)
    cloud.delete_image(image, ignore_missing=False)
    assert not site.api.is_there(image)
    with pytest.raises(exceptions.NotFoundException):
        cloud.delete_image(image, ignore_missing=False)


def test_deactivate_and_reactivate(site, cloud):
    image = site.api.create(data=b"bytes")
    cloud.deactivate_image(image)
    assert cloud.get_image(image).status == "deactivated"
    cloud.reactivate_image(image)
    cloud.wait_for_status(cloud.get_image(image), "active", wait=5)


def test_members(shared_site, connect):
    def cloud(caller):
        return connect(auth_type="admin_token", auth={"endpoint": f"{shared_site.url}/v2", "token": caller.token})

    alice, bob = cloud(ALICE), cloud(BOB)
    image = alice.create_image("ours", data=b"bytes", disk_format="raw").id
    assert alice.add_member(image, member_id=BOB.project).status == "pending"
    assert [m.member_id for m in alice.members(image)] == [BOB.project]
    assert bob.update_member(BOB.project, image, status="accepted").status == "accepted"
    assert [i.name for i in bob.images()] == ["ours"]
    assert alice.get_member(BOB.project, image).status == "accepted"
    assert alice.find_member(BOB.project, image).member_id == BOB.project
    alice.remove_member(BOB.project, image, ignore_missing=False)
    assert bob.find_image(image) is None
    with pytest.raises(exceptions.NotFoundException):
        alice.remove_member(BOB.project, image, ignore_missing=False)


def test_what_the_site_can_do(site, cloud):
    [store] = cloud.stores()
    assert (store.id, store.is_default) == ("main", True)
    [detail] = cloud.stores(details=True)
    assert detail.id == "main"
    methods = site.api.get("/v2/info/import")["import-methods"]["value"]
    assert cloud.get_import_info().import_methods["value"] == methods
    assert list(cloud.tasks()) == []
    image = site.api.create(data=b"bytes")
    assert list(cloud.image_tasks(image)) == []
    assert [location["metadata"]["store"] for location in cloud.image_locations(image)] == ["main"]


def test_schemas(cloud):
    for schema in (
        cloud.get_images_schema(),
        cloud.get_image_schema(),
        cloud.get_members_schema(),
        cloud.get_member_schema(),
        cloud.get_tasks_schema(),
        cloud.get_task_schema(),
        cloud.get_metadef_namespace_schema(),
        cloud.get_metadef_namespaces_schema(),
        cloud.get_metadef_object_schema(),
        cloud.get_metadef_property_schema(),
        cloud.get_metadef_resource_type_schema(),
        cloud.get_metadef_tag_schema(),
    ):
        assert schema.properties, schema.name


def test_metadef_namespaces(metadefs, connect):
    cloud = connect(auth_type="none", endpoint=metadefs.url)
    cloud.create_metadef_namespace(namespace="Disks", visibility="public", description="old")
    assert [space.namespace for space in cloud.metadef_namespaces()] == ["Disks"]
    cloud.update_metadef_namespace("Disks", visibility="private", description="new")
    assert cloud.get_metadef_namespace("Disks").description == "new"
    cloud.create_metadef_property("Disks", name="speed", title="Speed", type="string")
    assert [p.name for p in cloud.metadef_properties("Disks")] == ["speed"]
    cloud.create_metadef_resource_type_association("Disks", name="OS::Glance::Image")
    assert [r.name for r in cloud.metadef_resource_type_associations("Disks")] == ["OS::Glance::Image"]
    cloud.create_metadef_object("Disks", name="Disk")
    assert [o.name for o in cloud.metadef_objects("Disks")] == ["Disk"]
    cloud.delete_metadef_namespace("Disks", ignore_missing=False)
    assert list(cloud.metadef_namespaces()) == []
