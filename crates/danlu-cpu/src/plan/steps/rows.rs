//! Steps whose work falls into independent rows, images or examples: softmax, cross-entropy, pooling, random numbers.

use std::ops::Range;

use danlu_graph::operations::random;
use danlu_graph::{DType, Operation, Result};

use super::{Kernel, Operands, WORTH_SHARING};
use crate::fuse::pooling::geometry;
use crate::kernels::pooling::{
    Pool2d, average_pool, average_pool_gradient, max_pool, max_pool_gather, max_pool_gradient,
};
use crate::kernels::random::{normal, uniform};
use crate::kernels::softmax::{Labels, cross_entropy, log_softmax, softmax};
use crate::plan::concrete::Concrete;
use crate::plan::context::{Context, Location, Shared, Step};
use crate::simd::Isa;

/// Work on a range of rows: operands, result.
type Body = dyn Fn(Isa, &[*const u8], Shared<u8>, Range<usize>) + Send + Sync;

struct Rows {
    rows: usize,
    /// Rows of one task.
    block: usize,
    sources: Vec<Location>,
    output: Location,
    body: Box<Body>,
}

/// Operands of a node, for the tasks of one run.
struct Sources<'a>(&'a [*const u8]);

// SAFETY: operands are only read while the step runs.
unsafe impl Sync for Sources<'_> {}

impl Sources<'_> {
    fn get(&self) -> &[*const u8] {
        self.0
    }
}

/// Most operands of a step of this family.
const MOST_OPERANDS: usize = 3;

impl Step for Rows {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let mut pointers = [std::ptr::null(); MOST_OPERANDS];
        for (pointer, &source) in pointers.iter_mut().zip(&self.sources) {
            *pointer = context.pointer(source).cast_const();
        }
        let sources = Sources(&pointers);
        let output = Shared(context.pointer(self.output));
        context.pool.run(self.rows.div_ceil(self.block), &|task| {
            let rows = task * self.block..((task + 1) * self.block).min(self.rows);
            (self.body)(context.isa, sources.get(), output, rows);
        });
        Ok(())
    }
}

/// A kernel over `rows` rows of about `nanoseconds` each.
fn rows(
    rows: usize,
    nanoseconds: usize,
    body: impl Fn(Isa, &[*const u8], Shared<u8>, Range<usize>) + Send + Sync + 'static,
) -> Kernel {
    let block = if rows * nanoseconds < WORTH_SHARING {
        rows
    } else {
        (WORTH_SHARING / 4 / nanoseconds.max(1)).clamp(1, rows)
    };
    Kernel::new(0, move |operands: Operands| {
        Box::new(Rows {
            rows,
            block: block.max(1),
            sources: operands.inputs,
            output: operands.output,
            body: Box::new(body),
        })
    })
}

/// A part of an operand.
///
/// # Safety
/// The operand holds the elements of the range.
unsafe fn part<'a, T>(source: *const u8, range: Range<usize>) -> &'a [T] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(source.cast::<T>().add(range.start), range.len()) }
}

