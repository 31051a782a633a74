//! Outputs for inputs.

use danlu_graph::Tensor;

use crate::{Model, Result};

use super::feed::Feed;
use super::observer::Silent;
use super::program::Mode;
use super::step::Stepper;
use super::{Control, IntoData, Logs, Phase, PredictOptions, StepLogs};

impl Model {
    /// The model's outputs: f32 `(examples, ...)`. Targets in the data are not looked at. An example's output does not
    /// depend on the batch that it stands in. An observer that stops gets the outputs so far.
    ///
    /// # Errors
    /// The data does not fit the model.
    pub fn predict<'a>(
        &mut self,
        data: impl IntoData<'a>,
        options: PredictOptions<'a>,
    ) -> Result<Tensor> {
        options.check()?;
        let mut feed = Feed::new(data.into_data()?, options.batch_size, None)?;
        let signature = feed.signature(self, Mode::Predict, "predict")?;
        let name = feed.specification().name.clone();
        let mut stepper = Stepper::new(self, signature, &name, 0)?;
        let mut silent = Silent;
        let observer = options.observer.unwrap_or(&mut silent);
        let example = self.output_shape().unwrap_or_default();
        let width: usize = example.iter().product();
        let mut values: Vec<f32> = Vec::with_capacity(feed.examples().unwrap_or(0) * width);
        feed.begin(0)?;
        let steps = options.steps.or(feed.steps());
        let (mut step, mut examples) = (0, 0);
        while options.steps != Some(step) {
            let Some(place) = feed.next()? else {
                break;
            };
            let batch = feed.batch(place);
            let count = batch.len();
            let plan = stepper.run(self, batch, None, examples, None)?;
            let output = &self.plans.get(plan).outputs[0];
            match output.as_f32() {
                Some(part) => values.extend_from_slice(part),
                None => values.extend(output.to_f64().into_iter().map(|value| value as f32)),
            }
            step += 1;
            examples += count;
            let control = observer.on_batch_end(&StepLogs {
                phase: Phase::Prediction,
                epoch: 0,
                step,
                steps,
                examples: count,
                logs: Logs {
                    names: &[],
                    values: &[],
                },
            });
            if control == Control::Stop {
                break;
            }
        }
        let mut shape = vec![examples];
        shape.extend(example);
        Ok(Tensor::from_f32(&shape, values)?)
    }
}
