//! The device that a command runs on.

use danlu::graph::Executor;
use danlu_cpu::{CpuExecutor, CpuOptions, Isa};

use crate::arguments::DeviceArguments;
use crate::failure::{Failure, Result};

/// A device, and what it is.
pub struct Device {
    /// What runs the programs.
    pub executor: Box<dyn Executor>,
    /// Its number of threads.
    pub threads: usize,
    /// Its instruction set.
    pub isa: Isa,
}

/// The CPU with the threads and the instruction set that were asked for.
///
/// # Errors
/// The machine has no such instruction set, or the threads cannot be started.
pub fn open(arguments: &DeviceArguments) -> Result<Device> {
    let isa = arguments.isa.as_deref().map(Isa::from_name).transpose();
    let isa = isa.map_err(|error| Failure::Usage(format!("--isa: {error}")))?;
    let options = CpuOptions {
        threads: arguments.threads,
        isa,
    };
    let executor = CpuExecutor::new(options).map_err(Failure::failed)?;
    Ok(Device {
        threads: executor.threads(),
        isa: executor.isa(),
        executor: Box::new(executor),
    })
}
