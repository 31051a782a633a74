//! Parameters from outside: by layer, by name, in Keras' order.

use danlu_graph::{DType, Tensor};

use super::{Model, Node};
use crate::layers::Parameter;
use crate::{Error, Result};

impl Model {
    /// The number of elements of all parameters.
    pub fn count_parameters(&self) -> usize {
        self.nodes.iter().map(Node::count).sum()
    }

    /// The number of elements of the parameters that training changes.
    pub fn count_trainable_parameters(&self) -> usize {
        let trainable = self.nodes.iter().filter(|node| node.trainable);
        trainable.map(Node::count_trainable).sum()
    }

    /// Copies of a layer's parameters, in Keras' order (a Dense: kernel, bias); `encoder/dense` is a layer of a model that is a
    /// layer.
    ///
    /// # Errors
    /// There is no such layer, or the model is not built.
    pub fn layer_weights(&self, layer: &str) -> Result<Vec<Tensor>> {
        let parameters = self.parameters_of(layer)?;
        let names: Vec<String> = parameters.into_iter().map(|(name, _)| name).collect();
        self.read(&names)
    }

    /// Sets a layer's parameters, in Keras' order.
    ///
    /// # Errors
    /// There is no such layer, the model is not built, or the tensors have other shapes or dtypes; then nothing changes.
    pub fn set_layer_weights(&mut self, layer: &str, weights: &[Tensor]) -> Result<()> {
        let parameters = self.parameters_of(layer)?;
        let expected = parameters.iter().map(|(_, p)| (p.dtype, p.shape.clone()));
        check(&format!("the weights of layer {layer}"), expected, weights)?;
        let names: Vec<String> = parameters.into_iter().map(|(name, _)| name).collect();
        self.write(&names, weights)
    }

    /// A copy of one parameter, such as `dense/kernel`.
    ///
    /// # Errors
    /// There is none of this name, or the model is not built.
    pub fn weight(&self, name: &str) -> Result<Tensor> {
        self.find_weight(name)?;
        let mut found = self.read(&[name.to_owned()])?;
        found
            .pop()
            .ok_or_else(|| Error::unknown("weight", name, []))
    }

    /// Sets one parameter, such as `dense/kernel`.
    ///
    /// # Errors
    /// There is none of this name, the model is not built, or the tensor has another shape or dtype; then nothing changes.
    pub fn set_weight(&mut self, name: &str, weight: &Tensor) -> Result<()> {
        let parameter = self.find_weight(name)?;
        let expected = [(parameter.dtype, parameter.shape.clone())];
        check(
            &format!("weight {name}"),
            expected.into_iter(),
            std::slice::from_ref(weight),
        )?;
        self.write(&[name.to_owned()], std::slice::from_ref(weight))
    }

    pub(crate) fn find_weight(&self, name: &str) -> Result<&Parameter> {
        let all = || self.nodes.iter().flat_map(Node::states);
        let found = all().find(|(own, _)| own == name);
        found.map(|(_, parameter)| parameter).ok_or_else(|| {
            let names: Vec<String> = all().map(|(own, _)| own).collect();
            Error::unknown(
                "weight of this model",
                name,
                names.iter().map(String::as_str),
            )
        })
    }

    /// A layer's parameters with their names in the executor.
    fn parameters_of(&self, layer: &str) -> Result<Vec<(String, &Parameter)>> {
        let (node, rest) = self.find_node(layer)?;
        let within = match rest {
            Some(_) => format!("{layer}/"),
            None => String::new(),
        };
        let states = node.states();
        Ok(states
            .filter(|(name, _)| name.starts_with(&within))
            .collect())
    }

    /// Copies of all parameters with their names, such as `dense/kernel`, in order.
    ///
    /// # Errors
    /// The model is not built.
    pub fn named_weights(&self) -> Result<Vec<(String, Tensor)>> {
        let mut weights = Vec::new();
        for node in &self.nodes {
            let names: Vec<String> = node.states().map(|(name, _)| name).collect();
            let values = self.read(&names)?;
            weights.extend(names.into_iter().zip(values));
        }
        Ok(weights)
    }

