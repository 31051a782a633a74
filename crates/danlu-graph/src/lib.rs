//! The intermediate representation of Danlu: a model is a graph, and everything done to a model is a pass over it.
//!
//! A [`Graph`] is built from [`Value`]s: inputs, states and operations on them, with shapes whose dimensions are numbers
//! or names. [`gradients`] adds nodes for derivatives. A [`Program`] takes a graph with its outputs and its updates of
//! named state to an [`Executor`], which binds the names to numbers and runs it.
//!
//! ```
//! use danlu_graph::{Bindings, DType, Executor, Graph, Program, Shape, Tensor, gradients, reference::ReferenceExecutor};
//!
//! let graph = Graph::new();
//! let x = graph.input("x", Shape::batch_of(&[2]), DType::F32)?;
//! let w = graph.state("w", &[2, 1], DType::F32)?;
//! let loss = x.matmul(&w)?.square()?.mean_all()?;
//! let slope = gradients(&loss, &[&w])?.remove(0);
//! let step = (&w - &slope.multiply_scalar(0.125)?)?;
//! let program = Program::new(&graph, &[&x], &[("loss", &loss)], &[("w", &step)])?;
//!
//! let mut executor = ReferenceExecutor::new();
//! executor.create_state("w", &Tensor::from_f32(&[2, 1], vec![1.0, 2.0])?)?;
//! let plan = executor.compile(&program, &Bindings::batch(1))?;
//! let mut outputs = vec![Tensor::scalar(0.0)];
//! executor.run(plan, &[&Tensor::from_f32(&[1, 2], vec![1.0, 1.0])?], &mut outputs)?;
//! assert_eq!(outputs[0].as_f32(), Some(&[9.0][..]));
//! assert_eq!(executor.read_state("w")?.as_f32(), Some(&[0.25, 1.25][..]));
//! # Ok::<(), danlu_graph::Error>(())
//! ```

pub mod dimension;
pub mod dtype;
mod dump;
pub mod error;
pub mod executor;
mod gradient;
pub mod graph;
pub mod operations;
pub mod profile;
pub mod program;
pub mod reference;
pub mod rewrite;
pub mod shape;
pub mod tensor;

pub use dimension::{BATCH, Bindings, Dim};
pub use dtype::DType;
pub use error::{Error, Result};
pub use executor::{Executor, PlanId};
pub use gradient::{GRADIENT, gradients, gradients_from};
pub use graph::{Graph, Node, NodeId, Value, ValueType};
pub use operations::Operation;
pub use profile::{OperationProfile, Profile, StepProfile};
pub use program::Program;
pub use shape::Shape;
pub use tensor::{Tensor, TensorData};
