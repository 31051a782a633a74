//! What a device must do to run programs.

use crate::{Bindings, DType, Error, Profile, Program, Result, Tensor};

/// A plan that an executor holds: a program compiled for one binding of its named dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanId(pub u64);

/// A device, or several, that runs programs. State belongs to the executor; tensors on the host are copies.
pub trait Executor: Send {
    /// Device, threads, instruction set: for logs and run records.
    fn describe(&self) -> String;

    /// Checks that there is memory for so many bytes beside what is held already, before they are asked for.
    ///
    /// # Errors
    /// There is not; the error says how much there is.
    fn check_room(&self, bytes: usize) -> Result<()> {
        let _ = bytes;
        Ok(())
    }

    /// Makes a state of this name, shape, dtype and value; one that exists is replaced.
    ///
    /// # Errors
    /// There is no memory for it.
    fn create_state(&mut self, name: &str, value: &Tensor) -> Result<()>;

    /// Removes a state.
    ///
    /// # Errors
    /// It does not exist, or a plan uses it.
    fn remove_state(&mut self, name: &str) -> Result<()>;

    /// A copy of a state.
    ///
    /// # Errors
    /// It does not exist.
    fn read_state(&self, name: &str) -> Result<Tensor>;

    /// Overwrites a state.
    ///
    /// # Errors
    /// It does not exist, or has another shape or dtype.
    fn write_state(&mut self, name: &str, value: &Tensor) -> Result<()>;

    /// Compiles a program for one binding of its named dimensions. The states that it uses must exist.
    ///
    /// # Errors
    /// A name is not bound, a state is missing or of another type, or there is no kernel for an operation.
    fn compile(&mut self, program: &Program, bindings: &Bindings) -> Result<PlanId>;

    /// Runs a plan: reads `inputs` in the program's order, fills `outputs` (tensors of the right shape and dtype: see
    /// [`output_tensors`]), updates state.
    ///
    /// # Errors
    /// The plan was released, or a tensor has another shape or dtype; then no state has changed.
    fn run(&mut self, plan: PlanId, inputs: &[&Tensor], outputs: &mut [Tensor]) -> Result<()>;

    /// Forgets a plan and frees what it holds.
    fn release(&mut self, plan: PlanId);

    /// Measures the steps of every run from now on, or no longer; plans that exist begin at 0. An executor that cannot
    /// measure does nothing.
    fn measure(&mut self, _on: bool) {}

    /// What was measured of a plan; `None` if nothing was.
    fn profile(&self, _plan: PlanId) -> Option<Profile> {
        None
    }
}

/// Tensors that fit a program's outputs under these bindings.
///
/// # Errors
/// A name is not bound.
pub fn output_tensors(program: &Program, bindings: &Bindings) -> Result<Vec<Tensor>> {
    program
        .outputs()
        .iter()
        .map(|output| {
            let value_type = &program.nodes()[output.node].value_type;
            Tensor::zeros(&value_type.shape.evaluate(bindings)?, value_type.dtype)
        })
        .collect()
}

/// Checks a tensor's shape and dtype.
///
/// # Errors
/// It has another shape or dtype.
pub fn check_tensor(what: &str, shape: &[usize], dtype: DType, tensor: &Tensor) -> Result<()> {
    if tensor.shape() == shape && tensor.dtype() == dtype {
        Ok(())
    } else {
        Err(Error::new(format!(
            "{what} expects {dtype} {shape:?}, received {} {:?}",
            tensor.dtype(),
            tensor.shape()
        )))
    }
}

/// Checks the tensors into which a program's outputs are to be written.
///
/// # Errors
/// Their number, or the shape or dtype of one, is another.
pub fn check_outputs(program: &Program, bindings: &Bindings, outputs: &[Tensor]) -> Result<()> {
    if outputs.len() != program.outputs().len() {
        return Err(Error::new(format!(
            "the program gives {} outputs, received room for {}",
            program.outputs().len(),
            outputs.len()
        )));
    }
    for (output, tensor) in program.outputs().iter().zip(outputs) {
        let value_type = &program.nodes()[output.node].value_type;
        let shape = value_type.shape.evaluate(bindings)?;
        check_tensor(
            &format!("output `{}`", output.name),
            &shape,
            value_type.dtype,
            tensor,
        )?;
    }
    Ok(())
}
