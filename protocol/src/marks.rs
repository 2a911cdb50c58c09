//! Rare branches, by name: the ones that the simulator's seeds in CI must reach.
//!
//! `mark!(Name)` stands where the branch is; `mark!(Name if condition)` where only some of what comes by
//! is meant. Both are nothing at all unless the feature `marks` is on, which no shipped build enables.
//! With it, `collect` says which marks one call reached in its thread.

/// Lists the marks once: name, what it means to be there, and the file that has it.
macro_rules! marks {
    ($($(#[doc = $what:literal])+ $name:ident in $file:literal;)+) => {
        /// A rare branch of the core.
        #[cfg(feature = "marks")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark {
            $($(#[doc = $what])+ $name,)+
        }

        #[cfg(feature = "marks")]
        impl Mark {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// What it means to be there, in a sentence.
            pub fn means(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($what),+).trim_ascii(),)+
                }
            }

            /// The file that has it, below the crate's `src`.
            pub fn file(self) -> &'static str {
                match self {
                    $(Self::$name => $file,)+
                }
            }
        }
    };
}

marks! {
    /// The term changes while a wave is open and others are still to come.
    TermInMidWave in "node/merge.rs";
    /// A stop becomes known in the very reading that opens more.
    StopRacesGrant in "node/merge.rs";
    /// A stop becomes known after done: it wins.
    StopAfterDone in "node/merge.rs";
    /// An operator promotes what failures hold.
    PromoteDuringHold in "node/merge.rs";
    /// Two manifests of one order are here.
    TwinsMeet in "node/merge.rs";
    /// A manifest's twin was put away before it came.
    TwinOfBuried in "node/merge.rs";
    /// A node hears what it signed in an earlier life and had lost.
    OwnFactComesBack in "node/merge.rs";
    /// A member that was silent is back.
    MemberComesBack in "node/merge.rs";
    /// A juror asks another for signs of life of jurors that it does not hear itself.
    JurorMissed in "node/inquiry.rs";
    /// A juror asks another for news of open members that it does not hear itself.
    MemberMissed in "node/inquiry.rs";
    /// A beacon from later than the disk knows: the disk was restored.
    RestoredDiskDetected in "node/signing.rs";
    /// A statement is not signed because its register holds more already.
    LowerStatementNotSigned in "node/signing.rs";
    /// A signature does not fit its author.
    ForgeryRefused in "node/accept.rs";
    /// Too few of a role's keys signed.
    TooFewSignersRefused in "node/accept.rs";
    /// A proposal in a term that its author does not lead, or a vote without a seat.
    NoSeatRefused in "node/accept.rs";
    /// Somebody has said two things of one rank: the lesser of them is not taken.
    EquivocationRefused in "node/accept.rs";
    /// A third manifest of one order finds no room.
    ThirdTwinRefused in "node/accept.rs";
    /// A fact of a rollout that was put away.
    CollectedRefused in "node/accept.rs";
    /// A manifest below what is done.
    OlderThanDone in "node/keep.rs";
    /// A manifest whose ending is known comes again.
    TombstoneKeepsOut in "node/keep.rs";
    /// Later releases push out one that never ended.
    PushedOut in "node/keep.rs";
    /// A release has no place any more, but is in the middle of a trial.
    PutAwayWaits in "node/keep.rs";
    /// A binding below done binds nothing any more.
    BindingForgotten in "node/keep.rs";
    /// A manifest comes before what it names.
    MissingParent in "node/mod.rs";
    /// A register changes faster than it is passed on.
    RelayHeldBack in "node/relays.rs";
    /// A change that was held back goes out.
    RelayOwed in "node/relays.rs";
    /// A write failed and is tried again.
    WriteFailed in "node/writes.rs";
    /// A write waits behind one that is to be tried again.
    WriteQueuesBehindFailed in "node/writes.rs";
    /// A sync is given up.
    SyncGivenUp in "node/syncing.rs";
    /// A beacon shows a stop that is not known here.
    StopSeenInBeacon in "node/syncing.rs";
    /// Digests differ although nothing moves.
    GapFound in "node/syncing.rs";
    /// Jurors change the term because its leader is silent.
    LeaderSilent in "node/juror.rs";
    /// Jurors change the term because its leader does not propose.
    LeaderStuck in "node/juror.rs";
    /// A juror follows others into a later term.
    TermFollowed in "node/juror.rs";
    /// A juror stops what stands still for too long.
    StopExpired in "node/juror.rs";
    /// What a juror opened was not opened by enough others for too long.
    StopNotFollowed in "node/juror.rs";
    /// A juror's own count of failures stops it.
    StopOnEvidence in "node/juror.rs";
    /// Failures have reached the hold band.
    HeldByFailures in "rollout/gate.rs";
    /// An operator's pause shuts the gate.
    HeldByPause in "rollout/gate.rs";
    /// A later release shuts the gate.
    HeldBySuccessor in "rollout/gate.rs";
    /// The gate would open more, but too few jurors would be off trial.
    StepBounded in "rollout/gate.rs";
    /// A node fell silent while it was trying.
    SilentWhileTrying in "rollout/view.rs";
    /// A node fell silent together with its zone.
    SilentWithItsZone in "rollout/outage.rs";
    /// A healthy node fell silent before its bake had ended.
    SilentInBake in "rollout/view.rs";
    /// A good node fell silent: it is replaced and not blamed.
    GoneAfterBake in "rollout/view.rs";
    /// An open node did not stage in time.
    StagedTooLate in "rollout/view.rs";
    /// A juror's clock stands, because too few others are fresh.
    ClockStands in "rollout/view.rs";
    /// A rank that was open may not go on while it waits for news.
    NewsComesTooLate in "node/install/trial.rs";
    /// A juror's fresh news shows a stop that this node lacks.
    NewsShowsStop in "node/install/trial.rs";
    /// A stop comes between a node's word to jurors and its switch.
    StopBeforeSwitch in "node/install/trial.rs";
    /// A pause comes between a node's word to jurors and its switch.
    PauseBeforeSwitch in "node/install/trial.rs";
    /// A later release is done before a node's switch.
    OvertakenBeforeSwitch in "node/install/trial.rs";
    /// Jurors have to be told again.
    ToldAgain in "node/install/trial.rs";
    /// A stop comes in the middle of a trial.
    StopInTrial in "node/install/trial.rs";
    /// A healthy node fails while it bakes.
    FailsInBake in "node/install/trial.rs";
    /// A later release has taken the place of one that was not done.
    TakenOver in "node/install/trial.rs";
    /// Who was enrolled later finds the wave closed.
    LateJoinerWaits in "node/install/bytes.rs";
    /// Who was enrolled later takes what is done.
    LateJoinerTakes in "node/install/bytes.rs";
    /// A delta could not be had: the next way is tried.
    DeltaFallsBack in "node/install/bytes.rs";
    /// What runs here is not older than what is released.
    SkipsOlder in "node/install/bytes.rs";
    /// New holders are named to a fetch under way.
    HoldersGrew in "node/install/bytes.rs";
    /// A stop comes while bytes are on their way.
    StopWhileFetching in "node/install/mod.rs";
    /// The agent ended inside a trial and goes on with it.
    TrialResumed in "node/install/back.rs";
    /// The agent ended too often inside a trial.
    TrialGivenUp in "node/install/back.rs";
    /// The rollout was stopped while the agent was away from its trial.
    StopFoundInResume in "node/install/back.rs";
    /// The release had failed here before the agent ended.
    FailureRecalled in "node/install/back.rs";
    /// A healthy node waits for its turn to go back.
    RevertWaitsItsTurn in "node/install/back.rs";
    /// There is nothing older to go back to.
    NothingOlder in "node/install/back.rs";
    /// The old version fails too.
    OldVersionFailsToo in "node/install/back.rs";
    /// A doubtful failure is tried again.
    TriesAgain in "node/install/back.rs";
}

#[cfg(feature = "marks")]
mod reached {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::Mark;

    thread_local! {
        static REACHED: RefCell<BTreeSet<Mark>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(crate) fn reach(mark: Mark) {
        REACHED.with_borrow_mut(|reached| reached.insert(mark));
    }

    /// Runs `play` and says which marks it reached in this thread.
    pub fn collect<R>(play: impl FnOnce() -> R) -> (R, BTreeSet<Mark>) {
        let before = REACHED.take();
        let result = play();
        (result, REACHED.replace(before))
    }
}

#[cfg(feature = "marks")]
pub use reached::collect;
#[cfg(feature = "marks")]
pub(crate) use reached::reach;

/// Notes that a rare branch was reached; nothing without the feature `marks`.
macro_rules! mark {
    ($name:ident) => {
        #[cfg(feature = "marks")]
        $crate::marks::reach($crate::marks::Mark::$name);
    };
    ($name:ident if $condition:expr) => {
        #[cfg(feature = "marks")]
        if $condition {
            $crate::marks::reach($crate::marks::Mark::$name);
        }
    };
}

pub(crate) use mark;
