//! Batches for a pass, in memory that is used again.

use std::sync::Arc;

use danlu_data::{Batch, BatchSource, Batches, Dataset, Specification};
use danlu_graph::{DType, Tensor};

use crate::{Error, Model, Result};

use super::Data;
use super::arrangement::Arrangement;
use super::program::{Mode, Signature};

enum Source<'a> {
    Indexed(Batches),
    Stream(&'a mut dyn BatchSource),
}

/// Where a pass gets its batches: full ones and the last, shorter one each have their own memory.
pub(crate) struct Feed<'a> {
    source: Source<'a>,
    specification: Specification,
    batch_size: usize,
    slots: [Slot; 2],
    class_weight: Option<Vec<f32>>,
    place: FeedPlace,
}

/// Where a [`Feed`] stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FeedPlace {
    /// The pass over the data, counted from 0: what its order depends on.
    pub pass: u64,
    /// Batches that were given in it.
    pub batches: usize,
    /// Whether the last epoch was cut short, so that the next goes on in its pass.
    pub goes_on: bool,
    /// The pass that follows where the data ends before an epoch does.
    pub next: u64,
}

#[derive(Default)]
struct Slot {
    batch: Batch,
    class_weights: Option<Tensor>,
}

impl<'a> Feed<'a> {
    /// Batches of this size, shuffled with the seed where there is one.
    pub fn new(data: Data<'a>, batch_size: usize, seed: Option<u64>) -> Result<Feed<'a>> {
        let (source, specification) = match data {
            Data::Indexed(dataset) => {
                let specification = dataset.specification().clone();
                if dataset.is_empty() {
                    let subject = specification.name;
                    return Err(danlu_data::Error::Empty { subject }.into());
                }
                (
                    Source::Indexed(Batches::new(dataset, batch_size, seed)?),
                    specification,
                )
            }
            Data::Stream(source) => {
                let specification = source.specification().clone();
                (Source::Stream(source), specification)
            }
        };
        Ok(Feed {
            source,
            specification,
            batch_size,
            slots: Default::default(),
            class_weight: None,
            place: FeedPlace::default(),
        })
    }

    /// The same batches, with each example weighted by its class.
    pub fn with_class_weight(mut self, class_weight: Option<Vec<f32>>) -> Result<Feed<'a>> {
        if class_weight.is_some() && self.specification.targets.len() != 1 {
            return Err(Error::mismatch(
                "fit's class_weight",
                "one target of class indices",
                format!("{} targets", self.specification.targets.len()),
                "",
            ));
        }
        self.class_weight = class_weight;
        Ok(self)
    }

    pub fn specification(&self) -> &Specification {
        &self.specification
    }

    /// Steps of a pass, where known.
    pub fn steps(&self) -> Option<usize> {
        match &self.source {
            Source::Indexed(batches) => batches.batches_per_pass(),
            Source::Stream(source) => source.batches_per_pass(),
        }
    }

    /// Number of examples, where known.
    pub fn examples(&self) -> Option<usize> {
        match &self.source {
            Source::Indexed(batches) => Some(batches.dataset().len()),
            Source::Stream(_) => None,
        }
    }

    /// Examples of a batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Where it stands.
    pub fn place(&self) -> FeedPlace {
        self.place
    }

    /// Goes to a place from the start.
    pub fn seek(&mut self, place: FeedPlace) -> Result<()> {
        match &mut self.source {
            Source::Indexed(batches) => batches.seek(place.pass, place.batches)?,
            Source::Stream(source) => source.seek(place.pass, place.batches)?,
        }
        self.place = place;
        Ok(())
    }

    /// Begins a pass, or, after one that was cut short, goes on with it.
    pub fn begin(&mut self, pass: u64) -> Result<()> {
        if std::mem::take(&mut self.place.goes_on) {
            return Ok(());
        }
        let place = &mut self.place;
        match &mut self.source {
            Source::Indexed(batches) => {
                batches.start_pass(pass);
                place.pass = pass;
            }
            Source::Stream(source) if place.next > 0 => {
                source.reset()?;
                place.pass += 1;
            }
            Source::Stream(_) => {}
        }
        place.batches = 0;
        place.next = place.next.max(pass) + 1;
        Ok(())
    }

    /// The pass is cut short here: the next one goes on.
    pub fn pause(&mut self) {
        self.place.goes_on = true;
    }

    /// Begins again from the start in the middle of an epoch.
    pub fn wrap(&mut self) -> Result<()> {
        let pass = self.place.next;
        self.begin(pass)
    }

    /// The next batch's memory, or `None` at the end of the pass.
    pub fn next(&mut self) -> Result<Option<usize>> {
        let place = match &mut self.source {
            Source::Indexed(batches) => {
                let Some(indices) = batches.next_indices() else {
                    return Ok(None);
                };
                let place = usize::from(indices.len() != self.batch_size);
                let batch = &mut self.slots[place].batch;
                batches.dataset().get(batches.indices(), batch)?;
                place
            }
            Source::Stream(source) => {
                if !source.next_batch(&mut self.slots[0].batch)? {
                    return Ok(None);
                }
                0
            }
        };
        self.place.batches += 1;
        if self.class_weight.is_some() {
            self.weigh(place)?;
        }
        Ok(Some(place))
    }

