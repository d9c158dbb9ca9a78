//! Searches a log for pieces of secrets, unchanged or encoded.

use std::{
    collections::{HashMap, HashSet},
    thread,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use test_harness::uri_component::URI_COMPONENT;

/// The length of a piece in bytes. A log that contains a piece of a secret leaks the secret.
const PIECE: usize = 24;
/// The distance in bytes between the pieces of an encoded secret. A few pieces are enough, because a log
/// would contain an encoded secret as a whole.
const ENCODED_STEP: usize = 5 * PIECE;
/// The number of first bytes by which a piece is looked up. Shorter secrets are ordinary words, and the
/// search ignores them.
const HEAD: usize = 8;
/// A piece with fewer different bytes is ignored, because it is a placeholder such as `xxxxxxxxxxxx`.
const MIN_DIFFERENT_BYTES: u32 = 5;

/// The pieces for which the log is searched, by their first bytes.
#[derive(Default)]
pub(crate) struct SecretSearch(HashMap<[u8; HEAD], HashSet<Vec<u8>>>);

impl SecretSearch {
    /// Adds the pieces of a secret: unchanged, percent-encoded and in base64.
    pub(crate) fn add(&mut self, secret: &[u8]) {
        self.add_pieces(secret, PIECE);
        for set in [URI_COMPONENT, NON_ALPHANUMERIC] {
            let encoded = percent_encode(secret, set).to_string();
            if encoded.as_bytes() != secret {
                self.add_pieces(encoded.as_bytes(), ENCODED_STEP);
                self.add_pieces(lower_case_octets(&encoded).as_bytes(), ENCODED_STEP);
            }
        }
        for before in 0..3 {
            let shifted = [vec![0; before], secret.to_owned()].concat();
            // Leave out the first and the last characters of the base64 text, because they also depend on the
            // bytes beside the secret.
            let whole = (shifted.len() - shifted.len() % 3).max(3);
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(&shifted[..whole.min(shifted.len())]);
                self.add_pieces(
                    &encoded.as_bytes()[if before == 0 { 0 } else { 4 }..],
                    ENCODED_STEP,
                );
            }
        }
    }

    fn add_pieces(&mut self, text: &[u8], every: usize) {
        let text = without_backslashes(text);
        let last = text.len().saturating_sub(PIECE);
        for from in (0..=last).step_by(every).chain([last]) {
            let piece = &text[from..text.len().min(from + PIECE)];
            let different = piece.iter().fold(0_u128, |seen, octet| seen | 1 << (octet & 0x7f));
            if let Some(head) = piece.first_chunk()
                && different.count_ones() >= MIN_DIFFERENT_BYTES
                && !is_part_of_uuid(piece)
            {
                self.0.entry(*head).or_default().insert(piece.to_owned());
            }
        }
    }

    /// The pieces that the log contains, each with its log line.
    pub(crate) fn find_in(&self, log: &[u8]) -> Vec<String> {
        let lines: Vec<_> = log.split(|octet| *octet == b'\n').collect();
        let share =
            lines.len().div_ceil(thread::available_parallelism().map_or(1, Into::into)).max(1);
        thread::scope(|scope| {
            let search = |lines: &[&[u8]]| -> Vec<_> {
                lines.iter().filter_map(|line| self.find_in_line(line)).collect()
            };
            let searches = lines.chunks(share).map(|lines| scope.spawn(move || search(lines)));
            let searches: Vec<_> = searches.collect();
            searches.into_iter().flat_map(|search| search.join().unwrap()).collect()
        })
    }

    fn find_in_line(&self, line: &[u8]) -> Option<String> {
        let line = without_backslashes(line);
        let found = line.windows(HEAD).enumerate().find_map(|(at, head)| {
            let pieces = self.0.get(head.first_chunk()?)?;
            pieces.iter().find(|piece| line[at..].starts_with(piece))
        });
        let text = |octets| String::from_utf8_lossy(octets).into_owned();
        found.map(|piece| format!("{}: {}", text(piece), text(&line)))
    }
}

/// The text with its percent-encoded bytes in lower case: `%2b` instead of `%2B`.
fn lower_case_octets(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (octet, rest) = part.split_at(2);
        text + "%" + &octet.to_ascii_lowercase() + rest
    })
}

/// Whether the piece is a part of a UUID, which is no leak: the gateway logs the ids of users and sessions on
/// purpose.
fn is_part_of_uuid(piece: &[u8]) -> bool {
    piece.iter().all(|octet| octet.is_ascii_hexdigit() || *octet == b'-')
        && piece.iter().filter(|octet| **octet == b'-').count() >= 2
}

/// The text without backslashes, because JSON escapes quotation marks with them.
fn without_backslashes(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|octet| *octet != b'\\').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"somebody@example.com+{\"and\":\"more\"}/of/it";

    #[test]
    fn a_secret_is_found_in_any_encoding_at_any_place() {
        let mut search = SecretSearch::default();
        search.add(SECRET);
        let plain = String::from_utf8_lossy(SECRET).into_owned();
        let percent = |set| percent_encode(SECRET, set).to_string();
        let mut encoded = vec![plain.clone(), plain.replace('"', "\\\""), plain[3..].to_owned()];
        encoded.extend([percent(URI_COMPONENT), percent(NON_ALPHANUMERIC)]);
        encoded.push(lower_case_octets(&percent(URI_COMPONENT)));
        for before in ["", "a", "ab", "abc"] {
            let more = [before.as_bytes(), SECRET, b"after"].concat();
            encoded.extend([STANDARD_NO_PAD.encode(&more), URL_SAFE_NO_PAD.encode(&more)]);
        }
        for text in encoded {
            let log = format!("nothing\n{{\"field\":\"{text}\"}}\nnothing");
            assert_eq!(search.find_in(log.as_bytes()).len(), 1, "{text}");
        }
        assert!(search.find_in(b"somebody else, xxxxxxxx").is_empty());
    }
}
