//! Who makes what an album has not got yet, and how others hear that it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::Album;
use crate::backend::DeviceId;

/// Who makes something that is missing.
#[derive(Default)]
pub(super) struct Claims {
    /// Devices that are at work on it, a bit each.
    devices: AtomicU64,
    /// One of them has given up its right, or it is there.
    over: Notify,
}

impl Claims {
    /// Whoever waits may look again.
    pub(super) fn tell(&self) {
        self.over.notify_waiters();
    }
}

impl Album {
    /// The right to draw the picture of `pose` on `device`; `None` when it is there or another has that right. Only on this device: one
    /// that stands still holds up nobody elsewhere.
    #[must_use]
    pub fn claim(self: &Arc<Self>, pose: usize, device: DeviceId) -> Option<Claim> {
        let is_missing = || self.pictures.get(pose).is_some_and(|picture| picture.get().is_none());
        let claim = if is_missing() { self.claim_at(pose, device) } else { None };
        // It may have been kept, and the right to draw it given back, between the two.
        claim.filter(|_| is_missing())
    }

    /// As [`Self::claim`], the right to compute the silent feature; whether that is there its caller knows.
    #[must_use]
    pub fn claim_feature(self: &Arc<Self>, device: DeviceId) -> Option<Claim> {
        self.claim_at(self.pictures.len(), device)
    }

    /// Completes once a claim to the picture of `pose`, or without one to the silent feature, has dropped after this call, or what it was for has
    /// come by another way.
    #[must_use]
    pub fn claim_over(&self, pose: Option<usize>) -> Option<Notified<'_>> {
        Some(self.claims.get(pose.unwrap_or(self.pictures.len()))?.over.notified())
    }

    fn claim_at(self: &Arc<Self>, at: usize, device: DeviceId) -> Option<Claim> {
        let bit = 1 << (device.0 % 64);
        let before = self.claims.get(at)?.devices.fetch_or(bit, Ordering::AcqRel);
        (before & bit == 0).then(|| Claim { album: Arc::clone(self), at, bit })
    }
}

/// The right to make what an album has not got yet; dropping it, done or not, gives it to whoever asks next.
pub struct Claim {
    album: Arc<Album>,
    at: usize,
    bit: u64,
}

impl Claim {
    /// Whose picture it is about; none where it is about the silent feature.
    #[must_use]
    pub fn pose(&self) -> Option<usize> {
        Some(self.at).filter(|&at| at < self.album.pictures.len())
    }

    /// The album.
    #[must_use]
    pub fn album(&self) -> &Album {
        &self.album
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(claims) = self.album.claims.get(self.at) {
            claims.devices.fetch_and(!self.bit, Ordering::AcqRel);
            claims.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kept, Silence};
    use super::*;
    use crate::backend::FrameFormat;
    use crate::picture::Quality;

    #[test]
    fn what_is_missing_is_claimed_once_a_device_until_the_claim_drops() {
        let (silence, here, there) = (Silence::default(), DeviceId(0), DeviceId(1));
        let album = silence.album(FrameFormat::Jpeg(Quality::DEFAULT), 2);
        let claim = album.claim(1, here).unwrap();
        assert_eq!(claim.pose(), Some(1));
        assert!(album.claim(1, here).is_none() && album.claim(2, here).is_none(), "no such pose");
        let elsewhere = album.claim(1, there).unwrap();
        drop(claim);
        assert!(album.claim(1, there).is_none(), "the other device's is its own");
        let again = album.claim(1, here).unwrap();
        assert!(album.pictures[1].set(Kept::Whole([7].into())).is_ok());
        drop((again, elsewhere));
        assert!(album.claim(1, here).is_none(), "it is there");
        let feature = album.claim_feature(here).unwrap();
        assert!(feature.pose().is_none() && album.claim_feature(here).is_none() && album.claim(0, here).is_some());
        drop(feature);
        assert!(album.claim_feature(here).is_some());
    }

    #[test]
    fn whoever_waits_for_what_is_claimed_hears_of_the_end_of_that_claim() {
        let (silence, here) = (Silence::default(), DeviceId(0));
        let album = silence.album(FrameFormat::Jpeg(Quality::DEFAULT), 2);
        let claims = [album.claim(0, here), album.claim(1, here), album.claim_feature(here)];
        let mut over = [Some(0), Some(1), None].map(|pose| Box::pin(album.claim_over(pose).unwrap()));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut heard = |over: &mut [std::pin::Pin<Box<Notified<'_>>>]| {
            over.iter_mut().map(|over| over.as_mut().poll(&mut context).is_ready()).collect::<Vec<_>>()
        };
        let [zero, one, feature] = claims;
        drop(one);
        assert_eq!(heard(&mut over[..2]), [false, true], "nobody has asked for the third");
        drop((zero, feature));
        assert_eq!(heard(&mut over[..1]), [true]);
        assert_eq!(heard(&mut over[2..]), [true], "it was there before the end, though it was not asked");
        assert!(album.claim_over(Some(3)).is_none());
        let held = album.claim_feature(here);
        let mut over = [Box::pin(album.claim_over(None).unwrap())];
        silence.keep_feature(&[0.5]);
        assert_eq!(heard(&mut over), [true], "speech had it computed");
        let mut over = [Box::pin(album.claim_over(None).unwrap())];
        silence.keep_feature(&[0.7]);
        assert_eq!((heard(&mut over), silence.feature()), (vec![false], Some(&[0.5][..])));
        drop(held);
    }
}
