//! What a parameter can have beside its shape: an initializer, a regularizer and a constraint, as Keras' layers take them
//! under names such as `kernel_initializer`, `kernel_regularizer` and `kernel_constraint`.

use serde_json::Value;

use super::dense::take_initializer;
use crate::choice::Choice;
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Arguments, Config, Error, Result};

/// How a parameter begins, what is added to the loss for it, and what it is brought to after each step.
///
/// A layer keeps one for each of its parameters, reads it with [`take`](Self::take), writes it with
/// [`write`](Self::write), and declares the parameter with
/// [`BuildContext::parameter_with`](super::BuildContext::parameter_with).
#[derive(Clone, Debug)]
pub struct ParameterOptions {
    pub(super) initializer: Choice<Initializer>,
    pub(super) regularizer: Option<Choice<Regularizer>>,
    pub(super) constraint: Option<Choice<Constraint>>,
}

impl ParameterOptions {
    /// This initializer, by name or value, and nothing else.
    pub fn new(initializer: impl Into<Choice<Initializer>>) -> ParameterOptions {
        ParameterOptions {
            initializer: initializer.into(),
            regularizer: None,
            constraint: None,
        }
    }

    /// How the parameter begins.
    #[must_use]
    pub fn initializer(mut self, initializer: impl Into<Choice<Initializer>>) -> Self {
        self.initializer = initializer.into();
        self
    }

    /// What is added to the loss for the parameter.
    #[must_use]
    pub fn regularizer(mut self, regularizer: impl Into<Choice<Regularizer>>) -> Self {
        self.regularizer = Some(regularizer.into());
        self
    }

    /// What the parameter is brought to after each step.
    #[must_use]
    pub fn constraint(mut self, constraint: impl Into<Choice<Constraint>>) -> Self {
        self.constraint = Some(constraint.into());
        self
    }

    /// Takes `<name>_initializer`, `<name>_regularizer` and `<name>_constraint`; what is not given stays as it is.
    ///
    /// # Errors
    /// One stands for nothing, or has an argument that it cannot have.
    pub fn take(&mut self, arguments: &mut Arguments, name: &str) -> Result<()> {
        let argument = format!("{name}_initializer");
        take_initializer(arguments, &argument, &mut self.initializer)?;
        let argument = format!("{name}_regularizer");
        if let Some(value) = arguments.take(&argument) {
            let regularizer = Regularizer::from_json(arguments, &argument, &value)?;
            self.regularizer = Some(Choice::Value(regularizer));
        }
        let argument = format!("{name}_constraint");
        if let Some(value) = arguments.take(&argument) {
            let constraint = Constraint::from_json(arguments, &argument, &value)?;
            self.constraint = Some(Choice::Value(constraint));
        }
        Ok(())
    }

    /// As [`take`](Self::take), where the layer has the parameter. Where it has none, what a file says of it acts on nothing,
    /// as in Keras, and is passed over.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn take_where(
        &mut self,
        present: bool,
        arguments: &mut Arguments,
        name: &str,
    ) -> Result<()> {
        self.take(arguments, name)?;
        if !present && arguments.is_from_file() {
            (self.regularizer, self.constraint) = (None, None);
        }
        Ok(())
    }

    /// Writes the arguments of these parameters into a layer's config, in Keras' order: initializers, regularizers,
    /// constraints.
    pub fn write<const N: usize>(config: &mut Config, parameters: [(&str, &ParameterOptions); N]) {
        for (name, options) in parameters {
            let initializer = options.initializer.to_json();
            config.insert(format!("{name}_initializer"), initializer);
        }
        for (name, options) in parameters {
            let regularizer = options
                .regularizer
                .as_ref()
                .map(Choice::<Regularizer>::to_json);
            config.insert(
                format!("{name}_regularizer"),
                regularizer.unwrap_or(Value::Null),
            );
        }
        for (name, options) in parameters {
            let constraint = options
                .constraint
                .as_ref()
                .map(Choice::<Constraint>::to_json);
            config.insert(
                format!("{name}_constraint"),
                constraint.unwrap_or(Value::Null),
            );
        }
    }

    /// Fails where a parameter that the layer does not have, since `argument` is false, has a regularizer or a constraint.
    ///
    /// # Errors
    /// It has one.
    pub fn refuse_unused(&self, layer: &str, name: &str, argument: &str) -> Result<()> {
        let (part, given) = match (&self.regularizer, &self.constraint) {
            (None, None) => return Ok(()),
            (Some(_), _) => ("regularizer", "a regularizer of nothing"),
            (None, Some(_)) => ("constraint", "a constraint on nothing"),
        };
        let expected = format!("left out where `{argument}` is false");
        Err(Error::argument(
            layer,
            format!("{name}_{part}"),
            expected,
            given,
        ))
    }
}

/// The methods of a layer that set the [`ParameterOptions`] in one of its fields.
macro_rules! parameter_methods {
    ($($what:literal, $default:literal: $($field:ident).+, $initializer:ident, $regularizer:ident, $constraint:ident;)*) => {
        $(
            #[doc = concat!("How the ", $what, " begins, by name or value. Default `", $default, "`.")]
            #[must_use]
            pub fn $initializer(
                mut self,
                initializer: impl Into<$crate::choice::Choice<$crate::initializers::Initializer>>,
            ) -> Self {
                self.$($field).+ = self.$($field).+.initializer(initializer);
                self
            }

            #[doc = concat!("What is added to the loss for the ", $what, ", by name or value. Default nothing.")]
            #[must_use]
            pub fn $regularizer(
                mut self,
                regularizer: impl Into<$crate::choice::Choice<$crate::regularizers::Regularizer>>,
            ) -> Self {
                self.$($field).+ = self.$($field).+.regularizer(regularizer);
                self
            }

            #[doc = concat!("What the ", $what, " is brought to after each step, by name or value. Default nothing.")]
            #[must_use]
            pub fn $constraint(
                mut self,
                constraint: impl Into<$crate::choice::Choice<$crate::constraints::Constraint>>,
            ) -> Self {
                self.$($field).+ = self.$($field).+.constraint(constraint);
                self
            }
        )*
    };
}
pub(super) use parameter_methods;
