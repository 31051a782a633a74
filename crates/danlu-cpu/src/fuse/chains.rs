//! Short chains of elementwise operations that have a kernel of their own: their results between never leave registers.

use danlu_graph::operations::{BinaryKind, CompareKind, UnaryKind};
use danlu_graph::{DType, Operation};

use super::tape::{Entry, Operand};
use crate::kernels::vector::{Chain, MOST_OPERANDS, Term};

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
    /// Chains that are formulas, those of most functions first.
    formulas: Vec<(Chain, Vec<Term>)>,
}

/// The operands that a formula has met so far, and the entries that it takes in.
#[derive(Clone, Default)]
struct Bound<'a> {
    vectors: [Option<&'a Operand>; MOST_OPERANDS],
    scalars: [Option<&'a Operand>; MOST_OPERANDS],
    inner: Vec<usize>,
}

impl<'a, 'b> Chains<'a, 'b> {
    pub fn new(entries: &'a [Entry<'b>]) -> Chains<'a, 'b> {
        let mut uses = vec![0; entries.len()];
        for operand in entries.iter().flat_map(|entry| &entry.operands) {
            if let Operand::Entry(earlier) = operand {
                uses[*earlier] += 1;
            }
        }
        let formulas = Chain::FORMULAS.iter();
        let mut formulas: Vec<_> = formulas.map(|&chain| (chain, chain.terms())).collect();
        formulas.sort_by_key(|(_, terms)| std::cmp::Reverse(functions(terms)));
        Chains {
            entries,
            uses,
            formulas,
        }
    }

    /// The longest chain that ends here.
    pub fn ending_at(&self, place: usize) -> Option<Found> {
        let formula = self
            .formulas
            .iter()
            .find_map(|(chain, terms)| self.formula(*chain, terms, place));
        formula.or_else(|| self.where_positive(place))
    }

    /// A formula that ends here.
    fn formula(&self, chain: Chain, terms: &[Term], place: usize) -> Option<Found> {
        let bound = self.meets(terms, terms.len().checked_sub(1)?, place, Bound::default())?;
        let vectors = bound.vectors.iter().flatten();
        let operands = vectors.chain(bound.scalars.iter().flatten());
        Some(Found {
            chain,
            operands: operands.map(|&operand| operand.clone()).collect(),
            inner: bound.inner,
        })
    }

    /// What is bound when a term is computed by this entry.
    fn meets(
        &self,
        terms: &[Term],
        term: usize,
        place: usize,
        bound: Bound<'a>,
    ) -> Option<Bound<'a>> {
        match terms[term] {
            Term::Vector(_) | Term::Scalar(_) => None,
            Term::Unary(kind, inner) => self.takes(terms, inner, self.unary(place, kind)?, bound),
            Term::Binary(kind, left, right) => {
                let [a, b] = self.binary(place, kind)?;
                let both = |a, b, bound| {
                    let bound = self.takes(terms, left, a, bound)?;
                    self.takes(terms, right, b, bound)
                };
                let straight = both(a, b, bound.clone());
                match kind {
                    BinaryKind::Add | BinaryKind::Multiply => {
                        straight.or_else(|| both(b, a, bound))
                    }
                    _ => straight,
                }
            }
        }
    }

    /// What is bound when a term is this operand.
    fn takes(
        &self,
        terms: &[Term],
        term: usize,
        operand: &'a Operand,
        mut bound: Bound<'a>,
    ) -> Option<Bound<'a>> {
        let (slot, good) = match terms[term] {
            Term::Vector(slot) => (&mut bound.vectors[slot], Self::is_vector(operand)),
            Term::Scalar(slot) => (&mut bound.scalars[slot], Self::is_scalar(operand)),
            _ => {
                let place = self.inner(operand)?;
                bound.inner.push(place);
                return self.meets(terms, term, place, bound);
            }
        };
        let known = slot.get_or_insert(operand);
        (good && *known == operand).then_some(bound)
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

    /// `a` where `b > 0`, elsewhere 0.
    fn where_positive(&self, place: usize) -> Option<Found> {
        let (condition, [a, b]) = self.masked(place)?;
        self.is_float_vector(b).then(|| Found {
            chain: Chain::WherePositive,
            operands: vec![a.clone(), b.clone()],
            inner: vec![condition],
        })
    }

    /// Of what is a float vector where another value is above 0, elsewhere 0: the comparison, and `[vector, value]`.
    pub fn masked(&self, place: usize) -> Option<(usize, [&'a Operand; 2])> {
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
            && self.is_float_vector(a);
        good.then_some((condition, [a, b]))
    }

    pub fn is_float_vector(&self, operand: &Operand) -> bool {
        match operand {
            Operand::Entry(place) => self.entries[*place].dtype == DType::F32,
            Operand::Outside { .. } => Self::is_vector(operand),
        }
    }
}

/// How many functions a formula has.
fn functions(terms: &[Term]) -> usize {
    let operand = |term: &Term| matches!(term, Term::Vector(_) | Term::Scalar(_));
    terms.iter().filter(|term| !operand(term)).count()
}

fn is_zero(operand: &Operand) -> bool {
    matches!(operand, Operand::Outside { zero: true, .. })
}
