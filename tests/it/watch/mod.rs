//! What watches the monitor from beside it: the auditor, the outbound heartbeat and the canary, over real stores and
//! in time that only a test moves.

mod auditor;
mod canary;
mod heartbeat;

use crate::kit::minute;
use tocsin::core::time::{Span, Timestamp};
use tocsin::status::{Mode, SourceStatus, Status, StatusHandle, StoreStatus};

/// Of a process that does its whole work at `now`.
fn well(now: Timestamp) -> StatusHandle {
    let mut source = SourceStatus::new("reports".into(), Span::from_secs(1), Span::from_mins(1));
    source.last_ok = Some(now);
    StatusHandle::new(Status {
        version: "test",
        mode: Mode::Live,
        deployment: "test".into(),
        leader: true,
        started_at: minute(0),
        engine_alive_at: Some(now),
        sources: vec![source],
        store: StoreStatus::default(),
        reload: tocsin::status::Reload::default(),
    })
}
