//! Whether a MySQL server is a replica, and up to when what it shows is whole. The server tells only a role with
//! a privilege of its own; without one that is said, and a server that takes no writes proves what is a minute old.

use super::decode::Cell;
use super::fault::mysql_number;
use super::feed::Replayed;
use super::mysql_types::Kind;
use crate::core::sight::Lag;
use crate::core::time::{Span, Timestamp};
use sqlx::mysql::MySqlRow;
use sqlx::{Column, MySqlConnection, Row};

#[derive(Debug)]
pub struct Standing {
    is_mariadb: bool,
    role: Role,
    /// Since when nothing has come from the primary, by this database's clock.
    cut_off_since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Primary,
    Replica {
        /// `None`: nothing comes, or nothing is applied.
        behind: Option<Span>,
        /// A connection that is dead may look alive for so long.
        silence: Span,
    },
    /// It takes no writes and names no primary, as a member of a group or of a managed cluster does.
    Fed,
    /// The role may not ask.
    Unknown {
        is_read_only: bool,
    },
}

/// How long a replica waits by default before it takes its primary's silence for a lost connection.
const SILENCE_DEFAULT: Span = Span::from_secs(60);

/// How far a server is taken to be behind that takes no writes and doesn't say. If nothing that it shows were a proof, a
/// breach below P0 would never ring.
const BEHIND_UNKNOWN: Span = SILENCE_DEFAULT;

const UNCHECKED: &str = "whether it is a replica, and how far behind, isn't checked: GRANT REPLICATION CLIENT (MariaDB: SLAVE \
     MONITOR) ON *.* lets the monitor ask";
const UNTRUSTED: &str = "it takes no writes, so it may be a replica, and how far behind isn't checked: a breach below P0 rings \
     a minute late, and wrongly where it is further behind; GRANT REPLICATION CLIENT (MariaDB: SLAVE MONITOR) ON *.* \
     lets the monitor ask, or name the primary in verify_url_env";
const FED: &str = "it takes no writes and names no primary, so it may be fed by a group or a cluster, and how far behind isn't \
     known: a breach below P0 rings a minute late, and wrongly where it is further behind; name the primary in \
     verify_url_env";

impl Standing {
    pub fn new(is_mariadb: bool) -> Standing {
        Standing { is_mariadb, role: Role::Unknown { is_read_only: false }, cut_off_since: None }
    }

