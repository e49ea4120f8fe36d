//! Helm 3, which most people have still: it makes of the chart what Helm 4 makes of it. Its notes it shows on a cluster alone.

use libtest_mimic::Trial;

use crate::helm::{Helm, examples};
use crate::{Parts, golden, refusals};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test_both("helm3::it_renders_each_example_as_helm_4_does_byte_by_byte", renders),
        parts.test_both("helm3::it_finds_no_fault_with_the_chart", |helm3, _| golden::lint(helm3)),
        parts.test_both("helm3::it_refuses_the_same_and_says_so_in_the_same_words", refuses),
    ]
}

/// The documents of a rendering, byte by byte. Helm 4 ends each but the last with an empty line.
fn documents(rendered: &str) -> Vec<&str> {
    rendered.split("---\n").map(str::trim_end).collect()
}

fn renders(helm3: &Helm, helm: &Helm) {
    for name in examples() {
        let [old, new] = [helm3, helm].map(|helm| helm.template(Some(&name), "", &[]).unwrap());
        assert!(documents(&old) == documents(&new), "{name}: Helm 3 renders\n{old}\nand Helm 4\n{new}");
    }
}

fn refuses(helm3: &Helm, _: &Helm) {
    refusals::contradictions(helm3);
    refusals::at_once(helm3);
    refusals::unknown(helm3);
    refusals::misfits(helm3);
}
