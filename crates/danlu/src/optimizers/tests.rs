//! Optimizers against Keras' values, and what every optimizer must do.

mod golden;
mod harness;
mod runner;
mod training;
