//! The definitions that come with the service: the files of `config/metadefs`, inside the binary, so that `oriel dev` and
//! `oriel metadefs load` need nothing beside it.

macro_rules! files {
    ($($name:literal,)+) => {
        /// Name and text of every file.
        pub const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../config/metadefs/", $name)))),+];
    };
}

files! {
    "aggregate-scheduling.json",
    "common-image.json",
    "cpu-pinning.json",
    "device-requests.json",
    "ephemeral-encryption.json",
    "firmware.json",
    "flavor-hardware.json",
    "flavor-traits.json",
    "guest-memory.json",
    "guest-shutdown.json",
    "host-capabilities.json",
    "hyperv.json",
    "hypervisor.json",
    "image-signature.json",
    "image-traits.json",
    "instance-data.json",
    "libvirt-devices.json",
    "libvirt-image.json",
    "numa-topology.json",
    "operating-system.json",
    "quota.json",
    "scheduler-hints.json",
    "secure-boot.json",
    "software-databases.json",
    "software-runtimes.json",
    "software-webservers.json",
    "tpm.json",
    "virtual-cpu-topology.json",
    "vmware-flavor.json",
    "vmware-image.json",
    "volume-type-of-image.json",
    "volume-type.json",
    "watchdog.json",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metadef::parse_file;

    #[test]
    fn every_file_is_sound_and_names_another_namespace() {
        let mut names = BTreeSet::new();
        for (file, text) in FILES {
            let definition = parse_file(text).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(names.insert(definition.attributes.name), "{file}");
        }
    }
}
