//! What a trained model says of the test part, example by example.

use std::path::Path;
use std::sync::Arc;

use danlu::Model;
use danlu::data::files::write_atomically;
use danlu::data::sources::npz;
use danlu::data::{Batch, Dataset};
use danlu::graph::Tensor;
use danlu::training::PredictOptions;

use crate::classifier::{self, Reading};

/// More numbers than this are not kept: a run folder is not to be larger than the data.
const MOST: usize = 1 << 26;

/// What the model says of the test part.
#[derive(Debug)]
pub struct HeldOut {
    /// By output, in order.
    pub outputs: Vec<Answers>,
}

/// What one output says.
#[derive(Debug)]
pub struct Answers {
    /// The output.
    pub name: String,
    /// What it says of each example.
    pub kind: Kind,
}

/// True and predicted, example by example.
#[derive(Debug)]
pub enum Kind {
    /// Classes: the names of all, and for each example its class and the predicted one.
    Classes(Vec<String>, Vec<(usize, usize)>),
    /// One number for each example.
    Numbers(Vec<(f64, f64)>),
    /// Something else.
    Other,
}

/// Predicts the test part and writes `test_predictions.npz`: `index`, and `y_true` and `y_pred` (probabilities of a classifier), with the
/// outputs' names behind them where there are several. `None` where that would be too much.
///
/// # Errors
/// The folder cannot be written, or there is no memory for it.
pub fn keep(
    folder: &Path,
    model: &mut Model,
    test: &Arc<dyn Dataset>,
) -> danlu::Result<Option<HeldOut>> {
    let shapes = model.output_shapes().unwrap_or_default();
    let numbers: usize = shapes
        .iter()
        .map(|shape| shape.iter().product::<usize>())
        .sum();
    let examples = test.len();
    if numbers.saturating_mul(examples) > MOST {
        return Ok(None);
    }
    let predicted = model.predict_outputs(test, PredictOptions::new().batch_size(64))?;
    let mut batch = Batch::default();
    let all: Vec<usize> = (0..examples).collect();
    test.get_targets(&all, &mut batch)?;
    let names = model.output_names();
    let places = targets(&names, test);
    let readings = classifier::readings(model).unwrap_or_default();
    let classes = model.metadata().get("class_names").and_then(|names| {
        let names = names.as_array()?.iter();
        names
            .map(|name| name.as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
    });
    let index = Tensor::from_i64(&[examples], all.iter().map(|&place| place as i64).collect())?;
    let mut arrays: Vec<(String, Tensor)> = vec![("index".to_owned(), index)];
    let mut outputs = Vec::new();
    for (output, (name, predicted)) in names.iter().zip(predicted).enumerate() {
        let suffix = match names.len() {
            1 => String::new(),
            _ => format!("_{name}"),
        };
        let truth = places[output].and_then(|place| batch.targets.get(place));
        let reading = readings.get(output).copied().unwrap_or(Reading::Numbers);
        let predicted = probabilities(reading, predicted)?;
        let kind = truth.map_or(Kind::Other, |truth| {
            kind(reading, truth, &predicted, classes.as_deref())
        });
        if let Some(truth) = truth {
            arrays.push((format!("y_true{suffix}"), truth.clone()));
        }
        arrays.push((format!("y_pred{suffix}"), predicted));
        outputs.push(Answers {
            name: name.clone(),
            kind,
        });
    }
    let arrays: Vec<(&str, &Tensor)> = arrays
        .iter()
        .map(|(name, array)| (name.as_str(), array))
        .collect();
    write_atomically(folder.join("test_predictions.npz"), |file| {
        npz::write(file, &arrays)
    })?;
    Ok(Some(HeldOut { outputs }))
}

/// For each output its target's place: of its name, or, where the names are others, in the same order.
fn targets(names: &[String], test: &Arc<dyn Dataset>) -> Vec<Option<usize>> {
    let fields = &test.specification().targets;
    let by_name = |name: &String| fields.iter().position(|field| field.name == *name);
    let found: Vec<Option<usize>> = names.iter().map(by_name).collect();
    match found.iter().all(Option::is_none) && fields.len() == names.len() {
        true => (0..names.len()).map(Some).collect(),
        false => found,
    }
}

/// Logits become probabilities; all else stays.
fn probabilities(reading: Reading, outputs: Tensor) -> danlu::Result<Tensor> {
    let units = outputs.shape().last().copied().unwrap_or(1).max(1);
    let (Reading::Logits | Reading::Logit, 2, Some(values)) =
        (reading, outputs.shape().len(), outputs.as_f32())
    else {
        return Ok(outputs);
    };
    let mut result = Vec::with_capacity(values.len());
    for row in values.chunks(units) {
        let all = classifier::probabilities(reading, row).unwrap_or_default();
        // A single logit gives two classes, of which the second one's probability says all.
        let own = &all[all.len().saturating_sub(units)..];
        result.extend(own.iter().map(|&value| value as f32));
    }
    Ok(Tensor::from_f32(outputs.shape(), result)?)
}

fn kind(reading: Reading, truth: &Tensor, predicted: &Tensor, names: Option<&[String]>) -> Kind {
    let examples = predicted.shape()[0].max(1);
    let (Some(values), 2) = (predicted.as_f32(), predicted.shape().len()) else {
        return Kind::Other;
    };
    let truth = truth.to_f64();
    let (units, size) = (values.len() / examples, truth.len() / examples);
    if reading == Reading::Numbers {
        return match (units, size) {
            (1, 1) => Kind::Numbers(
                truth
                    .into_iter()
                    .zip(values.iter().map(|&value| f64::from(value)))
                    .collect(),
            ),
            _ => Kind::Other,
        };
    }
    let count = units.max(2);
    let class = |row: &[f64]| match row {
        [value] => (*value >= 0.0 && value.fract() == 0.0).then_some(*value as usize),
        // Several classes at once are no one class.
        row => match (row.iter().sum::<f64>() - 1.0).abs() < 1e-3 {
            true => classifier::largest(row),
            false => None,
        },
    };
    let rows = truth.chunks(size.max(1)).zip(values.chunks(units.max(1)));
    let pairs: Option<Vec<(usize, usize)>> = rows
        .map(|(truth, row)| {
            let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
            let predicted = match row[..] {
                [probability] => usize::from(probability > 0.5),
                _ => classifier::largest(&row)?,
            };
            Some((class(truth)?, predicted))
        })
        .collect();
    let names = names.filter(|names| names.len() == count);
    let names = names.map_or_else(
        || (0..count).map(|class| class.to_string()).collect(),
        <[String]>::to_vec,
    );
    match pairs {
        Some(pairs) => Kind::Classes(names, pairs),
        None => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_f32(shape, values.to_vec()).unwrap()
    }

    #[test]
    fn classes_are_found_in_every_form() {
        let predicted = tensor(&[2, 3], &[0.1, 0.7, 0.2, 0.5, 0.2, 0.3]);
        let expected = [(2, 1), (0, 0)];
        for truth in [
            tensor(&[2], &[2.0, 0.0]),
            tensor(&[2, 1], &[2.0, 0.0]),
            tensor(&[2, 3], &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
        ] {
            let Kind::Classes(names, pairs) =
                kind(Reading::Probabilities, &truth, &predicted, None)
            else {
                panic!("no classes");
            };
            assert_eq!(
                (names, pairs.as_slice()),
                (
                    vec!["0".into(), "1".into(), "2".into()],
                    expected.as_slice()
                )
            );
        }
        let several = tensor(&[2, 3], &[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
        assert!(matches!(
            kind(Reading::Probabilities, &several, &predicted, None),
            Kind::Other
        ));
        let one = probabilities(Reading::Logit, tensor(&[2, 1], &[-1.0, 2.0])).unwrap();
        assert!(one.as_f32().unwrap()[0] < 0.5 && one.as_f32().unwrap()[1] > 0.5);
        let names = ["no".to_owned(), "yes".to_owned()];
        let Kind::Classes(names, pairs) = kind(
            Reading::Logit,
            &tensor(&[2], &[1.0, 1.0]),
            &one,
            Some(&names),
        ) else {
            panic!("no classes");
        };
        assert_eq!(
            (names[1].as_str(), pairs.as_slice()),
            ("yes", [(1, 0), (1, 1)].as_slice())
        );
    }
}
