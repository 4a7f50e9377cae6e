//! Reading back what was committed. What this version can't read is named by table and key, never by
//! what it holds.

use super::db::{Answer, Db, Row, Tx, args};
use super::sql::failed;
use super::{InboxEntry, Result, StoreError, Stored, quiets, sight, told};
use crate::core::case::{Case, Conclusion};
use crate::core::clock::Ending;
use crate::core::id::{CaseKey, EpisodeKey, IncidentNo, ReportKey};
use crate::core::known::Known;
use crate::core::plan::{BreachRecord, BreachStatus, Outcome, TargetOutcome};
use crate::core::policy::{Priority, Standing};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

const LOAD: &str = "load the store";
/// Rows that one statement of `load` reads, and keys that one of `recall` asks for.
const CASES_PER_READ: u32 = 1_000;
const KEYS_PER_RECALL: usize = 512;

const UNSETTLED: &str = "SELECT priority, episode, state FROM cases \
     WHERE settled = 0 AND (priority, episode) > ($1, $2) ORDER BY priority, episode LIMIT $3";
const OPEN_INCIDENTS: &str = "SELECT no, state FROM incidents WHERE open = 1 ORDER BY no";
/// What `breach` reads, from the first column on.
macro_rules! breach_columns {
    () => {
        "episode, target, deadline, category, rule, priority, started, detected_at, inherited, status, ended, \
         ended_at, contradicted_at, incident, policy_hash, keys, known"
    };
}
const BREACHES: &str = concat!(
    "SELECT ",
    breach_columns!(),
    " FROM breaches ORDER BY detected_at DESC, episode, target, report, deadline LIMIT $1"
);
/// Of a report, by which people know a case, or of any episode of these two cases.
const BREACHES_OF: &str = concat!(
    "SELECT ",
    breach_columns!(),
    " FROM breaches WHERE first_report = $1 OR episode IN (SELECT episode FROM cases WHERE case_key IN ($2, $3)) \
     ORDER BY detected_at, episode, target, report, deadline LIMIT 1000"
);
const BREACHES_OF_EPISODE: &str = concat!(
    "SELECT ",
    breach_columns!(),
    " FROM breaches WHERE episode = $1 ORDER BY deadline, target, report LIMIT 1000"
);
const OUTCOME: &str = "SELECT category, rule, priority, standing, received, first_response, ended_at, conclusion, \
     reports, reopenings, targets, second_review, overturned FROM outcomes WHERE episode = $1";

pub(super) async fn load(db: &Db, take: impl FnMut(Vec<Case>) + Send) -> Result<Stored> {
    let mut tx = db.begin_reading().await.map_err(failed(LOAD))?;
    let ask = "SELECT sequence, next_incident FROM deployment WHERE id = 1";
    let row = tx.fetch_one(ask, args![]).await.map_err(failed(LOAD))?;
    let mut stored = Stored {
        sequence: row.count(0).map_err(failed(LOAD))?,
        next_incident: row.count(1).map_err(failed(LOAD))?,
        quiets: quiets::read(&mut tx).await?,
        ..Stored::default()
    };
    let of_cases = cases(&mut tx, take).await?;
    for row in tx.fetch(OPEN_INCIDENTS, args![]).await.map_err(failed(LOAD))? {
        let no = row.int(0).map_err(failed(LOAD))?;
        stored.incidents.push(state(&row, 1, LOAD, "incidents", &no.to_string())?);
    }
    // A case that goes on rings in its own incident, resolved or not.
    let open: BTreeSet<IncidentNo> = stored.incidents.iter().map(|incident| incident.no).collect();
    let resolved: Vec<IncidentNo> = of_cases.difference(&open).copied().collect();
    for numbers in resolved.chunks(KEYS_PER_RECALL) {
        let args: Vec<_> = numbers.iter().flat_map(|no| args![no.0]).collect();
        let sql = format!("SELECT no, state FROM incidents WHERE no IN {}", db.list(args.len()));
        for row in tx.fetch(sql, args).await.map_err(failed(LOAD))? {
            let no = row.int(0).map_err(failed(LOAD))?;
            stored.incidents.push(state(&row, 1, LOAD, "incidents", &no.to_string())?);
        }
    }
    (stored.arrived, stored.watched) = sight::load(&mut tx).await.map_err(failed(LOAD))?;
    stored.seen_until = told::seen_until(&mut tx).await.map_err(failed(LOAD))?;
    // Nothing was written: how a reading transaction ends is no matter.
    let _ = tx.commit().await;
    Ok(stored)
}

