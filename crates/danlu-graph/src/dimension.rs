//! Sizes of axes: numbers, names, and expressions of them.
//!
//! A graph is built once, with dimensions such as `batch` left open; a plan binds the names to numbers. A dimension is
//! kept as a polynomial in canonical form, so that expressions that arithmetic makes the same compare equal. Its numbers
//! saturate: a size beyond `i64` is not computed exactly, and no plan can bind it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Mul, Sub};
use std::sync::Arc;

use crate::{Error, Result};

/// The name of the dimension that holds examples.
pub const BATCH: &str = "batch";

/// The numbers that a plan puts in place of named dimensions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bindings(BTreeMap<String, usize>);

impl Bindings {
    /// No name is bound.
    pub fn new() -> Bindings {
        Bindings::default()
    }

    /// The same bindings, and this one.
    #[must_use]
    pub fn with(mut self, name: &str, size: usize) -> Bindings {
        self.0.insert(name.to_owned(), size);
        self
    }

    /// Only `batch` is bound.
    pub fn batch(size: usize) -> Bindings {
        Bindings::new().with(BATCH, size)
    }

    /// The number bound to a name.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }
}

/// One factor of a term: a name, or a quotient that could not be simplified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Factor {
    Name(Arc<str>),
    FloorDivide(Box<Dim>, i64),
}

/// The size of one axis: a number, or an expression of named sizes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim {
    /// Sorted factors of each term, and its coefficient; never zero. The constant's factors are empty.
    terms: BTreeMap<Vec<Factor>, i64>,
}

impl Dim {
    /// A size that is a number.
    pub fn fixed(size: usize) -> Dim {
        Dim::constant(i64::try_from(size).unwrap_or(i64::MAX))
    }

    /// A size that a plan will bind.
    pub fn named(name: &str) -> Dim {
        let factors = vec![Factor::Name(Arc::from(name))];
        Dim {
            terms: BTreeMap::from([(factors, 1)]),
        }
    }

    /// The number of examples, bound by each plan.
    pub fn batch() -> Dim {
        Dim::named(BATCH)
    }

    fn constant(value: i64) -> Dim {
        let terms = if value == 0 {
            BTreeMap::new()
        } else {
            BTreeMap::from([(Vec::new(), value)])
        };
        Dim { terms }
    }

    /// The number, if it is one.
    pub fn as_fixed(&self) -> Option<usize> {
        usize::try_from(self.as_constant()?).ok()
    }

    /// The number, if it is one; differences of sizes can be negative.
    pub(crate) fn as_constant(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&Vec::new()).copied(),
            _ => None,
        }
    }

    /// Whether this is the number 1.
    pub fn is_one(&self) -> bool {
        self.as_fixed() == Some(1)
    }

    /// Whether this is exactly the dimension that holds examples.
    pub fn is_batch(&self) -> bool {
        *self == Dim::batch()
    }

    /// This size plus a number that may be negative.
    #[must_use]
    pub fn offset(&self, amount: i64) -> Dim {
        self + &Dim::constant(amount)
    }

    /// This size divided by a number (by 1 if that is 0), rounded down.
    #[must_use]
    pub fn floor_divide(&self, divisor: usize) -> Dim {
        let divisor = i64::try_from(divisor).unwrap_or(i64::MAX).max(1);
        // The multiples of the divisor come out: floor((a * divisor + rest) / divisor) = a + floor(rest / divisor).
        let part = |of: fn(i64, i64) -> i64| {
            let terms = self.terms.iter();
            let parts = terms.map(|(factors, &value)| (factors.clone(), of(value, divisor)));
            let terms = parts.filter(|(_, value)| *value != 0).collect();
            Dim { terms }
        };
        let (quotient, rest) = (part(i64::div_euclid), part(i64::rem_euclid));
        if rest.as_constant().is_some() {
            return quotient;
        }
        let factor = Factor::FloorDivide(Box::new(rest), divisor);
        let terms = BTreeMap::from([(vec![factor], 1)]);
        &quotient + &Dim { terms }
    }

    /// The quotient, where `divisor` is this size itself, or a single term that divides every term of it. Nothing is
    /// divided by 0.
    pub fn divide_exactly(&self, divisor: &Dim) -> Option<Dim> {
        let (factors, &coefficient) = divisor.terms.iter().next()?;
        if self == divisor {
            return Some(Dim::fixed(1));
        }
        if divisor.terms.len() != 1 {
            return None;
        }
        let mut terms = BTreeMap::new();
        for (own, &value) in &self.terms {
            if value.checked_rem(coefficient) != Some(0) {
                return None;
            }
            let mut rest = own.clone();
            for factor in factors {
                let position = rest.iter().position(|candidate| candidate == factor)?;
                rest.remove(position);
            }
            terms.insert(rest, value / coefficient);
        }
        Some(Dim { terms })
    }

    /// The number that this size is under these bindings.
    ///
    /// # Errors
    /// A name is not bound, or the size would be negative or too large.
    pub fn evaluate(&self, bindings: &Bindings) -> Result<usize> {
        let value = self.evaluate_signed(bindings)?;
        usize::try_from(value).map_err(|_| Error::new(format!("dimension {self} would be {value}")))
    }

    fn evaluate_signed(&self, bindings: &Bindings) -> Result<i64> {
        let overflow = || Error::new(format!("dimension {self} is too large"));
        let mut sum = 0i64;
        for (factors, &coefficient) in &self.terms {
            let mut product = coefficient;
            for factor in factors {
                let size = match factor {
                    Factor::Name(name) => {
                        let size = bindings.get(name).ok_or_else(|| {
                            Error::new(format!("dimension `{name}` is not bound to a number"))
                        })?;
                        i64::try_from(size).map_err(|_| overflow())?
                    }
                    Factor::FloorDivide(dividend, divisor) => {
                        dividend.evaluate_signed(bindings)?.div_euclid(*divisor)
                    }
                };
                product = product.checked_mul(size).ok_or_else(overflow)?;
            }
            sum = sum.checked_add(product).ok_or_else(overflow)?;
        }
        Ok(sum)
    }
}

