//! A core as the store remembers it. Cases come in any number of parts, and before the incidents; then all is judged by the
//! policy of now.

use super::case::Case;
use super::engine::Core;
use super::incident::Incident;
use super::plan::Home;
use super::policy::Policy;
use std::sync::Arc;

impl Core {
    /// A core as the store remembers it: starting, restarting and taking over are this.
    pub fn restore(policy: Arc<Policy>, cases: Vec<Case>, incidents: Vec<Incident>, next_incident: u64) -> Self {
        let mut core = Core::new(policy);
        core.restore_cases(cases);
        core.restore_incidents(incidents, next_incident);
        core
    }

    /// Takes in some of the cases that the store remembers.
    pub fn restore_cases(&mut self, cases: Vec<Case>) {
        for case in cases {
            for report in case.reports.keys() {
                let home = Home { incarnation: report.incarnation, episode: case.key.clone() };
                // An id's latest report is what the next row of that id is about.
                let held = self.homes.get(&report.source, &report.id);
                if held.is_none_or(|held| held.incarnation < home.incarnation) {
                    self.homes.insert((report.source.clone(), report.id.clone()), home);
                }
            }
            self.put_case(case.key.clone(), Some(Box::new(Case { stored: true, ..case })));
        }
    }

    /// Takes in the incidents that the store remembers, once all cases are in.
    pub fn restore_incidents(&mut self, incidents: Vec<Incident>, next_incident: u64) {
        self.next_incident = next_incident.max(1);
        for mut incident in incidents {
            // From shadow to live, every open incident rings anew.
            if incident.was_rehearsed(self.policy.escalations.get(&incident.escalation)) {
                incident.begin_anew();
            }
            self.restore_sight(&incident);
            self.put_incident(incident);
        }
        // The policy may be another than the one by which they were judged.
        self.judge_all_anew();
    }
}
