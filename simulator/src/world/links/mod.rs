//! Links between machines: distance, jitter, bandwidth, loss, duplicates, damage, cuts and clogs.
//!
//! Latency has a part for the zones, a fixed part for each pair and a varying part for each frame, so
//! frames overtake each other. A frame leaves when the sender's line is free; bytes of releases share the
//! lines beside ([`super::flows`]). Who can have a link at all is [`Links::connected`]; what becomes of one
//! frame is [`Links::carry`]. Every machine has its own stream of luck and every frame takes the same number
//! of draws from it, whatever is wrong with the links: a fault that is left out moves no draw.

mod islands;
mod law;
mod places;
#[cfg(test)]
mod tests;

use super::queue::Moment;
use crate::generator::{Dice, Generator, mix};

pub use law::{Bursts, ClassLaw, ClassName, Distance, LinkLaw, Reach};
pub use places::Places;

/// A line that is busy for longer than this takes no more: the rest is lost.
const LINE_QUEUE_MICROS: u64 = 5_000_000;
/// What a clog held arrives within so many microseconds of its end.
const CLOG_SPREAD_MICROS: u64 = 20_000;

/// Names a fault of the links that lasts.
pub type FaultId = u64;

/// A machine's own line.
struct Line {
    luck: Generator,
    zone: u16,
    /// Whether it is in a burst of losses.
    ill: bool,
    /// When it has sent all that waits.
    free: Moment,
    up_bytes: u64,
    down_bytes: u64,
    reach: Reach,
}

/// What else befalls frames of some machines for a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// More frames lost, of 1,000.
    pub loss: u32,
    /// Bursts of loss.
    pub bursts: Option<Bursts>,
    /// More frames twice, of 1,000.
    pub duplicates: u32,
    /// More frames late, of 1,000.
    pub late: u32,
    /// More frames damaged, of 1,000.
    pub damage: u32,
    /// Every frame takes so many microseconds more.
    pub delay_micros: u64,
}

/// Frames that go from one set of machines to another.
#[derive(Clone, Debug)]
struct Way {
    from: Places,
    to: Places,
}

impl Way {
    fn takes(&self, from: u32, to: u32) -> bool {
        self.from.contains(from) && self.to.contains(to)
    }
}

/// A frame that will arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Moment,
    /// Which byte is flipped, and by what; `None`: it arrives as it was sent.
    pub damage: Option<(usize, u8)>,
}

/// What becomes of a frame: its arrivals, none to two.
pub type Arrivals = [Option<Arrival>; 2];

/// Frames by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Cut off, or out of reach.
    pub cut: u64,
    /// Lost by chance, or in a line that was full.
    pub lost: u64,
    /// Arrived twice.
    pub doubled: u64,
    /// Held up, so that others overtook them.
    pub late: u64,
    /// Held by a clog.
    pub clogged: u64,
    /// Damaged.
    pub damaged: u64,
}

/// The links of a run.
pub struct Links {
    law: LinkLaw,
    pairs: u64,
    lines: Vec<Line>,
    /// Each machine's side; machines of different sides cannot reach each other.
    sides: Vec<u8>,
    /// Whether every machine can be dialled: the usual case, in which nothing is looked up.
    all_open: bool,
    cuts: Vec<(FaultId, Way)>,
    clogs: Vec<(FaultId, Way, Moment)>,
    weathers: Vec<(FaultId, Places, Weather)>,
    tally: Tally,
}

/// What each of a frame's dice decides.
#[derive(Clone, Copy)]
enum Die {
    Turn,
    Loss,
    Double,
    Late,
    Damage,
    Jitter,
    Place,
    Again,
}

/// Dice of one frame.
const DICE: u64 = 8;

impl Die {
    /// What this one shows.
    fn shows(self, dice: Dice) -> u64 {
        dice.die(self as u64)
    }

    /// Whether it falls into `permille` of 1,000.
    fn falls(self, dice: Dice, permille: u32) -> bool {
        permille > 0 && share(self.shows(dice), 1000) < u64::from(permille)
    }
}

/// A die's share of `bound`: below it, or 0.
fn share(die: u64, bound: u64) -> u64 {
    u64::try_from((u128::from(die) * u128::from(bound)) >> 64).unwrap_or(0)
}