    /// Copies of all parameters, in Keras' order.
    ///
    /// # Errors
    /// The model is not built.
    pub fn weights(&self) -> Result<Vec<Tensor>> {
        let named = self.named_weights()?;
        Ok(named.into_iter().map(|(_, weight)| weight).collect())
    }

    /// Sets all parameters, in Keras' order.
    ///
    /// # Errors
    /// The model is not built, or the tensors have other shapes or dtypes; then nothing changes.
    pub fn set_weights(&mut self, weights: &[Tensor]) -> Result<()> {
        self.require_built("set_weights")?;
        let states: Vec<_> = self.nodes.iter().flat_map(Node::states).collect();
        let expected = states.iter().map(|(_, p)| (p.dtype, p.shape.clone()));
        check(&format!("the weights of {}", self.name), expected, weights)?;
        let names: Vec<String> = states.into_iter().map(|(name, _)| name).collect();
        self.write(&names, weights)
    }

    /// Sets the parameters of these names.
    ///
    /// # Errors
    /// The model is not built; a name is missing or belongs to nothing; a tensor has another shape or dtype; then nothing
    /// changes.
    pub fn set_named_weights(&mut self, weights: &[(String, Tensor)]) -> Result<()> {
        self.require_built("set_named_weights")?;
        let own: Vec<String> = self
            .nodes
            .iter()
            .flat_map(|node| node.states().map(|(name, _)| name).collect::<Vec<_>>())
            .collect();
        if let Some((name, _)) = weights.iter().find(|(name, _)| !own.contains(name)) {
            let names = own.iter().map(String::as_str);
            return Err(Error::unknown("weight of this model", name, names));
        }
        let ordered: Vec<Tensor> = own
            .iter()
            .map(|name| {
                let found = weights.iter().find(|(given, _)| given == name);
                found.map(|(_, weight)| weight.clone()).ok_or_else(|| {
                    Error::mismatch(
                        format!("the weights of {}", self.name),
                        format!("one named `{name}`"),
                        "none",
                        "the weights are those of another model",
                    )
                })
            })
            .collect::<Result<_>>()?;
        self.set_weights(&ordered)
    }

    fn read(&self, names: &[String]) -> Result<Vec<Tensor>> {
        self.require_built("weights")?;
        let Some(executor) = &self.executor else {
            return Ok(Vec::new());
        };
        let read = |name: &String| Ok(executor.read_state(name)?);
        names.iter().map(read).collect()
    }

    fn write(&mut self, names: &[String], weights: &[Tensor]) -> Result<()> {
        self.require_built("set_weights")?;
        let executor = self.executor()?;
        for (name, weight) in names.iter().zip(weights) {
            executor.write_state(name, weight)?;
        }
        Ok(())
    }

    pub(crate) fn require_built(&self, action: &'static str) -> Result<()> {
        if self.built {
            return Ok(());
        }
        Err(Error::NotReady {
            action,
            problem: "the model has no parameters yet".to_owned(),
            advice: "call build() first, or begin the model with Input::new(shape) and compile it"
                .to_owned(),
        })
    }
}

impl Node {
    pub(super) fn count(&self) -> usize {
        let sizes = self
            .parameters
            .iter()
            .map(|p| p.shape.iter().product::<usize>());
        sizes.sum()
    }

    pub(super) fn count_trainable(&self) -> usize {
        let trainable = self.parameters.iter().filter(|p| p.trainable);
        trainable.map(|p| p.shape.iter().product::<usize>()).sum()
    }
}

/// Fails unless there is a tensor of each dtype and shape.
fn check(
    what: &str,
    expected: impl Iterator<Item = (DType, Vec<usize>)>,
    weights: &[Tensor],
) -> Result<()> {
    let describe = |dtype: DType, shape: &[usize]| format!("{dtype} {shape:?}");
    let expected: Vec<String> = expected
        .map(|(dtype, shape)| describe(dtype, &shape))
        .collect();
    let received = weights.iter();
    let received: Vec<String> = received.map(|w| describe(w.dtype(), w.shape())).collect();
    if expected == received {
        return Ok(());
    }
    Err(Error::mismatch(
        what,
        format!("tensors [{}]", expected.join(", ")),
        format!("[{}]", received.join(", ")),
        "",
    ))
}
