//! Swarms in one process, over in-memory streams and real folders.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::{NodeId, PublicKey};
use groundswell_protocol::transfer::wire::{Answer, Ask, Have, Message};
use groundswell_protocol::transfer::{Outline, PIECE_BYTES, PieceSet};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

#[path = "hostile_tests.rs"]
mod hostile;
#[path = "passing_tests.rs"]
mod passing;

use super::stream::{flush, read_message, write_message};
use super::*;
use crate::store::Located;
use crate::store::blobs::StoreLimits;

const PATIENCE: Duration = Duration::from_secs(60);

fn id(number: u8) -> NodeId {
    PublicKey([number; 32])
}

fn content(bytes: usize, seed: u32) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut content);
    content
}

fn want(content: &[u8]) -> Want {
    Want { blob: Digest::of(content), bytes: content.len() as u64 }
}

type Door = mpsc::Sender<(NodeId, PieceStream)>;
type Incoming = mpsc::Receiver<(NodeId, PieceStream)>;

/// Who can be reached.
#[derive(Clone, Default)]
struct Net(Arc<Mutex<BTreeMap<NodeId, Door>>>);

impl Net {
    fn join(&self, node: NodeId) -> Incoming {
        let (sender, incoming) = mpsc::channel(16);
        self.0.lock().unwrap().insert(node, sender);
        incoming
    }

    fn leave(&self, node: NodeId) {
        self.0.lock().unwrap().remove(&node);
    }
}

#[derive(Clone)]
struct NetStreams {
    me: NodeId,
    net: Net,
}

impl Streams for NetStreams {
    async fn open(&self, peer: NodeId) -> io::Result<PieceStream> {
        let door = self.net.0.lock().unwrap().get(&peer).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
        let (near, far) = tokio::io::duplex(128 * 1024);
        let far: PieceStream = Box::new(far);
        door.send((self.me, far)).await.map_err(|_| io::ErrorKind::ConnectionReset)?;
        Ok(Box::new(near))
    }
}

struct Node {
    id: NodeId,
    store: BlobStore,
    transfer: Transfer,
    events: mpsc::Receiver<TransferEvent>,
}

struct Fleet {
    net: Net,
    folders: TempDir,
    limits: TransferLimits,
}

impl Fleet {
    fn new() -> Self {
        let limits = TransferLimits::default();
        Self { net: Net::default(), folders: TempDir::new().unwrap(), limits }
    }

    fn node(&self, number: u8) -> Node {
        self.node_with(number, 1 << 30, Vec::new())
    }

    fn node_with(&self, number: u8, total_bytes: u64, contents: Vec<Arc<dyn Content>>) -> Node {
        let folder = self.folders.path().join(number.to_string());
        let store = BlobStore::open(&folder, StoreLimits { total_bytes }).unwrap();
        let streams = NetStreams { me: id(number), net: self.net.clone() };
        let incoming = self.net.join(id(number));
        let (transfer, events) =
            Transfer::start(id(number), store.clone(), contents, streams, incoming, self.limits);
        Node { id: id(number), store, transfer, events }
    }
}

impl Node {
    /// Waits until all of `blobs` are stored; returns those named as corrupt meanwhile.
    async fn stored(&mut self, blobs: &[Want]) -> BTreeSet<NodeId> {
        let mut missing: BTreeSet<Digest> = blobs.iter().map(|want| want.blob).collect();
        let mut corrupt = BTreeSet::new();
        while !missing.is_empty() {
            match timeout(PATIENCE, self.events.recv()).await.expect("nothing happened").unwrap() {
                TransferEvent::Stored { blob } => assert!(missing.remove(&blob)),
                TransferEvent::Corrupt { peer, .. } => assert!(corrupt.insert(peer)),
                TransferEvent::Failed { why, .. } => panic!("{why}"),
            }
        }
        corrupt
    }

    fn uploaded(&self) -> u64 {
        self.transfer.counters().uploaded_bytes
    }

    async fn until(&self, reached: impl Fn(&Transfer) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !reached(&self.transfer) {
            assert!(Instant::now() < deadline, "not reached");
            tokio::task::yield_now().await;
        }
    }
}

