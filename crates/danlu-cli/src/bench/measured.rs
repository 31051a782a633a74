//! Runs that are timed, and what they say beside the machine's peak.

use std::time::{Duration, Instant};

use danlu::cpu::Peak;
use danlu::graph::StepProfile;
use serde_json::{Value, json};

use super::profile::ProfileReport;
use super::table::{Table, number, percent, time};
use crate::failure::Result;

/// Runs before the first that counts go on for so long.
const WARMING_UP: Duration = Duration::from_millis(200);
/// Runs that count go on for so long, and there are at least so many.
const RUNNING: Duration = Duration::from_secs(1);
const LEAST_RUNS: usize = 3;

/// Times of runs, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Number of runs.
    pub runs: usize,
    /// The one in the middle.
    pub median: f64,
    /// The shortest.
    pub best: f64,
}

/// Runs something exactly `iterations` times, or warms up and runs it for about a second.
///
/// # Errors
/// A run failed.
pub fn measure(iterations: Option<usize>, mut run: impl FnMut() -> Result<()>) -> Result<Times> {
    let mut times = Vec::with_capacity(iterations.unwrap_or(0));
    if iterations.is_none() {
        let begin = Instant::now();
        run()?;
        while begin.elapsed() < WARMING_UP {
            run()?;
        }
    }
    let begin = Instant::now();
    let goes_on = |done: usize| match iterations {
        Some(iterations) => done < iterations,
        None => done < LEAST_RUNS || begin.elapsed() < RUNNING,
    };
    while goes_on(times.len()) {
        let begin = Instant::now();
        run()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    let median = match times.len() % 2 {
        0 => (times[middle - 1] + times[middle]) / 2.0,
        _ => times[middle],
    };
    Ok(Times {
        runs: times.len(),
        median,
        best: times[0],
    })
}

/// What a run costs at least.
#[derive(Clone, Copy, Debug, Default)]
pub struct Costs {
    /// Multiplications, additions and other functions of one element.
    pub flops: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

impl Costs {
    /// What these steps cost together.
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a StepProfile>) -> Costs {
        steps.into_iter().fold(Costs::default(), |sum, step| Costs {
            flops: sum.flops + step.flops,
            bytes: sum.bytes + step.bytes,
        })
    }
}

/// One line of a report.
pub struct Entry {
    /// `predict`, `train`, `forward`, `input_gradient`, `weight_gradient`, `update`.
    pub direction: &'static str,
    /// The shape of the operand, where it is an operation's.
    pub shape: Option<Vec<usize>>,
    /// Number of examples.
    pub batch: usize,
    /// How long it took.
    pub times: Times,
    /// What it cost at least.
    pub costs: Costs,
    /// How fast memory is for as many arrays, where that was measured.
    pub memory: Option<Memory>,
    /// Where the time of as many more steps went, where that was asked for.
    pub profile: Option<ProfileReport>,
}

/// How fast memory is where some arrays are read and some of them written in place.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// How many are read, and how many written.
    pub arrays: [usize; 2],
    /// Billions of bytes a second, read and written.
    pub gigabytes_per_second: f64,
}

/// All of it: what `danlu bench` prints.
pub struct Report {
    /// What was measured.
    pub subject: String,
    /// The instruction set.
    pub isa: &'static str,
    /// Number of threads.
    pub threads: usize,
    /// What the machine reaches, where that was measured.
    pub peak: Option<Peak>,
    /// One for each batch and direction.
    pub entries: Vec<Entry>,
}

impl Report {
    /// One JSON object.
    pub fn json(&self) -> Value {
        let results: Vec<Value> = self
            .entries
            .iter()
            .map(|entry| self.entry_json(entry))
            .collect();
        json!({
            "subject": self.subject,
            "isa": self.isa,
            "threads": self.threads,
            "results": results,
            "peak": self.peak.map(peak_json),
        })
    }

    fn entry_json(&self, entry: &Entry) -> Value {
        let rates = self.rates(entry);
        let mut value = json!({
            "direction": entry.direction,
            "batch": entry.batch,
            "threads": self.threads,
            "iterations": entry.times.runs,
            "median_us": entry.times.median * 1e6,
            "best_us": entry.times.best * 1e6,
            "us_per_sample": entry.times.median * 1e6 / entry.batch as f64,
            "gflops": rates.gflops,
            "share_of_peak": rates.share_of_peak,
            "gigabytes_per_second": rates.gigabytes_per_second,
            "share_of_bandwidth": rates.share_of_bandwidth,
        });
        if let Some(shape) = &entry.shape {
            value["shape"] = json!(shape);
        }
        if let Some(memory) = entry.memory {
            value["memory"] = json!({
                "arrays_read": memory.arrays[0],
                "arrays_written": memory.arrays[1],
                "gigabytes_per_second": memory.gigabytes_per_second,
            });
        }
        if let Some(profile) = &entry.profile {
            value["profile"] = profile.json();
        }
        value
    }

