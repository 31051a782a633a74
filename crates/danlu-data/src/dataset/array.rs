//! A dataset over arrays in memory.

use std::sync::Arc;

use danlu_graph::{DType, Tensor};

use super::fingerprint::FingerprintBuilder;
use super::gather::{self, gather, slot};
use super::{Batch, Dataset, Field, Fingerprint, Specification, check_indices};
use crate::{Error, Result};

/// Arrays in memory whose axis 0 counts examples. Cloning shares the arrays.
///
/// In a batch, features are `f32` (bytes times the pixel scale, every other dtype as it is) and targets `f32`, `i32` or, where they are
/// stored so, `i64`. The conversion happens as rows are gathered: pictures stay one byte a pixel in memory.
#[derive(Clone, Debug)]
pub struct ArrayDataset {
    features: Vec<Arc<Tensor>>,
    targets: Vec<Arc<Tensor>>,
    weights: Option<Arc<Tensor>>,
    target_weights: Vec<Arc<Tensor>>,
    pixel_scale: f32,
    length: usize,
    specification: Specification,
}

impl ArrayDataset {
    /// A dataset of one input `x`, of shape `(examples, ...)`, and one target `y`, of shape `(examples, ...)`.
    ///
    /// # Errors
    /// As [`from_named`](Self::from_named).
    pub fn new(features: impl Into<Arc<Tensor>>, targets: impl Into<Arc<Tensor>>) -> Result<Self> {
        Self::from_named(
            "the dataset",
            vec![("x".to_owned(), features.into())],
            vec![("y".to_owned(), targets.into())],
        )
    }

    /// A dataset of named inputs and targets (there may be no target); `name` is what errors call it.
    ///
    /// # Errors
    /// No input; an array without axes; axes 0 of different sizes. No example is no error here: see [`Error::Empty`].
    pub fn from_named(
        name: &str,
        features: Vec<(String, Arc<Tensor>)>,
        targets: Vec<(String, Arc<Tensor>)>,
    ) -> Result<Self> {
        let Some((first_name, first)) = features.first() else {
            return Err(Error::Empty {
                subject: format!("{name}, which has no input array,"),
            });
        };
        let length = rows_of(name, first_name, first)?;
        for (other_name, other) in features.iter().chain(&targets) {
            let rows = rows_of(name, other_name, other)?;
            if rows != length {
                return Err(Error::mismatch(
                    name,
                    format!("as many examples in `{other_name}` as in `{first_name}`, {length}"),
                    format!("{rows}"),
                    "axis 0 of every array counts the examples",
                ));
            }
        }
        let feature_fields = features.iter().map(|(name, tensor)| Field {
            pixels: tensor.dtype() == DType::U8,
            ..field(name, tensor, gather::FEATURE)
        });
        let target_fields = targets
            .iter()
            .map(|(name, tensor)| field(name, tensor, gather::target_dtype(tensor.dtype())));
        let specification = Specification {
            name: name.to_owned(),
            features: feature_fields.collect(),
            targets: target_fields.collect(),
            weighted: false,
            target_weights: Vec::new(),
            classes: match targets.as_slice() {
                [(_, labels)] => count_classes(labels),
                _ => None,
            },
            class_names: None,
        };
        Ok(ArrayDataset {
            features: features.into_iter().map(|(_, tensor)| tensor).collect(),
            targets: targets.into_iter().map(|(_, tensor)| tensor).collect(),
            weights: None,
            target_weights: Vec::new(),
            pixel_scale: 1.0,
            length,
            specification,
        })
    }

    /// The same dataset with features stored as bytes multiplied by `pixel_scale` (a factor without unit, such as 1/255) in every batch.
    #[must_use]
    pub fn with_pixel_scale(mut self, pixel_scale: f32) -> Self {
        self.pixel_scale = pixel_scale;
        self
    }

    /// The same dataset with one weight for each example: floats of shape `(examples)`.
    ///
    /// # Errors
    /// Another shape, or whole numbers.
    pub fn with_weights(mut self, weights: impl Into<Arc<Tensor>>) -> Result<Self> {
        let weights = weights.into();
        self.check_weights(&weights, "the examples")?;
        self.weights = Some(weights);
        self.specification.weighted = true;
        Ok(self)
    }

