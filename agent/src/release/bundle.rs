//! The fleet bundle: the policy chain and the newest census, verified from the first signature on.
//!
//! | bytes | what |
//! |---|---|
//! | 11 | `GSWBUNDLE1` and a line feed |
//! | rest | the policies by version, then at most one census: a list of signed facts in the codec's form |
//!
//! A [`Bundle`] that exists is sound: the first policy founds the fleet and is signed by its own root role,
//! each later one by the thresholds of root before and after it (The Update Framework 1.0.33, section
//! 5.3.4), the census by the enrol role of the policy that it names. Nothing in it is secret.

use std::path::Path;
use std::sync::Arc;

use groundswell_protocol::bounds::POLICIES_MAX;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, SignedFact, Statement};
use groundswell_protocol::trust::census::Census;
use groundswell_protocol::trust::policy::{FleetId, Policy, RoleName};
use groundswell_protocol::wire::codec;

use super::disk::{read_bounded, write_atomic};
use super::problem::Problem;

/// What every fleet bundle begins with.
pub const BUNDLE_MAGIC: &[u8] = b"GSWBUNDLE1\n";
/// Bytes of a bundle at most: the largest census and a long chain of policies.
pub const BUNDLE_MAX: usize = 8 << 20;
const MODE: u32 = 0o644;

/// A bundle of these facts, as they are.
pub fn encode_facts(facts: &[SignedFact]) -> Vec<u8> {
    [BUNDLE_MAGIC, &codec::encode(&facts.to_vec())].concat()
}

/// The facts of a bundle: read within bounds, and not verified.
///
/// # Errors
/// The words say what is wrong with the bytes.
pub fn decode_facts(bytes: &[u8]) -> Result<Vec<SignedFact>, String> {
    if bytes.len() > BUNDLE_MAX {
        return Err(format!("it is larger than {BUNDLE_MAX} bytes"));
    }
    let facts = bytes.strip_prefix(BUNDLE_MAGIC).ok_or("it does not begin like a fleet bundle")?;
    codec::decode(facts).map_err(|_| "it is truncated or damaged".to_owned())
}

/// The fleet's verified documents.
#[derive(Clone, Debug)]
pub struct Bundle {
    fleet: FleetId,
    policies: Vec<(Arc<Policy>, Fact)>,
    census: Option<(Arc<Census>, Fact)>,
}

impl Bundle {
    /// The fleet that its first policy founds.
    ///
    /// # Errors
    /// The words say which document fails which rule.
    pub fn found(first: Fact) -> Result<Self, String> {
        let Statement::Policy(policy) = &first.statement else {
            return Err("it does not begin with a policy".to_owned());
        };
        let fleet = policy.founds();
        Self::verify(vec![first.signed], fleet)
    }

    /// Verifies documents of any origin: policies by version from 1 on, then at most one census.
    ///
    /// # Errors
    /// The words say which document fails which rule.
    pub fn from_facts(facts: Vec<SignedFact>) -> Result<Self, String> {
        let first = facts.first().ok_or("it is empty")?;
        let (named, statement) = Fact::read_body(&first.body, None).map_err(|why| why.to_string())?;
        match statement {
            Statement::Policy(policy) if policy.version == 1 && policy.founds() == named => {
                Self::verify(facts, named)
            }
            _ => Err("its first document is not the policy that founds the fleet".to_owned()),
        }
    }

    fn verify(facts: Vec<SignedFact>, fleet: FleetId) -> Result<Self, String> {
        let mut bundle = Self { fleet, policies: Vec::new(), census: None };
        for signed in facts {
            let fact = Fact::read(fleet, signed).map_err(|why| why.to_string())?;
            bundle.add(fact)?;
        }
        if bundle.policies.is_empty() { Err("it has no policy".to_owned()) } else { Ok(bundle) }
    }

    /// Adds the next policy, or a newer census.
    ///
    /// # Errors
    /// The words say why it does not follow; the bundle is unchanged then.
    pub fn add(&mut self, fact: Fact) -> Result<(), String> {
        match &fact.statement {
            Statement::Policy(policy) => {
                let policy = policy.clone();
                self.check_policy(&policy, &fact)?;
                self.policies.push((policy, fact));
            }
            Statement::Census(census) => {
                let census = census.clone();
                self.check_census(&census, &fact)?;
                self.census = Some((census, fact));
            }
            _ => return Err("it holds a document that is neither a policy nor a census".to_owned()),
        }
        Ok(())
    }

