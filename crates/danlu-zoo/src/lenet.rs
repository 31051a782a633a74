//! LeNet-5.

use danlu::choice::Choice;
use danlu::prelude::*;
use danlu::{Arguments, Config, Error, Result};

use crate::options::{Options, options_methods};
use crate::registry::Architecture;

/// LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition", section II.B) as it
/// is built today: convolutions 5x5 of 6 and 16 filters and dense layers of 120 and 84 with tanh, means over 2x2, and softmax
/// where the paper has radial basis functions, partial connections and weighted means. 61,706 parameters for ten classes.
///
/// Input `(28, 28, 1)`, padded as the paper's digits are (28 to 32), or `(32, 32, 1)` with [`padding`](Self::padding) `valid`; 10
/// classes; kernels begin as `glorot_uniform`.
#[derive(Clone, Debug)]
pub struct LeNet5 {
    options: Options,
    padding: Choice<Padding>,
}

impl LeNet5 {
    /// The network for digits of 28x28 pixels.
    pub fn new() -> LeNet5 {
        LeNet5 {
            options: Options::new([28, 28, 1], 10, "glorot_uniform"),
            padding: Padding::Same.into(),
        }
    }

    options_methods!();

    /// What surrounds the first convolution's input: `same` (default) or `valid`.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Choice<Padding>>) -> LeNet5 {
        self.padding = padding.into();
        self
    }

    pub(crate) fn take(mut self, arguments: &mut Arguments) -> Result<LeNet5> {
        self.options.take(arguments)?;
        if let Some(name) = arguments.string("padding")? {
            self.padding = name.into();
        }
        Ok(self)
    }

    /// The model, not built yet.
    ///
    /// # Errors
    /// An argument has a value that it cannot have.
    pub fn build(&self) -> Result<Model> {
        Architecture::build(self)
    }
}

impl Default for LeNet5 {
    fn default() -> LeNet5 {
        LeNet5::new()
    }
}

impl Architecture for LeNet5 {
    fn check(&self) -> Result<()> {
        let least = match self.padding.resolve()? {
            Padding::Same => 12,
            Padding::Valid => 16,
            Padding::Causal => {
                let expected = "`same` or `valid`";
                return Err(Error::argument("lenet5", "padding", expected, "`causal`"));
            }
        };
        self.options.check("lenet5", least)
    }

    fn build(&self) -> Result<Model> {
        self.check()?;
        let options = &self.options;
        let input = Symbol::input(Input::new(options.input_shape));
        let convolution = |filters| {
            let layer = options.convolution(options.filters(filters), 5);
            layer.activation("tanh")
        };
        let pooling = || AveragePooling2D::new(2);
        let first = convolution(6).padding(self.padding.clone());
        let x = pooling().apply(first.apply(&input));
        let x = pooling().apply(convolution(16).apply(x));
        let output = match options.include_top {
            false => options.pooled(x)?,
            true => {
                let mut x = Flatten::new().apply(x);
                for (units, name) in [(120, "dropout"), (84, "dropout_1")] {
                    let layer = options.dense(options.filters(units)).activation("tanh");
                    x = options.dropped(layer.apply(x), name);
                }
                options.classified(x)
            }
        };
        let mut model = Model::new(input, output)?;
        model.set_name("lenet5");
        Ok(model)
    }

    fn config(&self) -> Result<Config> {
        let mut config = self.options.config()?;
        let padding = self.padding.resolve()?.name();
        config.insert("padding".to_owned(), padding.into());
        Ok(config)
    }
}
