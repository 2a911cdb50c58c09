//! What a publisher may send of a release: a multiple of its size, kept to as long as others can serve.
//!
//! A budget names a release, its blobs and a multiple. Of each piece a first copy is always sent; what the
//! multiple leaves beyond that goes to whoever needs a second one. When it is spent, askers are referred to
//! those who received the piece. Only when nobody is left to refer them to is a piece sent beyond the
//! budget, and that is counted: **a budget never strands the fleet**.
//!
//! The payload that is multiplied are the blobs of which anything was sent: a release of which the fleet
//! takes nothing but one delta is not measured by its chunks.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::pieces::PieceSet;
use super::upload::PieceName;
use super::wire::PEERS_NAMED_MAX;
use super::{BLOB_BYTES_MAX, piece_count, piece_range};
use crate::digest::Digest;
use crate::identity::NodeId;
use crate::time::{Span, Time};

/// Releases with a budget, at most; the one set longest ago goes first.
pub const BUDGETS_MAX: usize = 64;

/// Blobs in all budgets together, at most.
pub const BUDGETED_BLOBS_MAX: usize = 262_144;

/// The least multiple, in thousandths: what the fleet does not have must come from somewhere once.
pub const PERMILLE_MIN: u32 = 1_000;

/// The greatest multiple, in thousandths.
pub const PERMILLE_MAX: u32 = 1_000_000;

/// How long askers that tried everybody in vain are put off while some receiver still asks things of us,
/// and so lives: its copy may be on the way. As long as an asker itself waits on a referral at most.
pub const STRANDED_PATIENCE: Span = Span::seconds(60);

/// Pieces asked for in vain that are remembered, at most.
const VAIN_MAX: usize = 4_096;

/// Why a budget cannot be set. Fault: the operator. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// The multiple is out of bounds.
    #[error("a budget of {0} thousandths of the payload is not between {PERMILLE_MIN} and {PERMILLE_MAX}")]
    Multiple(u32),
    /// Too many blobs.
    #[error("budgets name more than {BUDGETED_BLOBS_MAX} blobs")]
    TooMany,
}

/// What was sent of a release, and what may still be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressReport {
    /// The release: its rollout's digest.
    pub release: Digest,
    /// The budget, in thousandths of the payload.
    pub permille: u32,
    /// Bytes of those blobs of which anything was sent.
    pub payload_bytes: u64,
    /// Bytes of different pieces that were sent.
    pub distinct_bytes: u64,
    /// Bytes sent or promised.
    pub sent_bytes: u64,
    /// What the budget has left.
    pub left_bytes: u64,
    /// Bytes sent beyond the budget, because nobody else could be asked for them.
    pub beyond_bytes: u64,
    /// Requests that were referred to others because the budget was spent.
    pub referred: u64,
}

impl EgressReport {
    /// Copies of the payload that were sent, in thousandths.
    pub fn copies_permille(&self) -> u64 {
        let sent = u128::from(self.sent_bytes) * 1000;
        u64::try_from(sent / u128::from(self.payload_bytes.max(1))).unwrap_or(u64::MAX)
    }
}

/// A budget with its accounts, to be kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressRecord {
    /// The release.
    pub release: Digest,
    /// The budget, in thousandths of the payload.
    pub permille: u32,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Requests referred to others.
    pub referred: u64,
    /// Its blobs.
    pub blobs: Vec<BlobRecord>,
}

/// The account of one blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRecord {
    /// The blob.
    pub blob: Digest,
    /// Its size.
    pub bytes: u64,
    /// Pieces that were sent, as in [`PieceSet::to_bytes`] in hexadecimal digits; empty for none.
    #[serde(default)]
    pub sent: String,
    /// Who received some of it last.
    #[serde(default)]
    pub receivers: Vec<NodeId>,
}

/// What a piece may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purse {
    /// No budget names its blob.
    Free,
    /// It was never sent, or the budget has room.
    Open,
    /// It was sent, and the budget is spent.
    Spent,
}

#[derive(Default)]
struct Budget {
    permille: u32,
    payload: u64,
    distinct: u64,
    sent: u64,
    referred: u64,
}

