//! Outputs for inputs.

use danlu_graph::Tensor;

use crate::callbacks::{CallbackList, Pass};
use crate::{Error, Model, Result};

use super::feed::Feed;
use super::program::Mode;
use super::step::Stepper;
use super::{Control, IntoData, Phase, PredictOptions};

impl Model {
    /// The model's outputs: f32 `(examples, ...)`. Targets in the data are not looked at. An example's output does not
    /// depend on the batch that it stands in. A callback that stops it gets the outputs so far.
    ///
    /// # Errors
    /// The data does not fit the model; the model has several outputs, which
    /// [`predict_outputs`](Self::predict_outputs) gives.
    pub fn predict<'a>(
        &mut self,
        data: impl IntoData<'a>,
        options: PredictOptions<'a>,
    ) -> Result<Tensor> {
        if self.outputs.len() > 1 {
            return Err(Error::mismatch(
                "predict",
                "a model of one output",
                format!("outputs {}", self.output_names().join(", ")),
                "use predict_outputs",
            ));
        }
        let mut outputs = self.predict_outputs(data, options)?;
        Ok(outputs.swap_remove(0))
    }

    /// As [`predict`](Self::predict), for a model of any number of outputs: one tensor for each, in order.
    ///
    /// # Errors
    /// The data does not fit the model.
    pub fn predict_outputs<'a>(
        &mut self,
        data: impl IntoData<'a>,
        options: PredictOptions<'a>,
    ) -> Result<Vec<Tensor>> {
        options.check()?;
        let mut feed = Feed::new(data.into_data()?, options.batch_size, None)?;
        let signature = feed.signature(self, Mode::Predict, "predict")?;
        let arrangement = feed.arrangement(self, Mode::Predict, "predict")?;
        let name = feed.specification().name.clone();
        let mut stepper = Stepper::new(self, signature, arrangement, &name, 0)?;
        let mut callbacks = CallbackList::new(options.callbacks);
        callbacks.test_begin(Phase::Prediction, self)?;
        let outputs = self.output_shapes().unwrap_or_default();
        let known = feed.examples().unwrap_or(0);
        let room =
            |output: &Vec<usize>| Vec::with_capacity(known * output.iter().product::<usize>());
        let mut values: Vec<Vec<f32>> = outputs.iter().map(room).collect();
        feed.begin(0)?;
        let pass = Pass {
            phase: Phase::Prediction,
            epoch: 0,
            steps: options.steps.or(feed.steps()),
            iteration: self.iteration()?,
        };
        let (mut step, mut examples) = (0, 0);
        while options.steps != Some(step) {
            let Some(place) = feed.next()? else {
                break;
            };
            let batch = feed.batch(place);
            let count = batch.len();
            let plan = stepper.run(self, batch, None, examples, None)?;
            for (values, output) in values.iter_mut().zip(&self.plans.get(plan).outputs) {
                match output.as_f32() {
                    Some(part) => values.extend_from_slice(part),
                    None => values.extend(output.to_f64().into_iter().map(|value| value as f32)),
                }
            }
            step += 1;
            examples += count;
            if callbacks.batch_end(pass, step, count, self)? != Control::Continue {
                break;
            }
        }
        callbacks.test_end(Phase::Prediction, self)?;
        let tensor = |(example, values): (Vec<usize>, Vec<f32>)| {
            let mut shape = vec![examples];
            shape.extend(example);
            Ok(Tensor::from_f32(&shape, values)?)
        };
        outputs.into_iter().zip(values).map(tensor).collect()
    }
}
