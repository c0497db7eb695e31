//! Draws an avatar's silent pictures for sessions that wait for them, by saying silence to it: a session like any other, which
//! nobody sees, and whose frames are kept because nothing is heard in them.

use std::sync::{Arc, Weak};

use super::core::SessionCore;
use super::intake::Intake;
use super::options::{Pace, SessionOptions};
use super::reader::{Event, FrameReader, SessionError};
use crate::avatar::silence::Drawing;

/// Samples pushed at a time.
const BLOCK: usize = 4000;

/// Has the pictures from that of `tick` on drawn, unless they are being drawn. If they cannot be, the session fails: it would stand still for
/// ever. So does each other that waits for them, as it has them drawn next.
pub(super) fn want(core: &Arc<SessionCore>, tick: u64) {
    let Some(drawing) = core.album.as_ref().and_then(|album| album.begin_drawing(core.pose_at(tick))) else { return };
    let Some(budget) = core.options.pace.budget() else { return };
    let avatar = &core.avatar;
    // The first frames of a sound have nothing before them, which is not silence.
    let before = avatar.context().rows() / 2;
    let position = core.options.start_position.wrapping_add(tick).wrapping_sub(before as u64);
    let options = SessionOptions {
        start_position: position,
        pace: Pace::Backdrop { budget },
        ..SessionOptions::new(core.options.format, avatar.sample_rate_hz())
    };
    // Once round the loop, there and back, and what the last frame hears ahead.
    let frames = 2 * avatar.frame_count() + before;
    let samples = avatar.clock().first_sample(frames, avatar.sample_rate_hz()) + 2 * avatar.sample_rate_hz() as usize;
    if let Ok((intake, reader)) = Intake::open(Arc::clone(avatar), Arc::clone(&core.queue), options) {
        let waiting = Arc::downgrade(core);
        tokio::spawn(async move {
            if let Err(error) = draw(intake, reader, samples, frames, drawing).await {
                Weak::upgrade(&waiting).inspect(|core| core.give_up(error));
            }
        });
    }
}

async fn draw(
    mut intake: Intake,
    mut reader: FrameReader,
    samples: usize,
    frames: usize,
    drawing: Drawing,
) -> Result<(), SessionError> {
    let say = async {
        let silence = [0.0; BLOCK];
        for _ in 0..samples.div_ceil(BLOCK) {
            if intake.push(&silence).await.is_err() {
                return;
            }
        }
    };
    let watch = async {
        for _ in 0..frames {
            let Some(Event::Frame(_)) = reader.next().await.transpose()? else { break };
            if drawing.is_complete() {
                break;
            }
        }
        Ok(())
    };
    tokio::pin!(say);
    tokio::select! {
        watched = watch => watched,
        never = async { say.await; std::future::pending().await } => never,
    }
}
