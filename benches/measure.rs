//! Interleaved samples, and the ratios between them.
//!
//! A machine's speed drifts by tens of percents within minutes, so a number by itself says little. Each sample is
//! divided by the mean of the two baseline samples right before and after it; the order of the variants is turned
//! around from round to round.

use super::house::Bench;
use super::load::{self, Job};
use super::process::{CLIENT, Part};
use super::stats::{Spread, number};
use super::{Done, proc, say};

/// How often a sample is repeated that other processes disturbed.
const REPEATS: usize = 3;

/// A disturbance that is worth a repetition, in cores.
const QUIET: f64 = 0.2;

/// One thing that can be asked.
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) job: Job,
    /// Whose CPU is counted.
    pub(crate) servers: Vec<u32>,
}

/// What a load is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unit {
    /// Answers.
    Answer,
    /// Millions of bytes.
    Megabyte,
}

/// One sample.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Units a second.
    rate: f64,
    /// Microseconds of the servers' CPU a unit; zero where they are not ours.
    cpu_us: f64,
    p99_us: f64,
    /// Cores that other processes took.
    foreign: f64,
}

/// A sample, by its baseline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    pub(crate) rate: f64,
    pub(crate) cpu: f64,
    pub(crate) p99: f64,
    /// Microseconds of CPU a unit, as it was.
    pub(crate) cpu_us: f64,
}

/// One variant's ratios, by round; `None` where a sample was dropped.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) rounds: Vec<Option<Ratio>>,
}

/// All that was measured against one baseline.
pub(crate) struct Table {
    pub(crate) baseline: String,
    pub(crate) unit: Unit,
    pub(crate) rows: Vec<Row>,
    /// The baseline's CPU, in microseconds a unit.
    pub(crate) baseline_cpu_us: Option<Spread>,
    pub(crate) samples: usize,
    pub(crate) dropped: usize,
    /// Cores that other processes took.
    pub(crate) foreign: Option<Spread>,
}

/// What one round is about.
pub(crate) struct Field {
    /// What has to run meanwhile.
    pub(crate) parts: Vec<Part>,
    /// The baseline, and what is measured by it. The same in each round, by name.
    pub(crate) variants: Vec<Variant>,
}

/// Measures what `start` starts, anew for each round: where the pages of a process happen to lie moves its speed by a
/// tenth, and stays with it for life.
pub(crate) fn measure(bench: &Bench, unit: Unit, start: impl Fn() -> Done<Field>) -> Done<Table> {
    let mut run = Run { bench, unit, samples: 0, dropped: 0, repeats: 0, foreign: Vec::new() };
    let mut name = String::new();
    let mut rows: Vec<Row> = Vec::new();
    let mut baselines = Vec::new();
    for round in 0..bench.options.rounds {
        let field = start()?;
        let (baseline, variants) = field.variants.split_first().ok_or("nothing to compare")?;
        say(&format!("{}: round {} of {}", baseline.name, round + 1, bench.options.rounds));
        run.repeats += variants.len();
        baseline.name.clone_into(&mut name);
        if rows.is_empty() {
            rows = variants
                .iter()
                .map(|variant| Row { name: variant.name.clone(), rounds: Vec::new() })
                .collect();
        }
        let mut order: Vec<usize> = (0..variants.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        let mut before = run.sample(baseline)?;
        for place in order {
            let sample = run.sample(&variants[place])?;
            let after = run.sample(baseline)?;
            rows[place].rounds.push(ratio(sample, before, after));
            baselines.extend(after.map(|sample| sample.cpu_us));
            before = after;
        }
        drop(field.parts);
    }
    Ok(Table {
        baseline: name,
        unit,
        rows,
        baseline_cpu_us: Spread::of(baselines),
        samples: run.samples,
        dropped: run.dropped,
        foreign: Spread::of(run.foreign),
    })
}

fn ratio(sample: Option<Sample>, before: Option<Sample>, after: Option<Sample>) -> Option<Ratio> {
    let (sample, before, after) = (sample?, before?, after?);
    let by = |of: fn(&Sample) -> f64| of(&sample) * 2.0 / (of(&before) + of(&after));
    Some(Ratio {
        rate: by(|sample| sample.rate),
        cpu: by(|sample| sample.cpu_us),
        p99: by(|sample| sample.p99_us),
        cpu_us: sample.cpu_us,
    })
}

struct Run<'b> {
    bench: &'b Bench,
    unit: Unit,
    samples: usize,
    dropped: usize,
    /// How many more samples may be repeated: a machine that never gets quiet should not take for ever.
    repeats: usize,
    foreign: Vec<f64>,
}

impl Run<'_> {
    /// One sample; the quietest of a few, if the first was disturbed, and none if that was too.
    fn sample(&mut self, variant: &Variant) -> Done<Option<Sample>> {
        let mut best = self.take(variant)?;
        for _ in 0..REPEATS {
            if best.foreign <= QUIET || self.repeats == 0 {
                break;
            }
            self.repeats -= 1;
            let again = self.take(variant)?;
            if again.foreign < best.foreign {
                best = again;
            }
        }
        self.samples += 1;
        if best.foreign > self.bench.options.foreign {
            self.dropped += 1;
            return Ok(None);
        }
        self.foreign.push(best.foreign);
        Ok(Some(best))
    }

    fn take(&self, variant: &Variant) -> Done<Sample> {
        let own = proc::tree(std::process::id());
        let start = std::time::Instant::now();
        let before = (proc::busy_ns(), proc::cpu_ns(&own), proc::cpu_ns(&variant.servers));
        let job = Job { seconds: self.bench.options.seconds, ..variant.job.clone() };
        let load =
            load::finish(load::start(CLIENT, &job)?).map_err(|error| format!("{}: {error}", variant.name))?;
        let after = (proc::busy_ns(), proc::cpu_ns(&own), proc::cpu_ns(&variant.servers));
        let took = start.elapsed().as_nanos();
        if load.all_bytes + load.all_answers == 0 {
            return Err(format!("{}: no answer within a sample", variant.name).into());
        }
        let ours = after.1.saturating_sub(before.1) + load.cpu_ns;
        let foreign = after.0.saturating_sub(before.0).saturating_sub(ours);
        let (units, all) = match self.unit {
            Unit::Answer => (number(load.answers), number(load.all_answers)),
            Unit::Megabyte => (number(load.bytes) / 1e6, number(load.all_bytes) / 1e6),
        };
        Ok(Sample {
            rate: units / load.seconds,
            cpu_us: number(after.2.saturating_sub(before.2)) / 1e3 / all,
            p99_us: load.p99_us,
            foreign: number(foreign) / number(u64::try_from(took)?),
        })
    }
}

impl Table {
    /// Ratios of the row `name` to the baseline, by round.
    pub(crate) fn of(&self, name: &str, what: fn(&Ratio) -> f64) -> Option<Spread> {
        Spread::of(self.row(name)?.rounds.iter().flatten().map(what))
    }

    /// Ratios of the row `name` to the row `to`, round by round.
    pub(crate) fn between(&self, name: &str, to: &str, what: fn(&Ratio) -> f64) -> Option<Spread> {
        let pairs = self.row(name)?.rounds.iter().zip(&self.row(to)?.rounds);
        Spread::of(pairs.filter_map(|(one, other)| Some(what(one.as_ref()?) / what(other.as_ref()?))))
    }

    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}
