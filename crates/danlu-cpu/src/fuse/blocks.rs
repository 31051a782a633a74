//! Tapes of floats that run block by block: a few vectors of each stream go through all operations before the next ones.

use danlu_graph::DType;
use danlu_graph::operations::{BinaryKind, UnaryKind};

use super::apply::Function;
use super::tape::{ExternalAccess, Source, Tape, TapeOperation};
use crate::kernels::vector::{
    BlockFunction, BlockInstruction, BlockRun, MOST_BLOCKS, MOST_SOURCES, Stream, run_blocks,
};
use crate::plan::context::{Context, Location};

/// A tape as instructions on blocks.
pub(super) struct Blocks {
    instructions: Vec<BlockInstruction>,
    streams: Vec<Kept>,
    constants: Vec<(Location, DType)>,
}

/// A stream whose address a run knows.
struct Kept {
    location: Location,
    read: bool,
    written: bool,
}

/// Where the tape's values are among the places of a run.
struct Places {
    externals: Vec<usize>,
    stores: Vec<usize>,
    /// The place of register 0.
    registers: usize,
}

impl Blocks {
    /// The tape as instructions, if all that it computes and touches is f32, or truth values that it does not store.
    pub fn find(tape: &Tape) -> Option<Blocks> {
        let mut streams = Vec::new();
        let mut constants = Vec::new();
        let mut externals = Vec::new();
        for external in &tape.externals {
            let constant = match (&external.access, external.dtype) {
                (ExternalAccess::Contiguous, DType::F32) => false,
                (ExternalAccess::Scalar, DType::F32 | DType::Bool) => true,
                _ => return None,
            };
            if constant {
                externals.push((true, constants.len()));
                constants.push((external.location, external.dtype));
            } else {
                externals.push((false, streams.len()));
                streams.push(Kept {
                    location: external.location,
                    read: true,
                    written: false,
                });
            }
        }
        let mut stores = Vec::new();
        for store in &tape.stores {
            if store.dtype != DType::F32 {
                return None;
            }
            stores.push(streams.len());
            streams.push(Kept {
                location: store.location,
                read: false,
                written: true,
            });
        }
        let shift = |(constant, index)| match constant {
            true => streams.len() + index,
            false => index,
        };
        let places = Places {
            externals: externals.into_iter().map(shift).collect(),
            stores,
            registers: streams.len() + constants.len(),
        };
        if places.registers + tape.registers + streams.len() > MOST_BLOCKS {
            return None;
        }
        let mut instructions = Vec::with_capacity(tape.operations.len());
        for operation in &tape.operations {
            instructions.push(places.instruction(operation)?);
        }
        // What waits in a register until nobody needs what it overwrites.
        for (store, place) in tape.stores.iter().zip(&places.stores) {
            if let Some(register) = store.late {
                let mut sources = [0; MOST_SOURCES];
                sources[0] = byte(places.registers + register)?;
                instructions.push(BlockInstruction {
                    function: BlockFunction::Copy,
                    sources,
                    destination: byte(*place)?,
                });
            }
        }
        Some(Blocks {
            instructions,
            streams,
            constants,
        })
    }

    /// Runs over `rows` ranges of `width` elements, `stride` apart, the first at `start`: `[rows, width, stride]`.
    ///
    /// # Safety
    /// As [`Tape::run`].
    pub unsafe fn run(&self, context: &Context<'_>, start: usize, shape: [usize; 3]) {
        let mut streams = [Stream {
            start: std::ptr::null_mut(),
            read: false,
            written: false,
        }; MOST_BLOCKS];
        for (stream, kept) in streams.iter_mut().zip(&self.streams) {
            let first: *mut f32 = context.pointer(kept.location).cast();
            *stream = Stream {
                start: first.wrapping_add(start),
                read: kept.read,
                written: kept.written,
            };
        }
        let mut constants = [0.0; MOST_BLOCKS];
        for (constant, &(location, dtype)) in constants.iter_mut().zip(&self.constants) {
            let place = context.pointer(location);
            // SAFETY: the constant is a value of one element of this dtype.
            *constant = unsafe {
                match dtype {
                    DType::Bool => f32::from(u8::from(*place != 0)),
                    _ => *place.cast::<f32>(),
                }
            };
        }
        let run = BlockRun {
            instructions: &self.instructions,
            streams: &streams[..self.streams.len()],
            constants: &constants[..self.constants.len()],
            shape,
        };
        // SAFETY: the caller's promise; `find` has counted the places, and the tape reads nothing that it has overwritten.
        unsafe { run_blocks(context.isa, run) };
    }
}

impl Places {
    fn of(&self, source: Source) -> Option<u8> {
        byte(match source {
            Source::Register(index) => self.registers + index,
            Source::External(index) => self.externals[index],
            Source::Result(index) => self.stores[index],
        })
    }

    fn instruction(&self, operation: &TapeOperation) -> Option<BlockInstruction> {
        let float = |dtype: DType| dtype == DType::F32;
        let (from, to) = (operation.operand, operation.result);
        let truth = from == DType::Bool;
        let function = match operation.function {
            Function::Unary(kind) if float(from) => BlockFunction::Unary(kind),
            Function::Unary(kind @ UnaryKind::Not) if truth => BlockFunction::Unary(kind),
            Function::Binary(kind) if float(from) => BlockFunction::Binary(kind),
            Function::Binary(kind @ (BinaryKind::And | BinaryKind::Or)) if truth => {
                BlockFunction::Binary(kind)
            }
            Function::Compare(kind) if float(from) => BlockFunction::Compare(kind),
            Function::Select if float(from) => BlockFunction::Select,
            Function::Copy if float(from) || truth => BlockFunction::Copy,
            Function::Cast if float(to) && (float(from) || truth) => BlockFunction::Copy,
            Function::Chain(chain) => BlockFunction::Chain(chain),
            _ => return None,
        };
        let mut sources = [0; MOST_SOURCES];
        let given = &operation.sources[..operation.count];
        for (place, &source) in sources.iter_mut().zip(given) {
            *place = self.of(source)?;
        }
        Some(BlockInstruction {
            function,
            sources,
            destination: self.of(operation.destination)?,
        })
    }
}

fn byte(place: usize) -> Option<u8> {
    u8::try_from(place).ok()
}
