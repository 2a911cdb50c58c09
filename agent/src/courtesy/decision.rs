//! How much the agent may send, given what the line and the agent itself have sent.
//!
//! What the line carried beyond our own is of others. Our own bytes are counted when they are written, and leave later: the
//! difference is a backlog, which the line's bytes are taken from first. A backlog that stays means a full line, whose speed
//! is so learned; below it no queue stands before others' packets. Three states follow:
//!
//! - others send: a twentieth of the line is ours, at once and until they were quiet for a second. What shares a line slows
//!   the others by its share, and by a tenth is what they may be slowed;
//! - the line is full of ours alone: a little less than it carries, until it is tried again some seconds later;
//! - else more and more, as long as what is allowed is used.
//!
//! If hardly any of what we write leaves by this line, another one carries it, and nothing is held back.

use std::collections::VecDeque;
use std::time::Duration;

/// With headers, tags and repetitions our bytes weigh so many thousandths on the line: at first, at least and at most.
const WEIGHT: u64 = 1_050;
const WEIGHT_MIN: u64 = 1_000;
const WEIGHT_MAX: u64 = 1_120;
/// What is received is acknowledged with so many hundredths of it.
const ACKNOWLEDGED_PERCENT: u64 = 3;
/// The share of the line that is ours while others send: one part in so many.
const SHARE_BESIDE_OTHERS: u64 = 20;
/// But never less, in bytes a second: pieces must arrive at all.
const CAP_MIN: u64 = 16 << 10;
/// Where nothing is known of the line, in bytes a second.
const CAP_FIRST: u64 = 1 << 20;
/// More than any line carries: growing ends there.
const CAP_MAX: u64 = 1 << 36;
/// Others send if it is more than this in a second, and than a fiftieth of the line, and than one part in 32 of what we
/// sent: what ours weigh is not known better.
const OTHERS_MIN: u64 = 16 << 10;
const OTHERS_PART_OF_LINE: u64 = 50;
const OTHERS_PART_OF_OWN: u64 = 32;
/// That is judged over a second, and over so many looks, so that who begins is noticed early.
const LAST_LOOKS: usize = 3;
/// And so long after they last did.
const OTHERS_REST: Duration = Duration::from_secs(1);
/// What is counted of late.
const WINDOW: Duration = Duration::from_secs(1);
/// A backlog of what the line carries in so many milliseconds means that it is full.
const FULL_MS: u64 = 60;
/// Then what stands before others leaves in this time: the cap counts what left in the last second, so that a lower one
/// lets nothing leave for a while.
const DRAIN: Duration = Duration::from_millis(500);
/// No more than this stands there while nothing drains.
const DRAINED_MS: u64 = 10;
/// A full line is kept to so many hundredths of what it carried, headers included: what is measured of it is no better.
const FULL_PERCENT: u64 = 94;
/// And tried again after so long.
const FULL_REST: Duration = Duration::from_secs(5);
/// After so long it may carry anything, as at the beginning.
const NEVER_FULL: Duration = Duration::from_secs(60);

/// Whether ours leave by this line at all is judged anew after so long, if they were so many bytes: if not, it carried less
/// than one part in so many of them.
const JUDGED_EVERY: Duration = Duration::from_secs(10);
const JUDGED_BYTES_MIN: u64 = 64 << 10;
const ELSEWHERE_PART: u64 = 8;

/// What happened since the look before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) passed: Duration,
    /// Sent by the line.
    pub(super) line_bytes: u64,
    /// Written to our links.
    pub(super) own_sent_bytes: u64,
    /// Read from our links.
    pub(super) own_received_bytes: u64,
}

/// What is known of the line so far.
#[derive(Debug)]
pub(super) struct Decision {
    cap: u64,
    /// Bytes a second that the line is known to carry.
    line: u64,
    /// What ours weigh on it, in thousandths.
    weight: u64,
    /// Our bytes that were written and not seen on the line.
    backlog: u64,
    recent: VecDeque<Attributed>,
    /// How long others have been quiet, and how long ago the line was last full.
    quiet: Duration,
    since_full: Duration,
    /// What is judged next, and how the last was: whether ours leave by another line.
    judged: Attributed,
    elsewhere: bool,
}

/// One look, or several together: whose bytes the line carried.
#[derive(Clone, Copy, Debug)]
struct Attributed {
    passed: Duration,
    line: u64,
    own: u64,
    others: u64,
    /// Of ours, after it.
    backlog: u64,
}

impl Default for Decision {
    fn default() -> Self {
        Self {
            cap: CAP_FIRST,
            line: 0,
            weight: WEIGHT,
            backlog: 0,
            recent: VecDeque::new(),
            quiet: OTHERS_REST,
            since_full: NEVER_FULL,
            judged: Attributed::NONE,
            elsewhere: false,
        }
    }
}

