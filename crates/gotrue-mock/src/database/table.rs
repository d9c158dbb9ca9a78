//! A table of the database whose changes a transaction can roll back.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// Rows by their key. While a transaction runs, the table keeps each changed row as it was before.
pub(super) struct Table<K, R> {
    rows: HashMap<K, R>,
    /// The changed rows as they were before the transaction: `None` for a row that did not exist. `None` as a whole if
    /// no transaction runs.
    before: Option<HashMap<K, Option<R>>>,
}

impl<K, R> Default for Table<K, R> {
    fn default() -> Self {
        Self { rows: HashMap::new(), before: None }
    }
}

impl<K: Clone + Eq + Hash, R: Clone> Table<K, R> {
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&R>
    where
        K: Borrow<Q>,
    {
        self.rows.get(key)
    }

    pub(super) fn contains_key<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.rows.contains_key(key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &R> {
        self.rows.values()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.rows.keys()
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut R> {
        self.keep(key);
        self.rows.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, row: R) {
        self.keep(&key);
        self.rows.insert(key, row);
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<R> {
        self.keep(key);
        self.rows.remove(key)
    }

    /// Keeps a row as it is before its first change in the transaction.
    fn keep(&mut self, key: &K) {
        if let Some(before) = &mut self.before
            && !before.contains_key(key)
        {
            before.insert(key.clone(), self.rows.get(key).cloned());
        }
    }

    /// The keys of the rows that the transaction has changed.
    pub(super) fn changed_keys(&self) -> impl Iterator<Item = K> {
        self.before.iter().flat_map(HashMap::keys).cloned()
    }

    pub(super) fn begin(&mut self) {
        self.before = Some(HashMap::new());
    }

    pub(super) fn commit(&mut self) {
        self.before = None;
    }

    /// Undoes the changes of the transaction, if one runs.
    pub(super) fn roll_back(&mut self) {
        for (key, row) in self.before.take().unwrap_or_default() {
            match row {
                Some(row) => drop(self.rows.insert(key, row)),
                None => drop(self.rows.remove(&key)),
            }
        }
    }
}
