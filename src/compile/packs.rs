//! Obligations by law, shipped as facts with their source and how well each is known. A configuration
//! switches them on by name. Nothing in them is legal advice, and whoever shows them says so.

use crate::core::obligation::InForce;
use crate::core::observation::EventName;
use crate::core::policy::{Due, Target};
use crate::core::time::{Timestamp, WrittenSpan};
use crate::zone::{Zone, parse_date};
use serde::Deserialize;
use std::fmt;
use std::sync::LazyLock;

/// What stands wherever a pack is shown.
pub const NOT_ADVICE: &str = "not legal advice: have each figure confirmed by counsel before you rely on it";

const FILES: &[&str] = &[
    include_str!("packs/au-online-safety.toml"),
    include_str!("packs/au-online-safety-complaints.toml"),
    include_str!("packs/de-netzdg.toml"),
    include_str!("packs/eu-dsa.toml"),
    include_str!("packs/eu-tco.toml"),
    include_str!("packs/in-grievance.toml"),
    include_str!("packs/in-it-rules-3-2-b.toml"),
    include_str!("packs/in-order.toml"),
    include_str!("packs/in-urgent-grievance.toml"),
    include_str!("packs/uk-intimate-images.toml"),
    include_str!("packs/us-2258a.toml"),
    include_str!("packs/us-ca-22671.toml"),
    include_str!("packs/us-ca-3273-66.toml"),
    include_str!("packs/us-report-act.toml"),
    include_str!("packs/us-take-it-down.toml"),
];

/// A shipped file that can't be read is left out; a test holds that there is none.
static PACKS: LazyLock<Vec<Pack>> = LazyLock::new(|| FILES.iter().filter_map(|text| read(text).ok()).collect());

/// Every shipped pack, by name.
pub fn all() -> &'static [Pack] {
    &PACKS
}

pub fn named(name: &str) -> Option<&'static Pack> {
    PACKS.iter().find(|pack| pack.name == name)
}

/// One law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    pub name: String,
    pub law: String,
    pub jurisdiction: String,
    /// Whom and what it is about.
    pub scope: String,
    /// Where it was read.
    pub source: String,
    pub note: Option<String>,
    /// Why it can't be switched on.
    pub refused: Option<String>,
    /// Why it needs `accept_unverified`, beside evidence from memory.
    pub unverified: Option<String>,
    /// Its trigger alone doesn't tell which reports it is about: an example of a `when` that does.
    pub needs_when: Option<String>,
    pub obligations: Vec<PackObligation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackObligation {
    pub target: Target,
    pub figure: Figure,
    pub evidence: Evidence,
    pub in_force: InForce,
    /// The dates as the file writes them.
    pub effective: Option<String>,
    pub expires: Option<String>,
}

/// Whose number a duration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    Law,
    /// The law gives none, or means another: a target of tocsin's own choice.
    Internal,
}

/// How well a figure is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Read in the law's or the regulator's own text.
    Text,
    /// Read in a press or legal summary only.
    Secondary,
    /// Not read anywhere: from memory.
    Recall,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Evidence::Text => "read in the text",
            Evidence::Secondary => "read in a summary only",
            Evidence::Recall => "from memory, read nowhere",
        })
    }
}

impl Pack {
    /// The weakest of what it rests on.
    pub fn evidence(&self) -> Option<Evidence> {
        self.obligations.iter().map(|obligation| obligation.evidence).max()
    }

