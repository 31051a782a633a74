//! Matrix products, planned and run: `C[m, n] = sum over k of A[m, k] * B[k, n]`, with any strides of A and B, and leading batch axes.

use std::ops::Range;

use super::block::{BLayout, Contraction, SumOfParts};
use super::matmul_shape::{BatchAxis, MatmulShape};
use super::panels::{Panel, Steps, pack_panel, packed_width, panels, piece_length};
use super::transpose::transpose;
use super::zeros::{self, Along};
use super::{
    Epilogue, Room, SCRATCH_ALIGNMENT, Shared, Sharing, Target, Tile, kernel, scratch_for,
};
use crate::simd::Isa;
use crate::threads::Pool;

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
    /// Each task packs the panels that it reads: they are its own, and stay in its cache.
    packs_own: bool,
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

/// Elements that a task packs for itself at most, to stay in the second-level cache, and steps of the contraction at least and at most.
const MOST_OWN_ELEMENTS: usize = 64 * 1024;
const OWN_STEPS: Range<usize> = 16..1025;

impl MatmulPlan {
    /// Plans for a pool of at most `threads` threads (a larger one works, but runs the plan on one thread).
    pub fn new(isa: Isa, shape: MatmulShape, threads: usize) -> MatmulPlan {
        let shape = shape.folded();
        let lanes = isa.lanes();
        let cost = |rows: usize, columns: usize, packing: f64| {
            let work = (rows * columns.div_ceil(lanes)) as f64 * shape.k as f64;
            work + packing * columns as f64 * shape.k as f64
        };
        // Columns of B that lie along the contraction, and all rows in one task, which can turn its panels itself.
        let packs_own = (2..=MOST_ROWS).contains(&shape.m)
            && shape.n >= 8 * kernel::widest_panel(lanes) * lanes
            && shape.b[0] == 1
            && shape.b[1] > 1
            && OWN_STEPS.contains(&shape.k);
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
        // A panel that is narrower than B's rows is scattered over many pages and few cache sets: copied if enough rows use the copy.
        let scattered = panels.len() > 1 && shape.k > 16 && rows * batch / distinct.max(1) >= 128;
        let packs_own = packs_own && !swapped;
        let packed_matrices = if (in_place && !scattered) || packs_own {
            0
        } else {
            distinct
        };

        let pieces = shape.k.div_ceil(piece);
        let by_pieces =
            batch == 1 && !swapped && pieces >= 4 && rows <= MOST_ROWS && rows * columns <= 65536;
        let wanted_tasks = (flops / 1_000_000).clamp(1, 32);
        let (schedule, groups) = if by_pieces {
            // Half the rows, or two panels.
            let groups = panels.len().div_ceil(2);
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
                let together = (MOST_OWN_ELEMENTS / (width * shape.k).max(1)).clamp(1, 4);
                row_block = rows.next_multiple_of(tallest).min(MOST_ROWS);
                groups = panels.len().div_ceil(together);
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

    /// Runs a contraction, without the zeros of A where there are many.
    ///
    /// # Safety
    /// As for the contraction; the rooms for leaving out zeros begin at `rooms`.
    unsafe fn contract(&self, contraction: Contraction, rooms: *mut u8, slot: usize) {
        if let Some(along) = self.along {
            let room = rooms.wrapping_add(slot * self.skip_bytes());
            // SAFETY: passed on; the slot's room is large enough for the plan's tasks.
            if unsafe { zeros::run_without_zeros(self.isa, along, &contraction, room) } {
                return;
            }
        }
        self.isa.dispatch(contraction);
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
                scratch_for(widths.max().unwrap_or(0) * self.shape.k) + SCRATCH_ALIGNMENT
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

    /// Computes C.
    ///
    /// # Safety
    /// `a` and `b` must be readable at every offset that the shape names, `c` writable for `batch * m * n` elements, `room` writable for
    /// [`MatmulPlan::scratch_bytes`] and aligned to 64 bytes; `c` and `room` must overlap nothing else.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        a: *const f32,
        b: *const f32,
        c: impl Into<Target>,
        room: impl Into<Room>,
        epilogue: Epilogue,
    ) {
        let c = c.into();
        debug_assert!(c.is_whole() || self.tile_elements().is_some());
        let (a, b) = if self.swapped { (b, a) } else { (a, b) };
        let (a, b) = (Shared::new(a), Shared::new(b));
        let mut room = room.into();
        if self.kept_bytes() == 0 {
            // What is packed comes with each run.
            room.kept = None;
        }
        let (packed, pack, own) = room.split(self.packed_bytes());
        if self.packed_matrices > 0 && pack {
            self.pack(pool, b, packed);
        }
        let rooms = scratch_end(
            own,
            self.scratch_bytes() - self.packed_bytes(),
            self.skip_bytes() * self.sharing.threads,
        );
        let (own, rooms) = (Shared(own), Shared(rooms));
        match self.schedule {
            Schedule::Tiles { row_block } => {
                self.run_tiles(pool, (a, b, c), packed, (own, rooms), row_block, epilogue)
            }
            Schedule::Pieces { row_block } => {
                self.run_pieces(pool, (a, b, c), packed, (own, rooms), row_block, epilogue)
            }
        }
    }

    /// Offsets of the `index`-th matrices in the kernel's A and B.
    fn matrix(&self, index: usize) -> (isize, isize) {
        let (a, b) = self.shape.matrix(index);
        if self.swapped { (b, a) } else { (a, b) }
    }

    fn pack(&self, pool: &Pool, b: Shared<f32>, packed: Shared<f32>) {
        const CHUNK: usize = 512;
        let chunks = self.shape.k.div_ceil(CHUNK);
        let tasks = self.packed_matrices * self.panels.len() * chunks;
        self.sharing.run(pool, tasks, &|_, task| {
            let (rest, chunk) = (task / chunks, task % chunks);
            let panel = &self.panels[rest % self.panels.len()];
            let matrix = rest / self.panels.len();
            let from = chunk * CHUNK;
            let to = (from + CHUNK).min(self.shape.k);
            let place = matrix * self.packed_size() + self.shape.k * panel.packed_start;
            // SAFETY: the source is B at offsets that the shape names; the packed copies have room in the scratch.
            unsafe {
                pack_panel(
                    self.isa,
                    b.get().wrapping_offset(self.matrix(matrix).1),
                    &self.b_steps,
                    self.b_stride[1],
                    (from, to),
                    panel,
                    packed.get().add(place),
                );
            }
        });
    }

    /// Packs panels of a matrix into the room of a slot, and gives the kernel's B.
    ///
    /// # Safety
    /// The room is the task's own and large enough; `b` is readable.
    unsafe fn pack_own(
        &self,
        b: Shared<f32>,
        index: usize,
        panels: &[Panel],
        room: *mut f32,
    ) -> (*const f32, BLayout) {
        let k = self.shape.k;
        let start = panels[0].packed_start;
        for panel in panels {
            // SAFETY: the caller's promise.
            unsafe {
                pack_panel(
                    self.isa,
                    b.get().wrapping_offset(self.matrix(index).1),
                    &self.b_steps,
                    self.b_stride[1],
                    (0, k),
                    panel,
                    room.add((panel.packed_start - start) * k),
                );
            }
        }
        // The kernel counts from the first panel of all.
        (room.wrapping_sub(start * k), BLayout::Packed { k })
    }

    /// The kernel's B of a matrix.
    fn columns_of(
        &self,
        index: usize,
        b: Shared<f32>,
        packed: Shared<f32>,
    ) -> (*const f32, BLayout) {
        if self.packed_matrices == 0 {
            let stride = self.b_stride[0] as usize;
            let b = b.get().wrapping_offset(self.matrix(index).1);
            (b, BLayout::InPlace { stride })
        } else {
            let copy = if self.packed_matrices == 1 { 0 } else { index };
            let packed = packed.get().wrapping_add(copy * self.packed_size());
            (packed, BLayout::Packed { k: self.shape.k })
        }
    }

    fn run_tiles(
        &self,
        pool: &Pool,
        (a, b, c): (Shared<f32>, Shared<f32>, Target),
        packed: Shared<f32>,
        (own, rooms): (Shared<u8>, Shared<u8>),
        row_block: usize,
        epilogue: Epilogue,
    ) {
        let shape = &self.shape;
        let row_blocks = self.rows.div_ceil(row_block);
        let tasks = shape.batch_size() * row_blocks * self.groups.len();
        self.sharing.run(pool, tasks, &|slot, task| {
            let (rest, group) = (task / self.groups.len(), task % self.groups.len());
            let (index, row_task) = (rest / row_blocks, rest % row_blocks);
            let from = row_task * row_block;
            let to = (from + row_block).min(self.rows);
            let panels = &self.panels[self.groups[group].clone()];
            let (first, last) = (panels[0].start, panels[panels.len() - 1]);
            let after = last.start + last.columns;
            let mut table = [0_isize; MOST_ROWS];
            let rows = self.row_table(&mut table, from, to);
            let block = own.get().wrapping_add(slot * self.slot_bytes()).cast();
            let (b, b_layout) = if self.packs_own {
                // SAFETY: the slot has room for the panels of a task.
                unsafe { self.pack_own(b, index, panels, block) }
            } else {
                self.columns_of(index, b, packed)
            };
            let block_stride = packed_width(&self.panels);
            let row = index * shape.m + if self.swapped { first } else { from };
            let tile_start = c.at(slot, row, shape.n);
            let (place, stride) = if self.swapped {
                (block, block_stride)
            } else {
                (tile_start, shape.n)
            };
            let contraction = Contraction {
                a: a.get().wrapping_offset(self.matrix(index).0),
                rows,
                steps: &self.steps,
                from: 0,
                to: shape.k,
                piece: piece_length(shape.k),
                b,
                b_layout,
                panels,
                c: place,
                c_stride: stride,
                accumulate: false,
                diagonal: false,
            };
            // SAFETY: the caller vouches for the operands; the tile is this task's own.
            unsafe { self.contract(contraction, rooms.get(), slot) };
            let mut tile = Tile {
                row_start: row,
                row_end: index * shape.m + to,
                column_start: first,
                column_end: after,
            };
            if self.swapped {
                // SAFETY: the slot's block was just filled; its transpose is this task's part of C.
                unsafe {
                    transpose(
                        self.isa,
                        (block.add(first), block_stride),
                        (tile_start.add(from), shape.n),
                        to - from,
                        after - first,
                    );
                }
                tile = Tile {
                    row_start: row,
                    row_end: index * shape.m + after,
                    column_start: from,
                    column_end: to,
                };
            }
            if let Some(epilogue) = epilogue {
                epilogue(tile, tile_start);
            }
        });
    }

    fn row_table<'a>(
        &self,
        table: &'a mut [isize; MOST_ROWS],
        from: usize,
        to: usize,
    ) -> &'a [isize] {
        for (row, offset) in (from..to).zip(table.iter_mut()) {
            *offset = row as isize * self.row_stride;
        }
        &table[..to - from]
    }

