//! Starts threads that each have a single-threaded tokio runtime.

use std::{
    io,
    thread::{Builder, JoinHandle},
};

use tokio::runtime::{self, Runtime};
use tokio_util::sync::DropGuard;

pub(super) fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// Spawns a thread that runs the future that `start` returns. `start` itself runs on the calling thread
/// before this function returns, so that sockets listen before the log line `listening` is written. `guard`
/// is dropped when the thread ends, even by a panic.
pub(super) fn spawn<F>(
    name: &str,
    runtime: Runtime,
    guard: DropGuard,
    start: impl FnOnce() -> io::Result<F>,
) -> io::Result<JoinHandle<()>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let future = {
        let _entered = runtime.enter();
        start()?
    };
    Builder::new().name(name.to_owned()).spawn(move || {
        let _guard = guard;
        runtime.block_on(future);
        // Do not wait for blocking tasks such as a name resolution that hangs: they could outlast the drain
        // timeout.
        runtime.shutdown_background();
    })
}
