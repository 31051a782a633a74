//! Weights as `.safetensors`: named arrays and nothing else.
//!
//! Source: <https://huggingface.co/docs/safetensors>. The same arrays give the same bytes, whatever their order: the crate
//! sorts by dtype, then name. Layers are told apart by the part of a name before the first `/`.

use std::path::Path;

use danlu_graph::{DType, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::atomic::write_atomically;
use super::error::{Problem, Result};
use super::{LayerWeights, Weights, open};

/// Writes named arrays.
///
/// # Errors
/// Two have the same name, or the file cannot be written; then nothing has changed.
pub fn write_tensors(path: impl AsRef<Path>, tensors: &[(String, Tensor)]) -> Result<()> {
    let path = path.as_ref();
    write_atomically(path, &[&encode_tensors(path, tensors)?])
}

/// The bytes of a file of named arrays; `path` is what errors call it.
pub(crate) fn encode_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    encode(tensors).map_err(|problem| problem.in_file(path))
}

/// The arrays in the bytes of a file, sorted by name; `path` is what errors call it.
pub(crate) fn decode_tensors(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    decode(bytes).map_err(|problem| problem.in_file(path))
}

/// Reads all arrays, sorted by name.
///
/// # Errors
/// The file cannot be read, is no safetensors file, or is damaged.
pub fn read_tensors(path: impl AsRef<Path>) -> Result<Vec<(String, Tensor)>> {
    let path = path.as_ref();
    let read = || -> Result<Weights, Problem> {
        let source = super::hdf5::Source::file(open(path)?)?;
        let mut bytes = vec![0u8; source.len() as usize];
        source.read_at("the file", 0, &mut bytes)?;
        decode(&bytes)
    };
    read().map_err(|problem| problem.in_file(path))
}

/// Writes a model's weights under the names `layer/weight` (of a weight's own name only the last part).
///
/// # Errors
/// Two have the same name, or the file cannot be written; then nothing has changed.
pub fn write_weights(path: impl AsRef<Path>, layers: &[LayerWeights]) -> Result<()> {
    let tensors: Weights = layers
        .iter()
        .flat_map(|layer| {
            layer.weights.iter().map(|(name, tensor)| {
                (
                    format!("{}/{}", layer.name, super::short_name(name)),
                    tensor.clone(),
                )
            })
        })
        .collect();
    write_tensors(path, &tensors)
}

/// Reads weights named `layer/weight`: the layers sorted by name, in each the weights sorted by name.
///
/// # Errors
/// The file cannot be read, is no safetensors file, or is damaged; or a name holds no `/`.
pub fn read_weights(path: impl AsRef<Path>) -> Result<Vec<LayerWeights>> {
    let path = path.as_ref();
    let mut layers: Vec<LayerWeights> = Vec::new();
    for (name, tensor) in read_tensors(path)? {
        let Some((layer, weight)) = name.split_once('/') else {
            let expected = "a name like \"dense/kernel\"";
            return Err(Problem::damaged("the name of an array", expected, name).in_file(path));
        };
        let weight = (weight.to_owned(), tensor);
        match layers.last_mut() {
            Some(last) if last.name == layer => last.weights.push(weight),
            _ => layers.push(LayerWeights {
                name: layer.to_owned(),
                weights: vec![weight],
                ..LayerWeights::default()
            }),
        }
    }
    Ok(layers)
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::BF16 => Dtype::BF16,
        DType::F16 => Dtype::F16,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::U8 => Dtype::U8,
        DType::I8 => Dtype::I8,
        DType::Bool => Dtype::BOOL,
    }
}

fn encode(tensors: &[(String, Tensor)]) -> Result<Vec<u8>, Problem> {
    let mut sorted: Vec<&(String, Tensor)> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Problem::unsupported(
            format!("two arrays named \"{}\"", pair[0].0),
            "give every layer and every weight a name of its own",
        ));
    }
    let bytes: Vec<Vec<u8>> = sorted.iter().map(|(_, tensor)| to_bytes(tensor)).collect();
    let views = sorted
        .iter()
        .zip(&bytes)
        .map(|((name, tensor), bytes)| {
            TensorView::new(dtype(tensor.dtype()), tensor.shape().to_vec(), bytes)
                .map(|view| (name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>();
    views
        .and_then(|views| serialize(views, None))
        .map_err(|error| {
            Problem::unsupported(format!("these weights ({error})"), "check their shapes")
        })
}

fn decode(bytes: &[u8]) -> Result<Weights, Problem> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| match bytes.get(..8) {
        Some(start) if start[3..] == [0; 5] => {
            Problem::damaged("the safetensors header", "one that fits the file", error)
        }
        _ => Problem::WrongFormat {
            expected: "a safetensors file",
            received: super::error::describe_start(bytes),
        },
    })?;
    let mut result = tensors
        .iter()
        .map(|(name, view)| Ok((name.to_owned(), from_view(name, &view)?)))
        .collect::<Result<Weights, Problem>>()?;
    result.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(result)
}

fn to_bytes(tensor: &Tensor) -> Vec<u8> {
    macro_rules! numbers {
        ($values:expr, $type:ty) => {{
            // Filled in place, since collecting byte by byte is many times slower.
            let mut bytes = vec![0u8; size_of::<$type>() * $values.len()];
            let (chunks, _) = bytes.as_chunks_mut::<{ size_of::<$type>() }>();
            for (chunk, value) in chunks.iter_mut().zip($values) {
                *chunk = value.to_le_bytes();
            }
            bytes
        }};
    }
    match tensor.data() {
        TensorData::F32(values) => numbers!(values, f32),
        TensorData::F16(values) | TensorData::BF16(values) => numbers!(values, u16),
        TensorData::I32(values) => numbers!(values, i32),
        TensorData::I64(values) => numbers!(values, i64),
        TensorData::U8(values) => values.clone(),
        TensorData::I8(values) => numbers!(values, i8),
        TensorData::Bool(values) => values.iter().map(|&x| u8::from(x)).collect(),
    }
}

fn from_view(name: &str, view: &TensorView<'_>) -> Result<Tensor, Problem> {
    macro_rules! numbers {
        ($type:ty) => {
            view.data()
                .as_chunks::<{ size_of::<$type>() }>()
                .0
                .iter()
                .map(|chunk| <$type>::from_le_bytes(*chunk))
                .collect()
        };
    }
    let data = match view.dtype() {
        Dtype::F32 => TensorData::F32(numbers!(f32)),
        Dtype::F16 => TensorData::F16(numbers!(u16)),
        Dtype::BF16 => TensorData::BF16(numbers!(u16)),
        Dtype::I32 => TensorData::I32(numbers!(i32)),
        Dtype::I64 => TensorData::I64(numbers!(i64)),
        Dtype::U8 => TensorData::U8(view.data().to_vec()),
        Dtype::I8 => TensorData::I8(numbers!(i8)),
        Dtype::BOOL => TensorData::Bool(view.data().iter().map(|&byte| byte != 0).collect()),
        other => {
            return Err(Problem::unsupported(
                format!("the array \"{name}\" of {other:?}"),
                "Danlu reads F32, F16, BF16, I32, I64, U8, I8 and BOOL",
            ));
        }
    };
    Tensor::new(view.shape(), data).map_err(|error| {
        Problem::damaged(
            format!("the array \"{name}\""),
            "its shape's elements",
            error,
        )
    })
}
