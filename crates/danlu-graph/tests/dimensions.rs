//! Dimensions are polynomials of names: their arithmetic is that of the numbers that a plan puts in place of them.

mod common;

use common::cases;
use danlu_graph::{Bindings, Dim};
use proptest::prelude::*;

/// How a dimension is made, and what number it must be.
#[derive(Clone, Debug)]
enum Expression {
    Fixed(usize),
    Name(&'static str),
    Add(Box<Expression>, Box<Expression>),
    Subtract(Box<Expression>, Box<Expression>),
    Multiply(Box<Expression>, Box<Expression>),
    Offset(Box<Expression>, i64),
    FloorDivide(Box<Expression>, usize),
}

impl Expression {
    fn dim(&self) -> Dim {
        match self {
            Expression::Fixed(size) => Dim::fixed(*size),
            Expression::Name(name) => Dim::named(name),
            Expression::Add(a, b) => &a.dim() + &b.dim(),
            Expression::Subtract(a, b) => &a.dim() - &b.dim(),
            Expression::Multiply(a, b) => &a.dim() * &b.dim(),
            Expression::Offset(a, amount) => a.dim().offset(*amount),
            Expression::FloorDivide(a, divisor) => a.dim().floor_divide(*divisor),
        }
    }

    fn number(&self, bindings: &Bindings) -> i128 {
        match self {
            Expression::Fixed(size) => *size as i128,
            Expression::Name(name) => bindings.get(name).unwrap() as i128,
            Expression::Add(a, b) => a.number(bindings) + b.number(bindings),
            Expression::Subtract(a, b) => a.number(bindings) - b.number(bindings),
            Expression::Multiply(a, b) => a.number(bindings) * b.number(bindings),
            Expression::Offset(a, amount) => a.number(bindings) + i128::from(*amount),
            Expression::FloorDivide(a, divisor) => {
                a.number(bindings).div_euclid((*divisor).max(1) as i128)
            }
        }
    }
}

fn expression(
    sizes: impl Strategy<Value = usize> + Clone + 'static,
) -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        sizes.clone().prop_map(Expression::Fixed),
        Just(Expression::Name("batch")),
        Just(Expression::Name("length")),
    ];
    leaf.prop_recursive(4, 12, 2, move |inner| {
        let pair = (inner.clone(), inner.clone());
        let boxed = |(a, b): (Expression, Expression)| (Box::new(a), Box::new(b));
        prop_oneof![
            pair.clone().prop_map(move |pair| {
                let (a, b) = boxed(pair);
                Expression::Add(a, b)
            }),
            pair.clone().prop_map(move |pair| {
                let (a, b) = boxed(pair);
                Expression::Subtract(a, b)
            }),
            pair.prop_map(move |pair| {
                let (a, b) = boxed(pair);
                Expression::Multiply(a, b)
            }),
            (inner.clone(), -9i64..9)
                .prop_map(|(a, amount)| Expression::Offset(Box::new(a), amount)),
            (inner, sizes.clone())
                .prop_map(|(a, divisor)| Expression::FloorDivide(Box::new(a), divisor)),
        ]
    })
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn expressions_are_worth_their_numbers(expression in expression(0usize..7), batch in 0usize..9, length in 0usize..9) {
        let bindings = Bindings::batch(batch).with("length", length);
        let number = expression.number(&bindings);
        let dim = expression.dim();
        prop_assert_eq!(dim.evaluate(&bindings).ok(), usize::try_from(number).ok(), "{}", dim);
    }

    #[test]
    fn expressions_of_any_size_do_not_overflow(
        expression in expression(prop_oneof![Just(usize::MAX), Just(i64::MAX as usize), Just(1 << 40), 0usize..3]),
        batch in prop_oneof![Just(usize::MAX), 0usize..9],
    ) {
        let dim = expression.dim();
        let _ = dim.evaluate(&Bindings::batch(batch).with("length", 1 << 33));
        let _ = dim.divide_exactly(&Dim::batch());
        let _ = dim.divide_exactly(&Dim::fixed(usize::MAX));
        let _ = dim.offset(i64::MIN).offset(i64::MIN).floor_divide(usize::MAX).to_string();
    }

    #[test]
    fn quotients_times_divisors_are_whole(expression in expression(0usize..5), factor in 1usize..5, named in any::<bool>()) {
        let divisor = if named { &Dim::batch() * &Dim::fixed(factor) } else { Dim::fixed(factor) };
        let dim = expression.dim();
        prop_assert_eq!((&dim * &divisor).divide_exactly(&divisor), Some(dim.clone()));
        if let Some(quotient) = dim.divide_exactly(&divisor) {
            prop_assert_eq!(&quotient * &divisor, dim);
        }
    }
}

#[test]
fn nothing_is_divided_by_zero() {
    assert_eq!(Dim::fixed(0).divide_exactly(&Dim::fixed(0)), None);
    assert_eq!(Dim::batch().divide_exactly(&Dim::fixed(0)), None);
    assert_eq!(
        Dim::fixed(0).divide_exactly(&Dim::batch()),
        Some(Dim::fixed(0))
    );
    assert_eq!(Dim::fixed(usize::MAX).as_fixed(), Some(i64::MAX as usize));
}

#[test]
fn sizes_reached_in_two_ways_are_equal() {
    // Two poolings by 2: by windows that fit, and by halving.
    let length = Dim::named("length");
    let windows = length.offset(-2).floor_divide(2).offset(1);
    assert_eq!(windows, length.floor_divide(2));
    let twice = &(&length * &Dim::fixed(4)).offset(3);
    assert_eq!(twice.floor_divide(2), (&length * &Dim::fixed(2)).offset(1));
}
