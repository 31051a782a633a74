//! The single-threaded kernels of the CPU, one file per family.
//!
//! The plan splits work and calls a kernel on a piece. In every kernel here an element's bits depend only on the element, the
//! shapes named in its documentation and the instruction set: never on where a slice was cut or how long the piece is.

pub mod cumulative;
pub mod gather;
pub mod lanes;
pub mod math;
pub mod movement;
pub mod pooling;
pub mod product;
pub mod random;
pub mod reduce;
pub mod softmax;
pub mod sorting;
pub mod streams;
pub mod vector;

#[cfg(test)]
pub(crate) mod testing;
