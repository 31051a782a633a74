//! Factors and offsets with a kernel of their own: see [`Affine`].

use danlu_graph::operations::{BinaryKind, UnaryKind};

use super::chains::Chains;
use super::tape::Operand;
use crate::kernels::vector::Affine;

/// What ends in an entry.
pub(super) struct Found {
    pub function: Affine,
    pub operands: Vec<Operand>,
    /// The entries that it takes in, besides the last.
    pub inner: Vec<usize>,
}

/// The longest that ends here.
pub(super) fn ending_at(chains: &Chains<'_, '_>, place: usize) -> Option<Found> {
    add_scaled_distance(chains, place)
        .or_else(|| scaled_relu(chains, place))
        .or_else(|| where_scaled_positive(chains, place))
        .or_else(|| {
            scaled(chains, place).map(|(operands, product)| Found {
                function: Affine::Scaled,
                operands: operands.to_vec(),
                inner: vec![product],
            })
        })
}

/// The operands of `a * b + c`, and the entry of the product.
fn scaled(chains: &Chains<'_, '_>, place: usize) -> Option<([Operand; 3], usize)> {
    let [left, right] = chains.binary(place, BinaryKind::Add)?;
    [(left, right), (right, left)]
        .into_iter()
        .find_map(|(product, c)| {
            let product = chains.inner(product)?;
            let [a, b] = chains.binary(product, BinaryKind::Multiply)?;
            let good = [a, b, c].into_iter().all(|x| chains.is_float_vector(x));
            good.then(|| ([a.clone(), b.clone(), c.clone()], product))
        })
}

/// `max(a * b + c, 0)`
fn scaled_relu(chains: &Chains<'_, '_>, place: usize) -> Option<Found> {
    let sum = chains.inner(chains.unary(place, UnaryKind::Relu)?)?;
    let (operands, product) = scaled(chains, sum)?;
    Some(Found {
        function: Affine::ScaledRelu,
        operands: operands.to_vec(),
        inner: vec![sum, product],
    })
}

/// `a` where `b * c + d > 0`, elsewhere 0; also where that is its positive part.
fn where_scaled_positive(chains: &Chains<'_, '_>, place: usize) -> Option<Found> {
    let (condition, [a, compared]) = chains.masked(place)?;
    let mut inner = vec![condition];
    let mut sum = chains.inner(compared)?;
    if let Some(positive) = chains.unary(sum, UnaryKind::Relu) {
        inner.push(sum);
        sum = chains.inner(positive)?;
    }
    let ([b, c, d], product) = scaled(chains, sum)?;
    inner.extend([sum, product]);
    Some(Found {
        function: Affine::WhereScaledPositive,
        operands: vec![a.clone(), b, c, d],
        inner,
    })
}

/// `a + (b - c) * d + e`
fn add_scaled_distance(chains: &Chains<'_, '_>, place: usize) -> Option<Found> {
    let [left, e] = chains.binary(place, BinaryKind::Add)?;
    let sum = chains.inner(left)?;
    let [a, change] = chains.binary(sum, BinaryKind::Add)?;
    let product = chains.inner(change)?;
    let [distance, d] = chains.binary(product, BinaryKind::Multiply)?;
    let distance = chains.inner(distance)?;
    let [b, c] = chains.binary(distance, BinaryKind::Subtract)?;
    let good = [a, b, c, d, e]
        .into_iter()
        .all(|x| chains.is_float_vector(x));
    good.then(|| Found {
        function: Affine::AddScaledDistance,
        operands: [a, b, c, d, e].map(Operand::clone).to_vec(),
        inner: vec![sum, product, distance],
    })
}
