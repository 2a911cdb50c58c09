//! One simulated machine: the core's node with a disk, slots and a service around it.
//!
//! Durable: [`disk::Disk`] and [`slots::Slots`]. Everything else dies in [`Machine::crash`]. A machine
//! knows nothing of other machines: what it decides comes out of [`Machine::handle`] as effects, and
//! the world performs them.

pub mod clock;
pub mod disk;
pub mod effects;
pub mod fetch;
pub mod message;
pub mod notary;
pub mod parts;
pub mod reader;
pub mod records;
pub mod service;
pub mod slots;

use std::collections::BTreeSet;
use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::few::Few;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::status::Standing;
use groundswell_protocol::node::{Config, Input, Node, Record, Size, Status};
use groundswell_protocol::time::Time;
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::policy::FleetId;

use crate::generator::Generator;
use crate::scenario::DiskFault;
use crate::world::queue::Moment;
use clock::Clock;
use disk::Disk;
use effects::Effects;
use fetch::Fetch;
use reader::Remembering;
use service::Probing;
use slots::Slots;

/// A machine's own monotonic clock begins anywhere up to here: the core must not compare clocks.
const CLOCK_ORIGIN_MILLISECONDS: u64 = 1_000_000_000;

/// A simulated machine.
pub struct Machine {
    /// Its place among the machines of the run.
    pub place: u32,
    /// Its key's public half.
    pub id: NodeId,
    /// Records: durable.
    pub disk: Disk,
    /// Its clocks.
    pub clock: Clock,
    /// Slots: durable.
    pub slots: Few<ComponentName, Slots>,
    /// Probing, by component.
    pub probing: Few<ComponentName, Probing>,
    /// When what is in the active slot was started.
    pub running_since: Few<ComponentName, Moment>,
    /// When the last switch that was asked for ends: the agent switches in the order in which it is told to.
    pub switches_end: Moment,
    /// Fetches under way.
    pub fetching: Few<RolloutId, Fetch>,
    /// Stagings under way.
    pub staging: BTreeSet<RolloutId>,
    /// Counts lives: what was asked for in an earlier life is void.
    pub life: u32,
    /// The one wake in the queue that counts: when it comes, and its number.
    pub armed: Option<(Moment, u64)>,
    /// The moment at which the core was last woken, and how often at it.
    pub woken: (Moment, u32),
    /// Whether an operator's power-on is still to come (a machine that is off comes back only by script).
    pub buried: bool,
    /// Whether it has lost state that older versions need.
    pub spoiled: bool,
    /// Slots as they were when the disk began to forget.
    forgotten: Option<Few<ComponentName, Slots>>,
    /// Records and slots as they were remembered.
    image: Option<(Vec<Record>, Few<ComponentName, Slots>)>,
    config: Config,
    reader: Arc<Remembering>,
    node: Option<Node>,
    generator: Generator,
}

impl Machine {
    /// A machine that is off.
    pub fn new(place: u32, config: Config, reader: Arc<Remembering>, root: &Generator) -> Self {
        let generator = root.split("machine", u64::from(place));
        let slots = config.components.iter().map(|c| (c.clone(), Slots::default())).collect();
        Self {
            place,
            id: config.key.public(),
            disk: Disk::default(),
            clock: Clock::default(),
            slots,
            probing: Few::default(),
            running_since: Few::default(),
            switches_end: Moment::default(),
            fetching: Few::default(),
            staging: BTreeSet::new(),
            life: 0,
            armed: None,
            woken: (Moment::default(), 0),
            buried: false,
            spoiled: false,
            forgotten: None,
            image: None,
            config,
            reader,
            node: None,
            generator,
        }
    }

    /// Whether the agent runs.
    pub fn is_on(&self) -> bool {
        self.node.is_some()
    }

    /// Starts the agent on what the disk holds.
    pub fn start(&mut self) {
        self.life += 1;
        self.clock.restart(self.generator.below(CLOCK_ORIGIN_MILLISECONDS));
        let entropy = groundswell_protocol::node::Entropy(self.generator.bytes32());
        let reader = Arc::clone(&self.reader);
        self.node = Some(Node::reading(self.config.clone(), self.disk.records(), entropy, reader));
        self.armed = None;
    }

