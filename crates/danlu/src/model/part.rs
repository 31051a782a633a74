//! Models made of a part of another.

use std::collections::HashMap;

use danlu_graph::Tensor;

use super::keras::copied;
use super::{Model, Source};
use crate::layers::{Input, LayerSpec};
use crate::training::{IntoData, PredictOptions};
use crate::{Error, Result};

impl Model {
    /// A model from this one's inputs to the outputs of these layers, with copies of the layers and their weights (Keras'
    /// `Model(model.input, model.get_layer(name).output)`): to look into a model, or to take its body without its head.
    ///
    /// ```
    /// # use danlu::prelude::*;
    /// let mut old = Sequential::from_layers([
    ///     Input::new([4]).into(),
    ///     Dense::new(8).activation("relu").name("body"),
    ///     Dense::new(3).activation("softmax").name("head"),
    /// ]);
    /// old.build()?;
    /// let mut body = old.part(&["body"])?;
    /// body.set_all_trainable(false);
    /// body.set_name("body_of_old");
    /// let x = Symbol::input(Input::new([4]));
    /// let head = Dense::new(5).activation("softmax").name("new_head");
    /// let new = Model::new(&x, head.apply(SharedLayer::new(body).apply(&x)))?;
    /// # Ok::<(), danlu::Error>(())
    /// ```
    ///
    /// # Errors
    /// The model is not built; there is no such layer, or it is called more than once; a layer of one's own is not
    /// registered.
    pub fn part(&self, outputs: &[&str]) -> Result<Model> {
        self.part_between(&[], outputs)
    }

    /// As [`part`](Self::part), from the outputs of the layers `inputs` on, which are inputs of the new model, named as the
    /// layers. None means this model's own.
    ///
    /// # Errors
    /// As [`part`](Self::part); an output depends on an input of the model that is not among `inputs`.
    pub fn part_between(&self, inputs: &[&str], outputs: &[&str]) -> Result<Model> {
        self.require_built("part")?;
        let mut part = Model::empty(&self.name);
        part.seed = self.seed;
        let mut names = Vec::new();
        let mut starts: HashMap<usize, Source> = HashMap::new();
        let mut copier = Copier {
            whole: self,
            inputs: HashMap::new(),
            nodes: HashMap::new(),
            calls: HashMap::new(),
        };
        for (place, name) in inputs.iter().enumerate() {
            let start = self.only_call(name)?;
            let shape = self.calls[start]
                .output_shapes
                .first()
                .and_then(super::example);
            let Some(shape) = shape.filter(|_| self.calls[start].output_shapes.len() == 1) else {
                return Err(Error::unsupported(
                    "part",
                    format!("layer {name} as an input"),
                    "it has several outputs",
                ));
            };
            let node = part.add_node(LayerSpec::from(Input::new(shape)).name(name));
            let call = part.add_call(node, vec![Source::Input(place)]);
            starts.insert(start, Source::Call { call, output: 0 });
            names.push((*name).to_owned());
        }
        for (place, name) in self
            .input_names()
            .into_iter()
            .enumerate()
            .filter(|_| inputs.is_empty())
        {
            let shape = self
                .input_shapes()
                .and_then(|shapes| shapes.get(place).cloned());
            let shape = shape.unwrap_or_default();
            let call = (0..self.calls.len()).find(|&call| self.is_input_call(call, place));
            let name = match (call, self.is_sequential()) {
                (Some(call), _) => self.nodes[self.calls[call].node].name.clone(),
                (None, true) => "input_layer".to_owned(),
                (None, false) => name.to_owned(),
            };
            let node = part.add_node(LayerSpec::from(Input::new(shape)).name(&name));
            let made = part.add_call(node, vec![Source::Input(place)]);
            let source = Source::Call {
                call: made,
                output: 0,
            };
            if let Some(call) = call {
                starts.insert(call, source);
            }
            copier.inputs.insert(place, source);
            names.push(name);
        }
        for name in outputs {
            let call = self.only_call(name)?;
            for output in 0..self.calls[call].output_shapes.len() {
                let source = copier.copy(&mut part, &starts, call)?;
                let Source::Call { call, .. } = source else {
                    continue;
                };
                part.outputs.push(Source::Call { call, output });
            }
        }
        part.inputs = Some(names);
        let weights = copier.weights(&part)?;
        let shapes = part.input_shapes().unwrap_or_default();
        part.infer_shapes(&shapes)?;
        part.create_parameters(weights)?;
        Ok(part)
    }

