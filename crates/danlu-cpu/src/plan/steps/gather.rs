//! Steps that read rows of a table by index, or add rows to one. Indices are looked at before anything is written.

use std::sync::Arc;

use danlu_graph::operations::gather::outside;
use danlu_graph::{DType, Error, Operation, Result};

use super::{Kernel, Operands, WORTH_SHARING};
use crate::kernels::gather::{Index, Part, first_outside, gather, scatter_add};
use crate::kernels::vector::Integer;
use crate::plan::concrete::Concrete;
use crate::plan::context::{Context, Location, Shared, Step};

/// Bytes that one task copies.
const CHUNK: usize = 64 * 1024;

/// Indices of a table's rows.
struct Rows {
    operation: String,
    path: Arc<str>,
    /// Rows of the table.
    rows: usize,
    /// Number of indices.
    count: usize,
    dtype: DType,
}

impl Rows {
    fn new(node: &Concrete, table: &[usize], indices: &Concrete) -> Rows {
        Rows {
            operation: node.operation.name(),
            path: Arc::clone(&node.path),
            rows: table[0],
            count: indices.count(),
            dtype: indices.dtype,
        }
    }

    /// The indices of a type.
    ///
    /// # Errors
    /// One is outside the table.
    ///
    /// # Safety
    /// As many indices of this type lie there.
    unsafe fn checked<'a, I: Index>(&self, indices: *const u8) -> Result<&'a [I]> {
        // SAFETY: the caller's promise.
        let indices = unsafe { std::slice::from_raw_parts(indices.cast::<I>(), self.count) };
        match first_outside(indices, self.rows) {
            Some((place, index)) => Err(self.outside(place, index)),
            None => Ok(indices),
        }
    }

    fn outside(&self, place: usize, index: i64) -> Error {
        outside(&self.operation, index, place, self.rows).at(&self.path)
    }
}

/// Row by row out of a table.
struct Gather {
    rows: Rows,
    /// Bytes of a row.
    bytes: usize,
    table: Location,
    indices: Location,
    output: Location,
}

impl Gather {
    /// # Safety
    /// As for [`Step::run`].
    unsafe fn gather<I: Index>(&self, context: &Context<'_>) -> Result<()> {
        // SAFETY: indices and result have the sizes that were seen when the plan was made, and the indices name rows of the
        // table; tasks write rows of their own.
        unsafe {
            let indices = self.rows.checked::<I>(context.pointer(self.indices))?;
            let table = Shared(context.pointer(self.table));
            let output = Shared(context.pointer(self.output));
            let whole = self.rows.count * self.bytes < WORTH_SHARING * 8;
            let block = match whole {
                true => self.rows.count,
                false => (CHUNK / self.bytes).max(1),
            };
            let tasks = self.rows.count.div_ceil(block);
            context.pool.run(tasks, &|task| {
                let range = task * block..((task + 1) * block).min(self.rows.count);
                let result = output.get().add(range.start * self.bytes);
                gather(table.get(), self.bytes, &indices[range], result);
            });
        }
        Ok(())
    }
}

impl Step for Gather {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            match self.rows.dtype {
                DType::I64 => self.gather::<i64>(context),
                _ => self.gather::<i32>(context),
            }
        }
    }
}

/// Rows added to a table: to a copy of what it was, or in place.
struct ScatterAdd<T, F> {
    rows: Rows,
    width: usize,
    /// Whether the base is one element that stands for all.
    filled: bool,
    parts: Vec<Part>,
    add: F,
    base: Location,
    indices: Location,
    values: Location,
    output: Location,
    zero: std::marker::PhantomData<T>,
}

impl<T: Copy + Send + Sync, F: Fn(T, T) -> T + Send + Sync> ScatterAdd<T, F> {
    /// The table as it was.
    ///
    /// # Safety
    /// As for [`Step::run`].
    unsafe fn begin(&self, context: &Context<'_>) {
        let base = Shared(context.pointer(self.base).cast::<T>());
        let output = Shared(context.pointer(self.output).cast::<T>());
        if base.get() == output.get() {
            return;
        }
        let count = self.rows.rows * self.width;
        let chunk = CHUNK / size_of::<T>();
        context.pool.run(count.div_ceil(chunk), &|task| {
            let (start, end) = (task * chunk, ((task + 1) * chunk).min(count));
            // SAFETY: the base has one element, or as many as the result, and lies apart from it; tasks write parts of
            // their own.
            unsafe {
                let result = output.slice(start, end);
                match self.filled {
                    true => result.fill(*base.get()),
                    false => result.copy_from_slice(base.slice(start, end)),
                }
            }
        });
    }

