//! Matrix products, planned here and run in [`run`]: `C[m, n] = sum over k of A[m, k] * B[k, n]`, with any strides of A and B, and leading batch axes.

mod run;

use std::ops::Range;

use super::matmul_shape::{BatchAxis, MatmulShape};
use super::panels::{Panel, Steps, packed_width, panels, piece_length};
use super::zeros::{self, Along};
use super::{SCRATCH_ALIGNMENT, Sharing, kernel, scratch_for};
use crate::simd::Isa;

/// How the work is cut into tasks. All give the same bits.
#[derive(Debug)]
enum Schedule {
    /// By rows and groups of panels; a task does the whole contraction.
    Tiles { row_block: usize },
    /// By pieces of the contraction, whose sums are added afterwards: for few rows and columns, so that B is read once and by one core.
    Pieces { row_block: usize },
}

/// Rows of the table that a task keeps on its stack.
const MOST_ROWS: usize = 256;

/// A matrix product, planned for an instruction set and a shape.
#[derive(Debug)]
pub struct MatmulPlan {
    isa: Isa,
    shape: MatmulShape,
    /// Computes the transposed product: the kernel's rows are B's columns. (Bits are the same: `a * b` commutes.)
    swapped: bool,
    rows: usize,
    row_stride: isize,
    steps: Steps,
    /// Strides of the kernel's B along the contraction and along the columns.
    b_steps: Steps,
    b_stride: [isize; 2],
    panels: Vec<Panel>,
    /// Panels that one task does together.
    groups: Vec<Range<usize>>,
    /// How many copies of the kernel's B are packed before; 0 if it is used where it lies, or packed by the tasks.
    packed_matrices: usize,
    /// Each task packs the panels that it reads, piece by piece: they are its own, and stay in its cache.
    packs_own: bool,
    /// Tasks go through the rows of one group of panels before the next, so that a thread keeps its columns of B; else the other way.
    by_columns: bool,
    schedule: Schedule,
    sharing: Sharing,
    /// Where A's zeros can be left out: how A lies.
    along: Option<Along>,
}

/// What copying an element costs, in vector multiply-adds: of B across its rows before the product, of B where a task needs it, and of
/// a transposed result with what follows on it.
const PACKING_COST: f64 = 1.0;
const OWN_PACKING_COST: f64 = 0.35;
const TRANSPOSING_COST: f64 = 1.5;

/// Smaller products are not worth a look at their zeros.
const LEAST_FLOPS_TO_SKIP: usize = 1_000_000;

/// Elements that a task packs for itself at most, to stay in the second-level cache; and steps of the contraction at least.
const MOST_OWN_ELEMENTS: usize = 64 * 1024;
const LEAST_OWN_STEPS: usize = 16;
/// Rows from which on a copy of B pays whose rows lie in memory one after the other.
const LEAST_ROWS_TO_PACK: usize = 16;
/// Groups of panels that packing tasks leave at least, where there are so many panels.
const LEAST_OWN_GROUPS: usize = 8;
const LEAST_LOOKS: usize = 4;
/// Columns of such a task at most: more than a few cache lines of each of the result's rows, which may lie pages apart.
const OWN_COLUMNS: usize = 256;

/// Steps of the contraction up to which the tiles of a task have at most so many elements.
const SHALLOW: usize = 16;
const SHALLOW_TILE: usize = 48 * 1024;

