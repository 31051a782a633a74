//! Plans: a program under one binding, with an order, places for all values, and a kernel for each step.

pub(crate) mod concrete;
pub(crate) mod context;
mod cost;
mod lower;
mod memory;
mod order;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use danlu_graph::{
    Bindings, DType, NodeId, Operation, OperationProfile, Profile, Program, Result, StepProfile,
    rewrite,
};

use crate::buffer::{Buffer, aligned};
use crate::executor::StateBuffer;
use crate::fuse::contraction;
use crate::fuse::groups::{Groups, Pooled};
use crate::fuse::{pooling, sums};
use crate::simd::Isa;
use crate::threads::Pool;
use concrete::{Concrete, Pooling, concretize, root};
use context::{Context, Location, Step};
use memory::Life;
use steps::Kernel;

/// A result that is copied out of the plan's memory when all steps have run.
struct Copy {
    from: Location,
    bytes: usize,
}

/// A step, and what a profile says of it.
struct Planned {
    step: Box<dyn Step>,
    /// Whether it gives the same in every run, until somebody else writes a state that no run does.
    steady: bool,
    profile: StepProfile,
}

/// What was measured of a plan as a whole.
#[derive(Clone, Copy, Default)]
struct Measured {
    runs: u64,
    nanoseconds: u64,
    waiting: u64,
}

/// A compiled program.
pub(crate) struct Plan {
    steps: Vec<Planned>,
    arena: Buffer,
    constants: Buffer,
    states: Vec<Arc<StateBuffer>>,
    state_pointers: Vec<*mut u8>,
    /// Of each state how often it had been written when the run began.
    versions: Vec<u64>,
    /// The states that no run writes, and how often they had been written, all together, when the steady steps ran.
    steady_states: Vec<usize>,
    made_from: Option<u64>,
    inputs: Vec<(Vec<usize>, DType)>,
    input_pointers: Vec<*const u8>,
    outputs: Vec<(Copy, Vec<usize>, DType)>,
    /// Updates that no step writes in place: first into the arena, where their source is a state, then home.
    saves: Vec<(Copy, Location)>,
    updates: Vec<(Copy, usize)>,
    /// Where runs are measured, what came of it.
    measured: Option<Measured>,
}

// SAFETY: the pointers are those of the buffers that the plan owns or shares, and of inputs during a run, which has the
// plan to itself.
unsafe impl Send for Plan {}

/// Finds the executor's state of a name.
pub(crate) type FindState<'a> = &'a dyn Fn(&str) -> Result<Arc<StateBuffer>>;

impl Plan {
    /// Compiles a program for one binding.
    pub fn new(
        program: &Program,
        bindings: &Bindings,
        isa: Isa,
        threads: usize,
        find_state: FindState<'_>,
    ) -> Result<Plan> {
        let mut program = program.clone();
        rewrite::optimize(&mut program)?;
        let mut nodes = concretize(&program, bindings)?;
        contraction::join(&program, &mut nodes);
        concrete::skip_aliases(&mut nodes);
        let kept: Vec<NodeId> = program
            .outputs()
            .iter()
            .map(|output| output.node)
            .chain(program.updates().iter().map(|update| update.node))
            .map(|node| root(&nodes, node))
            .collect();
        pooling::use_places(&mut nodes, &kept);
        sums::find_variances(&mut nodes, &kept);
        let groups = Groups::new(&nodes, &kept);
        let order = order::order(&program, &nodes, &groups)?;
        Planner::new(&program, &nodes, &groups, &order, isa, threads).plan(bindings, find_state)
    }

    /// Bytes of the block in which all values between steps live.
    pub fn arena_bytes(&self) -> usize {
        self.arena.bytes()
    }

    /// The steps' layers and operations, in order.
    #[cfg(test)]
    pub fn step_names(&self) -> Vec<String> {
        self.steps
            .iter()
            .map(|Planned { profile, .. }| {
                let operations = &profile.operations;
                let names: Vec<&str> = operations.iter().map(|one| one.name.as_str()).collect();
                let path = operations.last().map_or("", |last| last.path.as_str());
                format!("{path}: {}", names.join("+"))
            })
            .collect()
    }

