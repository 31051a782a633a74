//! Programs: a graph with its inputs, outputs and updates of state, as plain data that an executor compiles.

use std::collections::BTreeMap;

use crate::graph::{Node, NodeId};
use crate::operations::Operation;
use crate::{Error, Graph, Result, Value, ValueType};

/// A value that is given when the program runs.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// Its name.
    pub name: String,
    /// Its shape and dtype.
    pub value_type: ValueType,
}

/// A value that the program gives back.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// The node whose result it is.
    pub node: NodeId,
}

/// A state that takes a node's result when the program has run. All reads see the state as of the program's start.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The state's name.
    pub state: String,
    /// The node whose result it takes.
    pub node: NodeId,
}

/// A graph that can be run.
#[derive(Clone, Debug, Default)]
pub struct Program {
    nodes: Vec<Node>,
    inputs: Vec<InputSpec>,
    outputs: Vec<Output>,
    updates: Vec<Update>,
}

impl Program {
    /// Of each node whether it depends on nothing but constants and states that the program does not update: it has the same
    /// value in every run, until somebody else writes such a state. A user's own operation never counts as such.
    pub fn steady(&self) -> Vec<bool> {
        let mut steady: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let own = match &node.operation {
                Operation::Input(_) | Operation::Custom(_) => false,
                Operation::State(state) => {
                    !self.updates.iter().any(|update| update.state == state.name)
                }
                _ => node.inputs.iter().all(|&input| steady[input]),
            };
            steady.push(own);
        }
        steady
    }

    /// A program that takes `inputs` in this order, gives `outputs`, and puts `updates` into state. What does not serve
    /// them is left out.
    ///
    /// # Errors
    /// A value is of another graph, an input is no input or given twice, an input that something depends on is not
    /// among them, an update's type is not its state's, or a state is updated twice.
    pub fn new(
        graph: &Graph,
        inputs: &[&Value],
        outputs: &[(&str, &Value)],
        updates: &[(&str, &Value)],
    ) -> Result<Program> {
        let nodes = graph.nodes();
        let own = |value: &Value| -> Result<NodeId> {
            if value.graph().is(graph) {
                Ok(value.node())
            } else {
                Err(Error::new(
                    "a value of another graph was given to a program",
                ))
            }
        };
        let mut specs: Vec<InputSpec> = Vec::new();
        for value in inputs {
            match &nodes[own(value)?].operation {
                Operation::Input(input) => {
                    if specs.iter().any(|spec| spec.name == input.name) {
                        return Err(Error::new(format!(
                            "two inputs of a program are named `{}`",
                            input.name
                        )));
                    }
                    specs.push(InputSpec {
                        name: input.name.clone(),
                        value_type: input.value_type.clone(),
                    });
                }
                other => {
                    return Err(Error::new(format!(
                        "{} is not an input of the graph",
                        other.name()
                    )));
                }
            }
        }
        let mut program = Program {
            nodes: Vec::new(),
            inputs: specs,
            outputs: Vec::new(),
            updates: Vec::new(),
        };
        for (name, value) in outputs {
            program.outputs.push(Output {
                name: (*name).to_owned(),
                node: own(value)?,
            });
        }
        for (state, value) in updates {
            if program.updates.iter().any(|update| update.state == *state) {
                return Err(Error::new(format!(
                    "state `{state}` is updated twice in one program"
                )));
            }
            program.updates.push(Update {
                state: (*state).to_owned(),
                node: own(value)?,
            });
        }
        program.nodes = nodes;
        program.check_updates()?;
        program.retain_live();
        program.check_inputs()?;
        Ok(program)
    }

    /// The nodes; inputs stand before the nodes that use them.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The inputs, in the order in which a run takes them. Some may have no node, where nothing depends on them.
    pub fn inputs(&self) -> &[InputSpec] {
        &self.inputs
    }

    /// The outputs, in the order in which a run gives them.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The states that change.
    pub fn updates(&self) -> &[Update] {
        &self.updates
    }

    /// Gives states other names: the same program over other state.
    pub fn rename_states(&mut self, rename: impl Fn(&str) -> Option<String>) {
        for node in &mut self.nodes {
            if let Operation::State(state) = &mut node.operation
                && let Some(name) = rename(&state.name)
            {
                state.name = name;
            }
        }
        for update in &mut self.updates {
            if let Some(name) = rename(&update.state) {
                update.state = name;
            }
        }
    }

    /// The states that the program reads or updates, with their types.
    pub fn states(&self) -> BTreeMap<String, ValueType> {
        let mut states = BTreeMap::new();
        for node in &self.nodes {
            if let Operation::State(state) = &node.operation {
                states.insert(state.name.clone(), state.value_type.clone());
            }
        }
        for update in &self.updates {
            let value_type = self.nodes[update.node].value_type.clone();
            states.entry(update.state.clone()).or_insert(value_type);
        }
        states
    }

    /// Replaces the nodes, as a rewrite does; `map` gives the new place of each old node that an output or update uses.
    pub(crate) fn replace_nodes(&mut self, nodes: Vec<Node>, map: impl Fn(NodeId) -> NodeId) {
        self.nodes = nodes;
        for output in &mut self.outputs {
            output.node = map(output.node);
        }
        for update in &mut self.updates {
            update.node = map(update.node);
        }
    }

    /// Removes the nodes that serve no output and no update.
    pub(crate) fn retain_live(&mut self) -> bool {
        let mut live = vec![false; self.nodes.len()];
        let roots = self.outputs.iter().map(|output| output.node);
        for root in roots.chain(self.updates.iter().map(|update| update.node)) {
            live[root] = true;
        }
        for node in (0..self.nodes.len()).rev() {
            if live[node] {
                for &input in &self.nodes[node].inputs {
                    live[input] = true;
                }
            }
        }
        if live.iter().all(|&live| live) {
            return false;
        }
        let mut places = vec![0; self.nodes.len()];
        let mut nodes = Vec::new();
        for (place, node) in self.nodes.iter().enumerate() {
            if live[place] {
                places[place] = nodes.len();
                let mut node = node.clone();
                node.inputs
                    .iter_mut()
                    .for_each(|input| *input = places[*input]);
                nodes.push(node);
            }
        }
        self.replace_nodes(nodes, |node| places[node]);
        true
    }

    fn check_inputs(&self) -> Result<()> {
        for node in &self.nodes {
            if let Operation::Input(input) = &node.operation
                && !self
                    .inputs
                    .iter()
                    .any(|spec| spec.name == input.name && spec.value_type == input.value_type)
            {
                return Err(Error::new(format!(
                    "the program depends on input `{}` ({}), which is not among its inputs",
                    input.name, input.value_type
                ))
                .at(&node.path));
            }
        }
        Ok(())
    }

    fn check_updates(&self) -> Result<()> {
        for update in &self.updates {
            let value_type = &self.nodes[update.node].value_type;
            let known = self.nodes.iter().find_map(|node| match &node.operation {
                Operation::State(state) if state.name == update.state => Some(&state.value_type),
                _ => None,
            });
            if known.is_some_and(|known| known != value_type)
                || value_type.shape.as_fixed().is_none()
            {
                return Err(Error::new(format!(
                    "state `{}` is {}; it cannot take a value that is {value_type}",
                    update.state,
                    known.map_or("of fixed shape".to_owned(), ToString::to_string)
                )));
            }
        }
        Ok(())
    }
}
