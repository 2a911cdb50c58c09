//! Every limit of the core, by name. What is not bounded here is bounded by something that is.

use crate::time::Span;

/// Jurors of one rollout: up to this many electors everybody judges, beyond a jury of this size is drawn.
pub const JURY_MAX: usize = 64;
/// Bytes of one gossiped frame.
pub const FRAME_MAX: usize = 16 * 1024;
/// Bytes of a manifest's body.
pub const MANIFEST_MAX: usize = 64 * 1024;
/// Bytes of a policy's body.
pub const POLICY_MAX: usize = 8 * 1024;
/// Bytes of a census' body: about 100,000 members.
pub const CENSUS_MAX: usize = 4 * 1024 * 1024;
/// Bytes of the body of any other fact.
pub const STATEMENT_MAX: usize = 4 * 1024;
/// Bytes of one frame sent directly to a peer: the largest fact and what surrounds it.
pub const MESSAGE_MAX: usize = CENSUS_MAX + FRAME_MAX;
/// Members of a census.
pub const MEMBERS_MAX: usize = 105_000;
/// Distinct labels of one sort in a census.
pub const LABELS_MAX: usize = 4_096;
/// Deltas that lead to a tree in turn: each is a version skipped, and more work to follow.
pub const DELTAS_IN_TURN_MAX: usize = 4;
/// Rollouts of one component that are kept beside the newest that is done.
pub const ROLLOUTS_MAX: usize = 2;
/// Rollouts of one component that are kept at all: room for those whose ballots are still on their way.
pub const ROLLOUTS_KEPT_MAX: usize = 16;
/// Rollouts of one component that are held at one moment: beside those that are kept the newest that is
/// done, one on trial here, and one twin each of these.
pub const ROLLOUTS_HELD_MAX: usize = ROLLOUTS_KEPT_MAX + 4;
/// Components with a rollout in the fleet's memory.
pub const COMPONENTS_MAX: usize = 256;
/// Verdicts kept on rollouts that were collected.
pub const TOMBSTONES_MAX: usize = 64;
/// Policies in the chain.
pub const POLICIES_MAX: usize = 1_024;
/// Signatures on one fact.
pub const SIGNATURES_MAX: usize = 16;
/// Keys of one role.
pub const ROLE_KEYS_MAX: usize = 16;
/// Bytes of a name: component, version, label.
pub const NAME_MAX: usize = 64;
/// Bytes of a note for people.
pub const NOTE_MAX: usize = 256;
/// Rungs of a ladder.
pub const LADDER_MAX: usize = 32;
/// Probes of a plan.
pub const PROBES_MAX: usize = 16;
/// Deltas, requirements and label choices in a manifest, each.
pub const MANIFEST_LIST_MAX: usize = 32;
/// Trials that a node makes of one rollout.
pub const ATTEMPTS_MAX: u8 = 3;
/// Agent starts inside one trial before the trial counts as failed.
pub const TRIAL_BOOTS_MAX: u8 = 2;
/// Rollouts named in a beacon.
pub const BEACON_ACTIVE_MAX: usize = 16;
/// Addresses in a beacon.
pub const ADDRESSES_MAX: usize = 4;
/// Bytes of one address in a beacon.
pub const ADDRESS_BYTES_MAX: usize = 128;
/// How far above the newest done sequence a sequence may lie before jurors ignore it (hole H33).
pub const SEQUENCE_LEAD_MAX: u64 = 65_536;
/// Entries on one page of a sync summary: 24 bytes each, a page fits a frame.
pub const SUMMARY_ENTRIES_MAX: usize = 512;
/// Pages of one summary: two million registers.
pub const PAGES_MAX: usize = 4_096;
/// Facts in one direct frame.
pub const FACTS_PER_FRAME_MAX: usize = 256;
/// Own facts that wait for the disk.
pub const PENDING_MAX: usize = 1_024;

