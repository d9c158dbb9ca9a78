//! What one process takes on at most.

use std::{ffi::OsString, time::Duration};

use clap::Args;

use super::{
    error::{ConfigErrors, Noted},
    rules::{AN_HOUR, DEADLINE, MORE_THAN_ZERO, duration, whole_number},
};

const MOST_AT_ONCE: usize = 1_000_000;
/// hyper panics on a buffer smaller than this.
const LEAST_HEADER_BYTES: usize = 8 * 1024;
const DEFAULT_HEADER_BYTES: usize = 128 * 1024;
const MOST_HEADER_BYTES: usize = 16 * 1024 * 1024;

/// What one process takes on at most.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `GATEWAY_MAX_IN_FLIGHT`.
    pub in_flight: usize,
    /// `GATEWAY_MAX_CONNECTIONS`.
    pub connections: usize,
    /// `GATEWAY_MAX_HEADER_BYTES`.
    pub header_bytes: usize,
    /// `GATEWAY_HEADER_TIMEOUT`.
    pub header_timeout: Duration,
}

#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Requests served at once, 1 to 1000000; more are answered 503. Default: `1024`
    #[arg(long, env = "GATEWAY_MAX_IN_FLIGHT", value_name = "NUMBER")]
    max_in_flight: Option<OsString>,
    /// Connections open at once, 1 to 1000000; more wait until one ends. Default: `4096`
    #[arg(long, env = "GATEWAY_MAX_CONNECTIONS", value_name = "NUMBER")]
    max_connections: Option<OsString>,
    /// Bytes of a request's head, 8192 to 16777216; a longer one is answered 431. Default: `131072`
    #[arg(long, env = "GATEWAY_MAX_HEADER_BYTES", value_name = "BYTES")]
    max_header_bytes: Option<OsString>,
    /// How long a request's head may take to arrive, its body as well, and how long a client may read
    /// nothing of an answer: more than zero, at most `1h`. Default: `10s`
    #[arg(long, env = "GATEWAY_HEADER_TIMEOUT", value_name = "DURATION")]
    header_timeout: Option<OsString>,
}

impl Limits {
    pub(super) fn read(args: LimitArgs, faults: &mut ConfigErrors) -> Result<Self, Noted> {
        let at_once = whole_number(1..=MOST_AT_ONCE);
        let in_flight = faults.or("GATEWAY_MAX_IN_FLIGHT", args.max_in_flight, 1024, &at_once);
        let connections =
            faults.or("GATEWAY_MAX_CONNECTIONS", args.max_connections, 4096, &at_once);
        let bytes = whole_number(LEAST_HEADER_BYTES..=MOST_HEADER_BYTES);
        let header_bytes = faults.or(
            "GATEWAY_MAX_HEADER_BYTES",
            args.max_header_bytes,
            DEFAULT_HEADER_BYTES,
            bytes,
        );
        let timeout = duration(MORE_THAN_ZERO..=AN_HOUR, DEADLINE);
        let ten_seconds = Duration::from_secs(10);
        let header_timeout =
            faults.or("GATEWAY_HEADER_TIMEOUT", args.header_timeout, ten_seconds, timeout);
        Ok(Self {
            in_flight: in_flight?,
            connections: connections?,
            header_bytes: header_bytes?,
            header_timeout: header_timeout?,
        })
    }
}
