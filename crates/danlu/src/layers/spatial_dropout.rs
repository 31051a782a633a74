//! Dropout of whole channels.

use danlu_graph::{Dim, Shape, Value};

use super::dropout::{check_rate, dropped};
use super::padding::channels_last;
use super::sizes::{spatial_sizes, with_sizes};
use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Result, config};

macro_rules! spatial_dropout {
    ($($(#[$meta:meta])* $name:ident = $class:literal, $axes:literal, $data_format:literal;)*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug)]
            pub struct $name {
                rate: f64,
                seed: Option<i64>,
            }

            impl $name {
                /// This share of channels, from 0 to 1.
                pub fn new(rate: f64) -> $name {
                    $name { rate, seed: None }
                }

                /// A seed of its own instead of the run's.
                #[must_use]
                pub fn seed(mut self, seed: i64) -> $name {
                    self.seed = Some(seed);
                    self
                }
            }

            impl Layer for $name {
                fn class_name(&self) -> &str {
                    $class
                }

                fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
                    check_rate($class, self.rate)?;
                    spatial_sizes::<$axes>($class, &inputs[0]).map(drop)
                }

                fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
                    let shape = with_sizes(&inputs[0].shape(), [const { 1usize }; $axes].map(Dim::fixed));
                    dropped(context, &inputs[0], self.rate, self.seed, &shape)
                }

                fn config(&self) -> Config {
                    let mut config = config! { "rate": self.rate, "seed": self.seed };
                    if $data_format {
                        config.insert("data_format".to_owned(), "channels_last".into());
                    }
                    config
                }

                fn from_config(arguments: &mut Arguments) -> Result<$name> {
                    let rate = arguments.number("rate")?;
                    let layer = $name {
                        rate: arguments.required("rate", rate)?,
                        seed: arguments.integer("seed")?,
                    };
                    if $data_format {
                        channels_last(arguments)?;
                    }
                    check_rate($class, layer.rate)?;
                    Ok(layer)
                }
            }
        )*
    };
}

spatial_dropout! {
    /// Dropout that keeps or drops a channel of an example as a whole: `(batch, length, channels)` (Tompson et al. 2015; Keras'
    /// `SpatialDropout1D`).
    SpatialDropout1D = "SpatialDropout1D", 1, false;
    /// Dropout that keeps or drops a channel of an example as a whole: `(batch, height, width, channels)` (Tompson et al.
    /// 2015; Keras' `SpatialDropout2D` with channels last).
    SpatialDropout2D = "SpatialDropout2D", 2, true;
    /// Dropout that keeps or drops a channel of an example as a whole: `(batch, depth, height, width, channels)` (Tompson et
    /// al. 2015; Keras' `SpatialDropout3D` with channels last).
    SpatialDropout3D = "SpatialDropout3D", 3, true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;
    use crate::prelude::*;

    #[test]
    fn spatial_dropout_passes_the_harness() {
        harness::check(SpatialDropout1D::new(0.5).seed(3), &[3, 4]);
        harness::check(SpatialDropout2D::new(0.25), &[2, 3, 4]);
        harness::check(SpatialDropout3D::new(0.25), &[2, 1, 3, 4]);
        harness::refuses(SpatialDropout1D::new(-0.1), &[3, 4], "from 0 to 1");
        harness::refuses(SpatialDropout2D::new(0.1), &[3, 4], "height");
    }

    #[test]
    fn whole_channels_are_dropped() {
        let found = harness::call_in_training(SpatialDropout2D::new(0.5), &[2, 3, 40], 0);
        let values = found.as_f32().unwrap();
        for example in values.chunks(240) {
            let first = &example[..40];
            assert!(first.contains(&0.0) && first.contains(&2.0));
            assert!(example.chunks(40).all(|place| place == first));
        }
        assert_ne!(values[..40], values[240..280]);
    }

    /// Keras' constructor takes no `trainable`, and refuses a file that has it.
    #[test]
    fn files_have_no_argument_that_keras_refuses() {
        let mut model = Sequential::new();
        model.add(Input::new([4, 2]));
        model.add(SpatialDropout1D::new(0.5));
        model.add(Dense::new(1));
        model.build().unwrap();
        let config = model.to_keras();
        let layers = config["config"]["layers"].as_array().unwrap();
        assert!(layers[1]["config"].get("trainable").is_none(), "{config}");
        assert_eq!(layers[2]["config"]["trainable"], true, "{config}");
    }
}
