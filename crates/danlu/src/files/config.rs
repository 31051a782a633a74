//! A model's configuration: Keras' two ways to write the same JSON.
//!
//! `.keras` describes an object as `{"module", "class_name", "config", "registered_name", "build_config"}`, legacy `.h5` as
//! `{"class_name", "config"}`; the optimizer is `optimizer` in the one and `optimizer_config` in the other. A
//! [`ModelFile`](super::ModelFile) always holds the first form. What a `.h5` lacks for it and nobody needs (`build_config`)
//! stays absent.

use serde_json::{Map, Value, json};

use super::error::Problem;

/// Keras' models; they live in another module than layers.
const MODELS: [&str; 3] = ["Sequential", "Functional", "Model"];
/// Where wrappers keep the layers that they wrap.
const WRAPPED: [&str; 3] = ["layer", "forward_layer", "backward_layer"];

/// Parses JSON text found in a file.
pub(super) fn parse(what: &str, text: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(text).map_err(|error| Problem::damaged(what, "JSON", error))
}

/// Takes out `shared_object_id` everywhere: an address in the memory of the process that saved the file.
pub(super) fn without_addresses(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.shift_remove("shared_object_id");
            fields.values_mut().for_each(without_addresses);
        }
        Value::Array(values) => values.iter_mut().for_each(without_addresses),
        _ => {}
    }
}

/// The model's `model_config` from a `.h5`, in the form of `.keras`.
pub(super) fn model_from_legacy(mut config: Value) -> Value {
    without_addresses(&mut config);
    full(config, "keras.layers")
}

/// `training_config` from a `.h5` in the form of `compile_config`.
pub(super) fn compile_from_legacy(config: Value) -> Value {
    let Value::Object(fields) = config else {
        return config;
    };
    let mut compile = Map::new();
    let optimizer = fields.get("optimizer_config").cloned();
    compile.insert(
        "optimizer".to_owned(),
        full_inside(optimizer.unwrap_or(Value::Null), "keras.optimizers"),
    );
    for (name, value) in fields {
        let value = match name.as_str() {
            "optimizer_config" => continue,
            "loss" => full_inside(value, "keras.losses"),
            "metrics" | "weighted_metrics" => full_inside(value, "keras.metrics"),
            _ => value,
        };
        compile.insert(name, value);
    }
    Value::Object(compile)
}

fn is_object(value: &Value) -> bool {
    value.get("class_name").is_some_and(Value::is_string)
}

/// Objects in lists and tables (losses and metrics by output) brought to the full form.
fn full_inside(value: Value, module: &str) -> Value {
    match value {
        Value::Object(_) if is_object(&value) => full(value, module),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, full_inside(value, module)))
            .collect(),
        Value::Array(values) => values
            .into_iter()
            .map(|value| full_inside(value, module))
            .collect(),
        other => other,
    }
}

fn full(value: Value, module: &str) -> Value {
    let Value::Object(mut fields) = value else {
        return value;
    };
    if let Some(Value::Object(config)) = fields.get_mut("config") {
        nested(config, |layer| full(layer, "keras.layers"));
    }
    if fields.contains_key("module") {
        return Value::Object(fields);
    }
    let name = fields
        .get("class_name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    // A registered class of a user's own is `package>Name`.
    let (module, class, registered) = match name.split_once('>') {
        Some((_, class)) => (Value::Null, class.to_owned(), json!(name)),
        None if MODELS.contains(&name.as_str()) => (json!("keras"), name, Value::Null),
        None => (json!(module), name, Value::Null),
    };
    let mut result = Map::new();
    result.insert("module".to_owned(), module);
    for (key, value) in fields {
        if key == "class_name" {
            result.insert(key, json!(class));
        } else {
            result.insert(key, value);
        }
    }
    result.insert("registered_name".to_owned(), registered);
    Value::Object(result)
}

/// Applies `change` to the layers inside a layer's or model's configuration.
fn nested(config: &mut Map<String, Value>, change: impl Fn(Value) -> Value) {
    if let Some(Value::Array(layers)) = config.get_mut("layers") {
        for layer in layers {
            *layer = change(layer.take());
        }
    }
    for name in WRAPPED {
        if let Some(layer) = config.get_mut(name)
            && is_object(layer)
        {
            *layer = change(layer.take());
        }
    }
}

/// A model's configuration as a `.h5` has it.
pub(super) fn model_to_legacy(config: &Value) -> Value {
    legacy(config.clone())
}

fn legacy(value: Value) -> Value {
    let Value::Object(mut fields) = value else {
        return value;
    };
    for name in ["module", "build_config", "compile_config"] {
        fields.shift_remove(name);
    }
    if let Some(Value::String(registered)) = fields.shift_remove("registered_name") {
        fields.insert("class_name".to_owned(), Value::String(registered));
    }
    if let Some(Value::Object(config)) = fields.get_mut("config") {
        nested(config, legacy);
    }
    Value::Object(fields)
}

/// `compile_config` as the `training_config` of a `.h5`. Keras needs five of its keys, whatever they hold.
pub(super) fn compile_to_legacy(compile: &Value) -> Value {
    let mut fields = Map::new();
    for name in ["loss", "loss_weights", "metrics", "weighted_metrics"] {
        let mut value = compile.get(name).cloned().unwrap_or(Value::Null);
        if name == "loss" {
            spell_out(&mut value);
        }
        fields.insert(name.to_owned(), legacy_inside(value));
    }
    for (name, value) in compile.as_object().into_iter().flatten() {
        if name != "optimizer" && !fields.contains_key(name) {
            fields.insert(name.clone(), value.clone());
        }
    }
    let optimizer = compile.get("optimizer").cloned().unwrap_or(Value::Null);
    fields.insert("optimizer_config".to_owned(), legacy_inside(optimizer));
    Value::Object(fields)
}

/// Losses by their long names: Keras 3.15.1 cannot load a `.h5` whose loss is "mse" ("Could not deserialize
/// 'keras.metrics.mse'"), not even its own.
fn spell_out(loss: &mut Value) {
    match loss {
        Value::String(name) => {
            let long = match name.to_lowercase().as_str() {
                "mse" => "mean_squared_error",
                "mae" => "mean_absolute_error",
                "mape" => "mean_absolute_percentage_error",
                "msle" => "mean_squared_logarithmic_error",
                "bce" => "binary_crossentropy",
                "kld" => "kl_divergence",
                _ => return,
            };
            *name = long.to_owned();
        }
        Value::Array(losses) => losses.iter_mut().for_each(spell_out),
        Value::Object(losses) if !losses.contains_key("class_name") => {
            losses.values_mut().for_each(spell_out);
        }
        _ => {}
    }
}

fn legacy_inside(value: Value) -> Value {
    match value {
        // A function is its name alone.
        Value::Object(mut fields) if fields.get("class_name") == Some(&json!("function")) => {
            fields.shift_remove("config").unwrap_or(Value::Null)
        }
        Value::Object(_) if is_object(&value) => legacy(value),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, legacy_inside(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(legacy_inside).collect(),
        other => other,
    }
}

/// A layer of a model's configuration, and where its weights lie in a `.keras` file.
pub(super) struct ConfiguredLayer<'a> {
    /// The layer's own name.
    pub(super) name: &'a str,
    /// Its group: the class in snake case, counted from the second on.
    pub(super) group: String,
    /// Its configuration.
    pub(super) value: &'a Value,
}

/// The layers of a model (or of a layer that has layers), in order.
pub(super) fn layers(model: &Value) -> Vec<ConfiguredLayer<'_>> {
    let class = model.get("class_name").and_then(Value::as_str);
    let list = model.pointer("/config/layers").and_then(Value::as_array);
    let mut used: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    list.into_iter()
        .flatten()
        .filter_map(|value| {
            let layer_class = value.get("class_name").and_then(Value::as_str)?;
            if class == Some("Sequential") && layer_class == "InputLayer" {
                return None;
            }
            let mut group = snake_case(layer_class);
            let count = used.entry(group.clone()).or_default();
            if *count > 0 {
                group = format!("{group}_{count}");
            }
            *count += 1;
            let name = value
                .pointer("/config/name")
                .or_else(|| value.get("name"))
                .and_then(Value::as_str)?;
            Some(ConfiguredLayer { name, group, value })
        })
        .collect()
}

