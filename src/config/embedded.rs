//! `[embedded]`: the S3 server inside.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::read::Section;

/// The S3 server inside the process, started when a store has `endpoint = "embedded"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// The directory of its buckets. Default `/var/lib/oriel/store`; made when it is missing.
    pub data_dir: PathBuf,
    /// Its address and port. Default `127.0.0.1:0`: a free port of the loopback. Set a port to reach it with other
    /// S3 tools.
    pub listen: SocketAddr,
}

impl Default for Embedded {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/oriel/store"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

impl Embedded {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            data_dir: section.take("data_dir", default.data_dir),
            listen: section.take("listen", default.listen),
        }
    }
}
