//! A list of functions on one block of a few vectors after another: what lies between two functions stays in a room of a few
//! kilobytes, and the streams from memory advance together.

use std::mem::MaybeUninit;

use danlu_graph::operations::{BinaryKind, CompareKind, UnaryKind};
use pulp::{Simd, WithSimd};

use super::Chain;
use super::binary::{BinaryLoop, each_binary};
use super::formulas::{ChainLoop, MOST_OPERANDS, MOST_SCALARS, each_chain};
use super::unary::{UnaryLoop, each_unary};
use crate::kernels::lanes::{load, prefetch, store, truth};
use crate::simd::Isa;

/// Elements of a block.
pub const BLOCK: usize = 128;
/// How many blocks ahead the streams are asked for.
const AHEAD: usize = 4;
/// Blocks that a run has room for: its constants and registers.
pub const MOST_BLOCKS: usize = 64;

/// What an instruction computes. Truth values are 1 and 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockFunction {
    /// A function of one operand.
    Unary(UnaryKind),
    /// A function of two.
    Binary(BinaryKind),
    /// Whether the first operand stands so to the second.
    Compare(CompareKind),
    /// The second operand where the first is not 0, elsewhere the third.
    Select,
    /// The operand.
    Copy,
    /// A chain; its operands with one element for all are constants.
    Chain(Chain),
}

/// One function of blocks. Places are counted over the streams, then the constants, then the registers.
#[derive(Clone, Copy, Debug)]
pub struct BlockInstruction {
    /// What it computes.
    pub function: BlockFunction,
    /// The places of its operands, as many as it has.
    pub sources: [u8; MOST_OPERANDS],
    /// The place of its result: a stream or a register, which may be an operand.
    pub destination: u8,
}

/// What [`run_blocks`] works on.
#[derive(Clone, Copy, Debug)]
pub struct BlockRun<'a> {
    /// In order.
    pub instructions: &'a [BlockInstruction],
    /// Of each stream, elements in memory that are read or written, the first.
    pub streams: &'a [*mut f32],
    /// Operands of one element for all.
    pub constants: &'a [f32],
    /// Rows, blocks of each, and elements from one to the next.
    pub shape: [usize; 3],
}

/// Runs the instructions over all blocks. Each function rounds as on its own.
///
/// # Safety
/// Streams hold the blocks of the shape, and two that overlap are the same memory, of which an instruction reads no element
/// after one has written it, but through the written stream. Places are below the number of streams, constants and registers; of
/// constants and registers there are at most [`MOST_BLOCKS`].
pub unsafe fn run_blocks(isa: Isa, run: BlockRun<'_>) {
    isa.dispatch(Run(run));
}

struct Run<'a>(BlockRun<'a>);

/// Of each place where its block lies; a place is a byte.
type Table = [*mut f32; 256];

#[repr(align(64))]
struct Room(MaybeUninit<[f32; MOST_BLOCKS * BLOCK]>);

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let run = self.0;
        let mut room = Room(MaybeUninit::uninit());
        let room: *mut f32 = room.0.as_mut_ptr().cast();
        let streams = run.streams.len();
        let mut table: Table = [std::ptr::null_mut(); 256];
        for (block, place) in table[streams..].iter_mut().take(MOST_BLOCKS).enumerate() {
            *place = room.wrapping_add(block * BLOCK);
        }
        for (&constant, &place) in run.constants.iter().zip(&table[streams..]) {
            // SAFETY: the block lies in the room.
            unsafe { std::slice::from_raw_parts_mut(place, BLOCK) }.fill(constant);
        }
        let [rows, blocks, stride] = run.shape;
        for row in 0..rows {
            for (place, start) in table.iter_mut().zip(run.streams) {
                *place = start.wrapping_add(row * stride);
            }
            for _ in 0..blocks {
                for place in &table[..streams] {
                    for line in (0..BLOCK).step_by(16) {
                        prefetch(place.wrapping_add(AHEAD * BLOCK + line));
                    }
                }
                // SAFETY: all streams hold another block.
                unsafe { block(simd, run.instructions, &table) };
                for place in &mut table[..streams] {
                    *place = place.wrapping_add(BLOCK);
                }
            }
        }
    }
}

