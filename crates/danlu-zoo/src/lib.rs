//! Well-known architectures, one file each, by name or as builders:
//!
//! ```
//! use danlu::config;
//! use danlu_zoo::CifarResNet;
//! let model = CifarResNet::new(20).input_shape([28, 28, 1]).build()?;
//! let same = danlu_zoo::build("resnet20", config! { "input_shape": [28, 28, 1] })?;
//! assert_eq!(model.layer_names(), same.layer_names());
//! # Ok::<(), danlu::Error>(())
//! ```
//!
//! [`names`] says which there are, [`describe`] what each is and takes. The models are not built yet, as all of
//! [`Model::new`](danlu::Model::new): `compile`, `build` or `fit` draws their weights; no weights are ever downloaded.
//! Layers have the names that they have in `keras.applications`, where the architecture is there, so that Keras' files of
//! weights fit.

mod cifar_resnet;
mod lenet;
mod options;
mod registry;
mod resnet;
mod vgg;

pub use cifar_resnet::{CifarResNet, Shortcut};
pub use lenet::LeNet5;
pub use options::GlobalPooling;
pub use registry::{ArchitectureDescription, build, describe, names};
pub use resnet::ResNet;
pub use vgg::VGG;
