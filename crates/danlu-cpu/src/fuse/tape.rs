//! Elementwise groups as tapes: a list of vector operations run over tiles that stay in the first-level cache, so that a
//! chain of any length reads its inputs and writes its results once.

use std::mem::MaybeUninit;

use danlu_graph::{DType, Operation};

use super::affine;
use super::apply::{Function, Operands, apply};
use super::blocks::Blocks;
use super::chains::Chains;
use super::direct::Direct;
use super::pattern::{Access, Pattern, access};
use super::sums::{Totals, Wanted};
use crate::kernels::pooling::Pool2d;
use crate::kernels::reduce::Statistic;
use crate::kernels::vector::{BLOCK, MOST_OPERANDS, Period};
use crate::plan::context::{Context, Location};

/// Bytes for the tiles of one tape, on the stack of the thread that runs it: about the first-level cache.
const TILE_BYTES: usize = 32 * 1024;
/// The longest tile, in elements.
const LONGEST_TILE: usize = 1024;

/// A value that the tape reads from outside.
pub(super) struct External {
    pub location: Location,
    pub dtype: DType,
    pub access: ExternalAccess,
}

pub(super) enum ExternalAccess {
    Contiguous,
    Scalar,
    /// Read where it lies by a chain, which repeats it: its length.
    Periodic(usize),
    /// Read as a whole by what spreads it.
    Whole,
    /// Repeated into a register; once per run where its period divides the tile.
    Repeated {
        pattern: Pattern,
        register: usize,
        once: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Register(usize),
    External(usize),
    Result(usize),
}

pub(super) struct TapeOperation {
    pub function: Function,
    pub sources: [Source; MOST_OPERANDS],
    pub count: usize,
    /// The dtype of the operands (of the second operand where the first is a condition), and of the result.
    pub operand: DType,
    pub result: DType,
    pub destination: Source,
}

/// A result that goes to memory.
pub(super) struct Store {
    pub location: Location,
    pub dtype: DType,
    /// The register that holds it until the tile is done, where an operation may still read what it overwrites.
    pub late: Option<usize>,
}

/// A member of a group as the tape's builder is given it.
pub(crate) struct Entry<'a> {
    pub operation: &'a Operation,
    pub dtype: DType,
    /// Operands: earlier entries, or values from outside.
    pub operands: Vec<Operand>,
    /// Where the result goes, if anything outside reads it. The tape may read that memory too, element by element.
    pub store: Option<Location>,
    /// Whether the pass takes sums of it.
    pub summed: bool,
    /// The pooling whose gradient is spread, from what comes in and the places of the largest elements.
    pub spread: Option<Pool2d>,
}

/// An operand of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// The result of an earlier entry.
    Entry(usize),
    /// A value from outside.
    Outside {
        location: Location,
        dtype: DType,
        /// Its shape, and that of the entry which it is repeated over.
        shape: Vec<usize>,
        within: Vec<usize>,
        /// Whether it is a constant 0.
        zero: bool,
    },
}

/// An entry, or a chain of them, as one vector operation.
struct Instruction {
    /// The (last) entry.
    entry: usize,
    function: Function,
    operands: Vec<Operand>,
}

/// A compiled elementwise group over a shape.
pub(crate) struct Tape {
    pub(super) externals: Vec<External>,
    pub(super) operations: Vec<TapeOperation>,
    pub(super) stores: Vec<Store>,
    pub(super) direct: Option<Direct>,
    blocks: Option<Blocks>,
    /// Tiles, or blocks, for what lies between operations.
    pub(super) registers: usize,
    totals: Totals,
    tile: usize,
    register_bytes: usize,
    count: usize,
    bytes: usize,
}

/// The vector function of an operation.
fn function(operation: &Operation) -> Option<Function> {
    Some(match operation {
        Operation::Unary(unary) => Function::Unary(unary.kind),
        Operation::Binary(binary) => Function::Binary(binary.kind),
        Operation::Compare(compare) => Function::Compare(compare.kind),
        Operation::Select(_) => Function::Select,
        Operation::Cast(_) => Function::Cast,
        Operation::BroadcastTo(_) => Function::Copy,
        _ => return None,
    })
}

