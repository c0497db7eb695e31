//! Single operations of odd sizes, in every way in which they may run.

use lipsyncd::backend::cuda::native::program::Program;

use crate::cases::{self, Case, activations, compare};
use crate::emulator::{Device, bank_passes};
use crate::native::{Interpreter, Keep};

const BATCH: usize = 3;

/// The buffers of one item after the interpreter's run of the only operation.
pub fn expected(program: &Program, items: &[Vec<Vec<f32>>], item: usize) -> Vec<Vec<f32>> {
    let mut interpreter = Interpreter::new(program, Keep::Half, &[]);
    interpreter.buffers = items.iter().map(|items| items[item].clone()).collect();
    interpreter.apply(program, &program.ops[0]);
    interpreter.buffers
}

fn check(case: &Case) {
    let items = activations(&case.program, BATCH);
    let view = case.program.ops[0].views().1.unwrap();
    for &choice in &case.choices {
        // The last item is left out: it must stay as it is.
        for batch in [1, BATCH - 1] {
            let mut device = Device::new(&case.program, BATCH, &[], true);
            items.iter().enumerate().for_each(|(buffer, items)| device.fill(buffer, items));
            device.run(0, choice, batch);
            for item in 0..BATCH {
                let name = format!("{} {choice:?} item {item} of {batch}", case.name);
                let found = device.buffer(view.buffer, item);
                if item < batch {
                    compare(&name, view, &expected(&case.program, &items, item)[view.buffer], &found);
                } else {
                    assert!(found.iter().all(|value| value.is_nan()), "{name}: was written over");
                }
            }
        }
    }
}

#[test]
fn convolutions() {
    cases::convolutions().iter().for_each(check);
}

#[test]
fn depthwise() {
    cases::depthwise().iter().for_each(check);
}

#[test]
fn upsampling() {
    cases::upsampling().iter().for_each(check);
}

#[test]
fn blocks() {
    cases::blocks().iter().for_each(check);
}

/// Shared memory is laid out so that lanes do not meet in its banks: what that costs is counted, not timed.
#[test]
fn banks_are_passed_as_seldom_as_can_be() {
    let wide = |case: &&Case| case.name.contains("64>128>16") || case.name.contains("32>64>32");
    for case in cases::blocks().iter().filter(wide).chain(&cases::convolutions()[2..5]) {
        let items = activations(&case.program, BATCH);
        for &choice in &case.choices {
            let mut device = Device::new(&case.program, BATCH, &[], true);
            items.iter().enumerate().for_each(|(buffer, items)| device.fill(buffer, items));
            bank_passes();
            device.run(0, choice, 1);
            let lines = bank_passes();
            assert!(!lines.is_empty());
            let [passes, least] = [1, 2].map(|count| lines.iter().map(|(_, counts)| counts[count]).sum::<u64>());
            // Only the input that is added at the end is read with conflicts, once.
            assert!(100 * passes <= 103 * least, "{} {choice:?}: {lines:?}", case.name);
        }
    }
}
