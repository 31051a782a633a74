//! An optimizer on parameters and gradients that are given.

use danlu_graph::{Bindings, DType, Executor, Graph, PlanId, Program, Tensor, Value};

use crate::optimizers::{Optimizer, Trained, layout, updates};

pub struct Runner {
    executor: Box<dyn Executor>,
    plan: PlanId,
    parameters: Vec<String>,
    states: Vec<String>,
}

impl Runner {
    pub fn new(
        optimizer: &dyn Optimizer,
        names: &[&str],
        start: &[Tensor],
        mut executor: Box<dyn Executor>,
    ) -> Runner {
        let graph = Graph::new();
        let trained: Vec<Trained> = names
            .iter()
            .zip(start)
            .map(|(name, value)| Trained {
                name: (*name).to_owned(),
                shape: value.shape().to_vec(),
            })
            .collect();
        let (mut values, mut inputs) = (Vec::new(), Vec::new());
        for (one, value) in trained.iter().zip(start) {
            executor.create_state(&one.name, value).unwrap();
            values.push(graph.state(&one.name, &one.shape, DType::F32).unwrap());
            let input = graph.input(
                &format!("gradient of {}", one.name),
                one.shape.as_slice().into(),
                DType::F32,
            );
            inputs.push(input.unwrap());
        }
        let states = layout(optimizer, &trained);
        for state in &states {
            let start = state.start(&*executor).unwrap();
            executor.create_state(&state.name, &start).unwrap();
        }
        let updates = updates(optimizer, &graph, &trained, &values, &inputs).unwrap();
        let updates: Vec<(&str, &Value)> = updates.iter().map(|(n, v)| (n.as_str(), v)).collect();
        let inputs: Vec<&Value> = inputs.iter().collect();
        let program = Program::new(&graph, &inputs, &[], &updates).unwrap();
        let plan = executor.compile(&program, &Bindings::new()).unwrap();
        Runner {
            executor,
            plan,
            parameters: trained.into_iter().map(|one| one.name).collect(),
            states: states.into_iter().map(|state| state.name).collect(),
        }
    }

    pub fn step(&mut self, gradients: &[Tensor]) {
        let gradients: Vec<&Tensor> = gradients.iter().collect();
        self.executor.run(self.plan, &gradients, &mut []).unwrap();
    }

    fn read(&self, names: &[String]) -> Vec<Tensor> {
        let read = |name: &String| self.executor.read_state(name).unwrap();
        names.iter().map(read).collect()
    }

    pub fn parameters(&self) -> Vec<Tensor> {
        self.read(&self.parameters)
    }

    pub fn state(&self) -> Vec<Tensor> {
        self.read(&self.states)
    }

    pub fn state_names(&self) -> &[String] {
        &self.states
    }

    /// Puts these parameters and this state in place, in the dtypes in which they are kept.
    pub fn restore(&mut self, parameters: &[Tensor], state: &[Tensor]) {
        for (name, value) in self.parameters.iter().zip(parameters) {
            self.executor.write_state(name, value).unwrap();
        }
        assert_eq!(self.states.len(), state.len());
        for (name, value) in self.states.iter().zip(state) {
            let value = match self.executor.read_state(name).unwrap().dtype() {
                DType::I64 => Tensor::from_i64(&[], vec![value.get_f64(0) as i64]).unwrap(),
                _ => value.clone(),
            };
            self.executor.write_state(name, &value).unwrap();
        }
    }
}
