//! Starts logging and tracing. Log lines go to standard error, as text or JSON. Traces go to an OTLP
//! collector, if one is configured.
//!
//! No log line contains a token, a cookie's value, a key or an e-mail address: `Debug` prints no secrets, and
//! neither the heads of requests nor the texts of GoTrue's answers are logged.

mod json_lines;
pub(crate) mod line_limit;
pub(crate) mod log_buffers;
pub mod metrics;
pub mod traces;

use std::{
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
    thread,
    time::Duration,
};

use tracing::{Dispatch, Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

use self::{
    json_lines::JsonLines,
    log_buffers::{BufferGuards, LogBuffers},
    traces::Exporter,
};
use crate::config::LogFormat;

const CHECK_DROPPED_EVERY: Duration = Duration::from_secs(1);
/// The longest time that a stop waits for the export of the last spans, because the collector may be down.
const LAST_SPANS_TIMEOUT: Duration = Duration::from_secs(2);

/// Keeps the background threads of the log and of the exporter running. Dropping this value writes the last
/// log lines and exports the last spans.
#[derive(Debug)]
pub struct Telemetry {
    exporter: Option<Exporter>,
    buffers: BufferGuards,
}

/// Starts logging for the whole process, panics included. Call this once: a second call panics. Separate
/// threads write the lines, so that a program that reads standard error slowly delays no request.
#[must_use]
pub fn start(format: LogFormat, filter: Targets, exporter: Option<Exporter>) -> Telemetry {
    let (writer, buffers) = LogBuffers::start();
    subscriber(writer, format, filter, exporter.as_ref()).init();
    panic::set_hook(Box::new(log_panic));
    Telemetry { exporter, buffers }
}

/// The subscriber that receives all log events and spans of the process.
fn subscriber<W>(
    writer: W,
    format: LogFormat,
    filter: Targets,
    exporter: Option<&Exporter>,
) -> Dispatch
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_ansi(io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.event_format(JsonLines).boxed(),
    };
    let are_log_lines = filter_fn(is_log_line).with_max_level_hint(LevelFilter::TRACE);
    let lines = lines.with_filter(filter.and(are_log_lines));
    // Do not pass the exporter's layer as an `Option` to one `registry()`: with a layer of `None`,
    // tracing-subscriber's `Layered` loses the log line that follows a disabled span.
    match exporter {
        Some(exporter) => Dispatch::new(registry().with(lines).with(exporter.layer())),
        None => Dispatch::new(registry().with(lines)),
    }
}

/// Whether an event becomes a log line. Spans do not: only the exporter uses them. The exporter's debug
/// events do not either, because they quote the collector's answers.
fn is_log_line(metadata: &Metadata<'_>) -> bool {
    let quotes_collector =
        metadata.target().starts_with("opentelemetry") && *metadata.level() > Level::INFO;
    !metadata.is_span() && !quotes_collector
}

impl Telemetry {
    /// Checks once a second whether log lines were dropped, and then logs a warning with their number since
    /// the start. If the warning itself is dropped, the next warning counts it. Never returns.
    pub(crate) async fn report_dropped_lines(&self) {
        let mut reported = 0;
        loop {
            tokio::time::sleep(CHECK_DROPPED_EVERY).await;
            let dropped = self.buffers.dropped();
            let total = dropped.total();
            if total > reported {
                tracing::warn!(
                    total,
                    audit_of_sessions = dropped.sessions,
                    audit_of_refusals = dropped.refusals,
                    other = dropped.other,
                    "log lines were dropped: standard error is not read fast enough"
                );
            }
            reported = total;
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(exporter) = &self.exporter {
            exporter.stop(LAST_SPANS_TIMEOUT);
        }
    }
}

/// Logs one line for a panic: its location, and its text if that is a string literal. A text that was
/// formatted at run time is not logged, because it may quote the request: the panic of slicing a `str` within
/// a character quotes the string.
pub(crate) fn log_panic(panic: &PanicHookInfo<'_>) {
    let text = panic
        .payload()
        .downcast_ref::<&'static str>()
        .unwrap_or(&"not logged: it may quote a request");
    tracing::error!(
        location = panic.location().map(tracing::field::display),
        thread = thread::current().name(),
        text,
        "panicked"
    );
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Seek as _},
        sync::Arc,
    };

    use super::*;

    use axum::http::Method;
    use rstest::rstest;
    use tracing::dispatcher;

    use super::traces::TraceContext;

    /// Runs `work` and returns the log lines that it writes.
    fn logged(exporter: Option<&Exporter>, work: impl FnOnce()) -> String {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Arc::new(file.try_clone().unwrap());
        let subscriber = subscriber(
            writer,
            LogFormat::Json,
            Targets::new().with_default(LevelFilter::TRACE),
            exporter,
        );
        dispatcher::with_default(&subscriber, work);
        file.rewind().unwrap();
        let mut log = String::new();
        file.read_to_string(&mut log).unwrap();
        log
    }

    fn panicking(work: impl FnOnce() + panic::UnwindSafe) {
        let before = panic::take_hook();
        // Call the previous hook as well: it prints the panics of tests that fail at the same time.
        panic::set_hook(Box::new(move |panic| {
            log_panic(panic);
            before(panic);
        }));
        assert!(panic::catch_unwind(work).is_err());
    }

    #[test]
    #[expect(
        clippy::string_slice,
        reason = "the test needs the panic of a slice within a character"
    )]
    fn a_panic_is_one_log_line_that_quotes_no_request() {
        let log = logged(None, || panicking(|| panic!("a literal")));
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains(r#""text":"a literal""#) && log.contains(file!()), "{log}");

        let token = "eyJhbGciOiJFUzI1NiJ9.ä";
        let log = logged(None, || panicking(|| drop(token[..token.len() - 1].to_owned())));
        assert!(!log.contains("eyJhbGci"), "{log}");
        assert!(
            log.contains(r#""text":"not logged: it may quote a request""#) && log.contains(file!()),
            "{log}"
        );
    }

    #[rstest]
    #[case::without_an_exporter(None)]
    #[case::with_an_exporter(Some("http://127.0.0.1:1"))]
    fn no_log_line_is_lost_after_a_span_and_spans_are_disabled_without_an_exporter(
        #[case] endpoint: Option<&str>,
    ) {
        let exporter = endpoint.map(|url| Exporter::new(&url.parse().unwrap()).unwrap());
        let log = logged(exporter.as_ref(), || {
            for _ in 0..3 {
                let caller = TraceContext::default();
                let request = traces::request(&Method::GET, "/", "an-id", &caller);
                assert_eq!(request.is_disabled(), endpoint.is_none());
                tracing::info!("a line");
                let _entered = request.enter();
                drop(traces::store("revoke"));
                tracing::info!("a line");
            }
        });
        let lines = log.lines().filter(|line| line.contains("a line"));
        assert_eq!((lines.count(), log.contains("an-id")), (6, false), "{log}");
    }
}