    fn run_pieces(
        &self,
        pool: &Pool,
        (a, b, c): (Shared<f32>, Shared<f32>, Target),
        packed: Shared<f32>,
        (own, rooms): (Shared<u8>, Shared<u8>),
        row_block: usize,
        epilogue: Epilogue,
    ) {
        let shape = &self.shape;
        let (m, n, k) = (shape.m, shape.n, shape.k);
        let part_stride = scratch_for(m * n) / size_of::<f32>();
        let (pieces, piece) = (self.pieces(), piece_length(k));
        let row_blocks = m.div_ceil(row_block);
        self.sharing.run(
            pool,
            pieces * row_blocks * self.groups.len(),
            &|slot, task| {
                let (rest, group) = (task / self.groups.len(), task % self.groups.len());
                let (index, first) = (rest / row_blocks, rest % row_blocks * row_block);
                let mut table = [0_isize; MOST_ROWS];
                let (b, b_layout) = self.columns_of(0, b, packed);
                let contraction = Contraction {
                    a: a.get(),
                    rows: self.row_table(&mut table, first, (first + row_block).min(m)),
                    steps: &self.steps,
                    from: index * piece,
                    to: ((index + 1) * piece).min(k),
                    piece,
                    b,
                    b_layout,
                    panels: &self.panels[self.groups[group].clone()],
                    c: own
                        .get()
                        .cast::<f32>()
                        .wrapping_add(index * part_stride + first * n),
                    c_stride: n,
                    accumulate: false,
                    diagonal: false,
                };
                // SAFETY: the caller vouches for the operands; the piece's sum is this task's own.
                unsafe { self.contract(contraction, rooms.get(), slot) };
            },
        );
        let (row_block, column_block) = sum_block(m, n);
        let column_blocks = n.div_ceil(column_block);
        let tasks = m.div_ceil(row_block) * column_blocks;
        self.sharing.run(pool, tasks, &|slot, task| {
            let row_start = task / column_blocks * row_block;
            let column_start = task % column_blocks * column_block;
            let tile = Tile {
                row_start,
                row_end: (row_start + row_block).min(m),
                column_start,
                column_end: (column_start + column_block).min(n),
            };
            let offset = row_start * n + column_start;
            let tile_start = c.at(slot, row_start, n);
            self.isa.dispatch(SumOfParts {
                parts: own.get().cast::<f32>().wrapping_add(offset),
                count: pieces,
                part_stride,
                c: tile_start.wrapping_add(column_start),
                rows: tile.row_end - row_start,
                columns: tile.column_end - column_start,
                row_stride: n,
                c_stride: n,
            });
            if let Some(epilogue) = epilogue {
                epilogue(tile, tile_start);
            }
        });
    }
}

/// Where the last bytes of some scratch begin.
fn scratch_end(scratch: *mut u8, bytes: usize, last: usize) -> *mut u8 {
    scratch.wrapping_add(bytes - last)
}

/// Rows and columns of a tile whose parts one task adds up: full rows, unless there are too few of them to share.
fn sum_block(m: usize, n: usize) -> (usize, usize) {
    if m >= 8 {
        (4096_usize.div_ceil(n.max(1)).min(m.div_ceil(8)), n.max(1))
    } else {
        (1, 1024)
    }
}
