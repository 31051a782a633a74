//! Windows over images times weights: what the forward convolution and its input gradient share.

use std::ops::Range;

use super::super::block::{BLayout, Contraction, Zone};
use super::super::kernel;
use super::super::panels::{Panel, Steps, pack_panel, packed_width, panels, piece_length};
use super::super::windows::{self, Windows};
use super::super::{
    Epilogue, ImageOperand, PoolInto, Room, Shared, Sharing, Target, Tile, scratch_for,
};
use super::image::Images;
use super::zones;
use crate::kernels::pooling::Pool2d;
use crate::simd::Isa;
use crate::threads::Pool;

/// Where the weight of contraction index `k` and output channel `column` of a group lies.
#[derive(Debug)]
pub(super) struct Weights {
    /// Offsets along the contraction.
    pub steps: Steps,
    /// Elements from one `k` to the next, if that is uniform and the columns are contiguous: then no copy is needed.
    pub in_place: Option<usize>,
    /// Elements from one column to the next.
    pub column_stride: isize,
    /// Elements from one group to the next.
    pub group_stride: usize,
}

/// What is convolved with what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub batch: usize,
    pub images: Images,
    /// Height and width of the result.
    pub output: [usize; 2],
    /// Channels of the result, of one group.
    pub columns: usize,
    pub groups: usize,
    /// Each channel goes into the column of its number only, `groups` being 1.
    pub depthwise: bool,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// The images are the gradient of this pooling, given by what it was spread from.
    pub pooled: Option<Pool2d>,
    /// The max-pooling that follows on the result, if one does: then tiles hold whole windows of it.
    pub followed: Option<Pool2d>,
    /// Whether the weights are the same in every run, so that their copy costs nothing.
    pub steady: bool,
    /// Whether what follows on a tile wants its rows whole.
    pub whole_rows: bool,
}

impl Geometry {
    /// Channels that are contracted into one column.
    pub(super) fn group_channels(&self) -> usize {
        if self.depthwise {
            1
        } else {
            self.images.channels / self.groups
        }
    }
}

/// A correlation, planned.
#[derive(Debug)]
pub(super) struct Correlation {
    isa: Isa,
    geometry: Geometry,
    weights: Weights,
    /// Length of the contraction: taps times channels of one group.
    k: usize,
    /// Windows of one task, relative to its first.
    rows: Vec<isize>,
    steps: Steps,
    panels: Vec<Panel>,
    /// Panels that one task does: all, unless there are few rows.
    column_groups: Vec<Range<usize>>,
    packed: bool,
    images_per_task: usize,
    /// Rows of the result that a task computes of each of its images.
    band: usize,
    sharing: Sharing,
    windows: Option<Box<WindowTables>>,
    /// For each band of an image, which rows of the kernel its windows need: those at the image's edges have some in the padding.
    zones: Vec<Vec<Zone>>,
}

/// What a plan needs that pools its result in registers.
#[derive(Debug)]
struct WindowTables {
    pool: Pool2d,
    /// As `rows`, but window by window, and only what is in one.
    rows: Vec<isize>,
    panels: Vec<Panel>,
}

/// Some rows of the result, of some images.
struct Task {
    slot: usize,
    /// The first image, and how many.
    image: usize,
    count: usize,
    /// The first row, and how many.
    y: usize,
    band: usize,
    /// Which group of columns.
    columns: usize,
    /// Where its first window begins.
    a: *const f32,
}

/// So few tasks by rows are cut by columns as well, into so many together at most.
const FEW_TASKS: usize = 4;
const MOST_TASKS: usize = 16;

/// Longer contractions are better off with larger tiles.
const LONGEST_POOLED: usize = 64;

/// A task should do at least so much, in multiplications and additions, and so many windows, to use the weights that it reads.
const TASK_FLOPS: usize = 1_000_000;
const TASK_WINDOWS: usize = 96;
/// Elements of a tile on which something follows, about.
const TILE_ELEMENTS: usize = 4096;
/// And no more windows than this, which bounds the tables.
const MOST_WINDOWS: usize = 8192;