impl Attributed {
    const NONE: Self = Self { passed: Duration::ZERO, line: 0, own: 0, others: 0, backlog: u64::MAX };

    /// Both together; of the backlogs the less.
    fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            line: self.line.saturating_add(other.line),
            own: self.own.saturating_add(other.own),
            others: self.others.saturating_add(other.others),
            backlog: self.backlog.min(other.backlog),
        }
    }
}

impl Decision {
    /// Takes a look in; how many bytes a second the agent may send from now on. None if ours leave by another line.
    pub(super) fn look(&mut self, look: Look) -> Option<u64> {
        let moment = self.attribute(look);
        self.judge_the_line(moment);
        self.remember(moment);
        let lately = self.last(self.recent.len());
        self.line = self.line.max(per_second(lately.line, lately.passed)).min(CAP_MAX);
        self.quiet = if self.others_send() { Duration::ZERO } else { self.quiet + look.passed };
        self.since_full += look.passed;
        self.weigh(lately);
        self.mind_the_backlog(lately);
        if self.others_send_now() {
            self.cap = self.line / SHARE_BESIDE_OTHERS;
        } else if self.is_draining() {
            self.cap = self.below_full();
        } else if self.since_full >= FULL_REST || self.cap < self.below_full() {
            self.grow(lately);
        }
        self.cap = self.cap.clamp(CAP_MIN, CAP_MAX);
        (!self.elsewhere).then_some(self.cap)
    }

    /// Whether others count as being in the way.
    pub(super) fn others_send_now(&self) -> bool {
        self.quiet < OTHERS_REST && !self.elsewhere
    }

    /// Sees whether ours leave by this line.
    fn judge_the_line(&mut self, moment: Attributed) {
        self.judged = self.judged.and(moment);
        if self.judged.passed >= JUDGED_EVERY {
            if self.judged.own >= JUDGED_BYTES_MIN {
                self.elsewhere = self.judged.line < self.judged.own / ELSEWHERE_PART;
            }
            self.judged = Attributed::NONE;
        }
    }

    /// Whose the line's bytes are.
    fn attribute(&mut self, look: Look) -> Attributed {
        let acknowledgements = look.own_received_bytes.saturating_mul(ACKNOWLEDGED_PERCENT) / 100;
        let own = (look.own_sent_bytes.saturating_mul(self.weight) / 1000).saturating_add(acknowledgements);
        self.backlog = self.backlog.saturating_add(own);
        let ours = look.line_bytes.min(self.backlog);
        self.backlog -= ours;
        // What drains is ours, however much it was.
        let others = if self.is_draining() { 0 } else { look.line_bytes - ours };
        if !self.pushes() {
            // No queue grows now. What ours weigh is a guess, and a guess that is too high must not add up.
            self.backlog -= self.backlog / 32;
        }
        Attributed { passed: look.passed, line: look.line_bytes, own, others, backlog: self.backlog }
    }

    /// Whether we send more than the line is known to carry.
    fn pushes(&self) -> bool {
        let lately = self.last(LAST_LOOKS);
        self.cap > self.below_full() && per_second(lately.own, lately.passed) >= self.cap / 5 * 4
    }

    fn is_draining(&self) -> bool {
        self.since_full < DRAIN
    }

    /// Learns what ours weigh, while nobody else sends and no queue grows or shrinks.
    fn weigh(&mut self, lately: Attributed) {
        let carried = per_second(lately.line, lately.passed);
        let steady = self.since_full > DRAIN + WINDOW && self.backlog <= carried_in(DRAINED_MS, carried);
        if self.others_send_now() || !steady || lately.own < CAP_MIN {
            return;
        }
        let weighs = lately.line.saturating_mul(self.weight) / lately.own;
        if (WEIGHT_MIN..=WEIGHT_MAX).contains(&weighs) {
            self.weight = (self.weight * 15 + weighs) / 16;
        }
    }

    fn remember(&mut self, moment: Attributed) {
        self.recent.push_back(moment);
        while self.recent.len() > 1
            && self.recent.iter().skip(1).map(|one| one.passed).sum::<Duration>() >= WINDOW
        {
            self.recent.pop_front();
        }
    }

    /// The last looks together.
    fn last(&self, looks: usize) -> Attributed {
        self.recent.iter().rev().take(looks).fold(Attributed::NONE, |sum, one| sum.and(*one))
    }

