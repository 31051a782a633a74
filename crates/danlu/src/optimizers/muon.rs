//! Muon.

use danlu_graph::Value;

use super::options::{
    check_patterns, found, optional, own_arguments, shared_arguments, take_texts,
};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, adam, check_decay,
    check_finite, check_rate,
};
use crate::{Arguments, Config, Error, Result, config};

/// Muon (Jordan and others 2024) as Keras computes it. A parameter of two axes, unless excluded, steps along its momentum
/// made nearly orthogonal by Newton-Schulz iterations: `m = momentum m + g`, `x = g + momentum m` (or `m` without Nesterov),
/// `x = x / (|x| + 1e-7)`, then `ns_steps` times `a = x x^T`, `x = muon_a x + (muon_b a + muon_c a^2) x`;
/// `w -= lr x sqrt(max(rows, columns)) rms_rate`. Other parameters take AdamW's step.
#[derive(Clone, Debug)]
pub struct Muon {
    options: Options,
    adam_beta_1: f64,
    adam_beta_2: f64,
    epsilon: f64,
    exclude_layers: Vec<String>,
    muon_a: f64,
    muon_b: f64,
    muon_c: f64,
    adam_lr_ratio: f64,
    momentum: f64,
    ns_steps: usize,
    nesterov: bool,
    exclude_embeddings: bool,
    adam_weight_decay: Option<f64>,
    rms_rate: Option<f64>,
}

impl Muon {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Muon {
        Muon {
            options: Options {
                weight_decay: Some(0.004),
                ..Options::new(learning_rate)
            },
            adam_beta_1: 0.9,
            adam_beta_2: 0.999,
            epsilon: 1e-7,
            exclude_layers: Vec::new(),
            muon_a: 3.4445,
            muon_b: -4.775,
            muon_c: 2.0315,
            adam_lr_ratio: 1.0,
            momentum: 0.95,
            ns_steps: 5,
            nesterov: true,
            exclude_embeddings: true,
            adam_weight_decay: Some(0.004),
            rms_rate: Some(0.2),
        }
    }
}

shared_arguments!(Muon);

own_arguments!(Muon {
    /// `beta_1` of AdamW. Default 0.9.
    adam_beta_1: f64,
    /// `beta_2` of AdamW. Default 0.999.
    adam_beta_2: f64,
    /// `epsilon` of AdamW. Default 1e-7.
    epsilon: f64,
    /// Regular expressions; parameters in whose name (`dense/kernel`) one of them is found take AdamW's step. Default none.
    exclude_layers: Vec<String>,
    /// The polynomial's first coefficient. Default 3.4445.
    muon_a: f64,
    /// The polynomial's second coefficient. Default -4.775.
    muon_b: f64,
    /// The polynomial's third coefficient. Default 2.0315.
    muon_c: f64,
    /// What the learning rate is multiplied by for AdamW. Default 1.
    adam_lr_ratio: f64,
    /// From 0 up to, without, 1. Default 0.95.
    momentum: f64,
    /// Newton-Schulz iterations. Default 5.
    ns_steps: usize,
    /// Whether the momentum looks ahead. Default `true`.
    nesterov: bool,
    /// Whether parameters with "embedding" in their name take AdamW's step. Default `true`.
    exclude_embeddings: bool,
    /// The weight decay of AdamW. Default 0.004.
    adam_weight_decay: Option<f64>,
    /// How large steps are beside AdamW's; `None` leaves them as they come. Default 0.2.
    rms_rate: Option<f64>,
});

impl Default for Muon {
    /// A learning rate of 0.001.
    fn default() -> Muon {
        Muon::new(0.001)
    }
}

