use danlu_graph::DType;
use danlu_graph::operations::{BinaryKind, CompareKind, TINY, UnaryKind};

use super::*;

mod blocks;

use crate::kernels::testing::{bits, erf, lengths, numbers, ulps};
use crate::simd::Isa;

fn exact(kind: UnaryKind, x: f64) -> f64 {
    match kind {
        UnaryKind::Negate => -x,
        UnaryKind::Abs => x.abs(),
        UnaryKind::Sign if x == 0.0 || x.is_nan() => x,
        UnaryKind::Sign => x.signum(),
        UnaryKind::Exp => x.exp(),
        UnaryKind::Expm1 => x.exp_m1(),
        UnaryKind::Log => x.ln(),
        UnaryKind::Log1p => x.ln_1p(),
        UnaryKind::Sqrt => x.sqrt(),
        UnaryKind::Square => x * x,
        UnaryKind::Reciprocal => 1.0 / x,
        UnaryKind::Tanh => x.tanh(),
        UnaryKind::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        UnaryKind::Relu if x <= 0.0 => 0.0,
        UnaryKind::Relu => x,
        UnaryKind::Sin => x.sin(),
        UnaryKind::Cos => x.cos(),
        UnaryKind::Erf => erf(x),
        UnaryKind::Floor => x.floor(),
        UnaryKind::Ceil => x.ceil(),
        UnaryKind::Round => x.round_ties_even(),
        UnaryKind::FlushTiny if x.abs() < f64::from(TINY) => 0.0,
        UnaryKind::FlushTiny => x,
        UnaryKind::Not => f64::from(u8::from(x == 0.0)),
        UnaryKind::IsFinite => f64::from(u8::from(x.is_finite())),
    }
}

fn samples(length: usize) -> Vec<f32> {
    let special = [
        0.0,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.5,
        -0.5,
        2.5,
        8_388_607.5,
        -3.0e9,
        1e-42,
        -7e-31,
        9e-31,
    ];
    let mut values = special.to_vec();
    values.extend(numbers(3, length).iter().map(|x| 20.0 * x));
    values.truncate(length);
    values
}

#[test]
fn unary_kinds_are_what_they_are_in_f64() {
    for isa in Isa::available() {
        for &kind in UnaryKind::ALL {
            let x = samples(300);
            let mut y = vec![0.0; 300];
            unary(isa, kind, &x, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let exact = exact(kind, f64::from(x));
                assert!(ulps(y, exact) <= 2.5, "{isa} {kind:?} {x}: {y} {exact}");
            }
            let mut in_place = x.clone();
            unary_in_place(isa, kind, &mut in_place);
            assert_eq!(bits(&in_place), bits(&y));
        }
    }
}

#[test]
fn unary_bits_do_not_depend_on_the_cut() {
    for isa in Isa::available() {
        for &kind in UnaryKind::ALL {
            let x = samples(300);
            let mut whole = vec![0.0; 300];
            unary(isa, kind, &x, &mut whole);
            for length in lengths(isa) {
                for start in [0, 1, 7] {
                    let mut piece = vec![0.0; length];
                    unary(isa, kind, &x[start..][..length], &mut piece);
                    assert_eq!(bits(&piece), bits(&whole[start..][..length]), "{kind:?}");
                }
            }
        }
    }
}

fn exact_binary(kind: BinaryKind, a: f32, b: f32) -> f32 {
    match kind {
        BinaryKind::Add => a + b,
        BinaryKind::Subtract => a - b,
        BinaryKind::Multiply => a * b,
        BinaryKind::Divide => a / b,
        BinaryKind::Power => f64::from(a).powf(f64::from(b)) as f32,
        BinaryKind::Maximum | BinaryKind::Minimum if a.is_nan() || b.is_nan() => f32::NAN,
        BinaryKind::Maximum => a.max(b),
        BinaryKind::Minimum => a.min(b),
        BinaryKind::And => f32::from(u8::from(a != 0.0 && b != 0.0)),
        BinaryKind::Or => f32::from(u8::from(a != 0.0 || b != 0.0)),
    }
}