    /// The same dataset with weights of the examples for the target of this name alone (Keras' `sample_weight` by output):
    /// floats of shape `(examples)`. They take the place of [`with_weights`](Self::with_weights)'s there.
    ///
    /// # Errors
    /// There is no such target, or it has weights already; another shape, or whole numbers.
    pub fn with_target_weights(
        mut self,
        target: &str,
        weights: impl Into<Arc<Tensor>>,
    ) -> Result<Self> {
        let weights = weights.into();
        self.check_weights(&weights, &format!("the target `{target}`"))?;
        let mut fields = self.specification.targets.iter();
        let place = fields.position(|field| field.name == target);
        let known = &mut self.specification.target_weights;
        match place.filter(|place| !known.contains(place)) {
            Some(place) => {
                known.push(place);
                self.target_weights.push(weights);
                Ok(self)
            }
            None => {
                let fields = self.specification.targets.iter();
                let names: Vec<&str> = fields.map(|field| field.name.as_str()).collect();
                Err(Error::mismatch(
                    format!("weights of {}", self.specification.name),
                    format!("a target without weights, of {}", names.join(", ")),
                    format!("`{target}`"),
                    "",
                ))
            }
        }
    }

    fn check_weights(&self, weights: &Tensor, of: &str) -> Result<()> {
        if weights.shape() == [self.length] && weights.dtype().is_float() {
            return Ok(());
        }
        Err(Error::mismatch(
            format!("weights of {of} of {}", self.specification.name),
            format!("floats of shape [{}]", self.length),
            format!("{} of shape {:?}", weights.dtype(), weights.shape()),
            "",
        ))
    }

    /// The same inputs and weights of the examples with other targets; weights of single targets are left behind.
    ///
    /// # Errors
    /// As [`from_named`](Self::from_named).
    pub fn with_targets(self, targets: Vec<(String, Arc<Tensor>)>) -> Result<Self> {
        let names = self.specification.features.iter();
        let names = names.map(|field| field.name.clone());
        let features = names.zip(self.features).collect();
        let mut dataset = Self::from_named(&self.specification.name, features, targets)?;
        for (field, own) in
            (dataset.specification.features.iter_mut()).zip(self.specification.features)
        {
            *field = own;
        }
        dataset.specification.weighted = self.weights.is_some();
        dataset.weights = self.weights;
        dataset.pixel_scale = self.pixel_scale;
        Ok(dataset)
    }

    /// The same dataset with this number of classes and, where there are, their names by index.
    #[must_use]
    pub fn with_classes(mut self, classes: usize, names: Option<Vec<String>>) -> Self {
        self.specification.classes = Some(classes);
        self.specification.class_names = names;
        self
    }

    /// The same dataset under another name in errors.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.specification.name = name.to_owned();
        self
    }

    /// The same elements with the only input's examples in another shape that differs in axes of 1 alone: grey pictures of
    /// (28, 28, 1) as (28, 28), for a model that was made so. Nothing is copied.
    ///
    /// # Errors
    /// There are several inputs, or the shapes differ otherwise.
    pub fn with_example_shape(mut self, shape: &[usize]) -> Result<Self> {
        let squeeze = |shape: &[usize]| -> Vec<usize> {
            shape.iter().copied().filter(|&size| size != 1).collect()
        };
        match self.specification.features.as_mut_slice() {
            [only] if squeeze(&only.shape) == squeeze(shape) => {
                only.shape = shape.to_vec();
                Ok(self)
            }
            fields => {
                let received: Vec<String> = fields
                    .iter()
                    .map(|field| format!("`{}` of shape {:?}", field.name, field.shape))
                    .collect();
                Err(Error::mismatch(
                    format!("one example of {}", self.specification.name),
                    format!("one input of shape {shape:?}"),
                    received.join(", "),
                    "",
                ))
            }
        }
    }

    /// The input arrays as they are stored.
    pub fn features(&self) -> &[Arc<Tensor>] {
        &self.features
    }

    /// The target arrays as they are stored.
    pub fn targets(&self) -> &[Arc<Tensor>] {
        &self.targets
    }

    /// The factor of features that are stored as bytes.
    pub fn pixel_scale(&self) -> f32 {
        self.pixel_scale
    }

    /// A number that identifies the stored arrays: their dtypes, shapes and bytes, on any machine. The pixel scale is not part of it.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut builder = FingerprintBuilder::default();
        let mut groups = vec![
            self.features.as_slice(),
            &self.targets,
            self.weights.as_slice(),
        ];
        // Data without such weights keeps the number that it had before there were any.
        if !self.target_weights.is_empty() {
            groups.push(&self.target_weights);
        }
        for group in groups {
            builder.number(group.len());
            for tensor in group {
                builder.tensor(tensor);
            }
        }
        builder.finish()
    }

    fn fill_targets(&self, indices: &[usize], batch: &mut Batch) -> Result<()> {
        let fields = &self.specification.targets;
        batch.targets.truncate(fields.len());
        for (position, (field, source)) in fields.iter().zip(&self.targets).enumerate() {
            let destination = slot(&mut batch.targets, position, indices.len(), field)?;
            gather(source, width(field), indices, 1.0, destination);
        }
        Ok(())
    }

    fn fill_weights(&self, indices: &[usize], batch: &mut Batch) -> Result<()> {
        match &self.weights {
            None => batch.weights = None,
            Some(source) => {
                let there = batch.weights.take();
                batch.weights = Some(weights_of(source, indices, there)?);
            }
        }
        batch.target_weights.truncate(self.target_weights.len());
        for (place, source) in self.target_weights.iter().enumerate() {
            match batch.target_weights.get_mut(place) {
                Some(there) if fits(there, indices.len()) => {
                    gather(source, 1, indices, 1.0, there);
                }
                Some(there) => *there = weights_of(source, indices, None)?,
                None => batch
                    .target_weights
                    .push(weights_of(source, indices, None)?),
            }
        }
        Ok(())
    }
}

