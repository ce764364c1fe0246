"""What schemathesis cannot know by itself about this API."""

import json
import os
import zlib

import schemathesis

# The names of what conform.py has put there.
NAMES = {
    "member_id": "b0b" * 10,
    "tag": "blue",
    "namespace": "Disks",
    "property": "speed",
    "object": "Disk",
    "resource_type": "OS::Glance::Image",
    "store_id": "main",
}


@schemathesis.serializer(
    "application/openstack-images-v2.0-json-patch", "application/openstack-images-v2.1-json-patch"
)
def json_patch(context, value):
    return json.dumps(value).encode()


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Half of the made-up names become those of what is there: else nearly every answer were 404.

    Which half follows from the name, so that a run can be repeated.
    """
    images = os.environ["ORIEL_IMAGES"].split()
    for name, value in (path_parameters or {}).items():
        dice = zlib.crc32(repr(value).encode())
        if dice % 2 == 0 and name == "image_id":
            path_parameters[name] = images[dice // 2 % len(images)]
        elif dice % 2 == 0 and name in NAMES:
            path_parameters[name] = NAMES[name]
    return path_parameters
