//! Chains of functions as formulas. Of each, one text makes the loop that computes it with what lies between in registers, and
//! the pattern by which it is found in a program; it rounds as the functions do one by one.

use std::cell::RefCell;

use danlu_graph::operations::{BinaryKind, UnaryKind};
use pulp::Simd;

use crate::kernels::lanes;

/// Operands of a chain at most.
pub const MOST_OPERANDS: usize = 6;
/// Operands of a chain at most that are one element for all.
pub const MOST_SCALARS: usize = 3;

macro_rules! formulas {
    ($($(#[$doc:meta])* $name:ident($f:ident, [$($vector:ident),+], [$($scalar:ident),*]) = $body:expr;)*) => {
        /// A chain of functions of f32. `a`, `b`, ... have an element for each of the result, `s`, `t`, ... one for all.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Chain {
            $($(#[$doc])* $name,)*
            /// `a` where `b > 0`, elsewhere 0.
            WherePositive,
        }

        impl Chain {
            /// Those that are formulas.
            pub const FORMULAS: &[Chain] = &[$(Chain::$name),*];

            /// How many operands have an element for each of the result; those with one for all come after them.
            pub const fn vectors(self) -> usize {
                match self {
                    $(Chain::$name => [$(stringify!($vector)),*].len(),)*
                    Chain::WherePositive => 2,
                }
            }

            /// How many operands are one element for all.
            pub const fn scalars(self) -> usize {
                match self {
                    $(Chain::$name => {
                        let names: &[&str] = &[$(stringify!($scalar)),*];
                        names.len()
                    })*
                    Chain::WherePositive => 0,
                }
            }

            /// What it computes, the last term from those before; none if it is no formula.
            pub fn terms(self) -> Vec<Term> {
                let record = Record(RefCell::new(Vec::new()));
                match self {
                    $(Chain::$name => {
                        let ($f, names) = (&record, [$(stringify!($vector)),*]);
                        $(let $vector = $f.push(Term::Vector(place(&names, stringify!($vector))));)*
                        let names: &[&str] = &[$(stringify!($scalar)),*];
                        $(let $scalar = $f.push(Term::Scalar(place(names, stringify!($scalar))));)*
                        let _ = (names, $body);
                    })*
                    Chain::WherePositive => {}
                }
                record.0.into_inner()
            }
        }

        /// Runs a loop with the function of a chain; `scalars` are its operands with one element for all.
        #[inline(always)]
        pub(super) fn each_chain<S: Simd>(
            simd: S,
            chain: Chain,
            scalars: [S::f32s; MOST_SCALARS],
            body: impl ChainLoop<S>,
        ) {
            match chain {
                $(Chain::$name => {
                    let ($f, [$($scalar,)* ..]) = (Floats(simd), scalars);
                    body.each(
                        #[inline(always)]
                        |[$($vector),*]| $body,
                    );
                })*
                Chain::WherePositive => {
                    let zero = simd.splat_f32s(0.0);
                    body.each(
                        #[inline(always)]
                        |[a, b]| simd.select_f32s(simd.greater_than_f32s(b, zero), a, zero),
                    );
                }
            }
        }
    };
}

formulas! {
    /// `a + (b - a) * s`, flushed: a moving average.
    Approach(f, [a, b], [s]) = f.flush(f.add(a, f.multiply(f.subtract(b, a), s)));
    /// `a + (b * b - a) * s`, flushed: a moving average of squares.
    ApproachSquare(f, [a, b], [s]) =
        f.flush(f.add(a, f.multiply(f.subtract(f.square(b), a), s)));
    /// `a - b * s / (sqrt(c) + t)`: a step along `b` in units of the root of `c`.
    ScaledStep(f, [a, b, c], [s, t]) =
        f.subtract(a, f.divide(f.multiply(b, s), f.add(f.sqrt(c), t)));
    /// `a - b * s`: a step.
    Step(f, [a, b], [s]) = f.subtract(a, f.multiply(b, s));
    /// `max(a + b, 0)`, NaN if the sum is.
    AddRelu(f, [a, b], []) = f.relu(f.add(a, b));
    /// `a + b * s`.
    Ahead(f, [a, b], [s]) = f.add(a, f.multiply(b, s));
    /// `a - (a * s) * t`: weight decay.
    Decay(f, [a], [s, t]) = f.subtract(a, f.multiply(f.multiply(a, s), t));
    /// `a * s + b * t`, flushed: a moving average.
    Mix(f, [a, b], [s, t]) = f.flush(f.add(f.multiply(a, s), f.multiply(b, t)));
    /// `a * s + (b * b) * t`, flushed.
    MixSquare(f, [a, b], [s, t]) =
        f.flush(f.add(f.multiply(a, s), f.multiply(f.square(b), t)));
    /// `a * s - b * t`, flushed: momentum.
    Momentum(f, [a, b], [s, t]) = f.flush(f.subtract(f.multiply(a, s), f.multiply(b, t)));
    /// `a + (b * s - c)`: Nesterov's step.
    NesterovStep(f, [a, b, c], [s]) = f.add(a, f.subtract(f.multiply(b, s), c));
    /// `a + b * b`.
    AddSquare(f, [a, b], []) = f.add(a, f.square(b));
    /// `a - b * s / sqrt(c + t)`.
    RootStep(f, [a, b, c], [s, t]) =
        f.subtract(a, f.divide(f.multiply(b, s), f.sqrt(f.add(c, t))));
    /// `a - b * s / (sqrt(c * t) + u)`: a step in units of a corrected root.
    CorrectedStep(f, [a, b, c], [s, t, u]) =
        f.subtract(a, f.divide(f.multiply(b, s), f.add(f.sqrt(f.multiply(c, t)), u)));
    /// `a * s / (sqrt(b * t) + u)`.
    CorrectedShare(f, [a, b], [s, t, u]) =
        f.divide(f.multiply(a, s), f.add(f.sqrt(f.multiply(b, t)), u));
    /// `a - sign(b * s + c * t) * u`.
    SignStep(f, [a, b, c], [s, t, u]) =
        f.subtract(a, f.multiply(f.sign(f.add(f.multiply(b, s), f.multiply(c, t))), u));
    /// `max(a * s, |b|)`, flushed.
    DecayedMaximum(f, [a, b], [s]) = f.flush(f.maximum(f.multiply(a, s), f.abs(b)));
    /// `a - b * s / ((c + t) * u)`.
    BoundedStep(f, [a, b, c], [s, t, u]) =
        f.subtract(a, f.divide(f.multiply(b, s), f.multiply(f.add(c, t), u)));
    /// `-(sqrt((a + s) / (b + t)) * c)`: a step in units of steps before it.
    RootShare(f, [a, b, c], [s, t]) =
        f.negate(f.multiply(f.sqrt(f.divide(f.add(a, s), f.add(b, t))), c));
    /// `a * s + b * t`.
    Blend(f, [a, b], [s, t]) = f.add(f.multiply(a, s), f.multiply(b, t));
    /// `a + (b - (c - sqrt(d)) * s * e)`: how FTRL's linear term grows.
    Proximal(f, [a, b, c, d, e], [s]) =
        f.add(a, f.subtract(b, f.multiply(f.multiply(f.subtract(c, f.sqrt(d)), s), e)));
    /// `-a / (b * s + t)`.
    NegativeShare(f, [a, b], [s, t]) = f.divide(f.negate(a), f.add(f.multiply(b, s), t));
}

/// A loop that applies a function of some vectors.
pub(super) trait ChainLoop<S: Simd> {
    /// Runs it.
    fn each<const COUNT: usize>(self, function: impl Fn([S::f32s; COUNT]) -> S::f32s);
}

/// A part of a formula; the parts that it is made of by their places among the terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// The operand of this place among those with an element for each of the result.
    Vector(usize),
    /// The operand of this place among those with one element for all.
    Scalar(usize),
    /// A function of another term.
    Unary(UnaryKind, usize),
    /// A function of two.
    Binary(BinaryKind, usize, usize),
}

fn place(names: &[&str], name: &str) -> usize {
    let known = names.iter().position(|own| *own == name);
    known.unwrap_or(names.len())
}

/// Notes a formula's functions instead of computing them.
struct Record(RefCell<Vec<Term>>);

/// Computes a formula's functions.
#[derive(Clone, Copy)]
struct Floats<S>(S);

impl Record {
    fn push(&self, term: Term) -> usize {
        let mut terms = self.0.borrow_mut();
        terms.push(term);
        terms.len() - 1
    }
}

macro_rules! functions {
    ($($name:ident($kind:ident, $($operand:ident),+) = |$simd:ident| $value:expr;)*) => {
        impl Record {
            $(fn $name(&self, $($operand: usize),+) -> usize {
                self.push(functions!(@term $kind, $($operand),+))
            })*
        }

        impl<S: Simd> Floats<S> {
            $(#[inline(always)]
            fn $name(self, $($operand: S::f32s),+) -> S::f32s {
                let $simd = self.0;
                $value
            })*
        }
    };
    (@term $kind:ident, $a:ident) => { Term::Unary(UnaryKind::$kind, $a) };
    (@term $kind:ident, $a:ident, $b:ident) => { Term::Binary(BinaryKind::$kind, $a, $b) };
}

functions! {
    add(Add, a, b) = |simd| simd.add_f32s(a, b);
    subtract(Subtract, a, b) = |simd| simd.sub_f32s(a, b);
    multiply(Multiply, a, b) = |simd| simd.mul_f32s(a, b);
    divide(Divide, a, b) = |simd| simd.div_f32s(a, b);
    maximum(Maximum, a, b) = |simd| lanes::maximum(simd, a, b);
    negate(Negate, x) = |simd| simd.neg_f32s(x);
    abs(Abs, x) = |simd| simd.abs_f32s(x);
    sqrt(Sqrt, x) = |simd| simd.sqrt_f32s(x);
    square(Square, x) = |simd| simd.mul_f32s(x, x);
    flush(FlushTiny, x) = |simd| lanes::flush_tiny(simd, x);
    sign(Sign, x) = |simd| lanes::sign(simd, x);
    relu(Relu, x) = |simd| lanes::relu(simd, x);
}
