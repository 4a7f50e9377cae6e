//! The outbound heartbeat, for a dead man's switch outside: sent only when everything is well, so that whatever
//! stops tocsin, or stops it from ringing, rings from elsewhere. It never says that something is wrong; silence
//! says that.

use crate::core::policy::Priority;
use crate::core::time::{Span, Timestamp};
use crate::pager::heartbeat::HeartbeatSender;
use crate::pager::{Answer, AnswerVerdict};
use crate::run::auditor::{AUDIT_EVERY, LastAudit};
use crate::run::canary::CANARY;
use crate::run::clock::Clock;
use crate::status::{StatusHandle, Unready};
use crate::store::{Result, SqlStore, UnheardRound};
use std::sync::Arc;
use tokio::sync::watch;

/// How long a round may be on its way before the heartbeat stops.
const UNHEARD_P0: Span = Span::from_secs(15);
const UNHEARD_LESSER: Span = Span::from_mins(2);

/// How old the last audit may be: the first comes two minutes after a start.
const AUDIT_WITHIN: Span = Span::from_mins(3);

// An auditor that is late by one look is no cause for alarm.
const _: () = assert!(AUDIT_WITHIN.micros() > 2 * AUDIT_EVERY.micros());

/// How long a canary may take to be accepted.
const CANARY_WITHIN: Span = Span::from_mins(5);

/// The port through which beats leave. Tests decorate it; [`HeartbeatSender`] is the one implementation.
pub trait Beats: Send + Sync + 'static {
    /// One beat, begun at `now`; what went wrong is an answer too.
    fn beat(&self, now: Timestamp) -> impl Future<Output = Answer> + Send;
}

impl Beats for HeartbeatSender {
    async fn beat(&self, now: Timestamp) -> Answer {
        self.send(now).await
    }
}

/// What a heartbeat asks of the store. Tests decorate it; [`SqlStore`] is the one implementation, and says what
/// each means.
pub trait Evidence: Send + Sync + 'static {
    fn prove_writable(&self) -> impl Future<Output = Result<()>> + Send;
    fn unheard_rounds(&self, created_by: Timestamp) -> impl Future<Output = Result<Vec<UnheardRound>>> + Send;
    fn last_deed(&self, kind: &str, by: &str) -> impl Future<Output = Result<Option<Timestamp>>> + Send;
    fn is_test_heard(&self, since: Timestamp) -> impl Future<Output = Result<bool>> + Send;
}

impl Evidence for SqlStore {
    async fn prove_writable(&self) -> Result<()> {
        SqlStore::prove_writable(self).await
    }

    async fn unheard_rounds(&self, created_by: Timestamp) -> Result<Vec<UnheardRound>> {
        SqlStore::unheard_rounds(self, created_by).await
    }

    async fn last_deed(&self, kind: &str, by: &str) -> Result<Option<Timestamp>> {
        SqlStore::last_deed(self, kind, by).await
    }

    async fn is_test_heard(&self, since: Timestamp) -> Result<bool> {
        SqlStore::is_test_heard(self, since).await
    }
}

pub struct Heartbeat<C, B = HeartbeatSender, E = SqlStore> {
    pub sender: B,
    pub every: Span,
    pub store: Arc<E>,
    pub clock: C,
    pub status: StatusHandle,
    pub audit: LastAudit,
    /// Whether a canary is configured, and must have rung.
    pub has_canary: bool,
}

impl<C: Clock, B: Beats, E: Evidence> Heartbeat<C, B, E> {
    /// Beats until `shutdown` turns true.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let mut silent_for: Option<String> = None;
        loop {
            let began = self.clock.now();
            let cause = self.beat(began).await.err();
            tell(silent_for.as_deref(), cause.as_deref());
            silent_for = cause;
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = self.clock.sleep_until(began.plus(self.every)) => {}
            }
        }
    }

    /// Sends one beat if everything is well.
    ///
    /// # Errors
    /// Why none was sent, or was not accepted.
    pub async fn beat(&self, now: Timestamp) -> std::result::Result<(), String> {
        let unwell = self.unwell(now).await;
        if !unwell.is_empty() {
            return Err(unwell.join("; "));
        }
        match self.sender.beat(now).await {
            Answer { verdict: AnswerVerdict::Accepted, .. } => Ok(()),
            answer => Err(format!("the receiver of the heartbeat did not accept it: {}", answer.text)),
        }
    }

    /// Every reason not to beat.
    async fn unwell(&self, now: Timestamp) -> Vec<String> {
        let status = self.status.load();
        let mut unwell: Vec<String> = status.unready(now).iter().map(words).collect();
        if let Err(error) = self.store.prove_writable().await {
            unwell.push(error.to_string());
        }
        match self.audit.get() {
            Some(audit) if !audit.found.is_empty() => unwell.push(format!("the auditor found: {}", audit.found)),
            Some(audit) if audit.at.plus(AUDIT_WITHIN) >= now => {}
            None if status.started_at.plus(AUDIT_WITHIN) >= now => {}
            _ => unwell.push("the auditor is silent".to_owned()),
        }
        match self.unheard(now).await {
            Ok(0) => {}
            Ok(rounds) => unwell.push(format!("no channel has accepted {rounds} rounds of pages")),
            Err(error) => unwell.push(error.to_string()),
        }
        match self.canary_is_lost(now).await {
            Ok(false) => {}
            Ok(true) => unwell.push("the last canary was not accepted".to_owned()),
            Err(error) => unwell.push(error.to_string()),
        }
        unwell
    }

    async fn unheard(&self, now: Timestamp) -> Result<usize> {
        let rounds = self.store.unheard_rounds(now.minus(UNHEARD_P0)).await?;
        let late = now.minus(UNHEARD_LESSER);
        Ok(rounds.iter().filter(|round| round.priority == Priority::P0 || round.created_at <= late).count())
    }

    async fn canary_is_lost(&self, now: Timestamp) -> Result<bool> {
        if !self.has_canary {
            return Ok(false);
        }
        let Some(last) = self.store.last_deed("test_page", CANARY).await? else { return Ok(false) };
        Ok(last.plus(CANARY_WITHIN) <= now && !self.store.is_test_heard(last).await?)
    }
}

fn words(unready: &Unready) -> String {
    match unready {
        Unready::EngineSilent { secs } => format!("the engine has been silent for {secs} s"),
        Unready::NotLeading => "another process leads".to_owned(),
        Unready::StoreNotWritable { cause } => format!("the store does not write: {cause}"),
        Unready::SourceNotYetRead { source } => format!("the source {source} has not been read yet"),
        Unready::Blind { source, blindness } => format!("blind to {source}: {}", blindness.why),
    }
}

/// Each change is told once.
fn tell(before: Option<&str>, cause: Option<&str>) {
    match (before, cause) {
        (None, Some(cause)) => tracing::error!(cause, "no heartbeat is sent"),
        (Some(_), None) => tracing::info!("the heartbeat is sent again"),
        (Some(before), Some(cause)) if before != cause => tracing::warn!(cause, "still no heartbeat is sent"),
        _ => {}
    }
}
