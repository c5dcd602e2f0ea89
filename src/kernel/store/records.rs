//! Small files by name, written all or nothing.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;
use crate::kernel::error::ObtainError;

impl Store {
    /// A record that was written with [`Store::write_record`]; `None` where there is none, or none that can be read
    /// (it is made anew then).
    pub(in crate::kernel) fn read_record<T: DeserializeOwned>(&self, below: &str) -> Option<T> {
        self.records(below).next()
    }

    /// The record of this name in one's own store, for what is only true of the files there.
    pub(in crate::kernel) fn own_record<T: DeserializeOwned>(&self, below: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.root.join(below)).ok()?).ok()
    }

    /// The records of this name, one's own first and then those of the stores below.
    pub(in crate::kernel) fn records<T: DeserializeOwned>(&self, below: &str) -> impl Iterator<Item = T> {
        self.layers().filter_map(move |layer| serde_json::from_slice(&fs::read(layer.join(below)).ok()?).ok())
    }

    /// Writes a text file, all of it or nothing.
    pub(in crate::kernel) fn write_text(&self, path: &Path, text: &str) -> Result<(), ObtainError> {
        self.write_bytes(path, text.as_bytes())
    }

    /// Writes a file, all of it or nothing.
    pub(in crate::kernel) fn write_bytes(&self, path: &Path, bytes: &[u8]) -> Result<(), ObtainError> {
        let mut draft = self.draft()?;
        draft.write_all(bytes).map_err(|e| ObtainError::io("writing", path, e))?;
        draft.keep(path)
    }

    pub(in crate::kernel) fn write_record(&self, below: &str, record: &impl Serialize) -> Result<(), ObtainError> {
        let path = self.root.join(below);
        let json = serde_json::to_string(record).map_err(|e| ObtainError::io("writing", &path, e.into()))?;
        self.write_text(&path, &json)
    }
}
