//! A model as Keras' config, in both directions.

mod compile;
mod graph;

use serde_json::{Value, json};

use super::{Model, Node};
use crate::layers::{LayerSpec, is_builtin};
use crate::{Config, Error, Result};

impl Model {
    /// The model's architecture as Keras writes it: `{"module", "class_name": "Sequential" or "Functional", "config", ...}`.
    pub fn to_keras(&self) -> Value {
        if !self.is_sequential() {
            return json!({
                "module": "keras.src.models.functional",
                "class_name": "Functional",
                "config": self.keras_config(),
                "registered_name": "Functional",
                "build_config": { "input_shape": null },
            });
        }
        let mut model = json!({
            "module": "keras",
            "class_name": "Sequential",
            "config": self.keras_config(),
            "registered_name": null,
        });
        if let Some(shape) = self.built_shape() {
            model["build_config"] = json!({ "input_shape": shape });
        }
        model
    }

    /// The shape that a chain was built for.
    fn built_shape(&self) -> Option<Value> {
        let known = self
            .nodes
            .first()
            .is_some_and(|first| !first.input_shapes.is_empty());
        self.input_shape().map(with_batch).filter(|_| known)
    }

    /// The model's own arguments, its layers among them.
    pub(super) fn keras_config(&self) -> Config {
        let mut config = Config::new();
        config.insert("name".to_owned(), json!(self.name));
        config.insert("trainable".to_owned(), json!(true));
        if !self.is_sequential() {
            self.add_graph(&mut config);
            return config;
        }
        config.insert("dtype".to_owned(), float32());
        let layers: Vec<Value> = self.nodes.iter().map(layer_to_keras).collect();
        config.insert("layers".to_owned(), Value::Array(layers));
        if let Some(shape) = self.built_shape() {
            config.insert("build_input_shape".to_owned(), shape);
        }
        config
    }

    /// A model, not built, of Keras' config of a Sequential or a Functional.
    ///
    /// # Errors
    /// It is neither, or it has a layer or an argument that is not supported; the error names both.
    pub fn from_keras(model: &Value) -> Result<Model> {
        match model.get("class_name").and_then(Value::as_str) {
            Some("Sequential") => chain_from_keras(model),
            Some("Functional" | "Model") => graph::from_keras(model),
            class => Err(Error::unsupported(
                "the model's config",
                format!("a model of class {}", class.unwrap_or("nothing")),
                "models of class Sequential and Functional can be read",
            )),
        }
    }
}

fn damaged(what: &str, received: Option<&Value>) -> Error {
    let received = received.map_or("nothing".to_owned(), |value| shorten(&value.to_string()));
    Error::mismatch(
        "the model's config",
        what,
        received,
        "the file is damaged, or not Keras'",
    )
}

fn chain_from_keras(model: &Value) -> Result<Model> {
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
        result.append(layer_from_keras(layer)?);
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

/// A layer, or a model that is one.
fn layer_from_keras(layer: &Value) -> Result<LayerSpec> {
    let class = layer.get("class_name").and_then(Value::as_str);
    let class = class.ok_or_else(|| damaged("a layer with a class_name", Some(layer)))?;
    if let "Sequential" | "Functional" | "Model" = class {
        let trainable = layer.pointer("/config/trainable").and_then(Value::as_bool);
        let model = Model::from_keras(layer)?;
        return Ok(LayerSpec::from(model).trainable(trainable.unwrap_or(true)));
    }
    let arguments = match layer.get("config") {
        Some(Value::Object(arguments)) => arguments.clone(),
        other => return Err(damaged("a layer's config", other)),
    };
    let mut spec =
        LayerSpec::from_file(class, arguments).map_err(|error| in_file(error, layer, class))?;
    let built = layer
        .get("build_config")
        .and_then(|build| build.get("input_shape"));
    spec.built_with = built.and_then(without_batch).or(spec.built_with);
    Ok(spec)
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
    if let Some(model) = node.layer.as_model() {
        let mut value = model.to_keras();
        value["config"]["name"] = json!(node.name);
        value["config"]["trainable"] = json!(node.trainable);
        return value;
    }
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
    let sizes: Option<Vec<Vec<usize>>> = node.input_shapes.iter().map(super::example).collect();
    if let Some(mut shapes) = sizes.filter(|_| !node.parameters.is_empty()) {
        let shape = match shapes.len() {
            1 => with_batch(shapes.swap_remove(0)),
            _ => shapes.into_iter().map(with_batch).collect(),
        };
        layer["build_config"] = json!({ "input_shape": shape });
    }
    layer
}

/// A layer like this one, of its arguments alone.
pub(super) fn copied(node: &Node) -> Result<LayerSpec> {
    layer_from_keras(&layer_to_keras(node))
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
        let config = model.to_keras();
        let compile = model.compile_config().unwrap();
        let mut again = Model::from_keras(&config).unwrap();
        again.compile_from_config(&compile).unwrap();
        assert_eq!(again.to_keras(), config);
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
