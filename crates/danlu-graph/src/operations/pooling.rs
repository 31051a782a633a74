//! Two-dimensional pooling of `(batch, height, width, channels)`. Padding never counts: it is not the largest, and not
//! part of a mean (TensorFlow's rule). A window of padding only, which an axis bound to 0 can have, is reduced as
//! nothing is: its maximum is -infinity (of integers the smallest), its mean NaN.

use super::{Backward, Family, expect_distances, expect_inputs, expect_rank};
use crate::reference::{Array, saturated};
use crate::{Bindings, DType, Dim, Error, Result, Shape, Value, ValueType};

/// The windows of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolingWindow {
    /// Rows and columns of a window.
    pub size: [usize; 2],
    /// The distance between windows.
    pub strides: [usize; 2],
    /// Rows above and below, columns left and right that do not count.
    pub padding: [[usize; 2]; 2],
}

/// The largest element of each window; NaN if one is, the first of equals.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool2d {
    /// The windows.
    pub window: PoolingWindow,
}

/// From `(input, gradient of the result)`: each window's gradient at the place of its largest element.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool2dGradient {
    /// The windows.
    pub window: PoolingWindow,
}

/// From `(input, other)` of one shape: the element of `other` at the place of each window's largest element of `input`;
/// 0 where a window is padding only.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool2dGather {
    /// The windows.
    pub window: PoolingWindow,
}

/// The mean of each window's elements that are not padding.
#[derive(Clone, Debug, PartialEq)]
pub struct AveragePool2d {
    /// The windows.
    pub window: PoolingWindow,
}

/// From the gradient of the result: each window's gradient spread over its elements.
#[derive(Clone, Debug, PartialEq)]
pub struct AveragePool2dGradient {
    /// The windows.
    pub window: PoolingWindow,
    /// The input's shape.
    pub input: Shape,
}

impl PoolingWindow {
    fn describe(&self) -> String {
        format!(
            "size={:?} strides={:?} padding={:?}",
            self.size, self.strides, self.padding
        )
    }

    fn infer(&self, name: &str, input: &ValueType) -> Result<ValueType> {
        expect_rank(name, "input", input, 4, "(batch, height, width, channels)")?;
        if input.dtype == DType::Bool || (!input.dtype.is_float() && name.starts_with("average")) {
            return Err(Error::new(format!(
                "{name} does not take {input}; cast it first"
            )));
        }
        if self.size.contains(&0) || self.strides.contains(&0) {
            return Err(Error::new(format!(
                "{name} needs windows and strides of at least 1, received {}",
                self.describe()
            )));
        }
        expect_distances(name, "windows", &self.size)?;
        expect_distances(name, "strides", &self.strides)?;
        let mut dims = input.shape.dims().to_vec();
        for axis in 0..2 {
            let [low, high] = self.padding[axis];
            if low >= self.size[axis] || high >= self.size[axis] {
                return Err(Error::new(format!(
                    "{name}: padding must be smaller than the window, or a window would be empty: {}",
                    self.describe()
                )));
            }
            let padded = dims[axis + 1].offset((low + high) as i64);
            if padded.as_fixed().is_some_and(|size| size < self.size[axis]) {
                let what = ["height", "width"][axis];
                return Err(Error::new(format!(
                    "{name}: the window of {} is larger than the {what} {padded} (input {}); use a smaller window or padding \"same\"",
                    self.size[axis], input.shape
                )));
            }
            let steps = padded
                .offset(-(self.size[axis] as i64))
                .floor_divide(self.strides[axis]);
            dims[axis + 1] = steps.offset(1);
        }
        Ok(ValueType::new(Shape::from(dims), input.dtype))
    }

    /// Calls `visit(output offset, input offsets in scan order)` for every window.
    fn visit(&self, input: &[usize], output: &[usize], mut visit: impl FnMut(usize, &[usize])) {
        let mut offsets = Vec::new();
        for n in 0..output[0] {
            for y in 0..output[1] {
                for x in 0..output[2] {
                    for c in 0..output[3] {
                        offsets.clear();
                        for i in 0..self.size[0] {
                            for j in 0..self.size[1] {
                                let row =
                                    (y * self.strides[0] + i).wrapping_sub(self.padding[0][0]);
                                let column =
                                    (x * self.strides[1] + j).wrapping_sub(self.padding[1][0]);
                                if row < input[1] && column < input[2] {
                                    offsets.push(
                                        ((n * input[1] + row) * input[2] + column) * input[3] + c,
                                    );
                                }
                            }
                        }
                        visit(
                            ((n * output[1] + y) * output[2] + x) * output[3] + c,
                            &offsets,
                        );
                    }
                }
            }
        }
    }
}

/// The first offset of the largest element; a NaN is the largest.
fn largest(data: &[f64], offsets: &[usize]) -> Option<usize> {
    offsets.iter().copied().reduce(|best, offset| {
        let (value, held) = (data[offset], data[best]);
        let larger = value > held || (value.is_nan() && !held.is_nan());
        if larger { offset } else { best }
    })
}