impl Tape {
    /// Compiles entries, all of this many elements, and the sums that are taken of them, or `None` if one is not elementwise.
    pub fn new(count: usize, entries: &[Entry<'_>], wanted: &[Wanted]) -> Option<Tape> {
        let instructions = instructions(entries)?;
        let mut last_use = vec![0; entries.len()];
        for (place, instruction) in instructions.iter().enumerate() {
            for operand in &instruction.operands {
                if let Operand::Entry(earlier) = operand {
                    last_use[*earlier] = place;
                }
            }
        }
        for (place, entry) in entries.iter().enumerate() {
            if entry.summed {
                last_use[place] = usize::MAX;
            }
        }
        // A store whose old content is still wanted waits to the end, and keeps its register until then.
        let late: Vec<bool> = (0..instructions.len())
            .map(|place| is_late(entries, &instructions, place))
            .collect();
        for (instruction, &late) in instructions.iter().zip(&late) {
            if late {
                last_use[instruction.entry] = usize::MAX;
            }
        }
        let mut tape = Tape {
            externals: Vec::new(),
            operations: Vec::new(),
            stores: Vec::new(),
            direct: None,
            blocks: None,
            registers: 0,
            totals: Totals::default(),
            tile: LONGEST_TILE,
            register_bytes: 0,
            count,
            bytes: 0,
        };
        let mut free: Vec<usize> = Vec::new();
        let mut registers = 0;
        let mut held: Vec<Source> = vec![Source::Register(0); entries.len()];
        let mut widest = 1;
        for (place, instruction) in instructions.into_iter().enumerate() {
            let entry = &entries[instruction.entry];
            widest = widest.max(entry.dtype.size());
            let mut sources = [Source::Register(0); MOST_OPERANDS];
            let mut dtypes = [entry.dtype; MOST_OPERANDS];
            for (slot, operand) in instruction.operands.iter().enumerate() {
                (sources[slot], dtypes[slot]) = match operand {
                    Operand::Entry(earlier) => (held[*earlier], entries[*earlier].dtype),
                    Operand::Outside {
                        location,
                        dtype,
                        shape,
                        within,
                        ..
                    } => {
                        widest = widest.max(dtype.size());
                        let repeats =
                            matches!(instruction.function, Function::Chain(_)) && slot == 1;
                        let external = if matches!(instruction.function, Function::Spread(_)) {
                            tape.bytes += count / 4 * dtype.size();
                            tape.whole(*location, *dtype)
                        } else {
                            let access = access(shape, within);
                            tape.external(*location, *dtype, access, repeats, &mut registers)
                        };
                        (Source::External(external), *dtype)
                    }
                };
            }
            let destination = match entry.store {
                Some(location) => {
                    tape.bytes += count * entry.dtype.size();
                    let register = late[place].then(|| take(&mut free, &mut registers));
                    tape.stores.push(Store {
                        location,
                        dtype: entry.dtype,
                        late: register,
                    });
                    register.map_or(Source::Result(tape.stores.len() - 1), Source::Register)
                }
                None => Source::Register(take(&mut free, &mut registers)),
            };
            held[instruction.entry] = destination;
            for operand in &instruction.operands {
                if let Operand::Entry(earlier) = operand
                    && last_use[*earlier] == place
                    && let Source::Register(register) = held[*earlier]
                    && !free.contains(&register)
                {
                    free.push(register);
                }
            }
            tape.operations.push(TapeOperation {
                function: instruction.function,
                sources,
                count: instruction.operands.len(),
                operand: if matches!(entry.operation, Operation::Select(_)) {
                    dtypes[1]
                } else {
                    dtypes[0]
                },
                result: entry.dtype,
                destination,
            });
        }
        for wanted in wanted {
            if wanted.statistic == Statistic::Variance && wanted.memory.is_none() {
                return None;
            }
            let source = match &wanted.operand {
                Operand::Entry(entry) => held[*entry],
                Operand::Outside {
                    location,
                    dtype,
                    shape,
                    within,
                    ..
                } => {
                    let access = access(shape, within);
                    let external = tape.external(*location, *dtype, access, false, &mut registers);
                    Source::External(external)
                }
            };
            tape.totals.push(wanted, source);
        }
        tape.registers = registers;
        tape.choose_tile(registers, widest);
        // Sums are taken over tiles.
        if tape.totals.is_empty() {
            tape.direct = Direct::find(&tape);
            tape.blocks = Blocks::find(&tape);
        }
        Some(tape)
    }

    /// A value that is read as a whole.
    fn whole(&mut self, location: Location, dtype: DType) -> usize {
        self.externals.push(External {
            location,
            dtype,
            access: ExternalAccess::Whole,
        });
        self.externals.len() - 1
    }

    fn external(
        &mut self,
        location: Location,
        dtype: DType,
        access: Access,
        repeats: bool,
        registers: &mut usize,
    ) -> usize {
        let period = match &access {
            Access::Pattern(pattern) if repeats => pattern.period(),
            _ => None,
        };
        let known = self.externals.iter().position(|external| {
            external.location == location
                && match (&external.access, &access) {
                    (ExternalAccess::Periodic(length), _) => Some(*length) == period,
                    _ if period.is_some() => false,
                    (ExternalAccess::Contiguous, Access::Contiguous)
                    | (ExternalAccess::Scalar, Access::Scalar) => true,
                    (ExternalAccess::Repeated { pattern, .. }, Access::Pattern(other)) => {
                        pattern == other
                    }
                    _ => false,
                }
        });
        known.unwrap_or_else(|| {
            let access = match access {
                Access::Contiguous => {
                    self.bytes += self.count * dtype.size();
                    ExternalAccess::Contiguous
                }
                Access::Scalar => ExternalAccess::Scalar,
                Access::Pattern(_) if let Some(length) = period => ExternalAccess::Periodic(length),
                // It is filled before the first operation, so it cannot be one that is free later.
                Access::Pattern(pattern) => ExternalAccess::Repeated {
                    pattern,
                    register: more(registers),
                    once: false,
                },
            };
            self.externals.push(External {
                location,
                dtype,
                access,
            });
            self.externals.len() - 1
        })
    }

    /// The longest tile whose registers fit; a multiple of the periods where they allow it.
    fn choose_tile(&mut self, registers: usize, widest: usize) {
        let most = (TILE_BYTES / (registers.max(1) * widest)).min(LONGEST_TILE);
        self.tile = (most / 16 * 16).max(1);
        // Rows that are summed, if their length allows it.
        let mut step = self.totals.columns().next().unwrap_or(1);
        if step > self.tile {
            step = 1;
        }
        for external in &mut self.externals {
            if let ExternalAccess::Repeated { pattern, once, .. } = &mut external.access
                && let Some(period) = pattern.period()
            {
                let joint = step / greatest_common_divisor(step, period) * period;
                if joint <= self.tile {
                    step = joint;
                    *once = true;
                }
            }
        }
        self.tile = self.tile / step * step;
        self.register_bytes = self.tile * widest;
    }

    /// Elements of the shape.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The sums that are taken.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Vector operations for each element.
    pub fn operations(&self) -> usize {
        self.operations.len()
    }

    /// Bytes that a run over all elements reads and writes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Runs the tape over the elements `start..end`, and takes its sums over them, if it has any: then they are whole rows, and
    /// `context.sums` has room for a piece.
    ///
    /// # Safety
    /// As [`Step::run`](crate::plan::context::Step::run); ranges that run at the same time do not overlap.
    pub unsafe fn run(&self, context: &Context<'_>, start: usize, end: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            self.totals.begin(context, end - start);
            self.run_rows(context, start, [1, end - start, 0]);
            self.totals.end(context, start, end);
        }
    }