    pub fn batch(&self, place: usize) -> &Batch {
        &self.slots[place].batch
    }

    /// Weights by class, where they are given.
    pub fn weights(&self, place: usize) -> Option<&Tensor> {
        self.slots[place].class_weights.as_ref()
    }

    /// The numbers of the examples in the batch that was given last.
    pub fn indices(&self) -> Option<&[usize]> {
        match &self.source {
            Source::Indexed(batches) => Some(batches.indices()),
            Source::Stream(_) => None,
        }
    }

    fn weigh(&mut self, place: usize) -> Result<()> {
        let Some(class_weight) = &self.class_weight else {
            return Ok(());
        };
        let slot = &mut self.slots[place];
        let rows = slot.batch.len();
        if slot
            .class_weights
            .as_ref()
            .is_none_or(|weights| weights.len() != rows)
        {
            slot.class_weights = Some(Tensor::zeros(&[rows], DType::F32)?);
        }
        let (Some(weights), Some(labels)) = (
            slot.class_weights.as_mut().and_then(Tensor::as_f32_mut),
            slot.batch.targets.first(),
        ) else {
            return Ok(());
        };
        if labels.len() != rows {
            return Err(Error::mismatch(
                "fit's class_weight",
                "targets of one class index for each example",
                format!("targets of shape {:?}", labels.shape()),
                "",
            ));
        }
        let own = slot.batch.weights.as_ref().and_then(Tensor::as_f32);
        for (row, weight) in weights.iter_mut().enumerate() {
            let class = labels.get_f64(row);
            // A class without a weight of its own counts once, as in Keras.
            let by_class = match class >= 0.0 {
                true => class_weight.get(class as usize).copied().unwrap_or(1.0),
                false => 1.0,
            };
            *weight = by_class * own.map_or(1.0, |own| own[row]);
        }
        Ok(())
    }

    /// The program that these batches need; fails where they do not fit the model, which is built for them if it is not.
    pub fn signature(
        &self,
        model: &mut Model,
        mode: Mode,
        action: &'static str,
    ) -> Result<Signature> {
        let specification = &self.specification;
        let name = specification.name.as_str();
        let features = Arrangement::features(model, specification)?;
        let features = features.iter().map(|&place| &specification.features[place]);
        let mut shapes = Vec::new();
        for feature in features {
            if feature.dtype != DType::F32 {
                let received = feature.dtype.name();
                return Err(Error::mismatch(
                    format!("`{}` of {name}", feature.name),
                    "float32 (ArrayDataset converts as it goes)",
                    received,
                    "",
                ));
            }
            shapes.push(feature.shape.clone());
        }
        model.prepare(&shapes, action)?;
        if mode == Mode::Predict {
            return Ok(Signature::predict());
        }
        let arrangement = self.arrangement(model, mode, action)?;
        let mut targets = vec![None; arrangement.weights_of.len()];
        let objectives = &model.require_compiled(action)?.objectives;
        let wanted = (0..targets.len()).filter(|&place| objectives[place].has_target());
        for (output, &target) in wanted.zip(&arrangement.targets) {
            let target = &specification.targets[target];
            targets[output] = Some((target.shape.clone(), target.dtype));
        }
        Ok(Signature {
            mode,
            targets,
            weights: arrangement.weights_of,
            gradient_norm: false,
        })
    }

    /// Which of the arrays goes where in that program.
    pub fn arrangement(
        &self,
        model: &Model,
        mode: Mode,
        action: &'static str,
    ) -> Result<Arrangement> {
        let specification = &self.specification;
        if mode == Mode::Predict {
            return Ok(Arrangement {
                features: Arrangement::features(model, specification)?,
                ..Arrangement::default()
            });
        }
        let weighted = specification.weighted || self.class_weight.is_some();
        Arrangement::with_targets(model, specification, weighted, action)
    }
}

impl Model {
    /// Builds the model for examples of these shapes where it is not built, and looks for what the user should know.
    fn prepare(&mut self, examples: &[Vec<usize>], action: &'static str) -> Result<()> {
        if self.built {
            return self.check_examples(examples);
        }
        if action == "predict" && self.nodes.is_empty() {
            return self.build();
        }
        self.build_beside(examples, None)?;
        self.warnings = self.find_warnings()?;
        Ok(())
    }
}

/// A dataset's arrays as one batch, converted as a dataset converts them.
pub(super) fn whole_batch(dataset: &dyn Dataset) -> Result<Batch> {
    let indices: Vec<usize> = (0..dataset.len()).collect();
    let mut batch = Batch::default();
    dataset.get(&indices, &mut batch)?;
    Ok(batch)
}

/// The parts of a dataset that training and validation get.
pub(super) fn split<'a>(dataset: Arc<dyn Dataset>, fraction: f64) -> Result<(Data<'a>, Data<'a>)> {
    let (training, validation) = danlu_data::validation_split(dataset, fraction)?;
    Ok((
        Data::Indexed(Arc::new(training)),
        Data::Indexed(Arc::new(validation)),
    ))
}