    fn check_policy(&self, policy: &Policy, fact: &Fact) -> Result<(), String> {
        let version = policy.version;
        let Some((before, before_fact)) = self.policies.last() else {
            return if version != 1 || policy.founds() != self.fleet {
                Err("its first document is not the policy that founds the fleet".to_owned())
            } else if fact.role_signed(policy.role(RoleName::Root)) {
                Ok(())
            } else {
                Err("too few of its own root keys have signed policy 1".to_owned())
            };
        };
        if self.policies.len() >= POLICIES_MAX {
            return Err(format!("there are {POLICIES_MAX} policies already: found a new fleet"));
        }
        if before.version.checked_add(1) != Some(version) || policy.previous != before_fact.id {
            return Err(format!("policy {version} does not follow policy {}", before.version));
        }
        if policy.epoch < before.epoch {
            return Err(format!("policy {version} lowers the epoch"));
        }
        if !fact.role_signed(before.role(RoleName::Root)) {
            return Err(format!(
                "too few root keys of policy {} have signed policy {version}",
                before.version
            ));
        }
        if !fact.role_signed(policy.role(RoleName::Root)) {
            return Err(format!("too few of its own root keys have signed policy {version}"));
        }
        Ok(())
    }

    fn check_census(&self, census: &Census, fact: &Fact) -> Result<(), String> {
        self.check_signed_census(census, fact)?;
        let Some((before, before_fact)) = &self.census else { return Ok(()) };
        if census.version == before.version && fact.id != before_fact.id {
            return Err(format!("there are two censuses of version {}", census.version));
        }
        if census.version < before.version {
            return Err(format!("census {} is older than census {}", census.version, before.version));
        }
        if before.version.checked_add(1) == Some(census.version) && census.previous != before_fact.id {
            return Err(format!("census {} does not follow census {}", census.version, before.version));
        }
        Ok(())
    }

    /// Checks that the enrol role of the policy it names has signed `census`, of whatever age.
    ///
    /// # Errors
    /// The words say what is missing.
    pub fn check_signed_census(&self, census: &Census, fact: &Fact) -> Result<(), String> {
        let version = census.version;
        let policy = self
            .policy(census.policy)
            .ok_or_else(|| format!("census {version} names policy {}, which is not here", census.policy))?;
        if fact.role_signed(policy.role(RoleName::Enrol)) {
            Ok(())
        } else {
            Err(format!("too few enrol keys of policy {} have signed census {version}", census.policy))
        }
    }

    /// The fleet.
    pub fn fleet(&self) -> FleetId {
        self.fleet
    }

    /// The newest policy.
    pub fn newest_policy(&self) -> &Arc<Policy> {
        let (policy, _) = self.policies.last().expect("BUG: a bundle has at least one policy");
        policy
    }

    /// Id of the newest policy's body: what the next one links to.
    pub fn newest_policy_id(&self) -> Digest {
        self.policies.last().expect("BUG: a bundle has at least one policy").1.id
    }

    /// The policy of this version.
    pub fn policy(&self, version: u32) -> Option<&Arc<Policy>> {
        let place = usize::try_from(version.checked_sub(1)?).ok()?;
        self.policies.get(place).map(|(policy, _)| policy)
    }

    /// The newest census, if a node is enrolled.
    pub fn census(&self) -> Option<&Arc<Census>> {
        self.census.as_ref().map(|(census, _)| census)
    }

    /// The newest census as it is signed.
    pub fn census_fact(&self) -> Option<&Fact> {
        self.census.as_ref().map(|(_, fact)| fact)
    }

    /// The newest policy as it is signed.
    pub fn newest_policy_fact(&self) -> &Fact {
        &self.policies.last().expect("BUG: a bundle has at least one policy").1
    }

    /// All documents in the order in which they can be accepted.
    pub fn facts(&self) -> Vec<SignedFact> {
        let policies = self.policies.iter().map(|(_, fact)| fact.signed.clone());
        policies.chain(self.census.iter().map(|(_, fact)| fact.signed.clone())).collect()
    }

