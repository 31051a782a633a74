//! What `Diagnose` and `find_non_finite` say of twenty trainings that go wrong, and of twenty that do not.

mod gradients;
mod healthy;
mod learning;
mod material;
mod non_finite;
mod promises;
