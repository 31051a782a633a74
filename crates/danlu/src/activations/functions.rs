//! The formulas of the activations, as Keras' TensorFlow backend has them, also where they are not smooth. They are arranged so that no
//! branch that is not taken gives an infinite number, which its gradient would turn into NaN.

use danlu_graph::{DType, Shape, Value};

use crate::{Error, Result};

/// The numbers of Klambauer et al. 2017.
pub(crate) const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
pub(crate) const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

fn constant(x: &Value, number: f64) -> Result<Value> {
    Ok(x.graph().scalar(number, x.dtype())?)
}

fn above(x: &Value, number: f64) -> Result<Value> {
    Ok(x.greater(&constant(x, number)?)?)
}

fn below(x: &Value, number: f64) -> Result<Value> {
    Ok(x.less(&constant(x, number)?)?)
}

/// `e^x - 1` of the negative elements, 0 of the others.
fn negative_expm1(x: &Value) -> Result<Value> {
    Ok(x.minimum_scalar(0.0)?.expm1()?)
}

pub(super) fn celu(x: &Value, alpha: f64) -> Result<Value> {
    let negative = x.minimum_scalar(0.0)?.multiply_scalar(1.0 / alpha)?;
    let negative = negative.expm1()?.multiply_scalar(alpha)?;
    Ok(x.maximum_scalar(0.0)?.add(&negative)?)
}

pub(super) fn elu(x: &Value, alpha: f64) -> Result<Value> {
    let negative = negative_expm1(x)?.multiply_scalar(alpha)?;
    Ok(above(x, 0.0)?.select(x, &negative)?)
}

pub(super) fn selu(x: &Value) -> Result<Value> {
    let negative = negative_expm1(x)?.multiply_scalar(SELU_SCALE * SELU_ALPHA)?;
    let positive = x.multiply_scalar(SELU_SCALE)?;
    Ok(below(x, 0.0)?.select(&negative, &positive)?)
}

pub(super) fn gelu(x: &Value, approximate: bool) -> Result<Value> {
    let inner = match approximate {
        true => {
            let cube = x.square()?.multiply(x)?.multiply_scalar(0.044_715)?;
            let root = (2.0 / std::f64::consts::PI).sqrt();
            x.add(&cube)?.multiply_scalar(root)?.tanh()?
        }
        false => x.multiply_scalar(std::f64::consts::FRAC_1_SQRT_2)?.erf()?,
    };
    let half = x.multiply_scalar(0.5)?;
    Ok(half.multiply(&inner.add_scalar(1.0)?)?)
}

pub(super) fn glu(x: &Value, axis: isize) -> Result<Value> {
    let shape = x.shape();
    let axis = shape.axis(axis)?;
    let size = &shape.dims()[axis];
    let half = size.as_fixed().filter(|size| size.is_multiple_of(2));
    let Some(half) = half.map(|size| size / 2) else {
        return Err(Error::mismatch(
            "the input of the activation glu",
            format!("an even number of elements along axis {axis}, which it halves"),
            format!("{size} of shape {shape}"),
            "give the layer before it an even number of units",
        ));
    };
    let part = |start| x.narrow(axis as isize, start, half);
    Ok(part(0)?.multiply(&part(half)?.sigmoid()?)?)
}

pub(super) fn hard_shrink(x: &Value, threshold: f64) -> Result<Value> {
    Ok(above(&x.abs()?, threshold)?.select(x, &constant(x, 0.0)?)?)
}

pub(super) fn soft_shrink(x: &Value, threshold: f64) -> Result<Value> {
    let lowered = x.add_scalar(-threshold)?;
    let raised = x.add_scalar(threshold)?;
    let rest = below(x, -threshold)?.select(&raised, &constant(x, 0.0)?)?;
    Ok(above(x, threshold)?.select(&lowered, &rest)?)
}

pub(super) fn threshold(x: &Value, threshold: f64, default_value: f64) -> Result<Value> {
    Ok(above(x, threshold)?.select(x, &constant(x, default_value)?)?)
}

/// No slope at 6, where cutting an element otherwise leaves it its slope.
pub(super) fn relu6(x: &Value) -> Result<Value> {
    let large = x.greater_equal(&constant(x, 6.0)?)?;
    Ok(large.select(&constant(x, 6.0)?, &x.relu()?)?)
}

pub(super) fn hard_sigmoid(x: &Value) -> Result<Value> {
    Ok(relu6(&x.add_scalar(3.0)?)?.multiply_scalar(1.0 / 6.0)?)
}

pub(super) fn hard_tanh(x: &Value) -> Result<Value> {
    Ok(x.minimum_scalar(1.0)?.maximum_scalar(-1.0)?)
}

pub(super) fn leaky_relu(x: &Value, negative_slope: f64) -> Result<Value> {
    let negative = x.multiply_scalar(negative_slope)?;
    Ok(above(x, 0.0)?.select(x, &negative)?)
}

