//! One rollout as this node follows it.

use std::sync::Arc;

use super::event::Hold;
use super::inquiry::Inquiry;
use super::install::Install;
use crate::bounds::PATIENCE;
use crate::facts::{Fact, RolloutId};
use crate::identity::NodeId;
use crate::rollout::derived::{Derived, Said};
use crate::rollout::gate::Allowed;
use crate::rollout::roster::Roster;
use crate::rollout::view::{Scene, Tally, View};
use crate::time::{Span, Time};
use crate::trust::manifest::Manifest;
use crate::trust::policy::Policy;

/// One rollout as this node follows it.
pub(super) struct Tracked {
    pub(super) id: RolloutId,
    pub(super) fact: Arc<Fact>,
    pub(super) manifest: Arc<Manifest>,
    /// Whether this policy, the newest when it was asked, accepts the manifest's signers.
    pub(super) signers: Option<(Arc<Policy>, bool)>,
    pub(super) roster: Arc<Roster>,
    /// This node's rank in the line.
    pub(super) my_rank: Option<u32>,
    /// Whether this node is a juror.
    pub(super) i_judge: bool,
    /// What its jurors said.
    pub(super) said: Said,
    pub(super) derived: Derived,
    /// A register that `derived` reads has risen.
    pub(super) stale: bool,
    pub(super) view: View,
    pub(super) tally: Tally,
    pub(super) allowed: Allowed,
    /// When the juror's view must be looked at again.
    pub(super) look_at: Time,
    pub(super) watch: Watch,
    pub(super) inquiry: Inquiry,
    pub(super) install: Install,
    /// When it had ended and this node had come to rest with it.
    pub(super) settled_at: Option<Time>,
}

/// A juror's stopwatches for one rollout.
pub(super) struct Watch {
    /// When the rollout came here.
    pub(super) since: Time,
    /// When the leader became the leader here.
    pub(super) led_since: Time,
    /// The juror's clock at the last look.
    pub(super) clock: Span,
    /// For how long nothing could be opened, or was opened by me and not by enough others, on the juror's clock.
    pub(super) still: Span,
    /// Since when the leader has not proposed what I would allow, on the juror's clock.
    pub(super) impatient_since: Option<Span>,
    /// How long I bear that.
    pub(super) patience: Span,
    /// When I last sent my own proposal.
    pub(super) proposed_at: Option<Time>,
    /// The hold that was last reported.
    pub(super) hold: Hold,
}

impl Tracked {
    pub(super) fn new(
        id: RolloutId,
        fact: Arc<Fact>,
        manifest: Arc<Manifest>,
        roster: Arc<Roster>,
        me: &NodeId,
        now: Time,
    ) -> Self {
        Self {
            my_rank: roster.rank(me),
            i_judge: roster.is_juror(me),
            id,
            fact,
            manifest,
            signers: None,
            roster,
            said: Said::default(),
            derived: Derived::default(),
            stale: true,
            view: View::default(),
            tally: Tally::default(),
            allowed: Allowed { open: 0, hold: Hold::WaitingForHealth },
            look_at: now,
            watch: Watch {
                since: now,
                led_since: now,
                clock: Span(0),
                still: Span(0),
                impatient_since: None,
                patience: PATIENCE,
                proposed_at: None,
                hold: Hold::WaitingForHealth,
            },
            inquiry: Inquiry::default(),
            install: Install::default(),
            settled_at: None,
        }
    }

    /// Whether this node judges or its rank is open.
    pub(super) fn takes_part(&self) -> bool {
        self.i_judge
            || self.roster.everybody_judges
            || self.my_rank.is_some_and(|rank| rank < self.derived.open)
    }

    /// What a juror's view of it is computed from.
    pub(super) fn scene(&self, me: NodeId, now: Time) -> Scene<'_> {
        Scene { roster: &self.roster, plan: &self.manifest.plan, me, open: self.derived.open, now }
    }

    /// Stopped or done.
    pub(super) fn ended(&self) -> bool {
        self.derived.stop.is_some() || self.is_done()
    }

    pub(super) fn is_done(&self) -> bool {
        self.derived.done(&self.roster)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.derived.stop.is_some()
    }
}
