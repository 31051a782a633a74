//! The device that models run on unless they are given another.

use danlu_cpu::{CpuExecutor, CpuOptions};
use danlu_graph::Executor;

use crate::Result;

/// The CPU, with a thread for each physical core and the best instruction set that it has.
///
/// # Errors
/// The threads cannot be started.
pub fn default_executor() -> Result<Box<dyn Executor>> {
    cpu_executor(CpuOptions::default())
}

/// The CPU with this number of threads and this instruction set.
///
/// # Errors
/// No thread was asked for, or an instruction set that this machine lacks.
pub fn cpu_executor(options: CpuOptions) -> Result<Box<dyn Executor>> {
    Ok(Box::new(CpuExecutor::new(options)?))
}
