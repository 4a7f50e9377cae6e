//! Finding a case by its reference, which says nothing about its report: among the rows that the board shows, then
//! among all open ones, a bounded look at a time, then in the store. One search at a time, because it may look at all
//! that is open.

use super::WebState;
use super::engine::{Look, Seen};
use crate::core::case::Case;
use crate::core::explain::Explanation;
use crate::core::id::CaseKey;
use tokio::sync::Mutex;

/// Searches stand in line: each costs what is open.
static SEARCH: Mutex<()> = Mutex::const_new(());

/// A case and why its deadlines are what they are.
#[derive(Debug)]
pub struct Found {
    pub case: Case,
    pub explanation: Explanation,
    /// Whether the engine holds it; else it is as the store remembers it.
    pub is_live: bool,
}

/// Why a case can't be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// No reference, or of no case that this deployment knows.
    Unknown,
    /// The engine or the store did not answer.
    NoAnswer,
}

/// A reference as people write it: in capitals, with its first letter.
pub fn written(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (text.len() == 13 && text.starts_with("C-") && plain).then_some(text)
}

/// The case of a reference.
///
/// # Errors
/// Where there is none, or nobody who could say.
pub async fn case(state: &WebState, reference: &str) -> Result<Found, NotFound> {
    let reference = written(reference).ok_or(NotFound::Unknown)?;
    let now = (state.now)();
    if let Some(key) = open_key(state, &reference).await? {
        let seen = state.look(Look::Case { key, now }).await;
        match seen {
            Some(Seen::Case(Some(found))) => {
                let (case, explanation) = *found;
                return Ok(Found { case, explanation, is_live: true });
            }
            // It has ended since; the store may know it.
            Some(_) => {}
            None => return Err(NotFound::NoAnswer),
        }
    }
    let kept = state.within(state.archive.case(&reference, &state.keys)).await.ok_or(NotFound::NoAnswer)?;
    let case = kept.ok_or(NotFound::Unknown)?;
    match state.look(Look::Explain { case: Box::new(case.clone()), now }).await {
        Some(Seen::Explained(explanation)) => Ok(Found { case, explanation, is_live: false }),
        _ => Err(NotFound::NoAnswer),
    }
}

async fn open_key(state: &WebState, reference: &str) -> Result<Option<CaseKey>, NotFound> {
    let is_it = |key: &CaseKey| state.keys.reference(key) == *reference;
    let view = state.view.load_full();
    if let Some(row) = view.queue.iter().find(|row| is_it(&row.episode.case)) {
        return Ok(Some(row.episode.case.clone()));
    }
    if (view.queue.len() as u64) >= view.open.values().map(|counts| counts.open).sum() {
        return Ok(None);
    }
    let _turn = SEARCH.lock().await;
    let mut after = view.queue.last().map(|row| row.rank.clone());
    loop {
        let Some(Seen::Keys(keys, last)) = state.look(Look::Keys { after }).await else {
            return Err(NotFound::NoAnswer);
        };
        if let Some(key) = keys.into_iter().find(is_it) {
            return Ok(Some(key));
        }
        if last.is_none() {
            return Ok(None);
        }
        after = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_as_people_type_it() {
        assert_eq!(written(" c-7f3kq-9qxma ").as_deref(), Some("C-7F3KQ-9QXMA"));
        for wrong in ["", "C-7F3KQ", "I-42", "C-7F3KQ-9QXM<", "X-7F3KQ-9QXMA", "C-7F3KQ-9QXMAA"] {
            assert_eq!(written(wrong), None, "{wrong}");
        }
    }
}
