//! The proof in every form of the board: whoever sends it has read the page, as another site's page can't. It is made
//! for one asker and holds for a shift.

use super::Who;
use crate::core::time::{Span, Timestamp};
use crate::keys::Keys;

/// How long a form can be sent after its page was made.
pub const FORM_LASTS: Span = Span::from_hours(12);

/// The value of a form's hidden field.
pub fn proof(who: &Who, keys: &Keys, now: Timestamp) -> String {
    keys.signed(&purpose(who), &now.plus(FORM_LASTS).secs().to_string())
}

/// Whether this asker's page made it.
pub fn holds(proof: &str, who: &Who, keys: &Keys, now: Timestamp) -> bool {
    let expires = keys.unsigned(&purpose(who), proof).and_then(|text| text.parse().ok());
    expires.is_some_and(|expires| now < Timestamp::from_secs(expires))
}

fn purpose(who: &Who) -> String {
    format!("form of {}", who.key())
}
