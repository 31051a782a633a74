//! Training.

use std::path::PathBuf;
use std::sync::Arc;

use crate::callbacks::{Callback, CallbackList, GRADIENT_NORM, LEARNING_RATE, Pass, Setup};
use crate::diagnosis::data_fault;
use crate::{Error, Model, Result};

use super::feed::{Feed, split};
use super::program::{Mode, Signature};
use super::step::Stepper;
use super::{
    Control, Data, EpochLogs, FitOptions, History, IntoData, Logs, Phase, Progress, TrainingStart,
    TrainingState,
};

/// A training: what is fixed for the whole of it, and how far it is.
pub(super) struct Run<'a> {
    pub epochs: usize,
    pub steps: Option<usize>,
    validation_freq: usize,
    validation_steps: Option<usize>,
    pub training: Feed<'a>,
    pub stepper: Stepper,
    validation: Option<(Feed<'a>, Stepper)>,
    folder: Option<PathBuf>,
    pub callbacks: CallbackList<'a>,
    /// Whether one of them sets the learning rate, which is in the logs then.
    sets_learning_rate: bool,
    /// What it goes on from.
    pub resume: Option<Arc<TrainingState>>,
    pub progress: Progressed,
    pub history: History,
}

/// A learning rate that a training took at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRateSet {
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// The steps of the epoch before it.
    pub step: usize,
    /// The rate of this step and those that follow.
    pub learning_rate: f64,
}

/// How far a training is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progressed {
    /// Epochs that were finished.
    pub epoch: usize,
    /// Steps and examples of the next one.
    pub step: usize,
    pub examples: usize,
    /// Whether a callback took the training for done.
    pub done: bool,
}

