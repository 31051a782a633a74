//! The reference: programs evaluated node by node in `f64`, without any cleverness. Tests hold every device to it. Floats
//! are not rounded to their dtype on the way; integers wrap around, and those of 64 bits are exact up to 2^53.

use std::collections::HashMap;

use crate::executor::{Executor, PlanId, check_outputs, check_tensor};
use crate::operations::Operation;
use crate::tensor::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use crate::{Bindings, DType, Error, Program, Result, Tensor, TensorData, ValueType};

/// A dense array of `f64`, with the dtype that its elements stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The size of each axis.
    pub shape: Vec<usize>,
    /// The dtype that the elements stand for.
    pub dtype: DType,
    /// The elements, row-major.
    pub data: Vec<f64>,
}

impl Array {
    /// An array of these elements. Integers wrap around into the range of the dtype, as a machine's arithmetic does.
    pub fn new(shape: Vec<usize>, dtype: DType, mut data: Vec<f64>) -> Array {
        if !dtype.is_float() {
            data.iter_mut()
                .for_each(|value| *value = wrapped(*value, dtype));
        }
        Array { shape, dtype, data }
    }

    /// An array without axes.
    pub fn scalar(value: f64, dtype: DType) -> Array {
        Array::new(Vec::new(), dtype, vec![value])
    }

    /// A copy of a tensor.
    pub fn from_tensor(tensor: &Tensor) -> Array {
        Array::new(tensor.shape().to_vec(), tensor.dtype(), tensor.to_f64())
    }

    /// A tensor of these elements, rounded to the dtype.
    ///
    /// # Errors
    /// The elements do not fill the shape.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let data = &self.data;
        let data = match self.dtype {
            DType::F32 => TensorData::F32(data.iter().map(|&x| x as f32).collect()),
            DType::BF16 => TensorData::BF16(data.iter().map(|&x| f32_to_bf16(x as f32)).collect()),
            DType::F16 => TensorData::F16(data.iter().map(|&x| f32_to_f16(x as f32)).collect()),
            DType::I32 => TensorData::I32(data.iter().map(|&x| x as i32).collect()),
            DType::I64 => TensorData::I64(data.iter().map(|&x| x as i64).collect()),
            DType::U8 => TensorData::U8(data.iter().map(|&x| x as u8).collect()),
            DType::I8 => TensorData::I8(data.iter().map(|&x| x as i8).collect()),
            DType::Bool => TensorData::Bool(data.iter().map(|&x| x != 0.0).collect()),
        };
        Tensor::new(&self.shape, data)
    }

    /// The elements as the dtype would hold them.
    pub fn rounded(&self) -> Vec<f64> {
        let round = |x: f64| match self.dtype {
            DType::F32 => f64::from(x as f32),
            DType::BF16 => f64::from(bf16_to_f32(f32_to_bf16(x as f32))),
            DType::F16 => f64::from(f16_to_f32(f32_to_f16(x as f32))),
            _ => x,
        };
        self.data.iter().map(|&x| round(x)).collect()
    }
}

/// Truncated towards zero, and saturated to the range of an integer dtype, as a cast from floats does.
pub(crate) fn saturated(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::I32 => f64::from(value as i32),
        DType::I64 => (value as i64) as f64,
        DType::U8 => f64::from(value as u8),
        DType::I8 => f64::from(value as i8),
        _ => value,
    }
}

/// Truncated towards zero, and wrapped around into the range of an integer dtype; a truth value is "is not 0".
fn wrapped(value: f64, dtype: DType) -> f64 {
    let whole = value as i128;
    match dtype {
        // The largest is rounded up when it becomes `f64`; it must not become the smallest.
        DType::I64 if value == i64::MAX as f64 => value,
        DType::I32 => f64::from(whole as i32),
        DType::I64 => (whole as i64) as f64,
        DType::U8 => f64::from(whole as u8),
        DType::I8 => f64::from(whole as i8),
        DType::Bool => f64::from(u8::from(value != 0.0)),
        _ => value,
    }
}