/// A leader's proposal is repeated this often.
pub const PROPOSE_EVERY: Span = Span::seconds(5);
/// Sync with a random member this often while a rollout is live.
pub const SYNC_EVERY_ACTIVE: Span = Span::seconds(10);
/// The same while all that is live is judged by drawn juries, and this node neither judges nor is open: what is lost on
/// its way by gossip is announced for some heartbeats, and whoever is opened syncs at the active pace from then on.
pub const SYNC_EVERY_FAR: Span = Span::seconds(30);
/// Sync with a random member this often while nothing is live.
pub const SYNC_EVERY_IDLE: Span = Span::seconds(60);
/// Sync this often until the node's own registers are recovered.
pub const SYNC_EVERY_RECOVERING: Span = Span::milliseconds(300);
/// At most one sync that was not due is begun in this time (a digest differed, a parent was missing).
pub const SYNC_EXTRA_EVERY: Span = Span::milliseconds(500);
/// A sync that has not ended by then is given up.
pub const SYNC_TIMEOUT: Span = Span::seconds(10);
/// Beacon period while nothing is live.
pub const BEACON_IDLE: Span = Span::seconds(60);
/// Beacon period of nodes that are neither jurors nor in a wave, in fleets of more than 64 electors.
pub const BEACON_FAR: Span = Span::seconds(30);
/// In a drawn jury's rollout whoever neither leads nor is on trial speaks no more often than this: three periods of it
/// are half of `SILENCE`, and as long as the first patience with a leader.
pub const BEACON_QUIET: Span = Span::seconds(10);
/// A drawn jury's members on trial may be silent for a twentieth of the bake, `FRESH_PERIODS` periods, and still count
/// as fresh at its end.
pub const BAKE_PERIODS: u64 = 20 * FRESH_PERIODS;
/// Open nodes that are no jurors and that a juror hears from in a second, in fleets of more than 64 electors: with
/// more of them each speaks more rarely. Up to 30,000 silence is noticed as early as the default trial lets it count.
pub const JURY_NEWS_PER_SECOND: u64 = 250;
/// Beacons after a new vote that come at the plan's pace whatever the fleet's size: what was lost comes again.
pub const NEWS_AT_PLANS_PACE: u8 = 2;
/// Beacons keep their live pace for this long after the last rollout ended, so that the end spreads.
pub const LIVE_LINGER: Span = Span::seconds(10);
/// A node is fresh if its beacon rose within this many periods.
pub const FRESH_PERIODS: u64 = 3;
/// A juror or an open member is missed, and asked for elsewhere, when it was silent for so many periods: one less than
/// for those that are fresh.
pub const MISSED_PERIODS: u64 = FRESH_PERIODS - 1;
/// A juror asks another for what it misses at the plan's pace, and no more rarely than this while answers help.
pub const INQUIRY_EVERY_MAX: Span = Span::seconds(10);
/// Longest pause between two such questions: it doubles while they do not help.
pub const INQUIRY_PAUSE_MAX: Span = Span::seconds(60);
/// Open members that one such question names.
pub const INQUIRY_RANKS_MAX: usize = 128;
/// Open ranks that are looked through before one.
pub const INQUIRY_RANKS_LOOKED_AT: u32 = 4_096;
/// One register's changes are relayed at most `RELAY_BURST` times in this window: once a second (hole H40).
pub const RELAY_WINDOW: Span = Span::seconds(4);
/// See `RELAY_WINDOW`.
pub const RELAY_BURST: u32 = 4;
/// Changes of a beacon that are relayed in `RELAY_WINDOW`: beacons come as often as a plan allows.
pub const RELAY_BURST_BEACON: u32 = 40;
/// A rollout that later ones have pushed out is put away when it has been here for this long: until then
/// the ballots that say it was done may be on their way.
pub const PUT_AWAY_AFTER: Span = Span::seconds(60);
/// Censuses kept beside those that a kept manifest pins.
pub const CENSUSES_MAX: usize = 8;
/// Syncs under way at once.
pub const SYNCS_MAX: usize = 64;
/// A peer whose digest differs is asked for a sync when nothing has changed here for this long.
pub const SETTLED_AFTER: Span = Span::milliseconds(1500);
/// A node that was trying, or healthy but not yet baked, and has been silent for its trial time and this long counts as bad.
pub const SILENCE: Span = Span::seconds(60);
/// A silent machine is in doubt and not bad if at least so many others of its zone fell silent with it, and most did.
pub const OUTAGE_WITNESSES: usize = 2;
/// First patience with a leader whose proposal I miss.
pub const PATIENCE: Span = Span::seconds(30);
/// Longest patience: it doubles with each fruitless term.
pub const PATIENCE_MAX: Span = Span::seconds(480);
/// How long the old version is probed after a revert before the failure counts as doubtful.
pub const REPROBE: Span = Span::seconds(10);
/// Pause before the next trial after a doubtful failure.
pub const DOUBT_BACKOFF: Span = Span::seconds(60);
/// A `Trying` vote that too few jurors have acknowledged is sent again this often.
pub const ANNOUNCE_EVERY: Span = Span::seconds(1);
/// And given up after this: whoever has put the release away will never acknowledge it. The node asks for
/// fresh news again, and does not stand in the way of another trial meanwhile.
pub const ANNOUNCE_TIMEOUT: Span = Span::seconds(30);
/// Jurors whose news a node awaits before it activates are asked this often.
pub const FRESHEN_EVERY: Span = Span::milliseconds(500);
/// A node answers with a beacon newly signed for the asker at most this often: news asked for is fresh
/// without a clock and without a nonce, because the beacon's count rises.
pub const BEACON_ON_DEMAND_EVERY: Span = Span::milliseconds(100);
/// A switch that the driver has not answered by then counts as failed.
pub const SWITCH_TIMEOUT: Span = Span::seconds(120);
/// A revert that failed is tried again after this.
pub const REVERT_RETRY: Span = Span::seconds(1);
/// What ran before the agent ended and does not start is started again after this.
pub const START_RETRY: Span = Span::seconds(5);
/// Votes of large rollouts are counted together this often, not one by one.
pub const COUNT_EVERY: Span = Span::milliseconds(200);
/// Rollouts of more members than this count as large.
pub const COUNT_AT_ONCE_MAX: u32 = 256;
/// A member of one's site that was silent for longer is not counted on: twice the pace of idle beacons.
pub const SITE_SILENCE: Span = Span::seconds(120);
/// Other members that hold a live release whole before a node lets go of bytes of it that it does not need itself:
/// two may go away at once.
pub const COPIES_ENOUGH: usize = 3;
/// Holders named to a fetch.
pub const HOLDERS_MAX: usize = 64;
/// A failed fetch or staging is tried again after this, doubling up to `STAGE_RETRY_MAX`.
pub const STAGE_RETRY: Span = Span::seconds(5);
/// Longest pause between two tries to stage.
pub const STAGE_RETRY_MAX: Span = Span::seconds(300);
/// A write that the driver reported as failed is tried again after this.
pub const PERSIST_RETRY: Span = Span::seconds(2);
/// With no beacon from f+1 electors for this long while linked, a freeze is suspected (hole H34).
pub const FREEZE_AFTER: Span = Span::seconds(600);

const _: () = assert!(SUMMARY_ENTRIES_MAX * 24 + 256 <= FRAME_MAX, "a page of a summary fits a frame");
const _: () = assert!(ROLLOUTS_MAX < ROLLOUTS_KEPT_MAX);
const _: () =
    assert!(STATEMENT_MAX + SIGNATURES_MAX * 96 + 256 <= FRAME_MAX, "small facts fit a gossiped frame");
const _: () =
    assert!(MANIFEST_MAX <= CENSUS_MAX && POLICY_MAX <= CENSUS_MAX, "the census is the largest fact");
const _: () = assert!(MEMBERS_MAX * 39 + 3 * LABELS_MAX * 8 <= CENSUS_MAX, "a full census fits its bound");
