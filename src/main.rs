//! The `oriel` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

// Parts of some mebibytes come and go all the time; glibc gives them back to the kernel and faults them in again.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    oriel::run().await
}
