//! What must survive a crash: one embedded database a home, typed records in it.
//!
//! Every write is one durable transaction; there is no state in memory that is not here first.

use std::path::PathBuf;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{de::DeserializeOwned, Serialize};
use thiserror::Error;

/// The layout of the records this build reads and writes.
const VERSION: u32 = 1;

/// What kind of records.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// Journals of transactions, by chain and account.
    Journals,
    /// Opening budgets, by commitment.
    Openings,
    /// The seller's models, by commitment.
    Models,
    /// The seller's agreements, by id.
    Deals,
    /// Finished proofs, by agreement and shard.
    Proofs,
    /// The buyer's committed test sets, by root.
    Datasets,
    /// The buyer's agreements, by the root of their test set.
    Challenges,
    /// What a responder remembers of retrievals, by id.
    Retrievals,
    /// What a requester remembers of retrievals, by id.
    Requests,
    /// Published corpora a requester asks about, by root.
    Corpora,
    /// The seller's rounds of predictions, by id.
    Rounds,
    /// The seller's answered batches, by round and index.
    Batches,
    /// The buyer's rounds of predictions, by id.
    Orders,
    /// This database itself.
    Meta,
}

impl Table {
    fn definition(self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        TableDefinition::new(match self {
            Self::Journals => "journals",
            Self::Openings => "openings",
            Self::Models => "models",
            Self::Deals => "deals",
            Self::Proofs => "proofs",
            Self::Datasets => "datasets",
            Self::Challenges => "challenges",
            Self::Retrievals => "retrievals",
            Self::Requests => "requests",
            Self::Corpora => "corpora",
            Self::Rounds => "rounds",
            Self::Batches => "batches",
            Self::Orders => "orders",
            Self::Meta => "meta",
        })
    }
}

/// The database cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{path} is in use by another zknode process; stop that one, or use another --home")]
    Busy {
        /// The database file.
        path: PathBuf,
    },
    /// Written by another release.
    #[error("{path} has format version {found}, this build reads {VERSION}; use the release that wrote it")]
    Version {
        /// The database file.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
    /// A record that does not read.
    #[error("the record {key:?} in {table:?} is damaged or of another release: {reason}")]
    Record {
        /// The kind of record.
        table: Table,
        /// Which.
        key: String,
        /// What is wrong with it.
        reason: serde_json::Error,
    },
    /// The database refuses.
    #[error("the database refuses: {0}")]
    Database(Box<redb::Error>),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// The database.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens the database file, making it where it is missing.
    pub fn open(path: PathBuf) -> Result<Self, StoreError> {
        let database = match Database::create(&path) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::Busy { path }),
            Err(error) => return Err(error.into()),
        };
        let store = Self { database };
        match store.get::<u32>(Table::Meta, "version")? {
            None => store.put(Table::Meta, "version", &VERSION)?,
            Some(VERSION) => {}
            Some(found) => return Err(StoreError::Version { path, found }),
        }
        Ok(store)
    }

    /// A record, `None` when there is none.
    pub fn get<T: DeserializeOwned>(
        &self,
        table: Table,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        let read = self.database.begin_read()?;
        let records = match read.open_table(table.definition()) {
            Ok(records) => records,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let found = records.get(key)?;
        found
            .map(|bytes| parse(table, key, bytes.value()))
            .transpose()
    }

    /// Writes a record for good.
    pub fn put<T: Serialize>(&self, table: Table, key: &str, value: &T) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(value).map_err(|reason| StoreError::Record {
            table,
            key: key.into(),
            reason,
        })?;
        let write = self.database.begin_write()?;
        write
            .open_table(table.definition())?
            .insert(key, bytes.as_slice())?;
        write.commit()?;
        Ok(())
    }

    /// Reads, changes and writes one record in one transaction. Nothing is written when `change` fails.
    pub fn update<T, R, E>(
        &self,
        table: Table,
        key: &str,
        change: impl FnOnce(Option<T>) -> Result<(T, R), E>,
    ) -> Result<Result<R, E>, StoreError>
    where
        T: Serialize + DeserializeOwned,
    {
        let write = self.database.begin_write()?;
        let result = {
            let mut records = write.open_table(table.definition())?;
            let before = match records.get(key)? {
                Some(bytes) => Some(parse(table, key, bytes.value())?),
                None => None,
            };
            match change(before) {
                Err(refused) => Err(refused),
                Ok((after, result)) => {
                    let bytes =
                        serde_json::to_vec(&after).map_err(|reason| StoreError::Record {
                            table,
                            key: key.into(),
                            reason,
                        })?;
                    records.insert(key, bytes.as_slice())?;
                    Ok(result)
                }
            }
        };
        match result {
            Ok(result) => {
                write.commit()?;
                Ok(Ok(result))
            }
            Err(refused) => {
                write.abort()?;
                Ok(Err(refused))
            }
        }
    }

    /// Changes one record in one transaction; refused, with what `missing` says, where there is none.
    pub fn change<T, E>(
        &self,
        table: Table,
        key: &str,
        missing: impl FnOnce() -> E,
        change: impl FnOnce(&mut T),
    ) -> Result<Result<(), E>, StoreError>
    where
        T: Serialize + DeserializeOwned,
    {
        self.update(table, key, |before: Option<T>| {
            let mut record = before.ok_or_else(missing)?;
            change(&mut record);
            Ok((record, ()))
        })
    }

    /// All records of a kind, by key.
    pub fn all<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<(String, T)>, StoreError> {
        let read = self.database.begin_read()?;
        let records = match read.open_table(table.definition()) {
            Ok(records) => records,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(vec![]),
            Err(error) => return Err(error.into()),
        };
        let mut all = vec![];
        for record in records.iter()? {
            let (key, value) = record?;
            let key = key.value().to_owned();
            let value = parse(table, &key, value.value())?;
            all.push((key, value));
        }
        Ok(all)
    }
}

