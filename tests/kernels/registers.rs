//! What nvcc said of the kernels that the program was built with.

use std::collections::BTreeMap;

const ARCHITECTURES: &str = include_str!("../../kernels/architectures");
const UNITS: [&str; 2] =
    [include_str!(concat!(env!("OUT_DIR"), "/frames.usage")), include_str!(concat!(env!("OUT_DIR"), "/native.usage"))];

/// A kernel that spills its registers takes their values from device memory.
#[test]
#[ignore = "needs nvcc: make kernels"]
fn registers_never_spill() {
    for said in UNITS {
        assert!(!said.is_empty(), "the program was built without nvcc; `make kernels` fetches it");
        let warning = said.lines().find(|line| line.contains("warning"));
        assert_eq!(warning, None, "{said}");
        let usage = usage(said);
        for (sm, kernels) in &usage {
            for (kernel, Usage { registers, stack, spills }) in kernels {
                println!("sm_{sm:<4} {kernel:<24} {registers:3} registers, {stack} bytes of stack, {spills} of spills");
                assert_eq!(*spills, 0, "{kernel} spills on sm_{sm}");
            }
        }
        let names = |sm: &u32| usage.get(sm).map(|kernels| kernels.keys().collect::<Vec<_>>());
        let mut architectures = ARCHITECTURES.split_whitespace().map(|sm| sm.parse().unwrap());
        let oldest = names(&architectures.next().unwrap());
        assert!(oldest.is_some(), "nvcc told nothing of the oldest architecture");
        for sm in architectures {
            assert_eq!(names(&sm), oldest, "sm_{sm} has other kernels than the oldest");
        }
    }
}

#[derive(Default)]
struct Usage {
    registers: u32,
    stack: u32,
    spills: u32,
}

/// Kernels by architecture, from what `nvcc --resource-usage` prints.
fn usage(said: &str) -> BTreeMap<u32, BTreeMap<&str, Usage>> {
    let mut usage = BTreeMap::<u32, BTreeMap<&str, Usage>>::new();
    let mut current = None;
    for line in said.lines() {
        if line.contains("Compiling entry function") {
            let quoted: Vec<&str> = line.split('\'').collect();
            let sm = quoted[3].trim_start_matches("sm_").parse().unwrap();
            current = Some(usage.entry(sm).or_default().entry(quoted[1]).or_default());
        } else if let Some(current) = &mut current {
            let before = |what: &str| number_before(line, what);
            current.stack += before(" bytes stack frame").unwrap_or(0);
            current.spills += before(" bytes spill stores").unwrap_or(0) + before(" bytes spill loads").unwrap_or(0);
            current.registers += before(" registers").unwrap_or(0);
        }
    }
    usage
}

/// The number that ends where `what` begins.
fn number_before(line: &str, what: &str) -> Option<u32> {
    let number = line[..line.find(what)?].split(|c: char| !c.is_ascii_digit()).next_back()?;
    Some(number.parse().unwrap())
}
