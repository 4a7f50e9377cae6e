//! The configuration: TOML in, typed settings and a compiled policy out. Either everything in the file has a
//! meaning and holds together, or it is refused with every reason, each at its place.
//!
//! Paths, of SQLite databases and of files of secrets, start from the directory of the configuration file.
//! A url that comes from the environment starts from the directory in which tocsin was started.

mod blind;
mod calendars;
mod cases;
mod channels;
mod conflicts;
mod facts;
mod heartbeat;
mod later;
mod lints;
mod obligations;
mod packs;
mod pagers;
pub mod preset;
mod problem;
mod read;
mod reading;
mod rules;
mod secrets;
mod settings;
mod sources;
mod targets;
#[cfg(test)]
mod tests;
mod web;
mod weekly;

pub use calendars::rolls_at;
pub use cases::{ExpectedDue, RuleTest};
pub use channels::LOG_CHANNEL;
pub use heartbeat::CanarySettings;
pub use problem::{ConfigErrors, Drawing, Place, Problem, Report, Weight};
pub use secrets::Need;
pub use sources::SOURCE_URL_VARIABLE;
pub use weekly::WeeklySettings;

use crate::compile::calendar::{CalendarSpec, CalendarSpecError};
use crate::core::id::Name;
use crate::core::policy::{CategoryClass, Index, MinorSafety, Policy, Priority, Rule, Target};
use crate::core::time::Timestamp;
use crate::pager::ChannelSettings;
use crate::pager::heartbeat::HeartbeatSettings;
use crate::secret::Secret;
use crate::source::settings::Settings;
pub use crate::status::Mode;
use crate::web::access::Role;
use axum::http::HeaderName;
use read::{Reader, Table};
use rules::RuleRead;
use secrets::Surroundings;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// A configuration that loads, commented, for `tocsin init`.
pub const TEMPLATE: &str = include_str!("template.toml");

/// Files above this are refused unread, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

const KEYS: &[&str] = &[
    "mode",
    "deployment_secret_env",
    "deployment_secret_file",
    "sources",
    "categories",
    "minor_safety",
    "rules",
    "obligations",
    "packs",
    "escalations",
    "blind",
    "channels",
    "calendars",
    "heartbeat",
    "canary",
    "store",
    "web",
    "weekly",
    "tests",
];

#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// How long what is over is kept, in months.
    pub keep_months: u32,
    /// postgres://, postgresql:// or sqlite:
    pub url: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// Off loopback only where `access_required`.
    pub listen: SocketAddr,
    /// Where people reach it, without a slash at its end.
    pub public_url: Option<String>,
    /// Of PagerDuty's webhooks, several while one rotates.
    pub pagerduty_webhook_secrets: Vec<Secret>,
    /// Whether nobody is let in who isn't named by a token or a trusted proxy.
    pub access_required: bool,
    /// Whose word on the user is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// The header in which they say it.
    pub user_header: Option<HeaderName>,
    /// Patterns of users with their roles.
    pub roles: Vec<(String, Role)>,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub file: PathBuf,
    pub mode: Mode,
    /// Of at least 16 bytes. Without one the keys of pages have no secret of this deployment's own.
    pub deployment_secret: Option<Secret>,
    /// At least one, each with a name of its own.
    pub sources: Vec<Settings>,
    /// By source: a url with `{id}`, for the board alone. Pages never carry it.
    pub links: BTreeMap<Name, String>,
    /// As configured; what runs is [`Config::effective_policy`].
    pub policy: Policy,
    /// What `policy.calendars` was compiled of, to compile again when its horizon rolls.
    pub calendars: BTreeMap<Name, CalendarSpec>,
    /// [`LOG_CHANNEL`] is always among them.
    pub channels: BTreeMap<Name, ChannelSettings>,
    pub heartbeat: Option<HeartbeatSettings>,
    pub canary: Option<CanarySettings>,
    pub store: StoreSettings,
    pub web: WebSettings,
    /// Without it no report is sent by itself.
    pub weekly: Option<WeeklySettings>,
    /// What `tocsin check` holds the policy to.
    pub tests: Vec<RuleTest>,
    pub warnings: Report,
}

