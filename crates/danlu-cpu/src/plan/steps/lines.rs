//! Steps that go along one axis: cumulative sums, and the elements in order.

use std::marker::PhantomData;

use danlu_graph::operations::{ArgSort, CumulativeSum, Sort};
use danlu_graph::{DType, Operation, Result};

use super::{Kernel, Operands, WORTH_SHARING};
use crate::kernels::cumulative::{Direction, Summed, TILE, cumulative_sum};
use crate::kernels::sorting::{Ordered, order};
use crate::plan::concrete::Concrete;
use crate::plan::context::{Context, Location, Shared, Step};

/// Sums along the middle axis of `[outer, size, inner]`.
struct Sums<T> {
    shape: [usize; 3],
    direction: Direction,
    /// Lines, or tiles of them, of one task.
    block: usize,
    source: Location,
    output: Location,
    dtype: PhantomData<T>,
}

impl<T: Summed> Step for Sums<T> {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let [outer, size, inner] = self.shape;
        let tiles = inner.div_ceil(TILE);
        let units = outer * tiles;
        let source = Shared(context.pointer(self.source).cast::<T>());
        let output = Shared(context.pointer(self.output).cast::<T>());
        context.pool.run(units.div_ceil(self.block), &|task| {
            for unit in task * self.block..((task + 1) * self.block).min(units) {
                let column = unit % tiles * TILE;
                let start = unit / tiles * size * inner + column;
                let columns = (inner - column).min(TILE);
                // SAFETY: source and result have the shape that was seen when the plan was made; tasks have columns of
                // their own.
                unsafe {
                    let (source, result) = (source.get().add(start), output.get().add(start));
                    cumulative_sum(source, result, [size, inner, columns], self.direction);
                }
            }
        });
        Ok(())
    }
}

fn sums<T: Summed>(operation: &CumulativeSum, node: &Concrete) -> Kernel {
    let axis = operation.axis;
    let shape = [
        node.shape[..axis].iter().product(),
        node.shape[axis],
        node.shape[axis + 1..].iter().product::<usize>(),
    ];
    let direction = Direction {
        exclusive: operation.exclusive,
        reverse: operation.reverse,
    };
    let block = match node.count() < WORTH_SHARING {
        true => node.count(),
        false => (WORTH_SHARING / 4 / (shape[1] * shape[2].min(TILE))).max(1),
    };
    Kernel::new(0, move |operands: Operands| {
        Box::new(Sums::<T> {
            shape,
            direction,
            block,
            source: operands.inputs[0],
            output: operands.output,
            dtype: PhantomData,
        })
    })
}

/// The first elements of each row in order, or their places.
struct Ranked<T> {
    rows: usize,
    size: usize,
    count: usize,
    descending: bool,
    places: bool,
    /// Rows of one task.
    block: usize,
    source: Location,
    scratch: Location,
    output: Location,
    dtype: PhantomData<T>,
}

impl<T: Ordered> Step for Ranked<T> {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let (size, count) = (self.size, self.count);
        let source = Shared(context.pointer(self.source).cast::<T>());
        let scratch = Shared(context.pointer(self.scratch).cast::<T::Key>());
        let output = Shared(context.pointer(self.output));
        let tasks = self.rows.div_ceil(self.block);
        context.pool.run_with_slot(tasks, &|slot, task| {
            // SAFETY: source and result have the shapes that were seen when the plan was made, the scratch a row of keys for
            // each slot; tasks write rows of their own.
            unsafe {
                let keys = scratch.slice(slot * size, (slot + 1) * size);
                for row in task * self.block..((task + 1) * self.block).min(self.rows) {
                    let values = &*source.slice(row * size, (row + 1) * size);
                    let keys = order(values, keys, count, self.descending);
                    let places = keys.iter().map(|&key| T::place(key));
                    let (start, end) = (row * count, (row + 1) * count);
                    if self.places {
                        let results = output.cast::<i32>().slice(start, end);
                        results
                            .iter_mut()
                            .zip(places)
                            .for_each(|(result, place)| *result = place as i32);
                    } else {
                        let results = output.cast::<T>().slice(start, end);
                        results
                            .iter_mut()
                            .zip(places)
                            .for_each(|(result, place)| *result = values[place]);
                    }
                }
            }
        });
        Ok(())
    }
}

fn ranked<T: Ordered>(
    input: &Concrete,
    node: &Concrete,
    descending: bool,
    places: bool,
    threads: usize,
) -> Option<Kernel> {
    let (&size, &count) = (input.shape.last()?, node.shape.last()?);
    let rows = input.count() / size;
    let nanoseconds = size * (size.ilog2() as usize + 1) * 2;
    let block = match rows * nanoseconds < WORTH_SHARING {
        true => rows,
        false => (WORTH_SHARING / 4 / nanoseconds).max(1),
    };
    let scratch = threads * size * size_of::<T::Key>();
    Some(Kernel::new(scratch, move |operands: Operands| {
        match operands.scratch {
            Some(scratch) => Box::new(Ranked::<T> {
                rows,
                size,
                count,
                descending,
                places,
                block,
                source: operands.inputs[0],
                scratch,
                output: operands.output,
                dtype: PhantomData,
            }),
            // There is a key for each of at least one element.
            None => Box::new(super::elementwise::Nothing),
        }
    }))
}

/// The kernel of a node of this family, or none where its dtype has none.
pub(super) fn kernel(inputs: &[&Concrete], node: &Concrete, threads: usize) -> Option<Kernel> {
    let (descending, places) = match &node.operation {
        Operation::CumulativeSum(sum) => {
            return Some(match node.dtype {
                DType::F32 => sums::<f32>(sum, node),
                DType::I32 => sums::<i32>(sum, node),
                DType::I64 => sums::<i64>(sum, node),
                DType::I8 => sums::<i8>(sum, node),
                DType::U8 => sums::<u8>(sum, node),
                DType::Bool | DType::BF16 | DType::F16 => return None,
            });
        }
        &Operation::Sort(Sort { descending, .. }) => (descending, false),
        &Operation::ArgSort(ArgSort { descending, .. }) => (descending, true),
        _ => return None,
    };
    let input = inputs[0];
    match input.dtype {
        DType::F32 => ranked::<f32>(input, node, descending, places, threads),
        DType::I32 => ranked::<i32>(input, node, descending, places, threads),
        DType::I64 => ranked::<i64>(input, node, descending, places, threads),
        DType::I8 => ranked::<i8>(input, node, descending, places, threads),
        DType::U8 | DType::Bool => ranked::<u8>(input, node, descending, places, threads),
        DType::BF16 | DType::F16 => None,
    }
}