    /// # Safety
    /// As for [`Step::run`].
    unsafe fn scatter<I: Index>(&self, context: &Context<'_>) -> Result<()> {
        // SAFETY: as for `Gather`; the parts touch elements of their own.
        unsafe {
            let indices = self.rows.checked::<I>(context.pointer(self.indices))?;
            self.begin(context);
            let values = Shared(context.pointer(self.values).cast::<T>());
            let output = Shared(context.pointer(self.output).cast::<T>());
            context.pool.run(self.parts.len(), &|task| {
                let (table, values) = (output.get(), values.get().cast_const());
                let part = &self.parts[task];
                scatter_add(table, self.width, indices, values, part, &self.add);
            });
        }
        Ok(())
    }
}

impl<T: Copy + Send + Sync, F: Fn(T, T) -> T + Send + Sync> Step for ScatterAdd<T, F> {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            match self.rows.dtype {
                DType::I64 => self.scatter::<i64>(context),
                _ => self.scatter::<i32>(context),
            }
        }
    }
}

/// Columns of one part: a line of the cache.
const COLUMNS: usize = 16;

/// Parts of a table, for so many rows that are added to it. Wide rows are cut into columns, so that a row which is named very
/// often is shared too; narrow ones are dealt out.
fn parts(count: usize, width: usize) -> Vec<Part> {
    let part = |columns, rest, divisor| Part {
        columns,
        rest,
        divisor,
    };
    if count * (width / 4 + 4) < WORTH_SHARING {
        return vec![part(0..width, 0, 1)];
    }
    if width < 2 * COLUMNS {
        return (0..8).map(|rest| part(0..width, rest, 8)).collect();
    }
    let columns = width.div_ceil(16).next_multiple_of(COLUMNS);
    let starts = (0..width).step_by(columns);
    starts
        .map(|start| part(start..(start + columns).min(width), 0, 1))
        .collect()
}

fn scatter<T: Copy + Send + Sync + 'static>(
    inputs: &[&Concrete],
    node: &Concrete,
    add: impl Fn(T, T) -> T + Send + Sync + 'static,
) -> Kernel {
    let rows = Rows::new(node, &node.shape, inputs[1]);
    let width = node.shape[1..].iter().product();
    let filled = inputs[0].shape.is_empty();
    let parts = parts(rows.count, width);
    Kernel::new(0, move |operands: Operands| {
        Box::new(ScatterAdd {
            rows,
            width,
            filled,
            parts,
            add,
            base: operands.inputs[0],
            indices: operands.inputs[1],
            values: operands.inputs[2],
            output: operands.output,
            zero: std::marker::PhantomData,
        })
    })
}

/// The kernel of a node of this family, or none where its dtype has none.
pub(super) fn kernel(inputs: &[&Concrete], node: &Concrete) -> Option<Kernel> {
    match &node.operation {
        Operation::Gather(_) => {
            let rows = Rows::new(node, &inputs[0].shape, inputs[1]);
            let bytes = node.bytes() / rows.count;
            Some(Kernel::new(0, move |operands: Operands| {
                Box::new(Gather {
                    rows,
                    bytes,
                    table: operands.inputs[0],
                    indices: operands.inputs[1],
                    output: operands.output,
                })
            }))
        }
        Operation::ScatterAdd(_) => match node.dtype {
            DType::F32 => Some(scatter(inputs, node, |a: f32, b: f32| a + b)),
            DType::I32 => Some(scatter(inputs, node, <i32 as Integer>::add)),
            DType::I64 => Some(scatter(inputs, node, <i64 as Integer>::add)),
            _ => None,
        },
        _ => None,
    }
}
