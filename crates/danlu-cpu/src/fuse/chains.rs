//! Short chains of elementwise operations that have a kernel of their own: their results between never leave registers.

use danlu_graph::operations::{BinaryKind, CompareKind, UnaryKind};
use danlu_graph::{DType, Operation};

use super::tape::{Entry, Operand};
use crate::kernels::vector::Chain;

/// A chain that ends in an entry.
pub(super) struct Found {
    pub chain: Chain,
    /// Vectors first, then what is one element for all.
    pub operands: Vec<Operand>,
    /// The entries that it takes in, besides the last.
    pub inner: Vec<usize>,
}

/// The entries of a tape, with how often each is read.
pub(super) struct Chains<'a, 'b> {
    entries: &'a [Entry<'b>],
    uses: Vec<usize>,
}

impl<'a, 'b> Chains<'a, 'b> {
    pub fn new(entries: &'a [Entry<'b>]) -> Chains<'a, 'b> {
        let mut uses = vec![0; entries.len()];
        for operand in entries.iter().flat_map(|entry| &entry.operands) {
            if let Operand::Entry(earlier) = operand {
                uses[*earlier] += 1;
            }
        }
        Chains { entries, uses }
    }

    /// An entry.
    pub fn entry(&self, place: usize) -> &'a Entry<'b> {
        &self.entries[place]
    }

    /// The longest chain that ends here.
    pub fn ending_at(&self, place: usize) -> Option<Found> {
        self.approach(place)
            .or_else(|| self.step(place))
            .or_else(|| self.add_relu(place))
            .or_else(|| self.where_positive(place))
    }

    /// Operands of an entry that is this function of two floats.
    pub fn binary(&self, place: usize, kind: BinaryKind) -> Option<[&'a Operand; 2]> {
        let entry = &self.entries[place];
        match (entry.operation, entry.operands.as_slice()) {
            (Operation::Binary(binary), [a, b])
                if binary.kind == kind && entry.dtype == DType::F32 =>
            {
                Some([a, b])
            }
            _ => None,
        }
    }

    pub fn unary(&self, place: usize, kind: UnaryKind) -> Option<&'a Operand> {
        let entry = &self.entries[place];
        match (entry.operation, entry.operands.as_slice()) {
            (Operation::Unary(unary), [a]) if unary.kind == kind && entry.dtype == DType::F32 => {
                Some(a)
            }
            _ => None,
        }
    }

    /// The entry behind an operand, if nobody else reads it and it need not be kept.
    pub fn inner(&self, operand: &Operand) -> Option<usize> {
        match operand {
            Operand::Entry(place)
                if self.uses[*place] == 1
                    && self.entries[*place].store.is_none()
                    && !self.entries[*place].summed =>
            {
                Some(*place)
            }
            _ => None,
        }
    }

    fn is_scalar(operand: &Operand) -> bool {
        match operand {
            Operand::Outside { dtype, shape, .. } => {
                *dtype == DType::F32 && shape.iter().all(|&size| size == 1)
            }
            Operand::Entry(_) => false,
        }
    }

    /// Whether an operand has an element of its own for each of the result; a tape repeats what has fewer.
    fn is_vector(operand: &Operand) -> bool {
        match operand {
            Operand::Entry(_) => true,
            Operand::Outside { dtype, .. } => *dtype == DType::F32 && !Self::is_scalar(operand),
        }
    }

    /// The two operands of a product with a scalar, that last.
    fn scaled(&self, place: usize) -> Option<[&'a Operand; 2]> {
        let [a, b] = self.binary(place, BinaryKind::Multiply)?;
        match (Self::is_scalar(a), Self::is_scalar(b)) {
            (false, true) => Some([a, b]),
            (true, false) => Some([b, a]),
            _ => None,
        }
    }

    /// `a + (b - a) * s`, and with `b` a square.
    fn approach(&self, place: usize) -> Option<Found> {
        let [a, change] = self.binary(place, BinaryKind::Add)?;
        let product = self.inner(change)?;
        let [difference, s] = self.scaled(product)?;
        let difference = self.inner(difference)?;
        let [b, subtracted] = self.binary(difference, BinaryKind::Subtract)?;
        if a != subtracted || !Self::is_vector(a) || !Self::is_vector(b) {
            return None;
        }
        let square = self
            .inner(b)
            .and_then(|square| Some((square, self.unary(square, UnaryKind::Square)?)))
            .filter(|(_, root)| Self::is_vector(root));
        let mut inner = vec![product, difference];
        let (chain, b) = match square {
            Some((square, root)) => {
                inner.push(square);
                (Chain::ApproachSquare, root)
            }
            None => (Chain::Approach, b),
        };
        Some(Found {
            chain,
            operands: vec![a.clone(), b.clone(), s.clone()],
            inner,
        })
    }

    /// `a - b * s`, and `a - b * s / (sqrt(c) + t)`.
    fn step(&self, place: usize) -> Option<Found> {
        let [a, change] = self.binary(place, BinaryKind::Subtract)?;
        let change = self.inner(change)?;
        if !Self::is_vector(a) {
            return None;
        }
        if let Some([b, s]) = self.scaled(change) {
            return Self::is_vector(b).then(|| Found {
                chain: Chain::Step,
                operands: vec![a.clone(), b.clone(), s.clone()],
                inner: vec![change],
            });
        }
        let [product, divisor] = self.binary(change, BinaryKind::Divide)?;
        let (product, divisor) = (self.inner(product)?, self.inner(divisor)?);
        let [b, s] = self.scaled(product)?;
        let [root, t] = self.binary(divisor, BinaryKind::Add)?;
        let root = self.inner(root)?;
        let c = self.unary(root, UnaryKind::Sqrt)?;
        (Self::is_scalar(t) && Self::is_vector(b) && Self::is_vector(c)).then(|| Found {
            chain: Chain::ScaledStep,
            operands: vec![a.clone(), b.clone(), c.clone(), s.clone(), t.clone()],
            inner: vec![change, product, divisor, root],
        })
    }

    /// `max(a + b, 0)`
    fn add_relu(&self, place: usize) -> Option<Found> {
        let sum = self.inner(self.unary(place, UnaryKind::Relu)?)?;
        let [a, b] = self.binary(sum, BinaryKind::Add)?;
        (Self::is_vector(a) && Self::is_vector(b)).then(|| Found {
            chain: Chain::AddRelu,
            operands: vec![a.clone(), b.clone()],
            inner: vec![sum],
        })
    }

    /// `a` where `b > 0`, elsewhere 0.
    fn where_positive(&self, place: usize) -> Option<Found> {
        let entry = &self.entries[place];
        let (Operation::Select(_), [condition, a, otherwise]) =
            (entry.operation, entry.operands.as_slice())
        else {
            return None;
        };
        let condition = self.inner(condition)?;
        let compared = &self.entries[condition];
        let (Operation::Compare(compare), [b, bound]) =
            (compared.operation, compared.operands.as_slice())
        else {
            return None;
        };
        let good = compare.kind == CompareKind::Greater
            && entry.dtype == DType::F32
            && is_zero(bound)
            && is_zero(otherwise)
            && self.is_float_vector(a)
            && self.is_float_vector(b);
        good.then(|| Found {
            chain: Chain::WherePositive,
            operands: vec![a.clone(), b.clone()],
            inner: vec![condition],
        })
    }

    pub fn is_float_vector(&self, operand: &Operand) -> bool {
        match operand {
            Operand::Entry(place) => self.entries[*place].dtype == DType::F32,
            Operand::Outside { .. } => Self::is_vector(operand),
        }
    }
}

pub(super) fn is_zero(operand: &Operand) -> bool {
    matches!(operand, Operand::Outside { zero: true, .. })
}
