//! The policies and censuses that a node holds.

use std::sync::Arc;

use super::census::Census;
use super::policy::Policy;
use crate::digest::Digest;

/// Documents by version and id, in their order: few.
type Documents<T> = Vec<((u32, Digest), Arc<T>)>;

fn put<T>(documents: &mut Documents<T>, name: (u32, Digest), document: Arc<T>) {
    match documents.binary_search_by_key(&name, |(held, _)| *held) {
        Ok(place) => documents[place].1 = document,
        Err(place) => {
            documents.reserve_exact(1);
            documents.insert(place, (name, document));
        }
    }
}

fn of_version<T>(documents: &Documents<T>, version: u32) -> impl Iterator<Item = (&Digest, &Arc<T>)> {
    let from = documents.partition_point(|((held, _), _)| *held < version);
    let of_version = documents[from..].iter().take_while(move |((held, _), _)| *held == version);
    of_version.map(|((_, id), document)| (id, document))
}

/// The policies and censuses that a node holds. Two of one version are both kept: that is the proof of
/// a conflict, and an alarm; the lower id counts as that version's, so that all who know both agree.
#[derive(Debug, Default)]
pub struct Trust {
    policies: Documents<Policy>,
    censuses: Documents<Census>,
    /// What follows from these, kept: it is asked for with every fact.
    newest_policy: Option<Arc<Policy>>,
    newest_census: Option<(Digest, Arc<Census>)>,
}

impl Trust {
    /// Adds a policy that was accepted.
    pub fn add_policy(&mut self, id: Digest, policy: Arc<Policy>) {
        put(&mut self.policies, (policy.version, id), policy);
        let newest = self.policies.last().map(|((version, _), _)| *version);
        self.newest_policy = newest.and_then(|version| self.policy(version)).cloned();
    }

    /// Adds a census that was accepted.
    pub fn add_census(&mut self, id: Digest, census: Arc<Census>) {
        put(&mut self.censuses, (census.version, id), census);
        self.find_newest_census();
    }

    /// Forgets a census.
    pub fn remove_census(&mut self, version: u32, id: Digest) {
        self.censuses.retain(|(name, _)| *name != (version, id));
        self.find_newest_census();
    }

    /// The policies of a version, by id.
    pub fn policies(&self, version: u32) -> impl Iterator<Item = (&Digest, &Arc<Policy>)> {
        of_version(&self.policies, version)
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
        of_version(&self.censuses, version)
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

    /// How many censuses are held.
    pub fn census_count(&self) -> usize {
        self.censuses.len()
    }

    /// The names of all censuses, oldest first.
    pub fn census_names(&self) -> Vec<(u32, Digest)> {
        self.censuses.iter().map(|(name, _)| *name).collect()
    }

    /// The version of which two policies or censuses are held, in words, if there is one.
    pub fn conflict(&self) -> Option<String> {
        let twin = |versions: Vec<u32>| versions.windows(2).find(|w| w[0] == w[1]).map(|w| w[0]);
        let policies = twin(self.policies.iter().map(|((v, _), _)| *v).collect());
        let censuses = twin(self.censuses.iter().map(|((v, _), _)| *v).collect());
        policies
            .map(|v| format!("two policies of version {v} are signed"))
            .or_else(|| censuses.map(|v| format!("two censuses of version {v} are signed")))
    }
}
