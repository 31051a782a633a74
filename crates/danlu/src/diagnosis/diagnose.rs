//! The callback that looks at a training once an epoch.

use std::collections::HashSet;
use std::sync::Arc;

use danlu_data::Dataset;
use serde_json::Value;

use super::exploding::Scale;
use super::probe::{Measured, Probe};
use super::{Diagnosis, Finding, Kind, dead_units, exploding, overfitting, plateau, vanishing};
use crate::callbacks::{Callback, CallbackState, Control, EpochLogs, Logs, Note, TrainingStart};
use crate::training::{Data, IntoData};
use crate::{Error, Model, Result};

const NAME: &str = "Diagnose";

/// Looks at one batch at the end of every epoch, beside the training, and says what is wrong, each thing once: exploding and
/// vanishing gradients, dead and saturated units, overfitting, a loss that does not move.
///
/// What it says are [notes](Note), which `fit` shows with its progress; [`found`](Self::found) has them all. A parameter that is not
/// finite ends the training with [`Error::NotFinite`], before callbacks that come later keep such a model.
///
/// The training's numbers are the same, bit for bit, with it and without. A look costs about what a step does, and memory for another step.
pub struct Diagnose {
    dataset: Arc<dyn Dataset>,
    batch_size: usize,
    watch: Option<Watch>,
    losses: Vec<f64>,
    both: Vec<(f64, f64)>,
    said: HashSet<(Kind, Option<String>)>,
    found: Vec<Diagnosis>,
    notes: Vec<Note>,
}

/// What is there once a training has begun.
struct Watch {
    probe: Probe,
    scale: Scale,
}

