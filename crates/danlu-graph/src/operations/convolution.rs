//! Two-dimensional convolution (cross-correlation, as in Keras): inputs `(batch, height, width, channels)`, kernels
//! `(height, width, channels / groups, filters)`. Its two gradients are operations too, so that the family is closed
//! under differentiation.

use super::{
    Backward, Family, expect_distances, expect_float, expect_inputs, expect_rank, expect_same_dtype,
};
use crate::reference::Array;
use crate::{Bindings, Dim, Error, Result, Shape, Value, ValueType};

/// What surrounds the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Nothing: every window lies inside.
    Valid,
    /// As much as gives `ceil(size / stride)` windows, the odd one after the end (TensorFlow's rule).
    Same,
    /// Rows above and below, columns left and right.
    Explicit([[usize; 2]; 2]),
}

impl Padding {
    /// The amounts before and after each of two axes of these sizes.
    ///
    /// # Errors
    /// `Same` over an axis whose size is not yet a number.
    pub fn resolve(
        self,
        sizes: [&Dim; 2],
        window: [usize; 2],
        strides: [usize; 2],
        dilations: [usize; 2],
    ) -> Result<[[usize; 2]; 2]> {
        match self {
            Padding::Valid => Ok([[0; 2]; 2]),
            Padding::Explicit(amounts) => Ok(amounts),
            Padding::Same => {
                let mut amounts = [[0; 2]; 2];
                for axis in 0..2 {
                    let size = sizes[axis].as_fixed().ok_or_else(|| {
                        Error::new(format!(
                            "padding \"same\" needs a fixed size, received {}",
                            sizes[axis]
                        ))
                    })?;
                    let count = size.div_ceil(strides[axis].max(1));
                    let span = window[axis]
                        .saturating_sub(1)
                        .saturating_mul(dilations[axis])
                        .saturating_add(1);
                    // The steps to the last window end within the size.
                    let steps = count.saturating_sub(1) * strides[axis];
                    let total = steps.saturating_add(span).saturating_sub(size);
                    amounts[axis] = [total / 2, total - total / 2];
                }
                Ok(amounts)
            }
        }
    }
}

/// Stride, dilation, padding and groups of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionOptions {
    /// The distance between windows, rows and columns.
    pub strides: [usize; 2],
    /// The distance between the kernel's taps, rows and columns.
    pub dilations: [usize; 2],
    /// Zero rows above and below, zero columns left and right.
    pub padding: [[usize; 2]; 2],
    /// Into how many groups channels and filters are cut.
    pub groups: usize,
}

/// The convolution of an input with a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution2d {
    /// Stride, dilation, padding, groups.
    pub options: ConvolutionOptions,
}

/// From `(gradient of the result, kernel)` the gradient with respect to the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution2dInputGradient {
    /// Stride, dilation, padding, groups.
    pub options: ConvolutionOptions,
    /// The input's shape.
    pub input: Shape,
}

/// From `(input, gradient of the result)` the gradient with respect to the kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution2dWeightGradient {
    /// Stride, dilation, padding, groups.
    pub options: ConvolutionOptions,
    /// The kernel's rows and columns.
    pub window: [usize; 2],
}

impl ConvolutionOptions {
    fn describe(&self) -> String {
        format!(
            "strides={:?} dilations={:?} padding={:?} groups={}",
            self.strides, self.dilations, self.padding, self.groups
        )
    }

    /// Number of windows along each axis of an input of this shape.
    fn output_sizes(&self, input: &Shape, window: [usize; 2]) -> Result<[Dim; 2]> {
        let size = |axis: usize| -> Result<Dim> {
            let span = (window[axis] as i64 - 1) * self.dilations[axis] as i64 + 1;
            let [low, high] = self.padding[axis].map(Dim::fixed);
            let padded = &(&input.dims()[axis + 1] + &low) + &high;
            if padded.as_constant().is_some_and(|size| size < span) {
                let name = ["height", "width"][axis];
                return Err(Error::new(format!(
                    "the kernel spans {span} but the {name} with padding is only {padded} (input {input}); use a smaller kernel or padding \"same\""
                )));
            }
            let steps = padded.offset(-span).floor_divide(self.strides[axis]);
            Ok(steps.offset(1))
        };
        Ok([size(0)?, size(1)?])
    }

