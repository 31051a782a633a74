//! Mean and variance taken from data.

use danlu_data::{Batch, Dataset};
use danlu_graph::{Shape, Tensor};

use super::{Normalization, numbers};
use crate::{Error, Result};

/// Examples of a dataset that are read at a time.
const CHUNK: usize = 256;

/// What is done with each piece of the data.
pub(crate) type Visit<'a> = dyn FnMut(&Tensor) -> Result<()> + 'a;

/// Sums over the data, one for each index of the axes that are kept apart.
#[derive(Default)]
struct Sums {
    axes: Vec<usize>,
    sizes: Vec<usize>,
    sums: Vec<f64>,
    /// Elements that went into each of them.
    count: f64,
}

impl Sums {
    /// Adds what `term(group, element)` gives for each element.
    fn add(&mut self, data: &Tensor, term: impl Fn(usize, f64) -> f64) -> Result<()> {
        let mut kept = self.axes.iter().zip(&self.sizes);
        if !kept.all(|(&axis, size)| data.shape().get(axis) == Some(size)) {
            return Err(Error::mismatch(
                "Normalization::adapt",
                format!(
                    "examples with sizes {:?} at axes {:?}",
                    self.sizes, self.axes
                ),
                format!("a batch of shape {:?}", data.shape()),
                "",
            ));
        }
        for place in 0..data.len() {
            let group = numbers::group(place, data.shape(), &self.axes);
            self.sums[group] += term(group, data.get_f64(place));
        }
        self.count += (data.len() / self.sums.len().max(1)) as f64;
        Ok(())
    }

    fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.count).collect()
    }
}

impl Normalization {
    /// Takes mean and variance from data `(examples, ...)`; the variance is divided by the number of elements. Integers and
    /// truth values are taken as numbers.
    ///
    /// # Errors
    /// Mean and variance were given, there is no example, the axis is none of the data's, or a number is not finite.
    pub fn adapt(&mut self, data: &Tensor) -> Result<()> {
        self.adapt_by(|visit| visit(data))
    }

    /// As [`adapt`](Self::adapt), from the first feature of a dataset, read a piece at a time.
    ///
    /// # Errors
    /// As [`adapt`](Self::adapt); what reading an example reports.
    pub fn adapt_dataset(&mut self, dataset: &dyn Dataset) -> Result<()> {
        let indices: Vec<usize> = (0..dataset.len()).collect();
        let mut batch = Batch::default();
        self.adapt_by(|visit| {
            for chunk in indices.chunks(CHUNK) {
                dataset.get(chunk, &mut batch)?;
                batch.features.first().map_or(Ok(()), &mut *visit)?;
            }
            Ok(())
        })
    }

    /// `pass` goes through the data once; it is called twice, for the means and for the distances from them.
    pub(crate) fn adapt_by(
        &mut self,
        mut pass: impl FnMut(&mut Visit) -> Result<()>,
    ) -> Result<()> {
        if self.given.is_some() {
            return Err(Error::NotReady {
                action: "Normalization::adapt",
                problem: "mean and variance were given".to_owned(),
                advice: "leave them out to take them from data".to_owned(),
            });
        }
        let mut first = Sums::default();
        pass(&mut |data| {
            if first.sums.is_empty() && !data.is_empty() {
                let example = data.shape().get(1..).unwrap_or(&[]);
                (first.axes, first.sizes) = self.axes(&Shape::batch_of(example))?;
                first.sums = vec![0.0; first.sizes.iter().product()];
            }
            first.add(data, |_, element| element)
        })?;
        if first.count == 0.0 {
            return Err(Error::mismatch(
                "Normalization::adapt",
                "examples",
                "none",
                "",
            ));
        }
        let means = first.means();
        let mut second = Sums {
            sums: vec![0.0; means.len()],
            count: 0.0,
            ..first
        };
        pass(&mut |data| second.add(data, |group, element| (element - means[group]).powi(2)))?;
        let variances = second.means();
        let mut all = means.iter().chain(&variances);
        if let Some(bad) = all.find(|number| !number.is_finite()) {
            let advice = "remove what is infinite or NaN from the data";
            let subject = "the statistics of Normalization::adapt";
            return Err(Error::mismatch(
                subject,
                "finite numbers",
                bad.to_string(),
                advice,
            ));
        }
        let tensor = |numbers: &[f64]| {
            let numbers = numbers.iter().map(|&number| number as f32);
            Tensor::from_f32(&second.sizes, numbers.collect())
        };
        self.adapted = Some([tensor(&means)?, tensor(&variances)?]);
        Ok(())
    }
}
