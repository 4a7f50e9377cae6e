//! What the board shows out of the store, counted seldom: the pages are read at every look, their counts every ten
//! seconds, the week every minute. A crowd that looks costs the store what one reader costs.

use super::board::{Kept, PAGES_SHOWN, Week};
use super::{WebState, in_time};
use crate::core::time::{Span, Timestamp};
use crate::store::{Days, PageRow};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

const COUNTS_EVERY: Span = Span::from_secs(10);
const WEEK_EVERY: Span = Span::from_mins(1);

type Parked = Arc<Vec<(String, u64)>>;

/// What was counted last, and when.
#[derive(Debug, Default)]
pub struct Counted {
    parked: Mutex<Option<(Timestamp, Parked)>>,
    week: Mutex<Option<(Timestamp, Week, Arc<Days>)>>,
}

/// What the store said for the board.
pub struct Stored {
    pages: Option<Vec<PageRow>>,
    parked: Option<Parked>,
    week: Option<(Arc<Days>, Week)>,
}

impl Stored {
    pub fn as_kept(&self) -> Kept<'_> {
        Kept {
            pages: self.pages.as_deref(),
            parked: self.parked.as_ref().map(|parked| parked.as_slice()),
            week: self.week.as_ref().map(|(days, week)| (&**days, *week)),
        }
    }
}

/// Asks for all of it at once; what doesn't come in time is left out.
pub async fn ask(state: &WebState, within: Duration) -> Stored {
    let pages = in_time("list the pages", within, state.pages.pages(PAGES_SHOWN));
    let (pages, parked, week) = tokio::join!(pages, parked(state, within), week(state, within));
    Stored { pages, parked, week }
}

async fn parked(state: &WebState, within: Duration) -> Option<Parked> {
    let now = (state.now)();
    let mut held = state.live.counted.parked.lock().await;
    if let Some((_, parked)) = held.as_ref().filter(|(at, _)| is_fresh(*at, COUNTS_EVERY, now)) {
        return Some(parked.clone());
    }
    let counts = in_time("count the pages", within, state.pages.page_counts()).await?;
    let parked = counts.into_iter().filter(|count| count.state == "parked" && count.count > 0);
    let parked: Parked = Arc::new(parked.map(|count| (count.channel.to_string(), count.count)).collect());
    *held = Some((now, parked.clone()));
    Some(parked)
}

async fn week(state: &WebState, within: Duration) -> Option<(Arc<Days>, Week)> {
    let now = (state.now)();
    let week = Week::of(now, state.zone);
    let mut held = state.live.counted.week.lock().await;
    let fresh = held.as_ref().filter(|(at, held, _)| is_fresh(*at, WEEK_EVERY, now) && held.from == week.from);
    if let Some((_, _, days)) = fresh {
        return Some((days.clone(), week));
    }
    let days = Arc::new(in_time("count the week", within, state.archive.days(week.from)).await?);
    *held = Some((now, week, days.clone()));
    Some((days, week))
}

fn is_fresh(at: Timestamp, every: Span, now: Timestamp) -> bool {
    at <= now && now < at.plus(every)
}
