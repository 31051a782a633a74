//! Steps that move elements: transposes, slices, concatenations, paddings, and the constants that count.

use danlu_graph::operations::{Concatenate, Iota, Pad, Slice, Transpose};
use danlu_graph::reference::Array;
use danlu_graph::tensor::{f32_to_bf16, f32_to_f16};
use danlu_graph::{Bindings, DType, Operation, Result};

use super::{Kernel, Operands, WORTH_SHARING};
use crate::kernels::movement::{Strided, copy_into_strided_raw, copy_strided_raw};
use crate::plan::concrete::Concrete;
use crate::plan::context::{Context, Location, Shared, Step};

/// How many elements a task copies.
const CHUNK: usize = 16 * 1024;

/// Element strides of a contiguous value.
fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

/// One copy between a contiguous value and a strided one.
struct Move {
    element_size: usize,
    shape: Vec<usize>,
    strides: Vec<isize>,
    offset: usize,
    chunk: usize,
}

impl Move {
    fn new(dtype: DType, shape: Vec<usize>, strides: Vec<isize>, offset: usize) -> Move {
        let count: usize = shape.iter().product();
        let chunk = if count < WORTH_SHARING { count } else { CHUNK };
        Move {
            element_size: dtype.size(),
            shape,
            strides,
            offset,
            chunk: chunk.max(1),
        }
    }

    fn layout(&self) -> Strided<'_> {
        Strided {
            element_size: self.element_size,
            shape: &self.shape,
            strides: &self.strides,
            offset: self.offset,
        }
    }

    /// Copies from the strided value to the contiguous one, or the other way.
    ///
    /// # Safety
    /// Both lie in memory as described, and apart from each other.
    unsafe fn run(
        &self,
        context: &Context<'_>,
        source: *const u8,
        destination: *mut u8,
        gather: bool,
    ) {
        let count: usize = self.shape.iter().product();
        let (from, to) = (Shared(source.cast_mut()), Shared(destination));
        context.pool.run(count.div_ceil(self.chunk), &|task| {
            let range = task * self.chunk..((task + 1) * self.chunk).min(count);
            let layout = self.layout();
            let skipped = range.start * self.element_size;
            // SAFETY: the caller's promise; tasks have ranges of their own.
            unsafe {
                if gather {
                    copy_strided_raw(layout, from.get(), range, to.get().add(skipped));
                } else {
                    copy_into_strided_raw(layout, from.get().add(skipped), range, to.get());
                }
            }
        });
    }
}

/// The result is a strided part of the input.
struct Gather {
    part: Move,
    source: Location,
    output: Location,
}

impl Step for Gather {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let (source, output) = (context.pointer(self.source), context.pointer(self.output));
        // SAFETY: the part lies inside the source, and the output has its size.
        unsafe { self.part.run(context, source, output, true) };
        Ok(())
    }
}

fn gather(part: Move) -> Kernel {
    Kernel::new(0, move |operands: Operands| {
        Box::new(Gather {
            part,
            source: operands.inputs[0],
            output: operands.output,
        })
    })
}

/// Fills `count` elements with one.
///
/// # Safety
/// They can be written.
unsafe fn fill(element: &[u8], count: usize, place: *mut u8) {
    if let Some((&first, rest)) = element.split_first()
        && rest.iter().all(|&byte| byte == first)
    {
        // SAFETY: the caller's promise.
        return unsafe { place.write_bytes(first, count * element.len()) };
    }
    for index in 0..count {
        // SAFETY: as above.
        unsafe {
            let place = place.add(index * element.len());
            std::ptr::copy_nonoverlapping(element.as_ptr(), place, element.len());
        }
    }
}

/// The inputs are strided parts of the result, which is first filled.
struct Scatter {
    parts: Vec<Move>,
    fill: Option<(Vec<u8>, usize)>,
    sources: Vec<Location>,
    output: Location,
}