impl Budget {
    fn limit(&self) -> u64 {
        let limit = u128::from(self.payload) * u128::from(self.permille) / 1000;
        u64::try_from(limit).unwrap_or(u64::MAX)
    }
}

struct Account {
    release: Digest,
    bytes: u64,
    /// None before anything was sent.
    sent: Option<PieceSet>,
    /// Newest last, and whether their stream to us is open.
    receivers: VecDeque<(NodeId, bool)>,
}

/// The budgets of all releases.
#[derive(Default)]
pub struct Egress {
    budgets: BTreeMap<Digest, Budget>,
    order: VecDeque<Digest>,
    accounts: BTreeMap<Digest, Account>,
    vain: BTreeMap<PieceName, Time>,
    vain_order: VecDeque<PieceName>,
    /// Told to the driver once: see [`Egress::take_stranded`].
    stranded: VecDeque<(Digest, PieceName)>,
}

impl Egress {
    /// Sets the budget of `release`, or changes it, and adds `blobs` (with their sizes) to it. What was sent
    /// so far stays counted. A blob counts for the release that named it last.
    ///
    /// # Errors
    /// When something is out of bounds; nothing changed then.
    pub fn set(
        &mut self,
        release: Digest,
        permille: u32,
        blobs: &[(Digest, u64)],
    ) -> Result<(), BudgetError> {
        if !(PERMILLE_MIN..=PERMILLE_MAX).contains(&permille) {
            return Err(BudgetError::Multiple(permille));
        }
        let new = blobs.iter().filter(|(blob, _)| !self.accounts.contains_key(blob)).count();
        if self.accounts.len() + new > BUDGETED_BLOBS_MAX {
            return Err(BudgetError::TooMany);
        }
        if !self.budgets.contains_key(&release) {
            self.order.push_back(release);
            if self.order.len() > BUDGETS_MAX {
                self.drop_oldest();
            }
        }
        self.budgets.entry(release).or_default().permille = permille;
        for (blob, bytes) in blobs {
            let known = self.accounts.get(blob);
            if *bytes > BLOB_BYTES_MAX || known.is_some_and(|known| known.release == release) {
                continue;
            }
            let account = Account { release, bytes: *bytes, sent: None, receivers: VecDeque::new() };
            self.accounts.insert(*blob, account);
        }
        Ok(())
    }

    /// Takes up a budget of an earlier run. What does not hold together is left out.
    ///
    /// # Errors
    /// As for [`Egress::set`].
    pub fn restore(&mut self, record: &EgressRecord) -> Result<(), BudgetError> {
        let blobs: Vec<(Digest, u64)> = record.blobs.iter().map(|blob| (blob.blob, blob.bytes)).collect();
        self.set(record.release, record.permille, &blobs)?;
        let Some(budget) = self.budgets.get_mut(&record.release) else { return Ok(()) };
        budget.sent = budget.sent.saturating_add(record.sent_bytes);
        budget.referred = budget.referred.saturating_add(record.referred);
        for blob in record.blobs.iter().filter(|blob| !blob.sent.is_empty()) {
            let Some(account) = self.accounts.get_mut(&blob.blob) else { continue };
            let bytes = hex::decode(&blob.sent).unwrap_or_default();
            let Some(sent) = PieceSet::from_bytes(piece_count(account.bytes), &bytes) else { continue };
            if account.sent.is_some() {
                continue;
            }
            budget.payload += account.bytes;
            budget.distinct += bytes_of(account.bytes, &sent);
            account.sent = Some(sent);
            account.receivers =
                blob.receivers.iter().take(PEERS_NAMED_MAX).map(|peer| (*peer, false)).collect();
        }
        Ok(())
    }

    /// All budgets with their accounts.
    pub fn records(&self) -> Vec<EgressRecord> {
        let record = |release: &Digest| {
            let budget = self.budgets.get(release)?;
            let of_release = self.accounts.iter().filter(|(_, account)| account.release == *release);
            let blobs = of_release.map(|(blob, account)| BlobRecord {
                blob: *blob,
                bytes: account.bytes,
                sent: account.sent.as_ref().map(|sent| hex::encode(sent.to_bytes())).unwrap_or_default(),
                receivers: account.receivers.iter().map(|(peer, _)| *peer).collect(),
            });
            Some(EgressRecord {
                release: *release,
                permille: budget.permille,
                sent_bytes: budget.sent,
                referred: budget.referred,
                blobs: blobs.collect(),
            })
        };
        self.order.iter().filter_map(record).collect()
    }

