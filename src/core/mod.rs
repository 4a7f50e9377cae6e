//! The pure core: std, serde and each other. It decides; the shell reads, commits and sends.

pub mod calendar;
pub mod id;
pub mod observation;
pub mod policy;
pub mod time;
