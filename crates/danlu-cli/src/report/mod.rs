//! What people see of a run: `curves.svg`, `first_batch.svg`, `report.html`, and what `run.json` says for them.

pub mod curves;
mod first_batch;
mod held_out;
mod html;
mod machine;
mod page;
mod sections;
mod words;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use danlu::callbacks::TensorBoard;
use danlu::data::files::write_atomically;
use danlu::data::{Dataset, Source};
use danlu::plots::{Panel, sheet};
use danlu::{Config, Model};
use serde_json::{Value, json};

use crate::output::Messages;
use crate::recipe::Recipe;
use crate::runs::Run;

pub use first_batch::FirstBatch;
use held_out::HeldOut;
pub use sections::text as setting;

/// What a report shows beside what is in the run folder.
#[derive(Debug, Default)]
pub struct Facts {
    /// The picture of the model.
    picture: Option<String>,
    /// The table of its layers.
    summary: String,
    parameters: usize,
    /// The first batch, where it is pictures.
    first_batch: Option<FirstBatch>,
    /// What the model says of the test part.
    held_out: Option<HeldOut>,
}

impl Facts {
    /// What is known of a model before it is trained, and of its first batch.
    pub fn new(model: &Model, first_batch: Option<FirstBatch>) -> Facts {
        Facts {
            picture: model.to_svg().ok(),
            summary: model.summary(),
            parameters: model.count_parameters(),
            first_batch,
            held_out: None,
        }
    }

    /// Keeps what the model says of each example of the test part, in `test_predictions.npz` as well.
    ///
    /// # Errors
    /// The folder cannot be written, or there is no memory for it.
    pub fn test(
        &mut self,
        folder: &Path,
        model: &mut Model,
        test: &Arc<dyn Dataset>,
    ) -> danlu::Result<()> {
        self.held_out = held_out::keep(folder, model, test)?;
        Ok(())
    }
}

/// What writes the run's `tensorboard` folder; `None` where the recipe has a TensorBoard of its own. A training that begins puts the first
/// batch there, in the place of what one left that was killed before its first checkpoint.
pub fn tensorboard(
    recipe: &Recipe,
    facts: &Facts,
    folder: &Path,
    begins: bool,
    messages: Messages,
) -> Option<TensorBoard> {
    let resolved = recipe.resolved();
    let training = resolved.get("training");
    let callbacks = training.and_then(|training| training["callbacks"].as_array());
    let own = |callback: &Value| {
        let name = callback["type"].as_str();
        name.is_some_and(|name| name.ends_with("TensorBoard"))
    };
    if callbacks.is_some_and(|callbacks| callbacks.iter().any(own)) {
        return None;
    }
    if begins {
        let place = folder.join("tensorboard");
        // Nearly always there is none.
        let _ = std::fs::remove_dir_all(&place);
        if let Some(first) = &facts.first_batch
            && let Err(error) = first.write_event(&place.join("train"))
        {
            messages.warning(&format!(
                "the first batch could not be shown to TensorBoard: {error}"
            ));
        }
    }
    Some(TensorBoard::new("tensorboard").histogram_freq(1))
}

/// Adds what reports and lists say of data to the entry of it in `run.json`.
pub fn describe_data(data: &mut Value, recipe: &Recipe, source: &Source) {
    let train = source.train.as_ref().map_or(0, |part| part.len());
    let validation = match recipe.training.validation_split {
        share if share > 0.0 => train - (train as f64 * (1.0 - share)).floor() as usize,
        _ => 0,
    };
    data["training_examples"] = json!(train - validation);
    data["validation_examples"] = json!(validation);
    if let Some(test) = &source.test {
        data["test_examples"] = json!(test.len());
    }
    if let Some(specification) = source.train.as_ref().map(|part| part.specification()) {
        let inputs = specification.features.iter();
        let inputs: Config = inputs
            .map(|field| (field.name.clone(), json!(field.shape)))
            .collect();
        data["inputs"] = Value::Object(inputs);
        if let Some(classes) = specification.classes {
            data["classes"] = json!(classes);
        }
    }
}

/// Adds to `run.json` what reports and lists say of machine and time.
pub fn describe_machine(record: &mut Config) {
    record.insert("machine".to_owned(), machine::describe());
    record.insert("started".to_owned(), json!(words::now()));
}

/// Writes `curves.svg`, `first_batch.svg` and `report.html` of a run, in whatever state it is. That they could not be written is said, and
/// no reason to lose what was trained.
pub fn write(folder: &Path, facts: &Facts, messages: Messages) {
    if let Err(problem) = try_write(folder, facts) {
        messages.warning(&format!("the report could not be written: {problem}"));
    }
}

fn try_write(folder: &Path, facts: &Facts) -> Result<(), String> {
    let run = Run::read(folder)?;
    let text = |name: &str, text: &str| {
        let written = write_atomically(folder.join(name), |file| file.write_all(text.as_bytes()));
        written.map_err(|error| error.to_string())
    };
    if !run.epochs.is_empty() {
        text("curves.svg", &curves_sheet(&run))?;
    }
    if let Some(first) = &facts.first_batch {
        text("first_batch.svg", &first.grid.to_svg())?;
    }
    text("report.html", &page::page(&run, facts))
}

/// The curves of a run as one picture.
fn curves_sheet(run: &Run) -> String {
    let charts = curves::of_run(run);
    let panels: Vec<&dyn Panel> = charts.iter().map(|chart| chart as &dyn Panel).collect();
    sheet(&format!("Learning curves of {}", run.name()), 2, &panels)
}
