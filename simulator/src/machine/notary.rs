//! What two runs of one story need not work out twice: signatures that were made, and whether others hold.
//!
//! Both are functions of bytes alone, and the second run of a seed asks for the very same ones. They are remembered
//! by a digest of all that they depend on, counted, and some are worked out all the same. Only so many are remembered.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::KeySignature;
use groundswell_protocol::identity::{KeyPair, PublicKey, Signature};

/// Signatures of each sort that are remembered at most.
const REMEMBERED_MAX: usize = 1 << 18;
/// Of those that are remembered one of so many is worked out all the same.
const WORKED_OUT: u8 = 64;

/// How often something was asked for, and how often it was worked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Asked for.
    pub times: u64,
    /// Worked out.
    pub worked_out: u64,
}

#[derive(Debug, Default)]
struct Books {
    /// By the message's digest, and whose key signs it.
    made: BTreeMap<(Digest, PublicKey), Signature>,
    /// By the digest of what it is said to sign.
    checked: BTreeMap<(Digest, KeySignature), bool>,
    signing: Asked,
    checking: Asked,
}

/// The memory that runs of one story share.
#[derive(Debug, Default)]
pub struct Notary(Mutex<Books>);

/// What is remembered under `name`, whose first byte is this; else what `work_out` says.
fn recall<K: Ord, V: Copy + PartialEq>(
    known: &mut BTreeMap<K, V>,
    (name, first): (K, u8),
    asked: &mut Asked,
    work_out: impl FnOnce() -> V,
) -> V {
    asked.times += 1;
    let before = known.get(&name).copied();
    if let Some(before) = before.filter(|_| !first.is_multiple_of(WORKED_OUT)) {
        return before;
    }
    asked.worked_out += 1;
    let now = work_out();
    assert!(before.is_none_or(|before| before == now), "BUG: what was remembered of a signature is wrong");
    if known.len() < REMEMBERED_MAX {
        known.insert(name, now);
    }
    now
}

impl Notary {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `key` signs.
    pub fn sign(&self, key: &KeyPair, message: &[u8]) -> Signature {
        let Books { made, signing, .. } = &mut *self.books();
        let digest = Digest::of(message);
        recall(made, ((digest, key.public()), digest.0[0]), signing, || key.sign(message))
    }

    /// Whether a signature over the body of this digest holds, as `verify` says of it.
    pub fn holds(&self, body: Digest, one: &KeySignature, verify: impl FnOnce() -> bool) -> bool {
        let Books { checked, checking, .. } = &mut *self.books();
        recall(checked, ((body, *one), one.signature.0[0]), checking, verify)
    }

    /// How often signatures were made, and how often they were checked.
    pub fn asked(&self) -> [Asked; 2] {
        let books = self.books();
        [books.signing, books.checking]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_as_the_key_does_and_works_most_out_once() {
        let notary = Notary::default();
        let keys = [1, 2].map(|seed| KeyPair::from_seed(&[seed; 32]));
        let messages: Vec<[u8; 2]> = (0..200).map(|number| [7, number]).collect();
        for _ in 0..2 {
            for (key, message) in
                keys.iter().flat_map(|key| messages.iter().map(move |message| (key, message)))
            {
                let signature = notary.sign(key, message);
                assert_eq!(signature, key.sign(message));
                for named in &keys {
                    let one = KeySignature { key: named.public(), signature };
                    let strict = named.public().verify(message, &signature);
                    assert_eq!(notary.holds(Digest::of(message), &one, || strict), strict);
                    assert_eq!(strict, named.public() == key.public());
                }
            }
        }
        for (asked, once) in notary.asked().into_iter().zip([400, 800]) {
            assert_eq!(asked.times, 2 * once);
            assert!((once..once + once / 8).contains(&asked.worked_out), "{asked:?}");
        }
    }
}
