//! The chunks `K.0`, `K.1`, … of session cookies, and how the chunks of several sessions may belong together.
//!
//! If the cookies of two domains are in one request, their chunks come interleaved, and nothing says which chunk is of
//! which domain. So the gateway tries combinations. A choice is the place of one value at each index, from the first
//! index on.

use std::collections::{BTreeMap, HashSet};

use super::{RequestCookies, chunk_suffix};

/// How many combinations of chunks the gateway tries to decode. Each may be as long as the head of the request.
const MOST_TRIES: usize = 16;

impl RequestCookies<'_> {
    /// The values of the chunks up to the first gap, by index. An index has several values if there are several
    /// cookies of its name.
    pub(super) fn chunks(&self, key: &str) -> Vec<Vec<&str>> {
        let mut chunks: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.ours {
            // The library treats an empty chunk as absent.
            if !value.is_empty()
                && let Some(suffix) = name.strip_prefix(key)
                && let Some(index) = chunk_suffix(suffix).and_then(|index| index.parse().ok())
            {
                chunks.entry(index).or_default().push(value.as_ref());
            }
        }
        let up_to_gap = (0..).zip(chunks).take_while(|(i, (index, _))| i == index);
        up_to_gap.map(|(_, (_, values))| values).collect()
    }
}

/// Joins one value of each index: [`MOST_TRIES`] combinations at most, the most likely ones first, each once.
pub(super) fn joined<'c>(chunks: &'c [Vec<&'c str>]) -> impl Iterator<Item = String> + 'c {
    // Where an index has fewer values than the one before, the session of one domain has ended.
    let drops = (1..).zip(chunks.windows(2)).filter_map(|(end, pair)| match pair {
        [before, next] if next.len() < before.len() => Some(end),
        _ => None,
    });
    let likely: Vec<usize> = std::iter::once(chunks.len()).chain(drops).take(MOST_TRIES).collect();
    // The chunks after the last one of a session can also be left over from a longer session.
    let others = (1..chunks.len()).rev().filter(|end| !likely.contains(end));
    let others = others.take(MOST_TRIES).collect();
    // Cookies of one domain come in the same order at each index.
    let by_place = likely.clone().into_iter().flat_map(|end| by_place(chunks, end));
    let choices = by_place.chain(combinations(chunks, likely)).chain(combinations(chunks, others));
    let mut seen = HashSet::new();
    let new = choices.filter(move |choice| seen.insert(choice.clone()));
    new.take(MOST_TRIES).map(|choice| join(chunks, &choice))
}

/// For each place, the choice of that place at every index before `end`; of the last place where there are fewer.
fn by_place<'c>(chunks: &'c [Vec<&'c str>], end: usize) -> impl Iterator<Item = Vec<usize>> + 'c {
    let counts = chunks.iter().take(end).map(Vec::len);
    let places = counts.clone().max().unwrap_or_default();
    (0..places).map(move |place| counts.clone().map(|count| place.min(count - 1)).collect())
}

/// The first choices before each of the ends: one for each end, then the next one for each, so that no end uses up the
/// tries of the others.
fn combinations<'c>(
    chunks: &'c [Vec<&'c str>],
    ends: Vec<usize>,
) -> impl Iterator<Item = Vec<usize>> + 'c {
    (0..MOST_TRIES).flat_map(move |number| {
        let choice = move |end: &usize| {
            let mut rest = number;
            let choice = chunks.iter().take(*end).map(|values| {
                let place = rest % values.len();
                rest /= values.len();
                place
            });
            let choice: Vec<_> = choice.collect();
            // Beyond the last combination.
            (rest == 0).then_some(choice)
        };
        ends.iter().filter_map(choice).collect::<Vec<_>>()
    })
}

/// Joins the values at these places.
fn join(chunks: &[Vec<&str>], places: &[usize]) -> String {
    chunks.iter().zip(places).filter_map(|(values, place)| values.get(*place)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_combinations_are_tried_each_once_and_those_of_one_place_first() {
        let chunks: Vec<Vec<&str>> = vec![vec!["a", "b"]; 10];
        let tried: Vec<_> = joined(&chunks).collect();
        assert_eq!(tried.len(), 16);
        assert_eq!(tried.iter().collect::<HashSet<_>>().len(), 16, "{tried:?}");
        assert_eq!(tried.first().map(String::as_str), Some("aaaaaaaaaa"));
        assert_eq!(tried.get(1).map(String::as_str), Some("bbbbbbbbbb"));
    }

    #[test]
    fn one_value_of_each_chunk_is_read_to_the_end_first_and_then_without_the_last_ones() {
        let tried: Vec<_> = joined(&[vec!["a"], vec!["b"], vec!["c"]]).collect();
        assert_eq!(tried, ["abc", "ab", "a"]);
    }
}
