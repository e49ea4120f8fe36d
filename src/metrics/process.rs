//! The process itself, as the kernel counts it: read when somebody asks, and not before.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Ticks in a second, in what the kernel tells of times: 100 on every architecture (`USER_HZ`, proc(5)).
const TICKS: f64 = 100.0;

/// What `process_*` metrics are named by every Prometheus client. What cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

/// Times of a process, in seconds.
#[derive(Debug, PartialEq)]
struct Times {
    cpu: f64,
    started_after_boot: f64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let read = |path: &str| fs::read_to_string(path).ok();
        let times = read("/proc/self/stat").as_deref().and_then(times);
        let booted = read("/proc/stat").as_deref().and_then(|stat| number(stat, "btime "));
        let resident = read("/proc/self/status").as_deref().and_then(|status| number(status, "VmRSS:"));
        let most_fds =
            read("/proc/self/limits").as_deref().and_then(|limits| number(limits, "Max open files"));
        // The folder is open while it is read.
        let fds = fs::read_dir("/proc/self/fd").ok().map(|open| open.count().saturating_sub(1));
        if let Some(times) = &times {
            let cpu = ConstCounter::new(times.cpu);
            add(&mut encoder, ("process_cpu", "CPU time spent", Some(&Unit::Seconds)), &cpu)?;
        }
        if let (Some(times), Some(booted)) = (&times, booted) {
            let started = ConstGauge::new(booted + times.started_after_boot);
            let about =
                ("process_start_time", "When the process began, since the epoch", Some(&Unit::Seconds));
            add(&mut encoder, about, &started)?;
        }
        if let Some(kibibytes) = resident {
            let resident = ConstGauge::new(kibibytes * 1024.0);
            let about = ("process_resident_memory", "Memory that is in use", Some(&Unit::Bytes));
            add(&mut encoder, about, &resident)?;
        }
        if let Some(fds) = fds {
            let fds = ConstGauge::new(i64::try_from(fds).unwrap_or(i64::MAX));
            add(&mut encoder, ("process_open_fds", "File descriptors that are open", None), &fds)?;
        }
        if let Some(most) = most_fds {
            let about = ("process_max_fds", "File descriptors that may be open", None);
            add(&mut encoder, about, &ConstGauge::new(most))?;
        }
        Ok(())
    }
}

type About<'a> = (&'a str, &'a str, Option<&'a Unit>);

fn add(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit): About<'_>,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
}

/// proc(5): fields 14 and 15 are the time spent in user and kernel mode, 22 is the start. The second is the program's
/// name in parentheses, which may hold blanks and parentheses of its own.
fn times(stat: &str) -> Option<Times> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some(Times { cpu: (ticks(14)? + ticks(15)?) / TICKS, started_after_boot: ticks(22)? / TICKS })
}

/// The first number on the line that begins with `name`.
fn number(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 4 0 12345 99 1\n";
        assert_eq!(times(stat), Some(Times { cpu: 2.0, started_after_boot: 123.45 }));
        for odd in ["", "7 (a", "7 (a) S 1"] {
            assert_eq!(times(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_number_is_the_one_of_its_line() {
        let status = "Name:\tVmRSS: 1\nVmHWM:\t 9 kB\nVmRSS:\t   5120 kB\n";
        assert_eq!(number(status, "VmRSS:"), Some(5120.0));
        let limits = "Max open files            1024                 524288               files     \n";
        assert_eq!(number(limits, "Max open files"), Some(1024.0));
        assert_eq!(number("Max open files unlimited unlimited files", "Max open files"), None);
    }
}