    /// What a layer gives for this data, f32 `(examples, ...)`: its activations. To look at several, or again and again, keep
    /// the [`part`](Self::part) that ends in them.
    ///
    /// # Errors
    /// As [`part`](Self::part) and [`predict`](Self::predict); the layer has several outputs.
    pub fn activations<'a>(
        &self,
        layer: &str,
        data: impl IntoData<'a>,
        options: PredictOptions<'a>,
    ) -> Result<Tensor> {
        self.part(&[layer])?.predict(data, options)
    }

    /// The only call of a layer.
    fn only_call(&self, name: &str) -> Result<usize> {
        let node = self.place(name)?;
        let mut calls = (0..self.calls.len()).filter(|&call| self.calls[call].node == node);
        match (calls.next(), calls.next()) {
            (Some(call), None) => Ok(call),
            _ => Err(Error::unsupported(
                "part",
                format!("the output of layer {name}, which is called several times"),
                "name a layer that is called once",
            )),
        }
    }

    /// Whether this is the call of the input layer of this input.
    fn is_input_call(&self, call: usize, input: usize) -> bool {
        let call = &self.calls[call];
        call.inputs == [Source::Input(input)] && self.nodes[call.node].layer.input_shape().is_some()
    }
}

/// Copies calls, with what they need, from a model into a part of it.
struct Copier<'a> {
    whole: &'a Model,
    /// What stands for the inputs of the whole, by their places.
    inputs: HashMap<usize, Source>,
    /// Nodes and calls of the part by those of the whole.
    nodes: HashMap<usize, usize>,
    calls: HashMap<usize, usize>,
}

impl Copier<'_> {
    /// The call of the part that does what this one of the whole does.
    fn copy(
        &mut self,
        part: &mut Model,
        starts: &HashMap<usize, Source>,
        call: usize,
    ) -> Result<Source> {
        // What is needed, before what needs it: calls stand in such an order.
        let mut needed = vec![false; self.whole.calls.len()];
        needed[call] = true;
        for place in (0..=call).rev() {
            if !needed[place] || starts.contains_key(&place) {
                continue;
            }
            for source in &self.whole.calls[place].inputs {
                if let Source::Call { call, .. } = source {
                    needed[*call] = true;
                }
            }
        }
        let places = (0..=call).filter(|&place| needed[place]);
        for place in places {
            if starts.contains_key(&place) || self.calls.contains_key(&place) {
                continue;
            }
            let own = &self.whole.calls[place];
            let node = &self.whole.nodes[own.node];
            let mut sources = Vec::new();
            for source in &own.inputs {
                sources.push(match *source {
                    Source::Input(input) => match self.inputs.get(&input) {
                        Some(&source) => source,
                        None => {
                            return Err(Error::mismatch(
                                "part",
                                "outputs that depend on the inputs alone",
                                format!("{}, which needs an input of the whole model", node.title()),
                                "give the layers at which the part begins, on every way to its outputs",
                            ));
                        }
                    },
                    Source::Call { call, output } => match starts.get(&call) {
                        Some(start) => *start,
                        None => Source::Call {
                            call: self.calls[&call],
                            output,
                        },
                    },
                });
            }
            let copy = match self.nodes.get(&own.node) {
                Some(&copy) => copy,
                None => {
                    let copy = part.add_node(copied(node)?.name(&node.name));
                    self.nodes.insert(own.node, copy);
                    copy
                }
            };
            let made = part.add_call(copy, sources);
            part.calls[made].training = own.training;
            self.calls.insert(place, made);
        }
        Ok(match starts.get(&call) {
            Some(start) => *start,
            None => Source::Call {
                call: self.calls[&call],
                output: 0,
            },
        })
    }

    /// The weights of the part's layers, in its order.
    fn weights(&self, part: &Model) -> Result<Vec<Tensor>> {
        let mut weights = Vec::new();
        for place in 0..part.nodes.len() {
            let origin = self.nodes.iter().find(|(_, copy)| **copy == place);
            if let Some((origin, _)) = origin {
                weights.extend(self.whole.layer_weights(&self.whole.nodes[*origin].name)?);
            }
        }
        Ok(weights)
    }
}
