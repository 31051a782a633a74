//! Adam for tables of which a step reads few rows.

use danlu_graph::{DType, Dim, Shape, Value};

use super::options::{own_arguments, shared_arguments};
use super::{
    Clipping, LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_decay,
};
use crate::{Arguments, Config, Error, Result, config};

/// Adam that, of a table such as that of an [`Embedding`](crate::layers::Embedding), changes only the rows that were read in the
/// step, and their means: the rest neither moves nor decays, and costs no time. As PyTorch's `torch.optim.SparseAdam` computes it: the
/// gradients of a row that was read several times are added first; then
/// `m += (g - m) (1 - b1)`, `v += (g^2 - v) (1 - b2)`, `w -= m alpha / (sqrt(v) + epsilon)` with
/// `alpha = lr sqrt(1 - b2^t) / (1 - b1^t)`, `t` counting all steps. Every row of other parameters, such as those of `Dense`
/// layers (which PyTorch refuses), counts as read. Keras has no such optimizer: it reads a model that was compiled
/// with it only with `compile=False`.
#[derive(Clone, Debug)]
pub struct SparseAdam {
    options: Options,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

shared_arguments!(SparseAdam);

own_arguments!(SparseAdam {
    /// The decay of the gradient's mean. Default 0.9.
    beta_1: f64,
    /// The decay of the squared gradient's mean. Default 0.999.
    beta_2: f64,
    /// What is added to the square root. Default 1e-8.
    epsilon: f64,
});

impl SparseAdam {
    /// With this learning rate and PyTorch's other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> SparseAdam {
        SparseAdam {
            options: Options::new(learning_rate),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        }
    }

    /// `lr sqrt(1 - b2^t) / (1 - b1^t)`.
    fn alpha(&self, step: &Step, learning_rate: &Value) -> Result<Value> {
        let graph = step.iteration.graph();
        let t = step.iteration.add_scalar(1.0)?.cast(DType::F32)?;
        let one_minus_power = |beta: f64| -> Result<Value> {
            let power = graph.scalar(beta, DType::F32)?.power(&t)?;
            Ok(graph.scalar(1.0, DType::F32)?.subtract(&power)?)
        };
        let correction = one_minus_power(self.beta_2)?.sqrt()?;
        let scaled = learning_rate.multiply(&correction)?;
        Ok(scaled.divide(&one_minus_power(self.beta_1)?)?)
    }

    /// What is added to the parameter and to its two means, from their old values.
    fn changes(&self, alpha: &Value, gradient: &Value, [m, v]: [&Value; 2]) -> Result<[Value; 3]> {
        let change = |old: &Value, new: &Value, beta: f64| -> Result<Value> {
            Ok(new.subtract(old)?.multiply_scalar(1.0 - beta)?)
        };
        let of_m = change(m, gradient, self.beta_1)?;
        let of_v = change(v, &gradient.square()?, self.beta_2)?;
        let divisor = v.add(&of_v)?.sqrt()?.add_scalar(self.epsilon)?;
        let direction = m.add(&of_m)?.divide(&divisor)?;
        let of_w = direction.multiply(&alpha.negate()?)?;
        Ok([of_w, of_m, of_v])
    }
}

impl Default for SparseAdam {
    /// A learning rate of 0.001.
    fn default() -> SparseAdam {
        SparseAdam::new(0.001)
    }
}

/// Each row that a gradient names, once, with the sum of what was given for it.
struct Coalesced {
    /// As many as were given; 0 in the places behind the last that is used.
    indices: Value,
    /// The sums, and zeros behind the last that is used.
    rows: Value,
    /// Whether a place is used, of a shape that goes with the rows.
    used: Value,
}

