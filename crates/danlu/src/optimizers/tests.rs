//! Optimizers against Keras' values: five steps with given gradients.

use danlu_graph::reference::ReferenceExecutor;
use danlu_graph::{Bindings, DType, Executor, Graph, Program, Tensor, Value};
use serde_json::json;

use super::{Parameter, Step, from_json, to_json};
use crate::golden::{assert_tensor, list, load, tensors, text};
use crate::prelude::*;

#[test]
fn steps_are_those_of_keras() {
    let golden = load("optimizers");
    let start = tensors(&golden["variables"]);
    for case in list(&golden, "cases") {
        let name = text(case, "name");
        let object = json!({ "class_name": case["optimizer"], "config": case["arguments"] });
        let optimizer = from_json(&object).unwrap();
        let mut executor = ReferenceExecutor::new();
        let graph = Graph::new();
        let step = Step {
            iteration: graph.state("iteration", &[], DType::I64).unwrap(),
            learning_rate: graph.state("rate", &[], DType::F32).unwrap(),
        };
        executor
            .create_state("iteration", &Tensor::from_i64(&[], vec![0]).unwrap())
            .unwrap();
        let rate = Tensor::scalar(optimizer.learning_rate() as f32);
        executor.create_state("rate", &rate).unwrap();
        let one = graph.scalar(1.0, DType::I64).unwrap();
        let mut updates = vec![("iteration".to_owned(), step.iteration.add(&one).unwrap())];
        let mut inputs = Vec::new();
        for (index, variable) in start.iter().enumerate() {
            let input = graph.input(&format!("g{index}"), variable.shape().into(), DType::F32);
            inputs.push(input.unwrap());
        }
        let clipped = optimizer.clipping().apply(&inputs).unwrap();
        for (index, (variable, gradient)) in start.iter().zip(clipped).enumerate() {
            let mut state = |name: String, value: &Tensor| -> Value {
                executor.create_state(&name, value).unwrap();
                graph.state(&name, value.shape(), DType::F32).unwrap()
            };
            let zeros = Tensor::zeros(variable.shape(), DType::F32).unwrap();
            let slot_names = optimizer
                .slots()
                .iter()
                .map(|slot| format!("{index}/{slot}"));
            let slot_names: Vec<String> = slot_names.collect();
            let parameter = Parameter {
                value: state(format!("{index}"), variable),
                gradient,
                slots: slot_names
                    .iter()
                    .map(|slot| state(slot.clone(), &zeros))
                    .collect(),
            };
            let update = optimizer.update(&step, &parameter).unwrap();
            updates.push((format!("{index}"), update.value));
            updates.extend(slot_names.into_iter().zip(update.slots));
        }
        let updates: Vec<(&str, &Value)> = updates.iter().map(|(n, v)| (n.as_str(), v)).collect();
        let inputs: Vec<&Value> = inputs.iter().collect();
        let program = Program::new(&graph, &inputs, &[], &updates).unwrap();
        let plan = executor.compile(&program, &Bindings::new()).unwrap();
        for (number, (gradients, expected)) in list(&golden, "gradients")
            .iter()
            .zip(list(case, "steps"))
            .enumerate()
        {
            let gradients = tensors(gradients);
            executor
                .run(plan, &gradients.iter().collect::<Vec<_>>(), &mut [])
                .unwrap();
            let what = format!("{name}, step {number}");
            let mut slots = tensors(&expected["slots"]).into_iter();
            for (index, variable) in tensors(&expected["variables"]).iter().enumerate() {
                let found = executor.read_state(&format!("{index}")).unwrap();
                assert_tensor(&what, &found, variable, 1e-6);
                for slot in optimizer.slots() {
                    let found = executor.read_state(&format!("{index}/{slot}")).unwrap();
                    assert_tensor(&what, &found, &slots.next().unwrap(), 1e-5);
                }
            }
        }
    }
}

#[test]
fn configs_are_those_of_keras() {
    for case in list(&load("optimizers"), "cases") {
        let object = json!({ "class_name": case["optimizer"], "config": case["arguments"] });
        let optimizer = from_json(&object).unwrap();
        let config = to_json(&*optimizer, optimizer.learning_rate());
        let (found, expected) = (&config["config"], &case["config"]);
        let mut found = found.as_object().unwrap().clone();
        let mut expected = expected.as_object().unwrap().clone();
        found.sort_keys();
        expected.sort_keys();
        found.shift_remove("name");
        expected.shift_remove("name");
        for (name, expected) in expected {
            match (found[&name].as_f64(), expected.as_f64()) {
                (Some(a), Some(b)) => assert_eq!(a as f32, b as f32, "{}: {name}", case["name"]),
                _ => assert_eq!(found[&name], expected, "{}: {name}", case["name"]),
            }
        }
    }
}

#[test]
fn wrong_arguments_are_errors() {
    let error = |object| from_json(&object).unwrap_err().to_string();
    let text = error(json!({ "type": "Adam", "learning_rat": 0.1 }));
    assert!(text.contains("did you mean `learning_rate`?"), "{text}");
    let text = error(json!({ "type": "Adam", "clipnorm": 1.0, "clipvalue": 1.0 }));
    assert!(text.contains("only way of clipping"), "{text}");
    let text = error(json!({ "type": "Adam", "beta_1": 1.0 }));
    assert!(text.contains("`beta_1`"), "{text}");
    assert!(error(json!("adma")).contains("did you mean `adam`?"));
    assert!(error(json!({ "type": "Adam", "amsgrad": true })).contains("amsgrad"));
    let mut model = Sequential::new();
    model.add(Input::new([1]));
    model.add(Dense::new(1));
    let result = model.compile(SGD::new(-1.0), "mse", Vec::<&str>::new());
    assert!(result.unwrap_err().to_string().contains("`learning_rate`"));
}