impl Run<'_> {
    /// The next batch of the epoch; data that ends before the epoch does begins again. `None` where the epoch has no more.
    pub fn next_batch(&mut self) -> Result<Option<usize>> {
        if self.steps == Some(self.progress.step) {
            return Ok(None);
        }
        let place = self.training.next()?;
        if place.is_some() || self.steps.is_none() {
            return Ok(place);
        }
        self.training.wrap()?;
        self.training.next()
    }
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
    /// becomes infinite or NaN; what a callback reports.
    pub fn fit<'a>(&mut self, data: impl IntoData<'a>, options: FitOptions<'a>) -> Result<History> {
        options.check()?;
        self.require_compiled("fit")?;
        let run = self.prepare_run(data.into_data()?, options)?;
        self.run_epochs(run)
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
        let mut callbacks: Vec<Box<dyn Callback + 'a>> = Vec::new();
        if options.verbose {
            callbacks.push(Box::new(Progress::stderr()));
        }
        if let Some(early_stopping) = options.early_stopping {
            callbacks.push(Box::new(early_stopping));
        }
        callbacks.extend(options.callbacks);
        let shuffle = options.shuffle.then_some(seed);
        let training = Feed::new(data, options.batch_size, shuffle)?
            .with_class_weight(options.class_weight)?;
        let mut signature = training.signature(self, Mode::Train, "fit")?;
        let mut wanting = callbacks.iter();
        signature.gradient_norm = wanting.any(|callback| callback.wants_gradient_norm());
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
        let sets_learning_rate = callbacks
            .iter()
            .any(|callback| callback.sets_learning_rate());
        let added = [
            stepper.signature.gradient_norm.then_some(GRADIENT_NORM),
            sets_learning_rate.then_some(LEARNING_RATE),
        ];
        let added: Vec<&str> = added.into_iter().flatten().collect();
        let setup = Setup::new(self, validation.is_some(), &added);
        for callback in &mut callbacks {
            callback.check(&setup)?;
        }
        self.ensure_optimizer_state("fit")?;
        let initial_epoch = match &options.resume {
            Some(state) => state.epoch(),
            None => options.initial_epoch,
        };
        Ok(Run {
            epochs: options.epochs,
            steps: options.steps_per_epoch,
            validation_freq: options.validation_freq,
            validation_steps: options.validation_steps,
            training,
            stepper,
            validation,
            folder: options.folder,
            callbacks: CallbackList::new(callbacks),
            sets_learning_rate,
            resume: options.resume,
            progress: Progressed {
                epoch: initial_epoch,
                ..Progressed::default()
            },
            history: History::default(),
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

    fn run_epochs(&mut self, mut run: Run) -> Result<History> {
        // In the middle of an epoch: such a training is to be gone on with, so averages do not take the parameters' place.
        let mut interrupted = false;
        if run.resume.is_none()
            && let Some(state) = run.callbacks.saved_state(run.folder.as_deref())?
        {
            run.progress.epoch = state.epoch();
            run.resume = Some(Arc::new(state));
        }
        if let Some(compiled) = &mut self.compiled {
            compiled.learning_rates.clear();
        }
        let start = TrainingStart {
            initial_epoch: run.progress.epoch,
            epochs: run.epochs,
            steps: run.steps.or(run.training.steps()),
            examples: run.training.examples(),
            validation_examples: run
                .validation
                .as_ref()
                .and_then(|(feed, _)| feed.examples()),
            folder: run.folder.as_deref(),
            resumed: run.resume.is_some(),
        };
        run.callbacks.train_begin(&start, self)?;
        if let Some(state) = run.resume.take() {
            self.go_on(&mut run, &state)?;
        }
        let mut trained = self.metric_names();
        let validated: Vec<String> = trained.iter().map(|name| format!("val_{name}")).collect();
        if run.stepper.signature.gradient_norm {
            trained.push(GRADIENT_NORM.to_owned());
        }
        while run.progress.epoch < run.epochs && !run.progress.done {
            let epoch = run.progress.epoch;
            if run.progress.step == 0 {
                run.callbacks.epoch_begin(epoch, self)?;
            }
            match self.train_epoch(&mut run)? {
                Control::Continue => {}
                control => {
                    interrupted = control == Control::Stop;
                    run.history.stopped = interrupted;
                    break;
                }
            }
            let mut names = trained.clone();
            let mut values = self.running_logs().values.to_vec();
            let compiled = self.compiled.as_ref();
            values.extend(compiled.and_then(|compiled| compiled.running.gradient_norm()));
            let mut control = Control::Continue;
            let validate = (epoch + 1).is_multiple_of(run.validation_freq);
            if let Some((feed, stepper)) = run.validation.as_mut().filter(|_| validate) {
                let phase = (Phase::Validation, epoch);
                let steps = run.validation_steps;
                let sums = self.running_state();
                control = self.test_pass(feed, stepper, steps, phase, &mut run.callbacks)?;
                if control == Control::Stop {
                    // The epoch is not finished: gone on with, it validates anew.
                    self.restore_running(&sums)?;
                    self.offer_state(&mut run)?;
                    interrupted = true;
                    run.history.stopped = true;
                    break;
                }
                // A validation that was cut short says nothing.
                if control != Control::Finish {
                    names.extend_from_slice(&validated);
                    values.extend_from_slice(self.running_logs().values);
                }
            }
            if let Some(rate) = self.learning_rate().filter(|_| run.sets_learning_rate) {
                names.push(LEARNING_RATE.to_owned());
                values.push(rate);
            }
            let logs = Logs {
                names: &names,
                values: &values,
            };
            run.history.push(epoch, logs);
            let report = EpochLogs {
                epoch,
                epochs: run.epochs,
                logs,
                iteration: self.iteration()?,
                improved: None,
            };
            let asked = run.callbacks.epoch_end(&report, self)?;
            run.progress = Progressed {
                epoch: epoch + 1,
                done: control == Control::Finish || asked == Control::Finish,
                ..Progressed::default()
            };
            self.offer_state(&mut run)?;
            if asked == Control::Stop {
                run.history.stopped = epoch + 1 < run.epochs;
                break;
            }
        }
        if !interrupted {
            self.take_averages()?;
        }
        run.callbacks.train_end(&mut run.history, self)?;
        Ok(run.history)
    }

    /// The training steps of an epoch, or those that are left of it.
    fn train_epoch(&mut self, run: &mut Run) -> Result<Control> {
        let epoch = run.progress.epoch;
        if run.progress.step == 0 {
            self.reset_metrics();
            run.training.begin(epoch as u64)?;
        }
        let pass = Pass {
            phase: Phase::Training,
            epoch,
            steps: run.steps.or(run.training.steps()),
            iteration: self.iteration()?.saturating_sub(run.progress.step as u64),
        };
        while let Some(place) = run.next_batch()? {
            let batch = run.training.batch(place);
            let count = batch.len();
            let weights = run.training.weights(place);
            let indices = run.training.indices();
            let examples = run.progress.examples;
            self.note_learning_rate(epoch, run.progress.step);
            let plan = run.stepper.run(self, batch, weights, examples, indices)?;
            let loss = run.stepper.add_up(self, plan);
            let at = (epoch + 1, run.progress.step + 1);
            let broken = (!loss.is_finite()).then(|| {
                let specification = run.training.specification();
                let fault = data_fault(batch, specification, weights, examples, indices, at);
                Error::NotFinite {
                    what: "the loss".to_owned(),
                    epoch: at.0,
                    step: Some(at.1),
                    value: loss,
                    learning_rate: self.learning_rate().unwrap_or(f64::NAN),
                    diagnosis: fault.map(Box::new),
                }
            });
            run.progress.step += 1;
            run.progress.examples += count;
            let step = run.progress.step;
            let control = run.callbacks.batch_end(pass, step, count, self)?;
            if broken.is_none() {
                self.offer_state(run)?;
            }
            if control != Control::Continue {
                return Ok(control);
            }
            if let Some(broken) = broken {
                return Err(broken);
            }
        }
        if run.progress.step == 0 {
            let subject = run.training.specification().name.clone();
            return Err(danlu_data::Error::Empty { subject }.into());
        }
        if run.steps.is_some() {
            run.training.pause();
        }
        Ok(Control::Continue)
    }

    /// Keeps the learning rate of the next step, where it is another than before.
    fn note_learning_rate(&mut self, epoch: usize, step: usize) {
        let Some(compiled) = &mut self.compiled else {
            return;
        };
        let learning_rate = compiled.learning_rate;
        let last = compiled.learning_rates.last();
        if last.is_none_or(|last| last.learning_rate != learning_rate) {
            compiled.learning_rates.push(LearningRateSet {
                epoch,
                step,
                learning_rate,
            });
        }
    }

    /// The learning rates of the last `fit`, where they are numbers: that of its first step, and those that callbacks set on the way. For
    /// [`find_non_finite`](Self::find_non_finite), which calls no callbacks.
    pub fn learning_rates(&self) -> &[LearningRateSet] {
        match &self.compiled {
            Some(compiled) => &compiled.learning_rates,
            None => &[],
        }
    }

    pub(crate) fn running_logs(&self) -> Logs<'_> {
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