    /// How each budget stands, in the order in which they were set.
    pub fn reports(&self) -> Vec<EgressReport> {
        let report = |release: &Digest| {
            self.budgets.get(release).map(|budget| EgressReport {
                release: *release,
                permille: budget.permille,
                payload_bytes: budget.payload,
                distinct_bytes: budget.distinct,
                sent_bytes: budget.sent,
                left_bytes: budget.limit().saturating_sub(budget.sent),
                beyond_bytes: budget.sent.saturating_sub(budget.limit()),
                referred: budget.referred,
            })
        };
        self.order.iter().filter_map(report).collect()
    }

    /// Whether there is any budget.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// A piece that was sent beyond its release's budget since the last call.
    pub fn take_stranded(&mut self) -> Option<(Digest, PieceName)> {
        self.stranded.pop_front()
    }

    /// What `piece` of `bytes` may cost now.
    pub(super) fn judge(&self, piece: PieceName, bytes: u32) -> Purse {
        let Some((account, budget)) = self.of(&piece.0) else { return Purse::Free };
        let Some(sent) = &account.sent else { return Purse::Open };
        // First copies that are still to come have their part of the budget set aside.
        let set_aside = budget.payload - budget.distinct;
        let room = budget.sent.saturating_add(u64::from(bytes)).saturating_add(set_aside) <= budget.limit();
        if !sent.contains(piece.1) || room { Purse::Open } else { Purse::Spent }
    }

    /// Those who received some of the blob, other than `asker`, the newest first.
    pub(super) fn receivers(&self, blob: &Digest, asker: NodeId) -> impl Iterator<Item = NodeId> {
        let receivers = self.accounts.get(blob).into_iter().flat_map(|account| account.receivers.iter());
        receivers.rev().map(|(peer, _)| *peer).filter(move |peer| *peer != asker)
    }

    /// A request was referred because the budget is spent.
    pub(super) fn referred(&mut self, blob: &Digest) {
        if let Some(account) = self.accounts.get(blob)
            && let Some(budget) = self.budgets.get_mut(&account.release)
        {
            budget.referred = budget.referred.saturating_add(1);
        }
    }

    /// Whether `asker`, who tried everybody that we can name, is to be served all the same.
    pub(super) fn is_stranded(&mut self, now: Time, piece: PieceName, asker: NodeId) -> bool {
        let Some(account) = self.accounts.get(&piece.0) else { return true };
        if !account.receivers.iter().any(|(peer, here)| *here && *peer != asker) {
            return true;
        }
        while let Some(oldest) = self.vain_order.front()
            && (self.vain_order.len() >= VAIN_MAX
                || self.vain.get(oldest).is_none_or(|at| now.since(*at) > STRANDED_PATIENCE.times(2)))
        {
            let oldest = *oldest;
            self.vain_order.pop_front();
            self.vain.remove(&oldest);
        }
        let since = *self.vain.entry(piece).or_insert_with(|| {
            self.vain_order.push_back(piece);
            now
        });
        now.since(since) >= STRANDED_PATIENCE
    }

    /// A piece is to be sent.
    pub(super) fn charge(&mut self, piece: PieceName, bytes: u32) {
        let Some(account) = self.accounts.get_mut(&piece.0) else { return };
        let Some(budget) = self.budgets.get_mut(&account.release) else { return };
        let sent = account.sent.get_or_insert_with(|| {
            budget.payload += account.bytes;
            PieceSet::none(piece_count(account.bytes))
        });
        if sent.insert(piece.1) {
            budget.distinct += u64::from(bytes);
        }
        budget.sent = budget.sent.saturating_add(u64::from(bytes));
        if budget.sent > budget.limit() && self.stranded.len() < VAIN_MAX {
            self.stranded.push_back((account.release, piece));
        }
    }

