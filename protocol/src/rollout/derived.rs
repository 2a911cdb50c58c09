//! What follows from a rollout's registers, on whatever node they lie. All of it only rises.

use std::borrow::Cow;

use super::roster::Roster;
use crate::facts::{BallotKind, Key, Registers, RolloutId, Say, Statement, StopReason};
use crate::identity::NodeId;
use crate::mutations::{self, Mutation};
use crate::trust::command::{CommandKind, Instruction};

/// Why a rollout is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// f + 1 jurors say so; the strongest reason among them.
    Jury(StopReason),
    /// An operator's word.
    Operator,
    /// Another signed manifest has the same place in the component's order.
    Conflict,
}

impl Stop {
    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Jury(StopReason::Evidence) => "enough nodes failed",
            Self::Jury(StopReason::Expired) => "it stood still for longer than its plan allows",
            Self::Operator => "an operator aborted it",
            Self::Conflict => "two signed releases claim the same sequence",
        }
    }
}

/// What follows from a rollout's registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// How many ranks are open; `Roster::done` when it is done.
    pub open: u32,
    /// The term that counts.
    pub term: u32,
    /// The highest term that at least one honest juror stands in.
    pub hinted_term: u32,
    /// Why it is stopped. Beats `open`.
    pub stop: Option<Stop>,
    /// Whether an operator paused it, and with which counter.
    pub paused: bool,
    /// The counter of the last pause or resume; `None` if there was none.
    pub flow_counter: Option<u32>,
}

/// What the registers of a rollout's jurors and operators say, the jurors' by seat: a copy that is kept as they
/// rise, so that a ballot costs one step and not a walk through all.
#[derive(Clone, Debug, Default)]
pub struct Said {
    opens: Vec<u32>,
    terms: Vec<u32>,
    stops: Vec<Option<StopReason>>,
    /// How many ranks an operator opened.
    promoted: u32,
    /// The counter of an operator's last pause or resume, and whether it is a pause.
    flow: Option<(u32, bool)>,
    /// Whether an operator stopped it.
    stopped: bool,
}

impl Said {
    /// What they say now.
    pub fn read(rollout: RolloutId, roster: &Roster, registers: &Registers) -> Self {
        let mut all = Self::default();
        for juror in &roster.jury {
            for kind in [BallotKind::Open, BallotKind::Term, BallotKind::Stop] {
                if let Some(say) = said(registers, rollout, *juror, kind) {
                    all.says(roster, juror, say);
                }
            }
        }
        for kind in [CommandKind::Promote, CommandKind::Flow, CommandKind::Stop] {
            if let Some(instruction) = instruction(registers, rollout, kind) {
                all.orders(instruction);
            }
        }
        all
    }

    /// An operator's register rose.
    pub fn orders(&mut self, instruction: Instruction) {
        match instruction {
            Instruction::Promote(open) => self.promoted = open,
            Instruction::Flow { counter, pause } => self.flow = Some((counter, pause)),
            Instruction::Stop => self.stopped = true,
        }
    }

    /// A juror's register rose.
    pub fn says(&mut self, roster: &Roster, juror: &NodeId, say: Say) {
        let Some(seat) = roster.seat(juror) else { return };
        let jurors = roster.jury.len();
        if self.opens.len() < jurors {
            self.opens.resize(jurors, 0);
            self.terms.resize(jurors, 0);
            self.stops.resize(jurors, None);
        }
        match say {
            Say::Open(open) => self.opens[seat] = open,
            Say::Term(term) => self.terms[seat] = term,
            Say::Stop(reason) => self.stops[seat] = Some(reason),
        }
    }
}

impl Derived {
    /// Reads a rollout's registers. `conflict`: another manifest of the same order is known.
    pub fn read(rollout: RolloutId, roster: &Roster, registers: &Registers, conflict: bool) -> Self {
        Self::default().after(&Said::read(rollout, roster, registers), roster, conflict)
    }

    /// What follows after this, now that jurors and operators say so: see [`Derived::read`].
    pub fn after(&self, said: &Said, roster: &Roster, conflict: bool) -> Self {
        let mut opens = Cow::Borrowed(&said.opens);
        if mutations::is(Mutation::VoteCountedTwice) {
            opens.to_mut().extend_from_slice(&said.opens);
        }
        let terms = &said.terms;
        let stops = || said.stops.iter().flatten().copied();
        let stoppers = if mutations::is(Mutation::OneJurorStops) { 1 } else { roster.quorum.stoppers() };
        let jury_stop =
            (stops().count() as u64 >= u64::from(stoppers)).then(|| stops().max().map(Stop::Jury)).flatten();
        let operator_stop = said.stopped.then_some(Stop::Operator);
        Self {
            open: roster.quorum.reached(self.open, &opens).max(said.promoted),
            term: roster.quorum.reached(self.term, terms),
            hinted_term: roster.quorum.hinted(self.hinted_term, terms),
            stop: operator_stop.or(jury_stop).or(conflict.then_some(Stop::Conflict)),
            paused: said.flow.is_some_and(|(_, pause)| pause),
            flow_counter: said.flow.map(|(counter, _)| counter),
        }
    }

    /// Whether one more juror that says so could change anything: most of what comes when a quorum has spoken cannot.
    pub fn may_rise(&self, say: Say) -> bool {
        match say {
            Say::Open(open) => open > self.open,
            Say::Term(term) => term > self.term.min(self.hinted_term),
            Say::Stop(_) => true,
        }
    }

    /// Whether every member is open and enough were good. A stop beats it.
    pub fn done(&self, roster: &Roster) -> bool {
        self.stop.is_none() && self.open >= roster.done()
    }
}

/// What a juror's register says.
pub fn said(registers: &Registers, rollout: RolloutId, juror: NodeId, kind: BallotKind) -> Option<Say> {
    match &registers.get(&Key::Ballot(rollout, juror, kind))?.statement {
        Statement::Ballot(ballot) => Some(ballot.say),
        _ => None,
    }
}

fn instruction(registers: &Registers, rollout: RolloutId, kind: CommandKind) -> Option<Instruction> {
    match &registers.get(&Key::Command(rollout, kind))?.statement {
        Statement::Command(command) => Some(command.instruction),
        _ => None,
    }
}
