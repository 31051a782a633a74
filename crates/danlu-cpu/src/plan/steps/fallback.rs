//! Operations without a kernel here, such as those that a user gives, run their reference: slow, and right.

use danlu_graph::operations::Operation;
use danlu_graph::reference::Array;
use danlu_graph::tensor::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use danlu_graph::{Bindings, DType, Result};

use super::{Kernel, Operands};
use crate::plan::concrete::Concrete;
use crate::plan::context::{Context, Location, Step};

struct Reference {
    operation: Operation,
    bindings: Bindings,
    inputs: Vec<(Vec<usize>, DType)>,
    shape: Vec<usize>,
    dtype: DType,
    sources: Vec<Location>,
    output: Location,
}

pub(super) fn kernel(inputs: &[&Concrete], node: &Concrete, bindings: &Bindings) -> Kernel {
    let operation = node.operation.clone();
    let bindings = bindings.clone();
    let types = inputs
        .iter()
        .map(|input| (input.shape.clone(), input.dtype))
        .collect();
    let (shape, dtype) = (node.shape.clone(), node.dtype);
    Kernel::new(0, move |operands: Operands| {
        Box::new(Reference {
            operation,
            bindings,
            inputs: types,
            shape,
            dtype,
            sources: operands.inputs,
            output: operands.output,
        })
    })
}

impl Step for Reference {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let arrays: Vec<Array> = self
            .inputs
            .iter()
            .zip(&self.sources)
            .map(|((shape, dtype), &source)| {
                // SAFETY: the source holds a value of this shape and dtype.
                let data = unsafe { read(context.pointer(source), *dtype, shape.iter().product()) };
                Array {
                    shape: shape.clone(),
                    dtype: *dtype,
                    data,
                }
            })
            .collect();
        let arguments: Vec<&Array> = arrays.iter().collect();
        let data = self
            .operation
            .evaluate(&arguments, &self.shape, &self.bindings)?;
        // SAFETY: the output has room for a value of this shape and dtype.
        unsafe {
            write(
                &Array::new(self.shape.clone(), self.dtype, data),
                context.pointer(self.output),
            )
        };
        Ok(())
    }
}

/// # Safety
/// `source` holds `count` elements of the dtype.
unsafe fn read(source: *const u8, dtype: DType, count: usize) -> Vec<f64> {
    macro_rules! elements {
        ($type:ty, $convert:expr) => {{
            // SAFETY: the caller's promise.
            let values = unsafe { std::slice::from_raw_parts(source.cast::<$type>(), count) };
            values.iter().map(|&value| $convert(value)).collect()
        }};
    }
    match dtype {
        DType::F32 => elements!(f32, f64::from),
        DType::BF16 => elements!(u16, |bits| f64::from(bf16_to_f32(bits))),
        DType::F16 => elements!(u16, |bits| f64::from(f16_to_f32(bits))),
        DType::I32 => elements!(i32, f64::from),
        DType::I64 => elements!(i64, |value| value as f64),
        DType::I8 => elements!(i8, f64::from),
        DType::U8 | DType::Bool => elements!(u8, f64::from),
    }
}

/// # Safety
/// `destination` has room for the array's elements.
unsafe fn write(array: &Array, destination: *mut u8) {
    macro_rules! elements {
        ($type:ty, $convert:expr) => {
            for (index, &value) in array.data.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe {
                    destination
                        .cast::<$type>()
                        .add(index)
                        .write($convert(value))
                };
            }
        };
    }
    match array.dtype {
        DType::F32 => elements!(f32, |value: f64| value as f32),
        DType::BF16 => elements!(u16, |value: f64| f32_to_bf16(value as f32)),
        DType::F16 => elements!(u16, |value: f64| f32_to_f16(value as f32)),
        DType::I32 => elements!(i32, |value: f64| value as i32),
        DType::I64 => elements!(i64, |value: f64| value as i64),
        DType::I8 => elements!(i8, |value: f64| value as i8),
        DType::U8 | DType::Bool => elements!(u8, |value: f64| value as u8),
    }
}
