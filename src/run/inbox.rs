//! What people do, on its way into the core: written to the store's inbox by whoever they spoke to, taken up
//! by the engine like any other input.

use crate::core::act::{Act, Deed};
use crate::store::InboxEntry;

/// The body of the entry that tells of a deed.
///
/// # Errors
/// Of the encoder; no deed is known that it refuses.
pub fn body(deed: &Deed) -> Result<String, serde_json::Error> {
    serde_json::to_string(deed)
}

/// The same of a deed that a program did in somebody's name.
///
/// # Errors
/// As `body`.
pub fn body_of_integration(deed: &Deed) -> Result<String, serde_json::Error> {
    let mut body = serde_json::to_value(deed)?;
    if let Some(members) = body.as_object_mut() {
        members.insert("integration".to_owned(), true.into());
    }
    serde_json::to_string(&body)
}

/// Beside the deed, who did it: a person, unless the entry says otherwise.
#[derive(Default, serde::Deserialize)]
struct Who {
    #[serde(default)]
    integration: bool,
}

/// An entry as the core takes it. One that this version can't read is taken up without effect.
pub fn act(entry: &InboxEntry) -> Act {
    let deed = serde_json::from_str(&entry.body).unwrap_or(Deed::Unknown);
    let Who { integration } = serde_json::from_str(&entry.body).unwrap_or_default();
    Act { inbox: entry.id, by: entry.by_whom.as_str().into(), at: entry.at, integration, deed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::IncidentNo;
    use crate::core::time::Timestamp;

    fn read(body: &str) -> Deed {
        let (kind, at) = ("acknowledge".to_owned(), Timestamp::from_secs(1));
        act(&InboxEntry { id: 7, kind, body: body.to_owned(), by_whom: "ada".to_owned(), at }).deed
    }

    #[test]
    fn an_entry_tells_of_the_deed_it_was_written_for() {
        let deed = Deed::Acknowledge { incident: IncidentNo(42) };
        assert_eq!(read(&body(&deed).expect("a deed is JSON")), deed);
    }

    #[test]
    fn what_an_integration_did_is_told_apart_from_what_a_person_did() {
        let deed = Deed::Acknowledge { incident: IncidentNo(42) };
        let entry = |body| InboxEntry {
            id: 7,
            kind: "acknowledge".to_owned(),
            body,
            by_whom: "ada".to_owned(),
            at: Timestamp::from_secs(1),
        };
        let by_person = act(&entry(body(&deed).expect("JSON")));
        let by_program = act(&entry(body_of_integration(&deed).expect("JSON")));
        assert_eq!((by_person.integration, by_program.integration), (false, true));
        assert_eq!(by_program.deed, deed);
    }

    #[test]
    fn an_entry_of_another_version_has_no_effect() {
        for body in ["{}", "no JSON", r#"{"deed":"dance"}"#, r#"{"deed":"acknowledge"}"#] {
            assert_eq!(read(body), Deed::Unknown, "{body}");
        }
    }
}
