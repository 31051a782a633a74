//! Whether labels are classes.

use danlu_graph::TensorData;

use super::{Batch, Dataset};
use crate::{Error, Result};

/// Examples that are looked at together.
const BLOCK: usize = 1024;

/// Fails unless every element of the first target is a whole number from 0 to `classes - 1`: what a sparse cross-entropy needs. A dataset
/// without targets passes.
///
/// # Errors
/// [`Error::Label`] with the first bad example and its label; what reading the targets reports.
pub fn check_labels(dataset: &dyn Dataset, classes: usize) -> Result<()> {
    check_labels_of(dataset, 0, classes)
}

/// As [`check_labels`], for the target at this place.
///
/// # Errors
/// As [`check_labels`].
pub fn check_labels_of(dataset: &dyn Dataset, target: usize, classes: usize) -> Result<()> {
    let mut batch = Batch::default();
    let mut indices = Vec::with_capacity(BLOCK.min(dataset.len()));
    for start in (0..dataset.len()).step_by(BLOCK) {
        let end = dataset.len().min(start + BLOCK);
        indices.clear();
        indices.extend(start..end);
        dataset.get_targets(&indices, &mut batch)?;
        let Some(labels) = batch.targets.get(target) else {
            return Ok(());
        };
        let bad = match labels.data() {
            TensorData::F32(values) => values.iter().position(|&value| {
                !(value >= 0.0 && value.fract() == 0.0 && f64::from(value) < classes as f64)
            }),
            TensorData::I32(values) => values
                .iter()
                .position(|&value| !usize::try_from(value).is_ok_and(|label| label < classes)),
            _ => (0..labels.len())
                .position(|position| !(0.0..classes as f64).contains(&labels.get_f64(position))),
        };
        if let Some(position) = bad {
            let width = (labels.len() / indices.len()).max(1);
            return Err(Error::Label {
                dataset: match dataset.specification().targets.as_slice() {
                    [_] => dataset.specification().name.clone(),
                    targets => {
                        let name = &dataset.specification().name;
                        format!("the target `{}` of {name}", targets[target].name)
                    }
                },
                example: start + position / width,
                value: labels.get_f64(position).to_string(),
                classes,
            });
        }
    }
    Ok(())
}
