//! A daemon of two GPUs, with a call on each.

use lipsyncd::rpc::client::{ClientError, RemoteFrames};
use tonic::transport::Channel;

use crate::common::program::Program;
use crate::common::server::wav;
use crate::common::talk::proto::GetStatsRequest;
use crate::common::talk::proto::lip_sync_client::LipSyncClient;
use crate::common::talk::{RATE_HZ, connect};
use crate::common::{TINY, avatars_dir, within};
use crate::serving::client;
use crate::stand_in::StandIn;

/// Two calls of [`LONG`] frames that nobody has read yet, each on a GPU of its own; and a client to ask for figures.
pub struct OnTwo {
    pub program: Program,
    pub calls: [RemoteFrames; 2],
    pub client: LipSyncClient<Channel>,
}

pub const LONG: u64 = 1500;

impl OnTwo {
    pub async fn start(driver: &StandIn) -> Self {
        let more = [("DRIVER_GPUS", "2"), ("LIPSYNCD_SLOTS", "1"), ("LIPSYNCD_DRAIN_SECONDS", "3600")];
        let program = Program::start(&avatars_dir(), &driver.environment(&more));
        let mut client = connect(program.address).await;
        let first = Self::unread(&program).await;
        assert_eq!(Self::sessions(&mut client).await, [1, 0]);
        let second = Self::unread(&program).await;
        assert_eq!(Self::sessions(&mut client).await, [1, 1]);
        Self { program, calls: [first, second], client }
    }

    async fn unread(program: &Program) -> RemoteFrames {
        let sound = wav(&vec![0.1; LONG as usize * RATE_HZ as usize / 25], RATE_HZ);
        within(client(program).await.synthesize(TINY, sound, 0, 0)).await.unwrap()
    }

    pub async fn sessions(client: &mut LipSyncClient<Channel>) -> Vec<u32> {
        let stats = within(client.get_stats(GetStatsRequest {})).await.unwrap().into_inner();
        stats.devices.iter().map(|device| device.sessions).collect()
    }
}

/// Reads a call to its end: how many frames came, and why no more.
pub async fn read(mut call: RemoteFrames) -> (u64, Option<ClientError>) {
    let mut frames = 0;
    loop {
        match within(call.next()).await {
            Ok(Some(_)) => frames += 1,
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}
