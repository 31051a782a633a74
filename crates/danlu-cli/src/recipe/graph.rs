//! Functional models in recipes: layers that say by name what they read, inputs and outputs of the model.

use danlu::layers::LayerSpec;
use danlu::model::GraphLayer;
use danlu::{Config, Model};
use serde_json::{Value, json};

use super::build::DataShape;
use super::document::Document;
use super::{ModelPart, library_error};
use crate::failure::Result;

/// A functional model as a recipe describes it.
#[derive(Clone, Debug)]
pub struct Graph {
    layers: Vec<GraphLayer>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// Whether the first layer is not the recipe's: an Input of the data's shape, where the recipe has none.
    pub inserted: bool,
    /// The layer whose units are the data's classes.
    units: Option<usize>,
}

/// The layers of a recipe, in a chain or, where they say what they read, in a graph.
///
/// # Errors
/// A layer, a name or a list is none, or layers do not make a graph; the error says where.
pub fn read(
    document: &Document,
    layers: Vec<(String, Config)>,
    inputs: Option<&Value>,
    outputs: Option<&Value>,
) -> Result<ModelPart> {
    let is_input = |class: &str| class == "Input" || class == "InputLayer";
    let reads = |(_, arguments): &(String, Config)| arguments.contains_key("inputs");
    let late = layers.iter().skip(1).any(|(class, _)| is_input(class));
    if !(inputs.is_some() || outputs.is_some() || late || layers.iter().any(reads)) {
        check(document, &layers, &|place| place + 1 == layers.len())?;
        return Ok(ModelPart::Layers(layers));
    }
    let mut plain = Vec::with_capacity(layers.len());
    let mut read = Vec::with_capacity(layers.len() + 1);
    for (place, (class_name, mut arguments)) in layers.into_iter().enumerate() {
        let path = format!("model.layers.{place}.inputs");
        let names = arguments.shift_remove("inputs");
        plain.push((class_name.clone(), arguments.clone()));
        read.push(GraphLayer {
            class_name,
            arguments,
            inputs: match names {
                Some(names) => uses(document, &path, &names)?,
                None => Vec::new(),
            },
        });
    }
    check(document, &plain, &|_| true)?;
    let inserted = !read.iter().any(GraphLayer::is_input);
    if inserted {
        read.insert(
            0,
            GraphLayer {
                class_name: "Input".to_owned(),
                arguments: Config::new(),
                inputs: Vec::new(),
            },
        );
    }
    let mut graph = Graph {
        layers: read,
        inputs: ends(document, "model.inputs", inputs)?,
        outputs: ends(document, "model.outputs", outputs)?,
        inserted,
        units: None,
    };
    let layers = graph.layers.iter().map(completed).collect::<Vec<_>>();
    let model = graph.make(document, &layers)?;
    graph.find_units(document, &model)?;
    Ok(ModelPart::Graph(graph))
}

/// Fails unless layers of these types and arguments can be made. The units of a Dense and the shape of an Input may be left to the
/// data, where `open` says so of the layer's place.
fn check(
    document: &Document,
    layers: &[(String, Config)],
    open: &dyn Fn(usize) -> bool,
) -> Result<()> {
    for (place, (class_name, arguments)) in layers.iter().enumerate() {
        let layer = GraphLayer {
            class_name: class_name.clone(),
            arguments: arguments.clone(),
            inputs: Vec::new(),
        };
        let arguments = match open(place) || layer.is_input() {
            true => completed(&layer).arguments,
            false => layer.arguments,
        };
        LayerSpec::from_arguments(class_name, arguments).map_err(|error| {
            let error = error.in_layer(&format!("layer {place} ({class_name})"));
            library_error(document, &format!("model.layers.{place}"), &error)
        })?;
    }
    Ok(())
}

/// The layer with something in place of what the data will say.
fn completed(layer: &GraphLayer) -> GraphLayer {
    let mut layer = layer.clone();
    if layer.is_input() && !has_shape(&layer.arguments) {
        layer.arguments.insert("shape".to_owned(), json!([1]));
    }
    if layer.class_name == "Dense" && !layer.arguments.contains_key("units") {
        layer.arguments.insert("units".to_owned(), json!(1));
    }
    layer
}

/// Whether an Input says its shape.
pub fn has_shape(arguments: &Config) -> bool {
    let names = ["shape", "batch_shape", "batch_input_shape"];
    names.iter().any(|name| arguments.contains_key(*name))
}

