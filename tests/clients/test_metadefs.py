"""The commands of both clients on metadata definitions."""

import json

NAMESPACES = "/v2/metadefs/namespaces"
PROPERTY = '{"description": "How fast", "enum": ["slow", "fast"], "default": "slow"}'
OBJECT = '{"description": "A disk", "properties": {"speed": {"type": "string", "title": "Speed"}}}'


def test_openstack_namespaces(metadefs):
    metadef = lambda *words: metadefs.openstack.json("image", "metadef", *words)
    act = lambda *words: metadefs.openstack("image", "metadef", *words)
    shown = metadef(
        *("namespace", "create", "Disks", "--display-name", "All disks", "--description", "Größen"),
        *("--public", "--protected"),
    )
    record = metadefs.api.get(f"{NAMESPACES}/Disks")
    assert shown["namespace"] == record["namespace"] == "Disks"
    assert (record["display_name"], record["description"]) == ("All disks", "Größen")
    assert (record["visibility"], record["protected"]) == ("public", True)
    assert metadef("namespace", "show", "Disks")["display_name"] == "All disks"
    act("namespace", "create", "Own", "--private")
    names = {row["namespace"] for row in metadef("namespace", "list", "--visibility", "private")}
    assert names == {"Own"}

    assert "403" in metadefs.openstack.fails("image", "metadef", "namespace", "delete", "Disks")
    act("namespace", "set", "Disks", "--unprotected", "--description", "new")
    record = metadefs.api.get(f"{NAMESPACES}/Disks")
    assert (record["protected"], record["description"]) == (False, "new")
    act("namespace", "set", "Disks", "--tag", "blue")
    assert [tag["name"] for tag in metadefs.api.get(f"{NAMESPACES}/Disks/tags")["tags"]] == ["blue"]
    act("namespace", "unset", "Disks", "--tag", "blue")
    assert metadefs.api.get(f"{NAMESPACES}/Disks/tags")["tags"] == []
    act("namespace", "delete", "Disks", "Own")
    assert metadefs.api.get(NAMESPACES)["namespaces"] == []
    assert "404" in metadefs.openstack.fails("image", "metadef", "namespace", "show", "Disks")


def test_openstack_properties_and_objects(metadefs):
    metadef = lambda *words: metadefs.openstack.json("image", "metadef", *words)
    act = lambda *words: metadefs.openstack("image", "metadef", *words)
    act("namespace", "create", "Disks")
    shown = metadef(
        *("property", "create", "Disks", "--name", "speed", "--title", "Speed"),
        *("--type", "string", "--schema", PROPERTY),
    )
    assert shown["title"] == "Speed"
    record = metadefs.api.get(f"{NAMESPACES}/Disks/properties/speed")
    assert (record["enum"], record["default"]) == (["slow", "fast"], "slow")
    assert [row["name"] for row in metadef("property", "list", "Disks")] == ["speed"]
    act("property", "set", "Disks", "speed", "--title", "How fast")
    assert metadef("property", "show", "Disks", "speed")["title"] == "How fast"
    act("property", "delete", "Disks", "speed")
    assert metadefs.api.get(f"{NAMESPACES}/Disks/properties")["properties"] == {}

    assert metadef("object", "create", "--namespace", "Disks", "Disk")["name"] == "Disk"
    assert [row["name"] for row in metadef("object", "list", "Disks")] == ["Disk"]
    act("object", "update", "Disks", "Disk", "--name", "Drive")
    assert metadef("object", "show", "Disks", "Drive")["name"] == "Drive"
    act("object", "delete", "Disks", "Drive")
    assert metadefs.api.get(f"{NAMESPACES}/Disks/objects")["objects"] == []


def test_openstack_resource_types(metadefs):
    metadef = lambda *words: metadefs.openstack.json("image", "metadef", *words)
    act = lambda *words: metadefs.openstack("image", "metadef", *words)
    act("namespace", "create", "Disks")
    metadef("resource", "type", "association", "create", "Disks", "OS::Glance::Image")
    rows = metadef("resource", "type", "association", "list", "Disks")
    assert [row["Name"] for row in rows] == ["OS::Glance::Image"]
    assert "OS::Glance::Image" in {row["Name"] for row in metadef("resource", "type", "list")}
    rows = metadef("namespace", "list", "--resource-types", "OS::Glance::Image")
    assert [row["namespace"] for row in rows] == ["Disks"]
    assert metadef("namespace", "list", "--resource-types", "OS::Nova::Flavor") == []
    act("resource", "type", "association", "delete", "Disks", "OS::Glance::Image")
    assert metadef("resource", "type", "association", "list", "Disks") == []


