//! Functional models of layers that are given by type, arguments and the names of what they read, as a recipe writes them.

use std::collections::{HashMap, HashSet};

use super::{Model, SharedLayer, Symbol};
use crate::layers::LayerSpec;
use crate::{Config, Error, Result};

/// What errors call a name that stands for no layer.
const LAYER: &str = "layer of this model";

/// A layer of a functional model that is given by its type: see [`Model::from_graph`].
#[derive(Clone, Debug, PartialEq)]
pub struct GraphLayer {
    /// Its type, such as `Dense`.
    pub class_name: String,
    /// Its arguments; a `name` among them is what others call it by.
    pub arguments: Config,
    /// What it is applied to: for each of its uses the names of the layers that it reads, `name[1]` for the second use of a layer
    /// that has several. Without any it is used once, on the layer before it.
    pub inputs: Vec<Vec<String>>,
}

impl GraphLayer {
    /// The names of these layers, in order: their own, or else, as in Keras, the first of `dense`, `dense_1`, ... that is free.
    pub fn names(layers: &[GraphLayer]) -> Vec<String> {
        let own = |layer: &GraphLayer| layer.arguments.get("name")?.as_str().map(str::to_owned);
        let mut taken: HashSet<String> = layers.iter().filter_map(own).collect();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut free = |layer: &GraphLayer| {
            let class = match layer.is_input() {
                true => "InputLayer",
                false => layer.class_name.as_str(),
            };
            let base = crate::config::snake_case(class);
            let number = numbers.entry(base.clone()).or_insert(0);
            loop {
                let name = match *number {
                    0 => base.clone(),
                    number => format!("{base}_{number}"),
                };
                *number += 1;
                if taken.insert(name.clone()) {
                    return name;
                }
            }
        };
        let names = layers.iter();
        names
            .map(|layer| own(layer).unwrap_or_else(|| free(layer)))
            .collect()
    }

    /// Whether examples come in here.
    pub fn is_input(&self) -> bool {
        self.class_name == "Input" || self.class_name == "InputLayer"
    }
}

impl Model {
    /// A functional model of layers given by type, arguments and the names of what they read, in any order. `inputs` are the names
    /// of its Input layers in order, by default as they stand; `outputs` the names of the layers (`name[1]` for the second use of one)
    /// that give its outputs, by default all that no other layer reads.
    ///
    /// ```
    /// use danlu::model::GraphLayer;
    /// use danlu::{Config, Model, config};
    /// let layer = |class: &str, arguments: Config, inputs: &[&str]| GraphLayer {
    ///     class_name: class.to_owned(),
    ///     arguments,
    ///     inputs: match inputs {
    ///         [] => Vec::new(),
    ///         names => vec![names.iter().map(|&name| name.to_owned()).collect()],
    ///     },
    /// };
    /// let model = Model::from_graph(
    ///     &[
    ///         layer("Input", config! { "shape": [4], "name": "x" }, &[]),
    ///         layer("Dense", config! { "units": 4, "name": "inner" }, &[]),
    ///         layer("Add", config! { "name": "sum" }, &["x", "inner"]),
    ///     ],
    ///     &[],
    ///     &[],
    /// )?;
    /// assert_eq!(model.output_names(), ["sum"]);
    /// # Ok::<(), danlu::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such type or argument; two layers have one name; a name stands for no layer; layers read each other in a circle;
    /// a layer leads to no output. Shapes that do not fit are reported when the model is built.
    pub fn from_graph(
        layers: &[GraphLayer],
        inputs: &[String],
        outputs: &[String],
    ) -> Result<Model> {
        let graph = Described::new(layers)?;
        let order = graph.order()?;
        let inputs = graph.ends("inputs", inputs, graph.input_uses())?;
        let outputs = graph.ends("outputs", outputs, graph.unread())?;
        graph.check_inputs(&inputs)?;
        graph.check_outputs(&outputs)?;
        let mut shared: Vec<SharedLayer> = Vec::with_capacity(layers.len());
        for (place, layer) in layers.iter().enumerate() {
            let spec = LayerSpec::from_arguments(&layer.class_name, layer.arguments.clone())
                .map_err(|error| graph.in_layer(place, error))?;
            shared.push(SharedLayer::new(spec.name(&graph.names[place])));
        }
        let mut symbols: HashMap<Use, Symbol> = HashMap::new();
        for used in order {
            let read = graph.reads[used.layer][used.number].iter();
            let read: Vec<Symbol> = read.map(|source| symbols[source].clone()).collect();
            symbols.insert(used, shared[used.layer].apply(read));
        }
        let of = |uses: Vec<Use>| -> Vec<Symbol> {
            uses.iter().map(|used| symbols[used].clone()).collect()
        };
        Model::new(of(inputs), of(outputs))
    }
}

