//! Pieces that are passed on before they are whole.

use groundswell_protocol::transfer::groups::{GROUP_BYTES, group_values};

use super::hostile::{framed, hostile_holder};
use super::*;

/// A holder of all of `content` that gives the first `groups` groups of each piece and then says nothing more, after
/// `change` of each.
fn gives_some(fleet: &Fleet, number: u8, content: Vec<u8>, groups: u8, change: fn(&mut Vec<u8>)) {
    let outline = Outline::of(&content).unwrap();
    hostile_holder(fleet, number, move |ask| match ask {
        Ask::Ask { blob } => {
            let all = PieceSet::all(outline.pieces());
            vec![framed(&Answer::Have(Have::new(blob, outline.bytes(), &all, Vec::new())))]
        }
        Ask::Outline { page, .. } => vec![framed(&Answer::outline_page(&outline, page))],
        Ask::Request { blob, piece, .. } => {
            let data = content.chunks(PIECE_BYTES as usize).nth(piece as usize).unwrap();
            let all = group_values(u64::from(piece) * u64::from(PIECE_BYTES), data);
            let parts = data.chunks(GROUP_BYTES as usize).zip(0..groups);
            let answers = parts.map(|(data, group)| {
                let values = if group == 0 { all.clone() } else { Vec::new() };
                let mut data = data.to_vec();
                change(&mut data);
                framed(&Answer::Group { blob, piece, group, values, data })
            });
            answers.collect()
        }
        _ => Vec::new(),
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_here_of_a_piece_is_passed_on_before_the_rest_comes_and_nothing_comes_twice() {
    let fleet = Fleet::new();
    let content = content(2 * PIECE_BYTES as usize, 1);
    gives_some(&fleet, 9, content.clone(), 3, |_| ());
    let (mut first, mut second) = (fleet.node(1), fleet.node(2));
    let wants = [want(&content)];
    first.transfer.fetch(wants[0], vec![id(9)]).unwrap();
    second.transfer.fetch(wants[0], vec![first.id]).unwrap();
    let some = 2 * 3 * u64::from(GROUP_BYTES);
    second.until(|transfer| transfer.counters().downloaded_bytes == some).await;
    first.until(|transfer| transfer.counters().uploaded_bytes == some).await;
    assert_eq!(second.uploaded(), 0);
    assert!(first.transfer.progress().iter().all(|progress| progress.done_bytes == 0));
    let publisher = fleet.node(3);
    publisher.store.insert(&content).unwrap();
    first.transfer.add_holders(wants[0].blob, vec![publisher.id]).unwrap();
    assert!(first.stored(&wants).await.is_empty() && second.stored(&wants).await.is_empty());
    assert_eq!(second.transfer.counters().wasted_bytes, 0);
    let rest = wants[0].bytes - some;
    second.until(|transfer| transfer.counters().downloaded_bytes == some + rest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_a_group_that_is_none_is_named_and_not_who_passes_others_on() {
    let fleet = Fleet::new();
    let content = content(3 * PIECE_BYTES as usize, 2);
    gives_some(&fleet, 8, content.clone(), 4, |group| group[7] ^= 1);
    gives_some(&fleet, 9, content.clone(), 2, |_| ());
    let (mut first, mut second) = (fleet.node(1), fleet.node(2));
    let wants = [want(&content)];
    first.transfer.fetch(wants[0], vec![id(9)]).unwrap();
    second.transfer.fetch(wants[0], vec![first.id, id(8)]).unwrap();
    second.until(|transfer| transfer.offences().of(Offence::Corrupt) == 1).await;
    second.until(|transfer| transfer.counters().downloaded_bytes > 3 * u64::from(GROUP_BYTES)).await;
    let publisher = fleet.node(3);
    publisher.store.insert(&content).unwrap();
    for node in [&first, &second] {
        node.transfer.add_holders(wants[0].blob, vec![publisher.id]).unwrap();
    }
    assert!(first.stored(&wants).await.is_empty());
    assert_eq!(second.stored(&wants).await, BTreeSet::from([id(8)]));
}