impl Correlation {
    pub fn new(isa: Isa, geometry: Geometry, weights: Weights, threads: usize) -> Correlation {
        let Geometry {
            batch,
            images,
            output,
            columns,
            groups,
            kernel: taps,
            ..
        } = geometry;
        let group_channels = geometry.group_channels();
        let k = taps[0] * taps[1] * group_channels;
        let windows = output[0] * output[1];
        let window_flops = 2 * k * columns * groups;
        let mut wanted = (TASK_FLOPS / window_flops.max(1)).clamp(TASK_WINDOWS, MOST_WINDOWS);
        if geometry.followed.is_some() {
            // What follows on a tile wants it in the first-level cache.
            wanted = wanted.min((TILE_ELEMENTS / (columns * groups).max(1)).max(TASK_WINDOWS));
        }
        let (images_per_task, band) = if windows >= wanted {
            let mut bands = (windows / wanted).clamp(1, output[0].max(1));
            if images.copied && geometry.followed.is_none() {
                bands = bands.min(zones::few_bands(&geometry));
            }
            let band = output[0].div_ceil(bands);
            let multiple = geometry.followed.map_or(1, |pool| pool.stride[0]);
            (1, band.next_multiple_of(multiple))
        } else {
            let most = (wanted / windows.max(1)).max(1);
            let tasks = batch.div_ceil(most).max(1);
            (batch.div_ceil(tasks).max(1), output[0])
        };
        let flops = batch * windows * window_flops;
        let bytes = 4
            * (batch * windows * columns * groups
                + batch * images.source_stride()
                + k * columns * groups);
        let panels = {
            let lanes = isa.lanes();
            let widest = if geometry.depthwise {
                1
            } else {
                kernel::widest_panel(lanes)
            };
            panels(lanes, columns, widest)
        };
        let scattered = !geometry.depthwise
            && (panels.len() > 1 || groups > 1)
            && (batch * windows >= 256 || geometry.steady)
            && k > 16;
        let row_tasks = batch.div_ceil(images_per_task) * output[0].div_ceil(band.max(1));
        let cut = row_tasks < FEW_TASKS
            && groups == 1
            && !geometry.whole_rows
            && geometry.followed.is_none();
        let column_groups = match cut {
            true => (flops / TASK_FLOPS).min(MOST_TASKS) / row_tasks.max(1),
            false => 1,
        };
        let column_groups = column_groups.clamp(1, panels.len().max(1));
        let part = |group: usize| group * panels.len() / column_groups;
        let column_groups = (0..column_groups).map(|group| part(group)..part(group + 1));
        let mut plan = Correlation {
            isa,
            packed: weights.in_place.is_none() || scattered,
            geometry,
            weights,
            k,
            rows: Vec::new(),
            steps: Steps::Table(Vec::new()),
            column_groups: column_groups.collect(),
            panels,
            images_per_task,
            band: band.max(1),
            sharing: Sharing::new(threads, flops, bytes),
            windows: None,
            zones: Vec::new(),
        };
        plan.make_tables();
        plan.windows = plan.window_tables();
        plan.zones = zones::zones(&plan.geometry, plan.band, plan.images_per_task);
        plan
    }

    /// Where the window of a result begins, relative to that of a task's first.
    fn window_offset(&self, image: usize, y: usize, x: usize) -> isize {
        let Geometry { images, stride, .. } = self.geometry;
        let image_stride = images.image_stride(self.copied_rows(self.band));
        let offset = image * image_stride
            + y * stride[0] * images.row_stride()
            + x * stride[1] * images.channels;
        offset as isize
    }

