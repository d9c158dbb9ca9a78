//! The encoding of the values in the file.
//!
//! 1. Every value begins with a version byte, so that a release recognises values that it cannot read.
//! 2. A revocation is encoded as a few big-endian numbers, because there may be a million revocations.
//! 3. Queued logouts and failures are JSON: there are few of them, and a later release can add members.

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    clock::from_unix_seconds,
    store::entry::{QueueEntry, v1::EntryV1},
};

/// The version byte of revocations, failures, and states of queued logouts.
const VERSION: u8 = 1;
/// The version byte of the records of queued logouts. Version 1 is read only when the file is opened.
const ENTRY_VERSION: u8 = 2;

/// A value that this release cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    /// A later release wrote the value.
    #[error("a record was written by a later release")]
    LaterRelease,
    /// The value is not one that any release writes.
    #[error("a record is damaged")]
    Damaged,
}

/// Returns the value without its version byte, which must be `version`.
fn content(value: &[u8], version: u8) -> Result<&[u8], RecordError> {
    match value.split_first() {
        Some((found, content)) if *found == version => Ok(content),
        Some((found, _)) if *found > version => Err(RecordError::LaterRelease),
        _ => Err(RecordError::Damaged),
    }
}

/// Encodes the times of a revocation as seconds since the Unix epoch.
pub(super) fn encode_times<const TIMES: usize>(times: [Timestamp; TIMES]) -> Vec<u8> {
    encode_numbers(times.map(Timestamp::as_second))
}

/// Decodes what [`encode_times`] encoded.
pub(super) fn decode_times<const TIMES: usize>(
    value: &[u8],
) -> Result<[Timestamp; TIMES], RecordError> {
    Ok(decode_numbers(value)?.map(from_unix_seconds))
}

fn encode_numbers<const NUMBERS: usize>(numbers: [i64; NUMBERS]) -> Vec<u8> {
    let octets = numbers.into_iter().flat_map(i64::to_be_bytes);
    std::iter::once(VERSION).chain(octets).collect()
}

fn decode_numbers<const NUMBERS: usize>(value: &[u8]) -> Result<[i64; NUMBERS], RecordError> {
    let (octets, rest) = content(value, VERSION)?.as_chunks();
    let octets: &[[u8; 8]; NUMBERS] = octets.try_into().map_err(|_| RecordError::Damaged)?;
    if rest.is_empty() { Ok(octets.map(i64::from_be_bytes)) } else { Err(RecordError::Damaged) }
}

/// Encodes a failure, or the state of a queued logout.
pub(super) fn encode_json(value: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    json_after(VERSION, value)
}

/// Decodes what [`encode_json`] encoded.
pub(super) fn decode_json<T: DeserializeOwned>(value: &[u8]) -> Result<T, RecordError> {
    serde_json::from_slice(content(value, VERSION)?).map_err(|_| RecordError::Damaged)
}

/// Encodes the record of a queued logout.
pub(super) fn encode_entry(entry: &QueueEntry) -> Result<Vec<u8>, RecordError> {
    json_after(ENTRY_VERSION, entry)
}

/// Decodes what [`encode_entry`] encoded.
pub(super) fn decode_entry(value: &[u8]) -> Result<QueueEntry, RecordError> {
    serde_json::from_slice(content(value, ENTRY_VERSION)?).map_err(|_| RecordError::Damaged)
}

/// Decodes the record of a queued logout that this release or an earlier one wrote.
pub(super) fn decode_any_entry(value: &[u8]) -> Result<QueueEntry, RecordError> {
    match value.first() {
        Some(&VERSION) => decode_json::<EntryV1>(value).map(QueueEntry::from),
        _ => decode_entry(value),
    }
}

fn json_after(version: u8, value: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    let mut octets = vec![version];
    serde_json::to_writer(&mut octets, value).map_err(|_| RecordError::Damaged)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for numbers in [[0, 1], [i64::MIN, i64::MAX], [-1, 1_800_000_000]] {
            assert_eq!(decode_numbers(&encode_numbers(numbers)), Ok(numbers));
        }
        assert_eq!(
            encode_numbers([258]),
            [1, 0, 0, 0, 0, 0, 0, 1, 2],
            "existing files have this encoding"
        );
    }

    #[test]
    fn a_record_of_a_later_release_is_not_reported_as_damage() {
        let (one, two) = (encode_numbers([7]), encode_numbers([7, 8]));
        for value in [&[][..], &[0], &[1], &one[1..], &one[..8], &two, &[&one[..], &[0]].concat()] {
            assert_eq!(decode_numbers::<1>(value), Err(RecordError::Damaged), "{value:?}");
        }
        for later in [2, 255] {
            let value = [&[later], &one[1..]].concat();
            assert_eq!(decode_numbers::<1>(&value), Err(RecordError::LaterRelease));
            assert_eq!(decode_json::<u8>(&[later, b'7']), Err(RecordError::LaterRelease));
        }
        assert_eq!(decode_json::<u8>(&[1, b'7']), Ok(7));
        assert_eq!(decode_json::<u8>(&[1, b'x']), Err(RecordError::Damaged));
    }
}
