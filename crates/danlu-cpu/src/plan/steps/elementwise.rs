//! Passes over elements.

use danlu_graph::Result;

use super::{Kernel, WORTH_SHARING};
use crate::fuse::tape::Tape;
use crate::plan::context::{Context, Location, Shared, Step};

/// A step that does nothing: its result has no elements, or is made elsewhere.
pub(crate) struct Nothing;

impl Step for Nothing {
    unsafe fn run(&self, _: &Context<'_>) -> Result<()> {
        Ok(())
    }
}

/// Elements that one task computes.
const CHUNK: usize = 8192;

/// Elements of a piece of a pass that sums rows of so many columns: whole rows.
fn summed_chunk(columns: usize) -> usize {
    (CHUNK / columns).max(1) * columns
}

/// The kernel of a pass over `count` elements that sums rows of so many columns, `bytes` for the sums of a piece.
pub(crate) fn room_for_sums(count: usize, columns: usize, bytes: usize) -> Kernel {
    let pieces = count.div_ceil(summed_chunk(columns));
    Kernel::new(pieces * bytes, |_| Box::new(Nothing))
}

/// One tape over a whole shape.
pub(crate) struct Pass {
    tape: Tape,
    chunk: usize,
    /// Where the sums of pieces go.
    sums: Option<Location>,
}

impl Pass {
    /// A pass; `sums` is the scratch of one that takes sums.
    pub fn new(tape: Tape, sums: Option<Location>) -> Pass {
        let nanoseconds = tape.bytes() / 16 + tape.count() * tape.operations() / 24;
        let chunk = match tape.totals().columns().next() {
            Some(columns) => summed_chunk(columns),
            None if nanoseconds < WORTH_SHARING => tape.count(),
            None => CHUNK,
        };
        Pass {
            tape,
            chunk: chunk.max(1),
            sums,
        }
    }
}

impl Step for Pass {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let count = self.tape.count();
        let totals = self.tape.totals();
        let sums = self
            .sums
            .map_or(std::ptr::null_mut(), |sums| context.pointer(sums));
        let sums = Shared(sums.cast::<f32>());
        let pieces = count.div_ceil(self.chunk);
        context.pool.run(pieces, &|task| {
            let start = task * self.chunk;
            let own = sums.get().wrapping_add(task * totals.piece_elements());
            // SAFETY: the caller's promise; tasks have ranges of their own.
            unsafe {
                let context = &context.with_sums(own);
                self.tape
                    .run(context, start, (start + self.chunk).min(count))
            };
        });
        // SAFETY: the pieces are there.
        unsafe { totals.join(context, sums.get(), pieces) };
        Ok(())
    }
}