    /// Why it asks for `accept_unverified = true`, if it does.
    pub fn needs_acceptance(&self) -> Option<String> {
        let recall = self.evidence() == Some(Evidence::Recall);
        self.unverified
            .clone()
            .or_else(|| recall.then(|| "its figures are from memory and were read nowhere".to_owned()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackFile {
    name: String,
    law: String,
    jurisdiction: String,
    scope: String,
    source: String,
    note: Option<String>,
    /// It has no deadline that could pass.
    unwatched: Option<String>,
    superseded: Option<String>,
    unverified: Option<String>,
    needs_when: Option<String>,
    timezone: String,
    #[serde(default)]
    obligations: Vec<ObligationFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObligationFile {
    name: String,
    from: EventName,
    until: EventName,
    within: String,
    figure: Figure,
    evidence: Evidence,
    effective: Option<String>,
    expires: Option<String>,
}

fn read(text: &str) -> Result<Pack, String> {
    let file: PackFile = toml::from_str(text).map_err(|error| error.to_string())?;
    let zone: Zone = file.timezone.parse().map_err(|error: crate::zone::ZoneError| error.to_string())?;
    let obligations = file.obligations.iter().map(|obligation| read_obligation(obligation, zone));
    Ok(Pack {
        obligations: obligations.collect::<Result<_, _>>()?,
        name: file.name,
        law: file.law,
        jurisdiction: file.jurisdiction,
        scope: file.scope,
        source: file.source,
        note: file.note,
        refused: file.unwatched.or(file.superseded),
        unverified: file.unverified,
        needs_when: file.needs_when,
    })
}

fn read_obligation(file: &ObligationFile, zone: Zone) -> Result<PackObligation, String> {
    let within: WrittenSpan = file.within.parse().map_err(|error: crate::core::time::SpanError| error.to_string())?;
    let date = |text: &Option<String>| match text {
        Some(text) => midnight(text, zone).map(Some).ok_or_else(|| format!("{text} is no date")),
        None => Ok(None),
    };
    Ok(PackObligation {
        target: Target {
            name: file.name.as_str().into(),
            from: file.from,
            until: file.until,
            due: Due::Within { span: within.span, calendar: None },
            warn: None,
            repeat: None,
        },
        figure: file.figure,
        evidence: file.evidence,
        in_force: InForce { from: date(&file.effective)?, until: date(&file.expires)? },
        effective: file.effective.clone(),
        expires: file.expires.clone(),
    })
}

/// The instant at which a date begins in a zone; `None` for what is no date.
pub fn midnight(date: &str, zone: Zone) -> Option<Timestamp> {
    Some(zone.resolve(parse_date(date)?.and_hms_opt(0, 0, 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::rfc3339;

    #[test]
    fn every_shipped_pack_can_be_read_and_says_what_it_rests_on() {
        for text in FILES {
            let pack = read(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
            assert!(text.contains("Not legal advice."), "{}", pack.name);
            assert!(!pack.obligations.is_empty() || pack.refused.is_some(), "{} watches nothing", pack.name);
            assert!(!pack.source.is_empty() && !pack.jurisdiction.is_empty());
            for obligation in &pack.obligations {
                assert!(obligation.target.name.starts_with(&pack.name), "{}", obligation.target.name);
                let broad = obligation.target.from == EventName::Received;
                assert_eq!(broad, pack.needs_when.is_some(), "{} must say which reports it is about", pack.name);
                let Due::Within { calendar: None, .. } = obligation.target.due else { panic!("on wall time") };
            }
        }
        assert_eq!(all().len(), FILES.len());
        assert!(all().is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn no_two_packs_obligations_share_a_name() {
        let mut names: Vec<_> =
            all().iter().flat_map(|pack| &pack.obligations).map(|o| o.target.name.clone()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_law_takes_effect_at_midnight_of_its_own_zone() {
        let pack = named("us-take-it-down").expect("it is shipped");
        let from = pack.obligations[0].in_force.from.map(rfc3339);
        assert_eq!(from.as_deref(), Some("2026-05-19T04:00:00Z"));
        let india = named("in-it-rules-3-2-b").expect("it is shipped");
        assert_eq!(india.obligations[0].in_force.until, india.obligations[1].in_force.from);
    }

    #[test]
    fn what_was_superseded_or_has_no_clock_is_refused_and_what_is_from_memory_needs_acceptance() {
        let names = |test: fn(&Pack) -> bool| -> Vec<&str> {
            all().iter().filter(|pack| test(pack)).map(|pack| pack.name.as_str()).collect()
        };
        assert_eq!(names(|pack| pack.refused.is_some()), ["de-netzdg", "eu-dsa", "us-report-act"]);
        assert_eq!(names(|pack| pack.needs_acceptance().is_some()), ["uk-intimate-images", "us-ca-3273-66"]);
    }
}
