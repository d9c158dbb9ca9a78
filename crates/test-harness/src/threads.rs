//! Runs work on threads that have their own runtimes, because a test that starts or stops a gateway blocks
//! the runtime on which it runs.

use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

/// A thread that runs a future until this is dropped.
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
            // If the thread has panicked, its panic message has been printed already.
            let _ = thread.join();
        }
    }
}

/// Checks all cases at the same time, each on a thread with the case's name, and then fails with the names of
/// the cases that failed. Use this for checks that each start a gateway, because they wait most of the time.
pub fn run_concurrently<N: Into<String>, C: Send + 'static, F: Future<Output = ()>>(
    cases: impl IntoIterator<Item = (N, C)>,
    check: impl Fn(C) -> F + Copy + Send + 'static,
) {
    let spawn = |(name, case): (N, C)| {
        let check = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(check(case));
        };
        thread::Builder::new().name(name.into()).spawn(check).unwrap()
    };
    let checks: Vec<_> = cases.into_iter().map(spawn).collect();
    let failed: Vec<_> = checks
        .into_iter()
        .filter_map(|check| {
            let name = check.thread().name().unwrap().to_owned();
            check.join().is_err().then_some(name)
        })
        .collect();
    assert!(failed.is_empty(), "failed cases: {failed:?}");
}
