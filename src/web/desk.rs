//! What people do by way of the web, on its way into the store's inbox: one trait, so that the routes need no
//! database to be tested.

use super::PagesFuture;
use crate::core::act::Deed;
use crate::core::id::IncidentNo;
use crate::core::time::Timestamp;
use crate::store::{AuditLine, Noted, SqlStore, StoreError};

/// The longest name of a person, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// Who did it, when and from where.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub by: &'a str,
    /// "board 10.0.0.7", "API 10.0.0.7", "link", "PagerDuty"
    pub from: &'a str,
    pub at: Timestamp,
}

/// Where deeds are put down.
pub trait Desk: Send + Sync + 'static {
    /// Puts a deed into the inbox, from where the engine takes it within a second or two.
    fn put(&self, deed: &Deed, signed: Signed<'_>) -> PagesFuture<'_, ()>;
    /// As `put`, once for each `id` however often it comes: whether it was put.
    fn put_once(&self, id: &str, deed: &Deed, signed: Signed<'_>) -> PagesFuture<'_, bool>;
    /// The incident and round of an alert key.
    fn incident_of_alert(&self, alert_key: &str) -> PagesFuture<'_, Option<(IncidentNo, u32)>>;
    fn is_incident_open(&self, no: IncidentNo) -> PagesFuture<'_, bool>;
    /// Adds a line to the audit log for what is no deed of the core's.
    fn note<'a>(&'a self, noted: Noted<'a>) -> PagesFuture<'a, ()>;
    /// The lines of the audit log before this one, newest first.
    fn audit(&self, before: i64, limit: u32) -> PagesFuture<'_, Vec<AuditLine>>;
}

impl Desk for SqlStore {
    fn put(&self, deed: &Deed, signed: Signed<'_>) -> PagesFuture<'_, ()> {
        let (body, kind, by, at) = (body(deed, signed.from), deed.kind(), signed.by.to_owned(), signed.at);
        Box::pin(async move { self.put_inbox(kind, &body?, &by, at).await.map(drop) })
    }

    fn put_once(&self, id: &str, deed: &Deed, signed: Signed<'_>) -> PagesFuture<'_, bool> {
        let (body, kind, id) = (body(deed, signed.from), deed.kind(), id.to_owned());
        let (by, at) = (signed.by.to_owned(), signed.at);
        Box::pin(async move { self.put_webhook(&id, kind, &body?, &by, at).await })
    }

    fn incident_of_alert(&self, alert_key: &str) -> PagesFuture<'_, Option<(IncidentNo, u32)>> {
        let alert_key = alert_key.to_owned();
        Box::pin(async move { SqlStore::incident_of_alert(self, &alert_key).await })
    }

    fn is_incident_open(&self, no: IncidentNo) -> PagesFuture<'_, bool> {
        Box::pin(SqlStore::is_incident_open(self, no))
    }

    fn note<'a>(&'a self, noted: Noted<'a>) -> PagesFuture<'a, ()> {
        Box::pin(async move { SqlStore::note(self, &noted).await })
    }

    fn audit(&self, before: i64, limit: u32) -> PagesFuture<'_, Vec<AuditLine>> {
        Box::pin(self.audit_before(before, limit))
    }
}

/// The deed, with where it came from beside it: for the audit log, and nothing to the core.
fn body(deed: &Deed, from: &str) -> Result<String, StoreError> {
    let with_origin = || {
        let mut body = serde_json::to_value(deed)?;
        if let Some(members) = body.as_object_mut() {
            members.insert("from".to_owned(), from.into());
        }
        serde_json::to_string(&body)
    };
    with_origin().map_err(|error| StoreError::Unreadable { operation: "write down a deed", what: error.to_string() })
}

/// A person's name as it was given, if it can be one: of a length that fits, on one line.
pub fn person(name: &str) -> Option<&str> {
    let name = name.trim();
    let plain = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    plain.then_some(name)
}
