//! Arithmetic on symbols.

use std::ops::{Add, Mul, Neg, Sub};

use super::Symbol;
use crate::layers::{self, Layer as _};

macro_rules! operators {
    ($($operator:ident $method:ident $layer:ident, $scale:expr, $offset:expr;)*) => { $(
        impl $operator<&Symbol> for &Symbol {
            type Output = Symbol;
            /// A layer of the two.
            fn $method(self, other: &Symbol) -> Symbol {
                layers::$layer::new().apply([self, other])
            }
        }

        impl $operator<Symbol> for Symbol {
            type Output = Symbol;
            fn $method(self, other: Symbol) -> Symbol {
                (&self).$method(&other)
            }
        }

        impl $operator<f64> for &Symbol {
            type Output = Symbol;
            /// A Rescaling.
            fn $method(self, number: f64) -> Symbol {
                let (scale, offset): (fn(f64) -> f64, fn(f64) -> f64) = ($scale, $offset);
                let layer = layers::Rescaling::new(scale(number)).offset(offset(number));
                layer.apply(self)
            }
        }

        impl $operator<f64> for Symbol {
            type Output = Symbol;
            fn $method(self, number: f64) -> Symbol {
                (&self).$method(number)
            }
        }
    )* };
}

operators! {
    Add add Add, |_| 1.0, |number| number;
    Sub sub Subtract, |_| 1.0, |number| -number;
    Mul mul Multiply, |number| number, |_| 0.0;
}

impl Neg for &Symbol {
    type Output = Symbol;
    fn neg(self) -> Symbol {
        self * -1.0
    }
}

impl Neg for Symbol {
    type Output = Symbol;
    fn neg(self) -> Symbol {
        &self * -1.0
    }
}
