//! Functional models: layers are applied to symbols, and a model is made of the graph between some of them.
//!
//! Order and naming follow `keras.src.ops.function.map_graph` of Keras 3.15.1, so that files and summaries agree.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Model, Source};
use crate::layers::{Input, LayerSpec};
use crate::{Error, Result};

/// A result of a layer in a model that is being put together: it has no numbers yet. Cheap to clone.
///
/// ```
/// use danlu::prelude::*;
/// let pixels = Symbol::input(Input::new([8, 8, 1]).name("pixels"));
/// let shared = SharedLayer::new(Conv2D::new(4, [3, 3]).padding("same"));
/// let once = shared.apply(&pixels);
/// let both = &once + &pixels;
/// let flat = Flatten::new().apply(&both);
/// let digit = Dense::new(10).activation("softmax").name("digit").apply(&flat);
/// let even = Dense::new(1).activation("sigmoid").name("even").apply(&flat);
/// let model = Model::new(&pixels, [&digit, &even])?;
/// assert_eq!(model.output_names(), ["digit", "even"]);
/// # Ok::<(), danlu::Error>(())
/// ```
#[derive(Clone)]
pub struct Symbol {
    call: Arc<SymbolCall>,
    output: usize,
}

/// A use of a layer.
struct SymbolCall {
    layer: SharedLayer,
    inputs: Vec<Symbol>,
    training: Option<bool>,
    /// Uses are counted as they are made.
    number: u64,
}

impl Symbol {
    /// Where examples come in: an [`Input`], perhaps with a name.
    pub fn input(input: impl Into<LayerSpec>) -> Symbol {
        SharedLayer::new(input).call(Vec::new(), None)
    }
}

impl std::fmt::Debug for Symbol {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "Symbol({}[{}])",
            self.call.layer.title(),
            self.output
        )
    }
}

impl Drop for SymbolCall {
    /// A long chain is taken apart link by link, not by calls within calls.
    fn drop(&mut self) {
        let mut rest = std::mem::take(&mut self.inputs);
        while let Some(symbol) = rest.pop() {
            if let Some(mut call) = Arc::into_inner(symbol.call) {
                rest.append(&mut call.inputs);
            }
        }
    }
}

/// A layer that stands in several places of a model, with the same parameters in each. Cheap to clone.
#[derive(Clone)]
pub struct SharedLayer {
    layer: Arc<Mutex<Option<LayerSpec>>>,
    title: Arc<str>,
    outputs: usize,
    is_input: bool,
}

impl SharedLayer {
    /// The layer, to be applied more than once; a model is a layer, too.
    pub fn new(layer: impl Into<LayerSpec>) -> SharedLayer {
        let spec = layer.into();
        let class = spec.layer.class_name();
        let title = match &spec.name {
            Some(name) => format!("{name} ({class})"),
            None => class.to_owned(),
        };
        SharedLayer {
            title: title.into(),
            outputs: spec.layer.outputs(),
            is_input: spec.layer.input_shape().is_some(),
            layer: Arc::new(Mutex::new(Some(spec))),
        }
    }

    /// The layer's result for these inputs; the first where it is a model of several outputs.
    pub fn apply(&self, inputs: impl IntoSymbols) -> Symbol {
        self.call(inputs.into_symbols(), None)
    }

    /// As [`apply`](Self::apply), where the layer always, or never, does what it does in training: a model that was trained
    /// before is often applied with `false`, so that its batch normalizations keep to their statistics.
    pub fn apply_as(&self, training: bool, inputs: impl IntoSymbols) -> Symbol {
        self.call(inputs.into_symbols(), Some(training))
    }

    /// The layer's results for these inputs: as many as the outputs of the model that it is.
    pub fn apply_all(&self, inputs: impl IntoSymbols) -> Vec<Symbol> {
        let call = self.call(inputs.into_symbols(), None).call;
        let symbol = |output| Symbol {
            call: call.clone(),
            output,
        };
        (0..self.outputs).map(symbol).collect()
    }

    fn call(&self, inputs: Vec<Symbol>, training: Option<bool>) -> Symbol {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let call = SymbolCall {
            layer: self.clone(),
            inputs,
            training,
            number: CALLS.fetch_add(1, Ordering::Relaxed),
        };
        Symbol {
            call: Arc::new(call),
            output: 0,
        }
    }

    fn title(&self) -> &str {
        &self.title
    }

    fn take(&self) -> Option<LayerSpec> {
        let mut layer = self.layer.lock().unwrap_or_else(PoisonError::into_inner);
        layer.take()
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.layer).addr()
    }
}

