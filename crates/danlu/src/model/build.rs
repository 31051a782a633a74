//! Building: shapes through the layers, parameters into the executor.

use danlu_graph::{DType, Dim, Graph, Shape, Tensor, Value};

use super::Model;
use super::forward::{Calls, check_count};
use crate::layers::{BuildContext, Effects};
use crate::optimizers::{Optimizer, layout};
use crate::{Error, Result};

impl Model {
    /// Declares and initializes the parameters. `compile` and `fit` do it themselves.
    ///
    /// # Errors
    /// There is no layer, the shape of the input is not known, or a layer does not take its input.
    pub fn build(&mut self) -> Result<()> {
        match self.input_shapes() {
            Some(_) if self.built => Ok(()),
            Some(shapes) => self.build_beside(&shapes, None),
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
        let examples = [example.to_vec()];
        match self.built {
            true => self.check_examples(&examples),
            false => self.build_beside(&examples, None),
        }
    }

    /// Builds a model that is not built; there must be room for what this optimizer keeps as well.
    pub(crate) fn build_beside(
        &mut self,
        examples: &[Vec<usize>],
        optimizer: Option<&dyn Optimizer>,
    ) -> Result<()> {
        self.infer_shapes(examples)?;
        self.initialize_parameters(optimizer)?;
        let sizes = self.output_sizes();
        if let Some(compiled) = &mut self.compiled {
            compiled.prepare_running(&sizes);
        }
        Ok(())
    }

    /// Fails unless inputs whose examples have these shapes fit.
    pub(crate) fn check_examples(&self, examples: &[Vec<usize>]) -> Result<()> {
        let Some(shapes) = self.input_shapes() else {
            return Ok(());
        };
        if shapes.len() != examples.len() {
            return Err(Error::mismatch(
                format!("the inputs of {}", self.name),
                format!("{}: {}", shapes.len(), self.input_names().join(", ")),
                examples.len().to_string(),
                "",
            ));
        }
        let squeezed = |shape: &[usize]| -> Vec<usize> {
            shape.iter().copied().filter(|&size| size != 1).collect()
        };
        for (place, (shape, example)) in shapes.iter().zip(examples).enumerate() {
            if shape == example {
                continue;
            }
            let advice = if squeezed(shape) == squeezed(example) {
                "they differ in axes of 1 alone: ArrayDataset::with_example_shape(shape) brings the data to the model's"
            } else {
                "bring the data to the model's shape, or the model's Input to the data's"
            };
            let subject = match shapes.len() {
                1 => format!("the input of {}", self.name),
                _ => format!("the input `{}` of {}", self.input_names()[place], self.name),
            };
            return Err(Error::mismatch(
                subject,
                format!("examples of shape {shape:?}"),
                format!("{example:?}"),
                advice,
            ));
        }
        Ok(())
    }

    /// Builds the layers: their parameters are declared, but not made.
    pub(super) fn infer_shapes(&mut self, examples: &[Vec<usize>]) -> Result<()> {
        let shapes: Vec<Shape> = examples.iter().map(|one| Shape::batch_of(one)).collect();
        self.infer_shapes_of(&shapes)
    }

    /// As [`infer_shapes`](Self::infer_shapes), for inputs of these shapes, the axis of examples among them.
    pub(super) fn infer_shapes_of(&mut self, shapes: &[Shape]) -> Result<()> {
        if self.nodes.is_empty() {
            return self.build();
        }
        let examples: Option<Vec<Vec<usize>>> = shapes.iter().map(super::example).collect();
        if let Some(examples) = examples {
            self.check_examples(&examples)?;
        }
        self.check_names()?;
        let graph = Graph::new();
        let names: Vec<String> = (0..shapes.len()).map(|place| format!("x{place}")).collect();
        let inputs = names.iter().zip(shapes);
        let inputs: Vec<Value> = inputs
            .map(|(name, shape)| Ok(graph.input(name, shape.clone(), DType::F32)?))
            .collect::<Result<_>>()?;
        let mut outputs: Vec<Vec<Value>> = Vec::with_capacity(self.calls.len());
        for index in 0..self.calls.len() {
            let values = self.call_inputs(index, &inputs, &outputs);
            let place = self.calls[index].node;
            let title = self.nodes[place].title();
            let first = !self.calls[..index].iter().any(|call| call.node == place);
            if first {
                check_count(&self.nodes[place].layer.inputs(), &values)
                    .map_err(|error| error.in_layer(&title))?;
                let shapes: Vec<Shape> = values.iter().map(Value::shape).collect();
                self.build_node(place, shapes)
                    .map_err(|error| error.in_layer(&title))?;
            }
            let effects = Effects::default();
            let results = self.make_call(&Calls::new(&graph, &effects), index, &values)?;
            for result in &results {
                if !result.shape().dims().first().is_some_and(Dim::is_batch) {
                    return Err(Error::mismatch(
                        title,
                        "an output whose axis 0 is the examples",
                        result.shape().to_string(),
                        "",
                    ));
                }
            }
            self.calls[index].output_shapes = results.iter().map(Value::shape).collect();
            outputs.push(results);
        }
        Ok(())
    }

    fn build_node(&mut self, place: usize, inputs: Vec<Shape>) -> Result<()> {
        let node = &mut self.nodes[place];
        let mut context = BuildContext::default();
        node.layer.build(&mut context, &inputs)?;
        node.parameters = context.into_parameters();
        node.input_shapes = inputs;
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
