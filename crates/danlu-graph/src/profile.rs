//! Where the time of a plan goes, as an executor measures it.

/// One operation of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationProfile {
    /// The operation's name.
    pub name: String,
    /// The path that the graph gave it: the layer, `conv2d/gradient`, `optimizer/conv2d/kernel`; empty for what belongs to none.
    pub path: String,
}

/// One step of a plan: one kernel, for one operation or several fused ones, which may belong to several layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepProfile {
    /// The operations, in order.
    pub operations: Vec<OperationProfile>,
    /// Time spent, over all runs.
    pub nanoseconds: u64,
    /// Multiplications, additions and other functions of one element, of one run.
    pub flops: u64,
    /// Bytes that one run must read and write at least.
    pub bytes: u64,
}

/// What an executor measured of a plan since measuring began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// How often the plan ran.
    pub runs: u64,
    /// Time of these runs.
    pub nanoseconds: u64,
    /// Time that threads stood still within them, waiting for others, summed over the threads.
    pub waiting_nanoseconds: u64,
    /// Number of threads.
    pub threads: usize,
    /// Bytes in which all values live between steps.
    pub arena_bytes: u64,
    /// The steps, in the order in which they run.
    pub steps: Vec<StepProfile>,
}