/// What a layer reads: `["a", "b"]`, or for each of its uses such a list.
fn uses(document: &Document, path: &str, value: &Value) -> Result<Vec<Vec<String>>> {
    let names = |value: &Value| -> Option<Vec<String>> {
        let names = value.as_array().filter(|names| !names.is_empty())?;
        let names = names.iter().map(|name| name.as_str().map(str::to_owned));
        names.collect()
    };
    let several = |value: &Value| -> Option<Vec<Vec<String>>> {
        let lists = value.as_array().filter(|lists| !lists.is_empty())?;
        lists.iter().map(names).collect()
    };
    let found = names(value).map(|one| vec![one]).or_else(|| several(value));
    found.ok_or_else(|| {
        let message = format!(
            "`{path}` must be a list of names of layers, such as [\"a\", \"b\"], or, for a layer that is used several times, a list of \
             such lists, received {value}"
        );
        document.error(path, &message)
    })
}

/// `[model] inputs` or `outputs`.
fn ends(document: &Document, path: &str, value: Option<&Value>) -> Result<Vec<String>> {
    match value {
        None => Ok(Vec::new()),
        Some(value) => match uses(document, path, value)?.as_slice() {
            [names] if value[0].is_string() => Ok(names.clone()),
            _ => {
                let message =
                    format!("`{path}` must be a list of names of layers, received {value}");
                Err(document.error(path, &message))
            }
        },
    }
}

impl Graph {
    /// The model for data of these shapes, not built.
    ///
    /// # Errors
    /// The data has no input for an Input without a shape, or no classes to count.
    pub fn model(&self, document: &Document, data: &DataShape) -> Result<Model> {
        let mut layers = self.layers.clone();
        let names = GraphLayer::names(&layers);
        let own: Vec<usize> = (0..layers.len())
            .filter(|&place| layers[place].is_input())
            .collect();
        let known = |name: &String| data.inputs.iter().position(|(other, _)| other == name);
        let in_order = own.len() == data.inputs.len()
            && own.iter().all(|&place| known(&names[place]).is_none());
        for (number, &place) in own.iter().enumerate() {
            if has_shape(&layers[place].arguments) {
                continue;
            }
            let found = known(&names[place]).or(in_order.then_some(number));
            let Some(found) = found else {
                let there: Vec<&str> = data.inputs.iter().map(|(name, _)| name.as_str()).collect();
                let message = format!(
                    "layer {} (Input) needs a `shape`: the data has no input of this name ({})",
                    names[place],
                    match there.is_empty() {
                        true => "there is no data".to_owned(),
                        false => there.join(", "),
                    }
                );
                return Err(document.error(&self.path(place), &message));
            };
            let shape = json!(data.inputs[found].1);
            layers[place].arguments.insert("shape".to_owned(), shape);
        }
        if let Some(place) = self.units {
            let classes = data.classes.ok_or_else(|| {
                let message = format!(
                    "layer {} (Dense) needs `units`: the data has no classes to count",
                    names[place]
                );
                document.error(&self.path(place), &message)
            })?;
            layers[place]
                .arguments
                .insert("units".to_owned(), json!(classes));
        }
        self.make(document, &layers)
    }

    /// The names of the layers, in the recipe's order; one more in front where an Input was inserted.
    pub fn names(&self) -> Vec<String> {
        GraphLayer::names(&self.layers)
    }

    fn path(&self, place: usize) -> String {
        match place.checked_sub(usize::from(self.inserted)) {
            Some(place) => format!("model.layers.{place}"),
            None => "model".to_owned(),
        }
    }

    fn make(&self, document: &Document, layers: &[GraphLayer]) -> Result<Model> {
        Model::from_graph(layers, &self.inputs, &self.outputs).map_err(|error| {
            let text = error.to_string();
            let of_layer = |name: &String| text.starts_with(&format!("layer {name} ("));
            let path = match self.names().iter().position(of_layer) {
                // What layers read is what can be wrong with a graph.
                Some(place) => format!("{}.inputs", self.path(place)),
                None => match ["inputs", "outputs"].iter().find(|end| {
                    text.starts_with(&format!("the model's {end}"))
                        || text.starts_with(&format!("the model: `{end}`"))
                }) {
                    Some(end) => format!("model.{end}"),
                    None => "model".to_owned(),
                },
            };
            document.error(&path, &text)
        })
    }

    /// Finds the Dense without units: it may only be the model's one output.
    fn find_units(&mut self, document: &Document, model: &Model) -> Result<()> {
        let names = self.names();
        let output = match model.output_names().as_slice() {
            [only] => names.iter().position(|name| name == only),
            _ => None,
        };
        for (place, layer) in self.layers.iter().enumerate() {
            if layer.class_name != "Dense" || layer.arguments.contains_key("units") {
                continue;
            }
            if output != Some(place) {
                let message = format!(
                    "layer {} (Dense) needs `units`: they come from the data's classes only where it is the model's one output",
                    names[place]
                );
                return Err(document.error(&self.path(place), &message));
            }
            self.units = Some(place);
        }
        Ok(())
    }
}
