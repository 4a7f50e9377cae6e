//! The pure core: std, serde and each other. It decides; the shell reads, commits and sends.

pub mod act;
pub mod bulk;
pub mod calendar;
pub mod case;
pub mod clock;
mod draft;
pub mod engine;
pub mod explain;
pub mod facts;
pub mod id;
pub mod incident;
pub mod known;
pub mod observation;
pub mod plan;
pub mod policy;
pub mod rank;
pub mod reports;
pub mod time;
pub mod told;
pub mod view;
