//! Cursors: the place of a row in the queue, sealed, because a place holds the report's id and a cursor stands in urls.

use crate::core::rank::Rank;
use crate::keys::Keys;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a place is sealed for.
pub const PURPOSE: &str = "cursor";
/// The longest cursor, in bytes: an id of a report can be long, an address can't.
const CURSOR_BYTES_MAX: usize = 1_500;

/// The cursor after this place; `None` where the report's id is too long for an address.
pub fn write(rank: &Rank, keys: &Keys) -> Option<String> {
    let bytes = serde_json::to_vec(rank).ok()?;
    Some(URL_SAFE_NO_PAD.encode(keys.seal(PURPOSE, &bytes))).filter(|text| text.len() <= CURSOR_BYTES_MAX)
}

/// The place of a cursor that this deployment made.
pub fn read(text: &str, keys: &Keys) -> Option<Rank> {
    let sealed = URL_SAFE_NO_PAD.decode(text.get(..CURSOR_BYTES_MAX.min(text.len()))?).ok()?;
    serde_json::from_slice(&keys.unseal(PURPOSE, &sealed)?).ok()
}
