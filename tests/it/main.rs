//! Behaviour, through HTTP, over the embedded store. One binary: one build, one process.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that goes wrong"
)]

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod alone;
mod catalog_copy;
mod connections;
mod copies_in_store;
mod cors;
mod crash;
mod disk_images;
mod documents;
mod download;
mod download_copies;
mod download_faults;
mod failover;
mod fsck;
mod histories;
mod http;
mod identity;
mod import;
mod import_checks;
mod import_copies;
mod import_crash;
mod import_plugins;
mod import_servers;
mod import_web;
mod jobs;
mod json_bodies;
mod keystone;
mod limits;
mod list;
mod list_pages;
mod locations;
mod members;
mod metadefs;
mod metadefs_answers;
mod metadefs_load;
mod metadefs_pages;
mod metadefs_parts;
mod metadefs_refusals;
mod metadefs_rights;
mod metadefs_stale;
mod openapi;
mod operation;
mod policy;
mod postgres;
mod protection;
mod rbac;
mod rebuild;
mod records;
mod rights;
mod routes;
mod servers;
mod site;
mod site_formats;
mod slow_downloads;
mod staging;
mod stale;
mod store_answers;
mod surroundings;
mod tls;
mod token_cache;
mod update;
mod upload;
mod upload_clients;
mod upload_fairness;
mod upload_faults;
mod upload_refusals;
