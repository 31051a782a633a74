//! Tapes that need no tile: one chain, or the three of an Adam step. They run over a range in one loop, and over many short
//! rows with little ado.

use super::apply::Function;
use super::tape::{ExternalAccess, Source, Tape, TapeOperation};
use crate::kernels::vector::{AdamStep, Chain, MOST_OPERANDS, Period, adam, chain};
use crate::plan::context::{Context, Location};

/// How a tape runs without tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direct {
    /// Its only operation is a chain.
    Chain(Chain),
    /// Its operations are those of an Adam step: which of them makes the momentum, the velocity and the value.
    Adam([usize; 3]),
}

impl Direct {
    /// Whether and how a tape can.
    pub fn find(tape: &Tape) -> Option<Direct> {
        let stored = tape.stores.iter().all(|store| store.late.is_none());
        if !stored
            || !tape
                .operations
                .iter()
                .all(|operation| plain(tape, operation))
        {
            return None;
        }
        match tape.operations.as_slice() {
            [operation] => match operation.function {
                Function::Chain(chain) => Some(Direct::Chain(chain)),
                _ => None,
            },
            operations @ [_, _, _] => {
                let of = |chain: Chain| {
                    operations
                        .iter()
                        .position(|operation| operation.function == Function::Chain(chain))
                };
                let momentum = of(Chain::Approach)?;
                let velocity = of(Chain::ApproachSquare)?;
                let value = of(Chain::ScaledStep)?;
                let whole = |operation: &TapeOperation, slots: std::ops::Range<usize>| {
                    operation.sources[slots]
                        .iter()
                        .all(|&source| contiguous(tape, source))
                };
                let good = whole(&operations[momentum], 0..2)
                    && whole(&operations[velocity], 0..2)
                    && whole(&operations[value], 0..1)
                    && operations[momentum].sources[1] == operations[velocity].sources[1]
                    && operations[value].sources[1] == operations[momentum].destination
                    && operations[value].sources[2] == operations[velocity].destination;
                good.then_some(Direct::Adam([momentum, velocity, value]))
            }
            _ => None,
        }
    }
}

fn contiguous(tape: &Tape, source: Source) -> bool {
    match source {
        Source::External(index) => {
            matches!(tape.externals[index].access, ExternalAccess::Contiguous)
        }
        Source::Register(_) | Source::Result(_) => false,
    }
}

/// Whether an operation reads and writes memory outside the tape only.
fn plain(tape: &Tape, operation: &TapeOperation) -> bool {
    let outside = |source: &Source| match source {
        Source::Register(_) => false,
        Source::Result(_) => true,
        Source::External(index) => !matches!(
            tape.externals[*index].access,
            ExternalAccess::Repeated { .. }
        ),
    };
    operation.sources[..operation.count].iter().all(outside)
        && matches!(operation.destination, Source::Result(_))
}

/// The bytes of an element: chains are of f32.
const SIZE: usize = size_of::<f32>();

impl Tape {
    /// The address of an operand's element that goes with the result's element at `position`; a scalar's only element.
    fn place(&self, context: &Context<'_>, source: Source, position: usize) -> *mut f32 {
        let (location, own) = match source {
            Source::External(index) => {
                let external = &self.externals[index];
                let contiguous = matches!(external.access, ExternalAccess::Contiguous);
                (external.location, contiguous)
            }
            Source::Result(index) | Source::Register(index) => (self.stores[index].location, true),
        };
        let offset = if own { position * SIZE } else { 0 };
        context.pointer(location).wrapping_add(offset).cast()
    }

    /// Where the bias lies, if all that the tape does to a tile is `max(x + bias, 0)`, the bias having `channels` elements.
    pub fn adds_bias_and_relu(&self, channels: usize) -> Option<Location> {
        let [operation] = self.operations.as_slice() else {
            return None;
        };
        let (Source::External(tile), Source::External(bias)) =
            (operation.sources[0], operation.sources[1])
        else {
            return None;
        };
        let (tile, bias) = (&self.externals[tile], &self.externals[bias]);
        let good = self.direct == Some(Direct::Chain(Chain::AddRelu))
            && matches!(tile.access, ExternalAccess::Contiguous)
            && tile.location == Location::Tile
            && matches!(bias.access, ExternalAccess::Periodic(length) if length == channels)
            && self.stores.len() == 1
            && self.stores[0].location == Location::Tile;
        good.then_some(bias.location)
    }

    /// The length of the operand that a chain repeats.
    fn period(&self, operation: &TapeOperation) -> Option<usize> {
        match operation.sources[1] {
            Source::External(index) => match self.externals[index].access {
                ExternalAccess::Periodic(length) => Some(length),
                _ => None,
            },
            Source::Register(_) | Source::Result(_) => None,
        }
    }

    /// Runs the tape over `rows` ranges of `width` elements, `stride` apart, the first at `start`.
    ///
    /// # Safety
    /// As [`Tape::run`].
    pub(super) unsafe fn run_direct(
        &self,
        direct: Direct,
        context: &Context<'_>,
        start: usize,
        [rows, width, stride]: [usize; 3],
    ) {
        let place = |operation: usize, slot: usize| {
            self.place(context, self.operations[operation].sources[slot], start)
        };
        let result =
            |operation: usize| self.place(context, self.operations[operation].destination, start);
        match direct {
            Direct::Chain(function) => {
                let operation = &self.operations[0];
                let mut operands = [std::ptr::null(); MOST_OPERANDS];
                let mut steps = [0; MOST_OPERANDS];
                for slot in 0..operation.count {
                    operands[slot] = place(0, slot).cast_const();
                    let moves = match operation.sources[slot] {
                        Source::External(_) => contiguous(self, operation.sources[slot]),
                        _ => true,
                    };
                    steps[slot] = if moves { stride } else { 0 };
                }
                let mut destination = result(0);
                let period = self.period(operation);
                for row in 0..rows {
                    let period = period.map(|length| Period {
                        length,
                        start: (start + row * stride) % length,
                    });
                    // SAFETY: the caller's promise; the tape was found to be of this kind.
                    unsafe { chain(context.isa, function, operands, period, destination, width) };
                    for (operand, step) in operands.iter_mut().zip(steps) {
                        *operand = operand.wrapping_add(step);
                    }
                    destination = destination.wrapping_add(stride);
                }
            }
            Direct::Adam([momentum, velocity, value]) => {
                for row in 0..rows {
                    let on = |place: *mut f32| place.wrapping_add(row * stride);
                    let step = AdamStep {
                        value: on(place(value, 0)),
                        momentum: on(place(momentum, 0)),
                        velocity: on(place(velocity, 0)),
                        gradient: on(place(momentum, 1)),
                        rates: [place(momentum, 2), place(velocity, 2)].map(<*mut f32>::cast_const),
                        alpha: place(value, 3),
                        epsilon: place(value, 4),
                        new_value: on(result(value)),
                        new_momentum: on(result(momentum)),
                        new_velocity: on(result(velocity)),
                    };
                    // SAFETY: as above.
                    unsafe { adam(context.isa, step, width) };
                }
            }
        }
    }
}
