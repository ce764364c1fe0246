//! Oriel: an OpenStack Image service in front of S3-compatible stores.
//!
//! Imports point down this list, and a test says so:
//!
//! | module | is for |
//! |---|---|
//! | `cli` | the command line |
//! | `app` | the one place that builds, runs and drains everything |
//! | `api` | HTTP: routes, status codes, headers |
//! | `jobs` | background work |
//! | `fsck` | bucket against catalog |
//! | `rebuild` | records out of the bucket |
//! | `transfer` | image bytes in and out |
//! | `auth`, `policy` | who calls, and who may do what |
//! | `catalog` | durable records and the cache in front of them |
//! | `store` | S3 stores: keys and bytes |
//! | `web` | data from the web: which sources may be asked, and how they are read |
//! | `embedded` | the S3 server inside, for laptops, tests and small sites |
//! | `metadef` | pure rules: metadata definitions |
//! | `image`, `task`, [`format`](mod@format) | pure rules: the records, disk-image formats |
//! | `unpack` | packed bytes, unpacked as they stream |
//! | `net` | connections whose other side keeps a pace |
//! | [`config`], `telemetry` | used by all, using nobody |

// What only this crate uses says so, and the compiler finds it when nothing does.
#![warn(unreachable_pub)]

mod api;
mod app;
mod auth;
mod catalog;
mod cli;
pub mod config;
mod embedded;
pub mod format;
mod fsck;
mod image;
mod jobs;
mod metadef;
mod net;
mod policy;
mod rebuild;
mod store;
mod task;
mod telemetry;
mod transfer;
mod unpack;
mod web;

pub use app::{App, ROUTES, Route};
pub use auth::tokens::hash as hash_of_token;
pub use cli::run;
pub use config::{Config, Database};
pub use embedded::EmbeddedStore;
pub use metadef::builtin;
pub use policy::Rule;
