//! What follows a normalization: a factor `gamma` and an offset `beta` that are learned.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, ParameterOptions};
use crate::optimizers::check_rate;
use crate::{Arguments, Config, Result};

/// `gamma` where `scale`, `beta` where `center`, and the number that keeps the normalization from dividing by 0.
#[derive(Clone, Debug)]
pub(super) struct Affine {
    pub epsilon: f64,
    pub center: bool,
    pub scale: bool,
    pub gamma: ParameterOptions,
    pub beta: ParameterOptions,
}

impl Affine {
    pub fn new() -> Affine {
        Affine {
            epsilon: 1e-3,
            center: true,
            scale: true,
            gamma: ParameterOptions::new("ones"),
            beta: ParameterOptions::new("zeros"),
        }
    }

    /// Declares `gamma` and `beta` of this shape.
    pub fn build(&self, layer: &str, context: &mut BuildContext, shape: &[usize]) -> Result<()> {
        check_rate(layer, "epsilon", self.epsilon)?;
        match self.scale {
            true => context.parameter_with("gamma", shape, &self.gamma)?,
            false => self.gamma.refuse_unused(layer, "gamma", "scale")?,
        }
        match self.center {
            true => context.parameter_with("beta", shape, &self.beta),
            false => self.beta.refuse_unused(layer, "beta", "center"),
        }
    }

    /// `1 / sqrt(variance + epsilon)`.
    pub fn inverse_deviation(&self, variance: &Value) -> Result<Value> {
        Ok(variance.add_scalar(self.epsilon)?.sqrt()?.reciprocal()?)
    }

    /// `(x - mean) / sqrt(variance + epsilon) gamma + beta`, with mean and variance over these axes of `x`; gamma and beta are
    /// brought to the shape `spread`.
    pub fn normalize(
        &self,
        context: &CallContext,
        x: &Value,
        axes: &[isize],
        spread: &Shape,
    ) -> Result<Value> {
        let centered = x.subtract(&x.mean(axes, true)?)?;
        let variance = centered.square()?.mean(axes, true)?;
        let mut y = centered.multiply(&self.inverse_deviation(&variance)?)?;
        if self.scale {
            y = y.multiply(&context.parameter("gamma")?.reshape(spread)?)?;
        }
        if self.center {
            y = y.add(&context.parameter("beta")?.reshape(spread)?)?;
        }
        Ok(y)
    }

    /// Takes `epsilon`, `center`, `scale` and the arguments of gamma and beta.
    pub fn take(&mut self, arguments: &mut Arguments) -> Result<()> {
        if let Some(epsilon) = arguments.number("epsilon")? {
            self.epsilon = epsilon;
        }
        self.center = arguments.boolean("center")?.unwrap_or(true);
        self.scale = arguments.boolean("scale")?.unwrap_or(true);
        self.gamma.take_where(self.scale, arguments, "gamma")?;
        self.beta.take_where(self.center, arguments, "beta")
    }

    /// Writes what [`take`](Self::take) takes.
    pub fn write(&self, config: &mut Config) {
        config.insert("epsilon".to_owned(), self.epsilon.into());
        config.insert("center".to_owned(), self.center.into());
        config.insert("scale".to_owned(), self.scale.into());
        ParameterOptions::write(config, [("beta", &self.beta), ("gamma", &self.gamma)]);
    }
}

/// The methods of a layer that set its [`Affine`].
macro_rules! affine_methods {
    () => {
        /// What is added to the variance. Default 0.001.
        #[must_use]
        pub fn epsilon(mut self, epsilon: f64) -> Self {
            self.affine.epsilon = epsilon;
            self
        }

        /// Whether `beta` is added. Default `true`.
        #[must_use]
        pub fn center(mut self, center: bool) -> Self {
            self.affine.center = center;
            self
        }

        /// Whether the result is multiplied by `gamma`. Default `true`.
        #[must_use]
        pub fn scale(mut self, scale: bool) -> Self {
            self.affine.scale = scale;
            self
        }

        parameter_methods! {
            "factor `gamma`", "ones": affine.gamma, gamma_initializer, gamma_regularizer, gamma_constraint;
            "offset `beta`", "zeros": affine.beta, beta_initializer, beta_regularizer, beta_constraint;
        }
    };
}
pub(super) use affine_methods;
