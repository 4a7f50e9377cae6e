//! The channels of pager products, and the codenames that any channel may have.

use super::channels::judge_url;
use super::read::{Empty, Entry, Reader, Table, Text, nearest};
use super::rules::CategoriesRead;
use super::secrets::{Found, Purpose, secret};
use super::sources::secrets_of;
use crate::core::id::Name;
use crate::pager::ChannelKind;
use crate::pager::alertmanager::{OWN_LABELS, is_label};
use crate::pager::codenames::Codenames;
use crate::pager::email::{RECIPIENTS_MAX, server_url};
use crate::pager::pagerduty::is_routing_key;
use crate::secret::Secret;
use std::collections::BTreeMap;

pub const PAGERDUTY_EXAMPLE: &str = "{ kind = \"pagerduty\", routing_key_env = \"PAGERDUTY_KEY\" }";
pub const PAGERDUTY_KEYS: &[&str] = &["routing_key", "routing_key_env", "routing_key_file", "url"];

pub const SLACK_EXAMPLE: &str = "{ kind = \"slack\", url_env = \"SLACK_URL\" }";
pub const SLACK_KEYS: &[&str] = &["url", "url_env", "url_file"];

pub const GOALERT_EXAMPLE: &str =
    "{ kind = \"goalert\", url = \"https://goalert.example.org\", token_env = \"GOALERT_TOKEN\" }";
pub const GOALERT_KEYS: &[&str] = &["url", "url_env", "url_file", "token", "token_env", "token_file"];

pub const EMAIL_EXAMPLE: &str = "{ kind = \"email\", to = [\"leads@example.org\"], smtp_url_env = \"SMTP_URL\" }";
pub const EMAIL_KEYS: &[&str] = &["to", "from", "smtp_url", "smtp_url_env", "smtp_url_file"];

pub const ALERTMANAGER_EXAMPLE: &str =
    "{ kind = \"alertmanager\", urls = [\"http://am-1:9093\", \"http://am-2:9093\"] }";
pub const ALERTMANAGER_KEYS: &[&str] = &["urls", "urls_env", "labels"];

/// A codename stands in titles; a longer one would push out the rest.
const CODENAME_CHARS_MAX: usize = 40;

pub fn pagerduty(r: &Reader, table: &Table) -> Option<ChannelKind> {
    let routing_key = secret(r, table, "routing_key", Purpose::Other, Some("routing_key_env = \"PAGERDUTY_KEY\""))
        .and_then(|key| judge_routing_key(r, key));
    let base = match table.get("url") {
        Some(entry) => {
            let text = entry.text(r, "url = \"https://events.eu.pagerduty.com\"")?;
            let found = Found { secret: Secret::new(text.value), place: text.place, written_here: true };
            Some(judge_base(r, found, "PagerDuty's url", "https://events.eu.pagerduty.com")?)
        }
        None => None,
    };
    Some(ChannelKind::PagerDuty { base, routing_key: routing_key? })
}

pub fn slack(r: &Reader, table: &Table) -> Option<ChannelKind> {
    let url = secret(r, table, "url", Purpose::Other, Some("url_env = \"SLACK_URL\""))?;
    Some(ChannelKind::Slack {
        url: judge_url(r, url, "a slack channel's url", "https://hooks.slack.com/services/...")?,
    })
}

pub fn goalert(r: &Reader, table: &Table) -> Option<ChannelKind> {
    let base = secret(r, table, "url", Purpose::Other, Some("url = \"https://goalert.example.org\""))
        .and_then(|url| judge_base(r, url, "GoAlert's url", "https://goalert.example.org"));
    let token = secret(r, table, "token", Purpose::Other, Some("token_env = \"GOALERT_TOKEN\""));
    Some(ChannelKind::GoAlert { base: base?, token: token?.secret })
}

pub fn email(r: &Reader, table: &Table) -> Option<ChannelKind> {
    const TO: &str = "to = [\"leads@example.org\"]";
    let smtp_url = secret(r, table, "smtp_url", Purpose::Other, Some("smtp_url_env = \"SMTP_URL\""))
        .and_then(|url| judge_smtp_url(r, url));
    let to = table.require(r, "to", TO).map(|entry| entry.texts(r, Empty::Refused, TO)).unwrap_or_default();
    let from = table.get("from").and_then(|entry| entry.text(r, "from = \"tocsin@example.org\""));
    for address in to.iter().chain(&from) {
        if address.value.parse::<lettre::Address>().is_err() {
            r.refuse(&address.place, format!("\"{}\" is no address of mail", address.value), format!("write: {TO}"));
        }
    }
    if let Some(first) = to.get(RECIPIENTS_MAX) {
        let what = format!("a channel of mail has at most {RECIPIENTS_MAX} recipients");
        r.refuse(&first.place, what, "write to a list of your mail server");
    }
    let to = to.iter().map(|address| address.value.to_owned()).collect();
    Some(ChannelKind::Email { smtp_url: smtp_url?, from: from.map(|from| from.value.to_owned()), to })
}

