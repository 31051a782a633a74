//! The executor: states, plans and the pool that runs them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use danlu_graph::executor::check_tensor;
use danlu_graph::{
    Bindings, DType, Error, Executor, PlanId, Profile, Program, Result, Tensor, TensorData,
    ValueType,
};

use crate::buffer::Buffer;
use crate::memory;
use crate::plan::Plan;
use crate::simd::Isa;
use crate::threads::Pool;

/// How a [`CpuExecutor`] runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// Number of threads; the physical cores that the process may use, if not given.
    pub threads: Option<usize>,
    /// Instruction set; the best that the machine has, if not given.
    pub isa: Option<Isa>,
}

/// A state's memory, shared by the executor and the plans that use it.
pub(crate) struct StateBuffer {
    buffer: Buffer,
    shape: Vec<usize>,
    dtype: DType,
    /// How often it was written: what was made from it before is out of date.
    version: AtomicU64,
}

impl StateBuffer {
    /// A number that is another after every write.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Notes that a plan has written it.
    pub fn note_write(&self) {
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    pub fn pointer(&self) -> *mut u8 {
        self.buffer.pointer()
    }

    /// Checks that a program knows the state as it is.
    pub fn check(&self, name: &str, value_type: &ValueType) -> Result<()> {
        if value_type.dtype == self.dtype
            && value_type.shape.as_fixed().as_ref() == Some(&self.shape)
        {
            return Ok(());
        }
        Err(Error::new(format!(
            "state `{name}` is {} {:?}; the program takes it for {value_type}",
            self.dtype, self.shape
        )))
    }

    fn write(&self, tensor: &Tensor) {
        let (source, bytes) = bytes_of(tensor);
        // SAFETY: the buffer was made for a tensor of this shape and dtype, and no plan is running: the executor is
        // borrowed mutably, or the state is new.
        unsafe { std::ptr::copy_nonoverlapping(source, self.buffer.pointer(), bytes) };
        self.note_write();
    }
}

/// Address and size of a tensor's elements.
pub(crate) fn bytes_of(tensor: &Tensor) -> (*const u8, usize) {
    let pointer = match tensor.data() {
        TensorData::F32(values) => values.as_ptr().cast(),
        TensorData::BF16(values) | TensorData::F16(values) => values.as_ptr().cast(),
        TensorData::I32(values) => values.as_ptr().cast(),
        TensorData::I64(values) => values.as_ptr().cast(),
        TensorData::U8(values) => values.as_ptr(),
        TensorData::I8(values) => values.as_ptr().cast(),
        TensorData::Bool(values) => values.as_ptr().cast(),
    };
    (pointer, tensor.len() * tensor.dtype().size())
}

/// Address of a tensor's elements, to write.
fn bytes_of_mut(tensor: &mut Tensor) -> *mut u8 {
    match tensor.data_mut() {
        TensorData::F32(values) => values.as_mut_ptr().cast(),
        TensorData::BF16(values) | TensorData::F16(values) => values.as_mut_ptr().cast(),
        TensorData::I32(values) => values.as_mut_ptr().cast(),
        TensorData::I64(values) => values.as_mut_ptr().cast(),
        TensorData::U8(values) => values.as_mut_ptr(),
        TensorData::I8(values) => values.as_mut_ptr().cast(),
        TensorData::Bool(values) => values.as_mut_ptr().cast(),
    }
}

/// Runs programs on the CPU.
pub struct CpuExecutor {
    pool: Pool,
    isa: Isa,
    states: HashMap<String, Arc<StateBuffer>>,
    plans: HashMap<PlanId, Plan>,
    next: u64,
    measuring: bool,
}

impl CpuExecutor {
    /// An executor without state.
    ///
    /// # Errors
    /// No thread was asked for, or an instruction set that this machine lacks.
    pub fn new(options: CpuOptions) -> Result<CpuExecutor> {
        let threads = options.threads.unwrap_or_else(default_threads);
        if threads == 0 || threads > MOST_THREADS {
            return Err(Error::new(format!(
                "the number of threads must be from 1 to {MOST_THREADS}, received {threads}"
            )));
        }
        let isa = options.isa.unwrap_or_else(Isa::detect);
        if !isa.is_available() {
            let names: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
            return Err(Error::new(format!(
                "this machine does not have {}; it has {}",
                isa.name(),
                names.join(", ")
            )));
        }
        Ok(CpuExecutor {
            pool: Pool::new(threads),
            isa,
            states: HashMap::new(),
            plans: HashMap::new(),
            next: 0,
            measuring: false,
        })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The instruction set that kernels use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Bytes of the block in which a plan's values live between steps.
    pub fn arena_bytes(&self, plan: PlanId) -> Option<usize> {
        self.plans.get(&plan).map(Plan::arena_bytes)
    }

    /// What the steps of a plan compute, in order.
    #[cfg(test)]
    pub(crate) fn step_names(&self, plan: PlanId) -> Vec<String> {
        self.plans[&plan].step_names()
    }

    pub(crate) fn state(&self, name: &str) -> Result<&Arc<StateBuffer>> {
        self.states
            .get(name)
            .ok_or_else(|| Error::new(format!("state `{name}` does not exist")))
    }
}

/// What is smaller than this is not counted against the machine's memory.
const WORTH_CHECKING: usize = 64 << 20;

/// More threads than this are a mistake.
const MOST_THREADS: usize = 1024;

/// The physical cores that this process may use.
pub fn default_threads() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    num_cpus::get_physical().min(allowed).max(1)
}

impl Executor for CpuExecutor {
    fn describe(&self) -> String {
        format!("cpu ({}, {} threads)", self.isa.name(), self.pool.threads())
    }

