//! Vectors for whole numbers.

use danlu_graph::{DType, Shape, Value};

use super::parameters::parameter_methods;
use super::{BuildContext, CallContext, Layer, ParameterOptions};
use crate::{Arguments, Config, Error, Result, config};

/// A vector for each of the whole numbers from 0 up to, without, `input_dim`, such as the words of a vocabulary: `(batch, ...)`
/// to `(batch, ..., output_dim)`; `embeddings` is `(input_dim, output_dim)`. Arguments and defaults are those of Keras'
/// `Embedding`, and so is what becomes of fractions: they are cut off. A number outside, also a negative one, and NaN fail the
/// run. A step of [`SGD`](crate::optimizers::SGD) without momentum, or of [`SparseAdam`](crate::optimizers::SparseAdam), touches only
/// the vectors that were read.
#[derive(Clone, Debug)]
pub struct Embedding {
    input_dim: usize,
    output_dim: usize,
    embeddings: ParameterOptions,
}

/// f32, in which inputs arrive, holds every whole number up to here.
const LARGEST_INPUT_DIM: usize = 1 << 24;

impl Embedding {
    /// Vectors of length `output_dim` for the numbers below `input_dim`.
    pub fn new(input_dim: usize, output_dim: usize) -> Embedding {
        Embedding {
            input_dim,
            output_dim,
            embeddings: ParameterOptions::new("uniform"),
        }
    }

    parameter_methods! {
        "table of vectors", "uniform": embeddings, embeddings_initializer, embeddings_regularizer, embeddings_constraint;
    }

    fn check(&self) -> Result<()> {
        let refuse = |argument: &str, expected: &str, received: usize| {
            Err(Error::argument("Embedding", argument, expected, received))
        };
        match (self.input_dim, self.output_dim) {
            (0, _) => refuse("input_dim", "at least 1", 0),
            (_, 0) => refuse("output_dim", "at least 1", 0),
            (input_dim, _) if input_dim > LARGEST_INPUT_DIM => refuse(
                "input_dim",
                "at most 16777216, since inputs are float32",
                input_dim,
            ),
            _ => Ok(()),
        }
    }
}

impl Layer for Embedding {
    fn class_name(&self) -> &str {
        "Embedding"
    }

    fn build(&mut self, context: &mut BuildContext, _: &[Shape]) -> Result<()> {
        self.check()?;
        context.parameter_with(
            "embeddings",
            &[self.input_dim, self.output_dim],
            &self.embeddings,
        )
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        let indices = match x.dtype() {
            DType::I32 | DType::I64 => x.clone(),
            // NaN would become 0, which is a good index.
            dtype if dtype.is_float() => {
                let outside = context.graph().scalar(-1.0, dtype)?;
                x.equal(x)?.select(x, &outside)?.cast(DType::I32)?
            }
            _ => x.cast(DType::I32)?,
        };
        Ok(context.parameter("embeddings")?.gather(&indices)?)
    }

    fn config(&self) -> Config {
        let mut config = config! {
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "activity_regularizer": null,
            "mask_zero": false,
        };
        ParameterOptions::write(&mut config, [("embeddings", &self.embeddings)]);
        config
    }

    fn index_limit(&self) -> Option<usize> {
        Some(self.input_dim)
    }