impl LayerSpec {
    /// The layer's result for these inputs, in a functional model: see [`Model::new`].
    pub fn apply(self, inputs: impl IntoSymbols) -> Symbol {
        SharedLayer::new(self).apply(inputs)
    }
}

/// One symbol, or several: what layers are applied to, and what models are made of.
pub trait IntoSymbols {
    /// The symbols, in order.
    fn into_symbols(self) -> Vec<Symbol>;
}

impl IntoSymbols for Symbol {
    fn into_symbols(self) -> Vec<Symbol> {
        vec![self]
    }
}

impl IntoSymbols for &Symbol {
    fn into_symbols(self) -> Vec<Symbol> {
        vec![self.clone()]
    }
}

impl IntoSymbols for Vec<Symbol> {
    fn into_symbols(self) -> Vec<Symbol> {
        self
    }
}

impl IntoSymbols for &[Symbol] {
    fn into_symbols(self) -> Vec<Symbol> {
        self.to_vec()
    }
}

impl IntoSymbols for &Vec<Symbol> {
    fn into_symbols(self) -> Vec<Symbol> {
        self.clone()
    }
}

impl<const N: usize> IntoSymbols for [Symbol; N] {
    fn into_symbols(self) -> Vec<Symbol> {
        self.into()
    }
}

impl<const N: usize> IntoSymbols for [&Symbol; N] {
    fn into_symbols(self) -> Vec<Symbol> {
        self.into_iter().cloned().collect()
    }
}

impl Model {
    /// The model between these inputs, each of [`Symbol::input`], and these outputs (Keras' `Model(inputs, outputs)`). Its
    /// name is `functional`; layers without a name get one by their type. The model takes the layers: a symbol can be used
    /// in one model only.
    ///
    /// # Errors
    /// An input is no Input; an output needs an Input that is not among the inputs, or a layer that another model took.
    /// Shapes that do not fit are reported when the model is built.
    pub fn new(inputs: impl IntoSymbols, outputs: impl IntoSymbols) -> Result<Model> {
        let (inputs, outputs) = (inputs.into_symbols(), outputs.into_symbols());
        check_ends(&inputs, &outputs)?;
        let found = Found::new(&inputs, &outputs)?;
        let mut model = Model::empty("functional");
        let mut places: HashMap<usize, usize> = HashMap::new();
        for layer in found.layers() {
            let Some(spec) = layer.take() else {
                return Err(Error::mismatch(
                    "Model::new",
                    "layers that no other model has",
                    format!("layer {}, which a model took before", layer.title()),
                    "apply the layers again for another model, or use the first model as a layer of it",
                ));
            };
            places.insert(layer.id(), model.add_node(spec));
        }
        let names = inputs.iter().map(|input| places[&input.call.layer.id()]);
        let names: Vec<String> = names.map(|place| model.nodes[place].name.clone()).collect();
        let mut calls: HashMap<u64, usize> = HashMap::new();
        let source = |symbol: &Symbol, calls: &HashMap<u64, usize>| Source::Call {
            call: calls[&symbol.call.number],
            output: symbol.output,
        };
        for call in found.calls_as_made() {
            let given = inputs
                .iter()
                .position(|input| input.call.number == call.number);
            let sources = match given {
                Some(place) => vec![Source::Input(place)],
                None => call
                    .inputs
                    .iter()
                    .map(|input| source(input, &calls))
                    .collect(),
            };
            let place = model.add_call(places[&call.layer.id()], sources);
            model.calls[place].training = call.training;
            calls.insert(call.number, place);
        }
        model.inputs = Some(names);
        model.outputs = outputs
            .iter()
            .map(|output| source(output, &calls))
            .collect();
        Ok(model)
    }

    /// The same model, whose outputs have these names, by which losses, metrics and targets are given, instead of their
    /// layers'.
    ///
    /// # Errors
    /// There are more or fewer names than outputs, or two are the same.
    pub fn with_output_names<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Model> {
        let names: Vec<String> = names.into_iter().map(S::into).collect();
        let twice = (1..names.len()).any(|place| names[..place].contains(&names[place]));
        if names.len() != self.outputs.len() || twice {
            return Err(Error::mismatch(
                format!("the names of the outputs of {}", self.name),
                format!("{} different names", self.outputs.len()),
                names.join(", "),
                "",
            ));
        }
        self.output_keys = Some(names);
        Ok(self)
    }
}

