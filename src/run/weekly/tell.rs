//! Sends each week's report, once to everybody who gets it: a week is queued by the first process that finds
//! it due, a delivery is leased by one process at a time, and its key is the same in every attempt. Weeks that
//! fell due while nobody ran are caught up; no restart, takeover or change of a clock sends one twice.

use crate::core::id::Name;
use crate::core::time::{Span, Timestamp};
use crate::keys::Keys;
use crate::pager::letter::{Enclosure, Letter, Post};
use crate::pager::{Answer, AnswerVerdict};
use crate::run::clock::Clock;
use crate::run::weekly::gather::{ReportError, Reporter};
use crate::source::Source;
use crate::status::StatusHandle;
use crate::store::told::{LeasedDelivery, Told};
use crate::weekly::figures::Figures;
use crate::weekly::week::Week;
use crate::weekly::{Format, documents, html, summary};
use crate::zone::Zone;
use crate::zone::cron::Cron;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// How often it is looked for weeks and deliveries that are due.
const LOOK_EVERY: Span = Span::from_secs(30);
/// A delivery is one process's for this long; longer than a report takes to make and to send.
const LEASE: Span = Span::from_mins(10);
/// Weeks that are caught up at most.
const CAUGHT_UP_MAX: usize = 8;
/// How long a report waits for a source that can't be read, before it goes out without it and says so.
const WAIT_FOR_SOURCES: Span = Span::from_hours(6);
/// The wait after a failed attempt: it doubles from the first to the last.
const RETRY_FIRST: Span = Span::from_mins(1);
const RETRY_LAST: Span = Span::from_hours(1);
/// After so many attempts it is parked, visibly.
const ATTEMPTS_MAX: u32 = 60;

/// When and to whom.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub cron: Cron,
    pub zone: Zone,
    pub deliver: Vec<Name>,
}

pub struct Teller<So, P, C> {
    pub reporter: Arc<Reporter<So, C>>,
    pub schedule: Schedule,
    pub post: P,
    pub keys: Keys,
    pub status: StatusHandle,
    pub public_url: Option<String>,
}

