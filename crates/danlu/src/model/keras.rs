//! A model as Keras' config, in both directions.

use serde_json::{Value, json};

use super::{Model, Node};
use crate::layers::{LayerSpec, is_builtin};
use crate::losses::Loss;
use crate::metrics::Metric;
use crate::{Config, Error, Result, optimizers};

impl Model {
    /// The model's architecture as Keras writes it: `{"module", "class_name": "Sequential", "config", ...}`.
    ///
    /// # Errors
    /// The model is not a chain.
    pub fn to_keras(&self) -> Result<Value> {
        let layers: Vec<Value> = self.nodes.iter().map(layer_to_keras).collect();
        let input_shape = self.input_shape().map(with_batch);
        let mut config = json!({
            "name": self.name,
            "trainable": true,
            "dtype": float32(),
            "layers": layers,
        });
        let mut model = json!({
            "module": "keras",
            "class_name": "Sequential",
            "config": null,
            "registered_name": null,
        });
        if let Some(shape) = input_shape.filter(|_| self.built) {
            config["build_input_shape"] = shape.clone();
            model["build_config"] = json!({ "input_shape": shape });
        }
        model["config"] = config;
        Ok(model)
    }

    /// Optimizer, loss and metrics as Keras' `compile_config`; `None` where the model is not compiled.
    pub fn compile_config(&self) -> Option<Value> {
        let compiled = self.compiled.as_ref()?;
        let metrics = |metrics: &[Metric]| match metrics {
            [] => Value::Null,
            metrics => metrics.iter().map(Metric::to_json).collect(),
        };
        Some(json!({
            "optimizer": optimizers::to_json(&*compiled.optimizer, compiled.learning_rate),
            "loss": compiled.loss.to_json(),
            "loss_weights": null,
            "metrics": metrics(&compiled.metrics),
            "weighted_metrics": metrics(&compiled.weighted_metrics),
            "run_eagerly": false,
            "steps_per_execution": 1,
            "jit_compile": false,
        }))
    }

    /// A model, not built, of Keras' config of a Sequential.
    ///
    /// # Errors
    /// It is not one, or it has a layer or an argument that is not supported; the error names both.
    pub fn from_keras(model: &Value) -> Result<Model> {
        let class = model
            .get("class_name")
            .and_then(Value::as_str)
            .unwrap_or("nothing");
        if class != "Sequential" {
            return Err(Error::unsupported(
                "the model's config",
                format!("a model of class {class}"),
                "models of class Sequential can be read",
            ));
        }
        let damaged = |what: &str, received: Option<&Value>| {
            let received =
                received.map_or("nothing".to_owned(), |value| shorten(&value.to_string()));
            Error::mismatch(
                "the model's config",
                what,
                received,
                "the file is damaged, or not Keras'",
            )
        };
        let config = model.get("config");
        // Keras 2 wrote the list of layers itself as the config.
        let layers =
            config.and_then(|config| config.get("layers").or(config.as_array().and(Some(config))));
        let Some(layers) = layers.and_then(Value::as_array) else {
            return Err(damaged("a list of layers", config));
        };
        let name = config
            .and_then(|config| config.get("name"))
            .and_then(Value::as_str);
        let mut result = Model::empty(name.unwrap_or("sequential"));
        for layer in layers {
            let class = layer.get("class_name").and_then(Value::as_str);
            let class = class.ok_or_else(|| damaged("a layer with a class_name", Some(layer)))?;
            let arguments = match layer.get("config") {
                Some(Value::Object(arguments)) => arguments.clone(),
                other => return Err(damaged("a layer's config", other)),
            };
            let mut spec = LayerSpec::from_file(class, arguments)
                .map_err(|error| in_file(error, layer, class))?;
            let built = layer
                .get("build_config")
                .and_then(|build| build.get("input_shape"));
            spec.built_with = built.and_then(without_batch).or(spec.built_with);
            result.append(spec);
        }
        if let Some(first) = result.nodes.first_mut() {
            let build = model
                .get("build_config")
                .and_then(|build| build.get("input_shape"));
            let own = config.and_then(|config| config.get("build_input_shape"));
            let shape = build.or(own).and_then(without_batch);
            first.built_with = shape.or(first.built_with.take());
        }
        Ok(result)
    }

    /// Compiles with Keras' `compile_config`; where it has neither an optimizer nor a loss nothing happens.
    ///
    /// # Errors
    /// It holds something that is not supported, or only one of the two.
    pub fn compile_from_config(&mut self, config: &Value) -> Result<()> {
        let given = |name: &str| config.get(name).filter(|value| !value.is_null());
        let (optimizer, loss) = match (given("optimizer"), given("loss")) {
            (Some(optimizer), Some(loss)) => (optimizer, loss),
            (None, None) => return Ok(()),
            (Some(_), None) => {
                let advice = "compile with a loss";
                return Err(Error::unsupported(
                    "compile",
                    "a model without a loss",
                    advice,
                ));
            }
            // Keras writes this where the same model was saved as `.h5` before; it then trains on with RMSprop.
            (None, Some(_)) => {
                let advice =
                    "compile with an optimizer, or save from Keras as `.keras` before `.h5`";
                let feature = "a model with a loss and without an optimizer";
                return Err(Error::unsupported("compile", feature, advice));
            }
        };
        let optimizer = optimizers::from_json(optimizer)?;
        let loss = Loss::from_json(only(loss))?;
        if config
            .get("loss_weights")
            .is_some_and(|weights| !weights.is_null())
        {
            return Err(Error::unsupported(
                "compile",
                "`loss_weights`",
                "compile without them",
            ));
        }
        let metrics = |name: &str| -> Result<Vec<Metric>> {
            match config.get(name) {
                None | Some(Value::Null) => Ok(Vec::new()),
                Some(Value::Array(metrics)) => {
                    // One list for each output, of which there is one.
                    let metrics = match metrics.as_slice() {
                        [Value::Array(inner)] => inner,
                        _ => metrics,
                    };
                    metrics.iter().map(Metric::from_json).collect()
                }
                Some(other) => Ok(vec![Metric::from_json(other)?]),
            }
        };
        let (metrics, weighted) = (metrics("metrics")?, metrics("weighted_metrics")?);
        self.compile_with(optimizer, loss, metrics, weighted)
    }
}

