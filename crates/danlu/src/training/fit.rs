//! Training.

use std::sync::Arc;

use crate::diagnosis::data_fault;
use crate::optimizers::average_name;
use crate::{Error, Model, Result};

use super::early_stopping::Watch;
use super::feed::{Feed, split};
use super::observer::Silent;
use super::program::{Mode, Signature};
use super::step::Stepper;
use super::{
    Control, Data, EpochLogs, FitOptions, History, IntoData, Logs, Observer, Phase, Progress,
    StepLogs, TrainingStart,
};

/// What is fixed for the whole of a training.
pub(super) struct Run<'a> {
    pub initial_epoch: usize,
    pub epochs: usize,
    pub steps: Option<usize>,
    validation_freq: usize,
    validation_steps: Option<usize>,
    pub training: Feed<'a>,
    pub stepper: Stepper,
    validation: Option<(Feed<'a>, Stepper)>,
    early_stopping: Option<Watch>,
}

impl Model {
    /// Trains on data: `(x, y)` tensors, a dataset, or a source of batches.
    ///
    /// As Keras' `fit`: loss and metrics of an epoch are means over its examples as they were seen; the last, shorter
    /// batch is used; validation data is never shuffled. Everything random (shuffling, dropout) depends on the seed, the
    /// epoch and the optimizer's iteration alone. After an error the parameters are as the last step left them.
    ///
    /// # Errors
    /// The model is not compiled; options or data are no good (nothing has changed then); a label is no class; the loss
    /// becomes infinite or NaN; what an observer reports.
    pub fn fit<'a>(&mut self, data: impl IntoData<'a>, options: FitOptions<'a>) -> Result<History> {
        options.check()?;
        self.require_compiled("fit")?;
        let verbose = options.verbose;
        let mut options = options;
        let mut progress = Progress::stderr();
        let mut silent = Silent;
        let given = options.observer.take();
        let run = self.prepare_run(data.into_data()?, options)?;
        let observer: &mut dyn Observer = match given {
            Some(observer) => observer,
            None if verbose => &mut progress,
            None => &mut silent,
        };
        self.run_epochs(run, observer)
    }

    /// Checks what [`fit`](Self::fit) would check before its first step: options, the validation split, that targets fit
    /// the loss, and that there is memory for a batch. Costs little; `fit` finds the programs and plans ready.
    ///
    /// # Errors
    /// What [`fit`](Self::fit) would report before its first step.
    pub fn check_fit<'a>(
        &mut self,
        data: impl IntoData<'a>,
        options: FitOptions<'a>,
    ) -> Result<()> {
        options.check()?;
        self.require_compiled("fit")?;
        let batch_size = options.batch_size;
        let run = self.prepare_run(data.into_data()?, options)?;
        let mut plan = |stepper: &Stepper, examples: Option<usize>| {
            let batch = batch_size.min(examples.unwrap_or(batch_size));
            self.plan(&stepper.signature, batch).map(drop)
        };
        plan(&run.stepper, run.training.examples())?;
        if let Some((feed, stepper)) = &run.validation {
            plan(stepper, feed.examples())?;
        }
        Ok(())
    }

    pub(super) fn prepare_run<'a>(
        &mut self,
        data: Data<'a>,
        options: FitOptions<'a>,
    ) -> Result<Run<'a>> {
        let seed = options.seed.unwrap_or(self.seed);
        let (data, validation) = match (data, options.validation_data) {
            (data, Some(validation)) => (data, Some(validation?)),
            (Data::Indexed(dataset), None) if options.validation_split > 0.0 => {
                let (training, validation) = split(dataset, options.validation_split)?;
                (training, Some(validation))
            }
            (Data::Stream(_), None) if options.validation_split > 0.0 => {
                return Err(Error::mismatch(
                    "fit's validation_split",
                    "a dataset whose examples have numbers",
                    "a source of batches",
                    "give validation_data instead",
                ));
            }
            (data, None) => (data, None),
        };
        let shuffle = options.shuffle.then_some(seed);
        let training = Feed::new(data, options.batch_size, shuffle)?
            .with_class_weight(options.class_weight)?;
        let signature = training.signature(self, Mode::Train, "fit")?;
        let stepper = self.stepper(signature, &training, seed)?;
        let validation = match validation {
            None => None,
            Some(data) => {
                let batch_size = options.validation_batch_size.unwrap_or(options.batch_size);
                let feed = Feed::new(data, batch_size, None)?;
                let signature = feed.signature(self, Mode::Test, "fit")?;
                let stepper = self.stepper(signature, &feed, seed)?;
                Some((feed, stepper))
            }
        };
        let early_stopping = match options.early_stopping {
            None => None,
            Some(options) => {
                let compiled = self.require_compiled("fit")?;
                Some(options.watch(compiled, validation.is_some())?)
            }
        };
        self.ensure_optimizer_state("fit")?;
        Ok(Run {
            initial_epoch: options.initial_epoch,
            epochs: options.epochs,
            steps: options.steps_per_epoch,
            validation_freq: options.validation_freq,
            validation_steps: options.validation_steps,
            training,
            stepper,
            validation,
            early_stopping,
        })
    }

    /// A stepper whose program could be made: targets that do not fit the loss are found before anything runs.
    pub(crate) fn stepper(
        &mut self,
        signature: Signature,
        feed: &Feed,
        seed: u64,
    ) -> Result<Stepper> {
        self.step_program(&signature)?;
        let arrangement = feed.arrangement(self, signature.mode, "fit")?;
        let name = &feed.specification().name;
        Stepper::new(self, signature, arrangement, name, seed)
    }

    fn run_epochs(&mut self, mut run: Run, observer: &mut dyn Observer) -> Result<History> {
        let mut history = History::default();
        // In the middle of an epoch: such a training is to be gone on with, so averages do not take the parameters' place.
        let mut interrupted = false;
        for warning in &self.warnings {
            observer.on_warning(warning);
        }
        observer.on_train_begin(&TrainingStart {
            initial_epoch: run.initial_epoch,
            epochs: run.epochs,
            steps: run.steps.or(run.training.steps()),
            examples: run.training.examples(),
            validation_examples: run
                .validation
                .as_ref()
                .and_then(|(feed, _)| feed.examples()),
        });
        let mut names = self.metric_names();
        let plain = names.len();
        names.extend(self.metric_names().iter().map(|name| format!("val_{name}")));
        for epoch in run.initial_epoch..run.epochs {
            observer.on_epoch_begin(epoch);
            let control = self.train_epoch(&mut run, epoch, observer)?;
            if control == Control::Stop {
                history.stopped = true;
                interrupted = true;
                break;
            }
            let mut values = self.running_logs().values.to_vec();
            let mut control = Control::Continue;
            let validate = (epoch + 1).is_multiple_of(run.validation_freq);
            if let Some((feed, stepper)) = run.validation.as_mut().filter(|_| validate) {
                let phase = (Phase::Validation, epoch);
                control = self.test_pass(feed, stepper, run.validation_steps, phase, observer)?;
                values.extend_from_slice(self.running_logs().values);
            }
            if control == Control::Stop {
                interrupted = true;
                // A validation that was cut short says nothing.
                values.truncate(plain);
            }
            let logs = Logs {
                names: &names[..values.len()],
                values: &values,
            };
            history.push(epoch, logs);
            let improved = match &mut run.early_stopping {
                Some(watch) => {
                    let value = logs.get(watch.monitor());
                    Some(watch.epoch_ended(epoch, value, self)?)
                }
                None => None,
            };
            let report = EpochLogs {
                epoch,
                epochs: run.epochs,
                logs,
                iteration: self.iteration()?,
                improved,
            };
            let asked = observer.on_epoch_end(&report, self)?;
            if control == Control::Stop || asked == Control::Stop {
                history.stopped = epoch + 1 < run.epochs;
                break;
            }
            if run.early_stopping.as_ref().is_some_and(Watch::has_stopped) {
                break;
            }
        }
        if let Some(watch) = run.early_stopping.take() {
            history.early_stopping = Some(watch.end(self)?);
        }
        if !interrupted {
            self.take_averages()?;
        }
        observer.on_train_end(&history);
        Ok(history)
    }

    fn train_epoch(
        &mut self,
        run: &mut Run,
        epoch: usize,
        observer: &mut dyn Observer,
    ) -> Result<Control> {
        self.reset_metrics();
        run.training.begin(epoch as u64)?;
        let steps = run.steps.or(run.training.steps());
        let (mut step, mut examples) = (0, 0);
        let mut wrapped = false;
        while run.steps != Some(step) {
            let Some(place) = run.training.next()? else {
                if run.steps.is_none() || wrapped {
                    break;
                }
                run.training.wrap()?;
                wrapped = true;
                continue;
            };
            wrapped = false;
            let batch = run.training.batch(place);
            let count = batch.len();
            let weights = run.training.weights(place);
            let indices = run.training.indices();
            let plan = run.stepper.run(self, batch, weights, examples, indices)?;
            let loss = run.stepper.add_up(self, plan);
            step += 1;
            examples += count;
            if !loss.is_finite() {
                let before = examples - count;
                let specification = run.training.specification();
                let at = (epoch + 1, step);
                let fault = data_fault(batch, specification, weights, before, indices, at);
                return Err(Error::NotFinite {
                    what: "the loss".to_owned(),
                    epoch: epoch + 1,
                    step: Some(step),
                    value: loss,
                    learning_rate: self.learning_rate().unwrap_or(f64::NAN),
                    diagnosis: fault.map(Box::new),
                });
            }
            let control = observer.on_batch_end(&StepLogs {
                phase: Phase::Training,
                epoch,
                step,
                steps,
                examples: count,
                logs: self.running_logs(),
            });
            if control == Control::Stop {
                return Ok(Control::Stop);
            }
        }
        if step == 0 {
            let subject = run.training.specification().name.clone();
            return Err(danlu_data::Error::Empty { subject }.into());
        }
        if run.steps.is_some() {
            run.training.pause();
        }
        Ok(Control::Continue)
    }

    /// Puts the moving averages of the parameters in their place, where the optimizer keeps any (`use_ema`), as `fit` does
    /// when it ends.
    ///
    /// # Errors
    /// The executor cannot give or take a state.
    fn take_averages(&mut self) -> Result<()> {
        let averages =
            |compiled: &super::Compiled| compiled.has_state && compiled.optimizer.options().use_ema;
        if !self.compiled.as_ref().is_some_and(averages) {
            return Ok(());
        }
        let trained = self.trained();
        let executor = self.executor()?;
        for parameter in trained {
            let average = executor.read_state(&average_name(&parameter.name))?;
            executor.write_state(&parameter.name, &average)?;
        }
        Ok(())
    }

    pub(super) fn running_logs(&self) -> Logs<'_> {
        match &self.compiled {
            Some(compiled) => compiled.running.logs(),
            None => Logs {
                names: &[],
                values: &[],
            },
        }
    }

    /// Begins the running means of loss and metrics anew. `fit`, `evaluate` and the methods on a batch do it themselves.
    pub fn reset_metrics(&mut self) {
        if let Some(compiled) = &mut self.compiled {
            compiled.running.reset();
        }
    }
}

/// One array of examples, as `fit` takes it.
pub(super) fn indexed(dataset: danlu_data::ArrayDataset) -> Data<'static> {
    Data::Indexed(Arc::new(dataset))
}