/// A peer that says it has the first `held` pieces of a blob and answers requests as `pieces` decides; nothing ends its stream.
fn fake_holder(
    fleet: &Fleet,
    number: u8,
    content: Vec<u8>,
    held: u32,
    pieces: fn(u32, Vec<u8>) -> Option<Vec<u8>>,
) {
    let mut incoming = fleet.net.join(id(number));
    let outline = Arc::new(Outline::of(&content).unwrap());
    tokio::spawn(async move {
        while let Some((_, mut stream)) = incoming.recv().await {
            let (content, outline) = (content.clone(), outline.clone());
            tokio::spawn(async move {
                while let Ok(Some(ask)) = read_message::<Ask>(&mut stream, || {}).await {
                    let answer = match ask {
                        Ask::Ask { blob } => {
                            let mut said = PieceSet::none(outline.pieces());
                            (0..held.min(outline.pieces())).for_each(|piece| assert!(said.insert(piece)));
                            Answer::Have(Have::new(blob, outline.bytes(), &said, Vec::new()))
                        }
                        Ask::Outline { page, .. } => Answer::outline_page(&outline, page),
                        Ask::Request { blob, piece, .. } => {
                            let data = content.chunks(PIECE_BYTES as usize).nth(piece as usize).unwrap();
                            let Some(data) = pieces(piece, data.to_vec()) else { return };
                            Answer::Piece { blob, piece, data }
                        }
                        Ask::Cancel { .. }
                        | Ask::Came { .. }
                        | Ask::MayBring { .. }
                        | Ask::Wait { .. }
                        | Ask::Brings { .. }
                        | Ask::Forget { .. } => continue,
                    };
                    if write_message(&mut stream, &answer.encode()).await.is_err() {
                        return;
                    }
                    if flush(&mut stream).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

async fn publish_to_eleven(bytes: usize, permille_max: u64) {
    let fleet = Fleet::new();
    let publisher = fleet.node(1);
    let blob = content(bytes, 1);
    publisher.store.insert(&blob).unwrap();
    let mut receivers: Vec<Node> = (2..=12).map(|number| fleet.node(number)).collect();
    let started = Instant::now();
    for receiver in &receivers {
        receiver.transfer.fetch(want(&blob), vec![publisher.id]).unwrap();
    }
    for receiver in &mut receivers {
        receiver.stored(&[want(&blob)]).await;
        assert_eq!(receiver.store.read(&Digest::of(&blob)).unwrap().as_deref(), Some(blob.as_slice()));
    }
    let permille = publisher.uploaded() * 1000 / blob.len() as u64;
    let wasted: u64 = receivers.iter().map(|node| node.transfer.counters().wasted_bytes).sum();
    println!(
        "{bytes} bytes to 11: {permille} permille from the publisher, {wasted} wasted, {:?}",
        started.elapsed()
    );
    assert!(permille <= permille_max, "the publisher sent {permille} permille");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eleven_receivers_cost_the_publisher_at_most_two_copies_of_a_large_blob() {
    publish_to_eleven(4 << 20, 2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eleven_receivers_cost_the_publisher_at_most_a_copy_each_of_a_small_blob() {
    publish_to_eleven(20 << 10, 11_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_kept_counted_and_outlives_the_publisher_s_restart() {
    let fleet = Fleet::new();
    let publisher = fleet.node(1);
    let blob = content(4 << 20, 1);
    publisher.store.insert(&blob).unwrap();
    let budget = Budget {
        release: Digest([5; 32]),
        permille: 1_050,
        blobs: vec![(want(&blob).blob, blob.len() as u64)],
    };
    let too_little = Budget { permille: 999, ..budget.clone() };
    assert!(publisher.transfer.set_budget(too_little).await.unwrap().is_err());
    publisher.transfer.set_budget(budget).await.unwrap().unwrap();
    let mut receivers: Vec<Node> = (2..=9).map(|number| fleet.node(number)).collect();
    for receiver in &receivers {
        receiver.transfer.fetch(want(&blob), vec![publisher.id]).unwrap();
    }
    for receiver in &mut receivers {
        receiver.stored(&[want(&blob)]).await;
    }
    publisher.until(|transfer| transfer.budgets()[0].sent_bytes == transfer.counters().uploaded_bytes).await;
    let report = publisher.transfer.budgets()[0];
    println!("4 MiB to 8 with a budget: {report:?}");
    assert!(report.copies_permille() <= 1_050 && report.beyond_bytes == 0, "{report:?}");
    assert_eq!(report.distinct_bytes, blob.len() as u64);

    let records = publisher.transfer.budget_records().await.unwrap();
    let text = serde_json::to_string(&records).unwrap();
    drop(publisher);
    let again = fleet.node(1);
    again.transfer.restore_budgets(serde_json::from_str(&text).unwrap()).unwrap();
    again.until(|transfer| transfer.budgets() == [report]).await;
    // The receivers of the first run serve a latecomer, to whom they are named.
    let mut late = fleet.node(10);
    late.transfer.fetch(want(&blob), vec![again.id]).unwrap();
    late.stored(&[want(&blob)]).await;
    again.until(|transfer| transfer.budgets()[0].referred > 0).await;
    let report = again.transfer.budgets()[0];
    println!("and to a latecomer: {report:?}");
    assert!(report.copies_permille() <= 1_050 && report.beyond_bytes == 0, "{report:?}");

    for number in 2..=10 {
        fleet.net.leave(id(number));
    }
    drop((receivers, late));
    let mut stranded = fleet.node(11);
    stranded.transfer.fetch(want(&blob), vec![again.id]).unwrap();
    stranded.stored(&[want(&blob)]).await;
    let report = again.transfer.budgets()[0];
    println!("and when all others are gone: {report:?}");
    assert!(report.beyond_bytes > 3 << 20, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sites_take_about_one_copy_each_and_account_for_it() {
    let fleet = Fleet::new();
    let publisher = fleet.node(1);
    let blob = content(2 << 20, 1);
    publisher.store.insert(&blob).unwrap();
    let mut receivers: Vec<Node> = (2..=9).map(|number| fleet.node(number)).collect();
    let sites = [(2..=5).map(id).collect::<Vec<_>>(), (6..=9).map(id).collect()];
    for receiver in &receivers {
        let site = sites.iter().find(|site| site.contains(&receiver.id)).unwrap();
        let others = site.iter().copied().filter(|other| *other != receiver.id).collect();
        receiver.transfer.set_site(others).unwrap();
        receiver.transfer.fetch(want(&blob), vec![publisher.id]).unwrap();
    }
    for receiver in &mut receivers {
        receiver.stored(&[want(&blob)]).await;
    }
    for site in &sites {
        let of_site = receivers.iter().filter(|receiver| site.contains(&receiver.id));
        let counters: Vec<Counters> = of_site.map(|receiver| receiver.transfer.counters()).collect();
        let outside: u64 = counters.iter().map(|c| c.downloaded_bytes - c.site_bytes).sum();
        let permille = outside * 1000 / blob.len() as u64;
        println!("a site of 4 took in {permille} permille");
        assert!(permille <= 2_000, "{permille} permille; blind it is about 3,000");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_that_nobody_has_are_named_and_other_blobs_have_their_turn() {
    let mut fleet = Fleet::new();
    fleet.limits.fair_ms = 0;
    fleet.limits.fetches_at_once = 1;
    let (scarce, plenty) = (content(1 << 20, 1), content(300_000, 2));
    fake_holder(&fleet, 9, scarce.clone(), 10, |_, data| Some(data));
    let mut receiver = fleet.node(2);
    receiver.transfer.fetch(want(&scarce), vec![id(9)]).unwrap();
    receiver.until(|transfer| transfer.shortages().iter().any(|(_, shortage)| shortage.pieces == 6)).await;
    let (blob, shortage) = receiver.transfer.shortages().remove(0);
    assert_eq!((blob, shortage.words().as_str(), shortage.of), (want(&scarce).blob, "10 to 15", 16));
    assert_eq!(shortage.bytes, 6 * u64::from(PIECE_BYTES));

    let publisher = fleet.node(1);
    publisher.store.insert(&plenty).unwrap();
    receiver.transfer.fetch(want(&plenty), vec![publisher.id]).unwrap();
    receiver.stored(&[want(&plenty)]).await;

    publisher.store.insert(&scarce).unwrap();
    receiver.transfer.add_holders(want(&scarce).blob, vec![publisher.id]).unwrap();
    receiver.stored(&[want(&scarce)]).await;
    assert!(receiver.transfer.shortages().is_empty());
    assert!(publisher.uploaded() <= plenty.len() as u64 + 6 * u64::from(PIECE_BYTES), "the rest was kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_chunks_travel_together() {
    let fleet = Fleet::new();
    let publisher = fleet.node(1);
    let chunks: Vec<Vec<u8>> =
        (0..200_u32).map(|n| content(16_384 + (n as usize * 7919) % 245_760, n)).collect();
    for chunk in &chunks {
        publisher.store.insert(chunk).unwrap();
    }
    let wants: Vec<Want> = chunks.iter().map(|chunk| want(chunk)).collect();
    let mut receivers: Vec<Node> = (2..=5).map(|number| fleet.node(number)).collect();
    let started = Instant::now();
    for receiver in &receivers {
        receiver.transfer.fetch_many(wants.clone(), vec![publisher.id]).unwrap();
    }
    for receiver in &mut receivers {
        receiver.stored(&wants).await;
    }
    let total: u64 = wants.iter().map(|want| want.bytes).sum();
    let permille = publisher.uploaded() * 1000 / total;
    println!("200 chunks, {total} bytes to 4: {permille} permille in {:?}", started.elapsed());
    assert!(permille <= 2000, "the publisher sent {permille} permille");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupt_peer_is_named_and_the_blob_completes() {
    let fleet = Fleet::new();
    let blob = content(2 << 20, 1);
    fake_holder(&fleet, 9, blob.clone(), u32::MAX, |_, mut data| {
        data[17] ^= 1;
        Some(data)
    });
    let publisher = fleet.node(1);
    publisher.store.insert(&blob).unwrap();
    let mut receiver = fleet.node(2);
    receiver.transfer.fetch(want(&blob), vec![id(9)]).unwrap();
    let event = timeout(PATIENCE, receiver.events.recv()).await.unwrap();
    assert!(matches!(event, Some(TransferEvent::Corrupt { peer, .. }) if peer == id(9)));
    receiver.transfer.add_holders(Digest::of(&blob), vec![id(9), publisher.id]).unwrap();
    assert!(receiver.stored(&[want(&blob)]).await.is_empty(), "named once");
    assert_eq!(receiver.store.read(&Digest::of(&blob)).unwrap(), Some(blob));
    assert_eq!(receiver.transfer.counters().corrupt_pieces, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_break_off_or_die_midway_only_cost_time() {
    let mut fleet = Fleet::new();
    fleet.limits.caps.upload_bytes_per_second = Some(4 << 20);
    let blob = content(4 << 20, 1);
    fake_holder(&fleet, 9, blob.clone(), u32::MAX, |piece, data| (piece % 3 != 0).then_some(data));
    let publisher = fleet.node(1);
    publisher.store.insert(&blob).unwrap();
    let mut nodes: Vec<Node> = (2..=6).map(|number| fleet.node(number)).collect();
    for node in &nodes {
        node.transfer.fetch(want(&blob), vec![publisher.id, id(9), id(77)]).unwrap();
    }
    for _ in 0..2 {
        let dying = nodes.pop().unwrap();
        dying.until(|transfer| transfer.progress().first().is_some_and(|p| p.done_bytes > 200_000)).await;
        fleet.net.leave(dying.id);
    }
    for node in &mut nodes {
        node.stored(&[want(&blob)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_resumes_where_a_killed_run_stopped() {
    let mut fleet = Fleet::new();
    let blob = content(4 << 20, 1);
    let publisher = fleet.node(1);
    publisher.store.insert(&blob).unwrap();
    fleet.limits.caps.download_bytes_per_second = Some(4 << 20);
    let first = fleet.node(2);
    first.transfer.fetch(want(&blob), vec![publisher.id]).unwrap();
    first.until(|transfer| transfer.progress().first().is_some_and(|p| p.done_bytes > 1_500_000)).await;
    let kept = first.transfer.progress()[0].done_bytes;
    assert!(!first.store.has(&Digest::of(&blob)));
    drop(first);
    fleet.limits.caps.download_bytes_per_second = None;
    let mut again = fleet.node(2);
    again.transfer.fetch(want(&blob), vec![publisher.id]).unwrap();
    again.stored(&[want(&blob)]).await;
    let fetched = again.transfer.counters().downloaded_bytes;
    println!("{kept} bytes kept, {fetched} of {} fetched again", blob.len());
    // A piece verified when the run ended may not have reached the file, and some were still on the way.
    assert!(fetched <= blob.len() as u64 - kept + 9 * u64::from(PIECE_BYTES), "{fetched} after {kept}");
    assert_eq!(again.store.read(&Digest::of(&blob)).unwrap(), Some(blob));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caps_hold_in_both_directions_and_so_does_what_others_leave() {
    for held_by in ["upload", "download", "others"] {
        let mut fleet = Fleet::new();
        let cap = Some(1 << 20);
        // What others leave is less than the cap: the less of the two holds.
        fleet.limits.caps.upload_bytes_per_second = match held_by {
            "upload" => cap,
            "others" => Some(16 << 20),
            _ => None,
        };
        let blob = content(1 << 20, 1);
        let publisher = fleet.node(1);
        publisher.store.insert(&blob).unwrap();
        publisher.transfer.leave_room(cap.filter(|_| held_by == "others")).unwrap();
        fleet.limits.caps =
            Caps { download_bytes_per_second: cap.filter(|_| held_by == "download"), ..Caps::default() };
        let mut receiver = fleet.node(2);
        let started = Instant::now();
        receiver.transfer.fetch(want(&blob), vec![publisher.id]).unwrap();
        receiver.stored(&[want(&blob)]).await;
        let took = started.elapsed();
        println!("1 MiB at 1 MiB/s took {took:?}, held by {held_by}");
        // A burst of 100 ms and one piece are free.
        assert!(took > Duration::from_millis(800), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_is_said_and_other_blobs_go_on() {
    let fleet = Fleet::new();
    let (large, small) = (content(300_000, 1), content(30_000, 2));
    let publisher = fleet.node(1);
    publisher.store.insert(&large).unwrap();
    publisher.store.insert(&small).unwrap();
    let mut receiver = fleet.node_with(2, 100_000, Vec::new());
    receiver.transfer.fetch(want(&large), vec![publisher.id]).unwrap();
    let event = timeout(PATIENCE, receiver.events.recv()).await.unwrap();
    let refused = matches!(
        &event,
        Some(TransferEvent::Failed { why: FetchError::Store(StoreError::Quota { .. }), blob })
            if *blob == Digest::of(&large)
    );
    assert!(refused, "{event:?}");
    receiver.transfer.fetch(want(&small), vec![publisher.id]).unwrap();
    receiver.stored(&[want(&small)]).await;
    assert_eq!(receiver.store.total_bytes(), 30_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_waits_for_a_holder_until_it_is_cancelled() {
    let fleet = Fleet::new();
    let (blob, never) = (content(200_000, 1), content(10, 2));
    let mut receiver = fleet.node(2);
    receiver.transfer.fetch(want(&blob), vec![id(1)]).unwrap();
    receiver.transfer.fetch(want(&never), vec![id(1)]).unwrap();
    receiver.until(|transfer| transfer.progress().len() == 2).await;
    receiver.transfer.cancel(Digest::of(&never)).unwrap();
    receiver.until(|transfer| transfer.progress().len() == 1).await;
    let publisher = fleet.node(1);
    publisher.store.insert(&blob).unwrap();
    receiver.transfer.announce(Digest::of(&blob)).unwrap();
    publisher.transfer.announce(Digest::of(&blob)).unwrap();
    receiver.stored(&[want(&blob)]).await;
    receiver.transfer.fetch(want(&blob), Vec::new()).unwrap();
    receiver.stored(&[want(&blob)]).await;
    assert!(receiver.transfer.progress().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_inside_a_slots_file_is_served_while_it_is_what_it_was() {
    struct Slot(BTreeMap<Digest, Located>);
    impl Content for Slot {
        fn locate(&self, digest: &Digest) -> Option<Located> {
            self.0.get(digest).cloned()
        }
    }
    let fleet = Fleet::new();
    let file = content(900_000, 1);
    let path = fleet.folders.path().join("binary");
    std::fs::write(&path, &file).unwrap();
    let chunks = [&file[1000..31_000], &file[200_000..455_000]];
    let spoilt = &content(900, 3)[..];
    let located = |offset: u64, bytes: usize| Located { path: path.clone(), offset, bytes: bytes as u64 };
    let slot = Slot(BTreeMap::from([
        (Digest::of(chunks[0]), located(1000, chunks[0].len())),
        (Digest::of(chunks[1]), located(200_000, chunks[1].len())),
        (Digest::of(spoilt), located(5, 900)),
    ]));
    let holder = fleet.node_with(1, 1 << 20, vec![Arc::new(slot)]);
    let mut receiver = fleet.node(2);
    let wants: Vec<Want> = chunks.iter().map(|chunk| want(chunk)).collect();
    receiver.transfer.fetch_many(wants.clone(), vec![holder.id]).unwrap();
    receiver.transfer.fetch(want(spoilt), vec![holder.id]).unwrap();
    assert!(receiver.stored(&wants).await.is_empty());
    assert_eq!(receiver.transfer.progress().len(), 1, "the spoilt one is not served, and nobody is blamed");
    assert_eq!(receiver.transfer.counters().corrupt_pieces, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_a_stream_ends_that_stream_alone() {
    let fleet = Fleet::new();
    let blob = content(100_000, 1);
    let publisher = fleet.node(1);
    publisher.store.insert(&blob).unwrap();
    let hostile = NetStreams { me: id(66), net: fleet.net.clone() };
    for garbage in [&[0xff; 64][..], &[3, 0, 0, 0, 9, 9, 9], &[0, 0, 0, 0]] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = hostile.open(publisher.id).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the stream is closed").unwrap();
    }
    let mut receiver = fleet.node(2);
    receiver.transfer.fetch(want(&blob), vec![publisher.id]).unwrap();
    receiver.stored(&[want(&blob)]).await;
}