/// The only entry of a list, or the value itself.
fn only(value: &Value) -> &Value {
    match value.as_array().map(Vec::as_slice) {
        Some([only]) => only,
        _ => value,
    }
}

fn in_file(error: Error, layer: &Value, class: &str) -> Error {
    let name = layer
        .get("config")
        .and_then(|config| config.get("name"))
        .and_then(Value::as_str);
    match name {
        Some(name) => error.in_layer(&format!("layer {name} ({class})")),
        None => error.in_layer(&format!("a layer of class {class}")),
    }
}

fn layer_to_keras(node: &Node) -> Value {
    let class = node.layer.class_name();
    let builtin = is_builtin(class);
    let mut config = Config::new();
    config.insert("name".to_owned(), json!(node.name));
    if node.layer.input_shape().is_none() {
        // The constructors of these classes of Keras' take no `trainable`, and they have nothing that is trained.
        if !(builtin && class.starts_with("SpatialDropout")) {
            config.insert("trainable".to_owned(), json!(node.trainable));
        }
        config.insert("dtype".to_owned(), float32());
    }
    config.extend(node.layer.config());
    if let Some(regularizer) = &node.activity_regularizer {
        config.insert("activity_regularizer".to_owned(), regularizer.to_json());
    }
    let registered = format!("danlu>{class}");
    let mut layer = json!({
        "module": if builtin { "keras.layers" } else { "danlu" },
        "class_name": class,
        "config": config,
        "registered_name": if builtin { Value::Null } else { Value::from(registered) },
    });
    if let Some(shape) = node
        .input_shape
        .as_ref()
        .filter(|_| !node.parameters.is_empty())
    {
        let sizes = danlu_graph::Shape::from(shape.dims()[1..].to_vec()).as_fixed();
        if let Some(sizes) = sizes {
            layer["build_config"] = json!({ "input_shape": with_batch(sizes) });
        }
    }
    layer
}

fn float32() -> Value {
    json!({
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": { "name": "float32" },
        "registered_name": null,
    })
}

fn with_batch(example: Vec<usize>) -> Value {
    let sizes = example.into_iter().map(Value::from);
    Value::Array(std::iter::once(Value::Null).chain(sizes).collect())
}

/// `[null, 28, 28, 1]` as `[28, 28, 1]`; `None` where a size is open.
fn without_batch(shape: &Value) -> Option<Vec<usize>> {
    let (_, sizes) = shape.as_array()?.split_first()?;
    let size = |size: &Value| size.as_u64().and_then(|size| usize::try_from(size).ok());
    sizes.iter().map(size).collect()
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn a_model_survives_its_config() {
        let mut model = Sequential::new();
        model.add(Input::new([8, 8, 1]));
        model.add(Conv2D::new(2, [3, 3]).padding("same").activation("relu"));
        model.add(MaxPooling2D::default());
        model.add(Flatten::new());
        model.add(Dropout::new(0.25));
        model.add(
            Dense::new(3)
                .activation("softmax")
                .name("head")
                .trainable(false),
        );
        let metrics = [Metric::new(SparseCategoricalAccuracy {}).named("right")];
        let optimizer = SGD::new(0.1)
            .momentum(0.5)
            .clipping(Clipping::GlobalNorm(2.0));
        model
            .compile(optimizer, SparseCategoricalCrossentropy::new(), metrics)
            .unwrap();
        let config = model.to_keras().unwrap();
        let compile = model.compile_config().unwrap();
        let mut again = Model::from_keras(&config).unwrap();
        again.compile_from_config(&compile).unwrap();
        assert_eq!(again.to_keras().unwrap(), config);
        assert_eq!(again.compile_config().unwrap(), compile);
    }

    #[test]
    fn what_is_not_supported_is_named_with_its_layer() {
        let model = |class: &str, config: Value| {
            json!({ "class_name": "Sequential", "config": { "name": "m", "layers": [
                { "class_name": class, "config": config },
            ] } })
        };
        let error = |class: &str, config: Value| {
            Model::from_keras(&model(class, config))
                .unwrap_err()
                .to_string()
        };
        let regularized =
            json!({ "name": "d", "units": 2, "kernel_regularizer": { "class_name": "L3" } });
        let text = error("Dense", regularized);
        assert!(
            text.contains("layer d (Dense)") && text.contains("no regularizer named `L3`"),
            "{text}"
        );
        let text = error(
            "Dense",
            json!({ "name": "d", "units": 2, "dtype": "float16" }),
        );
        assert!(text.contains("float16"), "{text}");
        let text = error("LSTM", json!({ "name": "l" }));
        assert!(
            text.contains("layer l (LSTM)") && text.contains("no layer type"),
            "{text}"
        );
    }
}