/// Puts the indices in order, numbers the different ones by counting where a new one begins, and adds the rows up under these
/// numbers. `row` is the shape of a row.
fn coalesced(indices: &Value, rows: &Value, row: &[Dim]) -> Result<Coalesced> {
    let graph = indices.graph();
    let count = indices.shape().element_count();
    let line = Shape::new([count.clone()]);
    let rows_shape = Shape::new([&count].into_iter().chain(row).cloned());
    let indices = indices.reshape(&line)?;
    let order = indices.argsort(0, false)?;
    let sorted = indices.gather(&order)?;
    let rows = rows.reshape(&rows_shape)?.gather(&order)?;
    // Whether each differs from the one before it; the first does from itself less 1.
    let place = graph.iota(line.clone(), 0, DType::I32)?;
    let one = graph.scalar(1.0, DType::I32)?;
    let zero = graph.scalar(0.0, DType::I32)?;
    let before = sorted.gather(&place.subtract(&one)?.maximum(&zero)?)?;
    let is_first = place.equal(&zero)?;
    let begins = is_first.logical_or(&sorted.not_equal(&before)?)?;
    let number = begins.cast(DType::I32)?.cumulative_sum(0, false, false)?;
    let segment = number.subtract(&one)?;
    let nothing = graph.scalar(0.0, sorted.dtype())?;
    let named = begins.select(&sorted, &nothing)?;
    let column = Shape::new([count].into_iter().chain(row.iter().map(|_| Dim::fixed(1))));
    let last = segment.max(&[0], false)?;
    Ok(Coalesced {
        indices: graph.scattered(&line, &segment, &named)?,
        rows: graph.scattered(&rows_shape, &segment, &rows)?,
        used: place.less_equal(&last)?.reshape(&column)?,
    })
}

