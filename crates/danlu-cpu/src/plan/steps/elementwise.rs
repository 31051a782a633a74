//! Passes over elements.

use danlu_graph::Result;

use super::WORTH_SHARING;
use crate::fuse::tape::Tape;
use crate::plan::context::{Context, Step};

/// A step that does nothing: its result has no elements, or is made elsewhere.
pub(crate) struct Nothing;

impl Step for Nothing {
    unsafe fn run(&self, _: &Context<'_>) -> Result<()> {
        Ok(())
    }
}

/// Elements that one task computes.
const CHUNK: usize = 8192;

/// One tape over a whole shape.
pub(crate) struct Pass {
    tape: Tape,
    chunk: usize,
}

impl Pass {
    pub fn new(tape: Tape) -> Pass {
        let nanoseconds = tape.bytes() / 16 + tape.count() * tape.operations() / 24;
        let chunk = if nanoseconds < WORTH_SHARING {
            tape.count()
        } else {
            CHUNK
        };
        Pass {
            tape,
            chunk: chunk.max(1),
        }
    }
}

impl Step for Pass {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let count = self.tape.count();
        context.pool.run(count.div_ceil(self.chunk), &|task| {
            let start = task * self.chunk;
            // SAFETY: the caller's promise; tasks have ranges of their own.
            unsafe {
                self.tape
                    .run(context, start, (start + self.chunk).min(count))
            };
        });
        Ok(())
    }
}
