//! The failure log in the file: records by consecutive number, and an index of the numbers by user.

use redb::{Key, ReadableTable, ReadableTableMetadata as _};

use super::{
    super::{FAILURES_KEPT, FAILURES_KEPT_OF_USER, failure::Failure},
    error::FileError,
    records::{decode_json, encode_json},
    tables::{NO_VALUE, Tables},
};

impl Tables<'_> {
    /// Appends failures, and removes the oldest ones beyond [`FAILURES_KEPT`] and [`FAILURES_KEPT_OF_USER`].
    pub(super) fn append_failures(&mut self, failures: &[Failure]) -> Result<(), FileError> {
        let last = self.failures.last()?.map(|(number, _)| number.value());
        for (number, failure) in (last.map_or(0, |last| last + 1)..).zip(failures) {
            let user = failure.user_id.as_u128();
            self.failures.insert(number, &*encode_json(failure)?)?;
            self.failures_of_user.insert((user, number), NO_VALUE)?;
            self.changed = true;
            self.remove_surplus_of_user(user)?;
        }
        let kept = u64::try_from(FAILURES_KEPT).unwrap_or(u64::MAX);
        for _ in kept..self.failures.len()? {
            let Some(number) = self.failures.first()?.map(|(number, _)| number.value()) else {
                break;
            };
            let Some(failure) = self.failures.remove(number)? else { break };
            let user = decode_json::<Failure>(failure.value())?.user_id.as_u128();
            self.failures_of_user.remove((user, number))?;
        }
        Ok(())
    }

    fn remove_surplus_of_user(&mut self, user: u128) -> Result<(), FileError> {
        let numbers = self.failures_of_user.range((user, 0)..=(user, u128::MAX))?;
        let numbers: Vec<u128> =
            numbers.map(|line| line.map(|(key, _)| key.value().1)).collect::<Result<_, _>>()?;
        for number in numbers.iter().take(numbers.len().saturating_sub(FAILURES_KEPT_OF_USER)) {
            self.failures.remove(*number)?;
            self.failures_of_user.remove((user, *number))?;
        }
        Ok(())
    }

    /// Returns at most `most` failures, the newest first.
    pub(super) fn failures(&self, most: usize) -> Result<Vec<Failure>, FileError> {
        newest_failures(&self.failures, most)
    }

    pub(super) fn failures_are_indexed(&self) -> Result<bool, FileError> {
        Ok(self.failures_of_user.len()? == self.failures.len()?)
    }

    /// Fills the empty index by user.
    pub(super) fn index_failures(&mut self) -> Result<(), FileError> {
        for line in self.failures.iter()? {
            let (number, failure) = line?;
            let user = decode_json::<Failure>(failure.value())?.user_id.as_u128();
            self.failures_of_user.insert((user, number.value()), NO_VALUE)?;
        }
        Ok(())
    }
}

pub(super) fn newest_failures<Number: Key + 'static>(
    failures: &impl ReadableTable<Number, &'static [u8]>,
    most: usize,
) -> Result<Vec<Failure>, FileError> {
    let newest_first = failures.iter()?.rev().take(most);
    newest_first.map(|line| Ok(decode_json(line?.1.value())?)).collect()
}
