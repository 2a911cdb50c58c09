//! Planted bugs: the simulator's own exam.
//!
//! Each [`Mutation`] breaks one rule of the core on purpose. Where the rule is kept the code asks `is`,
//! which is the constant `false` unless the feature `mutations` is on: no branch is left in a build that
//! is shipped. With the feature one mutation at a time is planted for a thread, by `with`, so that a
//! program can play one story on the honest core and on each broken one.
//!
//! A mutation that no checker of the simulator finds is a hole in the checkers or in the stories.

/// Lists the mutations once: name, what breaks, and the properties that must catch it.
macro_rules! mutations {
    ($($(#[doc = $what:literal])+ $name:ident: [$($caught:literal),+];)+) => {
        /// A rule of the core that is broken on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutation {
            $($(#[doc = $what])+ $name,)+
        }

        #[cfg(feature = "mutations")]
        impl Mutation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// What breaks, in a sentence.
            pub fn breaks(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($what),+).trim_ascii(),)+
                }
            }

            /// The properties of the design of which one must catch it, the likeliest first.
            pub fn caught_by(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => &[$($caught),+],)+
                }
            }
        }
    };
}

mutations! {
    /// Signatures of nodes are not verified.
    SkipSignature: ["S4", "L3", "S3"];
    /// Documents need one signature less than the role's threshold.
    TooFewSigners: ["S1"];
    /// Each juror's opening counts twice.
    VoteCountedTwice: ["S4"];
    /// The gate opens when one good node is still missing.
    GateOneEarly: ["S4"];
    /// The quorum is one juror too small.
    QuorumOneSmall: ["S4"];
    /// A healthy node counts before it has baked.
    BakeIgnored: ["S4"];
    /// A node that was trying and fell silent counts as good.
    SilenceIsHealthy: ["S4"];
    /// Failures do not hold the gate.
    HoldIgnored: ["S4"];
    /// Who was enrolled after the release does not wait until it is done.
    LateJoinerUngated: ["S4"];
    /// A stop that others signed is not kept on disk.
    StopForgotten: ["S5"];
    /// A stop does not keep a node from activating.
    ActivateAfterStop: ["S5"];
    /// A pause does not keep a node from activating.
    PauseIgnored: ["S5"];
    /// A node activates without fresh news from jurors.
    FreshnessIgnored: ["S5"];
    /// A node switches before jurors have seen that it tries.
    NobodyTold: ["L3"];
    /// An own fact leaves before it is durable.
    SendBeforePersisted: ["S9"];
    /// The switch begins before the trial is on record.
    SwitchBeforePersisted: ["S9"];
    /// What was put away is forgotten.
    TombstonesDropped: ["S9"];
    /// A node signs before others have told it what it signed earlier.
    SignBeforeRecovered: ["S10"];
    /// A juror proposes in terms that it does not lead.
    ProposeWithoutLeading: ["S3"];
    /// Two jurors count as a term's leader.
    TwoLeaders: ["S3"];
    /// The order of releases means nothing.
    LowerSequence: ["S2"];
    /// A node goes back to the slot before the one that its trial began from.
    WrongSlot: ["S2"];
    /// A completed release keeps no slot but its anchor.
    SlotsDropped: ["S6"];
    /// Two releases of one place in the order are no conflict.
    TwinsIgnored: ["S8"];
    /// Writes that are durable stay in the queue.
    WritesNeverLetGo: ["S7"];
    /// A deadline that has passed is asked for again.
    DeadlineStands: ["S7"];
    /// Trials do not end.
    TrialWithoutEnd: ["L4", "L1"];
    /// Agent starts inside a trial are not counted.
    BootsUncounted: ["L4", "L1"];
    /// A leader that died or is stuck is not replaced.
    LeaderForLife: ["L2", "L1"];
    /// Failed nodes stop nothing.
    EvidenceIgnored: ["L3"];
    /// One juror's word stops a release.
    OneJurorStops: ["S5", "L3"];
    /// What a sync brings is not taken.
    SyncDeaf: ["L1", "S10"];
    /// Syncs keep their quickest pace for ever.
    NeverIdle: ["L5"];
    /// That too few jurors are there is not said.
    TooFewUnsaid: ["L6"];
}

#[cfg(feature = "mutations")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Whether this mutation is planted in this thread.
#[cfg(feature = "mutations")]
pub(crate) fn is(mutation: Mutation) -> bool {
    PLANTED.get() == Some(mutation)
}

/// Whether this mutation is planted: never, in a build without the feature `mutations`.
#[cfg(not(feature = "mutations"))]
pub(crate) const fn is(_: Mutation) -> bool {
    false
}

/// Runs `play` with `mutation` planted in this thread, and takes it out again, also if `play` panics.
#[cfg(feature = "mutations")]
pub fn with<R>(mutation: Option<Mutation>, play: impl FnOnce() -> R) -> R {
    struct Uproot(Option<Mutation>);
    impl Drop for Uproot {
        fn drop(&mut self) {
            PLANTED.set(self.0);
        }
    }
    let _uproot = Uproot(PLANTED.replace(mutation));
    play()
}

#[cfg(all(test, feature = "mutations"))]
mod tests {
    use super::*;

    #[test]
    fn a_mutation_is_planted_for_as_long_as_its_play_lasts() {
        assert!(!is(Mutation::OneJurorStops));
        with(Some(Mutation::OneJurorStops), || {
            assert!(is(Mutation::OneJurorStops) && !is(Mutation::SyncDeaf));
            with(None, || assert!(!is(Mutation::OneJurorStops)));
            assert!(is(Mutation::OneJurorStops));
        });
        assert!(!is(Mutation::OneJurorStops));
    }

    #[test]
    fn every_mutation_says_what_breaks() {
        for mutation in Mutation::ALL {
            assert!(mutation.breaks().ends_with('.') && !mutation.caught_by().is_empty(), "{mutation:?}");
        }
    }
}
