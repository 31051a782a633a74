//! Running a planned matrix product: how its tasks find their operands, and what each does.

use super::super::block::{BLayout, Contraction, SumOfParts};
use super::super::panels::{PackRows, Panel, pack_panel, packed_width, piece_length};
use super::super::transpose::transpose;
use super::super::zeros;
use super::super::{Epilogue, Room, Shared, Target, Tile, scratch_for};
use super::{MOST_ROWS, MatmulPlan, Schedule, sum_block};
use crate::threads::Pool;

/// Columns of B that are packed together, row by row.
const PACKED_COLUMNS: usize = 256;

impl MatmulPlan {
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
        // Rows of B that lie in memory one after the other are read as they lie, by groups of panels as the tasks have them:
        // a panel alone is a narrow strip of many pages, which no prefetcher follows.
        let by_rows = self.b_stride[1] == 1;
        let chunk = if by_rows { 64 } else { 512 };
        let chunks = self.shape.k.div_ceil(chunk);
        let together = if by_rows {
            (PACKED_COLUMNS / self.panels[0].width).max(1)
        } else {
            1
        };
        let groups = self.panels.len().div_ceil(together);
        let tasks = self.packed_matrices * groups * chunks;
        self.sharing.run(pool, tasks, &|_, task| {
            let (rest, index) = (task / chunks, task % chunks);
            let first = rest % groups * together;
            let panels = &self.panels[first..(first + together).min(self.panels.len())];
            let matrix = rest / groups;
            let from = index * chunk;
            let piece = (from, (from + chunk).min(self.shape.k));
            let packed = packed.get().wrapping_add(matrix * self.packed_size());
            // SAFETY: the source is B at offsets that the shape names; the packed copies have room in the scratch.
            unsafe { self.pack_panels(b, matrix, panels, (self.shape.k, 0), piece, packed) };
        });
    }

    /// Packs `from..to` of the contraction of some panels of a matrix, for copies of `k` steps from `first` on.
    ///
    /// # Safety
    /// B is readable at the offsets that the shape names, and the copies have room at `packed`.
    unsafe fn pack_panels(
        &self,
        b: Shared<f32>,
        matrix: usize,
        panels: &[Panel],
        (k, first): (usize, usize),
        (from, to): (usize, usize),
        packed: *mut f32,
    ) {
        let source = b.get().wrapping_offset(self.matrix(matrix).1).cast_const();
        let column_stride = self.b_stride[1];
        if column_stride == 1 {
            return self.isa.dispatch(PackRows {
                source,
                steps: &self.b_steps,
                k,
                first,
                from,
                to,
                panels,
                packed,
            });
        }
        for panel in panels {
            let place = packed
                .wrapping_add(k * panel.packed_start)
                .wrapping_sub(first * panel.width);
            // SAFETY: the caller's promise.
            unsafe {
                pack_panel(
                    self.isa,
                    source,
                    &self.b_steps,
                    column_stride,
                    (from, to),
                    panel,
                    place,
                );
            }
        }
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
            let k = self.shape.k;
            (packed, BLayout::Packed { k, first: 0 })
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
        let matrix_tasks = row_blocks * self.groups.len();
        let tasks = shape.batch_size() * matrix_tasks;
        self.sharing.run(pool, tasks, &|slot, task| {
            let (index, rest) = (task / matrix_tasks, task % matrix_tasks);
            // The larger of the operands is what each thread should have its own part of.
            let (group, row_task) = if self.by_columns {
                (rest / row_blocks, rest % row_blocks)
            } else {
                (rest % self.groups.len(), rest / self.groups.len())
            };
            let from = row_task * row_block;
            let to = (from + row_block).min(self.rows);
            let panels = &self.panels[self.groups[group].clone()];
            let (first, last) = (panels[0].start, panels[panels.len() - 1]);
            let after = last.start + last.columns;
            let mut table = [0_isize; MOST_ROWS];
            let rows = self.row_table(&mut table, from, to);
            let block = own.get().wrapping_add(slot * self.slot_bytes()).cast();
            let block_stride = packed_width(&self.panels);
            let row = index * shape.m + if self.swapped { first } else { from };
            let tile_start = c.at(slot, row, shape.n);
            let (place, stride) = if self.swapped {
                (block, block_stride)
            } else {
                (tile_start, shape.n)
            };
            let whole =
                |from: usize, to: usize, (b, b_layout): (*const f32, BLayout)| Contraction {
                    a: a.get().wrapping_offset(self.matrix(index).0),
                    rows,
                    steps: &self.steps,
                    from,
                    to,
                    piece: piece_length(shape.k),
                    b,
                    b_layout,
                    panels,
                    c: place,
                    c_stride: stride,
                    accumulate: from > 0,
                    diagonal: false,
                    zones: &[],
                };
            if self.packs_own {
                let length = piece_length(shape.k);
                for begin in (0..shape.k).step_by(length) {
                    let end = (begin + length).min(shape.k);
                    // The kernel counts from the first panel of all.
                    let packed = block.wrapping_sub(panels[0].packed_start * (end - begin));
                    let (k, first) = (end - begin, begin);
                    let layout = BLayout::Packed { k, first };
                    // SAFETY: the slot has room for a piece of the panels of a task; else as below.
                    unsafe {
                        self.pack_panels(b, index, panels, (k, first), (begin, end), packed);
                        let contraction = whole(begin, end, (packed, layout));
                        self.contract(contraction, rooms.get(), slot);
                    }
                }
            } else {
                let contraction = whole(0, shape.k, self.columns_of(index, b, packed));
                // SAFETY: the caller vouches for the operands; the tile is this task's own.
                unsafe { self.contract(contraction, rooms.get(), slot) };
            }
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
                    zones: &[],
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
}

/// Where the last bytes of some scratch begin.
fn scratch_end(scratch: *mut u8, bytes: usize, last: usize) -> *mut u8 {
    scratch.wrapping_add(bytes - last)
}
