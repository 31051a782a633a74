use super::*;
use crate::prelude::*;

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
