//! What every optimizer must do in a model: lower a loss, survive files, not depend on threads.

use danlu_graph::Tensor;
use serde_json::{Value as Json, json};

use crate::cpu::CpuOptions;
use crate::optimizers::{from_json, names};
use crate::prelude::*;

/// 24 examples of two features and a smooth function of them.
pub fn data() -> (Tensor, Tensor) {
    let wave = |place: usize| (place as f32 * 0.7).sin();
    let x: Vec<f32> = (0..48).map(wave).collect();
    let y = x.chunks(2).map(|pair| 0.8 * pair[0] - 0.5 * pair[1] + 0.3);
    (
        Tensor::from_f32(&[24, 1], y.collect()).unwrap(),
        Tensor::from_f32(&[24, 2], x).unwrap(),
    )
}

pub fn model(optimizer: &Json, threads: usize) -> Model {
    let options = CpuOptions {
        threads: Some(threads),
        ..CpuOptions::default()
    };
    let mut model: Model = Sequential::from_layers([
        Input::new([2]).into(),
        Dense::new(5).activation("tanh").into(),
        Dense::new(1).into(),
    ])
    .into();
    model
        .set_executor(crate::cpu_executor(options).unwrap())
        .unwrap();
    model.set_seed(3);
    let optimizer = from_json(optimizer).unwrap();
    model.compile(optimizer, "mse", Vec::<&str>::new()).unwrap();
    model
}

pub fn fit(model: &mut Model, epochs: usize) -> Vec<f64> {
    let (y, x) = data();
    // L-BFGS is for batches that are all examples.
    let batch_size = match model.optimizer().unwrap().class_name() {
        "LBFGS" => 24,
        _ => 8,
    };
    let options = FitOptions::new()
        .epochs(epochs)
        .batch_size(batch_size)
        .verbose(false);
    let history = model.fit((&x, &y), options).unwrap();
    history.get("loss").unwrap().to_vec()
}

/// Each optimizer with all that can be asked of it, at a rate at which it learns this.
fn recipes() -> Vec<Json> {
    let rate = |name: &str| match name {
        "Adadelta" => 5.0,
        "Adagrad" | "Ftrl" | "Adafactor" => 0.2,
        "Lion" => 0.005,
        "LBFGS" => 0.1,
        _ => 0.02,
    };
    let own: Vec<String> = names();
    let own = own.iter().filter(|name| !name.starts_with("Test"));
    let mut recipes: Vec<Json> = own
        .flat_map(|name| {
            let schedule = match name.as_str() {
                // Its weights are sums of what rates made of them: they want one that stays.
                "Ftrl" => json!(0.2),
                _ => json!({
                    "type": "CosineDecay", "initial_learning_rate": rate(name), "decay_steps": 200,
                }),
            };
            let plain = json!({ "type": name, "learning_rate": rate(name) });
            // It takes the learning rate alone.
            if name == "LBFGS" {
                let searched = json!({ "type": name, "learning_rate": schedule, "max_iter": 2, "line_search_fn": "strong_wolfe" });
                return [plain, searched];
            }
            // It refuses what touches every row in every step.
            if name == "SparseAdam" {
                let schedule = json!({ "type": name, "learning_rate": schedule, "learning_rate_multipliers": { "dense": 0.5 } });
                return [plain, schedule];
            }
            [
                plain,
                json!({
                    "type": name, "learning_rate": schedule, "weight_decay": 1e-3, "use_ema": true,
                    "ema_momentum": 0.5, "gradient_accumulation_steps": 2, "clipnorm": 5.0,
                    "exclude_from_weight_decay": ["bias"], "loss_scale_factor": 16.0,
                    "learning_rate_multipliers": { "dense": 0.5 },
                }),
            ]
        })
        .collect();
    recipes.extend([
        json!({ "type": "SGD", "learning_rate": 0.02, "momentum": 0.9, "nesterov": true }),
        json!({ "type": "RMSprop", "learning_rate": 0.01, "momentum": 0.5, "centered": true }),
        json!({ "type": "Adam", "learning_rate": 0.02, "amsgrad": true, "global_clipnorm": 1.0 }),
        json!({ "type": "Adam", "learning_rate": 0.02, "use_ema": true, "ema_overwrite_frequency": 4 }),
    ]);
    recipes
}

#[test]
fn every_optimizer_lowers_a_loss_with_the_same_bits_on_any_number_of_threads() {
    for recipe in recipes() {
        let mut one = model(&recipe, 1);
        let losses = fit(&mut one, 60);
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.5 * first, "{recipe}: {first} to {last}");
        let mut three = model(&recipe, 3);
        assert_eq!(fit(&mut three, 60), losses, "{recipe}");
        assert_eq!(three.weights().unwrap(), one.weights().unwrap(), "{recipe}");
        assert_eq!(
            three.optimizer_state().unwrap(),
            one.optimizer_state().unwrap(),
            "{recipe}"
        );
    }
}

#[test]
fn every_optimizer_goes_on_from_files_as_if_it_had_not_stopped() {
    let folder = tempfile::tempdir().unwrap();
    for recipe in recipes() {
        let mut model = model(&recipe, 1);
        fit(&mut model, 3);
        for name in ["model.keras", "model.h5"] {
            let path = folder.path().join(name);
            model.save(&path).unwrap();
            let loaded = Model::load(&path).unwrap();
            assert!(
                loaded.warnings().is_empty(),
                "{recipe}: {:?}",
                loaded.warnings()
            );
            let optimizer = |model: &Model| model.compile_config().unwrap()["optimizer"].take();
            assert_eq!(optimizer(&loaded), optimizer(&model), "{recipe}");
            // Files hold it in f32, as Keras does.
            let rate = |model: &Model| model.learning_rate().unwrap() as f32;
            assert_eq!(rate(&loaded), rate(&model), "{recipe}");
            assert_eq!(
                loaded.optimizer_state().unwrap(),
                model.optimizer_state().unwrap(),
                "{recipe}, {name}"
            );
        }
        let mut loaded = Model::load(folder.path().join("model.keras")).unwrap();
        // Shuffling depends on it, and files have no place for it.
        loaded.set_seed(3);
        assert_eq!(fit(&mut loaded, 2), fit(&mut model, 2), "{recipe}");
        assert_eq!(
            loaded.weights().unwrap(),
            model.weights().unwrap(),
            "{recipe}"
        );
    }
}

#[test]
fn an_untrained_state_and_a_benchmark_leave_everything_as_it_was() {
    for recipe in recipes() {
        let mut model = model(&recipe, 1);
        fit(&mut model, 1);
        let (before, rate) = (model.weights().unwrap(), model.learning_rate());
        let mut benchmark = model.benchmark(4, true).unwrap();
        benchmark.run().unwrap();
        drop(benchmark);
        assert_eq!(model.weights().unwrap(), before, "{recipe}");
        if recipe["learning_rate"].is_number() {
            assert_eq!(model.learning_rate(), rate, "{recipe}");
        }
        let mut file = model.to_file().unwrap();
        let states = file.optimizer.as_mut().unwrap();
        let first = states.iter().take_while(|(name, _)| {
            name.ends_with("/iteration") || name.ends_with("/learning_rate")
        });
        let first = first.count();
        states.truncate(first);
        states[0].1 = Tensor::from_i64(&[], vec![0]).unwrap();
        let loaded = Model::from_file(file, LoadOptions::new()).unwrap();
        assert!(
            loaded.warnings().is_empty(),
            "{recipe}: {:?}",
            loaded.warnings()
        );
        assert_eq!(loaded.iteration().unwrap(), 0);
    }
}