impl Add for &Dim {
    type Output = Dim;
    fn add(self, other: &Dim) -> Dim {
        let mut terms = self.terms.clone();
        for (factors, &value) in &other.terms {
            let entry = terms.entry(factors.clone()).or_insert(0);
            *entry = entry.saturating_add(value);
        }
        terms.retain(|_, value| *value != 0);
        Dim { terms }
    }
}

impl Sub for &Dim {
    type Output = Dim;
    fn sub(self, other: &Dim) -> Dim {
        self + &(other * &Dim::constant(-1))
    }
}

impl Mul for &Dim {
    type Output = Dim;
    fn mul(self, other: &Dim) -> Dim {
        let mut terms: BTreeMap<Vec<Factor>, i64> = BTreeMap::new();
        for (left, &a) in &self.terms {
            for (right, &b) in &other.terms {
                let mut factors = left.clone();
                factors.extend(right.iter().cloned());
                factors.sort();
                let entry = terms.entry(factors).or_insert(0);
                *entry = entry.saturating_add(a.saturating_mul(b));
            }
        }
        terms.retain(|_, value| *value != 0);
        Dim { terms }
    }
}

impl From<usize> for Dim {
    fn from(size: usize) -> Dim {
        Dim::fixed(size)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Factor::Name(name) => formatter.write_str(name),
            Factor::FloorDivide(dividend, divisor) => {
                write!(formatter, "floor(({dividend})/{divisor})")
            }
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return formatter.write_str("0");
        }
        // Names first, the constant last.
        for (position, (factors, &coefficient)) in self.terms.iter().rev().enumerate() {
            if position > 0 {
                formatter.write_str(if coefficient < 0 { "-" } else { "+" })?;
            } else if coefficient < 0 {
                formatter.write_str("-")?;
            }
            let magnitude = coefficient.unsigned_abs();
            if factors.is_empty() || magnitude != 1 {
                write!(formatter, "{magnitude}")?;
                if !factors.is_empty() {
                    formatter.write_str("*")?;
                }
            }
            for (index, factor) in factors.iter().enumerate() {
                if index > 0 {
                    formatter.write_str("*")?;
                }
                write!(formatter, "{factor}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_the_same_size_are_equal() {
        let batch = Dim::batch();
        let length = Dim::named("length");
        let folded = &(&batch * &length) * &Dim::fixed(4);
        assert_eq!(folded, &(&Dim::fixed(4) * &length) * &batch);
        assert_eq!(
            folded.divide_exactly(&batch).unwrap().to_string(),
            "4*length"
        );
        assert_eq!(folded.divide_exactly(&Dim::fixed(3)), None);
        let bindings = Bindings::batch(3).with("length", 5);
        assert_eq!(folded.evaluate(&bindings).unwrap(), 60);
    }

    #[test]
    fn a_quotient_of_a_name_waits_for_its_number() {
        let pooled = Dim::named("length").offset(-3).floor_divide(2).offset(1);
        assert_eq!(pooled.to_string(), "floor((length+1)/2)-1");
        assert_eq!(
            Dim::named("length").offset(1).floor_divide(2).offset(-1),
            pooled
        );
        let bindings = Bindings::new().with("length", 8);
        assert_eq!(pooled.evaluate(&bindings).unwrap(), 3);
        assert!(Dim::batch().evaluate(&bindings).is_err());
        assert!(Dim::named("length").offset(-9).evaluate(&bindings).is_err());
    }
}