/// A class name as Keras writes it in small letters (`keras.src.utils.naming.to_snake_case`): `MaxPooling2D` becomes
/// `max_pooling2d`.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class
        .chars()
        .filter(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    // An underscore before every capital that begins a word; then between a small letter and a capital.
    let mut words = String::new();
    let mut at = 0;
    while at < letters.len() {
        words.push(letters[at]);
        let end = letters[at + 1..]
            .iter()
            .skip(1)
            .position(|letter| !letter.is_ascii_lowercase())
            .map_or(letters.len(), |count| at + 2 + count);
        if letters.get(at + 1).is_some_and(char::is_ascii_uppercase) && end > at + 2 {
            words.push('_');
            words.extend(&letters[at + 1..end]);
            at = end;
        } else {
            at += 1;
        }
    }
    let mut result = String::new();
    let mut before = '_';
    for letter in words.chars() {
        if before.is_ascii_lowercase() && letter.is_ascii_uppercase() {
            result.push('_');
        }
        result.extend(letter.to_lowercase());
        before = letter;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_in_snake_case() {
        // By keras.src.utils.naming.to_snake_case of Keras 3.15.1.
        for (class, expected) in [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("MaxPooling2D", "max_pooling2d"),
            ("GlobalAveragePooling1D", "global_average_pooling1d"),
            ("LSTM", "lstm"),
            ("LSTMCell", "lstm_cell"),
            ("ConvLSTM2D", "conv_lstm2d"),
            ("InputLayer", "input_layer"),
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("ELU", "elu"),
            ("My>Own_Layer", "my_own__layer"),
            ("A", "a"),
            ("", ""),
        ] {
            assert_eq!(snake_case(class), expected, "{class}");
        }
    }

    #[test]
    fn the_legacy_form_and_back() {
        let model = json!({
            "module": "keras", "class_name": "Sequential",
            "config": {"name": "m", "layers": [
                {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d"}, "registered_name": null},
                {"module": null, "class_name": "Own", "config": {"name": "o"}, "registered_name": "me>Own"},
            ]},
            "registered_name": null,
        });
        let old = model_to_legacy(&model);
        assert_eq!(
            old["config"]["layers"][0],
            json!({"class_name": "Dense", "config": {"name": "d"}})
        );
        assert_eq!(model_from_legacy(old), model);
        let compile = json!({
            "optimizer": {"module": "keras.optimizers", "class_name": "SGD", "config": {}, "registered_name": null},
            "loss": {"a": "mean_squared_error", "b": {"module": "keras.losses", "class_name": "L", "config": {}, "registered_name": null}},
            "loss_weights": null, "metrics": [["accuracy"]], "weighted_metrics": null, "jit_compile": false,
        });
        assert_eq!(compile_from_legacy(compile_to_legacy(&compile)), compile);
        let function = json!({"module": "builtins", "class_name": "function", "config": "huber", "registered_name": "function"});
        assert_eq!(
            compile_to_legacy(&json!({"metrics": [function]}))["metrics"],
            json!(["huber"])
        );
        assert_eq!(
            compile_to_legacy(&json!({"loss": "mse"}))["loss"],
            "mean_squared_error"
        );
    }
}
