//! Enough of Rust's surface to look at source text: what is code, where a block ends, how long a function is. It keeps
//! every newline, so that a place found in the result is on the same line of the file.

/// A function with a body.
#[derive(Debug, PartialEq)]
pub struct Function {
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// From its `fn` to its closing brace, both counted.
    pub lines: usize,
}

/// The text with comments and the insides of literals blanked.
pub fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_a_name = code.ends_with(|c: char| c == '_' || c.is_alphanumeric());
        let (skipped, kept) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), "")
        } else if rest.starts_with("/*") {
            (block_comment_len(rest), "")
        } else if let Some(len) = raw_string_len(rest).filter(|_| !after_a_name) {
            (len, "\"\"")
        } else if first == '"' {
            (quoted_len(rest, '"'), "\"\"")
        } else if first == '\'' && is_char_literal(rest) {
            (quoted_len(rest, '\''), "' '")
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push_str(kept);
        code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
        rest = &rest[skipped..];
    }
    code
}

fn block_comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn raw_string_len(text: &str) -> Option<usize> {
    let marks = ["r", "br", "cr"].iter().find_map(|prefix| {
        let marks = text.strip_prefix(prefix)?;
        marks.trim_start_matches('#').starts_with('"').then_some(marks)
    })?;
    let hashes = marks.len() - marks.trim_start_matches('#').len();
    let opening = text.len() - marks.len() + hashes + 1;
    let closing = format!("\"{}", "#".repeat(hashes));
    Some(text[opening..].find(&closing).map_or(text.len(), |at| opening + at + closing.len()))
}

fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// Whether a `'` begins a character and not a lifetime.
fn is_char_literal(text: &str) -> bool {
    let mut inside = text.chars().skip(1);
    inside.next() == Some('\\') || inside.next() == Some('\'')
}

/// Code without the items under `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        let end = match rest[at..].find(['{', ';']).map(|offset| at + offset) {
            Some(opening) if rest[opening..].starts_with('{') => block_end(rest, opening),
            Some(semicolon) => semicolon + 1,
            None => rest.len(),
        };
        kept.push_str(&rest[..at]);
        kept.extend(rest[at..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

/// Every function with a body, in the order of the text.
pub fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, keyword) in code.match_indices("fn ") {
        let begins_a_word = !code[..at].ends_with(|c: char| c == '_' || c.is_alphanumeric());
        let signature = &code[at + keyword.len()..];
        let name: String = signature.chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect();
        if !begins_a_word || name.is_empty() {
            continue;
        }
        if let Some(opening) = body_opening(code, at) {
            let line = line_of(code, at);
            let lines = line_of(code, block_end(code, opening) - 1) - line + 1;
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// The opening brace of the body, or nothing where the declaration ends without one.
fn body_opening(code: &str, declaration: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code[declaration..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(declaration + at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The place after the brace that closes the one at `opening`.
fn block_end(code: &str, opening: usize) -> usize {
    let mut depth = 0_u32;
    for (at, c) in code[opening..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return opening + at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The line of a place in the text, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[test]
fn comments_and_literals_are_no_code() {
    for (text, expected) in [
        ("a // b\nc", "a \nc"),
        ("a /* b /* c\n */ d */ e", "a \n e"),
        (r#"f("a \" { b", '{', '\'', 'x')"#, r#"f("", ' ', ' ', ' ')"#),
        ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
        ("g(r#\"a \" }\n\"#, br\"}\")", "g(\"\"\n, \"\")"),
        ("for_r\"x\"", "for_r\"\""),
    ] {
        assert_eq!(code_only(text), expected);
    }
}

#[test]
fn a_function_is_counted_from_its_keyword_to_its_closing_brace() {
    let code = "trait T {\n    fn none(&self) -> [u8; 2];\n}\npub fn a(x: [u8; 2])\nwhere\n    u8: Copy,\n{\n    if x {\n    }\n}\nfn b() {}\n";
    let function = |name: &str, line, lines| Function { name: name.into(), line, lines };
    assert_eq!(functions(code), [function("a", 4, 7), function("b", 11, 1)]);
}