/// Gives every unsettled case away, P0 first, a bounded number at a time. What is left are the incidents that they ring in.
async fn cases(tx: &mut Tx, mut take: impl FnMut(Vec<Case>) + Send) -> Result<BTreeSet<IncidentNo>> {
    let mut incidents = BTreeSet::new();
    let (mut priority, mut episode) = (String::new(), String::new());
    loop {
        let after = args![priority.as_str(), episode.as_str(), CASES_PER_READ];
        let rows = tx.fetch(UNSETTLED, after).await.map_err(failed(LOAD))?;
        let mut part: Vec<Case> = Vec::with_capacity(rows.len());
        for row in &rows {
            priority = row.text(0).map_err(failed(LOAD))?.to_owned();
            episode = row.text(1).map_err(failed(LOAD))?.to_owned();
            part.push(state(row, 2, LOAD, "cases", &episode)?);
        }
        incidents.extend(part.iter().filter_map(|case| case.incident));
        take(part);
        if rows.len() < CASES_PER_READ as usize {
            return Ok(incidents);
        }
    }
}

pub(super) async fn recall(db: &Db, keys: &[CaseKey]) -> Result<Vec<Case>> {
    const OPERATION: &str = "recall cases";
    let mut cases = Vec::new();
    for keys in keys.chunks(KEYS_PER_RECALL) {
        let mut args: Vec<_> = keys.iter().flat_map(|key| args![key.to_string()]).collect();
        // Filled up to a power of two, so that the few statements there are stay prepared.
        if let Some(last) = args.last().cloned() {
            args.resize(keys.len().next_power_of_two(), last);
        }
        let sql = format!(
            "SELECT episode, state FROM cases WHERE case_key IN {} ORDER BY case_key, episode_no",
            db.list(args.len())
        );
        for row in db.fetch(sql, args).await.map_err(failed(OPERATION))? {
            let episode = row.text(0).map_err(failed(OPERATION))?.to_owned();
            cases.push(state(&row, 1, OPERATION, "cases", &episode)?);
        }
    }
    Ok(cases)
}

/// What people did that no commit has taken up yet; at most as much as one look can handle.
pub(super) async fn inbox(db: &Db) -> Result<Vec<InboxEntry>> {
    const OPERATION: &str = "read the inbox";
    const WAITING: &str =
        "SELECT id, kind, body, by_whom, at FROM inbox WHERE applied_sequence IS NULL ORDER BY id LIMIT 100";
    let rows = db.fetch(WAITING, args![]).await.map_err(failed(OPERATION))?;
    rows.iter().map(inbox_entry).collect::<Answer<_>>().map_err(failed(OPERATION))
}

/// Of the columns id, kind, body, by_whom and at, in this order.
pub(super) fn inbox_entry(row: &Row) -> Answer<InboxEntry> {
    Ok(InboxEntry {
        id: row.int(0)?,
        kind: row.text(1)?.to_owned(),
        body: row.text(2)?.to_owned(),
        by_whom: row.text(3)?.to_owned(),
        at: row.at(4)?,
    })
}

pub(super) async fn breaches(db: &Db, limit: u32) -> Result<Vec<BreachRecord>> {
    const OPERATION: &str = "list breaches";
    let rows = db.fetch(BREACHES, args![limit]).await.map_err(failed(OPERATION))?;
    rows.iter().map(|row| read_breach(row, OPERATION)).collect()
}

/// The breaches of a report's case, the first detected first; `subject` is the case of its item.
pub(super) async fn breaches_of(db: &Db, report: &ReportKey, subject: Option<&CaseKey>) -> Result<Vec<BreachRecord>> {
    const OPERATION: &str = "list the breaches of a report";
    let own = CaseKey::Report(report.clone());
    let keys = args![report.to_string(), own.to_string(), subject.unwrap_or(&own).to_string()];
    let rows = db.fetch(BREACHES_OF, keys).await.map_err(failed(OPERATION))?;
    rows.iter().map(|row| read_breach(row, OPERATION)).collect()
}

/// The breaches of one episode, by their deadlines.
pub(super) async fn breaches_of_episode(db: &Db, episode: &EpisodeKey) -> Result<Vec<BreachRecord>> {
    const OPERATION: &str = "list the breaches of a case";
    let rows = db.fetch(BREACHES_OF_EPISODE, args![episode.to_string()]).await.map_err(failed(OPERATION))?;
    rows.iter().map(|row| read_breach(row, OPERATION)).collect()
}

