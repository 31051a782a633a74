//! Which layers training changes.

use super::{Model, Node};
use crate::{Error, Result};

impl Model {
    /// Freezes a layer, or lets training change it again; `encoder/dense` is a layer of a model that is a layer. What is frozen
    /// costs no gradient and no optimizer state, and a frozen batch normalization keeps to its statistics, as in Keras.
    ///
    /// As in Keras, the model is to be compiled again afterwards; parameters stay, the optimizer's state does not.
    ///
    /// # Errors
    /// There is no such layer.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        self.change_trainable(layer, trainable)?;
        self.decompile();
        Ok(())
    }

    /// As [`set_trainable`](Self::set_trainable), for all layers.
    pub fn set_all_trainable(&mut self, trainable: bool) {
        for node in &mut self.nodes {
            node.trainable = trainable;
        }
        self.decompile();
    }

    /// Whether training changes a layer.
    ///
    /// # Errors
    /// There is no such layer.
    pub fn is_trainable(&self, layer: &str) -> Result<bool> {
        let (node, rest) = self.find_node(layer)?;
        match (node.layer.as_model(), rest) {
            (Some(model), Some(rest)) => Ok(node.trainable && model.is_trainable(rest)?),
            _ => Ok(node.trainable),
        }
    }

    fn change_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        let (_, rest) = self.find_node(layer)?;
        let rest = rest.map(str::to_owned);
        let name = layer.split('/').next().unwrap_or(layer);
        let Some(node) = self.nodes.iter_mut().find(|node| node.name == name) else {
            return Ok(());
        };
        let Some(rest) = rest else {
            node.trainable = trainable;
            return Ok(());
        };
        if let Some(model) = node.layer.as_model_mut() {
            model.change_trainable(&rest, trainable)?;
        }
        node.refresh();
        Ok(())
    }

    /// A layer by its path, with what of the path lies within it.
    pub(super) fn find_node<'a>(&self, path: &'a str) -> Result<(&Node, Option<&'a str>)> {
        let (name, rest) = match path.split_once('/') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let node = self.nodes.iter().find(|node| node.name == name);
        let node = node.ok_or_else(|| Error::unknown("layer", name, self.layer_names()))?;
        match (rest, node.layer.as_model()) {
            (Some(rest), Some(model)) => model.find_node(rest).map(drop)?,
            (Some(_), None) => {
                let received = format!("layer {name} ({})", node.layer.class_name());
                return Err(Error::mismatch(
                    format!("`{path}`"),
                    "a layer of a model",
                    received,
                    "",
                ));
            }
            (None, _) => {}
        }
        Ok((node, rest))
    }

    /// Forgets what the model was compiled with.
    fn decompile(&mut self) {
        self.plans.clear(self.executor.as_deref_mut());
        self.remove_optimizer_state();
        self.compiled = None;
        self.warnings.clear();
    }
}

impl Node {
    /// Brings what is known of the parameters of a model that is a layer up to date.
    fn refresh(&mut self) {
        let Some(model) = self.layer.as_model() else {
            return;
        };
        let inner = model.nodes.iter().flat_map(|node| {
            let parameters = node.parameters.iter();
            parameters.map(|parameter| parameter.trainable && node.trainable)
        });
        for (parameter, trainable) in self.parameters.iter_mut().zip(inner) {
            parameter.trainable = trainable;
        }
    }
}