    /// A piece was not sent after all; `unknown` if some of it may have left, and counts.
    pub(super) fn refund(&mut self, piece: PieceName, bytes: u32, unknown: bool, others_have_it: bool) {
        let Some(account) = self.accounts.get_mut(&piece.0) else { return };
        let Some(budget) = self.budgets.get_mut(&account.release) else { return };
        if !unknown {
            budget.sent = budget.sent.saturating_sub(u64::from(bytes));
        }
        if !others_have_it && account.sent.as_mut().is_some_and(|sent| sent.remove(piece.1)) {
            budget.distinct = budget.distinct.saturating_sub(u64::from(bytes));
        }
    }

    /// `peer` has received some of `blob`.
    pub(super) fn received(&mut self, blob: &Digest, peer: NodeId) {
        let Some(account) = self.accounts.get_mut(blob) else { return };
        if account.receivers.back() == Some(&(peer, true)) {
            return;
        }
        account.receivers.retain(|(other, _)| *other != peer);
        account.receivers.push_back((peer, true));
        if account.receivers.len() > PEERS_NAMED_MAX {
            account.receivers.pop_front();
        }
    }

    /// The stream of `peer` ended: it may be gone, or have all it needs.
    pub(super) fn lost(&mut self, peer: NodeId) {
        for account in self.accounts.values_mut() {
            account
                .receivers
                .iter_mut()
                .filter(|(other, _)| *other == peer)
                .for_each(|(_, here)| *here = false);
        }
    }

    fn of(&self, blob: &Digest) -> Option<(&Account, &Budget)> {
        let account = self.accounts.get(blob)?;
        Some((account, self.budgets.get(&account.release)?))
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.budgets.remove(&oldest);
            self.accounts.retain(|_, account| account.release != oldest);
        }
    }
}