impl Optimizer for SparseAdam {
    fn class_name(&self) -> &str {
        "SparseAdam"
    }
    fn from_config(arguments: &mut Arguments) -> Result<SparseAdam> {
        let default = SparseAdam::default();
        Ok(SparseAdam {
            options: default.options.take(arguments)?,
            beta_1: arguments.number("beta_1")?.unwrap_or(default.beta_1),
            beta_2: arguments.number("beta_2")?.unwrap_or(default.beta_2),
            epsilon: arguments.number("epsilon")?.unwrap_or(default.epsilon),
        })
    }
    fn config(&self) -> Config {
        config! {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        let slot = |name| Slot::new(name, &parameter.shape);
        vec![slot("momentum"), slot("velocity")]
    }
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let (old_m, old_v) = (&parameter.slots[0], &parameter.slots[1]);
        let shape = parameter.value.shape();
        let alpha = self.alpha(step, &parameter.learning_rate)?;
        let [value, m, v] = match (parameter.gradient.as_scattered(), shape.dims()) {
            (Some((indices, rows)), [_, row @ ..]) => {
                let found = coalesced(&indices, &rows, row)?;
                let m = old_m.gather(&found.indices)?;
                let v = old_v.gather(&found.indices)?;
                let [of_w, of_m, of_v] = self.changes(&alpha, &found.rows, [&m, &v])?;
                let zero = m.graph().scalar(0.0, DType::F32)?;
                let add = |old: &Value, change: &Value| -> Result<Value> {
                    let change = found.used.select(change, &zero)?;
                    Ok(old.scatter_add(&found.indices, &change)?)
                };
                [
                    add(&parameter.value, &of_w)?,
                    add(old_m, &of_m)?,
                    add(old_v, &of_v)?,
                ]
            }
            _ => {
                let [of_w, of_m, of_v] =
                    self.changes(&alpha, &parameter.gradient, [old_m, old_v])?;
                [
                    parameter.value.add(&of_w)?,
                    old_m.add(&of_m)?,
                    old_v.add(&of_v)?,
                ]
            }
        };
        let slots = vec![m, v];
        Ok(Update { value, slots })
    }
    fn check(&self) -> Result<()> {
        self.options.check("SparseAdam")?;
        // All of these touch every row in every step.
        let options = &self.options;
        for (argument, given) in [
            (
                "`clipnorm`, `global_clipnorm` or `clipvalue`",
                options.clipping != Clipping::None,
            ),
            ("`weight_decay`", options.weight_decay.is_some()),
            ("`use_ema`", options.use_ema),
            ("`loss_scale_factor`", options.loss_scale_factor.is_some()),
            (
                "`gradient_accumulation_steps`",
                options.gradient_accumulation_steps.is_some(),
            ),
        ] {
            if given {
                let advice = "leave it out, or use Adam";
                return Err(Error::unsupported("SparseAdam", argument, advice));
            }
        }
        check_decay("SparseAdam", "beta_1", self.beta_1)?;
        check_decay("SparseAdam", "beta_2", self.beta_2)?;
        match self.epsilon.is_finite() && self.epsilon > 0.0 {
            true => Ok(()),
            false => {
                let expected = "a number above 0";
                Err(Error::argument(
                    "SparseAdam",
                    "epsilon",
                    expected,
                    self.epsilon,
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{assert_tensor, list, load, tensor, tensors, text};
    use crate::optimizers;
    use crate::prelude::*;
    use danlu_cpu::{CpuExecutor, CpuOptions};
    use danlu_graph::reference::ReferenceExecutor;
    use danlu_graph::{Bindings, Executor, Graph, Program, gradients};
    use serde_json::{Value as Json, json};

    /// A step whose table has, for the rows that `x` names, the gradients `g`, and whose kernel the gradient `k`.
    fn program(optimizer: &dyn Optimizer, case: &Json) -> Program {
        let graph = Graph::new();
        let step = Step {
            iteration: graph.state("iteration", &[], DType::I64).unwrap(),
            shared: Vec::new(),
        };
        let table = tensor(&case["table"]);
        let table = graph.state("table", table.shape(), DType::F32).unwrap();
        let x = graph.input("x", Shape::batch_of(&[2]), DType::I64).unwrap();
        let width = table.shape().dims()[1].clone();
        let shape = Shape::new([Dim::batch(), Dim::fixed(2), width]);
        let g = graph.input("g", shape, DType::F32).unwrap();
        let sum = table.gather(&x).unwrap().multiply(&g).unwrap();
        let sum = sum.sum_all().unwrap();
        let gradient = gradients(&sum, &[&table]).unwrap().remove(0);
        let one = graph.scalar(1.0, DType::I64).unwrap();
        let mut updates = vec![("iteration".to_owned(), step.iteration.add(&one).unwrap())];
        let shape = table.shape().as_fixed().unwrap();
        let described = Trained {
            name: "table".to_owned(),
            shape,
        };
        let slots = optimizer.slots(&described);
        let states: Vec<Value> = slots
            .iter()
            .map(|slot| graph.state(slot.name, &slot.shape, DType::F32).unwrap())
            .collect();
        let parameter = Parameter {
            described,
            value: table,
            gradient,
            learning_rate: graph.state("rate", &[], DType::F32).unwrap(),
            slots: states,
        };
        let update = optimizer.update(&step, &parameter).unwrap();
        updates.push(("table".to_owned(), update.value));
        let slots = slots.into_iter().map(|slot| slot.name.to_owned());
        updates.extend(slots.zip(update.slots));
        let updates: Vec<(&str, &Value)> = updates.iter().map(|(n, v)| (n.as_str(), v)).collect();
        Program::new(&graph, &[&x, &g], &[], &updates).unwrap()
    }

    #[test]
    fn steps_are_those_of_pytorch() {
        for case in list(&load("sparse_adam"), "cases") {
            let name = text(case, "name");
            let object = json!({ "type": "SparseAdam" });
            let mut object = object.as_object().unwrap().clone();
            object.extend(crate::golden::config(&case["arguments"]));
            let optimizer = optimizers::from_json(&Json::Object(object)).unwrap();
            let program = program(&*optimizer, case);
            let cpu = CpuExecutor::new(CpuOptions::default()).unwrap();
            let executors: [Box<dyn Executor>; 2] =
                [Box::new(ReferenceExecutor::new()), Box::new(cpu)];
            for mut executor in executors {
                let table = tensor(&case["table"]);
                let zeros = Tensor::zeros(table.shape(), DType::F32).unwrap();
                let rate = optimizer.options().learning_rate.at(0).unwrap();
                let rate = Tensor::scalar(rate as f32);
                for (state, value) in [
                    ("iteration", &Tensor::scalar_i64(0)),
                    ("rate", &rate),
                    ("table", &table),
                    ("momentum", &zeros),
                    ("velocity", &zeros),
                ] {
                    executor.create_state(state, value).unwrap();
                }
                for (number, step) in list(case, "steps").iter().enumerate() {
                    let g = tensor(&step["gradients"]);
                    let x = tensor(&step["indices"]);
                    let named = x.to_f64().iter().map(|&x| x as i64).collect();
                    let x = Tensor::from_i64(x.shape(), named).unwrap();
                    let batch = Bindings::batch(x.shape()[0]);
                    let plan = executor.compile(&program, &batch).unwrap();
                    executor.run(plan, &[&x, &g], &mut []).unwrap();
                    let what = format!("{name}, step {number}, {}", executor.describe());
                    for (state, expected) in ["table", "momentum", "velocity"]
                        .into_iter()
                        .zip(tensors(&step["after"]))
                    {
                        let found = executor.read_state(state).unwrap();
                        assert_tensor(&format!("{what}: {state}"), &found, &expected, 1e-5);
                    }
                }
            }
        }
    }

    #[test]
    fn rows_that_no_step_reads_keep_every_bit_and_cost_nothing() {
        let golden = load("sparse_adam");
        let case = &list(&golden, "cases")[0];
        let program = program(&SparseAdam::new(0.1), case);
        let bytes = |rows: usize| -> (usize, u64) {
            let mut executor = CpuExecutor::new(CpuOptions::default()).unwrap();
            let width = tensor(&case["table"]).shape()[1];
            let program = {
                let mut case = case.clone();
                case["table"]["shape"] = json!([rows, width]);
                case["table"]["values"] = json!(vec![0.5; rows * width]);
                self::program(&SparseAdam::new(0.1), &case)
            };
            let zeros = Tensor::zeros(&[rows, width], DType::F32).unwrap();
            for state in ["table", "momentum", "velocity"] {
                executor.create_state(state, &zeros).unwrap();
            }
            executor
                .create_state("iteration", &Tensor::scalar_i64(0))
                .unwrap();
            executor.create_state("rate", &Tensor::scalar(0.1)).unwrap();
            executor.measure(true);
            let plan = executor.compile(&program, &Bindings::batch(3)).unwrap();
            let steps = executor.profile(plan).unwrap().steps;
            let moved = steps.iter().map(|step| step.bytes).sum();
            (executor.arena_bytes(plan).unwrap(), moved)
        };
        assert_eq!(bytes(10), bytes(5000));
        // In the reference: the second step names rows 0 and 1 only.
        let mut executor = ReferenceExecutor::new();
        let start = tensor(&case["table"]);
        let full = Tensor::from_f32(start.shape(), vec![0.25; start.len()]).unwrap();
        executor
            .create_state("iteration", &Tensor::scalar_i64(6))
            .unwrap();
        executor.create_state("rate", &Tensor::scalar(0.1)).unwrap();
        for (state, value) in [("table", &start), ("momentum", &full), ("velocity", &full)] {
            executor.create_state(state, value).unwrap();
        }
        let plan = executor.compile(&program, &Bindings::batch(1)).unwrap();
        let width = start.shape()[1];
        let g = Tensor::from_f32(&[1, 2, width], vec![0.5; 2 * width]).unwrap();
        let x = Tensor::from_i64(&[1, 2], vec![3, 3]).unwrap();
        executor.run(plan, &[&x, &g], &mut []).unwrap();
        for (state, value) in [("table", &start), ("momentum", &full), ("velocity", &full)] {
            let after = executor.read_state(state).unwrap().to_f64();
            for (place, (found, before)) in after.iter().zip(value.to_f64()).enumerate() {
                assert_eq!(*found == before, place / width != 3, "{state} {place}");
            }
        }
    }

    #[test]
    fn a_model_with_dense_layers_learns_with_it() {
        let mut model = Sequential::new();
        model.add(Input::new([2]));
        model.add(Embedding::new(6, 4));
        model.add(Flatten::new());
        model.add(Dense::new(1));
        model
            .compile("sparse_adam", "mse", Vec::<&str>::new())
            .unwrap();
        let x = Tensor::from_f32(&[4, 2], vec![0.0, 1.0, 1.0, 1.0, 3.0, 5.0, 5.0, 0.0]).unwrap();
        let y = Tensor::from_f32(&[4, 1], vec![0.5, -1.0, 1.0, 0.0]).unwrap();
        let before = model
            .evaluate((&x, &y), EvaluateOptions::new())
            .unwrap()
            .loss();
        model.set_learning_rate(0.05).unwrap();
        let options = FitOptions::new().epochs(60).batch_size(4).verbose(false);
        model.fit((&x, &y), options).unwrap();
        let after = model
            .evaluate((&x, &y), EvaluateOptions::new())
            .unwrap()
            .loss();
        assert!(after < 0.05 * before, "{before} to {after}");
    }

    #[test]
    fn wrong_arguments_are_errors() {
        for (optimizer, argument) in [
            (SparseAdam::new(-1.0), "`learning_rate`"),
            (SparseAdam::default().beta_1(1.0), "`beta_1`"),
            (SparseAdam::default().beta_2(f64::NAN), "`beta_2`"),
            (SparseAdam::default().epsilon(0.0), "`epsilon`"),
        ] {
            let error = optimizer.check().unwrap_err().to_string();
            assert!(error.contains(argument), "{error}");
        }
        let error = optimizers::from_json(&json!({ "type": "SparseAdam", "clipnorm": 1.0 }));
        assert!(error.unwrap_err().to_string().contains("clipnorm"));
    }
}
