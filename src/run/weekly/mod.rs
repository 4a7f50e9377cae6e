//! The weekly report in the running process: what was in sight is noted, each week's figures are made once
//! and kept, and sent once to everybody who gets them.

pub mod backfill;
pub mod gather;
pub mod limits;
mod past;
pub mod sums;
pub mod tell;
pub mod watch;
