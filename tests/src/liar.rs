//! A member of the fleet that lies about bytes: it claims to hold every blob of a release, serves the true
//! outlines, and damages each piece.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use groundswell_agent::control::Client;
use groundswell_agent::demo::machine::Machine;
use groundswell_agent::link::{Link, LinkSettings, PieceStream, parse_address};
use groundswell_agent::release::directory::ReleaseDirectory;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::HealthNumbers;
use groundswell_protocol::facts::{Fact, Statement, Vote, VoteState};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::transfer::wire::{
    Answer, Ask, FRAME_BYTES_MAX, Have, Message, OUTLINE_PAGE_VALUES,
};
use groundswell_protocol::transfer::{Outline, PieceSet, piece_count, piece_range};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

/// The liar. Dropped, it is gone.
pub struct Liar {
    _link: Link,
    tasks: Vec<JoinHandle<()>>,
    served: Arc<AtomicU64>,
}

type Blobs = Arc<BTreeMap<Digest, Vec<u8>>>;

impl Liar {
    /// Takes the place of `machine`'s agent, which must not run, among `members`.
    ///
    /// # Panics
    /// When it cannot listen, or the release is not whole.
    pub async fn pose(
        machine: &mut Machine,
        members: &[NodeId],
        bootstrap: &[String],
        release: &ReleaseDirectory,
    ) -> Self {
        machine.let_go_of_ports();
        let mut settings = LinkSettings::new(machine.key().seed(), release.fleet().0.to_string());
        let own = machine.peer_address();
        let (listen, _) = own.rsplit_once("/p2p/").expect("an address with a key");
        settings.listen = vec![parse_address(listen).expect("an address")];
        settings.bootstrap = bootstrap
            .iter()
            .filter(|address| **address != own)
            .map(|address| parse_address(address).expect("an address"))
            .collect();
        let (link, mut events, mut streams) = Link::start(settings).await.expect("a link");
        link.admit(members.iter().copied().collect());
        let blobs: BTreeMap<Digest, Vec<u8>> = release
            .blobs()
            .expect("a whole release")
            .into_iter()
            .map(|blob| (blob.digest, std::fs::read(release.blob_path(&blob.digest)).expect("a blob")))
            .collect();
        let (blobs, served) = (Arc::new(blobs), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&served);
        let tasks = vec![
            tokio::spawn(async move { while events.recv().await.is_some() {} }),
            tokio::spawn(async move {
                while let Some((_, stream)) = streams.recv().await {
                    let (blobs, counter) = (Arc::clone(&blobs), Arc::clone(&counter));
                    tokio::spawn(async move { serve(stream, &blobs, &counter).await });
                }
            }),
        ];
        Self { _link: link, tasks, served }
    }

    /// Tells the fleet, through the agent behind `client`, that `machine` holds the whole release.
    ///
    /// # Panics
    /// When the agent refuses the vote.
    pub async fn claim(&self, machine: &Machine, client: &Client, release: &ReleaseDirectory) {
        let vote = Vote {
            rollout: release.rollout(),
            node: machine.node(),
            state: VoteState::Staged,
            attempt: 1,
            beat: 0,
            numbers: HealthNumbers::default(),
            note: String::new(),
        };
        let fact = Fact::sign(release.fleet(), Statement::Vote(vote), &[machine.key()]);
        client.submit(&fact.signed).await.expect("a member may vote");
    }

    /// How many damaged pieces it has served.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Answers one stream until it ends.
async fn serve(mut stream: PieceStream, blobs: &Blobs, served: &AtomicU64) {
    while let Some(ask) = read(&mut stream).await {
        let Some(answer) = answer(&ask, blobs, served) else { continue };
        let bytes = answer.encode();
        let length = u32::try_from(bytes.len()).expect("a bounded message");
        let written = async {
            stream.write_all(&length.to_le_bytes()).await?;
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        if written.await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut PieceStream) -> Option<Ask> {
    let length = stream.read_u32_le().await.ok()? as usize;
    let mut bytes = vec![0; length.min(FRAME_BYTES_MAX)];
    stream.read_exact(&mut bytes).await.ok()?;
    Ask::decode(&bytes).ok()
}

fn answer(ask: &Ask, blobs: &Blobs, served: &AtomicU64) -> Option<Answer> {
    match *ask {
        Ask::Ask { blob } => Some(match blobs.get(&blob) {
            Some(bytes) => {
                let size = bytes.len() as u64;
                Answer::Have(Have::new(blob, size, &PieceSet::all(piece_count(size)), Vec::new()))
            }
            None => Answer::NotHere { blob },
        }),
        Ask::Outline { blob, page } => {
            let outline = Outline::of(blobs.get(&blob)?).ok()?;
            let first = usize::from(page) * OUTLINE_PAGE_VALUES;
            let values = outline.values().iter().skip(first).take(OUTLINE_PAGE_VALUES).copied().collect();
            Some(Answer::Outline { blob, page, values })
        }
        Ask::Request { blob, piece, .. } => {
            let bytes = blobs.get(&blob)?;
            let (offset, length) = piece_range(bytes.len() as u64, piece)?;
            let offset = usize::try_from(offset).ok()?;
            let mut data = bytes[offset..offset + length as usize].to_vec();
            *data.first_mut()? ^= 1;
            served.fetch_add(1, Ordering::Relaxed);
            Some(Answer::Piece { blob, piece, data })
        }
        Ask::Cancel { .. }
        | Ask::Came { .. }
        | Ask::MayBring { .. }
        | Ask::Wait { .. }
        | Ask::Brings { .. }
        | Ask::Forget { .. } => None,
    }
}