    fn check(&self, window: [usize; 2]) -> Result<()> {
        let all = [window, self.strides, self.dilations].concat();
        if all.contains(&0) || self.groups == 0 {
            return Err(Error::new(format!(
                "conv2d needs kernel, strides, dilations and groups of at least 1, received kernel {window:?} {}",
                self.describe()
            )));
        }
        expect_distances("conv2d", "kernels, strides and dilations", &all)?;
        expect_distances("conv2d", "padding", &self.padding.concat())
    }

    /// Calls `visit(input offset, kernel offset, output offset)` for every product of a convolution.
    fn visit(
        &self,
        input: &[usize],
        kernel: &[usize],
        output: &[usize],
        mut visit: impl FnMut(usize, usize, usize),
    ) {
        let per_group = kernel[3] / self.groups;
        for n in 0..output[0] {
            for y in 0..output[1] {
                for x in 0..output[2] {
                    for i in 0..kernel[0] {
                        for j in 0..kernel[1] {
                            let row = (y * self.strides[0] + i * self.dilations[0])
                                .wrapping_sub(self.padding[0][0]);
                            let column = (x * self.strides[1] + j * self.dilations[1])
                                .wrapping_sub(self.padding[1][0]);
                            if row >= input[1] || column >= input[2] {
                                continue;
                            }
                            for c in 0..kernel[2] {
                                for f in 0..kernel[3] {
                                    let channel = f / per_group * kernel[2] + c;
                                    visit(
                                        ((n * input[1] + row) * input[2] + column) * input[3]
                                            + channel,
                                        ((i * kernel[1] + j) * kernel[2] + c) * kernel[3] + f,
                                        ((n * output[1] + y) * output[2] + x) * output[3] + f,
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn kernel_sizes(kernel: &Shape) -> Result<[usize; 4]> {
    kernel
        .as_fixed()
        .and_then(|sizes| <[usize; 4]>::try_from(sizes).ok())
        .ok_or_else(|| {
            Error::new(format!(
                "conv2d expects a kernel of shape (height, width, channels / groups, filters), received {kernel}"
            ))
        })
}

fn infer_convolution(options: &ConvolutionOptions, input: &Shape, kernel: &Shape) -> Result<Shape> {
    let [height, width, channels, filters] = kernel_sizes(kernel)?;
    options.check([height, width])?;
    let given = &input.dims()[3];
    let expected = &Dim::fixed(channels) * &Dim::fixed(options.groups);
    if *given != expected {
        return Err(Error::new(format!(
            "conv2d with kernel {kernel} and {} group(s) expects {expected} channels, received {given} (input {input})",
            options.groups
        )));
    }
    if filters % options.groups != 0 {
        return Err(Error::new(format!(
            "conv2d cannot cut {filters} filters into {} groups",
            options.groups
        )));
    }
    let [rows, columns] = options.output_sizes(input, [height, width])?;
    Ok(Shape::from(vec![
        input.dims()[0].clone(),
        rows,
        columns,
        Dim::fixed(filters),
    ]))
}

impl Family for Convolution2d {
    fn name(&self) -> &str {
        "conv2d"
    }

    fn attributes(&self) -> String {
        self.options.describe()
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("conv2d", inputs, 2)?;
        expect_rank(
            "conv2d",
            "input",
            &inputs[0],
            4,
            "(batch, height, width, channels)",
        )?;
        expect_float("conv2d", &inputs[0])?;
        expect_same_dtype("conv2d", &inputs[0], &inputs[1])?;
        let shape = infer_convolution(&self.options, &inputs[0].shape, &inputs[1].shape)?;
        Ok(ValueType::new(shape, inputs[0].dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let (x, kernel, g) = (&backward.inputs[0], &backward.inputs[1], &backward.gradient);
        let sizes = kernel_sizes(&kernel.shape())?;
        Ok(vec![
            Some(g.conv2d_input_gradient(kernel, self.options, &x.shape())?),
            Some(x.conv2d_weight_gradient(g, self.options, [sizes[0], sizes[1]])?),
        ])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (x, kernel) = (inputs[0], inputs[1]);
        let mut result = vec![0.0; shape.iter().product()];
        self.options
            .visit(&x.shape, &kernel.shape, shape, |input, weight, output| {
                result[output] += x.data[input] * kernel.data[weight];
            });
        Ok(result)
    }
}

impl Family for Convolution2dInputGradient {
    fn name(&self) -> &str {
        "conv2d_input_gradient"
    }

    fn attributes(&self) -> String {
        self.options.describe()
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        let name = self.name();
        expect_inputs(name, inputs, 2)?;
        expect_float(name, &inputs[0])?;
        expect_same_dtype(name, &inputs[0], &inputs[1])?;
        let result = ValueType::new(self.input.clone(), inputs[0].dtype);
        expect_rank(
            name,
            "result",
            &result,
            4,
            "(batch, height, width, channels)",
        )?;
        let expected = infer_convolution(&self.options, &self.input, &inputs[1].shape)?;
        if expected != inputs[0].shape {
            return Err(Error::new(format!(
                "{name} expects a gradient of shape {expected}, received {}",
                inputs[0].shape
            )));
        }
        Ok(result)
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let (dy, kernel, g) = (&backward.inputs[0], &backward.inputs[1], &backward.gradient);
        let sizes = kernel_sizes(&kernel.shape())?;
        Ok(vec![
            Some(g.conv2d(kernel, self.options)?),
            Some(g.conv2d_weight_gradient(dy, self.options, [sizes[0], sizes[1]])?),
        ])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (dy, kernel) = (inputs[0], inputs[1]);
        let mut result = vec![0.0; shape.iter().product()];
        self.options
            .visit(shape, &kernel.shape, &dy.shape, |input, weight, output| {
                result[input] += dy.data[output] * kernel.data[weight];
            });
        Ok(result)
    }
}

impl Family for Convolution2dWeightGradient {
    fn name(&self) -> &str {
        "conv2d_weight_gradient"
    }

    fn attributes(&self) -> String {
        self.options.describe()
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        let name = self.name();
        expect_inputs(name, inputs, 2)?;
        expect_rank(
            name,
            "input",
            &inputs[0],
            4,
            "(batch, height, width, channels)",
        )?;
        expect_rank(
            name,
            "gradient",
            &inputs[1],
            4,
            "(batch, height, width, filters)",
        )?;
        expect_float(name, &inputs[0])?;
        expect_same_dtype(name, &inputs[0], &inputs[1])?;
        let (Some(channels), Some(filters)) = (
            inputs[0].shape.dims()[3].as_fixed(),
            inputs[1].shape.dims()[3].as_fixed(),
        ) else {
            return Err(Error::new(format!(
                "{name} needs fixed numbers of channels and filters"
            )));
        };
        self.options.check(self.window)?;
        let kernel = Shape::new([
            self.window[0],
            self.window[1],
            channels / self.options.groups,
            filters,
        ]);
        let expected = infer_convolution(&self.options, &inputs[0].shape, &kernel)?;
        if expected != inputs[1].shape {
            return Err(Error::new(format!(
                "{name} expects a gradient of shape {expected}, received {}",
                inputs[1].shape
            )));
        }
        Ok(ValueType::new(kernel, inputs[0].dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let (x, dy, g) = (&backward.inputs[0], &backward.inputs[1], &backward.gradient);
        Ok(vec![
            Some(dy.conv2d_input_gradient(g, self.options, &x.shape())?),
            Some(x.conv2d(g, self.options)?),
        ])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (x, dy) = (inputs[0], inputs[1]);
        let mut result = vec![0.0; shape.iter().product()];
        self.options
            .visit(&x.shape, shape, &dy.shape, |input, weight, output| {
                result[weight] += x.data[input] * dy.data[output];
            });
        Ok(result)
    }
}

impl Value {
    /// Convolution of `(batch, height, width, channels)` with a kernel `(height, width, channels / groups, filters)`.
    ///
    /// # Errors
    /// The channels, groups or sizes do not fit.
    pub fn conv2d(&self, kernel: &Value, options: ConvolutionOptions) -> Result<Value> {
        self.graph()
            .add(Convolution2d { options }.into(), &[self, kernel])
    }

    /// The gradient with respect to an input of shape `input`, of a convolution whose result has this gradient.
    ///
    /// # Errors
    /// The shapes are not those of such a convolution.
    pub fn conv2d_input_gradient(
        &self,
        kernel: &Value,
        options: ConvolutionOptions,
        input: &Shape,
    ) -> Result<Value> {
        let input = input.clone();
        self.graph().add(
            Convolution2dInputGradient { options, input }.into(),
            &[self, kernel],
        )
    }

    /// The gradient with respect to the kernel, of a convolution of this input whose result has that gradient.
    ///
    /// # Errors
    /// The shapes are not those of such a convolution.
    pub fn conv2d_weight_gradient(
        &self,
        gradient: &Value,
        options: ConvolutionOptions,
        window: [usize; 2],
    ) -> Result<Value> {
        self.graph().add(
            Convolution2dWeightGradient { options, window }.into(),
            &[self, gradient],
        )
    }
}
