//! The steps of a plan, one file per family: how a node's shapes become a kernel's arguments, and how its work is cut
//! into tasks. The cut depends on shapes only, never on the number of threads.

pub(super) mod elementwise;
mod fallback;
mod gather;
mod lines;
mod movement;
mod pooling;
mod product;
mod reduce;
mod rows;

use danlu_graph::{Bindings, Operation, Result};

use super::concrete::{Concrete, Pooling};
use super::context::{Location, Step};
use crate::fuse::tape::Tape;
use crate::kernels::pooling::Pool2d;
use crate::kernels::product::Use;
use crate::simd::Isa;

/// Where a kernel finds its operands.
pub(super) struct Operands {
    pub inputs: Vec<Location>,
    pub output: Location,
    pub scratch: Option<Location>,
    /// Where packed weights stay from run to run, if they do.
    pub kept: Option<Location>,
    /// What follows on each piece of the result.
    pub pass: Option<Tape>,
    /// Bytes of the scratch, behind the kernel's own, for the sums that the pass takes of all pieces.
    pub sums: usize,
    /// Where a max-pooling notes its places, or a gradient finds them.
    pub places: Option<Location>,
    /// The pooling that follows on each piece.
    pub pooled: Option<PooledResult>,
}

/// A max-pooling that follows a convolution.
pub(super) struct PooledResult {
    pub pool: Pool2d,
    pub output: Location,
    /// Where its places go, if anybody wants them.
    pub places: Option<Location>,
}

/// Makes the step once every value has its place.
type Build = Box<dyn FnOnce(Operands) -> Box<dyn Step>>;

/// A kernel chosen for a node's shapes.
pub(super) struct Kernel {
    scratch: usize,
    kept: usize,
    tile: Option<usize>,
    pieces: usize,
    sums: usize,
    build: Build,
}

impl Kernel {
    /// A kernel that needs `scratch` bytes while it runs.
    fn new(scratch: usize, build: impl FnOnce(Operands) -> Box<dyn Step> + 'static) -> Kernel {
        Kernel {
            scratch,
            kept: 0,
            tile: None,
            pieces: 0,
            sums: 0,
            build: Box::new(build),
        }
    }

    /// The kernel of a step that has none.
    pub fn none() -> Kernel {
        Kernel::new(0, |_| Box::new(elementwise::Nothing))
    }

    /// The same kernel, which can do without memory for its result where only its own pass looks at it: `bytes` for the
    /// tiles of all threads are then added to the scratch.
    fn with_tiles(self, bytes: Option<usize>) -> Kernel {
        Kernel {
            tile: bytes,
            ..self
        }
    }

    /// The same kernel, whose result comes in so many pieces of whole rows.
    fn in_pieces(self, pieces: usize) -> Kernel {
        Kernel { pieces, ..self }
    }

    /// The same kernel with a pass that takes sums: `bytes` for those of a piece.
    pub fn with_sums(self, bytes: usize) -> Kernel {
        let sums = self.pieces * bytes;
        Kernel {
            scratch: self.scratch + sums,
            sums,
            ..self
        }
    }

    /// Bytes of its scratch, behind what it needs itself, for the sums of its pass.
    pub fn sums_bytes(&self) -> usize {
        self.sums
    }

    /// Bytes for a tile of each thread, if the result needs no memory of its own beside them.
    pub fn tile_bytes(&self) -> Option<usize> {
        self.tile
    }

    /// The same kernel, of whose scratch so many bytes may stay from run to run while the second operand does.
    fn keeping(self, bytes: usize) -> Kernel {
        Kernel {
            kept: bytes,
            ..self
        }
    }

    /// Bytes of its scratch that may stay.
    pub fn kept_bytes(&self) -> usize {
        self.kept
    }

    /// Bytes that it needs while it runs, with those that may stay.
    pub fn scratch_bytes(&self) -> usize {
        self.scratch
    }

    /// The step.
    pub fn build(self, operands: Operands) -> Box<dyn Step> {
        (self.build)(operands)
    }
}

/// Chooses the kernel of a node that is not elementwise, for what is known of its use.
pub(super) fn kernel(
    nodes: &[Concrete],
    node: &Concrete,
    bindings: &Bindings,
    isa: Isa,
    threads: usize,
    usage: Use,
) -> Result<Kernel> {
    if node.count() == 0 {
        return Ok(Kernel::none());
    }
    let inputs: Vec<&Concrete> = node.inputs.iter().map(|&input| &nodes[input]).collect();
    let found = match &node.operation {
        Operation::MatMul(product) => product::matmul(product, &inputs, node, isa, threads, usage)?,
        Operation::Convolution2d(convolution) => {
            product::forward(&convolution.options, &inputs, node, isa, threads, usage)?
        }
        Operation::Convolution2dInputGradient(gradient) => {
            product::input_gradient(&gradient.options, &inputs, node, isa, threads)?
        }
        Operation::Convolution2dWeightGradient(gradient) => {
            product::weight_gradient(&gradient.options, &inputs, node, isa, threads)?
        }
        Operation::MaxPool2d(operation) if node.pooling == Pooling::Notes => {
            pooling::kernel(operation, &inputs, node)
        }
        Operation::Reduce(reduction) => reduce::reduction(reduction, &inputs, node),
        Operation::ArgMax(largest) => reduce::largest(largest, &inputs),
        Operation::Gather(_) | Operation::ScatterAdd(_) => gather::kernel(&inputs, node),
        Operation::CumulativeSum(_) | Operation::Sort(_) | Operation::ArgSort(_) => {
            lines::kernel(&inputs, node, threads)
        }
        _ => match rows::kernel(&inputs, node) {
            Some(kernel) => Some(kernel),
            None => movement::kernel(&inputs, node, bindings)?,
        },
    };
    match found {
        Some(kernel) => Ok(kernel),
        None => Ok(fallback::kernel(&inputs, node, bindings)),
    }
}

/// Runs shorter than this, in nanoseconds, stay on the calling thread.
const WORTH_SHARING: usize = 12_000;
