//! The pure core: std, serde and each other. It decides; the shell reads, commits and sends.

pub mod act;
pub mod arrivals;
pub mod calendar;
pub mod case;
pub mod clock;
mod draft;
pub mod engine;
pub mod explain;
pub mod facts;
pub mod fallback;
pub mod id;
pub mod incident;
mod lines;
pub mod obligation;
pub mod observation;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod rank;
pub mod rejected;
pub mod reports;
pub mod selfcheck;
pub mod sight;
pub mod time;
pub mod view;
pub mod warning;
