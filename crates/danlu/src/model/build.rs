//! Building: shapes through the layers, parameters into the executor.

use danlu_graph::{DType, Graph, Shape, Tensor};

use super::{Model, Source};
use crate::layers::{BuildContext, Effects};
use crate::optimizers::{Optimizer, layout};
use crate::{Error, Result};

impl Model {
    /// Declares and initializes the parameters. `compile` and `fit` do it themselves.
    ///
    /// # Errors
    /// There is no layer, the shape of the input is not known, or a layer does not take its input.
    pub fn build(&mut self) -> Result<()> {
        match self.input_shape() {
            Some(shape) => self.build_for(&shape),
            None if self.nodes.is_empty() => Err(Error::NotReady {
                action: "build",
                problem: "the model has no layer".to_owned(),
                advice: "add some first".to_owned(),
            }),
            None => Err(Error::NotReady {
                action: "build",
                problem: "the shape of the input is not known".to_owned(),
                advice: "begin with Input::new(shape), or call build_for(shape)".to_owned(),
            }),
        }
    }

    /// As [`build`](Self::build), for examples of this shape, where the model does not begin with an [`Input`].
    ///
    /// # Errors
    /// As [`build`](Self::build); the model is built for another shape.
    ///
    /// [`Input`]: crate::layers::Input
    pub fn build_for(&mut self, example: &[usize]) -> Result<()> {
        if self.built {
            return self.check_example(example);
        }
        self.build_beside(example, None)
    }

    /// Builds a model that is not built; there must be room for what this optimizer keeps as well.
    pub(crate) fn build_beside(
        &mut self,
        example: &[usize],
        optimizer: Option<&dyn Optimizer>,
    ) -> Result<()> {
        self.infer_shapes(example)?;
        self.initialize_parameters(optimizer)?;
        let outputs = self.outputs();
        if let Some(compiled) = &mut self.compiled {
            compiled.prepare_running(outputs);
        }
        Ok(())
    }

    /// Fails unless examples of this shape fit.
    pub(crate) fn check_example(&self, example: &[usize]) -> Result<()> {
        match self.input_shape() {
            Some(shape) if shape != example => {
                let squeezed = |shape: &[usize]| -> Vec<usize> {
                    shape.iter().copied().filter(|&size| size != 1).collect()
                };
                let advice = if squeezed(&shape) == squeezed(example) {
                    "they differ in axes of 1 alone: ArrayDataset::with_example_shape(shape) brings the data to the model's"
                } else {
                    "bring the data to the model's shape, or the model's Input to the data's"
                };
                Err(Error::mismatch(
                    format!("the input of {}", self.name),
                    format!("examples of shape {shape:?}"),
                    format!("{example:?}"),
                    advice,
                ))
            }
            _ => Ok(()),
        }
    }

    /// Builds the layers: their parameters are declared, but not made.
    pub(super) fn infer_shapes(&mut self, example: &[usize]) -> Result<()> {
        if self.nodes.is_empty() {
            return self.build();
        }
        self.check_example(example)?;
        self.check_names()?;
        let graph = Graph::new();
        let input = graph.input("x", Shape::batch_of(example), DType::F32)?;
        let mut outputs: Vec<danlu_graph::Value> = Vec::new();
        for index in 0..self.nodes.len() {
            let values: Vec<_> = self.nodes[index]
                .inputs
                .iter()
                .map(|source| match source {
                    Source::Input(_) => input.clone(),
                    Source::Layer(place) => outputs[*place].clone(),
                })
                .collect();
            let shapes: Vec<Shape> = values.iter().map(|value| value.shape()).collect();
            let node = &mut self.nodes[index];
            let title = node.title();
            let mut context = BuildContext::default();
            node.layer
                .build(&mut context, &shapes)
                .map_err(|error| error.in_layer(&title))?;
            node.parameters = context.into_parameters();
            node.input_shape = shapes.into_iter().next();
            let effects = Effects::default();
            let output = self.call_node(&graph, index, &values, false, None, &effects)?;
            if !output
                .shape()
                .dims()
                .first()
                .is_some_and(|dim| dim.is_batch())
            {
                return Err(Error::mismatch(
                    title,
                    "an output whose axis 0 is the examples",
                    output.shape().to_string(),
                    "",
                ));
            }
            self.nodes[index].output_shape = Some(output.shape());
            outputs.push(output);
        }
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        for (index, node) in self.nodes.iter().enumerate() {
            let duplicate = self.nodes[..index]
                .iter()
                .any(|other| other.name == node.name);
            if node.name.is_empty() || node.name.contains('/') || duplicate {
                return Err(Error::argument(
                    format!("layer {index} ({})", node.layer.class_name()),
                    "name",
                    "a text without `/` that no other layer has",
                    format!("`{}`", node.name),
                ));
            }
        }
        Ok(())
    }

    /// Makes the parameters that are not there yet, if there is room for them and the optimizer's slots.
    fn initialize_parameters(&mut self, optimizer: Option<&dyn Optimizer>) -> Result<()> {
        let trained = self.trained();
        let seed = self.seed;
        self.executor()?;
        let Some(executor) = self.executor.as_deref_mut() else {
            return Ok(());
        };
        let bytes = |shape: &[usize], dtype: DType| -> Result<usize> {
            let count = danlu_graph::tensor::element_count(shape)?;
            Ok(count.saturating_mul(dtype.size()))
        };
        let mut parameters = 0_usize;
        for node in &self.nodes {
            for parameter in &node.parameters {
                let bytes = bytes(&parameter.shape, parameter.dtype)?;
                if !node.has_state {
                    parameters = parameters.saturating_add(bytes);
                }
            }
        }
        let mut state = 0_usize;
        for kept in optimizer
            .map(|one| layout(one, &trained))
            .unwrap_or_default()
        {
            state = state.saturating_add(bytes(&kept.shape, kept.dtype)?);
        }
        let room = executor.check_room(parameters.saturating_add(state));
        room.map_err(|error| {
            let beside = match state {
                0 => String::new(),
                state => format!(", and {state} bytes of the optimizer's state"),
            };
            Error::mismatch(
                "the model's parameters",
                "as many as memory can hold",
                format!("{parameters} bytes of them{beside}"),
                error.message(),
            )
        })?;
        for node in self.nodes.iter_mut().filter(|node| !node.has_state) {
            for (name, parameter) in node.states() {
                let value = parameter
                    .values(seed, &name)
                    .map_err(|error| error.in_layer(&node.title()))?;
                executor.create_state(&name, &value)?;
            }
            node.has_state = true;
        }
        self.built = true;
        Ok(())
    }

    /// Makes the parameters with these values, in Keras' order; their shapes were checked.
    pub(super) fn create_parameters(&mut self, values: Vec<Tensor>) -> Result<()> {
        self.executor()?;
        let Some(executor) = self.executor.as_deref_mut() else {
            return Ok(());
        };
        let mut values = values.into_iter();
        for node in &mut self.nodes {
            for ((name, _), value) in node.states().zip(&mut values) {
                executor.create_state(&name, &value)?;
            }
            node.has_state = true;
        }
        self.built = true;
        Ok(())
    }
}
