//! What people do, on its way into the core: written to the store's inbox by whoever they spoke to, taken up
//! by the engine like any other input.

use crate::core::id::IncidentNo;
use serde::{Deserialize, Serialize};

/// A named person takes an incident.
pub const ACKNOWLEDGE: &str = "acknowledge";

#[derive(Serialize, Deserialize)]
struct About {
    incident: IncidentNo,
}

/// The body of an entry about an incident.
pub fn about(incident: IncidentNo) -> String {
    format!("{{\"incident\":{}}}", incident.0)
}

/// The incident that an entry's body names.
pub fn incident(body: &str) -> Option<IncidentNo> {
    serde_json::from_str::<About>(body).ok().map(|about| about.incident)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_the_incident_it_was_written_for() {
        assert_eq!(incident(&about(IncidentNo(42))), Some(IncidentNo(42)));
        assert_eq!(incident("{}"), None);
    }
}