impl Step for Scatter {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let output = context.pointer(self.output);
        if let Some((element, count)) = &self.fill {
            let output = Shared(output);
            let chunk = if *count < WORTH_SHARING {
                *count
            } else {
                CHUNK
            };
            context.pool.run(count.div_ceil(chunk.max(1)), &|task| {
                let range = task * chunk..((task + 1) * chunk).min(*count);
                let place = output.get().wrapping_add(range.start * element.len());
                // SAFETY: the output has `count` elements, and each task its own.
                unsafe { fill(element, range.len(), place) };
            });
        }
        for (part, &source) in self.parts.iter().zip(&self.sources) {
            // SAFETY: the part lies inside the output, and the source has its size.
            unsafe { part.run(context, context.pointer(source), output, false) };
        }
        Ok(())
    }
}

fn scatter(parts: Vec<Move>, fill: Option<(Vec<u8>, usize)>) -> Kernel {
    Kernel::new(0, move |operands: Operands| {
        Box::new(Scatter {
            parts,
            fill,
            sources: operands.inputs,
            output: operands.output,
        })
    })
}

/// The inputs one after the other in each row of the result, some rows at a time, so that every line of the result is written
/// while it is in cache.
struct Join {
    parts: Vec<Move>,
    /// Elements of each input in a row.
    widths: Vec<usize>,
    rows: usize,
    rows_at_once: usize,
    sources: Vec<Location>,
    output: Location,
}

impl Step for Join {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let output = Shared(context.pointer(self.output));
        context
            .pool
            .run(self.rows.div_ceil(self.rows_at_once), &|task| {
                let first = task * self.rows_at_once;
                let rows = first..(first + self.rows_at_once).min(self.rows);
                let parts = self.parts.iter().zip(&self.widths).zip(&self.sources);
                for ((part, width), &source) in parts {
                    let range = rows.start * width..rows.end * width;
                    let source = context.pointer(source);
                    // SAFETY: the range ends within the source, whose part lies inside the output; tasks have rows of
                    // their own.
                    unsafe {
                        let source = source.add(range.start * part.element_size);
                        copy_into_strided_raw(part.layout(), source, range, output.get());
                    }
                }
            });
        Ok(())
    }
}

/// A concatenation along this axis, whose parts lie in a result of this shape.
fn join(parts: Vec<Move>, axis: usize, shape: &[usize]) -> Kernel {
    let row: usize = shape[axis..].iter().product();
    let rows = shape[..axis].iter().product();
    // Rows that are longer than what a task takes are split themselves.
    if rows == 1 || row > CHUNK {
        return scatter(parts, None);
    }
    let rows_at_once = match rows * row < WORTH_SHARING {
        true => rows,
        false => CHUNK / row.max(1),
    };
    let widths = parts.iter().map(|part| part.shape[axis..].iter().product());
    let widths = widths.collect();
    Kernel::new(0, move |operands: Operands| {
        Box::new(Join {
            parts,
            widths,
            rows,
            rows_at_once: rows_at_once.max(1),
            sources: operands.inputs,
            output: operands.output,
        })
    })
}

/// 0, 1, 2, ... each `repeats` times, and all of that `blocks` times.
struct Counting {
    dtype: DType,
    size: usize,
    repeats: usize,
    blocks: usize,
    output: Location,
}

impl Step for Counting {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let output = context.pointer(self.output);
        let (block, size) = (self.size * self.repeats, self.dtype.size());
        macro_rules! count {
            ($type:ty, $convert:expr) => {
                for index in 0..block {
                    // SAFETY: the output has `blocks` times `block` elements.
                    unsafe {
                        let place = output.cast::<$type>().add(index);
                        place.write($convert(index / self.repeats));
                    }
                }
            };
        }
        match self.dtype {
            DType::F32 => count!(f32, |number| number as f32),
            DType::BF16 => count!(u16, |number| f32_to_bf16(number as f32)),
            DType::F16 => count!(u16, |number| f32_to_f16(number as f32)),
            DType::I32 => count!(i32, |number| number as i32),
            DType::I64 => count!(i64, |number| number as i64),
            DType::U8 | DType::I8 => count!(u8, |number| number as u8),
            DType::Bool => count!(u8, |number| u8::from(number != 0)),
        }
        let bytes = block * size;
        for copy in 1..self.blocks {
            // SAFETY: as above.
            unsafe { std::ptr::copy_nonoverlapping(output, output.add(copy * bytes), bytes) };
        }
        Ok(())
    }
}