    /// Runs a tape without sums over `rows` ranges of `width` elements, `stride` apart, the first at `start`: `[rows, width, stride]`.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    pub unsafe fn run_rows(&self, context: &Context<'_>, start: usize, shape: [usize; 3]) {
        if let Some(direct) = self.direct {
            // SAFETY: the caller's promise.
            return unsafe { self.run_direct(direct, context, start, shape) };
        }
        let [rows, width, stride] = shape;
        let mut done = 0;
        if let Some(blocks) = &self.blocks
            && width >= BLOCK
        {
            done = width / BLOCK * BLOCK;
            // SAFETY: as above.
            unsafe { blocks.run(context, start, [rows, width / BLOCK, stride]) };
        }
        if done == width {
            return;
        }
        for row in 0..rows {
            let start = start + row * stride;
            // SAFETY: as above.
            unsafe { self.run_tiles(context, start + done, start + width) };
        }
    }

    /// The address of an element of a value of f32.
    fn element(&self, context: &Context<'_>, location: Location, position: usize) -> *const f32 {
        let start = context.pointer(location).cast_const().cast::<f32>();
        start.wrapping_add(position)
    }

    /// Runs the tape over the elements `start..end`, tile by tile.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn run_tiles(&self, context: &Context<'_>, start: usize, end: usize) {
        #[repr(align(64))]
        struct Tiles(MaybeUninit<[u8; TILE_BYTES]>);
        let mut tiles = Tiles(MaybeUninit::uninit());
        let base: *mut u8 = tiles.0.as_mut_ptr().cast();
        debug_assert!(self.register_bytes == 0 || self.register_bytes <= TILE_BYTES);
        // SAFETY: `choose_tile` has made all registers fit into the block.
        let register = |index: usize| unsafe { base.add(index * self.register_bytes) };
        let mut first = true;
        let mut position = start;
        while position < end {
            let length = self.tile.min(end - position);
            for external in &self.externals {
                if let ExternalAccess::Repeated {
                    pattern,
                    register: index,
                    once,
                } = &external.access
                    && (first || !once)
                {
                    // A register that is loaded once serves later, possibly longer tiles: it is filled whole.
                    let length = if *once {
                        self.tile.min(end - position)
                    } else {
                        length
                    };
                    let source = context.pointer(external.location);
                    let destination = register(*index);
                    // SAFETY: the pattern stays inside the value; the register has room for a tile.
                    unsafe {
                        match external.dtype.size() {
                            1 => pattern.load(source, position, length, destination),
                            2 => pattern.load::<u16>(
                                source.cast(),
                                position,
                                length,
                                destination.cast(),
                            ),
                            4 => pattern.load::<u32>(
                                source.cast(),
                                position,
                                length,
                                destination.cast(),
                            ),
                            _ => pattern.load::<u64>(
                                source.cast(),
                                position,
                                length,
                                destination.cast(),
                            ),
                        }
                    }
                }
            }
            first = false;
            for operation in &self.operations {
                let mut pointers = [std::ptr::null(); MOST_OPERANDS];
                let mut scalars = [false; MOST_OPERANDS];
                let mut period = None;
                for slot in 0..operation.count {
                    (pointers[slot], scalars[slot]) = match operation.sources[slot] {
                        Source::Register(index) => (register(index).cast_const(), false),
                        Source::Result(index) => {
                            let store = &self.stores[index];
                            let offset = position * store.dtype.size();
                            // SAFETY: the position lies inside the value.
                            (
                                unsafe { context.pointer(store.location).add(offset) }.cast_const(),
                                false,
                            )
                        }
                        Source::External(index) => {
                            let external = &self.externals[index];
                            let start = context.pointer(external.location).cast_const();
                            match &external.access {
                                ExternalAccess::Scalar => (start, true),
                                ExternalAccess::Whole => (start, false),
                                ExternalAccess::Periodic(length) => {
                                    period = Some(Period {
                                        length: *length,
                                        start: position % length,
                                    });
                                    (start, false)
                                }
                                ExternalAccess::Repeated {
                                    register: index, ..
                                } => (register(*index).cast_const(), false),
                                ExternalAccess::Contiguous => {
                                    let offset = position * external.dtype.size();
                                    // SAFETY: the position lies inside the value.
                                    (unsafe { start.add(offset) }, false)
                                }
                            }
                        }
                    };
                }
                let destination = match operation.destination {
                    Source::Register(index) => register(index),
                    Source::Result(index) | Source::External(index) => {
                        let store = &self.stores[index];
                        // SAFETY: the position lies inside the value.
                        unsafe {
                            context
                                .pointer(store.location)
                                .add(position * store.dtype.size())
                        }
                    }
                };
                let operands = Operands {
                    pointers,
                    scalars,
                    period,
                    position,
                    operand: operation.operand,
                    result: operation.result,
                    destination,
                    length,
                };
                // SAFETY: all pointers have `length` elements; the destination is no operand but of a chain, which
                // allows it.
                unsafe { apply(context.isa, operation.function, &operands) };
            }
            let place = |source: Source| match source {
                Source::Register(index) => register(index).cast_const().cast(),
                Source::Result(index) => {
                    self.element(context, self.stores[index].location, position)
                }
                Source::External(index) => match &self.externals[index].access {
                    ExternalAccess::Repeated {
                        register: index, ..
                    } => register(*index).cast_const().cast(),
                    _ => self.element(context, self.externals[index].location, position),
                },
            };
            // SAFETY: a tile of each value is there.
            unsafe { self.totals.take_tile(context, position, length, place) };
            for store in &self.stores {
                if let Some(index) = store.late {
                    let size = store.dtype.size();
                    // SAFETY: the register holds a tile, the position lies inside the value.
                    unsafe {
                        let destination = context.pointer(store.location).add(position * size);
                        std::ptr::copy_nonoverlapping(register(index), destination, length * size);
                    }
                }
            }
            position += length;
        }
    }
}