    /// The bundle as bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode_facts(&self.facts())
    }

    /// Reads and verifies bytes of any origin.
    ///
    /// # Errors
    /// The words say what is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        Self::from_facts(decode_facts(bytes)?)
    }

    /// Reads and verifies a bundle's file.
    ///
    /// # Errors
    /// When it cannot be read or is not sound.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let bytes = read_bounded(path, BUNDLE_MAX)?;
        Self::decode(&bytes).map_err(|why| {
            Problem::bad_input(
                format!("cannot use the fleet bundle {}", path.display()),
                why,
                "copy the bundle again from where `swell fleet` wrote it",
            )
        })
    }

    /// Writes the bundle in place of the one that is there, if any.
    ///
    /// # Errors
    /// When it would be larger than readers accept, or the disk refuses; the old file stays then.
    pub fn write(&self, path: &Path) -> Result<(), Problem> {
        let bytes = self.encode();
        if bytes.len() > BUNDLE_MAX {
            return Err(Problem::refused(
                format!("cannot write {}", path.display()),
                format!(
                    "the fleet's documents need {} bytes, more than the {BUNDLE_MAX} of a bundle",
                    bytes.len()
                ),
                "shorten labels, or found a second fleet",
            ));
        }
        write_atomic(path, &bytes, MODE)
    }

    /// The newer of two bundles of one fleet. Where both have a document of one version, it must be the same.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn newer_of(self, other: &Self) -> Result<Self, String> {
        if self.fleet != other.fleet {
            return Err(format!(
                "one belongs to fleet {:?}, the other to fleet {:?}",
                self.fleet, other.fleet
            ));
        }
        let mut newer = self;
        for (place, (policy, fact)) in other.policies.iter().enumerate() {
            match newer.policies.get(place) {
                Some((_, mine)) if mine.id != fact.id => {
                    return Err(format!("there are two policies of version {}", policy.version));
                }
                Some(_) => {}
                None => newer.add(fact.clone())?,
            }
        }
        if let Some((census, fact)) = &other.census
            && newer.census().is_none_or(|mine| mine.version <= census.version)
        {
            newer.add(fact.clone())?;
        }
        Ok(newer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::testing::{Keys, census_of, first_policy, next_policy};
    use groundswell_protocol::identity::KeyPair;
    use proptest::prelude::*;

    fn bundle() -> (Keys, Bundle) {
        let keys = Keys::new(1);
        let mut bundle = Bundle::found(first_policy(&keys)).expect("founds");
        let census = census_of(&bundle, &keys, &[1, 2, 3]);
        bundle.add(census).expect("census");
        (keys, bundle)
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let (_, bundle) = bundle();
        let again = Bundle::decode(&bundle.encode()).expect("decodes");
        assert_eq!(again.fleet(), bundle.fleet());
        assert_eq!(again.facts(), bundle.facts());
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_refused() {
        let (_, bundle) = bundle();
        let bytes = bundle.encode();
        for end in 0..bytes.len() {
            assert!(Bundle::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            assert!(Bundle::decode(&flipped).is_err(), "flipped at {place}");
        }
    }

    #[test]
    fn a_policy_needs_the_root_keys_before_and_after_it() {
        let (keys, bundle) = bundle();
        let new = Keys::new(2);
        for (signers, word) in
            [(vec![&new.root], "policy 1 have signed policy 2"), (vec![&keys.root], "its own root keys")]
        {
            let why = bundle.clone().add(next_policy(&bundle, &new, &signers)).expect_err("too few");
            assert!(why.contains(word), "{why}");
        }
        let mut rotated = bundle.clone();
        rotated.add(next_policy(&bundle, &new, &[&keys.root, &new.root])).expect("both signed");
        assert_eq!(rotated.newest_policy().version, 2);
        // The census stays valid: the policy that it names is still in the chain.
        assert_eq!(Bundle::decode(&rotated.encode()).expect("decodes").census().expect("census").version, 1);
    }

    #[test]
    fn a_census_needs_the_enrol_role_and_must_follow() {
        let (keys, bundle) = bundle();
        let stranger = Keys { enrol: KeyPair::from_seed(&[9; 32]), ..keys.clone() };
        let why = bundle.clone().add(census_of(&bundle, &stranger, &[1])).expect_err("wrong key");
        assert!(why.contains("enrol"), "{why}");

        let founded = Bundle::found(first_policy(&keys)).expect("founds");
        let twin = census_of(&founded, &keys, &[4]);
        let why = bundle.clone().add(twin).expect_err("a twin");
        assert!(why.contains("two censuses"), "{why}");

        let next = census_of(&bundle, &keys, &[1, 2]);
        bundle.clone().add(next).expect("follows");
    }

    #[test]
    fn the_newer_of_two_has_everything_and_forks_are_named() {
        let (keys, old) = bundle();
        let mut new = old.clone();
        new.add(next_policy(&old, &keys, &[&keys.root])).expect("policy 2");
        new.add(census_of(&new, &keys, &[1, 2, 3, 4])).expect("census 2");
        for (a, b) in [(&old, &new), (&new, &old)] {
            let newer = a.clone().newer_of(b).expect("one fleet");
            assert_eq!(newer.facts(), new.facts());
        }
        let mut fork = old.clone();
        fork.add(next_policy(&old, &Keys::new(1).renamed("fork"), &[&keys.root])).expect("policy 2");
        assert!(new.clone().newer_of(&fork).expect_err("fork").contains("two policies of version 2"));
        let other = Bundle::found(first_policy(&Keys::new(5))).expect("founds");
        assert!(new.newer_of(&other).expect_err("other fleet").contains("fleet"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Bundle::decode(&[BUNDLE_MAGIC, &bytes].concat());
        }
    }
}
