//! The policies and censuses that a node holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::census::Census;
use super::policy::Policy;
use crate::digest::Digest;

/// The policies and censuses that a node holds. Two of one version are both kept: that is the proof of
/// a conflict, and an alarm; the lower id counts as that version's, so that all who know both agree.
#[derive(Debug, Default)]
pub struct Trust {
    policies: BTreeMap<(u32, Digest), Arc<Policy>>,
    censuses: BTreeMap<(u32, Digest), Arc<Census>>,
    /// What follows from these, kept: it is asked for with every fact.
    newest_policy: Option<Arc<Policy>>,
    newest_census: Option<(Digest, Arc<Census>)>,
}

impl Trust {
    /// Adds a policy that was accepted.
    pub fn add_policy(&mut self, id: Digest, policy: Arc<Policy>) {
        self.policies.insert((policy.version, id), policy);
        let newest = self.policies.last_key_value().map(|((version, _), _)| *version);
        self.newest_policy = newest.and_then(|version| self.policy(version)).cloned();
    }

    /// Adds a census that was accepted.
    pub fn add_census(&mut self, id: Digest, census: Arc<Census>) {
        self.censuses.insert((census.version, id), census);
        self.find_newest_census();
    }

    /// Forgets a census.
    pub fn remove_census(&mut self, version: u32, id: Digest) {
        self.censuses.remove(&(version, id));
        self.find_newest_census();
    }

    /// The policies of a version, by id.
    pub fn policies(&self, version: u32) -> impl Iterator<Item = (&Digest, &Arc<Policy>)> {
        let ends = (version, Digest([0; 32]))..=(version, Digest([255; 32]));
        self.policies.range(ends).map(|((_, id), policy)| (id, policy))
    }

    /// The policy that counts for a version.
    pub fn policy(&self, version: u32) -> Option<&Arc<Policy>> {
        self.policies(version).next().map(|(_, policy)| policy)
    }

    /// The newest policy.
    pub fn newest_policy(&self) -> Option<&Arc<Policy>> {
        self.newest_policy.as_ref()
    }

    /// How many policies are held.
    pub fn policy_count(&self) -> usize {
        self.policies.len()
    }

    /// The censuses of a version, by id.
    pub fn censuses(&self, version: u32) -> impl Iterator<Item = (&Digest, &Arc<Census>)> {
        let ends = (version, Digest([0; 32]))..=(version, Digest([255; 32]));
        self.censuses.range(ends).map(|((_, id), census)| (id, census))
    }

    /// The census with this id.
    pub fn census(&self, id: Digest) -> Option<&Arc<Census>> {
        self.censuses.iter().find(|((_, held), _)| *held == id).map(|(_, census)| census)
    }

    /// The newest census, with its id: of those under the newest policy that signed any, the highest
    /// version. So an enrol key that root has taken away cannot outbid its successor's censuses.
    pub fn newest_census(&self) -> Option<(Digest, &Arc<Census>)> {
        self.newest_census.as_ref().map(|(id, census)| (*id, census))
    }

    fn find_newest_census(&mut self) {
        let held = self.censuses.iter().map(|((version, id), census)| (census.policy, *version, *id));
        let newest = held.max_by_key(|(policy, version, _)| (*policy, *version));
        self.newest_census = newest.and_then(|(policy, version, _)| {
            let mut of_version = self.censuses(version);
            of_version
                .find(|(_, census)| census.policy == policy)
                .map(|(id, census)| (*id, Arc::clone(census)))
        });
    }

    /// The names of all censuses, oldest first.
    pub fn census_names(&self) -> Vec<(u32, Digest)> {
        self.censuses.keys().copied().collect()
    }

    /// The version of which two policies or censuses are held, in words, if there is one.
    pub fn conflict(&self) -> Option<String> {
        let twin = |versions: Vec<u32>| versions.windows(2).find(|w| w[0] == w[1]).map(|w| w[0]);
        let policies = twin(self.policies.keys().map(|(v, _)| *v).collect());
        let censuses = twin(self.censuses.keys().map(|(v, _)| *v).collect());
        policies
            .map(|v| format!("two policies of version {v} are signed"))
            .or_else(|| censuses.map(|v| format!("two censuses of version {v} are signed")))
    }
}
