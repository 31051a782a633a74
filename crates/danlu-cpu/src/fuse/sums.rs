//! Sums, means and variances over leading axes, such as those of a batch normalization: they are taken piece by piece by
//! the pass that makes their operand, or behind the convolution that does, while the piece is in cache. The pieces
//! depend on shapes only, and what they give is added in order.

use danlu_graph::operations::{BinaryKind, ReduceKind, UnaryKind};
use danlu_graph::{DType, NodeId, Operation};

use super::tape::{Operand, Source};
use crate::kernels::reduce::{Pieces, Statistic, add_columns, join_pieces, moments};
use crate::plan::concrete::{Concrete, root};
use crate::plan::context::{Context, Location};

/// Fewer columns than this do not fill vectors, more do not fit into the first-level cache.
const COLUMNS: std::ops::RangeInclusive<usize> = 8..=2048;
/// A sum over fewer elements is not worth a place in a pass.
const LEAST_ELEMENTS: usize = 4096;

/// What a node takes over the leading axes of its operand, and the elements of its result, if a pass can do that.
pub(crate) fn statistic(nodes: &[Concrete], node: &Concrete) -> Option<(Statistic, usize)> {
    let Operation::Reduce(reduce) = &node.operation else {
        return None;
    };
    let statistic = match reduce.kind {
        ReduceKind::Mean if node.variance => Statistic::Variance,
        ReduceKind::Mean => Statistic::Mean,
        ReduceKind::Sum => Statistic::Sum,
        _ => return None,
    };
    let input = &nodes[node.inputs[0]];
    // By their numbers, not their sizes: a batch of one is treated as any other.
    let leading = !reduce.axes.is_empty() && reduce.axes.iter().copied().eq(0..reduce.axes.len());
    let good = leading
        && node.dtype == DType::F32
        && COLUMNS.contains(&node.count())
        && input.count() >= LEAST_ELEMENTS;
    good.then(|| (statistic, node.count()))
}

/// Finds means of squared distances from a mean, and lets them read what these are taken of: the distances need not
/// be there as a whole then. `kept` are values that the program gives back or stores.
pub(crate) fn find_variances(nodes: &mut [Concrete], kept: &[NodeId]) {
    for place in 0..nodes.len() {
        if let Some(source) = variance(nodes, place) {
            nodes[place].variance = true;
            nodes[place].inputs[0] = source;
        }
    }
    // What only such a variance read is read by nobody.
    for place in (0..nodes.len()).rev() {
        let node = &nodes[place];
        let distance = matches!(&node.operation, Operation::Unary(unary) if unary.kind == UnaryKind::Square)
            || matches!(&node.operation, Operation::Binary(binary) if binary.kind == BinaryKind::Subtract);
        let unread = distance
            && !kept.contains(&place)
            && !nodes.iter().any(|node| node.inputs.contains(&place));
        if unread {
            nodes[place].unused = true;
            nodes[place].inputs.clear();
        }
    }
}

/// The value whose variance a node takes: `mean(square(x - mean(x)))`.
fn variance(nodes: &[Concrete], place: NodeId) -> Option<NodeId> {
    let node = &nodes[place];
    let (Statistic::Mean, _) = statistic(nodes, node)? else {
        return None;
    };
    let Operation::Reduce(outer) = &node.operation else {
        return None;
    };
    let square = &nodes[node.inputs[0]];
    match &square.operation {
        Operation::Unary(unary) if unary.kind == UnaryKind::Square => {}
        _ => return None,
    }
    let difference = &nodes[square.inputs[0]];
    match &difference.operation {
        Operation::Binary(binary) if binary.kind == BinaryKind::Subtract => {}
        _ => return None,
    }
    let (x, mean) = (
        difference.inputs[0],
        &nodes[root(nodes, difference.inputs[1])],
    );
    let Operation::Reduce(inner) = &mean.operation else {
        return None;
    };
    let same = inner.kind == ReduceKind::Mean
        && inner.axes == outer.axes
        && root(nodes, mean.inputs[0]) == root(nodes, x)
        && nodes[mean.inputs[0]].shape == nodes[x].shape
        && difference.shape == nodes[x].shape
        && square.shape == difference.shape
        // The mean stands along the axes that it is the mean of, and no others.
        && spread_along(&nodes[difference.inputs[1]].shape, &nodes[x].shape, outer.axes.len());
    same.then_some(x)
}

/// Whether a value of shape `from` is repeated over the first `leading` axes of `to` only.
fn spread_along(from: &[usize], to: &[usize], leading: usize) -> bool {
    let trimmed: Vec<usize> = from.iter().copied().skip_while(|&size| size == 1).collect();
    let rest: Vec<usize> = to[leading..]
        .iter()
        .copied()
        .skip_while(|&size| size == 1)
        .collect();
    trimmed == rest && from.len() <= to.len()
}

/// A sum that a pass is asked for.
pub(crate) struct Wanted {
    pub statistic: Statistic,
    /// What is summed.
    pub operand: Operand,
    /// Where that lies, if it is anywhere as a whole.
    pub memory: Option<Location>,
    pub columns: usize,
    pub output: Location,
}

/// Where a pass finds what it sums.
#[derive(Clone, Copy)]
enum Summed {
    /// In each tile.
    Tile(Source),
    /// In memory, once a piece is done.
    Memory(Location),
    /// With a variance that is taken of the same: where its sums are.
    Variance(usize),
}