    /// The rates of an entry, beside the memory that was measured for it or else the machine's peak.
    fn rates(&self, entry: &Entry) -> Rates {
        let peak = self.peak.map(|peak| Peak {
            gigabytes_per_second: entry.memory.map_or(peak.gigabytes_per_second, |memory| {
                memory.gigabytes_per_second
            }),
            ..peak
        });
        Rates::new(entry.costs, entry.times.median, peak)
    }

    /// A table for people.
    pub fn text(&self) -> String {
        let mut table = Table::new(
            1,
            &[
                "direction",
                "batch",
                "median",
                "best",
                "per sample",
                "GFLOP/s",
                "of peak",
                "GB/s",
                "of memory",
                "runs",
            ],
        );
        for entry in &self.entries {
            let rates = self.rates(entry);
            table.row(vec![
                entry.direction.to_owned(),
                entry.batch.to_string(),
                time(entry.times.median),
                time(entry.times.best),
                time(entry.times.median / entry.batch as f64),
                rate(rates.gflops),
                share(rates.share_of_peak),
                rate(rates.gigabytes_per_second),
                share(rates.share_of_bandwidth),
                entry.times.runs.to_string(),
            ]);
        }
        let peak = self.peak.map_or(String::new(), peak_text);
        let memory = self.entries.iter().filter_map(|entry| entry.memory);
        let memory: Vec<String> = memory.map(memory_text).collect();
        let profiles: Vec<String> = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry.batch, entry.profile.as_ref()?)))
            .map(|(batch, profile)| format!("\nbatch {batch}: {}", profile.text()))
            .collect();
        format!(
            "{}: {}, {}{peak}\n\n{}{}{}",
            self.subject,
            self.isa,
            threads(self.threads),
            table.text(),
            memory.concat(),
            profiles.concat()
        )
    }
}

/// `1 thread`, `2 threads`.
fn threads(count: usize) -> String {
    match count {
        1 => "1 thread".to_owned(),
        count => format!("{count} threads"),
    }
}

/// `; peak 234 GFLOP/s, 84.0 GB/s`.
pub fn peak_text(peak: Peak) -> String {
    format!(
        "; peak {} GFLOP/s, {} GB/s",
        number(peak.gflops),
        number(peak.gigabytes_per_second)
    )
}

/// What `of memory` is a share of.
fn memory_text(memory: Memory) -> String {
    let [read, written] = memory.arrays;
    format!(
        "of memory: of the {} GB/s that reading {read} arrays of this size and writing {written} in place reached\n",
        number(memory.gigabytes_per_second)
    )
}

/// A peak for programs.
pub fn peak_json(peak: Peak) -> Value {
    json!({
        "gflops": peak.gflops,
        "gigabytes_per_second": peak.gigabytes_per_second,
    })
}

/// A rate; nothing where there is none.
pub fn rate(value: f64) -> String {
    match value > 0.0 {
        true => number(value),
        false => "-".to_owned(),
    }
}

/// A share of something that may not have been measured.
pub fn share(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), percent)
}

/// How fast something ran, and beside the peak.
pub struct Rates {
    /// Billions of operations a second.
    pub gflops: f64,
    /// Of the peak's.
    pub share_of_peak: Option<f64>,
    /// Billions of bytes a second; those from a cache count as well.
    pub gigabytes_per_second: f64,
    /// Of the peak's.
    pub share_of_bandwidth: Option<f64>,
}

impl Rates {
    /// The rates of what took so many seconds.
    pub fn new(costs: Costs, seconds: f64, peak: Option<Peak>) -> Rates {
        // A clock that did not move between two looks.
        let seconds = seconds.max(1e-9);
        let gflops = costs.flops as f64 / seconds / 1e9;
        let gigabytes_per_second = costs.bytes as f64 / seconds / 1e9;
        let part = |value: f64, whole: f64| (whole > 0.0).then(|| value / whole);
        Rates {
            gflops,
            share_of_peak: peak.and_then(|peak| part(gflops, peak.gflops)),
            gigabytes_per_second,
            share_of_bandwidth: peak
                .and_then(|peak| part(gigabytes_per_second, peak.gigabytes_per_second)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterations_are_counted_exactly() {
        for iterations in [1, 2, 5] {
            let mut count = 0;
            let times = measure(Some(iterations), || {
                count += 1;
                Ok(())
            })
            .unwrap();
            assert_eq!((count, times.runs), (iterations, iterations));
            assert!(times.best <= times.median);
        }
    }
}
