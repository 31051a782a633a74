//! Where values lie, and how a running step reaches them.

use danlu_graph::Result;

use crate::simd::Isa;
use crate::threads::Pool;

/// The place of a value's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// At this offset of the arena.
    Arena(usize),
    /// The plan's state of this index.
    State(usize),
    /// The run's input of this index.
    Input(usize),
    /// At this offset of the plan's constants.
    Constant(usize),
    /// In the tile that a task of the step is working on: nobody else sees the value.
    Tile,
}

/// What a step is given when it runs.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub isa: Isa,
    pub pool: &'a Pool,
    pub arena: *mut u8,
    pub constants: *const u8,
    pub states: &'a [*mut u8],
    /// Of each state how often it was written.
    pub versions: &'a [u64],
    /// How often the states were written that no run writes, all together.
    pub steady: u64,
    pub inputs: &'a [*const u8],
    /// Where element 0 of a value would lie of which a task has the tile only.
    pub tile: *mut u8,
    /// Where a task's sums go, if its pass takes any.
    pub sums: *mut f32,
}

// SAFETY: the pointers are read and written by tasks that touch disjoint parts, or only read: that is how a plan cuts its
// steps.
unsafe impl Sync for Context<'_> {}

impl<'a> Context<'a> {
    /// The context of a task with a tile of its own.
    pub fn with_tile(&self, tile: *mut u8) -> Context<'a> {
        Context { tile, ..*self }
    }

    /// The context of a task with sums of its own.
    pub fn with_sums(&self, sums: *mut f32) -> Context<'a> {
        Context { sums, ..*self }
    }

    /// The address of a value's elements. Inputs and constants are only ever read.
    pub fn pointer(&self, location: Location) -> *mut u8 {
        match location {
            // SAFETY: the plan's offsets lie inside its arena.
            Location::Arena(offset) => unsafe { self.arena.add(offset) },
            Location::State(index) => self.states[index],
            Location::Input(index) => self.inputs[index].cast_mut(),
            // SAFETY: the plan's offsets lie inside its constants.
            Location::Constant(offset) => unsafe { self.constants.add(offset).cast_mut() },
            Location::Tile => self.tile,
        }
    }
}

/// One step of a plan.
pub(crate) trait Step: Send {
    /// Runs it.
    ///
    /// # Errors
    /// A user's own operation failed.
    ///
    /// # Safety
    /// Every location of the step lies in the context's memory, with the size that the plan reckoned with, and nobody
    /// else reads what the step writes, or writes what it touches.
    unsafe fn run(&self, context: &Context<'_>) -> Result<()>;
}

/// A pointer that the tasks of a region share; the step's cut settles who touches what.
pub(crate) struct Shared<T>(pub *mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: tasks write disjoint parts, and read only what no task of the same region writes.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The pointer. (A method, so that closures capture the whole wrapper.)
    pub fn get(self) -> *mut T {
        self.0
    }

    /// The same address as another type.
    pub fn cast<U>(self) -> Shared<U> {
        Shared(self.0.cast())
    }

    /// The elements `start..end`.
    ///
    /// # Safety
    /// They lie inside the value, and no other task touches them meanwhile.
    pub unsafe fn slice<'a>(self, start: usize, end: usize) -> &'a mut [T] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), end - start) }
    }
}
