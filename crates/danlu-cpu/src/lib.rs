//! Runs [`danlu_graph`] programs on a CPU.

mod buffer;
mod executor;
mod fuse;
pub mod kernels;
mod memory;
pub mod peak;
mod plan;
pub mod simd;
pub mod threads;

pub use executor::{CpuExecutor, CpuOptions, default_threads};
pub use peak::{Peak, measure_peak, measure_streams};
pub use simd::Isa;
