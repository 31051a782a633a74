//! A chain of layers.

use std::ops::{Deref, DerefMut};

use super::Model;
use crate::layers::LayerSpec;

/// A model whose layers stand one after the other (Keras' `Sequential`). It is a [`Model`] that layers can be added to.
#[derive(Debug)]
pub struct Sequential(Model);

impl Sequential {
    /// A chain without layers.
    pub fn new() -> Sequential {
        Sequential(Model::empty("sequential"))
    }

    /// A chain of these layers.
    pub fn from_layers(layers: impl IntoIterator<Item = LayerSpec>) -> Sequential {
        let mut model = Sequential::new();
        for layer in layers {
            model.add(layer);
        }
        model
    }

    /// Appends a layer. What is wrong with it is reported when the model is built or compiled.
    pub fn add(&mut self, layer: impl Into<LayerSpec>) -> &mut Sequential {
        self.0.append(layer.into());
        self
    }

    /// The model.
    pub fn into_model(self) -> Model {
        self.0
    }
}

impl Default for Sequential {
    fn default() -> Sequential {
        Sequential::new()
    }
}

impl From<Sequential> for Model {
    fn from(sequential: Sequential) -> Model {
        sequential.0
    }
}

impl Deref for Sequential {
    type Target = Model;
    fn deref(&self) -> &Model {
        &self.0
    }
}

impl DerefMut for Sequential {
    fn deref_mut(&mut self) -> &mut Model {
        &mut self.0
    }
}