    /// Asks the server.
    pub async fn look(&mut self, conn: &mut MySqlConnection) -> sqlx::Result<()> {
        let asks = if self.is_mariadb {
            ["SHOW ALL SLAVES STATUS", "SHOW SLAVE STATUS"]
        } else {
            ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"]
        };
        let mut found = show(conn, asks[0]).await;
        // Older servers don't know the first form.
        if matches!(&found, Err(error) if mysql_number(error) == Some(1064)) {
            found = show(conn, asks[1]).await;
        }
        self.role = match found {
            Ok(channels) if channels.is_empty() => {
                if is_read_only(conn).await? {
                    Role::Fed
                } else {
                    Role::Primary
                }
            }
            Ok(channels) => Role::Replica { behind: furthest(&channels), silence: silence(conn).await? },
            // It lacks the privilege.
            Err(error) if matches!(mysql_number(&error), Some(1227 | 1142 | 1044 | 1045)) => {
                Role::Unknown { is_read_only: is_read_only(conn).await? }
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    pub fn is_primary(&self) -> bool {
        matches!(self.role, Role::Primary | Role::Unknown { is_read_only: false })
    }

    /// Up to when everything that its primary has committed is shown. A replica counts how far behind it is from
    /// what it has received: a primary that fell silent may have gone on for as long as its silence passes unnoticed.
    pub fn replayed(&self, clock: Timestamp) -> Option<Replayed> {
        match self.role {
            Role::Primary | Role::Unknown { is_read_only: false } => None,
            Role::Replica { behind: Some(behind), silence } => Some(Replayed(Some(clock.minus(behind).minus(silence)))),
            Role::Replica { behind: None, .. } => Some(Replayed(None)),
            Role::Fed | Role::Unknown { is_read_only: true } => Some(Replayed(Some(clock.minus(BEHIND_UNKNOWN)))),
        }
    }

    pub fn lag(&mut self, clock: Timestamp) -> Option<Lag> {
        let Role::Replica { behind, .. } = self.role else {
            self.cut_off_since = None;
            return None;
        };
        if let Some(behind) = behind {
            self.cut_off_since = None;
            return Some(Lag { behind, cut_off: false });
        }
        let since = *self.cut_off_since.get_or_insert(clock);
        Some(Lag { behind: clock.since(since).max(Span::ZERO), cut_off: true })
    }

    /// What could not be asked, and what would let it.
    pub fn unchecked(&self) -> Option<&'static str> {
        match self.role {
            Role::Primary | Role::Replica { .. } => None,
            Role::Fed => Some(FED),
            Role::Unknown { is_read_only } => Some(if is_read_only { UNTRUSTED } else { UNCHECKED }),
        }
    }
}

/// One channel from which a replica is fed: the columns that count, under any of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Channel {
    behind_secs: Option<i64>,
    is_received: bool,
    is_applied: bool,
}

async fn show(conn: &mut MySqlConnection, sql: &'static str) -> sqlx::Result<Vec<Channel>> {
    let rows = sqlx::raw_sql(sql).fetch_all(conn).await?;
    Ok(rows.iter().map(channel).collect())
}

fn channel(row: &MySqlRow) -> Channel {
    let mut channel = Channel::default();
    for (at, column) in row.columns().iter().enumerate() {
        let Cell::Text(text) = Kind::Text.cell(row, at) else { continue };
        match column.name() {
            "Seconds_Behind_Master" | "Seconds_Behind_Source" => channel.behind_secs = text.parse().ok(),
            "Slave_IO_Running" | "Replica_IO_Running" => channel.is_received = text == "Yes",
            "Slave_SQL_Running" | "Replica_SQL_Running" => channel.is_applied = text == "Yes",
            _ => {}
        }
    }
    channel
}

/// How far behind the slowest channel is; `None` where one stands still.
fn furthest(channels: &[Channel]) -> Option<Span> {
    let behind = channels.iter().map(|channel| {
        let runs = channel.is_received && channel.is_applied;
        channel.behind_secs.filter(|_| runs).map(|secs| Span::from_secs(secs.max(0)))
    });
    behind.collect::<Option<Vec<Span>>>()?.into_iter().max()
}

async fn silence(conn: &mut MySqlConnection) -> sqlx::Result<Span> {
    let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('slave_net_timeout', 'replica_net_timeout')";
    let rows = sqlx::raw_sql(sql).fetch_all(conn).await?;
    let secs = rows.iter().filter_map(|row| match Kind::Text.cell(row, 1) {
        Cell::Text(text) => text.parse().ok(),
        _ => None,
    });
    Ok(secs.max().map_or(SILENCE_DEFAULT, Span::from_secs))
}

async fn is_read_only(conn: &mut MySqlConnection) -> sqlx::Result<bool> {
    let row = sqlx::raw_sql("SELECT @@global.read_only, @@global.innodb_read_only").fetch_one(conn).await?;
    Ok((0..2).any(|at| !matches!(Kind::Text.cell(&row, at), Cell::Text("0" | "OFF"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(role: Role) -> Standing {
        Standing { role, ..Standing::new(true) }
    }

    #[test]
    fn a_replica_proves_up_to_what_it_has_applied_less_the_silence_that_nobody_notices() {
        let at = Timestamp::from_secs;
        let replica = Role::Replica { behind: Some(Span::from_secs(7)), silence: Span::from_secs(60) };
        assert_eq!(standing(replica).replayed(at(1_000)), Some(Replayed(Some(at(933)))));
        assert_eq!(standing(Role::Primary).replayed(at(1_000)), None);
        let stands = Role::Replica { behind: None, silence: Span::from_secs(60) };
        assert_eq!(standing(stands).replayed(at(1_000)), Some(Replayed(None)));
    }

    #[test]
    fn a_server_that_tells_nothing_of_a_primary_proves_what_is_a_minute_old_where_it_takes_no_writes() {
        let unknown = |is_read_only| standing(Role::Unknown { is_read_only });
        let a_minute_ago = Some(Replayed(Some(Timestamp::from_secs(9))));
        assert_eq!(unknown(true).replayed(Timestamp::from_secs(69)), a_minute_ago);
        assert_eq!(unknown(false).replayed(Timestamp::from_secs(9)), None);
        assert!(unknown(true).unchecked().is_some_and(|what| what.contains("may be a replica")));
        assert!(unknown(false).unchecked().is_some_and(|what| what.contains("isn't checked")));
        assert_eq!(standing(Role::Primary).unchecked(), None);
        assert_eq!(standing(Role::Fed).replayed(Timestamp::from_secs(69)), a_minute_ago);
        assert!(standing(Role::Fed).unchecked().is_some_and(|what| what.contains("names no primary")));
    }

    #[test]
    fn of_several_channels_the_slowest_counts_and_one_that_stands_still_cuts_off() {
        let channel = |behind| Channel { behind_secs: behind, is_received: true, is_applied: true };
        assert_eq!(furthest(&[channel(Some(3)), channel(Some(9))]), Some(Span::from_secs(9)));
        assert_eq!(furthest(&[channel(Some(3)), channel(None)]), None);
        assert_eq!(furthest(&[Channel { is_received: false, ..channel(Some(0)) }]), None);
        let mut standing = standing(Role::Replica { behind: None, silence: SILENCE_DEFAULT });
        let at = Timestamp::from_secs;
        assert_eq!(standing.lag(at(100)), Some(Lag { behind: Span::ZERO, cut_off: true }));
        assert_eq!(standing.lag(at(190)), Some(Lag { behind: Span::from_secs(90), cut_off: true }));
    }
}