    fn from_config(arguments: &mut Arguments) -> Result<Embedding> {
        let input_dim = arguments.positive("input_dim")?;
        let output_dim = arguments.positive("output_dim")?;
        let mut layer = Embedding::new(
            arguments.required("input_dim", input_dim)?,
            arguments.required("output_dim", output_dim)?,
        );
        layer.embeddings.take(arguments, "embeddings")?;
        if arguments.boolean("mask_zero")?.unwrap_or(false) {
            let advice = "leave `mask_zero` at false: the layers after it then see the vector of 0 as any other";
            let owner = arguments.owner();
            return Err(Error::unsupported(owner, "`mask_zero` = true", advice));
        }
        for argument in ["weights", "lora_rank", "lora_alpha", "quantization_config"] {
            arguments.unsupported(argument, &[])?;
        }
        // Keras passes over it since version 3; files of version 2 have it.
        arguments.take("input_length");
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;
    use crate::golden::{assert_near, assert_tensor, list, load, sizes, tensor, tensors, text};
    use crate::layers::harness;
    use crate::optimizers;
    use crate::prelude::*;
    use danlu_graph::reference::{Array, ReferenceExecutor};
    use danlu_graph::{Bindings, Graph, Program};
    use serde_json::json;

    #[test]
    fn embedding_passes_the_harness() {
        harness::check_indices(Embedding::new(5, 3), &[4], 5);
        let layer = Embedding::new(7, 2).embeddings_initializer("normal");
        harness::check_indices(layer, &[2, 3], 7);
    }

    fn model(case: &serde_json::Value) -> Model {
        let shape = config! { "shape": sizes(&case["input_shape"]) };
        let mut arguments = crate::golden::config(&case["config"]);
        arguments.insert("name".to_owned(), json!("it"));
        let mut layers = vec![
            ("Input".to_owned(), shape),
            ("Embedding".to_owned(), arguments),
        ];
        if case["units"].is_number() {
            layers.push(("Flatten".to_owned(), config! {}));
            layers.push(("Dense".to_owned(), config! { "units": case["units"] }));
        }
        let mut model = Model::from_layers(layers).unwrap();
        model.build().unwrap();
        model
    }

    #[test]
    fn outputs_and_gradients_are_those_of_keras() {
        for case in list(&load("embedding"), "cases") {
            let name = text(case, "name");
            let mut model = model(case);
            assert_eq!(model.output_shape().unwrap(), sizes(&case["output_shape"]));
            let weights = tensors(&case["weights"]);
            model.set_layer_weights("it", &weights).unwrap();
            let x = tensor(&case["input"]);
            let expected = tensor(&case["output"]);
            let found = model.predict(&x, PredictOptions::new()).unwrap();
            assert_tensor(name, &found, &expected, 1e-5);

            let graph = Graph::new();
            let table = graph
                .state("table", weights[0].shape(), DType::F32)
                .unwrap();
            let indices = graph.constant(x).unwrap().cast(DType::I32).unwrap();
            let cotangent = graph.constant(tensor(&case["cotangent"])).unwrap();
            let rows = table.gather(&indices).unwrap();
            let sum = rows.multiply(&cotangent).unwrap().sum_all().unwrap();
            let slope = danlu_graph::gradients(&sum, &[&table]).unwrap().remove(0);
            let program = Program::new(&graph, &[], &[("slope", &slope)], &[]).unwrap();
            let mut executor = ReferenceExecutor::new();
            executor.set_state("table", Array::from_tensor(&weights[0]));
            let values = executor.evaluate(&program, &Bindings::new(), &[]).unwrap();
            let found = &values[program.outputs()[0].node].data;
            let expected = tensors(&case["weight_gradients"])[0].to_f64();
            assert_near(name, found, &expected, 1e-5);
        }
    }

    #[test]
    fn training_is_that_of_keras() {
        for case in list(&load("embedding"), "fits") {
            let name = text(case, "name");
            let mut model = model(case);
            let optimizer = optimizers::from_json(&case["optimizer"]).unwrap();
            model.compile(optimizer, "mse", Vec::<&str>::new()).unwrap();
            model.set_weights(&tensors(&case["weights"])).unwrap();
            let y = tensor(&case["y"]);
            for (x, expected) in tensors(&case["x"]).iter().zip(list(case, "steps")) {
                model.train_on_batch(x, &y, None).unwrap();
                let expected = tensors(expected);
                for (found, expected) in model.weights().unwrap().iter().zip(&expected) {
                    assert_tensor(name, found, expected, 1e-5);
                }
            }
        }
    }

    #[test]
    fn defaults_are_those_of_keras() {
        let golden = load("embedding");
        let config = crate::golden::config(&golden["default_config"]);
        let spec = LayerSpec::from_file("Embedding", config.clone()).unwrap();
        for (argument, value) in spec.layer.config() {
            match value.as_f64() {
                Some(number) => assert_eq!(Some(number), config[&argument].as_f64()),
                None => assert_eq!(value, config[&argument], "{argument}"),
            }
        }
        let plain = Embedding::new(10, 3).config();
        assert_eq!(
            plain["embeddings_initializer"],
            config["embeddings_initializer"]
        );
    }

    #[test]
    fn numbers_outside_fail_and_name_the_layer() {
        let mut model = Sequential::new();
        model.add(Input::new([2]));
        model.add(Embedding::new(5, 3).name("words"));
        model.build().unwrap();
        for (bad, shown) in [
            (5.0, "5"),
            (-1.0, "-1"),
            (f32::NAN, "-1"),
            (1e20, "2147483647"),
        ] {
            let x = Tensor::from_f32(&[2, 2], vec![0.0, 4.0, 2.0, bad]).unwrap();
            let error = model.predict(&x, PredictOptions::new()).unwrap_err();
            let error = error.to_string();
            let expected = format!(
                "words: gather was given index {shown} (number 3 of the indices) for a table of 5 rows, which takes 0 to 4"
            );
            assert!(error.contains(&expected), "{error}");
        }
        let x = Tensor::from_f32(&[1, 2], vec![4.9, -0.9]).unwrap();
        let cut = model.predict(&x, PredictOptions::new()).unwrap();
        let x = Tensor::from_i32(&[1, 2], vec![4, 0]).unwrap();
        assert_eq!(cut, model.predict(&x, PredictOptions::new()).unwrap());
    }

    #[test]
    fn wrong_arguments_are_errors() {
        harness::refuses(Embedding::new(0, 2), &[4], "`input_dim` must be at least 1");
        harness::refuses(Embedding::new(2, 0), &[4], "`output_dim`");
        harness::refuses(Embedding::new(1 << 25, 1), &[4], "at most 16777216");
        let refused = |arguments: serde_json::Value, part: &str| {
            let arguments = arguments.as_object().unwrap().clone();
            let error = LayerSpec::from_arguments("Embedding", arguments).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        };
        refused(json!({ "output_dim": 2 }), "`input_dim`");
        refused(json!({ "input_dim": -3, "output_dim": 2 }), "`input_dim`");
        refused(json!({ "input_dim": 2.5, "output_dim": 2 }), "`input_dim`");
        refused(
            json!({ "input_dim": 3, "output_dim": 2, "mask_zero": true }),
            "`mask_zero`",
        );
        refused(
            json!({ "input_dim": 3, "output_dim": 2, "embedding_initializer": "ones" }),
            "did you mean `embeddings_initializer`?",
        );
    }
}
