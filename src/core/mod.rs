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
pub mod id;
pub mod incident;
pub mod obligation;
pub mod observation;
pub mod observed;
pub mod plan;
pub mod policy;
mod quiet;
pub mod rank;
pub mod rejected;
pub mod reports;
pub mod segments;
pub mod sight;
pub mod time;
pub mod view;
pub mod warning;
