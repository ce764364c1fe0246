//! Oriel: an OpenStack Image service in front of S3-compatible stores.
//!
//! Imports point down this list, and a test says so:
//!
//! | module | is for |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`app`] | the one place that builds, runs and drains everything |
//! | `api` | HTTP: routes, status codes, headers |
//! | [`jobs`] | background work |
//! | [`transfer`] | image bytes in and out |
//! | [`auth`], [`policy`] | who calls, and who may do what |
//! | [`catalog`] | durable records and the cache in front of them |
//! | [`store`] | S3 stores: keys and bytes |
//! | [`embedded`] | the S3 server inside, for laptops, tests and small sites |
//! | [`metadef`] | pure rules: metadata definitions |
//! | [`image`], [`task`], [`format`](mod@format) | pure rules: the records, disk-image formats |
//! | `net` | connections whose other side keeps a pace |
//! | [`config`], [`telemetry`] | used by all, using nobody |

mod api;
pub mod app;
pub mod auth;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod embedded;
pub mod format;
pub mod image;
pub mod jobs;
pub mod metadef;
mod net;
pub mod policy;
pub mod store;
pub mod task;
pub mod telemetry;
pub mod transfer;
