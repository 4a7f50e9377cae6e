//! What a receiver that forgets must be told again: rounds that still stand open at it, and those that were
//! closed there a short while ago.

use super::db::args;
use super::outbox::{columns, leased};
use super::sql::failed;
use super::{NewPage, Result, SqlStore};
use crate::core::id::Name;
use crate::core::time::Timestamp;

const OPEN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM pages WHERE channel = $1 AND kind = 'ring' AND state = 'accepted' \
     AND incident IN (SELECT no FROM incidents WHERE open = 1) AND NOT EXISTS (SELECT 1 FROM pages closing \
     WHERE closing.incident = pages.incident AND closing.round = pages.round AND closing.channel = pages.channel \
     AND closing.kind = 'resolve') ORDER BY priority, created_at, id"
);

const CLOSED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM pages WHERE channel = $1 AND kind = 'resolve' AND state = 'accepted' AND created_at > $2 \
     ORDER BY priority, created_at, id"
);

impl SqlStore {
    /// The rings that a channel has accepted and that nothing has closed, P0 first, and the resolves that it has
    /// accepted since `closed_since`.
    pub async fn firing(&self, channel: &Name, closed_since: Timestamp) -> Result<Vec<NewPage>> {
        const OPERATION: &str = "look for what fires";
        let mut rows = self.db.fetch(OPEN, args![&**channel]).await.map_err(failed(OPERATION))?;
        rows.extend(self.db.fetch(CLOSED, args![&**channel, closed_since]).await.map_err(failed(OPERATION))?);
        rows.iter().map(|row| Ok(leased(row, OPERATION)?.page)).collect()
    }
}
