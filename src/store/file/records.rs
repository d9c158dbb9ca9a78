//! The encoding of the values in the file.
//!
//! 1. Every value begins with a version byte, so that a release recognises values that it cannot read.
//! 2. A revocation is encoded as a few big-endian numbers, because there may be a million revocations.
//! 3. Queued logouts and failures are JSON: there are few of them, and a later release can add members.

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    clock::{from_unix_milliseconds, from_unix_seconds},
    store::entry::{QueueEntry, v1::EntryV1},
};

/// The version byte of all values but the records of queued logouts.
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

/// The key of a line in a table that is sorted by time: the time in milliseconds since the Unix epoch, and the
/// id of an entry. The milliseconds are shifted to begin at 0, because the keys have no sign: times before 1970
/// come first.
pub(super) fn time_key(time: Timestamp, id: u128) -> (u128, u128) {
    (time.as_millisecond().abs_diff(i64::MIN).into(), id)
}

/// Decodes the time and the id of [`time_key`].
pub(super) fn decode_time_key((time, id): (u128, u128)) -> (Timestamp, u128) {
    let milliseconds = u64::try_from(time).unwrap_or(u64::MAX);
    (from_unix_milliseconds(i64::MIN.saturating_add_unsigned(milliseconds)), id)
}

/// Encodes a total of the queue.
pub(super) fn encode_total(total: u64) -> Vec<u8> {
    encode_numbers([total.cast_signed()])
}

/// Decodes what [`encode_total`] encoded.
pub(super) fn decode_total(value: &[u8]) -> Result<u64, RecordError> {
    decode_numbers(value).map(|[total]| total.cast_unsigned())
}

/// What an entry of the queue takes of its user's share of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShareOfEntry {
    pub(super) session: u128,
    /// The size of the record in bytes.
    pub(super) bytes: u64,
    pub(super) is_stale: bool,
}

impl ShareOfEntry {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut octets = vec![VERSION];
        octets.extend(self.session.to_be_bytes());
        octets.extend(self.bytes.to_be_bytes());
        octets.push(self.is_stale.into());
        octets
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, RecordError> {
        let octets = content(value, VERSION)?;
        let (session, octets) = octets.split_first_chunk().ok_or(RecordError::Damaged)?;
        let (bytes, octets) = octets.split_first_chunk().ok_or(RecordError::Damaged)?;
        let is_stale = match octets {
            [0] => false,
            [1] => true,
            _ => return Err(RecordError::Damaged),
        };
        let (session, bytes) = (u128::from_be_bytes(*session), u64::from_be_bytes(*bytes));
        Ok(Self { session, bytes, is_stale })
    }
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
    fn keys_are_in_the_order_of_their_times() {
        let times = [Timestamp::MIN, from_unix_milliseconds(-1), Timestamp::UNIX_EPOCH];
        let times = [&times[..], &[from_unix_milliseconds(1_800_000_000_000)]].concat();
        let keys: Vec<_> = times.iter().map(|time| time_key(*time, 7)).collect();
        assert!(keys.is_sorted());
        for (key, time) in keys.iter().zip(times) {
            assert_eq!(decode_time_key(*key), (time, 7));
        }
        assert_eq!(
            time_key(Timestamp::UNIX_EPOCH, 7),
            (1 << 63, 7),
            "existing files have this key"
        );
    }

    #[test]
    fn shares_and_totals_are_read_as_they_were_written() {
        let share = ShareOfEntry { session: 1 << 120, bytes: 258, is_stale: true };
        let encoded = share.encode();
        assert_eq!(encoded.len(), 26, "existing files have this encoding");
        assert_eq!(ShareOfEntry::decode(&encoded), Ok(share));
        for value in [&encoded[..25], &[&encoded[..25], &[2]].concat(), &[&*encoded, &[0]].concat()]
        {
            assert_eq!(ShareOfEntry::decode(value), Err(RecordError::Damaged));
        }
        let later = [&[2], &encoded[1..]].concat();
        assert_eq!(ShareOfEntry::decode(&later), Err(RecordError::LaterRelease));
        assert_eq!(decode_total(&encode_total(u64::MAX)), Ok(u64::MAX));
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
