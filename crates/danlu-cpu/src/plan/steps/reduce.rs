//! Reductions: axes that lie together are reduced in one stage; a long axis with few results is cut into chunks whose
//! number depends on its length only.

use danlu_graph::operations::{ArgMax, Reduce, ReduceKind};
use danlu_graph::{DType, Result};

use super::{Kernel, Operands, WORTH_SHARING};
use crate::buffer::aligned;
use crate::kernels::reduce::{
    IntegerReduceKind, argmax, argmax_integer, chunks, combine, partial_components, reduce,
    reduce_chunk, reduce_integer,
};
use crate::plan::concrete::Concrete;
use crate::plan::context::{Context, Location, Shared, Step};

/// A value viewed as `[outer, reduced, inner]`.
type View = [usize; 3];

/// The views whose reduction, one after the other, is that over all `axes`: the last axes first.
fn stages(shape: &[usize], axes: &[usize]) -> Vec<View> {
    let mut sizes = shape.to_vec();
    let mut stages = Vec::new();
    let mut axis = shape.len();
    while axis > 0 {
        if !axes.contains(&(axis - 1)) {
            axis -= 1;
            continue;
        }
        let end = axis;
        // Axes of one element between two reduced ones are no obstacle.
        while axis > 0 && (axes.contains(&(axis - 1)) || sizes[axis - 1] == 1) {
            axis -= 1;
        }
        let view = [
            sizes[..axis].iter().product(),
            sizes[axis..end].iter().product(),
            sizes[end..].iter().product(),
        ];
        sizes[axis..end].fill(1);
        stages.push(view);
    }
    stages
}

/// How a stage is shared.
enum Cut {
    /// One call.
    Whole,
    /// This many outer indices a task.
    Outer(usize),
    /// A task for each chunk of the reduced axis.
    Chunks,
}

struct Stage {
    view: View,
    cut: Cut,
}

impl Stage {
    fn new(view: View) -> Stage {
        let [outer, reduced, inner] = view;
        let row = (reduced * inner).max(1);
        let cut = if outer * row / 4 < WORTH_SHARING {
            Cut::Whole
        } else if outer * row >= 32 * 1024 && outer >= 8 {
            Cut::Outer((16 * 1024 / row).max(1))
        } else if chunks(reduced).count > 1 {
            Cut::Chunks
        } else {
            Cut::Whole
        };
        Stage { view, cut }
    }

    /// Elements of the result.
    fn results(&self) -> usize {
        self.view[0] * self.view[2]
    }

    /// Elements that the chunks' partial results take.
    fn partials(&self, kind: ReduceKind) -> usize {
        match self.cut {
            Cut::Chunks => chunks(self.view[1]).count * partial_components(kind) * self.results(),
            _ => 0,
        }
    }
}

struct Reduction {
    kind: ReduceKind,
    stages: Vec<Stage>,
    source: Location,
    output: Location,
    scratch: Option<Location>,
    /// Offsets in the scratch: results between stages (two that take turns), and partial results.
    offsets: [usize; 3],
}

/// The kernel of a reduction.
pub(super) fn reduction(
    operation: &Reduce,
    inputs: &[&Concrete],
    node: &Concrete,
) -> Option<Kernel> {
    let input = inputs[0];
    let views = stages(&input.shape, &operation.axes);
    match node.dtype {
        DType::F32 => {}
        // A truth value is no byte like others: the smallest of none is true, not 255.
        DType::Bool if input.count() == 0 => return None,
        DType::I32 | DType::I64 | DType::I8 | DType::U8 | DType::Bool if views.len() == 1 => {
            return integers(operation.kind, node.dtype, views[0]);
        }
        _ => return None,
    }
    let kind = operation.kind;
    let stages: Vec<Stage> = views.into_iter().map(Stage::new).collect();
    let between = match stages.as_slice() {
        [] => return None,
        [rest @ .., _] => rest.iter().map(Stage::results).max().unwrap_or(0),
    };
    let partials = stages
        .iter()
        .map(|stage| stage.partials(kind))
        .max()
        .unwrap_or(0);
    let size = aligned(between * size_of::<f32>());
    let offsets = [0, size, 2 * size];
    let scratch = 2 * size + aligned(partials * size_of::<f32>());
    Some(Kernel::new(scratch, move |operands: Operands| {
        Box::new(Reduction {
            kind,
            stages,
            source: operands.inputs[0],
            output: operands.output,
            scratch: operands.scratch,
            offsets,
        })
    }))
}

impl Step for Reduction {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let scratch = |index: usize| -> *mut f32 {
            // Without scratch there are no elements between the stages, but a slice of none may not start at null.
            let start = self.scratch.map_or(
                std::ptr::NonNull::<f32>::dangling().as_ptr().cast(),
                |scratch| context.pointer(scratch),
            );
            start.wrapping_add(self.offsets[index]).cast()
        };
        let mut source: *const f32 = context.pointer(self.source).cast_const().cast();
        for (index, stage) in self.stages.iter().enumerate() {
            let last = index + 1 == self.stages.len();
            let destination: *mut f32 = if last {
                context.pointer(self.output).cast()
            } else {
                scratch(index % 2)
            };
            // SAFETY: source and destination have the view's sizes, the scratch that of the partial results.
            unsafe { self.stage(context, stage, source, destination, scratch(2)) };
            source = destination;
        }
        Ok(())
    }
}

