//! What every architecture for pictures takes, and the layers that come of it.

use danlu::choice::{Choice, FromName};
use danlu::prelude::*;
use danlu::{Arguments, Config, Error, Result, config};

/// More than this many times the paper's filters is a mistake.
const WIDEST: f64 = 64.0;

/// What makes one vector of the last pictures of channels, in a model without its classifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GlobalPooling {
    /// Nothing: the output is the last layer's, `(batch, height, width, channels)`.
    #[default]
    None,
    /// The mean of each channel.
    Average,
    /// The largest of each channel.
    Max,
}

impl GlobalPooling {
    /// Keras' name for it.
    pub const fn name(self) -> &'static str {
        match self {
            GlobalPooling::None => "none",
            GlobalPooling::Average => "avg",
            GlobalPooling::Max => "max",
        }
    }
}

impl FromName for GlobalPooling {
    fn from_name(name: &str) -> Result<GlobalPooling> {
        let all = [
            GlobalPooling::None,
            GlobalPooling::Average,
            GlobalPooling::Max,
        ];
        all.into_iter()
            .find(|pooling| pooling.name() == name)
            .ok_or_else(|| Error::unknown("pooling", name, all.map(GlobalPooling::name)))
    }
}

impl From<GlobalPooling> for Choice<GlobalPooling> {
    fn from(pooling: GlobalPooling) -> Choice<GlobalPooling> {
        Choice::Value(pooling)
    }
}

/// The arguments that all architectures share.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub input_shape: [usize; 3],
    pub classes: usize,
    pub include_top: bool,
    pub classifier_activation: Choice<Activation>,
    pub pooling: Choice<GlobalPooling>,
    pub dropout: f64,
    pub width: f64,
    pub weight_decay: f64,
    pub kernel_initializer: Choice<Initializer>,
}

impl Options {
    pub fn new(input_shape: [usize; 3], classes: usize, kernel_initializer: &str) -> Options {
        Options {
            input_shape,
            classes,
            include_top: true,
            classifier_activation: "softmax".into(),
            pooling: GlobalPooling::None.into(),
            dropout: 0.0,
            width: 1.0,
            weight_decay: 0.0,
            kernel_initializer: kernel_initializer.into(),
        }
    }

    /// Takes what is given by name; the rest stays as it is.
    pub fn take(&mut self, arguments: &mut Arguments) -> Result<()> {
        if let Some(sizes) = arguments.integers("input_shape")? {
            let size = |size: &i64| usize::try_from(*size).ok().filter(|&size| size > 0);
            let shape: Option<Vec<usize>> = sizes.iter().map(size).collect();
            let shape = shape.and_then(|shape| shape.try_into().ok());
            self.input_shape = shape.ok_or_else(|| {
                let expected = "three whole numbers of at least 1: height, width, channels";
                let received = format!("{sizes:?}");
                Error::argument(arguments.owner(), "input_shape", expected, received)
            })?;
        }
        if let Some(classes) = arguments.positive("classes")? {
            self.classes = classes;
        }
        if let Some(include_top) = arguments.boolean("include_top")? {
            self.include_top = include_top;
        }
        if let Some(name) = arguments.string("classifier_activation")? {
            self.classifier_activation = name.into();
        }
        if let Some(name) = arguments.string("pooling")? {
            self.pooling = name.into();
        }
        for (name, value) in [
            ("dropout", &mut self.dropout),
            ("width", &mut self.width),
            ("weight_decay", &mut self.weight_decay),
        ] {
            if let Some(number) = arguments.number(name)? {
                *value = number;
            }
        }
        if let Some(name) = arguments.string("kernel_initializer")? {
            self.kernel_initializer = name.into();
        }
        Ok(())
    }

    /// Writes what [`take`](Self::take) takes, which is names: a value without one is `null`.
    pub fn config(&self) -> Result<Config> {
        Ok(config! {
            "input_shape": self.input_shape,
            "classes": self.classes,
            "include_top": self.include_top,
            "classifier_activation": named(&self.classifier_activation),
            "pooling": self.pooling.resolve()?.name(),
            "dropout": self.dropout,
            "width": self.width,
            "weight_decay": self.weight_decay,
            "kernel_initializer": named(&self.kernel_initializer),
        })
    }

    /// Fails where an argument has a value that it cannot have, or pictures are lower or narrower than `least`.
    pub fn check(&self, owner: &str, least: usize) -> Result<()> {
        let wrong = |argument: &str, expected: &str, received: String| {
            Err(Error::argument(owner, argument, expected, received))
        };
        let [height, width, channels] = self.input_shape;
        if height < least || width < least || channels == 0 {
            let expected = format!(
                "(height, width, channels) of at least ({least}, {least}, 1), which the poolings and strides need"
            );
            return wrong("input_shape", &expected, format!("{:?}", self.input_shape));
        }
        if self.classes == 0 {
            return wrong("classes", "at least 1", "0".to_owned());
        }
        if !(self.width > 0.0 && self.width <= WIDEST) {
            let expected = format!("above 0 and at most {WIDEST}");
            return wrong("width", &expected, self.width.to_string());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let expected = "from 0 up to, without, 1";
            return wrong("dropout", expected, self.dropout.to_string());
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            let expected = "a number of at least 0";
            return wrong("weight_decay", expected, self.weight_decay.to_string());
        }
        let pooling = self.pooling.resolve()?;
        if self.include_top && pooling != GlobalPooling::None {
            let expected = "left out where `include_top` is true";
            return wrong("pooling", expected, pooling.name().to_owned());
        }
        self.kernel_initializer.resolve()?;
        self.classifier_activation.resolve().map(drop)
    }

