//! An optimizer's step alone, as `danlu bench --op optimizer` names it.

use danlu::cpu::measure_streams;
use danlu::graph::tensor::element_count;
use danlu::optimizers::{self, Optimizer, StepAlone};
use serde_json::json;

use super::measured::{Costs, Entry, Memory, measure};
use super::shapes::sizes;
use crate::arguments::OperationArguments;
use crate::device::Device;
use crate::failure::{Failure, Result};

/// The name that `--op` takes.
pub const OPTIMIZER: &str = "optimizer";

/// The one whose step is no pass over the parameter and its gradient.
const LBFGS: &str = "LBFGS";

/// An optimizer with the shape of the parameter that it changes.
pub struct Step {
    optimizer: Box<dyn Optimizer>,
    shape: Vec<usize>,
}

impl Step {
    /// What the command line says.
    ///
    /// # Errors
    /// There is no such optimizer, an option is missing or not its own, or sizes are none.
    pub fn parse(arguments: &OperationArguments) -> Result<Step> {
        if let Some((option, _)) = arguments.given().into_iter().find(|(_, given)| *given) {
            return Err(Failure::Usage(format!(
                "--op {OPTIMIZER} has no {option}: it has --optimizer and --shape"
            )));
        }
        let Some(name) = &arguments.optimizer else {
            let names = optimizers::names().into_iter();
            let names: Vec<String> = names.filter(|name| name != LBFGS).collect();
            let names = names.join(", ").to_lowercase();
            return Err(Failure::Usage(format!(
                "--op {OPTIMIZER} needs --optimizer, one of: {names}"
            )));
        };
        let optimizer = optimizers::from_json(&json!(name));
        let optimizer =
            optimizer.map_err(|error| Failure::Usage(format!("--optimizer: {error}")))?;
        if optimizer.class_name() == LBFGS {
            return Err(Failure::Usage(format!(
                "--optimizer: {LBFGS} has no step alone, since it asks for loss and gradient several times in each; choose another, or \
                 measure a training with `danlu train`"
            )));
        }
        let example = "the sizes of the parameter's axes, such as 10000000 or 3162x3162";
        let Some(text) = arguments.shape.as_deref() else {
            return Err(Failure::Usage(format!(
                "--op {OPTIMIZER} needs --shape: {example}"
            )));
        };
        let shape = sizes("--shape", text, example)?;
        element_count(&shape)
            .map_err(|error| Failure::Usage(format!("--shape {text}: {error}")))?;
        Ok(Step { optimizer, shape })
    }

    /// Times the step beside a pass that reads and writes as many arrays and does nothing else.
    ///
    /// # Errors
    /// There is no memory for the parameter and what is kept for it.
    pub fn run(&self, device: Device, iterations: Option<usize>, peak: bool) -> Result<Entry> {
        let (isa, threads) = (device.isa, device.threads);
        let mut step = StepAlone::new(&*self.optimizer, &self.shape, device.executor)
            .map_err(Failure::failed)?;
        let elements: usize = self.shape.iter().product();
        let (read, written) = step.bytes();
        let arrays = [read, written].map(|bytes| {
            let one = (elements * size_of::<f32>()).max(1);
            (bytes + one / 2) / one
        });
        // Other programs take cores away for a while: the better of before and after.
        let memory = || match peak {
            true => measure_streams(isa, threads, elements, arrays),
            false => 0.0,
        };
        let before = memory();
        let times = measure(iterations, || step.run().map_err(Failure::failed))?;
        let flops = step
            .costs()
            .map_or(0, |costs| Costs::of(&costs.steps).flops);
        Ok(Entry {
            direction: "update",
            shape: Some(self.shape.clone()),
            batch: 1,
            times,
            costs: Costs {
                flops,
                bytes: (read + written) as u64,
            },
            memory: peak.then(|| Memory {
                arrays,
                gigabytes_per_second: memory().max(before),
            }),
            profile: None,
        })
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let class = self.optimizer.class_name();
        write!(formatter, "{OPTIMIZER} {class} {}", sizes.join("x"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::DeviceArguments;
    use crate::device;

    fn device() -> Device {
        let threads = Some(1);
        device::open(&DeviceArguments { threads, isa: None }).unwrap()
    }

    fn step(optimizer: Option<&str>, shape: Option<&str>) -> Result<Step> {
        Step::parse(&OperationArguments {
            op: Some(OPTIMIZER.to_owned()),
            optimizer: optimizer.map(str::to_owned),
            shape: shape.map(str::to_owned),
            ..OperationArguments::default()
        })
    }

    #[test]
    fn every_optimizer_runs_and_says_which_bytes_it_moves() {
        for (name, arrays) in [("sgd", 3), ("adam", 7), ("lion", 5), ("ftrl", 7)] {
            let step = step(Some(name), Some("40x50")).unwrap();
            let entry = step.run(device(), Some(2), true).unwrap();
            let bytes = arrays * 4 * 2000;
            assert!((bytes..bytes + 64).contains(&entry.costs.bytes), "{name}");
            let memory = entry.memory.unwrap();
            assert_eq!(
                memory.arrays.iter().sum::<usize>(),
                arrays as usize,
                "{name}"
            );
            assert!(memory.gigabytes_per_second > 0.0);
        }
        for name in optimizers::names().iter().filter(|name| *name != LBFGS) {
            let step = step(Some(name), Some("3x5")).unwrap();
            step.run(device(), Some(1), false).unwrap();
        }
    }

    #[test]
    fn mistakes_are_explained() {
        for (optimizer, shape, expected) in [
            (None, Some("10"), "needs --optimizer, one of: ada"),
            (Some("adan"), Some("10"), "did you mean"),
            (Some("lbfgs"), Some("10"), "has no step alone"),
            (Some("adam"), None, "needs --shape: the sizes"),
            (Some("adam"), Some("3xx4"), "--shape `3xx4`"),
        ] {
            let failure = step(optimizer, shape).err().unwrap();
            assert!(matches!(failure, Failure::Usage(_)));
            assert!(failure.to_string().contains(expected), "{failure}");
        }
        let arguments = OperationArguments {
            optimizer: Some("adam".to_owned()),
            kernel: Some("3x3".to_owned()),
            ..OperationArguments::default()
        };
        let failure = Step::parse(&arguments).err().unwrap().to_string();
        assert!(failure.contains("has no --kernel"), "{failure}");
    }
}