    fn window_tables(&self) -> Option<Box<WindowTables>> {
        let pool = self.geometry.followed?;
        let lanes = self.isa.lanes();
        let good = windows::has_tiles(lanes, pool.kernel)
            && pool.is_whole()
            && pool.has_places()
            && self.k <= LONGEST_POOLED
            && self.weights.in_place.is_some()
            && !self.geometry.depthwise
            && self.geometry.pooled.is_none();
        if !good {
            return None;
        }
        let mut rows = Vec::new();
        for image in 0..self.images_per_task {
            for y in 0..self.band.div_ceil(pool.stride[0]).min(pool.output[0]) {
                for x in 0..pool.output[1] {
                    for dy in 0..pool.kernel[0] {
                        for dx in 0..pool.kernel[1] {
                            let (y, x) = (y * pool.stride[0] + dy, x * pool.stride[1] + dx);
                            rows.push(self.window_offset(image, y, x));
                        }
                    }
                }
            }
        }
        Some(Box::new(WindowTables {
            pool,
            rows,
            panels: panels(lanes, self.geometry.columns, windows::WIDEST),
        }))
    }

    fn make_tables(&mut self) {
        let Geometry {
            images,
            output,
            kernel,
            dilation,
            ..
        } = self.geometry;
        let (channels, row_stride) = (images.channels, images.row_stride());
        let mut rows = Vec::new();
        for image in 0..self.images_per_task {
            for y in 0..self.band.min(output[0]) {
                for x in 0..output[1] {
                    rows.push(self.window_offset(image, y, x));
                }
            }
        }
        self.rows = rows;
        let mut steps = Vec::with_capacity(self.k);
        for y in 0..kernel[0] {
            for x in 0..kernel[1] {
                for channel in 0..self.geometry.group_channels() {
                    let offset =
                        y * dilation[0] * row_stride + x * dilation[1] * channels + channel;
                    steps.push(offset as isize);
                }
            }
        }
        self.steps = Steps::Table(steps);
    }

    /// Rows of the padded image that so many rows of the result look at.
    fn copied_rows(&self, band: usize) -> usize {
        let Geometry {
            kernel,
            stride,
            dilation,
            ..
        } = self.geometry;
        (band.max(1) - 1) * stride[0] + (kernel[0] - 1) * dilation[0] + 1
    }

    /// One group's packed weights, in elements.
    fn packed_size(&self) -> usize {
        scratch_for(packed_width(&self.panels) * self.k) / size_of::<f32>()
    }

    /// How many bytes of the scratch hold packed weights.
    pub fn packed_bytes(&self) -> usize {
        if self.packed {
            self.geometry.groups * self.packed_size() * size_of::<f32>()
        } else {
            0
        }
    }

    /// Elements of a row of the source, for one that must be spread before it is copied.
    fn row_elements(&self) -> usize {
        let images = self.geometry.images;
        match self.geometry.pooled {
            Some(_) => images.size[1] * images.channels,
            None => 0,
        }
    }

    /// One thread's copies of images.
    fn slot_bytes(&self) -> usize {
        let images = self.geometry.images;
        if images.copied {
            let copies = self.images_per_task * images.image_stride(self.copied_rows(self.band));
            scratch_for(copies + self.row_elements())
        } else {
            0
        }
    }

    pub fn scratch_bytes(&self) -> usize {
        self.packed_bytes() + self.slot_bytes() * self.sharing.threads
    }

    /// Elements of the largest tile.
    pub fn tile_elements(&self) -> usize {
        let windows = self.band.min(self.geometry.output[0]) * self.geometry.output[1];
        self.images_per_task * windows * self.geometry.columns * self.geometry.groups
    }

    /// Bands of an image.
    fn bands(&self) -> usize {
        self.geometry.output[0].div_ceil(self.band)
    }

    /// How many tiles an epilogue is given, if they are of whole rows.
    pub fn tiles(&self) -> usize {
        self.geometry.batch.div_ceil(self.images_per_task) * self.bands()
    }

    /// Which tile begins at a row.
    pub fn tile_at(&self, row: usize) -> usize {
        let [height, width] = self.geometry.output;
        let (image, y) = (row / (height * width), row / width % height);
        image / self.images_per_task * self.bands() + y / self.band
    }