/// How long so many bytes take on a line.
fn micros_of(bytes: u64, per_second: u64) -> u64 {
    bytes.saturating_mul(1_000_000) / per_second.max(1)
}

impl Links {
    /// Links between machines in these zones, all on one side. Zones are counted in the order of the law's
    /// table of distances.
    pub fn new(law: LinkLaw, zones: &[u16], root: &Generator) -> Self {
        let line = |(place, zone): (u64, &u16)| Line {
            luck: root.split("weather", place),
            zone: *zone,
            ill: false,
            free: Moment::default(),
            up_bytes: law.up_bytes,
            down_bytes: law.down_bytes,
            reach: Reach::Open,
        };
        let lines: Vec<Line> = (0..).zip(zones).map(line).collect();
        Self {
            law,
            pairs: root.split("latency", 0).draw(),
            lines,
            sides: vec![0; zones.len()],
            all_open: true,
            cuts: Vec::new(),
            clogs: Vec::new(),
            weathers: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// How they behave.
    pub fn law(&self) -> &LinkLaw {
        &self.law
    }

    /// What became of frames so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Gives a machine the lines and the reach of its class.
    pub fn set_class(&mut self, node: u32, class: &ClassLaw) {
        let line = &mut self.lines[node as usize];
        line.up_bytes = class.up_bytes.unwrap_or(self.law.up_bytes);
        line.down_bytes = class.down_bytes.unwrap_or(self.law.down_bytes);
        line.reach = class.reach;
        self.all_open &= class.reach == Reach::Open;
    }

    /// Bytes that a machine sends, and takes in, each second.
    pub fn rates(&self, node: u32) -> (u64, u64) {
        let line = &self.lines[node as usize];
        (line.up_bytes, line.down_bytes)
    }

    /// Whether two machines can have a link: frames pass both ways.
    pub fn connected(&self, one: u32, other: u32) -> bool {
        self.passes(one, other) && self.passes(other, one)
    }

    /// Whether frames pass from one machine to another.
    pub fn passes(&self, from: u32, to: u32) -> bool {
        self.sides[from as usize] == self.sides[to as usize]
            && (self.all_open || self.meets(from, to))
            && !self.cuts.iter().any(|(_, way)| way.takes(from, to))
    }

    /// The number of a machine's zone.
    pub fn zone(&self, node: u32) -> u16 {
        self.lines[node as usize].zone
    }

    fn meets(&self, one: u32, other: u32) -> bool {
        let (a, b) = (self.lines[one as usize].reach, self.lines[other as usize].reach);
        a.meets(b, self.zone(one) == self.zone(other))
    }

    /// Whether bytes of releases flow from one machine to another.
    pub fn flows(&self, from: u32, to: u32) -> bool {
        self.connected(from, to) && self.clogged_until(from, to).is_none()
    }

    /// Which side a machine is on.
    pub fn side(&self, node: u32) -> u8 {
        self.sides[node as usize]
    }

    /// Puts a machine on a side.
    pub fn set_side(&mut self, node: u32, side: u8) {
        self.sides[node as usize] = side;
    }

    /// Puts everybody on one side again. Cuts and clogs have ends of their own.
    pub fn heal(&mut self) {
        self.sides.fill(0);
    }

    /// Drops what goes from one set of machines to another, until [`Links::end`].
    pub fn cut(&mut self, fault: FaultId, from: Places, to: Places) {
        self.cuts.push((fault, Way { from, to }));
    }

    /// Holds what goes from one set of machines to another until a moment.
    pub fn clog(&mut self, fault: FaultId, from: Places, to: Places, until: Moment) {
        self.clogs.push((fault, Way { from, to }, until));
    }

    /// Lets frames from and to some machines suffer, until [`Links::end`].
    pub fn darken(&mut self, fault: FaultId, who: Places, weather: Weather) {
        self.weathers.push((fault, who, weather));
    }

    /// Ends a fault.
    pub fn end(&mut self, fault: FaultId) {
        self.cuts.retain(|(id, _)| *id != fault);
        self.clogs.retain(|(id, ..)| *id != fault);
        self.weathers.retain(|(id, ..)| *id != fault);
    }

    /// One-way latency between two machines without the varying part, in microseconds.
    pub fn fixed_latency_micros(&self, from: u32, to: u32) -> u64 {
        let (low, high) = (from.min(to), from.max(to));
        let die = mix(self.pairs ^ mix(u64::from(low) << 32 | u64::from(high)));
        let (least, most) = (self.law.latency_min_micros, self.law.latency_max_micros);
        let row = self.law.distances.get(usize::from(self.zone(from)));
        let far = row.and_then(|row| row.get(usize::from(self.zone(to)))).map_or(0, |far| far.0);
        far + least + share(die, most.saturating_sub(least) + 1)
    }

    /// One-way latency of something that is no frame, in microseconds.
    pub fn latency_micros(&self, from: u32, to: u32) -> u64 {
        self.fixed_latency_micros(from, to) + self.law.jitter_micros / 2
    }

    /// Takes a frame of so many bytes, and says what becomes of it.
    pub fn carry(&mut self, now: Moment, from: u32, to: u32, bytes: u64) -> Arrivals {
        let line = &mut self.lines[from as usize];
        let dice = line.luck.dice(DICE);
        if !self.passes(from, to) {
            self.tally.cut += 1;
            return [None; 2];
        }
        let weather = self.weather(from, to);
        let fixed = self.fixed_latency_micros(from, to) + weather.delay_micros;
        let law = &self.law;
        let line = &mut self.lines[from as usize];
        line.ill = weather.bursts.is_some_and(|bursts| {
            if line.ill { !Die::Turn.falls(dice, bursts.end) } else { Die::Turn.falls(dice, bursts.begin) }
        });
        let bursting = weather.bursts.filter(|_| line.ill).map_or(0, |bursts| bursts.loss);
        let begins = line.free.max(now);
        let full = begins.0 - now.0 > LINE_QUEUE_MICROS;
        if full || Die::Loss.falls(dice, weather.loss + bursting) {
            self.tally.lost += 1;
            return [None; 2];
        }
        line.free = begins.after_micros(micros_of(bytes, line.up_bytes));
        let held_up = Die::Late.falls(dice, weather.late);
        let late_by = if held_up { share(mix(Die::Late.shows(dice)), law.late_by_micros) } else { 0 };
        let mut at =
            line.free.after_micros(fixed + share(Die::Jitter.shows(dice), law.jitter_micros + 1) + late_by);
        if let Some(until) = self.clogged_until(from, to) {
            self.tally.clogged += 1;
            at = at.max(until.after_micros(share(Die::Again.shows(dice), CLOG_SPREAD_MICROS)));
        }
        let damaged = (bytes > 0 && Die::Damage.falls(dice, weather.damage)).then(|| {
            let place = Die::Place.shows(dice);
            let byte = usize::try_from(share(place, bytes)).unwrap_or(0);
            (byte, 1 << (mix(place) % 8))
        });
        self.tally.late += u64::from(held_up);
        self.tally.damaged += u64::from(damaged.is_some());
        let doubled = Die::Double.falls(dice, weather.duplicates);
        self.tally.doubled += u64::from(doubled);
        let second = || at.after_micros(share(Die::Again.shows(dice), law.jitter_micros + 1));
        let first = Arrival { at, damage: damaged };
        // The second copy is whole: what is damaged once need not be twice.
        [Some(first), doubled.then(|| Arrival { at: second(), damage: None })]
    }

    fn clogged_until(&self, from: u32, to: u32) -> Option<Moment> {
        self.clogs.iter().filter(|(_, way, _)| way.takes(from, to)).map(|(.., until)| *until).max()
    }

    /// The law and all weathers together, for one pair.
    fn weather(&self, from: u32, to: u32) -> Weather {
        let law = &self.law;
        let mut sum = Weather {
            loss: law.loss_permille,
            bursts: law.bursts,
            duplicates: law.duplicate_permille,
            late: law.late_permille,
            damage: law.damage_permille,
            delay_micros: 0,
        };
        for (_, who, weather) in &self.weathers {
            if who.contains(from) || who.contains(to) {
                sum.loss += weather.loss;
                sum.bursts = weather.bursts.or(sum.bursts);
                sum.duplicates += weather.duplicates;
                sum.late += weather.late;
                sum.damage += weather.damage;
                sum.delay_micros += weather.delay_micros;
            }
        }
        sum
    }
}
