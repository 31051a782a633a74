//! How fast things run: what `danlu bench` and `danlu train --profile` share.

pub mod measured;
pub mod operation;
pub mod optimizer;
pub mod profile;
mod shapes;
pub mod table;
