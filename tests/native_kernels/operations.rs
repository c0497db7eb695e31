//! Single operations of odd sizes, in every way in which they may run.

use crate::cases::{self, Case, activations, compare, compare_output};
use crate::emulator::{Device, bank_passes};
use crate::native::{Interpreter, Keep};

const BATCH: usize = 3;

/// The interpreter after its run of the only operation on one item.
fn expected(case: &Case, inputs: &[Vec<f32>], items: &[Vec<Vec<f32>>], item: usize) -> Interpreter {
    let mut interpreter = Interpreter::new(&case.program, Keep::Half, &cases::item_of(&case.program, inputs, item));
    interpreter.buffers = items.iter().map(|items| items[item].clone()).collect();
    interpreter.apply(&case.program, &case.program.ops[0]);
    interpreter
}

fn check(case: &Case) {
    let (items, inputs) = (activations(&case.program, BATCH), cases::inputs(&case.program, BATCH));
    let view = case.program.ops[0].views().1;
    for &choice in &case.choices {
        // The last item is left out: it must stay as it is.
        for batch in [1, BATCH - 1] {
            let mut device = Device::new(&case.program, BATCH, &inputs, true);
            items.iter().enumerate().for_each(|(buffer, items)| device.fill(buffer, items));
            device.run(0, choice, batch);
            for item in 0..BATCH {
                let name = format!("{} {choice:?} item {item} of {batch}", case.name);
                let found = match view {
                    Some(view) => device.buffer(view.buffer, item),
                    None => device.output()[item * case.program.output.len()..][..case.program.output.len()].to_vec(),
                };
                if item >= batch {
                    assert!(found.iter().all(|value| value.is_nan()), "{name}: was written over");
                    continue;
                }
                let expected = expected(case, &inputs, &items, item);
                match view {
                    Some(view) => compare(&name, view, &expected.buffers[view.buffer], &found),
                    None => compare_output(&name, &expected.output, &found),
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

#[test]
fn blocks_at_the_edges() {
    cases::edge_blocks().iter().for_each(check);
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