#[test]
fn binary_kinds_take_vectors_and_scalars() {
    for isa in Isa::available() {
        for &kind in BinaryKind::ALL {
            for length in lengths(isa) {
                let (a, b) = (samples(length), numbers(4, length));
                let mut result = vec![0.0; length];
                let mut check = |a: Operand<f32>, b: Operand<f32>| {
                    binary(isa, kind, a, b, &mut result);
                    let at = |x: Operand<f32>, i: usize| match x {
                        Operand::Vector(x) => x[i],
                        Operand::Scalar(x) => x,
                    };
                    for (i, &got) in result.iter().enumerate() {
                        let (a, b) = (at(a, i), at(b, i));
                        let exact = exact_binary(kind, a, b);
                        let close = got == exact || ulps(got, f64::from(exact)) <= 1.0;
                        assert!(close, "{isa} {kind:?} {a} {b}: {got} {exact}");
                    }
                };
                check(Operand::Vector(&a), Operand::Vector(&b));
                check(Operand::Vector(&b), Operand::Vector(&a));
                check(Operand::Vector(&a), Operand::Scalar(0.7));
                check(Operand::Scalar(f32::NAN), Operand::Vector(&a));
                check(Operand::Scalar(-1.5), Operand::Scalar(3.0));
                let mut in_place = a.clone();
                binary_in_place(isa, kind, &mut in_place, Operand::Vector(&b));
                binary(
                    isa,
                    kind,
                    Operand::Vector(&a),
                    Operand::Vector(&b),
                    &mut result,
                );
                assert_eq!(bits(&in_place), bits(&result));
            }
        }
    }
}

#[test]
fn comparisons_and_selections_follow_the_operators() {
    for isa in Isa::available() {
        let (a, b) = (samples(100), numbers(5, 100));
        let (a, b) = (Operand::Vector(&a[..]), Operand::Vector(&b[..]));
        let mut less = vec![9; 100];
        compare(isa, CompareKind::Less, a, b, &mut less);
        let mut not_equal = vec![9; 100];
        compare(isa, CompareKind::NotEqual, a, a, &mut not_equal);
        assert_eq!(
            not_equal.iter().map(|&x| usize::from(x)).sum::<usize>(),
            1,
            "the NaN"
        );
        let mut chosen = vec![0.0; 100];
        select(isa, &less, a, b, &mut chosen);
        let (Operand::Vector(a), Operand::Vector(b)) = (a, b) else {
            unreachable!()
        };
        for i in 0..100 {
            assert_eq!(less[i] != 0, a[i] < b[i]);
            let expected = if a[i] < b[i] { a[i] } else { b[i] };
            assert_eq!(chosen[i].to_bits(), expected.to_bits());
        }
        let mut finite = vec![9; 100];
        is_finite(isa, a, &mut finite);
        assert_eq!(finite.iter().filter(|&&x| x == 0).count(), 3);
        let mut result = [9; 4];
        let (p, q) = (
            Operand::Vector(&[0, 0, 1, 1][..]),
            Operand::Vector(&[0, 1, 0, 1][..]),
        );
        and(isa, p, q, &mut result);
        assert_eq!(result, [0, 0, 0, 1]);
        or(isa, p, q, &mut result);
        assert_eq!(result, [0, 1, 1, 1]);
        not(isa, &[0, 1, 5, 0], &mut result);
        assert_eq!(result, [1, 0, 0, 1]);
    }
}

#[test]
fn integers_wrap_and_divide_by_zero_to_zero() {
    let isa = Isa::detect();
    let two = |kind, a: i8, b: i8| {
        let mut result = [99];
        binary_integer(
            isa,
            kind,
            Operand::Vector(&[a]),
            Operand::Scalar(b),
            &mut result,
        );
        result[0]
    };
    assert_eq!(two(BinaryKind::Add, 127, 1), -128);
    assert_eq!(two(BinaryKind::Divide, 7, 0), 0);
    assert_eq!(two(BinaryKind::Divide, -128, -1), -128);
    assert_eq!(two(BinaryKind::Divide, -7, 2), -3);
    assert_eq!(two(BinaryKind::Power, -2, 3), -8);
    assert_eq!(two(BinaryKind::Power, -1, -3), -1);
    assert_eq!(two(BinaryKind::Power, 2, -1), 0);
    assert_eq!(two(BinaryKind::Power, 0, 0), 1);
    for &kind in UnaryKind::ALL {
        let mut result = [0; 3];
        unary_integer(isa, kind, &[i64::MIN, 0, i64::MAX], &mut result);
        let mut result = [0; 3];
        unary_integer(isa, kind, &[0_u8, 1, 255], &mut result);
    }
    let mut sign = [0_i32; 3];
    unary_integer(isa, UnaryKind::Sign, &[-5, 0, 6], &mut sign);
    assert_eq!(sign, [-1, 0, 1]);
}

