//! PostgreSQL's `ILIKE`.

/// One element of a pattern.
#[derive(PartialEq, Eq)]
enum Element {
    /// `%`: any text.
    Text,
    /// `_`: any character.
    Character,
    /// In lower case.
    Literal(char),
}

/// Whether a text contains what matches `pattern`, in any case: `text ILIKE '%pattern%'`.
pub(crate) fn contains_ilike(text: &str, pattern: &str) -> bool {
    let pattern = elements(&format!("%{pattern}%").to_lowercase());
    let text: Vec<char> = text.to_lowercase().chars().collect();
    // The lengths of the beginnings of the text that the elements so far match.
    let mut matched = vec![false; text.len() + 1];
    if let Some(empty) = matched.first_mut() {
        *empty = true;
    }
    for element in &pattern {
        matched = advance(&matched, &text, element);
    }
    matched.last().copied().unwrap_or_default()
}

/// The lengths that one more element matches.
fn advance(before: &[bool], text: &[char], element: &Element) -> Vec<bool> {
    if *element == Element::Text {
        let first = before.iter().position(|matches| *matches).unwrap_or(before.len());
        return (0..before.len()).map(|length| length >= first).collect();
    }
    let is_equal = |character: &char| match element {
        Element::Literal(literal) => literal == character,
        _ => true,
    };
    let longer = before.iter().zip(text).map(|(matches, next)| *matches && is_equal(next));
    std::iter::once(false).chain(longer).collect()
}

/// A backslash makes the next character stand for itself.
fn elements(pattern: &str) -> Vec<Element> {
    let mut characters = pattern.chars();
    let mut elements = Vec::new();
    while let Some(character) = characters.next() {
        elements.push(match character {
            '%' => Element::Text,
            '_' => Element::Character,
            '\\' => characters.next().map_or(Element::Literal('\\'), Element::Literal),
            other => Element::Literal(other),
        });
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_anywhere_in_any_case_with_its_wildcards() {
        for (text, pattern, expected) in [
            ("ann@example.com", "ann", true),
            ("ann@example.com", "NN@Ex", true),
            ("ann@example.com", "bob", false),
            ("ann@example.com", "a_n@", true),
            ("ann@example.com", "a_n_@", false),
            ("ann@example.com", "a%.com", true),
            ("ann@example.com", "x%.", true),
            ("ann@example.com", "com%ann", false),
            ("a_b", "a\\_b", true),
            ("axb", "a\\_b", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(contains_ilike(text, pattern), expected, "{text} {pattern}");
        }
    }
}
