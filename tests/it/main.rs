//! The integration tests, one binary. Each module is about one thing; each test is a sentence.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails loudly, and says what it measured")]

mod binary;
mod browser;
mod calendar_model;
mod calendar_properties;
mod config_refused;
mod dashboards;
mod delivery;
mod deploy;
mod escalation;
mod explain;
mod kit;
mod law;
mod law_cases;
mod law_people;
mod law_repeats;
mod lessons;
mod obligations;
mod operators;
mod port;
mod presets;
mod properties;
mod quiet;
mod real_data;
mod reload;
mod remembered;
mod replay;
mod rules;
mod sight;
mod source_reading;
mod store_contract;
mod support;
mod tidy;
mod warnings;
mod watch;
mod watching;
mod web_page;
mod weekly;
