//! `[weekly]`: when the SLA report is sent, in which zone its weeks lie, and to whom it goes.

use super::channels::ChannelsRead;
use super::problem::Place;
use super::read::{Empty, Entry, Reader, Table, nearest};
use crate::core::id::Name;
use crate::zone::Zone;
use crate::zone::cron::Cron;
use toml::de::DeValue;

const EXAMPLE: &str = "cron = \"0 8 * * 1\"";
const CRON_EXAMPLE: &str = "cron = \"0 8 * * 1\", mondays at 8";
const ZONE_EXAMPLE: &str = "timezone = \"Europe/Berlin\"";
const DELIVER_EXAMPLE: &str = "deliver = [\"reports-dir\"]";

/// When and to whom the weekly report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeeklySettings {
    pub cron: Cron,
    /// Of the schedule and of the weeks themselves.
    pub timezone: Zone,
    /// Channels that take letters; at least one.
    pub deliver: Vec<Name>,
}

/// A schedule.
pub fn cron(r: &Reader, entry: &Entry, example: &str) -> Option<Cron> {
    let text = entry.text(r, example)?;
    let parsed = text.value.parse::<Cron>();
    parsed.map_err(|error| r.refuse(&text.place, error.to_string(), format!("write: {example}"))).ok()
}

/// The zone of a schedule, by default UTC.
pub fn zone(r: &Reader, table: &Table) -> Option<Zone> {
    let Some(entry) = table.get("timezone") else { return Some(Zone::UTC) };
    let text = entry.text(r, ZONE_EXAMPLE)?;
    let refuse = |error: crate::zone::ZoneError| {
        let said = error.to_string();
        let (what, advice) = said.split_once("; ").unwrap_or((&said, ZONE_EXAMPLE));
        r.refuse(&text.place, what, advice);
    };
    text.value.parse::<Zone>().map_err(refuse).ok()
}

pub fn read(r: &Reader, root: &Table, channels: &ChannelsRead) -> Option<WeeklySettings> {
    let table = root.get("weekly")?.table(r, "[weekly]", &["cron", "timezone", "deliver"], EXAMPLE)?;
    let cron = table.require(r, "cron", EXAMPLE).and_then(|entry| cron(r, &entry, CRON_EXAMPLE));
    let timezone = zone(r, &table);
    let deliver = table.require(r, "deliver", DELIVER_EXAMPLE)?;
    let mut names = Vec::new();
    for text in deliver.texts(r, Empty::Refused, DELIVER_EXAMPLE) {
        match channels.settings.get(text.value) {
            Some(channel) if channel.kind.takes_letters() => names.push(text.name()),
            Some(_) => {
                let what = format!("the channel \"{}\" rings people, it takes no report", text.value);
                let advice = "name channels of kind \"directory\", \"email\", \"webhook\", \"slack\" or \"log\"";
                r.refuse(&text.place, what, advice);
            }
            // It is there and faulty, and was refused already.
            None if channels.names.contains(text.value) => {}
            None => {
                let near = nearest(text.value, channels.names.iter().copied());
                let add = format!("add {} = {{ kind = \"directory\", path = \"weekly\" }} to [channels]", text.value);
                let advice = near.map_or(add, |near| format!("did you mean \"{near}\"?"));
                r.refuse(&text.place, format!("no channel is named \"{}\"", text.value), advice);
            }
        }
    }
    Some(WeeklySettings { cron: cron?, timezone: timezone?, deliver: names })
}

/// A page to a file would reach nobody.
pub fn judge_notified(r: &Reader, root: &Table, channels: &ChannelsRead) {
    let Some(escalations) = root.get("escalations") else { return };
    let mut notified = Vec::new();
    texts_of("notify", escalations.value, false, &mut notified);
    for (text, place) in notified {
        if channels.settings.get(text).is_some_and(|channel| !channel.kind.takes_pages()) {
            let what = format!("the channel \"{text}\" is a directory: a page written there wakes nobody");
            r.refuse(&place, what, "name a channel that reaches people, and this one under `deliver` of [weekly]");
        }
    }
}

/// Every text below a key, however deep the key lies.
fn texts_of<'t>(key: &str, value: &'t DeValue<'t>, below: bool, found: &mut Vec<(&'t str, Place)>) {
    let items = match value {
        DeValue::Array(items) => items,
        DeValue::Table(entries) => {
            entries.iter().for_each(|(name, value)| texts_of(key, value.get_ref(), name.get_ref() == key, found));
            return;
        }
        _ => return,
    };
    for item in items.iter() {
        match item.get_ref() {
            DeValue::String(text) if below => found.push((text.as_ref(), item.span())),
            other => texts_of(key, other, below, found),
        }
    }
}