fn bytes_of(bytes: u64, pieces: &PieceSet) -> u64 {
    pieces.iter().filter_map(|piece| piece_range(bytes, piece)).map(|(_, length)| u64::from(length)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PublicKey;
    use crate::transfer::PIECE_BYTES;
    use crate::transfer::groups::{GroupSet, Share};
    use crate::transfer::upload::{Standing, Upload, Verdict, Wanted};

    const BLOB: Digest = Digest([7; 32]);
    const RELEASE: Digest = Digest([1; 32]);

    fn peer(number: u8) -> NodeId {
        PublicKey([number; 32])
    }

    fn wanted(piece: u32, tried: &[NodeId]) -> Wanted<'_> {
        let insist = tried.len() >= PEERS_NAMED_MAX;
        let of = 40 * u64::from(PIECE_BYTES);
        let share = Share::of(GroupSet::all(PIECE_BYTES), GroupSet::NONE, PIECE_BYTES).unwrap();
        Wanted {
            piece: (BLOB, piece),
            of,
            share,
            bytes: PIECE_BYTES,
            tried,
            insist,
            standing: Standing::Origin,
        }
    }

    /// A holder of 40 pieces with a budget, each of which it has sent to its own peer.
    fn spent(permille: u32) -> Upload {
        let mut upload = Upload::new(None);
        upload.egress.set(RELEASE, permille, &[(BLOB, 40 * u64::from(PIECE_BYTES))]).unwrap();
        for piece in 0..40 {
            let to = peer(u8::try_from(piece % 8).unwrap() + 1);
            assert_eq!(upload.request(Time(0), to, wanted(piece, &[])), Verdict::Wait);
            let serve = upload.next(Time(0)).unwrap();
            upload.sent(serve, true);
            upload.has(Time(0), to, BLOB, &[piece]);
        }
        upload
    }

    #[test]
    fn within_the_budget_who_tried_in_vain_is_served_and_beyond_it_referred() {
        let mut upload = spent(1_050);
        for piece in 0..2 {
            let holder = [peer(u8::try_from(piece).unwrap() + 1)];
            assert_eq!(upload.request(Time(1), peer(20), wanted(piece, &holder)), Verdict::Wait);
        }
        let report = upload.egress.reports()[0];
        assert_eq!((report.copies_permille(), report.left_bytes, report.beyond_bytes), (1_050, 0, 0));
        let tried = [peer(3)];
        assert_eq!(upload.request(Time(2), peer(20), wanted(2, &[])), Verdict::Refer(vec![peer(3)]));
        assert_eq!(upload.request(Time(2), peer(20), wanted(2, &tried)), Verdict::Busy);
        assert_eq!(upload.egress.reports()[0].referred, 1);
        assert_eq!(upload.egress.take_stranded(), None);
    }

    #[test]
    fn a_piece_that_nobody_else_holds_is_sent_beyond_the_budget_and_that_is_said() {
        let mut upload = spent(1_000);
        let tried = [peer(3)];
        assert_eq!(upload.request(Time(1), peer(20), wanted(2, &tried)), Verdict::Busy, "peer 3 is here");
        for number in 1..=8 {
            upload.lost(peer(number));
        }
        assert_eq!(upload.request(Time(2), peer(20), wanted(2, &tried)), Verdict::Wait, "all are gone");
        let report = upload.egress.reports()[0];
        assert_eq!(report.beyond_bytes, u64::from(PIECE_BYTES));
        assert_eq!(upload.egress.take_stranded(), Some((RELEASE, (BLOB, 2))));
    }

    #[test]
    fn holders_that_live_and_never_serve_hold_an_asker_back_for_a_bounded_time() {
        let mut upload = spent(1_000);
        let tried = [peer(3)];
        assert_eq!(upload.request(Time(1), peer(20), wanted(2, &tried)), Verdict::Busy);
        let later = Time(1) + STRANDED_PATIENCE;
        assert_eq!(upload.request(later, peer(20), wanted(2, &tried)), Verdict::Wait);
    }

    #[test]
    fn a_promise_that_was_not_kept_gives_its_budget_back() {
        let mut upload = Upload::new(None);
        upload.egress.set(RELEASE, 1_000, &[(BLOB, 3 * u64::from(PIECE_BYTES))]).unwrap();
        upload.request(Time(0), peer(1), wanted(0, &[]));
        upload.cancel(peer(1), (BLOB, 0));
        assert_eq!(upload.egress.reports()[0].sent_bytes, 0);
        upload.request(Time(0), peer(1), wanted(0, &[]));
        upload.next(Time(0)).unwrap();
        upload.lost(peer(1));
        // Some of it may have left: it counts, and the piece is to be had again all the same.
        assert_eq!(upload.egress.reports()[0].sent_bytes, u64::from(PIECE_BYTES));
        assert_eq!(upload.request(Time(1), peer(2), wanted(0, &[])), Verdict::Wait);
    }

    #[test]
    fn accounts_outlive_a_restart() {
        let before = spent(1_050);
        let records = before.egress.records();
        let mut upload = Upload::new(None);
        records.iter().for_each(|record| upload.egress.restore(record).unwrap());
        assert_eq!(upload.egress.records(), before.egress.records());
        assert_eq!(upload.egress.reports(), before.egress.reports());
        let insisting: Vec<NodeId> = (30..38).map(peer).collect();
        assert_eq!(upload.request(Time(0), peer(20), wanted(0, &[])), Verdict::Wait, "there is room for two");
        assert_eq!(upload.request(Time(0), peer(20), wanted(1, &[])), Verdict::Wait);
        let referred = upload.request(Time(0), peer(20), wanted(2, &[]));
        assert!(matches!(referred, Verdict::Refer(peers) if peers.len() == PEERS_NAMED_MAX));
        assert_eq!(
            upload.request(Time(0), peer(20), wanted(3, &insisting)),
            Verdict::Wait,
            "none is here now"
        );
    }

    #[test]
    fn budgets_are_bounded_in_multiple_and_number() {
        let mut egress = Egress::default();
        assert_eq!(egress.set(RELEASE, 999, &[]), Err(BudgetError::Multiple(999)));
        for number in 0..=BUDGETS_MAX {
            let mut name = [2; 32];
            name[0] = u8::try_from(number).unwrap();
            egress.set(Digest(name), 1_000, &[(Digest(name), 10)]).unwrap();
        }
        assert_eq!((egress.reports().len(), egress.accounts.len()), (BUDGETS_MAX, BUDGETS_MAX));
        let many: Vec<(Digest, u64)> =
            (0..=BUDGETED_BLOBS_MAX as u64).map(|number| (Digest::of(&number.to_le_bytes()), 1)).collect();
        assert_eq!(egress.set(RELEASE, 1_000, &many), Err(BudgetError::TooMany));
    }
}
