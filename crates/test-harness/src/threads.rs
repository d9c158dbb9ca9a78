//! Work beside a test, on a thread and a runtime of its own: a test that starts or stops a gateway
//! blocks the runtime it runs on.

use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

/// Stopped when it is dropped.
pub struct BackgroundThread(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

impl BackgroundThread {
    pub fn spawn<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> Self {
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

impl Drop for BackgroundThread {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            // If it panicked, it has said so.
            let _ = thread.join();
        }
    }
}

/// Checks every row on a thread of its own, which has the row's name: where each needs a gateway of its
/// own, they need not wait for each other.
pub fn run_concurrently<N: Into<String>, R: Send + 'static, F: Future<Output = ()>>(
    rows: impl IntoIterator<Item = (N, R)>,
    check: impl Fn(R) -> F + Copy + Send + 'static,
) {
    let on_its_own = |(name, row): (N, R)| {
        let check = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(check(row));
        };
        thread::Builder::new().name(name.into()).spawn(check).unwrap()
    };
    let checks: Vec<_> = rows.into_iter().map(on_its_own).collect();
    let failed: Vec<_> = checks
        .into_iter()
        .filter_map(|check| {
            let name = check.thread().name().unwrap().to_owned();
            check.join().is_err().then_some(name)
        })
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}