impl Reduction {
    /// # Safety
    /// The pointers have room for the stage's input, result and partial results.
    unsafe fn stage(
        &self,
        context: &Context<'_>,
        stage: &Stage,
        source: *const f32,
        destination: *mut f32,
        partials: *mut f32,
    ) {
        let [outer, reduced, inner] = stage.view;
        // SAFETY: the caller's promise, here and in the pieces below, which do not overlap.
        let input = unsafe { std::slice::from_raw_parts(source, outer * reduced * inner) };
        let (isa, kind) = (context.isa, self.kind);
        let output = Shared(destination);
        match stage.cut {
            Cut::Whole => {
                let result = unsafe { output.slice(0, outer * inner) };
                reduce(isa, kind, input, stage.view, result);
            }
            Cut::Outer(rows) => context.pool.run(outer.div_ceil(rows), &|task| {
                let (start, end) = (task * rows, ((task + 1) * rows).min(outer));
                let part = &input[start * reduced * inner..end * reduced * inner];
                let result = unsafe { output.slice(start * inner, end * inner) };
                reduce(isa, kind, part, [end - start, reduced, inner], result);
            }),
            Cut::Chunks => {
                let count = chunks(reduced).count;
                let size = partial_components(kind) * outer * inner;
                let parts = Shared(partials);
                context.pool.run(count, &|chunk| {
                    let part = unsafe { parts.slice(chunk * size, (chunk + 1) * size) };
                    reduce_chunk(isa, kind, input, stage.view, chunk, part);
                });
                let (parts, result) =
                    unsafe { (parts.slice(0, count * size), output.slice(0, outer * inner)) };
                combine(isa, kind, parts, reduced, result);
            }
        }
    }
}

/// A kernel of one call, on the calling thread.
struct Whole<F> {
    source: Location,
    output: Location,
    body: F,
}

impl<F: Fn(*const u8, *mut u8) + Send> Step for Whole<F> {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        (self.body)(context.pointer(self.source), context.pointer(self.output));
        Ok(())
    }
}

fn whole(body: impl Fn(*const u8, *mut u8) + Send + 'static) -> Kernel {
    Kernel::new(0, move |operands: Operands| {
        Box::new(Whole {
            source: operands.inputs[0],
            output: operands.output,
            body,
        })
    })
}

macro_rules! typed {
    ($view:expr, $from:ty, $to:ty, |$source:ident, $result:ident| $body:expr) => {{
        let [outer, reduced, inner] = $view;
        whole(move |source, output| {
            // SAFETY: a step's source and output have the sizes that its kernel was made for.
            let ($source, $result) = unsafe {
                (
                    std::slice::from_raw_parts(source.cast::<$from>(), outer * reduced * inner),
                    std::slice::from_raw_parts_mut(output.cast::<$to>(), outer * inner),
                )
            };
            $body
        })
    }};
}

fn integers(kind: ReduceKind, dtype: DType, view: View) -> Option<Kernel> {
    let kind = match kind {
        ReduceKind::Sum => IntegerReduceKind::Sum,
        ReduceKind::Max => IntegerReduceKind::Max,
        ReduceKind::Min => IntegerReduceKind::Min,
        ReduceKind::Mean | ReduceKind::LogSumExp => return None,
    };
    Some(match dtype {
        DType::I32 => typed!(view, i32, i32, |source, result| reduce_integer(
            kind, source, view, result
        )),
        DType::I64 => typed!(view, i64, i64, |source, result| reduce_integer(
            kind, source, view, result
        )),
        DType::I8 => typed!(view, i8, i8, |source, result| reduce_integer(
            kind, source, view, result
        )),
        _ => typed!(view, u8, u8, |source, result| reduce_integer(
            kind, source, view, result
        )),
    })
}

/// The kernel that finds the largest along an axis.
pub(super) fn largest(operation: &ArgMax, inputs: &[&Concrete]) -> Option<Kernel> {
    let shape = &inputs[0].shape;
    let view = [
        shape[..operation.axis].iter().product(),
        shape[operation.axis],
        shape[operation.axis + 1..].iter().product(),
    ];
    Some(match inputs[0].dtype {
        DType::F32 => typed!(view, f32, i32, |source, result| argmax(
            source, view, result
        )),
        DType::I32 => typed!(view, i32, i32, |source, result| argmax_integer(
            source, view, result
        )),
        DType::I64 => typed!(view, i64, i32, |source, result| argmax_integer(
            source, view, result
        )),
        DType::I8 => typed!(view, i8, i32, |source, result| argmax_integer(
            source, view, result
        )),
        DType::U8 | DType::Bool => typed!(view, u8, i32, |source, result| argmax_integer(
            source, view, result
        )),
        DType::BF16 | DType::F16 => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_that_lie_together_are_one_stage() {
        assert_eq!(
            stages(&[64, 26, 26, 32], &[0, 1, 2]),
            [[1, 64 * 26 * 26, 32]]
        );
        assert_eq!(stages(&[4, 5, 6], &[0, 2]), [[20, 6, 1], [1, 4, 5]]);
        assert_eq!(stages(&[4, 1, 6], &[0, 2]), [[1, 24, 1]]);
        assert_eq!(stages(&[4, 5], &[1]), [[4, 5, 1]]);
    }
}