impl<So: Source, P: Post, C: Clock> Teller<So, P, C> {
    /// Runs until `shutdown` turns true.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        loop {
            if self.status.load().leader
                && let Err(error) = self.look().await
            {
                tracing::warn!(%error, "the weekly report waits");
            }
            let next = self.reporter.clock.now().plus(LOOK_EVERY);
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = self.reporter.clock.sleep_until(next) => {}
            }
        }
    }

    /// Queues the weeks that are due and makes the deliveries that are; gives how many were delivered.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn look(&self) -> Result<usize, ReportError> {
        let store = &self.reporter.store;
        let now = self.reporter.clock.now();
        let told: BTreeSet<String> = store.told_weeks().await?.into_iter().collect();
        let due = due_weeks(&self.schedule, now);
        match (told.first(), due.last()) {
            // From here on: nobody is sent what was before telling began.
            (None, Some(last)) => store.begin_telling(&last.to_string(), now).await?,
            (None, None) => {}
            (Some(first), _) => {
                for week in due.iter().map(Week::to_string).filter(|week| week > first && !told.contains(week)) {
                    store.queue_deliveries(&week, &self.schedule.deliver, now).await?;
                }
            }
        }
        let mut delivered = 0;
        while let Some(delivery) = store.lease_delivery(now, now.plus(LEASE)).await? {
            let (told, answer) = self.deliver(&delivery).await;
            let at = self.reporter.clock.now();
            store.record_delivery(&delivery, &told, at, &answer).await?;
            match told {
                Told::Delivered => {
                    tracing::info!(week = delivery.week, channel = %delivery.channel, "the weekly report is delivered");
                    delivered += 1;
                }
                Told::Again { .. } if delivery.attempts > 0 => {}
                Told::Again { .. } => {
                    tracing::warn!(week = delivery.week, channel = %delivery.channel, answer, "the weekly report goes again");
                }
                Told::Parked => {
                    tracing::error!(week = delivery.week, channel = %delivery.channel, answer, "the weekly report is parked");
                }
            }
        }
        Ok(delivered)
    }

    async fn deliver(&self, delivery: &LeasedDelivery) -> (Told, String) {
        let now = self.reporter.clock.now();
        let again = |answer: String| (Told::Again { at: now.plus(backoff(delivery.attempts)) }, answer);
        let Ok(week) = delivery.week.parse::<Week>() else {
            return (Told::Parked, "no such week".to_owned());
        };
        let insist = now.since(week.until(self.schedule.zone)) > WAIT_FOR_SOURCES && delivery.attempts > 2
            || delivery.attempts > 10;
        let figures = match self.reporter.report(week, insist).await {
            Ok(figures) => figures,
            Err(error) => return again(error.to_string()),
        };
        if !insist && !figures.sight.unread.is_empty() {
            return again("a source can't be read; waiting for it".to_owned());
        }
        let letter = self.letter(&figures, &delivery.channel, week.until(self.schedule.zone));
        let answer: Answer = self.post.post(&delivery.channel, &letter, now).await;
        match answer.verdict {
            AnswerVerdict::Accepted => (Told::Delivered, answer.text),
            AnswerVerdict::Permanent => (Told::Parked, answer.text),
            AnswerVerdict::Retry { .. } if delivery.attempts >= ATTEMPTS_MAX => (Told::Parked, answer.text),
            AnswerVerdict::Retry { .. } => again(answer.text),
        }
    }

    /// The same letter in every attempt: it is made of kept figures alone.
    fn letter(&self, figures: &Figures, channel: &Name, written_at: Timestamp) -> Letter {
        let enclosed = documents(figures, &Format::ALL).into_iter();
        let files = enclosed.map(|file| Enclosure { name: file.name, media_type: file.media_type, text: file.text });
        Letter {
            key: self.keys.letter("report.weekly", &figures.week, channel),
            kind: "report.weekly",
            title: format!("SLA report {}", figures.week),
            summary: summary(figures),
            url: self.public_url.as_ref().map(|url| format!("{url}/weekly/{}", figures.week)),
            written_at,
            html: html::page(figures),
            files: files.collect(),
        }
    }
}

/// The weeks that the last times of the schedule were for, the earliest first.
pub fn due_weeks(schedule: &Schedule, now: Timestamp) -> Vec<Week> {
    let (mut weeks, mut at) = (BTreeSet::new(), now);
    // A schedule of every minute must not be walked for years.
    for _ in 0..CAUGHT_UP_MAX {
        let Some(fired) = schedule.cron.last(at, schedule.zone) else { break };
        let week = Week::over_at(fired, schedule.zone);
        weeks.insert(week);
        // On to the week before, whatever else the schedule says of this one.
        at = week.until(schedule.zone).minus(Span::from_micros(1));
    }
    weeks.into_iter().collect()
}

fn backoff(attempts: u32) -> Span {
    let doubled = RETRY_FIRST.micros().saturating_mul(1 << attempts.min(16));
    Span::from_micros(doubled.min(RETRY_LAST.micros()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::parse_rfc3339;

    fn due(cron: &str, zone: &str, now: &str) -> Vec<String> {
        let schedule = Schedule {
            cron: cron.parse().expect("a schedule"),
            zone: zone.parse().expect("a zone"),
            deliver: Vec::new(),
        };
        due_weeks(&schedule, parse_rfc3339(now).expect("an instant")).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_week_is_due_from_its_time_on_and_the_weeks_before_it_stay_due() {
        let weeks = due("0 8 * * 1", "Europe/Berlin", "2026-11-16T06:59:59Z");
        assert_eq!((weeks.len(), weeks.last().map(String::as_str)), (8, Some("2026-W45")));
        let weeks = due("0 8 * * 1", "Europe/Berlin", "2026-11-16T07:00:00Z");
        assert_eq!(weeks.last().map(String::as_str), Some("2026-W46"));
        let daily = due("*/5 * * * *", "UTC", "2026-11-18T12:00:00Z");
        assert_eq!((daily.len(), daily.last().map(String::as_str)), (8, Some("2026-W46")));
    }
}
