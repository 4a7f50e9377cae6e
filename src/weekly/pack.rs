//! Sums as they are kept: numbers in as few bytes as they need, written as text. Another version's sums are told from
//! ours, so that they are made anew and never misread.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Of everything that is packed. A change to any type that is packed takes the next: a test says so.
const VERSION: &str = "2:";

pub(super) fn pack<T: Serialize>(sums: &T) -> String {
    // Plain records, lists and maps of numbers and names, which the encoder never refuses.
    let bytes = postcard::to_stdvec(sums).unwrap_or_default();
    let mut text = VERSION.to_owned();
    STANDARD_NO_PAD.encode_string(bytes, &mut text);
    text
}

/// `None` where another version wrote it.
pub(super) fn unpack<T: DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = STANDARD_NO_PAD.decode(text.strip_prefix(VERSION)?).ok()?;
    postcard::from_bytes(&bytes).ok()
}
