//! The Alertmanager channel: its API v2, at every peer of a cluster, because peers tell each other what they have
//! sent and never which alerts they have. An alert is its label set, so a round has the same labels in each send.
//! An alertmanager keeps alerts in memory alone and takes silence for an end; so what fires is sent again and
//! again, by `run::repeat`, and says itself that it lasts.

use super::details::details;
use super::http::{Client, endpoint};
use super::{Answer, AnswerVerdict, Rendering};
use crate::core::plan::PageKind;
use crate::core::policy::Priority;
use crate::core::time::{Span, Timestamp};
use crate::secret::Secret;
use crate::zone::rfc3339;
use reqwest::Url;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// How long an alert fires without a further word: an outage of the monitor must not look like an end.
const LASTS: Span = Span::from_hours(24);

/// Alerts in one request. A batch that is refused is sent again one by one.
const BATCH: usize = 50;

const DETAILS_CHARS_MAX: usize = 6_000;

/// The labels that a channel gives itself.
pub const OWN_LABELS: [&str; 4] = ["alertname", "alert_key", "incident", "lane"];

/// The peers of one cluster.
pub struct Alertmanager {
    client: Client,
    peers: Vec<Url>,
    /// As configured, beside [`OWN_LABELS`].
    labels: BTreeMap<String, String>,
}

impl fmt::Debug for Alertmanager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alertmanager(..)")
    }
}

