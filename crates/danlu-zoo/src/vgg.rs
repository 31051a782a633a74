//! VGG.

use danlu::prelude::*;
use danlu::{Arguments, Config, Error, Result};

use crate::options::{Options, options_methods};
use crate::registry::Architecture;

/// Filters of each block, with the number of convolutions in it for each depth (table 1: configurations A, B, D, E).
const BLOCKS: [(usize, [usize; 4]); 5] = [
    (64, [1, 2, 2, 2]),
    (128, [1, 2, 2, 2]),
    (256, [2, 2, 3, 4]),
    (512, [2, 2, 3, 4]),
    (512, [2, 2, 3, 4]),
];
const DEPTHS: [usize; 4] = [11, 13, 16, 19];

/// VGG-11, 13, 16 and 19 (Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale image recognition"):
/// five blocks of 3x3 convolutions with ReLU and a max-pooling, then dense layers of 4,096, 4,096 and the classes. VGG-16 and 19
/// are layer by layer, and by name, those of `keras.applications`.
///
/// Input `(224, 224, 3)`, 1,000 classes; kernels begin as `glorot_uniform`, as in Keras. The paper trains with
/// [`dropout`](Self::dropout) 0.5 and [`weight_decay`](Self::weight_decay) 0.0005; both are 0 here.
#[derive(Clone, Debug)]
pub struct VGG {
    options: Options,
    depth: usize,
}

impl VGG {
    /// The network of this depth: 11, 13, 16 or 19 layers with weights.
    pub fn new(depth: usize) -> VGG {
        VGG {
            options: Options::new([224, 224, 3], 1000, "glorot_uniform"),
            depth,
        }
    }

    options_methods!();

    pub(crate) fn take(mut self, arguments: &mut Arguments) -> Result<VGG> {
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
}

impl Architecture for VGG {
    fn check(&self) -> Result<()> {
        if !DEPTHS.contains(&self.depth) {
            let expected = "11, 13, 16 or 19";
            return Err(Error::argument("VGG", "depth", expected, self.depth));
        }
        self.options.check(&format!("vgg{}", self.depth), 32)
    }

    fn build(&self) -> Result<Model> {
        self.check()?;
        let options = &self.options;
        let which = DEPTHS.iter().position(|&depth| depth == self.depth);
        let which = which.unwrap_or(0);
        let input = Symbol::input(Input::new(options.input_shape));
        let mut x = input.clone();
        for (block, (filters, counts)) in (1..).zip(BLOCKS) {
            for number in 1..=counts[which] {
                let layer = options.convolution(options.filters(filters), 3);
                let layer = layer.padding("same").activation("relu");
                x = layer.name(&format!("block{block}_conv{number}")).apply(x);
            }
            let pooling = MaxPooling2D::new(2).strides(2);
            x = pooling.name(&format!("block{block}_pool")).apply(x);
        }
        let output = match options.include_top {
            false => options.pooled(x)?,
            true => {
                let mut x = Flatten::new().name("flatten").apply(x);
                for name in ["fc1", "fc2"] {
                    let layer = options.dense(options.filters(4096)).activation("relu");
                    x = options.dropped(layer.name(name).apply(x), &format!("{name}_dropout"));
                }
                options.classified(x)
            }
        };
        let mut model = Model::new(input, output)?;
        model.set_name(&format!("vgg{}", self.depth));
        Ok(model)
    }

    fn config(&self) -> Result<Config> {
        self.options.config()
    }
}
