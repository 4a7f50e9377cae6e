//! What a channel says instead of a category. A lock screen is read by whoever sits beside the phone, and
//! "minor safety" on it may be too much.

use super::payload::{Payload, PayloadAbout};
use crate::core::id::Name;
use std::collections::BTreeMap;

/// Without codenames a channel says what the configuration calls a category.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codenames {
    /// Instead of "minor safety", and of every P0 category without a codename of its own.
    pub p0: Option<String>,
    pub categories: BTreeMap<Name, String>,
}

impl Codenames {
    /// What a title calls P0.
    pub fn minor_safety(&self) -> &str {
        self.p0.as_deref().unwrap_or("minor safety")
    }

    /// Replaces the categories of the payload's cases.
    pub fn apply(&self, payload: &mut Payload) {
        // Names that nobody has sorted may say as much as one that is.
        if let (Some(_), PayloadAbout::Trouble(trouble)) = (&self.p0, &mut payload.about) {
            trouble.more |= !trouble.names.is_empty();
            trouble.names.clear();
        }
        for case in &mut payload.cases {
            let of_p0 = self.p0.as_ref().filter(|_| case.priority == "P0");
            if let Some(codename) = self.categories.get(case.category.as_str()).or(of_p0) {
                case.category.clone_from(codename);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::samples;
    use crate::pager::title::title;

    #[test]
    fn a_codename_of_a_category_goes_before_that_of_p0_and_lesser_categories_keep_their_names() {
        let codenames =
            Codenames { p0: Some("K".into()), categories: [("csam".into(), "K1".into())].into_iter().collect() };
        let mut payload = samples::payload(4);
        for (case, (category, priority)) in
            payload.cases.iter_mut().zip([("csam", "P0"), ("grooming", "P0"), ("never seen", "P0"), ("spam", "P4")])
        {
            (case.category, case.priority) = (category.into(), priority.into());
        }
        codenames.apply(&mut payload);
        let said: Vec<&str> = payload.cases.iter().map(|case| case.category.as_str()).collect();
        assert_eq!(said, ["K1", "K", "K", "spam"]);
        assert!(title(&payload, codenames.minor_safety()).starts_with("P0 K overdue: "));
        assert!(title(&payload, Codenames::default().minor_safety()).starts_with("P0 minor safety overdue: "));
    }

    #[test]
    fn a_lesser_title_names_the_codename_of_its_category() {
        let categories = [("ncii".into(), "N".into())].into_iter().collect();
        let codenames = Codenames { p0: None, categories };
        let mut payload = samples::payload(2);
        payload.priority = "P2".into();
        for case in &mut payload.cases {
            (case.category, case.priority) = ("ncii".into(), "P2".into());
        }
        codenames.apply(&mut payload);
        assert!(title(&payload, codenames.minor_safety()).starts_with("P2 N overdue: "));
    }
}
