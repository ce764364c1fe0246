-- Records by the key of their object: bucket and catalog are compared in the order of keys, and a key has to be found.
CREATE INDEX image_locations_by_key ON image_locations (store, object_key, image_id);