def test_glance_namespaces(metadefs):
    glance = metadefs.glance
    definition = {
        "namespace": "Disks",
        "display_name": "All disks",
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
        "properties": {"speed": {"title": "Speed", "type": "string"}},
        "objects": [{"name": "Disk", "properties": {"size": {"title": "Size", "type": "integer"}}}],
        "tags": [{"name": "blue"}],
    }
    file = metadefs.file(json.dumps(definition).encode(), "disks.json")
    assert glance("md-namespace-import", "--file", file).fields["namespace"] == "Disks"
    shown = glance("md-namespace-show", "Disks", "--resource-type", "OS::Glance::Image").fields
    assert "hw_speed" in shown["properties"] and "Disk" in shown["objects"] and "blue" in shown["tags"]

    glance("md-namespace-create", "Own", "--visibility", "public", "--protected", "True")
    assert glance("md-namespace-list", "--page-size", "1").rows == [{"namespace": "Own"}, {"namespace": "Disks"}]
    assert glance("md-namespace-list", "--visibility", "public").rows == [{"namespace": "Own"}]
    rows = glance("md-namespace-list", "--resource-types", "OS::Glance::Image").rows
    assert rows == [{"namespace": "Disks"}]
    assert "403" in glance.fails("md-namespace-delete", "Own")
    glance("md-namespace-update", "Own", "--protected", "False", "--namespace", "Owned")
    glance("md-namespace-delete", "Owned")
    assert "404" in glance.fails("md-namespace-show", "Owned")


def test_glance_properties_objects_and_tags(metadefs):
    glance = metadefs.glance
    glance("md-namespace-create", "Disks")
    glance(
        *("md-property-create", "Disks", "--name", "speed", "--title", "Speed"),
        *("--type", "string", "--schema", PROPERTY),
    )
    assert glance("md-property-list", "Disks").rows == [{"name": "speed", "title": "Speed", "type": "string"}]
    glance("md-property-update", "Disks", "speed", "--name", "pace", "--title", "Pace")
    assert glance("md-property-show", "Disks", "pace").fields["title"] == "Pace"
    glance("md-property-delete", "Disks", "pace")
    glance("md-namespace-properties-delete", "Disks")
    assert metadefs.api.get(f"{NAMESPACES}/Disks/properties")["properties"] == {}

    glance("md-object-create", "Disks", "--name", "Disk", "--schema", OBJECT)
    assert glance("md-object-list", "Disks").rows == [{"name": "Disk", "description": "A disk"}]
    glance("md-object-update", "Disks", "Disk", "--name", "Drive", "--schema", OBJECT)
    assert glance("md-object-show", "Disks", "Drive").fields["name"] == "Drive"
    assert glance("md-object-property-show", "Disks", "Drive", "speed").fields["title"] == "Speed"
    glance("md-object-delete", "Disks", "Drive")
    glance("md-namespace-objects-delete", "Disks")
    assert metadefs.api.get(f"{NAMESPACES}/Disks/objects")["objects"] == []

    glance("md-tag-create", "Disks", "--name", "blue")
    glance("md-tag-create-multiple", "Disks", "--names", "red,green")
    assert {row["name"] for row in glance("md-tag-list", "Disks").rows} == {"red", "green"}
    glance("md-tag-update", "Disks", "green", "--name", "gray")
    assert glance("md-tag-show", "Disks", "gray").fields["name"] == "gray"
    glance("md-tag-delete", "Disks", "gray")
    glance("md-namespace-tags-delete", "Disks")
    assert metadefs.api.get(f"{NAMESPACES}/Disks/tags")["tags"] == []


def test_glance_resource_types(metadefs):
    glance = metadefs.glance
    glance("md-namespace-create", "Disks")
    glance("md-resource-type-associate", "Disks", "--name", "OS::Glance::Image", "--prefix", "hw_")
    rows = glance("md-namespace-resource-type-list", "Disks").rows
    assert [(row["name"], row["prefix"]) for row in rows] == [("OS::Glance::Image", "hw_")]
    assert {"name": "OS::Glance::Image"} in glance("md-resource-type-list").rows
    glance("md-resource-type-deassociate", "Disks", "OS::Glance::Image")
    assert glance("md-namespace-resource-type-list", "Disks").rows == []
