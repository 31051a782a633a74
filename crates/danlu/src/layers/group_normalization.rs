//! Group normalization.

use danlu_graph::{Dim, Shape, Value};

use super::affine::{Affine, affine_methods};
use super::parameters::parameter_methods;
use super::{BuildContext, CallContext, Layer};
use crate::axes::Axes;
use crate::{Arguments, Config, Error, Result, config};

/// Normalizes each example over groups of channels and all other axes, then multiplies by gamma and adds beta, both as long as
/// the channels (Wu and He 2018; Keras' `GroupNormalization`). Any shape stays as it is.
#[derive(Clone, Debug)]
pub struct GroupNormalization {
    groups: i64,
    axis: Axes,
    affine: Affine,
}

impl GroupNormalization {
    /// 32 groups of the last axis.
    pub fn new() -> GroupNormalization {
        GroupNormalization {
            groups: 32,
            axis: Axes::new([-1]),
            affine: Affine::new(),
        }
    }

    /// How many groups, a divisor of the channels; -1 makes each channel its own (instance normalization). Default 32.
    #[must_use]
    pub fn groups(mut self, groups: i64) -> GroupNormalization {
        self.groups = groups;
        self
    }

    /// The axis of the channels; negative ones count from the end. Default -1.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> GroupNormalization {
        self.axis = Axes::new([axis]);
        self
    }

    affine_methods!();

    /// The axis of the channels, their number, and the number of groups.
    fn sizes(&self, shape: &Shape) -> Result<(usize, usize, usize)> {
        let owner = "GroupNormalization";
        let (axes, sizes) = self.axis.of_examples(owner, shape)?;
        let (&[axis], &[channels]) = (axes.as_slice(), sizes.as_slice()) else {
            return Err(Error::argument(
                owner,
                "axis",
                "one axis",
                self.axis.to_json(),
            ));
        };
        let groups = match self.groups {
            -1 => channels,
            groups => usize::try_from(groups).unwrap_or(0),
        };
        if groups == 0 || channels % groups != 0 {
            let expected = format!("-1 or a divisor of the {channels} channels of the input");
            return Err(Error::argument(owner, "groups", expected, self.groups));
        }
        Ok((axis, channels, groups))
    }
}

impl Default for GroupNormalization {
    fn default() -> GroupNormalization {
        GroupNormalization::new()
    }
}

impl Layer for GroupNormalization {
    fn class_name(&self) -> &str {
        "GroupNormalization"
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        let (_, channels, _) = self.sizes(&inputs[0])?;
        self.affine
            .build("GroupNormalization", context, &[channels])
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let shape = inputs[0].shape();
        let (axis, channels, groups) = self.sizes(&shape)?;
        let split = |dims: &[Dim]| {
            let mut dims = dims.to_vec();
            let inner = [Dim::fixed(groups), Dim::fixed(channels / groups)];
            dims.splice(axis..=axis, inner);
            Shape::from(dims)
        };
        let grouped = inputs[0].reshape(&split(shape.dims()))?;
        // All axes but the examples and the groups.
        let axes: Vec<isize> = (1..=shape.rank())
            .filter(|&other| other != axis)
            .map(|other| other as isize)
            .collect();
        let spread = split(&vec![Dim::fixed(1); shape.rank()]);
        let y = self.affine.normalize(context, &grouped, &axes, &spread)?;
        Ok(y.reshape(&shape)?)
    }

    fn config(&self) -> Config {
        let mut config = config! { "groups": self.groups, "axis": self.axis.to_json() };
        self.affine.write(&mut config);
        config
    }

    fn from_config(arguments: &mut Arguments) -> Result<GroupNormalization> {
        let mut layer = GroupNormalization::new();
        layer.groups = arguments.integer("groups")?.unwrap_or(32);
        layer.axis.take(arguments)?;
        layer.affine.take(arguments)?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn group_normalization_passes_the_harness() {
        harness::check(GroupNormalization::new().groups(2), &[3, 2, 4]);
        harness::check(GroupNormalization::new().groups(-1).epsilon(0.1), &[5, 2]);
        harness::check(GroupNormalization::new().groups(2).axis(1), &[4, 3]);
        harness::check(GroupNormalization::new().groups(1).scale(false), &[6]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        let layer = GroupNormalization::new;
        harness::refuses(layer(), &[4, 4], "a divisor of the 4 channels");
        harness::refuses(
            layer().groups(3),
            &[4, 4],
            "`groups` must be -1 or a divisor",
        );
        harness::refuses(layer().groups(0), &[4, 4], "received 0");
        harness::refuses(layer().groups(-2), &[4, 4], "received -2");
        harness::refuses(layer().groups(2).axis(5), &[4], "`axis` must be among");
    }
}
