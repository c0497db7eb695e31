//! Which device serves the next call for an avatar, and whether the avatar is loaded on one more for it: a pure function of
//! what each device holds, has free and carries.
//!
//! - An avatar stays where it is while that is well: loading it twice costs memory.
//! - It spreads before its devices are full: from [`SPREAD_AT`] on, to a device that carries at most half as much.
//! - It goes to the device that carries least, and of equals to the one with most memory free.

use crate::backend::DeviceId;

/// Part of a device's lanes taken from which on its avatars are loaded on others too.
pub const SPREAD_AT: f64 = 0.5;

/// One device, as far as the decision sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceView {
    /// Whether the avatar is loaded on it.
    pub resident: bool,
    /// Bytes free; `None` where avatars take none of the device's own.
    pub free_bytes: Option<u64>,
    /// Part of its lanes that is taken: 0 for an idle device, 1 for a full one, above 1 where work waits.
    pub load: f64,
    /// Whether one more call is let in.
    pub has_room: bool,
}

/// The device for one more call for an avatar that takes `needed_bytes` where it is not loaded yet. `None` without devices.
#[must_use]
pub fn place(devices: &[DeviceView], needed_bytes: u64) -> Option<DeviceId> {
    let fits = |view: &DeviceView| view.free_bytes.is_none_or(|free| free >= needed_bytes);
    let serving = least(devices, |view| view.resident && view.has_room);
    let empty = least(devices, |view| !view.resident && view.has_room && fits(view));
    let best = match (serving, empty) {
        (Some(serving), Some(empty)) => {
            let (now, then) = (devices[serving].load, devices[empty].load);
            Some(if now >= SPREAD_AT && then <= now / 2.0 { empty } else { serving })
        }
        (one, other) => one.or(other),
    };
    // Without room anywhere the call is refused by the device that says how full it is; without memory, by the largest.
    let full = || least(devices, |view| view.resident).or_else(|| least(devices, fits));
    let largest = || (0..devices.len()).max_by_key(|&at| devices[at].free_bytes);
    best.or_else(full).or_else(largest).map(DeviceId)
}

/// Of the devices that are `wanted`, the one that carries least.
fn least(devices: &[DeviceView], wanted: impl Fn(&DeviceView) -> bool) -> Option<usize> {
    let free = |at: usize| devices[at].free_bytes.unwrap_or(u64::MAX);
    let among = (0..devices.len()).filter(|&at| wanted(&devices[at]));
    among.min_by(|&a, &b| devices[a].load.total_cmp(&devices[b].load).then(free(b).cmp(&free(a))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn device(resident: bool, free_gib: u64, load: f64) -> DeviceView {
        DeviceView { resident, free_bytes: Some(free_gib * GIB), load, has_room: load < 1.0 }
    }

    fn placed(devices: &[DeviceView]) -> usize {
        place(devices, 2 * GIB).unwrap().0
    }

    #[test]
    fn a_new_avatar_goes_where_there_is_memory_and_least_to_do() {
        assert_eq!(place(&[], 0), None);
        assert_eq!(placed(&[device(false, 8, 0.3), device(false, 8, 0.1), device(false, 1, 0.0)]), 1);
        assert_eq!(placed(&[device(false, 8, 0.0), device(false, 40, 0.0)]), 1, "of equals, the roomier");
        let own = DeviceView { free_bytes: None, ..device(false, 0, 0.2) };
        assert_eq!(placed(&[own, device(false, 8, 0.4)]), 0, "memory that is not the device's own is no matter");
    }

    #[test]
    fn it_stays_where_it_is_until_half_of_that_is_taken() {
        assert_eq!(placed(&[device(true, 8, 0.4), device(false, 8, 0.0)]), 0);
        assert_eq!(placed(&[device(true, 8, 0.5), device(false, 8, 0.0)]), 1);
        assert_eq!(placed(&[device(true, 8, 0.6), device(false, 8, 0.4)]), 0, "the other is hardly better");
        assert_eq!(placed(&[device(true, 8, 0.9), device(true, 8, 0.7), device(false, 1, 0.0)]), 1, "no memory there");
    }

    #[test]
    fn a_full_device_sends_the_next_call_elsewhere_while_anything_else_has_room() {
        assert_eq!(placed(&[device(true, 8, 1.0), device(false, 8, 0.9)]), 1);
        assert_eq!(placed(&[device(true, 8, 1.2), device(true, 8, 0.99)]), 1);
        // Whoever is asked refuses, with the least of the figures.
        assert_eq!(placed(&[device(true, 8, 1.3), device(true, 8, 1.1), device(false, 8, 1.0)]), 1);
        assert_eq!(placed(&[device(false, 8, 1.3), device(false, 8, 1.1)]), 1);
    }

    #[test]
    fn without_memory_anywhere_the_largest_is_asked() {
        assert_eq!(placed(&[device(false, 0, 0.0), device(false, 1, 0.5)]), 1);
        assert_eq!(
            placed(&[device(true, 0, 0.2), device(false, 1, 0.0)]),
            0,
            "it is loaded already: nothing is needed"
        );
    }

    #[test]
    fn calls_one_after_another_fill_devices_evenly() {
        // Each call takes a twentieth of a device; loading the avatar takes 3 GiB.
        let mut devices = [device(false, 8, 0.0); 3];
        for call in 0..60 {
            let at = place(&devices, 3 * GIB).unwrap().0;
            let view = &mut devices[at];
            assert!(view.has_room, "call {call} was sent to a full device");
            if !view.resident {
                view.free_bytes = view.free_bytes.map(|free| free - 3 * GIB);
            }
            view.resident = true;
            view.load += 0.05;
            view.has_room = view.load < 0.999;
        }
        assert!(devices.iter().all(|view| view.resident && !view.has_room), "{devices:?}");
    }
}