/// The kernel of a node of this family, or none where its dtype has none.
pub(super) fn kernel(inputs: &[&Concrete], node: &Concrete) -> Option<Kernel> {
    let first = inputs.first().map_or(node.dtype, |input| input.dtype);
    match &node.operation {
        Operation::RandomUniform(draw) => {
            return Some(random_numbers(
                draw.stream,
                draw.per_example(),
                node,
                1,
                uniform,
            ));
        }
        Operation::RandomNormal(draw) => {
            return Some(random_numbers(
                draw.stream,
                draw.per_example(),
                node,
                16,
                normal,
            ));
        }
        _ => {}
    }
    if node.dtype != DType::F32 || first != DType::F32 {
        return None;
    }
    // SAFETY (of the blocks in all bodies): operands and result have the sizes of the shapes seen here; tasks write rows
    // of their own.
    let classes = inputs
        .first()
        .and_then(|input| input.shape.last().copied())
        .unwrap_or(1);
    let examples = inputs
        .first()
        .map_or(0, |input| input.count() / classes.max(1));
    Some(match &node.operation {
        Operation::Softmax(_) => rows(
            examples,
            4 + classes,
            move |isa, sources, output, range| unsafe {
                let range = range.start * classes..range.end * classes;
                softmax(
                    isa,
                    part(sources[0], range.clone()),
                    classes,
                    output.cast::<f32>().slice(range.start, range.end),
                );
            },
        ),
        Operation::LogSoftmax(_) => rows(
            examples,
            4 + classes,
            move |isa, sources, output, range| unsafe {
                let range = range.start * classes..range.end * classes;
                log_softmax(
                    isa,
                    part(sources[0], range.clone()),
                    classes,
                    output.cast::<f32>().slice(range.start, range.end),
                );
            },
        ),
        Operation::SparseCrossEntropy(_) => {
            let labels = inputs[1].dtype;
            // Without classes there are rows all the same, and each has a loss: NaN.
            if classes == 0 || !matches!(labels, DType::I32 | DType::I64 | DType::U8) {
                return None;
            }
            rows(
                examples,
                4 + classes,
                move |isa, sources, output, range| unsafe {
                    let logits = part(sources[0], range.start * classes..range.end * classes);
                    let labels = match labels {
                        DType::I32 => Labels::I32(part(sources[1], range.clone())),
                        DType::I64 => Labels::I64(part(sources[1], range.clone())),
                        _ => Labels::U8(part(sources[1], range.clone())),
                    };
                    cross_entropy(
                        isa,
                        logits,
                        classes,
                        labels,
                        output.cast::<f32>().slice(range.start, range.end),
                    );
                },
            )
        }
        Operation::MaxPool2d(pool) => {
            let pool = geometry(&pool.window, &inputs[0].shape, &node.shape);
            let size = inputs[0].count();
            pooled(
                &pool,
                node.shape[0],
                move |isa, sources, range, result| unsafe {
                    max_pool(isa, &pool, part(sources[0], 0..size), range, result);
                },
            )
        }
        Operation::AveragePool2d(pool) => {
            let pool = geometry(&pool.window, &inputs[0].shape, &node.shape);
            let size = inputs[0].count();
            pooled(
                &pool,
                node.shape[0],
                move |isa, sources, range, result| unsafe {
                    average_pool(isa, &pool, part(sources[0], 0..size), range, result);
                },
            )
        }
        Operation::MaxPool2dGather(pool) => {
            let pool = geometry(&pool.window, &inputs[0].shape, &node.shape);
            let size = inputs[0].count();
            pooled(
                &pool,
                node.shape[0],
                move |isa, sources, range, result| unsafe {
                    let (source, values) = (part(sources[0], 0..size), part(sources[1], 0..size));
                    max_pool_gather(isa, &pool, source, values, range, result);
                },
            )
        }
        Operation::MaxPool2dGradient(pool) => {
            let pool = geometry(&pool.window, &node.shape, &inputs[1].shape);
            let (from, to) = (pool.output_length(), pool.input_length());
            rows(
                node.shape[0],
                to / 4,
                move |isa, sources, output, range| unsafe {
                    let images = range.start * to..range.end * to;
                    let gradient = part(sources[1], range.start * from..range.end * from);
                    let result = output.cast::<f32>().slice(images.start, images.end);
                    max_pool_gradient(isa, &pool, part(sources[0], images), gradient, result);
                },
            )
        }
        Operation::AveragePool2dGradient(pool) => {
            let pool = geometry(&pool.window, &node.shape, &inputs[0].shape);
            let (from, to) = (pool.output_length(), pool.input_length());
            rows(
                node.shape[0],
                to / 4,
                move |isa, sources, output, range| unsafe {
                    let gradient = part(sources[0], range.start * from..range.end * from);
                    let result = output.cast::<f32>().slice(range.start * to, range.end * to);
                    average_pool_gradient(isa, &pool, gradient, result);
                },
            )
        }
        _ => return None,
    })
}

/// A pooling over the output rows of all images.
fn pooled(
    pool: &Pool2d,
    images: usize,
    body: impl Fn(Isa, &[*const u8], Range<usize>, &mut [f32]) + Send + Sync + 'static,
) -> Kernel {
    let width = pool.row_length();
    let work = width * pool.kernel[0] * pool.kernel[1] / 8;
    rows(
        images * pool.output[0],
        work.max(1),
        move |isa, sources, output, range| {
            // SAFETY: the result has `width` elements for each row, and a task its own rows.
            let result = unsafe {
                output
                    .cast::<f32>()
                    .slice(range.start * width, range.end * width)
            };
            body(isa, sources, range, result);
        },
    )
}

/// Random numbers, a row for each example, each of about `nanoseconds`.
fn random_numbers(
    stream: u64,
    per_example: bool,
    node: &Concrete,
    nanoseconds: usize,
    fill: fn(Isa, [u32; 2], u64, u64, u64, &mut [f32]),
) -> Kernel {
    let examples = if per_example { node.shape[0] } else { 1 };
    let size = node.count() / examples.max(1);
    rows(
        examples,
        size * nanoseconds,
        move |isa, sources, output, range| {
            // SAFETY: seed, step and first example are integers without axes; the result has `size` elements for each
            // example.
            let [seed, step, first] =
                [0, 1, 2].map(|slot| unsafe { *sources[slot].cast::<i64>() }.cast_unsigned());
            let key = random::key(seed, stream);
            for row in range {
                let result = unsafe { output.cast::<f32>().slice(row * size, (row + 1) * size) };
                fill(isa, key, step, first.wrapping_add(row as u64), 0, result);
            }
        },
    )
}
