//! `tocsin packs`: the obligations by law that a configuration can switch on by name, and the vocabularies
//! that its lists of categories can name. It says of each figure how well it is known.

use crate::cli::out;
use crate::compile::packs::{Figure, NOT_ADVICE, Pack, PackObligation, all};
use crate::compile::vocabulary;
use crate::core::policy::Due;

pub fn print() {
    out::answer(format_args!("{}", text()));
}

/// Everything that is shipped, in the order of the names.
fn text() -> String {
    let packs: String = all().iter().map(pack).collect();
    let names = vocabulary::ALL.iter().map(|vocabulary| {
        let list = if vocabulary.minor_safety { "minor_safety" } else { "other" };
        let (prefix, name, codes) = (vocabulary::PREFIX, vocabulary.name, vocabulary.codes.len());
        format!("{prefix}{name}: {}, {codes} codes, for {list}\n", vocabulary.about)
    });
    let heading = "Vocabularies, to be named in the lists of [categories]:";
    format!("Packs, to be named under packs = [..]; {NOT_ADVICE}.\n\n{packs}{heading}\n\n{}", names.collect::<String>())
}

fn pack(pack: &Pack) -> String {
    let mut lines = vec![format!("{}: {}, {}", pack.name, pack.law, pack.jurisdiction), format!("  {}", pack.scope)];
    lines.extend(pack.obligations.iter().map(|asked| format!("  {}", obligation(asked))));
    lines.push(format!("  source: {}", pack.source));
    lines.extend(pack.note.iter().map(|note| format!("  note: {note}")));
    lines.extend(pack.refused.iter().map(|why| format!("  can't be switched on: {why}")));
    if pack.refused.is_none() {
        lines.extend(pack.needs_acceptance().map(|why| format!("  off without accept_unverified = true: {why}")));
        lines.extend(pack.needs_when.iter().map(|sample| format!("  needs a `when`, such as {sample}")));
    }
    lines.join("\n") + "\n\n"
}

/// "removed within 2d of valid_request, since 2026-05-19 (the law's figure, read in a summary only)".
fn obligation(asked: &PackObligation) -> String {
    let target = &asked.target;
    let within = match &target.due {
        Due::Within { span, .. } => format!("within {span}"),
        Due::Stated { column } => format!("by {column}"),
    };
    let since = asked.effective.as_ref().map(|date| format!(", since {date}")).unwrap_or_default();
    let before = asked.expires.as_ref().map(|date| format!(", before {date}")).unwrap_or_default();
    let figure = match asked.figure {
        Figure::Law => "the law's figure",
        Figure::Internal => "an internal target, the law gives no such number",
    };
    format!("{} {within} of {}{since}{before} ({figure}; {})", target.until, target.from, asked.evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_pack_and_says_that_it_is_no_legal_advice() {
        let text = text();
        assert!(text.contains("not legal advice"), "{text}");
        assert!(all().iter().all(|pack| text.contains(&format!("{}: ", pack.name))));
        let take_it_down =
            "  removed within 2d of valid_request, since 2026-05-19 (the law's figure; read in a summary only)";
        assert!(text.contains(take_it_down), "{text}");
        assert!(text.contains("filed within 1d of confirmed (an internal target, the law gives no such number"));
        assert!(text.contains("vocabulary:cybertipline: "));
    }
}