/// The urls of every peer, or by `urls_env` the variables that hold them.
pub fn alertmanager(r: &Reader, table: &Table) -> Option<ChannelKind> {
    const URLS: &str = "urls = [\"http://am-1:9093\", \"http://am-2:9093\"]";
    let found: Vec<Found> = match (table.get("urls"), table.get("urls_env")) {
        (Some(_), Some(second)) => {
            r.refuse(&second.key.place, "`urls` and `urls_env` both give the peers", "keep one of the two");
            return None;
        }
        (None, Some(names)) => {
            secrets_of(r, &names.texts(r, Empty::Refused, "urls_env = [\"AM_1_URL\", \"AM_2_URL\"]"), Purpose::Other)
        }
        (given, None) => {
            let urls = given.or_else(|| table.require(r, "urls", URLS))?.texts(r, Empty::Refused, URLS);
            let found = |url: Text| Found { secret: Secret::new(url.value), place: url.place, written_here: true };
            urls.into_iter().map(found).collect()
        }
    };
    let (written, whose) = (found.len(), "a peer's url");
    let peers: Vec<Secret> =
        found.into_iter().filter_map(|url| judge_base(r, url, whose, "http://am-1:9093")).collect();
    (!peers.is_empty() && peers.len() == written).then(|| ChannelKind::Alertmanager { peers, labels: labels(r, table) })
}

/// Labels for the routes of an Alertmanager.
fn labels(r: &Reader, table: &Table) -> BTreeMap<String, String> {
    const EXAMPLE: &str = "labels = { severity = \"critical\" }";
    let given = table.get("labels").and_then(|entry| entry.free_table(r, "labels", EXAMPLE));
    let label = |entry: Entry| {
        let (name, place) = (entry.key.value, &entry.key.place);
        if !is_label(name) {
            r.refuse(place, format!("\"{name}\" can't be a label"), "use letters, digits and '_', as in \"severity\"");
        } else if OWN_LABELS.contains(&name) {
            r.refuse(place, format!("the label \"{name}\" is tocsin's own"), "give it another name");
        }
        Some((name.to_owned(), entry.text(r, EXAMPLE)?.value.to_owned()))
    };
    given.iter().flat_map(Table::entries).filter_map(label).collect()
}

fn judge_smtp_url(r: &Reader, url: Found) -> Option<Secret> {
    if !url.secret.expose().is_empty()
        && let Err(flaw) = server_url(&url.secret)
    {
        let (what, advice) = flaw.split_once("; ").unwrap_or((&flaw, "write: smtps://user:password@host"));
        r.refuse(&url.place, what.replacen("its url", "the mail server's url", 1), advice);
        return None;
    }
    Some(url.secret)
}

/// `codename` for P0, `codenames` by category; the categories are added to `named`.
pub fn codenames<'t>(r: &Reader, table: &Table<'t>, named: &mut Vec<Text<'t>>) -> Codenames {
    let example = "codenames = { csam = \"K1\" }";
    let codename = |entry: Entry| {
        let text = entry.text(r, "codename = \"K\"")?;
        if text.value.chars().count() > CODENAME_CHARS_MAX {
            let what = format!("a codename has at most {CODENAME_CHARS_MAX} characters");
            r.refuse(&text.place, what, "write a short one: codename = \"K\"");
            return None;
        }
        Some(text.value.to_owned())
    };
    let p0 = table.get("codename").and_then(codename);
    let by_category = table.get("codenames").and_then(|entry| entry.free_table(r, "codenames", example));
    let entries = by_category.iter().flat_map(Table::entries).inspect(|entry| named.push(entry.key.clone()));
    let categories: BTreeMap<Name, String> =
        entries.filter_map(|entry| Some((entry.key.name(), codename(entry)?))).collect();
    Codenames { p0, categories }
}

/// A codename of a category that is misspelt would leave the category itself on the lock screen.
pub fn judge_codenamed(r: &Reader, named: &[Text], categories: &CategoriesRead) {
    for category in named.iter().filter(|category| !categories.classes.contains_key(&category.name())) {
        let near = nearest(category.value, categories.classes.keys().map(|name| &**name));
        let advice = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "name one that stands in [categories]; `codename` covers those that no list names".to_owned(),
        };
        r.refuse(&category.place, format!("no category is named \"{}\"", category.value), advice);
    }
}

/// As `judge_url`, and without a query: the path of the product's own endpoint goes behind it.
fn judge_base(r: &Reader, url: Found, whose: &str, example: &str) -> Option<Secret> {
    let place = url.place.clone();
    let base = judge_url(r, url, whose, example)?;
    if base.expose().contains(['?', '#']) {
        r.refuse(&place, format!("{whose} must be its base, without a query"), format!("write: {example}"));
        return None;
    }
    Some(base)
}

fn judge_routing_key(r: &Reader, key: Found) -> Option<Secret> {
    // Empty is what may be missing, and was warned of.
    if !key.secret.expose().is_empty() && !is_routing_key(&key.secret) {
        let what = "a routing key has 32 letters and digits, and this has not";
        let advice = "copy the Integration Key of an \"Events API V2\" integration of the service";
        r.refuse(&key.place, what, advice);
        return None;
    }
    Some(key.secret)
}