fn parse<T: DeserializeOwned>(table: Table, key: &str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|reason| StoreError::Record {
        table,
        key: key.into(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn records_survive_reopening() {
        let folder = folder();
        let path = folder.path().join("db");
        let store = Store::open(path.clone()).unwrap();
        assert_eq!(store.get::<u32>(Table::Deals, "a").unwrap(), None);
        store.put(Table::Deals, "a", &7u32).unwrap();
        drop(store);
        let store = Store::open(path).unwrap();
        assert_eq!(store.get::<u32>(Table::Deals, "a").unwrap(), Some(7));
        assert_eq!(store.get::<u32>(Table::Models, "a").unwrap(), None);
        assert_eq!(
            store.all::<u32>(Table::Deals).unwrap(),
            [("a".to_owned(), 7)]
        );
    }

    #[test]
    fn a_refused_change_writes_nothing() {
        let folder = folder();
        let store = Store::open(folder.path().join("db")).unwrap();
        let add = |before: Option<u32>| {
            let after = before.unwrap_or(0) + 1;
            if after > 2 {
                return Err("no more");
            }
            Ok((after, after))
        };
        assert_eq!(store.update(Table::Openings, "c", add).unwrap(), Ok(1));
        assert_eq!(store.update(Table::Openings, "c", add).unwrap(), Ok(2));
        assert_eq!(
            store.update(Table::Openings, "c", add).unwrap(),
            Err("no more")
        );
        assert_eq!(store.get::<u32>(Table::Openings, "c").unwrap(), Some(2));
    }

    #[test]
    fn what_is_not_there_is_not_changed() {
        let folder = folder();
        let store = Store::open(folder.path().join("db")).unwrap();
        let change = || {
            let double = |number: &mut u32| *number *= 2;
            store.change(Table::Deals, "a", || "missing", double)
        };
        assert_eq!(change().unwrap(), Err("missing"));
        assert_eq!(store.get::<u32>(Table::Deals, "a").unwrap(), None);
        store.put(Table::Deals, "a", &7u32).unwrap();
        assert_eq!(change().unwrap(), Ok(()));
        assert_eq!(store.get::<u32>(Table::Deals, "a").unwrap(), Some(14));
    }

    #[test]
    fn a_second_process_and_another_version_are_told_apart() {
        let folder = folder();
        let path = folder.path().join("db");
        let store = Store::open(path.clone()).unwrap();
        assert!(matches!(
            Store::open(path.clone()),
            Err(StoreError::Busy { .. })
        ));
        store.put(Table::Meta, "version", &9u32).unwrap();
        drop(store);
        assert!(matches!(
            Store::open(path),
            Err(StoreError::Version { found: 9, .. })
        ));
    }

    #[test]
    fn a_record_of_another_shape_is_named() {
        let folder = folder();
        let store = Store::open(folder.path().join("db")).unwrap();
        store.put(Table::Deals, "a", &"text").unwrap();
        let error = store.get::<u32>(Table::Deals, "a").unwrap_err();
        assert!(error.to_string().contains("\"a\" in Deals"), "{error}");
    }
}
