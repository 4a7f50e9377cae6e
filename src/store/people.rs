//! What the store does for people who answer pages: which incident an alert's key is of, and what their pager
//! product tells, once however often it does.

use super::Result;
use super::db::args;
use super::sql::{SqlStore, committed, failed};
use crate::core::id::IncidentNo;
use crate::core::time::{Span, Timestamp};

/// How long a webhook is remembered. An older one is refused by its own time, so none counts twice.
pub const WEBHOOKS_KEPT: Span = Span::from_hours(8 * 24);

const REMEMBER: &str = "INSERT INTO webhooks (id, at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
const FORGET: &str = "DELETE FROM webhooks WHERE at < $1";
const INTO_INBOX: &str = "INSERT INTO inbox (kind, body, by_whom, at) VALUES ($1, $2, $3, $4)";
const OF_ALERT: &str = "SELECT incident, round FROM pages WHERE alert_key = $1 LIMIT 1";

impl SqlStore {
    /// The incident and the round that this alert key was made for; `None` for one that isn't ours.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn incident_of_alert(&self, alert_key: &str) -> Result<Option<(IncidentNo, u32)>> {
        const OPERATION: &str = "look for an alert";
        let rows = self.db().fetch(OF_ALERT, args![alert_key]).await.map_err(failed(OPERATION))?;
        let Some(row) = rows.first() else { return Ok(None) };
        let found = async { Ok((IncidentNo(row.count(0)?), row.small(1)?)) };
        found.await.map(Some).map_err(failed(OPERATION))
    }

    /// Puts what a webhook tells into the inbox, unless one of this id was before: whether it was put.
    ///
    /// # Errors
    /// Where the store can't be written; nothing is remembered then, and the same may come again.
    pub async fn put_webhook(&self, id: &str, kind: &str, body: &str, by: &str, at: Timestamp) -> Result<bool> {
        const OPERATION: &str = "take in a webhook";
        let put = async {
            let mut tx = self.db().begin().await?;
            let is_new = tx.execute(REMEMBER, args![id, at]).await? == 1;
            if is_new {
                tx.execute(INTO_INBOX, args![kind, body, by, at]).await?;
                tx.execute(FORGET, args![at.minus(WEBHOOKS_KEPT)]).await?;
            }
            Ok((tx, is_new))
        };
        let (tx, is_new) = put.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await.map(|()| is_new)
    }
}