/// A use of a layer: the layer's place, and the number of the use among the layer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Use {
    layer: usize,
    number: usize,
}

/// Layers whose names were looked up.
struct Described<'a> {
    layers: &'a [GraphLayer],
    names: Vec<String>,
    places: HashMap<String, usize>,
    /// What each use of each layer reads.
    reads: Vec<Vec<Vec<Use>>>,
}

impl<'a> Described<'a> {
    fn new(layers: &'a [GraphLayer]) -> Result<Described<'a>> {
        let names = GraphLayer::names(layers);
        let mut graph = Described {
            layers,
            names,
            places: HashMap::new(),
            reads: Vec::new(),
        };
        for (place, name) in graph.names.iter().enumerate() {
            if let Some(other) = graph.places.insert(name.clone(), place) {
                let error = Error::argument(
                    graph.layers[place].class_name.as_str(),
                    "name",
                    "a text that no other layer has",
                    format!("`{name}`, the name of {}, too", graph.title(other)),
                );
                return Err(graph.in_layer(place, error));
            }
        }
        for place in 0..layers.len() {
            let reads = graph.reads_of(place);
            let reads = reads.map_err(|error| graph.in_layer(place, error))?;
            graph.reads.push(reads);
        }
        Ok(graph)
    }

    fn title(&self, place: usize) -> String {
        let class = self.layers[place].class_name.as_str();
        format!("layer {} ({class})", self.names[place])
    }

    fn in_layer(&self, place: usize, error: Error) -> Error {
        error.in_layer(&self.title(place))
    }

    /// How often a layer is used.
    fn uses(&self, place: usize) -> usize {
        self.layers[place].inputs.len().max(1)
    }

    fn reads_of(&self, place: usize) -> Result<Vec<Vec<Use>>> {
        let layer = &self.layers[place];
        let wrong = |expected: &str, received: String| {
            Error::argument(layer.class_name.as_str(), "inputs", expected, received)
        };
        if layer.is_input() {
            return match layer.inputs.first() {
                None => Ok(vec![Vec::new()]),
                Some(read) => Err(wrong("left out: an Input reads no layer", read.join(", "))),
            };
        }
        if layer.inputs.is_empty() {
            return match place.checked_sub(1) {
                Some(before) => Ok(vec![vec![self.find(&self.names[before])?]]),
                None => Err(wrong(
                    "the names of layers",
                    "none, and there is no layer before it".to_owned(),
                )),
            };
        }
        let found = layer.inputs.iter().map(|names| match names.is_empty() {
            true => Err(wrong("the names of layers", "none".to_owned())),
            false => names.iter().map(|name| self.find(name)).collect(),
        });
        found.collect()
    }

    /// The use that a name stands for: `name`, or `name[1]`.
    fn find(&self, text: &str) -> Result<Use> {
        let numbered = || {
            let (name, number) = text.strip_suffix(']')?.rsplit_once('[')?;
            Some((*self.places.get(name)?, number.parse::<usize>().ok()?))
        };
        let (layer, number) = match (self.places.get(text), numbered()) {
            (Some(&layer), _) => (layer, None),
            (None, Some((layer, number))) => (layer, Some(number)),
            (None, None) => {
                let names = self.names.iter().map(String::as_str);
                return Err(Error::unknown(LAYER, text, names));
            }
        };
        let uses = self.uses(layer);
        let name = &self.names[layer];
        match number {
            None if uses == 1 => Ok(Use { layer, number: 0 }),
            Some(number) if number < uses => Ok(Use { layer, number }),
            _ => Err(Error::mismatch(
                format!("what layer `{name}` gives, which is used {uses} time(s)"),
                format!("one of `{name}[0]` to `{name}[{}]`", uses - 1),
                format!("`{text}`"),
                "",
            )),
        }
    }

    /// All uses, each after what it reads and after the uses of its layer before it.
    fn order(&self) -> Result<Vec<Use>> {
        let mut order = Vec::new();
        let mut finished: HashSet<Use> = HashSet::new();
        for first in self.all() {
            // Uses that wait for others, each with how many of these were looked at.
            let mut way: Vec<(Use, usize)> = vec![(first, 0)];
            while let Some(&mut (used, ref mut looked)) = way.last_mut() {
                let reads = &self.reads[used.layer][used.number];
                let before = used.number.checked_sub(1).map(|number| Use {
                    number,
                    layer: used.layer,
                });
                let next = reads.iter().copied().chain(before).nth(*looked);
                *looked += 1;
                match next {
                    _ if finished.contains(&used) => drop(way.pop()),
                    None => {
                        finished.insert(used);
                        order.push(used);
                        way.pop();
                    }
                    Some(next) => match way.iter().position(|(other, _)| *other == next) {
                        Some(start) => return Err(self.circle(&way[start..])),
                        None => way.push((next, 0)),
                    },
                }
            }
        }
        Ok(order)
    }

    fn circle(&self, way: &[(Use, usize)]) -> Error {
        let mut layers: Vec<usize> = way.iter().map(|(used, _)| used.layer).collect();
        layers.dedup();
        let first = layers[0];
        if layers.len() == 1 || layers.last() != Some(&first) {
            layers.push(first);
        }
        let names: Vec<&str> = layers.iter().map(|&at| self.names[at].as_str()).collect();
        let error = Error::mismatch(
            "the graph",
            "layers that read what comes before them",
            format!("a circle: {}", names.join(" reads ")),
            "leave one of these `inputs` out",
        );
        self.in_layer(first, error)
    }

    fn all(&self) -> impl Iterator<Item = Use> {
        let uses = |layer| (0..self.uses(layer)).map(move |number| Use { layer, number });
        (0..self.layers.len()).flat_map(uses)
    }

    fn input_uses(&self) -> Vec<Use> {
        self.all()
            .filter(|used| self.layers[used.layer].is_input())
            .collect()
    }

    /// The uses, those of Inputs apart, whose results nobody reads.
    fn unread(&self) -> Vec<Use> {
        let read: HashSet<Use> = self.reads.iter().flatten().flatten().copied().collect();
        self.all()
            .filter(|used| !self.layers[used.layer].is_input() && !read.contains(used))
            .collect()
    }

    /// The uses that are the model's inputs or outputs.
    fn ends(&self, what: &'static str, names: &[String], default: Vec<Use>) -> Result<Vec<Use>> {
        let ends = match names {
            [] => default,
            names => {
                let found = names.iter().map(|name| self.find(name));
                found
                    .collect::<Result<Vec<Use>>>()
                    .map_err(|error| error.in_layer(&format!("the model's {what}")))?
            }
        };
        let twice = (1..ends.len()).find(|&place| ends[..place].contains(&ends[place]));
        let received = match (twice, ends.is_empty()) {
            (Some(place), _) => format!("`{}` twice", self.names[ends[place].layer]),
            (None, true) => "none".to_owned(),
            (None, false) => return Ok(ends),
        };
        Err(Error::argument(
            "the model",
            what,
            "layers, each once",
            received,
        ))
    }

    fn check_inputs(&self, inputs: &[Use]) -> Result<()> {
        let own = self.input_uses();
        let stranger = inputs.iter().find(|used| !own.contains(used));
        let missing = own.iter().find(|used| !inputs.contains(used));
        let received = match (stranger, missing) {
            (Some(used), _) => format!("{}, which is no Input", self.title(used.layer)),
            (None, Some(used)) => format!("no `{}`", self.names[used.layer]),
            (None, None) => return Ok(()),
        };
        let names: Vec<&str> = own.iter().map(|at| self.names[at.layer].as_str()).collect();
        Err(Error::argument(
            "the model",
            "inputs",
            format!("its Input layers ({})", names.join(", ")),
            received,
        ))
    }

    /// Fails unless the outputs are results of layers, and every layer leads to one of them.
    fn check_outputs(&self, outputs: &[Use]) -> Result<()> {
        let is_input = |used: &&Use| self.layers[used.layer].is_input();
        if let Some(used) = outputs.iter().find(is_input) {
            let received = format!(
                "{}, which only gives the input again",
                self.title(used.layer)
            );
            let expected = "results of layers";
            return Err(Error::argument("the model", "outputs", expected, received));
        }
        let mut reached: HashSet<Use> = outputs.iter().copied().collect();
        let mut rest = outputs.to_vec();
        while let Some(used) = rest.pop() {
            for &source in &self.reads[used.layer][used.number] {
                if reached.insert(source) {
                    rest.push(source);
                }
            }
        }
        // What nobody reads is the loose end, and not what leads to it.
        let unread = self.unread();
        let loose = || self.all().filter(|used| !reached.contains(used));
        let end = loose().find(|used| unread.contains(used));
        let Some(loose) = end.or_else(|| loose().next()) else {
            return Ok(());
        };
        let names: Vec<&str> = outputs
            .iter()
            .map(|used| self.names[used.layer].as_str())
            .collect();
        let which = match self.uses(loose.layer) {
            1 => String::new(),
            _ => format!(" (use {})", loose.number),
        };
        let error = Error::mismatch(
            "the graph",
            "layers that lead to an output",
            format!(
                "one{which} that none of the outputs ({}) needs",
                names.join(", ")
            ),
            "read it in another layer, name it among the outputs, or leave it out",
        );
        Err(self.in_layer(loose.layer, error))
    }
}

#[cfg(test)]
mod tests;
