//! Tests of the gateway as its clients see it: the router in this process or the real binary, on a free port,
//! together with a mock of GoTrue.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper that panics makes its test fail, as it should"
)]

mod admin_listener;
mod alerts;
mod any_headers;
mod audit_lines;
mod causes;
mod check;
mod clients;
mod config;
mod cookie_reading;
mod cookie_tossing;
mod cookies;
mod crashes;
mod cross_site;
mod csrf;
mod dashboard;
mod demo;
mod documents;
mod errors;
mod forged_tokens;
mod forms;
mod forward_auth;
mod headers;
mod health_command;
mod hostile_names;
mod hostile_values;
mod injection;
mod issuers;
mod jars;
mod jwks;
mod life_cycle;
mod limits;
mod logs;
mod memory;
mod metrics;
mod mock_command;
mod model;
mod networks;
mod other_bearer_tokens;
mod outcomes;
mod planted_sessions;
mod queue;
mod queue_commands;
mod readiness;
mod recorded_jars;
mod refresh;
mod refusals;
mod request_octets;
mod revocation_list;
mod routes;
mod self_hosting;
mod service_manager;
mod session;
mod several_sessions;
mod shared_store;
mod slow_upstream;
mod status;
mod stores;
mod subdomain;
mod tokens;
mod traces;
mod unix_sockets;
mod unreachable;
mod upstream;
mod upstream_faults;
mod verify;
mod version;
mod weak_settings;

use test_harness as harness;