impl Config {
    /// Reads the file and everything it refers to, in order to run.
    pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>, now: Timestamp) -> Result<Config, ConfigErrors> {
        Config::load_for(path, env, Need::All, now)
    }

    /// As `load`, but what `need` leaves out may be missing: it is warned of, and empty.
    pub fn load_for(
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
        need: Need,
        now: Timestamp,
    ) -> Result<Config, ConfigErrors> {
        let text = read_file(path)?;
        let file = path.display().to_string();
        let (root, errors) = DeTable::parse_recoverable(&text);
        let shown = secrets::masked(&text, root.get_ref(), errors.is_empty());
        if !errors.is_empty() {
            let problems = errors.iter().map(|error| not_toml(error, &text)).collect();
            return Err(ConfigErrors(Report::new(file, shown, problems)));
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        let r = Reader::new(Surroundings { env, directory, need, now });
        let config = build(&r, path, &Table::root(&r, &root, KEYS));
        let refused = r.has_refused();
        let mut problems = r.into_problems();
        match config {
            Some(mut config) if !refused => {
                config.warnings = Report::new(file, shown, problems);
                Ok(config)
            }
            _ => {
                // Warnings wait: what they say may change with what is refused.
                problems.retain(|problem| problem.weight == Weight::Refusal);
                if problems.is_empty() {
                    let what = "the configuration was refused, but no reason was noted: this is a bug".to_owned();
                    let advice = "please report it, without your secrets".to_owned();
                    problems.push(Problem { weight: Weight::Refusal, place: None, what, advice });
                }
                Err(ConfigErrors(Report::new(file, shown, problems)))
            }
        }
    }

    /// Compiles the calendars again, for the horizon of `now`. The policy's hash follows.
    ///
    /// # Errors
    /// The calendar that is never open within it; nothing has changed then.
    pub fn roll(&mut self, now: Timestamp) -> Result<(), CalendarSpecError> {
        let calendars = calendars::compile_all(&self.calendars, now)?;
        if let Some(policy) = hashed(Policy { calendars, ..self.policy.clone() }) {
            self.policy = policy;
        }
        Ok(())
    }

    /// The policy that runs. In shadow mode every `notify` is the log alone; all else, the hash included,
    /// is as configured, so that what shadow records can be compared with what live would do.
    pub fn effective_policy(&self) -> Policy {
        let mut policy = self.policy.clone();
        if self.mode == Mode::Shadow {
            for escalation in policy.escalations.values_mut() {
                let steps = escalation.steps.iter_mut().map(|step| &mut step.notify);
                for notify in steps.chain(escalation.warn.as_mut().map(|warn| &mut warn.notify)) {
                    *notify = vec![LOG_CHANNEL.into()];
                }
            }
        }
        policy
    }
}

fn read_file(path: &Path) -> Result<String, ConfigErrors> {
    let refused = |why: String, advice: &str| {
        let what = format!("the configuration {} can't be read: {why}", path.display());
        let problem = Problem { weight: Weight::Refusal, place: None, what, advice: advice.to_owned() };
        ConfigErrors(Report::new(path.display().to_string(), String::new(), vec![problem]))
    };
    let advice = "name it with --config FILE, or write one with: tocsin init --output tocsin.toml";
    let length = std::fs::metadata(path).map_err(|error| refused(error.kind().to_string(), advice))?.len();
    if length > FILE_BYTES_MAX {
        return Err(refused(
            "it is larger than 1 MiB".to_owned(),
            "a configuration is a few kilobytes: is it this file?",
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| refused(error.kind().to_string(), advice))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        refused(format!("line {line} is not UTF-8"), "save it as UTF-8")
    })?;
    Ok(text)
}

/// What the parser says, kept to one line, at the nearest place that can be shown.
fn not_toml(error: &toml::de::Error, text: &str) -> Problem {
    let said = error.message().lines().collect::<Vec<_>>().join("; ");
    let place = error.span().map(|span| span.start.min(text.len())..span.end.min(text.len()));
    Problem {
        weight: Weight::Refusal,
        place: place.or(Some(0..0)),
        what: format!("this is not TOML: {said}"),
        advice: "write: key = \"text\", key = [\"a\", \"b\"] or key = { a = \"b\" }, each key once".to_owned(),
    }
}

