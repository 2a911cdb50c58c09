//! Peers that do what the piece protocol does not allow: refused, counted, scored, within bounds.

use groundswell_protocol::transfer::groups::GroupSet;
use groundswell_protocol::transfer::wire::WireError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A peer that answers every ask with what `answer` makes of it.
pub(super) fn hostile_holder(
    fleet: &Fleet,
    number: u8,
    answer: impl Fn(Ask) -> Vec<Vec<u8>> + Clone + Send + 'static,
) {
    let mut incoming = fleet.net.join(id(number));
    tokio::spawn(async move {
        while let Some((_, mut stream)) = incoming.recv().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                while let Ok(Some(ask)) = read_message::<Ask>(&mut stream, || {}).await {
                    for bytes in answer(ask) {
                        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
}

pub(super) fn framed(answer: &Answer) -> Vec<u8> {
    let bytes = answer.encode();
    let mut framed = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
    framed.extend(bytes);
    framed
}

/// A receiver asks a hostile peer and an honest one: the blob comes, and the offence is counted.
async fn survives(offence: Offence, answer: impl Fn(Ask) -> Vec<Vec<u8>> + Clone + Send + 'static) {
    let fleet = Fleet::new();
    let blob = content(300_000, 1);
    hostile_holder(&fleet, 9, answer);
    let mut receiver = fleet.node(2);
    receiver.transfer.fetch(want(&blob), vec![id(9)]).unwrap();
    receiver.until(|transfer| transfer.offences().of(offence) > 0).await;
    let publisher = fleet.node(1);
    publisher.store.insert(&blob).unwrap();
    receiver.transfer.add_holders(want(&blob).blob, vec![publisher.id]).unwrap();
    receiver.stored(&[want(&blob)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_that_lies_ends_the_stream_before_memory_is_taken() {
    survives(Offence::Length, |_| vec![u32::MAX.to_le_bytes().to_vec()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bitmap_of_the_wrong_size_is_refused() {
    survives(Offence::Bound, |ask| {
        let Ask::Ask { blob } = ask else { return Vec::new() };
        // One bit too many for its size: the same bytes, under a size of fewer pieces.
        let mut pieces = PieceSet::none(40);
        pieces.insert(3);
        let have = Have::new(blob, 40 * u64::from(PIECE_BYTES), &pieces, Vec::new());
        let mut bytes = framed(&Answer::Have(have));
        let at = 4 + 1 + 4 + 32;
        bytes[at..at + 8].copy_from_slice(&300_000_u64.to_le_bytes());
        assert_eq!(Answer::decode(&bytes[4..]), Err(WireError::Bound("pieces")));
        vec![bytes]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_of_another_size_than_was_signed_is_not_taken() {
    survives(Offence::Size, |ask| {
        let Ask::Ask { blob } = ask else { return Vec::new() };
        let have = Have::new(blob, 4 << 30, &PieceSet::all(65_536), Vec::new());
        vec![framed(&Answer::Have(have))]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_that_nobody_asked_for_end_the_stream() {
    survives(Offence::Unasked, |ask| match ask {
        Ask::Ask { .. } => {
            let blob = Digest([77; 32]);
            (0..600).map(|piece| framed(&Answer::Piece { blob, piece, data: vec![1; 10] })).collect()
        }
        _ => Vec::new(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_serves_bad_bytes_of_three_blobs_is_dropped_and_all_of_them_complete() {
    let fleet = Fleet::new();
    let blobs: Vec<Vec<u8>> = (0..5).map(|seed| content(200_000, seed)).collect();
    let known = blobs.clone();
    hostile_holder(&fleet, 9, move |ask| {
        let find = |blob| known.iter().find(|content| Digest::of(content) == blob).unwrap();
        match ask {
            Ask::Ask { blob } => {
                let all = PieceSet::all(4);
                vec![framed(&Answer::Have(Have::new(blob, 200_000, &all, Vec::new())))]
            }
            Ask::Outline { blob, page } => {
                vec![framed(&Answer::outline_page(&Outline::of(find(blob)).unwrap(), page))]
            }
            Ask::Request { blob, piece, .. } => {
                vec![framed(&Answer::Piece { blob, piece, data: vec![0; 100] })]
            }
            Ask::Cancel { .. }
            | Ask::Came { .. }
            | Ask::MayBring { .. }
            | Ask::Wait { .. }
            | Ask::Brings { .. }
            | Ask::Forget { .. } => Vec::new(),
        }
    });
    let mut receiver = fleet.node(2);
    let wants: Vec<Want> = blobs.iter().map(|blob| want(blob)).collect();
    receiver.transfer.fetch_many(wants[..3].to_vec(), vec![id(9)]).unwrap();
    receiver.until(|transfer| transfer.offences().of(Offence::Corrupt) == 3).await;
    receiver.transfer.fetch_many(wants[3..].to_vec(), vec![id(9)]).unwrap();
    let publisher = fleet.node(1);
    for blob in &blobs {
        publisher.store.insert(blob).unwrap();
        receiver.transfer.add_holders(want(blob).blob, vec![publisher.id]).unwrap();
    }
    let mut missing: BTreeSet<Digest> = wants.iter().map(|want| want.blob).collect();
    while !missing.is_empty() {
        match timeout(PATIENCE, receiver.events.recv()).await.unwrap().unwrap() {
            TransferEvent::Stored { blob } => assert!(missing.remove(&blob)),
            TransferEvent::Corrupt { peer, .. } => assert_eq!(peer, id(9), "nobody else is named"),
            TransferEvent::Failed { why, .. } => panic!("{why}"),
        }
    }
    assert_eq!(receiver.transfer.offences().of(Offence::Corrupt), 3, "it was not asked for the others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_at_once_cost_their_sender_its_stream_and_nobody_else_anything() {
    let fleet = Fleet::new();
    let blob = content(4 << 20, 1);
    let publisher = fleet.node(1);
    publisher.store.insert(&blob).unwrap();
    let hostile = NetStreams { me: id(66), net: fleet.net.clone() };
    let mut stream = hostile.open(publisher.id).await.unwrap();
    let flood = tokio::spawn(async move {
        for number in 0..10_000_u32 {
            let ask = Ask::Request {
                blob: want_of(4 << 20, 1),
                piece: number % 64,
                here: GroupSet::NONE,
                tried: vec![],
                insist: true,
            };
            if write_message(&mut stream, &ask.encode()).await.is_err() || flush(&mut stream).await.is_err() {
                break;
            }
        }
        // Nothing of what was asked for is read: the rest of the stream ends the test's patience, not the node's.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        rest.len()
    });
    let mut receiver = fleet.node(2);
    receiver.transfer.fetch(want(&blob), vec![publisher.id]).unwrap();
    receiver.stored(&[want(&blob)]).await;
    publisher.until(|transfer| transfer.offences().of(Offence::Deaf) > 0).await;
    let read = timeout(PATIENCE, flood).await.expect("its stream ends").unwrap();
    assert!(read < 8 << 20, "{read} bytes were held for it");
}

fn want_of(bytes: usize, seed: u32) -> Digest {
    Digest::of(&content(bytes, seed))
}
