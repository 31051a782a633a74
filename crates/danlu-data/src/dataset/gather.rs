//! Rows of an array in memory, converted into the array of a batch.

use danlu_graph::tensor::{bf16_to_f32, f16_to_f32};
use danlu_graph::{DType, Tensor, TensorData};

use super::Field;
use crate::Result;

/// The dtype in which a stored feature goes into a batch: always `f32`.
pub(super) const FEATURE: DType = DType::F32;

/// The dtype in which a stored target goes into a batch: floats become `f32`, whole numbers `i32`, but `i64` stays.
pub(super) fn target_dtype(stored: DType) -> DType {
    match stored {
        DType::F32 | DType::BF16 | DType::F16 => DType::F32,
        DType::I64 => DType::I64,
        DType::I32 | DType::U8 | DType::I8 | DType::Bool => DType::I32,
    }
}

/// The tensor at `position`, of shape `(rows, field.shape...)` and the field's dtype, in the memory of the one that is there.
/// Allocates only where that one has another shape or dtype.
pub(super) fn slot<'a>(
    tensors: &'a mut Vec<Tensor>,
    position: usize,
    rows: usize,
    field: &Field,
) -> Result<&'a mut Tensor> {
    if position == tensors.len() {
        tensors.push(Tensor::zeros(&[0], field.dtype)?);
    }
    let tensor = &mut tensors[position];
    let fits = tensor.dtype() == field.dtype
        && tensor.shape().split_first() == Some((&rows, field.shape.as_slice()));
    if !fits {
        let mut shape = vec![rows];
        shape.extend_from_slice(&field.shape);
        let count = danlu_graph::tensor::element_count(&shape)?;
        let mut data = std::mem::replace(tensor, Tensor::zeros(&[0], field.dtype)?).into_data();
        match &mut data {
            TensorData::F32(values) if field.dtype == DType::F32 => values.resize(count, 0.0),
            TensorData::I32(values) if field.dtype == DType::I32 => values.resize(count, 0),
            TensorData::I64(values) if field.dtype == DType::I64 => values.resize(count, 0),
            _ => data = Tensor::zeros(&[count], field.dtype)?.into_data(),
        }
        *tensor = Tensor::new(&shape, data)?;
    }
    Ok(tensor)
}

/// Copies the rows `indices` of `source` (rows of `width` elements, each index checked by the caller) into `destination`, whose dtype
/// is `f32`, `i32` or `i64`; bytes that go into `f32` are multiplied by `pixel_scale`.
pub(super) fn gather(
    source: &Tensor,
    width: usize,
    indices: &[usize],
    pixel_scale: f32,
    destination: &mut Tensor,
) {
    macro_rules! rows {
        ($values:expr, $output:expr, $convert:expr) => {
            gather_rows($values, width, indices, $output, $convert)
        };
    }
    match destination.data_mut() {
        TensorData::F32(output) => match source.data() {
            TensorData::U8(values) if pixel_scale == 1.0 => rows!(values, output, f32::from),
            TensorData::U8(values) => rows!(values, output, |v: u8| f32::from(v) * pixel_scale),
            TensorData::F32(values) => rows!(values, output, |v: f32| v),
            TensorData::BF16(values) => rows!(values, output, bf16_to_f32),
            TensorData::F16(values) => rows!(values, output, f16_to_f32),
            TensorData::I32(values) => rows!(values, output, |v: i32| v as f32),
            TensorData::I64(values) => rows!(values, output, |v: i64| v as f32),
            TensorData::I8(values) => rows!(values, output, f32::from),
            TensorData::Bool(values) => rows!(values, output, |v: bool| f32::from(u8::from(v))),
        },
        TensorData::I32(output) => match source.data() {
            TensorData::U8(values) => rows!(values, output, i32::from),
            TensorData::I8(values) => rows!(values, output, i32::from),
            TensorData::I32(values) => rows!(values, output, |v: i32| v),
            TensorData::Bool(values) => rows!(values, output, i32::from),
            other => unreachable!("targets of {} are not gathered into int32", other.dtype()),
        },
        TensorData::I64(output) => match source.data() {
            TensorData::I64(values) => rows!(values, output, |v: i64| v),
            other => unreachable!("targets of {} are not gathered into int64", other.dtype()),
        },
        other => unreachable!("no batch holds {}", other.dtype()),
    }
}

fn gather_rows<From: Copy, To>(
    values: &[From],
    width: usize,
    indices: &[usize],
    output: &mut [To],
    convert: impl Fn(From) -> To,
) {
    if width == 0 {
        return;
    }
    for (row, &index) in output.chunks_exact_mut(width).zip(indices) {
        let start = index * width;
        // One loop over two slices of the same length: the compiler turns it into vector instructions.
        for (to, &from) in row.iter_mut().zip(&values[start..start + width]) {
            *to = convert(from);
        }
    }
}
