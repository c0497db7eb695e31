//! Frames made by a daemon, over gRPC.

use super::output::{Output, Place, Shape};
use super::sound::Speech;
use super::{Args, CommandError, frame_count, progress};
use crate::backend::FrameFormat;
use crate::rpc::client::{Client, ClientOptions};

/// Room for the whole WAV in one message; the daemon has a limit of its own.
const MAX_MESSAGE_BYTES: usize = u32::MAX as usize;

pub(super) fn run(args: &Args, server: &str, place: &Place, format: FrameFormat) -> Result<(), CommandError> {
    if format == FrameFormat::Bgr {
        return Err(CommandError::input("a daemon sends JPEG frames; leave out --format png, or --server"));
    }
    let id =
        args.avatar.to_str().ok_or_else(|| CommandError::input("--avatar: with --server this is an avatar's id"))?;
    let (speech, wav) = Speech::read_with_bytes(&args.audio)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::failed)?;
    runtime.block_on(async {
        let options = ClientOptions { max_message_bytes: MAX_MESSAGE_BYTES, stream_window_bytes: None };
        let mut client = Client::connect(server, options).await.map_err(CommandError::of_daemon)?;
        let avatar = client.avatar(id).await.map_err(CommandError::of_daemon)?;
        let mut frames = client
            .synthesize(id, wav, args.start_position, args.quality.unwrap_or(0))
            .await
            .map_err(CommandError::of_daemon)?;
        let shape = Shape { size_px: avatar.size_px, fps: avatar.fps };
        let mut output = Output::create(place, format, shape, &speech)?;
        let bar = progress::bar("frames", frame_count(&speech.pcm, avatar.fps));
        while let Some((index, jpeg)) = frames.next().await.map_err(CommandError::of_daemon)? {
            bar.inc(1);
            output.write(index, &jpeg)?;
        }
        output.finish()?;
        bar.finish();
        Ok(())
    })
}
