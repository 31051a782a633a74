//! Gradients that fade on their way to the first layers (Hochreiter 1991; Glorot and Bengio 2010, section 4.2; Pascanu, Mikolov
//! and Bengio 2013, section 2.1).

use super::probe::Measured;
use super::{Finding, Kind, short};

/// The gradient of a layer is at least this share of that of a layer behind it. In networks that train well the norms of all
/// layers' gradients are within a factor of about a hundred.
const SHARE: f64 = 1e-4;

/// Gradients that are smaller everywhere are those of a training that is at its end.
const SMALLEST: f64 = 1e-7;

/// The layer nearest to the input whose gradient has vanished. A bias behind a kernel counts as well: where what goes forward
/// fades too, all kernels' gradients are small.
pub(super) fn judge(measured: &Measured) -> Option<Finding> {
    let parameters = &measured.parameters;
    for (place, kernel) in parameters.iter().enumerate() {
        let behind = parameters[place + 1..].iter();
        let largest = behind.max_by(|a, b| a.gradient.total_cmp(&b.gradient))?;
        let small = |gradient: f64| gradient < SHARE * largest.gradient;
        if !kernel.kernel || largest.gradient < SMALLEST || !small(kernel.gradient) {
            continue;
        }
        // Exactly 0 is a branch that is switched off, unless the next layer's gradient is nearly 0 as well.
        let next = parameters[place + 1..].iter().find(|one| one.kernel);
        if kernel.gradient == 0.0 && !next.is_some_and(|next| small(next.gradient)) {
            continue;
        }
        let layer = kernel.layer();
        let message = format!(
            "the gradient vanishes: its norm at {} is {}, at {} {}",
            kernel.name,
            short(kernel.gradient),
            largest.name,
            short(largest.gradient)
        );
        let advice = "ReLU instead of sigmoid or tanh, HeNormal or GlorotUniform, BatchNormalization, or fewer layers or \
                      shortcuts (Add) let it through";
        return Some(Finding::new(
            Kind::VanishingGradients,
            Some(layer),
            message,
            advice,
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::probe::tests::measured;
    use super::*;

    #[test]
    fn a_gradient_far_below_that_of_a_later_layer_has_vanished() {
        let layer = |norms: &[f64]| {
            let found = judge(&measured(norms));
            found.and_then(|found| found.layer)
        };
        assert_eq!(layer(&[1e-6, 1e-3, 0.1]).as_deref(), Some("layer_0"));
        assert_eq!(layer(&[1.0, 1e-6, 0.1]).as_deref(), Some("layer_1"));
        assert_eq!(layer(&[0.0, 1e-9, 0.1]).as_deref(), Some("layer_0"));
        assert_eq!(layer(&[1e-4, 1e-2, 0.1]), None, "a thousandth is usual");
        assert_eq!(
            layer(&[0.1, 1e-3, 1e-6]),
            None,
            "the last layer may be small"
        );
        assert_eq!(
            layer(&[0.0, 0.1, 0.1]),
            None,
            "a branch that is switched off"
        );
        assert_eq!(layer(&[1e-14, 1e-11, 1e-8]), None, "all is learned");
    }
}