impl Diagnose {
    /// Looks at examples of this data: what is trained on.
    ///
    /// # Errors
    /// The data is a source of batches, whose examples cannot be had again; arrays do not fit together.
    pub fn new<'a>(data: impl IntoData<'a>) -> Result<Diagnose> {
        let Data::Indexed(dataset) = data.into_data()? else {
            return Err(Error::mismatch(
                "Diagnose's data",
                "a dataset whose examples have numbers",
                "a source of batches",
                "give it some examples as tensors",
            ));
        };
        Ok(Diagnose {
            dataset,
            batch_size: 32,
            watch: None,
            losses: Vec::new(),
            both: Vec::new(),
            said: HashSet::new(),
            found: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Examples that are looked at in an epoch; those of a step are enough. Default 32.
    #[must_use]
    pub fn batch_size(mut self, batch_size: usize) -> Diagnose {
        self.batch_size = batch_size;
        self
    }

    /// What was found so far, in order.
    pub fn found(&self) -> &[Diagnosis] {
        &self.found
    }

    /// Looks at the model before its first step; what is found later is compared with this. `fit` does it where it was not done:
    /// done before, it shows whether there is room for a look.
    ///
    /// # Errors
    /// The model is not compiled, the data does not fit it, or there is no room.
    pub fn begin(&mut self, model: &mut Model) -> Result<()> {
        let mut probe = Probe::new(model, &self.dataset, self.batch_size)?;
        let (inputs, targets) = probe.scales()?;
        let mut scale = Scale {
            inputs,
            targets,
            plain_rate: plain_rate(model),
            ..Scale::default()
        };
        let measured = probe.look(model, 0)?;
        // What a first look shows of dead units or small gradients may be how the model is meant to begin.
        let found = match clips(model) {
            true => None,
            false => exploding::judge(&measured, &scale),
        };
        scale.before = Some(measured);
        self.watch = Some(Watch { probe, scale });
        self.add(found, 0, 0);
        Ok(())
    }

    /// Judges an epoch, counted from 0, after `step` steps of the optimizer.
    fn judge(&mut self, epoch: usize, step: u64, logs: Logs<'_>, model: &mut Model) -> Result<()> {
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        let mut measured = watch.probe.look(model, 0)?;
        let broken = measured.parameters.iter().find(|one| !one.norm.is_finite());
        if let Some(broken) = broken {
            return Err(Error::NotFinite {
                what: broken.name.clone(),
                epoch: epoch + 1,
                step: None,
                value: broken.norm,
                learning_rate: model.learning_rate().unwrap_or(f64::NAN),
                diagnosis: None,
            });
        }
        let mut examples = measured_examples(&watch.probe, 1);
        for number in 1..watch.probe.batches() {
            if !dead_units::suspected(&measured) {
                break;
            }
            dead_units::combine(&mut measured, &watch.probe.look(model, number)?);
            examples = measured_examples(&watch.probe, number + 1);
        }
        let mut found = dead_units::judge(&measured, examples);
        // A layer that lets nothing through is why those before it get no gradient. One that is dead in part is not: where what goes
        // forward fades as well, the biases alone decide which units live.
        let in_part = found.iter().all(|one| one.kind == Kind::DeadUnits);
        if in_part
            && !dead_units::closed(&measured)
            && let Some(fading) = vanishing::judge(&measured)
        {
            found = vec![fading];
        }
        if !clips(model) {
            watch.scale.plain_rate = plain_rate(model);
            found.extend(exploding::judge(&measured, &watch.scale));
        }
        let loss = logs.get("loss").unwrap_or(f64::NAN);
        self.losses.push(loss);
        if let Some(validation) = logs.get("val_loss") {
            self.both.push((loss, validation));
            found.extend(overfitting::judge(&self.both));
        }
        if plateau::stands_still(&self.losses) {
            let accuracy = logs.get("accuracy");
            let only = measured.only_class;
            let probe = &mut watch.probe;
            found.extend(plateau::judge(&self.losses, accuracy, probe, model, only)?);
        }
        self.add(found, epoch + 1, step);
        Ok(())
    }

    fn add(&mut self, found: impl IntoIterator<Item = Finding>, epoch: usize, step: u64) {
        for one in found {
            if !self.said.insert(once(one.kind, one.layer.as_deref())) {
                continue;
            }
            let diagnosis = Diagnosis {
                kind: one.kind,
                layer: one.layer,
                epoch,
                step,
                message: one.message,
                advice: one.advice,
            };
            let note = Note::new(
                NAME,
                epoch.saturating_sub(1),
                format!("warning: {diagnosis}"),
            );
            self.notes.push(Note {
                facts: diagnosis.to_json(),
                ..note
            });
            self.found.push(diagnosis);
        }
    }
}

fn measured_examples(probe: &Probe, batches: usize) -> usize {
    probe.size() * batches
}

/// Whether gradients are clipped: then their size does no harm.
fn clips(model: &Model) -> bool {
    let options = model.optimizer().map(|optimizer| optimizer.options());
    options.is_some_and(|options| options.clipping != crate::optimizers::Clipping::None)
}

/// The learning rate, where a step is that times the gradient.
fn plain_rate(model: &Model) -> Option<f64> {
    let plain = model.optimizer()?.class_name() == "SGD";
    model.learning_rate().filter(|_| plain)
}

/// What is said once: of a gradient that fades or grows from layer to layer, the layer that shows it first is enough.
fn once(kind: Kind, layer: Option<&str>) -> (Kind, Option<String>) {
    let each = !matches!(kind, Kind::ExplodingGradients | Kind::VanishingGradients);
    (kind, layer.filter(|_| each).map(str::to_owned))
}

/// The numbers of a first look that later ones are compared with, the loss first.
fn numbers(measured: &Measured) -> Vec<f64> {
    let gradients = measured.parameters.iter().map(|one| one.gradient);
    std::iter::once(measured.loss).chain(gradients).collect()
}

/// Numbers as text, which comes back as the same bits: JSON has no NaN.
fn texts(numbers: impl IntoIterator<Item = f64>) -> Vec<String> {
    let numbers = numbers.into_iter();
    numbers.map(|number| number.to_string()).collect()
}

impl Callback for Diagnose {
    fn name(&self) -> &str {
        NAME
    }

    fn on_train_begin(&mut self, start: &TrainingStart<'_>, model: &mut Model) -> Result<()> {
        if self.watch.is_none() {
            self.begin(model)?;
        }
        if start.resumed {
            // The model that was looked at is not the one that goes on.
            self.said.clear();
            self.found.clear();
            self.notes.clear();
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        self.judge(epoch.epoch, epoch.iteration, epoch.logs, model)?;
        Ok(Control::Continue)
    }

    fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn state(&self) -> Result<CallbackState> {
        let before = self
            .watch
            .as_ref()
            .and_then(|watch| watch.scale.before.as_ref());
        let both = self
            .both
            .iter()
            .flat_map(|&(loss, validation)| [loss, validation]);
        let found: Vec<_> = self.found.iter().map(Diagnosis::to_json).collect();
        Ok(CallbackState::default()
            .optional()
            .with("losses", texts(self.losses.iter().copied()))
            .with("both", texts(both))
            .with("before", texts(before.map(numbers).unwrap_or_default()))
            .with(
                "found",
                found.into_iter().map(Value::Object).collect::<Value>(),
            ))
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let read = |name: &str| -> Result<Vec<f64>> {
            let texts = state.read(NAME).texts(name)?.unwrap_or_default();
            let numbers = texts.iter().map(|text| text.parse());
            numbers.collect::<Result<_, _>>().map_err(|_| {
                let owner = format!("the saved state of {NAME}");
                Error::argument(owner, name, "numbers as texts", texts.join(", "))
            })
        };
        self.losses = read("losses")?;
        let both = read("both")?;
        self.both = both.chunks_exact(2).map(|two| (two[0], two[1])).collect();
        let before = read("before")?;
        let own = self
            .watch
            .as_mut()
            .and_then(|watch| watch.scale.before.as_mut());
        if let (Some(own), [loss, gradients @ ..]) = (own, before.as_slice()) {
            own.loss = *loss;
            for (one, &gradient) in own.parameters.iter_mut().zip(gradients) {
                one.gradient = gradient;
            }
        }
        let found = state.config.get("found").and_then(Value::as_array);
        let found = found.into_iter().flatten();
        self.found = found.filter_map(Diagnosis::from_json).collect();
        let said = self.found.iter();
        self.said = said
            .map(|one| once(one.kind, one.layer.as_deref()))
            .collect();
        Ok(())
    }
}