/// Whether a tensor holds a weight for each of so many rows.
fn fits(weights: &Tensor, rows: usize) -> bool {
    weights.dtype() == DType::F32 && weights.shape() == [rows]
}

/// The weights of these examples, in the memory of those that are there if it fits.
fn weights_of(source: &Tensor, indices: &[usize], there: Option<Tensor>) -> Result<Tensor> {
    let rows = indices.len();
    let mut weights = match there.filter(|there| fits(there, rows)) {
        Some(there) => there,
        None => Tensor::zeros(&[rows], DType::F32)?,
    };
    gather(source, 1, indices, 1.0, &mut weights);
    Ok(weights)
}

impl Dataset for ArrayDataset {
    fn specification(&self) -> &Specification {
        &self.specification
    }

    fn len(&self) -> usize {
        self.length
    }

    fn get(&self, indices: &[usize], batch: &mut Batch) -> Result<()> {
        check_indices(indices, self.length)?;
        let fields = &self.specification.features;
        batch.features.truncate(fields.len());
        for (position, (field, source)) in fields.iter().zip(&self.features).enumerate() {
            let destination = slot(&mut batch.features, position, indices.len(), field)?;
            gather(source, width(field), indices, self.pixel_scale, destination);
        }
        self.fill_targets(indices, batch)?;
        self.fill_weights(indices, batch)
    }

    fn get_targets(&self, indices: &[usize], batch: &mut Batch) -> Result<()> {
        check_indices(indices, self.length)?;
        self.fill_targets(indices, batch)
    }
}

fn field(name: &str, tensor: &Tensor, dtype: DType) -> Field {
    Field {
        name: name.to_owned(),
        shape: tensor.shape()[1..].to_vec(),
        dtype,
        pixels: false,
    }
}

fn width(field: &Field) -> usize {
    field.shape.iter().product()
}

fn rows_of(dataset: &str, name: &str, tensor: &Tensor) -> Result<usize> {
    tensor.shape().first().copied().ok_or_else(|| {
        Error::mismatch(
            format!("`{name}` of {dataset}"),
            "an array whose axis 0 counts the examples",
            "one number without axes",
            "",
        )
    })
}

/// The largest label plus one, where the labels are one whole number per example and none is negative.
fn count_classes(labels: &Tensor) -> Option<usize> {
    let one_each = labels.shape().iter().skip(1).all(|&size| size == 1);
    if !one_each || labels.is_empty() {
        return None;
    }
    let (least, most) = match labels.data() {
        danlu_graph::TensorData::U8(values) => (0, values.iter().copied().max()?.into()),
        danlu_graph::TensorData::I8(values) => (
            values.iter().copied().min()?.into(),
            values.iter().copied().max()?.into(),
        ),
        danlu_graph::TensorData::I32(values) => (
            values.iter().copied().min()?.into(),
            values.iter().copied().max()?.into(),
        ),
        danlu_graph::TensorData::I64(values) => {
            (values.iter().copied().min()?, values.iter().copied().max()?)
        }
        danlu_graph::TensorData::Bool(_) => (0, 1),
        _ => return None,
    };
    match least {
        0.. => usize::try_from(most).ok()?.checked_add(1),
        _ => None,
    }
}