/// Runs the instructions on one block of each place.
///
/// # Safety
/// The table's places that the instructions name hold a block.
#[inline(always)]
unsafe fn block<S: Simd>(simd: S, instructions: &[BlockInstruction], table: &Table) {
    for instruction in instructions {
        let on = Blocks {
            simd,
            sources: instruction
                .sources
                .map(|place| table[usize::from(place)].cast_const()),
            destination: table[usize::from(instruction.destination)],
        };
        match instruction.function {
            BlockFunction::Unary(kind) => each_unary(simd, kind, on),
            BlockFunction::Binary(kind) => each_binary(simd, kind, on),
            BlockFunction::Compare(kind) => on.compare(kind),
            BlockFunction::Select => {
                let zero = simd.splat_f32s(0.0);
                ChainLoop::each(
                    on,
                    #[inline(always)]
                    |[condition, a, b]| simd.select_f32s(simd.equal_f32s(condition, zero), b, a),
                );
            }
            BlockFunction::Copy => UnaryLoop::each(
                on,
                #[inline(always)]
                |x| x,
            ),
            BlockFunction::Chain(chain) => {
                let mut scalars = [simd.splat_f32s(0.0); MOST_SCALARS];
                let given = chain.vectors()..chain.vectors() + chain.scalars();
                for (scalar, &source) in scalars.iter_mut().zip(&on.sources[given]) {
                    // SAFETY: the operands are blocks.
                    *scalar = unsafe { load(simd, source, None) };
                }
                each_chain(simd, chain, scalars, on);
            }
        }
    }
}

/// The blocks of one instruction.
#[derive(Clone, Copy)]
struct Blocks<S> {
    simd: S,
    sources: [*const f32; MOST_OPERANDS],
    destination: *mut f32,
}

impl<S: Simd> Blocks<S> {
    /// `function` of the first operands, a vector of each at a time.
    #[inline(always)]
    fn map<const COUNT: usize>(self, function: impl Fn([S::f32s; COUNT]) -> S::f32s) {
        for offset in (0..BLOCK).step_by(S::F32_LANES) {
            let mut values = [self.simd.splat_f32s(0.0); COUNT];
            for (value, source) in values.iter_mut().zip(self.sources) {
                // SAFETY: `block`'s caller vouches for the blocks, which a whole number of vectors covers.
                *value = unsafe { load(self.simd, source.wrapping_add(offset), None) };
            }
            let place = self.destination.wrapping_add(offset);
            // SAFETY: as above.
            unsafe { store(self.simd, place, None, function(values)) };
        }
    }

    #[inline(always)]
    fn compare(self, kind: CompareKind) {
        let simd = self.simd;
        match kind {
            CompareKind::Equal => self.map(
                #[inline(always)]
                |[a, b]| truth(simd, simd.equal_f32s(a, b)),
            ),
            CompareKind::NotEqual => self.map(
                #[inline(always)]
                |[a, b]| truth(simd, simd.not_m32s(simd.equal_f32s(a, b))),
            ),
            CompareKind::Less => self.map(
                #[inline(always)]
                |[a, b]| truth(simd, simd.less_than_f32s(a, b)),
            ),
            CompareKind::LessEqual => self.map(
                #[inline(always)]
                |[a, b]| truth(simd, simd.less_than_or_equal_f32s(a, b)),
            ),
            CompareKind::Greater => self.map(
                #[inline(always)]
                |[a, b]| truth(simd, simd.greater_than_f32s(a, b)),
            ),
            CompareKind::GreaterEqual => self.map(
                #[inline(always)]
                |[a, b]| truth(simd, simd.greater_than_or_equal_f32s(a, b)),
            ),
        }
    }
}

impl<S: Simd> UnaryLoop<S> for Blocks<S> {
    #[inline(always)]
    fn each(self, function: impl Fn(S::f32s) -> S::f32s) {
        self.map(
            #[inline(always)]
            |[x]| function(x),
        );
    }
}

impl<S: Simd> BinaryLoop<S> for Blocks<S> {
    #[inline(always)]
    fn each(self, function: impl Fn(S::f32s, S::f32s) -> S::f32s) {
        self.map(
            #[inline(always)]
            |[a, b]| function(a, b),
        );
    }
}

impl<S: Simd> ChainLoop<S> for Blocks<S> {
    #[inline(always)]
    fn each<const COUNT: usize>(self, function: impl Fn([S::f32s; COUNT]) -> S::f32s) {
        self.map(function);
    }
}