/// One sum of a pass.
struct Total {
    statistic: Statistic,
    operand: Operand,
    from: Summed,
    columns: usize,
    /// In the sums of a piece.
    offset: usize,
    output: Location,
}

impl Total {
    /// The three numbers that a variance keeps of a column.
    fn parts(&self, sums: *mut f32) -> [*mut f32; 3] {
        [0, 1, 2].map(|part| sums.wrapping_add(part * rounded(self.columns)))
    }
}

/// The sums of a pass.
#[derive(Default)]
pub(crate) struct Totals {
    totals: Vec<Total>,
}

/// Elements before the sums of a piece: the first is the number of its rows.
const HEADER: usize = 16;

/// So many elements, in whole cache lines.
const fn rounded(elements: usize) -> usize {
    elements.next_multiple_of(16)
}

/// Elements that the sums of one piece take.
fn elements(statistic: Statistic, columns: usize) -> usize {
    match statistic {
        Statistic::Sum | Statistic::Mean => rounded(columns),
        Statistic::Variance => 3 * rounded(columns),
    }
}

/// Elements that one piece takes in the scratch, for these sums; 0 if there are none.
pub(crate) fn piece_elements(sums: impl Iterator<Item = (Statistic, usize)>) -> usize {
    let own: usize = sums
        .map(|(statistic, columns)| elements(statistic, columns))
        .sum();
    if own == 0 { 0 } else { HEADER + own }
}

impl Totals {
    /// Adds a sum. `source` is the place of its operand in a tile.
    pub(super) fn push(&mut self, wanted: &Wanted, source: Source) {
        let offset = self.piece_elements().max(HEADER);
        let from = match (wanted.statistic, wanted.memory) {
            (Statistic::Variance, Some(memory)) => Summed::Memory(memory),
            _ => Summed::Tile(source),
        };
        if wanted.statistic == Statistic::Variance {
            let twin = |total: &&mut Total| {
                total.statistic == Statistic::Mean && total.operand == wanted.operand
            };
            for mean in self.totals.iter_mut().filter(twin) {
                mean.from = Summed::Variance(offset);
            }
        }
        self.totals.push(Total {
            statistic: wanted.statistic,
            operand: wanted.operand.clone(),
            from,
            columns: wanted.columns,
            offset,
            output: wanted.output,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.totals.is_empty()
    }

    /// The lengths of the rows that are summed.
    pub fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.totals.iter().map(|total| total.columns)
    }

    /// Elements of the sums of one piece.
    pub fn piece_elements(&self) -> usize {
        piece_elements(
            self.totals
                .iter()
                .map(|total| (total.statistic, total.columns)),
        )
    }

    /// Begins a piece of so many elements.
    ///
    /// # Safety
    /// `context.sums` is writable for the sums of a piece.
    pub unsafe fn begin(&self, context: &Context<'_>, elements: usize) {
        if let Some(columns) = self.columns().next() {
            // SAFETY: the caller's promise; zeros are all bits 0.
            unsafe {
                context.sums.write_bytes(0, self.piece_elements());
                *context.sums = (elements / columns) as f32;
            }
        }
    }

    /// Takes in a tile: `length` elements from `position` on. `place` finds it.
    ///
    /// # Safety
    /// As [`Totals::begin`], and the places are readable.
    pub(super) unsafe fn take_tile(
        &self,
        context: &Context<'_>,
        position: usize,
        length: usize,
        place: impl Fn(Source) -> *const f32,
    ) {
        for total in &self.totals {
            if let Summed::Tile(source) = total.from {
                let (column, columns) = (position % total.columns, total.columns);
                // SAFETY: the caller's promise.
                unsafe {
                    let sums = context.sums.add(total.offset);
                    add_columns(context.isa, place(source), column, length, columns, sums);
                }
            }
        }
    }

    /// Ends a piece: the elements `start..end`, whole rows.
    ///
    /// # Safety
    /// As [`Totals::begin`], and what is summed lies in the context's memory.
    pub unsafe fn end(&self, context: &Context<'_>, start: usize, end: usize) {
        for total in &self.totals {
            if let Summed::Memory(location) = total.from {
                let shape = [(end - start) / total.columns, total.columns];
                // SAFETY: the caller's promise.
                unsafe {
                    let source = context.pointer(location).cast::<f32>().add(start);
                    let sums = context.sums.add(total.offset);
                    moments(context.isa, source, shape, total.parts(sums));
                }
            }
        }
    }

    /// Joins `count` pieces, one after the other in `pieces`.
    ///
    /// # Safety
    /// All have been ended; the results lie in the context's memory.
    pub unsafe fn join(&self, context: &Context<'_>, pieces: *const f32, count: usize) {
        let stride = self.piece_elements();
        for total in &self.totals {
            let (offset, centered) = match total.from {
                Summed::Tile(_) => (total.offset, false),
                Summed::Memory(_) => (total.offset, true),
                Summed::Variance(offset) => (offset, true),
            };
            let sums = pieces.wrapping_add(offset);
            let pieces = Pieces {
                rows: pieces,
                sums: total.parts(sums.cast_mut()).map(<*mut f32>::cast_const),
                centered,
                stride,
                count,
            };
            let result = context.pointer(total.output).cast::<f32>();
            // SAFETY: the caller's promise.
            unsafe { join_pieces(context.isa, total.statistic, pieces, total.columns, result) };
        }
    }
}