    fn others_send(&self) -> bool {
        let least = OTHERS_MIN.max(self.line / OTHERS_PART_OF_LINE);
        [self.recent.len(), LAST_LOOKS].into_iter().any(|looks| {
            let lately = self.last(looks);
            let others = per_second(lately.others, lately.passed);
            others > least && lately.others > lately.own / OTHERS_PART_OF_OWN
        })
    }

    /// Sees when the line is full: what is written at once is a backlog too, but a short one. Who sends next to nothing
    /// fills no line, even if none of it is seen there.
    fn mind_the_backlog(&mut self, lately: Attributed) {
        let last = self.last(LAST_LOOKS);
        let full = carried_in(FULL_MS, per_second(lately.line, lately.passed)).max(CAP_MIN);
        let much = OTHERS_MIN.max(self.cap.min(self.line) / 2);
        let sends_much = lately.passed >= WINDOW / 2 && per_second(lately.own, lately.passed) >= much;
        if sends_much && !self.is_draining() && last.backlog > full {
            (self.since_full, self.backlog) = (Duration::ZERO, 0);
            // The last looks alone: in the first of the second it may have been idle.
            self.line = per_second(last.line, last.passed).min(CAP_MAX);
        }
    }

    /// What a full line of the known speed is kept to.
    fn below_full(&self) -> u64 {
        self.line * FULL_PERCENT / self.weight * 10
    }

    /// By half up to what the line is known to carry, then by a hundredth, by half again if it was not full for long;
    /// only if what is allowed is used.
    fn grow(&mut self, lately: Attributed) {
        let (used, known) = (per_second(lately.own, lately.passed), self.below_full());
        if self.cap < known {
            self.cap = (self.cap + self.cap / 2).min(known);
        } else if used >= self.cap / 5 * 4 {
            self.cap += self.cap / if self.since_full >= NEVER_FULL { 2 } else { 100 };
        }
    }
}

/// What a line of this speed carries in so many milliseconds.
fn carried_in(milliseconds: u64, bytes_per_second: u64) -> u64 {
    bytes_per_second.saturating_mul(milliseconds) / 1000
}