/// All parts, read one after the other whatever is wrong with those before, so that every problem is found.
fn build(r: &Reader, path: &Path, root: &Table) -> Option<Config> {
    let mode = settings::mode(r, root);
    let deployment_secret = settings::deployment_secret(r, root);
    let (store, web) = (settings::store(r, root), web::web(r, root));
    let sources = sources::read(r, root);
    let facts = facts::join(r, &sources);
    let channels = channels::read(r, root);
    let calendars = calendars::read(r, root);
    let categories = rules::categories(r, root, &facts);
    pagers::judge_codenamed(r, &channels.codenamed, &categories);
    let escalations = rules::escalations(r, root, &channels.names);
    let terms = rules::Terms {
        targets: targets::TargetTerms {
            calendars: calendars.names.clone(),
            dues: sources.iter().flat_map(|source| source.dues.iter().cloned()).collect(),
        },
        escalations: escalations.iter().map(|escalation| escalation.name.value).collect(),
        facts: &facts,
    };
    let minor_safety = rules::minor_safety(r, root, &terms);
    let rules = rules::rules(r, root, &categories, &terms);
    let heartbeat = heartbeat::heartbeat(r, root);
    let canary = heartbeat::canary(r, root, &terms);
    let blind = blind::read(r, root, &terms, &sources, &categories);
    let weekly = weekly::read(r, root, &channels);
    weekly::judge_notified(r, root, &channels);
    let obligations = obligations::read(r, root, &terms, &sources);
    obligations::judge_names(r, &obligations, minor_safety.as_ref(), &rules);
    let tests = cases::read(r, root, &facts);
    if r.has_refused() {
        return None;
    }
    let (mode, minor_safety) = (mode?, minor_safety?);
    let parts = lints::Parts {
        mode,
        has_deployment_secret: deployment_secret.is_some(),
        sources: &sources,
        categories: &categories,
        minor_safety: &minor_safety,
        rules: &rules,
        obligations: &obligations,
        escalations: &escalations,
        operators: blind.operators.as_ref(),
        channels: &channels,
        calendars: &calendars,
        weekly: weekly.as_ref(),
    };
    lints::warn(r, &parts);
    conflicts::warn(r, &parts, &facts);
    let links =
        sources.iter().filter_map(|source| Some((source.name.as_ref()?.name(), source.link.clone()?))).collect();
    let mut sources: Vec<Settings> = sources.into_iter().filter_map(|source| source.settings).collect();
    let minor = categories.classes.iter().filter(|(_, (class, _))| *class == CategoryClass::MinorSafety);
    let first: Vec<Name> = minor.map(|(name, _)| name.clone()).collect();
    for source in &mut sources {
        source.reading.first.clone_from(&first);
    }
    let policy = Policy {
        hash: "".into(),
        categories: categories.classes.into_iter().map(|(name, (class, _))| (name, class)).collect(),
        facts,
        minor_when: categories.minor_when,
        raised_when: categories.raised_when,
        minor_safety: MinorSafety {
            targets: targets_of(minor_safety.targets),
            escalation: minor_safety.escalation?,
            spread: minor_safety.spread,
            bulk: minor_safety.bulk,
        },
        rules: rules.into_iter().map(rule_of).collect::<Option<_>>()?,
        obligations: obligations.into_iter().map(|read| read.obligation).collect(),
        escalations: escalations.into_iter().map(|read| (read.name.name(), read.escalation)).collect(),
        sources: sources.iter().map(|source| (source.name.clone(), blind.source_policy(source))).collect(),
        operators: blind.operators,
        calendars: calendars.compiled,
        index: Index::default(),
    };
    Some(Config {
        file: path.to_owned(),
        mode,
        deployment_secret,
        sources,
        links,
        policy: hashed(policy)?,
        calendars: calendars.specs,
        channels: channels.settings,
        heartbeat,
        canary,
        store: store?,
        web: web?,
        weekly,
        tests,
        warnings: Report::new(String::new(), String::new(), Vec::new()),
    })
}

fn targets_of(read: Vec<targets::TargetRead>) -> Vec<Target> {
    read.into_iter().map(|read| read.target).collect()
}

/// `None` for a rule whose priority was refused, P0 above all.
fn rule_of(mut read: RuleRead) -> Option<Rule> {
    let priority = read.priority.filter(|priority| *priority != Priority::P0)?;
    let targets = targets_of(std::mem::take(&mut read.targets));
    let RuleRead { name, categories, when, escalation, raised_when, spread, .. } = read;
    Some(Rule { name, categories, when, priority, targets, escalation, raised_when, spread })
}

/// Gives the policy its hash: SHA-256 in hex over its JSON, whose maps are ordered, with the hash empty.
fn hashed(mut policy: Policy) -> Option<Policy> {
    policy.hash = "".into();
    let json = serde_json::to_vec(&policy).ok()?;
    let hex: String = Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect();
    policy.hash = hex.into();
    Some(policy)
}
