//! Residual networks for ImageNet.

use danlu::layers::LayerSpec;
use danlu::prelude::*;
use danlu::{Arguments, Config, Error, Result};

use crate::options::{Options, options_methods};
use crate::registry::Architecture;

/// Depths, whether their blocks are bottlenecks, and the number of blocks of each stage (table 1).
const DEPTHS: [(usize, bool, [usize; 4]); 5] = [
    (18, false, [2, 2, 2, 2]),
    (34, false, [3, 4, 6, 3]),
    (50, true, [3, 4, 6, 3]),
    (101, true, [3, 4, 23, 3]),
    (152, true, [3, 8, 36, 3]),
];

/// ResNet-18, 34, 50, 101 and 152 (He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", table 1), with
/// projections where the shape changes (option B).
///
/// From 50 on they are layer by layer, and by name, `keras.applications`' ResNet50, 101 and 152 (version 1: the stride is in a
/// block's first convolution, and convolutions have biases), and kernels begin as `glorot_uniform` as there. 18 and 34, which
/// Keras does not have, have no biases in convolutions, `same` padding, kernels that begin as `he_normal` as in the paper, and so as
/// many parameters as torchvision's; their layers' names follow those of 50.
///
/// Input `(224, 224, 3)`, 1,000 classes. The paper's [`weight_decay`](Self::weight_decay) is 0.0001; here it is 0.
#[derive(Clone, Debug)]
pub struct ResNet {
    options: Options,
    depth: usize,
}

impl ResNet {
    /// The network of this depth: 18, 34, 50, 101 or 152 layers with weights.
    pub fn new(depth: usize) -> ResNet {
        let initializer = match depth {
            18 | 34 => "he_normal",
            _ => "glorot_uniform",
        };
        ResNet {
            options: Options::new([224, 224, 3], 1000, initializer),
            depth,
        }
    }

    options_methods!();

    pub(crate) fn take(mut self, arguments: &mut Arguments) -> Result<ResNet> {
        self.options.take(arguments)?;
        Ok(self)
    }

    /// The model, not built yet.
    ///
    /// # Errors
    /// The depth is another, or an argument has a value that it cannot have.
    pub fn build(&self) -> Result<Model> {
        Architecture::build(self)
    }

    fn stages(&self) -> Result<(bool, [usize; 4])> {
        let found = DEPTHS.iter().find(|(depth, _, _)| *depth == self.depth);
        let (_, bottleneck, blocks) = found.ok_or_else(|| {
            let expected = "18, 34, 50, 101 or 152";
            Error::argument("ResNet", "depth", expected, self.depth)
        })?;
        Ok((*bottleneck, *blocks))
    }

    /// Three convolutions, the outer ones of one tap: to fewer channels and back to four times as many.
    fn bottleneck(&self, x: Symbol, filters: usize, stride: usize, name: &str) -> Symbol {
        let wide = 4 * filters;
        let conv = |filters, size| self.options.convolution(filters, size);
        let shortcut = match self.is_first(name) {
            false => x.clone(),
            true => {
                let layer = conv(wide, 1).strides(stride);
                let x = layer.name(&format!("{name}_0_conv")).apply(&x);
                self.normalization(&format!("{name}_0_bn")).apply(x)
            }
        };
        let x = self.normalized(x, conv(filters, 1).strides(stride), &format!("{name}_1"));
        let x = relu(&format!("{name}_1_relu")).apply(x);
        let x = self.normalized(x, conv(filters, 3).padding("same"), &format!("{name}_2"));
        let x = relu(&format!("{name}_2_relu")).apply(x);
        let x = self.normalized(x, conv(wide, 1), &format!("{name}_3"));
        let x = Add::new().name(&format!("{name}_add")).apply([shortcut, x]);
        relu(&format!("{name}_out")).apply(x)
    }

    /// Two convolutions of nine taps.
    fn basic(&self, x: Symbol, filters: usize, stride: usize, name: &str) -> Symbol {
        let conv = |filters, size| self.options.convolution(filters, size).use_bias(false);
        let shortcut = match stride {
            1 => x.clone(),
            _ => self.normalized(
                x.clone(),
                conv(filters, 1).strides(stride),
                &format!("{name}_0"),
            ),
        };
        let first = conv(filters, 3).strides(stride).padding("same");
        let x = self.normalized(x, first, &format!("{name}_1"));
        let x = relu(&format!("{name}_1_relu")).apply(x);
        let x = self.normalized(x, conv(filters, 3).padding("same"), &format!("{name}_2"));
        let x = Add::new().name(&format!("{name}_add")).apply([shortcut, x]);
        relu(&format!("{name}_out")).apply(x)
    }

    /// Whether a block is the first of its stage.
    fn is_first(&self, name: &str) -> bool {
        name.ends_with("block1")
    }

    fn normalization(&self, name: &str) -> LayerSpec {
        let layer = BatchNormalization::new().epsilon(1.001e-5);
        match self.depth {
            18 | 34 => layer.momentum(0.9),
            _ => layer,
        }
        .name(name)
    }

    /// A convolution `<name>_conv`, then a normalization `<name>_bn`.
    fn normalized(&self, x: Symbol, convolution: Conv2D, name: &str) -> Symbol {
        let x = convolution.name(&format!("{name}_conv")).apply(x);
        self.normalization(&format!("{name}_bn")).apply(x)
    }
}

fn relu(name: &str) -> LayerSpec {
    ActivationLayer::new("relu").name(name)
}

impl Architecture for ResNet {
    fn check(&self) -> Result<()> {
        self.stages()?;
        self.options.check(&format!("resnet{}", self.depth), 32)
    }

    fn build(&self) -> Result<Model> {
        self.check()?;
        let (bottleneck, stages) = self.stages()?;
        let options = &self.options;
        let width = options.filters(64);
        let input = Symbol::input(Input::new(options.input_shape));
        let first = options.convolution(width, 7).strides(2);
        let pooling = MaxPooling2D::new(3).strides(2);
        let x = match bottleneck {
            true => {
                let x = ZeroPadding2D::new(3).name("conv1_pad").apply(&input);
                let x = relu("conv1_relu").apply(self.normalized(x, first, "conv1"));
                let x = ZeroPadding2D::new(1).name("pool1_pad").apply(x);
                pooling.name("pool1_pool").apply(x)
            }
            false => {
                let first = first.use_bias(false).padding("same");
                let x = self.normalized(input.clone(), first, "conv1");
                let x = relu("conv1_relu").apply(x);
                pooling.padding("same").name("pool1_pool").apply(x)
            }
        };
        let mut x = x;
        for (stage, blocks) in stages.into_iter().enumerate() {
            for block in 1..=blocks {
                let name = format!("conv{}_block{block}", stage + 2);
                let filters = width << stage;
                let stride = if block == 1 && stage > 0 { 2 } else { 1 };
                x = match bottleneck {
                    true => self.bottleneck(x, filters, stride, &name),
                    false => self.basic(x, filters, stride, &name),
                };
            }
        }
        let mut model = Model::new(input, options.averaged_and_classified(x)?)?;
        model.set_name(&format!("resnet{}", self.depth));
        Ok(model)
    }

    fn config(&self) -> Result<Config> {
        self.options.config()
    }
}
