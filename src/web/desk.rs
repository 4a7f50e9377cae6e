//! What people do by way of the web, on its way into the store's inbox: one trait, so that the routes need no
//! database to be tested.

use super::PagesFuture;
use crate::core::act::Deed;
use crate::core::id::IncidentNo;
use crate::core::time::Timestamp;
use crate::store::{SqlStore, StoreError};

/// The longest name of a person, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// Where deeds are put down.
pub trait Desk: Send + Sync + 'static {
    /// Puts a deed into the inbox, from where the engine takes it within a second or two.
    fn put(&self, deed: &Deed, by: &str, at: Timestamp) -> PagesFuture<'_, ()>;
    /// As `put`, once for each `id` however often it comes: whether it was put.
    fn put_once(&self, id: &str, deed: &Deed, by: &str, at: Timestamp) -> PagesFuture<'_, bool>;
    /// The incident and round of an alert key.
    fn incident_of_alert(&self, alert_key: &str) -> PagesFuture<'_, Option<(IncidentNo, u32)>>;
    fn is_incident_open(&self, no: IncidentNo) -> PagesFuture<'_, bool>;
}

impl Desk for SqlStore {
    fn put(&self, deed: &Deed, by: &str, at: Timestamp) -> PagesFuture<'_, ()> {
        let (body, kind, by) = (body(deed), deed.kind(), by.to_owned());
        Box::pin(async move { self.put_inbox(kind, &body?, &by, at).await.map(drop) })
    }

    fn put_once(&self, id: &str, deed: &Deed, by: &str, at: Timestamp) -> PagesFuture<'_, bool> {
        let (body, kind, id, by) = (body(deed), deed.kind(), id.to_owned(), by.to_owned());
        Box::pin(async move { self.put_webhook(&id, kind, &body?, &by, at).await })
    }

    fn incident_of_alert(&self, alert_key: &str) -> PagesFuture<'_, Option<(IncidentNo, u32)>> {
        let alert_key = alert_key.to_owned();
        Box::pin(async move { SqlStore::incident_of_alert(self, &alert_key).await })
    }

    fn is_incident_open(&self, no: IncidentNo) -> PagesFuture<'_, bool> {
        Box::pin(SqlStore::is_incident_open(self, no))
    }
}

fn body(deed: &Deed) -> Result<String, StoreError> {
    serde_json::to_string(deed)
        .map_err(|error| StoreError::Unreadable { operation: "write down a deed", what: error.to_string() })
}

/// A person's name as it was given, if it can be one: of a length that fits, on one line.
pub fn person(name: &str) -> Option<&str> {
    let name = name.trim();
    let plain = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    plain.then_some(name)
}
