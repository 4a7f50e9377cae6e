//! `tocsin snooze` and `tocsin window`: what is not P0 is kept from ringing, by a named person, for a reason,
//! until an instant. Without arguments a window lists what is in force. The running monitor takes it up within
//! a second or two, and judges it once more.

use crate::cli::out::say;
use crate::cli::{CliError, deployment, load_config};
use crate::config::{Config, Need};
use crate::core::act::Deed;
use crate::core::id::{CaseKey, IncidentNo};
use crate::core::incident::IncidentKind;
use crate::core::policy::CategoryClass;
use crate::core::quiet::{QUIET_MAX, REASON_BYTES_MAX, REFUSED_P0, Scope};
use crate::core::time::Timestamp;
use crate::keys::Keys;
use crate::run::clock::{Clock, SystemClock};
use crate::run::inbox;
use crate::store::{SqlStore, Store};
use crate::web::desk::person;
use crate::web::quiets::what;
use crate::zone;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct SnoozeArgs {
    /// The incident or the case, as the board names them: I-42, C-7F3KQ-9QXMA; with --end, the snooze: Q-17.
    what: String,
    /// Who snoozes it; the name goes into the record.
    #[arg(long)]
    by: String,
    /// Why, in one line; it stands on the board and in the record.
    #[arg(long, required_unless_present = "end")]
    reason: Option<String>,
    /// Until when; it rings then if it isn't over.
    #[arg(long, value_name = "T", required_unless_present = "end")]
    until: Option<String>,
    /// Ends the snooze now: what it held rings.
    #[arg(long, conflicts_with_all = ["reason", "until"])]
    end: bool,
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct WindowArgs {
    /// Every breach of this category.
    #[arg(long, value_name = "C", conflicts_with = "escalation")]
    category: Option<String>,
    /// Everything under this escalation.
    #[arg(long, value_name = "E")]
    escalation: Option<String>,
    /// Who opens it; the name goes into the record.
    #[arg(long)]
    by: Option<String>,
    /// Why, in one line; it stands on the board and in the record.
    #[arg(long)]
    reason: Option<String>,
    /// From when; without it, from now on.
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Until when; what came due meanwhile rings then.
    #[arg(long, value_name = "T")]
    until: Option<String>,
    /// Ends a window, such as Q-17: what it held rings.
    #[arg(long, value_name = "Q", conflicts_with_all = ["category", "escalation", "reason", "from", "until"])]
    end: Option<String>,
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

/// What every one of them needs.
struct Office {
    config: Config,
    keys: Keys,
    store: SqlStore,
    now: Timestamp,
}

impl Office {
    async fn open(file: &std::path::Path) -> Result<Office, CliError> {
        let config = load_config(file, Need::Sources)?;
        let keys = deployment::keys(&config)?;
        let store = SqlStore::open(&config.store.url, &keys.fingerprint()).await?;
        Ok(Office { config, keys, store, now: SystemClock.now() })
    }

    async fn put(&self, deed: &Deed, by: &str) -> Result<(), CliError> {
        let by = person(by).ok_or_else(|| refused("--by must name a person, on one line of at most 256 bytes"))?;
        let body = inbox::body(deed).map_err(|error| refused(error.to_string()))?;
        self.store.put_inbox(deed.kind(), &body, by, self.now).await?;
        Ok(())
    }

    fn until(&self, text: &str) -> Result<Timestamp, CliError> {
        let until = time("--until", text)?;
        if until <= self.now {
            return Err(refused(format!("--until {text} has passed already")));
        }
        if until > self.now.plus(QUIET_MAX) {
            return Err(refused(format!("--until {text} is more than 31 days away; what nobody remembers must ring")));
        }
        Ok(until)
    }

    /// The incident or case that is to be snoozed, if it may be.
    async fn snoozed(&self, text: &str) -> Result<Scope, CliError> {
        if text.starts_with("C-") {
            return self.case(text).await;
        }
        let no = text.strip_prefix("I-").unwrap_or(text).parse().map(IncidentNo);
        let no = no.map_err(|_| refused(format!("{text} is neither an incident (I-42) nor a case (C-7F3KQ-9QXMA)")))?;
        let stored = self.store.load().await?;
        let incident = stored.incidents.iter().find(|incident| incident.no == no && incident.is_open());
        let incident = incident.ok_or_else(|| refused(format!("{no} is not open")))?;
        match incident.kind {
            IncidentKind::Episode(_) | IncidentKind::Bundle { .. } => Err(refused(format!("{no}: {REFUSED_P0}"))),
            _ => Ok(Scope::Incident(no)),
        }
    }

    async fn case(&self, reference: &str) -> Result<Scope, CliError> {
        let stored = self.store.load().await?;
        let named = |key: &CaseKey| self.keys.reference(key) == *reference;
        let case = stored.cases.iter().find(|case| named(&case.key.case));
        let case = case.ok_or_else(|| {
            refused(format!("no overdue case is named {reference}; a case can be snoozed once it is overdue"))
        })?;
        if case.is_p0() {
            return Err(refused(format!("{reference}: {REFUSED_P0}")));
        }
        Ok(Scope::Case(case.key.case.clone()))
    }

    fn window(&self, args: &WindowArgs) -> Result<Scope, CliError> {
        match (&args.category, &args.escalation) {
            (Some(category), _) => match self.config.policy.categories.get(category.as_str()) {
                Some(CategoryClass::Other) => Ok(Scope::Category(category.as_str().into())),
                Some(CategoryClass::MinorSafety) => Err(refused(format!("category {category}: {REFUSED_P0}"))),
                None => Err(refused(format!("no list names the category {category}, so it is presumed minor safety"))),
            },
            (None, Some(name)) if **name == *self.config.policy.minor_safety.escalation => {
                Err(refused(format!("minor safety (P0) rings by {name}, and nothing keeps that from ringing")))
            }
            (None, Some(name)) if self.config.policy.escalations.contains_key(name.as_str()) => {
                Ok(Scope::Escalation(name.as_str().into()))
            }
            (None, Some(name)) => Err(refused(format!("no escalation is named {name}"))),
            (None, None) => Err(refused("say --category or --escalation")),
        }
    }

    async fn list(&self) -> Result<(), CliError> {
        let quiets = self.store.quiets().await?;
        let listed: Vec<_> = quiets.iter().filter(|quiet| !quiet.is_over(self.now)).collect();
        if listed.is_empty() {
            say!("nothing is kept quiet");
        }
        for quiet in listed {
            let (from, until) = (zone::rfc3339(quiet.from), zone::rfc3339(quiet.until));
            let what = what(&quiet.scope, &self.keys);
            say!("Q-{}  {what}  from {from}  until {until}  by {}: {}", quiet.no, quiet.by, quiet.reason);
        }
        Ok(())
    }
}

pub async fn snooze(args: SnoozeArgs) -> Result<(), CliError> {
    let office = Office::open(&args.config).await?;
    if args.end {
        return end(&office, &args.what, &args.by).await;
    }
    let reason = judged_reason(args.reason.as_deref())?;
    let until = office.until(args.until.as_deref().unwrap_or_default())?;
    let scope = office.snoozed(&args.what).await?;
    office.put(&Deed::Snooze { scope, reason: reason.into(), until }, &args.by).await?;
    say!("{} is snoozed until {}; it rings then if it isn't over", args.what, zone::rfc3339(until));
    Ok(())
}

pub async fn window(args: WindowArgs) -> Result<(), CliError> {
    let office = Office::open(&args.config).await?;
    let by = args.by.as_deref().unwrap_or_default();
    if let Some(no) = &args.end {
        return end(&office, no, by).await;
    }
    if args.category.is_none() && args.escalation.is_none() && args.until.is_none() {
        return office.list().await;
    }
    let reason = judged_reason(args.reason.as_deref())?;
    let until = office.until(args.until.as_deref().unwrap_or_default())?;
    let from = args.from.as_deref().map_or(Ok(office.now), |text| time("--from", text))?;
    if from >= until {
        return Err(refused("--from must lie before --until"));
    }
    let scope = office.window(&args)?;
    let said = what(&scope, &office.keys);
    office.put(&Deed::Window { scope, reason: reason.into(), from, until }, by).await?;
    let (from, until) = (zone::rfc3339(from), zone::rfc3339(until));
    say!("{said} is quiet from {from} until {until}; what comes due meanwhile rings then, and P0 at once");
    Ok(())
}

async fn end(office: &Office, no: &str, by: &str) -> Result<(), CliError> {
    let number = no.strip_prefix("Q-").unwrap_or(no).parse::<i64>();
    let number =
        number.map_err(|_| refused(format!("{no} is no snooze or window; `tocsin window` lists them: Q-17")))?;
    let held = office.store.quiets().await?;
    if !held.iter().any(|quiet| quiet.no == number && !quiet.is_over(office.now)) {
        return Err(refused(format!("{no} is over already, or never was; `tocsin window` lists them")));
    }
    office.put(&Deed::EndQuiet { no: number }, by).await?;
    say!("{no} ends; what it held rings");
    Ok(())
}

fn judged_reason(reason: Option<&str>) -> Result<&str, CliError> {
    let reason = reason.unwrap_or_default().trim();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control) {
        return Err(refused(format!("--reason must say why, on one line of at most {REASON_BYTES_MAX} bytes")));
    }
    Ok(reason)
}

fn time(flag: &'static str, text: &str) -> Result<Timestamp, CliError> {
    zone::parse_rfc3339(text).ok_or_else(|| CliError::Time { flag, text: text.to_owned() })
}

fn refused(cause: impl Into<String>) -> CliError {
    CliError::Failed { operation: "keep quiet", cause: cause.into() }
}
