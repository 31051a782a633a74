//! The observer that looks at a training once an epoch.

use std::collections::HashSet;
use std::io::Write as _;
use std::sync::Arc;

use danlu_data::Dataset;

use super::exploding::Scale;
use super::probe::Probe;
use super::{Diagnosis, Finding, Kind, dead_units, exploding, overfitting, plateau, vanishing};
use crate::training::{Control, Data, EpochLogs, IntoData, Logs, Observer};
use crate::{Error, Model, Result};

/// Looks at one batch at the end of every epoch, beside the training, and says what is wrong, each thing once: exploding and
/// vanishing gradients, dead and saturated units, overfitting, a loss that does not move.
///
/// The training's numbers are the same, bit for bit, with it and without. A look costs about what a step does, and memory for another step.
pub struct Diagnose {
    dataset: Arc<dyn Dataset>,
    batch_size: usize,
    verbose: bool,
    watch: Option<Watch>,
    losses: Vec<f64>,
    both: Vec<(f64, f64)>,
    said: HashSet<(Kind, Option<String>)>,
    found: Vec<Diagnosis>,
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
            verbose: false,
            watch: None,
            losses: Vec::new(),
            both: Vec::new(),
            said: HashSet::new(),
            found: Vec::new(),
        })
    }

    /// Examples that are looked at in an epoch; those of a step are enough. Default 32.
    #[must_use]
    pub fn batch_size(mut self, batch_size: usize) -> Diagnose {
        self.batch_size = batch_size;
        self
    }

    /// Whether what is found is written to stderr at once, a line each. Default `false`.
    #[must_use]
    pub fn verbose(mut self, verbose: bool) -> Diagnose {
        self.verbose = verbose;
        self
    }

    /// What was found so far, in order.
    pub fn found(&self) -> &[Diagnosis] {
        &self.found
    }

    /// Looks at the model before its first step; what is found later is compared with this.
    ///
    /// # Errors
    /// The model is not compiled, or the data does not fit it.
    pub fn begin(&mut self, model: &mut Model) -> Result<&[Diagnosis]> {
        let already = self.found.len();
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
        Ok(&self.found[already..])
    }

    /// Judges an epoch, counted from 0, after `step` steps of the optimizer.
    ///
    /// # Errors
    /// A parameter is not finite any more: [`Error::NotFinite`].
    pub fn judge(
        &mut self,
        epoch: usize,
        step: u64,
        logs: Logs<'_>,
        model: &mut Model,
    ) -> Result<&[Diagnosis]> {
        let already = self.found.len();
        if self.watch.is_none() {
            self.begin(model)?;
        }
        let Some(watch) = &mut self.watch else {
            return Ok(&[]);
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
        // A layer that lets nothing through is why those before it get no gradient.
        if found.is_empty() {
            found.extend(vanishing::judge(&measured));
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
        Ok(&self.found[already..])
    }

    fn add(&mut self, found: impl IntoIterator<Item = Finding>, epoch: usize, step: u64) {
        for one in found {
            // Of a gradient that fades or grows from layer to layer, the layer that shows it first is enough.
            let layer = match one.kind {
                Kind::ExplodingGradients | Kind::VanishingGradients => None,
                _ => one.layer.clone(),
            };
            if !self.said.insert((one.kind, layer)) {
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
            if self.verbose {
                // Where it cannot be said there is nobody to tell.
                let _ = writeln!(std::io::stderr().lock(), "warning: {diagnosis}");
            }
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

impl Observer for Diagnose {
    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        self.judge(epoch.epoch, epoch.iteration, epoch.logs, model)?;
        Ok(Control::Continue)
    }
}
