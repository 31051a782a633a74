//! Statistics of a model's Normalization layers, taken from data.

use danlu_graph::executor::output_tensors;
use danlu_graph::{Bindings, Graph, PlanId, Program, Tensor};

use crate::layers::{Layer, Normalization};
use crate::{Arguments, Error, Model, Result};

use super::IntoData;
use super::feed::Feed;
use super::program::Mode;

/// Examples that are looked at together.
const CHUNK: usize = 256;

/// A program compiled for so many examples, and what it gives.
type Plan = (usize, PlanId, Vec<Tensor>);

impl Model {
    /// Takes mean and variance of one of the model's [`Normalization`] layers from data, as its own
    /// [`adapt`](Normalization::adapt) does: from what comes to the layer, where layers before it do what they do in
    /// predictions. Of several such layers, adapt the first one first. Targets are not looked at. The data is read twice, a
    /// piece at a time.
    ///
    /// ```
    /// use danlu::prelude::*;
    /// let mut model = Sequential::new();
    /// model.add(Input::new([2]));
    /// model.add(Rescaling::new(0.5));
    /// model.add(Normalization::new().name("standard"));
    /// let data = Tensor::from_f32(&[2, 2], vec![0.0, 10.0, 2.0, 30.0])?;
    /// model.adapt("standard", &data)?;
    /// let found = model.predict(&data, PredictOptions::new())?;
    /// assert_eq!(found.to_f64(), [-1.0, -1.0, 1.0, 1.0]);
    /// # Ok::<(), danlu::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such layer, it is no Normalization, its mean and variance were given, the data does not fit the model, or a
    /// number is not finite.
    pub fn adapt<'a>(&mut self, layer: &str, data: impl IntoData<'a>) -> Result<()> {
        let mut own = self.normalization(layer)?;
        let mut feed = Feed::new(data.into_data()?, CHUNK, None)?;
        feed.signature(self, Mode::Predict, "adapt")?;
        let features = feed.arrangement(self, Mode::Predict, "adapt")?.features;
        let graph = Graph::new();
        let inputs = self.graph_inputs(&graph)?;
        let value = self.input_of(layer, &graph, &inputs)?;
        let inputs: Vec<_> = inputs.iter().collect();
        let program = Program::new(&graph, &inputs, &[("x", &value)], &[])?;
        let executor = self.executor()?;
        let mut plans: Vec<Plan> = Vec::new();
        let mut pass = 0;
        let found = own.adapt_by(|visit| {
            feed.begin(pass)?;
            pass += 1;
            while let Some(place) = feed.next()? {
                let batch = feed.batch(place);
                let size = batch.len();
                let known = plans.iter().position(|(count, ..)| *count == size);
                let place = match known {
                    Some(place) => place,
                    None => {
                        let bindings = Bindings::batch(size);
                        let id = executor.compile(&program, &bindings)?;
                        plans.push((size, id, output_tensors(&program, &bindings)?));
                        plans.len() - 1
                    }
                };
                let tensors = features
                    .iter()
                    .filter_map(|&place| batch.features.get(place));
                let tensors: Vec<&Tensor> = tensors.collect();
                let (_, id, outputs) = &mut plans[place];
                executor.run(*id, &tensors, outputs)?;
                outputs.first().map_or(Ok(()), &mut *visit)?;
            }
            Ok(())
        });
        for (_, id, _) in plans {
            executor.release(id);
        }
        found.map_err(|error| error.in_layer(&format!("layer {layer} (Normalization)")))?;
        let mut weights = self.layer_weights(layer)?;
        for (weight, statistic) in weights.iter_mut().zip(own.adapted().into_iter().flatten()) {
            *weight = statistic.clone();
        }
        self.set_layer_weights(layer, &weights)
    }

    /// A layer like this one.
    fn normalization(&self, name: &str) -> Result<Normalization> {
        let names = self.layer_names();
        let layer = self
            .layer(name)
            .ok_or_else(|| Error::unknown("layer", name, names))?;
        if layer.class_name() != "Normalization" {
            return Err(Error::argument(
                "adapt",
                "layer",
                "the name of a Normalization layer",
                format!("`{name}`, which is {}", layer.class_name()),
            ));
        }
        Normalization::from_config(&mut Arguments::new("Normalization", layer.config()))
    }
}
