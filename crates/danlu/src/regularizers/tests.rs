use super::*;
use crate::golden::{assert_near, constant, evaluate, list, load, tensor, text};
use crate::prelude::*;
use danlu_graph::gradients;

#[test]
fn names_and_arguments_that_cannot_be_are_refused() {
    let error = |regularizer: Choice<Regularizer>| {
        let mut model = Sequential::new();
        model.add(Input::new([3]));
        model.add(Dense::new(2).kernel_regularizer(regularizer));
        model.build().unwrap_err().to_string()
    };
    for (regularizer, part) in [
        ("l3".into(), "did you mean"),
        (L1::new(-0.1).into(), "`l1` must be"),
        (L2::new(f64::NAN).into(), "`l2` must be"),
        (L1L2::new(0.1, f64::INFINITY).into(), "`l2` must be"),
        (OrthogonalRegularizer::new(-1.0).into(), "`factor` must be"),
    ] {
        let text = error(regularizer);
        assert!(
            text.contains(part) && text.contains("layer dense (Dense)"),
            "{text}"
        );
    }
}

#[test]
fn a_penalty_on_a_layer_s_output_is_checked_too() {
    let error = |regularizer: Choice<Regularizer>| {
        let mut model = Sequential::new();
        model.add(Input::new([3]));
        model.add(Flatten::new().activity_regularizer(regularizer));
        model.build().unwrap_err().to_string()
    };
    let text = error(L2::new(-1.0).into());
    assert!(
        text.contains("layer flatten (Flatten): L2: `l2` must be"),
        "{text}"
    );
    let text = error("orthogonal_regularizr".into());
    assert!(
        text.contains("did you mean `orthogonal_regularizer`?"),
        "{text}"
    );
    // The number of examples is open: there are no rows to count.
    let text = error("orthogonal".into());
    assert!(text.contains("a matrix of at least two rows"), "{text}");
}

#[test]
fn penalties_and_gradients_are_those_of_keras() {
    for case in list(&load("parameters"), "regularizers") {
        let name = text(case, "name");
        let object =
            serde_json::json!({ "class_name": case["regularizer"], "config": case["config"] });
        let arguments = Arguments::new("Dense", Config::new());
        let regularizer =
            Regularizer::from_json(&arguments, "kernel_regularizer", &object).unwrap();
        let graph = Graph::new();
        let value = constant(&graph, &case["value"]);
        let penalty = regularizer.penalty(&value).unwrap();
        let slope = gradients(&penalty, &[&value]).unwrap().remove(0);
        let found = evaluate(&graph, &[&penalty, &slope]);
        assert_near(
            name,
            &found[0].data,
            &[case["penalty"].as_f64().unwrap()],
            1e-5,
        );
        assert_near(
            name,
            &found[1].data,
            &tensor(&case["gradient"]).to_f64(),
            1e-5,
        );
    }
}

#[test]
fn names_and_objects_are_those_of_keras() {
    for case in list(&load("parameters"), "names") {
        if text(case, "kind") == "regularizers" {
            let regularizer = Regularizer::from_name(text(case, "name")).unwrap();
            let arguments = Arguments::from_file("Dense", Config::new());
            let again = Regularizer::from_json(&arguments, "it", &case["serialized"]).unwrap();
            assert_eq!(
                again.function().class_name(),
                regularizer.function().class_name()
            );
            // Keras writes some factors as the f32 that it keeps.
            for (argument, value) in regularizer.function().config() {
                let expected = &case["serialized"]["config"][&argument];
                match (value.as_f64(), expected.as_f64()) {
                    (Some(found), Some(expected)) => assert_eq!(found as f32, expected as f32),
                    _ => assert_eq!(&value, expected),
                }
            }
        }
    }
    let both = Regularizer::from_name("l1_l2").unwrap().function().config();
    assert_eq!(both, crate::config! { "l1": 0.01, "l2": 0.01 });
}

#[test]
fn a_convolution_s_kernel_has_no_rows_to_make_orthogonal() {
    let mut model = Sequential::new();
    model.add(Input::new([4, 4, 1]));
    model.add(Conv2D::new(2, [3, 3]).kernel_regularizer("orthogonal"));
    let text = model.build().unwrap_err().to_string();
    assert!(
        text.contains("layer conv2d (Conv2D)") && text.contains("a matrix"),
        "{text}"
    );
}
