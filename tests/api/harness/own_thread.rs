//! Work beside a test, on a thread and a runtime of its own: a test that starts or stops a gateway
//! blocks the runtime it runs on.

use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

/// Stopped when it is dropped.
pub(crate) struct OwnThread(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

impl OwnThread {
    pub(crate) fn run<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                tokio::select! { () = work() => {}, _ = stopped => {} }
            });
        });
        Self(Some((stop, thread)))
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            // If it panicked, it has said so.
            let _ = thread.join();
        }
    }
}