    /// The paper's number of filters or units times `width`, at least 1.
    pub fn filters(&self, count: usize) -> usize {
        ((count as f64 * self.width).round() as usize).max(1)
    }

    /// A convolution of this many filters.
    pub fn convolution(&self, filters: usize, kernel_size: usize) -> Conv2D {
        let layer =
            Conv2D::new(filters, kernel_size).kernel_initializer(self.kernel_initializer.clone());
        match self.weight_decay {
            0.0 => layer,
            decay => layer.kernel_regularizer(L2::new(decay / 2.0)),
        }
    }

    /// A dense layer of this many units.
    pub fn dense(&self, units: usize) -> Dense {
        let layer = Dense::new(units).kernel_initializer(self.kernel_initializer.clone());
        match self.weight_decay {
            0.0 => layer,
            decay => layer.kernel_regularizer(L2::new(decay / 2.0)),
        }
    }

    /// Dropout, where there is any.
    pub fn dropped(&self, x: Symbol, name: &str) -> Symbol {
        match self.dropout {
            0.0 => x,
            rate => Dropout::new(rate).name(name).apply(x),
        }
    }

    /// The last layer: one number for each class, through the classifier's activation.
    pub fn classified(&self, x: Symbol) -> Symbol {
        let layer = self.dense(self.classes);
        let layer = layer.activation(self.classifier_activation.clone());
        layer.name("predictions").apply(x)
    }

    /// The end of a residual network: the mean of each channel, then the classifier; without it, the pooling.
    pub fn averaged_and_classified(&self, x: Symbol) -> Result<Symbol> {
        if !self.include_top {
            return self.pooled(x);
        }
        let x = GlobalAveragePooling2D::new().name("avg_pool").apply(x);
        Ok(self.classified(self.dropped(x, "dropout")))
    }

    /// The end of a network without its classifier.
    pub fn pooled(&self, x: Symbol) -> Result<Symbol> {
        Ok(match self.pooling.resolve()? {
            GlobalPooling::None => x,
            GlobalPooling::Average => GlobalAveragePooling2D::new().name("avg_pool").apply(x),
            GlobalPooling::Max => GlobalMaxPooling2D::new().name("max_pool").apply(x),
        })
    }
}

/// The name, where the choice is one.
fn named<T>(choice: &Choice<T>) -> Option<&str> {
    match choice {
        Choice::Name(name) => Some(name),
        Choice::Value(_) => None,
    }
}

/// The methods of an architecture that set its [`Options`].
macro_rules! options_methods {
    () => {
        /// Height, width and channels of a picture.
        #[must_use]
        pub fn input_shape(mut self, input_shape: [usize; 3]) -> Self {
            self.options.input_shape = input_shape;
            self
        }

        /// The number of classes, which is that of the last layer's units.
        #[must_use]
        pub fn classes(mut self, classes: usize) -> Self {
            self.options.classes = classes;
            self
        }

        /// Whether the model ends in its classifier; otherwise it ends before it, as what other models begin with. Default `true`.
        #[must_use]
        pub fn include_top(mut self, include_top: bool) -> Self {
            self.options.include_top = include_top;
            self
        }

        /// The classifier's activation, by name or value; `linear` leaves the logits. Default `softmax`.
        #[must_use]
        pub fn classifier_activation(
            mut self,
            activation: impl Into<danlu::choice::Choice<danlu::activations::Activation>>,
        ) -> Self {
            self.options.classifier_activation = activation.into();
            self
        }

        /// What makes one vector of the last pictures of channels, where the model has no classifier: `none` (default), `avg` or
        /// `max`.
        #[must_use]
        pub fn pooling(
            mut self,
            pooling: impl Into<danlu::choice::Choice<$crate::GlobalPooling>>,
        ) -> Self {
            self.options.pooling = pooling.into();
            self
        }

        /// The share of elements that training sets to 0 before each dense layer of the classifier that follows another layer's
        /// activation. Default 0: there is no such layer.
        #[must_use]
        pub fn dropout(mut self, rate: f64) -> Self {
            self.options.dropout = rate;
            self
        }

        /// By how much the paper's numbers of filters and hidden units are multiplied, above 0. Default 1.
        #[must_use]
        pub fn width(mut self, width: f64) -> Self {
            self.options.width = width;
            self
        }

        /// As papers mean it: half of this times the sum of the squares of all kernels is added to the loss, so that their
        /// gradient is this times the kernel. Default 0.
        #[must_use]
        pub fn weight_decay(mut self, weight_decay: f64) -> Self {
            self.options.weight_decay = weight_decay;
            self
        }

        /// How the kernels of convolutions and dense layers begin, by name or value.
        #[must_use]
        pub fn kernel_initializer(
            mut self,
            initializer: impl Into<danlu::choice::Choice<danlu::initializers::Initializer>>,
        ) -> Self {
            self.options.kernel_initializer = initializer.into();
            self
        }
    };
}
pub(crate) use options_methods;
