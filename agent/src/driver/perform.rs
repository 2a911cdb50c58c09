//! Hands each effect to the room that does it.

use std::io;
use std::ops::ControlFlow;

use groundswell_delta::OpenFile;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::node::event::Blame;
use groundswell_protocol::node::{DeltaStep, Event, Recipe, Record, Trouble, Verdict, Work};
use groundswell_protocol::recording::{Effect, Effects};
use groundswell_protocol::trust::policy::FleetId;

use super::Agent;
use super::bytes::Fetched;
use crate::link;
use crate::slots::{DeltaSource, Slots, Source};
use crate::store::blobs::{BlobStore, StoreError};
use crate::store::journal::{Write, Writer};
use crate::telemetry::logs::log_event;

/// What the core's verdict means for the gossip overlay. Only what a peer should have known better is held against it.
pub(super) fn gossip_verdict(verdict: Option<&Verdict>) -> link::Verdict {
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
                Effect::Learn { node, addresses } => self.link.learn(node, &addresses),
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
    fn add(&mut self, id: u64, fleet: FleetId, record: &Record) {
        self.last = id;
        self.writes.push(Write { key: record.key(fleet), value: Some(record.encode()) });
    }

    fn flush(&mut self, journal: &Writer) {
        if !self.writes.is_empty() {
            journal.write(self.last, std::mem::take(&mut self.writes));
        }
    }
}

/// Builds a tree by its recipe: complete, verified and durable on return.
pub(super) fn build(slots: &Slots, store: &BlobStore, work: &Work) -> Result<(), Trouble> {
    let component = slots.component(work.component.as_str()).map_err(|error| error.trouble())?;
    if component.has(&work.tree) {
        return Ok(());
    }
    let unstored = |error: StoreError| Trouble::Local(error.to_string());
    let gone = |what: &str| Trouble::Local(format!("{what} is gone from the store"));
    let go_on = |_| ControlFlow::Continue(());
    let built = match &work.recipe {
        Recipe::Present => return Err(Trouble::Local("the slot that held the tree is gone".to_owned())),
        Recipe::Deltas { from, steps } => {
            let mut deltas = Vec::new();
            for step in steps {
                let delta =
                    store.open_blob(&step.blob).map_err(unstored)?.ok_or_else(|| gone("the delta"))?;
                deltas.push(OpenFile::new(delta).map_err(|error| Trouble::Local(error.to_string()))?);
            }
            let steps: Vec<_> =
                steps.iter().zip(&deltas).map(|(step, delta)| source_of(step, delta)).collect();
            let source = Source::Deltas { old: *from, steps: &steps };
            component.stage(&work.tree, work.bytes, source, &go_on)
        }
        Recipe::Chunks => {
            let index = store.read(&work.tree).map_err(unstored)?.ok_or_else(|| gone("the tree's index"))?;
            let blobs = |digest: &Digest| store.read(digest).map_err(io::Error::other);
            let source = Source::Chunks { index: &index, blobs: &blobs };
            component.stage(&work.tree, work.bytes, source, &go_on)
        }
    };
    built.map(|_| ()).map_err(|error| error.trouble())
}

fn source_of<'a>(step: &DeltaStep, delta: &'a OpenFile) -> DeltaSource<'a> {
    DeltaSource { tree: step.tree, tree_bytes: step.tree_bytes, delta, delta_bytes: step.bytes }
}

/// Puts the tree's index into the store: peers that build from chunks ask for it, however it came here.
pub(super) fn offer_index(slots: &Slots, store: &BlobStore, work: &Work) -> Result<(), Trouble> {
    if store.has(&work.tree) {
        return Ok(());
    }
    let Some(index) = slots.read_index(&work.tree) else {
        return Err(Trouble::Local("the new slot's index cannot be read".to_owned()));
    };
    store.insert(&index).map(|_| ()).map_err(|error| match error.is_no_space() {
        true => Trouble::NoSpace(error.to_string()),
        false => Trouble::Local(error.to_string()),
    })
}