    /// The power goes. Returns the records that became durable in that moment.
    pub fn crash(&mut self) -> Vec<Record> {
        self.life += 1;
        self.node = None;
        self.probing.clear();
        self.fetching.clear();
        self.staging.clear();
        self.switches_end = Moment::default();
        self.armed = None;
        if let Some(slots) = &self.forgotten {
            self.slots = slots.clone();
        }
        self.disk.crash(&mut self.generator)
    }

    /// Something goes wrong with its disk, until [`Machine::mend_disk`].
    pub fn ail(&mut self, fault: DiskFault) {
        self.disk.ail(fault);
        if self.disk.forgets() && self.forgotten.is_none() {
            self.forgotten = Some(self.slots.clone());
        }
    }

    /// A fault of its disk ends.
    pub fn mend_disk(&mut self, fault: DiskFault) {
        self.disk.mend(fault);
        if !self.disk.forgets() {
            self.forgotten = None;
        }
    }

    /// Remembers disk and slots as they are.
    pub fn take_image(&mut self) {
        self.image = Some((self.disk.records(), self.slots.clone()));
    }

    /// Puts back what was remembered. The machine must be off.
    pub fn put_image_back(&mut self, fleet: FleetId) {
        if let Some((records, slots)) = self.image.clone() {
            self.disk.replace(records.into_iter().map(|record| (record.key(fleet).into(), record)));
            self.slots = slots;
            self.forgotten = None;
        }
    }

    /// Puts in a new disk, with what a machine has when it is set up: these records, and one tree that runs.
    /// The machine must be off.
    pub fn wipe(
        &mut self,
        fleet: FleetId,
        records: Vec<Record>,
        component: &ComponentName,
        tree: Option<Digest>,
    ) {
        self.disk.replace(records.into_iter().map(|record| (record.key(fleet).into(), record)));
        self.spoiled = false;
        let slots = Slots { active: tree, trees: tree.into_iter().collect(), ..Slots::default() };
        self.slots = std::iter::once((component.clone(), slots)).collect();
        self.forgotten = None;
    }

    /// Hands an input to the core. Nothing comes of it while the machine is off.
    pub fn handle(&mut self, now: Moment, input: Input<'_>, effects: &mut Effects) {
        let time = self.core_time(now);
        if let Some(node) = &mut self.node {
            node.handle(time, input, effects);
        }
    }

    /// When the core wants to be woken.
    pub fn deadline(&self) -> Option<Moment> {
        let time = self.node.as_ref()?.next_deadline()?;
        Some(self.clock.reaches(time.0))
    }

    /// What the node knows; `None` while it is off.
    pub fn status(&self, now: Moment) -> Option<Status> {
        Some(self.node.as_ref()?.status(self.core_time(now)))
    }

    /// Where the node stands with one rollout; `None` while it is off, and where it does not follow it.
    pub fn standing(&self, rollout: RolloutId) -> Option<Standing> {
        self.node.as_ref()?.standing(rollout)
    }

    /// How large the core's tables are, and how many writes it waits for; nothing while it is off.
    pub fn sizes(&self) -> (Vec<Size>, usize) {
        self.node.as_ref().map_or((Vec::new(), 0), |node| (node.sizes(), node.writes_under_way()))
    }

    /// The members of its site that are there, as its core knows them; none while it is off.
    pub fn site(&self, now: Moment) -> Vec<NodeId> {
        self.node.as_ref().map_or_else(Vec::new, |node| node.site(self.core_time(now)).1)
    }

    /// This machine's luck.
    pub fn luck(&mut self) -> &mut Generator {
        &mut self.generator
    }

    /// A component's slots; a component that the machine does not have gets empty ones.
    pub fn slots_of(&mut self, component: &ComponentName) -> &mut Slots {
        self.slots.get_or_insert_with(component, Slots::default)
    }

    fn core_time(&self, now: Moment) -> Time {
        Time(self.clock.shows(now))
    }
}
