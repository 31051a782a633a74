//! Residual networks for small pictures.

use danlu::choice::{Choice, FromName};
use danlu::layers::LayerSpec;
use danlu::prelude::*;
use danlu::{Arguments, Config, Error, Result};

use crate::options::{Options, options_methods};
use crate::registry::Architecture;

/// What leads past a block that halves the picture and doubles the channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shortcut {
    /// Every second pixel, with zeros in the new channels: no parameters (the paper's option A, which it uses here).
    #[default]
    Identity,
    /// A convolution of one tap with batch normalization (option B).
    Projection,
}

impl Shortcut {
    /// Its name in recipes.
    pub const fn name(self) -> &'static str {
        match self {
            Shortcut::Identity => "identity",
            Shortcut::Projection => "projection",
        }
    }
}

impl FromName for Shortcut {
    fn from_name(name: &str) -> Result<Shortcut> {
        let all = [Shortcut::Identity, Shortcut::Projection];
        all.into_iter()
            .find(|shortcut| shortcut.name() == name)
            .ok_or_else(|| Error::unknown("shortcut", name, all.map(Shortcut::name)))
    }
}

impl From<Shortcut> for Choice<Shortcut> {
    fn from(shortcut: Shortcut) -> Choice<Shortcut> {
        Choice::Value(shortcut)
    }
}

/// ResNet-20, 32, 44, 56, 110, ... for CIFAR-10 (He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition",
/// section 4.2): a 3x3 convolution, then three stages of n blocks of two 3x3 convolutions with 16, 32 and 64 filters, 6n + 2 layers
/// with weights. 0.27 million parameters with 20 layers, 0.85 million with 56, as in the paper.
///
/// Input `(32, 32, 3)`, 10 classes; kernels begin as `he_normal`, as in the paper. Batch normalization has momentum 0.9 and
/// epsilon 0.00001, so that its statistics follow within an epoch of few steps. The paper's [`weight_decay`](Self::weight_decay)
/// is 0.0001; here it is 0.
#[derive(Clone, Debug)]
pub struct CifarResNet {
    options: Options,
    depth: usize,
    shortcut: Choice<Shortcut>,
}

impl CifarResNet {
    /// The network of this depth: 6n + 2 layers with weights.
    pub fn new(depth: usize) -> CifarResNet {
        CifarResNet {
            options: Options::new([32, 32, 3], 10, "he_normal"),
            depth,
            shortcut: Shortcut::Identity.into(),
        }
    }

    options_methods!();

    /// What leads past a block that halves the picture: `identity` (default) or `projection`.
    #[must_use]
    pub fn shortcut(mut self, shortcut: impl Into<Choice<Shortcut>>) -> CifarResNet {
        self.shortcut = shortcut.into();
        self
    }

    pub(crate) fn take(mut self, arguments: &mut Arguments) -> Result<CifarResNet> {
        self.options.take(arguments)?;
        if let Some(name) = arguments.string("shortcut")? {
            self.shortcut = name.into();
        }
        Ok(self)
    }

    /// The model, not built yet.
    ///
    /// # Errors
    /// The depth is not 6n + 2, or an argument has a value that it cannot have.
    pub fn build(&self) -> Result<Model> {
        Architecture::build(self)
    }

    /// Two convolutions and what leads past them; `halves` says whether the picture is halved and channels doubled.
    fn block(&self, x: Symbol, filters: usize, halves: bool, name: &str) -> Result<Symbol> {
        let stride = if halves { 2 } else { 1 };
        let shortcut = match (halves, self.shortcut.resolve()?) {
            (false, _) => x.clone(),
            (true, Shortcut::Identity) => {
                let every_second = AveragePooling2D::new(1).strides(2);
                let kept = every_second.name(&format!("{name}_0_pool")).apply(&x);
                let zeros = Rescaling::new(0.0).name(&format!("{name}_0_zeros"));
                let zeros = zeros.apply(&kept);
                let both = Concatenate::new().name(&format!("{name}_0_concat"));
                both.apply([kept, zeros])
            }
            (true, Shortcut::Projection) => {
                let layer = self.options.convolution(filters, 1).strides(2);
                self.normalized(x.clone(), layer, &format!("{name}_0"))
            }
        };
        let convolution = || self.options.convolution(filters, 3).padding("same");
        let x = self.normalized(x, convolution().strides(stride), &format!("{name}_1"));
        let x = relu(&format!("{name}_1_relu")).apply(x);
        let x = self.normalized(x, convolution(), &format!("{name}_2"));
        let x = Add::new().name(&format!("{name}_add")).apply([shortcut, x]);
        Ok(relu(&format!("{name}_out")).apply(x))
    }

    /// A convolution `<name>_conv`, then a normalization `<name>_bn`.
    fn normalized(&self, x: Symbol, convolution: Conv2D, name: &str) -> Symbol {
        let convolution = convolution.use_bias(false);
        let x = convolution.name(&format!("{name}_conv")).apply(x);
        let normalization = BatchNormalization::new().momentum(0.9).epsilon(1e-5);
        normalization.name(&format!("{name}_bn")).apply(x)
    }
}

fn relu(name: &str) -> LayerSpec {
    ActivationLayer::new("relu").name(name)
}

impl Architecture for CifarResNet {
    fn check(&self) -> Result<()> {
        if self.depth < 8 || self.depth > 1202 || self.depth % 6 != 2 {
            let expected = "6n + 2, from 8 to 1202";
            return Err(Error::argument(
                "CifarResNet",
                "depth",
                expected,
                self.depth,
            ));
        }
        self.shortcut.resolve()?;
        self.options.check(&format!("resnet{}", self.depth), 4)
    }

    fn build(&self) -> Result<Model> {
        self.check()?;
        let options = &self.options;
        let width = options.filters(16);
        let input = Symbol::input(Input::new(options.input_shape));
        let first = options.convolution(width, 3).padding("same");
        let x = self.normalized(input.clone(), first, "conv1");
        let mut x = relu("conv1_relu").apply(x);
        for stage in 0..3 {
            for block in 1..=(self.depth - 2) / 6 {
                let name = format!("conv{}_block{block}", stage + 2);
                x = self.block(x, width << stage, stage > 0 && block == 1, &name)?;
            }
        }
        let mut model = Model::new(input, options.averaged_and_classified(x)?)?;
        model.set_name(&format!("resnet{}", self.depth));
        Ok(model)
    }

    fn config(&self) -> Result<Config> {
        let mut config = self.options.config()?;
        let shortcut = self.shortcut.resolve()?.name();
        config.insert("shortcut".to_owned(), shortcut.into());
        Ok(config)
    }
}