    /// Measures runs from now on, beginning at 0, or no longer.
    pub fn measure(&mut self, on: bool) {
        self.measured = on.then(Measured::default);
        for planned in &mut self.steps {
            planned.profile.nanoseconds = 0;
        }
    }

    /// What was measured.
    pub fn profile(&self, threads: usize) -> Option<Profile> {
        let measured = self.measured?;
        Some(Profile {
            runs: measured.runs,
            nanoseconds: measured.nanoseconds,
            waiting_nanoseconds: measured.waiting,
            threads,
            arena_bytes: self.arena.bytes() as u64,
            steps: self
                .steps
                .iter()
                .map(|planned| planned.profile.clone())
                .collect(),
        })
    }

    /// The shape and dtype of each input.
    pub fn inputs(&self) -> &[(Vec<usize>, DType)] {
        &self.inputs
    }

    /// The shape and dtype of each output.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = (&[usize], DType)> {
        self.outputs
            .iter()
            .map(|(_, shape, dtype)| (shape.as_slice(), *dtype))
    }

    /// Whether the plan uses a state.
    pub fn uses(&self, state: &Arc<StateBuffer>) -> bool {
        self.states.iter().any(|own| Arc::ptr_eq(own, state))
    }

    /// Runs the steps, then copies outputs and updates.
    ///
    /// # Errors
    /// A user's own operation failed; state may then be updated in part.
    ///
    /// # Safety
    /// `inputs` and `outputs` have the shapes and dtypes that [`inputs`](Self::inputs) and [`outputs`](Self::outputs) say.
    pub unsafe fn run(
        &mut self,
        isa: Isa,
        pool: &Pool,
        inputs: impl Iterator<Item = *const u8>,
        outputs: impl Iterator<Item = *mut u8>,
    ) -> Result<()> {
        for (slot, input) in self.input_pointers.iter_mut().zip(inputs) {
            *slot = input;
        }
        for (version, state) in self.versions.iter_mut().zip(&self.states) {
            *version = state.version();
        }
        let steady_states = self.steady_states.iter();
        let steady = steady_states.map(|&state| self.versions[state]).sum();
        let ready = self.made_from == Some(steady);
        let context = Context {
            isa,
            pool,
            arena: self.arena.pointer(),
            constants: self.constants.pointer(),
            states: &self.state_pointers,
            versions: &self.versions,
            steady,
            inputs: &self.input_pointers,
            tile: std::ptr::null_mut(),
            sums: std::ptr::null_mut(),
        };
        let waited = pool.waited();
        let begin = self.measured.map(|_| Instant::now());
        // SAFETY: the planner gave every value a place of its size for its life; copies stay inside both ends, which do
        // not overlap because outputs are the caller's and saves have places of their own.
        unsafe {
            for planned in &mut self.steps {
                if planned.steady && ready {
                    continue;
                }
                let begin = begin.map(|_| Instant::now());
                planned.step.run(&context)?;
                if let Some(begin) = begin {
                    planned.profile.nanoseconds += begin.elapsed().as_nanos() as u64;
                }
            }
            self.made_from = Some(steady);
            for ((copy, _, _), output) in self.outputs.iter().zip(outputs) {
                std::ptr::copy_nonoverlapping(context.pointer(copy.from), output, copy.bytes);
            }
            for (copy, to) in &self.saves {
                std::ptr::copy_nonoverlapping(
                    context.pointer(copy.from),
                    context.pointer(*to),
                    copy.bytes,
                );
            }
            for (copy, state) in &self.updates {
                let (from, to) = (context.pointer(copy.from), self.state_pointers[*state]);
                if from != to {
                    std::ptr::copy_nonoverlapping(from, to, copy.bytes);
                }
                self.states[*state].note_write();
            }
        }
        if let (Some(begin), Some(measured)) = (begin, &mut self.measured) {
            measured.runs += 1;
            measured.nanoseconds += begin.elapsed().as_nanos() as u64;
            measured.waiting += pool.waited() - waited;
        }
        Ok(())
    }
}

