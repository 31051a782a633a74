//! Every operation through the CPU executor against the reference, for every instruction set and number of threads; whole
//! random programs; and the promise that an example's result does not depend on its batch.

mod convolution;
mod edges;
mod elementwise;
mod harness;
mod invariance;
mod movement;
mod pooling;
mod product;
mod random_programs;
mod reduce;
mod rows;
mod rows_in_place;
mod softmax;
mod uniform;