impl Optimizer for Muon {
    fn class_name(&self) -> &str {
        "Muon"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Muon> {
        let default = Muon::default();
        Ok(Muon {
            options: default.options.take(arguments)?,
            adam_beta_1: arguments
                .number("adam_beta_1")?
                .unwrap_or(default.adam_beta_1),
            adam_beta_2: arguments
                .number("adam_beta_2")?
                .unwrap_or(default.adam_beta_2),
            epsilon: arguments.number("epsilon")?.unwrap_or(default.epsilon),
            exclude_layers: take_texts(arguments, "exclude_layers")?
                .unwrap_or(default.exclude_layers),
            muon_a: arguments.number("muon_a")?.unwrap_or(default.muon_a),
            muon_b: arguments.number("muon_b")?.unwrap_or(default.muon_b),
            muon_c: arguments.number("muon_c")?.unwrap_or(default.muon_c),
            adam_lr_ratio: arguments
                .number("adam_lr_ratio")?
                .unwrap_or(default.adam_lr_ratio),
            momentum: arguments.number("momentum")?.unwrap_or(default.momentum),
            ns_steps: arguments.positive("ns_steps")?.unwrap_or(default.ns_steps),
            nesterov: arguments.boolean("nesterov")?.unwrap_or(default.nesterov),
            exclude_embeddings: arguments
                .boolean("exclude_embeddings")?
                .unwrap_or(default.exclude_embeddings),
            adam_weight_decay: optional(arguments, "adam_weight_decay", default.adam_weight_decay)?,
            rms_rate: optional(arguments, "rms_rate", default.rms_rate)?,
        })
    }
    fn config(&self) -> Config {
        config! {
            "adam_beta_1": self.adam_beta_1,
            "adam_beta_2": self.adam_beta_2,
            "epsilon": self.epsilon,
            "exclude_layers": self.exclude_layers,
            "muon_a": self.muon_a,
            "muon_b": self.muon_b,
            "muon_c": self.muon_c,
            "adam_lr_ratio": self.adam_lr_ratio,
            "momentum": self.momentum,
            "ns_steps": self.ns_steps,
            "nesterov": self.nesterov,
            "exclude_embeddings": self.exclude_embeddings,
            "adam_weight_decay": self.adam_weight_decay,
            "rms_rate": self.rms_rate,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        let mut slots = vec![Slot::new("momentum", &parameter.shape)];
        if self.takes_adamw(parameter) {
            slots.push(Slot::new("velocity", &parameter.shape));
        }
        slots
    }
    fn weight_decay(&self, parameter: &Trained) -> Option<f64> {
        match self.takes_adamw(parameter) {
            true => self.adam_weight_decay,
            false => self.options.weight_decay,
        }
    }
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let [rows, columns] = match parameter.described.shape.as_slice() {
            [rows, columns] if !self.takes_adamw(&parameter.described) => [*rows, *columns],
            _ => {
                let rate = parameter
                    .learning_rate
                    .multiply_scalar(self.adam_lr_ratio)?;
                let parameter = Parameter {
                    learning_rate: rate,
                    ..parameter.clone()
                };
                let betas = [self.adam_beta_1, self.adam_beta_2];
                return adam::update(step, &parameter, betas, self.epsilon, false);
            }
        };
        let (old, gradient) = (&parameter.slots[0], &parameter.gradient);
        let change = gradient.add(&old.multiply_scalar(self.momentum - 1.0)?)?;
        let momentum = old.add(&change)?.flush_tiny()?;
        let ahead = match self.nesterov {
            true => gradient.add(&momentum.multiply_scalar(self.momentum)?)?,
            false => momentum.clone(),
        };
        let direction = self.orthogonal(&ahead, rows > columns)?;
        let mut change = direction.multiply(&parameter.learning_rate)?;
        if let Some(rate) = self.rms_rate {
            let size = (rows.max(columns) as f32).sqrt();
            change = change
                .multiply_scalar(f64::from(size))?
                .multiply_scalar(rate)?;
        }
        Ok(Update {
            value: parameter.value.subtract(&change)?,
            slots: vec![momentum],
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("Muon")?;
        check_decay("Muon", "adam_beta_1", self.adam_beta_1)?;
        check_decay("Muon", "adam_beta_2", self.adam_beta_2)?;
        check_rate("Muon", "epsilon", self.epsilon)?;
        check_finite("Muon", "muon_a", self.muon_a)?;
        check_finite("Muon", "muon_b", self.muon_b)?;
        check_finite("Muon", "muon_c", self.muon_c)?;
        check_rate("Muon", "adam_lr_ratio", self.adam_lr_ratio)?;
        check_decay("Muon", "momentum", self.momentum)?;
        check_patterns("Muon", "exclude_layers", &self.exclude_layers)?;
        if self.ns_steps == 0 {
            let expected = "a whole number of at least 1";
            return Err(Error::argument("Muon", "ns_steps", expected, 0));
        }
        check_rate(
            "Muon",
            "adam_weight_decay",
            self.adam_weight_decay.unwrap_or(0.0),
        )?;
        check_rate("Muon", "rms_rate", self.rms_rate.unwrap_or(0.0))
    }
}

impl Muon {
    fn takes_adamw(&self, parameter: &Trained) -> bool {
        let name = &parameter.name;
        parameter.shape.len() != 2
            || (self.exclude_embeddings && name.to_lowercase().contains("embedding"))
            || found(&self.exclude_layers, name)
    }

    /// A matrix with nearly the same singular vectors, whose singular values are near 1. The products are made of the
    /// shorter side.
    fn orthogonal(&self, matrix: &Value, tall: bool) -> Result<Value> {
        let mut x = match tall {
            true => matrix.transpose(&[1, 0])?,
            false => matrix.clone(),
        };
        let norm = x.square()?.sum_all()?.sqrt()?;
        x = x.divide(&norm.add_scalar(1e-7)?)?;
        for _ in 0..self.ns_steps {
            let a = x.matmul_with(&x, false, true)?;
            let square = a.multiply_scalar(self.muon_c)?.matmul(&a)?;
            let b = a.multiply_scalar(self.muon_b)?.add(&square)?;
            x = x.multiply_scalar(self.muon_a)?.add(&b.matmul(&x)?)?;
        }
        Ok(match tall {
            true => x.transpose(&[1, 0])?,
            false => x,
        })
    }
}