    /// # Safety
    /// `source` must be readable for the images, `weights` at every offset that [`Weights`] names, `c` writable for the result and
    /// `room` for [`Correlation::scratch_bytes`]; `c` and `room` must overlap nothing else.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        source: ImageOperand,
        weights: *const f32,
        c: Target,
        room: Room,
        epilogue: Epilogue,
    ) {
        let (packed, pack, copies) = room.split(self.packed_bytes());
        let weights = Shared::new(weights);
        if self.packed && pack {
            self.pack(pool, weights, packed);
        }
        let output = self.geometry.output;
        let filters = self.geometry.columns * self.geometry.groups;
        self.for_each_task(pool, source, copies, &|task: Task| {
            let row_start = (task.image * output[0] + task.y) * output[1];
            let rows = &self.rows[..task.count * task.band * output[1]];
            let tile_start = c.at(task.slot, row_start, filters);
            let panels = &self.panels[self.column_groups[task.columns].clone()];
            let (Some(first), Some(last)) = (panels.first(), panels.last()) else {
                return;
            };
            for group in 0..self.geometry.groups {
                let (b, b_layout) = self.weights_of(group, weights, packed);
                let column = group * self.geometry.columns;
                self.isa.dispatch(Contraction {
                    a: self.group_of(task.a, group),
                    rows,
                    steps: &self.steps,
                    from: 0,
                    to: self.k,
                    piece: piece_length(self.k),
                    b,
                    b_layout,
                    panels,
                    c: tile_start.wrapping_add(column),
                    c_stride: filters,
                    accumulate: false,
                    diagonal: self.geometry.depthwise,
                    zones: self.zones_of(&task),
                });
            }
            if let Some(epilogue) = epilogue {
                let tile = Tile {
                    row_start,
                    row_end: row_start + rows.len(),
                    column_start: first.start,
                    column_end: match self.column_groups.len() {
                        1 => filters,
                        _ => last.start + last.columns,
                    },
                };
                epilogue(tile, tile_start);
            }
        });
    }

    /// Whether [`Correlation::run_pooled`] can be called.
    pub fn pools(&self) -> bool {
        self.windows.is_some()
    }

    /// The max-pooling of the result, with the same bits; nothing if [`Correlation::pools`] says no.
    ///
    /// # Safety
    /// As [`Correlation::run`], and `into` is writable for the pooling of all images.
    pub unsafe fn run_pooled(
        &self,
        pool: &Pool,
        source: ImageOperand,
        weights: *const f32,
        into: PoolInto,
        room: Room,
    ) {
        let (Some(tables), Some(b_stride)) = (&self.windows, self.weights.in_place) else {
            return;
        };
        let weights = Shared::new(weights);
        let pooling = &tables.pool;
        let filters = self.geometry.columns * self.geometry.groups;
        let (_, _, copies) = room.split(self.packed_bytes());
        self.for_each_task(pool, source, copies, &|task: Task| {
            let first = task.y / pooling.stride[0];
            let last = (task.y + task.band).div_ceil(pooling.stride[0]);
            let window_rows = last.min(pooling.output[0]).saturating_sub(first);
            let windows = task.count * window_rows * pooling.output[1];
            let place = (task.image * pooling.output[0] + first) * pooling.row_length();
            for group in 0..self.geometry.groups {
                let column = group * self.geometry.columns;
                self.isa.dispatch(Windows {
                    a: self.group_of(task.a, group),
                    rows: &tables.rows[..windows * pooling.kernel[0] * pooling.kernel[1]],
                    size: pooling.kernel,
                    offsets: self.steps.all(),
                    b: weights
                        .get()
                        .wrapping_add(group * self.weights.group_stride),
                    b_stride,
                    panels: &tables.panels,
                    into: into.offset(place + column, column),
                    stride: filters,
                });
            }
        });
    }

    /// The zones of a task's windows; empty if all need the whole kernel.
    fn zones_of(&self, task: &Task) -> &[Zone] {
        match self.zones.get(task.y / self.band) {
            Some(zones) => &zones[..zones.len() / self.images_per_task * task.count],
            None => &[],
        }
    }

    /// Calls `body` for every task once the images that it looks at are ready, on any thread.
    fn for_each_task(
        &self,
        pool: &Pool,
        source: ImageOperand,
        copies: *mut u8,
        body: &(dyn Fn(Task) + Sync),
    ) {
        let copies = Shared(copies);
        let Geometry { batch, output, .. } = self.geometry;
        let bands = self.bands();
        let tasks = if output[1] == 0 || self.geometry.columns * self.geometry.groups == 0 {
            0
        } else {
            batch.div_ceil(self.images_per_task) * bands * self.column_groups.len()
        };
        self.sharing.run(pool, tasks, &|slot, task| {
            let (task, columns) = (
                task / self.column_groups.len(),
                task % self.column_groups.len(),
            );
            let image = task / bands * self.images_per_task;
            let count = self.images_per_task.min(batch - image);
            let y = task % bands * self.band;
            let band = self.band.min(output[0] - y);
            let copy = copies.get().wrapping_add(slot * self.slot_bytes()).cast();
            // SAFETY: the images exist, and the copy is this slot's own.
            let a = unsafe { self.prepare(source, copy, image, count, y, band) };
            body(Task {
                slot,
                image,
                count,
                y,
                band,
                columns,
                a,
            });
        });
    }

    /// Where the channels of a group begin.
    fn group_of(&self, a: *const f32, group: usize) -> *const f32 {
        a.wrapping_add(group * self.geometry.images.channels / self.geometry.groups)
    }

    /// Where the task's first window begins, after copying what must be copied.
    unsafe fn prepare(
        &self,
        source: ImageOperand,
        copy: *mut f32,
        first_image: usize,
        count: usize,
        y: usize,
        band: usize,
    ) -> *const f32 {
        let images = &self.geometry.images;
        let first_row = y * self.geometry.stride[0];
        let stride = images.image_stride(self.copied_rows(self.band));
        if let Some(pool) = &self.geometry.pooled {
            let row = copy.wrapping_add(self.images_per_task * stride);
            for image in 0..count {
                let spread = source.of_image(pool, first_image + image);
                let rows = first_row..first_row + self.copied_rows(band);
                // SAFETY: passed on; a copy holds as many rows as a full band needs, and one row has room behind the copies.
                unsafe {
                    images.copy_spread(self.isa, spread, rows, copy.add(image * stride), row)
                };
            }
            return copy;
        }
        let source = source
            .values
            .wrapping_add(first_image * images.source_stride());
        if !images.copied {
            return source.wrapping_add(first_row * images.row_stride());
        }
        for image in 0..count {
            // SAFETY: passed on; a copy holds as many rows as a full band needs.
            unsafe {
                images.copy(
                    source.add(image * images.source_stride()),
                    first_row,
                    self.copied_rows(band),
                    copy.add(image * stride),
                );
            }
        }
        copy
    }

    fn weights_of(
        &self,
        group: usize,
        weights: Shared<f32>,
        packed: Shared<f32>,
    ) -> (*const f32, BLayout) {
        match self.weights.in_place {
            Some(stride) if !self.packed => {
                let b = weights
                    .get()
                    .wrapping_add(group * self.weights.group_stride);
                (b, BLayout::InPlace { stride })
            }
            _ => {
                let b = packed.get().wrapping_add(group * self.packed_size());
                (
                    b,
                    BLayout::Packed {
                        k: self.k,
                        first: 0,
                    },
                )
            }
        }
    }

    fn pack(&self, pool: &Pool, weights: Shared<f32>, packed: Shared<f32>) {
        const CHUNK: usize = 256;
        let chunks = self.k.div_ceil(CHUNK);
        let tasks = self.geometry.groups * self.panels.len() * chunks;
        self.sharing.run(pool, tasks, &|_, task| {
            let (rest, chunk) = (task / chunks, task % chunks);
            let panel = &self.panels[rest % self.panels.len()];
            let group = rest / self.panels.len();
            let from = chunk * CHUNK;
            let place = group * self.packed_size() + self.k * panel.packed_start;
            // SAFETY: the weights exist, and the packed copies have room in the scratch.
            unsafe {
                pack_panel(
                    self.isa,
                    weights
                        .get()
                        .wrapping_add(group * self.weights.group_stride),
                    &self.weights.steps,
                    self.weights.column_stride,
                    (from, (from + CHUNK).min(self.k)),
                    panel,
                    packed.get().add(place),
                );
            }
        });
    }
}
