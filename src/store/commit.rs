//! Writing a plan: one transaction that begins by taking the next sequence number under the leader's
//! token. If that is refused nothing is written, and if anything fails the number stays free.

use super::db::{Answer, Arg, Db, Tx, args};
use super::sql::{committed, failed, json};
use super::{Commit, NewPage, Result, StoreError, audit, fallback, observations, outbox, quiets, segments, sight};
use crate::core::clock::Ending;
use crate::core::incident::{Incident, IncidentKind};
use crate::core::outcome::Basis;
use crate::core::plan::{BreachRecord, KeptCase, Outcome, Plan};
use crate::core::policy::Standing;
use crate::core::time::Timestamp;
use std::collections::BTreeMap;

const OPERATION: &str = "commit a plan";

const INTO_CASES: &str =
    "INSERT INTO cases (episode, case_key, episode_no, source, priority, settled, state, sequence)";
const OVER_CASES: &str = "ON CONFLICT (episode) DO UPDATE SET priority = excluded.priority, \
     settled = excluded.settled, state = excluded.state, sequence = excluded.sequence";

const INTO_INCIDENTS: &str =
    "INSERT INTO incidents (no, kind, escalation, open, opened_at, resolved_at, acknowledged, state)";
const OVER_INCIDENTS: &str = "ON CONFLICT (no) DO UPDATE SET open = excluded.open, \
     resolved_at = excluded.resolved_at, acknowledged = excluded.acknowledged, state = excluded.state";

const INTO_BREACHES: &str = "INSERT INTO breaches (episode, target, report, deadline, source, first_report, \
     category, rule, priority, started, detected_at, inherited, status, ended, ended_at, contradicted_at, incident, \
     policy_hash, keys, known)";
/// Verified is final. One that was withdrawn and is incurred after all is a new finding.
const OVER_BREACHES: &str = "ON CONFLICT (episode, target, report, deadline) DO UPDATE SET \
     status = CASE breaches.status WHEN 'verified' THEN 'verified' ELSE excluded.status END, \
     detected_at = CASE breaches.status WHEN 'withdrawn' THEN excluded.detected_at ELSE breaches.detected_at END, \
     ended = excluded.ended, ended_at = excluded.ended_at, \
     contradicted_at = COALESCE(breaches.contradicted_at, excluded.contradicted_at), \
     incident = COALESCE(excluded.incident, breaches.incident), \
     known = CASE breaches.status WHEN 'verified' THEN breaches.known ELSE excluded.known END";

pub(super) const INTO_PAGES: &str = "INSERT INTO pages (incident, round, step, channel, kind, priority, created_at, \
     alert_key, delivery_key, payload, state, attempts, due_at, fallbacks, in_place_of, is_test)";
pub(super) const OVER_PAGES: &str = "ON CONFLICT (incident, round, step, channel, kind) DO NOTHING";

pub(super) const INTO_OUTCOMES: &str = "INSERT INTO outcomes (episode, source, category, rule, priority, standing, \
     received, first_response, ended_at, conclusion, reports, reopenings, targets, second_review, overturned, last_due, \
     basis)";
/// A report below P0 that was reopened ends a second time: its last end counts.
const OVER_OUTCOMES: &str = "ON CONFLICT (episode) DO UPDATE SET category = excluded.category, \
     rule = excluded.rule, priority = excluded.priority, standing = excluded.standing, \
     received = excluded.received, first_response = excluded.first_response, ended_at = excluded.ended_at, \
     conclusion = excluded.conclusion, reports = excluded.reports, reopenings = excluded.reopenings, \
     targets = excluded.targets, second_review = excluded.second_review, overturned = excluded.overturned, \
     last_due = excluded.last_due, basis = excluded.basis";

const INTO_REJECTS: &str = "INSERT INTO rejects (source, report, column_name, flaw, first_seen, last_seen, count)";
const OVER_REJECTS: &str = "ON CONFLICT (source, report, column_name, flaw) DO UPDATE SET \
     last_seen = excluded.last_seen, count = rejects.count + excluded.count";

const TAKE_SEQUENCE: &str = "UPDATE deployment SET sequence = $1, next_incident = $2 \
     WHERE id = 1 AND sequence = $3 AND leader_token = $4";

/// Takes the lock that a commit holds from its first statement to its end, and changes nothing.
pub(super) const SETTLE: &str =
    "UPDATE deployment SET sequence = sequence WHERE id = 1 RETURNING sequence, leader_token";

/// Rows of one table, ready before the transaction begins so that it stays short.
struct Rows {
    head: &'static str,
    tail: &'static str,
    rows: Vec<Vec<Arg>>,
}

