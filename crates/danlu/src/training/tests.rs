//! fit, evaluate, predict against Keras' values, and what they promise.

mod golden;
mod parameters;
mod promises;
