//! Loss and metrics on data, without training.

use crate::callbacks::{CallbackList, Pass};
use crate::{Model, Result};

use super::feed::Feed;
use super::program::Mode;
use super::step::Stepper;
use super::{Control, EvaluateOptions, IntoData, Phase, Results};

impl Model {
    /// Loss and metrics on data: means over all examples.
    ///
    /// # Errors
    /// The model is not compiled, the data does not fit it, or a label is no class.
    pub fn evaluate<'a>(
        &mut self,
        data: impl IntoData<'a>,
        options: EvaluateOptions<'a>,
    ) -> Result<Results> {
        options.check()?;
        self.require_compiled("evaluate")?;
        let mut feed = Feed::new(data.into_data()?, options.batch_size, None)?;
        let signature = feed.signature(self, Mode::Test, "evaluate")?;
        let mut stepper = self.stepper(signature, &feed, 0)?;
        let mut callbacks = CallbackList::new(options.callbacks);
        let phase = (Phase::Evaluation, 0);
        let steps = options.steps;
        self.test_pass(&mut feed, &mut stepper, steps, phase, &mut callbacks)?;
        Ok(self.running_logs().into())
    }

    /// Checks that [`evaluate`](Self::evaluate) could take this data, without running anything.
    ///
    /// # Errors
    /// The model is not compiled, or the data does not fit it or its loss.
    pub fn check_evaluate<'a>(&mut self, data: impl IntoData<'a>) -> Result<()> {
        self.require_compiled("evaluate")?;
        let feed = Feed::new(data.into_data()?, 1, None)?;
        let signature = feed.signature(self, Mode::Test, "evaluate")?;
        self.stepper(signature, &feed, 0).map(drop)
    }

    /// One pass of test steps; the results are the running means.
    pub(super) fn test_pass(
        &mut self,
        feed: &mut Feed,
        stepper: &mut Stepper,
        limit: Option<usize>,
        (phase, epoch): (Phase, usize),
        callbacks: &mut CallbackList<'_>,
    ) -> Result<Control> {
        callbacks.test_begin(phase, self)?;
        self.reset_metrics();
        feed.begin(0)?;
        let pass = Pass {
            phase,
            epoch,
            steps: limit.or(feed.steps()),
            iteration: self.iteration()?,
        };
        let mut control = Control::Continue;
        let (mut step, mut examples) = (0, 0);
        while limit != Some(step) {
            let Some(place) = feed.next()? else {
                break;
            };
            let batch = feed.batch(place);
            let count = batch.len();
            let plan = stepper.run(self, batch, feed.weights(place), examples, feed.indices())?;
            stepper.add_up(self, plan);
            step += 1;
            examples += count;
            control = callbacks.batch_end(pass, step, count, self)?;
            if control != Control::Continue {
                break;
            }
        }
        if step == 0 {
            let subject = feed.specification().name.clone();
            return Err(danlu_data::Error::Empty { subject }.into());
        }
        callbacks.test_end(phase, self)?;
        Ok(control)
    }
}