/// The error function: its Taylor series for small arguments, its continued fraction for large ones (Abramowitz and
/// Stegun 7.1.5, 7.1.14).
pub fn erf(x: f64) -> f64 {
    let magnitude = x.abs();
    if x.is_nan() {
        return x;
    }
    if magnitude < 2.5 {
        let mut term = magnitude;
        let mut sum = magnitude;
        for n in 1..100 {
            term *= -magnitude * magnitude / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return x.signum() * sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    if magnitude > 6.0 {
        return x.signum();
    }
    let mut fraction = 0.0;
    for n in (1..=80).rev() {
        fraction = f64::from(n) / 2.0 / (magnitude + fraction);
    }
    let tail =
        (-magnitude * magnitude).exp() / (magnitude + fraction) / std::f64::consts::PI.sqrt();
    x.signum() * (1.0 - tail)
}

/// Checks an array's shape, dtype and number of elements.
fn check_array(
    what: impl Fn() -> String,
    shape: &[usize],
    dtype: DType,
    array: &Array,
) -> Result<()> {
    let count: usize = shape.iter().product();
    if array.shape == shape && array.dtype == dtype && array.data.len() == count {
        Ok(())
    } else {
        Err(Error::new(format!(
            "{} expects {dtype} {shape:?}, received {} {:?} of {} elements",
            what(),
            array.dtype,
            array.shape,
            array.data.len()
        )))
    }
}

/// The executor that evaluates programs with the reference.
#[derive(Default)]
pub struct ReferenceExecutor {
    states: HashMap<String, Array>,
    plans: HashMap<PlanId, (Program, Bindings)>,
    next: u64,
}

impl ReferenceExecutor {
    /// An executor without state.
    pub fn new() -> ReferenceExecutor {
        ReferenceExecutor::default()
    }

    /// The value of every node of a program under these inputs, in `f64`. State is read, not written.
    ///
    /// # Errors
    /// Inputs do not fit, or a state is missing.
    pub fn evaluate(
        &self,
        program: &Program,
        bindings: &Bindings,
        inputs: &[Array],
    ) -> Result<Vec<Array>> {
        if inputs.len() != program.inputs().len() {
            return Err(Error::new(format!(
                "the program takes {} inputs, received {}",
                program.inputs().len(),
                inputs.len()
            )));
        }
        let mut values: Vec<Array> = Vec::with_capacity(program.nodes().len());
        let mut given = HashMap::new();
        for (spec, array) in program.inputs().iter().zip(inputs) {
            let shape = spec.value_type.shape.evaluate(bindings)?;
            let what = || format!("input `{}`", spec.name);
            check_array(what, &shape, spec.value_type.dtype, array)?;
            given.insert(spec.name.as_str(), array);
        }
        for node in program.nodes() {
            let shape = node
                .value_type
                .shape
                .evaluate(bindings)
                .map_err(|error| error.at(&node.path))?;
            let data = match &node.operation {
                Operation::Input(input) => match given.get(input.name.as_str()) {
                    Some(array) => array.data.clone(),
                    None => {
                        return Err(Error::new(format!("input `{}` was not given", input.name)));
                    }
                },
                Operation::State(state) => self
                    .state_of_type(&state.name, &state.value_type)?
                    .data
                    .clone(),
                operation => {
                    let arguments: Vec<&Array> =
                        node.inputs.iter().map(|&input| &values[input]).collect();
                    operation
                        .evaluate(&arguments, &shape, bindings)
                        .map_err(|error| error.at(&node.path))?
                }
            };
            values.push(Array::new(shape, node.value_type.dtype, data));
        }
        Ok(values)
    }

    /// The state of this name, which must be of this type.
    fn state_of_type(&self, name: &str, value_type: &ValueType) -> Result<&Array> {
        let Some(array) = self.states.get(name) else {
            return Err(Error::new(format!("state `{name}` does not exist")));
        };
        let shape = value_type.shape.evaluate(&Bindings::new())?;
        let what = || format!("state `{name}`");
        check_array(what, &shape, value_type.dtype, array)?;
        Ok(array)
    }

    /// Sets a state in full precision.
    pub fn set_state(&mut self, name: &str, value: Array) {
        self.states.insert(name.to_owned(), value);
    }

    /// A state in full precision.
    pub fn state(&self, name: &str) -> Option<&Array> {
        self.states.get(name)
    }
}

impl Executor for ReferenceExecutor {
    fn describe(&self) -> String {
        "reference (f64, one thread)".to_owned()
    }

    fn create_state(&mut self, name: &str, value: &Tensor) -> Result<()> {
        self.states
            .insert(name.to_owned(), Array::from_tensor(value));
        Ok(())
    }

    fn remove_state(&mut self, name: &str) -> Result<()> {
        let mut programs = self.plans.values().map(|(program, _)| program);
        if programs.any(|program| program.states().contains_key(name)) {
            return Err(Error::new(format!("state `{name}` is used by a plan")));
        }
        match self.states.remove(name) {
            Some(_) => Ok(()),
            None => Err(Error::new(format!("state `{name}` does not exist"))),
        }
    }

    fn read_state(&self, name: &str) -> Result<Tensor> {
        match self.states.get(name) {
            Some(array) => array.to_tensor(),
            None => Err(Error::new(format!("state `{name}` does not exist"))),
        }
    }

    fn write_state(&mut self, name: &str, value: &Tensor) -> Result<()> {
        let Some(array) = self.states.get_mut(name) else {
            return Err(Error::new(format!("state `{name}` does not exist")));
        };
        check_tensor(&format!("state `{name}`"), &array.shape, array.dtype, value)?;
        array.data = value.to_f64();
        Ok(())
    }

    fn compile(&mut self, program: &Program, bindings: &Bindings) -> Result<PlanId> {
        for node in program.nodes() {
            node.value_type
                .shape
                .evaluate(bindings)
                .map_err(|error| error.at(&node.path))?;
        }
        for (name, value_type) in program.states() {
            self.state_of_type(&name, &value_type)?;
        }
        self.next += 1;
        let plan = PlanId(self.next);
        self.plans.insert(plan, (program.clone(), bindings.clone()));
        Ok(plan)
    }

    fn run(&mut self, plan: PlanId, inputs: &[&Tensor], outputs: &mut [Tensor]) -> Result<()> {
        let (program, bindings) = self
            .plans
            .get(&plan)
            .ok_or_else(|| Error::new("this plan was released"))?;
        let arrays: Vec<Array> = inputs
            .iter()
            .map(|tensor| Array::from_tensor(tensor))
            .collect();
        let values = self.evaluate(program, bindings, &arrays)?;
        check_outputs(program, bindings, outputs)?;
        for (output, result) in program.outputs().iter().zip(outputs) {
            *result = values[output.node].to_tensor()?;
        }
        let updates: Vec<(String, Array)> = program
            .updates()
            .iter()
            .map(|update| (update.state.clone(), values[update.node].clone()))
            .collect();
        self.states.extend(updates);
        Ok(())
    }

    fn release(&mut self, plan: PlanId) {
        self.plans.remove(&plan);
    }
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn erf_has_the_tabulated_values() {
        for (x, expected) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.4, 0.999_311_486_103_354_9),
            (3.0, 0.999_977_909_503_001_4),
        ] {
            assert!((erf(x) - expected).abs() < 1e-12, "erf({x}) = {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
    }
}
