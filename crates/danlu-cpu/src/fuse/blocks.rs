//! Tapes of floats that run block by block: a few vectors of each stream go through all operations before the next ones.

use danlu_graph::DType;
use danlu_graph::operations::{BinaryKind, UnaryKind};

use super::apply::Function;
use super::tape::{ExternalAccess, Source, Tape, TapeOperation};
use crate::kernels::vector::{
    BlockFunction, BlockInstruction, BlockRun, MOST_BLOCKS, MOST_OPERANDS, run_blocks,
};
use crate::plan::context::{Context, Location};

/// Streams of a tape at most.
const MOST_STREAMS: usize = 64;

/// A tape as instructions on blocks.
pub(super) struct Blocks {
    instructions: Vec<BlockInstruction>,
    streams: Vec<Location>,
    constants: Vec<(Location, DType)>,
}

/// Where the tape's values are among the places of a run.
struct Places {
    externals: Vec<usize>,
    stores: Vec<usize>,
    /// The place of register 0.
    registers: usize,
    /// Of each register the stream whose block stands for it, from where that was written.
    straight: Vec<Option<usize>>,
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
                streams.push(external.location);
            }
        }
        let mut stores = Vec::new();
        for store in &tape.stores {
            if store.dtype != DType::F32 {
                return None;
            }
            stores.push(streams.len());
            streams.push(store.location);
        }
        let shift = |(constant, index)| match constant {
            true => streams.len() + index,
            false => index,
        };
        let mut places = Places {
            externals: externals.into_iter().map(shift).collect(),
            stores,
            registers: streams.len() + constants.len(),
            straight: vec![None; tape.registers],
        };
        if constants.len() + tape.registers > MOST_BLOCKS || streams.len() > MOST_STREAMS {
            return None;
        }
        let mut instructions = Vec::with_capacity(tape.operations.len());
        for (index, operation) in tape.operations.iter().enumerate() {
            let mut instruction = places.instruction(operation)?;
            // A block is read before it is written: only later operations can miss what a result overwrites.
            if let Source::Register(register) = operation.destination
                && let Some(store) = tape.stores.iter().position(|s| s.late == Some(register))
                && last_of(tape, register) == Some(index)
                && !reads_later(tape, index, tape.stores[store].location)
            {
                places.straight[register] = Some(places.stores[store]);
                instruction.destination = byte(places.stores[store])?;
            }
            instructions.push(instruction);
        }
        // What waits in a register until nobody needs what it overwrites.
        for (store, place) in tape.stores.iter().zip(&places.stores) {
            if let Some(register) = store.late
                && places.straight[register].is_none()
            {
                let mut sources = [0; MOST_OPERANDS];
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

    /// Runs over the whole blocks of `rows` ranges, so many `blocks` each, `stride` elements apart, the first at `start`:
    /// `[rows, blocks, stride]`.
    ///
    /// # Safety
    /// As [`Tape::run`].
    pub unsafe fn run(&self, context: &Context<'_>, start: usize, shape: [usize; 3]) {
        let mut streams = [std::ptr::null_mut(); MOST_STREAMS];
        for (stream, &location) in streams.iter_mut().zip(&self.streams) {
            let first: *mut f32 = context.pointer(location).cast();
            *stream = first.wrapping_add(start);
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
            Source::Register(index) => self.straight[index].unwrap_or(self.registers + index),
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
        let mut sources = [0; MOST_OPERANDS];
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

/// The last operation that writes a register.
fn last_of(tape: &Tape, register: usize) -> Option<usize> {
    let writes = |operation: &TapeOperation| operation.destination == Source::Register(register);
    tape.operations.iter().rposition(writes)
}

/// Whether an operation behind this one reads what lay at a place before the run.
fn reads_later(tape: &Tape, index: usize, location: Location) -> bool {
    let old = |source: &Source| match source {
        Source::External(external) => tape.externals[*external].location == location,
        Source::Register(_) | Source::Result(_) => false,
    };
    let later = &tape.operations[index + 1..];
    later
        .iter()
        .any(|operation| operation.sources[..operation.count].iter().any(old))
}

fn byte(place: usize) -> Option<u8> {
    u8::try_from(place).ok()
}
