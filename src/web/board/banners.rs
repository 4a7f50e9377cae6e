//! What stands across the top of the board, worst first: what can't be seen, what can't be written, what nobody has
//! named. Each says since when.

use crate::core::time::Timestamp;
use crate::status::{Mode, Sight};
use crate::web::api::Moment;
use crate::web::when::{Spoken, When};
use crate::web::words::{self, counted, utc_words};
use std::collections::BTreeSet;

/// Presumed categories listed by name; the rest are counted.
const PRESUMED_NAMED_MAX: usize = 12;

/// One notice: the words before an instant, the instant, and those after it.
pub struct Banner {
    /// alarm, warning or info: the class.
    pub level: &'static str,
    /// The kind in a word or two, since colour alone says nothing.
    pub label: &'static str,
    pub before: String,
    pub when: Option<When>,
    pub after: String,
    /// Names out of a database, each shown apart.
    pub names: Vec<String>,
}

impl Banner {
    fn new(level: &'static str, label: &'static str, text: String) -> Self {
        Banner { level, label, before: text, when: None, after: String::new(), names: Vec::new() }
    }
}

/// Worst first. `spoken` is now, where the server says how long ago things were.
pub fn banners(moment: Moment<'_>, spoken: Option<Timestamp>, demo: bool) -> Vec<Banner> {
    let Moment { status, now, .. } = moment;
    let mut banners = Vec::new();
    if status.engine_silent(now).is_some() {
        let since = status.engine_alive_at.unwrap_or(status.started_at);
        let mut banner = Banner::new("alarm", "Stuck", "The engine has taken up nothing for ".to_owned());
        banner.when = Some(When::new(since, Spoken::For, spoken));
        banner.after = ": no deadline is being checked.".to_owned();
        banners.push(banner);
    }
    let (mut blind, mut notes) = of_sources(moment, spoken);
    banners.append(&mut blind);
    for doubt in &status.store.blind {
        let text = format!("The store, {}, since {}: {}", doubt.kind.words(), utc_words(doubt.since, now), doubt.why);
        banners.push(Banner::new("alarm", "In doubt", text));
    }
    if let Some(error) = status.store.failing() {
        let (at, cause) = (utc_words(error.at, now), &error.cause);
        let text = format!("The store has taken no writes since {at}, so no new page goes out: {cause}");
        banners.push(Banner::new("alarm", "Store", text));
    }
    if !status.leader {
        banners.push(Banner::new("warning", "Standby", "This process does not page; another one leads.".into()));
    }
    banners.append(&mut notes);
    if let Some(refused) = &status.reload.refused {
        let at = utc_words(refused.at, now);
        let text = format!("A new configuration was refused at {at}, and the one before it holds: {}", refused.cause);
        banners.push(Banner::new("warning", "Configuration", text));
    }
    banners.extend(presumed(moment));
    if status.mode == Mode::Shadow {
        banners.push(Banner::new("info", "Shadow mode", "Nobody is paged: pages go to the log only.".to_owned()));
    }
    if demo {
        let text = "Every report here is synthetic, made up by this program.".to_owned();
        banners.push(Banner::new("info", "Demo", text));
    }
    banners
}

/// What makes the sources unseen or doubtful, and what is only worth a note.
fn of_sources(moment: Moment<'_>, spoken: Option<Timestamp>) -> (Vec<Banner>, Vec<Banner>) {
    let Moment { status, now, .. } = moment;
    let (mut banners, mut notes) = (Vec::new(), Vec::new());
    for source in &status.sources {
        let name = &source.name;
        match source.sight(status.started_at, now) {
            Sight::Blind { since, cause } => {
                let mut banner = Banner::new("alarm", "Blind", format!("{name} has not been seen for "));
                banner.when = Some(When::new(since, Spoken::For, spoken));
                banner.after = format!(", since {}: {cause}", utc_words(since, now));
                banners.push(banner);
            }
            Sight::Failing { cause } => {
                notes.push(Banner::new("warning", "Read failed", format!("The last read of {name} failed: {cause}")));
            }
            Sight::NotYet => {
                notes.push(Banner::new("info", "Starting", format!("{name} is being read for the first time.")));
            }
            Sight::Clear | Sight::Doubted { .. } => {}
        }
        let blindness = source.blindness(status.started_at, now);
        for doubt in blindness.iter().filter(|blindness| !blindness.kind.hides()) {
            let text = format!("{name}, {}, since {}: {}", doubt.kind.words(), utc_words(doubt.since, now), doubt.why);
            banners.push(Banner::new("alarm", "In doubt", text));
        }
    }
    (banners, notes)
}

fn presumed(moment: Moment<'_>) -> Option<Banner> {
    let categories: BTreeSet<&str> = moment.view.presumed_categories.iter().map(|(_, name)| &**name).collect();
    let text = match categories.len() {
        0 => return None,
        1 => "1 category nobody has named: presumed minor safety".to_owned(),
        count => format!("{} categories nobody has named: presumed minor safety", counted(count as u64)),
    };
    let mut banner = Banner::new("warning", "Presumed", text);
    let shown = categories.iter().take(PRESUMED_NAMED_MAX);
    banner.names = shown.map(|category| words::category_words(category).to_owned()).collect();
    let rest = categories.len().saturating_sub(PRESUMED_NAMED_MAX);
    if rest > 0 {
        banner.names.push(format!("and {} more", counted(rest as u64)));
    }
    Some(banner)
}