    fn check_room(&self, bytes: usize) -> Result<()> {
        let Some(limit) = memory::limit().filter(|_| bytes >= WORTH_CHECKING) else {
            return Ok(());
        };
        let states = self.states.values().map(|state| state.buffer.bytes());
        let plans = self.plans.values().map(Plan::arena_bytes);
        let needed = states.chain(plans).fold(bytes, usize::saturating_add);
        if needed <= limit {
            return Ok(());
        }
        Err(Error::new(format!(
            "this needs at least {} of memory, but there are {}; make the model or the batch smaller",
            memory::readable(needed),
            memory::readable(limit)
        )))
    }

    fn create_state(&mut self, name: &str, value: &Tensor) -> Result<()> {
        if let Some(state) = self.states.get(name) {
            if state.shape == value.shape() && state.dtype == value.dtype() {
                state.write(value);
                return Ok(());
            }
            if self.plans.values().any(|plan| plan.uses(state)) {
                return Err(Error::new(format!(
                    "state `{name}` is {} {:?} and in use; it cannot become {} {:?}",
                    state.dtype,
                    state.shape,
                    value.dtype(),
                    value.shape()
                )));
            }
        }
        self.check_room(value.len() * value.dtype().size())?;
        let state = StateBuffer {
            buffer: Buffer::new(value.len() * value.dtype().size())?,
            shape: value.shape().to_vec(),
            dtype: value.dtype(),
            version: AtomicU64::new(0),
        };
        state.write(value);
        self.states.insert(name.to_owned(), Arc::new(state));
        Ok(())
    }

    fn remove_state(&mut self, name: &str) -> Result<()> {
        let state = self.state(name)?;
        if self.plans.values().any(|plan| plan.uses(state)) {
            return Err(Error::new(format!("state `{name}` is in use by a plan")));
        }
        self.states.remove(name);
        Ok(())
    }

    fn read_state(&self, name: &str) -> Result<Tensor> {
        let state = self.state(name)?;
        let mut tensor = Tensor::zeros(&state.shape, state.dtype)?;
        let bytes = tensor.len() * state.dtype.size();
        // SAFETY: the tensor has the state's shape and dtype.
        unsafe {
            std::ptr::copy_nonoverlapping(
                state.pointer().cast_const(),
                bytes_of_mut(&mut tensor),
                bytes,
            )
        };
        Ok(tensor)
    }

    fn write_state(&mut self, name: &str, value: &Tensor) -> Result<()> {
        let state = self.state(name)?;
        check_tensor(&format!("state `{name}`"), &state.shape, state.dtype, value)?;
        state.write(value);
        Ok(())
    }

    fn compile(&mut self, program: &Program, bindings: &Bindings) -> Result<PlanId> {
        let find = |name: &str| self.state(name).cloned();
        let mut plan = Plan::new(program, bindings, self.isa, self.pool.threads(), &find)?;
        plan.measure(self.measuring);
        // The system gives memory when it is first written, so that nothing was taken yet.
        self.check_room(plan.arena_bytes())?;
        self.next += 1;
        let id = PlanId(self.next);
        self.plans.insert(id, plan);
        Ok(id)
    }

    fn run(&mut self, plan: PlanId, inputs: &[&Tensor], outputs: &mut [Tensor]) -> Result<()> {
        let plan = self
            .plans
            .get_mut(&plan)
            .ok_or_else(|| Error::new("this plan was released"))?;
        if inputs.len() != plan.inputs().len() || outputs.len() != plan.outputs().len() {
            return Err(Error::new(format!(
                "the program takes {} inputs and gives {} outputs, received {} and room for {}",
                plan.inputs().len(),
                plan.outputs().len(),
                inputs.len(),
                outputs.len()
            )));
        }
        for (index, ((shape, dtype), tensor)) in plan.inputs().iter().zip(inputs).enumerate() {
            if tensor.shape() != shape || tensor.dtype() != *dtype {
                check_tensor(&format!("input {index}"), shape, *dtype, tensor)?;
            }
        }
        for (index, ((shape, dtype), tensor)) in plan.outputs().zip(outputs.iter()).enumerate() {
            if tensor.shape() != shape || tensor.dtype() != dtype {
                check_tensor(&format!("output {index}"), shape, dtype, tensor)?;
            }
        }
        // SAFETY: shapes and dtypes were checked just now.
        unsafe {
            plan.run(
                self.isa,
                &self.pool,
                inputs.iter().map(|tensor| bytes_of(tensor).0),
                outputs.iter_mut().map(bytes_of_mut),
            )
        }
    }

    fn release(&mut self, plan: PlanId) {
        self.plans.remove(&plan);
    }

    fn measure(&mut self, on: bool) {
        self.measuring = on;
        self.pool.measure(on);
        for plan in self.plans.values_mut() {
            plan.measure(on);
        }
    }

    fn profile(&self, plan: PlanId) -> Option<Profile> {
        self.plans.get(&plan)?.profile(self.pool.threads())
    }
}