impl Family for MaxPool2d {
    fn name(&self) -> &str {
        "max_pool2d"
    }
    fn attributes(&self) -> String {
        self.window.describe()
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs(self.name(), inputs, 1)?;
        self.window.infer(self.name(), &inputs[0])
    }
    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let operation = MaxPool2dGradient {
            window: self.window,
        };
        let x = &backward.inputs[0];
        Ok(vec![Some(
            x.graph().add(operation.into(), &[x, &backward.gradient])?,
        )])
    }
    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let x = inputs[0];
        let nothing = saturated(f64::NEG_INFINITY, x.dtype);
        let mut result = vec![0.0; shape.iter().product()];
        self.window.visit(&x.shape, shape, |output, offsets| {
            let place = largest(&x.data, offsets);
            result[output] = place.map_or(nothing, |place| x.data[place]);
        });
        Ok(result)
    }
}

impl Family for MaxPool2dGradient {
    fn name(&self) -> &str {
        "max_pool2d_gradient"
    }
    fn attributes(&self) -> String {
        self.window.describe()
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs(self.name(), inputs, 2)?;
        let expected = self.window.infer(self.name(), &inputs[0])?;
        if expected != inputs[1] {
            return Err(Error::new(format!(
                "{} expects a gradient {expected}, received {}",
                self.name(),
                inputs[1]
            )));
        }
        Ok(inputs[0].clone())
    }
    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let operation = MaxPool2dGather {
            window: self.window,
        };
        let x = &backward.inputs[0];
        Ok(vec![
            None,
            Some(x.graph().add(operation.into(), &[x, &backward.gradient])?),
        ])
    }
    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (x, dy) = (inputs[0], inputs[1]);
        let mut result = vec![0.0; shape.iter().product()];
        self.window.visit(shape, &dy.shape, |output, offsets| {
            if let Some(place) = largest(&x.data, offsets) {
                result[place] += dy.data[output];
            }
        });
        Ok(result)
    }
}

impl Family for MaxPool2dGather {
    fn name(&self) -> &str {
        "max_pool2d_gather"
    }
    fn attributes(&self) -> String {
        self.window.describe()
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs(self.name(), inputs, 2)?;
        if inputs[0] != inputs[1] {
            return Err(Error::new(format!(
                "{} expects two values of one shape and dtype, received {} and {}",
                self.name(),
                inputs[0],
                inputs[1]
            )));
        }
        self.window.infer(self.name(), &inputs[0])
    }
    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let operation = MaxPool2dGradient {
            window: self.window,
        };
        let x = &backward.inputs[0];
        Ok(vec![
            None,
            Some(x.graph().add(operation.into(), &[x, &backward.gradient])?),
        ])
    }
    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (x, other) = (inputs[0], inputs[1]);
        let mut result = vec![0.0; shape.iter().product()];
        self.window.visit(&x.shape, shape, |output, offsets| {
            let place = largest(&x.data, offsets);
            result[output] = place.map_or(0.0, |place| other.data[place]);
        });
        Ok(result)
    }
}

impl Family for AveragePool2d {
    fn name(&self) -> &str {
        "average_pool2d"
    }
    fn attributes(&self) -> String {
        self.window.describe()
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs(self.name(), inputs, 1)?;
        self.window.infer(self.name(), &inputs[0])
    }
    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let input = backward.inputs[0].shape();
        let operation = AveragePool2dGradient {
            window: self.window,
            input,
        };
        let g = &backward.gradient;
        Ok(vec![Some(g.graph().add(operation.into(), &[g])?)])
    }
    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let x = inputs[0];
        let mut result = vec![0.0; shape.iter().product()];
        self.window.visit(&x.shape, shape, |output, offsets| {
            let sum: f64 = offsets.iter().map(|&offset| x.data[offset]).sum();
            result[output] = sum / offsets.len() as f64;
        });
        Ok(result)
    }
}

impl Family for AveragePool2dGradient {
    fn name(&self) -> &str {
        "average_pool2d_gradient"
    }
    fn attributes(&self) -> String {
        self.window.describe()
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs(self.name(), inputs, 1)?;
        let result = ValueType::new(self.input.clone(), inputs[0].dtype);
        let expected = self.window.infer(self.name(), &result)?;
        if expected != inputs[0] {
            return Err(Error::new(format!(
                "{} expects a gradient {expected}, received {}",
                self.name(),
                inputs[0]
            )));
        }
        Ok(result)
    }
    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(backward.gradient.average_pool2d(self.window)?)])
    }
    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let dy = inputs[0];
        let mut result = vec![0.0; shape.iter().product()];
        self.window.visit(shape, &dy.shape, |output, offsets| {
            for &offset in offsets {
                result[offset] += dy.data[output] / offsets.len() as f64;
            }
        });
        Ok(result)
    }
}

impl Value {
    /// The largest element of each window of `(batch, height, width, channels)`.
    ///
    /// # Errors
    /// The windows do not fit the value.
    pub fn max_pool2d(&self, window: PoolingWindow) -> Result<Value> {
        self.graph().add(MaxPool2d { window }.into(), &[self])
    }

    /// The mean of each window of `(batch, height, width, channels)`.
    ///
    /// # Errors
    /// The windows do not fit the value, or it is not of floats.
    pub fn average_pool2d(&self, window: PoolingWindow) -> Result<Value> {
        self.graph().add(AveragePool2d { window }.into(), &[self])
    }

    /// Height and width of `(batch, height, width, channels)`.
    ///
    /// # Errors
    /// The value does not have four axes.
    pub fn image_sizes(&self) -> Result<[Dim; 2]> {
        let value_type = self.value_type();
        expect_rank(
            "this layer",
            "input",
            &value_type,
            4,
            "(batch, height, width, channels)",
        )?;
        let dims = value_type.shape.dims();
        Ok([dims[1].clone(), dims[2].clone()])
    }
}
