//! Hands each effect to the room that does it.

use groundswell_protocol::node::{Event, Recipe, Record, Trouble, Verdict, Work};

use super::Agent;
use super::bytes::Fetched;
use super::effects::{Effect, Effects};
use crate::link;
use crate::slots::{Slots, Source, StageError};
use crate::store::blobs::BlobStore;
use crate::store::journal::Write;
use crate::telemetry::logs::log_event;

/// What the core's verdict means for the gossip overlay. Only what a peer should have known better is held against it.
pub(super) fn gossip_verdict(verdict: Option<&Verdict>) -> link::Verdict {
    use groundswell_protocol::node::event::Blame;
    match verdict {
        Some(Verdict::Accepted) => link::Verdict::Accept,
        Some(Verdict::Refused(why)) if why.blame() == Blame::Peer => link::Verdict::Reject,
        Some(Verdict::Known | Verdict::Refused(_)) | None => link::Verdict::Ignore,
    }
}

impl Agent {
    /// Performs effects in their order. Returns the fetches that ended at once.
    pub(super) fn perform(&mut self, effects: Effects) -> Vec<Fetched> {
        let mut ended = Vec::new();
        let mut batch = Batch::default();
        for effect in effects.list {
            match effect {
                Effect::Persist { id, record } => batch.add(id, self.fleet, &record),
                Effect::Send { to, frame } => self.link.send(to, frame),
                Effect::Broadcast(frame) => self.link.broadcast(frame),
                Effect::Forget(key) => {
                    batch.flush(&self.journal);
                    self.journal.forget(key);
                }
                Effect::Fetch { work, holders } => ended.extend(self.bytes.fetch(&work, &holders)),
                Effect::Stage(work) => self.stage(work),
                Effect::Cancel(rollout) => self.bytes.cancel(rollout),
                Effect::Activate { component, tree } => self.components.activate(&component, tree),
                Effect::Revert { component, tree } => self.components.revert(&component, tree),
                Effect::Confirm { component, tree, keep } => {
                    self.components.confirm(&component, tree, keep);
                    self.clean_store();
                }
                Effect::Probe { component, tree, probes } => self.components.probe(&component, tree, probes),
                Effect::Admit(members) => self.link.admit(members.into_iter().collect()),
                Effect::Learn { node, addresses } => self.link.learn(node, addresses),
                Effect::Report(event) => self.report(event),
            }
        }
        batch.flush(&self.journal);
        ended
    }

    fn report(&self, event: Event) {
        log_event(&event);
        self.metrics.observe(&event);
        self.events.push(event);
    }
}

/// Writes of one `handle` call: one transaction.
#[derive(Default)]
struct Batch {
    last: u64,
    writes: Vec<Write>,
}

impl Batch {
    fn add(&mut self, id: u64, fleet: groundswell_protocol::trust::policy::FleetId, record: &Record) {
        self.last = id;
        self.writes.push(Write { key: record.key(fleet), value: Some(record.encode()) });
    }

    fn flush(&mut self, journal: &crate::store::journal::Writer) {
        if !self.writes.is_empty() {
            journal.write(self.last, std::mem::take(&mut self.writes));
        }
    }
}

/// Builds a tree by its recipe: complete, verified and durable on return.
pub(super) fn build(slots: &Slots, store: &BlobStore, work: &Work) -> Result<(), Trouble> {
    let component = slots.component(&work.component).map_err(|error| Trouble::Local(error.to_string()))?;
    if component.has(&work.tree) {
        return Ok(());
    }
    let local = |error: crate::store::blobs::StoreError| Trouble::Local(error.to_string());
    let built = match &work.recipe {
        Recipe::Present => return Err(Trouble::Local("the slot that held the tree is gone".to_owned())),
        Recipe::Delta { from, blob, .. } => {
            let delta = store.open_blob(blob).map_err(local)?;
            let delta = delta.ok_or_else(|| Trouble::Local("the delta is gone from the store".to_owned()))?;
            component.stage(&work.tree, Source::Delta { old: from, delta, bytes: work.bytes })
        }
        Recipe::Chunks => {
            let index = store.read(&work.tree).map_err(local)?;
            let index = index.ok_or_else(|| Trouble::Local("the index is gone from the store".to_owned()))?;
            let chunk = |digest: &_| store.read(digest).ok().flatten();
            component.stage(&work.tree, Source::Chunks { index: &index, chunk: &chunk })
        }
    };
    built.map(|_| ()).map_err(|error| trouble(&error))
}

fn trouble(error: &StageError) -> Trouble {
    if error.is_no_space() {
        Trouble::NoSpace(error.to_string())
    } else if error.is_bad_bytes() {
        Trouble::BadBytes(error.to_string())
    } else {
        Trouble::Local(error.to_string())
    }
}