#[test]
fn every_pair_of_dtypes_converts() {
    for isa in Isa::available() {
        for from in DType::ALL {
            for to in DType::ALL {
                for length in lengths(isa) {
                    let truths = (0..length).map(|i| [0_u8, 1, 1][i % 3]).collect::<Vec<_>>();
                    let mut source = vec![0; length * from.size()];
                    cast(isa, DType::Bool, &truths, from, &mut source);
                    let mut middle = vec![0; length * to.size()];
                    cast(isa, from, &source, to, &mut middle);
                    let mut back = vec![0; length];
                    cast(isa, to, &middle, DType::Bool, &mut back);
                    assert_eq!(back, truths, "{from} {to}");
                }
            }
        }
    }
}

#[test]
fn casts_saturate_truncate_and_round() {
    let isa = Isa::detect();
    let from_f32 = |values: &[f32], to: DType| {
        let source: Vec<u8> = values.iter().flat_map(|x| x.to_ne_bytes()).collect();
        let mut result = vec![0; values.len() * to.size()];
        cast(isa, DType::F32, &source, to, &mut result);
        result
    };
    assert_eq!(
        from_f32(&[-1.0, 2.9, 300.0, f32::NAN], DType::U8),
        [0, 2, 255, 0]
    );
    assert_eq!(
        from_f32(&[f32::NAN, 0.0, -0.0, 0.1], DType::Bool),
        [1, 0, 0, 1]
    );
    assert_eq!(from_f32(&[-1.9], DType::I32), (-1_i32).to_ne_bytes());
    assert_eq!(from_f32(&[-3e9], DType::I32), i32::MIN.to_ne_bytes());
    let half = |x: f32| {
        let bytes = from_f32(&[x], DType::F16);
        u16::from_ne_bytes([bytes[0], bytes[1]])
    };
    for (x, expected) in [
        (1.0, 0x3c00),
        (-2.0, 0xc000),
        (65_504.0, 0x7bff),
        (65_519.0, 0x7bff),
        (65_520.0, 0x7c00),
        (f32::INFINITY, 0x7c00),
        (5.960_464_5e-8, 1),
        (2.980_232_2e-8, 0),
        (3.0e-8, 1),
        (6.097_555e-5, 0x3ff),
        (6.103_515_6e-5, 0x400),
        (1.000_488_3, 0x3c00),
        (1.001_464_8, 0x3c02),
    ] {
        assert_eq!(half(x), expected, "{x}");
    }
    assert!(half(f32::NAN) & 0x7fff > 0x7c00);
    let brain = |x: f32| from_f32(&[x], DType::BF16);
    assert_eq!(brain(1.003_906_3), 0x3f80_u16.to_ne_bytes());
    assert_eq!(brain(1.011_718_8), 0x3f82_u16.to_ne_bytes());
    // Every f16 and bf16 comes back from f32.
    for dtype in [DType::F16, DType::BF16] {
        let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_ne_bytes).collect();
        let mut wide = vec![0; 4 << 16];
        cast(isa, dtype, &all, DType::F32, &mut wide);
        let mut back = vec![0; 2 << 16];
        cast(isa, DType::F32, &wide, dtype, &mut back);
        for (i, (a, b)) in all.chunks(2).zip(back.chunks(2)).enumerate() {
            let x = f32::from_ne_bytes([
                wide[4 * i],
                wide[4 * i + 1],
                wide[4 * i + 2],
                wide[4 * i + 3],
            ]);
            assert!(a == b || x.is_nan(), "{dtype} {i:x} {x}");
        }
    }
}
