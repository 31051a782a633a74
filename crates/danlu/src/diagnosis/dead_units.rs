//! Units that are stuck: of a ReLU, 0 for every example, so that no gradient comes through and they stay so (Lu, Shin, Su and
//! Karniadakis 2019, "Dying ReLU and Initialization"); of a sigmoid or tanh, at its ends, where it is flat (Glorot and Bengio
//! 2010, section 3).

use super::probe::{Activation, Function, Measured};
use super::{Finding, Kind};

/// A layer with so large a share of stuck units is named. Some dead units are usual in layers that train well.
const SHARE: f64 = 0.5;

/// A few units may be stuck by chance.
const FEW: usize = 8;

/// A unit is saturated whose slope is, on average, so small a share of the largest: a gradient that comes through is multiplied by it.
const FLAT: f32 = 0.05;

/// How many units of an activation are stuck, where they are so many that the layer is to be named.
fn stuck(activation: &Activation) -> Option<usize> {
    let is_stuck = |value: &&f32| match activation.function {
        Function::Relu => **value == 0.0,
        Function::Sigmoid | Function::Tanh => **value <= FLAT,
    };
    let count = activation.units.iter().filter(is_stuck).count();
    let units = activation.units.len();
    let many = count as f64 >= SHARE * units as f64 && count >= FEW;
    (units > 0 && (many || count == units)).then_some(count)
}

/// Whether there is a layer that lets nothing through.
pub(super) fn closed(measured: &Measured) -> bool {
    let mut activations = measured.activations.iter();
    activations.any(|one| stuck(one).is_some_and(|count| count == one.units.len()))
}

/// Whether a look at more examples is worth while.
pub(super) fn suspected(measured: &Measured) -> bool {
    let mut activations = measured.activations.iter();
    activations.any(|activation| stuck(activation).is_some())
}

/// Adds what another batch shows: a unit is dead that is so in both.
pub(super) fn combine(measured: &mut Measured, other: &Measured) {
    for (activation, other) in measured.activations.iter_mut().zip(&other.activations) {
        for (unit, other) in activation.units.iter_mut().zip(&other.units) {
            *unit = unit.max(*other);
        }
    }
}

/// The layers whose units are stuck; behind one that lets nothing through, others are not to blame.
pub(super) fn judge(measured: &Measured, examples: usize) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for activation in &measured.activations {
        let Some(count) = stuck(activation) else {
            continue;
        };
        let units = activation.units.len();
        let layer = activation.layer.as_str();
        found.push(match activation.function {
            Function::Relu => Finding::new(
                Kind::DeadUnits,
                Some(layer),
                format!(
                    "{count} of the {units} units of {layer} are dead: their ReLU is 0 for all of {examples} examples, so they \
                     learn nothing"
                ),
                "a smaller learning rate, biases that begin at 0, HeNormal, or LeakyReLU keeps units alive",
            ),
            Function::Sigmoid | Function::Tanh => Finding::new(
                Kind::SaturatedUnits,
                Some(layer),
                format!(
                    "{count} of the {units} units of {layer} are saturated: for nearly all of {examples} examples they are where \
                     their {} is flat",
                    match activation.function {
                        Function::Tanh => "tanh",
                        _ => "sigmoid",
                    }
                ),
                "smaller initial weights, scaled inputs, or a normalization before the activation helps",
            ),
        });
        if count == units {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(layers: &[(&str, Function, &[f32])]) -> Measured {
        let activations = layers.iter().map(|&(layer, function, units)| Activation {
            layer: layer.to_owned(),
            function,
            units: units.to_vec(),
        });
        Measured {
            activations: activations.collect(),
            ..Measured::default()
        }
    }

    fn layers(measured: &Measured) -> Vec<String> {
        let found = judge(measured, 32);
        found.into_iter().filter_map(|one| one.layer).collect()
    }

    #[test]
    fn half_the_units_are_enough_and_a_few_are_not() {
        let half: Vec<f32> = (0..16).map(|unit| (unit / 8) as f32).collect();
        let fewer: Vec<f32> = (0..17).map(|unit| (unit / 8) as f32).collect();
        let relu = Function::Relu;
        assert_eq!(
            layers(&measured(&[("a", relu, &half), ("b", relu, &fewer)])),
            ["a"]
        );
        assert_eq!(
            layers(&measured(&[("c", relu, &[0.0]), ("d", relu, &half)])),
            ["c"],
            "what lies behind a dead layer is not to blame"
        );
        assert!(layers(&measured(&[("e", relu, &half[4..12])])).is_empty());
        let tanh = measured(&[("f", Function::Tanh, &[0.05, 0.0])]);
        let flat = measured(&[("g", Function::Tanh, &[0.06, 0.0])]);
        assert!(judge(&flat, 32).is_empty());
        assert_eq!(judge(&tanh, 32)[0].kind, Kind::SaturatedUnits);
    }

    #[test]
    fn another_batch_wakes_units() {
        let mut first = measured(&[("a", Function::Relu, &[0.0; 4])]);
        assert!(suspected(&first) && closed(&first));
        let second = measured(&[("a", Function::Relu, &[0.0, 0.0, 1.0, 2.0])]);
        combine(&mut first, &second);
        assert_eq!(first.activations[0].units, [0.0, 0.0, 1.0, 2.0]);
        assert!(!suspected(&first));
        assert!(!closed(&first));
    }
}
