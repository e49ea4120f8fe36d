//! docs/benchmarks.md.

use std::fmt::Write as _;

use super::Options;
use super::machine::Machine;
use super::measure::{Row, Table, Unit};
use super::stats::Spread;

/// What is asked of a number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing: it is told for information.
    None,
}

/// A number, and what is asked of it.
pub(crate) struct Goal {
    what: String,
    bound: Bound,
    stretch: Option<f64>,
    /// What it is counted in; `x` for a ratio.
    unit: &'static str,
    measured: Option<Spread>,
}

/// What one scenario measured.
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) goals: Vec<Goal>,
    /// Other numbers, by name.
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) tables: Vec<Table>,
}

impl Goal {
    /// A ratio.
    pub(crate) fn new(what: &str, bound: Bound, measured: Option<Spread>) -> Self {
        Self::in_unit(what, bound, "x", measured)
    }

    /// A number with a unit.
    pub(crate) fn in_unit(what: &str, bound: Bound, unit: &'static str, measured: Option<Spread>) -> Self {
        Self { what: what.to_owned(), bound, stretch: None, unit, measured }
    }

    /// What would be better still.
    pub(crate) fn stretch(self, stretch: f64) -> Self {
        Self { stretch: Some(stretch), ..self }
    }

    fn verdict(&self) -> &'static str {
        let Some(measured) = self.measured else { return "not measured" };
        let reaches = |bound| match self.bound {
            Bound::AtLeast(_) => measured.median >= bound,
            Bound::AtMost(_) => measured.median <= bound,
            Bound::None => false,
        };
        match self.bound {
            Bound::None => "–",
            Bound::AtLeast(bound) | Bound::AtMost(bound) if !reaches(bound) => "**missed**",
            Bound::AtLeast(_) | Bound::AtMost(_) if self.stretch.is_some_and(reaches) => {
                "met, and the stretch goal"
            }
            Bound::AtLeast(_) | Bound::AtMost(_) => "met",
        }
    }

    fn asked(&self) -> String {
        let unit = self.unit();
        let stretch = self.stretch.map_or(String::new(), |stretch| format!(" ({stretch}{unit})"));
        match self.bound {
            Bound::AtLeast(bound) => format!("≥ {bound}{unit}{stretch}"),
            Bound::AtMost(bound) => format!("≤ {bound}{unit}{stretch}"),
            Bound::None => "–".to_owned(),
        }
    }

    fn unit(&self) -> String {
        if matches!(self.unit, "x" | "") { self.unit.to_owned() } else { format!(" {}", self.unit) }
    }

    fn row(&self) -> String {
        let measured = spread(self.measured, &self.unit());
        format!("| {} | {measured} | {} | {} |\n", self.what, self.asked(), self.verdict())
    }
}

/// A median, and between what the middle half lies.
fn spread(spread: Option<Spread>, unit: &str) -> String {
    match spread {
        None => "–".to_owned(),
        Some(Spread { median, count: 1, .. }) => format!("{}{unit}", short(median)),
        Some(Spread { median, low, high, count }) => {
            format!("{}{unit} ({}–{}, n={count})", short(median), short(low), short(high))
        }
    }
}

fn short(value: f64) -> String {
    if value >= 10.0 { format!("{value:.1}") } else { format!("{value:.2}") }
}

/// One line about each goal that is not met.
pub(crate) fn verdicts(sections: &[Section]) -> Vec<String> {
    let goals = sections.iter().flat_map(|section| &section.goals);
    let told = goals.filter(|goal| !matches!(goal.bound, Bound::None));
    let missed: Vec<String> = told
        .filter(|goal| !goal.verdict().starts_with("met"))
        .map(|goal| {
            format!(
                "{}: {} is {}, {}",
                goal.verdict(),
                goal.what,
                spread(goal.measured, &goal.unit()),
                goal.asked()
            )
        })
        .collect();
    if missed.is_empty() { vec!["every goal is met".to_owned()] } else { missed }
}