pub(super) async fn commit(db: &Db, commit: &Commit<'_>) -> Result<()> {
    let tables = tables(commit).map_err(failed(OPERATION))?;
    let mut tx = db.begin().await.map_err(failed(OPERATION))?;
    take_sequence(&mut tx, commit).await?;
    for table in tables {
        tx.insert(table.head, table.tail, table.rows).await.map_err(failed(OPERATION))?;
    }
    outbox::settle_keys(&mut tx, &commit.pages).await.map_err(failed(OPERATION))?;
    outbox::record_sent(&mut tx, commit).await.map_err(failed(OPERATION))?;
    sight::forget(&mut tx, commit.plan).await.map_err(failed(OPERATION))?;
    let settled = fallback::settled(commit.plan.incidents.values());
    fallback::supersede(db, &mut tx, &settled).await.map_err(failed(OPERATION))?;
    segments::forget(&mut tx, commit.plan).await.map_err(failed(OPERATION))?;
    if let Some(entry) = commit.plan.taken_up {
        const TAKE_UP: &str = "UPDATE inbox SET applied_sequence = $1 WHERE id = $2 AND applied_sequence IS NULL";
        tx.execute(TAKE_UP, args![commit.sequence, entry]).await.map_err(failed(OPERATION))?;
    }
    quiets::write(&mut tx, commit.plan).await.map_err(failed(OPERATION))?;
    committed(tx, OPERATION).await
}

/// A plain read may be answered while the COMMIT in doubt is still on its way, and the next try would then
/// look fenced. Waiting for its lock leaves no doubt: PostgreSQL ends a transaction that nobody speaks in
/// after two seconds.
pub(super) async fn settle(db: &Db, token: u64) -> Result<u64> {
    const OPERATION: &str = "settle a commit";
    let settled = async {
        let mut tx = db.begin().await?;
        let row = tx.fetch_one(SETTLE, args![]).await?;
        // Nothing was changed: how the transaction ends is no matter.
        let _ = tx.commit().await;
        Ok((row.count(0)?, row.count(1)?))
    };
    let (sequence, theirs) = settled.await.map_err(failed(OPERATION))?;
    if theirs != token {
        return Err(StoreError::Fenced { operation: OPERATION, ours: token, theirs });
    }
    Ok(sequence)
}

async fn take_sequence(tx: &mut Tx, commit: &Commit<'_>) -> Result<()> {
    let expected = commit.sequence.checked_sub(1).ok_or_else(|| StoreError::Failed {
        operation: OPERATION,
        source: sqlx::Error::InvalidArgument("the first sequence number is 1".to_owned()),
    })?;
    let next = args![commit.sequence, commit.next_incident, expected, commit.token];
    let taken = tx.execute(TAKE_SEQUENCE, next).await.map_err(failed(OPERATION))?;
    if taken == 1 {
        return Ok(());
    }
    let token = async { tx.fetch_one("SELECT leader_token FROM deployment WHERE id = 1", args![]).await?.count(0) };
    let theirs = token.await.map_err(failed(OPERATION))?;
    Err(StoreError::Fenced { operation: OPERATION, ours: commit.token, theirs })
}

/// Every row of the plan. A key that occurs twice in it keeps its last state, because one statement
/// can't write a row twice.
fn tables(commit: &Commit<'_>) -> Answer<Vec<Rows>> {
    let plan = commit.plan;
    let cases = by_key(plan.kept.iter().map(|kept| Ok((&kept.case.key, case_row(kept, commit.sequence)?))))?;
    let incidents = plan.incidents.values().map(incident_row).collect::<Answer<_>>()?;
    let breaches =
        by_key(plan.breaches.iter().map(|breach| {
            Ok(((&breach.episode, &breach.target, &breach.report, breach.deadline), breach_row(breach)?))
        }))?;
    let outcomes =
        by_key(plan.outcomes.iter().map(|outcome| Ok((&outcome.episode, outcome_row(outcome, Basis::Observed)?))))?;
    Ok(vec![
        Rows { head: INTO_CASES, tail: OVER_CASES, rows: cases },
        Rows { head: INTO_INCIDENTS, tail: OVER_INCIDENTS, rows: incidents },
        Rows { head: INTO_BREACHES, tail: OVER_BREACHES, rows: breaches },
        Rows { head: INTO_PAGES, tail: OVER_PAGES, rows: commit.pages.iter().map(page_row).collect() },
        Rows { head: INTO_OUTCOMES, tail: OVER_OUTCOMES, rows: outcomes },
        Rows { head: audit::INTO_AUDIT, tail: "", rows: audit::rows(commit) },
        Rows { head: INTO_REJECTS, tail: OVER_REJECTS, rows: reject_rows(plan, commit.at) },
        Rows {
            head: observations::INTO_OBSERVATIONS,
            tail: observations::OVER_OBSERVATIONS,
            rows: observations::rows(plan)?,
        },
        Rows {
            head: segments::INTO_SEGMENTS,
            tail: segments::OVER_SEGMENTS,
            rows: segments::rows(plan, commit.sequence)?,
        },
        Rows { head: sight::INTO_ARRIVALS, tail: sight::OVER_ARRIVALS, rows: sight::arrival_rows(plan) },
        Rows { head: sight::INTO_WATCHED, tail: sight::OVER_WATCHED, rows: sight::watched_rows(plan) },
    ])
}