/// Whether a text can be the name of a label.
pub fn is_label(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Alertmanager {
    /// # Errors
    /// What is wrong with a url, without showing it.
    pub fn new(client: Client, bases: &[Secret], labels: &BTreeMap<String, String>) -> Result<Alertmanager, String> {
        let peers = bases.iter().map(|base| endpoint(base, "/api/v2/alerts")).collect::<Result<Vec<_>, _>>()?;
        if peers.is_empty() {
            return Err("it needs the url of at least one peer".to_owned());
        }
        Ok(Alertmanager { client, peers, labels: labels.clone() })
    }

    /// One attempt, begun at `now`: accepted once any peer has it. The others hear of it by the next repetition.
    pub async fn send(&self, rendering: Rendering<'_>, now: Timestamp) -> Answer {
        let alert = self.alert(&rendering, now);
        verdict(self.post(&[alert], now).await)
    }

    /// Tells every peer again of alerts that it has been told of. Gives what each peer answered, in their order.
    pub async fn repeat(&self, renderings: &[Rendering<'_>], now: Timestamp) -> Vec<Answer> {
        let alerts: Vec<Value> = renderings.iter().map(|rendering| self.alert(rendering, now)).collect();
        let mut said = vec![Answer::accepted("200"); self.peers.len()];
        for batch in alerts.chunks(BATCH) {
            for (said, answer) in said.iter_mut().zip(self.post(batch, now).await) {
                if answer.verdict != AnswerVerdict::Accepted {
                    *said = answer;
                }
            }
        }
        said
    }

    /// To each peer at once; one that refuses a batch is given its alerts one by one.
    async fn post(&self, batch: &[Value], now: Timestamp) -> Vec<Answer> {
        let (mut sending, mut answers) =
            (tokio::task::JoinSet::new(), vec![Answer::retry("no answer"); self.peers.len()]);
        for (n, peer) in self.peers.iter().cloned().enumerate() {
            let (client, batch) = (self.client.clone(), batch.to_vec());
            sending.spawn(async move { (n, post_to(&client, &peer, &batch, now).await) });
        }
        while let Some(done) = sending.join_next().await {
            if let Ok((n, answer)) = done {
                answers[n] = answer;
            }
        }
        answers
    }

    fn alert(&self, rendering: &Rendering<'_>, now: Timestamp) -> Value {
        let page = rendering.page;
        // What differs between a ring and its resolve, such as the priority of a group, is no label: it would be
        // another alert.
        let lane = if page.priority == Priority::P0 { "p0" } else { "lesser" };
        let own = ["tocsin".to_owned(), page.alert_key.to_owned(), page.incident.to_string(), lane.to_owned()];
        let mut labels = self.labels.clone();
        labels.extend(OWN_LABELS.map(str::to_owned).into_iter().zip(own));
        let ends_at = match page.kind {
            PageKind::Ring => now.plus(LASTS),
            PageKind::Resolve => page.created_at,
        };
        let mut alert = json!({
            "labels": labels,
            "annotations": {
                "summary": rendering.title,
                "description": details(rendering, DETAILS_CHARS_MAX, str::to_owned),
            },
            "startsAt": rfc3339(page.created_at),
            "endsAt": rfc3339(ends_at),
        });
        if let Some(url) = rendering.public_url {
            alert["generatorURL"] = url.into();
        }
        alert
    }
}

/// A batch that holds one alert that can't be read is answered by 400, though the others are kept.
async fn post_to(client: &Client, peer: &Url, batch: &[Value], now: Timestamp) -> Answer {
    let answer = client.post_json(peer, Value::from(batch).to_string().into_bytes(), now).await;
    if batch.len() < 2 || answer.verdict != AnswerVerdict::Permanent {
        return answer;
    }
    let mut said = Answer::accepted("200");
    for alert in batch {
        let answer = client.post_json(peer, json!([alert]).to_string().into_bytes(), now).await;
        if answer.verdict != AnswerVerdict::Accepted {
            said = answer;
        }
    }
    said
}

/// What the answers of all peers mean for a page.
fn verdict(answers: Vec<Answer>) -> Answer {
    let count = answers.len();
    let accepted = answers.iter().filter(|answer| answer.verdict == AnswerVerdict::Accepted).count();
    let failed = answers.into_iter().filter(|answer| answer.verdict != AnswerVerdict::Accepted);
    // One that may pass decides over one that is permanent: the cluster may still take it.
    let first = failed.max_by_key(|answer| matches!(answer.verdict, AnswerVerdict::Retry { .. }));
    match first {
        None => Answer::accepted("200"),
        Some(failed) if accepted > 0 => {
            Answer::accepted(format!("200 from {accepted} of {count} peers, another: {}", failed.text))
        }
        Some(failed) => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::payload::Payload;
    use crate::pager::samples;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn alertmanager() -> Alertmanager {
        let labels = BTreeMap::from([("severity".to_owned(), "critical".to_owned())]);
        let peers = [Secret::new("http://one:9093/"), Secret::new("http://two:9093/am")];
        Alertmanager::new(Client::new().unwrap(), &peers, &labels).unwrap()
    }

    fn alert(payload: Payload, now: Timestamp) -> Value {
        samples::rendered(payload, Some("https://tocsin.example.org"), |page| alertmanager().alert(&page, now))
    }

    #[test]
    fn a_ring_its_repetition_and_its_resolve_carry_the_same_labels() {
        let ring = alert(samples::payload(2), NOW);
        let expected = json!({
            "alertname": "tocsin", "alert_key": "aaaa", "incident": "I-42", "lane": "p0", "severity": "critical",
        });
        assert_eq!(ring["labels"], expected);
        assert_eq!(alert(samples::payload(1), NOW.plus(Span::from_mins(1)))["labels"], expected);
        assert_eq!(alert(Payload { kind: PageKind::Resolve, ..samples::payload(0) }, NOW)["labels"], expected);
    }

    #[test]
    fn a_ring_lasts_until_a_resolve_and_a_resolve_lies_in_the_past() {
        let ring = alert(samples::payload(1), NOW);
        assert_eq!(
            (&ring["startsAt"], &ring["endsAt"]),
            (&json!("1970-01-01T00:00:00Z"), &json!("1970-01-13T13:46:40Z"))
        );
        let resolve = alert(Payload { kind: PageKind::Resolve, ..samples::payload(0) }, NOW);
        assert_eq!(resolve["endsAt"], "1970-01-01T00:00:00Z");
        assert!(ring["annotations"]["summary"].as_str().unwrap().starts_with("P0 minor safety overdue: "));
        assert_eq!(ring["generatorURL"], "https://tocsin.example.org");
    }

    #[test]
    fn one_peer_that_has_it_is_enough_and_none_is_worth_another_try_while_one_may_pass() {
        let (ok, no) = (Answer::accepted("200"), Answer::permanent("400"));
        let down = Answer::retry("connection refused");
        assert_eq!(verdict(vec![ok.clone(), ok.clone()]), ok);
        let some = verdict(vec![down.clone(), ok]);
        assert_eq!(some, Answer::accepted("200 from 1 of 2 peers, another: connection refused"));
        assert_eq!(verdict(vec![no.clone(), down.clone()]), down);
        assert_eq!(verdict(vec![no.clone(), no.clone()]), no);
    }

    #[test]
    fn a_label_is_named_as_prometheus_has_it() {
        assert!(["severity", "_a1", "Team"].into_iter().all(is_label));
        assert!(!["", "1a", "a-b", "ä", "a b"].into_iter().any(is_label));
    }
}