/// What a plan is made from, and the places found so far.
struct Planner<'a> {
    program: &'a Program,
    nodes: &'a [Concrete],
    groups: &'a Groups,
    order: &'a order::Order,
    isa: Isa,
    threads: usize,
    /// The states by name, in the order of their index.
    states: Vec<String>,
    locations: BTreeMap<NodeId, Location>,
    /// Where max-poolings note their places.
    places: BTreeMap<NodeId, Location>,
    constants: Vec<(usize, NodeId)>,
    constant_bytes: usize,
    /// Nodes that have the same value in every run.
    steady: Vec<bool>,
}

impl<'a> Planner<'a> {
    fn new(
        program: &'a Program,
        nodes: &'a [Concrete],
        groups: &'a Groups,
        order: &'a order::Order,
        isa: Isa,
        threads: usize,
    ) -> Planner<'a> {
        Planner {
            program,
            nodes,
            groups,
            order,
            isa,
            threads,
            states: program.states().into_keys().collect(),
            locations: BTreeMap::new(),
            places: BTreeMap::new(),
            constants: Vec::new(),
            constant_bytes: 0,
            steady: program.steady(),
        }
    }

    /// Whether all that a group's step makes is the same in every run, and stays where it is.
    fn is_steady(&self, group: usize) -> bool {
        let computed = self.groups.groups[group].computed();
        let stays =
            |member: &NodeId| self.steady[*member] && !self.order.in_place.contains_key(member);
        computed.iter().all(stays)
    }

    fn state_index(&self, name: &str) -> usize {
        self.states
            .iter()
            .position(|state| state == name)
            .unwrap_or(0)
    }

    /// Places for inputs, states and constants.
    fn place_leaves(&mut self) {
        for (place, node) in self.nodes.iter().enumerate() {
            let location = match &node.operation {
                Operation::Input(input) => {
                    let index = self
                        .program
                        .inputs()
                        .iter()
                        .position(|spec| spec.name == input.name);
                    Location::Input(index.unwrap_or(0))
                }
                Operation::State(state) => Location::State(self.state_index(&state.name)),
                Operation::Constant(_) => {
                    let offset = self.constant_bytes;
                    self.constants.push((offset, place));
                    self.constant_bytes += aligned(node.bytes());
                    Location::Constant(offset)
                }
                _ => continue,
            };
            self.locations.insert(place, location);
        }
    }

    /// The nodes whose value somebody outside their step reads, and the last step that does.
    fn last_reads(&self, step_of: &BTreeMap<usize, usize>) -> BTreeMap<NodeId, usize> {
        let end = self.order.sequence.len();
        let mut last: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut note = |source: NodeId, step: usize| {
            last.entry(source)
                .and_modify(|last| *last = step.max(*last))
                .or_insert(step);
        };
        for (&group, &step) in step_of {
            for source in self.groups.groups[group].reads(self.nodes) {
                if self.groups.of[source].is_some() {
                    note(source, step);
                }
            }
            // A variance is taken of what lies in memory, and a sum of a kernel's result of that, not of what the pass makes of it.
            let group = &self.groups.groups[group];
            for &member in group
                .members
                .iter()
                .filter(|&&member| group.heavy != Some(member))
            {
                let node = &self.nodes[member];
                if sums::statistic(self.nodes, node).is_some() {
                    let source = root(self.nodes, node.inputs[0]);
                    if node.variance || group.heavy == Some(source) {
                        note(source, step);
                    }
                }
            }
        }
        let outputs = self.program.outputs().iter().map(|output| output.node);
        for node in outputs.chain(self.program.updates().iter().map(|update| update.node)) {
            last.insert(root(self.nodes, node), end);
        }
        last
    }

    fn plan(mut self, bindings: &Bindings, find_state: FindState<'_>) -> Result<Plan> {
        self.place_leaves();
        let sequence = &self.order.sequence;
        let step_of: BTreeMap<usize, usize> = sequence
            .iter()
            .enumerate()
            .map(|(step, &group)| (group, step))
            .collect();
        let last_reads = self.last_reads(&step_of);
        let end = sequence.len();

        let kernels: Vec<Kernel> = sequence
            .iter()
            .map(|&group| self.kernel(group, bindings))
            .collect::<Result<_>>()?;

        // Values with a life in the arena; a kernel's result that only its own pass reads shares the place of the
        // pass's first result, or lives in tiles.
        let mut lives: Vec<Life> = Vec::new();
        let mut life_of: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut places: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (step, &group) in sequence.iter().enumerate() {
            let steady = self.is_steady(group);
            let group = &self.groups.groups[group];
            for &member in &group.members {
                let heavy = group.heavy == Some(member);
                let in_tile = |pooled: Pooled| heavy || pooled.input == member;
                if group.pooled.is_some_and(in_tile) {
                    self.locations.insert(member, Location::Tile);
                    continue;
                }
                let read = last_reads.get(&member);
                if read.is_none() && !heavy {
                    continue;
                }
                let (first, last) = match steady {
                    true => (0, end + 1),
                    false => (step, read.copied().unwrap_or(step)),
                };
                if self.nodes[member].pooling == Pooling::Notes {
                    places.insert(member, lives.len());
                    lives.push(Life {
                        first,
                        last,
                        bytes: self.nodes[member].count(),
                    });
                }
                if let Some(&update) = self.order.in_place.get(&member) {
                    let state = self.state_index(&self.program.updates()[update].state);
                    self.locations.insert(member, Location::State(state));
                    continue;
                }
                if heavy && read.is_none() {
                    continue;
                }
                life_of.insert(member, lives.len());
                lives.push(Life {
                    first,
                    last,
                    bytes: self.nodes[member].bytes(),
                });
            }
            if let Some(heavy) = group.heavy
                && group.pooled.is_none()
                && !life_of.contains_key(&heavy)
                && !self.locations.contains_key(&heavy)
            {
                let twin = group.members.iter().copied().find(|member| {
                    life_of.contains_key(member)
                        && self.nodes[*member].dtype == self.nodes[heavy].dtype
                        && self.nodes[*member].count() == self.nodes[heavy].count()
                });
                if let Some(twin) = twin {
                    life_of.insert(heavy, life_of[&twin]);
                } else if kernels[step].tile_bytes().is_some() {
                    self.locations.insert(heavy, Location::Tile);
                } else {
                    life_of.insert(heavy, lives.len());
                    lives.push(Life {
                        first: step,
                        last: step,
                        bytes: self.nodes[heavy].bytes(),
                    });
                }
            }
        }

        // Packed weights that no run changes stay; the rest of the kernels' scratch lives for one step.
        let mut kept = Vec::with_capacity(sequence.len());
        for (kernel, group) in kernels.iter().zip(sequence) {
            let bytes = match self.groups.groups[*group].heavy {
                Some(heavy) if self.weights_stay(heavy) => kernel.kept_bytes(),
                _ => 0,
            };
            kept.push((bytes > 0).then(|| {
                lives.push(Life {
                    first: 0,
                    last: end + 1,
                    bytes,
                });
                lives.len() - 1
            }));
        }
        let mut scratches = Vec::with_capacity(sequence.len());
        for (step, (kernel, group)) in kernels.iter().zip(sequence).enumerate() {
            let stays = kept[step].map_or(0, |_| kernel.kept_bytes());
            let heavy = self.groups.groups[*group].heavy;
            let in_tiles =
                heavy.is_some_and(|heavy| self.locations.get(&heavy) == Some(&Location::Tile));
            let tiles = kernel.tile_bytes().filter(|_| in_tiles).unwrap_or(0);
            let bytes = kernel.scratch_bytes() - stays + tiles;
            scratches.push((bytes > 0).then(|| {
                lives.push(Life {
                    first: step,
                    last: step,
                    bytes,
                });
                lives.len() - 1
            }));
        }
        // States that go into other states are saved before any is overwritten.
        let mut saved: Vec<(usize, usize)> = Vec::new();
        for (index, update) in self.program.updates().iter().enumerate() {
            let source = root(self.nodes, update.node);
            if matches!(self.nodes[source].operation, Operation::State(_)) {
                lives.push(Life {
                    first: end,
                    last: end + 1,
                    bytes: self.nodes[source].bytes(),
                });
                saved.push((index, lives.len() - 1));
            }
        }
        memory::check(&lives)?;
        let (offsets, total) = memory::place(&lives);
        for (node, life) in &life_of {
            self.locations
                .insert(*node, Location::Arena(offsets[*life]));
        }

        for (node, life) in places {
            self.places.insert(node, Location::Arena(offsets[life]));
        }

        let mut steps = Vec::with_capacity(sequence.len());
        let rooms = scratches.into_iter().zip(kept);
        for ((&group, kernel), (scratch, kept)) in sequence.iter().zip(kernels).zip(rooms) {
            let place = |life: usize| Location::Arena(offsets[life]);
            steps.push(Planned {
                profile: self.profile(group),
                steady: self.is_steady(group),
                step: self.lower(group, kernel, scratch.map(place), kept.map(place))?,
            });
        }

        let copy = |planner: &Planner<'_>, node: NodeId| {
            let source = root(planner.nodes, node);
            Copy {
                from: planner.locations[&source],
                bytes: planner.nodes[node].bytes(),
            }
        };
        let mut updates = Vec::new();
        let mut saves = Vec::new();
        for (index, update) in self.program.updates().iter().enumerate() {
            let state = self.state_index(&update.state);
            let mut home = copy(&self, update.node);
            if let Some(&(_, life)) = saved.iter().find(|(own, _)| *own == index) {
                let place = Location::Arena(offsets[life]);
                saves.push((
                    Copy {
                        from: home.from,
                        bytes: home.bytes,
                    },
                    place,
                ));
                home.from = place;
            }
            updates.push((home, state));
        }
        let outputs = self.program.outputs().iter().map(|output| {
            let node = &self.nodes[output.node];
            (copy(&self, output.node), node.shape.clone(), node.dtype)
        });
        let outputs = outputs.collect();
        let inputs = self
            .program
            .inputs()
            .iter()
            .map(|spec| {
                Ok((
                    spec.value_type.shape.evaluate(bindings)?,
                    spec.value_type.dtype,
                ))
            })
            .collect::<Result<Vec<_>>>()?;
        let states = self
            .states
            .iter()
            .map(|name| {
                let state = find_state(name)?;
                let known = &self.program.states()[name];
                state.check(name, known)?;
                Ok(state)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Plan {
            steps,
            arena: Buffer::new(total)?,
            constants: self.constant_block()?,
            versions: vec![0; states.len()],
            steady_states: self.steady_states(),
            made_from: None,
            state_pointers: states.iter().map(|state| state.pointer()).collect(),
            states,
            input_pointers: vec![std::ptr::null(); inputs.len()],
            inputs,
            outputs,
            saves,
            updates,
            measured: None,
        })
    }

    /// The indices of the states that the program does not update.
    fn steady_states(&self) -> Vec<usize> {
        let updates = self.program.updates();
        let updated = |state: &String| updates.iter().any(|update| update.state == *state);
        let all = self.states.iter().enumerate();
        all.filter(|(_, state)| !updated(state))
            .map(|(index, _)| index)
            .collect()
    }

    /// Whether the second operand of a product or convolution is the same in every run.
    fn weights_stay(&self, heavy: NodeId) -> bool {
        let weights = self.nodes[heavy].inputs.get(1);
        weights.is_some_and(|&weights| self.steady[root(self.nodes, weights)])
    }

    /// One block with all constants.
    fn constant_block(&self) -> Result<Buffer> {
        let block = Buffer::new(self.constant_bytes)?;
        for &(offset, node) in &self.constants {
            if let Operation::Constant(constant) = &self.nodes[node].operation {
                let (source, bytes) = crate::executor::bytes_of(&constant.tensor);
                // SAFETY: the offsets were counted from the sizes.
                unsafe {
                    std::ptr::copy_nonoverlapping(source, block.pointer().add(offset), bytes)
                };
            }
        }
        Ok(block)
    }

    /// What a profile says of a group's step: its operations, where they come from, what it costs.
    fn profile(&self, group: usize) -> StepProfile {
        let computed = self.groups.groups[group].computed();
        let cost = self.cost(group);
        StepProfile {
            operations: computed
                .into_iter()
                .map(|member| OperationProfile {
                    name: self.nodes[member].operation.name(),
                    path: (*self.nodes[member].path).to_owned(),
                })
                .collect(),
            nanoseconds: 0,
            flops: cost.flops,
            bytes: cost.bytes,
        }
    }
}