fn read_breach(row: &Row, operation: &'static str) -> Result<BreachRecord> {
    let episode = row.text(0).map_err(failed(operation))?.to_owned();
    let keys = state(row, 15, operation, "breaches", &episode)?;
    let known = state(row, 16, operation, "breaches", &episode)?;
    let read = breach(row, keys, known).map_err(failed(operation))?;
    read.ok_or_else(|| unreadable(operation, "breaches", &episode))
}

type Keys = (EpisodeKey, Option<ReportKey>, ReportKey);

fn breach(row: &Row, keys: Keys, known: Known) -> Answer<Option<BreachRecord>> {
    let (episode, report, first_report) = keys;
    let Some(status) = breach_status(row.text(9)?) else { return Ok(None) };
    let ended = match (row.opt_text(10)?, row.opt_at(11)?) {
        (None, _) => None,
        (Some("met"), Some(at)) => Some(Ending::Met { at }),
        (Some("moot"), Some(at)) => Some(Ending::Moot { at }),
        _ => return Ok(None),
    };
    let Some(priority) = priority(row.text(5)?) else { return Ok(None) };
    Ok(Some(BreachRecord {
        episode,
        target: row.text(1)?.into(),
        report,
        first_report,
        category: row.text(3)?.into(),
        rule: row.text(4)?.into(),
        priority,
        started: row.opt_at(6)?,
        deadline: row.at(2)?,
        detected_at: row.at(7)?,
        inherited: row.int(8)? != 0,
        status,
        ended,
        contradicted_at: row.opt_at(12)?,
        incident: row.opt_int(13)?.map(|no| IncidentNo(no.unsigned_abs())),
        policy_hash: row.text(14)?.into(),
        known,
    }))
}

pub(super) async fn outcome(db: &Db, episode: &EpisodeKey) -> Result<Option<Outcome>> {
    const OPERATION: &str = "read an outcome";
    let key = episode.to_string();
    let rows = db.fetch(OUTCOME, args![key.as_str()]).await.map_err(failed(OPERATION))?;
    let Some(row) = rows.first() else { return Ok(None) };
    let targets = state(row, 10, OPERATION, "outcomes", &key)?;
    let outcome = outcome_of(row, episode, targets).map_err(failed(OPERATION))?;
    outcome.map(Some).ok_or_else(|| unreadable(OPERATION, "outcomes", &key))
}

fn outcome_of(row: &Row, episode: &EpisodeKey, targets: Vec<TargetOutcome>) -> Answer<Option<Outcome>> {
    let standing = match row.text(3)? {
        "known" => Standing::Known,
        "presumed" => Standing::Presumed,
        _ => return Ok(None),
    };
    let conclusion = match row.text(7)? {
        "violation" => Conclusion::Violation,
        "no_violation" => Conclusion::NoViolation,
        "closed" => Conclusion::Closed,
        "vanished" => Conclusion::Vanished,
        _ => return Ok(None),
    };
    let Some(priority) = priority(row.text(2)?) else { return Ok(None) };
    Ok(Some(Outcome {
        episode: episode.clone(),
        category: row.text(0)?.into(),
        rule: row.text(1)?.into(),
        priority,
        standing,
        received: row.at(4)?,
        first_response: row.opt_at(5)?,
        ended_at: row.at(6)?,
        conclusion,
        reports: row.small(8)?,
        reopenings: row.small(9)?,
        second_review: row.int(11)? != 0,
        overturned: row.int(12)? != 0,
        targets,
    }))
}

pub(super) fn breach_status(text: &str) -> Option<BreachStatus> {
    let all = [BreachStatus::Unverified, BreachStatus::Verified, BreachStatus::Withdrawn];
    all.into_iter().find(|status| status.as_str() == text)
}

pub(super) fn priority(text: &str) -> Option<Priority> {
    Priority::ALL.into_iter().find(|priority| priority.as_str() == text)
}

/// A column of JSON.
pub(super) fn state<T: DeserializeOwned>(
    row: &Row,
    column: usize,
    operation: &'static str,
    table: &str,
    key: &str,
) -> Result<T> {
    let text = row.text(column).map_err(failed(operation))?;
    serde_json::from_str(text).map_err(|_| unreadable(operation, table, key))
}

pub(super) fn unreadable(operation: &'static str, table: &str, key: &str) -> StoreError {
    let what = format!(
        "the row {key} of {table} can't be read by this version; start the version that wrote it, or restore a backup"
    );
    StoreError::Unreadable { operation, what }
}