/// The vector operations of entries; chains that have a kernel become one.
fn instructions(entries: &[Entry<'_>]) -> Option<Vec<Instruction>> {
    let chains = Chains::new(entries);
    let mut taken = vec![false; entries.len()];
    let mut instructions = Vec::with_capacity(entries.len());
    for place in (0..entries.len()).rev() {
        if taken[place] {
            continue;
        }
        let entry = &entries[place];
        if let Some(found) = affine::ending_at(&chains, place) {
            found.inner.iter().for_each(|&inner| taken[inner] = true);
            instructions.push(Instruction {
                entry: place,
                function: Function::Affine(found.function),
                operands: found.operands,
            });
            continue;
        }
        instructions.push(match chains.ending_at(place) {
            Some(found) => {
                found.inner.iter().for_each(|&inner| taken[inner] = true);
                Instruction {
                    entry: place,
                    function: Function::Chain(found.chain),
                    operands: found.operands,
                }
            }
            None => Instruction {
                entry: place,
                function: match entry.spread {
                    Some(pool) => Function::Spread(pool),
                    None => function(entry.operation)?,
                },
                operands: entry.operands.clone(),
            },
        });
    }
    instructions.reverse();
    Some(instructions)
}

/// Whether what an instruction overwrites is read later, or by itself where its kernel does not allow that.
fn is_late(entries: &[Entry<'_>], instructions: &[Instruction], place: usize) -> bool {
    let Some(store) = entries[instructions[place].entry].store else {
        return false;
    };
    let reads = |instruction: &Instruction| {
        instruction.operands.iter().any(
            |operand| matches!(operand, Operand::Outside { location, .. } if *location == store),
        )
    };
    let own = &instructions[place];
    (reads(own) && !matches!(own.function, Function::Chain(_)))
        || instructions[place + 1..].iter().any(reads)
}

/// A register that is free, or one more.
fn take(free: &mut Vec<usize>, registers: &mut usize) -> usize {
    free.pop().unwrap_or_else(|| more(registers))
}

/// One more register.
fn more(registers: &mut usize) -> usize {
    *registers += 1;
    *registers - 1
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}
