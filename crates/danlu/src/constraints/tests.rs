use super::*;
use crate::golden::{assert_tensor, constant, evaluate, list, load, tensor, text};
use crate::prelude::*;

#[test]
fn names_and_arguments_that_cannot_be_are_refused() {
    let error = |constraint: Choice<Constraint>| {
        let mut model = Sequential::new();
        model.add(Input::new([3]));
        model.add(Dense::new(2).kernel_constraint(constraint));
        model.build().unwrap_err().to_string()
    };
    for (constraint, part) in [
        ("max_nrom".into(), "did you mean `max_norm`?"),
        (MaxNorm::new(-1.0).into(), "`max_value` must be"),
        (MaxNorm::new(f64::NAN).into(), "`max_value` must be"),
        (
            UnitNorm::new().axis([2]).into(),
            "`axis` must be among the axes of (3, 2)",
        ),
        (
            UnitNorm::new().axis([]).into(),
            "`axis` must be an axis at least",
        ),
        (
            MinMaxNorm::new(2.0, 1.0).into(),
            "`min_value` must be at most `max_value`, 1",
        ),
        (
            MinMaxNorm::default().rate(1.5).into(),
            "`rate` must be from 0 to 1",
        ),
    ] {
        let text = error(constraint);
        assert!(
            text.contains(part) && text.contains("layer dense (Dense)"),
            "{text}"
        );
    }
    let mut model = Sequential::new();
    model.add(Input::new([3]));
    model.add(Dense::new(2).use_bias(false).bias_constraint(NonNeg));
    let text = model.build().unwrap_err().to_string();
    assert!(text.contains("a constraint on nothing"), "{text}");
}

#[test]
fn constrained_parameters_are_those_of_keras() {
    for case in list(&load("parameters"), "constraints") {
        let name = text(case, "name");
        let object =
            serde_json::json!({ "class_name": case["constraint"], "config": case["config"] });
        let arguments = Arguments::new("Dense", Config::new());
        let constraint = Constraint::from_json(&arguments, "kernel_constraint", &object).unwrap();
        let graph = Graph::new();
        let result = constraint.apply(&constant(&graph, &case["value"])).unwrap();
        let found = evaluate(&graph, &[&result]).remove(0).to_tensor().unwrap();
        assert_tensor(name, &found, &tensor(&case["result"]), 1e-5);
    }
}

#[test]
fn names_and_objects_are_those_of_keras() {
    for case in list(&load("parameters"), "names") {
        if text(case, "kind") == "constraints" {
            let constraint = Constraint::from_name(text(case, "name")).unwrap();
            // Keras keeps an integer that was given: 2 is 2.0 here.
            let found = constraint.to_json().to_string().replace("2.0", "2");
            assert_eq!(found, case["serialized"].to_string());
            let arguments = Arguments::from_file("Dense", Config::new());
            let again = Constraint::from_json(&arguments, "bias_constraint", &case["serialized"]);
            assert_eq!(again.unwrap().to_json(), constraint.to_json());
        }
    }
}

#[test]
fn a_constraint_of_ones_own_survives_and_is_applied() {
    #[derive(Debug)]
    struct Floor {
        at: f64,
    }
    impl ConstraintFunction for Floor {
        fn class_name(&self) -> &str {
            "Floor"
        }
        fn config(&self) -> Config {
            crate::config! { "at": self.at }
        }
        fn apply(&self, parameter: &Value) -> Result<Value> {
            Ok(parameter.maximum_scalar(self.at)?)
        }
        fn from_config(arguments: &mut Arguments) -> Result<Floor> {
            let at = arguments.number("at")?.unwrap_or(0.0);
            Ok(Floor { at })
        }
    }
    register_constraint::<Floor>("Floor").unwrap();
    assert!(register_constraint::<Floor>("NonNeg").is_err());
    let mut model = Sequential::new();
    model.add(Input::new([3]));
    model.add(Dense::new(2).kernel_constraint(Floor { at: 0.25 }));
    model.compile("sgd", "mse", ["mae"]).unwrap();
    let mut again = Model::from_keras(&model.to_keras()).unwrap();
    again.compile("sgd", "mse", ["mae"]).unwrap();
    let x = Tensor::from_f32(&[2, 3], vec![1.0, -2.0, 0.5, 0.0, 1.0, -1.0]).unwrap();
    let y = Tensor::from_f32(&[2, 2], vec![1.0, -1.0, 0.5, 2.0]).unwrap();
    again.train_on_batch(&x, &y, None).unwrap();
    let kernel = again.weights().unwrap().remove(0).to_f64();
    assert!(kernel.iter().all(|&weight| weight >= 0.25), "{kernel:?}");
    assert!(kernel.contains(&0.25), "{kernel:?}");
}
