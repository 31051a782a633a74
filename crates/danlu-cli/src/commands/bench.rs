//! `danlu bench`

use std::time::Instant;

use danlu::cpu::{Peak, measure_peak};

use crate::arguments::BenchArguments;
use crate::bench::measured::{Costs, Entry, Report, measure};
use crate::bench::operation::Operation;
use crate::bench::optimizer::{OPTIMIZER, Step};
use crate::bench::profile::ProfileReport;
use crate::device::{self, Device};
use crate::failure::{Failure, Result};
use crate::output::{self, Messages};
use crate::subject;

/// Batches of a model, where none are given.
const BATCHES: [usize; 2] = [1, 64];

/// Prints how fast a model or an operation runs on random inputs.
///
/// # Errors
/// There is no such model or operation, or it cannot be run.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let messages = Messages {
        quiet: arguments.quiet,
    };
    // What is wrong with an operation is said before a device is opened.
    let work = match arguments.operation.op.as_deref() {
        Some(OPTIMIZER) if !arguments.batch.is_empty() => {
            let message = format!("--op {OPTIMIZER} has no --batch: a step has no examples");
            return Err(Failure::Usage(message));
        }
        Some(OPTIMIZER) => Work::Step(Step::parse(&arguments.operation)?),
        Some(_) => Work::Operation(Operation::parse(&arguments.operation)?),
        None => Work::Model,
    };
    let device = device::open(&arguments.device)?;
    let (isa, threads) = (device.isa, device.threads);
    if arguments.iterations.is_none() {
        messages.note("measuring for about a second each");
    }
    // Other programs take cores away for a while: the peak is the better of before and after, unless somebody times from outside.
    let before = match arguments.no_peak || arguments.iterations.is_some() {
        true => Peak::default(),
        false => measure_peak(isa, threads),
    };
    let (subject, entries) = match &work {
        Work::Operation(operation) => (
            operation.to_string(),
            operations(operation, arguments, device)?,
        ),
        Work::Step(step) => {
            let entry = step.run(device, arguments.iterations, !arguments.no_peak)?;
            (step.to_string(), vec![entry])
        }
        Work::Model => models(arguments, device, before, messages)?,
    };
    let report = Report {
        subject,
        isa: isa.name(),
        threads,
        peak: (!arguments.no_peak).then(|| measure_peak(isa, threads).better(before)),
        entries,
    };
    match arguments.json {
        true => output::json(&report.json()),
        false => output::data(&report.text()),
    }
}

/// What is timed.
enum Work {
    Model,
    Operation(Operation),
    Step(Step),
}

fn models(
    arguments: &BenchArguments,
    device: Device,
    before: Peak,
    messages: Messages,
) -> Result<(String, Vec<Entry>)> {
    let name = arguments.subject.clone().unwrap_or_default();
    let mut model = subject::model(&name, arguments.data.as_deref(), device.executor)?;
    for warning in model.warnings() {
        messages.warning(warning);
    }
    if model.input_shape().is_none() {
        return Err(Failure::Usage(format!(
            "`{name}` does not say what shape its input has: save it once it was trained, or begin it with an Input layer"
        )));
    }
    if arguments.train && !model.is_compiled() {
        return Err(Failure::Usage(format!(
            "`{name}` is not compiled, so that there is no training step: leave --train out, or train it first \
             (danlu train {name} --set training.optimizer=adam --set training.loss=...)"
        )));
    }
    let mut entries = Vec::new();
    let batches = match arguments.batch.as_slice() {
        [] => &BATCHES[..],
        given => given,
    };
    for &batch in batches {
        let mut benchmark = model.benchmark(batch, arguments.train)?;
        let times = measure(arguments.iterations, || Ok(benchmark.run()?))?;
        let costs = benchmark.costs()?;
        let (direction, steps) = match arguments.train {
            true => ("train", "training steps"),
            false => ("predict", "predictions"),
        };
        let profile = match arguments.profile {
            true => {
                let begin = Instant::now();
                let profile = benchmark.profile(times.runs)?;
                Some(ProfileReport {
                    steps,
                    between: "the call",
                    profile,
                    seconds: begin.elapsed().as_secs_f64(),
                    peak: before,
                })
            }
            false => None,
        };
        entries.push(Entry {
            direction,
            shape: None,
            batch,
            times,
            costs: Costs::of(costs.iter().flat_map(|profile| &profile.steps)),
            memory: None,
            profile,
        });
    }
    Ok((name, entries))
}

fn operations(
    operation: &Operation,
    arguments: &BenchArguments,
    mut device: Device,
) -> Result<Vec<Entry>> {
    let own = [operation.shape[0]];
    let batches = match arguments.batch.as_slice() {
        [] => &own[..],
        given => given,
    };
    let mut entries = Vec::new();
    for &batch in batches {
        let operation = operation.clone().with_batch(batch);
        for &direction in operation.directions() {
            let mut prepared = operation.prepare(direction, &mut *device.executor)?;
            let times = measure(arguments.iterations, || prepared.run())?;
            entries.push(Entry {
                direction: direction.name,
                shape: Some(operation.shape.clone()),
                batch,
                times,
                costs: prepared.costs(),
                memory: None,
                profile: None,
            });
        }
    }
    Ok(entries)
}
