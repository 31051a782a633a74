use super::*;
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
            "`axis` must be axes of the parameter",
        ),
        (
            UnitNorm::new().axis([]).into(),
            "`axis` must be an axis or more",
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
