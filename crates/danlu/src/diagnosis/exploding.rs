//! Gradients that are so large that a step leads nowhere (Pascanu, Mikolov and Bengio 2013, who clip norms at about 1; He et al.
//! 2015, section 2.2, for initial weights that are too large).

use super::probe::{Measured, Parameter};
use super::{Finding, Kind, short};

/// The norm of a layer's gradient where inputs and targets have the size of 1; it grows with both.
const LARGEST: f64 = 1e3;

/// How much a layer's gradient may grow from what it was before the first step, while the loss does not fall.
const GROWTH: f64 = 1e3;

/// What a norm is compared with at least: a gradient that began near 0 may grow.
const SMALLEST: f64 = 0.1;

/// The norm of a kernel that begins as usual, at least: one that begins near 0 is meant to grow.
const USUAL: f64 = 1.0;

/// What the norms are judged by.
#[derive(Clone, Debug, Default)]
pub(super) struct Scale {
    /// The root mean square of the inputs.
    pub inputs: f64,
    /// The root mean square of the targets, where they are numbers.
    pub targets: f64,
    /// The learning rate, of an optimizer whose step is that times the gradient.
    pub plain_rate: Option<f64>,
    /// What was measured before the first step.
    pub before: Option<Measured>,
}

/// The layer whose gradient has exploded most.
pub(super) fn judge(measured: &Measured, scale: &Scale) -> Option<Finding> {
    let limit = LARGEST * scale.inputs.max(1.0) * scale.targets.max(1.0);
    let mut worst: Option<(f64, &Parameter, String)> = None;
    let mut consider = |times: f64, one, why: String| {
        if times >= 1.0 && worst.as_ref().is_none_or(|(most, ..)| times > *most) {
            worst = Some((times, one, why));
        }
    };
    let before = scale.before.as_ref();
    for (place, one) in measured.parameters.iter().enumerate() {
        let norm = short(one.gradient);
        if !one.gradient.is_finite() {
            consider(f64::INFINITY, one, "is not finite".to_owned());
            continue;
        }
        consider(
            one.gradient / limit,
            one,
            format!("has norm {norm}, {} is usual at most", short(limit / 100.0)),
        );
        let began = before.and_then(|before| before.parameters.get(place));
        if let (Some(began), Some(before)) = (began, before)
            && measured.loss >= before.loss
        {
            let began = began.gradient.max(SMALLEST);
            let why = format!("has norm {norm}, before the first step {}", short(began));
            consider(one.gradient / (GROWTH * began), one, why);
        }
        if let Some(rate) = scale.plain_rate.filter(|_| one.kernel) {
            let times = rate * one.gradient / one.norm.max(USUAL);
            let why = format!(
                "has norm {norm}: a step with the learning rate {} changes the weights by {} times their norm",
                short(rate),
                short(times)
            );
            consider(times, one, why);
        }
    }
    let (_, one, why) = worst?;
    let layer = one.layer();
    Some(Finding::new(
        Kind::ExplodingGradients,
        Some(layer),
        format!("the gradient explodes: at {layer} it {why}"),
        "a smaller learning rate, clipping (clipnorm = 1.0), smaller initial weights, or scaled inputs helps",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::probe::tests::measured;
    use super::*;

    fn layer(norms: &[f64], scale: &Scale) -> Option<String> {
        judge(&measured(norms), scale).and_then(|found| found.layer)
    }

    #[test]
    fn norms_are_judged_by_the_data() {
        let scale = Scale::default();
        assert_eq!(
            layer(&[1.0, 2e3, 1.5e3], &scale).as_deref(),
            Some("layer_1")
        );
        assert_eq!(layer(&[900.0, 1.0], &scale), None);
        let pixels = Scale {
            inputs: 100.0,
            ..Scale::default()
        };
        assert_eq!(layer(&[9e4, 1.0], &pixels), None);
        let prices = Scale {
            targets: 2e5,
            ..Scale::default()
        };
        assert_eq!(layer(&[1e6, 1.0], &prices), None);
        let infinite = layer(&[1.0, f64::INFINITY], &prices);
        assert_eq!(infinite.as_deref(), Some("layer_1"));
    }

    #[test]
    fn growth_counts_where_the_loss_does_not_fall() {
        let mut scale = Scale {
            before: Some(measured(&[0.2, 0.2])),
            ..Scale::default()
        };
        assert_eq!(layer(&[1.0, 300.0], &scale).as_deref(), Some("layer_1"));
        if let Some(before) = &mut scale.before {
            before.loss = 2.0;
        }
        assert_eq!(layer(&[1.0, 300.0], &scale), None);
    }

    #[test]
    fn a_step_larger_than_the_weights_counts_without_an_adaptive_optimizer() {
        let scale = Scale {
            plain_rate: Some(0.5),
            ..Scale::default()
        };
        assert_eq!(layer(&[1.0, 3.0], &scale).as_deref(), Some("layer_1"));
        assert_eq!(layer(&[1.0, 1.9], &scale), None);
    }
}
