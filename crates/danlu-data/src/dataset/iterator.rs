//! Batches from any iterator.

use danlu_graph::Tensor;

use super::{Batch, BatchSource, Field, Specification};
use crate::{Error, Result};

type Iterating = Box<dyn Iterator<Item = Result<Batch>> + Send>;
type Factory = Box<dyn FnMut() -> Iterating + Send>;

/// Batches that an iterator makes. Each is checked against the specification, so that a wrong one is an error that says which.
pub struct IteratorSource {
    specification: Specification,
    factory: Option<Factory>,
    current: Iterating,
    given: usize,
}

impl IteratorSource {
    /// Batches of iterators that `factory` makes, one for each pass.
    pub fn new<I>(
        specification: Specification,
        mut factory: impl FnMut() -> I + Send + 'static,
    ) -> IteratorSource
    where
        I: Iterator<Item = Result<Batch>> + Send + 'static,
    {
        let mut factory: Factory = Box::new(move || Box::new(factory()));
        IteratorSource {
            specification,
            current: factory(),
            factory: Some(factory),
            given: 0,
        }
    }

    /// Batches of one iterator, or of a function with [`std::iter::from_fn`], that cannot begin again: for a training that is told how many
    /// steps make an epoch.
    pub fn once(
        specification: Specification,
        batches: impl Iterator<Item = Result<Batch>> + Send + 'static,
    ) -> IteratorSource {
        IteratorSource {
            specification,
            current: Box::new(batches),
            factory: None,
            given: 0,
        }
    }
}

impl BatchSource for IteratorSource {
    fn specification(&self) -> &Specification {
        &self.specification
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        let Some(next) = self.current.next().transpose()? else {
            return Ok(false);
        };
        check(&self.specification, &next, self.given)?;
        self.given += 1;
        *batch = next;
        Ok(true)
    }

    fn reset(&mut self) -> Result<()> {
        let Some(factory) = &mut self.factory else {
            return Err(Error::mismatch(
                &self.specification.name,
                "batches that can be read again from the start",
                "an iterator that can be read once",
                "say how many steps make an epoch (steps_per_epoch), or give a function that makes the iterator",
            ));
        };
        self.current = factory();
        self.given = 0;
        Ok(())
    }
}

fn check(specification: &Specification, batch: &Batch, number: usize) -> Result<()> {
    let rows = batch.len();
    let subject = |what: &str| format!("batch {number} of {}, {what}", specification.name);
    if rows == 0 {
        return Err(Error::Empty {
            subject: format!("batch {number} of {}", specification.name),
        });
    }
    for (what, fields, tensors) in [
        ("features", &specification.features, &batch.features),
        ("targets", &specification.targets, &batch.targets),
    ] {
        if fields.len() != tensors.len() {
            let received = tensors.len().to_string();
            let expected = format!("{} arrays", fields.len());
            return Err(Error::mismatch(subject(what), expected, received, ""));
        }
        for (field, tensor) in fields.iter().zip(tensors) {
            if !fits(field, tensor, rows) {
                return Err(Error::mismatch(
                    subject(&format!("`{}`", field.name)),
                    format!("{} of shape ({rows}, then {:?})", field.dtype, field.shape),
                    format!("{} of shape {:?}", tensor.dtype(), tensor.shape()),
                    "",
                ));
            }
        }
    }
    let weights = batch.weights.as_ref().map(Tensor::shape);
    if weights.is_some() != specification.weighted || weights.is_some_and(|shape| shape != [rows]) {
        let expected = match specification.weighted {
            true => format!("shape [{rows}]"),
            false => "none".to_owned(),
        };
        let received = weights.map_or("none".to_owned(), |shape| format!("shape {shape:?}"));
        return Err(Error::mismatch(subject("weights"), expected, received, ""));
    }
    let shapes = batch.target_weights.iter().map(Tensor::shape);
    let shapes: Vec<&[usize]> = shapes.collect();
    if shapes != vec![[rows]; specification.target_weights.len()] {
        let expected = format!("{} of shape [{rows}]", specification.target_weights.len());
        let received = format!("{shapes:?}");
        return Err(Error::mismatch(
            subject("weights of targets"),
            expected,
            received,
            "",
        ));
    }
    Ok(())
}

fn fits(field: &Field, tensor: &Tensor, rows: usize) -> bool {
    tensor.dtype() == field.dtype
        && tensor.shape().split_first() == Some((&rows, field.shape.as_slice()))
}