fn per_second(bytes: u64, passed: Duration) -> u64 {
    let milliseconds = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1000) / milliseconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOOK: Duration = Duration::from_millis(50);
    const LOOKS_A_SECOND: u64 = 20;

    /// A line with a queue that never drops, a sender of ours that always has something to send, and others.
    struct Modelled {
        decision: Decision,
        bytes_per_second: u64,
        /// What ours weigh on the line, in hundredths.
        weight: u64,
        queue: u64,
        cap: u64,
        /// What was written in each look of the last second: the cap holds over any.
        written: VecDeque<u64>,
    }

    impl Modelled {
        fn new(bytes_per_second: u64, weight: u64) -> Self {
            Self {
                decision: Decision::default(),
                bytes_per_second,
                weight,
                queue: 0,
                cap: CAP_FIRST,
                written: VecDeque::new(),
            }
        }

        /// One look later; payload of ours that was written.
        fn step(&mut self, others: u64) -> u64 {
            // A connection's buffer is full at some time.
            let room = (self.bytes_per_second / 4).saturating_sub(self.queue) * 100 / self.weight;
            if self.written.len() as u64 >= LOOKS_A_SECOND {
                self.written.pop_front();
            }
            let left = self.cap.saturating_sub(self.written.iter().sum());
            let own = (self.cap / LOOKS_A_SECOND).min(room).min(left);
            self.written.push_back(own);
            self.queue += own * self.weight / 100 + others;
            let line_bytes = self.queue.min(self.bytes_per_second / LOOKS_A_SECOND);
            self.queue -= line_bytes;
            let look = Look { passed: LOOK, line_bytes, own_sent_bytes: own, own_received_bytes: 0 };
            self.cap = self.decision.look(look).expect("ours leave by it");
            own
        }

        fn seconds(&mut self, seconds: u64, others: impl Fn(u64) -> u64) -> u64 {
            self.steps(seconds * LOOKS_A_SECOND, others)
        }

        fn steps(&mut self, count: u64, others: impl Fn(u64) -> u64) -> u64 {
            (0..count).map(|step| self.step(others(step))).sum()
        }
    }

    fn lines() -> impl Strategy<Value = u64> {
        prop_oneof![Just(4 << 20), 64_000_u64..1_000_000, 1_000_000_u64..200_000_000]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn alone_most_of_the_line_is_used(line in lines(), weight in 102_u64..110) {
            let mut world = Modelled::new(line, weight);
            world.seconds(10, |_| 0);
            let sent = world.seconds(60, |_| 0);
            let most = line * 60 * 100 / weight;
            prop_assert!(sent * 100 >= most * 80, "{} of {}", sent, most);
        }

        #[test]
        fn beside_others_a_twentieth_is_used_and_soon_all_of_it_again(
            line in 400_000_u64..200_000_000,
            share in 8_u64..90,
        ) {
            let mut world = Modelled::new(line, 104);
            world.seconds(15, |_| 0);
            let others = line * share / 100 / LOOKS_A_SECOND;
            // Until what stood before them has gone.
            world.steps(24, |_| others);
            let sent = world.seconds(10, |_| others);
            prop_assert!(sent <= line, "{} of {}", sent, line * 10);
            world.seconds(3, |_| 0);
            let sent = world.seconds(2, |_| 0);
            prop_assert!(sent * 100 >= line * 2 * 70, "{} of {} after they ended", sent, line * 2);
        }

        #[test]
        fn nothing_that_counters_say_does_harm(
            looks in prop::collection::vec((0_u64..3_000, any::<u64>(), any::<u64>(), any::<u64>()), 1..60),
        ) {
            let mut decision = Decision::default();
            for (passed, line_bytes, own_sent_bytes, own_received_bytes) in looks {
                let passed = Duration::from_millis(passed);
                let cap = decision.look(Look { passed, line_bytes, own_sent_bytes, own_received_bytes });
                prop_assert!(cap.is_none_or(|cap| (CAP_MIN..=CAP_MAX).contains(&cap)));
            }
        }
    }

    #[test]
    fn who_begins_to_send_is_noticed_within_three_looks() {
        let mut world = Modelled::new(4 << 20, 104);
        world.seconds(10, |_| 0);
        while world.decision.is_draining() || world.cap < 3 << 20 {
            world.step(0);
        }
        world.steps(3, |_| 32 << 10);
        assert!(world.cap <= (4 << 20) / 20, "{}", world.cap);
    }

    #[test]
    fn requests_that_pause_for_less_than_a_second_are_in_the_way_all_the_time() {
        let mut world = Modelled::new(4 << 20, 104);
        world.seconds(20, |_| 0);
        let bursts = |step: u64| if step.is_multiple_of(16) { 64 << 10 } else { 0 };
        world.steps(32, bursts);
        for step in 0..400 {
            world.step(bursts(step));
            assert!(world.cap <= (4 << 20) / 20, "{} at {step}", world.cap);
        }
    }

    #[test]
    fn who_sends_little_is_never_held_to_it() {
        let mut decision = Decision::default();
        for look in 0..2_000_u64 {
            // A piece now and then, and some of it is seen late.
            let own = if look.is_multiple_of(7) { 64 << 10 } else { 0 };
            let line_bytes = match look % 7 {
                0 => 40 << 10,
                1 => 26 << 10,
                _ => 200,
            };
            let look = Look { passed: LOOK, line_bytes, own_sent_bytes: own, own_received_bytes: 3_000 };
            assert!(decision.look(look).is_some_and(|cap| cap >= CAP_FIRST));
        }
    }

    #[test]
    fn what_is_said_at_rest_fills_no_line_even_if_it_leaves_by_another() {
        let mut decision = Decision::default();
        for _ in 0..600 {
            let look = Look {
                passed: Duration::from_secs(1),
                line_bytes: 0,
                own_sent_bytes: 3_000,
                own_received_bytes: 3_000,
            };
            assert_eq!(decision.look(look), Some(CAP_FIRST));
        }
    }

    #[test]
    fn nothing_is_held_back_for_a_line_that_ours_do_not_leave_by() {
        let mut decision = Decision::default();
        let mut cap = Some(CAP_FIRST);
        for _ in 0..60 * LOOKS_A_SECOND {
            // As much as may be, and some chatter of others here.
            let own_sent_bytes = cap.unwrap_or(8 << 20) / LOOKS_A_SECOND;
            cap =
                decision.look(Look { passed: LOOK, line_bytes: 300, own_sent_bytes, own_received_bytes: 0 });
        }
        assert_eq!((cap, decision.others_send_now()), (None, false));
        // The way to them has changed.
        for _ in 0..30 * LOOKS_A_SECOND {
            let own_sent_bytes = cap.unwrap_or(8 << 20) / LOOKS_A_SECOND;
            let line_bytes = own_sent_bytes * 104 / 100;
            cap = decision.look(Look { passed: LOOK, line_bytes, own_sent_bytes, own_received_bytes: 0 });
        }
        assert!(cap.is_some_and(|cap| cap > 1 << 20), "{cap:?}");
    }

    #[test]
    fn a_little_chatter_is_not_in_the_way() {
        let mut world = Modelled::new(4 << 20, 104);
        world.seconds(20, |_| 400);
        let sent = world.seconds(30, |_| 400);
        assert!(sent >= 30 * (4 << 20) / 100 * 80, "{sent}");
    }
}