pub(super) fn relu_with(
    x: &Value,
    negative_slope: f64,
    max_value: Option<f64>,
    threshold: f64,
) -> Result<Value> {
    if max_value.is_none() && threshold == 0.0 && negative_slope != 0.0 {
        return leaky_relu(x, negative_slope);
    }
    let mut y = match (threshold == 0.0, max_value) {
        (true, Some(6.0)) => relu6(x)?,
        (true, None) => x.relu()?,
        (true, Some(largest)) => x.relu()?.minimum_scalar(largest)?,
        (false, None) => above(x, threshold)?.select(x, &constant(x, 0.0)?)?,
        (false, Some(largest)) => {
            // A negative threshold lets negative numbers through.
            let y = above(x, threshold)?.select(x, &constant(x, 0.0)?)?;
            y.minimum_scalar(largest)?.maximum_scalar(0.0)?
        }
    };
    if negative_slope != 0.0 {
        let under = x.negate()?.add_scalar(threshold)?.relu()?;
        y = y.subtract(&under.multiply_scalar(negative_slope)?)?;
    }
    Ok(y)
}

/// `x / 2 + |x| / 2 + ln(1 + e^-|x|)`: never overflows, and has the slope 1/2 at 0.
pub(super) fn softplus(x: &Value) -> Result<Value> {
    let size = x.abs()?;
    let rest = size.negate()?.exp()?.log1p()?;
    let larger = x.multiply_scalar(0.5)?.add(&size.multiply_scalar(0.5)?)?;
    Ok(larger.add(&rest)?)
}

pub(super) fn log_sigmoid(x: &Value) -> Result<Value> {
    Ok(softplus(&x.negate()?)?.negate()?)
}

pub(super) fn mish(x: &Value) -> Result<Value> {
    Ok(x.multiply(&softplus(x)?.tanh()?)?)
}

pub(super) fn softsign(x: &Value) -> Result<Value> {
    Ok(x.divide(&x.abs()?.add_scalar(1.0)?)?)
}

pub(super) fn sparse_plus(x: &Value) -> Result<Value> {
    let curve = x.add_scalar(1.0)?.square()?.multiply_scalar(0.25)?;
    let rest = below(x, 1.0)?.select(&curve, x)?;
    let small = x.less_equal(&constant(x, -1.0)?)?;
    Ok(small.select(&constant(x, 0.0)?, &rest)?)
}

pub(super) fn sparse_sigmoid(x: &Value) -> Result<Value> {
    let line = x.add_scalar(1.0)?.multiply_scalar(0.5)?;
    let large = x.greater_equal(&constant(x, 1.0)?)?;
    let rest = large.select(&constant(x, 1.0)?, &line)?;
    let small = x.less_equal(&constant(x, -1.0)?)?;
    Ok(small.select(&constant(x, 0.0)?, &rest)?)
}

pub(super) fn squareplus(x: &Value, b: f64) -> Result<Value> {
    let root = x.square()?.add_scalar(b)?.sqrt()?;
    Ok(x.add(&root)?.multiply_scalar(0.5)?)
}

pub(super) fn sparsemax(x: &Value, axis: isize) -> Result<Value> {
    along(x, axis, |x| {
        let graph = x.graph();
        // A number added to a row changes nothing; around 0 the sums are exact enough.
        let z = x.subtract(&x.max(&[-1], true)?)?;
        let zero = graph.scalar(0.0, x.dtype())?;
        let one = graph.scalar(1.0, x.dtype())?;
        // How many are above 0: the largest k with 1 + k z_k > z_1 + ... + z_k, in falling order (Algorithm 1).
        let sorted = z.sort(-1, true)?;
        let sums = sorted.cumulative_sum(-1, false, false)?;
        let size = x.shape().dims().last().cloned();
        let row = Shape::new(size);
        let places = graph.iota(row, 0, DType::F32)?.add_scalar(1.0)?;
        let places = places.cast(x.dtype())?;
        let counts = sorted.multiply(&places)?.add_scalar(1.0)?.greater(&sums)?;
        let smallest = counts.select(&sorted, &zero)?.min(&[-1], true)?;
        // Who is above 0 is settled; the threshold is a mean of those, and so is its gradient (Proposition 2).
        let below = z.less(&smallest)?;
        let count = below.select(&zero, &one)?.sum(&[-1], true)?;
        let sum = below.select(&zero, &z)?.sum(&[-1], true)?;
        let threshold = sum.add_scalar(-1.0)?.divide(&count)?;
        below.select(&zero, &z.subtract(&threshold)?)
    })
}

/// The function of the last axis, along another.
pub(super) fn along(
    x: &Value,
    axis: isize,
    function: impl Fn(&Value) -> danlu_graph::Result<Value>,
) -> Result<Value> {
    let shape = x.shape();
    let axis = shape.axis(axis)?;
    let mut order: Vec<usize> = (0..shape.rank()).collect();
    if axis + 1 == shape.rank() {
        return Ok(function(x)?);
    }
    // Exchanging two axes is its own inverse.
    order.swap(axis, shape.rank() - 1);
    Ok(function(&x.transpose(&order)?)?.transpose(&order)?)
}