fn counting(iota: &Iota, node: &Concrete) -> Kernel {
    let axis = iota.axis;
    let (dtype, size) = (node.dtype, node.shape[axis]);
    let repeats = node.shape[axis + 1..].iter().product();
    let blocks = node.shape[..axis].iter().product();
    Kernel::new(0, move |operands: Operands| {
        Box::new(Counting {
            dtype,
            size,
            repeats,
            blocks,
            output: operands.output,
        })
    })
}

/// A value that is known when the plan is made.
struct Known {
    bytes: Vec<u8>,
    output: Location,
}

impl Step for Known {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let output = context.pointer(self.output);
        // SAFETY: the output has the size of the value.
        unsafe { std::ptr::copy_nonoverlapping(self.bytes.as_ptr(), output, self.bytes.len()) };
        Ok(())
    }
}

fn known(node: &Concrete, bindings: &Bindings) -> Result<Kernel> {
    let data = node.operation.evaluate(&[], &node.shape, bindings)?;
    let tensor = Array::new(node.shape.clone(), node.dtype, data).to_tensor()?;
    let (source, size) = crate::executor::bytes_of(&tensor);
    // SAFETY: the tensor's elements are `size` plain bytes.
    let bytes = unsafe { std::slice::from_raw_parts(source, size) }.to_vec();
    Ok(Kernel::new(0, move |operands: Operands| {
        Box::new(Known {
            bytes,
            output: operands.output,
        })
    }))
}

/// The kernel of a node of this family.
pub(super) fn kernel(
    inputs: &[&Concrete],
    node: &Concrete,
    bindings: &Bindings,
) -> Result<Option<Kernel>> {
    let dtype = node.dtype;
    Ok(Some(match &node.operation {
        Operation::Transpose(Transpose { permutation }) => {
            let from = strides(&inputs[0].shape);
            let strides = permutation.iter().map(|&axis| from[axis]).collect();
            gather(Move::new(dtype, node.shape.clone(), strides, 0))
        }
        Operation::Slice(Slice { starts, steps, .. }) => {
            let from = strides(&inputs[0].shape);
            let offset = starts
                .iter()
                .zip(&from)
                .map(|(&start, &stride)| start * stride as usize)
                .sum();
            let strides = from
                .iter()
                .zip(steps)
                .map(|(&stride, &step)| stride * step as isize)
                .collect();
            gather(Move::new(dtype, node.shape.clone(), strides, offset))
        }
        Operation::Concatenate(Concatenate { axis }) => {
            let to = strides(&node.shape);
            let mut offset = 0;
            let parts = inputs
                .iter()
                .map(|input| {
                    let part = Move::new(dtype, input.shape.clone(), to.clone(), offset);
                    offset += input.shape[*axis] * to[*axis] as usize;
                    part
                })
                .collect();
            join(parts, *axis, &node.shape)
        }
        Operation::Pad(Pad {
            low,
            interior,
            value,
            ..
        }) => {
            let to = strides(&node.shape);
            let offset = low
                .iter()
                .zip(&to)
                .map(|(&low, &stride)| low * stride as usize)
                .sum();
            let strides = to
                .iter()
                .zip(interior)
                .map(|(&stride, &gap)| stride * (gap as isize + 1))
                .collect();
            let element = Array::scalar(*value, dtype).to_tensor()?;
            let (source, size) = crate::executor::bytes_of(&element);
            // SAFETY: the tensor's one element is `size` plain bytes.
            let element = unsafe { std::slice::from_raw_parts(source, size) }.to_vec();
            let part = Move::new(dtype, inputs[0].shape.clone(), strides, offset);
            scatter(vec![part], Some((element, node.count())))
        }
        Operation::Iota(iota) => counting(iota, node),
        Operation::DimensionSize(_) => known(node, bindings)?,
        _ => return Ok(None),
    }))
}
