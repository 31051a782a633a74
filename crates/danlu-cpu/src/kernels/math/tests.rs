use danlu_graph::operations::{BinaryKind, UnaryKind};

use crate::kernels::testing::{erf, ulps};
use crate::kernels::vector::{Operand, binary, unary};
use crate::simd::Isa;

type Function = (UnaryKind, fn(f64) -> f64, f64);

/// The functions, what they are in f64, and the error allowed, in units of the last place.
const FUNCTIONS: [Function; 10] = [
    (UnaryKind::Exp, f64::exp, 2.0),
    (UnaryKind::Expm1, f64::exp_m1, 2.5),
    (UnaryKind::Log, f64::ln, 2.0),
    (UnaryKind::Log1p, f64::ln_1p, 2.0),
    (UnaryKind::Tanh, f64::tanh, 2.0),
    (UnaryKind::Sigmoid, sigmoid, 2.5),
    (UnaryKind::Erf, erf, 3.0),
    (UnaryKind::Sin, f64::sin, 1.0),
    (UnaryKind::Cos, f64::cos, 1.0),
    (UnaryKind::Sqrt, f64::sqrt, 0.5),
];

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Numbers of every size, and every interesting single one.
fn arguments() -> Vec<f32> {
    let mut values = vec![
        0.0,
        1.0,
        f32::MIN_POSITIVE,
        1e-45,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
        88.72,
        88.73,
        87.4,
        100.0,
        103.9,
        104.1,
        0.5,
        0.625,
        0.927_734_4,
        9.0,
        9.02,
        1.0e8,
        16_777_216.0,
        std::f32::consts::PI,
        std::f32::consts::FRAC_PI_2,
        std::f32::consts::SQRT_2,
        std::f32::consts::FRAC_1_SQRT_2,
        std::f32::consts::LN_2,
        0.346_573_6,
    ];
    // All sizes, then the middle ones densely.
    values.extend((0..20_000).map(|i| f32::from_bits(i * 107_011)));
    values.extend((0..40_000).map(|i| i as f32 * 0.000_271));
    values.extend((0..40_000).map(|i| i as f32 * 0.002_71));
    let negative: Vec<f32> = values.iter().map(|x| -x).collect();
    values.extend(negative);
    values
}

#[test]
fn functions_are_within_their_tolerance() {
    let x = arguments();
    let mut y = vec![0.0; x.len()];
    let mut failures = Vec::new();
    for isa in Isa::available() {
        for (kind, exact, tolerance) in FUNCTIONS {
            unary(isa, kind, &x, &mut y);
            let mut worst = (0.0, 0.0, 0.0);
            for (&x, &y) in x.iter().zip(&y) {
                let error = ulps(y, exact(f64::from(x)));
                if error > worst.0 {
                    worst = (error, x, y);
                }
            }
            // (error, argument, result)
            println!("{isa} {}: {worst:?}", kind.name());
            if worst.0 > tolerance {
                failures.push((isa, kind, worst));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn edges_are_exact() {
    for isa in Isa::available() {
        let at = |kind, x| {
            let mut y = [0.0];
            unary(isa, kind, &[x], &mut y);
            y[0]
        };
        assert_eq!(at(UnaryKind::Exp, f32::NEG_INFINITY), 0.0);
        assert_eq!(at(UnaryKind::Exp, 0.0), 1.0);
        assert_eq!(at(UnaryKind::Log, 0.0), f32::NEG_INFINITY);
        assert_eq!(at(UnaryKind::Log, -0.0), f32::NEG_INFINITY);
        assert!(at(UnaryKind::Log, -1.0).is_nan());
        assert_eq!(at(UnaryKind::Log1p, -1.0), f32::NEG_INFINITY);
        assert_eq!(at(UnaryKind::Tanh, 9.5), 1.0);
        assert_eq!(at(UnaryKind::Tanh, f32::NEG_INFINITY), -1.0);
        assert!(ulps(at(UnaryKind::Sigmoid, -100.0), sigmoid(-100.0)) <= 1.0);
        assert_eq!(at(UnaryKind::Sigmoid, f32::INFINITY), 1.0);
        assert_eq!(at(UnaryKind::Sigmoid, f32::NEG_INFINITY), 0.0);
        assert_eq!(at(UnaryKind::Erf, 4.5), 1.0);
        assert!(at(UnaryKind::Sin, f32::INFINITY).is_nan());
        for kind in [UnaryKind::Sin, UnaryKind::Tanh, UnaryKind::Expm1] {
            assert_eq!(at(kind, -0.0).to_bits(), (-0.0_f32).to_bits());
        }
    }
}

#[test]
fn powers_are_those_of_f64() {
    let special = [
        0.0,
        0.5,
        1.0,
        2.0,
        3.0,
        1e-40,
        3e38,
        16_777_215.0,
        8_388_609.0,
        f32::INFINITY,
        f32::NAN,
    ];
    let mut numbers: Vec<f32> = special.iter().flat_map(|&x| [x, -x]).collect();
    numbers.extend((0..200).map(|i| (i as f32 - 90.0) * 0.37));
    let pairs = numbers
        .iter()
        .flat_map(|&x| numbers.iter().map(move |&y| (x, y)));
    let (x, y): (Vec<f32>, Vec<f32>) = pairs.unzip();
    let mut power = vec![0.0; x.len()];
    for isa in Isa::available() {
        let operands = (Operand::Vector(&x[..]), Operand::Vector(&y[..]));
        binary(isa, BinaryKind::Power, operands.0, operands.1, &mut power);
        for ((&x, &y), &power) in x.iter().zip(&y).zip(&power) {
            let exact = f64::from(x).powf(f64::from(y));
            assert!(ulps(power, exact) <= 1.0, "{isa} {x}^{y}: {power} {exact}");
        }
    }
}
