//! One suite on every real S3 server, through HTTP and over the wire: what the embedded store does must hold in front
//! of the stores that people run.
//!
//! `tests/stores/all.sh start` starts them and writes the list this reads (`ORIEL_TEST_STORES_FILE`, by default
//! `var/stores/available`). A store that is not there is skipped with a line `SKIPPED store NAME: reason`. Every
//! scenario that did run prints `RAN store::scenario`, which `--show-output` shows: one that is skipped passes too.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that goes wrong"
)]

#[path = "support/mod.rs"]
mod support;

#[path = "conformance/cleanup.rs"]
mod cleanup;
#[path = "conformance/container.rs"]
mod container;
#[path = "conformance/copies.rs"]
mod copies;
#[path = "conformance/download.rs"]
mod download;
#[path = "conformance/faults.rs"]
mod faults;
#[path = "conformance/recovery.rs"]
mod recovery;
#[path = "conformance/stores.rs"]
mod stores;
#[path = "conformance/upload.rs"]
mod upload;

/// Every scenario, given to a macro: `with_every_scenario!(name: first)` is `name! { first: area::scenario, … }`.
macro_rules! with_every_scenario {
    ($then:ident: $first:ident) => {
        $then! { $first:
            upload::small_body_is_one_request,
            upload::body_without_a_byte_is_an_image,
            upload::body_of_one_part_is_one_request,
            upload::one_byte_more_makes_two_parts,
            upload::body_of_unknown_size_is_sent_in_parts,
            upload::parts_of_the_default_size_come_back,
            upload::disk_image_is_sound_afterwards,
            download::ranges_cross_the_borders_of_parts,
            download::object_replaced_before_the_download_is_not_served,
            download::object_replaced_during_the_download_is_not_mixed_in,
            cleanup::client_that_leaves_leaves_nothing,
            cleanup::deletion_removes_the_object,
            cleanup::body_that_is_too_short_is_rolled_back,
            cleanup::body_that_is_too_long_is_rolled_back,
            cleanup::upload_that_opens_too_late_is_aborted,
            cleanup::race_has_one_winner,
            faults::failed_parts_are_sent_again,
            faults::download_that_breaks_is_resumed,
            faults::lost_answer_of_put_is_no_loss,
            faults::lost_answer_of_complete_is_no_loss,
            faults::completion_that_never_works_is_rolled_back,
            faults::abort_that_fails_is_repeated,
            recovery::stop_during_completion_leaves_nothing,
            recovery::kill_before_completion_goes_back,
            recovery::kill_after_completion_goes_forward,
            recovery::check_finds_the_store_fit,
            copies::second_bucket_gets_a_copy,
            copies::second_bucket_gets_a_copy_of_parts,
        }
    };
}
pub(crate) use with_every_scenario;

/// One module per store, one test per scenario in it, so that a failure is called `ceph::race_has_one_winner`.
macro_rules! module_of_tests {
    ($store:ident: $($area:ident::$scenario:ident,)*) => {
        mod $store {
            $(
                #[tokio::test]
                async fn $scenario() {
                    crate::stores::run(stringify!($store), stringify!($scenario), crate::$area::$scenario).await;
                }
            )*
        }
    };
}

with_every_scenario!(module_of_tests: localstack);
with_every_scenario!(module_of_tests: ceph);
with_every_scenario!(module_of_tests: seaweedfs);
with_every_scenario!(module_of_tests: embedded);
