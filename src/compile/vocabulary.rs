//! Category codes that others have agreed on, to be named in `[categories]` instead of spelled out.

/// How a list of categories names a vocabulary: `vocabulary:cybertipline`.
pub const PREFIX: &str = "vocabulary:";

/// A list of codes as its owner writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    pub name: &'static str,
    pub about: &'static str,
    /// Every code is about minors: it can stand under `minor_safety` and nowhere else.
    pub minor_safety: bool,
    pub codes: &'static [&'static str],
}

pub const ALL: &[Vocabulary] = &[
    Vocabulary {
        name: "csam-classification",
        about: "the industry classification of child sexual abuse material",
        minor_safety: true,
        codes: &["A1", "A2", "B1", "B2"],
    },
    Vocabulary {
        name: "cybertipline",
        about: "incident types of the NCMEC CyberTipline",
        minor_safety: true,
        codes: &[
            "Child Pornography (possession, manufacture, and distribution)",
            "Child Sex Trafficking",
            "Child Sex Tourism",
            "Child Sexual Molestation",
            "Misleading Domain Name",
            "Misleading Words or Digital Images on the Internet",
            "Online Enticement of Children for Sexual Acts",
            "Unsolicited Obscene Material Sent to a Child",
        ],
    },
    Vocabulary {
        name: "dsa-minors",
        about: "DSA transparency database: the category and keywords about minors",
        minor_safety: true,
        codes: &[
            "STATEMENT_CATEGORY_PROTECTION_OF_MINORS",
            "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL",
            "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL_DEEPFAKE",
            "KEYWORD_GROOMING_SEXUAL_ENTICEMENT_MINORS",
            "KEYWORD_AGE_SPECIFIC_RESTRICTIONS_MINORS",
        ],
    },
    Vocabulary {
        name: "dsa-other",
        about: "DSA transparency database: every other category, older names too",
        minor_safety: false,
        codes: &[
            "STATEMENT_CATEGORY_ANIMAL_WELFARE",
            "STATEMENT_CATEGORY_CONSUMER_INFORMATION",
            "STATEMENT_CATEGORY_CYBER_VIOLENCE",
            "STATEMENT_CATEGORY_CYBER_VIOLENCE_AGAINST_WOMEN",
            "STATEMENT_CATEGORY_DATA_PROTECTION_AND_PRIVACY_VIOLATIONS",
            "STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH",
            "STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS",
            "STATEMENT_CATEGORY_NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS",
            "STATEMENT_CATEGORY_NOT_SPECIFIED_NOTICE",
            "STATEMENT_CATEGORY_OTHER_VIOLATION_TC",
            "STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY",
            "STATEMENT_CATEGORY_SCAMS_AND_FRAUD",
            "STATEMENT_CATEGORY_SELF_HARM",
            "STATEMENT_CATEGORY_UNSAFE_AND_PROHIBITED_PRODUCTS",
            "STATEMENT_CATEGORY_VIOLENCE",
            "STATEMENT_CATEGORY_NON_CONSENSUAL_BEHAVIOUR",
            "STATEMENT_CATEGORY_PORNOGRAPHY_OR_SEXUALIZED_CONTENT",
            "STATEMENT_CATEGORY_SCOPE_OF_PLATFORM_SERVICE",
            "STATEMENT_CATEGORY_UNSAFE_AND_ILLEGAL_PRODUCTS",
        ],
    },
    Vocabulary {
        name: "ozone-child-safety",
        about: "Ozone's reasons about child safety",
        minor_safety: true,
        codes: &[
            "tools.ozone.report.defs#reasonChildSafetyCSAM",
            "tools.ozone.report.defs#reasonChildSafetyGroom",
            "tools.ozone.report.defs#reasonChildSafetyPrivacy",
            "tools.ozone.report.defs#reasonChildSafetyHarassment",
            "tools.ozone.report.defs#reasonChildSafetyOther",
        ],
    },
];

pub fn named(name: &str) -> Option<&'static Vocabulary> {
    ALL.iter().find(|vocabulary| vocabulary.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_stands_in_two_vocabularies() {
        let mut codes: Vec<&str> = ALL.iter().flat_map(|vocabulary| vocabulary.codes).copied().collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
    }
}