impl MatmulPlan {
    /// Plans for a pool of at most `threads` threads (a larger one works, but runs the plan on one thread). `steady`: B is the same in
    /// many runs, so that a packed copy of it can stay ([`MatmulPlan::kept_bytes`]).
    pub fn new(isa: Isa, shape: MatmulShape, threads: usize, steady: bool) -> MatmulPlan {
        let shape = shape.folded();
        let lanes = isa.lanes();
        let cost = |rows: usize, columns: usize, packing: f64| {
            let work = (rows * columns.div_ceil(lanes)) as f64 * shape.k as f64;
            work + packing * columns as f64 * shape.k as f64
        };
        // Columns of B that lie along the contraction, and all rows in one task, which can turn its panels itself.
        let wide = shape.n >= 8 * kernel::widest_panel(lanes) * lanes;
        let packs_own = (2..=MOST_ROWS).contains(&shape.m)
            && wide
            && shape.b[0] == 1
            && shape.b[1] > 1
            && shape.k >= LEAST_OWN_STEPS;
        let packing_b = match () {
            () if shape.b[1] == 1 || shape.n == 1 => 0.0,
            () if packs_own => OWN_PACKING_COST,
            () => PACKING_COST,
        };
        let packing_a = if shape.a[0] == 1 || shape.m == 1 {
            0.0
        } else {
            PACKING_COST
        };
        let straight = cost(shape.m, shape.n, packing_b);
        let transposed =
            cost(shape.n, shape.m, packing_a) + TRANSPOSING_COST * (shape.m * shape.n) as f64;
        let swapped = transposed < straight && shape.m <= MOST_ROWS;
        let (rows, columns) = if swapped {
            (shape.n, shape.m)
        } else {
            (shape.m, shape.n)
        };
        let ([row_stride, a_step], b_stride) = if swapped {
            ([shape.b[1], shape.b[0]], [shape.a[1], shape.a[0]])
        } else {
            (shape.a, shape.b)
        };
        let batch = shape.batch_size();
        let flops = 2 * batch * rows * columns * shape.k;
        let bytes = 4 * batch * (rows * columns + rows * shape.k + columns * shape.k);
        let sharing = Sharing::new(threads, flops, bytes);
        let piece = piece_length(shape.k);
        let panels = panels(lanes, columns, kernel::widest_panel(lanes));

        let one_b = |axis: &BatchAxis| {
            (if swapped {
                axis.a_stride
            } else {
                axis.b_stride
            }) == 0
        };
        let distinct = if shape.batch.iter().all(one_b) {
            1
        } else {
            batch
        };
        let in_place = (columns == 1 || b_stride[1] == 1) && b_stride[0] >= 0;
        let pieces = shape.k.div_ceil(piece);
        let by_pieces =
            batch == 1 && !swapped && pieces >= 4 && rows <= MOST_ROWS && rows * columns <= 65536;
        // A panel that is narrower than B's rows is scattered over many pages and few cache sets: copied if enough rows use the copy.
        let scattered = panels.len() > 1 && shape.k > LEAST_OWN_STEPS;
        let uses = rows * batch / distinct.max(1);
        let packs_rows = in_place
            && scattered
            && !by_pieces
            && wide
            && (LEAST_ROWS_TO_PACK..=MOST_ROWS).contains(&rows)
            && distinct == batch;
        let packs_own = (packs_own || packs_rows) && !swapped && !(steady && scattered);
        let copied = scattered && uses >= if steady { 2 } else { 128 };
        let packed_matrices = if (in_place && !copied) || packs_own {
            0
        } else {
            distinct
        };

        let wanted_tasks = (flops / 1_000_000).clamp(1, 32);
        let (schedule, groups) = if by_pieces {
            // Half the rows, or the columns of one look at A's zeros.
            let widest = kernel::widest_panel(lanes);
            let groups = panels.len().div_ceil((zeros::VECTORS / widest).max(1));
            let halves = if groups == 1 && rows >= 16 { 2 } else { 1 };
            let row_block = rows.div_ceil(halves);
            (Schedule::Pieces { row_block }, groups)
        } else {
            let tallest = panels
                .first()
                .map_or(1, |panel| kernel::tallest_tile(lanes, panel.width / lanes));
            // What follows on a transposed tile has a call for each of its rows, which should be worth it.
            let wanted_rows = if swapped { 252_usize } else { 64 };
            let mut row_block: usize = wanted_rows.next_multiple_of(tallest).min(MOST_ROWS);
            let row_tasks = |row_block: usize| (rows.div_ceil(row_block) * batch).max(1);
            let mut groups = wanted_tasks
                .div_ceil(row_tasks(row_block))
                .min(panels.len());
            // Few rows: each task has all of them, or half, for a panel, so that threads keep their columns of B.
            if !swapped && (1..=MOST_ROWS).contains(&rows) && panels.len() >= 8 && shape.k >= 64 {
                let parts = 16_usize.div_ceil(panels.len() * batch.max(1)).max(1);
                row_block = rows
                    .div_ceil(parts)
                    .next_multiple_of(tallest)
                    .min(MOST_ROWS);
                groups = panels.len();
            }
            if packs_own {
                let width = panels.first().map_or(1, |panel| panel.width);
                // As many as one look at A's zeros takes, if the threads still share enough.
                let look = match panels.len() / LEAST_LOOKS {
                    0 => 1,
                    share => (zeros::VECTORS / kernel::widest_panel(lanes)).clamp(1, share),
                };
                let most = (OWN_COLUMNS / width.max(1))
                    .min(panels.len() / LEAST_OWN_GROUPS)
                    .max(look);
                let steps = piece.min(shape.k);
                let together = (MOST_OWN_ELEMENTS / (width * steps).max(1)).clamp(1, most);
                row_block = rows.next_multiple_of(tallest).min(MOST_ROWS);
                groups = panels.len().div_ceil(together);
            }
            // Few steps: B is read again at once, so that a tile may be small enough to stay in cache for what follows on it.
            if !swapped && shape.k <= SHALLOW {
                let most = SHALLOW_TILE / columns.max(1) / tallest * tallest;
                row_block = row_block.min(most.max(tallest));
            }
            // A transposed tile is stored twice: a panel at a time stays in the second-level cache.
            if swapped {
                groups = panels.len();
            }
            while row_block > tallest
                && !packs_own
                && groups < 8
                && row_tasks(row_block) * groups.max(1) < wanted_tasks
            {
                row_block -= tallest;
            }
            (Schedule::Tiles { row_block }, groups)
        };
        let along = match (shape.a, swapped) {
            (_, true) => None,
            ([_, 1], _) => Some(Along::Contraction),
            ([1, _], _) => Some(Along::Rows),
            _ => None,
        };
        let along = along.filter(|_| {
            lanes > 1 && shape.n >= 2 * lanes && shape.k >= 16 && flops >= LEAST_FLOPS_TO_SKIP
        });
        let groups = (0..groups)
            .map(|group| group * panels.len() / groups..(group + 1) * panels.len() / groups)
            .collect();
        MatmulPlan {
            isa,
            swapped,
            rows,
            row_stride,
            steps: Steps::linear(a_step, piece.min(shape.k)),
            b_steps: Steps::linear(b_stride[0], 0),
            b_stride,
            panels,
            groups,
            packed_matrices,
            packs_own,
            by_columns: rows < columns,
            schedule,
            sharing,
            along,
            shape,
        }
    }

