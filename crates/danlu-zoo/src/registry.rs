//! Architectures by name.

use std::fmt::Debug;

use danlu::{Arguments, Config, Error, Model, Result};

use crate::{CifarResNet, LeNet5, ResNet, VGG};

/// What all architectures can do.
pub(crate) trait Architecture: Debug {
    /// Fails where an argument has a value that it cannot have.
    fn check(&self) -> Result<()>;

    /// The model, not built yet.
    fn build(&self) -> Result<Model>;

    /// Its arguments as recipes write them.
    fn config(&self) -> Result<Config>;
}

/// What an architecture is and takes.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchitectureDescription {
    /// Its name in recipes, such as `resnet20`.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Its arguments with their defaults.
    pub defaults: Config,
}

struct Entry {
    name: &'static str,
    summary: &'static str,
    make: fn(&mut Arguments) -> Result<Box<dyn Architecture>>,
}

macro_rules! entries {
    ($($name:literal, $summary:literal: $new:expr;)*) => {
        &[$(Entry {
            name: $name,
            summary: $summary,
            make: |arguments| Ok(Box::new($new.take(arguments)?)),
        },)*]
    };
}

/// All of them: a new one is a line here.
#[rustfmt::skip]
const ENTRIES: &[Entry] = entries! {
    "lenet5", "LeCun et al. 1998: two convolutions and three dense layers for digits": LeNet5::new();
    "resnet18", "He et al. 2015: residual network for ImageNet, 11.7 million parameters": ResNet::new(18);
    "resnet20", "He et al. 2015: residual network for CIFAR, 0.27 million parameters": CifarResNet::new(20);
    "resnet32", "He et al. 2015: residual network for CIFAR, 0.46 million parameters": CifarResNet::new(32);
    "resnet34", "He et al. 2015: residual network for ImageNet, 21.8 million parameters": ResNet::new(34);
    "resnet44", "He et al. 2015: residual network for CIFAR, 0.66 million parameters": CifarResNet::new(44);
    "resnet50", "He et al. 2015: residual network for ImageNet, 25.6 million parameters, as keras.applications has it": ResNet::new(50);
    "resnet56", "He et al. 2015: residual network for CIFAR, 0.85 million parameters": CifarResNet::new(56);
    "resnet101", "He et al. 2015: residual network for ImageNet, 44.7 million parameters, as keras.applications has it": ResNet::new(101);
    "resnet110", "He et al. 2015: residual network for CIFAR, 1.7 million parameters": CifarResNet::new(110);
    "resnet152", "He et al. 2015: residual network for ImageNet, 60.4 million parameters, as keras.applications has it": ResNet::new(152);
    "vgg11", "Simonyan and Zisserman 2014, configuration A: 132.9 million parameters": VGG::new(11);
    "vgg13", "Simonyan and Zisserman 2014, configuration B: 133.0 million parameters": VGG::new(13);
    "vgg16", "Simonyan and Zisserman 2014, configuration D: 138.4 million parameters, as keras.applications has it": VGG::new(16);
    "vgg19", "Simonyan and Zisserman 2014, configuration E: 143.7 million parameters, as keras.applications has it": VGG::new(19);
};

/// The names of all architectures.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    ENTRIES.iter().map(|entry| entry.name)
}

/// The model of the architecture of this name with these arguments, not built yet; what is not given has its default, which
/// [`describe`] tells.
///
/// # Errors
/// There is no such architecture or argument ("did you mean"), or an argument has a value that it cannot have.
pub fn build(name: &str, arguments: Config) -> Result<Model> {
    let mut arguments = Arguments::new(name, arguments);
    let architecture = (entry(name)?.make)(&mut arguments)?;
    arguments.finish()?;
    architecture.build()
}

/// What the architecture of this name is and takes.
///
/// # Errors
/// There is none of this name ("did you mean").
pub fn describe(name: &str) -> Result<ArchitectureDescription> {
    let entry = entry(name)?;
    let architecture = (entry.make)(&mut Arguments::new(name, Config::new()))?;
    Ok(ArchitectureDescription {
        name: entry.name,
        summary: entry.summary,
        defaults: architecture.config()?,
    })
}

fn entry(name: &str) -> Result<&'static Entry> {
    let found = ENTRIES.iter().find(|entry| entry.name == name);
    found.ok_or_else(|| Error::unknown("architecture", name, names()))
}