fn by_key<K: Ord>(rows: impl Iterator<Item = Answer<(K, Vec<Arg>)>>) -> Answer<Vec<Vec<Arg>>> {
    Ok(rows.collect::<Answer<BTreeMap<K, Vec<Arg>>>>()?.into_values().collect())
}

fn case_row(kept: &KeptCase, sequence: u64) -> Answer<Vec<Arg>> {
    let case = &kept.case;
    Ok(args![
        case.key.to_string(),
        case.key.case.to_string(),
        case.key.episode,
        &**case.key.case.source(),
        case.priority.as_str(),
        kept.settled,
        json(case)?,
        sequence,
    ])
}

fn incident_row(incident: &Incident) -> Answer<Vec<Arg>> {
    let kind = match &incident.kind {
        IncidentKind::Episode(_) => "episode",
        IncidentKind::Group { .. } => "group",
        IncidentKind::Bundle { .. } => "bundle",
        IncidentKind::Blind { .. } => "blind",
        IncidentKind::Bulk { .. } => "bulk",
        IncidentKind::Warning(_) => "warning",
        IncidentKind::Trouble(_) => "trouble",
        IncidentKind::Audit { .. } => "audit",
        IncidentKind::Test { .. } => "test",
    };
    Ok(args![
        incident.no.0,
        kind,
        &*incident.escalation,
        incident.is_open(),
        incident.opened_at,
        incident.resolved_at,
        incident.acknowledged.is_some(),
        json(incident)?,
    ])
}

fn breach_row(breach: &BreachRecord) -> Answer<Vec<Arg>> {
    let (ended, ended_at) = match breach.ended {
        None => (None, None),
        Some(Ending::Met { at }) => (Some("met".to_owned()), Some(at)),
        Some(Ending::Moot { at }) => (Some("moot".to_owned()), Some(at)),
    };
    let mut row = args![
        breach.episode.to_string(),
        &*breach.target,
        breach.report.as_ref().map(ToString::to_string).unwrap_or_default(),
        breach.deadline,
        &**breach.episode.case.source(),
        breach.first_report.to_string(),
        &*breach.category,
        &*breach.rule,
        breach.priority.as_str(),
        breach.started,
        breach.detected_at,
        breach.inherited,
        breach.status.as_str(),
    ];
    row.push(Arg::Text(ended));
    row.extend(args![ended_at, breach.contradicted_at]);
    row.push(Arg::Int(breach.incident.map(|no| i64::try_from(no.0).unwrap_or(i64::MAX))));
    let keys = (&breach.episode, &breach.report, &breach.first_report);
    row.extend(args![&*breach.policy_hash, json(&keys)?, json(&breach.known)?]);
    Ok(row)
}

pub(super) fn page_row(page: &NewPage) -> Vec<Arg> {
    let mut row = args![
        page.incident.0,
        page.round,
        page.step,
        &*page.channel,
        page.kind.as_str(),
        page.priority.as_str(),
        page.created_at,
        page.alert_key.as_str(),
        page.delivery_key.as_str(),
        page.payload.as_str(),
        "queued",
        0_i64,
        page.created_at,
        page.fallbacks.join(","),
    ];
    row.push(Arg::Text(page.in_place_of.as_ref().map(ToString::to_string)));
    row.extend(args![page.is_test]);
    row
}

pub(super) fn outcome_row(outcome: &Outcome, basis: Basis) -> Answer<Vec<Arg>> {
    let standing = match outcome.standing {
        Standing::Known => "known",
        Standing::Presumed => "presumed",
    };
    Ok(args![
        outcome.episode.to_string(),
        &**outcome.episode.case.source(),
        &*outcome.category,
        &*outcome.rule,
        outcome.priority.as_str(),
        standing,
        outcome.received,
        outcome.first_response,
        outcome.ended_at,
        outcome.conclusion.as_str(),
        outcome.reports,
        outcome.reopenings,
        json(&outcome.targets)?,
        outcome.second_review,
        outcome.overturned,
        outcome.targets.iter().filter_map(|target| target.deadline).max(),
        basis.as_str(),
    ])
}

/// How often each place and kind occurs in the plan.
fn reject_rows(plan: &Plan, at: Timestamp) -> Vec<Vec<Arg>> {
    let mut counts = BTreeMap::<_, u64>::new();
    for (source, reject) in &plan.rejects {
        let report = reject.id.as_ref().map(ToString::to_string).unwrap_or_default();
        *counts.entry((&**source, report, &*reject.column, reject.flaw.as_str())).or_default() += 1;
    }
    let row = |((source, report, column, flaw), count)| args![source, report, column, flaw, at, at, count];
    counts.into_iter().map(row).collect()
}