    /// Multiplications and additions of one run.
    pub fn flops(&self) -> usize {
        2 * self.shape.batch_size() * self.shape.m * self.shape.n * self.shape.k
    }

    /// Scratch that a run needs.
    pub fn scratch_bytes(&self) -> usize {
        let own = match self.schedule {
            Schedule::Pieces { .. } => scratch_for(self.shape.m * self.shape.n) * self.pieces(),
            Schedule::Tiles { .. } => self.slot_bytes() * self.sharing.threads,
        };
        self.packed_bytes() + own + self.skip_bytes() * self.sharing.threads
    }

    /// A slot's room for leaving out zeros.
    fn skip_bytes(&self) -> usize {
        if self.along.is_none() {
            return 0;
        }
        let rows = match self.schedule {
            Schedule::Tiles { row_block } | Schedule::Pieces { row_block } => row_block,
        };
        let length = piece_length(self.shape.k).min(self.shape.k);
        zeros::room_bytes(self.isa.lanes(), rows, length).next_multiple_of(SCRATCH_ALIGNMENT)
    }

    fn pieces(&self) -> usize {
        self.shape.k.div_ceil(piece_length(self.shape.k)).max(1)
    }

    /// One packed matrix, in elements.
    fn packed_size(&self) -> usize {
        scratch_for(packed_width(&self.panels) * self.shape.k) / size_of::<f32>()
    }

    fn packed_bytes(&self) -> usize {
        self.packed_matrices * self.packed_size() * size_of::<f32>()
    }

    /// How many bytes of the scratch hold the packed B, which may stay for runs with the same B.
    pub fn kept_bytes(&self) -> usize {
        if self.swapped { 0 } else { self.packed_bytes() }
    }

    /// The block that a slot stores transposed, or the panels that it packs.
    fn slot_bytes(&self) -> usize {
        match self.schedule {
            Schedule::Tiles { .. } if self.packs_own => {
                let widths = self
                    .groups
                    .iter()
                    .map(|group| packed_width(&self.panels[group.clone()]));
                let steps = piece_length(self.shape.k).min(self.shape.k);
                scratch_for(widths.max().unwrap_or(0) * steps) + SCRATCH_ALIGNMENT
            }
            Schedule::Tiles { row_block } if self.swapped => {
                scratch_for(row_block * packed_width(&self.panels)) + SCRATCH_ALIGNMENT
            }
            _ => 0,
        }
    }

    /// Elements of the largest tile that an epilogue is given, if tiles need not be parts of the whole result.
    pub fn tile_elements(&self) -> Option<usize> {
        let (m, n) = (self.shape.m, self.shape.n);
        match self.schedule {
            Schedule::Tiles { .. } if self.swapped => None,
            Schedule::Tiles { row_block } => Some(row_block.min(m) * n),
            Schedule::Pieces { .. } => Some(sum_block(m, n).0.min(m) * n),
        }
    }
}

/// Rows and columns of a tile whose parts one task adds up: full rows, unless there are too few of them to share.
fn sum_block(m: usize, n: usize) -> (usize, usize) {
    if m >= 8 {
        (4096_usize.div_ceil(n.max(1)).min(m.div_ceil(8)), n.max(1))
    } else {
        (1, 1024)
    }
}