/// The whole report.
pub(crate) fn write(options: &Options, machine: &Machine, sections: &[Section]) -> String {
    let mut text = format!("{INTRODUCTION}\n## The goals\n\n{GOALS}\n");
    text += "| what | measured | goal (stretch) | |\n|---|---|---|---|\n";
    sections.iter().flat_map(|section| &section.goals).for_each(|goal| text += &goal.row());
    text += "\n## The machine\n\n| | |\n|---|---|\n";
    for (name, value) in &machine.facts {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text += &method(options, sections);
    for section in sections {
        let _ = write!(text, "\n## {}\n\n{}\n", section.title, wrapped(&section.text));
        section.tables.iter().for_each(|table| text += &table_of(table));
        if !section.facts.is_empty() {
            text += "\n| | |\n|---|---|\n";
        }
        for (name, value) in &section.facts {
            let _ = writeln!(text, "| {name} | {value} |");
        }
    }
    text + PEERS
}

fn table_of(table: &Table) -> String {
    let (unit, rate) = match table.unit {
        Unit::Answer => ("request", "req/s"),
        Unit::Megabyte => ("MB", "bytes/s"),
    };
    let (p99, rule, itself) = if has_p99(table) { (" p99 |", "---|", " 1 |") } else { ("", "", "") };
    let mut text = format!(
        "\n| to: {} | {rate} | CPU per {unit} | CPU, us per {unit} |{p99}\n|---|---|---|---|{rule}\n",
        table.baseline
    );
    let _ = writeln!(text, "| itself | 1 | 1 | {} |{itself}", spread(table.baseline_cpu_us, ""));
    table.rows.iter().for_each(|row| text += &row_of(table, row));
    let _ = writeln!(
        text,
        "\nSamples {}, dropped {}; other processes took {} cores.",
        table.samples,
        table.dropped,
        spread(table.foreign, "")
    );
    text
}

fn row_of(table: &Table, row: &Row) -> String {
    let has_cpu = row.rounds.iter().flatten().any(|ratio| ratio.cpu_us > 0.0);
    let cpu = if has_cpu { spread(table.of(&row.name, |ratio| ratio.cpu), "") } else { "–".to_owned() };
    let cpu_us =
        if has_cpu { spread(table.of(&row.name, |ratio| ratio.cpu_us), "") } else { "–".to_owned() };
    let rate = spread(table.of(&row.name, |ratio| ratio.rate), "");
    let p99 = spread(table.of(&row.name, |ratio| ratio.p99), "");
    let p99 = if has_p99(table) { format!(" {p99} |") } else { String::new() };
    format!("| {} | {rate} | {cpu} | {cpu_us} |{p99}\n", row.name)
}

/// A sample holds too few big answers to rank them.
fn has_p99(table: &Table) -> bool {
    table.unit == Unit::Answer
}

fn method(options: &Options, sections: &[Section]) -> String {
    let samples: usize = sections.iter().flat_map(|section| &section.tables).map(|table| table.samples).sum();
    let dropped: usize = sections.iter().flat_map(|section| &section.tables).map(|table| table.dropped).sum();
    let text = format!(
        "The server of the moment is pinned to core 0, the load client and what lies behind the server to core 1; all \
         servers are up at once, each in a session of its own that the scheduler prefers to other people's where root \
         runs this. A sample takes {} s, after 0.1 s of warming up. Each sample is divided by the mean of \
         the two baseline samples right before and after it; {} rounds, each with servers that were started for it (where \
         the pages of a process happen to lie moves its speed by a tenth) and in the other direction. A sample during \
         which other processes took more than 0.2 cores is repeated, three times at most, until there were half as many as samples; one with more than {} is \
         dropped: {dropped} of {samples} were. CPU is what the kernel's schedstat says of the server's threads, divided by its \
         answers; the client's and the upstream's are not in it. Values are medians, in brackets the quartiles and the \
         number of rounds. Requests have the headers of a browser's script, about 1.3 kB with their cookies, and \
         connections are kept unless something else is said. lamplighter is the release binary as the image has it: static, guided by a \
         load like this one (benches/guide), which the bare handler is not; on one core like the others, without an access log, between the demo's provider and the demo's API server. Only ratios mean something: this \
         machine's own speed drifts by ±20 % within minutes.",
        options.seconds, options.rounds, options.foreign
    );
    format!("\n## The method\n\n{}\n", wrapped(&text))
}

/// `text` in lines of up to 120 characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 120 {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

const INTRODUCTION: &str = "# Benchmarks

What lamplighter costs beside what else could stand in its place, on one machine and in one run. `make bench` wrote this page;
nothing in it was written by hand.
";

const GOALS: &str = "A ratio of 2x to something means twice as much as that, in the same seconds.
";

const PEERS: &str = "
## To measure a peer

```sh
read -rs PEER_COOKIE && export PEER_COOKIE        # a whole Cookie header's value: _oauth2_proxy=…
make bench PEER_URL=http://127.0.0.1:4180/oauth2/auth
```

The peer is asked in the same rounds as everything else in \"The check\", with the same headers; it has to answer 200 (or
202, as oauth2-proxy does) and should be pinned like the others: `taskset -c 0 oauth2-proxy …`. Its cookie goes to the load
client by stdin and is written nowhere. Its CPU is not known here.

`BENCH_ROUNDS=2 BENCH_SECONDS=0.3 make bench` is for trying, and `BENCH_ONLY=check` (`ingress`, `proxy`, `memory`) measures a
part. `BENCH_TUNNELS` is the number of WebSockets, `BENCH_FOREIGN` how many cores other processes may take in a sample that counts.
";
