//! Records as a disk holds them, close together: a hundred thousand disks have a hundred records each.

use std::cmp::Ordering;

use groundswell_protocol::facts::SignedFact;
use groundswell_protocol::node::Record;

/// Room for so many more records is made at once.
const ROOM: usize = 8;
const FACT: &str = "fact/";

/// A record's key, in the order of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A fact's, by its short key: see `Record::fact_key`.
    Fact(u64),
    /// Any other.
    Other(Box<Vec<u8>>),
}

impl From<Vec<u8>> for Name {
    fn from(key: Vec<u8>) -> Self {
        let short = std::str::from_utf8(&key).ok().and_then(|text| text.strip_prefix(FACT));
        match short.and_then(|short| u64::from_str_radix(short, 16).ok()) {
            Some(short) if format!("{FACT}{short:016x}").as_bytes() == key => Self::Fact(short),
            _ => Self::Other(Box::new(key)),
        }
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Fact(one), Self::Fact(other)) => one.cmp(other),
            (Self::Other(one), Self::Other(other)) => one.cmp(other),
            (Self::Fact(_), Self::Other(other)) => FACT.as_bytes().cmp(other),
            (Self::Other(one), Self::Fact(_)) => one.as_slice().cmp(FACT.as_bytes()),
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A record, small where it is of the sort of which there are many.
#[derive(Clone, Debug)]
pub enum Kept {
    /// A fact.
    Fact(SignedFact),
    /// Anything else.
    Other(Box<Record>),
}

impl From<Record> for Kept {
    fn from(record: Record) -> Self {
        match record {
            Record::Fact(signed) => Self::Fact(signed),
            other => Self::Other(Box::new(other)),
        }
    }
}

impl Kept {
    fn record(&self) -> Record {
        match self {
            Self::Fact(signed) => Record::Fact(signed.clone()),
            Self::Other(record) => Record::clone(record),
        }
    }
}

/// Records by key.
#[derive(Clone, Debug, Default)]
pub struct Records(Vec<(Name, Kept)>);

impl Records {
    fn place(&self, name: &Name) -> Result<usize, usize> {
        self.0.binary_search_by(|(held, _)| held.cmp(name))
    }

    /// Keeps a record in the place of the one of this key; returns that.
    pub fn keep(&mut self, name: Name, record: Kept) -> Option<Kept> {
        match self.place(&name) {
            Ok(place) => Some(std::mem::replace(&mut self.0[place].1, record)),
            Err(place) => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(ROOM);
                }
                self.0.insert(place, (name, record));
                None
            }
        }
    }

    /// Forgets the record of this key, and returns it.
    pub fn forget(&mut self, name: &Name) -> Option<Kept> {
        self.place(name).ok().map(|place| self.0.remove(place).1)
    }

    /// Whether there is a record of this key.
    pub fn has(&self, name: &Name) -> bool {
        self.place(name).is_ok()
    }

    /// All, by rising key.
    pub fn all(&self) -> Vec<Record> {
        self.0.iter().map(|(_, record)| record.record()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_their_bytes_are() {
        let keys = [
            "binding/x",
            "boot",
            "fact/0000000000000007",
            "fact/00000000000000ff",
            "installed/app",
            "unread/z",
        ];
        let names: Vec<Name> = keys.iter().map(|key| Name::from(key.as_bytes().to_vec())).collect();
        assert!(names.is_sorted_by(|one, other| one < other));
        assert_eq!(names[3], Name::Fact(255));
        for odd in ["fact/7", "fact/00000000000000FF", "fact/+000000000000007"] {
            assert!(matches!(Name::from(odd.as_bytes().to_vec()), Name::Other(_)), "{odd}");
        }
    }

    #[test]
    fn what_is_kept_last_under_a_key_stays() {
        let mut records = Records::default();
        let name = || Name::from(b"boot".to_vec());
        assert!(records.keep(name(), Record::Boot(1).into()).is_none());
        records.keep(Name::Fact(3), Record::Boot(9).into());
        assert!(records.keep(name(), Record::Boot(2).into()).is_some());
        assert_eq!(records.all(), [Record::Boot(2), Record::Boot(9)]);
        assert!(
            records.forget(&Name::Fact(3)).is_some() && !records.has(&Name::Fact(3)) && records.has(&name())
        );
    }
}
