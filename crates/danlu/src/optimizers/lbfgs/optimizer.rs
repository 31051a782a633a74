//! L-BFGS as an optimizer that models are compiled with.

use crate::config::Arguments;
use crate::optimizers::{Clipping, Optimizer, Options, Parameter, Slot, Step, Trained, Update};
use crate::{Config, Error, Result, config};

use super::{Choice, LBFGS, LineSearch};

impl Optimizer for LBFGS {
    fn class_name(&self) -> &str {
        "LBFGS"
    }

    fn from_config(arguments: &mut Arguments) -> Result<LBFGS> {
        let default = LBFGS::new();
        let number = |given: Option<f64>, default| given.unwrap_or(default);
        let search = arguments.string("line_search_fn")?;
        Ok(LBFGS {
            options: default.options.take(arguments)?,
            max_iter: arguments.positive("max_iter")?.unwrap_or(default.max_iter),
            max_eval: arguments.positive("max_eval")?,
            tolerance_grad: number(arguments.number("tolerance_grad")?, default.tolerance_grad),
            tolerance_change: number(
                arguments.number("tolerance_change")?,
                default.tolerance_change,
            ),
            history_size: arguments
                .positive("history_size")?
                .unwrap_or(default.history_size),
            line_search_fn: search.map(Choice::Name),
            memory: default.memory,
        })
    }

    fn config(&self) -> Config {
        let search = self.line_search_fn.as_ref().map(|search| match search {
            Choice::Value(LineSearch::StrongWolfe) => "strong_wolfe",
            Choice::Name(name) => name,
        });
        config! {
            "max_iter": self.max_iter,
            "max_eval": self.max_eval,
            "tolerance_grad": self.tolerance_grad,
            "tolerance_change": self.tolerance_change,
            "history_size": self.history_size,
            "line_search_fn": search,
        }
    }

    fn options(&self) -> &Options {
        &self.options
    }

    /// None: what it keeps has no fixed size, and stands in the optimizer itself.
    fn slots(&self, _parameter: &Trained) -> Vec<Slot> {
        Vec::new()
    }

    /// There is no such step: it asks for loss and gradient as often as it needs them.
    fn update(&self, _step: &Step, _parameter: &Parameter) -> Result<Update> {
        let feature = "a step that is given its gradient";
        let advice = "LBFGS asks for loss and gradient several times in a step: compile the model with it and use fit, or call \
                      LBFGS::minimize with a function; for steps of your own take another optimizer";
        Err(Error::unsupported("LBFGS", feature, advice))
    }

    fn check(&self) -> Result<()> {
        let options = &self.options;
        for (argument, given) in [
            (
                "`clipnorm`, `global_clipnorm` or `clipvalue`",
                options.clipping != Clipping::None,
            ),
            ("`weight_decay`", options.weight_decay.is_some()),
            (
                "`exclude_from_weight_decay`",
                !options.exclude_from_weight_decay.is_empty(),
            ),
            ("`use_ema`", options.use_ema),
            ("`loss_scale_factor`", options.loss_scale_factor.is_some()),
            (
                "`gradient_accumulation_steps`",
                options.gradient_accumulation_steps.is_some(),
            ),
            (
                "`learning_rate_multipliers`",
                !options.learning_rate_multipliers.is_empty(),
            ),
        ] {
            if given {
                let advice = match argument {
                    "`weight_decay`" => "leave it out, or use a kernel_regularizer",
                    "`gradient_accumulation_steps`" => "leave it out, and take larger batches",
                    _ => "leave it out: its line goes by the gradient of the whole loss as it is",
                };
                return Err(Error::unsupported("LBFGS", argument, advice));
            }
        }
        self.check_arguments()
    }
}
