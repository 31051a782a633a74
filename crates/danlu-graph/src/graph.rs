//! Graphs under construction: nodes, and [`Value`], the handle to what a node gives.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::operations::{Input, Operation, State};
use crate::{DType, Error, Result, Shape, Tensor};

/// The place of a node in its graph. Inputs always stand before the nodes that use them.
pub type NodeId = usize;

/// The shape and dtype of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueType {
    /// The sizes of its axes.
    pub shape: Shape,
    /// The type of its elements.
    pub dtype: DType,
}

impl ValueType {
    /// This shape with this dtype.
    pub fn new(shape: Shape, dtype: DType) -> ValueType {
        ValueType { shape, dtype }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.dtype, self.shape)
    }
}

/// One operation applied to values that stand before it.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub operation: Operation,
    /// From which values.
    pub inputs: Vec<NodeId>,
    /// What comes out.
    pub value_type: ValueType,
    /// The layer that made it, such as `classifier/conv2d_1`.
    pub path: Arc<str>,
}

#[derive(Default)]
struct Inner {
    nodes: Vec<Node>,
    states: BTreeMap<String, NodeId>,
    path: Vec<String>,
}

impl Inner {
    fn path(&self) -> Arc<str> {
        Arc::from(self.path.join("/"))
    }
}

/// A graph that is being built. Clones are handles to the same graph.
#[derive(Clone, Default)]
pub struct Graph(Rc<RefCell<Inner>>);

/// The result of one node of a [`Graph`]: what layers, losses and metrics are written with.
#[derive(Clone)]
pub struct Value {
    graph: Graph,
    node: NodeId,
}

impl Graph {
    /// A graph without nodes.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// A value that is given when the program runs.
    ///
    /// # Errors
    /// Never at present; part of the signature that all nodes share.
    pub fn input(&self, name: &str, shape: Shape, dtype: DType) -> Result<Value> {
        let operation = Operation::Input(Input {
            name: name.to_owned(),
            value_type: ValueType::new(shape, dtype),
        });
        self.add(operation, &[])
    }

    /// The state (a parameter, a moment, a counter) of this name, as it is when the program starts. The same name gives
    /// the same value again.
    ///
    /// # Errors
    /// The name is taken by a state of another shape or dtype.
    pub fn state(&self, name: &str, shape: &[usize], dtype: DType) -> Result<Value> {
        let value_type = ValueType::new(Shape::from(shape), dtype);
        let known = self.0.borrow().states.get(name).copied();
        if let Some(node) = known {
            let existing = self.node(node).value_type;
            if existing != value_type {
                let message =
                    format!("state `{name}` is {existing}; it cannot be {value_type} as well");
                return Err(Error::new(message).at(&self.path()));
            }
            return Ok(Value {
                graph: self.clone(),
                node,
            });
        }
        let value = self.add(
            Operation::State(State {
                name: name.to_owned(),
                value_type,
            }),
            &[],
        )?;
        self.0
            .borrow_mut()
            .states
            .insert(name.to_owned(), value.node);
        Ok(value)
    }

    /// A value that is part of the program.
    ///
    /// # Errors
    /// Never at present; part of the signature that all nodes share.
    pub fn constant(&self, tensor: Tensor) -> Result<Value> {
        self.add(Operation::constant(tensor), &[])
    }

    /// A constant without axes, of this float or integer dtype.
    ///
    /// # Errors
    /// Never at present; part of the signature that all nodes share.
    pub fn scalar(&self, value: f64, dtype: DType) -> Result<Value> {
        self.constant(crate::reference::Array::scalar(value, dtype).to_tensor()?)
    }

    /// Appends a node.
    ///
    /// # Errors
    /// The operation does not take these inputs: the error names the layer's path.
    pub fn add(&self, operation: Operation, inputs: &[&Value]) -> Result<Value> {
        let path = self.0.borrow().path();
        if inputs
            .iter()
            .any(|value| !Rc::ptr_eq(&value.graph.0, &self.0))
        {
            return Err(Error::new("a value of another graph was given").at(&path));
        }
        let types: Vec<ValueType> = inputs.iter().map(|value| value.value_type()).collect();
        let family = operation.family();
        let value_type = family.infer(&types).map_err(|error| error.at(&path))?;
        if value_type.shape.has_negative() {
            let message = format!("{} would give shape {}", family.name(), value_type.shape);
            return Err(Error::new(message).at(&path));
        }
        let node = Node {
            operation,
            inputs: inputs.iter().map(|value| value.node).collect(),
            value_type,
            path,
        };
        let mut inner = self.0.borrow_mut();
        inner.nodes.push(node);
        Ok(Value {
            graph: self.clone(),
            node: inner.nodes.len() - 1,
        })
    }

    /// Runs `body` with one more part on the path of the nodes it makes.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn scope<T, E>(&self, name: &str, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.0.borrow_mut().path.push(name.to_owned());
        let result = body();
        self.0.borrow_mut().path.pop();
        result
    }

    /// Runs `body` with another path for the nodes it makes: gradients belong to the layer whose results they are of.
    pub(crate) fn with_path<T>(&self, path: &str, body: impl FnOnce() -> T) -> T {
        let saved = std::mem::replace(&mut self.0.borrow_mut().path, vec![path.to_owned()]);
        let result = body();
        self.0.borrow_mut().path = saved;
        result
    }

    /// The path that a node made now would carry.
    pub fn path(&self) -> String {
        self.0.borrow().path.join("/")
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.0.borrow().nodes.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of one node.
    pub(crate) fn node(&self, node: NodeId) -> Node {
        self.0.borrow().nodes[node].clone()
    }

    /// A copy of all nodes.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.0.borrow().nodes.clone()
    }

    /// The value of a node.
    pub(crate) fn value(&self, node: NodeId) -> Value {
        Value {
            graph: self.clone(),
            node,
        }
    }

    /// The values of all nodes that there are, in order: those that a value is made from stand before it.
    pub fn values(&self) -> Vec<Value> {
        (0..self.len()).map(|node| self.value(node)).collect()
    }

    /// Whether two handles are of the same graph.
    pub fn is(&self, other: &Graph) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Value {
    /// The graph that it is part of.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The node whose result it is.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Its shape and dtype.
    pub fn value_type(&self) -> ValueType {
        self.graph.0.borrow().nodes[self.node].value_type.clone()
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.value_type().shape
    }

    /// Its dtype.
    pub fn dtype(&self) -> DType {
        self.graph.0.borrow().nodes[self.node].value_type.dtype
    }

    /// The layer that made it.
    pub fn path(&self) -> String {
        self.graph.0.borrow().nodes[self.node].path.to_string()
    }

    /// The axis that an index names: negative ones count from the end.
    pub(crate) fn axis(&self, index: isize) -> Result<usize> {
        let axis = self.shape().axis(index);
        axis.map_err(|error| error.at(&self.graph.path()))
    }

    /// The operation that made it.
    pub fn operation(&self) -> Operation {
        self.graph.0.borrow().nodes[self.node].operation.clone()
    }

    /// The values that it was made from.
    pub fn inputs(&self) -> Vec<Value> {
        let inputs = self.graph.0.borrow().nodes[self.node].inputs.clone();
        inputs
            .into_iter()
            .map(|node| self.graph.value(node))
            .collect()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "%{}: {}", self.node, self.value_type())
    }
}