fn check_ends(inputs: &[Symbol], outputs: &[Symbol]) -> Result<()> {
    for (what, symbols) in [("inputs", inputs), ("outputs", outputs)] {
        if symbols.is_empty() {
            return Err(Error::argument(
                "Model::new",
                what,
                "at least one symbol",
                "none",
            ));
        }
    }
    for (place, input) in inputs.iter().enumerate() {
        let expected = "symbols of Symbol::input, each once";
        let twice = inputs[..place]
            .iter()
            .any(|other| other.call.number == input.call.number);
        if twice || !input.call.layer.is_input {
            let received = format!("the result of layer {}", input.call.layer.title());
            return Err(Error::argument("Model::new", "inputs", expected, received));
        }
    }
    Ok(())
}

/// The calls that outputs need, with their layers.
struct Found<'a> {
    /// From the inputs to the outputs.
    calls: Vec<&'a SymbolCall>,
    inputs: &'a [Symbol],
    /// The order in which the layers were met.
    met: HashMap<usize, usize>,
}

impl<'a> Found<'a> {
    fn new(inputs: &'a [Symbol], outputs: &'a [Symbol]) -> Result<Found<'a>> {
        let mut found = Found {
            calls: Vec::new(),
            inputs,
            met: HashMap::new(),
        };
        let mut finished: HashMap<u64, ()> = HashMap::new();
        for output in outputs {
            // Calls on the way from the output, each with the number of its inputs that were looked at.
            let mut way: Vec<(&SymbolCall, usize)> = Vec::new();
            found.enter(&output.call, &finished, &mut way)?;
            while let Some((call, looked)) = way.last_mut() {
                match call.inputs.get(*looked) {
                    Some(input) => {
                        *looked += 1;
                        found.enter(&input.call, &finished, &mut way)?;
                    }
                    None => {
                        finished.insert(call.number, ());
                        found.calls.push(call);
                        way.pop();
                    }
                }
            }
        }
        // Inputs that nothing needs stay inputs.
        for input in inputs {
            if !finished.contains_key(&input.call.number) {
                found.calls.push(&input.call);
            }
        }
        Ok(found)
    }

    fn enter(
        &mut self,
        call: &'a SymbolCall,
        finished: &HashMap<u64, ()>,
        way: &mut Vec<(&'a SymbolCall, usize)>,
    ) -> Result<()> {
        if finished.contains_key(&call.number) {
            return Ok(());
        }
        let given = self
            .inputs
            .iter()
            .any(|input| input.call.number == call.number);
        if !given && call.inputs.is_empty() {
            let path = way.iter().map(|(call, _)| call.layer.title());
            return Err(Error::mismatch(
                "Model::new",
                "outputs that depend on the inputs alone",
                format!(
                    "an output that needs {} (by way of {})",
                    call.layer.title(),
                    path.collect::<Vec<_>>().join(", ")
                ),
                "give that Input as an input, too; a layer that is no Input needs something to be applied to",
            ));
        }
        let count = self.met.len();
        self.met.entry(call.layer.id()).or_insert(count);
        way.push((call, 0));
        Ok(())
    }

    /// The layers as Keras orders them: by how far they are from the outputs, then as they were met.
    fn layers(&self) -> Vec<&'a SharedLayer> {
        let mut depths: HashMap<u64, usize> = HashMap::new();
        let mut layers: HashMap<usize, (usize, &SharedLayer)> = HashMap::new();
        for call in self.calls.iter().rev() {
            let depth = depths.get(&call.number).copied().unwrap_or(0);
            let known = layers.entry(call.layer.id()).or_insert((0, &call.layer));
            let depth = depth.max(known.0);
            known.0 = depth;
            depths.insert(call.number, depth);
            for input in &call.inputs {
                let earlier = depths.entry(input.call.number).or_insert(0);
                *earlier = (*earlier).max(depth + 1);
            }
        }
        let mut layers: Vec<(usize, &SharedLayer)> = layers.into_values().collect();
        // An input that nothing needs was not met, and comes first.
        let met = |layer: &SharedLayer| self.met.get(&layer.id()).map_or(0, |place| place + 1);
        layers.sort_by_key(|(depth, layer)| (usize::MAX - depth, met(layer), layer.id()));
        layers.into_iter().map(|(_, layer)| layer).collect()
    }

    /// The calls in the order in which they were made.
    fn calls_as_made(&self) -> Vec<&'a SymbolCall> {
        let mut calls = self.calls.clone();
        calls.sort_by_key(|call| call.number);
        calls
    }
}

impl Input {
    /// The symbol of an input of this shape.
    pub fn symbol(self) -> Symbol {
        Symbol::input(self)
    }
}
